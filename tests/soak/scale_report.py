"""The table a scale run prints: what was measured, median, 95th percentile and worst, the aim, met or not."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line. ``aim`` is the most that is allowed, of ``judged`` (the 95th percentile, or the worst)."""

    name: str
    values: tuple[float, ...]
    unit: str
    aim: float | None = None
    judged: str = "p95"
    cpu: tuple[float, ...] = ()

    @property
    def p95(self) -> float:
        """The nearest-rank 95th percentile."""
        return sorted(self.values)[max(0, math.ceil(0.95 * len(self.values)) - 1)]

    @property
    def met(self) -> bool | None:
        """Whether the aim holds; None where there is none."""
        if self.aim is None:
            return None
        return (self.p95 if self.judged == "p95" else max(self.values)) <= self.aim


@dataclass
class Report:
    """The lines of one run, printed as they come."""

    rows: list[Row] = field(default_factory=list)

    def add(
        self,
        name: str,
        values: Sequence[float],
        unit: str,
        aim: float | None = None,
        cpu: Sequence[float] = (),
    ) -> Row:
        """Add a line and print it; `cpu` is what this process worked for it, without the database's part."""
        row = Row(name=name, values=tuple(values), unit=unit, aim=aim, cpu=tuple(cpu))
        self.rows.append(row)
        print(_line(row), flush=True)
        return row

    async def time(self, name: str, act: Callable[[], Awaitable[object]], aim: float | None = None) -> Row:
        """Do something once and add how many seconds it took."""
        took, worked = await timed(act)
        return self.add(name, [took], "s", aim, cpu=[worked])

    def failed(self) -> list[str]:
        """The lines whose aim was not met."""
        return [row.name for row in self.rows if row.met is False]

    def whole(self) -> str:
        """The table once more, as Markdown."""
        head = "| measured | n | median | p95 | max | unit | own CPU | aim | met |\n" + "|---" * 9 + "|\n"
        return head + "".join(_markdown(row) for row in self.rows)


def _line(row: Row) -> str:
    median = sorted(row.values)[len(row.values) // 2]
    aim = "" if row.aim is None else f"  aim {row.aim:g}  {'met' if row.met else 'NOT MET'}"
    return (
        f"{row.name:56} n={len(row.values):<4} median {median:10.2f}  p95 {row.p95:10.2f}  "
        f"max {max(row.values):10.2f} {row.unit}{_cpu(row)}{aim}"
    )


def _markdown(row: Row) -> str:
    median = sorted(row.values)[len(row.values) // 2]
    aim, met = ("", "") if row.aim is None else (f"{row.aim:g}", "yes" if row.met else "**no**")
    return (
        f"| {row.name} | {len(row.values)} | {median:.1f} | {row.p95:.1f} | {max(row.values):.1f} "
        f"| {row.unit} | {_cpu(row).strip().removeprefix('cpu ')} | {aim} | {met} |\n"
    )


def _cpu(row: Row) -> str:
    return f"  cpu {sorted(row.cpu)[len(row.cpu) // 2]:.1f}" if row.cpu else ""


async def timed(act: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """How many seconds something took, and how many of them this process worked."""
    begun, worked = time.perf_counter(), time.process_time()
    await act()
    return time.perf_counter() - begun, time.process_time() - worked


def resident_mb(pid: str = "self") -> float:
    """Resident memory of a process in MB, as the kernel counts it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1_024
    raise RuntimeError("the kernel does not say how much memory the process holds")
