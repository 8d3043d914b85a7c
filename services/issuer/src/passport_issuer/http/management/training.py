"""``/staff/{staff_id}/training``: completed core skills."""

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import Depends
from pydantic import Field, StringConstraints
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import (
    Code,
    Day,
    Flag,
    Line,
    OdsCode,
    Received,
    Reference,
    Sent,
)
from passport_issuer.operations import evidence as operations
from passport_issuer.rules.records import (
    Framework,
    Source,
    TrainingEntry,
)
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(f"{PREFIX}/staff/{{staff_id}}", tags=["Checks and training"])


class TrainingBody(Received):
    """One completed core skills subject."""

    subject_code: Literal["CR", "EDHR", "FS", "HSW", "IPC", "IG", "MH", "PR", "RES", "SA", "SC", "LDA"]
    level: Annotated[str, StringConstraints(pattern="^[A-Z0-9][A-Z0-9_]{0,19}$")] = Field(examples=["1"])
    completed_on: Day
    provider_ods: OdsCode
    framework: Framework = Framework.CSTF
    framework_version: Annotated[str, StringConstraints(min_length=1, max_length=20)] = "1.1"
    competency_name: Line
    assessed: Flag
    learning_method: Code = Field(examples=["E_LEARNING"])
    certificate_ref: Reference | None = None
    source: Source = Source.MANUAL


class TrainingView(Sent):
    """One completed core skills subject."""

    id: str
    subject_code: str
    level: str
    completed_on: date
    provider_ods: str
    framework: Framework
    framework_version: str
    competency_name: str
    assessed: bool
    learning_method: str
    certificate_ref: str | None
    source: Source
    created_at: datetime


@router.post("/training", status_code=201, operation_id="record_training", summary="Record a core skill")
async def record_training(
    staff_id: str,
    body: TrainingBody,
    response: Response,
    found: Annotated[Access, Depends(access("training:write"))],
) -> TrainingView:
    """Record a completed subject."""
    made = await found.once(
        lambda claim: operations.add_training(
            found.ctx, found.tenant, staff_id, body.model_dump(), found.caller, claim
        )
    )
    response.headers["Location"] = f"{found.request.url.path}/{made}"
    return TrainingView.model_validate(
        await operations.get(found.ctx, found.tenant, TrainingEntry, staff_id, made)
    )


@router.get("/training", operation_id="list_training", summary="List a person's core skills")
async def list_training(
    staff_id: str, page: Paging, found: Annotated[Access, Depends(access("training:read"))]
) -> Page[TrainingView]:
    """A page of a person's training entries, oldest first."""
    entries, following = await operations.list_of(found.ctx, found.tenant, TrainingEntry, staff_id, page)
    return Page(items=[TrainingView.model_validate(entry) for entry in entries], next=following)


@router.get("/training/{entry_id}", operation_id="get_training", summary="Read a core skill")
async def get_training(
    staff_id: str, entry_id: str, found: Annotated[Access, Depends(access("training:read"))]
) -> TrainingView:
    """One training entry."""
    entry = await operations.get(found.ctx, found.tenant, TrainingEntry, staff_id, entry_id)
    return TrainingView.model_validate(entry)
