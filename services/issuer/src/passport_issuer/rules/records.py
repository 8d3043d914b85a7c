"""What a trust holds about a member of staff: the rows' shapes and their closed vocabularies.

Names follow the domain model (entities of the issuer). Every enumeration here is PERSISTED: its values stand
in rows and may gain members, never lose or rename them. Rules read these; nothing here reads a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any


class EmploymentStatus(StrEnum):
    """PERSISTED. A person's standing with the employing trust."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    LONG_LEAVE = "LONG_LEAVE"
    NOTICE = "NOTICE"
    LEFT = "LEFT"


class ExternalIdKind(StrEnum):
    """PERSISTED. Kinds of identifiers other systems use for a person."""

    ESR_PERSON = "ESR_PERSON"
    ESR_ASSIGNMENT = "ESR_ASSIGNMENT"
    ESR_POSITION = "ESR_POSITION"
    LMS = "LMS"
    OH = "OH"
    RECRUITMENT = "RECRUITMENT"
    TIS = "TIS"
    LOCAL_HR = "LOCAL_HR"


class Source(StrEnum):
    """PERSISTED. Where a record came from."""

    ESR = "ESR"
    DSP_API = "DSP_API"
    CSV = "CSV"
    MANUAL = "MANUAL"
    IDSP = "IDSP"
    REGISTER = "REGISTER"


class CheckType(StrEnum):
    """PERSISTED. The employment checks."""

    IDENTITY = "IDENTITY"
    RTW = "RTW"
    DBS = "DBS"
    REGISTRATION = "REGISTRATION"
    REFERENCES = "REFERENCES"
    QUALIFICATION = "QUALIFICATION"
    OH = "OH"


class CheckOutcome(StrEnum):
    """PERSISTED. What the employer decided after a check."""

    CLEARED = "CLEARED"
    CLEARED_WITH_RISK_ASSESSMENT = "CLEARED_WITH_RISK_ASSESSMENT"
    NOT_CLEARED = "NOT_CLEARED"
    NOT_YET_CLEARED = "NOT_YET_CLEARED"


class AssignmentStatus(StrEnum):
    """PERSISTED. Whether an assignment runs."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    ENDED = "ENDED"


class Channel(StrEnum):
    """PERSISTED. How a person was seen."""

    VIDEO = "VIDEO"
    FACE_TO_FACE = "FACE_TO_FACE"
    IDSP = "IDSP"


class SessionResult(StrEnum):
    """PERSISTED. How an identity session ended."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class Framework(StrEnum):
    """PERSISTED. The framework a training entry belongs to."""

    CSTF = "CSTF"
    MAND = "MAND"


@dataclass(frozen=True, kw_only=True)
class ExternalId:
    """An identifier another system uses for a person."""

    system: str
    kind: ExternalIdKind
    value: str
    source: Source
    since: date | None


@dataclass(frozen=True, kw_only=True)
class StaffMember:
    """A member of staff of one trust, or a visitor on a placement; ``version`` counts changes, for ETag."""

    id: str
    ods: str
    legal_given: str
    legal_family: str
    preferred_name: str | None
    birthdate: date
    portrait: str | None
    work_email: str | None
    mobile: str | None
    external_ids: tuple[ExternalId, ...]
    employment_status: EmploymentStatus
    leaving_date: date | None
    preferences: Mapping[str, Any]
    version: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    visiting: bool = False


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One post a person holds."""

    id: str
    ods: str
    staff_id: str
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
    created_by: str
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class CheckRecord:
    """One employment check with its evidence; never changed, a newer one supersedes it."""

    id: str
    ods: str
    staff_id: str
    check_type: CheckType
    outcome: CheckOutcome
    performed_on: date
    performed_by: str
    source: Source
    evidence_ref: str | None
    fields: Mapping[str, Any]
    provenance: Mapping[str, Any]
    next_due: date | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, kw_only=True)
class TrainingEntry:
    """One completed training subject."""

    id: str
    ods: str
    staff_id: str
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
    created_by: str


@dataclass(frozen=True, kw_only=True)
class IdentitySession:
    """One appointment at which a person's identity is confirmed."""

    id: str
    ods: str
    staff_id: str
    channel: Channel
    scheduled_for: datetime | None
    join_url: str | None
    documents: tuple[Mapping[str, Any], ...]
    face_matched: bool
    originals_seen_in_person_on: date | None
    result: SessionResult
    started_at: datetime | None
    ended_at: datetime | None
    hr_user: str | None
    version: int
    created_at: datetime
    created_by: str
    place: str | None = None


@dataclass(frozen=True, kw_only=True)
class StaffRecords:
    """Everything one trust holds about one person, as the mapping to credentials reads it."""

    staff: StaffMember
    assignments: tuple[Assignment, ...] = ()
    checks: tuple[CheckRecord, ...] = ()
    training: tuple[TrainingEntry, ...] = ()
    sessions: tuple[IdentitySession, ...] = ()
