"""Bodies of placements as a host's verifier tells its issuer."""

from __future__ import annotations

from typing import Any

from passport_shared.formats.jose import PublicKey

MOVEMENT_ID = "0199aaaa-0000-7000-8000-000000000001"
VISITOR = {"given_name": "Adaeze Nkechi", "family_name": "Okonkwo-Price", "birthdate": "1981-03-09"}
POST: dict[str, Any] = {
    "position_title": "Visiting consultant urologist",
    "position_number": "NONE",
    "work_pattern": "Tuesdays, all day",
    "site": "Manchester Royal Infirmary",
    "department": "Urology",
    "department_contact": "Urology ward office",
    "approved_by": "Clinical director of surgery",
    "hr_contact": "Medical staffing",
    "licence_to_attend": True,
    "conditions": [],
}


def placement_body(holder: PublicKey, *, person: bool = True, **changes: Any) -> dict[str, Any]:
    """A placement of twenty days for the holder of a key."""
    body: dict[str, Any] = {
        "revision": 1,
        "movement_type": "SERVICE_NEED_URGENT",
        "start": "2026-09-02",
        "end": "2026-09-21",
        "post": {**POST, **changes.pop("post", {})},
        "holder_jkt": holder.thumbprint,
        **changes,
    }
    return {**body, "person": VISITOR} if person else body
