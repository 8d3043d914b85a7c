"""What a watch looks for: dates that come, standings that change, outcomes that get worse. Pure.

Alerts before a date come 30, 14, 7 and 1 days ahead, each once, and only the nearest of those that have gone
by when the watch begins (domain model §10c J7). A date after the placement's last day is nobody's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from passport_shared.formats import strict
from passport_shared.formats.trust_mark import Authorization, TrustMark
from passport_verifier.rules.dated_checks import GRACE
from passport_verifier.rules.evidence import Facts
from passport_verifier.rules.outcome import LONDON, OUTCOME_ORDER, RESULT_ORDER, Outcome, Result
from passport_verifier.rules.parts import type_of
from passport_verifier.rules.policies import HostPolicy
from passport_verifier.rules.readiness import NONE, add_months, london_day
from passport_verifier.rules.trust_findings import StatusFinding

AHEAD = (30, 14, 7, 1)
"""Days before a date on which it is told."""
END_AHEAD = (7, 1)
"""The same for the placement's own last day, which everybody knows."""


class AlertKind(StrEnum):  # PERSISTED
    """What an alert tells."""

    WORSE = "WORSE"
    ON_HOLD = "ON_HOLD"
    REINSTATED = "REINSTATED"
    CAPPED = "CAPPED"
    ENDED_WITH_MOVEMENT = "ENDED_WITH_MOVEMENT"
    RUNS_OUT = "RUNS_OUT"
    ENDS = "ENDS"
    CONDITION_OVERDUE = "CONDITION_OVERDUE"


URGENT = frozenset({AlertKind.ON_HOLD, AlertKind.WORSE, AlertKind.ENDED_WITH_MOVEMENT, AlertKind.CAPPED})
"""What somebody has to act on the same day."""


@dataclass(frozen=True, kw_only=True, order=True)
class KnownDate:
    """A day on which something known ends: of a credential, of a fact in it, or the placement itself."""

    on: date
    kind: AlertKind
    credential: str
    subject: str | None = None


def known_dates(
    facts: Facts, ends: Mapping[str, datetime], policy: HostPolicy, *, last_day: date
) -> tuple[KnownDate, ...]:
    """Everything known that runs out by the last day, and the last day itself.

    Args:
        facts: by credential type.
        ends: ``exp`` of every card that is relied on, by the part it answers.
        policy: the host's requirements, for the months its core skills last.
        last_day: of the placement.
    """
    found = [KnownDate(on=last_day, kind=AlertKind.ENDS, credential="TemporaryPlacement")]
    days: list[tuple[str, str | None, date]] = [
        (type_of(key), None, london_day(exp)) for key, exp in ends.items()
    ]
    for credential, name in (
        ("RightToWork", "permission_expires"),
        ("Employment", "contract_end"),
        ("ProfessionalRegistration", "renewal_due"),
    ):
        day = _day(facts.get(credential, {}).get(name))
        days += [(credential, None, day)] if day else []
    days += [("CoreSkills", subject, day) for subject, day in _skills(facts, policy)]
    nearest: dict[tuple[str, str | None], date] = {}
    for credential, subject, day in days:
        key = (credential, subject)
        nearest[key] = min(day, nearest.get(key, day))
    found += [
        KnownDate(on=day, kind=AlertKind.RUNS_OUT, credential=credential, subject=subject)
        for (credential, subject), day in nearest.items()
        if day <= last_day
    ]
    return tuple(sorted(found, key=lambda one: (one.on, one.kind, one.credential, one.subject or "")))


def _skills(facts: Facts, policy: HostPolicy) -> list[tuple[str, date]]:
    months = {row.subject: row.months for row in policy.rows if row.subject and row.months}
    found = []
    for subject, skill in facts.get("CoreSkills", {}).items():
        completed = _day(skill.get("completed_on")) if isinstance(skill, Mapping) else None
        if completed and months.get(subject):
            found.append((subject, add_months(completed, int(months[subject] or 0))))
    return found


def _day(text: object) -> date | None:
    if not isinstance(text, str) or text == NONE:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def told_ahead(one: KnownDate, *, start: date, today: date) -> int | None:
    """The nearest of the days ahead that has come for a date, or None: it is not told yet, or has gone by.

    Of a placement's own end nothing is told that was so from its first day on.
    """
    left = (one.on - today).days
    if left < 0:
        return None
    ahead = [days for days in _ahead(one) if days >= left]
    if one.kind is AlertKind.ENDS:
        ahead = [days for days in ahead if (one.on - start).days > days]
    return min(ahead, default=None)


def _ahead(one: KnownDate) -> tuple[int, ...]:
    return END_AHEAD if one.kind is AlertKind.ENDS else AHEAD


def next_look(
    dates: Iterable[KnownDate], ends: Iterable[datetime], due: Iterable[datetime], now: datetime
) -> datetime | None:
    """When the watch looks again by itself: the next day something is told, or something ends.

    Args:
        dates: what is known to run out.
        ends: ``exp`` of the cards; they count a fortnight later.
        due: when open conditions fall due.
        now: the instant.
    """
    moments = [morning(one.on - timedelta(days=days)) for one in dates for days in _ahead(one)]
    moments += judged_at(ends)
    moments += list(due)
    return min((moment for moment in moments if moment > now), default=None)


def judged_at(ends: Iterable[datetime]) -> list[datetime]:
    """When a card's end changes what is judged: when it runs out, and when its grace is over."""
    return [moment for exp in ends for moment in (exp, exp + GRACE)]


def morning(day: date) -> datetime:
    """The instant at which a day begins in London, in UTC."""
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


def is_worse(before: Outcome, after: Outcome) -> bool:
    """Whether an outcome is worse than another."""
    return OUTCOME_ORDER.index(after) > OUTCOME_ORDER.index(before)


def worsened(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Positions in ``after`` of the findings that are worse than they were, or were not there."""
    results = {_rule(one): Result(one["result"]) for one in before}
    return tuple(
        position
        for position, one in enumerate(after)
        if RESULT_ORDER.index(Result(one["result"]))
        > RESULT_ORDER.index(results.get(_rule(one), Result.PASS))
    )


def _rule(finding: Mapping[str, Any]) -> tuple[Any, ...]:
    return finding["rule"], finding["credential"], finding["subject"]


def same_status(stored: str, now: StatusFinding) -> bool:
    """Whether a status list says nothing new of a card.

    A card that ran out is not asked about again; one in its grace is as good as active.
    """
    if stored == StatusFinding.EXPIRED:
        return True
    active = {StatusFinding.ACTIVE, StatusFinding.IN_GRACE}
    return stored == now or (stored in active and now in active)


def standing_of(mark: TrustMark | None, mark_status: str, now: datetime) -> str:
    """A digest of everything in an issuer's mark that can change what its credentials are worth.

    It leaves out what is renewed daily, so that equal digests mean that nothing has to be judged again.
    """
    if mark is None:
        return f"none {mark_status}"
    content = {
        "status": mark_status,
        "type": mark.trust_mark_type,
        "authorizations": [_said_by(one, now) for one in sorted(mark.authorizations, key=lambda one: one.id)],
        "keys": sorted(
            [pin.use, pin.x5t_s256, pin.jkt, str(pin.state), _instant(pin.not_after_signing)]
            for pin in mark.keys
        ),
    }
    return hashlib.sha256(strict.canonical(content)).hexdigest()


def _said_by(one: Authorization, now: datetime) -> list[str | int | None]:
    times = (one.valid_from, one.valid_until, one.issue_until)
    return [one.id, one.action, one.vct, *map(_instant, times), one.max_validity_s, str(one.covers(now))]


def _instant(at: datetime | None) -> str:
    return at.isoformat() if at else ""
