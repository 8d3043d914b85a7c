"""The host's own look-ups of a regulator's register: append-only, the number as a keyed commitment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.paging import PageQuery, fetch_page
from passport_verifier.store.tables import register_checks


@dataclass(frozen=True, kw_only=True)
class RegisterCheck:
    """One look-up of one number, for one movement or one request without a movement (the case)."""

    id: str
    ods: str
    case_id: str
    regulator: str
    number_commitment: str
    status: str
    licence: bool | None
    source: str
    checked_at: datetime
    actor: Mapping[str, Any]
    recorded_at: datetime


async def add(conn: AsyncConnection, check: RegisterCheck) -> None:
    """Store a look-up."""
    await conn.execute(insert(register_checks).values(**vars(check)))


async def get(conn: AsyncConnection, ods: str, check_id: str) -> RegisterCheck | None:
    """One look-up of an organisation."""
    query = select(register_checks).where(register_checks.c.id == check_id, register_checks.c.ods == ods)
    row = (await conn.execute(query)).mappings().one_or_none()
    return RegisterCheck(**row) if row else None


async def of_case(conn: AsyncConnection, case_id: str) -> list[RegisterCheck]:
    """Every look-up of a case, oldest first."""
    query = select(register_checks).where(register_checks.c.case_id == case_id)
    rows = await conn.execute(query.order_by(register_checks.c.checked_at))
    return [RegisterCheck(**row) for row in rows.mappings()]


async def page(
    conn: AsyncConnection, ods: str, query: PageQuery, *, case_id: str | None = None
) -> tuple[list[RegisterCheck], str | None]:
    """An organisation's look-ups, newest first."""
    statement = select(register_checks).where(register_checks.c.ods == ods)
    if case_id is not None:
        statement = statement.where(register_checks.c.case_id == case_id)
    rows, following = await fetch_page(
        conn,
        statement,
        list_name=f"register-checks {ods} {case_id}",
        order_by=[register_checks.c.id],
        query=query,
        descending=True,
    )
    return [RegisterCheck(**row._mapping) for row in rows], following
