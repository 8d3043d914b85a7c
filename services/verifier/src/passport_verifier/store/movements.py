"""Movements as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import RowMapping, and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.paging import PageQuery, fetch_page
from passport_verifier.rules.movement_state import MovementState as MovementState
from passport_verifier.store.requests import RequestState
from passport_verifier.store.tables import movements, presentation_requests


@dataclass(frozen=True, kw_only=True)
class Movement:
    """A temporary move to this host; ``details`` are what the host wrote and identify no staff member.

    ``start`` and ``end`` are days in Europe/London, both inclusive; ``data_key`` is wrapped.
    ``terms_version`` rises when days or duties change, ``version`` with every change. ``agreement`` is the
    one it rests on, ``capped_end`` the last day its employer has released, where that is an earlier one.
    """

    id: str
    ods: str
    employing_ods: str
    type: str
    role_profile: str
    start: date
    end: date
    details: Mapping[str, Any]
    external_id: str | None
    state: MovementState
    data_key: bytes
    created_at: datetime
    created_by: Mapping[str, Any]
    updated_at: datetime
    version: int
    terms_version: int = 1
    agreement: Mapping[str, Any] | None = None
    capped_end: date | None = None
    inducted_on: date | None = None
    inducted_by: Mapping[str, Any] | None = None

    @property
    def last_day(self) -> date:
        """The last day as it stands: the earlier of its end and what the employing trust has released."""
        return min(self.end, self.capped_end) if self.capped_end is not None else self.end


def _movement(row: RowMapping) -> Movement:
    return Movement(**{**row, "state": MovementState(row["state"])})


async def add(conn: AsyncConnection, movement: Movement) -> None:
    """Store a new movement; IntegrityError for an external id that the organisation has used."""
    await conn.execute(insert(movements).values(**vars(movement)))


async def get(conn: AsyncConnection, ods: str, movement_id: str) -> Movement | None:
    """One movement of an organisation."""
    query = select(movements).where(movements.c.id == movement_id, movements.c.ods == ods)
    row = (await conn.execute(query)).mappings().one_or_none()
    return _movement(row) if row else None


async def data_keys(conn: AsyncConnection, ods: str, movement_ids: Collection[str]) -> dict[str, bytes]:
    """The wrapped data keys of some of an organisation's movements, by movement."""
    mine = (movements.c.ods == ods, movements.c.id.in_(sorted(movement_ids)))
    rows = await conn.execute(select(movements.c.id, movements.c.data_key).where(*mine))
    return {row.id: bytes(row.data_key) for row in rows}


async def page(
    conn: AsyncConnection,
    ods: str,
    query: PageQuery,
    *,
    state: str | None = None,
    external_id: str | None = None,
) -> tuple[list[Movement], str | None]:
    """An organisation's movements, newest first."""
    statement = select(movements).where(movements.c.ods == ods)
    if state is not None:
        statement = statement.where(movements.c.state == state)
    if external_id is not None:
        statement = statement.where(movements.c.external_id == external_id)
    name = f"movements {ods} {state} {external_id}"
    rows, following = await fetch_page(
        conn, statement, list_name=name, order_by=[movements.c.id], query=query, descending=True
    )
    return [_movement(row._mapping) for row in rows], following


async def has_requests(conn: AsyncConnection, movement_id: str, now: datetime) -> bool:
    """Whether something was asked for a movement that can be answered still, or has been."""
    table = presentation_requests
    pending = and_(table.c.state == RequestState.OPEN, table.c.expires_at > now)
    query = select(table.c.id).where(
        table.c.movement_id == movement_id, or_(pending, table.c.state == RequestState.ANSWERED)
    )
    return (await conn.execute(query.limit(1))).first() is not None


async def hold(conn: AsyncConnection, movement_id: str, version: int) -> bool:
    """Take a movement's row until the transaction ends; whether it still has this version.

    Whoever asks for a movement and whoever changes it hold it: nothing is asked about days that are no longer
    the movement's, whatever replica does which.
    """
    held = update(movements).where(movements.c.id == movement_id, movements.c.version == version)
    return (await conn.execute(held.values(version=version))).rowcount == 1


async def held(conn: AsyncConnection, movement_id: str) -> Movement | None:
    """Take a movement's row until the transaction ends, and return it as it is then.

    Whoever adds to what a movement's state follows from holds it, so that of two the second sees the first.
    """
    same = update(movements).where(movements.c.id == movement_id).values(version=movements.c.version)
    row = (await conn.execute(same.returning(*movements.c))).mappings().one_or_none()
    return _movement(row) if row else None


async def touch(
    conn: AsyncConnection, movement_id: str, *, at: datetime, values: Mapping[str, Any] | None = None
) -> None:
    """Give a held movement a new version, with new values where something of its own changes."""
    statement = update(movements).where(movements.c.id == movement_id)
    await conn.execute(statement.values(**(values or {}), updated_at=at, version=movements.c.version + 1))


async def close_requests(conn: AsyncConnection, movement_id: str, now: datetime) -> int:
    """Withdraw every open request of a movement, with its key; how many."""
    table = presentation_requests
    statement = (
        update(table)
        .where(table.c.movement_id == movement_id, table.c.state == RequestState.OPEN)
        .values(state=RequestState.CANCELLED, encryption_key=None, answered_at=now)
    )
    return int((await conn.execute(statement)).rowcount)


async def change(
    conn: AsyncConnection, movement: Movement, *, at: datetime, values: Mapping[str, Any]
) -> bool:
    """Change a movement if nobody else has since it was read; whether it was changed."""
    statement = (
        update(movements)
        .where(movements.c.id == movement.id, movements.c.version == movement.version)
        .values(**values, updated_at=at, version=movement.version + 1)
    )
    return (await conn.execute(statement)).rowcount == 1
