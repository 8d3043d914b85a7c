"""Tidying that follows from time alone, safe to run at any moment and by any replica.

Reservations that never became credentials are ended, as a signature may exist; offers expire and forget the
claims they held; release requests nobody answered expire; used nonces go when they can no longer be replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from passport_issuer.context import Context
from passport_issuer.operations import failpoints, releases
from passport_issuer.store import credentials, nonces, offers
from passport_shared.service import metric_names as m

# Longer than any request lives: a reservation this old belongs to a process that is gone.
ABANDONED_AFTER = timedelta(minutes=2)
SWEEPER = {"system": "sweep"}


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What one run ended."""

    abandoned: int
    expired_offers: int
    forgotten_nonces: int


async def sweep(ctx: Context) -> Swept:
    """Run once."""
    # Three transactions: each is whole by itself, and none holds what another's rivals wait for.
    now = ctx.clock.now()
    abandoned = await _abandon(ctx, now)
    failpoints.hit(failpoints.AFTER_ABANDONED)
    expired = await _expire(ctx, now)
    failpoints.hit(failpoints.AFTER_EXPIRED)
    await releases.expire(ctx)
    async with ctx.db.write() as conn:
        forgotten = await nonces.forget(conn, now)
    return Swept(abandoned=abandoned, expired_offers=expired, forgotten_nonces=forgotten)


async def _abandon(ctx: Context, now: datetime) -> int:
    async with ctx.db.write() as conn:
        ended = await credentials.abandon_prepared(conn, before=now - ABANDONED_AFTER, now=now)
        by_passport: dict[tuple[str, str], list[str]] = {}
        for one in ended:
            by_passport.setdefault((one.ods, one.passport_id), []).append(one.id)
        for (ods, passport_id), ids in by_passport.items():
            await ctx.audit.record(
                conn,
                kind="credential.abandoned",
                subject_ref=passport_id,
                actor=SWEEPER,
                organisation=ods,
                details={"credentials": ids},
            )
    return len(ended)


async def _expire(ctx: Context, now: datetime) -> int:
    async with ctx.db.write() as conn:
        expired = await offers.expire(conn, now)
        for ods, offer_id in expired:
            await ctx.audit.record(
                conn, kind="credential_offer.expired", subject_ref=offer_id, actor=SWEEPER, organisation=ods
            )
    ctx.counts.add(m.OFFERS_EXPIRED, count=len(expired))
    return len(expired)
