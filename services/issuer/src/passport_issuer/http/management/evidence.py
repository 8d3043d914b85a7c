"""Below ``/staff/{staff_id}``: assignments, checks, training and identity sessions."""

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
    Instant,
    Line,
    None_,
    OdsCode,
    Received,
    Reference,
    Sent,
)
from passport_issuer.http.management.staff import tagged
from passport_issuer.operations import evidence as operations
from passport_issuer.rules.records import (
    Assignment,
    AssignmentStatus,
    Channel,
    CheckOutcome,
    CheckRecord,
    CheckType,
    Framework,
    IdentitySession,
    SessionResult,
    Source,
    TrainingEntry,
)
from passport_shared.service.auth import actor_of
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


class SessionBody(Received):
    """An appointment; the link to join is the trust's own."""

    channel: Channel
    scheduled_for: Instant | None = None
    join_url: Annotated[str, StringConstraints(pattern=r"^https://[\x21-\x7e]{1,500}$")] | None = None
    actor: ActorField


class Document(Received):
    """An identity document that was seen; never its image or its whole number."""

    kind: Code = Field(examples=["PASSPORT"])
    last_four: Annotated[str, StringConstraints(pattern="^[A-Z0-9]{4}$")]
    expires_on: Day | None_


class SessionResultBody(Received):
    """How an appointment ended."""

    result: Literal["CONFIRMED", "FAILED"]
    face_matched: Flag
    documents: list[Document] = Field(default_factory=list, max_length=10)
    originals_seen_in_person_on: Day | None = None
    actor: ActorField


class SessionView(Sent):
    """An identity session."""

    id: str
    channel: Channel
    scheduled_for: datetime | None
    join_url: str | None
    documents: list[dict[str, Any]]
    face_matched: bool
    originals_seen_in_person_on: date | None
    result: SessionResult
    ended_at: datetime | None
    hr_user: str | None
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


@router.post(
    "/identity-sessions", status_code=201, operation_id="open_identity_session", summary="Make an appointment"
)
async def open_session(
    staff_id: str,
    body: SessionBody,
    response: Response,
    found: Annotated[Access, Depends(access("identity-sessions:write"))],
) -> SessionView:
    """Open an identity session at which the person will be seen."""
    actor = actor_of(found.caller, body.actor)
    made = await found.once(
        lambda claim: operations.open_session(
            found.ctx, found.tenant, staff_id, body.model_dump(exclude={"actor"}), actor, claim
        )
    )
    session = await operations.get(found.ctx, found.tenant, IdentitySession, staff_id, made)
    tagged(response, session.version, f"{found.request.url.path}/{made}")
    return SessionView.model_validate(session)


@router.get(
    "/identity-sessions", operation_id="list_identity_sessions", summary="List a person's appointments"
)
async def list_sessions(
    staff_id: str, page: Paging, found: Annotated[Access, Depends(access("identity-sessions:read"))]
) -> Page[SessionView]:
    """A page of a person's identity sessions, oldest first."""
    sessions, following = await operations.list_of(found.ctx, found.tenant, IdentitySession, staff_id, page)
    return Page(items=[SessionView.model_validate(session) for session in sessions], next=following)


@router.get(
    "/identity-sessions/{session_id}", operation_id="get_identity_session", summary="Read an appointment"
)
async def get_session(
    staff_id: str,
    session_id: str,
    response: Response,
    found: Annotated[Access, Depends(access("identity-sessions:read"))],
) -> SessionView:
    """One identity session."""
    session = await operations.get(found.ctx, found.tenant, IdentitySession, staff_id, session_id)
    tagged(response, session.version)
    return SessionView.model_validate(session)


@router.post(
    "/identity-sessions/{session_id}/result",
    operation_id="end_identity_session",
    summary="Record how an appointment ended",
)
async def end_session(
    staff_id: str,
    session_id: str,
    body: SessionResultBody,
    response: Response,
    found: Annotated[Access, Depends(access("identity-sessions:write"))],
) -> SessionView:
    """End an identity session; a failed one stops every offer until the person is seen again."""
    actor = actor_of(found.caller, body.actor)
    read = await operations.get(found.ctx, found.tenant, IdentitySession, staff_id, session_id)
    values = body.model_dump(exclude={"actor", "documents", "result"})
    values["result"] = SessionResult(body.result)
    values["documents"] = tuple(document.model_dump(mode="json") for document in body.documents)
    await found.act(session_id, lambda: operations.end_session(found.ctx, found.tenant, read, values, actor))
    session = await operations.get(found.ctx, found.tenant, IdentitySession, staff_id, session_id)
    tagged(response, session.version)
    return SessionView.model_validate(session)
