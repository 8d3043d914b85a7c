"""Sending notices: composed at the last moment, handed over by the channel's courier, told as sent or failed.

At least once: a process that dies between handing over and recording hands the same message over again, with
the same Message-ID. Nothing is sent that is no longer true. A server that is slow or dead holds up only the
notices of its channel: they wait in jobs of their own kind, which a runner of their own works off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.clients.mail import Letter, NotSent
from passport_issuer.context import Context
from passport_issuer.operations import failpoints
from passport_issuer.operations.invitation_links import invitation_link
from passport_issuer.operations.invitations import expire_links
from passport_issuer.operations.notice_outbox import KEPT as OUTBOX_KEPT
from passport_issuer.operations.notices import JOB_KINDS, job_queue, whom_to_ask
from passport_issuer.operations.offers import offer_page
from passport_issuer.rules.notices import (
    NoticeChannel,
    NoticeKind,
    NoticeState,
    compose,
    fact_day,
    first_name,
    is_paused,
    one_line,
    say_day,
)
from passport_issuer.rules.passports import PassportState
from passport_issuer.rules.records import Channel, IdentitySession, SessionResult, StaffMember
from passport_issuer.rules.validity import LONDON, london_day
from passport_issuer.store import evidence, invitations, offers, passports
from passport_issuer.store import notices as store
from passport_issuer.store.notices import Notice
from passport_issuer.store.staff import get_staff
from passport_shared.service.jobs import JobHandler, JobRun
from passport_shared.service.tenancy import Tenant

KEPT = timedelta(days=400)
"""How long a notice that has ended, or an invitation, can still be looked up."""

log = structlog.get_logger()


class Over(Exception):
    """A notice is not to be sent: cancelled, or failed for good; ``reason`` is a code."""

    def __init__(self, state: NoticeState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


@dataclass(frozen=True)
class _Said:
    """What a notice says: a template and its values beside the trust's name and whom to ask."""

    template: str
    values: Mapping[str, str]


def handlers(ctx: Context, channel: NoticeChannel) -> dict[str, JobHandler]:
    """The jobs of one channel, for a runner of its own."""

    async def run(job: JobRun) -> None:
        await _send(ctx, job)

    return {JOB_KINDS[channel]: run}


async def send_due(ctx: Context) -> int:
    """Try every notice that is due, one after the other; how many were tried."""
    every = {kind: run for channel in NoticeChannel for kind, run in handlers(ctx, channel).items()}
    return await job_queue(ctx).run_due(every)


async def _send(ctx: Context, run: JobRun) -> None:
    """One try: compose, hand over, record."""
    async with ctx.db.read() as conn:
        notice = await store.get_notice(conn, str(run.job.payload["notice"]))
    if notice is None or notice.state is not NoticeState.QUEUED:
        return
    try:
        letter = await _letter(ctx, notice)
        courier = ctx.notices.couriers.get(notice.channel)
        if courier is None:
            raise Over(NoticeState.FAILED, "channel_not_available")
        await courier.send(letter)
    except Over as over:
        await _end(ctx, run, notice, over.state, over.reason)
    except NotSent as failure:
        if not failure.permanent and run.job.attempts < run.job.max_attempts:
            async with ctx.db.write() as conn:
                await store.note_attempt(conn, notice.id, run.job.attempts, failure.reason)
            raise
        await _end(ctx, run, notice, NoticeState.FAILED, failure.reason)
    else:
        failpoints.hit(failpoints.AFTER_NOTICE_SENT)
        await _end(ctx, run, notice, NoticeState.SENT, None)


async def _end(ctx: Context, run: JobRun, notice: Notice, to: NoticeState, reason: str | None) -> None:
    async with ctx.db.write() as conn:
        # Whoever has taken the job over meanwhile records what became of it.
        await run.save({}, conn=conn)
        await store.end_notice(
            conn, notice.id, to=to, reason=reason, attempts=run.job.attempts, now=ctx.clock.now()
        )
    if to is NoticeState.FAILED:
        log.warning("notice.failed", notice_id=notice.id, reason=reason, organisation=notice.ods)


async def _letter(ctx: Context, notice: Notice) -> Letter:
    """The message as it would be read now.

    Raises:
        Over: it is no longer true, or there is nowhere to send it.
    """
    async with ctx.db.read() as conn:
        staff = await get_staff(conn, notice.ods, notice.staff_id)
    tenant = await ctx.tenants.get(notice.ods)
    if staff is None or tenant is None:
        raise Over(NoticeState.CANCELLED, "person_unknown")
    if is_paused(staff.preferences, notice.kind):
        raise Over(NoticeState.CANCELLED, "paused")
    address = staff.work_email if notice.channel is NoticeChannel.EMAIL else staff.mobile
    if address is None:
        raise Over(NoticeState.FAILED, "no_address")
    async with ctx.db.read() as conn:
        said = await _SAYS[notice.kind](ctx, conn, tenant, notice)
    return await _written(ctx, tenant, notice, staff, address, said)


async def _written(
    ctx: Context, tenant: Tenant, notice: Notice, staff: StaffMember, address: str, said: _Said
) -> Letter:
    name = first_name(staff.preferred_name, staff.legal_given)
    trust = one_line(tenant.name or tenant.ods)
    contact = await whom_to_ask(ctx, tenant, notice.language)
    values = {"trust": trust, "contact": contact, **said.values}
    words = compose(said.template, notice.language, name, values)
    return Letter(
        id=notice.id,
        ods=notice.ods,
        kind=notice.kind.value,
        channel=notice.channel,
        language=notice.language,
        to=address.strip() if notice.channel is NoticeChannel.EMAIL else "".join(address.split()),
        to_name=name,
        from_name=trust,
        subject=words.subject,
        text=words.body if notice.channel is NoticeChannel.EMAIL else words.text,
        written_at=notice.queued_at,
    )


async def _invite(ctx: Context, conn: AsyncConnection, tenant: Tenant, notice: Notice) -> _Said:
    invitation = await invitations.get_invitation(conn, notice.ods, notice.about or "")
    if invitation is None or invitation.expires_at is None or not invitation.waits_at(ctx.clock.now()):
        raise Over(NoticeState.CANCELLED, "invitation_over")
    # A link that ends in the middle of a day is promised until the day before.
    last = london_day(invitation.expires_at - timedelta(days=1))
    day = max(last, london_day(ctx.clock.now()))
    link = invitation_link(ctx, tenant, invitation.id)
    return _Said("INVITE", {"link": link, "day": say_day(day, notice.language)})


async def _appointment(ctx: Context, conn: AsyncConnection, _: Tenant, notice: Notice) -> _Said:
    session: IdentitySession | None = await evidence.get_record(
        conn, IdentitySession, notice.ods, notice.staff_id, notice.about or ""
    )
    if session is None or session.result is not SessionResult.PENDING or session.scheduled_for is None:
        raise Over(NoticeState.CANCELLED, "appointment_over")
    if session.version != notice.facts.get("version"):
        raise Over(NoticeState.CANCELLED, "appointment_changed")
    if session.scheduled_for <= ctx.clock.now():
        raise Over(NoticeState.CANCELLED, "appointment_over")
    at = session.scheduled_for.astimezone(LONDON)
    values = {"day": say_day(at.date(), notice.language), "hour": f"{at:%H:%M}"}
    if session.channel is Channel.VIDEO and session.join_url:
        return _Said("APPOINTMENT.VIDEO", {**values, "link": session.join_url})
    if session.channel is not Channel.VIDEO and session.place:
        return _Said("APPOINTMENT.PLACE", {**values, "place": session.place})
    return _Said("APPOINTMENT.PLAIN", values)


async def _offer_waiting(ctx: Context, conn: AsyncConnection, tenant: Tenant, notice: Notice) -> _Said:
    offer = await offers.get_offer(conn, notice.ods, notice.about or "")
    if offer is None or not offer.open_at(ctx.clock.now()):
        raise Over(NoticeState.CANCELLED, "offer_over")
    return _Said("OFFER_WAITING", {"link": offer_page(tenant, offer.id)})


async def _on_hold(_: Context, conn: AsyncConnection, __: Tenant, notice: Notice) -> _Said:
    passport = await passports.get_passport(conn, notice.ods, notice.about or "")
    if passport is None or passport.state is not PassportState.ON_HOLD:
        raise Over(NoticeState.CANCELLED, "not_on_hold")
    return _Said("ON_HOLD", {})


async def _day_only(ctx: Context, _: AsyncConnection, __: Tenant, notice: Notice) -> _Said:
    day = fact_day(notice.facts)
    if day is None or day < london_day(ctx.clock.now()):
        raise Over(NoticeState.CANCELLED, "day_over")
    return _Said(notice.kind.value, {"day": say_day(day, notice.language)})


_SAYS: Mapping[NoticeKind, Callable[[Context, AsyncConnection, Tenant, Notice], Awaitable[_Said]]] = {
    NoticeKind.INVITE: _invite,
    NoticeKind.APPOINTMENT: _appointment,
    NoticeKind.OFFER_WAITING: _offer_waiting,
    NoticeKind.ON_HOLD: _on_hold,
    NoticeKind.RENEWAL_DUE: _day_only,
    NoticeKind.PLACEMENT_ENDS: _day_only,
}


async def tend(ctx: Context) -> None:
    """What follows from time alone: links expire, notices given up are told as failed, old ones forgotten."""
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        await expire_links(ctx, conn)
    async with ctx.db.write() as conn:
        given_up = await store.fail_given_up(conn, now)
    for failed in given_up:
        log.warning(
            "notice.failed", notice_id=failed.id, reason="attempts_exhausted", organisation=failed.ods
        )
    async with ctx.db.write() as conn:
        await store.forget_ended(conn, now - KEPT)
        await invitations.forget_ended(conn, now - KEPT)
        await store.empty_outbox(conn, now - OUTBOX_KEPT)
