"""Records that are sent to a system over the DSP API standard: what each type must be, and what is kept.

The published examples do not all satisfy the published schema: booleans come as text, an enumeration comes in
another case. Both are understood and given back as the schema wants them. Images of identity documents are
given back to the sender and never kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from deploy.simulators.answers import Refusal
from deploy.simulators.dsp_records import CORE_SKILLS, renewal
from deploy.simulators.subjects import BY_COMPETENCY

MAX_TEXT_CHARS = 500
MAX_ADDRESS_CHARS = 2_000
MAX_IMAGE_CHARS = 5 * 1024 * 1024
IMAGES = ("biometricPageImage", "photograph")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PARTIAL_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")

Check = Callable[[object], object]
"""Takes a value, gives it back as the schema wants it, raises ValueError with the form it must have."""


@dataclass(frozen=True)
class RecordType:
    """One record type: its fields, which of them must be there, and which make it the same record again."""

    fields: Mapping[str, Check]
    required: frozenset[str]
    same: tuple[str, ...]


def _text(max_chars: int = MAX_TEXT_CHARS) -> Check:
    def check(value: object) -> object:
        if not isinstance(value, str) or len(value) > max_chars:
            raise ValueError(f"must be text of at most {max_chars} characters")
        return value

    return check


def _matching(pattern: str, form: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object) -> object:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError(f"must be {form}")
        return value

    return check


def _day(value: object) -> object:
    try:
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise ValueError
        date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be YYYY-MM-DD") from None
    return value


def _partial_day(value: object) -> object:
    try:
        if not isinstance(value, str) or not _PARTIAL_DATE.fullmatch(value):
            raise ValueError
        date.fromisoformat(value + "-01" * (2 - value.count("-")))
    except ValueError:
        raise ValueError("must be YYYY-MM-DD, YYYY-MM or YYYY") from None
    return value


def _boolean(value: object) -> object:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("must be true or false")


def _number(value: object) -> object:
    # a number is what the standard says, and so leading zeros and letters are lost
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10**15:
        raise ValueError("must be a number")
    return value


def _one_of(*choices: str) -> Check:
    folded = {choice.casefold(): choice for choice in choices}

    def check(value: object) -> object:
        found = folded.get(value.casefold()) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return found

    return check


def _type(name: str, required: Mapping[str, Check], optional: Mapping[str, Check], *same: str) -> RecordType:
    own = {"recordType": _one_of(name), **required}
    return RecordType({**own, **optional}, frozenset(own), same)


TEXT = _text()
PROVIDER = _one_of("Yoti Ltd", "Digidentity B.V.")
PERSON = {"legalFirstName": TEXT, "legalSurname": TEXT, "birthDate": _day}
TYPES: dict[str, RecordType] = {
    "CoreSkillsTraining": _type(
        "CoreSkillsTraining",
        {
            "competencyFramework": _one_of("CSTF", "MAND"),
            "subjectName": TEXT,
            "competencyName": TEXT,
            "subjectLevel": TEXT,
            "attainmentStatus": _one_of("ACHIEVED"),
            "awardingOrganisation": TEXT,
            "dateLastAwarded": _day,
        },
        {
            "renewalPeriodNumber": TEXT,
            "renewalPeriodUnits": TEXT,
            "proficiencyLevel": _one_of("0 - Not Assessed", "1 - Assessed"),
            "learningMethod": TEXT,
            "dateTo": _day,
        },
        "competencyName",
        "dateLastAwarded",
    ),
    "RightToWork": _type(
        "RightToWork",
        {
            **PERSON,
            "biometricPageImage": _text(MAX_IMAGE_CHARS),
            "photograph": _text(MAX_IMAGE_CHARS),
            "identityDocumentExpiryDate": _day,
            "identityVerified": _boolean,
            "evidenceCheckedBy": PROVIDER,
            "dateOfIdCheck": _day,
            "GPG45profile": TEXT,
        },
        {"middleNames": TEXT},
        "dateOfIdCheck",
        "identityDocumentExpiryDate",
    ),
    "DBSCheckSupportingInformation": _type(
        "DBSCheckSupportingInformation",
        {
            **PERSON,
            "currentAddressVerified": _boolean,
            "identityVerified": _boolean,
            "evidenceCheckedBy": PROVIDER,
            "dateOfIdCheck": _day,
            "GPG45profile": TEXT,
            "subjectId": TEXT,
        },
        {
            "middleNames": TEXT,
            "currentAddress": _text(MAX_ADDRESS_CHARS),
            "dateOfAddressCheck": _day,
            "GPG44level": _one_of("Low", "Medium", "High", "Very high"),
            "passportNumber": TEXT,
            "passportBirthDate": _day,
            "passportNationality": TEXT,
            "passportIssuingCountry": TEXT,
            "passportIssueDate": _day,
            "drivingLicenceNumber": TEXT,
            "drivingLicenceBirthDate": _day,
            "drivingLicenceType": _one_of("Photocard", "Paper"),
            "drivingLicenceValidFrom": _day,
            "drivingLicenceCountry": TEXT,
        },
        "subjectId",
    ),
    "DBSCheckOutcome": _type(
        "DBSCheckOutcome",
        {
            "applicantFirstName": TEXT,
            "applicantMiddleNames": TEXT,
            "applicantSurname": TEXT,
            "applicantDateOfBirth": _day,
            "typeOfDbsCheck": _one_of(
                "Basic check", "Standard check", "Enhanced check", "Enhanced with barred list(s) check"
            ),
            "adultsBarredListChecked": _boolean,
            "childrensBarredListChecked": _boolean,
            "certificateNumber": _matching(r"\d{12}", "12 digits"),
            "disclosureIssueDate": _day,
            "informationDisclosed": _boolean,
            "registeredBodyNumber": _matching(r"\d{11}", "11 digits"),
            "registeredBodyName": TEXT,
        },
        {"workforceType": _one_of("Child", "Adult", "Child and Adult")},
        "certificateNumber",
    ),
    "ProfessionalRegistration": _type(
        "ProfessionalRegistration",
        {
            "professionalBody": _one_of(
                "General Medical Council",
                "General Dental Council",
                "General Pharmaceutical Council",
                "Health and Care Professions Council",
            ),
            "registrationNumber": _number,
        },
        {
            "registrationDate": _day,
            "expiryDate": _day,
            "revalidationDate": _day,
            "registrationCheckDate": _day,
        },
        "professionalBody",
        "registrationNumber",
        "registrationCheckDate",
    ),
    "Vaccination": _type(
        "Vaccination", {"code": TEXT, "description": TEXT, "date": _partial_day}, {}, "code", "date"
    ),
    "ClinicalTest": _type(
        "ClinicalTest",
        {
            "code": TEXT,
            "description": TEXT,
            "date": _partial_day,
            "interpretation": _one_of("Detected", "Not detected", "Equivocal"),
        },
        {"result": TEXT},
        "code",
        "date",
    ),
    "Observation": _type(
        "Observation", {"code": TEXT, "description": TEXT, "result": _one_of("Yes", "No")}, {}, "code"
    ),
}


def checked(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The record as the schema wants it; unknown fields are left out.

    Raises:
        Refusal: 400, naming the field and the form it must have.
    """
    kind = TYPES.get(str(sent.get("recordType")))
    if kind is None:
        raise Refusal(400, "invalid", "recordType is missing or not one that can be added.")
    missing = sorted(kind.required - sent.keys())
    if missing:
        raise Refusal(400, "invalid", f"Missing mandatory field {missing[0]}.")
    record = {}
    for name, check in kind.fields.items():
        if name in sent:
            try:
                record[name] = check(sent[name])
            except ValueError as form:
                raise Refusal(400, "invalid", f"Invalid format for {name} - {form}.") from None
    return record


def as_kept(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the system stores: its own renewal period for a core skill, no images."""
    kept = {name: value for name, value in record.items() if name not in IMAGES}
    if kept["recordType"] != CORE_SKILLS:
        return kept
    subject = BY_COMPETENCY.get((str(kept["competencyName"]).casefold(), str(kept["subjectLevel"])))
    for name in ("renewalPeriodNumber", "renewalPeriodUnits", "dateTo"):
        kept.pop(name, None)
    awarded = date.fromisoformat(str(kept["dateLastAwarded"]))
    return kept | renewal(subject.years if subject else None, awarded)


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the two are one record: same type and the same in what identifies that type."""
    if one["recordType"] != other["recordType"]:
        return False
    return all(one.get(name) == other.get(name) for name in TYPES[one["recordType"]].same)
