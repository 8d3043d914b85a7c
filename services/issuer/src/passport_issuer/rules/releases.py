"""The employing trust's side of a movement: who answers a release request, and what the answers add up to.

Line manager and HR answer once each, as two people, neither of whom is the member of staff (gate G-C). Both
agreeing releases; either declining declines. Limits and the person's last day of employment bound the days.
Names are compared to offer HR candidates, never to choose one. Pure: nothing here reads a clock or a row.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from passport_issuer.rules.records import StaffMember
from passport_shared.wire.release import AnswerDecision, Limit, LimitCode

_APOSTROPHES = "'\u2018\u2019\u02bc"
LEAVING_TEXT = "The employing trust releases until the last day of employment."


class CaseState(StrEnum):
    """PERSISTED. A release request in the employing trust's tenant."""

    REQUESTED = "REQUESTED"
    AGREED = "AGREED"
    AGREED_WITH_LIMITS = "AGREED_WITH_LIMITS"
    DECLINED = "DECLINED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


AGREED = (CaseState.AGREED, CaseState.AGREED_WITH_LIMITS)
"""States in which the person is released."""


class Approver(StrEnum):
    """The two who answer."""

    LINE_MANAGER = "LINE_MANAGER"
    HR = "HR"


class StaffDecision(StrEnum):
    """PERSISTED. What the member of staff says of a move at their own trust."""

    AGREED = "AGREED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, kw_only=True)
class Days:
    """A stretch of business days, both inclusive."""

    first: date
    last: date

    def meets(self, other: Days) -> bool:
        """Whether the two share a day."""
        return self.first <= other.last and other.first <= self.last


def outcome(line_manager: AnswerDecision | None, hr: AnswerDecision | None, *, limited: bool) -> CaseState:
    """What the answers so far add up to; REQUESTED while the case is open."""
    if AnswerDecision.DECLINED in (line_manager, hr):
        return CaseState.DECLINED
    if line_manager is None or hr is None:
        return CaseState.REQUESTED
    return CaseState.AGREED_WITH_LIMITS if limited else CaseState.AGREED


def agreed_days(start: date, end: date, limits: Iterable[Limit]) -> Days | None:
    """The days the two agreed to: the movement's, bounded by dated limits; None when no day is left.

    ``Days.first`` is when the person may start, which the host reads from the limit, not from the movement.
    """
    dated = list(limits)
    first = max(
        [start, *(limit.date for limit in dated if limit.code is LimitCode.NOT_BEFORE and limit.date)]
    )
    last = min([end, *(limit.date for limit in dated if limit.code is LimitCode.NOT_AFTER and limit.date)])
    return Days(first=first, last=last) if first <= last else None


def released_until(agreed_end: date, leaving_date: date | None) -> date:
    """The last day the person is released for: never after the last day of employment (worked case W8)."""
    return agreed_end if leaving_date is None else min(agreed_end, leaving_date)


def limits_in_force(
    limits: Sequence[Limit], agreed_end: date, leaving_date: date | None
) -> tuple[Limit, ...]:
    """The agreed limits, and LEAVING where the last day of employment cuts the release short."""
    if leaving_date is None or leaving_date >= agreed_end:
        return tuple(limits)
    return (*limits, Limit(code=LimitCode.LEAVING, text=LEAVING_TEXT))


def overlapping(days: Days, others: Mapping[str, Days]) -> tuple[str, ...]:
    """Ids of the other releases of the same person that share a day with this one."""
    return tuple(sorted(name for name, taken in others.items() if days.meets(taken)))


def is_the_person(actor_ref: str, staff: StaffMember) -> bool:
    """Whether who acts is the member of staff, by our id or any identifier other systems use for them."""
    named = {staff.id, staff.work_email or staff.id}
    for item in staff.external_ids:
        named |= {item.value, f"{item.kind.value}:{item.value}"}
    return actor_ref.casefold() in {name.casefold() for name in named}


@dataclass(frozen=True, kw_only=True)
class Named:
    """A member of staff by their names."""

    staff_id: str
    given: str
    family: str
    preferred: str | None


def could_be(staff: Named, given_name: str, family_name: str) -> bool:
    """Whether HR should be shown this person for these words.

    Wide on purpose, because a person chooses: accents and case do not count, one of several family or given
    names is enough, and a preferred name stands for a given one.
    """
    families, wanted = _words(staff.family), _words(family_name)
    givens = _words(f"{staff.given} {staff.preferred or ''}")
    return bool(families & wanted) and bool(givens & _words(given_name))


def _words(name: str) -> frozenset[str]:
    """The words of a name without case, accents and apostrophes; a hyphen parts two."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = (char for char in decomposed if not unicodedata.combining(char) and char not in _APOSTROPHES)
    return frozenset("".join(char if char.isalnum() else " " for char in kept).split())
