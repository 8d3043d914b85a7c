"""API clients and their public keys; at most two keys of a client live at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.store import tables
from passport_registry.store.rows import Duplicate, VersionChanged, many, one
from passport_shared.service.db import is_unique_violation

_T = tables.api_clients
_K = tables.api_client_keys


@dataclass(frozen=True, kw_only=True)
class ClientRow:
    """One API client without its keys."""

    client_id: str
    name: str
    kind: str
    organisation: str
    scopes: Sequence[str]
    state: str
    created_at: datetime
    created_by: str
    version: int


@dataclass(frozen=True, kw_only=True)
class ClientKey:
    """One public key of a client; the key id is its thumbprint, so that one key has one client for ever."""

    kid: str
    client_id: str
    slot: int
    jwk: Mapping[str, Any]
    added_at: datetime
    removed_at: datetime | None = None


async def add(conn: AsyncConnection, row: ClientRow) -> None:
    """Insert a client.

    Raises:
        Duplicate: its id is taken.
    """
    try:
        await conn.execute(insert(_T).values(**vars(row)))
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from error
        raise


async def get(conn: AsyncConnection, client_id: str) -> ClientRow | None:
    """Return a client."""
    return await one(conn, select(_T).where(_T.c.client_id == client_id), ClientRow)


async def page(conn: AsyncConnection, *, after: str | None, limit: int | None) -> list[ClientRow]:
    """Return clients by id, after a cursor."""
    query = select(_T).order_by(_T.c.client_id)
    if after is not None:
        query = query.where(_T.c.client_id > after)
    if limit is not None:
        query = query.limit(limit)
    return await many(conn, query, ClientRow)


async def change(
    conn: AsyncConnection, client_id: str, version: int | None, values: Mapping[str, Any]
) -> None:
    """Change a client that still has this version (None: whatever it has).

    Raises:
        VersionChanged: it has another.
    """
    query = update(_T).where(_T.c.client_id == client_id)
    if version is not None:
        query = query.where(_T.c.version == version)
    result = await conn.execute(query.values(**values, version=_T.c.version + 1))
    if result.rowcount != 1:
        raise VersionChanged


async def set_state(conn: AsyncConnection, client_id: str, state: str) -> bool:
    """Put a client into a state; whether it was in another one."""
    query = update(_T).where(_T.c.client_id == client_id, _T.c.state != state)
    return (await conn.execute(query.values(state=state, version=_T.c.version + 1))).rowcount == 1


async def keys(conn: AsyncConnection, client_id: str | None = None) -> dict[str, list[ClientKey]]:
    """Return the live keys by client, oldest first."""
    query = select(_K).where(_K.c.removed_at.is_(None)).order_by(_K.c.added_at, _K.c.kid)
    if client_id is not None:
        query = query.where(_K.c.client_id == client_id)
    found: dict[str, list[ClientKey]] = {}
    for key in await many(conn, query, ClientKey):
        found.setdefault(key.client_id, []).append(key)
    return found


async def key_of(conn: AsyncConnection, kid: str) -> tuple[ClientRow, ClientKey] | None:
    """Return a live key with its client, whatever state that is in."""
    key = await one(conn, select(_K).where(_K.c.kid == kid, _K.c.removed_at.is_(None)), ClientKey)
    row = await get(conn, key.client_id) if key else None
    return (row, key) if row and key else None


async def add_key(conn: AsyncConnection, key: ClientKey) -> None:
    """Insert a key.

    Raises:
        Duplicate: the key has a client already, or the slot is taken.
    """
    try:
        async with conn.begin_nested():
            await conn.execute(insert(_K).values(**vars(key)))
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from error
        raise


async def remove_key(conn: AsyncConnection, client_id: str, kid: str, now: datetime) -> bool:
    """Remove a live key; False if there is none."""
    result = await conn.execute(
        update(_K)
        .where(_K.c.client_id == client_id, _K.c.kid == kid, _K.c.removed_at.is_(None))
        .values(removed_at=now)
    )
    return result.rowcount == 1
