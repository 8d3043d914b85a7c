"""Trust marks and the status lists that hold their standing.

A mark's `status` column is the one place of its standing: the status endpoint and the status list read it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.store import tables
from passport_registry.store.rows import Duplicate, many, one
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID
from passport_shared.service.db import is_unique_violation
from passport_shared.service.schedule import is_due

_M = tables.trust_marks
_L = tables.status_lists

BITS = 2
SIZE = 131_072
# A list is left at 60 % fill, so that a random index is free at the second try (standards.md §2.4).
FULL_AT = SIZE * 6 // 10


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One mark: PREPARED with the content to be signed, CURRENT, REPLACED or ABANDONED. PERSISTED states."""

    jti: str
    entity_id: str
    trust_mark_type: str
    content_digest: str
    content: Mapping[str, Any]
    issued_at: datetime
    expires_at: datetime
    status_list_id: str
    status_idx: int
    status: int
    state: str
    jwt: str | None = None
    replaced_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StatusListRow:
    """A status list of the registry; its last signed token is a cached document."""

    id: str
    uri: str
    bits: int
    size: int
    created_at: datetime
    full: bool
    content_digest: str | None = None
    issued_at: datetime | None = None


async def open_list(conn: AsyncConnection) -> StatusListRow | None:
    """Return the list that new indices come from."""
    return await one(
        conn, select(_L).where(_L.c.full.is_(False)).order_by(_L.c.created_at.desc()).limit(1), StatusListRow
    )


async def add_list(conn: AsyncConnection, row: StatusListRow) -> None:
    """Insert a status list."""
    await conn.execute(insert(_L).values(**vars(row)))


async def fill(conn: AsyncConnection, list_id: str) -> int:
    """Return how many indices of a list are taken."""
    query = select(func.count()).select_from(_M).where(_M.c.status_list_id == list_id)
    return int((await conn.execute(query)).scalar_one())


async def mark_full(conn: AsyncConnection, list_id: str) -> None:
    """Take no more indices from a list."""
    await conn.execute(update(_L).where(_L.c.id == list_id).values(full=True))


async def close_lists(conn: AsyncConnection) -> None:
    """After a restore: no index of these lists is given again, whether a row accounts for it or not."""
    await conn.execute(update(_L).values(full=True))


async def lists(conn: AsyncConnection, *, now: datetime) -> list[StatusListRow]:
    """Return the status lists that anybody may still ask about, oldest first.

    A list is left behind once it takes no more marks and the last of those on it has expired.
    """
    living = exists().where(_M.c.status_list_id == _L.c.id, _M.c.expires_at > now)
    query = select(_L).where(or_(_L.c.full.is_(False), living))
    return await many(conn, query.order_by(_L.c.created_at, _L.c.id), StatusListRow)


async def get_list(conn: AsyncConnection, list_id: str) -> StatusListRow | None:
    """Return one status list."""
    return await one(conn, select(_L).where(_L.c.id == list_id), StatusListRow)


async def note_token(
    conn: AsyncConnection, list_id: str, *, content_digest: str, issued_at: datetime
) -> bool:
    """Note a list's newly signed token; False if a newer one has been signed meanwhile."""
    older = _L.c.issued_at.is_(None) | is_due(_L.c.issued_at, issued_at, timedelta(0))
    result = await conn.execute(
        update(_L).where(_L.c.id == list_id, older).values(content_digest=content_digest, issued_at=issued_at)
    )
    return result.rowcount == 1


async def non_zero(conn: AsyncConnection, list_id: str) -> list[tuple[int, int]]:
    """Return (index, status) of every entry of a list that is not VALID, in order."""
    query = (
        select(_M.c.status_idx, _M.c.status)
        .where(_M.c.status_list_id == list_id, _M.c.status != 0)
        .order_by(_M.c.status_idx)
    )
    return [(row.status_idx, row.status) for row in await conn.execute(query)]


def random_index() -> int:
    """Return an index nobody can predict; whether it is free the unique constraint decides."""
    return secrets.randbelow(SIZE)


async def taken(conn: AsyncConnection, list_id: str, indices: Collection[int]) -> set[int]:
    """Return which of these indices of a list are taken."""
    query = select(_M.c.status_idx).where(
        _M.c.status_list_id == list_id, _M.c.status_idx.in_(sorted(indices))
    )
    return set((await conn.execute(query)).scalars())


async def prepare(conn: AsyncConnection, prepared: Sequence[Mark]) -> None:
    """Record the intention to sign marks.

    Raises:
        Duplicate: one of their status indices is taken; draw others.
    """
    try:
        async with conn.begin_nested():
            await conn.execute(insert(_M), [dict(vars(mark)) for mark in prepared])
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from error
        raise


async def make_current(
    conn: AsyncConnection, signed: Mapping[str, str], *, suspended: Collection[str], now: datetime
) -> list[Mark]:
    """Put prepared marks in the place of their entities' current ones, whose indices become INVALID.

    The caller holds the entities' rows (`entities.hold_many`). Returned are those that were put there: one
    that is not prepared any more changes nothing, because an entity without a current mark would have no
    authority at all.

    Args:
        conn: a transaction.
        signed: the signed marks by jti.
        suspended: entities whose mark is suspended from the start.
        now: when.
    """
    where = (_M.c.jti.in_(sorted(signed)), _M.c.state == "PREPARED")
    prepared = await many(conn, select(_M).where(*where).order_by(_M.c.jti), Mark)
    if not prepared:
        return []
    await conn.execute(
        update(_M)
        .where(_M.c.entity_id.in_([mark.entity_id for mark in prepared]), _M.c.state == "CURRENT")
        .values(state="REPLACED", status=INVALID, replaced_at=now)
    )
    for mark in prepared:
        status = SUSPENDED if mark.entity_id in suspended else VALID
        await conn.execute(
            update(_M)
            .where(_M.c.jti == mark.jti)
            .values(state="CURRENT", jwt=signed[mark.jti], status=status)
        )
    return prepared


async def abandon_prepared(conn: AsyncConnection, entity_ids: Collection[str]) -> None:
    """Burn the indices of marks that were prepared and never became current: a signature may exist."""
    await conn.execute(
        update(_M)
        .where(_M.c.entity_id.in_(entity_ids), _M.c.state == "PREPARED")
        .values(state="ABANDONED", status=INVALID)
    )


async def set_current_status(conn: AsyncConnection, entity_id: str, status: int) -> None:
    """Set the standing of the entity's current mark."""
    await conn.execute(
        update(_M).where(_M.c.entity_id == entity_id, _M.c.state == "CURRENT").values(status=status)
    )


async def current(conn: AsyncConnection, entity_id: str) -> Mark | None:
    """Return the entity's current mark."""
    return await one(conn, select(_M).where(_M.c.entity_id == entity_id, _M.c.state == "CURRENT"), Mark)


@dataclass(frozen=True, kw_only=True)
class CurrentMark:
    """What of an entity's current mark tells whether it is due."""

    entity_id: str
    content_digest: str
    issued_at: datetime


async def current_of(conn: AsyncConnection, entity_ids: Collection[str]) -> dict[str, CurrentMark]:
    """Return the current marks of these entities, by entity."""
    columns = [_M.c[field.name] for field in fields(CurrentMark)]
    query = select(*columns).where(_M.c.state == "CURRENT", _M.c.entity_id.in_(entity_ids))
    return {mark.entity_id: mark for mark in await many(conn, query, CurrentMark)}


async def by_jti(conn: AsyncConnection, jti: str) -> Mark | None:
    """Return a mark by its id, whatever its state."""
    return await one(conn, select(_M).where(_M.c.jti == jti), Mark)
