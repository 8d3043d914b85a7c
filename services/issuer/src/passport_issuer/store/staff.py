"""Staff members and the identifiers other systems use for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.records import ExternalId, ExternalIdKind, StaffMember
from passport_issuer.store import tables as t
from passport_issuer.store.rows import Duplicate, VersionChanged, as_row, as_value
from passport_shared.service.db import is_unique_violation
from passport_shared.service.paging import PageQuery, fetch_page


async def insert_staff(conn: AsyncConnection, staff: StaffMember) -> None:
    """Write a new member of staff with their external identifiers.

    Raises: Duplicate: another person of this trust has one of the identifiers; the transaction must be rolled
        back.
    """
    await conn.execute(insert(t.staff).values(as_row(staff, without=("external_ids",))))
    await _write_external_ids(conn, staff)


async def replace_staff(conn: AsyncConnection, staff: StaffMember, *, expected_version: int) -> None:
    """Replace a member of staff; ``staff.version`` is the new version.

    Raises:
        VersionChanged: the stored version is not ``expected_version``.
        Duplicate: as ``insert_staff``.
    """
    changed = await conn.execute(
        update(t.staff)
        .where(t.staff.c.ods == staff.ods, t.staff.c.id == staff.id, t.staff.c.version == expected_version)
        .values(as_row(staff, without=("external_ids", "id", "ods", "created_at", "created_by")))
    )
    if changed.rowcount != 1:
        raise VersionChanged
    await conn.execute(delete(t.staff_external_ids).where(t.staff_external_ids.c.staff_id == staff.id))
    await _write_external_ids(conn, staff)


async def _write_external_ids(conn: AsyncConnection, staff: StaffMember) -> None:
    rows = [{**as_row(item), "ods": staff.ods, "staff_id": staff.id} for item in staff.external_ids]
    try:
        for row in rows:
            await conn.execute(insert(t.staff_external_ids).values(row))
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from None
        raise


async def set_leaving_date(
    conn: AsyncConnection, ods: str, staff_id: str, leaving: date | None, now: datetime
) -> bool:
    """Write a person's last day of employment; whether there is such a person."""
    table = t.staff
    changed = await conn.execute(
        update(table)
        .where(table.c.ods == ods, table.c.id == staff_id, ~table.c.visiting)
        .values(leaving_date=leaving, version=table.c.version + 1, updated_at=now)
    )
    return changed.rowcount == 1


async def get_staff(conn: AsyncConnection, ods: str, staff_id: str) -> StaffMember | None:
    """One member of staff of this trust; a visitor on a placement is none."""
    query = select(t.staff).where(t.staff.c.ods == ods, t.staff.c.id == staff_id, ~t.staff.c.visiting)
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    found = await _external_ids(conn, [staff_id])
    return as_value(StaffMember, row, external_ids=tuple(found.get(staff_id, ())))


async def get_visitor(conn: AsyncConnection, ods: str, staff_id: str) -> StaffMember | None:
    """The record of a visitor on a placement here."""
    query = select(t.staff).where(t.staff.c.ods == ods, t.staff.c.id == staff_id, t.staff.c.visiting)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else as_value(StaffMember, row, external_ids=())


async def list_staff(
    conn: AsyncConnection, ods: str, page: PageQuery, *, external_id: tuple[str, str] | None = None
) -> tuple[list[StaffMember], str | None]:
    """A page of a trust's staff, oldest first; ``external_id`` is (kind, value)."""
    query = select(t.staff).where(t.staff.c.ods == ods, ~t.staff.c.visiting)
    if external_id is not None:
        ids = t.staff_external_ids
        query = query.join(ids, and_(ids.c.staff_id == t.staff.c.id, ids.c.ods == ods)).where(
            ids.c.kind == external_id[0], ids.c.value == external_id[1]
        )
    rows, following = await fetch_page(
        conn, query, list_name=f"staff/{ods}/{external_id or ''}", order_by=[t.staff.c.id], query=page
    )
    found = await _external_ids(conn, [row.id for row in rows])
    people = [as_value(StaffMember, row._mapping, external_ids=tuple(found.get(row.id, ()))) for row in rows]
    return people, following


async def owner_of_external_id(
    conn: AsyncConnection, ods: str, kind: ExternalIdKind, value: str
) -> str | None:
    """Whose external identifier this is within the trust."""
    ids = t.staff_external_ids
    query = select(ids.c.staff_id).where(ids.c.ods == ods, ids.c.kind == kind.value, ids.c.value == value)
    found: str | None = (await conn.execute(query)).scalar_one_or_none()
    return found


async def _external_ids(conn: AsyncConnection, staff_ids: Sequence[str]) -> dict[str, list[ExternalId]]:
    found: dict[str, list[ExternalId]] = {}
    if not staff_ids:
        return found
    ids = t.staff_external_ids
    query = select(ids).where(ids.c.staff_id.in_(staff_ids)).order_by(ids.c.kind, ids.c.value)
    for row in (await conn.execute(query)).mappings():
        found.setdefault(row["staff_id"], []).append(as_value(ExternalId, row))
    return found
