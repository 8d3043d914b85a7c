"""Notices and whom they name to ask: rows without name or address, ended by one conditional statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, and_, delete, exists, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.notices import NoticeChannel, NoticeKind, NoticeState
from passport_issuer.rules.passports import LIVE, PassportState
from passport_issuer.rules.records import EmploymentStatus
from passport_issuer.store import notice_tables as n
from passport_issuer.store import tables as t
from passport_issuer.store.rows import VersionChanged, as_row, as_value, many, one
from passport_shared.service.job_queue import JobState
from passport_shared.service.once import insert_once
from passport_shared.service.paging import PageQuery, fetch_page

JOB_KEY = "notice:"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One notice; ``reason`` says why it failed, was cancelled, or has to be tried again."""

    id: str
    ods: str
    staff_id: str
    kind: NoticeKind
    channel: NoticeChannel
    language: str
    about: str | None
    facts: Mapping[str, Any]
    state: NoticeState
    reason: str | None
    attempts: int
    once: str | None
    resend_of: str | None
    queued_at: datetime
    ended_at: datetime | None
    created_by: str


@dataclass(frozen=True, kw_only=True)
class NoticeContact:
    """Whom a trust's notices name to ask; ``version`` counts changes."""

    ods: str
    name: str | None
    phone: str | None
    email: str | None
    version: int
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, kw_only=True)
class OutboxItem:
    """What a person would have read, kept by the development outbox only."""

    id: str
    ods: str
    channel: NoticeChannel
    language: str
    to_address: str
    subject: str
    body: str
    sent_at: datetime


@dataclass(frozen=True)
class Ending:
    """Something of a person that runs out: at an instant, or after a day."""

    ods: str
    staff_id: str
    at: datetime | date
    since: datetime


async def add_notice(conn: AsyncConnection, notice: Notice) -> bool:
    """Write a notice unless one with its ``once`` or ``resend_of`` is there; whether it was written."""
    return await insert_once(conn, n.notices, as_row(notice))


async def get_notice(conn: AsyncConnection, notice_id: str, ods: str | None = None) -> Notice | None:
    """One notice, of this trust if one is named."""
    query = select(n.notices).where(n.notices.c.id == notice_id)
    if ods is not None:
        query = query.where(n.notices.c.ods == ods)
    return await one(conn, query, Notice)


async def list_notices(
    conn: AsyncConnection, ods: str, page: PageQuery, *, staff_id: str | None, state: NoticeState | None
) -> tuple[list[Notice], str | None]:
    """A page of a trust's notices, oldest first."""
    query = select(n.notices).where(n.notices.c.ods == ods)
    if staff_id is not None:
        query = query.where(n.notices.c.staff_id == staff_id)
    if state is not None:
        query = query.where(n.notices.c.state == state.value)
    name = f"notices/{ods}/{staff_id or ''}/{state.value if state else ''}"
    rows, following = await fetch_page(conn, query, list_name=name, order_by=[n.notices.c.id], query=page)
    return [as_value(Notice, row._mapping) for row in rows], following


async def note_attempt(conn: AsyncConnection, notice_id: str, attempts: int, reason: str) -> None:
    """Record why a notice could not be sent this time."""
    await conn.execute(
        update(n.notices)
        .where(n.notices.c.id == notice_id, n.notices.c.state == NoticeState.QUEUED.value)
        .values(attempts=attempts, reason=reason)
    )


async def end_notice(
    conn: AsyncConnection,
    notice_id: str,
    *,
    to: NoticeState,
    reason: str | None,
    attempts: int,
    now: datetime,
) -> bool:
    """End a notice that waits; whether it did.

    What was sent is sent, also when it was cancelled a moment before.
    """
    open_states = (
        [NoticeState.QUEUED, NoticeState.CANCELLED] if to is NoticeState.SENT else [NoticeState.QUEUED]
    )
    ended = await conn.execute(
        update(n.notices)
        .where(n.notices.c.id == notice_id, n.notices.c.state.in_([state.value for state in open_states]))
        .values(state=to.value, reason=reason, attempts=attempts, ended_at=now)
    )
    return ended.rowcount == 1


async def cancel_about(conn: AsyncConnection, about: str, reason: str, now: datetime) -> None:
    """Cancel every waiting notice about one thing."""
    await conn.execute(
        update(n.notices)
        .where(n.notices.c.about == about, n.notices.c.state == NoticeState.QUEUED.value)
        .values(state=NoticeState.CANCELLED.value, reason=reason, ended_at=now)
    )


async def fail_given_up(conn: AsyncConnection, now: datetime) -> Sequence[Row[Any]]:
    """Mark waiting notices as failed whose job was given up, as after a process died with it too often.

    The (id, ods) of each.
    """
    jobs = t.jobs.jobs
    given_up = exists().where(
        and_(jobs.c.unique_key == literal(JOB_KEY) + n.notices.c.id, jobs.c.state == JobState.FAILED.value)
    )
    failed = await conn.execute(
        update(n.notices)
        .where(n.notices.c.state == NoticeState.QUEUED.value, given_up)
        .values(state=NoticeState.FAILED.value, reason="attempts_exhausted", ended_at=now)
        .returning(n.notices.c.id, n.notices.c.ods)
    )
    return failed.all()


async def forget_ended(conn: AsyncConnection, before: datetime) -> int:
    """Delete notices that ended before then; how many."""
    ended = n.notices.c.state != NoticeState.QUEUED.value
    forgotten = await conn.execute(delete(n.notices).where(ended, n.notices.c.ended_at < before))
    return forgotten.rowcount


async def contact_of(conn: AsyncConnection, ods: str) -> NoticeContact | None:
    """Whom this trust's notices name."""
    return await one(conn, select(n.notice_contacts).where(n.notice_contacts.c.ods == ods), NoticeContact)


async def put_contact(conn: AsyncConnection, contact: NoticeContact, *, expected_version: int) -> None:
    """Write whom to ask; version 0 stands for none yet.

    Raises:
        VersionChanged: somebody else was first.
    """
    table = n.notice_contacts
    if expected_version == 0:
        if not await insert_once(conn, table, as_row(contact)):
            raise VersionChanged
        return
    changed = await conn.execute(
        update(table)
        .where(table.c.ods == contact.ods, table.c.version == expected_version)
        .values(as_row(contact, without=("ods",)))
    )
    if changed.rowcount != 1:
        raise VersionChanged


async def credentials_ending(conn: AsyncConnection, after: datetime, until: datetime) -> list[Ending]:
    """Live credentials of active passports of people who have not left, that expire in the span."""
    c, p, s = t.credentials, t.passports, t.staff
    query = (
        select(c.c.ods, c.c.staff_id, c.c.expires_at, c.c.prepared_at)
        .join(p, p.c.id == c.c.passport_id)
        .join(s, s.c.id == c.c.staff_id)
        .where(
            c.c.state.in_([state.value for state in LIVE]),
            c.c.expires_at > after,
            c.c.expires_at <= until,
            p.c.state == PassportState.ACTIVE.value,
            s.c.employment_status != EmploymentStatus.LEFT.value,
        )
    )
    return [
        Ending(row.ods, row.staff_id, row.expires_at, row.prepared_at) for row in await conn.execute(query)
    ]


async def checks_ending(conn: AsyncConnection, first: date, last: date) -> list[Ending]:
    """The newest check of each kind of people with an active passport, where it is due in these days."""
    c, newer, p, s = t.checks, t.checks.alias("newer"), t.passports, t.staff
    superseded = exists().where(
        and_(
            newer.c.staff_id == c.c.staff_id,
            newer.c.check_type == c.c.check_type,
            newer.c.id > c.c.id,
        )
    )
    query = (
        select(c.c.ods, c.c.staff_id, c.c.next_due, c.c.created_at)
        .join(p, p.c.staff_id == c.c.staff_id)
        .join(s, s.c.id == c.c.staff_id)
        .where(
            c.c.next_due >= first,
            c.c.next_due <= last,
            ~superseded,
            p.c.state == PassportState.ACTIVE.value,
            s.c.employment_status != EmploymentStatus.LEFT.value,
        )
    )
    return [Ending(row.ods, row.staff_id, row.next_due, row.created_at) for row in await conn.execute(query)]


async def keep_in_outbox(conn: AsyncConnection, item: OutboxItem) -> None:
    """Keep what a person would have read; the same notice again replaces it."""
    await conn.execute(delete(n.notice_outbox).where(n.notice_outbox.c.id == item.id))
    await conn.execute(insert(n.notice_outbox).values(as_row(item)))


async def read_outbox(conn: AsyncConnection, limit: int) -> list[OutboxItem]:
    """The newest of the development outbox."""
    table = n.notice_outbox
    query = select(table).order_by(table.c.sent_at.desc(), table.c.id.desc()).limit(limit)
    return await many(conn, query, OutboxItem)


async def empty_outbox(conn: AsyncConnection, before: datetime) -> None:
    """Forget what the development outbox kept before then."""
    await conn.execute(delete(n.notice_outbox).where(n.notice_outbox.c.sent_at < before))
