"""The NHS Digital Staff Passport API standard as it crosses HTTP (retired v1 documents of NHS England).

`digital-staff-passport-api-standard.yaml` is what a workforce system offers and we read: people, and records
of core skills, DBS outcomes and screening. `digital-staff-passport-api.yaml` is how such a system tells us
that something changed. Names are the standard's camelCase, and stay on this side of the wire.

Reading is as liberal as the standard's own examples are careless: booleans may be the words `true` and
`false`, and results, whose spelling varies, are not read at all. What an event may look like is strict, as
the document says. What our side never reads (images, addresses, ported outcomes) has no model.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

MAX_CANDIDATES = 50
"""The standard's search returns no more."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9:]{5})"
)


def _day(value: Any) -> Any:
    # Pydantic would read numbers as seconds since 1970.
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("must be YYYY-MM-DD")
    return value


def _instant(value: Any) -> Any:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("must be as per RFC 3339")
    return value.upper()


def _truth(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


Day = Annotated[date, BeforeValidator(_day)]
Truth = Annotated[bool, BeforeValidator(_truth), Field(strict=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
OptionalText = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
PersonId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
PartialDay = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$")]
OdsCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{3,10}$")]


class _Read(BaseModel):
    """What another system answers: members we do not know are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class EmployeePersonalDetails(_Read):
    """A person as a workforce system describes them; `esrIdentifier` is ESR's person id, no assignment."""

    id: PersonId
    firstName: Text
    surname: Text
    birthDate: Day | None = None
    email: OptionalText | None = None
    esrIdentifier: OptionalText | None = None
    furtherInformation: OptionalText | None = None


class CoreSkillsTraining(_Read):
    """One core skill; renewal period and `dateTo` are the sender's, a receiver ignores them."""

    recordType: Literal["CoreSkillsTraining"]
    competencyFramework: Literal["CSTF", "MAND"]
    subjectName: Text
    competencyName: Text
    subjectLevel: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ]{1,20}$")] = "1"
    proficiencyLevel: Literal["0 - Not Assessed", "1 - Assessed"] = "0 - Not Assessed"
    attainmentStatus: Literal["ACHIEVED"]
    learningMethod: OptionalText | None = None
    awardingOrganisation: OdsCode
    dateLastAwarded: Day


class DBSCheckOutcome(_Read):
    """The outcome of a fresh DBS check. `informationDisclosed` is read to be refused, never kept."""

    recordType: Literal["DBSCheckOutcome"]
    applicantFirstName: Text
    applicantMiddleNames: OptionalText | None = None
    applicantSurname: Text
    applicantDateOfBirth: Day
    typeOfDbsCheck: Literal[
        "Basic check", "Standard check", "Enhanced check", "Enhanced with barred list(s) check"
    ]
    adultsBarredListChecked: Truth
    childrensBarredListChecked: Truth
    certificateNumber: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
    disclosureIssueDate: Day
    informationDisclosed: Truth
    workforceType: Literal["Child", "Adult", "Child and Adult"]
    registeredBodyNumber: Annotated[str, StringConstraints(pattern=r"^[0-9]{11}$")]
    registeredBodyName: Text


class ScreeningRecord(_Read):
    """A vaccination, a clinical test or an observation: that there is one, never its result."""

    recordType: Literal["Vaccination", "ClinicalTest", "Observation"]
    code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,20}$")]
    description: Text
    date: PartialDay | None = None


RECORDS: dict[str, type[CoreSkillsTraining | DBSCheckOutcome | ScreeningRecord]] = {
    "CoreSkillsTraining": CoreSkillsTraining,
    "DBSCheckOutcome": DBSCheckOutcome,
    "Vaccination": ScreeningRecord,
    "ClinicalTest": ScreeningRecord,
    "Observation": ScreeningRecord,
}
"""Record types of `Get employee records`."""


class EventType(StrEnum):
    """What the Digital Staff Passport API can be told."""

    DBS_CHECK_COMPLETED = "employee-dbs-check-completed"
    ELEARNING_COMPLETED = "employee-elearning-completed"


class _Filtering(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    organisation: Annotated[str, StringConstraints(min_length=1, max_length=10)]


class Event(BaseModel):
    """A thin CloudEvent: that something changed about an employee, and nothing about them.

    `dataref` must name the subject and the organisation of the same event; it is compared, never fetched.
    """

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    specversion: Literal["1.0"]
    id: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
    source: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+$")]
    type: EventType
    time: Annotated[datetime, BeforeValidator(_instant)]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
    filtering: _Filtering
    dataref: Annotated[str, StringConstraints(pattern=r"^https://[\x21-\x7e]{1,1990}$")]

    def dataref_agrees(self) -> bool:
        """Whether `dataref` is the records of this subject at this organisation."""
        path = self.dataref.partition("?")[0].partition("#")[0]
        wanted = (
            f"/organisations/{self.filtering.organisation}/employees/{quote(self.subject, safe='')}/records"
        )
        plain = f"/organisations/{self.filtering.organisation}/employees/{self.subject}/records"
        return path.endswith((wanted, plain))


def operation_outcome(code: str, text: str, *, severity: str = "error") -> dict[str, Any]:
    """The standard's error body, a FHIR R4 OperationOutcome with one issue."""
    issue = {"severity": severity, "code": code, "details": {"text": text}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
