"""What a host asks for: a DCQL query from its policy (OpenID4VP 1.0 §6), and which rows it serves.

One credential query per type, by claim path: ``holder_ref`` of every credential, the three identity claims of
StaffIdentity, and of each type only what its rules read. What the policy needs for safety is in one required
credential set; what it takes as assurance is optional, by ``credential_sets`` with ``required: false`` for a
whole credential and by ``claim_sets`` for one subject of a card, because a wallet that lacks something
required may return nothing at all. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from passport_shared.wire import catalogue
from passport_verifier.rules.outcome import Need
from passport_verifier.rules.policies import READS, HostPolicy

HOLDER_REF: tuple[str, ...] = ("holder_ref",)
IDENTITY_CLAIMS: tuple[tuple[str, ...], ...] = (("family_name",), ("given_name",), ("birthdate",))
QUERY_IDS: Mapping[str, str] = {
    "StaffIdentity": "staff_identity",
    "Employment": "employment",
    "RightToWork": "right_to_work",
    "DbsOutcome": "dbs_outcome",
    "ProfessionalRegistration": "professional_registration",
    "OccupationalHealth": "occupational_health",
    "CoreSkills": "core_skills",
}
"""The id of each type's credential query; ``TYPE_OF_QUERY`` is the way back."""
TYPE_OF_QUERY: Mapping[str, str] = {query: credential for credential, query in QUERY_IDS.items()}

Path = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of one credential type: paths that must come, and paths that may stay away."""

    credential: str
    required: tuple[Path, ...]
    optional: tuple[Path, ...]
    need: Need

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path asked for."""
        return (*self.required, *self.optional)


def asked(policy: HostPolicy) -> tuple[Asked, ...]:
    """What a policy asks for, by credential type, in the order of its rows."""
    return tuple(_asked(policy, credential) for credential in policy.credentials)


def _asked(policy: HostPolicy, credential: str) -> Asked:
    required: list[Path] = [HOLDER_REF]
    optional: list[Path] = []
    if credential == "StaffIdentity":
        required.extend(IDENTITY_CLAIMS)
    for row in policy.rows_for(credential):
        if row.subject is not None:
            target = required if row.need is Need.SAFETY else optional
            target.append(("skills", row.subject))
        else:
            required.extend((name,) for name in READS[row.rule][1])
    return Asked(
        credential=credential,
        required=tuple(dict.fromkeys(required)),
        optional=tuple(dict.fromkeys(optional)),
        need=policy.need_for(credential),
    )


def dcql_query(policy: HostPolicy, *, vct_base: str, employing_ods: str | None) -> dict[str, Any]:
    """The DCQL query of a policy; ``employing_ods`` picks the assignment where a person has several."""
    queries = [_credential_query(entry, vct_base, employing_ods) for entry in asked(policy)]
    required = [QUERY_IDS[entry.credential] for entry in asked(policy) if entry.need is Need.SAFETY]
    optional = [QUERY_IDS[entry.credential] for entry in asked(policy) if entry.need is Need.ASSURANCE]
    sets: list[dict[str, Any]] = [{"options": [required], "required": True}] if required else []
    sets.extend({"options": [[query]], "required": False} for query in optional)
    return {"credentials": queries, "credential_sets": sets}


def _credential_query(entry: Asked, vct_base: str, employing_ods: str | None) -> dict[str, Any]:
    claims = [_claim(path, employing_ods) for path in entry.paths]
    query: dict[str, Any] = {
        "id": QUERY_IDS[entry.credential],
        "format": "dc+sd-jwt",
        "meta": {
            "vct_values": [
                catalogue.vct(vct_base, entry.credential, catalogue.TYPES[entry.credential].version)
            ]
        },
        "claims": claims,
    }
    if entry.optional:
        for claim in claims:
            claim["id"] = "_".join(claim["path"])
        query["claim_sets"] = _claim_sets(entry)
    return query


def _claim(path: Path, employing_ods: str | None) -> dict[str, Any]:
    claim: dict[str, Any] = {"path": list(path)}
    if path == ("employer_ods",) and employing_ods is not None:
        claim["values"] = [employing_ods]
    return claim


def _claim_sets(entry: Asked) -> list[list[str]]:
    """Everything; everything but one optional claim; only what is required.

    All the subsets would be too many to send; a wallet that lacks two subjects still shows the safety ones.
    """
    ids = {path: "_".join(path) for path in entry.paths}
    required = [ids[path] for path in entry.required]
    optional = [ids[path] for path in entry.optional]
    without_one = [[claim for claim in optional if claim != left_out] for left_out in optional]
    sets = [[*required, *rest] for rest in (optional, *without_one, [])]
    return [list(entry) for entry in dict.fromkeys(tuple(one) for one in sets)]


def in_words(policy: HostPolicy, locale: str) -> list[tuple[str, Sequence[str]]]:
    """What is asked for, for people: each section of the passport and its details, in a language."""
    words: list[tuple[str, Sequence[str]]] = []
    for entry in asked(policy):
        kind = catalogue.TYPES[entry.credential]
        labels = [kind.label(path, locale) for path in entry.paths if path != HOLDER_REF]
        words.append((kind.display[locale]["name"], labels))
    return words
