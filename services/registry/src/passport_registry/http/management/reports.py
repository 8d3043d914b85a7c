"""`/api/v1/reports`: each report as JSON, CSV or page, and the baselines that estimates are made with."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from passport_registry.http import report_pages
from passport_registry.http.management.common import ActorRef, ApiModel, Ctx, acting, operator
from passport_registry.http.report_forms import CSV_MEDIA_TYPE, Layout, ReportView, as_csv, view
from passport_registry.operations import reports as operations
from passport_registry.operations.reports import Asked
from passport_registry.rules.reports import ReportName
from passport_registry.store.baselines import BaselineRow
from passport_shared.service.auth import Caller, require
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.pages import choose_locale
from passport_shared.service.routes import management_router

router: APIRouter = management_router("/api/v1/reports", tags=["reports"])

Reader = Annotated[Caller, Depends(require("reports:read"))]
Writer = Annotated[Caller, Depends(require("reports:write"))]
Month = Annotated[str, Query(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", examples=["2026-01"])]
Document = Annotated[
    Literal["HONORARY_CONTRACT", "LETTER_OF_AUTHORITY", "SECONDMENT"],
    Path(description="What would have been needed instead."),
]
BaselineOds = Annotated[
    str, Path(pattern=r"^(\*|[A-Z0-9]{3,6})$", description="ODS code, or `*` for trusts without their own.")
]


class Format(StrEnum):
    """The forms of a report."""

    JSON = "json"
    CSV = "csv"
    HTML = "html"


class BaselineBody(ApiModel):
    """What a document used to take of HR's time, and who says so."""

    minutes: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    citation: Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=300)] = Field(
        description="Where the number is from; it is shown beside every estimate."
    )
    actor: ActorRef


class BaselineView(ApiModel):
    """A baseline as it stands."""

    document: str
    ods: str
    minutes: int
    citation: str
    entered_at: datetime
    version: int


class BaselineList(ApiModel):
    """All baselines."""

    items: list[BaselineView]


def _baseline(row: BaselineRow) -> BaselineView:
    return BaselineView(
        document=row.document,
        ods=row.ods,
        minutes=row.minutes,
        citation=row.citation,
        entered_at=row.entered_at,
        version=row.version,
    )


@router.get("/baselines")
async def list_baselines(ctx: Ctx, caller: Reader) -> BaselineList:  # noqa: ARG001 - the scope is asked for
    """List the baselines of estimates."""
    return BaselineList(items=[_baseline(row) for row in await operations.every_baseline(ctx)])


@router.put("/baselines/{document}/{ods}")
async def enter_baseline(
    document: Document,
    ods: BaselineOds,
    body: BaselineBody,
    response: Response,
    ctx: Ctx,
    caller: Writer,
    if_match: IfMatch = None,
) -> BaselineView:
    """Enter a baseline; If-Match names the version that was read, `"0"` for one nobody has entered."""
    operator(caller)
    version = await operations.baseline_version(ctx, document, ods)
    require_match(if_match, etag_of(version))
    row = await operations.enter_baseline(
        ctx,
        document=document,
        ods=ods,
        minutes=body.minutes,
        citation=body.citation,
        actor=acting(caller, body.actor),
        expected_version=version,
    )
    response.headers["ETag"] = etag_of(row.version)
    return _baseline(row)


_FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report in the form that was asked for, by `format` or else by Accept",
        "content": {
            CSV_MEDIA_TYPE: {"schema": {"type": "string"}},
            "text/html": {"schema": {"type": "string"}},
        },
    }
}


@router.get("/{report}", response_model=ReportView, responses=_FORMS)
async def get_report(
    report: ReportName,
    request: Request,
    ctx: Ctx,
    caller: Reader,  # noqa: ARG001 - the scope is asked for
    format_: Annotated[Format | None, Query(alias="format", description="Before what Accept says.")] = None,
    first: Annotated[Month | None, Query(alias="from", description="First month.")] = None,
    last: Annotated[Month | None, Query(alias="to", description="Last month, included.")] = None,
    layout: Annotated[
        Layout, Query(description="CSV of F1 and F2: as printed, or with every column and live apart.")
    ] = Layout.PRINTED,
) -> Response:
    """Make a report as at today, of whole months."""
    wanted = format_ or _by_accept(request.headers.get("accept", ""))
    locale = choose_locale(request) if wanted is Format.HTML else "en-GB"
    made = await operations.make(ctx, Asked(name=report, first=first, last=last, locale=locale))
    if wanted is Format.HTML:
        return report_pages.page(request, made, public=False)
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Authorization"}
    if wanted is Format.CSV:
        headers["Content-Disposition"] = f'attachment; filename="staff-passport-{report}-{made.as_at}.csv"'
        return Response(as_csv(made, layout), media_type=CSV_MEDIA_TYPE, headers=headers)
    return Response(view(made).model_dump_json(), media_type="application/json", headers=headers)


def _by_accept(accept: str) -> Format:
    """The form that Accept names first; JSON if it names none of them."""
    known = {"text/html": Format.HTML, CSV_MEDIA_TYPE: Format.CSV, "application/json": Format.JSON}
    for part in accept[:500].split(","):
        form = known.get(part.split(";")[0].strip().lower())
        if form is not None:
            return form
    return Format.JSON
