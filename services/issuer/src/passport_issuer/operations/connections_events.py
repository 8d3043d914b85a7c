"""Thin events of workforce systems: an event says whom to read again, and nothing else is taken from it.

Whoever knows a connection's event key may say that something changed about a person of that system. A person
we are not linked to is nobody of interest: the event is accepted and forgotten, and the sender does not learn
which. `dataref` is compared with what the event says of itself and never fetched: where to read is the
connection's own business.
"""

from __future__ import annotations

from datetime import timedelta

from passport_issuer.context import Context
from passport_issuer.operations.connections import event_key_hash
from passport_issuer.store import connection_links as links
from passport_issuer.store import connections as store
from passport_issuer.store.connections import Connection
from passport_shared.service.limits import Rate
from passport_shared.wire.dsp_api import Event

# A system that finishes a training day for a whole trust sends a burst; far beyond it has gone wild.
EVENTS = Rate(name="issuer.workforce_events", limit=600, per=timedelta(minutes=1), burst=2_000)
MAX_KEY = 128
GRACE = timedelta(minutes=1)


async def sender(ctx: Context, api_key: str) -> Connection | None:
    """The connection whose event key this is."""
    if not api_key or len(api_key) > MAX_KEY or not api_key.isascii():
        return None
    async with ctx.db.read() as conn:
        return await store.by_event_key(conn, event_key_hash(api_key))


async def accept(ctx: Context, connection: Connection, event: Event) -> None:
    """Mark the event's subject as due, if they are one of ours; the same event again changes nothing.

    Raises:
        TooManyRequests.
    """
    await ctx.limiter.spend(EVENTS, connection.id)
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        if await links.mark_due(conn, connection.id, [event.subject], now):
            await store.hasten(conn, connection.id, now, GRACE)
