"""`/api/v1/agreements`: agreements between organisations in their minimal form."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from passport_registry.errors import NotFound
from passport_registry.http.management.common import (
    Acted,
    ActorRef,
    ApiModel,
    Ctx,
    acting,
    cursor_of,
    once,
    operator,
    page_of,
)
from passport_registry.operations import agreements as operations
from passport_registry.rules.agreements import AgreementState, AgreementTerms, AgreementType
from passport_registry.store.agreements import Agreement
from passport_shared.service.auth import Caller, require
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.clients import EVERY_ORGANISATION

LIST = "agreements"
router: APIRouter = management_router("/api/v1/agreements", tags=["agreements"])

Reader = Annotated[Caller, Depends(require("agreements:read"))]
Writer = Annotated[Caller, Depends(require("agreements:write"))]
IdPath = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
Name = Annotated[str, Field(min_length=2, max_length=80)]


class NewAgreement(ApiModel):
    """An agreement that was made; no staff groups means all of them."""

    type: AgreementType
    version: Annotated[str, Field(min_length=1, max_length=40)]
    text_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of the agreed text."
    )
    parties: Annotated[list[Annotated[str, Field(max_length=10)]], Field(min_length=2, max_length=500)]
    movement_types: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=60)]
    staff_groups: list[Name] = Field(default_factory=list, max_length=60)
    max_days: int | None = None
    effective: date
    expires: date | None = None
    actor: ActorRef


class AgreementView(ApiModel):
    """An agreement as recorded and published."""

    id: str
    type: AgreementType
    version: str
    text_hash: str | None
    parties: list[str]
    movement_types: list[str]
    staff_groups: list[str]
    max_days: int | None
    effective: date
    expires: date | None
    state: AgreementState
    created_at: datetime
    updated_at: datetime


def _view(item: Agreement) -> AgreementView:
    return AgreementView(
        id=item.id,
        type=AgreementType(item.type),
        version=item.agreement_version,
        text_hash=item.text_hash,
        parties=list(item.parties),
        movement_types=list(item.movement_types),
        staff_groups=list(item.staff_groups),
        max_days=item.max_days,
        effective=item.effective,
        expires=item.expires,
        state=AgreementState(item.state),
        created_at=item.created_at,
        updated_at=item.updated_at,
    )


def _visible(caller: Caller, item: Agreement) -> bool:
    return caller.organisation == EVERY_ORGANISATION or caller.organisation in item.parties


@router.post("", status_code=201)
async def record(
    body: NewAgreement, request: Request, response: Response, ctx: Ctx, caller: Writer
) -> AgreementView:
    """Record an agreement; it is published in the next snapshot."""
    operator(caller)
    actor = acting(caller, body.actor)
    cmd = operations.RecordAgreement(
        type=body.type,
        version=body.version,
        text_hash=body.text_hash,
        terms=AgreementTerms(
            parties=body.parties,
            movement_types=body.movement_types,
            staff_groups=body.staff_groups,
            max_days=body.max_days,
            effective=body.effective,
            expires=body.expires,
        ),
    )

    async def work(claim: Any) -> str:
        return (await operations.record(ctx, cmd, actor, claim)).id

    made = await once(ctx, request, caller, work)
    item = await operations.get(ctx, made.resource_id)
    response.headers["Location"] = f"/api/v1/agreements/{item.id}"
    response.headers["ETag"] = etag_of(item.version)
    return _view(item)


@router.get("")
async def page(ctx: Ctx, caller: Reader, query: Paging) -> Page[AgreementView]:
    """List agreements, oldest first; a client of one organisation sees those it is party to."""
    found = await operations.page(ctx, after=cursor_of(query, LIST), limit=query.limit + 1)
    items, following = page_of(found, query, LIST, lambda item: item.id)
    return Page(items=[_view(item) for item in items if _visible(caller, item)], next=following)


@router.get("/{agreement_id}")
async def get(agreement_id: IdPath, response: Response, ctx: Ctx, caller: Reader) -> AgreementView:
    """Read an agreement."""
    item = await operations.get(ctx, agreement_id)
    if not _visible(caller, item):
        raise NotFound
    response.headers["ETag"] = etag_of(item.version)
    return _view(item)


@router.post("/{agreement_id}/end")
async def end(
    agreement_id: IdPath, body: Acted, response: Response, ctx: Ctx, caller: Writer, if_match: IfMatch = None
) -> AgreementView:
    """End an agreement by decision; it leaves the snapshot."""
    operator(caller)
    before = await operations.get(ctx, agreement_id)
    require_match(if_match, etag_of(before.version))
    item = await operations.end(ctx, agreement_id, before.version, acting(caller, body.actor))
    response.headers["ETag"] = etag_of(item.version)
    return _view(item)
