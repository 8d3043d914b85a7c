"""``/staff/{staff_id}/checks``: employment checks with their evidence."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Body, Depends
from pydantic import Field, StringConstraints
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import (
    ActorField,
    Code,
    Day,
    Flag,
    Line,
    None_,
    Received,
    Reference,
    Sent,
)
from passport_issuer.operations import evidence as operations
from passport_issuer.rules.records import (
    CheckOutcome,
    CheckRecord,
    CheckType,
    Source,
)
from passport_shared.service.auth import actor_of
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(f"{PREFIX}/staff/{{staff_id}}", tags=["Checks and training"])


class IdentityFields(Received):
    """What an identity check found."""

    identity_scheme: Literal["NHS_IDENTITY_CHECK_STANDARD", "GPG45"] = "NHS_IDENTITY_CHECK_STANDARD"
    gpg45_level: Literal["LOW", "MEDIUM", "HIGH", "VERY_HIGH", "NONE"] = "NONE"


class RightToWorkFields(Received):
    """What a right to work check found; never the share code."""

    permission: Literal["UNLIMITED", "UNTIL"]
    permission_expires: Day | None_
    route: Literal["LIST_A", "LIST_B", "SHARE_CODE", "IDSP"]
    work_restriction: Literal["NONE", "SPONSORED", "HOURS_LIMIT", "OTHER"] = "NONE"


class DbsFields(Received):
    """What a DBS check was; never the certificate's content."""

    level: Literal["NONE", "BASIC", "STANDARD", "ENHANCED", "ENHANCED_BARRED"]
    workforce: Literal["ADULT", "CHILD", "BOTH", "OTHER"]
    barred_lists: list[Literal["ADULT", "CHILD"]] = Field(max_length=2)
    certificate_issued_on: Day | None_
    registered_body: Line
    update_service: Flag


class RegistrationFields(Received):
    """What the regulator's register showed."""

    regulator: Annotated[str, StringConstraints(pattern="^[A-Za-z]{2,12}$")] = Field(examples=["GMC"])
    number: Annotated[str, StringConstraints(pattern="^[A-Z0-9-]{3,20}$")] = Field(examples=["7099999"])
    register_part: Line
    status: Literal[
        "REGISTERED",
        "REGISTERED_WITHOUT_LICENCE",
        "PROVISIONAL",
        "REGISTERED_WITH_CONDITIONS",
        "INTERIM_CONDITIONS",
        "INTERIM_SUSPENSION",
        "SUSPENDED",
        "LAPSED",
        "REMOVED",
        "NOT_FOUND",
        "NOT_REQUIRED",
        "UNKNOWN",
    ]
    licence_to_practise: Flag | Literal["NA"] = "NA"
    registers: list[Line] = Field(default_factory=list, max_length=20)
    restrictions: list[Code] = Field(default_factory=list, max_length=20)
    renewal_due: Day | None_ = "NONE"


class HealthFields(Received):
    """That occupational health cleared the person; nothing about their health."""

    role_category: Code = Field(examples=["SURGICAL"])
    epp_cleared: Literal["YES", "NO", "NA"]


class OtherFields(Received):
    """References and qualifications: kept as evidence, not issued yet."""

    summary: Line


class ProvenanceBody(Received):
    """Where a check came from, as far as it differs from what follows from its source."""

    assurance_policy: Line | None = None
    verification_method: Code | None = None
    pedigree: Literal["FIRST_HAND", "CARRIED_OVER"] | None = None


class CheckBody(Received):
    """One employment check, with its evidence."""

    outcome: CheckOutcome
    performed_on: Day
    source: Source = Source.MANUAL
    evidence_ref: Reference | None = Field(
        default=None, description="Where the evidence is kept; needed for checks entered by hand."
    )
    provenance: ProvenanceBody = Field(default_factory=ProvenanceBody)
    next_due: Day | None = None
    actor: ActorField


class IdentityCheck(CheckBody):
    """Identity."""

    check_type: Literal["IDENTITY"]
    fields: IdentityFields = Field(default_factory=IdentityFields)


class RightToWorkCheck(CheckBody):
    """Right to work."""

    check_type: Literal["RTW"]
    fields: RightToWorkFields


class DbsCheck(CheckBody):
    """Criminal record."""

    check_type: Literal["DBS"]
    fields: DbsFields


class RegistrationCheck(CheckBody):
    """Professional registration."""

    check_type: Literal["REGISTRATION"]
    fields: RegistrationFields


class HealthCheck(CheckBody):
    """Work health assessment."""

    check_type: Literal["OH"]
    fields: HealthFields


class OtherCheck(CheckBody):
    """References or a qualification."""

    check_type: Literal["REFERENCES", "QUALIFICATION"]
    fields: OtherFields


AnyCheck = Annotated[
    IdentityCheck | RightToWorkCheck | DbsCheck | RegistrationCheck | HealthCheck | OtherCheck,
    Body(discriminator="check_type"),
]


class CheckView(Sent):
    """One employment check."""

    id: str
    check_type: CheckType
    outcome: CheckOutcome
    performed_on: date
    performed_by: str
    source: Source
    evidence_ref: str | None
    fields: dict[str, Any]
    provenance: dict[str, Any]
    next_due: date | None
    created_at: datetime


@router.post("/checks", status_code=201, operation_id="record_check", summary="Record an employment check")
async def record_check(
    staff_id: str,
    body: AnyCheck,
    response: Response,
    found: Annotated[Access, Depends(access("checks:write"))],
) -> CheckView:
    """Record a check with its evidence; the newest of a type is what is issued."""
    actor = actor_of(found.caller, body.actor)
    values = body.model_dump(exclude={"actor", "fields", "provenance", "check_type"})
    values["check_type"] = CheckType(body.check_type)
    values["performed_by"] = actor.ref
    values["fields"] = body.fields.model_dump(mode="json")
    values["provenance"] = body.provenance.model_dump(mode="json", exclude_none=True)
    made = await found.once(
        lambda claim: operations.add_check(found.ctx, found.tenant, staff_id, values, actor, claim)
    )
    response.headers["Location"] = f"{found.request.url.path}/{made}"
    return CheckView.model_validate(
        await operations.get(found.ctx, found.tenant, CheckRecord, staff_id, made)
    )


@router.get("/checks", operation_id="list_checks", summary="List a person's checks")
async def list_checks(
    staff_id: str, page: Paging, found: Annotated[Access, Depends(access("checks:read"))]
) -> Page[CheckView]:
    """A page of a person's checks, oldest first."""
    checks, following = await operations.list_of(found.ctx, found.tenant, CheckRecord, staff_id, page)
    return Page(items=[CheckView.model_validate(check) for check in checks], next=following)


@router.get("/checks/{check_id}", operation_id="get_check", summary="Read a check")
async def get_check(
    staff_id: str, check_id: str, found: Annotated[Access, Depends(access("checks:read"))]
) -> CheckView:
    """One check."""
    check = await operations.get(found.ctx, found.tenant, CheckRecord, staff_id, check_id)
    return CheckView.model_validate(check)
