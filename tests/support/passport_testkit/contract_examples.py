"""A good body for every operation that takes one, for the worlds of `contract_worlds`.

Each is accepted by the schema and, where the state of the world allows it, by the operation; the tests spoil
them one way at a time. Every text a person types is there, so that each can be replaced.
"""

from __future__ import annotations

import copy
from typing import Any

from passport_shared.formats.jose import PublicKey
from passport_testkit.clients import api_client
from passport_testkit.contract_worlds import Operation
from passport_testkit.issuers import POST, SURGEON, check_body, training_body
from passport_testkit.placements import placement_body
from passport_testkit.verifiers import MOVEMENT
from passport_testkit.workforce import SURGEON_ID
from passport_verifier.rules.policies import documents

_REGISTRY_ACTOR = {"actor": "op-1"}
_REASON = {"reason": "a reason to give", "actor": "op-1"}
_JWK = api_client("contract-new").key.public.jwk
_ORGANISATION: dict[str, Any] = {
    "name": "Otter Valley NHS Foundation Trust",
    "aliases": ["OVFT"],
    "locality": "Greater Manchester",
    "icb": "QOP",
    "ods_roles": ["RO197"],
    "contacts": {
        "hrd": "hrd@trust.invalid",
        "hr_team": "hr@trust.invalid",
        "ig_lead": "ig@trust.invalid",
        "phone": "0161 496 0000",
        "out_of_hours": "bleep 100",
        "appointment_url": "https://trust.invalid/appointments",
    },
    "networks": [{"id": "gm-pilot", "since": "2026-01-01"}],
    "cstf_alignment": [{"subject": "FS", "level": "1", "declared_on": "2026-01-01"}],
    "actor": "op-1",
}
_HR: dict[str, Any] = {"actor": "hr-4711"}
_REVOKED = {"reason_code": "ISSUED_IN_ERROR", "actor": "hr-4711"}
_STAFF: dict[str, Any] = {
    **SURGEON,
    "preferred_name": "Ada",
    "work_email": "adaeze@trust.invalid",
    "mobile": "+44 7700 900123",
    "preferences": {"channel": "phone", "language": "cy"},
}
_MOVEMENT_CHANGE = {
    name: value
    for name, value in MOVEMENT.items()
    if name not in ("type", "role_profile", "employing_ods", "external_id")
} | {"pathway": "Elective recovery", "actor": "hr-0815"}

_URGENT = "SERVICE_NEED_URGENT.UROLOGY_SURGEON@1"
_ORGANISATIONS = "/api/v1/organisations"
_ENTITY = f"{_ORGANISATIONS}/{{ods}}/entities/{{role}}"
_ISSUER = f"{_ORGANISATIONS}/{{ods}}"
_PERSON = f"{_ISSUER}/staff/{{staff_id}}"

_PLACED = f"{_ISSUER}/placements/{{movement_id}}"
_RELEASE = f"{_ISSUER}/releases/{{release_id}}"

_CONNECTED = f"{_ISSUER}/connections/{{connection_id}}"
_CONNECTION: dict[str, Any] = {
    "name": "Employee records of the trust",
    "system_type": "ESR",
    "base_url": "https://systems.invalid/esr",
    "authentication": "API_KEY",
    "api_key": "an-api-key-of-a-supplier",
    "private_hosts": ["systems.invalid:8443"],
    "timeout_s": 0.5,
    "max_pages": 5,
    "on_registration_change": "ASK",
    "state": "ACTIVE",
    "actor": "hr-4711",
}

BODIES: dict[str, dict[str, Any]] = {
    "registry POST /api/v1/agreements": {
        "type": "WSA",
        "version": "1.0",
        "parties": ["RBV", "R0A"],
        "movement_types": ["SERVICE_NEED_URGENT"],
        "staff_groups": ["Medical and Dental"],
        "max_days": 90,
        "effective": "2026-01-01",
        "expires": "2027-01-01",
        "text_hash": "0" * 64,
        "actor": "op-1",
    },
    "registry POST /api/v1/agreements/{agreement_id}/end": _REGISTRY_ACTOR,
    f"registry PUT {_ORGANISATIONS}/{{ods}}/hr-users/{{subject}}": {
        "roles": ["HR_ISSUER", "HR_VERIFIER"],
        "training_passed_on": "2026-01-15",
        "actor": "op-1",
    },
    f"registry POST {_ORGANISATIONS}/{{ods}}/hr-users/{{subject}}/remove": _REGISTRY_ACTOR,
    "registry POST /api/v1/clients": {
        "client_id": "contract-new",
        "name": "A new HR system",
        "kind": "MACHINE",
        "organisation": "RBV",
        "scopes": ["organisations:read"],
        "jwks": {"keys": [_JWK]},
        "actor": "op-1",
    },
    "registry POST /api/v1/clients/{client_id}/keys": {"jwk": _JWK, "actor": "op-1"},
    "registry POST /api/v1/clients/{client_id}/keys/{kid}/remove": _REASON,
    "registry POST /api/v1/clients/{client_id}/reactivate": _REASON,
    "registry PUT /api/v1/clients/{client_id}/scopes": {"scopes": ["organisations:read"], "actor": "op-1"},
    "registry POST /api/v1/clients/{client_id}/suspend": _REASON,
    "registry POST /api/v1/enrolments": {
        "code": "a-code-that-was-never-given",
        "entity_id": "https://issuer.example/RBV",
        "entity_configuration": "e30.e30.a-signature",
        "certificate_requests": {"credential": "-----BEGIN CERTIFICATE REQUEST-----", "status": "x"},
    },
    "registry POST /api/v1/enrolments/renewals": {
        "entity_id": "https://issuer.example/RXX",
        "entity_configuration": "e30.e30.a-signature",
        "certificate_requests": {"credential": "-----BEGIN CERTIFICATE REQUEST-----", "status": "x"},
    },
    "registry POST /api/v1/activity/imports": {
        "source_note": "Pilot report, table 4.2",
        "facts": [
            {
                "id": "contract-fact-1",
                "type": "passport.issued",
                "data": {
                    "day": "2026-08-01",
                    "employing_ods": "RBV",
                    "workforce_group": "NURSING",
                    "source": "imported",
                },
            }
        ],
        "actor": "op-1",
    },
    "registry PUT /api/v1/reports/baselines/{document}/{ods}": {
        "minutes": 60,
        "citation": "A time study, invented",
        "actor": "op-1",
    },
    f"registry POST {_ORGANISATIONS}": {"ods_code": "RXX", **_ORGANISATION},
    f"registry PUT {_ORGANISATIONS}/{{ods}}": _ORGANISATION,
    f"registry POST {_ORGANISATIONS}/{{ods}}/entities": {
        "role": "VERIFIER",
        "entity_id": "https://verifier.example/RBV",
        "actor": "op-1",
    },
    f"registry POST {_ENTITY}/authorisations": {
        "action": "issue",
        "vct": "https://registry.example/vct/Employment/1",
        "valid_from": "2026-08-01T00:00:00Z",
        "valid_until": "2027-08-01T00:00:00Z",
        "territory": ["GB-ENG"],
        "max_validity_s": 31_536_000,
        "actor": "op-1",
    },
    f"registry POST {_ENTITY}/authorisations/{{authorisation_id}}/approve": _REGISTRY_ACTOR,
    f"registry POST {_ENTITY}/authorisations/{{authorisation_id}}/withdraw": _REASON,
    f"registry POST {_ENTITY}/certificates/{{x5t}}/compromise": _REASON,
    f"registry POST {_ENTITY}/enrolment-codes": _REGISTRY_ACTOR,
    f"registry POST {_ENTITY}/reinstate": _REASON,
    f"registry POST {_ENTITY}/suspend": {"kind": "ADMINISTRATIVE", "review_on": "2026-12-01", **_REASON},
    f"registry PUT {_ORGANISATIONS}/{{ods}}/steps/{{step}}": {
        "state": "IN_PROGRESS",
        "done_on": None,
        "evidence": "doc/dpia",
        "note": "waiting for the second signature",
        "owner": "Information governance",
        "details": {"approved_by_ig_lead": True},
        "actor": "op-1",
    },
    f"issuer POST {_ISSUER}/credentials/{{credential_id}}/hold": _REVOKED,
    f"issuer POST {_ISSUER}/credentials/{{credential_id}}/reinstate": _HR,
    f"issuer POST {_ISSUER}/credentials/{{credential_id}}/revoke": _REVOKED,
    f"issuer POST {_ISSUER}/offers/{{offer_id}}/pin": _HR,
    f"issuer POST {_ISSUER}/offers/{{offer_id}}/withdraw": _HR,
    f"issuer POST {_ISSUER}/staff": _STAFF,
    f"issuer PUT {_PERSON}": _STAFF,
    f"issuer POST {_PERSON}/assignments": {**POST, "ref": "20391234-2", "site": "Withington"},
    f"issuer PUT {_PERSON}/assignments/{{assignment_id}}": {
        name: value for name, value in POST.items() if name != "ref"
    },
    f"issuer POST {_PERSON}/checks": check_body("REGISTRATION"),
    f"issuer POST {_PERSON}/identity-sessions": {
        "channel": "VIDEO",
        "join_url": "https://video.invalid/room",
        "place": "HR office, Oak Road",
        "scheduled_for": "2026-09-02T09:00:00Z",
        "actor": "hr-4711",
    },
    f"issuer PUT {_PERSON}/identity-sessions/{{session_id}}": {
        "channel": "FACE_TO_FACE",
        "join_url": None,
        "place": "HR office, Oak Road",
        "scheduled_for": "2026-09-03T09:00:00Z",
        "actor": "hr-4711",
    },
    f"issuer POST {_PERSON}/invitations": {"channel": "EMAIL", "actor": "hr-4711"},
    f"issuer POST {_PERSON}/invitations/{{invitation_id}}/resend": {"channel": "PRINT", "actor": "hr-4711"},
    f"issuer POST {_PERSON}/invitations/{{invitation_id}}/send": {"channel": "PRINT", "actor": "hr-4711"},
    f"issuer POST {_PERSON}/invitations/{{invitation_id}}/withdraw": _HR,
    f"issuer POST {_ISSUER}/notices/{{notice_id}}/resend": _HR,
    f"issuer PUT {_ISSUER}/notice-contact": {
        "name": "the HR team",
        "phone": "0161 496 0000",
        "email": "hr@trust.invalid",
        "actor": "hr-4711",
    },
    f"issuer POST {_PERSON}/identity-sessions/{{session_id}}/result": {
        "result": "FAILED",
        "face_matched": False,
        "documents": [{"kind": "PASSPORT", "last_four": "1234", "expires_on": "2031-01-01"}],
        "originals_seen_in_person_on": None,
        "actor": "hr-4711",
    },
    f"issuer POST {_PERSON}/offers": {"types": ["StaffIdentity"], "actor": "hr-4711"},
    f"issuer POST {_PERSON}/passport/hold": _REVOKED,
    f"issuer POST {_PERSON}/passport/reinstate": _HR,
    f"issuer POST {_ISSUER}/connections": _CONNECTION,
    f"issuer PUT {_CONNECTED}": {**_CONNECTION, "name": "ESR, renamed"},
    f"issuer POST {_CONNECTED}/remove": _HR,
    f"issuer POST {_CONNECTED}/test": _HR,
    f"issuer POST {_CONNECTED}/event-key": _HR,
    f"issuer POST {_CONNECTED}/believe": {"finding": "FALSE_ALARM", **_HR},
    f"issuer POST {_CONNECTED}/search": {
        "given_name": "Adaeze",
        "family_name": "Okonkwo-Price",
        "birthdate": "1981-03-09",
        **_HR,
    },
    f"issuer PUT {_PERSON}/links/{{connection_id}}": {
        "person_id": SURGEON_ID,
        "differences_accepted": "Married in May, certificate seen",
        **_HR,
    },
    f"issuer POST {_PERSON}/links/{{connection_id}}/unlink": _HR,
    f"issuer POST {_PERSON}/gather": _HR,
    f"issuer POST {_PERSON}/gatherings/{{gathering_id}}/apply": {"items": ["an-item-nobody-knows"], **_HR},
    f"issuer POST {_PERSON}/training": training_body("IPC", "2", certificate_ref="cert/1"),
    f"issuer POST {_PERSON}/leaving-date": {"leaving_date": "2026-12-31", **_HR},
    f"issuer POST {_RELEASE}/person": {"staff_id": "a-person-nobody-knows", **_HR},
    f"issuer PUT {_PLACED}": placement_body(PublicKey.from_jwk(_JWK)),
    f"issuer POST {_PLACED}/hold": {"revision": 2},
    f"issuer POST {_PLACED}/reinstate": {"revision": 3},
    f"issuer POST {_PLACED}/end": {"revision": 4},
    f"issuer POST {_RELEASE}/line-manager": {
        "decision": "AGREED",
        "limits": [{"code": "NOT_AFTER", "text": "Back by then", "date": "2026-09-09"}],
        "decline_code": None,
        "actor": "manager-22",
    },
    f"issuer POST {_RELEASE}/hr": {
        "decision": "AGREED",
        "limits": [{"code": "DUTIES", "text": "No on-call"}],
        "statement": "NO_CURRENT_RESTRICTION_KNOWN",
        "decline_code": None,
        **_HR,
    },
    f"issuer POST {_RELEASE}/withdraw": _HR,
    f"issuer POST {_ISSUER}/problems/{{report_id}}/close": _HR,
    "issuer POST /{ods}/holder/sessions": {"presentation": "e30.e30.e30~e30.e30.e30"},
    "issuer POST /{ods}/holder/problems": {
        "kind": "OTHER",
        "about": "Employment",
        "text": "My grade is wrong",
    },
    "verifier POST /{ods}/holder/sessions": {"presentation": "e30.e30.e30~e30.e30.e30"},
    "verifier POST /{ods}/holder/moves/{movement_id}/agree": {"terms_version": 1, "cover_opt_in": True},
    "verifier POST /{ods}/holder/moves/{movement_id}/decline": {"terms_version": 1, "cover_opt_in": None},
    "verifier POST /{ods}/holder/moves/{movement_id}/withdraw": {"terms_version": 1, "cover_opt_in": None},
    "issuer POST /{ods}/credential": {
        "credential_configuration_id": "StaffIdentity_1",
        "proofs": {"jwt": ["e30.e30.e30"]},
    },
    "issuer POST /{ods}/notification": {
        "notification_id": "unknown",
        "event": "credential_accepted",
        "event_description": "stored",
    },
    f"verifier POST {_ISSUER}/decisions/{{decision_id}}/conditions/{{number}}/met": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/decisions/{{decision_id}}/person-confirmation": {
        "method": "DOCUMENT_ON_CALL",
        "shown": {"family_name": "Okonkwo-Price", "given_name": "Adaeze", "birthdate": "1981-03-09"},
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/decisions/{{decision_id}}/recheck": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/movements": {
        **MOVEMENT,
        "pathway": "Elective recovery",
        "external_id": "roster-1",
        "actor": "hr-0815",
    },
    f"verifier PUT {_ISSUER}/movements/{{movement_id}}": _MOVEMENT_CHANGE,
    f"verifier POST {_ISSUER}/movements/{{movement_id}}/cancel": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/movements/{{movement_id}}/agreement-links": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/movements/{{movement_id}}/approvals": {
        "kind": "HOST_DEPARTMENT",
        "decision": "AGREED",
        "actor": "ward-12",
    },
    f"verifier POST {_ISSUER}/movements/{{movement_id}}/induction": {
        "on": "2026-09-01",
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/movements/{{movement_id}}/release-request": {
        "person": {"given_name": "Morgan", "family_name": "Invented", "note": None},
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/movements/{{movement_id}}/staff-agreement": {
        "decision": "AGREED",
        "channel": "PHONE",
        "at": "2026-09-01T11:30:00Z",
        "cover_opt_in": None,
        "staff_ref": "consultant-7",
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/movements/{{movement_id}}/placement": {
        "position_title": "Visiting consultant urologist",
        "position_number": "30412345",
        "site": "Manchester Royal Infirmary",
        "department_contact": "Urology ward office",
        "approved_by": "Clinical director of surgery",
        "hr_contact": "Medical staffing",
        "licence_to_attend": True,
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/movements/{{movement_id}}/placement/end": {
        "badge_returned": True,
        "it_access_removed": True,
        "uniform_returned": True,
        "educator_sign_off": True,
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/movements/{{movement_id}}/placement/offer": {"actor": "hr-0815"},
    f"verifier PUT {_ISSUER}/placement-issuer": {
        "issuer_url": "https://host-issuer.example",
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/alerts/{{alert_id}}/acknowledge": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/overrides": {
        "decision_id": "0198c0de-0000-7000-8000-000000000000",
        "findings": [{"rule": "R-12", "subject": "FS"}],
        "reason": "The fire course was on Monday; the certificate is on its way.",
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/overrides/{{override_id}}/approve": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/overrides/{{override_id}}/withdraw": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/policies/{{policy_id}}/versions": {
        "rows": documents()[_URGENT]["rows"],
        "profile": {
            name: value
            for name, value in documents()[_URGENT]["profile"].items()
            if name not in ("name", "labels", "patient_contact")
        },
        "effective": "2027-01-01",
        "note": "Our fire officer asks for it",
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/policies/{{policy_id}}/versions/{{number}}/approve": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/policies/{{policy_id}}/versions/{{number}}/withdraw": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/presentation-requests": {
        "policy": "SERVICE_NEED_URGENT.UROLOGY_SURGEON",
        "employing_ods": "RBV",
        "start": "2026-09-02",
        "end": "2026-09-02",
        "channel": "LINK",
        "flow": "cross_device",
        "actor": "hr-0815",
    },
    f"verifier POST {_ISSUER}/presentation-requests/{{request_id}}/cancel": {"actor": "hr-0815"},
    f"verifier POST {_ISSUER}/register-checks": {
        "movement_id": "01a1ffdb-ddbb-78a9-b5e0-000000000000",
        "regulator": "GMC",
        "number": "7099999",
        "status": "REGISTERED",
        "licence": True,
        "checked_at": "2026-09-01T06:00:00Z",
        "source": "GMC website",
        "actor": "hr-0815",
    },
}

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORMS: dict[str, dict[str, str]] = {
    "POST /oauth2/token": {
        "grant_type": "client_credentials",
        "client_assertion_type": _ASSERTION,
        "client_assertion": "e30.e30.e30",
        "scope": "staff:read",
    },
    "POST /{ods}/token": {
        "grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code",
        "pre-authorized_code": "a-code-that-was-never-given",
        "tx_code": "000000",
    },
    "POST /{ods}/o/{offer_id}": {"csrf": "not the page's", "act": "pin", "pin": "000000", "reason": "OTHER"},
    "POST /{ods}/a/{token}": {"answer": "yes", "csrf": "a-token-of-another-page"},
    "POST /{ods}/i/{token}": {"csrf": "not the page's", "act": "open"},
    "POST /federation/trust_mark_status": {"trust_mark": "e30.e30.e30"},
    "POST /{ods}/oid4vp/requests/{link}": {"wallet_nonce": "nonce", "wallet_metadata": "{}"},
    "POST /{ods}/oid4vp/response": {"response": "e30.e30.e30.e30.e30"},
}


def body(operation: Operation) -> dict[str, Any]:
    """A good body of an operation with a JSON body, to be changed at will."""
    return copy.deepcopy(BODIES[str(operation)])


def form(operation: Operation) -> dict[str, str]:
    """A well-formed form of an operation that takes one."""
    return dict(FORMS[operation.key])
