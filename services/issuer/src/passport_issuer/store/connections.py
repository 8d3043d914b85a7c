"""Connections to workforce systems: what people set, and how each one is doing.

What people change counts as a version; health, cursor and suspicion are written by whoever used the
connection, without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.workforce import (
    Authentication,
    ConnectionKind,
    ConnectionState,
    OnRegistrationChange,
    SystemType,
    kind_of,
)
from passport_issuer.store import connection_tables as t
from passport_issuer.store.rows import Duplicate, VersionChanged, as_row, as_value, many, one
from passport_shared.service.db import is_unique_violation
from passport_shared.service.paging import PageQuery, fetch_page
from passport_shared.service.schedule import is_due

LONGEST_PAUSE = timedelta(hours=1)
"""Between two turns of a connection."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One connection of a trust."""

    id: str
    ods: str
    name: str
    system_type: SystemType
    base_url: str
    authentication: Authentication
    token_url: str | None
    client_id: str | None
    audience: str | None
    api_key_wrapped: bytes | None
    private_hosts: tuple[str, ...]
    timeout_s: float
    max_pages: int
    on_registration_change: OnRegistrationChange
    state: ConnectionState
    event_key_hash: str | None
    last_ok_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    failures: int
    suspicious_at: datetime | None
    suspicious_reason: str | None
    cursor: str | None
    refresh_due_at: datetime
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime

    @property
    def kind(self) -> ConnectionKind:
        """The contract it speaks."""
        return kind_of(self.system_type)


_HEALTH = (
    "last_ok_at",
    "last_error",
    "last_error_at",
    "failures",
    "suspicious_at",
    "suspicious_reason",
    "cursor",
    "refresh_due_at",
    "event_key_hash",
)


async def insert_connection(conn: AsyncConnection, connection: Connection) -> None:
    """Write a new connection.

    Raises:
        Duplicate: the trust has one of this name; the transaction must be rolled back.
    """
    try:
        await conn.execute(insert(t.connections).values(as_row(connection)))
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from None
        raise


async def replace_connection(conn: AsyncConnection, connection: Connection, *, expected_version: int) -> None:
    """Replace what people set; ``connection.version`` is the new version.

    Raises:
        VersionChanged, Duplicate.
    """
    kept = ("id", "ods", "created_at", "created_by", *_HEALTH)
    try:
        changed = await conn.execute(
            update(t.connections)
            .where(
                t.connections.c.ods == connection.ods,
                t.connections.c.id == connection.id,
                t.connections.c.version == expected_version,
            )
            .values(**as_row(connection, without=kept), refresh_due_at=connection.updated_at)
        )
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from None
        raise
    if changed.rowcount != 1:
        raise VersionChanged


async def delete_connection(conn: AsyncConnection, connection: Connection) -> bool:
    """Delete a connection nobody is linked through, in the version that was read; whether it was deleted."""
    linked = select(t.staff_links.c.id).where(t.staff_links.c.connection_id == connection.id)
    gone = await conn.execute(
        delete(t.connections).where(
            t.connections.c.ods == connection.ods,
            t.connections.c.id == connection.id,
            t.connections.c.version == connection.version,
            ~linked.exists(),
        )
    )
    return gone.rowcount == 1


async def get_connection(conn: AsyncConnection, ods: str, connection_id: str) -> Connection | None:
    """One connection of this trust."""
    query = select(t.connections).where(t.connections.c.ods == ods, t.connections.c.id == connection_id)
    return await one(conn, query, Connection)


async def connections_of(conn: AsyncConnection, ods: str) -> list[Connection]:
    """All connections of a trust."""
    query = select(t.connections).where(t.connections.c.ods == ods).order_by(t.connections.c.id)
    return await many(conn, query, Connection)


async def list_connections(
    conn: AsyncConnection, ods: str, page: PageQuery
) -> tuple[list[Connection], str | None]:
    """A page of a trust's connections, oldest first."""
    query = select(t.connections).where(t.connections.c.ods == ods)
    rows, following = await fetch_page(
        conn, query, list_name=f"connections/{ods}", order_by=[t.connections.c.id], query=page
    )
    return [as_value(Connection, row._mapping) for row in rows], following


async def by_event_key(conn: AsyncConnection, key_hash: str) -> Connection | None:
    """The connection whose system has this event key."""
    return await one(
        conn, select(t.connections).where(t.connections.c.event_key_hash == key_hash), Connection
    )


async def due_connections(conn: AsyncConnection, now: datetime, limit: int) -> list[Connection]:
    """Connections whose turn has come, the longest waiting first."""
    query = (
        select(t.connections)
        .where(
            t.connections.c.state == ConnectionState.ACTIVE.value,
            is_due(t.connections.c.refresh_due_at, now, LONGEST_PAUSE),
        )
        .order_by(t.connections.c.refresh_due_at)
        .limit(limit)
    )
    return await many(conn, query, Connection)


async def set_event_key(conn: AsyncConnection, connection: Connection, key_hash: str) -> None:
    """Replace the event key."""
    await _set(conn, connection.id, event_key_hash=key_hash)


async def went_well(conn: AsyncConnection, connection_id: str, at: datetime) -> None:
    """Note that the system answered."""
    await _set(conn, connection_id, last_ok_at=at, last_error=None, failures=0)


async def went_wrong(conn: AsyncConnection, connection_id: str, reason: str, at: datetime) -> None:
    """Note that the system did not answer as it should."""
    await _set(
        conn,
        connection_id,
        last_error=reason,
        last_error_at=at,
        failures=t.connections.c.failures + 1,
    )


async def suspect(conn: AsyncConnection, connection_id: str, reason: str, at: datetime) -> bool:
    """Mark a connection as not to be believed by itself; whether it was not marked before."""
    marked = await conn.execute(
        update(t.connections)
        .where(and_(t.connections.c.id == connection_id, t.connections.c.suspicious_at.is_(None)))
        .values(suspicious_at=at, suspicious_reason=reason)
    )
    return marked.rowcount == 1


async def believe(conn: AsyncConnection, connection_id: str) -> bool:
    """Take the mark away; whether there was one."""
    cleared = await conn.execute(
        update(t.connections)
        .where(and_(t.connections.c.id == connection_id, t.connections.c.suspicious_at.is_not(None)))
        .values(suspicious_at=None, suspicious_reason=None)
    )
    return cleared.rowcount == 1


async def come_again(conn: AsyncConnection, connection_id: str, at: datetime) -> None:
    """Say when the connection's next turn is."""
    await _set(conn, connection_id, refresh_due_at=at)


async def hasten(conn: AsyncConnection, connection_id: str, at: datetime, grace: timedelta) -> None:
    """Bring the next turn forward, unless the system is being left alone after failures."""
    await conn.execute(
        update(t.connections)
        .where(
            t.connections.c.id == connection_id,
            t.connections.c.refresh_due_at > at,
            (t.connections.c.failures == 0) | (t.connections.c.refresh_due_at <= at + grace),
        )
        .values(refresh_due_at=at)
    )


async def move_cursor(conn: AsyncConnection, connection: Connection, cursor: str) -> bool:
    """Move the feed's cursor on from where it was read; False when another replica has moved it."""
    known = t.connections.c.cursor
    same = known.is_(None) if connection.cursor is None else known == connection.cursor
    moved = await conn.execute(
        update(t.connections).where(t.connections.c.id == connection.id, same).values(cursor=cursor)
    )
    return moved.rowcount == 1


async def _set(conn: AsyncConnection, connection_id: str, **values: object) -> None:
    await conn.execute(update(t.connections).where(t.connections.c.id == connection_id).values(**values))
