"""`make bench`: the rows of design §8 up to the status list, as ratios measured in one run.

Nothing here passes or fails: it prints a table. Where something is missing on this machine the row says so.
docs/benchmarks.md explains each row.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# the builders that the tests share
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from passport_shared.service.observability import configure_logging
from tests.bench import credentials, in_process, places, presentations, status_lists
from tests.bench.paired import Comparison
from tests.bench.places import POSTGRESQL, SQLITE, place
from tests.bench.processes import Cores


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    aim: str
    found: str
    more: str = ""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    calls: int
    requests: int
    repetitions: int
    revocations: int


def in_process_rows(size: Size) -> Iterator[Row]:
    """verify and issue in this process"""
    found = in_process.compare(calls=size.calls, repetitions=max(size.repetitions, 15))
    times = found.verify.median / found.verify_other.median
    yield Row("verify, in process", "0.6", str(found.verify), f"{times:.1f} times PyPI sd-jwt")
    yield Row("  PyPI sd-jwt 0.10.4", "", str(found.verify_other), "checks less")
    times = found.issue.median / found.issue_other.median
    yield Row("issue, in process", "0.5", str(found.issue), f"{times:.1f} times PyPI sd-jwt")
    yield Row("  PyPI sd-jwt 0.10.4", "", str(found.issue_other))


def presentation_rows(size: Size) -> Iterator[Row]:
    """POST of an encrypted presentation to a durable decision, on PostgreSQL and SQLite"""
    for database in _databases():
        with place(database) as where:
            measured = presentations.measure(where, requests=size.requests, repetitions=size.repetitions)
            found = asyncio.run(measured)
        yield from _compared(f"presentation, {database}", "0.7", found.ours)
        if found.other is not None:
            yield from _compared("  npm @openid4vc, stores nothing", "", found.other)
        else:
            yield Row("  another open verifier", "", "not measured", found.why_no_other or "")


def credential_rows(size: Size) -> Iterator[Row]:
    """the credential endpoint, on PostgreSQL and SQLite"""
    for database in _databases():
        with place(database) as where:
            measured = credentials.measure(where, requests=size.requests, repetitions=size.repetitions)
            found = asyncio.run(measured)
        yield from _compared(f"credential, {database}", "0.7", found)


def status_rows(size: Size) -> Iterator[Row]:
    """a status list: from revoked to published, and serving it"""
    if not places.has_postgresql():
        yield Row("status list", "15 s", "not measured", "no PostgreSQL server programs on this machine")
        return
    with place(POSTGRESQL) as where:
        measured = status_lists.measure(
            where,
            revocations=size.revocations,
            requests=size.requests * 4,
            repetitions=size.repetitions,
        )
        found = asyncio.run(measured)
    worst = f"p50 {found.wait(0.5):.1f} s, longest {found.wait(1):.1f} s of {len(found.waits_s)}"
    yield Row("revoked to published, p99", "15 s", f"{found.wait(0.99):.1f} s", worst)
    yield from _compared(f"serve the list, {found.list_bytes:,} B", "", found.whole)
    yield from _compared("serve it unchanged, 304", "", found.unchanged)


def _compared(what: str, aim: str, found: Comparison) -> Iterator[Row]:
    yield Row(
        what,
        aim,
        str(found.rate),
        f"{found.ours_per_s:.0f}/s against {found.floor_per_s:.0f}/s, p99 {found.p99_ms:.0f} ms",
    )
    yield Row(
        "  its processor time",
        "",
        str(found.cpu),
        f"{found.ours_cpu_ms:.2f} ms against {found.floor_cpu_ms:.2f} ms each; "
        f"resident {found.rest_mib:.0f} MiB at rest, {found.loaded_mib:.0f} MiB under load",
    )


def _databases() -> list[str]:
    return [*([POSTGRESQL] if places.has_postgresql() else []), SQLITE]


ROWS: dict[str, Callable[[Size], Iterator[Row]]] = {
    "in-process": in_process_rows,
    "presentation": presentation_rows,
    "credential": credential_rows,
    "status-list": status_rows,
}


def main() -> None:
    """Measure what is named, or everything, and print."""
    listed = "; ".join(f"{name}: {act.__doc__}" for name, act in ROWS.items())
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=f"Rows: {listed}.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all if none is named")
    parser.add_argument("--calls", type=int, default=200, help="in process, per repetition")
    parser.add_argument("--requests", type=int, default=200, help="over HTTP, per repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--revocations", type=int, default=100)
    given = parser.parse_args()
    unknown = set(given.rows) - ROWS.keys()
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    size = Size(given.calls, given.requests, given.repetitions, given.revocations)
    configure_logging("bench", "", level="critical")
    _say_where()
    for name in given.rows or ROWS:
        for row in ROWS[name](size):
            print(f"{row.what:32} {row.aim:>5}  {row.found:22} {row.more}", flush=True)


def _say_where() -> None:
    cores, load = Cores.choose(), os.getloadavg()[0]
    pinned = (
        f"core {cores.server} for the server, {cores.load} for load and database" if cores else "not pinned"
    )
    print(f"rate as a part of the floor's: median and range of repetitions; {pinned}; load {load:.1f} before")
    if load > 0.5:
        print("the machine is busy: the processor times say more than the rates")


if __name__ == "__main__":
    main()
