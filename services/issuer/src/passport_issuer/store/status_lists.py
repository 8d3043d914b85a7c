"""Status lists of the tenants: which indices are taken, what changed, and what is in force.

A list is never read, changed and written back: an index is one row of `credentials` under a unique
constraint, and the list is built from those rows when it is published. `version` grows with every change in
the changing transaction, so that a publisher knows whether anything happened after it read.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.passports import (
    ENDED,
    CredentialState,
    PassportState,
    status_value,
)
from passport_issuer.store import tables as t
from passport_issuer.store.rows import as_row, many, one
from passport_shared.formats.status_list import VALID
from passport_shared.service.schedule import is_due
from passport_shared.service.tenancy import TenantState


@dataclass(frozen=True, kw_only=True)
class StatusListRow:
    """One status list of a tenant; nothing is allocated on it before ``usable_from``."""

    id: str
    ods: str
    size: int
    allocated: int
    usable_from: datetime
    version: int
    published_version: int
    published_at: datetime | None
    created_at: datetime
    accounted_only: bool = False


async def insert_list(conn: AsyncConnection, row: StatusListRow) -> None:
    """Write a new list."""
    await conn.execute(insert(t.status_lists).values(as_row(row)))


async def hold_tenant(conn: AsyncConnection, ods: str) -> None:
    """Make rivals for this tenant's lists wait until this transaction is over, on either database."""
    tenants = t.tenants.tenants
    await conn.execute(update(tenants).where(tenants.c.ods == ods).values(name=tenants.c.name))


async def lists_of(conn: AsyncConnection, ods: str) -> list[StatusListRow]:
    """A tenant's lists, oldest first."""
    lists = t.status_lists
    query = select(lists).where(lists.c.ods == ods).order_by(lists.c.created_at, lists.c.id)
    return await many(conn, query, StatusListRow)


async def get_list(conn: AsyncConnection, ods: str, list_id: str) -> StatusListRow | None:
    """One list of a tenant."""
    lists = t.status_lists
    return await one(conn, select(lists).where(lists.c.ods == ods, lists.c.id == list_id), StatusListRow)


async def count_allocated(conn: AsyncConnection, list_id: str, count: int) -> None:
    """Record that indices of a list were taken."""
    lists = t.status_lists
    await conn.execute(update(lists).where(lists.c.id == list_id).values(allocated=lists.c.allocated + count))


async def touch(conn: AsyncConnection, list_ids: Collection[str]) -> None:
    """Record that entries of these lists changed; in the transaction that changes them."""
    if list_ids:
        lists = t.status_lists
        await conn.execute(
            update(lists).where(lists.c.id.in_(sorted(list_ids))).values(version=lists.c.version + 1)
        )


async def changed(
    conn: AsyncConnection, *, published_after: datetime, after: str, limit: int
) -> list[StatusListRow]:
    """A page, by id, of the lists to publish at once.

    They changed since they were published, never were, or were at an instant that is still to come.
    """
    lists = t.status_lists
    waiting = or_(
        lists.c.version > lists.c.published_version,
        lists.c.published_at.is_(None),
        lists.c.published_at > published_after,
    )
    query = select(lists).where(waiting, lists.c.id > after).order_by(lists.c.id).limit(limit)
    return await many(conn, query, StatusListRow)


async def aged(conn: AsyncConnection, *, published_before: datetime, limit: int) -> list[StatusListRow]:
    """Lists that were published before an instant, the oldest first."""
    lists = t.status_lists
    query = select(lists).where(lists.c.published_at <= published_before)
    return await many(conn, query.order_by(lists.c.published_at, lists.c.id).limit(limit), StatusListRow)


async def without_room(conn: AsyncConnection, *, room: float) -> list[str]:
    """ODS codes of enrolled tenants none of whose lists is filled to less than this part of its size."""
    lists, tenants = t.status_lists, t.tenants.tenants
    roomy = exists().where(lists.c.ods == tenants.c.ods, lists.c.allocated < lists.c.size * room)
    query = select(tenants.c.ods).where(tenants.c.state == TenantState.ACTIVE.value, ~roomy)
    return list((await conn.execute(query.order_by(tenants.c.ods))).scalars())


async def entries(conn: AsyncConnection, list_id: str) -> list[tuple[int, int]]:
    """Every (index, value) of a list whose value is not VALID."""
    credentials, passports = t.credentials, t.passports
    query = (
        select(credentials.c.status_idx, credentials.c.state, passports.c.state.label("passport_state"))
        .join(passports, passports.c.id == credentials.c.passport_id)
        .where(
            credentials.c.status_list_id == list_id,
            or_(
                credentials.c.state.in_([state.value for state in ENDED]),
                passports.c.state.in_([PassportState.ON_HOLD.value, PassportState.CLOSED.value]),
            ),
        )
    )
    values = [
        (row.status_idx, status_value(CredentialState(row.state), PassportState(row.passport_state)))
        for row in await conn.execute(query)
    ]
    return [(idx, value) for idx, value in values if value != VALID]


async def accounted(conn: AsyncConnection, list_id: str) -> set[int]:
    """Every index of a list that a row accounts for."""
    credentials = t.credentials
    found = await conn.execute(
        select(credentials.c.status_idx).where(credentials.c.status_list_id == list_id)
    )
    return set(found.scalars())


async def close_all(conn: AsyncConnection) -> int:
    """After a restore: nothing is given from these lists again, and what nobody accounts for has ended."""
    lists = t.status_lists
    values = {"allocated": lists.c.size, "accounted_only": True, "version": lists.c.version + 1}
    return int((await conn.execute(update(lists).values(values))).rowcount)


async def published(conn: AsyncConnection, list_id: str, *, version: int, at: datetime) -> bool:
    """Record that a version of a list is in force; False if a newer one is already."""
    lists = t.status_lists
    changed = await conn.execute(
        update(lists)
        .where(
            lists.c.id == list_id,
            lists.c.published_version <= version,
            # Of one version too, what was read earlier may say less: a change can fall between two reads. One
            # that was signed in the future was signed by a clock that was ahead.
            or_(lists.c.published_at.is_(None), is_due(lists.c.published_at, at, timedelta(0))),
        )
        .values(published_version=version, published_at=at)
    )
    return changed.rowcount == 1
