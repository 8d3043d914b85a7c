"""Two running programs compared: the same number of requests in turns, rates and processor time as ratios."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench import load
from tests.bench.measure import Ratio
from tests.bench.processes import Program


@dataclass(frozen=True)
class Side:
    """A running program and the requests for it, each of which is sent once."""

    program: Program
    requests: Sequence[bytes]


@dataclass(frozen=True)
class Comparison:
    """Ours against the floor.

    ``rate`` compares answers per second, ``cpu`` processor seconds per answer of the measured process alone,
    which other work on the machine disturbs less. Memory is in MiB, of our process.
    """

    rate: Ratio
    cpu: Ratio
    ours_per_s: float
    floor_per_s: float
    ours_cpu_ms: float
    floor_cpu_ms: float
    p99_ms: float
    rest_mib: float
    loaded_mib: float


async def compare(ours: Side, floor: Side, *, requests: int, repetitions: int) -> Comparison:
    """Send `requests` to each in turns, `repetitions` times after one turn to warm up.

    Raises:
        RuntimeError: an answer was not a success.
    """
    turns: list[tuple[_Turn, _Turn]] = []
    rest = ours.program.resident_mib()
    gc.disable()
    try:
        for number in range(repetitions + 1):
            part = slice(number * requests, (number + 1) * requests)
            base = await _turn(floor, part)
            turns.append((await _turn(ours, part), base))
    finally:
        gc.enable()
    measured = turns[1:]
    latencies = sorted(second for mine, _ in measured for second in mine.run.latencies_s)
    return Comparison(
        rate=Ratio.of([mine.run.rate / base.run.rate for mine, base in measured]),
        cpu=Ratio.of([base.cpu_s / mine.cpu_s for mine, base in measured]),
        ours_per_s=statistics.median(mine.run.rate for mine, _ in measured),
        floor_per_s=statistics.median(base.run.rate for _, base in measured),
        ours_cpu_ms=statistics.median(mine.cpu_s for mine, _ in measured) / requests * 1000,
        floor_cpu_ms=statistics.median(base.cpu_s for _, base in measured) / requests * 1000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
        rest_mib=rest,
        loaded_mib=ours.program.resident_mib(),
    )


@dataclass(frozen=True)
class _Turn:
    run: load.Run
    cpu_s: float


async def _turn(side: Side, part: slice) -> _Turn:
    before = side.program.cpu_s()
    run = await load.send(side.program.port, side.requests[part])
    if any(not 200 <= status < 400 for status in run.statuses):
        raise RuntimeError(f"answered {dict(run.statuses)}: {run.last_body[:300]!r}")
    return _Turn(run, max(side.program.cpu_s() - before, 0.01))
