"""The parts of a policy: which rows one card of an answer serves.

A type is one part, and one credential query, but for a card of many subjects that may each be missing. DCQL
has no optional claim: a credential query is answered by exactly one of its ``claim_sets``, so every selection
of subjects a wallet may hold has to be listed (OpenID4VP 1.0 §6.4.1). That is 2^n sets; beyond
``OPTIONAL_PER_PART`` the rest goes into another part, a query of its own for the same type. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from passport_verifier.rules.outcome import Need
from passport_verifier.rules.policies import HostPolicy, NeedRow

OPTIONAL_PER_PART = 5
"""Five optional subjects are 32 sets, as many as our own reading of a query allows."""

QUERY_IDS: Mapping[str, str] = {
    "StaffIdentity": "staff_identity",
    "Employment": "employment",
    "RightToWork": "right_to_work",
    "DbsOutcome": "dbs_outcome",
    "ProfessionalRegistration": "professional_registration",
    "OccupationalHealth": "occupational_health",
    "CoreSkills": "core_skills",
    "CoreSkills:2": "core_skills_2",
    "CoreSkills:3": "core_skills_3",
}
"""The id of each part's credential query, by the part's key; ``PART_OF_QUERY`` is the way back."""
PART_OF_QUERY: Mapping[str, str] = {query: key for key, query in QUERY_IDS.items()}


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows of one credential type that one card answers; the first part of a type has the type's name."""

    key: str
    credential: str
    rows: tuple[NeedRow, ...]

    @property
    def query_id(self) -> str:
        """The id of its credential query."""
        return QUERY_IDS[self.key]

    @property
    def need(self) -> Need:
        """SAFETY when any of its rows is."""
        return Need.SAFETY if any(row.need is Need.SAFETY for row in self.rows) else Need.ASSURANCE


def type_of(key: str) -> str:
    """The credential type of a part's key."""
    return key.partition(":")[0]


def whole(policy: HostPolicy, key: str) -> Part:
    """All rows of a type, as one part."""
    return Part(key=key, credential=type_of(key), rows=policy.rows_for(type_of(key)))


def parts(policy: HostPolicy) -> tuple[Part, ...]:
    """The parts of a policy, in the order of its rows."""
    found: list[Part] = []
    for credential in policy.credentials:
        rows = policy.rows_for(credential)
        required = tuple(row for row in rows if row.subject is None or row.need is Need.SAFETY)
        optional = tuple(row for row in rows if row not in required)
        groups = _evenly(optional)
        for number, group in enumerate(groups, start=1):
            key = credential if number == 1 else f"{credential}:{number}"
            found.append(
                Part(key=key, credential=credential, rows=(*required, *group) if number == 1 else group)
            )
    return tuple(found)


def part_rows(policy: HostPolicy, key: str) -> tuple[NeedRow, ...]:
    """The rows of a part; of its whole type for a key the policy does not have."""
    return next((part.rows for part in parts(policy) if part.key == key), whole(policy, key).rows)


def _evenly(rows: tuple[NeedRow, ...]) -> list[tuple[NeedRow, ...]]:
    """At least one group, none larger than ``OPTIONAL_PER_PART``, as even as can be."""
    count = max(1, -(-len(rows) // OPTIONAL_PER_PART))
    size, more = divmod(len(rows), count)
    groups, at = [], 0
    for number in range(count):
        end = at + size + (number < more)
        groups.append(rows[at:end])
        at = end
    return groups
