"""Invitations: one-time links, found by the hash of their token and opened by one conditional statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.notices import InvitationChannel, InvitationState
from passport_issuer.store.notice_tables import invitations
from passport_issuer.store.rows import as_row, as_value, one
from passport_shared.service.once import insert_once
from passport_shared.service.paging import PageQuery, fetch_page


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """An invitation; its token is derived from its id and never stored."""

    id: str
    ods: str
    staff_id: str
    channel: InvitationChannel
    state: InvitationState
    token_hash: str
    browser_hash: str | None
    resend_of: str | None
    sent_at: datetime | None
    opened_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    created_by: str

    def waits_at(self, now: datetime) -> bool:
        """Whether the link can still be opened."""
        return self.state is InvitationState.SENT and self.expires_at is not None and now < self.expires_at


async def add_invitation(conn: AsyncConnection, invitation: Invitation) -> bool:
    """Write an invitation unless another one of the person waits; whether it was written."""
    return await insert_once(conn, invitations, as_row(invitation))


async def get_invitation(conn: AsyncConnection, ods: str, invitation_id: str) -> Invitation | None:
    """One invitation of this trust."""
    query = select(invitations).where(invitations.c.ods == ods, invitations.c.id == invitation_id)
    return await one(conn, query, Invitation)


async def find_by_token(conn: AsyncConnection, ods: str, token_hash: str) -> Invitation | None:
    """The invitation a link belongs to."""
    query = select(invitations).where(invitations.c.ods == ods, invitations.c.token_hash == token_hash)
    return await one(conn, query, Invitation)


async def list_invitations(
    conn: AsyncConnection, ods: str, staff_id: str, page: PageQuery
) -> tuple[list[Invitation], str | None]:
    """A page of a person's invitations, oldest first."""
    query = select(invitations).where(invitations.c.ods == ods, invitations.c.staff_id == staff_id)
    rows, following = await fetch_page(
        conn, query, list_name=f"invitations/{staff_id}", order_by=[invitations.c.id], query=page
    )
    return [as_value(Invitation, row._mapping) for row in rows], following


async def open_once(
    conn: AsyncConnection, ods: str, token_hash: str, browser_hash: str, now: datetime
) -> str | None:
    """Open a link that waits, for this browser; the invitation's id for exactly one caller."""
    opened = await conn.execute(
        update(invitations)
        .where(
            invitations.c.ods == ods,
            invitations.c.token_hash == token_hash,
            invitations.c.state == InvitationState.SENT.value,
            invitations.c.expires_at > now,
        )
        .values(state=InvitationState.OPENED.value, opened_at=now, browser_hash=browser_hash)
        .returning(invitations.c.id)
    )
    invitation_id: str | None = opened.scalar_one_or_none()
    return invitation_id


async def send_draft(
    conn: AsyncConnection,
    invitation_id: str,
    *,
    channel: InvitationChannel,
    now: datetime,
    expires_at: datetime,
) -> bool:
    """Turn a draft into an invitation that is sent; whether it was a draft."""
    sent = await conn.execute(
        update(invitations)
        .where(invitations.c.id == invitation_id, invitations.c.state == InvitationState.DRAFT.value)
        .values(state=InvitationState.SENT.value, channel=channel.value, sent_at=now, expires_at=expires_at)
    )
    return sent.rowcount == 1


async def end_invitation(
    conn: AsyncConnection,
    invitation_id: str,
    *,
    come_from: Sequence[InvitationState],
    to: InvitationState,
    now: datetime,
) -> bool:
    """Move an invitation to an end from one of these states; whether it was in one."""
    ended = await conn.execute(
        update(invitations)
        .where(invitations.c.id == invitation_id, invitations.c.state.in_([s.value for s in come_from]))
        .values(state=to.value, ended_at=now)
    )
    return ended.rowcount == 1


async def expire(conn: AsyncConnection, now: datetime, staff_id: str | None = None) -> Sequence[Row[Any]]:
    """Close links whose time is over, of one person if named; the (ods, id) of each."""
    statement = update(invitations).where(
        invitations.c.state == InvitationState.SENT.value, invitations.c.expires_at <= now
    )
    if staff_id is not None:
        statement = statement.where(invitations.c.staff_id == staff_id)
    expired = await conn.execute(
        statement.values(state=InvitationState.EXPIRED.value, ended_at=now).returning(
            invitations.c.ods, invitations.c.id
        )
    )
    return expired.all()


async def forget_ended(conn: AsyncConnection, before: datetime) -> int:
    """Delete invitations made before then that can no longer be opened; how many."""
    waiting = [InvitationState.DRAFT.value, InvitationState.SENT.value]
    forgotten = await conn.execute(
        delete(invitations).where(invitations.c.created_at < before, invitations.c.state.not_in(waiting))
    )
    return forgotten.rowcount
