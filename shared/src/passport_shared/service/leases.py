"""Leases: who does a thing that only one replica may do at a time (design §7).

A lease is taken by one conditional UPDATE … RETURNING on both databases. It ends by itself, so that a killed
holder is replaced without anybody's help; its `fence` grows with every holder, and a holder that was asleep
finds out at its next write through `confirm`, which also makes rivals wait until that transaction is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    not_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.formats.ids import new_id
from passport_shared.service.db import Database, JsonText, UtcDateTime
from passport_shared.service.once import insert_once
from passport_shared.service.schedule import is_due

LONGEST_PERIOD = timedelta(hours=24)

T = TypeVar("T")


@dataclass(frozen=True)
class JobTables:
    """Tables of leases (with the due times of periodic tasks) and jobs."""

    leases: Table
    jobs: Table


def tables(metadata: MetaData) -> JobTables:
    """Define the tables of leases and jobs."""
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
    """A lease that is held until `expires_at`; `fence` grows with every holder."""

    name: str
    holder: str
    fence: int
    expires_at: datetime


class Leases:
    """Named leases: at most one holder at a time, also among the tasks of one process.

    Args:
        holder: shown in the table, to tell replicas apart; every lease adds its own random part.
    """

    def __init__(self, db: Database, tables: JobTables, clock: Clock, *, holder: str = "") -> None:
        self._db = db
        self._table = tables.leases
        self._clock = clock
        self._holder = holder

    async def acquire(self, name: str, ttl: timedelta) -> Lease | None:
        """Take a lease that is free or has ended; None if somebody holds it."""
        return await self._take(name, ttl, true())

    async def acquire_due(
        self, name: str, ttl: timedelta, *, every: timedelta = LONGEST_PERIOD
    ) -> Lease | None:
        """Take the lease of a periodic task if the task is due as well: never put off beyond `every`."""
        table, now = self._table, self._clock.now()
        due = is_due(table.c.next_run_at, now, every)
        async with self._db.read() as conn:
            waiting = not_(due & is_due(table.c.expires_at, now, ttl))
            if (await conn.execute(select(table.c.name).where(table.c.name == name, waiting))).first():
                return None
        return await self._take(name, ttl, due)

    async def _take(self, name: str, ttl: timedelta, condition: ColumnElement[bool]) -> Lease | None:
        table, now = self._table, self._clock.now()
        holder, expires_at = f"{self._holder}{new_id()}", now + ttl
        statement = (
            update(table)
            .where(table.c.name == name, is_due(table.c.expires_at, now, ttl), condition)
            .values(holder=holder, expires_at=expires_at, fence=table.c.fence + 1)
            .returning(table.c.fence)
        )
        rows = await self._db.hot(statement, statement)
        if rows:
            return Lease(name=name, holder=holder, fence=rows[0]["fence"], expires_at=expires_at)
        first = {"name": name, "holder": holder, "fence": 1, "expires_at": expires_at, "next_run_at": now}
        async with self._db.write() as conn:
            if await insert_once(conn, table, first):
                return Lease(name=name, holder=holder, fence=1, expires_at=expires_at)
        return None

    def _mine(self, lease: Lease) -> ColumnElement[bool]:
        table = self._table
        return (
            (table.c.name == lease.name) & (table.c.holder == lease.holder) & (table.c.fence == lease.fence)
        )

    async def extend(self, lease: Lease, ttl: timedelta) -> Lease:
        """Hold the lease longer; LeaseLost if somebody else took it."""
        expires_at = self._clock.now() + ttl
        async with self._db.write() as conn:
            await self._touch(conn, lease, {"expires_at": expires_at})
        return Lease(name=lease.name, holder=lease.holder, fence=lease.fence, expires_at=expires_at)

    async def confirm(self, conn: AsyncConnection, lease: Lease) -> None:
        """Inside a transaction: LeaseLost if somebody else took it; nobody takes it before the commit."""
        await self._touch(conn, lease, {"holder": lease.holder})

    async def _touch(self, conn: AsyncConnection, lease: Lease, values: Mapping[str, Any]) -> None:
        table = self._table
        statement = update(table).where(self._mine(lease)).values(dict(values)).returning(table.c.fence)
        if (await conn.execute(statement)).first() is None:
            raise LeaseLost(lease.name)

    async def release(self, lease: Lease, *, next_run_in: timedelta | None = None) -> None:
        """Give the lease back (and say when its periodic task is due next); nothing if it was lost."""
        now = self._clock.now()
        values: dict[str, datetime] = {"expires_at": now}
        if next_run_in is not None:
            values["next_run_at"] = now + next_run_in
        async with self._db.write() as conn:
            await conn.execute(update(self._table).where(self._mine(lease)).values(values))

    @asynccontextmanager
    async def hold(self, name: str, ttl: timedelta) -> AsyncIterator[Lease | None]:
        """Take the lease for the block and give it back after; None inside if somebody holds it."""
        lease = await self.acquire(name, ttl)
        try:
            yield lease
        finally:
            if lease is not None:
                await self.release(lease)


async def while_held(work: Awaitable[T], extend: Callable[[], Awaitable[object]], ttl: timedelta) -> T:
    """Do `work`, extending its lease three times per `ttl`; LeaseLost, and the work cancelled, if lost."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=ttl.total_seconds() / 3)
            if not task.done():
                await extend()
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
