"""`…/movements`: a host's temporary moves, as its HR system writes them."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field, model_validator

from passport_shared.service.etags import IfMatch, etag_of, not_modified, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.release import ReleaseState
from passport_verifier.context import Context
from passport_verifier.http.management.common import (
    PREFIX,
    Access,
    ActorRef,
    ActorView,
    ApiModel,
    Code,
    Ctx,
    IdPath,
    OdsCode,
    Short,
    Text,
    access,
    once,
)
from passport_verifier.operations import movements as operations
from passport_verifier.operations.gates import Standing
from passport_verifier.operations.movements import NewMovement
from passport_verifier.rules.gates import GateCode, gates
from passport_verifier.rules.movement_state import MovementState, ReleaseStanding
from passport_verifier.rules.movement_types import ApprovalKind, movement_type
from passport_verifier.store.movements import Movement

router: APIRouter = management_router(f"{PREFIX}/movements", tags=["movements"])
Reader = Annotated[Access, Depends(access("movements:read"))]
Writer = Annotated[Access, Depends(access("movements:write"))]

UseCase = Literal["SERVICE_NEED", "EDUCATION_DEVELOPMENT", "INDUCTION", "CROSS_TRUST", "OTHER"]
CoverReason = Literal["NONE", "SICKNESS", "MATERNITY", "VACANCY", "DEMAND"]
WouldHaveNeeded = Literal["HONORARY_CONTRACT", "LETTER_OF_AUTHORITY", "SECONDMENT", "NONE"]
ExternalId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class MovementDetails(ApiModel):
    """What the host says of a move. Nothing here identifies the staff member."""

    sites: Annotated[list[Short], Field(min_length=1, max_length=20)]
    department: Short
    duties: Text
    supervisor: Short = Field(
        description="Who supervises at the host, by role or name of the host's own staff."
    )
    sessions: Annotated[list[Short], Field(max_length=60)] = Field(
        default_factory=list, description="Sessions or work pattern, as the host writes them."
    )
    out_of_hours_contact: Short
    use_case: UseCase
    workforce_group: Short
    pathway: Short | None = None
    cover_reason: CoverReason = "NONE"
    would_have_needed: WouldHaveNeeded = Field(
        description="What would have been needed instead, said before the decision."
    )


class NewMovementBody(MovementDetails):
    """A movement to be made."""

    type: Code = Field(examples=["SERVICE_NEED_URGENT"])
    role_profile: Code = Field(examples=["UROLOGY_SURGEON"])
    employing_ods: OdsCode
    start: date = Field(description="First day, in Europe/London.")
    end: date = Field(description="Last day, in Europe/London; the first day for a single day.")
    external_id: ExternalId | None = Field(
        default=None, description="The caller's own id, found again by it."
    )
    actor: ActorRef = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end < self.start:
            raise ValueError("end must not lie before start")
        if (self.end - self.start).days > 1_100:
            raise ValueError("a movement is at most three years")
        return self


class MovementChange(MovementDetails):
    """New days and details of a movement nobody has presented for."""

    start: date
    end: date
    actor: ActorRef = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end < self.start:
            raise ValueError("end must not lie before start")
        return self


class CancelBody(ApiModel):
    """Who cancels."""

    actor: ActorRef = None


class AgreementView(ApiModel):
    """The agreement between the trusts a movement rests on."""

    id: str
    type: str
    version: str
    max_days: int | None
    effective: date
    expires: date | None


class ReleaseSummary(ApiModel):
    """The employing trust's newest Release in short; `…/release` has all of it."""

    standing: ReleaseStanding
    state: ReleaseState | None
    serial: int | None
    end: date | None


class MovementProgress(ApiModel):
    """How far a movement is, and what is in the way."""

    closed_gates: list[GateCode] = Field(description="Gates that do not hold; `…/gates` has their words.")
    release: ReleaseSummary
    approvals_needed: list[ApprovalKind]
    approvals_missing: list[ApprovalKind] = Field(description="At the host.")
    decision_id: str | None = Field(description="The newest decision that may be shown.")


class MovementView(ApiModel):
    """A movement as it stands."""

    id: str
    type: str
    host_ods: str
    employing_ods: str
    role_profile: str
    start: date
    end: date
    sites: list[str]
    department: str
    duties: str
    supervisor: str
    sessions: list[str]
    out_of_hours_contact: str
    use_case: UseCase
    workforce_group: str
    pathway: str | None
    cover_reason: CoverReason
    would_have_needed: WouldHaveNeeded
    external_id: str | None
    state: MovementState
    terms_version: int = Field(description="Rises when days or details change.")
    last_day: date = Field(description="Its end, or an earlier day the employing trust has released until.")
    agreement: AgreementView | None
    inducted_on: date | None
    progress: MovementProgress | None = Field(description="Null in lists.")
    created_at: datetime
    created_by: ActorView
    updated_at: datetime
    version: int


def _details(body: MovementDetails) -> dict[str, Any]:
    return body.model_dump(mode="json", include=set(MovementDetails.model_fields))


async def _whole(ctx: Context, movement: Movement) -> MovementView:
    return _view(movement, await operations.standing_of(ctx, movement))


def _view(movement: Movement, found: Standing | None = None) -> MovementView:
    details: Mapping[str, Any] = movement.details
    return MovementView(
        id=movement.id,
        type=movement.type,
        host_ods=movement.ods,
        employing_ods=movement.employing_ods,
        role_profile=movement.role_profile,
        start=movement.start,
        end=movement.end,
        external_id=movement.external_id,
        state=movement.state,
        terms_version=movement.terms_version,
        last_day=movement.last_day,
        agreement=AgreementView(**movement.agreement) if movement.agreement else None,
        inducted_on=movement.inducted_on,
        progress=_progress(found) if found else None,
        created_at=movement.created_at,
        created_by=ActorView(**movement.created_by),
        updated_at=movement.updated_at,
        version=movement.version,
        **details,
    )


def _progress(found: Standing) -> MovementProgress:
    release, needed = found.release, movement_type(found.movement.type).approvals
    return MovementProgress(
        closed_gates=[gate.code for gate in gates(found.facts) if gate.holds is False],
        release=ReleaseSummary(
            standing=found.facts.release,
            state=release.state if release else None,
            serial=release.serial if release else None,
            end=release.end if release else None,
        ),
        approvals_needed=[kind for kind in ApprovalKind if kind in needed],
        approvals_missing=list(found.missing),
        decision_id=found.shown.id if found.shown else None,
    )


@router.post("", status_code=201, summary="Make a movement")
async def create_movement(
    body: NewMovementBody, who: Writer, ctx: Ctx, request: Request, response: Response
) -> MovementView:
    """Make a movement; its policy is the one of its type and role profile."""
    new = NewMovement(
        type=body.type,
        role_profile=body.role_profile,
        employing_ods=body.employing_ods,
        start=body.start,
        end=body.end,
        external_id=body.external_id,
        details=_details(body),
    )
    actor = who.recorder(body.actor)
    made = await once(ctx, request, who, lambda claim: operations.create(ctx, who.ods, new, actor, claim))
    movement = await operations.get(ctx, who.ods, made.resource_id)
    response.headers["Location"] = f"/api/v1/organisations/{who.ods}/movements/{movement.id}"
    response.headers["ETag"] = etag_of(movement.version)
    return await _whole(ctx, movement)


@router.get("", summary="List movements")
async def list_movements(
    who: Reader,
    ctx: Ctx,
    paging: Paging,
    state: Annotated[MovementState | None, Query()] = None,
    external_id: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
) -> Page[MovementView]:
    """Movements of this host, newest first."""
    found, following = await operations.find(ctx, who.ods, paging, state=state, external_id=external_id)
    return Page(items=[_view(movement) for movement in found], next=following)


@router.get("/{movement_id}", summary="Read a movement")
async def read_movement(
    movement_id: IdPath, who: Reader, ctx: Ctx, request: Request, response: Response
) -> MovementView:
    """One movement, with its version as ETag."""
    movement = await operations.get(ctx, who.ods, movement_id)
    response.headers["ETag"] = etag_of(movement.version)
    unchanged = not_modified(request, etag_of(movement.version))
    if unchanged is not None:
        return unchanged  # type: ignore[return-value]  # a response passes through as it is
    return await _whole(ctx, movement)


@router.put("/{movement_id}", summary="Change a movement")
async def change_movement(
    movement_id: IdPath,
    body: MovementChange,
    who: Writer,
    ctx: Ctx,
    response: Response,
    if_match: IfMatch = None,
) -> MovementView:
    """Change days and details while nobody has presented for it; If-Match names what was read.

    What was agreed to and released before counts no more.
    """
    movement = await operations.get(ctx, who.ods, movement_id)
    require_match(if_match, etag_of(movement.version))
    values = {"start": body.start, "end": body.end, "details": _details(body)}
    changed = await operations.amend(ctx, movement, values, who.recorder(body.actor))
    response.headers["ETag"] = etag_of(changed.version)
    return await _whole(ctx, changed)


@router.post("/{movement_id}/cancel", summary="Cancel a movement")
async def cancel_movement(
    movement_id: IdPath, body: CancelBody, who: Writer, ctx: Ctx, request: Request, response: Response
) -> MovementView:
    """Cancel a movement that has not begun; cancelling it again changes nothing."""

    async def work(_: object) -> str:
        movement = await operations.get(ctx, who.ods, movement_id)
        return (await operations.cancel(ctx, movement, who.recorder(body.actor))).id

    made = await once(ctx, request, who, work)
    movement = await operations.get(ctx, who.ods, made.resource_id)
    response.headers["ETag"] = etag_of(movement.version)
    return await _whole(ctx, movement)
