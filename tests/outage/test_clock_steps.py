"""A clock that was ahead and is put right: nothing that it wrote stands for ever (security.md R11).

Every time that says "not before" is written by some machine's clock. One that was a year ahead for a minute
must not stop background work, jobs, limits or fetching for a year.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from passport_shared.formats.freshness import CLOCK_LEEWAY, SNAPSHOT_POLL
from passport_shared.outbound import Outbound
from passport_shared.service import documents, jobs, limits
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.job_queue import LEASE
from passport_shared.service.jobs import JobQueue, JobRun, Leases, Periodic, Runner
from passport_shared.service.limits import Rate, RateLimiter
from passport_shared.service.schedule import is_due
from passport_shared.service.snapshot_keeper import SnapshotKeeper
from passport_testkit.clock import NOON, FrozenClock
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.registry_wire import RegistryWire

METADATA = new_metadata()
JOBS = jobs.tables(METADATA)
LIMITS = limits.tables(METADATA)
DOCUMENTS = documents.tables(METADATA)
AHEAD = [timedelta(minutes=5), timedelta(hours=1), timedelta(days=400)]
EVERY = timedelta(seconds=30)
TTL = timedelta(seconds=15)

pytestmark = both_databases


@pytest.fixture
async def db(databases: FreshDatabases) -> Database:
    return await databases.open(metadata=METADATA)


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
async def test_background_work_goes_on(db: Database, ahead: timedelta) -> None:
    """A replica whose clock is ahead runs the task, and is killed holding the lease of another one."""
    ran: list[str] = []

    async def work() -> None:
        ran.append("work")

    wrong, right = FrozenClock(NOON + ahead), FrozenClock()
    task = Periodic(name="publish", every=EVERY, run=work, lease=TTL)
    assert await Runner(db, JOBS, wrong, periodics=[task]).run_once() == 1
    assert await Leases(db, JOBS, wrong).acquire_due("periodic:seal", TTL, every=EVERY) is not None
    runner = Runner(
        db, JOBS, right, periodics=[task, Periodic(name="seal", every=EVERY, run=work, lease=TTL)]
    )
    assert await runner.run_once() == 2, "neither waits until the clock that was wrong would be right"
    assert await runner.run_once() == 0, "and both have their ordinary pause now"
    right.advance(EVERY)
    assert await runner.run_once() == 2


async def test_within_the_tolerance_a_lease_is_a_lease(db: Database) -> None:
    ahead, right = FrozenClock(NOON + CLOCK_LEEWAY), FrozenClock()
    assert await Leases(db, JOBS, ahead).acquire("publish", TTL) is not None
    assert await Leases(db, JOBS, right).acquire("publish", TTL) is None
    right.advance(CLOCK_LEEWAY + TTL - timedelta(microseconds=1))
    assert await Leases(db, JOBS, right).acquire("publish", TTL) is None
    right.advance(timedelta(microseconds=1))
    assert await Leases(db, JOBS, right).acquire("publish", TTL) is not None


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=400)], ids=str)
async def test_a_job_that_was_tried_or_held_in_the_future_is_tried_now(
    db: Database, ahead: timedelta
) -> None:
    done: list[str] = []

    async def fails(_: JobRun) -> None:
        raise RuntimeError("not yet")

    async def works(run: JobRun) -> None:
        done.append(run.job.id)

    wrong, right = FrozenClock(NOON + ahead), FrozenClock()
    there, here = JobQueue(db, JOBS, wrong), JobQueue(db, JOBS, right)
    put_off = await here.enqueue("letter", {})
    assert await there.run_due({"letter": fails}) == 1
    held = await here.enqueue("letter", {})
    async with db.write() as conn:
        taken = {"state": "RUNNING", "holder": "killed", "lease_until": wrong.now() + LEASE, "attempts": 1}
        await conn.execute(update(JOBS.jobs).where(JOBS.jobs.c.id == held).values(**taken))
    assert await here.run_due({"letter": works}) == 2
    assert set(done) == {put_off, held}


@pytest.mark.parametrize("ahead", AHEAD, ids=str)
async def test_a_limit_that_was_spent_in_the_future_is_not_spent_for_ever(
    db: Database, ahead: timedelta
) -> None:
    rate = Rate(name="token", limit=6, per=timedelta(minutes=1))
    wrong, right = FrozenClock(NOON + ahead), FrozenClock()
    there, here = RateLimiter(db, LIMITS, wrong), RateLimiter(db, LIMITS, right)
    for _ in range(6):
        assert await there.try_spend(rate, "hr") is None
    assert await there.try_spend(rate, "hr") is not None
    assert await here.unless_waiting(rate, "hr") is None
    assert [await here.try_spend(rate, "hr") is None for _ in range(6)] == [True] * 5 + [False]


async def test_a_manifest_that_a_wrong_clock_took_for_expired_is_read_again(db: Database) -> None:
    """Started with a clock a year ahead, with the registry away: usable once the clock is right."""
    clock = FrozenClock()
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    wire = RegistryWire(registry)

    def replica(standing: FrozenClock) -> SnapshotKeeper:
        stored = CachedDocuments(db, DOCUMENTS, standing)
        return SnapshotKeeper(db, Outbound(transport=wire), registry.trust_file, standing, stored)

    assert await replica(clock).refresh() is True
    wire.down = True
    stepping = FrozenClock(NOON + timedelta(days=400))
    restarted = replica(stepping)
    assert await restarted.latest() is None
    stepping.set(NOON + timedelta(minutes=1))
    assert await restarted.latest() is not None
    behind = FrozenClock(NOON - timedelta(hours=1))
    early = replica(behind)
    assert await early.latest() is None, "a manifest from the future"
    behind.advance(SNAPSHOT_POLL)
    assert await early.latest() is None
    behind.set(NOON)
    assert await early.latest() is not None


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (timedelta(0), True),
        (timedelta(microseconds=-1), True),
        (timedelta(microseconds=1), False),
        (timedelta(hours=1) + CLOCK_LEEWAY, False),
        (timedelta(hours=1) + CLOCK_LEEWAY + timedelta(microseconds=1), True),
        (timedelta(days=-400), True),
    ],
    ids=str,
)
async def test_when_something_is_due(db: Database, at: timedelta, due: bool) -> None:
    leases = JOBS.leases
    row = {"name": "x", "holder": "", "fence": 1, "expires_at": NOON, "next_run_at": NOON + at}
    async with db.write() as conn:
        await conn.execute(insert(leases).values(**row))
    async with db.read() as conn:
        found = await conn.execute(
            select(leases.c.name).where(is_due(leases.c.next_run_at, NOON, timedelta(hours=1)))
        )
    assert (found.first() is not None) is due
