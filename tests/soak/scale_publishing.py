"""What is published at scale: the snapshot, the client directory and status lists, and what reads them."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from passport_issuer.operations import status_lists
from passport_registry.operations import directory, publishing, snapshot
from passport_shared.service.clock import SystemClock
from tests.soak.scale_report import Report, resident_mb, timed
from tests.soak.scale_sizes import Size
from tests.soak.scale_world import World


async def first_snapshot(world: World, report: Report) -> None:
    """Sign every mark and statement and publish the first snapshot of the whole network."""
    ctx = world.context("registry")
    took = await timed(lambda: publishing.publish(ctx))
    report.add("registry: first publication of everything", [took], "s")
    async with world.sql("registry") as conn:
        size = await conn.fetchval("SELECT sum(bytes) FROM parts")
        marks = await conn.fetchval("SELECT count(*) FROM trust_marks WHERE state = 'CURRENT'")
    report.add(f"registry: parts of the snapshot, {marks} entities", [size / 1e6], "MB")
    kept = await ctx.documents.get(directory.DIRECTORY_DOCUMENT)
    report.add("registry: client directory", [len(kept.body) / 1e6], "MB")


async def changes(world: World, size: Size, report: Report, *, times: int) -> None:
    """Change one organisation and publish: what must be out within 15 s, the look every second included."""
    ctx, values = world.context("registry"), []
    for number in range(times):
        async with world.sql("registry") as conn:
            await conn.execute(
                "UPDATE organisations SET name = name || $2 WHERE ods_code = $1",
                size.codes()[-1 - number],
                f" {number}",
            )
            await conn.execute("UPDATE changes SET made = made + 1")
        begun = time.perf_counter()
        published = await publishing.publish_if_due(ctx)
        values.append(time.perf_counter() - begun)
        if published is None:
            raise AssertionError("a change was made and no snapshot was published")
    report.add("registry: a change to a new snapshot", values, "s", 14.0)
    begun = time.perf_counter()
    await publishing.publish(ctx)
    report.add("registry: a look that finds nothing", [time.perf_counter() - begun], "s")
    if await ctx.documents.get(snapshot.SNAPSHOT_DOCUMENT) is None:
        raise AssertionError("no snapshot is served")


async def readers(world: World, report: Report) -> None:
    """Issuer and verifier fetch the snapshot and the client directory, verify and keep them."""
    for service in ("issuer", "verifier"):
        ctx = world.context(service)
        report.add(f"{service}: snapshot fetched, verified, kept", [await timed(ctx.snapshots.refresh)], "s")
        report.add(
            f"{service}: client directory fetched, verified, kept", [await timed(ctx.directory.refresh)], "s"
        )


async def status_publication(world: World, size: Size, report: Report) -> None:
    """Every tenant's list for the first time, then a revocation of one and of a thousand credentials."""
    ctx = world.context("issuer")
    took = await timed(lambda: _until_published(world))
    report.add(f"issuer: {size.organisations} status lists published", [took], "s")
    idle = [await timed(lambda: status_lists.tend(ctx)) for _ in range(3)]
    report.add("issuer: a look at the lists that finds nothing", idle, "s", 5.0)
    for count in (1, 1_000):
        begun = time.perf_counter()
        await _revoke(world, size, count)
        revoked = time.perf_counter() - begun
        took = await timed(lambda: _until_published(world))
        report.add(f"issuer: {count} revoked, by operation one by one", [revoked], "s")
        report.add(f"issuer: {count} revoked, to published", [took], "s", 14.0)


async def _revoke(world: World, size: Size, count: int) -> None:
    from passport_issuer.operations import passports
    from passport_issuer.rules.passports import ReasonCode
    from passport_testkit.registries import ANN

    ctx = world.context("issuer")
    async with world.sql("issuer") as conn:
        found = await conn.fetch(
            "SELECT id, ods FROM credentials WHERE state = 'ACTIVE' AND ods = ANY($2) LIMIT $1",
            count,
            size.majors_codes(),
        )
    for row in found:
        tenant = await ctx.tenants.get(row["ods"])
        await passports.revoke(ctx, tenant, row["id"], ReasonCode.WITHDRAWN, ANN)


async def _until_published(world: World) -> None:
    """What the background task does every few seconds, until nothing that changed waits."""
    ctx = world.context("issuer")
    while True:
        await status_lists.tend(ctx)
        async with world.sql("issuer") as conn:
            if not await conn.fetchval("SELECT count(*) FROM status_lists WHERE version > published_version"):
                return


async def memory(world: World, report: Report) -> None:
    """What this process, which is all three services and the run itself, holds."""
    del world
    await asyncio.sleep(0)
    report.add("this process: three services and the run together", [resident_mb()], "MB")


RENEWED = timedelta(minutes=30)
CLOCK = SystemClock()
