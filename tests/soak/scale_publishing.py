"""What is published at scale: the snapshot, the client directory and status lists, and what reads them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from functools import partial
from typing import Any

from passport_issuer.operations import mass_revocation, passports, status_lists
from passport_issuer.rules.passports import ReasonCode
from passport_issuer.store import tables as issuer_tables
from passport_registry.operations import directory, publishing, snapshot
from passport_shared.service.jobs import JobQueue
from passport_testkit.registries import ANN
from passport_verifier.operations import status_lists as kept_lists
from passport_verifier.operations import watches
from tests.soak.scale_report import Report, resident_mb, timed
from tests.soak.scale_sizes import Size
from tests.soak.scale_world import World

IN_TIME_S = 15.0
MASS_S = 300.0
RECHECKED_S = 60.0
COLD_S = 2.0
AT_REST_MB, LOADED_MB = 150.0, 350.0


class Unpublished(AssertionError):
    """Something changed and was not published."""


async def first_snapshot(world: World, report: Report) -> None:
    """Sign every mark and statement and publish the first snapshot of the whole network."""
    ctx = world.context("registry")
    await report.time("registry: first publication of everything", lambda: publishing.publish(ctx))
    async with world.sql("registry") as conn:
        size = await conn.fetchval("SELECT sum(bytes) FROM parts")
        marks = await conn.fetchval("SELECT count(*) FROM trust_marks WHERE state = 'CURRENT'")
    report.add(f"registry: parts of the snapshot, {marks} entities", [size / 1e6], "MB")
    kept = await ctx.documents.get(directory.DIRECTORY_DOCUMENT)
    report.add("registry: client directory", [len(kept.body) / 1e6], "MB")


async def changes(world: World, size: Size, report: Report, *, times: int) -> None:
    """Change one organisation and publish, and have verifier and issuer read it."""
    ctx, published, read = world.context("registry"), [], []
    for number in range(times):
        async with world.sql("registry") as conn:
            await conn.execute(
                "UPDATE organisations SET name = name || $2, version = version + 1 WHERE ods_code = $1",
                size.codes()[-1 - number],
                f" {number}",
            )
            await conn.execute("UPDATE changes SET made = made + 1")
        before = await publishing.sequence(ctx)
        published.append(await timed(lambda: publishing.publish_if_due(ctx)))
        if await publishing.sequence(ctx) == before:
            raise Unpublished("a change was made and no snapshot was published")
        read.append(await timed(world.context("verifier").snapshots.refresh))
    name = "registry: a change to a new snapshot"
    report.add(name, [one[0] for one in published], "s", IN_TIME_S, cpu=[one[1] for one in published])
    name = "verifier: a changed snapshot read"
    report.add(name, [one[0] for one in read], "s", cpu=[one[1] for one in read])
    await report.time("registry: a look that finds nothing", lambda: publishing.publish(ctx))
    if await ctx.documents.get(snapshot.SNAPSHOT_DOCUMENT) is None:
        raise Unpublished("no snapshot is served")


async def readers(world: World, report: Report) -> None:
    """Issuer and verifier fetch the snapshot and the client directory, verify and keep them."""
    for service in ("issuer", "verifier"):
        ctx = world.context(service)
        await report.time(f"{service}: first snapshot fetched, verified, kept", ctx.snapshots.refresh)
        await report.time(f"{service}: client directory fetched, verified, kept", ctx.directory.refresh)


async def status_publication(world: World, size: Size, report: Report) -> None:
    """Every tenant's list for the first time; then one, a thousand and all credentials revoked."""
    ctx = world.context("issuer")
    await report.time(f"issuer: first {size.organisations} status lists", lambda: _until_published(world))
    idle = [await timed(lambda: status_lists.tend(ctx)) for _ in range(3)]
    name = "issuer: a look at the lists that finds nothing"
    report.add(name, [one[0] for one in idle], "s", 5.0, cpu=[one[1] for one in idle])
    for count in (1, 1_000):
        found = await _live(world, size, count)
        name = f"issuer: {len(found)} revoked one by one"
        await report.time(name, partial(_revoke, world, found))
        name = f"issuer: {len(found)} revoked, to published"
        await report.time(name, lambda: _until_published(world), IN_TIME_S)


async def mass(world: World, report: Report) -> None:
    """Revoke everything of every trust by the job, publishing as it goes."""
    ctx = world.context("issuer")
    async with world.sql("issuer") as conn:
        count = await conn.fetchval("SELECT count(*) FROM credentials WHERE state = 'ACTIVE'")
        trusts = [row["ods"] for row in await conn.fetch("SELECT ods FROM tenants ORDER BY ods")]

    async def revoke_all() -> None:
        for ods in trusts:
            tenant = await ctx.tenants.get(ods)
            await mass_revocation.order(ctx, tenant, ReasonCode.TRUST_KEY_COMPROMISED)
        queue = JobQueue(ctx.db, issuer_tables.jobs, ctx.clock)
        while await queue.run_due(mass_revocation.handlers(ctx)):
            pass
        await _until_published(world)

    await report.time(
        f"issuer: all {count} of {len(trusts)} trusts revoked and published", revoke_all, MASS_S
    )
    async with world.sql("issuer") as conn:
        left = await conn.fetchval("SELECT count(*) FROM credentials WHERE state <> 'REVOKED'")
    if left:
        raise Unpublished(f"{left} credentials are not revoked")


async def _live(world: World, size: Size, count: int) -> list[Any]:
    async with world.sql("issuer") as conn:
        found: list[Any] = await conn.fetch(
            "SELECT id, ods FROM credentials WHERE state = 'ACTIVE' AND ods = ANY($2) LIMIT $1",
            count,
            size.majors_codes(),
        )
    return found


async def _revoke(world: World, found: list[Any]) -> None:
    ctx = world.context("issuer")
    for row in found:
        tenant = await ctx.tenants.get(row["ods"])
        await passports.revoke(ctx, tenant, row["id"], ReasonCode.ISSUED_IN_ERROR, ANN)


async def _until_published(world: World) -> None:
    """What the background task does every few seconds, until nothing that changed waits."""
    ctx = world.context("issuer")
    while True:
        await status_lists.tend(ctx)
        async with world.sql("issuer") as conn:
            waiting = "SELECT count(*) FROM status_lists WHERE version > published_version"
            if not await conn.fetchval(waiting):
                return


async def rechecks(world: World, size: Size, report: Report, lists: dict[str, str]) -> None:
    """Fetch the lists of the trusts that enrolled and compare every running placement with them."""
    ctx = world.context("verifier")
    async with world.sql("verifier") as conn:
        await conn.executemany(
            "INSERT INTO status_lists (uri, issuer, next_fetch_at, failures, first_seen_at) "
            "VALUES ($1, $2, now(), 0, now()) ON CONFLICT DO NOTHING",
            [(uri, uri.rsplit("/", 2)[0]) for uri in lists.values()],
        )
    fetched = len(await kept_lists.refresh(ctx))
    if fetched != len(lists):
        raise Unpublished(f"{fetched} of {len(lists)} lists could be fetched and verified")
    name = f"verifier: {size.placements} placements compared with {fetched} new lists"
    await report.time(name, lambda: watches.compare_lists(ctx), RECHECKED_S)
    await report.time(
        "verifier: a look at the watches that finds nothing", lambda: watches.compare_lists(ctx)
    )


async def cold_start(world: World, report: Report) -> None:
    """How soon a verifier that was restarted without a network has its snapshot again, and what it holds."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.soak.scale_cold", world.url("verifier"), str(world.folder)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise Unpublished("a restarted verifier could not read what it had stored")
    found = json.loads(out.splitlines()[-1])
    report.add(
        "verifier: cold, snapshot from stored rows", [found["took_s"]], "s", COLD_S, cpu=[found["cpu_s"]]
    )
    report.add("verifier process at rest, nothing read", [found["before_mb"]], "MB", AT_REST_MB)
    name = "verifier process with snapshot and client directory"
    report.add(name, [found["after_mb"]], "MB", LOADED_MB)


def this_process(report: Report, when: str) -> None:
    """What this process, which is all three services and the run itself, holds."""
    report.add(f"this process (three services and the run), {when}", [resident_mb()], "MB")
