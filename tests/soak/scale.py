"""The network the design names, on PostgreSQL: 10,000 trusts, 1.5 million staff, a million credentials.

Makes a durable cluster of its own, brings it up by the real migrations, fills it, and measures what people
and services ask of it: management queries, snapshot, client directory, status lists, a cold verifier, memory.
``--scale 0.1`` is a tenth of everything. Exits 1 where an aim is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import structlog

from passport_testkit.postgres_cluster import throwaway_cluster
from tests.soak import (
    scale_publishing,
    scale_queries,
    scale_seed_issuer,
    scale_seed_registry,
    scale_seed_verifier,
)
from tests.soak.scale_report import Report
from tests.soak.scale_sizes import Size
from tests.soak.scale_world import HOSTS, World, make_databases, running_world


def main(arguments: list[str]) -> int:
    """Run at a scale; 0 where every aim is met."""
    parser = argparse.ArgumentParser(prog="scale", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=0.1, help="1 is the whole network (default 0.1)")
    for name in ("organisations", "staff", "credentials", "placements"):
        parser.add_argument(f"--{name}", type=int, help=f"another number of {name} than the scale says")
    parser.add_argument("--times", type=int, default=40, help="how often each query is asked (default 40)")
    parser.add_argument("--table", type=Path, help="write the table there as Markdown")
    asked = parser.parse_args(arguments)
    own = {name: getattr(asked, name) for name in ("organisations", "staff", "credentials", "placements")}
    size = replace(Size.of(asked.scale), **{name: count for name, count in own.items() if count})
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    # Not under pytest: this is a program, and its numbers are of a durable server.
    report = asyncio.run(run(size, times=asked.times))
    table = f"{size}, {os.cpu_count()} cores\n\n{report.whole()}"
    if asked.table is not None:
        asked.table.write_text(table, encoding="utf-8")
    for name in report.failed():
        print(f"NOT MET: {name}")
    return 1 if report.failed() else 0


async def run(size: Size, *, times: int) -> Report:
    """Seed and measure; the report."""
    report = Report()
    with throwaway_cluster(durable=True) as cluster, tempfile.TemporaryDirectory() as folder:
        await make_databases(cluster)
        async with running_world(cluster, Path(folder)) as world:
            lists = await _seed(world, size)
            await _measure(world, size, report, lists, times=times)
    return report


async def _seed(world: World, size: Size) -> dict[str, str]:
    begun = time.perf_counter()

    def told(what: str) -> None:
        print(f"   {time.perf_counter() - begun:8.1f} s  {what}", flush=True)

    await scale_seed_registry.join_majors(world, size)
    told(f"{size.majors} trusts joined and enrolled")
    async with world.sql("registry") as conn:
        await scale_seed_registry.copy_organisations(conn, size)
        clients = await scale_seed_registry.add_clients(world, conn, size)
        counts = await scale_seed_registry.add_activity(conn, size)
        await conn.execute("ANALYZE")
    told(f"{size.organisations} organisations, {clients} API clients, {counts} activity counts")
    await scale_seed_issuer.seed(world, size)
    async with world.sql("issuer") as conn:
        staff, credentials = await conn.fetchrow(
            "SELECT (SELECT count(*) FROM staff), (SELECT count(*) FROM credentials)"
        )
        lists = {
            row["ods"]: f"{HOSTS['issuer']}/{row['ods']}/statuslists/{row['id']}"
            for row in await conn.fetch(
                "SELECT DISTINCT ON (ods) ods, id FROM status_lists WHERE ods = ANY($1) "
                "ORDER BY ods, created_at",
                size.majors_codes(),
            )
        }
    told(f"{staff} members of staff, {credentials} credentials")
    await scale_seed_verifier.seed(world, size, lists)
    told(f"{size.placements} running placements")
    return lists


async def _measure(world: World, size: Size, report: Report, lists: dict[str, str], *, times: int) -> None:
    scale_publishing.this_process(report, "before")
    await scale_publishing.first_snapshot(world, report)
    await scale_publishing.readers(world, report)
    await scale_publishing.changes(world, size, report, times=3)
    await scale_publishing.cold_start(world, report)
    await scale_queries.measure(world, size, report, times=times)
    scale_publishing.this_process(report, "after the queries")
    await scale_publishing.status_publication(world, size, report)
    await scale_publishing.rechecks(world, size, report, lists)
    await scale_publishing.mass(world, report)
    scale_publishing.this_process(report, "at the end")
