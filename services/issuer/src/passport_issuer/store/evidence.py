"""What is recorded about a member of staff: assignments, checks, training entries and identity sessions.

Checks and training entries are only ever added; assignments and sessions carry a version.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.records import (
    Assignment,
    CheckRecord,
    IdentitySession,
    StaffMember,
    StaffRecords,
    TrainingEntry,
)
from passport_issuer.store import tables as t
from passport_issuer.store.rows import Duplicate, VersionChanged, as_row, as_value, many
from passport_shared.service.db import is_unique_violation
from passport_shared.service.paging import PageQuery, fetch_page

Record = Assignment | CheckRecord | TrainingEntry | IdentitySession

_TABLES: dict[type[Any], Table] = {
    Assignment: t.assignments,
    CheckRecord: t.checks,
    TrainingEntry: t.training,
    IdentitySession: t.identity_sessions,
}


async def insert_record(conn: AsyncConnection, record: Record) -> None:
    """Write a new record.

    Raises:
        Duplicate: an assignment with this reference exists; the transaction must be rolled back.
    """
    try:
        await conn.execute(insert(_TABLES[type(record)]).values(as_row(record)))
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from None
        raise


async def replace_record(
    conn: AsyncConnection, record: Assignment | IdentitySession, *, expected_version: int
) -> None:
    """Replace a record that has versions.

    Raises:
        VersionChanged: the stored version is not ``expected_version``.
    """
    table = _TABLES[type(record)]
    changed = await conn.execute(
        update(table)
        .where(table.c.id == record.id, table.c.ods == record.ods, table.c.version == expected_version)
        .values(as_row(record, without=("id", "ods", "staff_id", "created_at", "created_by")))
    )
    if changed.rowcount != 1:
        raise VersionChanged


async def get_record(
    conn: AsyncConnection, kind: type[Any], ods: str, staff_id: str, record_id: str
) -> Any | None:
    """One record of this person at this trust."""
    table = _TABLES[kind]
    query = select(table).where(table.c.ods == ods, table.c.staff_id == staff_id, table.c.id == record_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else as_value(kind, row)


async def list_records(
    conn: AsyncConnection, kind: type[Any], ods: str, staff_id: str, page: PageQuery
) -> tuple[list[Any], str | None]:
    """A page of a person's records of one kind, oldest first."""
    table = _TABLES[kind]
    query = select(table).where(table.c.ods == ods, table.c.staff_id == staff_id)
    rows, following = await fetch_page(
        conn, query, list_name=f"{table.name}/{staff_id}", order_by=[table.c.id], query=page
    )
    return [as_value(kind, row._mapping) for row in rows], following


async def load_records(conn: AsyncConnection, staff: StaffMember) -> StaffRecords:
    """Everything the trust holds about a person."""

    async def every(kind: type[Any]) -> tuple[Any, ...]:
        table = _TABLES[kind]
        query = select(table).where(table.c.ods == staff.ods, table.c.staff_id == staff.id)
        return tuple(await many(conn, query.order_by(table.c.id), kind))

    return StaffRecords(
        staff=staff,
        assignments=await every(Assignment),
        checks=await every(CheckRecord),
        training=await every(TrainingEntry),
        sessions=await every(IdentitySession),
    )
