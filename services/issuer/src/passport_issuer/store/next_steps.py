"""What waits for a person who was invited: their newest open offer and their next appointment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.passports import OfferState
from passport_issuer.rules.records import IdentitySession, SessionResult
from passport_issuer.store import tables as t
from passport_issuer.store.offers import MAX_WRONG_TX_CODES, Offer
from passport_issuer.store.rows import one


async def open_offer(conn: AsyncConnection, ods: str, staff_id: str, now: datetime) -> Offer | None:
    """The newest offer of a person that can be collected now."""
    offers = t.credential_offers
    query = (
        select(offers)
        .where(
            offers.c.ods == ods,
            offers.c.staff_id == staff_id,
            offers.c.state == OfferState.OFFERED.value,
            offers.c.expires_at > now,
            offers.c.wrong_tx_codes < MAX_WRONG_TX_CODES,
        )
        .order_by(offers.c.created_at.desc(), offers.c.id)
        .limit(1)
    )
    return await one(conn, query, Offer)


async def next_appointment(
    conn: AsyncConnection, ods: str, staff_id: str, after: datetime
) -> IdentitySession | None:
    """The first appointment of a person after then that has not been held."""
    sessions = t.identity_sessions
    query = (
        select(sessions)
        .where(
            sessions.c.ods == ods,
            sessions.c.staff_id == staff_id,
            sessions.c.result == SessionResult.PENDING.value,
            sessions.c.scheduled_for > after,
        )
        .order_by(sessions.c.scheduled_for, sessions.c.id)
        .limit(1)
    )
    return await one(conn, query, IdentitySession)
