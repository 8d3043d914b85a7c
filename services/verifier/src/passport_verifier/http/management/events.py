"""`…/events`: what happened at a host, to be read again from a cursor (design §6)."""

from typing import Annotated

from fastapi import APIRouter, Depends

from passport_shared.service.event_replay import Cursor, EventList, Limit, replayed
from passport_shared.service.routes import management_router
from passport_verifier.http.management.common import PREFIX, Access, Ctx, access

router: APIRouter = management_router(f"{PREFIX}/events", tags=["events"])


@router.get("", summary="Read events again from a cursor")
async def list_events(
    who: Annotated[Access, Depends(access("events:read"))],
    ctx: Ctx,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> EventList:
    """The host's events after a cursor, oldest first."""
    return await replayed(ctx.outbox, who.ods, cursor, limit)
