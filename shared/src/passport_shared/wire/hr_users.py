"""Who may act for a trust: its HR users with role and training, as the signed client directory tells them.

The registry keeps each trust's HR users (domain.md §10a); services judge gate G-B from the directory, so that
nothing stops when the registry does. A person stands there as a hash of the opaque id the trust's own systems
assert: the directory is public, the ids are not. Gate G-B: issuing needs a trained HR_ISSUER, with 30 days'
grace after the training has lapsed; verifying needs a trained HR_VERIFIER in the same way, but an urgent
verification is never held up by lapsed training. A trust that keeps no HR users in the register keeps them
itself: its word is taken and reported.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from passport_shared.formats.strict import b64url_encode

LONDON = ZoneInfo("Europe/London")
TRAINING_GRACE = timedelta(days=30)
MAX_HR_USERS = 200_000
_SUBJECT_HASH = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_ORGANISATION = re.compile(r"[A-Z0-9]{3,10}\Z")


class HrRole(StrEnum):
    """PERSISTED. What an HR user does for the trust (domain.md §10a)."""

    HR_ISSUER = "HR_ISSUER"
    HR_VERIFIER = "HR_VERIFIER"
    SENIOR_ADMIN = "SENIOR_ADMIN"
    APPROVER = "APPROVER"
    IG_LEAD = "IG_LEAD"
    REPORT_VIEWER = "REPORT_VIEWER"


class Duty(StrEnum):
    """What somebody is about to do."""

    ISSUE = "issue"
    VERIFY = "verify"
    APPROVE = "approve"


ROLES_FOR: Mapping[Duty, frozenset[HrRole]] = {
    Duty.ISSUE: frozenset({HrRole.HR_ISSUER}),
    # An out-of-hours duty manager (APPROVER) verifies for an urgent list (journey J5).
    Duty.VERIFY: frozenset({HrRole.HR_VERIFIER, HrRole.APPROVER}),
    Duty.APPROVE: frozenset({HrRole.APPROVER, HrRole.SENIOR_ADMIN, HrRole.HR_VERIFIER, HrRole.HR_ISSUER}),
}


@dataclass(frozen=True, kw_only=True)
class HrUser:
    """One HR user of one trust; `trained_until` is a day in Europe/London, None before any training."""

    organisation: str
    subject_hash: str
    roles: frozenset[HrRole]
    trained_until: date | None


class HrUserCode(StrEnum):
    """What gate G-B found."""

    TRAINED = "TRAINED"
    NOT_KEPT = "NOT_KEPT"
    TRAINING_IN_GRACE = "TRAINING_IN_GRACE"
    URGENT_WITHOUT_TRAINING = "URGENT_WITHOUT_TRAINING"
    UNKNOWN_HR_USER = "UNKNOWN_HR_USER"
    WRONG_ROLE = "WRONG_ROLE"
    TRAINING_LAPSED = "TRAINING_LAPSED"


@dataclass(frozen=True)
class HrUserFinding:
    """Gate G-B for one person and one act: whether it holds, why, and what to do next."""

    holds: bool
    code: HrUserCode
    detail: str


_WORDS = {
    HrUserCode.TRAINED: "This HR user is named in the register, and the training is in date.",
    HrUserCode.NOT_KEPT: "This trust keeps its HR users itself; its word is taken.",
    HrUserCode.TRAINING_IN_GRACE: "The HR training has lapsed: renew it within 30 days of its end.",
    HrUserCode.URGENT_WITHOUT_TRAINING: "The HR training has lapsed; an urgent move is not held up by it.",
    HrUserCode.UNKNOWN_HR_USER: (
        "This person is not one of the trust's HR users: a senior portal administrator can add them in the "
        "network register."
    ),
    HrUserCode.WRONG_ROLE: (
        "This HR user has no role for this act: a senior portal administrator can give one."
    ),
    HrUserCode.TRAINING_LAPSED: (
        "This HR user's training has lapsed: they take it again, or a trained colleague acts."
    ),
}


def subject_hash(organisation: str, subject: str) -> str:
    """How a person stands in the directory: SHA-256 of organisation and opaque id, base64url."""
    return b64url_encode(hashlib.sha256(f"{organisation}|{subject}".encode()).digest())


def finding(
    users: Mapping[tuple[str, str], HrUser],
    organisations: frozenset[str],
    *,
    organisation: str,
    subject: str,
    duty: Duty,
    now: datetime,
    urgent: bool = False,
) -> HrUserFinding:
    """Gate G-B.

    Args:
        users: HR users by organisation and subject hash.
        organisations: the trusts that keep HR users in the register.
        organisation: whose act it is.
        subject: the actor's opaque id.
        duty: what they are about to do.
        now: the instant of the act.
        urgent: whether it serves an urgent move.
    """
    return _worded(_code(users, organisations, organisation, subject, duty, now, urgent=urgent))


def _code(
    users: Mapping[tuple[str, str], HrUser],
    organisations: frozenset[str],
    organisation: str,
    subject: str,
    duty: Duty,
    now: datetime,
    *,
    urgent: bool,
) -> HrUserCode:
    if organisation not in organisations:
        return HrUserCode.NOT_KEPT
    user = users.get((organisation, subject_hash(organisation, subject)))
    if user is None:
        return HrUserCode.UNKNOWN_HR_USER
    if not user.roles & ROLES_FOR[duty]:
        return HrUserCode.WRONG_ROLE
    today = now.astimezone(LONDON).date()
    if user.trained_until is not None and today <= user.trained_until:
        return HrUserCode.TRAINED
    if urgent and duty is not Duty.ISSUE:
        return HrUserCode.URGENT_WITHOUT_TRAINING
    if user.trained_until is not None and today <= user.trained_until + TRAINING_GRACE:
        return HrUserCode.TRAINING_IN_GRACE
    return HrUserCode.TRAINING_LAPSED


_REFUSED = frozenset({HrUserCode.UNKNOWN_HR_USER, HrUserCode.WRONG_ROLE, HrUserCode.TRAINING_LAPSED})


def _worded(code: HrUserCode) -> HrUserFinding:
    return HrUserFinding(holds=code not in _REFUSED, code=code, detail=_WORDS[code])


def as_claims(user: HrUser) -> dict[str, Any]:
    """The directory's entry."""
    return {
        "organisation": user.organisation,
        "subject_hash": user.subject_hash,
        "roles": sorted(user.roles),
        "trained_until": user.trained_until.isoformat() if user.trained_until else None,
    }


def check_hr_user(entry: object) -> HrUser:
    """An HR user of a directory's checked parts; ValueError if one of them is not what it must be."""
    if not isinstance(entry, dict):
        raise ValueError("an HR user is not an object")  # noqa: TRY004 - one error for every fault
    organisation, hashed = entry.get("organisation"), entry.get("subject_hash")
    if not isinstance(organisation, str) or not _ORGANISATION.match(organisation):
        raise ValueError("organisation of an HR user")
    if not isinstance(hashed, str) or not _SUBJECT_HASH.match(hashed):
        raise ValueError("subject_hash of an HR user")
    roles, until = entry.get("roles"), entry.get("trained_until")
    if not isinstance(roles, list) or len(roles) > 64 or not all(isinstance(role, str) for role in roles):
        raise ValueError("roles of an HR user")
    if until is not None and not isinstance(until, str):
        raise ValueError("trained_until of an HR user")
    return HrUser(
        organisation=organisation,
        subject_hash=hashed,
        # A role this version does not know permits nothing and is not an error.
        roles=frozenset(HrRole(role) for role in roles if role in set(HrRole)),
        trained_until=None if until is None else date.fromisoformat(until),
    )
