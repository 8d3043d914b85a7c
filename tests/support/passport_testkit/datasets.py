"""Datasets of every credential type for one invented surgeon, valid as they stand."""

from __future__ import annotations

import copy
from typing import Any

PROVENANCE: dict[str, Any] = {
    "origin": "MANUAL",
    "assurance_policy": "NHS Employment Check Standards",
    "assurance_outcome": "CLEARED",
    "provider": {"ods_code": "RBV", "role": "EMPLOYER"},
    "verifier": {"ods_code": "RBV", "role": "HUMAN_RESOURCES"},
    "verification_method": "DOCUMENT_SEEN",
    "pedigree": "FIRST_HAND",
    "last_refresh": "2026-04-20",
}

PERSON: dict[str, Any] = {
    "holder_ref": "AAECAwQFBgcICQoLDA0ODw",
    "family_name": "Okonkwo-Price",
    "given_name": "Adaeze",
    "birthdate": "1981-03-09",
    "provenance": PROVENANCE,
}


def skill(level: str = "1", completed_on: str = "2026-01-15", **more: Any) -> dict[str, Any]:
    """One subject of a CoreSkills dataset."""
    return {
        "level": level,
        "completed_on": completed_on,
        "provider": "RBV",
        "framework": "CSTF",
        "framework_version": "1.1",
        "competency_name": "NHS|CSTF|Core subject",
        "assessed": True,
        "learning_method": "E_LEARNING",
        **more,
    }


_OWN: dict[str, dict[str, Any]] = {
    "StaffIdentity": {
        "identity_scheme": "NHS_IDENTITY_CHECK_STANDARD",
        "gpg45_level": "NONE",
        "channel": "FACE_TO_FACE",
        "verified_on": "2026-04-20",
        "originals_seen_in_person_on": "2026-04-20",
    },
    "Employment": {
        "employer_ods": "RBV",
        "position_title": "Consultant urologist",
        "staff_group": "Medical and Dental",
        "job_role": "Consultant",
        "grade": "YC72",
        "employment_type": "PERMANENT",
        "fte": 1.0,
        "start_date": "2015-08-05",
        "contract_end": "NONE",
        "department": "Urology",
    },
    "RightToWork": {
        "permission": "UNLIMITED",
        "permission_expires": "NONE",
        "route": "LIST_A",
        "checked_on": "2026-04-20",
        "work_restriction": "NONE",
    },
    "DbsOutcome": {
        "level": "ENHANCED_BARRED",
        "workforce": "BOTH",
        "barred_lists": ["ADULT", "CHILD"],
        "certificate_issued_on": "2025-02-11",
        "registered_body": "The Christie NHS Foundation Trust",
        "update_service": True,
    },
    "ProfessionalRegistration": {
        "regulator": "GMC",
        "number": "7099999",
        "register_part": "Specialist Register",
        "registration_status": "REGISTERED",
        "licence_to_practise": True,
        "registers": ["Urology"],
        "restrictions": [],
        "renewal_due": "2027-03-31",
        "checked_on": "2026-04-20",
    },
    "OccupationalHealth": {
        "outcome": "CLEARED_FOR_ROLE",
        "cleared_on": "2026-01-10",
        "role_category": "SURGICAL",
        "epp_cleared": "YES",
    },
    "TemporaryPlacement": {
        "movement_type": "SERVICE_NEED_URGENT",
        "position_title": "Visiting consultant urologist",
        "position_number": "NONE",
        "start": "2026-09-02",
        "end": "2026-09-02",
        "work_pattern": "2026-09-02 morning",
        "host_ods": "R0A",
        "site": "Manchester Royal Infirmary",
        "department": "Urology",
        "department_contact": "Urology ward office",
        "approved_by": "Clinical director of surgery",
        "hr_contact": "Medical staffing",
        "licence_to_attend": True,
        "conditions": ["See the originals of the identity documents on the first day."],
    },
    "CoreSkills": {"skills": {"FS": skill(), "IPC": skill("2"), "RES": skill("2_ADULT")}},
}


def dataset(name: str, **changes: Any) -> dict[str, Any]:
    """A valid dataset of the type ``name``; ``changes`` replace top-level claims, ``None`` removes one."""
    claims = copy.deepcopy({**_OWN[name], **PERSON})
    claims.update({key: value for key, value in changes.items() if value is not None})
    for key in [key for key, value in changes.items() if value is None]:
        claims.pop(key, None)
    return claims
