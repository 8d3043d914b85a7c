"""States of the registry for metrics and for ``doctor``."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.store import publications
from passport_registry.store import tables as t
from passport_registry.store.publications import Kind
from passport_shared.formats.trust_mark import PinState
from passport_shared.service import metric_names as m
from passport_shared.service.measuring import SOON, Samples, Values, counted, seconds


async def measure(conn: AsyncConnection, now: datetime) -> Samples:
    """Read them all."""
    return {**await publishing(conn, now), **await _entities(conn), **await certificates(conn, now)}


async def publishing(conn: AsyncConnection, now: datetime) -> Samples:
    """How far publication is behind, and how old what is published is."""
    changed = await publications.changes(conn)
    last = await publications.last(conn, Kind.SNAPSHOT)
    return {
        m.PUBLISHING_LAG: {(): float(changed.made - changed.published)},
        m.PUBLISHED_AGE: {(): seconds(now, last.issued_at if last else None)},
    }


async def _entities(conn: AsyncConnection) -> Samples:
    entities = t.entities
    rows = await conn.execute(select(entities.c.role, func.count()).group_by(entities.c.role))
    suspended = select(func.count()).select_from(entities).where(entities.c.suspension.is_not(None))
    return {
        m.ENTITIES: counted([(row[0], row[1]) for row in rows]),
        m.ENTITIES_SUSPENDED: {(): float((await conn.execute(suspended)).scalar_one())},
    }


async def certificates(conn: AsyncConnection, now: datetime) -> Samples:
    """By use: when the first entity's newest certificate may sign no more, and how many end soon.

    The authority's own certificates are told as uses ``ca-root`` and ``ca-issuing``, by their whole life.
    """
    leaves, authority = t.certificates, t.authority_certificates
    newest = (
        select(leaves.c.use, func.max(leaves.c.not_after_signing).label("until"))
        .where(leaves.c.state == PinState.ACTIVE.value, leaves.c.x5t_s256.is_not(None))
        .group_by(leaves.c.entity_id, leaves.c.use)
        .subquery()
    )
    rows = (await conn.execute(select(newest.c.use, func.min(newest.c.until)).group_by(newest.c.use))).all()
    ending = await conn.execute(
        select(newest.c.use, func.count()).where(newest.c.until <= now + SOON).group_by(newest.c.use)
    )
    days: Values = {(row[0],): (row[1] - now).total_seconds() / 86_400 for row in rows}
    own = await conn.execute(select(authority.c.name, authority.c.not_after))
    days |= {(f"ca-{row[0]}",): (row[1] - now).total_seconds() / 86_400 for row in own if row[0] != "status"}
    return {
        m.CERTIFICATE_DAYS: days,
        m.CERTIFICATES_ENDING: counted([(row[0], row[1]) for row in ending], (row[0] for row in rows)),
    }
