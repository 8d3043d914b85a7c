"""Passports: one per person and trust, with the reference all its credentials share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.passports import PassportState, ReasonCode
from passport_issuer.store import tables as t
from passport_issuer.store.rows import as_row, many, one
from passport_shared.service.once import insert_once


@dataclass(frozen=True, kw_only=True)
class Passport:
    """A passport; ``reason_code`` says why it is on hold or closed, for holder and issuer only."""

    id: str
    ods: str
    staff_id: str
    state: PassportState
    holder_ref: str
    reason_code: str | None
    created_at: datetime
    created_by: str
    first_issued_at: datetime | None
    version: int


async def add_passport(conn: AsyncConnection, passport: Passport) -> bool:
    """Write a person's passport unless there is one; whether it was written."""
    return await insert_once(conn, t.passports, as_row(passport))


class Held(NamedTuple):
    """How a passport stood when its row was taken, which stays so until the transaction is over."""

    state: PassportState
    first_issued_at: datetime | None

    @property
    def awaits_first(self) -> bool:
        """Whether recording an issue changes anything of the passport itself."""
        return self.first_issued_at is None or self.state in _BEFORE_ACTIVE


_BEFORE_ACTIVE = (PassportState.INVITED, PassportState.IDENTITY_PENDING)
_HOLD = (
    update(t.passports)
    .where(t.passports.c.id == bindparam("of_passport"))
    .values(version=t.passports.c.version)
    .returning(t.passports.c.state, t.passports.c.first_issued_at)
)


async def hold_row(conn: AsyncConnection, passport_id: str) -> Held | None:
    """Make rivals for this passport wait until this transaction is over, on either database.

    Whoever changes a passport's credentials takes this row first: issuing, notifying and putting on hold then
    follow each other, whatever replica does them, and no two of them wait for each other in a circle.
    """
    row = (await conn.execute(_HOLD, {"of_passport": passport_id})).first()
    return None if row is None else Held(PassportState(row.state), row.first_issued_at)


async def hold_rows(conn: AsyncConnection, passport_ids: Collection[str]) -> None:
    """As ``hold_row``, for many."""
    table = t.passports
    those = table.c.id.in_(sorted(passport_ids))
    await conn.execute(update(table).where(those).values(version=table.c.version))


async def passport_of(conn: AsyncConnection, ods: str, staff_id: str) -> Passport | None:
    """The passport of a member of staff."""
    query = select(t.passports).where(t.passports.c.ods == ods, t.passports.c.staff_id == staff_id)
    return await one(conn, query, Passport)


async def get_passport(conn: AsyncConnection, ods: str, passport_id: str) -> Passport | None:
    """A passport by its id."""
    query = select(t.passports).where(t.passports.c.ods == ods, t.passports.c.id == passport_id)
    return await one(conn, query, Passport)


async def by_ids(conn: AsyncConnection, passport_ids: Collection[str]) -> dict[str, Passport]:
    """Passports by their ids; the caller knows whose they are."""
    query = select(t.passports).where(t.passports.c.id.in_(sorted(passport_ids)))
    return {passport.id: passport for passport in await many(conn, query, Passport)}


async def change_state(
    conn: AsyncConnection,
    passport_id: str,
    *,
    come_from: tuple[PassportState, ...],
    to: PassportState,
    reason: ReasonCode | None,
) -> bool:
    """Move a passport to another state if it is in one of these; whether it was."""
    changed = await conn.execute(
        update(t.passports)
        .where(t.passports.c.id == passport_id, t.passports.c.state.in_([s.value for s in come_from]))
        .values(
            state=to.value, reason_code=reason.value if reason else None, version=t.passports.c.version + 1
        )
    )
    return changed.rowcount == 1


async def reinstate(conn: AsyncConnection, passport_id: str) -> bool:
    """Take a passport off hold, to what it is by what was issued; whether it was on hold."""
    table = t.passports
    invited = case(
        (table.c.first_issued_at.is_(None), PassportState.INVITED.value), else_=PassportState.ACTIVE.value
    )
    changed = await conn.execute(
        update(table)
        .where(table.c.id == passport_id, table.c.state == PassportState.ON_HOLD.value)
        .values(state=invited, reason_code=None, version=table.c.version + 1)
    )
    return changed.rowcount == 1


async def activate(conn: AsyncConnection, passport_id: str, at: datetime) -> bool:
    """Record that the first credential was issued; whether this was the first. A hold stays a hold."""
    first = await conn.execute(
        update(t.passports)
        .where(t.passports.c.id == passport_id, t.passports.c.first_issued_at.is_(None))
        .values(first_issued_at=at, version=t.passports.c.version + 1)
    )
    await change_state(
        conn,
        passport_id,
        come_from=_BEFORE_ACTIVE,
        to=PassportState.ACTIVE,
        reason=None,
    )
    return first.rowcount == 1
