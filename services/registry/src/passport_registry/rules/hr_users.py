"""Until when an HR user's training counts (domain.md §10e, G5)."""

from __future__ import annotations

from datetime import date

TRAINING_MONTHS = 12


def trained_until(passed_on: date | None) -> date | None:
    """The last day on which a training passed on this day is in date; None without one."""
    if passed_on is None:
        return None
    try:
        return passed_on.replace(year=passed_on.year + 1)
    except ValueError:  # 29 February
        return passed_on.replace(year=passed_on.year + 1, day=28)
