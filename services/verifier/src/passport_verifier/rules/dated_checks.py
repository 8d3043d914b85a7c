"""Days during a movement on which somebody has to look again, though nothing is wrong (domain model §10d).

A registration that falls due for renewal inside the movement is looked up on that day. A credential that runs
out inside it is to be renewed 30 days before, and only a fortnight after does its end count against anybody:
``exp`` is a card's date, never a fact about the person. Pure; whose calendar this stands in is the
operation's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from passport_verifier.rules.evidence import Facts
from passport_verifier.rules.outcome import Party
from passport_verifier.rules.parts import type_of
from passport_verifier.rules.readiness import NONE, london_day

RENEWAL_AHEAD = timedelta(days=30)
GRACE = timedelta(days=14)


class DatedKind(StrEnum):  # PERSISTED
    """What is to be done on the day."""

    REGISTRATION_RENEWAL = "REGISTRATION_RENEWAL"
    CREDENTIAL_RENEWAL = "CREDENTIAL_RENEWAL"


@dataclass(frozen=True, kw_only=True)
class DatedCheck:
    """One task on one day. ``runs_out`` is the day it is about, ``hold_on`` the first day it counts."""

    kind: DatedKind
    credential: str
    on: date
    runs_out: date
    hold_on: date | None
    owner: Party


def dated_checks(
    facts: Facts, ends: Mapping[str, datetime], *, first_day: date, last_day: date
) -> tuple[DatedCheck, ...]:
    """The tasks of a movement, by day.

    Args:
        facts: by credential type.
        ends: ``exp`` of every card that is relied on, by the part it answers.
        first_day: of the movement.
        last_day: of the movement.
    """
    found = [_renewal(key, london_day(exp), first_day) for key, exp in ends.items()]
    checks = [check for check in found if first_day <= check.runs_out <= last_day]
    due = str(facts.get("ProfessionalRegistration", {}).get("renewal_due") or NONE)
    if due != NONE and first_day <= _day(due, first_day) <= last_day:
        checks.append(
            DatedCheck(
                kind=DatedKind.REGISTRATION_RENEWAL,
                credential="ProfessionalRegistration",
                on=_day(due, first_day),
                runs_out=_day(due, first_day),
                hold_on=None,
                owner=Party.HOST_HR,
            )
        )
    return tuple(sorted(checks, key=lambda check: (check.on, check.kind, check.credential)))


def in_grace(exp: datetime, *, first_day: date, now: datetime) -> bool:
    """Whether a card that has run out did so during the movement, and less than a fortnight ago."""
    return london_day(exp) >= first_day and exp <= now < exp + GRACE


def _renewal(key: str, runs_out: date, first_day: date) -> DatedCheck:
    return DatedCheck(
        kind=DatedKind.CREDENTIAL_RENEWAL,
        credential=type_of(key),
        on=max(first_day, runs_out - RENEWAL_AHEAD),
        runs_out=runs_out,
        hold_on=runs_out + GRACE,
        owner=Party.EMPLOYING_HR,
    )


def _day(text: str, otherwise: date) -> date:
    """A date of the credential; one that cannot be read is looked at on the first day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return otherwise
