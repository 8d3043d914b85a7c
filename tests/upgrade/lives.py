"""What people had begun under one release and go on with under the next, by the interfaces they use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from deploy.demo import onboarding
from deploy.demo.story import Story
from deploy.demo.trusts import CHRISTIE, MANCHESTER
from deploy.dev import register
from deploy.dev.clients import Clients
from deploy.dev.management import ManagementClient
from deploy.dev.stack import Stack
from passport_testkit.by_hand import issuing, moving, people
from passport_testkit.by_hand.holder import Holder
from passport_testkit.by_hand.people import Colleague

SURGEON = people.SURGEON
IN_FLIGHT = replace(people.OTHER, given="Ffion", esr_person="20397741", gmc_number="7099941")
MEANWHILE = replace(people.OTHER, given="Sunniva", esr_person="20397742", gmc_number="7099942")
ISSUER, VERIFIER = "issuer", "verifier"
ISSUING, HOSTING = f"/api/v1/organisations/{CHRISTIE.ods}", moving.BASE
CONFIRM = {"method": "DOCUMENT_ON_CALL", "actor": moving.HOST_HR}
OUTCOME = "READY_WITH_CONDITIONS"


@dataclass
class Begun:
    """What stands when the old release is stopped: ids, links and what they must still mean."""

    surgeon: Holder
    surgeon_id: str
    decision_id: str
    unanswered: dict[str, Any]
    uncollected: dict[str, Any]
    held: list[dict[str, Any]]
    facts: int


def network(stack: Stack, known: Clients) -> None:
    """Two trusts join and are live."""
    story = Story()
    for trust in (CHRISTIE, MANCHESTER):
        onboarding.join(story, stack, known, trust)
    onboarding.agree(stack, known.machine)
    onboarding.live(story, stack, known.machine)


def begin(stack: Stack, hr: ManagementClient) -> Begun:
    """A passport held and used once, one put on hold for a day, one offered, a request unanswered."""
    surgeon_id, surgeon = _collected(stack, hr, SURGEON, "surgeon")
    answered = _asked(stack, hr)
    surgeon.run("present", answered["links"]["deep_link"], "--yes")
    decision = moving.settled(stack, hr, answered["id"])
    path = f"{HOSTING}/decisions/{decision['id']}/person-confirmation"
    confirmed = hr.post(stack.services[VERIFIER].url, path, CONFIRM)
    assert confirmed["result"]["outcome"] == OUTCOME
    act(stack, hr, surgeon_id, "hold", reason_code="EMPLOYMENT_ON_HOLD")
    uncollected = issuing.offer(stack, hr, issuing.record(stack, hr, IN_FLIGHT))
    return Begun(
        surgeon=surgeon,
        surgeon_id=surgeon_id,
        decision_id=decision["id"],
        unanswered=_asked(stack, hr),
        uncollected=uncollected,
        held=passport(stack, hr, surgeon_id),
        facts=facts(stack, hr),
    )


def go_on(stack: Stack, hr: ManagementClient, begun: Begun) -> None:
    """Everything that had been begun is finished, and nothing has been forgotten."""
    verifier = stack.services[VERIFIER].url
    kept = hr.get(verifier, f"{HOSTING}/decisions/{begun.decision_id}")
    assert kept["result"]["outcome"] == OUTCOME
    assert passport(stack, hr, begun.surgeon_id) == begun.held
    _collect(stack, begun.uncollected, "in-flight")
    act(stack, hr, begun.surgeon_id, "reinstate")
    begun.surgeon.run("present", begun.unanswered["links"]["deep_link"], "--yes")
    decision = moving.settled(stack, hr, begun.unanswered["id"])
    path = f"{HOSTING}/decisions/{decision['id']}/person-confirmation"
    assert hr.post(verifier, path, CONFIRM)["result"]["outcome"] == OUTCOME
    [old] = [entry for entry in begun.held if entry["vct"].endswith("/RightToWork/1")]
    revoked = {"reason_code": "RTW_EXPIRED", "actor": people.HR}
    hr.post(stack.services[ISSUER].url, f"{ISSUING}/credentials/{old['id']}/revoke", revoked)
    register.wait_until(lambda: facts(stack, hr) > begun.facts, "what was done, at the registry")


def meanwhile(stack: Stack, hr: ManagementClient) -> None:
    """A colleague's whole way, whichever release answers."""
    _collected(stack, hr, MEANWHILE, "meanwhile")


def act(stack: Stack, hr: ManagementClient, staff_id: str, name: str, **body: Any) -> None:
    """Hold or reinstate a whole passport."""
    path = f"{ISSUING}/staff/{staff_id}/passport/{name}"
    hr.post(stack.services[ISSUER].url, path, {"actor": people.HR, **body})


def passport(stack: Stack, hr: ManagementClient, staff_id: str) -> list[dict[str, Any]]:
    """The credentials of a person as HR sees them."""
    view = hr.get(stack.services[ISSUER].url, f"{ISSUING}/staff/{staff_id}/passport")
    found: list[dict[str, Any]] = view["credentials"]
    return found


def facts(stack: Stack, hr: ManagementClient) -> int:
    """How many activity facts the registry has taken."""
    return len(hr.get(stack.services["registry"].url, "/api/v1/activity/facts?limit=200")["items"])


def _collected(stack: Stack, hr: ManagementClient, person: Colleague, name: str) -> tuple[str, Holder]:
    staff_id = issuing.record(stack, hr, person)
    return staff_id, _collect(stack, issuing.offer(stack, hr, staff_id), name)


def _collect(stack: Stack, offered: dict[str, Any], name: str) -> Holder:
    holder = Holder(stack, name)
    holder.run("init")
    holder.run("trust", "add", str(stack.folder / "trust.json"))
    said = holder.run("accept", offered["credential_offer"], typed=f"y\n{offered['tx_code']}\n")
    assert f"{issuing.TYPES} records" in said
    return holder


def _asked(stack: Stack, hr: ManagementClient) -> dict[str, Any]:
    movement_id = moving.movement(stack, hr)
    moving.look_up(stack, hr, movement_id, SURGEON, "REGISTERED", licence=True)
    return moving.ask(stack, hr, movement_id)
