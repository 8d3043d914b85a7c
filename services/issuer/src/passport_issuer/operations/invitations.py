"""Invitations: a one-time link for a member of staff, sent in a notice or printed, opened once (J2).

Looking at the link changes nothing, because mail scanners look at every link; the button opens it, for the
browser it is pressed in. The token is derived from the invitation's id, its hash is what is stored. A person
has at most one invitation that waits; sending again makes a new link and the old one is over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import CHANNEL_NOT_AVAILABLE, OFFERS_PAUSED, WrongState
from passport_issuer.operations import notices
from passport_issuer.operations import staff as staff_operations
from passport_issuer.operations.invitation_links import invitation_token
from passport_issuer.operations.offers import HOLDER
from passport_issuer.rules import codes
from passport_issuer.rules.notices import (
    InvitationChannel,
    InvitationState,
    NoticeChannel,
    NoticeKind,
    is_paused,
)
from passport_issuer.rules.records import EmploymentStatus, StaffMember
from passport_issuer.store import invitations as store
from passport_issuer.store import notices as notice_store
from passport_issuer.store.invitations import Invitation
from passport_issuer.store.staff import get_staff
from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import NotFound, PassportError
from passport_shared.service.tenancy import Tenant

FOLLOWED_FOR = timedelta(days=60)
"""How long after it was opened the same browser is led on by the link."""
_AGAIN = (InvitationState.SENT, InvitationState.OPENED, InvitationState.EXPIRED)
_WITHDRAWABLE = (InvitationState.DRAFT, InvitationState.SENT, InvitationState.OPENED)


@dataclass(frozen=True)
class Opening:
    """An invitation as one browser sees it: ``ours`` when this browser opened it."""

    invitation: Invitation
    ours: bool


def shown_state(invitation: Invitation, now: datetime) -> InvitationState:
    """The state people are shown: a link whose time is over is expired at once."""
    if invitation.state is InvitationState.SENT and not invitation.waits_at(now):
        return InvitationState.EXPIRED
    return invitation.state


async def create(
    ctx: Context, tenant: Tenant, staff_id: str, channel: InvitationChannel, actor: Actor, claim: Claim
) -> str:
    """Invite a person; the invitation's id.

    Raises:
        NotFound.
        WrongState: another invitation of theirs waits, or they have left.
        PassportError: channel_not_available, offers_paused.
    """
    staff = await staff_operations.get(ctx, tenant, staff_id)
    _check_channel(ctx, staff, channel)
    invitation = _new(ctx, staff, channel, InvitationState.SENT, actor.ref)
    async with ctx.db.write() as conn:
        await expire_links(ctx, conn, staff_id)
        await _send(ctx, conn, invitation, actor)
        await claim.complete(conn, invitation.id)
    return invitation.id


async def draft(ctx: Context, conn: AsyncConnection, *, ods: str, staff_id: str, by: str) -> str | None:
    """Draft an invitation in the caller's transaction, as when a starter event arrives; HR sends it.

    Its id; None when the person is unknown here, or a draft or a link of theirs waits already.
    """
    staff = await get_staff(conn, ods, staff_id)
    if staff is None or staff.employment_status is EmploymentStatus.LEFT:
        return None
    await expire_links(ctx, conn, staff_id)
    channel = InvitationChannel.EMAIL if staff.work_email else InvitationChannel.PRINT
    invitation = _new(ctx, staff, channel, InvitationState.DRAFT, by)
    if not await store.add_invitation(conn, invitation):
        return None
    await ctx.audit.record(
        conn,
        kind="invitation.drafted",
        subject_ref=staff_id,
        actor={"system": by},
        organisation=ods,
        details={"invitation": invitation.id},
    )
    return invitation.id


async def send_draft(
    ctx: Context, tenant: Tenant, read: Invitation, channel: InvitationChannel | None, actor: Actor
) -> None:
    """Send a drafted invitation, by another channel if one is named.

    Raises:
        WrongState: it is no draft any more.
        PassportError: channel_not_available, offers_paused.
    """
    staff = await staff_operations.get(ctx, tenant, read.staff_id)
    way = channel or read.channel
    _check_channel(ctx, staff, way)
    now = ctx.clock.now()
    sent = replace(read, channel=way, sent_at=now, expires_at=now + ctx.notices.invitation_lifetime)
    async with ctx.db.write() as conn:
        if not await store.send_draft(
            conn, read.id, channel=way, now=now, expires_at=now + ctx.notices.invitation_lifetime
        ):
            raise WrongState(f"The invitation is {read.state.value}.")
        await _tell(ctx, conn, sent, actor)


async def resend(
    ctx: Context,
    tenant: Tenant,
    read: Invitation,
    channel: InvitationChannel | None,
    actor: Actor,
    claim: Claim,
) -> str:
    """Make a new link in the place of one that waits, was opened or ran out; the new invitation's id.

    Raises:
        WrongState: it was withdrawn, sent again before, or is a draft; or another one waits.
        PassportError: channel_not_available, offers_paused.
    """
    staff = await staff_operations.get(ctx, tenant, read.staff_id)
    way = channel or read.channel
    _check_channel(ctx, staff, way)
    fresh = replace(_new(ctx, staff, way, InvitationState.SENT, actor.ref), resend_of=read.id)
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        if not await store.end_invitation(
            conn, read.id, come_from=_AGAIN, to=InvitationState.RESENT, now=now
        ):
            raise WrongState(f"The invitation is {shown_state(read, now).value}.")
        await notice_store.cancel_about(conn, read.id, "invitation_over", now)
        await expire_links(ctx, conn, staff.id)
        await _send(ctx, conn, fresh, actor)
        await claim.complete(conn, fresh.id)
    return fresh.id


async def withdraw(ctx: Context, read: Invitation, actor: Actor) -> None:
    """Take an invitation back: its link leads nowhere any more, also for the browser that opened it.

    Raises:
        WrongState.
    """
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        if not await store.end_invitation(
            conn, read.id, come_from=_WITHDRAWABLE, to=InvitationState.WITHDRAWN, now=now
        ):
            raise WrongState(f"The invitation is {shown_state(read, now).value}.")
        await notice_store.cancel_about(conn, read.id, "invitation_over", now)
        await _record(ctx, conn, "invitation.withdrawn", read, actor)


async def get(ctx: Context, tenant: Tenant, staff_id: str, invitation_id: str) -> Invitation:
    """One invitation of this person.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        invitation = await store.get_invitation(conn, tenant.ods, invitation_id)
    if invitation is None or invitation.staff_id != staff_id:
        raise NotFound
    return invitation


async def list_of(
    ctx: Context, tenant: Tenant, staff_id: str, page: PageQuery
) -> tuple[list[Invitation], str | None]:
    """A page of a person's invitations.

    Raises:
        NotFound: no such person.
    """
    await staff_operations.get(ctx, tenant, staff_id)
    async with ctx.db.read() as conn:
        return await store.list_invitations(conn, tenant.ods, staff_id, page)


async def find(ctx: Context, tenant: Tenant, token: str, browser: str) -> Opening | None:
    """The invitation a link belongs to, as this browser sees it; None for a link that leads nowhere."""
    if not codes.is_invitation_token(token):
        return None
    async with ctx.db.read() as conn:
        invitation = await store.find_by_token(conn, tenant.ods, codes.token_hash(token))
    if invitation is None or invitation.state is InvitationState.DRAFT:
        return None
    now = ctx.clock.now()
    followed = invitation.opened_at is not None and now < invitation.opened_at + FOLLOWED_FOR
    same = bool(browser) and invitation.browser_hash == codes.token_hash(browser)
    return Opening(invitation, ours=followed and same)


async def open_link(ctx: Context, tenant: Tenant, token: str, browser: str) -> bool:
    """Open a link for this browser; True for exactly one caller."""
    async with ctx.db.write() as conn:
        opened = await store.open_once(
            conn, tenant.ods, codes.token_hash(token), codes.token_hash(browser), ctx.clock.now()
        )
        if opened is not None:
            await ctx.audit.record(
                conn,
                kind="invitation.opened",
                subject_ref=opened,
                actor=HOLDER,
                organisation=tenant.ods,
            )
    return opened is not None


async def expire_links(ctx: Context, conn: AsyncConnection, staff_id: str | None = None) -> None:
    """Close the links whose time is over, of one person or of everybody, in the caller's transaction."""
    for expired in await store.expire(conn, ctx.clock.now(), staff_id):
        await ctx.audit.record(
            conn,
            kind="invitation.expired",
            subject_ref=expired.id,
            actor={"system": "notices"},
            organisation=expired.ods,
        )


def _new(
    ctx: Context, staff: StaffMember, channel: InvitationChannel, state: InvitationState, by: str
) -> Invitation:
    now, invitation_id = ctx.clock.now(), new_id()
    sent = state is InvitationState.SENT
    return Invitation(
        id=invitation_id,
        ods=staff.ods,
        staff_id=staff.id,
        channel=channel,
        state=state,
        token_hash=codes.token_hash(invitation_token(ctx, invitation_id)),
        browser_hash=None,
        resend_of=None,
        sent_at=now if sent else None,
        opened_at=None,
        expires_at=now + ctx.notices.invitation_lifetime if sent else None,
        ended_at=None,
        created_at=now,
        created_by=by,
    )


def _check_channel(ctx: Context, staff: StaffMember, channel: InvitationChannel) -> None:
    if staff.employment_status is EmploymentStatus.LEFT:
        raise WrongState("The person has left the trust.")
    if channel is InvitationChannel.PRINT:
        return
    if is_paused(staff.preferences, NoticeKind.INVITE):
        raise PassportError(
            OFFERS_PAUSED, "The person asked for no such messages: speak to them, or print it."
        )
    if NoticeChannel(channel.value) not in ctx.notices.couriers:
        raise PassportError(
            CHANNEL_NOT_AVAILABLE, "This service sends no messages by this channel: print it."
        )
    if (staff.work_email if channel is InvitationChannel.EMAIL else staff.mobile) is None:
        what = "work e-mail address" if channel is InvitationChannel.EMAIL else "mobile number"
        raise PassportError(CHANNEL_NOT_AVAILABLE, f"No {what} is recorded: record one, or print it.")


async def _send(ctx: Context, conn: AsyncConnection, invitation: Invitation, actor: Actor) -> None:
    if not await store.add_invitation(conn, invitation):
        raise WrongState("An invitation of this person waits already: send it, send it again or withdraw it.")
    await _tell(ctx, conn, invitation, actor)


async def _tell(ctx: Context, conn: AsyncConnection, invitation: Invitation, actor: Actor) -> None:
    if invitation.channel is not InvitationChannel.PRINT:
        await notices.queue(
            ctx,
            conn,
            kind=NoticeKind.INVITE,
            ods=invitation.ods,
            staff_id=invitation.staff_id,
            about=invitation.id,
            channel=NoticeChannel(invitation.channel.value),
            by=actor.ref,
        )
    await _record(ctx, conn, "invitation.sent", invitation, actor)


async def _record(
    ctx: Context, conn: AsyncConnection, kind: str, invitation: Invitation, actor: Actor
) -> None:
    details = {"invitation": invitation.id, "channel": invitation.channel.value}
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=invitation.staff_id,
        actor=actor.as_dict(),
        organisation=invitation.ods,
        details=details | ({"resend_of": invitation.resend_of} if invitation.resend_of else {}),
    )
