"""From records of the NHS DSP API standard to records of ours.

A learning management system answers for core skills, a recruitment system for DBS outcomes, an occupational
health system for screening; whatever else one of them sends is not taken. An occupational health *outcome* is
never made from vaccinations, tests or observations, and their results are not even read. A DBS outcome is
proposed as cleared only where the record needs no decision of a person; that it needs one is all that is said
otherwise. `dateTo` and renewal periods are the sender's and are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError

from passport_issuer.rules.records import CheckOutcome, CheckType
from passport_issuer.rules.workforce import (
    MAX_ITEMS,
    Finding,
    ForeignPerson,
    ItemKind,
    Proposal,
    Reading,
    Refusal,
    SystemType,
    Unusable,
)
from passport_issuer.rules.workforce_evidence import check_values, date_fault, evidence_ref
from passport_issuer.rules.workforce_names import is_applicant
from passport_shared.wire.dsp_api import (
    RECORDS,
    CoreSkillsTraining,
    DBSCheckOutcome,
    EmployeePersonalDetails,
    ScreeningRecord,
)

LIST = "records"
"""The one list of records this contract has."""

ANSWERS_FOR: Mapping[SystemType, frozenset[str]] = {
    SystemType.LMS: frozenset({"CoreSkillsTraining"}),
    SystemType.RECRUITMENT: frozenset({"DBSCheckOutcome"}),
    SystemType.OCCUPATIONAL_HEALTH: frozenset({"Vaccination", "ClinicalTest", "Observation"}),
}
"""Record types by system type (the standard's table of `Get employee records`)."""

# Subject names of the national naming convention, folded; the first that the name begins with counts.
SUBJECTS: tuple[tuple[str, str], ...] = (
    ("conflict resolution", "CR"),
    ("equality diversity and human rights", "EDHR"),
    ("fire safety", "FS"),
    ("health safety and welfare", "HSW"),
    ("infection prevention and control", "IPC"),
    ("information governance and data security", "IG"),
    ("data security awareness", "IG"),
    ("moving and handling", "MH"),
    ("preventing radicalisation", "PR"),
    ("resuscitation", "RES"),
    ("safeguarding adults", "SA"),
    ("safeguarding children", "SC"),
    ("oliver mcgowan", "LDA"),
    ("learning disability and autism", "LDA"),
)
_DBS_LEVELS = {
    "Basic check": "BASIC",
    "Standard check": "STANDARD",
    "Enhanced check": "ENHANCED",
    "Enhanced with barred list(s) check": "ENHANCED_BARRED",
}
_WORKFORCES = {"Child": "CHILD", "Adult": "ADULT", "Child and Adult": "BOTH"}
# The standard names no version of the framework; this is the one in force.
FRAMEWORK_VERSION = "1.1"
_GROUPS = (("NEWBORN", "NEWBORN"), ("PAEDIATRIC", "PAEDIATRIC"), ("ADULT", "ADULT"))


def person_of(details: EmployeePersonalDetails) -> ForeignPerson:
    """The standard's personal details as the rules see a person."""
    return ForeignPerson(
        person_id=details.id,
        given_name=details.firstName,
        family_name=details.surname,
        birthdate=details.birthDate,
        work_email=details.email or None,
        further_information=details.furtherInformation or None,
        esr_person_id=details.esrIdentifier or None,
    )


def findings(records: Iterable[Any], reading: Reading) -> list[Finding]:
    """What could be made of a person's records, one finding per record."""
    found: list[Finding] = []
    seen: set[tuple[str, date]] = set()
    for number, record in enumerate(records):
        if number >= MAX_ITEMS:
            found.append(Unusable(kind=ItemKind.TRAINING, key="more", reason=Refusal.TOO_MANY))
            break
        found.append(_finding(record, number, reading, seen))
    return found


def _finding(record: Any, number: int, reading: Reading, seen: set[tuple[str, date]]) -> Finding:
    record_type = record.get("recordType") if isinstance(record, dict) else None
    model = RECORDS.get(record_type) if isinstance(record_type, str) else None
    kind = _KINDS.get(str(record_type), ItemKind.CHECK)
    key = f"{record_type if model else 'record'}/{number}"
    if model is None or not isinstance(record_type, str):
        return Unusable(kind=kind, key=key, reason=Refusal.NOT_MAPPED)
    if record_type not in ANSWERS_FOR.get(reading.system_type, frozenset()):
        return Unusable(kind=kind, key=key, reason=Refusal.NOT_FROM_THIS_SYSTEM)
    try:
        read = model.model_validate(record)
    except ValidationError:
        return Unusable(kind=kind, key=key, reason=Refusal.MALFORMED)
    if isinstance(read, CoreSkillsTraining):
        twin = (read.competencyName, read.dateLastAwarded)
        if twin in seen:
            return Unusable(kind=kind, key=key, reason=Refusal.DUPLICATE)
        seen.add(twin)
    made: Proposal | Refusal = _MAPPINGS[model](read, reading)
    return made if isinstance(made, Proposal) else Unusable(kind=kind, key=key, reason=made)


def _training(record: CoreSkillsTraining, reading: Reading) -> Proposal | Refusal:
    code = subject_code(record.subjectName)
    if code is None:
        return Refusal.NOT_MAPPED
    fault = date_fault(record.dateLastAwarded, reading)
    if fault is not None:
        return fault
    level = _level(code, record)
    values = {
        "subject_code": code,
        "level": level,
        "completed_on": record.dateLastAwarded.isoformat(),
        "provider_ods": record.awardingOrganisation,
        "framework": record.competencyFramework,
        "framework_version": FRAMEWORK_VERSION,
        "competency_name": record.competencyName,
        "assessed": record.proficiencyLevel.startswith("1"),
        "learning_method": _code(record.learningMethod),
    }
    values["certificate_ref"] = evidence_ref(reading, values)
    return Proposal(kind=ItemKind.TRAINING, key=f"{code}/{level}", values=values)


def subject_code(subject_name: str) -> str | None:
    """Our code for a subject as the naming convention writes it; None for one no passport carries."""
    words = re.sub(r"[^a-z]+", " ", subject_name.casefold().replace("&", " and ")).split()
    name = " ".join(words).removeprefix("nhs ").removeprefix("cstf ")
    return next((code for begins, code in SUBJECTS if name.startswith(begins)), None)


def _level(code: str, record: CoreSkillsTraining) -> str:
    """The level as the house writes it: resuscitation by whom, prevent by name, autism by tier."""
    name = record.competencyName.upper()
    level = re.sub(r"[^A-Z0-9]+", "_", record.subjectLevel.upper()).strip("_") or "1"
    if code == "RES" and level != "1":
        group = next((ours for word, ours in _GROUPS if word in name), None)
        return f"{level}_{group}" if group else level
    if code == "PR":
        basic = "BASIC" in name or level == "1"
        return "BASIC" if basic else "AWARENESS"
    if code == "LDA":
        tier = re.search(r"TIER\s*([12])", name)
        return f"T{tier[1]}" if tier else f"T{level}" if level in ("1", "2") else level
    return level


def _code(words: str | None) -> str:
    code = re.sub(r"[^A-Z0-9]+", "_", (words or "").upper()).strip("_")[:64]
    code = {"ELEARNING": "E_LEARNING"}.get(code, code)
    return code if code[:1].isalpha() else "NOT_STATED"


def _dbs(record: DBSCheckOutcome, reading: Reading) -> Proposal | Refusal:
    given = " ".join(filter(None, (record.applicantFirstName, record.applicantMiddleNames)))
    if not is_applicant(
        given,
        record.applicantSurname,
        record.applicantDateOfBirth,
        given=reading.known_given_names,
        family=reading.known_family_names,
        born=reading.birthdate,
    ):
        return Refusal.OTHER_PERSON
    fault = date_fault(record.disclosureIssueDate, reading)
    if fault is not None:
        return fault
    checked = {"ADULT": record.adultsBarredListChecked, "CHILD": record.childrensBarredListChecked}
    barred = [name for name, was in checked.items() if was]
    level = _DBS_LEVELS[record.typeOfDbsCheck]
    if bool(barred) != (level == "ENHANCED_BARRED"):
        return Refusal.IMPOSSIBLE_VALUE
    if record.informationDisclosed:
        return Refusal.DECISION_NEEDED
    fields = {
        "level": level,
        "workforce": _WORKFORCES[record.workforceType],
        "barred_lists": barred,
        "certificate_issued_on": record.disclosureIssueDate.isoformat(),
        "registered_body": record.registeredBodyName,
        # The standard carries fresh certificates only and says nothing of the Update Service: not subscribed
        # is what helps nobody past a rule.
        "update_service": False,
    }
    values = check_values(
        CheckType.DBS,
        CheckOutcome.CLEARED,
        record.disclosureIssueDate,
        fields,
        reading,
        "DBS_REGISTERED_BODY",
    )
    return Proposal(kind=ItemKind.CHECK, key="DBS", values=values)


def _screening(record: ScreeningRecord, reading: Reading) -> Proposal | Refusal:
    day = record.date or ""
    if day > reading.today.isoformat():
        return Refusal.FUTURE_DATE
    if day and day < reading.birthdate.isoformat()[: len(day)]:
        return Refusal.IMPOSSIBLE_VALUE
    values = {
        "record_type": record.recordType,
        "code": record.code,
        "description": record.description,
        "date": day,
    }
    return Proposal(
        kind=ItemKind.SCREENING, key=f"{record.recordType}/{record.code}/{day or 'undated'}", values=values
    )


_KINDS = {
    "CoreSkillsTraining": ItemKind.TRAINING,
    "DBSCheckOutcome": ItemKind.CHECK,
    "Vaccination": ItemKind.SCREENING,
    "ClinicalTest": ItemKind.SCREENING,
    "Observation": ItemKind.SCREENING,
}
_MAPPINGS: Mapping[Any, Callable[[Any, Reading], Proposal | Refusal]] = {
    CoreSkillsTraining: _training,
    DBSCheckOutcome: _dbs,
    ScreeningRecord: _screening,
}
