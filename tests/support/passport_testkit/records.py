"""A trust's records about one invented surgeon, as the issuer's rules read them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from passport_issuer.rules.records import (
    Assignment,
    AssignmentStatus,
    Channel,
    CheckOutcome,
    CheckRecord,
    CheckType,
    EmploymentStatus,
    Framework,
    IdentitySession,
    SessionResult,
    Source,
    StaffMember,
    StaffRecords,
    TrainingEntry,
)
from passport_testkit.clock import NOON
from passport_testkit.issuers import CHECKS

TODAY = NOON.date()
_COMMON: dict[str, Any] = {"ods": "RBV", "staff_id": "s1", "created_at": NOON, "created_by": "hr"}


def staff(**changes: Any) -> StaffMember:
    """The surgeon."""
    values: dict[str, Any] = {
        "id": "s1",
        "ods": "RBV",
        "legal_given": "Adaeze",
        "legal_family": "Okonkwo-Price",
        "preferred_name": None,
        "birthdate": date(1981, 3, 9),
        "portrait": None,
        "work_email": None,
        "mobile": None,
        "external_ids": (),
        "employment_status": EmploymentStatus.ACTIVE,
        "leaving_date": None,
        "preferences": {},
        "version": 1,
        "created_at": NOON,
        "created_by": "hr",
        "updated_at": NOON,
    }
    return StaffMember(**{**values, **changes})


def assignment(**changes: Any) -> Assignment:
    """The surgeon's post."""
    values: dict[str, Any] = {
        **_COMMON,
        "id": "a1",
        "ref": "20391234",
        "primary": True,
        "type": "PERMANENT",
        "fte": 1.0,
        "title": "Consultant urologist",
        "staff_group": "Medical and Dental",
        "job_role": "Consultant",
        "grade": None,
        "department": None,
        "site": None,
        "start": date(2015, 8, 5),
        "projected_end": None,
        "status": AssignmentStatus.ACTIVE,
        "source": Source.MANUAL,
        "version": 1,
        "updated_at": NOON,
    }
    return Assignment(**{**values, **changes})


def check(check_type: str, **changes: Any) -> CheckRecord:
    """A cleared check; `fields` replaces its fields."""
    values: dict[str, Any] = {
        **_COMMON,
        "id": f"c-{check_type}",
        "check_type": CheckType(check_type),
        "outcome": CheckOutcome.CLEARED,
        "performed_on": TODAY - timedelta(days=10),
        "performed_by": "hr-4711",
        "source": Source.MANUAL,
        "evidence_ref": "evidence",
        "fields": dict(CHECKS[check_type]),
        "provenance": {},
        "next_due": None,
    }
    return CheckRecord(**{**values, **changes})


def training(subject: str, level: str = "1", completed_on: date | None = None) -> TrainingEntry:
    """A completed subject."""
    done = completed_on or TODAY - timedelta(days=200)
    return TrainingEntry(
        **_COMMON,
        id=f"t-{subject}-{level}-{done}",
        subject_code=subject,
        level=level,
        completed_on=done,
        provider_ods="RBV",
        framework=Framework.CSTF,
        framework_version="1.1",
        competency_name=f"NHS CSTF {subject}",
        assessed=True,
        learning_method="E_LEARNING",
        certificate_ref=None,
        source=Source.MANUAL,
    )


def session(
    result: SessionResult = SessionResult.CONFIRMED, ended_at: datetime | None = NOON, **changes: Any
) -> IdentitySession:
    """An appointment that ended."""
    values: dict[str, Any] = {
        **_COMMON,
        "id": f"i-{result}-{ended_at}",
        "channel": Channel.FACE_TO_FACE,
        "scheduled_for": None,
        "join_url": None,
        "documents": (),
        "face_matched": result is SessionResult.CONFIRMED,
        "originals_seen_in_person_on": TODAY,
        "result": result,
        "started_at": ended_at,
        "ended_at": ended_at,
        "hr_user": "hr-4711",
        "version": 1,
    }
    return IdentitySession(**{**values, **changes})


def everything(**changes: Any) -> StaffRecords:
    """Records from which every type can be issued."""
    values: dict[str, Any] = {
        "staff": staff(),
        "assignments": (assignment(),),
        "checks": tuple(check(kind) for kind in CHECKS),
        "training": (training("FS"), training("IPC", "2")),
        "sessions": (session(),),
    }
    return StaffRecords(**{**values, **changes})
