"""Entities of an organisation: role, keys, and what of their authority is in force (standards.md §1.8).

The standing of an entity follows from the gates of its trust and from suspensions; it is never typed. It
says which authorisations its trust mark carries and whether the keys in it may still sign new credentials.

Three cases need care and are decided here:

* The test issue needs authority before gate G3, which itself waits for the test issue. While nothing else is
  missing the mark carries authorisations marked as test: at most 14 days long, for credentials of at most a
  day.
* A trust that has been live and loses a gate (a lapsed training, a suspended key), or is suspended for
  administrative reasons, must stop issuing while what it issued stays usable. Its authorisations therefore
  stay, each closed to new signatures from that moment on (`issue_until`).
* A verifier has no past to protect: without gate G2 its mark carries nothing. The test verify needs no
  special authority, because it is not part of G2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from passport_registry.rules.onboarding import Gates
from passport_shared.formats.trust_mark import KeyUse, MarkRole


class Role(StrEnum):
    """What an entity does. PERSISTED."""

    ISSUER = "ISSUER"
    VERIFIER = "VERIFIER"


class Suspension(StrEnum):
    """Why an entity is suspended. PERSISTED."""

    ADMINISTRATIVE = "ADMINISTRATIVE"
    INTEGRITY = "INTEGRITY"


class Carries(StrEnum):
    """Which authorisations the mark carries."""

    ALL = "ALL"
    TEST_ONLY = "TEST_ONLY"
    NONE = "NONE"


REQUIRED_USES = {
    Role.ISSUER: frozenset({KeyUse.CREDENTIAL, KeyUse.STATUS}),
    Role.VERIFIER: frozenset({KeyUse.REQUEST}),
}
ENTITY_TYPE = {Role.ISSUER: "openid_credential_issuer", Role.VERIFIER: "openid_credential_verifier"}
MARK_ROLE = {Role.ISSUER: MarkRole.CREDENTIAL_ISSUER, Role.VERIFIER: MarkRole.CREDENTIAL_VERIFIER}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What of an entity's authority is in force.

    `live` is True once its own gate holds and no suspension stands; nothing signed after `issuing_closed_at`
    is covered by its authorisations.
    """

    carries: Carries
    live: bool
    live_since: datetime | None
    issuing_closed_at: datetime | None


def standing(
    role: Role,
    gates: Gates,
    *,
    suspension: Suspension | None,
    live_since: datetime | None,
    issuing_closed_at: datetime | None,
    now: datetime,
) -> Standing:
    """Derive the standing of an enrolled entity.

    `live_since` and `issuing_closed_at` are what was derived last time: the moment of going live and of
    closing are facts that must not move with each look.
    """
    if role is Role.VERIFIER:
        live = gates.g2.holds and suspension is not Suspension.ADMINISTRATIVE
        since = live_since or (now if live else None)
        return Standing(
            carries=Carries.ALL if live else Carries.NONE,
            live=live and suspension is None,
            live_since=since,
            issuing_closed_at=None,
        )
    return _issuer_standing(gates, suspension, live_since, issuing_closed_at, now)


def _issuer_standing(
    gates: Gates,
    suspension: Suspension | None,
    live_since: datetime | None,
    issuing_closed_at: datetime | None,
    now: datetime,
) -> Standing:
    open_now = gates.g3.holds and suspension is not Suspension.ADMINISTRATIVE
    if open_now:
        return Standing(
            carries=Carries.ALL,
            live=suspension is None,
            live_since=live_since or now,
            issuing_closed_at=None,
        )
    if live_since is not None:
        closed = issuing_closed_at or now
        return Standing(carries=Carries.ALL, live=False, live_since=live_since, issuing_closed_at=closed)
    testing = gates.only_test_issue_missing and suspension is None
    return Standing(
        carries=Carries.TEST_ONLY if testing else Carries.NONE,
        live=False,
        live_since=None,
        issuing_closed_at=None if testing else issuing_closed_at,
    )
