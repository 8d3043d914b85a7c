"""From records of the ESR-shaped port to records of ours.

ESR answers for the person, assignments, registrations, right to work, DBS, identity and occupational health
outcomes with their dates. The employer's decision is in the record, so a check that is not cleared comes in
as not cleared. Contradictions are refused rather than repaired.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from passport_issuer.rules.records import CheckOutcome, CheckType, EmploymentStatus
from passport_issuer.rules.workforce import (
    MAX_ITEMS,
    UNLIMITED_PRACTICE,
    Finding,
    ForeignPerson,
    ForeignRecords,
    ItemKind,
    Proposal,
    Reading,
    Refusal,
    Unusable,
)
from passport_issuer.rules.workforce_evidence import check_values, date_fault
from passport_issuer.rules.workforce_names import tokens
from passport_shared.wire.esr_port import (
    CHECK_FIELDS,
    AssignmentRecord,
    CheckEnvelope,
    Person,
    RegistrationRecord,
)
from passport_shared.wire.regulators import number_has_form

LISTS = ("assignments", "registrations", "checks")
"""Resources below one person."""

_CHECK_TYPES = {
    "RIGHT_TO_WORK": CheckType.RTW,
    "DBS": CheckType.DBS,
    "IDENTITY": CheckType.IDENTITY,
    "OCCUPATIONAL_HEALTH": CheckType.OH,
}
_OUTCOMES = {"CLEARED_FOR_ROLE": CheckOutcome.CLEARED}
_KINDS = {
    "assignments": ItemKind.ASSIGNMENT,
    "registrations": ItemKind.CHECK,
    "checks": ItemKind.CHECK,
}


def person_of(person: Person) -> ForeignPerson:
    """A person of the port as the rules see one; the post tells people of one name apart."""
    post = person.primary_assignment
    told = [post.position_title, post.department, post.assignment_number] if post else []
    return ForeignPerson(
        person_id=person.person_id,
        given_name=" ".join(filter(None, (person.given_name, person.middle_names))),
        family_name=person.family_name,
        birthdate=person.birthdate,
        previous_family_names=person.previous_family_names,
        preferred_name=person.preferred_name or None,
        work_email=person.work_email or None,
        further_information=", ".join(filter(None, told)) or None,
        esr_person_id=person.person_id,
        organisation=person.organisation,
        employment_status=person.employment_status,
        leaving_date=person.leaving_date,
    )


def findings(records: ForeignRecords, reading: Reading) -> list[Finding]:
    """What could be made of a person's records."""
    found: list[Finding] = [*_person(records.person, reading), *_status(records.person, reading)]
    for name in LISTS:
        for number, record in enumerate(records.records.get(name, ())):
            if number >= MAX_ITEMS:
                found.append(Unusable(kind=_KINDS[name], key=f"{name}/more", reason=Refusal.TOO_MANY))
                break
            found.append(_finding(name, number, record, reading))
    return found


def _finding(name: str, number: int, record: Any, reading: Reading) -> Finding:
    try:
        made = _MAPPINGS[name](record, reading)
    except ValidationError:
        made = Refusal.MALFORMED
    if isinstance(made, Proposal):
        return made
    return Unusable(kind=_KINDS[name], key=f"{name}/{number}", reason=made)


def _person(person: ForeignPerson, reading: Reading) -> list[Finding]:
    """Details a person may take over from ESR, one item each; a spelling ESR cannot write is no change."""
    found: list[Finding] = []
    for field, theirs, ours in (
        ("legal_family", person.family_name, reading.family_name),
        ("legal_given", person.given_name, reading.given_name),
    ):
        if tokens(theirs) != tokens(ours):
            found.append(Proposal(kind=ItemKind.PERSON, key=field, values={field: theirs}))
    if person.preferred_name:
        values = {"preferred_name": person.preferred_name}
        found.append(Proposal(kind=ItemKind.PERSON, key="preferred_name", values=values))
    if person.work_email and _EMAIL.fullmatch(person.work_email):
        found.append(
            Proposal(kind=ItemKind.PERSON, key="work_email", values={"work_email": person.work_email})
        )
    return found


_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+")


def _status(person: ForeignPerson, reading: Reading) -> list[Finding]:
    kind, status, leaving = ItemKind.EMPLOYMENT_STATUS, person.employment_status, person.leaving_date
    if status is None:
        return []
    left = status == EmploymentStatus.LEFT
    if left and (leaving is None or leaving > reading.today):
        return [Unusable(kind=kind, key="employment", reason=Refusal.IMPOSSIBLE_VALUE)]
    if leaving is not None and leaving < reading.birthdate:
        return [Unusable(kind=kind, key="employment", reason=Refusal.IMPOSSIBLE_VALUE)]
    values = {"employment_status": status, "leaving_date": leaving.isoformat() if leaving else None}
    return [Proposal(kind=kind, key="employment", values=values)]


def _assignment(record: Any, reading: Reading) -> Proposal | Refusal:
    read = AssignmentRecord.model_validate(record)
    fault = date_fault(read.start, reading)
    # A post may be agreed before it starts; a start beyond a year is a slip of the pen.
    if fault is Refusal.IMPOSSIBLE_VALUE or (fault and (read.start - reading.today).days > 366):
        return fault
    if read.projected_end is not None and read.projected_end < read.start:
        return Refusal.IMPOSSIBLE_VALUE
    values = {
        "ref": read.assignment_number,
        "primary": read.primary,
        "type": read.assignment_type,
        "fte": read.fte,
        "title": read.position.title,
        "staff_group": read.position.staff_group,
        "job_role": read.position.job_role,
        "grade": read.position.grade or None,
        "department": read.position.department or None,
        "site": read.position.site or None,
        "start": read.start.isoformat(),
        "projected_end": read.projected_end.isoformat() if read.projected_end else None,
        "status": read.status,
    }
    return Proposal(kind=ItemKind.ASSIGNMENT, key=read.assignment_number, values=values)


def _registration(record: Any, reading: Reading) -> Proposal | Refusal:
    read = RegistrationRecord.model_validate(record)
    fault = date_fault(read.checked_on, reading)
    if fault is not None:
        return fault
    if not number_has_form(read.regulator, read.number):
        return Refusal.NUMBER_MALFORMED
    if read.status == "REGISTERED" and read.restrictions:
        return Refusal.IMPOSSIBLE_VALUE
    fields = read.model_dump(mode="json", exclude={"checked_on"})
    fields["licence_to_practise"] = "NA" if read.licence_to_practise is None else read.licence_to_practise
    practises = read.status in UNLIMITED_PRACTICE or read.status in (
        "REGISTERED_WITH_CONDITIONS",
        "INTERIM_CONDITIONS",
    )
    outcome = CheckOutcome.CLEARED if practises else CheckOutcome.NOT_CLEARED
    values = check_values(
        CheckType.REGISTRATION, outcome, read.checked_on, fields, reading, "REGISTER_LOOK_UP"
    )
    return Proposal(kind=ItemKind.CHECK, key=f"REGISTRATION/{read.regulator}/{read.number}", values=values)


def _check(record: Any, reading: Reading) -> Proposal | Refusal:
    read = CheckEnvelope.model_validate(record)
    fields = CHECK_FIELDS[read.check_type].model_validate(read.fields).model_dump(mode="json")
    fault = date_fault(read.performed_on, reading) or _contradiction(read, fields)
    if fault is not None:
        return fault
    outcome = _OUTCOMES.get(read.outcome) or CheckOutcome(read.outcome)
    role = re.sub(r"[^A-Z0-9]+", "_", (read.performed_by_role or "").upper()).strip("_")[:64]
    check_type = _CHECK_TYPES[read.check_type]
    values = check_values(
        check_type, outcome, read.performed_on, fields, reading, role or "NOT_STATED", read.evidence_ref
    )
    return Proposal(kind=ItemKind.CHECK, key=check_type.value, values=values)


def _contradiction(read: CheckEnvelope, fields: Mapping[str, Any]) -> Refusal | None:
    """Values that cannot be true together; a certificate is not younger than the check that read it."""
    wrong = False
    if read.check_type == "RIGHT_TO_WORK":
        wrong = (fields["permission"] == "UNTIL") != (fields["permission_expires"] != "NONE")
    elif read.check_type == "DBS":
        issued = fields["certificate_issued_on"]
        wrong = bool(fields["barred_lists"]) != (fields["level"] == "ENHANCED_BARRED")
        if issued != "NONE" and issued > read.performed_on.isoformat():
            return Refusal.IMPOSSIBLE_VALUE
    if (read.outcome == "CLEARED_FOR_ROLE") and read.check_type != "OCCUPATIONAL_HEALTH":
        wrong = True
    return Refusal.IMPOSSIBLE_VALUE if wrong else None


_MAPPINGS: Mapping[str, Callable[[Any, Reading], Proposal | Refusal]] = {
    "assignments": _assignment,
    "registrations": _registration,
    "checks": _check,
}
