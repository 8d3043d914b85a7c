"""Nine passports: invited, seen at an appointment on a video call, offered, collected with one PIN."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from deploy.demo.gathering import Employer
from deploy.demo.tour.record import MEASURED, SIMULATED, PersonTale, Span
from deploy.demo.wallets import AnyWallet, Timed

APPOINTMENT_S, REVIEW_S = 11 * 60, 90


@dataclass
class Passport:
    """What one person has collected."""

    staff_id: str
    wallet: AnyWallet
    offer: dict[str, Any]
    collected: Timed


def invite(employer: Employer, staff_id: str) -> dict[str, Any]:
    """Send the person a link that opens once; the trust's own mail carries it."""
    made: dict[str, Any] = employer.post(f"/staff/{staff_id}/invitations", {"channel": "EMAIL"})
    return made


def appointment(employer: Employer, staff_id: str, *, today: str) -> None:
    """A video call on which HR makes sure who it is; the originals were seen in person before."""
    session = employer.post(
        f"/staff/{staff_id}/identity-sessions",
        {"channel": "VIDEO", "join_url": f"https://teams.{employer.ods.lower()}.example/meet/appointment"},
    )
    employer.post(
        f"/staff/{staff_id}/identity-sessions/{session['id']}/result",
        {
            "result": "CONFIRMED",
            "face_matched": True,
            "documents": [{"kind": "PASSPORT", "last_four": "4821", "expires_on": "2031-05-01"}],
            "originals_seen_in_person_on": today,
        },
    )


def offer(employer: Employer, staff_id: str, types: list[str] | None = None) -> dict[str, Any]:
    """Offer what is held; the PIN is in the answer, for HR to give by voice."""
    body: dict[str, Any] = {"types": types} if types else {}
    made: dict[str, Any] = employer.post(f"/staff/{staff_id}/offers", body)
    return made


def collect(
    employer: Employer,
    wallet: AnyWallet,
    staff_id: str,
    tale: PersonTale,
    *,
    types: list[str] | None = None,
) -> Passport:
    """Offer, PIN by voice, one acceptance."""
    began = time.monotonic()
    made = offer(employer, staff_id, types)
    tale.spans.append(Span("Passport put together and offered", time.monotonic() - began, MEASURED))
    if types is None:
        tale.spans.append(Span("Appointment on a video call: identity and PIN", APPOINTMENT_S, SIMULATED))
    tale.spans.append(Span("Reads the details and says that they are right", REVIEW_S, SIMULATED))
    kept = wallet.accept(made["credential_offer"], made["tx_code"])
    tale.spans.append(Span("Collected: signed by the trust, kept by the wallet", kept.seconds, MEASURED))
    return Passport(staff_id, wallet, made, kept)
