"""Leases, jobs and periodic tasks: one holder at a time, resumable, killable, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from passport_shared.service import jobs
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.job_queue import ATTEMPTS_EXHAUSTED, LEASE, pause_after
from passport_shared.service.jobs import (
    JobFailed,
    JobQueue,
    JobRun,
    JobState,
    LeaseLost,
    Leases,
    Periodic,
    Runner,
)
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases

METADATA = new_metadata()
TABLES = jobs.tables(METADATA)
TTL = timedelta(seconds=60)

pytestmark = both_databases


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def replicas(databases: FreshDatabases, dialect: str) -> list[Database]:
    """Two replicas' databases: two engines on PostgreSQL; on SQLite one process is one database."""
    first = await databases.open(metadata=METADATA)
    second = first if dialect == "sqlite" else databases.attach(str_url(first))
    return [first, second]


def str_url(database: Database) -> str:
    return database.url.set(drivername="postgresql").render_as_string(hide_password=False)


async def test_a_lease_has_one_holder_until_it_is_released(
    replicas: list[Database], clock: FrozenClock
) -> None:
    ours, theirs = (Leases(db, TABLES, clock) for db in replicas)
    lease = await ours.acquire("seal", TTL)
    assert lease is not None
    assert lease.fence == 1
    assert await theirs.acquire("seal", TTL) is None
    assert await ours.acquire("seal", TTL) is None, "the same process holds it for another task"
    assert await theirs.acquire("other", TTL) is not None
    await ours.release(lease)
    taken = await theirs.acquire("seal", TTL)
    assert taken is not None
    assert taken.fence == 2


async def test_a_killed_holder_is_replaced_and_finds_out_at_its_next_write(
    replicas: list[Database], clock: FrozenClock
) -> None:
    ours, theirs = (Leases(db, TABLES, clock) for db in replicas)
    lease = await ours.acquire("seal", TTL)
    assert lease is not None
    clock.advance(TTL - timedelta(microseconds=1))
    assert await theirs.acquire("seal", TTL) is None
    clock.advance(timedelta(microseconds=1))
    taken = await theirs.acquire("seal", TTL)
    assert taken is not None
    for step in (ours.extend(lease, TTL), confirm(ours, replicas[0], lease)):
        with pytest.raises(LeaseLost):
            await step
    await ours.release(lease)
    assert await ours.acquire("seal", TTL) is None, "a lost lease is not released for its new holder"


async def confirm(of: Leases, db: Database, lease: jobs.Lease) -> None:
    async with db.write() as conn:
        await of.confirm(conn, lease)


async def test_an_expired_lease_nobody_took_can_be_confirmed_and_extended(
    replicas: list[Database], clock: FrozenClock
) -> None:
    ours = Leases(replicas[0], TABLES, clock)
    lease = await ours.acquire("seal", TTL)
    assert lease is not None
    clock.advance(TTL * 2)
    await confirm(ours, replicas[0], lease)
    longer = await ours.extend(lease, TTL)
    assert longer.expires_at == clock.now() + TTL


async def test_twenty_rivals_twenty_rounds_one_winner_each(
    replicas: list[Database], clock: FrozenClock
) -> None:
    rivals = [Leases(replicas[number % 2], TABLES, clock) for number in range(20)]
    for round_number in range(1, 21):
        results = await at_once(20, lambda number: rivals[number].acquire("race", TTL))
        winners = [result for result in results if result is not None]
        assert [type(winner) for winner in winners] == [jobs.Lease]
        assert winners[0].fence == round_number  # type: ignore[attr-defined]
        clock.advance(TTL)


async def test_hold_releases_also_after_a_failure(replicas: list[Database], clock: FrozenClock) -> None:
    ours = Leases(replicas[0], TABLES, clock)
    with pytest.raises(ZeroDivisionError):
        async with ours.hold("seal", TTL) as lease:
            assert lease is not None
            raise ZeroDivisionError
    async with ours.hold("seal", TTL) as lease, ours.hold("seal", TTL) as second:
        assert lease is not None
        assert second is None


async def test_a_job_runs_once_and_shows_what_it_did(replicas: list[Database], clock: FrozenClock) -> None:
    queue = JobQueue(replicas[0], TABLES, clock)
    seen: list[object] = []

    async def handler(run: JobRun) -> None:
        seen.append(run.job.payload)
        await run.save({"done": 3})

    job_id = await queue.enqueue("import", {"file": "f1"}, owner="RBV")
    queued = await queue.get(job_id)
    assert queued is not None
    assert (queued.state, queued.attempts, queued.owner) == (JobState.QUEUED, 0, "RBV")
    job = await queue.run_one({"import": handler})
    assert job is not None
    assert (job.id, job.state, job.progress, job.attempts) == (job_id, JobState.DONE, {"done": 3}, 1)
    assert job.finished_at == clock.now()
    assert await queue.run_one({"import": handler}) is None
    assert seen == [{"file": "f1"}]


async def test_a_job_waits_for_its_time_and_for_a_handler(
    replicas: list[Database], clock: FrozenClock
) -> None:
    queue = JobQueue(replicas[0], TABLES, clock)
    await queue.enqueue("import", {}, run_after=clock.now() + timedelta(hours=1))
    assert await queue.run_due({"import": succeed}) == 0
    clock.advance(timedelta(hours=1))
    assert await queue.run_due({"other": succeed}) == 0
    assert await queue.run_due({"import": succeed}) == 1


async def succeed(_: JobRun) -> None:
    return None


async def test_the_same_work_is_enqueued_once(replicas: list[Database], clock: FrozenClock) -> None:
    queues = [JobQueue(db, TABLES, clock) for db in replicas]
    ids = await at_once(
        20,
        lambda number: queues[number % 2].enqueue("import", {"n": number}, unique_key="import:RBV:2026-09"),
    )
    assert len(set(ids)) == 1
    assert isinstance(ids[0], str)
    await queues[0].run_due({"import": succeed})
    assert await queues[1].enqueue("import", {}, unique_key="import:RBV:2026-09") == ids[0]
    assert await queues[0].run_due({"import": succeed}) == 0


async def test_a_job_enqueued_in_a_transaction_that_fails_does_not_exist(
    replicas: list[Database], clock: FrozenClock
) -> None:
    queue = JobQueue(replicas[0], TABLES, clock)
    with pytest.raises(ZeroDivisionError):
        async with replicas[0].write() as conn:
            await queue.enqueue("import", {}, conn=conn)
            raise ZeroDivisionError
    assert await queue.run_due({"import": succeed}) == 0


async def test_forty_jobs_twenty_workers_each_job_once(replicas: list[Database], clock: FrozenClock) -> None:
    queues = [JobQueue(db, TABLES, clock) for db in replicas]
    ran: list[str] = []

    async def handler(run: JobRun) -> None:
        ran.append(run.job.id)

    ids = [await queues[0].enqueue("import", {}) for _ in range(40)]
    counts = await at_once(20, lambda number: queues[number % 2].run_due({"import": handler}))
    assert all(isinstance(count, int) for count in counts), counts
    assert sorted(ran) == sorted(ids)


async def test_a_failing_job_is_tried_again_with_growing_pauses_and_then_given_up(
    replicas: list[Database], clock: FrozenClock
) -> None:
    queue = JobQueue(replicas[0], TABLES, clock)

    async def handler(_: JobRun) -> None:
        raise KeyError("a person's name must not be stored")

    job_id = await queue.enqueue("import", {}, max_attempts=3)
    for attempt in (1, 2):
        job = await queue.run_one({"import": handler})
        assert job is not None
        assert (job.state, job.attempts, job.error) == (JobState.QUEUED, attempt, "KeyError")
        assert job.run_after == clock.now() + pause_after(attempt)
        assert await queue.run_one({"import": handler}) is None
        clock.set(job.run_after)
    job = await queue.run_one({"import": handler})
    assert job is not None
    assert (job.id, job.state, job.error, job.finished_at) == (
        job_id,
        JobState.FAILED,
        "KeyError",
        clock.now(),
    )


async def test_a_handler_can_give_up_at_once(replicas: list[Database], clock: FrozenClock) -> None:
    queue = JobQueue(replicas[0], TABLES, clock)

    async def handler(_: JobRun) -> None:
        raise JobFailed("file_unreadable")

    await queue.enqueue("import", {})
    job = await queue.run_one({"import": handler})
    assert job is not None
    assert (job.state, job.error) == (JobState.FAILED, "file_unreadable")


async def test_a_killed_job_is_resumed_from_its_progress_by_another_replica(
    replicas: list[Database], clock: FrozenClock
) -> None:
    ours, theirs = (JobQueue(db, TABLES, clock) for db in replicas)
    stuck = asyncio.Event()
    seen: list[dict[str, object]] = []

    async def stops_half_way(run: JobRun) -> None:
        await run.save({"next_row": 500})
        stuck.set()
        await asyncio.Event().wait()

    async def goes_on(run: JobRun) -> None:
        seen.append(dict(run.job.progress))

    await ours.enqueue("import", {})
    leased = await ours._lease({"import": stops_half_way})
    assert leased is not None
    job, holder = leased
    await ours.save(job.id, holder, {"next_row": 500}, None)  # and here the process dies
    assert await theirs.run_one({"import": goes_on}) is None, "the lease has not ended"
    clock.advance(LEASE)
    done = await theirs.run_one({"import": goes_on})
    assert done is not None
    assert (done.state, done.attempts, seen) == (JobState.DONE, 2, [{"next_row": 500}])
    with pytest.raises(LeaseLost):
        await ours.save(job.id, holder, {"next_row": 501}, None)


async def test_progress_and_work_commit_together_or_not_at_all(
    replicas: list[Database], clock: FrozenClock
) -> None:
    ours, theirs = (JobQueue(db, TABLES, clock) for db in replicas)
    await ours.enqueue("import", {})
    leased = await ours._lease({"import": succeed})
    assert leased is not None
    clock.advance(LEASE)
    assert await theirs.run_one({"import": succeed}) is not None
    with pytest.raises(LeaseLost):
        async with replicas[0].write() as conn:
            await conn.execute(TABLES.leases.insert().values(**row_of("step-500", clock)))
            await ours.save(leased[0].id, leased[1], {"next_row": 501}, conn)
    async with replicas[0].read() as conn:
        assert (await conn.execute(select(TABLES.leases.c.name))).all() == []


def row_of(name: str, clock: FrozenClock) -> dict[str, object]:
    return {"name": name, "holder": "", "fence": 0, "expires_at": clock.now(), "next_run_at": clock.now()}


async def test_a_job_that_kills_its_process_every_time_is_given_up(
    replicas: list[Database], clock: FrozenClock
) -> None:
    queue = JobQueue(replicas[0], TABLES, clock)
    await queue.enqueue("import", {}, max_attempts=2)
    for _ in range(2):
        assert await queue._lease({"import": succeed}) is not None
        clock.advance(LEASE)
    job = await queue.run_one({"import": succeed})
    assert job is not None
    assert (job.state, job.error) == (JobState.FAILED, ATTEMPTS_EXHAUSTED)


async def test_a_cancelled_job_is_due_again_at_once_and_the_attempt_does_not_count(
    replicas: list[Database], clock: FrozenClock
) -> None:
    queue = JobQueue(replicas[0], TABLES, clock)
    started = asyncio.Event()

    async def waits(_: JobRun) -> None:
        started.set()
        await asyncio.Event().wait()

    job_id = await queue.enqueue("import", {})
    running = asyncio.create_task(queue.run_one({"import": waits}))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    job = await queue.get(job_id)
    assert job is not None
    assert (job.state, job.attempts, job.run_after) == (JobState.QUEUED, 0, clock.now())
    assert await queue.run_due({"import": succeed}) == 1


async def test_a_periodic_task_runs_when_due_and_once_among_replicas(
    replicas: list[Database], clock: FrozenClock
) -> None:
    ran: list[int] = []

    def runner(number: int) -> Runner:
        async def run() -> None:
            ran.append(number)

        task = Periodic(name="publish", every=timedelta(minutes=1), run=run)
        return Runner(replicas[number % 2], TABLES, clock, periodics=[task])

    runners = [runner(number) for number in range(10)]
    for rounds in (1, 2, 3):
        results = await at_once(10, lambda number: runners[number].run_once())
        assert sorted(results) == [0] * 9 + [1]  # type: ignore[type-var]
        assert len(ran) == rounds
        clock.advance(timedelta(minutes=1))


async def test_a_failing_periodic_task_is_due_again_soon_and_stops_no_other(
    replicas: list[Database], clock: FrozenClock
) -> None:
    ran: list[str] = []

    async def fails() -> None:
        ran.append("fails")
        raise RuntimeError

    async def works() -> None:
        ran.append("works")

    tasks = [
        Periodic(name="fails", every=timedelta(hours=1), run=fails),
        Periodic(name="works", every=timedelta(hours=1), run=works),
    ]
    runner = Runner(replicas[0], TABLES, clock, periodics=tasks)
    assert await runner.run_once() == 2
    clock.advance(timedelta(seconds=15))
    assert await runner.run_once() == 1
    assert ran == ["fails", "works", "fails"]


async def test_a_periodic_task_of_a_killed_replica_runs_elsewhere(
    replicas: list[Database], clock: FrozenClock
) -> None:
    ran: list[str] = []

    async def run() -> None:
        ran.append("here")

    killed = Leases(replicas[0], TABLES, clock)
    assert await killed.acquire_due("periodic:publish", timedelta(seconds=60)) is not None
    runner = Runner(
        replicas[1], TABLES, clock, periodics=[Periodic(name="publish", every=timedelta(hours=1), run=run)]
    )
    assert await runner.run_once() == 0
    clock.advance(timedelta(seconds=60))
    assert await runner.run_once() == 1
    assert ran == ["here"]


async def test_the_runner_works_in_the_background_and_stops(
    replicas: list[Database], clock: FrozenClock
) -> None:
    periodic_ran, job_ran = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        periodic_ran.set()

    async def handler(_: JobRun) -> None:
        job_ran.set()
        await asyncio.Event().wait()

    runner = Runner(
        replicas[0],
        TABLES,
        clock,
        periodics=[Periodic(name="publish", every=timedelta(hours=1), run=run)],
        handlers={"import": handler},
    )
    queue = JobQueue(replicas[0], TABLES, clock)
    job_id = await queue.enqueue("import", {})
    await runner.start()
    await periodic_ran.wait()
    await job_ran.wait()
    await runner.stop()
    job = await queue.get(job_id)
    assert job is not None
    assert job.state is JobState.QUEUED


async def test_jobs_that_ended_long_ago_are_forgotten_and_no_others(
    replicas: list[Database], clock: FrozenClock
) -> None:
    queue = JobQueue(replicas[0], TABLES, clock)

    async def handler(run: JobRun) -> None:
        return None

    old = await queue.enqueue("import", {}, unique_key="old")
    await queue.run_one({"import": handler})
    waiting = await queue.enqueue("nobody's", {}, unique_key="waiting")
    clock.advance(timedelta(days=2))
    new = await queue.enqueue("import", {}, unique_key="new")
    await queue.run_one({"import": handler})
    assert await queue.purge(clock.now() - timedelta(days=1)) == 1
    assert [await queue.get(one) is None for one in (old, waiting, new)] == [True, False, False]
