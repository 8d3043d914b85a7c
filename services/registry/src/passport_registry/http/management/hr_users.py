"""`/api/v1/organisations/{ods}/hr-users`: who issues, verifies and approves for a trust."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field

from passport_registry.http.management.common import (
    ActorRef,
    ApiModel,
    Ctx,
    OdsPath,
    acting,
    cursor_of,
    page_of,
)
from passport_registry.operations import hr_users as operations
from passport_registry.operations.hr_users import HrUserDetails
from passport_registry.rules.hr_users import trained_until
from passport_registry.store.hr_users import HrUserRow
from passport_shared.service.auth import Caller, authorise_organisation, require
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.hr_users import HrRole

LIST = "hr-users"
router: APIRouter = management_router("/api/v1/organisations/{ods}/hr-users", tags=["HR users"])

Reader = Annotated[Caller, Depends(require("hr-users:read"))]
Writer = Annotated[Caller, Depends(require("hr-users:write"))]
SubjectPath = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@|-]{0,99}$",
        description="The person's opaque id in the trust's own directory: what its systems name as `actor`.",
        examples=["hr-7f31"],
    ),
]


class HrUserBody(ApiModel):
    """An HR user as they stand now."""

    roles: list[HrRole] = Field(min_length=1, max_length=len(HrRole))
    training_passed_on: date | None = Field(
        default=None, description="The day of the last training passed; it counts for twelve months."
    )
    actor: ActorRef


class HrUserRemoval(ApiModel):
    """Who removes an HR user."""

    actor: ActorRef


class HrUserView(ApiModel):
    """An HR user, with the last day on which the training counts."""

    subject: str
    roles: list[HrRole]
    training_passed_on: date | None
    trained_until: date | None
    recorded_at: datetime
    version: int


def _view(row: HrUserRow) -> HrUserView:
    return HrUserView(
        subject=row.subject,
        roles=[HrRole(role) for role in row.roles],
        training_passed_on=row.training_passed_on,
        trained_until=trained_until(row.training_passed_on),
        recorded_at=row.recorded_at,
        version=row.version,
    )


@router.get("")
async def list_hr_users(ods: OdsPath, paging: Paging, ctx: Ctx, caller: Reader) -> Page[HrUserView]:
    """List a trust's HR users by id."""
    authorise_organisation(caller, ods)
    rows = await operations.page(ctx, ods, after=cursor_of(paging, LIST), limit=paging.limit + 1)
    kept, following = page_of(rows, paging, LIST, lambda row: row.subject)
    return Page(items=[_view(row) for row in kept], next=following)


@router.get("/{subject}")
async def get_hr_user(
    ods: OdsPath, subject: SubjectPath, response: Response, ctx: Ctx, caller: Reader
) -> HrUserView:
    """Read one HR user."""
    authorise_organisation(caller, ods)
    row = await operations.get(ctx, ods, subject)
    response.headers["ETag"] = etag_of(row.version)
    return _view(row)


@router.put("/{subject}")
async def record_hr_user(
    ods: OdsPath,
    subject: SubjectPath,
    body: HrUserBody,
    response: Response,
    ctx: Ctx,
    caller: Writer,
    if_match: IfMatch = None,
) -> HrUserView:
    """Record an HR user; `If-Match: "0"` for somebody new.

    From the first one on, the trust's systems can name only its HR users as the people who issue and verify.
    """
    authorise_organisation(caller, ods)
    actor = acting(caller, body.actor)
    before = await operations.find(ctx, ods, subject)
    version = before.version if before else 0
    require_match(if_match, etag_of(version))
    details = HrUserDetails(roles=body.roles, training_passed_on=body.training_passed_on)
    row = await operations.record(ctx, ods, subject, details, actor, expected_version=version)
    response.headers["ETag"] = etag_of(row.version)
    return _view(row)


@router.post("/{subject}/remove", status_code=204)
async def remove_hr_user(
    ods: OdsPath,
    subject: SubjectPath,
    body: HrUserRemoval,
    ctx: Ctx,
    caller: Writer,
    if_match: IfMatch = None,
) -> None:
    """Forget an HR user who does this work no longer; `If-Match` names the version that was read."""
    authorise_organisation(caller, ods)
    actor = acting(caller, body.actor)
    row = await operations.get(ctx, ods, subject)
    require_match(if_match, etag_of(row.version))
    await operations.remove(ctx, ods, subject, actor, expected_version=row.version)
