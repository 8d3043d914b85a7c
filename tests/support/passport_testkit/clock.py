"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 9, 1, 12, 0, 0, tzinfo=UTC)


class FrozenClock:
    """Tells the time it was given (`passport_shared.formats.clock.Clock`)."""

    def __init__(self, at: datetime = NOON) -> None:
        self._at = _aware(at)

    def now(self) -> datetime:
        """Return the time the clock stands at."""
        return self._at

    def advance(self, by: timedelta) -> datetime:
        """Move the clock (backwards too) and return the new time."""
        self._at += by
        return self._at

    def set(self, at: datetime) -> None:
        """Put the clock at another time."""
        self._at = _aware(at)


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a clock needs an aware time")
    return at.astimezone(UTC)
