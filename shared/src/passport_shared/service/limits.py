"""Rate limits that survive a restart and hold across replicas: one row per limit and subject.

The row holds the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): a subject may
spend ``burst`` requests at once and earns one back every ``per / limit``. One conditional statement decides
and spends. Subjects are kept as hashes, because they may be addresses.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table, Text, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from passport_shared.formats.clock import Clock
from passport_shared.formats.freshness import CLOCK_LEEWAY
from passport_shared.service.db import Database
from passport_shared.service.problems import TooManyRequests

_MICROSECOND = timedelta(microseconds=1)
_LEEWAY_US = CLOCK_LEEWAY // _MICROSECOND


@dataclass(frozen=True)
class LimitTables:
    """The table of rate limits."""

    limits: Table


def tables(metadata: MetaData) -> LimitTables:
    """Define the table of rate limits."""
    limits = Table(
        "rate_limits",
        metadata,
        Column("name", Text, primary_key=True),
        Column("subject_hash", Text, primary_key=True),
        Column("next_at_us", BigInteger, nullable=False),
    )
    return LimitTables(limits)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A limit: ``limit`` requests per ``per``, of which ``burst`` may come at once (all by default)."""

    name: str
    limit: int
    per: timedelta
    burst: int | None = None

    def __post_init__(self) -> None:
        if self.limit < 1 or self.per <= timedelta(0) or (self.burst is not None and self.burst < 1):
            raise ValueError("a rate needs a positive limit, period and burst")

    @property
    def interval_us(self) -> int:
        """Microseconds after which one request is earned back."""
        return max(1, self.per // _MICROSECOND // self.limit)

    @property
    def allowance_us(self) -> int:
        """How far ahead of now a subject may spend, in microseconds."""
        return self.interval_us * (self.burst or self.limit)


class RateLimiter:
    """Spends requests against rates."""

    def __init__(self, db: Database, tables: LimitTables, clock: Clock) -> None:
        self._db = db
        self._limits = tables.limits
        self._clock = clock

    async def spend(self, rate: Rate, subject: str) -> None:
        """Spend one request of a subject (a client id, an address, a code's hash).

        Raises:
            TooManyRequests: with the time after which one request is earned back.
        """
        wait = await self.try_spend(rate, subject)
        if wait is not None:
            raise TooManyRequests(wait)

    async def try_spend(self, rate: Rate, subject: str) -> timedelta | None:
        """Spend one request; None when allowed, else how long to wait."""
        now_us = self._now_us()
        statement = self._statement(rate, _hashed(rate, subject), now_us)
        if await self._db.hot(statement, statement):
            return None
        next_at = await self._next_at_us(rate, subject)
        wait_us = self._spent_us(rate, next_at, now_us) + rate.interval_us - rate.allowance_us - now_us
        return max(wait_us, 1) * _MICROSECOND

    async def unless_waiting(self, rate: Rate, subject: str) -> timedelta | None:
        """As ``try_spend``, and without a write for a subject that has nothing left.

        For what strangers may repeat without end: once they are over their limit they cost one read.
        """
        next_at, now_us = await self._next_at_us(rate, subject), self._now_us()
        wait_us = self._spent_us(rate, next_at, now_us) + rate.interval_us - rate.allowance_us - now_us
        return wait_us * _MICROSECOND if wait_us > 0 else await self.try_spend(rate, subject)

    def _spent_us(self, rate: Rate, next_at_us: int | None, now_us: int) -> int:
        """Up to when a subject has spent; what no right clock can have written counts as nothing."""
        if next_at_us is None or next_at_us > now_us + rate.allowance_us + _LEEWAY_US:
            return now_us
        return next_at_us

    def _now_us(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)

    async def _next_at_us(self, rate: Rate, subject: str) -> int | None:
        query = select(self._limits.c.next_at_us).where(
            self._limits.c.name == rate.name, self._limits.c.subject_hash == _hashed(rate, subject)
        )
        async with self._db.read() as conn:
            found: int | None = (await conn.execute(query)).scalar_one_or_none()
        return found

    async def purge(self) -> int:
        """Forget subjects that have earned everything back; returns how many."""
        now_us = self._now_us()
        async with self._db.write() as conn:
            result = await conn.execute(delete(self._limits).where(self._limits.c.next_at_us <= now_us))
            return int(result.rowcount)

    def _statement(self, rate: Rate, subject_hash: str, now_us: int) -> Any:
        dialect = sqlite if self._db.dialect == "sqlite" else postgresql
        table = self._limits
        interval = rate.interval_us
        statement = dialect.insert(table).values(
            name=rate.name, subject_hash=subject_hash, next_at_us=now_us + interval
        )
        # Nobody can have spent more than the allowance: beyond it a clock was ahead, which counts as nothing.
        known = (table.c.next_at_us > now_us) & (
            table.c.next_at_us <= now_us + rate.allowance_us + _LEEWAY_US
        )
        spent = case((known, table.c.next_at_us), else_=now_us) + interval
        return statement.on_conflict_do_update(
            index_elements=[table.c.name, table.c.subject_hash],
            set_={"next_at_us": spent},
            where=spent <= now_us + rate.allowance_us,
        ).returning(table.c.next_at_us)


def _hashed(rate: Rate, subject: str) -> str:
    return hashlib.sha256(f"{rate.name}\x00{subject}".encode()).hexdigest()
