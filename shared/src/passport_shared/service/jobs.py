"""Leases, resumable jobs and periodic tasks (skeleton)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.service.db import Database, JsonText, UtcDateTime


class JobState(StrEnum):
    """PERSISTED."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True)
class JobTables:
    """Tables of leases, jobs and periodic tasks."""

    leases: Table
    jobs: Table


def tables(metadata: MetaData) -> JobTables:
    """Define the tables."""
    leases = Table(
        "leases",
        metadata,
        Column("name", Text, primary_key=True),
        Column("holder", Text, nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
        Column("next_run_at", UtcDateTime, nullable=False),
    )
    jobs = Table(
        "jobs",
        metadata,
        Column("id", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("owner", Text, nullable=False),
        Column("unique_key", Text, unique=True),
        Column("payload", JsonText, nullable=False),
        Column("progress", JsonText, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("max_attempts", Integer, nullable=False),
        Column("run_after", UtcDateTime, nullable=False),
        Column("holder", Text),
        Column("lease_until", UtcDateTime),
        Column("error", Text),
        Column("created_at", UtcDateTime, nullable=False),
        Column("finished_at", UtcDateTime),
    )
    Index("ix_jobs_state_run_after", jobs.c.state, jobs.c.run_after)
    return JobTables(leases, jobs)


class LeaseLost(Exception):
    """Somebody else holds the lease or the job now: stop without writing."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A lease that is held until `expires_at`; `fence` grows with every change of holder."""

    name: str
    holder: str
    fence: int
    expires_at: datetime


class Leases:
    """Named leases: at most one holder at a time, by one conditional statement."""

    def __init__(self, db: Database, tables: JobTables, clock: Clock, *, holder: str | None = None) -> None:
        raise NotImplementedError

    async def acquire(self, name: str, ttl: timedelta) -> Lease | None:
        """Take or extend the lease; None if somebody else holds it."""
        raise NotImplementedError

    async def release(self, lease: Lease) -> None:
        """Give the lease back."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job as its handler sees it."""

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


class JobRun:
    """A running job: the handler reads `job` and saves progress in its own transactions."""

    job: Job

    async def save(self, progress: Mapping[str, Any], *, conn: AsyncConnection | None = None) -> None:
        """Record progress and extend the lease; LeaseLost when the job was taken over."""
        raise NotImplementedError


JobHandler = Callable[[JobRun], Awaitable[None]]


class JobQueue:
    """Resumable jobs."""

    def __init__(self, db: Database, tables: JobTables, clock: Clock, *, holder: str | None = None) -> None:
        raise NotImplementedError

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
        """Store a job (in the caller's transaction if given); its id, or the id of its twin."""
        raise NotImplementedError

    async def get(self, job_id: str) -> Job | None:
        """A job by id."""
        raise NotImplementedError

    async def run_one(self, handlers: Mapping[str, JobHandler]) -> Job | None:
        """Lease one due job, run it, record the outcome; None if none is due."""
        raise NotImplementedError

    async def run_due(self, handlers: Mapping[str, JobHandler], *, limit: int = 100) -> int:
        """Run due jobs until none is left; how many ran."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Periodic:
    """A task run every `every` by one replica at a time."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[None]]
    lease: timedelta = timedelta(seconds=60)


class Runner:
    """Runs periodic tasks and jobs in the background of an application's lifespan."""

    def __init__(
        self,
        db: Database,
        tables: JobTables,
        clock: Clock,
        *,
        periodics: Sequence[Periodic] = (),
        handlers: Mapping[str, JobHandler] | None = None,
    ) -> None:
        raise NotImplementedError

    async def run_once(self) -> int:
        """Run every periodic task that is due and all due jobs; how many ran."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start the background task."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop the background task and wait for it."""
        raise NotImplementedError
