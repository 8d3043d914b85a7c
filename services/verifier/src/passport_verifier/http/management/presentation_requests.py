"""`…/presentation-requests`: asking a staff member to share, with links and a QR code to show them."""

from datetime import date, datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field, model_validator

from passport_shared.service.pages import qr_image
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_verifier.context import Context
from passport_verifier.http.management.common import (
    PREFIX,
    Access,
    ActorRef,
    ActorView,
    ApiModel,
    Ctx,
    IdPath,
    OdsCode,
    Words,
    access,
    once,
)
from passport_verifier.operations import decisions as decisions_made
from passport_verifier.operations import presentation_requests as operations
from passport_verifier.operations.presentation_requests import NewRequest
from passport_verifier.store.requests import Flow, PresentationRequest, RequestState

router: APIRouter = management_router(f"{PREFIX}/presentation-requests", tags=["presentation requests"])
Reader = Annotated[Access, Depends(access("requests:read"))]
Writer = Annotated[Access, Depends(access("requests:write"))]

Channel = Literal["SAME_ROOM", "VIDEO", "LINK"]
IMAGES: dict[str, str] = {"svg": "image/svg+xml", "png": "image/png"}


class NewRequestBody(ApiModel):
    """A request: for a movement, or for a policy with days of its own."""

    movement_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    policy: Annotated[str, Field(max_length=130, examples=["SERVICE_NEED_URGENT.UROLOGY_SURGEON"])] | None = (
        Field(default=None, description="For a request without a movement: the id of the policy.")
    )
    employing_ods: OdsCode | None = None
    start: date | None = Field(default=None, description="Without a movement: first day; today by default.")
    end: date | None = None
    flow: Flow = Flow.CROSS_DEVICE
    channel: Channel = "SAME_ROOM"
    actor: ActorRef = None

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if (self.movement_id is None) == (self.policy is None):
            raise ValueError("name either movement_id or policy")
        if self.movement_id is not None and (self.employing_ods or self.start or self.end):
            raise ValueError("a movement brings its own days and employing trust")
        return self


class LinksView(ApiModel):
    """Where the request is: `page` for people, the others for wallets; images of the QR code."""

    page: str
    deep_link: str
    request_uri: str
    qr_svg: str
    qr_png: str


class RequestView(ApiModel):
    """A request and what became of it; never what was decided."""

    id: str
    movement_id: str | None
    policy_version: str
    purpose: str
    purpose_text: Words
    flow: Flow
    channel: str
    first_day: date
    last_day: date
    state: RequestState
    links: LinksView | None = Field(description="While it can be answered.")
    last_refusal: str | None = Field(
        description=(
            "Why the last answer was not accepted, such as `identity_mismatch`; or the wallet's error."
        )
    )
    last_refusal_at: datetime | None
    decision_id: str | None = Field(description="The newest decision made from its answer.")
    created_at: datetime
    created_by: ActorView
    expires_at: datetime
    answered_at: datetime | None


def _state(request: PresentationRequest, now: datetime) -> RequestState:
    if request.state is RequestState.OPEN and now >= request.expires_at:
        return RequestState.EXPIRED
    return request.state


def _view(ctx: Context, who: Access, request: PresentationRequest, decision_id: str | None) -> RequestView:
    now = ctx.clock.now()
    return RequestView(
        id=request.id,
        movement_id=request.movement_id,
        policy_version=request.policy_version,
        purpose=request.purpose,
        purpose_text=operations.purpose_text(who.tenant, request),
        flow=request.flow,
        channel=request.channel,
        first_day=request.first_day,
        last_day=request.last_day,
        state=_state(request, now),
        links=_links(ctx, request) if request.open_at(now) else None,
        last_refusal=request.last_refusal,
        last_refusal_at=request.last_refusal_at,
        decision_id=decision_id,
        created_at=request.created_at,
        created_by=ActorView(**request.created_by),
        expires_at=request.expires_at,
        answered_at=request.answered_at,
    )


def _links(ctx: Context, request: PresentationRequest) -> LinksView:
    found = operations.links(ctx, request)
    image = (
        f"{ctx.settings.public_url}/api/v1/organisations/{request.ods}/presentation-requests/{request.id}/qr"
    )
    return LinksView(
        page=found.page,
        deep_link=found.deep_link,
        request_uri=found.request_uri,
        qr_svg=f"{image}.svg",
        qr_png=f"{image}.png",
    )


async def _newest_decision(ctx: Context, who: Access, request_id: str) -> str | None:
    return await decisions_made.newest(ctx, who.ods, request_id)


@router.post("", status_code=201, summary="Ask a staff member to share")
async def create_request(
    body: NewRequestBody, who: Writer, ctx: Ctx, request: Request, response: Response
) -> RequestView:
    """Make a request. It can be answered for a few minutes, once."""
    new = NewRequest(**body.model_dump(exclude={"actor"}))
    actor = who.recorder(body.actor)
    made = await once(ctx, request, who, lambda claim: operations.create(ctx, who.ods, new, actor, claim))
    found = await operations.get(ctx, who.ods, made.resource_id)
    response.headers["Location"] = f"/api/v1/organisations/{who.ods}/presentation-requests/{found.id}"
    return _view(ctx, who, found, await _newest_decision(ctx, who, found.id))


@router.get("", summary="List requests")
async def list_requests(
    who: Reader,
    ctx: Ctx,
    paging: Paging,
    movement_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Page[RequestView]:
    """Requests of this host, newest first."""
    found, following = await operations.find(ctx, who.ods, paging, movement_id=movement_id)
    return Page(items=[_view(ctx, who, one, decision) for one, decision in found], next=following)


@router.get("/{request_id}", summary="Read a request")
async def read_request(request_id: IdPath, who: Reader, ctx: Ctx) -> RequestView:
    """One request."""
    found = await operations.get(ctx, who.ods, request_id)
    return _view(ctx, who, found, await _newest_decision(ctx, who, found.id))


class CancelBody(ApiModel):
    """Who withdraws it."""

    actor: ActorRef = None


@router.post("/{request_id}/cancel", summary="Withdraw a request")
async def cancel_request(
    request_id: IdPath, body: CancelBody, who: Writer, ctx: Ctx, request: Request
) -> RequestView:
    """Withdraw a request that nobody has answered."""

    async def work(_: object) -> str:
        found = await operations.get(ctx, who.ods, request_id)
        return (await operations.cancel(ctx, found, who.recorder(body.actor))).id

    made = await once(ctx, request, who, work)
    found = await operations.get(ctx, who.ods, made.resource_id)
    return _view(ctx, who, found, await _newest_decision(ctx, who, found.id))


@router.get(
    "/{request_id}/qr.{kind}",
    summary="QR code of a request",
    response_class=Response,
    responses={200: {"content": {media: {} for media in IMAGES.values()}, "description": "The image."}},
)
async def request_qr(
    request_id: IdPath,
    kind: Literal["svg", "png"],
    who: Reader,
    ctx: Ctx,
    of: Annotated[Literal["deep_link", "page"], Query(description="What the code opens.")] = "deep_link",
) -> Response:
    """The QR code to show the staff member: the wallet's link, or the page's."""
    found = await operations.get(ctx, who.ods, request_id)
    links = operations.links(ctx, found)
    text = links.page if of == "page" else links.deep_link
    return Response(qr_image(text, kind), media_type=IMAGES[kind], headers={"Cache-Control": "no-store"})
