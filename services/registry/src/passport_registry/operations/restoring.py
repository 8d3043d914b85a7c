"""What the registry does once after its database was restored to an older moment, before it serves.

ADR-0031. Marks were signed in the lost time that no row here tells of: no index of an older list is given
again, so that the standing of such a mark is never another one's. What the operator did in the lost time is
done again by hand. Run with the service stopped. It may be repeated.
"""

from __future__ import annotations

from passport_registry.context import Context
from passport_registry.store import marks, publications
from passport_shared.service.backup import leave_the_past
from passport_shared.service.doctor import ServiceTables


async def restored(ctx: Context, tables: ServiceTables) -> None:
    """Bring a restored database into a state that may be published."""
    async with ctx.db.write() as conn:
        await marks.close_lists(conn)
        await leave_the_past(conn, tables, ctx.audit)
        await publications.changed(conn)
