"""Gatherings: what was read about a person at one moment, item by item, until it is applied or forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.workforce import Cause, ItemKind, ItemState
from passport_issuer.store import connection_tables as t
from passport_issuer.store.rows import as_row, as_value, many, one
from passport_shared.service.paging import PageQuery, fetch_page


@dataclass(frozen=True, kw_only=True)
class Gathering:
    """One reading of a person's records; ``sources`` say per connection how it went."""

    id: str
    ods: str
    staff_id: str
    cause: Cause
    sources: tuple[Mapping[str, Any], ...]
    created_at: datetime
    created_by: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that was read; ``values`` are kept only while it can be applied."""

    id: str
    gathering_id: str
    connection_id: str
    position: int
    kind: ItemKind
    key: str
    state: ItemState
    reason: str | None
    values: Mapping[str, Any] | None
    differs: tuple[str, ...]
    applied_at: datetime | None
    applied_by: str | None
    record_id: str | None
    changed_something: bool | None


async def insert_gathering(conn: AsyncConnection, gathering: Gathering, items: Sequence[Item]) -> None:
    """Write a gathering with its items."""
    await conn.execute(insert(t.gatherings).values(as_row(gathering)))
    if items:
        await conn.execute(insert(t.gathering_items), [as_row(item) for item in items])


async def get_gathering(
    conn: AsyncConnection, ods: str, staff_id: str, gathering_id: str
) -> Gathering | None:
    """One gathering about this person."""
    table = t.gatherings
    query = select(table).where(table.c.ods == ods, table.c.staff_id == staff_id, table.c.id == gathering_id)
    return await one(conn, query, Gathering)


async def list_gatherings(
    conn: AsyncConnection, ods: str, staff_id: str, page: PageQuery
) -> tuple[list[Gathering], str | None]:
    """A page of a person's gatherings, newest first."""
    table = t.gatherings
    query = select(table).where(table.c.ods == ods, table.c.staff_id == staff_id)
    rows, following = await fetch_page(
        conn,
        query,
        list_name=f"gatherings/{staff_id}",
        order_by=[table.c.id],
        query=page,
        descending=True,
    )
    return [as_value(Gathering, row._mapping) for row in rows], following


async def items_of(conn: AsyncConnection, gathering_id: str) -> list[Item]:
    """The items of a gathering in the order in which they were read."""
    table = t.gathering_items
    query = select(table).where(table.c.gathering_id == gathering_id).order_by(table.c.position)
    return await many(conn, query, Item)


async def mark_applied(
    conn: AsyncConnection,
    item_id: str,
    *,
    at: datetime,
    by: str,
    record_id: str | None,
    changed_something: bool,
) -> bool:
    """Note that an item was applied, once; False when it was before. Its values are forgotten."""
    table = t.gathering_items
    marked = await conn.execute(
        update(table)
        .where(table.c.id == item_id, table.c.applied_at.is_(None))
        .values(
            applied_at=at,
            applied_by=by,
            record_id=record_id,
            changed_something=changed_something,
            values=None,
        )
    )
    return marked.rowcount == 1


async def forget_waiting(
    conn: AsyncConnection, staff_id: str, causes: Sequence[Cause], applied_by: str
) -> None:
    """Remove a person's gatherings of these causes, but for those somebody else than ``applied_by`` used."""
    items = t.gathering_items
    used = select(items.c.gathering_id).where(
        items.c.applied_by.is_not(None), items.c.applied_by != applied_by
    )
    waiting = (
        select(t.gatherings.c.id)
        .where(t.gatherings.c.staff_id == staff_id, t.gatherings.c.cause.in_([c.value for c in causes]))
        .where(t.gatherings.c.id.not_in(used))
    )
    await _remove(conn, [row.id for row in (await conn.execute(waiting)).all()])


async def forget_expired(conn: AsyncConnection, now: datetime, limit: int = 500) -> int:
    """Remove gatherings that are over; how many."""
    query = select(t.gatherings.c.id).where(t.gatherings.c.expires_at <= now).limit(limit)
    ids = [row.id for row in (await conn.execute(query)).all()]
    await _remove(conn, ids)
    return len(ids)


async def _remove(conn: AsyncConnection, ids: Sequence[str]) -> None:
    if not ids:
        return
    await conn.execute(delete(t.gathering_items).where(t.gathering_items.c.gathering_id.in_(ids)))
    await conn.execute(delete(t.gatherings).where(t.gatherings.c.id.in_(ids)))
