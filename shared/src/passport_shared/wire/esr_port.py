"""The ESR-shaped port as it crosses HTTP: what an employee record system answers (docs/workforce).

A contract of ours, because the record system behind it is being replaced: person, assignments with their
positions, registrations, checks with outcome and date, and a feed of thin changes. Names are ours, in
snake_case; check fields carry the names of the check records. Every member is bounded; what is not known is
left alone.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from passport_shared.wire.dsp_api import Day, OptionalText, PersonId, Text, Truth

None_ = Literal["NONE"]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$")]
RegistrationStatus = Literal[
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


def _or_none(value: Any) -> Any:
    return "NONE" if value is None else value


DayOrNone = Annotated[date | None_, BeforeValidator(_or_none)]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class PrimaryAssignment(_Read):
    """What tells two people of one name apart."""

    assignment_number: OptionalText | None = None
    position_title: OptionalText | None = None
    department: OptionalText | None = None


class Person(_Read):
    """A person; the last four members are there when one person is asked for."""

    person_id: PersonId
    title: OptionalText | None = None
    given_name: Text
    middle_names: OptionalText | None = None
    family_name: Text
    previous_family_names: tuple[Text, ...] = Field(default=(), max_length=20)
    preferred_name: OptionalText | None = None
    birthdate: Day
    work_email: OptionalText | None = None
    primary_assignment: PrimaryAssignment | None = None
    organisation: Annotated[str, StringConstraints(max_length=10)] | None = None
    employment_status: Literal["ACTIVE", "SUSPENDED", "LONG_LEAVE", "NOTICE", "LEFT"] | None = None
    leaving_date: Day | None = None


class Position(_Read):
    """The post in the establishment."""

    title: Text
    staff_group: Text
    job_role: Text
    grade: OptionalText | None = None
    department: OptionalText | None = None
    site: OptionalText | None = None


class AssignmentRecord(_Read):
    """That a person holds a post."""

    assignment_number: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,40}$")]
    primary: Truth
    assignment_type: Literal["PERMANENT", "FIXED_TERM", "BANK", "LOCUM"]
    fte: Annotated[float, Field(ge=0, le=1.5)]
    start: Day
    projected_end: Day | None = None
    status: Literal["ACTIVE", "ENDED", "SUSPENDED"]
    position: Position


class RegistrationRecord(_Read):
    """A registration as the employer's own look-up of the register found it."""

    regulator: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,12}$")]
    number: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9-]{3,20}$")]
    register_part: Text
    status: RegistrationStatus
    licence_to_practise: Truth | None = None
    registers: tuple[Text, ...] = Field(default=(), max_length=20)
    restrictions: tuple[Code, ...] = Field(default=(), max_length=20)
    renewal_due: DayOrNone = "NONE"
    checked_on: Day


class _Fields(_Read):
    pass


class RightToWorkFields(_Fields):
    """What the right to work check found; never the share code."""

    permission: Literal["UNLIMITED", "UNTIL"]
    permission_expires: DayOrNone = "NONE"
    route: Literal["LIST_A", "LIST_B", "SHARE_CODE", "IDSP"]
    work_restriction: Literal["NONE", "SPONSORED", "HOURS_LIMIT", "OTHER"] = "NONE"


class DbsFields(_Fields):
    """What the DBS check was; never what the certificate says."""

    level: Literal["NONE", "BASIC", "STANDARD", "ENHANCED", "ENHANCED_BARRED"]
    workforce: Literal["ADULT", "CHILD", "BOTH", "OTHER"]
    barred_lists: tuple[Literal["ADULT", "CHILD"], ...] = Field(max_length=2)
    certificate_issued_on: DayOrNone
    registered_body: Text
    update_service: Truth


class IdentityFields(_Fields):
    """What the identity check found."""

    identity_scheme: Literal["NHS_IDENTITY_CHECK_STANDARD", "GPG45"]
    gpg45_level: Literal["LOW", "MEDIUM", "HIGH", "VERY_HIGH", "NONE"] = "NONE"


class HealthFields(_Fields):
    """That occupational health cleared the person for a role; nothing about their health."""

    role_category: Code
    epp_cleared: Literal["YES", "NO", "NA"]


class CheckEnvelope(_Read):
    """A check before its fields are read; `outcome` is the employer's decision."""

    check_type: Literal["RIGHT_TO_WORK", "DBS", "IDENTITY", "OCCUPATIONAL_HEALTH"]
    outcome: Literal[
        "CLEARED",
        "CLEARED_WITH_RISK_ASSESSMENT",
        "NOT_CLEARED",
        "NOT_YET_CLEARED",
        "CLEARED_FOR_ROLE",
    ]
    performed_on: Day
    performed_by_role: OptionalText | None = None
    evidence_ref: OptionalText | None = None
    fields: dict[str, Any]


CHECK_FIELDS: dict[str, type[RightToWorkFields | DbsFields | IdentityFields | HealthFields]] = {
    "RIGHT_TO_WORK": RightToWorkFields,
    "DBS": DbsFields,
    "IDENTITY": IdentityFields,
    "OCCUPATIONAL_HEALTH": HealthFields,
}


class Change(_Read):
    """That something changed about a person; nothing about them."""

    cursor: Cursor
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z]+(\.[a-z]+)*$", max_length=60)]
    person_id: PersonId
    date: Day | None = None
