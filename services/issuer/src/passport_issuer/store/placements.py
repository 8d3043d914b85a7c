"""Temporary placements as rows: what the host's verifier last said, and which offer stands for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.passports import LIVE, PassportState
from passport_issuer.store import tables as t
from passport_issuer.store.placement_tables import placements
from passport_issuer.store.rows import as_row, as_value, many, one
from passport_shared.service.once import insert_once

NOBODY = date(1, 1, 1)
"""The birthdate of a visitor's record whose person was erased."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One placement; ``post`` is what its credential says of the post."""

    ods: str
    movement_id: str
    staff_id: str
    passport_id: str
    offer_id: str
    movement_type: str
    start: date
    end: date
    post: Mapping[str, Any]
    holder_jkt: str
    revision: int
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    erased_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A placement with what its passport and its credentials say."""

    placement: Placement
    passport_state: PassportState
    holder_ref: str
    collected_at: datetime | None


async def add(conn: AsyncConnection, placement: Placement) -> bool:
    """Write a placement unless its movement has one; whether it was written."""
    return await insert_once(conn, placements, as_row(placement))


async def get(conn: AsyncConnection, ods: str, movement_id: str) -> Standing | None:
    """A placement of this host as it stands."""
    credentials = t.credentials
    collected = (
        select(func.min(credentials.c.issued_at))
        .where(
            credentials.c.passport_id == placements.c.passport_id,
            credentials.c.state.in_([state.value for state in LIVE]),
        )
        .scalar_subquery()
    )
    query = (
        select(
            placements,
            t.passports.c.state.label("passport_state"),
            t.passports.c.holder_ref,
            collected.label("collected_at"),
        )
        .join(t.passports, t.passports.c.id == placements.c.passport_id)
        .where(placements.c.ods == ods, placements.c.movement_id == movement_id)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    return Standing(
        placement=as_value(Placement, row),
        passport_state=PassportState(row["passport_state"]),
        holder_ref=row["holder_ref"],
        collected_at=row["collected_at"],
    )


async def hold_row(conn: AsyncConnection, ods: str, movement_id: str) -> Placement | None:
    """A placement, with everybody else who wants to change it waiting until this transaction is over."""
    mine = (placements.c.ods == ods, placements.c.movement_id == movement_id)
    await conn.execute(update(placements).where(*mine).values(revision=placements.c.revision))
    return await one(conn, select(placements).where(*mine), Placement)


async def change(conn: AsyncConnection, placement: Placement, **values: Any) -> None:
    """Change a placement whose row is held."""
    mine = (placements.c.ods == placement.ods, placements.c.movement_id == placement.movement_id)
    await conn.execute(update(placements).where(*mine).values(**values))


async def over(conn: AsyncConnection, *, last_day_before: date, limit: int = 200) -> list[Placement]:
    """Placements whose last day has gone by and that nobody has ended."""
    query = select(placements).where(placements.c.ended_at.is_(None), placements.c.end < last_day_before)
    return await many(conn, query.order_by(placements.c.end).limit(limit), Placement)


async def erasable(conn: AsyncConnection, *, ended_before: datetime, limit: int = 200) -> list[Placement]:
    """Placements whose person is still known though they ended that long ago."""
    query = select(placements).where(placements.c.erased_at.is_(None), placements.c.ended_at <= ended_before)
    return await many(conn, query.order_by(placements.c.ended_at).limit(limit), Placement)


async def erase_person(conn: AsyncConnection, placement: Placement, at: datetime) -> None:
    """Blank the visitor's record of a placement."""
    blank = {"legal_given": "", "legal_family": "", "birthdate": NOBODY, "updated_at": at}
    staff = t.staff
    await conn.execute(
        update(staff).where(staff.c.id == placement.staff_id, staff.c.visiting).values(**blank)
    )
    await change(conn, placement, erased_at=at)


async def is_visitor(conn: AsyncConnection, passport_id: str) -> bool:
    """Whether a passport is a visitor's, which counts as no passport issued."""
    query = select(placements.c.movement_id).where(placements.c.passport_id == passport_id)
    return (await conn.execute(query.limit(1))).first() is not None
