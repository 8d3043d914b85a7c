"""HR users of the trusts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.store import tables
from passport_registry.store.rows import VersionChanged, many, one
from passport_shared.service.db import is_unique_violation

_T = tables.hr_user_tables.hr_users
_O = tables.organisations


@dataclass(frozen=True, kw_only=True)
class HrUserRow:
    """One HR user as recorded."""

    ods_code: str
    subject: str
    roles: Sequence[str]
    training_passed_on: date | None
    recorded_at: datetime
    recorded_by: Mapping[str, Any]
    version: int


async def get(conn: AsyncConnection, ods_code: str, subject: str) -> HrUserRow | None:
    """Return one HR user."""
    return await one(conn, select(_T).where(_T.c.ods_code == ods_code, _T.c.subject == subject), HrUserRow)


async def page(conn: AsyncConnection, ods_code: str, *, after: str | None, limit: int) -> list[HrUserRow]:
    """Return a trust's HR users by id, after a cursor."""
    query = select(_T).where(_T.c.ods_code == ods_code).order_by(_T.c.subject).limit(limit)
    if after is not None:
        query = query.where(_T.c.subject > after)
    return await many(conn, query, HrUserRow)


async def every(conn: AsyncConnection) -> list[HrUserRow]:
    """Return all HR users of the network, in a fixed order."""
    return await many(conn, select(_T).order_by(_T.c.ods_code, _T.c.subject), HrUserRow)


async def keepers(conn: AsyncConnection) -> list[str]:
    """Return the trusts that keep their HR users here, in order."""
    rows = await conn.execute(select(_O.c.ods_code).where(_O.c.keeps_hr_users).order_by(_O.c.ods_code))
    return [row.ods_code for row in rows]


async def record(conn: AsyncConnection, row: HrUserRow, *, expected_version: int) -> None:
    """Record an HR user over the version that was read (0: nobody); from now on the trust keeps them here.

    Raises:
        VersionChanged: somebody has recorded this person meanwhile.
    """
    if expected_version == 0:
        try:
            async with conn.begin_nested():
                await conn.execute(insert(_T).values(**vars(row)))
        except IntegrityError as error:
            if is_unique_violation(error):
                raise VersionChanged from error
            raise
    else:
        where = (_T.c.ods_code == row.ods_code, _T.c.subject == row.subject)
        changed = await conn.execute(
            update(_T).where(*where, _T.c.version == expected_version).values(**vars(row))
        )
        if changed.rowcount != 1:
            raise VersionChanged
    await conn.execute(update(_O).where(_O.c.ods_code == row.ods_code).values(keeps_hr_users=True))


async def remove(conn: AsyncConnection, ods_code: str, subject: str, version: int) -> None:
    """Forget an HR user of this version. The trust still keeps its HR users here.

    Raises:
        VersionChanged: there is another version, or none.
    """
    gone = await conn.execute(
        delete(_T).where(_T.c.ods_code == ods_code, _T.c.subject == subject, _T.c.version == version)
    )
    if gone.rowcount != 1:
        raise VersionChanged
