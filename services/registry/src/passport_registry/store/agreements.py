"""Agreements between organisations in their minimal form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.rules.agreements import AgreementState
from passport_registry.store import tables
from passport_registry.store.rows import VersionChanged, many, one

_T = tables.agreements


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Who agreed on which movements, for whom, how long, and from when."""

    id: str
    type: str
    agreement_version: str
    text_hash: str | None
    parties: Sequence[str]
    movement_types: Sequence[str]
    staff_groups: Sequence[str]
    max_days: int | None
    effective: date
    expires: date | None
    state: str
    created_at: datetime
    created_by: Mapping[str, Any]
    updated_at: datetime
    version: int


async def add(conn: AsyncConnection, agreement: Agreement) -> None:
    """Insert an agreement."""
    await conn.execute(insert(_T).values(**vars(agreement)))


async def get(conn: AsyncConnection, agreement_id: str) -> Agreement | None:
    """Return an agreement."""
    return await one(conn, select(_T).where(_T.c.id == agreement_id), Agreement)


async def page(conn: AsyncConnection, *, after: str | None, limit: int) -> list[Agreement]:
    """Return agreements by id, after a cursor."""
    query = select(_T).order_by(_T.c.id).limit(limit)
    if after is not None:
        query = query.where(_T.c.id > after)
    return await many(conn, query, Agreement)


async def in_force(conn: AsyncConnection) -> list[Agreement]:
    """Return every agreement that has not ended by decision; its dates are the reader's to judge."""
    return await many(
        conn, select(_T).where(_T.c.state == AgreementState.IN_FORCE.value).order_by(_T.c.id), Agreement
    )


async def change(
    conn: AsyncConnection, agreement_id: str, version: int, values: Mapping[str, Any], now: datetime
) -> None:
    """Change an agreement that still has this version.

    Raises:
        VersionChanged: it has another.
    """
    result = await conn.execute(
        update(_T)
        .where(_T.c.id == agreement_id, _T.c.version == version)
        .values(**values, updated_at=now, version=version + 1)
    )
    if result.rowcount != 1:
        raise VersionChanged
