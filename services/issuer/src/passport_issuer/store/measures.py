"""States of the issuer for metrics and for ``doctor``: counts and ages, of nobody in particular.

Nothing here reads a table that grows with the staff: credentials and offers are counted where they are made.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.releases import CaseState
from passport_issuer.store import release_tables
from passport_issuer.store import tables as t
from passport_shared.service import metric_names as m
from passport_shared.service.measuring import Samples, seconds


async def measure(conn: AsyncConnection, now: datetime) -> Samples:
    """Read them all."""
    return {
        **await _releases(conn, now),
        **await status_lists(conn, now),
    }


async def _releases(conn: AsyncConnection, now: datetime) -> Samples:
    cases = release_tables.releases
    waiting = select(func.count(), func.min(cases.c.received_at)).where(
        cases.c.state == CaseState.REQUESTED.value
    )
    count, oldest = (await conn.execute(waiting)).one()
    return {m.RELEASES_OPEN: {(): float(count)}, m.RELEASES_OLDEST: {(): seconds(now, oldest)}}


async def status_lists(conn: AsyncConnection, now: datetime) -> Samples:
    """How far publication is behind, how old the oldest list in force is, how full the fullest open one."""
    lists = t.status_lists
    rows = (await conn.execute(select(lists))).all()
    pending = [row for row in rows if row.version > row.published_version or row.published_at is None]
    oldest = min((row.published_at for row in rows if row.published_at is not None), default=None)
    newest: dict[str, float] = {}
    for row in rows:
        newest[row.ods] = min(newest.get(row.ods, 1.0), row.allocated / row.size)
    return {
        m.STATUS_PENDING: {(): float(len(pending))},
        m.STATUS_OLDEST: {(): seconds(now, oldest)},
        m.STATUS_ROOM: {(): max(newest.values(), default=0.0)},
    }
