"""Gates G-A to G-H: whether a step may be done, told to the person doing it (domain model §10d).

A gate says nothing about the staff member and is never part of their outcome. Each is a pure function of
facts; which step each one guards stands in ``GUARDS``. ``holds`` is None where a gate cannot be judged
without knowing who acts. The words are data (``gate_words``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

from passport_verifier.rules.movement_state import Answer, ReleaseStanding
from passport_verifier.rules.movement_types import ApprovalKind
from passport_verifier.rules.outcome import Party


class GateCode(StrEnum):
    """The gates of the domain model."""

    AGREEMENT = "G-A"
    HR_USER = "G-B"
    SEPARATION = "G-C"
    STAFF_AGREED = "G-D"
    RELEASED = "G-E"
    LENGTH = "G-F"
    COVER = "G-G"
    INDUCTION = "G-H"


class Step(StrEnum):
    """What a gate can stand before."""

    ASK = "ASK"
    REQUEST_RELEASE = "REQUEST_RELEASE"
    APPROVE = "APPROVE"
    CONFIRM = "CONFIRM"
    PLACE = "PLACE"
    ACTIVATE = "ACTIVATE"


GUARDS: Mapping[Step, tuple[GateCode, ...]] = {
    Step.ASK: (GateCode.AGREEMENT,),
    Step.REQUEST_RELEASE: (GateCode.AGREEMENT,),
    Step.APPROVE: (GateCode.HR_USER, GateCode.SEPARATION),
    Step.CONFIRM: (GateCode.HR_USER, GateCode.SEPARATION),
    Step.PLACE: (GateCode.STAFF_AGREED, GateCode.RELEASED, GateCode.LENGTH, GateCode.COVER),
    Step.ACTIVATE: (GateCode.INDUCTION,),
}
"""G-D to G-G are also part of READY (``movement_state``)."""

COVER_NEEDS_OPT_IN = frozenset({"SICKNESS", "MATERNITY"})


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One gate's answer: ``key`` names its words, ``next_step`` those of what to do then."""

    code: GateCode
    holds: bool | None
    key: str
    params: Mapping[str, Any] = field(default_factory=dict)
    who_can_fix: Party | None = None
    next_step: str | None = None


@dataclass(frozen=True, kw_only=True)
class AgreementTerms:
    """The agreement a movement rests on."""

    id: str
    type: str
    version: str
    max_days: int | None
    effective: date
    expires: date | None


@dataclass(frozen=True, kw_only=True)
class HrUserAnswer:
    """What the network register says of the HR user who acts: ``code`` names why not."""

    holds: bool
    code: str


@dataclass(frozen=True, kw_only=True)
class GateFacts:
    """What the gates are judged from.

    Args:
        start: first day.
        end: last day, as capped.
        agreement: the agreement that covers the movement, None where none does.
        register_usable: False where the register's copy is too old to name an agreement.
        max_days: the longest stay, from the agreement or the movement type.
        staff: the staff member's newest answer to these terms.
        staff_terms_changed: the newest agreement was to earlier terms.
        release: what the newest Release means.
        release_end: last day it releases.
        same_person: whether the released person is the one who presented; None where nothing can be compared,
            because nobody has presented or nothing is released.
        person_unknown: somebody presented, but too little was kept to compare (answers of earlier versions).
        cover_reason: why the move is needed.
        cover_opt_in: the staff member said that covering such an absence is right for them.
        said: who said what at the host, by the reference of the person.
        staff_refs: the staff member's own references, as far as they are known.
        inducted_on: day of the local induction.
        hr_user: about who acts; None where nobody does.
        acting: the reference of who acts, and ``acting_as`` what for.
    """

    start: date
    end: date
    agreement: AgreementTerms | None
    register_usable: bool
    max_days: int
    staff: Answer | None
    staff_terms_changed: bool
    release: ReleaseStanding
    release_end: date | None
    same_person: bool | None
    person_unknown: bool
    cover_reason: str
    cover_opt_in: bool
    said: Mapping[ApprovalKind, str]
    staff_refs: frozenset[str]
    inducted_on: date | None
    hr_user: HrUserAnswer | None = None
    acting: str | None = None
    acting_as: ApprovalKind | None = None


def agreement(facts: GateFacts) -> Gate:
    """G-A: an agreement covers type, staff group, both organisations and the dates."""
    if facts.agreement is not None:
        params = {"agreement": facts.agreement.type, "version": facts.agreement.version}
        return Gate(code=GateCode.AGREEMENT, holds=True, key="AGREEMENT_COVERS", params=params)
    key = "AGREEMENT_NONE" if facts.register_usable else "AGREEMENT_UNKNOWN"
    return Gate(
        code=GateCode.AGREEMENT,
        holds=False,
        key=key,
        who_can_fix=Party.HOST_HR if facts.register_usable else Party.NETWORK_LEAD,
        next_step=f"{key}_NEXT",
    )


def hr_user(facts: GateFacts) -> Gate:
    """G-B: who acts is named and trained for it; lapsed training never blocks an urgent verification."""
    if facts.hr_user is None:
        return Gate(code=GateCode.HR_USER, holds=None, key="HR_USER_NOT_JUDGED")
    if facts.hr_user.holds:
        return Gate(code=GateCode.HR_USER, holds=True, key="HR_USER_TRAINED")
    return Gate(
        code=GateCode.HR_USER,
        holds=False,
        key="HR_USER_NOT",
        params={"code": facts.hr_user.code},
        who_can_fix=Party.HOST_HR,
        next_step="HR_USER_NOT_NEXT",
    )


def separation(facts: GateFacts) -> Gate:
    """G-C: nobody says two things about one movement, and nobody approves their own move."""
    code = GateCode.SEPARATION
    if facts.acting is not None and facts.acting in facts.staff_refs:
        return Gate(
            code=code, holds=False, key="OWN_MOVE", who_can_fix=Party.HOST_HR, next_step="OWN_MOVE_NEXT"
        )
    said = {kind: ref for kind, ref in facts.said.items() if kind is not facts.acting_as}
    if facts.acting is not None and facts.acting in said.values():
        other = next(kind for kind, ref in said.items() if ref == facts.acting)
        return Gate(
            code=code,
            holds=False,
            key="SAME_PERSON_TWICE",
            params={"kind": other},
            who_can_fix=Party.HOST_HR,
            next_step="SAME_PERSON_TWICE_NEXT",
        )
    return Gate(code=code, holds=True, key="SEPARATE")


def staff_agreed(facts: GateFacts) -> Gate:
    """G-D: the staff member has agreed to these days and duties."""
    code = GateCode.STAFF_AGREED
    if facts.staff is Answer.AGREED:
        return Gate(code=code, holds=True, key="STAFF_AGREED")
    if facts.staff in {Answer.DECLINED, Answer.WITHDRAWN}:
        key = "STAFF_NOT"
    else:
        key = "STAFF_TERMS_CHANGED" if facts.staff_terms_changed else "STAFF_NOT_YET"
    return Gate(code=code, holds=False, key=key, who_can_fix=Party.STAFF_MEMBER, next_step=f"{key}_NEXT")


_RELEASE_KEYS: Mapping[ReleaseStanding, str] = {
    ReleaseStanding.NONE: "RELEASE_NOT_YET",
    ReleaseStanding.OTHER_TERMS: "RELEASE_OTHER_TERMS",
    ReleaseStanding.DECLINED: "RELEASE_DECLINED",
    ReleaseStanding.WITHDRAWN: "RELEASE_WITHDRAWN",
}


def released(facts: GateFacts) -> Gate:
    """G-E: the employing trust has released this person for this movement."""
    code = GateCode.RELEASED
    if facts.release is ReleaseStanding.NOT_NEEDED:
        return Gate(code=code, holds=True, key="RELEASE_NOT_NEEDED")
    if facts.release is not ReleaseStanding.COVERS:
        key = _RELEASE_KEYS[facts.release]
        return Gate(code=code, holds=False, key=key, who_can_fix=Party.EMPLOYING_HR, next_step=f"{key}_NEXT")
    if facts.same_person is False:
        return Gate(
            code=code,
            holds=False,
            key="RELEASED_ANOTHER",
            who_can_fix=Party.EMPLOYING_HR,
            next_step="RELEASED_ANOTHER_NEXT",
        )
    if facts.person_unknown:
        return Gate(
            code=code,
            holds=False,
            key="RELEASED_UNKNOWN",
            who_can_fix=Party.HOST_HR,
            next_step="RELEASED_UNKNOWN_NEXT",
        )
    end = facts.release_end
    return Gate(
        code=code,
        holds=True,
        key="RELEASED_UNTIL" if end else "RELEASED",
        params={"date": end.isoformat()} if end else {},
    )


def length(facts: GateFacts) -> Gate:
    """G-F: the stay is not longer than the agreement allows."""
    days = (facts.end - facts.start).days + 1
    params = {"days": days, "max_days": facts.max_days}
    if days <= facts.max_days:
        return Gate(code=GateCode.LENGTH, holds=True, key="LENGTH_WITHIN", params=params)
    return Gate(
        code=GateCode.LENGTH,
        holds=False,
        key="LENGTH_BEYOND",
        params=params,
        who_can_fix=Party.HOST_HR,
        next_step="LENGTH_BEYOND_NEXT",
    )


def cover(facts: GateFacts) -> Gate:
    """G-G: cover for sickness or maternity only by those who said that it is right for them."""
    if facts.cover_reason not in COVER_NEEDS_OPT_IN:
        return Gate(code=GateCode.COVER, holds=True, key="COVER_NOT_ASKED")
    if facts.cover_opt_in:
        return Gate(code=GateCode.COVER, holds=True, key="COVER_OPTED_IN")
    return Gate(
        code=GateCode.COVER,
        holds=False,
        key="COVER_NOT_OPTED_IN",
        who_can_fix=Party.STAFF_MEMBER,
        next_step="COVER_NOT_OPTED_IN_NEXT",
    )


def induction(facts: GateFacts) -> Gate:
    """G-H: the local induction is done before the first shift."""
    if facts.inducted_on is not None:
        return Gate(
            code=GateCode.INDUCTION,
            holds=True,
            key="INDUCTED",
            params={"date": facts.inducted_on.isoformat()},
        )
    return Gate(
        code=GateCode.INDUCTION,
        holds=False,
        key="NOT_INDUCTED",
        who_can_fix=Party.HOST_LINE_MANAGER,
        next_step="NOT_INDUCTED_NEXT",
    )


JUDGES = (agreement, hr_user, separation, staff_agreed, released, length, cover, induction)


def gates(facts: GateFacts) -> tuple[Gate, ...]:
    """Every gate, in order."""
    return tuple(judge(facts) for judge in JUDGES)


def closed(facts: GateFacts, step: Step) -> Gate | None:
    """The first gate before a step that does not hold, or None."""
    guarding = GUARDS[step]
    return next((gate for gate in gates(facts) if gate.code in guarding and gate.holds is False), None)
