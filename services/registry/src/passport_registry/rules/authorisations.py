"""What an authorisation may say, and whose word makes it count (standards.md §1.8, domain.md §10e G7).

Giving authority takes two: one proposes, another approves. Two person clients are four eyes proper; for
machine clients the two asserted actors must differ, and the record says that they were asserted. Taking
authority away needs one. Here is only the rule; operations apply it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from passport_registry.rules.entities import Role
from passport_registry.rules.identifiers import MOVEMENT_TYPE


class Action(StrEnum):
    """What an entity may do with a credential type. PERSISTED."""

    ISSUE = "issue"
    ASK = "ask"


class GrantState(StrEnum):
    """Life of an authorisation. PERSISTED."""

    PROPOSED = "PROPOSED"
    GRANTED = "GRANTED"
    WITHDRAWN = "WITHDRAWN"


LONGEST_GRANT = timedelta(days=5 * 366)
# Longest credential 24 months (design.md §4.1).
LONGEST_CREDENTIAL_S = 731 * 86_400
# A trust in its test issues for a fortnight, and what it issues lives a day.
LONGEST_TEST_GRANT = timedelta(days=14)
LONGEST_TEST_CREDENTIAL_S = 86_400
MAX_PATHS = 200
MAX_PURPOSES = 60
ACTION_OF = {Role.ISSUER: Action.ISSUE, Role.VERIFIER: Action.ASK}


@dataclass(frozen=True, kw_only=True)
class Grant:
    """An authorisation's content; `test` marks one that only serves the test issue."""

    action: Action
    vct: str
    territory: tuple[str, ...] = ()
    valid_from: datetime
    valid_until: datetime
    max_validity_s: int | None = None
    claims: tuple[tuple[str | int | None, ...], ...] = ()
    purposes: tuple[str, ...] = ()
    test: bool = False


def grant_faults(
    grant: Grant, *, role: Role, claim_paths: Mapping[str, Collection[tuple[str, ...]]]
) -> list[tuple[str, str]]:
    """Return what is wrong with a grant as (field, sentence) pairs.

    Args:
        grant: what is to be granted.
        role: role of the entity it is for.
        claim_paths: for every published `vct` the claim paths of its type.
    """
    faults: list[tuple[str, str]] = []
    if grant.action is not ACTION_OF[role]:
        faults.append(("action", f"an entity with role {role} may be authorised to {ACTION_OF[role]} only"))
    if grant.vct not in claim_paths:
        faults.append(("vct", "is not a credential type of this network"))
    if grant.valid_until <= grant.valid_from:
        faults.append(("valid_until", "must be later than valid_from"))
    elif grant.valid_until - grant.valid_from > LONGEST_GRANT:
        faults.append(("valid_until", "an authorisation lasts at most five years"))
    faults += _issue_faults(grant) if grant.action is Action.ISSUE else _ask_faults(grant, claim_paths)
    return faults


def _issue_faults(grant: Grant) -> list[tuple[str, str]]:
    faults = [
        (name, "belongs to an authorisation to ask")
        for name in ("claims", "purposes")
        if getattr(grant, name)
    ]
    longest = LONGEST_TEST_CREDENTIAL_S if grant.test else LONGEST_CREDENTIAL_S
    if grant.max_validity_s is None or not 0 < grant.max_validity_s <= longest:
        faults.append(("max_validity_s", f"must be given, from 1 to {longest} seconds"))
    if grant.test and grant.valid_until - grant.valid_from > LONGEST_TEST_GRANT:
        faults.append(("valid_until", "an authorisation for the test issue lasts at most 14 days"))
    return faults


def _ask_faults(
    grant: Grant, claim_paths: Mapping[str, Collection[tuple[str, ...]]]
) -> list[tuple[str, str]]:
    faults = []
    if grant.max_validity_s is not None:
        faults.append(("max_validity_s", "belongs to an authorisation to issue"))
    if grant.test:
        faults.append(("test", "belongs to an authorisation to issue; the test verify needs gate G2 only"))
    faults += _path_faults(grant.claims, claim_paths.get(grant.vct, ()))
    if not grant.purposes or len(grant.purposes) > MAX_PURPOSES:
        faults.append(("purposes", f"names 1 to {MAX_PURPOSES} movement types"))
    faults += [
        (f"purposes/{index}", "is a movement type in capitals, such as URGENT_LIST")
        for index, purpose in enumerate(grant.purposes)
        if not MOVEMENT_TYPE.fullmatch(purpose)
    ]
    return faults


def _path_faults(
    paths: Sequence[tuple[str | int | None, ...]], known: Collection[tuple[str, ...]]
) -> list[tuple[str, str]]:
    if not paths or len(paths) > MAX_PATHS:
        return [("claims", f"names 1 to {MAX_PATHS} claim paths")]
    faults = []
    for index, path in enumerate(paths):
        # An array's elements are asked with null or an index behind the claim's own path.
        named = tuple(part for part in path if isinstance(part, str))
        if not path or named not in known:
            faults.append((f"claims/{index}", "is not a claim of this credential type"))
    return faults
