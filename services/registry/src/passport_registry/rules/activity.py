"""Activity facts as the registry counts them (domain.md §7, §10a, §10f).

Reports are made from counts, never from single facts, so that a million of them cost no more than a thousand.
Counting is a sum: the order of facts, repetitions and replays change nothing, because every event id counts
once. This module says what is counted under which key, and what an acceptable fact is; it stores nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from passport_shared.formats import strict
from passport_shared.wire.activity import EventType, Fact, Source, Step, reporter

WHOLE = {EventType.ISSUED: Step.TIME_TO_ISSUE, EventType.VERIFIED: Step.TIME_TO_VERIFY}
"""The duration that says how long the whole of it took."""
AHEAD = timedelta(days=1)
"""How far a reporter's day may be ahead of ours: it is midnight somewhere first."""


class FactRefused(ValueError):
    """A fact that no report can be made of; the text says why, for the one who sent it."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact with its id and kind. ``ods`` is the trust that reports it."""

    id: str
    kind: EventType
    ods: str
    fact: Fact

    @property
    def digest(self) -> str:
        """What two events with the same id must have in common."""
        content = {
            "type": self.kind.value,
            "organisation": self.ods,
            "data": self.fact.model_dump(mode="json"),
        }
        return hashlib.sha256(strict.canonical(content)).hexdigest()


@dataclass(frozen=True, kw_only=True, order=True)
class CountKey:
    """What facts are counted by; an empty text where a fact does not say."""

    kind: str
    source: str
    month: str
    ods: str
    employing_ods: str
    host_ods: str
    movement_type: str
    role_profile: str
    workforce_group: str
    use_case: str
    channel: str
    would_have_needed: str
    outcome: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many facts there are under a key.

    ``timed`` of them say how long the whole took, ``seconds`` together; ``first_day`` and ``last_day`` are
    those of the facts.
    """

    key: CountKey
    n: int
    timed: int
    seconds: int
    first_day: date
    last_day: date

    def plus(self, other: Count) -> Count:
        """Both together; they are of one key."""
        return replace(
            self,
            n=self.n + other.n,
            timed=self.timed + other.timed,
            seconds=self.seconds + other.seconds,
            first_day=min(self.first_day, other.first_day),
            last_day=max(self.last_day, other.last_day),
        )


@dataclass(frozen=True, kw_only=True, order=True)
class DurationKey:
    """How long one step took at one trust: ``seconds`` is part of the key, so that ranks stay exact."""

    step: str
    ods: str
    channel: str
    source: str
    month: str
    seconds: int


def month_of(day: date) -> str:
    """The calendar month of a day, ``YYYY-MM``."""
    return f"{day.year:04d}-{day.month:02d}"


def accepted(event_id: str, kind: EventType, fact: Fact, *, source: Source, today: date) -> Event:
    """The event of a fact that may be counted.

    Raises:
        FactRefused: another source than the way it came by, no reporting trust, or a day to come.
    """
    ods = reporter(kind, fact)
    if ods is None:
        raise FactRefused(f"{kind} names the trust that reports it")
    if fact.source is not source:
        raise FactRefused(f"the source of a fact that comes this way is {source}")
    if fact.day > today + AHEAD:
        raise FactRefused("the day lies in the future")
    return Event(id=event_id, kind=kind, ods=ods, fact=fact)


def counted(events: Iterable[Event]) -> list[Count]:
    """The counts of events, one per key, in the order of their keys."""
    found: dict[CountKey, Count] = {}
    for event in events:
        one = _count(event)
        before = found.get(one.key)
        found[one.key] = one if before is None else before.plus(one)
    return [found[key] for key in sorted(found)]


def _count(event: Event) -> Count:
    fact = event.fact
    whole = WHOLE.get(event.kind)
    seconds = fact.durations_s.get(whole) if whole else None
    return Count(
        key=CountKey(
            kind=event.kind.value,
            source=fact.source.value,
            month=month_of(fact.day),
            ods=event.ods,
            employing_ods=fact.employing_ods or "",
            host_ods=fact.host_ods or "",
            movement_type=fact.movement_type or "",
            role_profile=fact.role_profile or "",
            workforce_group=fact.workforce_group or "",
            use_case=fact.use_case or "",
            channel=fact.channel or "",
            would_have_needed=fact.would_have_needed or "",
            outcome=fact.outcome or "",
            reason=fact.reason or "",
        ),
        n=1,
        timed=0 if seconds is None else 1,
        seconds=seconds or 0,
        first_day=fact.day,
        last_day=fact.day,
    )


def durations(events: Iterable[Event]) -> Mapping[DurationKey, int]:
    """How often each step took each time, in the order of the keys."""
    found: dict[DurationKey, int] = {}
    for event in events:
        for step, seconds in event.fact.durations_s.items():
            key = DurationKey(
                step=step,
                ods=event.ods,
                channel=event.fact.channel or "",
                source=event.fact.source.value,
                month=month_of(event.fact.day),
                seconds=seconds,
            )
            found[key] = found.get(key, 0) + 1
    return {key: found[key] for key in sorted(found)}
