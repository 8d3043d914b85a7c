"""`…/movements/{id}/release-request` and `…/release`: the employing trust's side, as the host sees it."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from passport_shared.service.idempotency import Claim
from passport_shared.service.routes import management_router
from passport_shared.wire.release import DeclineCode, LimitCode, ReleaseState, Statement
from passport_verifier.http.management.common import (
    PREFIX,
    Access,
    ActorRef,
    ActorView,
    ApiModel,
    Ctx,
    IdPath,
    Short,
    Text,
    access,
    once,
)
from passport_verifier.operations import gates, release_requests
from passport_verifier.operations import releases as operations
from passport_verifier.operations.release_requests import Person
from passport_verifier.operations.releases import ReleaseView as Found
from passport_verifier.rules.movement_state import ReleaseStanding
from passport_verifier.store.release_requests import ReleaseRequestState

router: APIRouter = management_router(f"{PREFIX}/movements/{{movement_id}}", tags=["release"])
Reader = Annotated[Access, Depends(access("movements:read"))]
Writer = Annotated[Access, Depends(access("movements:write"))]


class PersonBody(ApiModel):
    """The host's words for the person; forgotten once the employing trust has them."""

    given_name: Short
    family_name: Short
    note: Text | None = Field(default=None, description="Such as their role, to tell two people apart.")


class ReleaseRequestBody(ApiModel):
    """Whom to release; without `person` the one whose records were shared for this movement."""

    person: PersonBody | None = None
    actor: ActorRef = None


class ReleaseRequestView(ApiModel):
    """The request that was sent."""

    id: str
    state: ReleaseRequestState
    refusal: str | None = Field(description="Why it was refused or given up, as a code.")
    by_holder_ref: bool = Field(description="It names the person's staff passport, not their name.")
    terms_version: int
    created_at: datetime
    created_by: ActorView
    delivered_at: datetime | None
    answer_by: datetime
    looked_at: datetime | None = Field(description="When the answer was last asked for.")
    next_look_at: datetime | None
    last_refusal: str | None = Field(description="Why an answer that came was not accepted, as a code.")
    last_refusal_at: datetime | None


class LimitView(ApiModel):
    """A limit the employing trust sets; `text` is null once the details have been deleted."""

    code: LimitCode
    date: date | None
    text: str | None


class SignedReleaseView(ApiModel):
    """The newest Release."""

    serial: int
    state: ReleaseState
    first_day: date | None = Field(description="The first day it releases, where that is a later one.")
    end: date | None = Field(description="The last day it releases.")
    statement: Statement | None
    decline_code: DeclineCode | None
    limits: list[LimitView]
    overlap_warning: bool
    line_manager_at: datetime | None
    hr_at: datetime | None
    terms_version: int
    signed_at: datetime
    received_at: datetime
    message_sha256: str


class ReleaseView(ApiModel):
    """The employing trust's side of a movement."""

    movement_id: str
    standing: ReleaseStanding = Field(description="What the newest Release means for the movement as it is.")
    request: ReleaseRequestView | None
    release: SignedReleaseView | None


def _request(found: Found) -> ReleaseRequestView | None:
    request = found.request
    if request is None:
        return None
    return ReleaseRequestView(
        id=request.id,
        state=request.state,
        refusal=request.refusal,
        by_holder_ref=request.by_holder_ref,
        terms_version=request.terms_version,
        created_at=request.created_at,
        created_by=ActorView(**request.created_by),
        delivered_at=request.delivered_at,
        answer_by=request.answer_by,
        looked_at=request.pulled_at,
        next_look_at=request.next_pull_at,
        last_refusal=request.last_refusal,
        last_refusal_at=request.last_refusal_at,
    )


def _release(found: Found) -> SignedReleaseView | None:
    release = found.release
    if release is None:
        return None
    words = [limit["text"] for limit in found.limits] if found.limits is not None else None
    limits = [
        LimitView(
            code=LimitCode(limit["code"]),
            date=date.fromisoformat(limit["date"]) if limit["date"] else None,
            text=words[number] if words is not None else None,
        )
        for number, limit in enumerate(release.limits)
    ]
    return SignedReleaseView(
        serial=release.serial,
        state=release.state,
        first_day=release.not_before,
        end=release.end,
        statement=Statement(release.statement) if release.statement else None,
        decline_code=DeclineCode(release.decline_code) if release.decline_code else None,
        limits=limits,
        overlap_warning=release.overlap_warning,
        line_manager_at=release.line_manager_at,
        hr_at=release.hr_at,
        terms_version=release.terms_version,
        signed_at=release.signed_at,
        received_at=release.received_at,
        message_sha256=release.message_sha256,
    )


def _view(found: Found) -> ReleaseView:
    return ReleaseView(
        movement_id=found.movement.id,
        standing=gates.release_standing(found.movement, found.release),
        request=_request(found),
        release=_release(found),
    )


@router.post("/release-request", status_code=202, summary="Ask the employing trust to release somebody")
async def request_release(
    movement_id: IdPath, body: ReleaseRequestBody, who: Writer, ctx: Ctx, request: Request
) -> ReleaseView:
    """Send a signed request; it is delivered in the background, and its answer is fetched from then on."""
    person = Person(**body.person.model_dump()) if body.person else None
    actor = who.recorder(body.actor)

    async def work(claim: Claim) -> str:
        return await release_requests.ask(ctx, who.tenant, movement_id, person, actor, claim)

    await once(ctx, request, who, work)
    return _view(await operations.view(ctx, who.ods, movement_id))


@router.get("/release", summary="Read the employing trust's answer")
async def read_release(movement_id: IdPath, who: Reader, ctx: Ctx) -> ReleaseView:
    """The request and the newest Release, as far as they are here."""
    return _view(await operations.view(ctx, who.ods, movement_id))


@router.post("/release/refresh", summary="Ask for the employing trust's answer now")
async def refresh_release(movement_id: IdPath, who: Writer, ctx: Ctx) -> ReleaseView:
    """Fetch the newest Release at once."""
    return _view(await operations.pull_now(ctx, who.ods, movement_id))
