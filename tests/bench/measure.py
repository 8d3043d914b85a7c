"""Interleaved repetitions: other work on the machine disturbs both sides alike, so the ratio stands."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as the floor: median and range over the repetitions."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f} to {self.highest:.2f})"


def ratios(
    floor: Callable[[], object], others: Mapping[str, Callable[[], object]], *, calls: int, repetitions: int
) -> dict[str, Ratio]:
    """Rate of each candidate divided by the floor's rate in the same repetition."""
    found: dict[str, list[float]] = {name: [] for name in others}
    for _ in range(repetitions):
        base = _seconds(floor, calls)
        for name, candidate in others.items():
            found[name].append(base / _seconds(candidate, calls))
    return {
        name: Ratio(statistics.median(values), min(values), max(values)) for name, values in found.items()
    }


def _seconds(act: Callable[[], object], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        act()
    return time.perf_counter() - started
