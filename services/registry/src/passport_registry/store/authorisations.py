"""Authorisations of entities: proposed by one, granted by another, withdrawn by anyone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.rules.authorisations import GrantState
from passport_registry.store import tables
from passport_registry.store.rows import many, one

_T = tables.authorisations


@dataclass(frozen=True, kw_only=True)
class Authorisation:
    """One permission of one entity, with everybody who had a say in it."""

    id: str
    entity_id: str
    action: str
    vct: str
    territory: Sequence[str]
    valid_from: datetime
    valid_until: datetime
    max_validity_s: int | None
    claims: Sequence[Sequence[str | int | None]]
    purposes: Sequence[str]
    test: bool
    state: str
    proposed_at: datetime
    proposed_by: Mapping[str, Any]
    approved_at: datetime | None = None
    approved_by: Mapping[str, Any] | None = None
    four_eyes: str | None = None
    withdrawn_at: datetime | None = None
    withdrawn_by: Mapping[str, Any] | None = None
    withdrawn_reason: str | None = None
    version: int = 1


async def add(conn: AsyncConnection, authorisation: Authorisation) -> None:
    """Insert a proposal."""
    await conn.execute(insert(_T).values(**vars(authorisation)))


async def get(conn: AsyncConnection, entity_id: str, authorisation_id: str) -> Authorisation | None:
    """Return the entity's authorisation with this id."""
    query = select(_T).where(_T.c.id == authorisation_id, _T.c.entity_id == entity_id)
    return await one(conn, query, Authorisation)


async def page(
    conn: AsyncConnection, entity_id: str, *, after: str | None, limit: int
) -> list[Authorisation]:
    """Return the entity's authorisations by id, after a cursor."""
    query = select(_T).where(_T.c.entity_id == entity_id).order_by(_T.c.id).limit(limit)
    if after is not None:
        query = query.where(_T.c.id > after)
    return await many(conn, query, Authorisation)


async def granted(conn: AsyncConnection, entity_ids: Collection[str]) -> list[Authorisation]:
    """Return what these entities have or had granted: a mark names both what is in force and what was."""
    query = select(_T).where(_T.c.approved_at.is_not(None), _T.c.entity_id.in_(entity_ids))
    return await many(conn, query.order_by(_T.c.id), Authorisation)


async def approve(
    conn: AsyncConnection,
    authorisation_id: str,
    *,
    approved_by: Mapping[str, Any],
    four_eyes: str,
    now: datetime,
) -> bool:
    """Grant a proposal; False if it is no proposal any more."""
    return await _move(
        conn,
        authorisation_id,
        (GrantState.PROPOSED,),
        state=GrantState.GRANTED.value,
        approved_at=now,
        approved_by=dict(approved_by),
        four_eyes=four_eyes,
    )


async def withdraw(
    conn: AsyncConnection,
    authorisation_id: str,
    *,
    withdrawn_by: Mapping[str, Any],
    reason: str,
    now: datetime,
) -> bool:
    """Withdraw a proposal or a grant; False if it has been."""
    return await _move(
        conn,
        authorisation_id,
        (GrantState.PROPOSED, GrantState.GRANTED),
        state=GrantState.WITHDRAWN.value,
        withdrawn_at=now,
        withdrawn_by=dict(withdrawn_by),
        withdrawn_reason=reason,
    )


async def _move(
    conn: AsyncConnection, authorisation_id: str, states: Sequence[GrantState], **values: Any
) -> bool:
    result = await conn.execute(
        update(_T)
        .where(_T.c.id == authorisation_id, _T.c.state.in_([state.value for state in states]))
        .values(**values, version=_T.c.version + 1)
    )
    return result.rowcount == 1
