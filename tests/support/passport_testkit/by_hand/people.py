"""The invented people of the demonstration, with what The Christie has checked about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

HR = "hr-christie-7f31"
# Ten days past the 24 months that most hosts allow for fire safety (worked case W1).
FIRE_SAFETY_DAYS_AGO = 730 + 10


@dataclass(frozen=True)
class Colleague:
    """A member of staff, invented."""

    given: str
    family: str
    birthdate: str
    esr_person: str
    gmc_number: str


SURGEON = Colleague("Adaeze", "Okonkwo-Price", "1981-03-09", "20391234", "7099991")
OTHER = Colleague("Gethin", "Maddox-Bell", "1977-11-30", "20395678", "7099992")


def today() -> date:
    """The day of the demonstration."""
    return datetime.now(UTC).date()  # noqa: TID251  a program of its own


def days_ago(days: int) -> str:
    """A day in the past, as the interfaces want it."""
    return (today() - timedelta(days=days)).isoformat()


def staff(person: Colleague) -> dict[str, Any]:
    """The person as HR knows them."""
    return {
        "legal_given": person.given,
        "legal_family": person.family,
        "birthdate": person.birthdate,
        "external_ids": [{"system": "ESR", "kind": "ESR_PERSON", "value": person.esr_person}],
    }


def assignment(person: Colleague) -> dict[str, Any]:
    """The person's post."""
    return {
        "ref": f"{person.esr_person}-2",
        "type": "PERMANENT",
        "fte": 1.0,
        "title": "Consultant urologist",
        "staff_group": "Medical and Dental",
        "job_role": "Consultant",
        "grade": "YC72",
        "department": "Urology",
        "start": "2015-08-05",
    }


def checks(person: Colleague) -> list[dict[str, Any]]:
    """The employment checks, each with its evidence."""
    found: list[tuple[str, int, dict[str, Any]]] = [
        ("IDENTITY", 200, {"identity_scheme": "NHS_IDENTITY_CHECK_STANDARD"}),
        ("RTW", 200, {"permission": "UNLIMITED", "permission_expires": "NONE", "route": "LIST_A"}),
        (
            "DBS",
            300,
            {
                "level": "ENHANCED_BARRED",
                "workforce": "BOTH",
                "barred_lists": ["ADULT", "CHILD"],
                "certificate_issued_on": days_ago(310),
                "registered_body": "Invented Registered Body",
                "update_service": False,
            },
        ),
        (
            "REGISTRATION",
            30,
            {
                "regulator": "GMC",
                "number": person.gmc_number,
                "register_part": "Full registration",
                "status": "REGISTERED",
                "licence_to_practise": True,
                "registers": ["SPECIALIST"],
                "renewal_due": (today() + timedelta(days=300)).isoformat(),
            },
        ),
        ("OH", 250, {"role_category": "SURGICAL", "epp_cleared": "YES"}),
    ]
    return [
        {
            "check_type": kind,
            "outcome": "CLEARED",
            "performed_on": days_ago(days),
            "evidence_ref": f"evidence-{kind.lower()}-{person.esr_person}",
            "fields": fields,
            "actor": HR,
        }
        for kind, days, fields in found
    ]


def training() -> list[dict[str, Any]]:
    """Core skills: everything in date for Manchester but fire safety."""
    subjects = {
        "CR": ("1", 400),
        "EDHR": ("1", 400),
        "FS": ("1", FIRE_SAFETY_DAYS_AGO),
        "HSW": ("1", 400),
        "IPC": ("2", 100),
        "IG": ("1", 90),
        "MH": ("2", 150),
        "PR": ("BASIC", 300),
        "RES": ("2", 120),
        "SA": ("2", 200),
        "SC": ("2", 200),
    }
    return [
        {
            "subject_code": subject,
            "level": level,
            "completed_on": days_ago(days),
            "provider_ods": "RBV",
            "competency_name": f"NHS CSTF {subject} level {level}",
            "assessed": True,
            "learning_method": "E_LEARNING",
        }
        for subject, (level, days) in subjects.items()
    ]
