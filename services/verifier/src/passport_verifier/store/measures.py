"""States of the verifier for metrics and for ``doctor``: counts and ages, of nobody in particular."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service import metric_names as m
from passport_shared.service.measuring import Samples, Values, counted, seconds
from passport_verifier.store import placement_tables as p
from passport_verifier.store import release_tables
from passport_verifier.store import tables as t
from passport_verifier.store.release_requests import ReleaseRequestState

WAITING = (ReleaseRequestState.COMPOSED.value, ReleaseRequestState.REQUESTED.value)


async def measure(conn: AsyncConnection, now: datetime) -> Samples:
    """Read them all."""
    return {
        **await _placements(conn, now),
        **await alerts(conn, now),
        **await _waiting(conn, now),
        **await status_lists(conn, now),
    }


async def _placements(conn: AsyncConnection, now: datetime) -> Samples:
    table = p.placements
    rows = await conn.execute(select(table.c.state, func.count()).group_by(table.c.state))
    states = counted([(row[0], row[1]) for row in rows])
    held = select(func.count()).select_from(table).where(table.c.on_hold, table.c.ended_at.is_(None))
    untold = select(func.min(table.c.next_try_at)).where(table.c.told_revision < table.c.revision)
    return {
        m.PLACEMENTS: {**states, ("ON_HOLD",): float((await conn.execute(held)).scalar_one())},
        m.TELLING_OLDEST: {(): seconds(now, (await conn.execute(untold)).scalar())},
    }


async def alerts(conn: AsyncConnection, now: datetime) -> Samples:
    """Alerts nobody has acknowledged, the urgent ones apart."""
    table = p.alerts
    query = select(table.c.urgent, func.count(), func.min(table.c.raised_at))
    rows = await conn.execute(query.where(table.c.acknowledged_at.is_(None)).group_by(table.c.urgent))
    count: Values = {("true",): 0.0, ("false",): 0.0}
    oldest: Values = {("true",): 0.0, ("false",): 0.0}
    for urgent, number, at in rows:
        label = ("true" if urgent else "false",)
        count[label], oldest[label] = float(number), seconds(now, at)
    return {m.ALERTS_OPEN: count, m.ALERTS_OLDEST: oldest}


async def _waiting(conn: AsyncConnection, now: datetime) -> Samples:
    held, asked = t.held_presentations, release_tables.release_requests
    presentations = select(func.count()).select_from(held).where(held.c.expires_at > now)
    releases = select(func.count()).select_from(asked).where(asked.c.state.in_(WAITING))
    return {
        m.PRESENTATIONS_HELD: {(): float((await conn.execute(presentations)).scalar_one())},
        m.RELEASES_AWAITED: {(): float((await conn.execute(releases)).scalar_one())},
    }


async def status_lists(conn: AsyncConnection, now: datetime) -> Samples:
    """Lists of issuers that are kept, how many of them say nothing any more, and the oldest one's age."""
    table = t.status_lists
    kept = select(func.count(), func.min(table.c.iat)).select_from(table)
    ended = select(func.count()).select_from(table).where(or_(table.c.exp.is_(None), table.c.exp <= now))
    count, oldest = (await conn.execute(kept)).one()
    return {
        m.LISTS_KEPT: {(): float(count)},
        m.LISTS_ENDED: {(): float((await conn.execute(ended)).scalar_one())},
        m.LISTS_OLDEST: {(): seconds(now, oldest)},
    }
