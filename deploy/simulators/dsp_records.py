"""Employees as the DSP API standard shows them: personal details and the five record types that are read.

Field names, vocabularies and forms are the standard's, oddities included. A system gives the record types of
its kind: core skills from a learning system, DBS outcomes from a recruitment system, screening and
vaccination from occupational health.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from deploy.simulators.employees import Dbs, Employee, Immunisation, Skill
from deploy.simulators.subjects import SUBJECTS

CORE_SKILLS = "CoreSkillsTraining"
DBS_OUTCOME = "DBSCheckOutcome"
DBS_SUPPORTING = "DBSCheckSupportingInformation"
RIGHT_TO_WORK = "RightToWork"
REGISTRATION = "ProfessionalRegistration"
SCREENING = ("Vaccination", "ClinicalTest", "Observation")
DBS_TYPES = {
    "BASIC": "Basic check",
    "STANDARD": "Standard check",
    "ENHANCED": "Enhanced check",
    "ENHANCED_BARRED": "Enhanced with barred list(s) check",
}
WORKFORCES = {"ADULT": "Adult", "CHILD": "Child", "BOTH": "Child and Adult"}


@dataclass(frozen=True)
class System:
    """One system that speaks the standard: where, and which record types it gives and takes."""

    prefix: str
    name: str
    gives: frozenset[str]
    takes: frozenset[str]


RECRUITMENT_TAKES = frozenset({RIGHT_TO_WORK, DBS_SUPPORTING, DBS_OUTCOME, REGISTRATION})
LEARNING = System("/dsp-learning", "learning", frozenset({CORE_SKILLS}), frozenset({CORE_SKILLS}))
RECRUITMENT = System("/dsp-recruitment", "recruitment", frozenset({DBS_OUTCOME}), RECRUITMENT_TAKES)
HEALTH = System("/dsp-health", "occupational health", frozenset(SCREENING), frozenset(SCREENING))
SUITE = System(
    "/dsp",
    "workforce suite",
    LEARNING.gives | RECRUITMENT.gives | HEALTH.gives,
    LEARNING.takes | RECRUITMENT.takes | HEALTH.takes,
)
SYSTEMS = (SUITE, LEARNING, RECRUITMENT, HEALTH)


def personal_details(employee: Employee) -> dict[str, Any]:
    """`EmployeePersonalDetails`, under the name this system knows."""
    position = employee.primary.position
    return {
        "id": employee.dsp_id,
        "firstName": employee.learning_given,
        "surname": employee.learning_family,
        "birthDate": employee.birthdate.isoformat(),
        "email": employee.work_email,
        "esrIdentifier": employee.person_id,
        "furtherInformation": f"{position.title} ({position.department})",
    }


def records(employee: Employee, types: Collection[str]) -> list[dict[str, Any]]:
    """The records of these types, sent ones last."""
    found = [_core_skill(skill) for skill in employee.skills]
    if employee.dbs is not None and employee.dbs.workforce in WORKFORCES:
        found.append(_dbs_outcome(employee, employee.dbs))
    found += [_screening(entry) for entry in employee.immunisations]
    found += employee.added
    return [record for record in found if record["recordType"] in types]


def _core_skill(skill: Skill) -> dict[str, Any]:
    subject = SUBJECTS[skill.subject, skill.level]
    record = {
        "recordType": CORE_SKILLS,
        "competencyFramework": subject.framework,
        "subjectName": subject.subject_name,
        "competencyName": subject.competency_name,
        "subjectLevel": subject.subject_level,
        "proficiencyLevel": "1 - Assessed" if skill.assessed else "0 - Not Assessed",
        "attainmentStatus": "ACHIEVED",
        "learningMethod": skill.learning_method,
        "awardingOrganisation": skill.provider_ods,
        "dateLastAwarded": skill.completed_on.isoformat(),
    }
    return record | renewal(subject.years, skill.completed_on)


def renewal(years: int | None, awarded: date) -> dict[str, str]:
    """The local renewal period and the expiry that follows from it; nothing for a subject done once."""
    if years is None:
        return {}
    until = awarded.replace(year=awarded.year + years, day=min(awarded.day, 28))
    return {
        "renewalPeriodNumber": str(years),
        "renewalPeriodUnits": "Year" if years == 1 else "Years",
        "dateTo": until.isoformat(),
    }


def _dbs_outcome(employee: Employee, dbs: Dbs) -> dict[str, Any]:
    return {
        "recordType": DBS_OUTCOME,
        "applicantFirstName": employee.given_name,
        "applicantMiddleNames": employee.middle_names or "",
        "applicantSurname": employee.family_name,
        "applicantDateOfBirth": employee.birthdate.isoformat(),
        "typeOfDbsCheck": DBS_TYPES[dbs.level],
        "adultsBarredListChecked": "ADULT" in dbs.barred_lists,
        "childrensBarredListChecked": "CHILD" in dbs.barred_lists,
        "certificateNumber": dbs.certificate_number,
        "disclosureIssueDate": dbs.certificate_issued_on.isoformat(),
        "informationDisclosed": False,
        "workforceType": WORKFORCES[dbs.workforce],
        "registeredBodyNumber": dbs.registered_body_number,
        "registeredBodyName": dbs.registered_body,
    }


def _screening(entry: Immunisation) -> dict[str, Any]:
    record: dict[str, Any] = {
        "recordType": entry.kind,
        "code": entry.code,
        "description": entry.description,
    }
    if entry.date is not None:
        record["date"] = entry.date.isoformat()
    if entry.result is not None:
        record["result"] = entry.result
    if entry.interpretation is not None:
        record["interpretation"] = entry.interpretation
    return record
