"""Replay of an organisation's events from a cursor: the body both services' ``…/events`` answer with.

Unlike other lists this one never ends: ``next`` is where to go on from, also when nothing came.
"""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from passport_shared.service.outbox import CursorInvalid, Outbox
from passport_shared.service.problems import BadRequest

Cursor = Annotated[
    str | None,
    Query(
        pattern=r"^(0|[1-9][0-9]{0,17})$",
        description="`next` of the page before; without it from the first event that is kept.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=200, description="Most events per page.")]


class ReplayedEvent(BaseModel):
    """A CloudEvents 1.0 event as it was, or will be, delivered; its data are ids, codes and days."""

    model_config = ConfigDict(extra="forbid")

    specversion: str = Field(examples=["1.0"])
    id: str
    source: str
    type: str = Field(examples=["passport.issued"])
    subject: str
    time: datetime
    datacontenttype: str
    organisation: str
    data: dict[str, Any]


class EventList(BaseModel):
    """Events in the order in which they were placed, and where to go on from."""

    model_config = ConfigDict(extra="forbid")

    items: list[ReplayedEvent]
    next: str = Field(description="Cursor to go on from; keep it and ask again later.")


async def replayed(outbox: Outbox, ods: str, cursor: str | None, limit: int) -> EventList:
    """The events of one organisation after a cursor.

    Raises:
        BadRequest: not a cursor of this list.
    """
    try:
        page = await outbox.events_after(cursor, organisation=ods, limit=limit)
    except CursorInvalid:
        raise BadRequest("The cursor does not belong to this list.", field="query/cursor") from None
    return EventList(items=[ReplayedEvent.model_validate(item) for item in page.items], next=page.next)
