"""What the issuer tells the registry of its activity: passports issued, and issued again (domain.md §10a).

*Issued* is the first acceptance by a person at one employing trust: it is told in the transaction in which
the first credential of the passport becomes issued, which happens once. *Reissued* is the first credential of
any later offer. A placement that a host issues is neither. No fact says whom it is about.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.rules.records import IdentitySession, SessionResult
from passport_issuer.store import offers
from passport_issuer.store import tables as t
from passport_issuer.store.offers import Grant, Offer
from passport_issuer.store.rows import as_value
from passport_shared.wire import activity, catalogue
from passport_shared.wire.activity import EventType, Step


async def emit_collected(
    ctx: Context,
    conn: AsyncConnection,
    grant: Grant,
    kind: str,
    credentials: Collection[str],
    *,
    first: bool,
    at: datetime,
) -> None:
    """Tell of credentials that were just issued, in the transaction that holds the passport's row.

    Args:
        ctx: the issuer's means.
        conn: the caller's transaction.
        grant: what the wallet collected with.
        kind: the credentials' type.
        credentials: their ids.
        first: whether nothing was issued for this passport before.
        at: when.
    """
    if kind not in catalogue.EMPLOYER_TYPES:
        return
    if not first and await _begun(conn, grant.offer_id, credentials):
        return
    session = await _appointment(conn, grant)
    offer = await offers.get_offer(conn, grant.ods, grant.offer_id)
    await ctx.outbox.emit(
        conn,
        type=EventType.ISSUED if first else EventType.REISSUED,
        subject=grant.passport_id,
        organisation=grant.ods,
        data=activity.fact(
            at=at,
            employing_ods=grant.ods,
            workforce_group=await _workforce_group(conn, grant),
            channel=session.channel if session else None,
            durations_s=_durations(session if first else None, offer, at),
        ),
    )


def _durations(session: IdentitySession | None, offer: Offer | None, at: datetime) -> dict[str, int]:
    if offer is None:
        return {}
    begun = _begin(session) if session else None
    return activity.durations(
        {
            Step.APPOINTMENT_TO_OFFER: (begun, offer.created_at),
            Step.OFFER_TO_PIN: (offer.created_at, offer.redeemed_at),
            Step.PIN_TO_COLLECTED: (offer.redeemed_at, at),
            Step.TIME_TO_ISSUE: (begun, at),
        }
    )


def _begin(session: IdentitySession) -> datetime | None:
    """When an appointment began: as recorded, as it was planned, or else as it was opened."""
    if session.started_at is not None and session.started_at != session.ended_at:
        return session.started_at
    planned = session.scheduled_for or session.created_at
    ended = session.ended_at or planned
    return min(planned, ended)


async def _begun(conn: AsyncConnection, offer_id: str, credentials: Collection[str]) -> bool:
    """Whether anything else was issued for this offer before."""
    table = t.credentials
    earlier = (
        select(table.c.id)
        .where(
            table.c.offer_id == offer_id,
            table.c.issued_at.is_not(None),
            table.c.id.not_in(list(credentials)),
        )
        .limit(1)
    )
    return (await conn.execute(earlier)).first() is not None


async def _appointment(conn: AsyncConnection, grant: Grant) -> IdentitySession | None:
    """The newest appointment at which the person was confirmed."""
    table = t.identity_sessions
    query = (
        select(table)
        .where(
            table.c.ods == grant.ods,
            table.c.staff_id == grant.staff_id,
            table.c.result == SessionResult.CONFIRMED.value,
        )
        .order_by(table.c.ended_at.desc())
        .limit(1)
    )
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else as_value(IdentitySession, row)


async def _workforce_group(conn: AsyncConnection, grant: Grant) -> str | None:
    """The staff group of the person's first assignment, the primary one before others."""
    table = t.assignments
    query = (
        select(table.c.staff_group)
        .where(table.c.ods == grant.ods, table.c.staff_id == grant.staff_id)
        .order_by(table.c.primary.desc(), table.c.created_at, table.c.id)
        .limit(1)
    )
    return (await conn.execute(query)).scalar()
