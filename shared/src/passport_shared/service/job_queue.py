"""Jobs: long work that is done in steps, survives a kill at any moment and does nothing twice (design §8).

A job is leased by one conditional UPDATE. Its handler saves progress together with the work of each step, in
one transaction that fails when another replica has taken the job over. A handler that raises is tried again
with growing pauses; a job that outlives `max_attempts` leases (because it kills its process, say) is FAILED.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import ColumnElement, RowMapping, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.formats.ids import new_id
from passport_shared.service import failpoints
from passport_shared.service.db import Database
from passport_shared.service.leases import JobTables, LeaseLost, while_held
from passport_shared.service.once import insert_once
from passport_shared.service.schedule import is_due

LEASE = timedelta(seconds=60)
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
ATTEMPTS_EXHAUSTED = "attempts_exhausted"
CANDIDATES = 8

log = structlog.get_logger()


class JobState(StrEnum):
    """PERSISTED. QUEUED waits for `run_after`, RUNNING has a holder, DONE and FAILED are the ends."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


class JobFailed(Exception):
    """Raised by a handler to give up for good; `code` is stored and shown, so it carries no personal data."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job: `payload` as it was enqueued, `progress` as its handler last saved it."""

    id: str
    kind: str
    owner: str
    payload: Mapping[str, Any]
    progress: Mapping[str, Any]
    state: JobState
    attempts: int
    max_attempts: int
    run_after: datetime
    error: str | None
    created_at: datetime
    finished_at: datetime | None


def _job(row: RowMapping) -> Job:
    fields: dict[str, Any] = {name: row[name] for name in Job.__dataclass_fields__}
    return Job(**fields | {"state": JobState(row["state"])})


def pause_after(attempts: int) -> timedelta:
    """How long to wait after this many attempts: 5 s, doubled each time, at most an hour."""
    doublings: int = 2 ** min(attempts - 1, 20)
    return min(LONGEST_PAUSE, FIRST_PAUSE * doublings)


class JobRun:
    """A running job in the hands of its handler."""

    def __init__(self, queue: JobQueue, job: Job, holder: str) -> None:
        self.job = job
        self._queue = queue
        self._holder = holder

    async def save(self, progress: Mapping[str, Any], *, conn: AsyncConnection | None = None) -> None:
        """Record progress and extend the lease, in the transaction of the step it describes if given.

        Raises:
            LeaseLost: another replica has the job; the transaction must not commit.
        """
        await self._queue.save(self.job.id, self._holder, progress, conn)


JobHandler = Callable[[JobRun], Awaitable[None]]


class JobQueue:
    """Enqueues, leases and runs jobs; every replica runs one, nothing coordinates them but the rows."""

    def __init__(self, db: Database, tables: JobTables, clock: Clock, *, holder: str = "") -> None:
        self._db = db
        self._table = tables.jobs
        self._clock = clock
        self._holder = holder

    async def enqueue(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        owner: str = "",
        unique_key: str | None = None,
        run_after: datetime | None = None,
        max_attempts: int = 8,
        conn: AsyncConnection | None = None,
    ) -> str:
        """Store a job, in the caller's transaction if `conn` is given; its id.

        `unique_key` names the work itself: a second job with the same key, also after the first is done, is
        not stored and the first one's id is returned.
        """
        if conn is None:
            async with self._db.write() as own:
                return await self.enqueue(
                    kind,
                    payload,
                    owner=owner,
                    unique_key=unique_key,
                    run_after=run_after,
                    max_attempts=max_attempts,
                    conn=own,
                )
        now, job_id = self._clock.now(), new_id()
        values = {
            "id": job_id,
            "kind": kind,
            "owner": owner,
            "unique_key": unique_key,
            "payload": dict(payload),
            "progress": {},
            "state": JobState.QUEUED.value,
            "attempts": 0,
            "max_attempts": max_attempts,
            "run_after": run_after or now,
            "created_at": now,
        }
        if await insert_once(conn, self._table, values):
            return job_id
        twin = select(self._table.c.id).where(self._table.c.unique_key == unique_key)
        return str((await conn.execute(twin)).scalar_one())

    async def get(self, job_id: str) -> Job | None:
        """A job by id."""
        async with self._db.read() as conn:
            row = (
                (await conn.execute(select(self._table).where(self._table.c.id == job_id))).mappings().first()
            )
        return None if row is None else _job(row)

    async def purge(self, before: datetime) -> int:
        """Forget jobs that ended before then, and with them that their work was done; how many."""
        jobs = self._table
        ended = jobs.c.state.in_([JobState.DONE.value, JobState.FAILED.value])
        # No job ends before it was due: this part has the index.
        old = delete(jobs).where(ended, jobs.c.run_after < before, jobs.c.finished_at < before)
        async with self._db.write() as conn:
            return int((await conn.execute(old)).rowcount)

    async def run_one(self, handlers: Mapping[str, JobHandler]) -> Job | None:
        """Lease one due job of the handlers' kinds, run it, record the outcome; None if none is due."""
        leased = await self._lease(handlers)
        if leased is None:
            return None
        job, holder = leased
        failpoints.hit(failpoints.AFTER_JOB_LEASED)
        if job.attempts > job.max_attempts:
            await self._finish(job, holder, JobState.FAILED, ATTEMPTS_EXHAUSTED)
        else:
            await self._run(job, holder, handlers[job.kind])
        return await self.get(job.id)

    async def run_due(self, handlers: Mapping[str, JobHandler], *, limit: int = 100) -> int:
        """Run due jobs one after the other until none is left or `limit` have run; how many ran."""
        for count in range(limit):
            if await self.run_one(handlers) is None:
                return count
        return limit

    async def save(
        self, job_id: str, holder: str, progress: Mapping[str, Any] | None, conn: AsyncConnection | None
    ) -> None:
        """As `JobRun.save`; without progress only the lease is extended."""
        if conn is None:
            async with self._db.write() as own:
                return await self.save(job_id, holder, progress, own)
        values: dict[str, Any] = {"lease_until": self._clock.now() + LEASE}
        if progress is not None:
            values["progress"] = dict(progress)
        await self._update_held(conn, job_id, holder, values)
        return None

    async def _lease(self, handlers: Mapping[str, JobHandler]) -> tuple[Job, str] | None:
        table = self._table
        due = self._due(self._clock.now())
        candidates = (
            select(table.c.id)
            .where(table.c.kind.in_(list(handlers)), due)
            .order_by(table.c.run_after)
            .limit(CANDIDATES)
        )
        while True:
            async with self._db.read() as conn:
                ids = (await conn.execute(candidates)).scalars().all()
            if not ids:
                return None
            for job_id in ids:
                leased = await self._try(job_id)
                if leased is not None:
                    return leased
            # Rivals took all of them meanwhile; there may be more behind.

    def _due(self, now: datetime) -> ColumnElement[bool]:
        table = self._table
        return or_(
            and_(table.c.state == JobState.QUEUED.value, table.c.run_after <= now),
            # Put off after a failure, and by a clock that was ahead.
            and_(
                table.c.state == JobState.QUEUED.value,
                table.c.attempts > 0,
                is_due(table.c.run_after, now, LONGEST_PAUSE),
            ),
            and_(table.c.state == JobState.RUNNING.value, is_due(table.c.lease_until, now, LEASE)),
        )

    async def _try(self, job_id: str) -> tuple[Job, str] | None:
        table, now = self._table, self._clock.now()
        holder = f"{self._holder}{new_id()}"
        statement = (
            update(table)
            .where(table.c.id == job_id, self._due(now))
            .values(
                state=JobState.RUNNING.value,
                holder=holder,
                lease_until=now + LEASE,
                attempts=table.c.attempts + 1,
            )
            .returning(*table.c)
        )
        rows = await self._db.hot(statement, statement)
        return (_job(rows[0]), holder) if rows else None

    async def _run(self, job: Job, holder: str, handler: JobHandler) -> None:
        async def extend() -> None:
            await self.save(job.id, holder, None, None)

        try:
            await while_held(handler(JobRun(self, job, holder)), extend, LEASE)
        except LeaseLost:
            log.warning("job.lost", job_id=job.id, job=job.kind)
        except asyncio.CancelledError:
            # Shutting down is nobody's fault: the job is due again at once and the attempt does not count.
            await asyncio.shield(self._requeue(job, holder, timedelta(0), None, attempts=job.attempts - 1))
            raise
        except JobFailed as failure:
            await self._finish(job, holder, JobState.FAILED, failure.code)
        except Exception as error:
            reason = type(error).__name__
            log.warning("job.failed", job_id=job.id, job=job.kind, reason=reason, exc_info=True)
            if job.attempts >= job.max_attempts:
                await self._finish(job, holder, JobState.FAILED, reason)
            else:
                await self._requeue(job, holder, pause_after(job.attempts), reason, attempts=job.attempts)
        else:
            failpoints.hit(failpoints.AFTER_JOB_WORKED)
            await self._finish(job, holder, JobState.DONE, None)

    async def _requeue(
        self, job: Job, holder: str, pause: timedelta, error: str | None, *, attempts: int
    ) -> None:
        values = {
            "state": JobState.QUEUED.value,
            "holder": None,
            "lease_until": None,
            "run_after": self._clock.now() + pause,
            "error": error,
            "attempts": attempts,
        }
        await self._end(job, holder, values)

    async def _finish(self, job: Job, holder: str, state: JobState, error: str | None) -> None:
        values = {
            "state": state.value,
            "holder": None,
            "lease_until": None,
            "error": error,
            "finished_at": self._clock.now(),
        }
        await self._end(job, holder, values)

    async def _end(self, job: Job, holder: str, values: Mapping[str, Any]) -> None:
        try:
            async with self._db.write() as conn:
                await self._update_held(conn, job.id, holder, values)
        except LeaseLost:
            log.warning("job.lost", job_id=job.id, job=job.kind)

    async def _update_held(
        self, conn: AsyncConnection, job_id: str, holder: str, values: Mapping[str, Any]
    ) -> None:
        table = self._table
        statement = update(table).where(table.c.id == job_id, table.c.holder == holder).values(dict(values))
        if (await conn.execute(statement.returning(table.c.id))).first() is None:
            raise LeaseLost(job_id)
