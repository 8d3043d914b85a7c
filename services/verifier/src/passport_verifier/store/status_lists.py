"""Status list tokens of issuers as rows: fetched in the background, kept durably, never rolled back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.status_list import TTL_MAX
from passport_shared.service.once import insert_once
from passport_shared.service.schedule import is_due
from passport_verifier.store.tables import status_lists


@dataclass(frozen=True, kw_only=True)
class StoredList:
    """One status list: its uri, whose it is, the newest token that was accepted, and when to ask again."""

    uri: str
    issuer: str
    token: str | None
    iat: datetime | None
    exp: datetime | None
    fetched_at: datetime | None
    next_fetch_at: datetime
    failures: int
    last_error: str | None


def _stored(row: RowMapping) -> StoredList:
    return StoredList(**{name: value for name, value in row.items() if name != "first_seen_at"})


async def get(conn: AsyncConnection, uri: str) -> StoredList | None:
    """One list."""
    row = (await conn.execute(select(status_lists).where(status_lists.c.uri == uri))).mappings().one_or_none()
    return _stored(row) if row else None


async def know(conn: AsyncConnection, uri: str, issuer: str, now: datetime) -> bool:
    """Begin to keep a list; whether it is new. It is fetched at the next round."""
    row = {
        "uri": uri,
        "issuer": issuer,
        "next_fetch_at": now,
        "failures": 0,
        "first_seen_at": now,
    }
    return await insert_once(conn, status_lists, row)


async def known(conn: AsyncConnection, uris: Collection[str]) -> set[str]:
    """Which of these lists are kept already."""
    query = select(status_lists.c.uri).where(status_lists.c.uri.in_(list(uris)))
    return {row.uri for row in await conn.execute(query)}


async def due(conn: AsyncConnection, now: datetime, *, limit: int = 200) -> list[StoredList]:
    """Lists to be fetched now, the longest overdue first."""
    query = select(status_lists).where(is_due(status_lists.c.next_fetch_at, now, TTL_MAX))
    rows = await conn.execute(query.order_by(status_lists.c.next_fetch_at).limit(limit))
    return [_stored(row) for row in rows.mappings()]


async def keep(
    conn: AsyncConnection,
    uri: str,
    *,
    token: str,
    iat: datetime,
    exp: datetime,
    fetched_at: datetime,
    next_fetch_at: datetime,
) -> bool:
    """Keep a newer token; False, with the schedule moved on, if what is kept is as new."""
    table = status_lists
    schedule = {
        "fetched_at": fetched_at,
        "next_fetch_at": next_fetch_at,
        "failures": 0,
        "last_error": None,
    }
    newer = or_(table.c.iat.is_(None), table.c.iat < iat)
    statement = update(table).where(table.c.uri == uri)
    changed = await conn.execute(statement.where(newer).values(token=token, iat=iat, exp=exp, **schedule))
    if changed.rowcount == 1:
        return True
    await conn.execute(statement.where(table.c.iat == iat).values(**schedule))
    return False


async def fail(
    conn: AsyncConnection, uri: str, *, error: str, failures: int, next_fetch_at: datetime
) -> None:
    """Record that a list could not be fetched; what is kept stays."""
    values = {"failures": failures, "last_error": error, "next_fetch_at": next_fetch_at}
    await conn.execute(update(status_lists).where(status_lists.c.uri == uri).values(**values))


async def hurry(conn: AsyncConnection, uri: str, now: datetime) -> None:
    """Ask for a list at the next round, whatever its schedule."""
    table = status_lists
    statement = update(table).where(table.c.uri == uri, table.c.next_fetch_at > now)
    await conn.execute(statement.values(next_fetch_at=now))
