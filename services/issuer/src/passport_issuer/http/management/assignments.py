"""``/staff/{staff_id}/assignments``: the posts of a member of staff."""

from datetime import date, datetime
from typing import Annotated

from fastapi import Depends
from pydantic import Field
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import (
    Code,
    Day,
    Flag,
    Line,
    Received,
    Reference,
    Sent,
)
from passport_issuer.http.management.staff import tagged
from passport_issuer.operations import evidence as operations
from passport_issuer.rules.records import (
    Assignment,
    AssignmentStatus,
    Source,
)
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(f"{PREFIX}/staff/{{staff_id}}", tags=["Checks and training"])


class AssignmentBody(Received):
    """One post."""

    primary: Flag = True
    type: Code = Field(examples=["PERMANENT"])
    fte: float = Field(ge=0, le=1.5, strict=True, examples=[1.0])
    title: Line = Field(examples=["Consultant urologist"])
    staff_group: Line = Field(examples=["Medical and Dental"])
    job_role: Line = Field(examples=["Consultant"])
    grade: Line | None = None
    department: Line | None = None
    site: Line | None = None
    start: Day
    projected_end: Day | None = None
    status: AssignmentStatus = AssignmentStatus.ACTIVE
    source: Source = Source.MANUAL


class NewAssignment(AssignmentBody):
    """One post with the reference the trust knows it by."""

    ref: Reference = Field(examples=["20391234-2"])


class AssignmentView(Sent):
    """One post."""

    id: str
    ref: str
    primary: bool
    type: str
    fte: float
    title: str
    staff_group: str
    job_role: str
    grade: str | None
    department: str | None
    site: str | None
    start: date
    projected_end: date | None
    status: AssignmentStatus
    source: Source
    version: int
    created_at: datetime


@router.post("/assignments", status_code=201, operation_id="add_assignment", summary="Add a post")
async def add_assignment(
    staff_id: str,
    body: NewAssignment,
    response: Response,
    found: Annotated[Access, Depends(access("staff:write"))],
) -> AssignmentView:
    """Add a post to a member of staff; one Employment record is issued per post."""
    made = await found.once(
        lambda claim: operations.add_assignment(
            found.ctx, found.tenant, staff_id, body.model_dump(), found.caller, claim
        )
    )
    post = await operations.get(found.ctx, found.tenant, Assignment, staff_id, made)
    tagged(response, post.version, f"{found.request.url.path}/{made}")
    return AssignmentView.model_validate(post)


@router.get("/assignments", operation_id="list_assignments", summary="List a person's posts")
async def list_assignments(
    staff_id: str, page: Paging, found: Annotated[Access, Depends(access("staff:read"))]
) -> Page[AssignmentView]:
    """A page of a person's posts."""
    posts, following = await operations.list_of(found.ctx, found.tenant, Assignment, staff_id, page)
    return Page(items=[AssignmentView.model_validate(post) for post in posts], next=following)


@router.get("/assignments/{assignment_id}", operation_id="get_assignment", summary="Read a post")
async def get_assignment(
    staff_id: str,
    assignment_id: str,
    response: Response,
    found: Annotated[Access, Depends(access("staff:read"))],
) -> AssignmentView:
    """One post."""
    post = await operations.get(found.ctx, found.tenant, Assignment, staff_id, assignment_id)
    tagged(response, post.version)
    return AssignmentView.model_validate(post)


@router.put("/assignments/{assignment_id}", operation_id="replace_assignment", summary="Change a post")
async def replace_assignment(
    staff_id: str,
    assignment_id: str,
    body: AssignmentBody,
    response: Response,
    found: Annotated[Access, Depends(access("staff:write"))],
    if_match: IfMatch = None,
) -> AssignmentView:
    """Replace a post's details; If-Match names the version that was read."""
    read = await operations.get(found.ctx, found.tenant, Assignment, staff_id, assignment_id)
    require_match(if_match, etag_of(read.version))
    post = await operations.replace_assignment(found.ctx, found.tenant, read, body.model_dump(), found.caller)
    tagged(response, post.version)
    return AssignmentView.model_validate(post)
