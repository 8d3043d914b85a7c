"""Interleaved repetitions: other work on the machine disturbs both sides alike, so the ratio stands."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as the floor: median and range over the repetitions."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Ratio:
        """The ratio of each repetition, summed up."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f} to {self.highest:.2f})"


def ratios(
    floor: Callable[[], object], others: Mapping[str, Callable[[], object]], *, calls: int, repetitions: int
) -> dict[str, Ratio]:
    """Rate of each candidate divided by the floor's rate in the same repetition.

    Time is processor time of this process: what another process on the machine takes does not count.
    """
    found: dict[str, list[float]] = {name: [] for name in others}
    for _ in range(repetitions):
        base = _seconds(floor, calls)
        for name, candidate in others.items():
            found[name].append(base / _seconds(candidate, calls))
    return {name: Ratio.of(values) for name, values in found.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed (nearest rank)."""
    if not values or not 0 < share <= 1:
        raise ValueError("a percentile needs values and a share above 0, up to 1")
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * round(share * 1000) // 1000) - 1)]


def _seconds(act: Callable[[], object], calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        act()
    return time.process_time() - started
