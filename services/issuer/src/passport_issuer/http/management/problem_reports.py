"""``/problems``: what people reported about their passport in their app, for HR."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import ByPerson, Sent
from passport_issuer.operations import holder as operations
from passport_issuer.store.problem_reports import ProblemKind, ProblemState
from passport_shared.service.auth import actor_of
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(PREFIX, tags=["Passports"])


class ProblemReportView(Sent):
    """A problem a person reported; a lost phone has put the passport on hold already."""

    id: str
    staff_id: str
    passport_id: str
    kind: ProblemKind
    about: str | None
    text: str | None
    state: ProblemState
    reported_at: datetime
    closed_at: datetime | None
    closed_by: str | None


@router.get("/problems", operation_id="list_problem_reports", summary="List reported problems")
async def list_problem_reports(
    page: Paging,
    found: Annotated[Access, Depends(access("lifecycle:read"))],
    state: Annotated[ProblemState | None, Query()] = None,
) -> Page[ProblemReportView]:
    """What people reported, newest first; `state=OPEN` is what waits for HR."""
    reports, following = await operations.list_reports(found.ctx, found.tenant, page, state)
    return Page(items=[ProblemReportView.model_validate(report) for report in reports], next=following)


@router.get("/problems/{report_id}", operation_id="get_problem_report", summary="Read a reported problem")
async def get_problem_report(
    report_id: str, found: Annotated[Access, Depends(access("lifecycle:read"))]
) -> ProblemReportView:
    """One report."""
    report = await operations.get_report(found.ctx, found.tenant, report_id)
    return ProblemReportView.model_validate(report)


@router.post(
    "/problems/{report_id}/close", operation_id="close_problem_report", summary="Close a reported problem"
)
async def close_problem_report(
    report_id: str, body: ByPerson, found: Annotated[Access, Depends(access("lifecycle:write"))]
) -> ProblemReportView:
    """Say that it is dealt with. A passport on hold is taken off hold by its own act."""
    actor = actor_of(found.caller, body.actor)
    await found.act(report_id, lambda: operations.close_report(found.ctx, found.tenant, report_id, actor))
    report = await operations.get_report(found.ctx, found.tenant, report_id)
    return ProblemReportView.model_validate(report)
