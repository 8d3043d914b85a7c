"""`…/register-checks`: the host's own look-ups of a regulator's register."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, Field, model_validator

from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_verifier.http.management.common import (
    PREFIX,
    Access,
    ActorRef,
    ActorView,
    ApiModel,
    Ctx,
    IdPath,
    Short,
    access,
    once,
)
from passport_verifier.operations import register_checks as operations
from passport_verifier.operations.register_checks import NewRegisterCheck
from passport_verifier.rules.evidence import RegisterStatus
from passport_verifier.store.register_checks import RegisterCheck

router: APIRouter = management_router(f"{PREFIX}/register-checks", tags=["register checks"])
Reader = Annotated[Access, Depends(access("verifications:read"))]
Writer = Annotated[Access, Depends(access("verifications:write"))]

Regulator = Annotated[str, Field(pattern=r"^[A-Za-z]{2,12}$", examples=["GMC"])]


class NewRegisterCheckBody(ApiModel):
    """What the register showed. The number is compared with what was shared, and never stored."""

    movement_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    presentation_request_id: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="For a request without a movement."
    )
    regulator: Regulator
    number: Annotated[str, Field(min_length=3, max_length=24, examples=["7099999"])]
    status: RegisterStatus
    licence: bool | None = Field(
        default=None, description="Licence to practise; null where the register has none."
    )
    source: Short = Field(
        default="REGISTER_WEBSITE",
        description="Where it was looked up; `APPROVER` where the approver of an urgent movement looked, "
        "which counts for urgent movements, on that day.",
    )
    checked_at: AwareDatetime
    actor: ActorRef = None

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if (self.movement_id is None) == (self.presentation_request_id is None):
            raise ValueError("name either movement_id or presentation_request_id")
        return self


class RegisterCheckView(ApiModel):
    """A look-up, without the number."""

    id: str
    case_id: str = Field(description="The movement, or the request without one, it belongs to.")
    regulator: str
    status: RegisterStatus
    licence: bool | None
    source: str
    checked_at: datetime
    recorded_at: datetime
    by: ActorView


def _view(check: RegisterCheck) -> RegisterCheckView:
    return RegisterCheckView(
        id=check.id,
        case_id=check.case_id,
        regulator=check.regulator,
        status=RegisterStatus(check.status),
        licence=check.licence,
        source=check.source,
        checked_at=check.checked_at,
        recorded_at=check.recorded_at,
        by=ActorView(**check.actor),
    )


@router.post("", status_code=201, summary="Record a look-up of a register")
async def record_register_check(
    body: NewRegisterCheckBody, who: Writer, ctx: Ctx, request: Request, response: Response
) -> RegisterCheckView:
    """Record what the register showed; a decision made before takes it in when it is re-checked."""
    actor = who.actor(body.actor)
    new = NewRegisterCheck(**body.model_dump(exclude={"actor"}))
    made = await once(ctx, request, who, lambda claim: operations.create(ctx, who.ods, new, actor, claim))
    check = await operations.get(ctx, who.ods, made.resource_id)
    response.headers["Location"] = f"/api/v1/organisations/{who.ods}/register-checks/{check.id}"
    return _view(check)


@router.get("", summary="List look-ups")
async def list_register_checks(
    who: Reader,
    ctx: Ctx,
    paging: Paging,
    case_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Page[RegisterCheckView]:
    """Look-ups of this host, newest first; `case_id` is a movement's id or a request's."""
    found, following = await operations.find(ctx, who.ods, paging, case_id=case_id)
    return Page(items=[_view(check) for check in found], next=following)


@router.get("/{check_id}", summary="Read a look-up")
async def read_register_check(check_id: IdPath, who: Reader, ctx: Ctx) -> RegisterCheckView:
    """One look-up."""
    return _view(await operations.get(ctx, who.ods, check_id))
