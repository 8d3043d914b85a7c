"""`…/movements/{id}/agreement-links`: a one-time link for the staff member's answer."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from passport_shared.service.routes import management_router
from passport_verifier.errors import NotFound
from passport_verifier.http.management.common import (
    PREFIX,
    Access,
    ActorRef,
    ActorView,
    ApiModel,
    Ctx,
    IdPath,
    access,
    once,
)
from passport_verifier.operations import agreement_links as operations
from passport_verifier.store.agreement_links import AgreementLink

router: APIRouter = management_router(
    f"{PREFIX}/movements/{{movement_id}}/agreement-links", tags=["approvals"]
)
Reader = Annotated[Access, Depends(access("approvals:read"))]
Writer = Annotated[Access, Depends(access("approvals:write"))]


class NewLinkBody(ApiModel):
    """Who makes it."""

    actor: ActorRef = None


class LinkView(ApiModel):
    """A link for the staff member and nobody else; it works once, for the days and duties as they are."""

    id: str
    movement_id: str
    page: str | None = Field(
        description="What to send to the staff member: only for who makes it, while it can be used."
    )
    terms_version: int
    created_at: datetime
    created_by: ActorView
    expires_at: datetime
    used_at: datetime | None


def _view(link: AgreementLink, page: str | None = None) -> LinkView:
    return LinkView(
        id=link.id,
        movement_id=link.movement_id,
        page=page,
        terms_version=link.terms_version,
        created_at=link.created_at,
        created_by=ActorView(**link.created_by),
        expires_at=link.expires_at,
        used_at=link.used_at,
    )


@router.post("", status_code=201, summary="Make a link for the staff member")
async def create_agreement_link(
    movement_id: IdPath, body: NewLinkBody, who: Writer, ctx: Ctx, request: Request, response: Response
) -> LinkView:
    """Make a link; the ones made before it for this movement run out."""
    actor = who.recorder(body.actor)
    made = await once(
        ctx, request, who, lambda claim: operations.create(ctx, who.ods, movement_id, actor, claim)
    )
    response.headers["Location"] = (
        f"/api/v1/organisations/{who.ods}/movements/{movement_id}/agreement-links/{made.resource_id}"
    )
    link = await operations.get(ctx, who.ods, made.resource_id)
    usable = link.open_at(ctx.clock.now())
    return _view(link, await operations.page_url(ctx, link) if usable else None)


@router.get("/{link_id}", summary="Read a link")
async def read_agreement_link(movement_id: IdPath, link_id: IdPath, who: Reader, ctx: Ctx) -> LinkView:
    """Whether a link was used. It is not shown again: whoever has it can answer."""
    link = await operations.get(ctx, who.ods, link_id)
    if link.movement_id != movement_id:
        raise NotFound
    return _view(link)
