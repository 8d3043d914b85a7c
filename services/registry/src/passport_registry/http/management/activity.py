"""`/api/v1/activity`: facts that were counted elsewhere before, typed in; and what is counted, read back."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field, StringConstraints

from passport_registry.http.management.common import (
    ActorRef,
    ApiModel,
    Ctx,
    acting,
    cursor_of,
    once,
    operator,
    page_of,
)
from passport_registry.operations import activity as operations
from passport_registry.operations.activity import MAX_IMPORT, ImportedFact, Reporter
from passport_registry.store.activity import FactRow, ImportRow
from passport_shared.service.auth import Caller, require
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.activity import EventId, EventType, Fact
from passport_shared.wire.clients import EVERY_ORGANISATION

LIST = "activity"
router: APIRouter = management_router("/api/v1/activity", tags=["activity"])

Reader = Annotated[Caller, Depends(require("activity:read"))]
Writer = Annotated[Caller, Depends(require("activity:write"))]
ImportId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]


class ImportItem(ApiModel):
    """One fact with the id that makes it count once."""

    id: EventId
    type: EventType
    data: Fact


class ImportBody(ApiModel):
    """Facts of before, all of which are counted or none."""

    source_note: Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=300)] = (
        Field(description="Where they are from: a report, a table, a system. Never a person.")
    )
    facts: Annotated[list[ImportItem], Field(min_length=1, max_length=MAX_IMPORT)]
    actor: ActorRef


class ImportView(ApiModel):
    """An import: how much of it was new."""

    id: str
    source_note: str
    imported: int = Field(description="Facts that were counted by it.")
    known: int = Field(description="Facts that had been counted before, with the same content.")
    created_at: datetime


class FactView(ApiModel):
    """A fact that is counted."""

    id: str
    type: EventType
    organisation: str
    data: dict[str, Any]
    import_id: str | None
    received_at: datetime


def _import(row: ImportRow) -> ImportView:
    return ImportView(
        id=row.id,
        source_note=row.source_note,
        imported=row.imported,
        known=row.known,
        created_at=row.created_at,
    )


def _fact(row: FactRow) -> FactView:
    return FactView(
        id=row.event_id,
        type=EventType(row.kind),
        organisation=row.ods,
        data=dict(row.fact),
        import_id=row.import_id,
        received_at=row.received_at,
    )


@router.post("/imports", status_code=201)
async def import_facts(
    body: ImportBody, request: Request, response: Response, ctx: Ctx, caller: Writer
) -> ImportView:
    """Import facts; each is marked as imported wherever it is counted, and counts once by its id."""
    actor = acting(caller, body.actor)
    reporter = Reporter(client_id=caller.client_id, organisation=caller.organisation)
    facts = [ImportedFact(id=item.id, kind=item.type, fact=item.data) for item in body.facts]

    async def work(claim: Any) -> str:
        return await operations.import_facts(ctx, facts, body.source_note, reporter, actor, claim)

    made = await once(ctx, request, caller, work)
    response.headers["Location"] = f"/api/v1/activity/imports/{made.resource_id}"
    return _import(await operations.get_import(ctx, made.resource_id))


@router.get("/imports/{import_id}")
async def get_import(import_id: ImportId, ctx: Ctx, caller: Reader) -> ImportView:
    """Read an import; for clients of the network's operator."""
    operator(caller)
    return _import(await operations.get_import(ctx, import_id))


@router.get("/facts")
async def list_facts(
    ctx: Ctx,
    caller: Reader,
    query: Paging,
    organisation: Annotated[
        str | None, Query(pattern=r"^[A-Z0-9]{3,10}$", description="Only what this trust reported.")
    ] = None,
) -> Page[FactView]:
    """List facts by event id; a client of one trust sees what that trust reported."""
    own = None if caller.organisation == EVERY_ORGANISATION else caller.organisation
    if own is not None and organisation not in (None, own):
        return Page(items=[], next=None)
    found = await operations.page(
        ctx, ods=organisation or own, after=cursor_of(query, LIST), limit=query.limit + 1
    )
    items, following = page_of(found, query, LIST, lambda row: row.event_id)
    return Page(items=[_fact(row) for row in items], next=following)
