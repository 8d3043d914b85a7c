"""When something that was put off is due: at its time, or when its time lies further ahead than it can.

Every pause has a longest length. A time beyond it was written while some machine's clock was ahead, and
waiting for it would stop the work for as long as that clock was wrong (security.md R11: no eternal caches).
What was signed in the future was signed by such a clock too, and nobody takes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_

from passport_shared.formats.freshness import CLOCK_LEEWAY


def is_younger(at: datetime, now: datetime, than: timedelta) -> bool:
    """Whether what is dated `at` is younger than this: never what was dated by a clock that was ahead."""
    return -CLOCK_LEEWAY <= now - at < than


def is_due(column: Any, now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Whether the time in `column` has come, or cannot have been meant.

    Args:
        column: a column of instants.
        now: the present.
        longest: how far ahead a clock that is right ever writes it.
    """
    return or_(column <= now, column > now + longest + CLOCK_LEEWAY)
