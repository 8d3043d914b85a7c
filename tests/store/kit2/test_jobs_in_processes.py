"""Jobs among processes on PostgreSQL, one of which is killed with SIGKILL in the middle of a step."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from datetime import timedelta

from sqlalchemy import Column, Integer, Table, Text, insert, select

from passport_shared.service import jobs
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.job_queue import LEASE
from passport_shared.service.jobs import JobQueue, JobRun
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, postgresql_only

METADATA = new_metadata()
TABLES = jobs.tables(METADATA)
# No unique key: a step that were done twice would show.
STEPS = Table("steps", METADATA, Column("job", Text), Column("step", Integer))
JOBS = 20
STEPS_PER_JOB = 4


def work(url: str, *, dies: bool) -> None:
    asyncio.run(_work(url, FrozenClock(), dies=dies))


async def _work(url: str, clock: FrozenClock, *, dies: bool) -> None:
    async with Database(url, name="worker", durable=False) as db:
        queue = JobQueue(db, TABLES, clock)

        async def handler(run: JobRun) -> None:
            for step in range(run.job.progress.get("next", 0), STEPS_PER_JOB):
                async with db.write() as conn:
                    await conn.execute(insert(STEPS).values(job=run.job.id, step=step))
                    if dies and step == 2:
                        os.kill(os.getpid(), signal.SIGKILL)
                    await run.save({"next": step + 1}, conn=conn)

        await queue.run_due({"import": handler})


@postgresql_only
async def test_every_step_of_every_job_is_done_once_though_a_process_is_killed(
    databases: FreshDatabases,
) -> None:
    db = await databases.open(metadata=METADATA)
    url = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
    clock = FrozenClock()
    queue = JobQueue(db, TABLES, clock)
    ids = [await queue.enqueue("import", {}) for _ in range(JOBS)]
    spawn = multiprocessing.get_context("spawn")
    dying = spawn.Process(target=work, args=(url,), kwargs={"dies": True})
    dying.start()
    await asyncio.to_thread(dying.join)
    assert dying.exitcode == -signal.SIGKILL
    others = [spawn.Process(target=work, args=(url,), kwargs={"dies": False}) for _ in range(3)]
    for process in others:
        process.start()
    for process in others:
        await asyncio.to_thread(process.join)
    assert [process.exitcode for process in others] == [0, 0, 0]
    clock.advance(LEASE + timedelta(seconds=1))
    await _work(url, clock, dies=False)
    async with db.read() as conn:
        done = [(row.job, row.step) for row in await conn.execute(select(STEPS))]
    assert sorted(done) == sorted((job, step) for job in ids for step in range(STEPS_PER_JOB))
    states = [await queue.get(job) for job in ids]
    assert {job.state for job in states if job is not None} == {jobs.JobState.DONE}
    assert sorted(job.attempts for job in states if job is not None) == [1] * (JOBS - 1) + [2]
