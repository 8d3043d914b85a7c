"""Who of a trust's staff is whom in a workforce system: one person there is one here, by constraint."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.workforce_names import Chosen
from passport_issuer.store import connection_tables as t
from passport_issuer.store.rows import Duplicate, VersionChanged, as_row, many, one
from passport_issuer.store.tables import staff
from passport_shared.service.db import is_unique_violation
from passport_shared.service.once import insert_once
from passport_shared.service.schedule import is_due


@dataclass(frozen=True, kw_only=True)
class Link:
    """A person's link to one system, with the words they had there when somebody chose them."""

    id: str
    ods: str
    staff_id: str
    connection_id: str
    person_id: str
    given_name: str
    family_name: str
    previous_family_names: tuple[str, ...]
    birthdate: date | None
    differences: Mapping[str, str]
    differences_accepted: str | None
    chosen_by: str
    chosen_at: datetime
    contested_at: datetime | None
    due_at: datetime | None
    last_gathered_at: datetime | None
    version: int

    @property
    def chosen(self) -> Chosen:
        """What later answers must still be."""
        return Chosen(
            person_id=self.person_id,
            given_name=self.given_name,
            family_name=self.family_name,
            previous_family_names=self.previous_family_names,
            birthdate=self.birthdate,
        )


async def write_link(conn: AsyncConnection, link: Link, *, replaces: Link | None) -> None:
    """Write a link, new or in the place of the one that was read.

    Raises:
        Duplicate: somebody else is linked to this person; the transaction must be rolled back.
        VersionChanged: the link has been made, changed or taken away since it was read.
    """
    try:
        if replaces is None:
            if not await _insert_unless_linked(conn, link):
                raise VersionChanged
            return
        changed = await conn.execute(
            update(t.staff_links)
            .where(t.staff_links.c.id == replaces.id, t.staff_links.c.version == replaces.version)
            .values(as_row(link, without=("id", "ods", "staff_id", "connection_id")))
        )
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from None
        raise
    if changed.rowcount != 1:
        raise VersionChanged


async def _insert_unless_linked(conn: AsyncConnection, link: Link) -> bool:
    known = await conn.execute(
        select(t.staff_links.c.id).where(
            t.staff_links.c.connection_id == link.connection_id, t.staff_links.c.staff_id == link.staff_id
        )
    )
    if known.first() is not None:
        return False
    await conn.execute(insert(t.staff_links).values(as_row(link)))
    return True


async def get_link(conn: AsyncConnection, ods: str, staff_id: str, connection_id: str) -> Link | None:
    """A person's link through one connection."""
    table = t.staff_links
    query = select(table).where(
        table.c.ods == ods, table.c.staff_id == staff_id, table.c.connection_id == connection_id
    )
    return await one(conn, query, Link)


async def link_of_person(conn: AsyncConnection, connection_id: str, person_id: str) -> Link | None:
    """The link to one person of a system."""
    table = t.staff_links
    query = select(table).where(table.c.connection_id == connection_id, table.c.person_id == person_id)
    return await one(conn, query, Link)


async def links_of_staff(conn: AsyncConnection, ods: str, staff_id: str) -> list[Link]:
    """All links of a person."""
    table = t.staff_links
    query = select(table).where(table.c.ods == ods, table.c.staff_id == staff_id).order_by(table.c.id)
    return await many(conn, query, Link)


async def remove_link(conn: AsyncConnection, link: Link) -> bool:
    """Take a link away in the version that was read; whether it was there."""
    gone = await conn.execute(
        delete(t.staff_links).where(t.staff_links.c.id == link.id, t.staff_links.c.version == link.version)
    )
    return gone.rowcount == 1


async def contest(conn: AsyncConnection, link: Link, at: datetime) -> None:
    """Note that somebody else was to be linked to the same person."""
    await conn.execute(update(t.staff_links).where(t.staff_links.c.id == link.id).values(contested_at=at))


async def mark_due(
    conn: AsyncConnection, connection_id: str, person_ids: Collection[str], at: datetime
) -> int:
    """Mark links to these people as due to be read; how many there are. Others are forgotten."""
    table = t.staff_links
    marked = await conn.execute(
        update(table)
        .where(
            table.c.connection_id == connection_id,
            table.c.person_id.in_(person_ids),
            table.c.due_at.is_(None) | (table.c.due_at > at),
        )
        .values(due_at=at)
    )
    known = select(table.c.id).where(
        table.c.connection_id == connection_id, table.c.person_id.in_(person_ids)
    )
    return marked.rowcount or len((await conn.execute(known)).all())


async def due_links(conn: AsyncConnection, connection_id: str, now: datetime, limit: int) -> list[Link]:
    """Links of a connection that are due, the longest waiting first."""
    table = t.staff_links
    query = (
        select(table)
        .where(table.c.connection_id == connection_id, is_due(table.c.due_at, now, timedelta(0)))
        .order_by(table.c.due_at, table.c.id)
        .limit(limit)
    )
    return await many(conn, query, Link)


async def put_behind(conn: AsyncConnection, link: Link, now: datetime) -> None:
    """Let a link that is due stand behind all others that are; one that was due for something newer stays."""
    table = t.staff_links
    mine = (table.c.id == link.id, table.c.due_at == link.due_at)
    await conn.execute(update(table).where(*mine).values(due_at=now))


async def mark_stale(conn: AsyncConnection, connection_id: str, before: datetime, now: datetime) -> None:
    """Mark links that were last read before ``before`` as due."""
    table = t.staff_links
    last = table.c.last_gathered_at
    stale = (last <= before) | (last.is_(None) & (table.c.chosen_at <= before))
    await conn.execute(
        update(table)
        .where(table.c.connection_id == connection_id, table.c.due_at.is_(None), stale)
        .values(due_at=now)
    )


async def gathered(conn: AsyncConnection, link: Link, at: datetime) -> None:
    """Note that a link was read; what became due meanwhile stays due."""
    table = t.staff_links
    await conn.execute(update(table).where(table.c.id == link.id).values(last_gathered_at=at))
    await conn.execute(
        update(table)
        .where(table.c.id == link.id, table.c.due_at.is_not(None), table.c.due_at <= (link.due_at or at))
        .values(due_at=None)
    )


async def screening_of(conn: AsyncConnection, staff_id: str) -> frozenset[tuple[str, str, str]]:
    """(record type, code, date) of the screening records that are held about a person."""
    table = t.screening_records
    query = select(table.c.record_type, table.c.code, table.c.date).where(table.c.staff_id == staff_id)
    return frozenset((row.record_type, row.code, row.date) for row in (await conn.execute(query)).all())


@dataclass(frozen=True, kw_only=True)
class Screening:
    """That a vaccination, test or observation is on file at occupational health; never its result."""

    id: str
    ods: str
    staff_id: str
    connection_id: str
    record_type: str
    code: str
    description: str
    date: str
    created_at: datetime
    created_by: str


async def add_screening(conn: AsyncConnection, record: Screening) -> bool:
    """Write a screening record unless it is held; whether it was written."""
    return await insert_once(conn, t.screening_records, as_row(record))


async def list_screening(conn: AsyncConnection, ods: str, staff_id: str) -> list[Screening]:
    """The screening records of a person."""
    table = t.screening_records
    query = select(table).where(table.c.ods == ods, table.c.staff_id == staff_id).order_by(table.c.id)
    return await many(conn, query, Screening)


async def hold_person(conn: AsyncConnection, ods: str, staff_id: str) -> bool:
    """Make rivals for this person's records wait until this transaction is over; whether there is one."""
    table = staff
    held = await conn.execute(
        update(table).where(table.c.ods == ods, table.c.id == staff_id).values(version=table.c.version)
    )
    return held.rowcount == 1
