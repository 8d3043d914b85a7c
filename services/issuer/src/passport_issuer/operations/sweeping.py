"""Tidying that follows from time alone, safe to run at any moment and by any replica.

Reservations that never became credentials are ended, as a signature may exist; offers expire and forget the
claims they held; used nonces go when they can no longer be replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from passport_issuer.context import Context
from passport_issuer.store import credentials, nonces, offers

# Longer than any request lives: a reservation this old belongs to a process that is gone.
ABANDONED_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What one run ended."""

    abandoned: int
    expired_offers: int
    forgotten_nonces: int


async def sweep(ctx: Context) -> Swept:
    """Run once."""
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        abandoned = await credentials.abandon_prepared(conn, before=now - ABANDONED_AFTER, now=now)
        expired = await offers.expire(conn, now)
        forgotten = await nonces.forget(conn, now)
    return Swept(abandoned=abandoned, expired_offers=expired, forgotten_nonces=forgotten)
