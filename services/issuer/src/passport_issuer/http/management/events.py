"""``/events``: what happened at a trust, to be read again from a cursor (design §6)."""

from typing import Annotated

from fastapi import Depends

from passport_issuer.http.access import PREFIX, Access, access
from passport_shared.service.event_replay import Cursor, EventList, Limit, replayed
from passport_shared.service.routes import management_router

router = management_router(PREFIX, tags=["Events"])


@router.get("/events", operation_id="list_events", summary="Read events again from a cursor")
async def list_events(
    found: Annotated[Access, Depends(access("events:read"))], cursor: Cursor = None, limit: Limit = 100
) -> EventList:
    """The trust's events after a cursor, oldest first."""
    return await replayed(found.ctx.outbox, found.tenant.ods, cursor, limit)
