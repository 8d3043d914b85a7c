"""The clock every rule and operation is given, so that time is an argument and never a surprise.

Times are aware UTC datetimes. The system clock lives in `passport_shared.service.clock`; tests use a
frozen one. Nothing here reads the time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Something that knows what time it is."""

    def now(self) -> datetime:
        """Return the current instant as an aware UTC datetime."""
        ...


def epoch_s(at: datetime) -> int:
    """Return `at` as whole seconds since 1970, rounded down: a JWT NumericDate (RFC 7519 §2)."""
    if at.tzinfo is None:
        raise ValueError("a naive datetime has no instant")
    return int(at.timestamp() // 1)


def from_epoch_s(seconds: int) -> datetime:
    """Return the aware UTC datetime of a NumericDate.

    Raises:
        ValueError: the number lies beyond the year 9999.
    """
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError("the date is outside the years 1 to 9999") from error
