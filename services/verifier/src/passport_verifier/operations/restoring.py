"""What the verifier does once after its database was restored to an older moment, before it serves.

ADR-0031. Requests that were open then may have been answered in the lost time: they end, and their keys go,
so that no answer is taken twice. Decisions of the lost time are gone; host HR asks again, and the watch
raises again what it finds. Run with the service stopped. It may be repeated.
"""

from __future__ import annotations

from sqlalchemy import delete, update

from passport_shared.service.backup import leave_the_past
from passport_shared.service.doctor import ServiceTables
from passport_verifier.context import Context
from passport_verifier.store import holder_tables
from passport_verifier.store import tables as t
from passport_verifier.store.requests import RequestState


async def restored(ctx: Context, tables: ServiceTables) -> int:
    """Bring a restored database into a state that may be served; how many open requests were ended."""
    requests = t.presentation_requests
    ending = update(requests).where(requests.c.state == RequestState.OPEN.value)
    async with ctx.db.write() as conn:
        closed = {"state": RequestState.CANCELLED.value, "encryption_key": None}
        ended = await conn.execute(ending.values(**closed, answered_at=ctx.clock.now()))
        await conn.execute(delete(t.held_presentations))
        await conn.execute(delete(holder_tables.holders.sessions))
        await leave_the_past(conn, tables, ctx.audit)
    return int(ended.rowcount)
