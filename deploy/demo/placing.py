"""The host's own issuer gives the visitor a placement record; the wallet collects it under the same key."""

from __future__ import annotations

from typing import Any

from deploy.demo import actors
from deploy.demo.travelling import Journey
from deploy.dev import register
from deploy.dev.deployment import Deployment
from deploy.dev.management import ManagementClient


def name_issuer(stack: Deployment, hr: ManagementClient, ods: str) -> None:
    """Say where a host's own issuer is."""
    path = f"/api/v1/organisations/{ods}/placement-issuer"
    body = {"issuer_url": stack.services["issuer"].url, "actor": actors.hr(ods)}
    hr.put(stack.services["verifier"].url, path, body, if_match='"0"')


def start(journey: Journey) -> dict[str, Any]:
    """Start the placement; its record is offered by the host's issuer and collected."""
    ods = journey.person.host_ods
    placement = journey.post(
        "/placement",
        {
            "position_title": f"Visiting {journey.person.hire.post.title.lower()}",
            "site": journey.move.sites[0],
            "department_contact": "Department office",
            "approved_by": journey.move.supervisor,
            "hr_contact": f"staff.passport@{ods.lower()}.example",
            "actor": actors.hr(ods),
        },
    )

    def offered() -> bool:
        placement.update(journey.get("/placement"))
        return placement["offer"] is not None

    journey.measured(
        "Placement record offered by the host's issuer",
        lambda: register.wait_until(offered, "the placement's offer"),
    )
    return dict(placement)


def collect(journey: Journey, placement: dict[str, Any]) -> int:
    """The person collects the placement record; how many records it was."""
    ods = journey.person.host_ods
    offer = placement["offer"]
    path = f"/api/v1/organisations/{ods}/offers/{offer['id']}/pin"
    pin = journey.hr.post(journey.issuer, path, {"actor": actors.hr(ods)})["tx_code"]
    kept = journey.wallet.accept(offer["credential_offer_uri"], pin)
    journey.took("Placement record collected", kept.seconds)
    return len(kept.said["credentials"])
