"""``/staff``: the people of a trust, found by our id or by an identifier of another system."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import Field, StringConstraints
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import Day, Flag, Line, Received, Sent
from passport_issuer.operations import staff as operations
from passport_issuer.rules.records import EmploymentStatus, ExternalId, ExternalIdKind, Source, StaffMember
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(f"{PREFIX}/staff", tags=["Staff"])

Portrait = Annotated[
    str,
    StringConstraints(max_length=27_400, pattern=r"^data:image/jpeg;base64,/9j/[A-Za-z0-9+/]+={0,2}$"),
]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9 ]{5,20}$")]


class ExternalIdBody(Received):
    """An identifier another system uses for the person."""

    system: Line
    kind: ExternalIdKind
    value: Line
    source: Source = Source.MANUAL
    since: Day | None = None


class Preferences(Received):
    """How the person wants to be reached."""

    channel: Line | None = None
    language: Annotated[str, StringConstraints(pattern="^(en-GB|cy)$")] = "en-GB"
    pause_offers: Flag = False
    cover_opt_in: Flag = False


class StaffBody(Received):
    """A member of staff as HR knows them; names are the legal ones."""

    legal_given: Line = Field(examples=["Adaeze"])
    legal_family: Line = Field(examples=["Okonkwo-Price"])
    preferred_name: Line | None = None
    birthdate: Day = Field(examples=["1981-03-09"])
    portrait: Portrait | None = Field(default=None, description="JPEG of at most 20 kB as a data URL.")
    work_email: Email | None = None
    mobile: Phone | None = None
    external_ids: list[ExternalIdBody] = Field(default_factory=list, max_length=20)
    employment_status: EmploymentStatus = EmploymentStatus.ACTIVE
    leaving_date: Day | None = None
    preferences: Preferences = Field(default_factory=Preferences)

    def values(self) -> dict[str, Any]:
        """As the operation takes them."""
        values = self.model_dump()
        values["external_ids"] = tuple(ExternalId(**item) for item in values["external_ids"])
        return values


class ExternalIdView(Sent):
    """An identifier another system uses for the person."""

    system: str
    kind: ExternalIdKind
    value: str
    source: Source
    since: date | None


class StaffView(Sent):
    """A member of staff."""

    id: str
    ods: str
    legal_given: str
    legal_family: str
    preferred_name: str | None
    birthdate: date
    has_portrait: bool
    work_email: str | None
    mobile: str | None
    external_ids: list[ExternalIdView]
    employment_status: EmploymentStatus
    leaving_date: date | None
    preferences: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, staff: StaffMember) -> "StaffView":
        """From the record; the portrait stays inside."""
        return cls.model_validate({**asdict(staff), "has_portrait": staff.portrait is not None})


def tagged(response: Response, version: int, location: str | None = None) -> None:
    """Say which version this is, and where a new resource stands."""
    response.headers["ETag"] = etag_of(version)
    if location is not None:
        response.headers["Location"] = location


@router.post("", status_code=201, operation_id="add_staff", summary="Add a member of staff")
async def add(
    body: StaffBody, response: Response, found: Annotated[Access, Depends(access("staff:write"))]
) -> StaffView:
    """Add a member of staff; external identifiers belong to one person within a trust."""
    staff_id = await found.once(
        lambda claim: operations.add(found.ctx, found.tenant, body.values(), found.caller, claim)
    )
    staff = await operations.get(found.ctx, found.tenant, staff_id)
    tagged(response, staff.version, f"{found.request.url.path}/{staff_id}")
    return StaffView.of(staff)


@router.get("", operation_id="find_staff", summary="List staff, or find one by external identifier")
async def find(
    page: Paging,
    found: Annotated[Access, Depends(access("staff:read"))],
    external_id: Annotated[
        str | None,
        Query(
            pattern=r"^[A-Z_]{2,20}:[^\x00-\x1f\x7f]{1,200}$",
            description="`KIND:value`, for instance `ESR_PERSON:1234567`.",
        ),
    ] = None,
) -> Page[StaffView]:
    """A page of the trust's staff, oldest first."""
    kind, _, value = (external_id or "").partition(":")
    wanted = (kind, value) if external_id else None
    people, following = await operations.find(found.ctx, found.tenant, page, wanted)
    return Page(items=[StaffView.of(staff) for staff in people], next=following)


@router.get("/{staff_id}", operation_id="get_staff", summary="Read a member of staff")
async def get(
    staff_id: str, response: Response, found: Annotated[Access, Depends(access("staff:read"))]
) -> StaffView:
    """One member of staff."""
    staff = await operations.get(found.ctx, found.tenant, staff_id)
    tagged(response, staff.version)
    return StaffView.of(staff)


@router.put("/{staff_id}", operation_id="replace_staff", summary="Change a member of staff")
async def replace(
    staff_id: str,
    body: StaffBody,
    response: Response,
    found: Annotated[Access, Depends(access("staff:write"))],
    if_match: IfMatch = None,
) -> StaffView:
    """Replace a person's details; If-Match names the version that was read."""
    read = await operations.get(found.ctx, found.tenant, staff_id)
    require_match(if_match, etag_of(read.version))
    staff = await operations.replace_details(found.ctx, read, body.values(), found.caller)
    tagged(response, staff.version)
    return StaffView.of(staff)
