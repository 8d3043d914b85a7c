"""Manchester needs a surgeon for an urgent list: a movement, a request, an answer, a decision."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from deploy.demo.onboarding import URGENT
from deploy.demo.trusts import CHRISTIE, MANCHESTER
from deploy.dev import register
from deploy.dev.management import ManagementClient
from deploy.dev.stack import Stack
from passport_testkit.by_hand import people
from passport_testkit.by_hand.people import Colleague

HOST_HR = "hr-manchester-2c90"
BASE = f"/api/v1/organisations/{MANCHESTER.ods}"


def movement(stack: Stack, hr: ManagementClient) -> str:
    """One day in theatre, as the host writes it down."""
    made = hr.post(
        stack.services["verifier"].url,
        f"{BASE}/movements",
        {
            "type": URGENT,
            "role_profile": "UROLOGY_SURGEON",
            "employing_ods": CHRISTIE.ods,
            "start": people.today().isoformat(),
            "end": people.today().isoformat(),
            "sites": ["Manchester Royal Infirmary"],
            "department": "Urology",
            "duties": "One urgent operating list, hands-on",
            "supervisor": "Clinical director of urology",
            "sessions": ["Whole day"],
            "out_of_hours_contact": "Site manager on call",
            "use_case": "SERVICE_NEED",
            "workforce_group": "Clinicians",
            "would_have_needed": "HONORARY_CONTRACT",
            "actor": HOST_HR,
        },
    )
    return str(made["id"])


def look_up(
    stack: Stack, hr: ManagementClient, movement_id: str, person: Colleague, status: str, *, licence: bool
) -> None:
    """Record what the regulator's public register shows today."""
    hr.post(
        stack.services["verifier"].url,
        f"{BASE}/register-checks",
        {
            "movement_id": movement_id,
            "regulator": "GMC",
            "number": person.gmc_number,
            "status": status,
            "licence": licence,
            "checked_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),  # noqa: TID251
            "actor": HOST_HR,
        },
    )


def ask(stack: Stack, hr: ManagementClient, movement_id: str) -> dict[str, Any]:
    """A presentation request for a movement, with its links."""
    made: dict[str, Any] = hr.post(
        stack.services["verifier"].url,
        f"{BASE}/presentation-requests",
        {"movement_id": movement_id, "actor": HOST_HR},
    )
    return made


def settled(stack: Stack, hr: ManagementClient, request_id: str) -> dict[str, Any]:
    """The newest decision on a request, once it no longer waits for a status list to arrive."""
    verifier = stack.services["verifier"].url
    found: dict[str, Any] = {}

    def arrived() -> bool:
        decision_id = hr.get(verifier, f"{BASE}/presentation-requests/{request_id}")["decision_id"]
        if decision_id is None:
            return False
        found.update(hr.get(verifier, f"{BASE}/decisions/{decision_id}"))
        return not found["awaits_status"]

    register.wait_until(arrived, "the decision")
    return found
