"""Licences to attend as rows: one in force per movement, made anew when a part of it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_verifier.store.release_tables import licences


class LicenceState(StrEnum):  # PERSISTED
    """IN_FORCE until another one replaces it, or one of its parts is gone."""

    IN_FORCE = "IN_FORCE"
    REPLACED = "REPLACED"
    ENDED = "ENDED"


@dataclass(frozen=True, kw_only=True)
class Licence:
    """A licence to attend: which text, on what it rests, and the hash of the document it is."""

    id: str
    ods: str
    movement_id: str
    terms_version: int
    text_version: str
    staff_approval_id: str
    staff_agreed_at: datetime
    release_id: str | None
    release_serial: int | None
    decision_id: str
    document: Mapping[str, Any]
    document_sha256: str
    state: LicenceState
    made_at: datetime
    ended_at: datetime | None


def _licence(row: RowMapping) -> Licence:
    return Licence(**{**row, "state": LicenceState(row["state"])})


async def add(conn: AsyncConnection, licence: Licence) -> None:
    """Store a licence; the caller holds the movement's row and has ended the one before."""
    await conn.execute(insert(licences).values(**vars(licence)))


async def newest_of(conn: AsyncConnection, movement_id: str) -> Licence | None:
    """The newest licence of a movement, in force or not."""
    query = (
        select(licences).where(licences.c.movement_id == movement_id).order_by(licences.c.id.desc()).limit(1)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return _licence(row) if row else None


async def end(conn: AsyncConnection, licence_id: str, state: LicenceState, at: datetime) -> bool:
    """End a licence that is in force; whether it was."""
    statement = update(licences).where(licences.c.id == licence_id, licences.c.state == LicenceState.IN_FORCE)
    return (await conn.execute(statement.values(state=state, ended_at=at))).rowcount == 1
