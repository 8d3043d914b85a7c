"""`…/placements` and `…/movements/{id}/placement`: started, shown to the person, ended by the host's HR."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field, StrictBool

from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.placements import Line
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
from passport_verifier.operations import placement_telling
from passport_verifier.operations import placements as operations
from passport_verifier.operations.placements import Checklist
from passport_verifier.rules.outcome import Party
from passport_verifier.rules.placements import NewPost, who_acts
from passport_verifier.store.placement_telling import PlacementIssuer
from passport_verifier.store.placements import EndReason, Placement, PlacementState

router: APIRouter = management_router(PREFIX, tags=["placements"])
Reader = Annotated[Access, Depends(access("placements:read"))]
Writer = Annotated[Access, Depends(access("placements:write"))]
TenantReader = Annotated[Access, Depends(access("tenants:read"))]
TenantWriter = Annotated[Access, Depends(access("tenants:write"))]


class StartBody(ApiModel):
    """What HR says of the post besides the movement; it stands in the placement's record."""

    position_title: Line = Field(examples=["Visiting consultant urologist"])
    position_number: Line = Field(default="NONE", description="NONE where there is none, or nobody knows.")
    site: Line | None = Field(default=None, description="Needed where the movement has several sites.")
    department_contact: Line
    approved_by: Line = Field(description="By role, or a name of the host's own staff.")
    hr_contact: Line
    licence_to_attend: StrictBool = True
    actor: ActorRef = None


class ChecklistBody(ApiModel):
    """What was seen to at the end."""

    badge_returned: StrictBool
    it_access_removed: StrictBool
    uniform_returned: StrictBool
    educator_sign_off: StrictBool | None = Field(
        default=None, description="Null where the placement has no educator."
    )
    actor: ActorRef = None


class OfferAgainBody(ApiModel):
    """Who asks for another offer."""

    actor: ActorRef = None


class PlacementOfferView(ApiModel):
    """How the person collects the record: HR shows the link, and gives the PIN by voice."""

    id: str = Field(description="The offer at the issuer; its PIN is asked for there (`offers/{id}/pin`).")
    page_url: str
    credential_offer_uri: str
    state: str
    expires_at: datetime
    placement: str = Field(description="OFFERED or COLLECTED, as the issuer said last.")


class WaitingView(ApiModel):
    """What the issuer has not heard yet, and why."""

    code: str | None = Field(description="Why the last try failed; null before the first.")
    attempts: int
    next_try_at: datetime
    who_acts: Party


class ChecklistView(ApiModel):
    """The checklist as it was recorded."""

    badge_returned: bool
    it_access_removed: bool
    uniform_returned: bool
    educator_sign_off: bool | None


class PlacementPostView(ApiModel):
    """The post as the record says it."""

    position_title: str
    position_number: str
    work_pattern: str
    site: str
    department: str
    department_contact: str
    approved_by: str
    hr_contact: str
    licence_to_attend: bool
    conditions: list[str]


class PlacementView(ApiModel):
    """A placement as it stands; nothing here says who the person is."""

    movement_id: str
    state: PlacementState
    on_hold: bool
    start: date
    end: date = Field(description="The last day, as the employing trust has released it.")
    decision_id: str
    post: PlacementPostView
    begun_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
    checklist: ChecklistView | None
    created_at: datetime
    created_by: ActorView
    taken_at: datetime | None = Field(description="When the trust's issuer first had it.")
    offer: PlacementOfferView | None
    waiting: WaitingView | None = Field(description="Null when the issuer knows everything.")


class PlacementIssuerBody(ApiModel):
    """Where this trust's issuer is."""

    issuer_url: Annotated[str, Field(min_length=1, max_length=255, examples=["https://issuer.example"])]
    actor: ActorRef = None


class PlacementIssuerView(ApiModel):
    """Where this trust's issuer is, and who said so."""

    issuer_url: str
    changed_at: datetime
    changed_by: ActorView
    version: int


def _offer(offer: Mapping[str, Any] | None) -> PlacementOfferView | None:
    return PlacementOfferView.model_validate(dict(offer)) if offer else None


def _waiting(placement: Placement) -> WaitingView | None:
    if placement.told_revision >= placement.revision:
        return None
    return WaitingView(
        code=placement.last_error,
        attempts=placement.attempts,
        next_try_at=placement.next_try_at,
        who_acts=who_acts(placement.last_error or ""),
    )


def _view(placement: Placement) -> PlacementView:
    checklist = placement.checklist
    return PlacementView(
        movement_id=placement.movement_id,
        state=placement.shown,
        on_hold=placement.on_hold,
        start=placement.start,
        end=placement.end,
        decision_id=placement.decision_id,
        post=PlacementPostView.model_validate(dict(placement.post)),
        begun_at=placement.begun_at,
        ended_at=placement.ended_at,
        end_reason=placement.end_reason,
        checklist=ChecklistView.model_validate(dict(checklist)) if checklist else None,
        created_at=placement.created_at,
        created_by=ActorView(**placement.created_by),
        taken_at=placement.taken_at,
        offer=_offer(placement.offer) if placement.state is not PlacementState.ENDED else None,
        waiting=_waiting(placement),
    )


def _issuer_view(issuer: PlacementIssuer) -> PlacementIssuerView:
    return PlacementIssuerView(
        issuer_url=issuer.issuer_url,
        changed_at=issuer.changed_at,
        changed_by=ActorView(**issuer.changed_by),
        version=issuer.version,
    )


@router.get("/placements", summary="List placements")
async def list_placements(
    who: Reader,
    ctx: Ctx,
    paging: Paging,
    state: Annotated[PlacementState | None, Query()] = None,
) -> Page[PlacementView]:
    """Placements at this host, newest first."""
    found, following = await operations.find(ctx, who.ods, paging, state=state)
    return Page(items=[_view(one) for one in found], next=following)


@router.post("/movements/{movement_id}/placement", status_code=201, summary="Start a placement")
async def start_placement(
    movement_id: IdPath, body: StartBody, who: Writer, ctx: Ctx, request: Request, response: Response
) -> PlacementView:
    """Start the placement of a movement that is ready.

    The trust's own issuer is told at once, and again until it has heard; `waiting` says so meanwhile, and
    `offer` appears when it has. The placement begins on its first day when the local induction is recorded.
    """
    actor = who.actor(body.actor)
    new = NewPost(**body.model_dump(exclude={"actor"}))
    await once(
        ctx,
        request,
        who,
        lambda claim: operations.start(ctx, who.ods, movement_id, new, actor, claim),
    )
    await placement_telling.tell(ctx, movement_id)
    response.headers["Location"] = f"/api/v1/organisations/{who.ods}/movements/{movement_id}/placement"
    return _view(await operations.get(ctx, who.ods, movement_id))


@router.get("/movements/{movement_id}/placement", summary="Read a placement")
async def read_placement(movement_id: IdPath, who: Reader, ctx: Ctx) -> PlacementView:
    """One placement."""
    return _view(await operations.get(ctx, who.ods, movement_id))


@router.post("/movements/{movement_id}/placement/end", summary="End a placement")
async def end_placement(
    movement_id: IdPath, body: ChecklistBody, who: Writer, ctx: Ctx, request: Request
) -> PlacementView:
    """End a placement with its checklist; for one that ended after its last day, record the checklist."""
    actor = who.actor(body.actor)
    checklist = Checklist(**body.model_dump(exclude={"actor"}))

    async def work(_: object) -> str:
        await operations.end(ctx, who.ods, movement_id, checklist, actor)
        return movement_id

    await once(ctx, request, who, work)
    await placement_telling.tell(ctx, movement_id)
    return _view(await operations.get(ctx, who.ods, movement_id))


@router.post("/movements/{movement_id}/placement/offer", summary="Offer the record again")
async def offer_again(
    movement_id: IdPath, body: OfferAgainBody, who: Writer, ctx: Ctx, request: Request
) -> PlacementView:
    """Have the trust's issuer offer the record again: the offer before is withdrawn."""
    actor = who.actor(body.actor)

    async def work(_: object) -> str:
        await placement_telling.offer_again(ctx, who.ods, movement_id, actor)
        return movement_id

    await once(ctx, request, who, work)
    return _view(await operations.get(ctx, who.ods, movement_id))


@router.get("/placement-issuer", summary="Read where this trust's issuer is")
async def read_placement_issuer(who: TenantReader, ctx: Ctx, response: Response) -> PlacementIssuerView:
    """Where placements of this trust are issued."""
    found = await operations.issuer(ctx, who.ods)
    response.headers["ETag"] = etag_of(found.version)
    return _issuer_view(found)


@router.put("/placement-issuer", summary="Say where this trust's issuer is")
async def write_placement_issuer(
    body: PlacementIssuerBody, who: TenantWriter, ctx: Ctx, response: Response, if_match: IfMatch = None
) -> PlacementIssuerView:
    """Say where this trust's issuer is: it has a tenant with this trust's ODS code, known to the register.

    `If-Match` is the version that was read, `"0"` the first time.
    """
    actor = who.recorder(body.actor)
    version = await operations.issuer_version(ctx, who.ods)
    require_match(if_match, etag_of(version))
    made = await operations.set_issuer(ctx, who.ods, body.issuer_url, version, actor)
    response.headers["ETag"] = etag_of(made.version)
    return _issuer_view(made)
