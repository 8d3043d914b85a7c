"""How long a credential may live (domain model, credential types; design §4.1).

The default life of its type, cut short by the date claim that ends it, by the longest validity the trust mark
allows, by the leaf certificate, and never beyond 24 months. Business dates end at midnight after the day, in
Europe/London.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from passport_shared.wire.catalogue import LONGEST_VALIDITY_MONTHS, CredentialType

LONDON = ZoneInfo("Europe/London")
SHORTEST_LIFE = timedelta(minutes=5)


class NothingLeft(ValueError):
    """The credential would end before it began: ``code`` says which bound left no time."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def london_day(at: datetime) -> date:
    """The calendar day in Europe/London."""
    return at.astimezone(LONDON).date()


def end_of_day(day: date) -> datetime:
    """The instant at which a day ends in Europe/London, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), LONDON).astimezone(UTC)


def add_months(at: datetime, months: int) -> datetime:
    """The same day and time some months later, or the last day of a shorter month."""
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    for day in (at.day, 30, 29, 28):
        try:
            return at.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


def beginning(kind: CredentialType, claims: Mapping[str, Any]) -> datetime | None:
    """The instant before which a credential says nothing; None for a type that counts at once."""
    first_day = claims.get(kind.not_before_claim) if kind.not_before_claim else None
    if not isinstance(first_day, str):
        return None
    return end_of_day(date.fromisoformat(first_day) - timedelta(days=1))


def expiry(
    kind: CredentialType,
    claims: Mapping[str, Any],
    *,
    issued_at: datetime,
    mark_max_validity_s: int | None,
    leaf_not_after: datetime,
) -> datetime:
    """The instant a credential of this type, with these claims, ends.

    Raises:
        NothingLeft: a bound leaves less than five minutes.
    """
    bounds = [
        ("default", add_months(issued_at, min(kind.validity_months, LONGEST_VALIDITY_MONTHS))),
        ("certificate", leaf_not_after),
    ]
    if mark_max_validity_s is not None:
        bounds.append(("trust_mark", issued_at + timedelta(seconds=mark_max_validity_s)))
    last_day = claims.get(kind.not_after_claim) if kind.not_after_claim else None
    if isinstance(last_day, str) and last_day != "NONE":
        bounds.append(("record", end_of_day(date.fromisoformat(last_day))))
    code, end = min(bounds, key=lambda bound: bound[1])
    if end < issued_at + SHORTEST_LIFE:
        raise NothingLeft(code)
    return end.replace(microsecond=0)
