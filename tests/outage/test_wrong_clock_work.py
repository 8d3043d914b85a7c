"""A machine whose clock is wrong does no background work: it would end, expire and erase what is not due.

The others do it meanwhile; when the clock is right the replica takes its share again. Without a database's
clock the registry's answers say what time it is: asking it goes on.
"""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

import passport_issuer.app as issuer_app
import passport_registry.app as registry_app
import passport_verifier.app as verifier_app
from passport_shared.outbound import Outbound
from passport_shared.service import documents, jobs
from passport_shared.service.clock import SystemClock
from passport_shared.service.clock_check import ClockGuard
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.jobs import JobQueue, JobRun, Periodic, Runner
from passport_shared.service.snapshot_keeper import Heard, SnapshotKeeper
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import POSTGRESQL, SQLITE, FreshDatabases
from passport_testkit.issuers import issuer_settings
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.registries import registry_settings
from passport_testkit.registry_wire import RegistryWire
from passport_testkit.verifiers import verifier_settings

METADATA = new_metadata()
TABLES = jobs.tables(METADATA)
WRONG = [timedelta(minutes=-2), timedelta(hours=1), timedelta(days=400)]

on_postgresql = pytest.mark.parametrize("dialect", [POSTGRESQL])
on_sqlite = pytest.mark.parametrize("dialect", [SQLITE])


class SkewedClock(SystemClock):
    """The clock of a machine that is wrong by so much, until a test puts it right."""

    off = timedelta(0)

    def now(self):
        return super().now() + self.off


def heard_now(db: Database) -> SnapshotKeeper:
    """What has just heard from the registry, whose clock is right, and holds no snapshot."""
    trust = TrustRegistrySimulator(FrozenClock(SystemClock().now())).trust_file
    kept = CachedDocuments(db, documents.tables(new_metadata()), SystemClock())
    keeper = SnapshotKeeper(db, Outbound(), trust, SystemClock(), kept)
    keeper.heard = Heard(
        date=SystemClock().now(), took=timedelta(0), monotonic=time.monotonic, at=time.monotonic()
    )
    return keeper


@pytest.fixture
async def db(databases: FreshDatabases) -> Database:
    return await databases.open(metadata=METADATA)


@on_postgresql
@pytest.mark.parametrize("off", WRONG, ids=str)
async def test_nothing_is_swept_and_no_job_is_taken_until_the_clock_is_right(
    db: Database, off: timedelta
) -> None:
    clock, did = SkewedClock(), []

    async def sweep() -> None:
        did.append("swept")

    async def listen() -> None:
        did.append("listened")

    async def work(job: JobRun) -> None:
        did.append("worked")

    periodics = [
        Periodic(name="sweep", every=timedelta(seconds=1), run=sweep),
        Periodic(name="listen", every=timedelta(seconds=1), run=listen, tells_time=True),
    ]
    runner = Runner(
        db, TABLES, clock, periodics=periodics, handlers={"work": work}, guard=ClockGuard(clock, db)
    )
    async with db.write() as conn:
        await JobQueue(db, TABLES, SystemClock()).enqueue("work", {}, conn=conn)
    clock.off = off
    assert await runner.run_once() == 0
    assert did == []
    async with db.read() as conn:
        (attempts,) = (await conn.execute(select(TABLES.jobs.c.attempts))).scalars()
    assert attempts == 0
    clock.off = timedelta(0)
    await runner.run_once()
    assert did.count("swept") == 1
    assert did.count("worked") == 1


@on_sqlite
async def test_where_the_registry_tells_the_time_it_is_asked_on(db: Database) -> None:
    clock, did = SkewedClock(), []

    async def sweep() -> None:
        did.append("swept")

    async def listen() -> None:
        did.append("listened")

    guard = ClockGuard(clock, db)
    guard.follow(heard_now(db))
    periodics = [
        Periodic(name="sweep", every=timedelta(seconds=1), run=sweep),
        Periodic(name="listen", every=timedelta(seconds=1), run=listen, tells_time=True),
    ]
    runner = Runner(db, TABLES, clock, periodics=periodics, guard=guard)
    clock.off = timedelta(days=400)
    assert await runner.run_once() == 1
    assert did == ["listened"]
    clock.off = timedelta(0)
    await runner.run_once()
    assert "swept" in did


@on_postgresql
async def test_a_job_another_replica_works_on_is_not_taken_by_one_that_is_behind(db: Database) -> None:
    """It looks put off for ever to the one behind; taken again and again it would fail for good."""
    behind = SkewedClock()
    behind.off = timedelta(minutes=-3)
    late = Runner(db, TABLES, behind, handlers={"work": _never}, guard=ClockGuard(behind, db))
    taken: list[int] = []

    async def work(job: JobRun) -> None:
        taken.append(await late.run_once())

    async with db.write() as conn:
        await JobQueue(db, TABLES, SystemClock()).enqueue("work", {}, conn=conn)
    right = SystemClock()
    runner = Runner(db, TABLES, right, handlers={"work": work}, guard=ClockGuard(right, db))
    assert await runner.run_once() == 1
    assert taken == [0]
    async with db.read() as conn:
        row = (await conn.execute(select(TABLES.jobs))).one()
    assert (row.state, row.attempts) == ("DONE", 1)


async def _never(job: JobRun) -> None:
    raise AssertionError("this replica must take nothing")


@on_postgresql
@pytest.mark.parametrize("name", ["registry", "issuer", "verifier"])
async def test_every_service_s_work_waits(databases: FreshDatabases, tmp_path: Path, name: str) -> None:
    clock = SkewedClock()
    registry = TrustRegistrySimulator(FrozenClock(SystemClock().now()))
    outbound = Outbound(transport=RegistryWire(registry))
    url = await databases.url(f"passport_{name}")
    if name == "registry":
        app = registry_app.build(
            registry_settings(url, tmp_path),
            registry_app.Parts(clock=clock, outbound=outbound, background=False),
        )
    elif name == "issuer":
        app = issuer_app.build(
            issuer_settings(tmp_path, url, registry.trust_file.as_bytes()),
            issuer_app.Parts(clock=clock, outbound=outbound, background=False),
        )
    else:
        app = verifier_app.build(
            verifier_settings(tmp_path, url),
            verifier_app.Parts(
                clock=clock, outbound=outbound, trust_file=registry.trust_file, background=False
            ),
        )
    async with app.router.lifespan_context(app):
        clock.off = timedelta(days=400)
        await app.state.runner.run_once()
        async with app.state.context.db.read() as conn:
            leases = set((await conn.execute(select(TABLES.leases.c.name))).scalars())
        assert not leases
        clock.off = timedelta(0)
        await app.state.runner.run_once()
        async with app.state.context.db.read() as conn:
            leases = set((await conn.execute(select(TABLES.leases.c.name))).scalars())
        assert "periodic:purge" in leases
