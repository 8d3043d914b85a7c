"""Notices to members of staff: written with the change that causes them, read and sent again by HR.

`queue` belongs in the transaction of the change; a job of the same transaction sends it (`notice_sending`).
Channel and language are the person's at that moment, name and address are read when it is sent. Whoever
paused offers is told only that their passport is on hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import WrongState
from passport_issuer.rules.notices import (
    NoticeChannel,
    NoticeKind,
    NoticeState,
    channel_of,
    checked_facts,
    is_paused,
    language_of,
    say_contact,
)
from passport_issuer.rules.records import StaffMember
from passport_issuer.store import notices as store
from passport_issuer.store import tables
from passport_issuer.store.notices import JOB_KEY, Notice, NoticeContact
from passport_issuer.store.rows import VersionChanged
from passport_issuer.store.staff import get_staff
from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.jobs import JobQueue
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import NotFound, PreconditionFailed
from passport_shared.service.tenancy import Tenant

SYSTEM = "system"
JOB_KINDS: Mapping[NoticeChannel, str] = {
    NoticeChannel.EMAIL: "notice.email",
    NoticeChannel.SMS: "notice.sms",
}
# With pauses of 5 seconds doubled up to an hour: about a day in all.
MAX_ATTEMPTS = 34


def job_queue(ctx: Context) -> JobQueue:
    """The durable queue notices wait in."""
    return JobQueue(ctx.db, tables.jobs, ctx.clock)


async def queue(
    ctx: Context,
    conn: AsyncConnection,
    *,
    kind: NoticeKind,
    ods: str,
    staff_id: str,
    about: str | None = None,
    facts: Mapping[str, Any] | None = None,
    channel: NoticeChannel | None = None,
    once: str | None = None,
    by: str = SYSTEM,
) -> str | None:
    """Write a notice in the caller's transaction, to be sent after it commits.

    Args:
        ctx: the context.
        conn: the caller's transaction.
        kind: what the notice says.
        ods: the trust whose member of staff this is.
        staff_id: to whom.
        about: the id of what it is about: an invitation, session, offer, passport or movement.
        facts: ``day`` (a date) where the words need one, ``version`` of what it is about; nothing else.
        channel: the way, if not the one the person prefers.
        once: names the occasion; a second notice for it is not written.
        by: who caused it, an opaque id.

    Returns:
        The notice's id; None when the person paused this kind, is unknown here, or was told already.

    Raises:
        ValueError: a fact that a notice does not keep.
    """
    staff = await get_staff(conn, ods, staff_id)
    if staff is None or is_paused(staff.preferences, kind):
        return None
    notice = Notice(
        id=new_id(),
        ods=ods,
        staff_id=staff_id,
        kind=kind,
        channel=channel or _preferred(ctx, staff),
        language=language_of(staff.preferences),
        about=about,
        facts=checked_facts(facts or {}),
        state=NoticeState.QUEUED,
        reason=None,
        attempts=0,
        once=once,
        resend_of=None,
        queued_at=ctx.clock.now(),
        ended_at=None,
        created_by=by,
    )
    return notice.id if await _enqueue(ctx, conn, notice) else None


def _preferred(ctx: Context, staff: StaffMember) -> NoticeChannel:
    return channel_of(
        staff.preferences,
        has_email=staff.work_email is not None,
        has_mobile=staff.mobile is not None,
        sms_offered=NoticeChannel.SMS in ctx.notices.couriers,
    )


async def _enqueue(ctx: Context, conn: AsyncConnection, notice: Notice) -> bool:
    if not await store.add_notice(conn, notice):
        return False
    await job_queue(ctx).enqueue(
        JOB_KINDS[notice.channel],
        {"notice": notice.id},
        owner=notice.ods,
        unique_key=f"{JOB_KEY}{notice.id}",
        max_attempts=MAX_ATTEMPTS,
        conn=conn,
    )
    return True


async def get(ctx: Context, tenant: Tenant, notice_id: str) -> Notice:
    """One notice.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        notice = await store.get_notice(conn, notice_id, tenant.ods)
    if notice is None:
        raise NotFound
    return notice


async def find(
    ctx: Context, tenant: Tenant, page: PageQuery, *, staff_id: str | None, state: NoticeState | None
) -> tuple[list[Notice], str | None]:
    """A page of the trust's notices, of one person or in one state if asked."""
    async with ctx.db.read() as conn:
        return await store.list_notices(conn, tenant.ods, page, staff_id=staff_id, state=state)


async def resend(ctx: Context, tenant: Tenant, notice_id: str, actor: Actor, claim: Claim) -> str:
    """Queue a notice that has ended once more, as a new one; its id.

    Channel and language are the person's of today (an invitation keeps the channel it was made for); what it
    says is read anew when it is sent.

    Raises:
        NotFound.
        WrongState: it still waits, or was sent again before.
    """
    old = await get(ctx, tenant, notice_id)
    if old.state is NoticeState.QUEUED:
        raise WrongState("The notice still waits to be sent.")
    async with ctx.db.write() as conn:
        staff = await get_staff(conn, old.ods, old.staff_id)
        if staff is None or is_paused(staff.preferences, old.kind):
            raise WrongState("The person asked for no such notices.")
        again = replace(
            old,
            id=new_id(),
            channel=old.channel if old.kind is NoticeKind.INVITE else _preferred(ctx, staff),
            language=language_of(staff.preferences),
            state=NoticeState.QUEUED,
            reason=None,
            attempts=0,
            once=None,
            resend_of=old.id,
            queued_at=ctx.clock.now(),
            ended_at=None,
            created_by=actor.ref,
        )
        if not await _enqueue(ctx, conn, again):
            raise WrongState("The notice was sent again before: look for the newest.")
        await ctx.audit.record(
            conn,
            kind="notice.resent",
            subject_ref=old.staff_id,
            actor=actor.as_dict(),
            organisation=tenant.ods,
            details={"notice": again.id, "resend_of": old.id},
        )
        await claim.complete(conn, again.id)
    return again.id


async def contact(ctx: Context, tenant: Tenant) -> NoticeContact | None:
    """Whom the trust's notices name to ask, None while nobody is named."""
    async with ctx.db.read() as conn:
        return await store.contact_of(conn, tenant.ods)


async def whom_to_ask(ctx: Context, tenant: Tenant, language: str) -> str:
    """Whom to ask, as a person reads it."""
    found = await contact(ctx, tenant)
    return say_contact(
        language,
        tenant.name or tenant.ods,
        name=found.name if found else None,
        phone=found.phone if found else None,
        email=found.email if found else None,
    )


async def put_contact(
    ctx: Context, tenant: Tenant, values: Mapping[str, str | None], actor: Actor, *, read_version: int
) -> NoticeContact:
    """Say whom notices name to ask, if nobody said so since it was read (version 0: nobody yet).

    Raises:
        PreconditionFailed.
    """
    new = NoticeContact(
        ods=tenant.ods,
        name=values["name"],
        phone=values["phone"],
        email=values["email"],
        version=read_version + 1,
        updated_at=ctx.clock.now(),
        updated_by=actor.ref,
    )
    try:
        async with ctx.db.write() as conn:
            await store.put_contact(conn, new, expected_version=read_version)
            await ctx.audit.record(
                conn,
                kind="notice_contact.changed",
                subject_ref=tenant.ods,
                actor=actor.as_dict(),
                organisation=tenant.ods,
            )
    except VersionChanged:
        raise PreconditionFailed from None
    return new
