"""Manchester needs a surgeon for an urgent list: a movement, a request, an answer, a decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.demo import people
from deploy.demo.holder import Holder
from deploy.demo.onboarding import URGENT
from deploy.demo.people import Colleague
from deploy.demo.story import Story
from deploy.demo.trusts import CHRISTIE, MANCHESTER
from deploy.dev import register
from deploy.dev.management import ManagementClient
from deploy.dev.stack import Stack

HOST_HR = "hr-manchester-2c90"
BASE = f"/api/v1/organisations/{MANCHESTER.ods}"


@dataclass(frozen=True)
class Decided:
    """A movement with the decision that was shown last."""

    movement_id: str
    person: Colleague
    decision: dict[str, Any]


def urgent_list(
    story: Story, stack: Stack, hr: ManagementClient, holder: Holder, person: Colleague = people.SURGEON
) -> Decided:
    """The whole of the first movement, up to the answer in plain words."""
    verifier = stack.services["verifier"].url
    movement_id = movement(stack, hr)
    look_up(stack, hr, movement_id, person, "REGISTERED", licence=True)
    story.say("Host HR has looked the surgeon up in the GMC's register itself: registered, with a licence.")
    request = ask(stack, hr, movement_id)
    said = holder.run("present", request["links"]["deep_link"], typed="y\n")
    story.say("On the surgeon's phone:")
    for line in said.splitlines():
        story.say(f"  | {line}")
    story.expect("Shared." in said, "the surgeon sees who asks, for what and which details, and says yes")
    decision = settled(stack, hr, request["id"])
    story.expect(
        decision["result"] is None and decision["withheld"] == "AWAITING_PERSON",
        "the answer is withheld until somebody has made sure that this is the person",
    )
    decision = hr.post(
        verifier,
        f"{BASE}/decisions/{decision['id']}/person-confirmation",
        {"method": "DOCUMENT_ON_CALL", "actor": HOST_HR},
    )
    tell(story, decision)
    result = decision["result"]
    story.expect(result["outcome"] == "READY_WITH_CONDITIONS", "the outcome is READY_WITH_CONDITIONS")
    conditions = [(one["rule"], one["subject"]) for one in result["conditions"]]
    story.expect(conditions == [("R-12", "FS")], "the one condition is fire safety training, with a date")
    story.expect(result["verified"], "every check of every credential held")
    return Decided(movement_id, person, decision)


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


def tell(story: Story, decision: dict[str, Any]) -> None:
    """Say a decision as host HR reads it."""
    result = decision["result"]
    story.say("Host HR reads:")
    story.say(f"  | {result['text']['en-GB']}")
    for finding in result["findings"]:
        if finding["result"] in ("PASS", "NOT_NEEDED"):
            continue
        story.say(f"  | {finding['name']['en-GB']}: {finding['text']['en-GB']}")
        if finding["who_can_fix"]:
            story.say(f"  |   can be put right by: {finding['who_can_fix']['name']['en-GB']}")
    for condition in result["conditions"]:
        due = datetime.fromisoformat(condition["due"])
        story.say(f"  | Condition: {condition['text']['en-GB']}")
        story.say(f"  |   due {due:%A %d %B %Y, %H:%M} UTC; up to: {condition['owner_name']['en-GB']}")
