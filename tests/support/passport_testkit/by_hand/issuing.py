"""The Christie's HR records what it has checked and offers a passport; the colleague collects it."""

from __future__ import annotations

from typing import Any

from deploy.demo.story import Story
from deploy.demo.trusts import CHRISTIE
from deploy.dev.management import ManagementClient
from deploy.dev.stack import Stack
from passport_testkit.by_hand import people
from passport_testkit.by_hand.holder import Holder
from passport_testkit.by_hand.people import HR, Colleague

TYPES = 7


def record(stack: Stack, hr: ManagementClient, person: Colleague) -> str:
    """Enter a person with post, checks, training and a confirmed identity; returns the id."""
    issuer, base = stack.services["issuer"].url, f"/api/v1/organisations/{CHRISTIE.ods}/staff"
    staff_id: str = hr.post(issuer, base, people.staff(person))["id"]
    own = f"{base}/{staff_id}"
    hr.post(issuer, f"{own}/assignments", people.assignment(person))
    for check in people.checks(person):
        hr.post(issuer, f"{own}/checks", check)
    for entry in people.training():
        hr.post(issuer, f"{own}/training", entry)
    session = hr.post(issuer, f"{own}/identity-sessions", {"channel": "FACE_TO_FACE", "actor": HR})
    hr.post(
        issuer,
        f"{own}/identity-sessions/{session['id']}/result",
        {
            "result": "CONFIRMED",
            "face_matched": True,
            "documents": [{"kind": "PASSPORT", "last_four": "4821", "expires_on": "2031-05-01"}],
            "originals_seen_in_person_on": people.days_ago(0),
            "actor": HR,
        },
    )
    return staff_id


def offer(stack: Stack, hr: ManagementClient, staff_id: str) -> dict[str, Any]:
    """Offer everything that is held; the answer carries the PIN that HR gives by voice."""
    issuer, base = stack.services["issuer"].url, f"/api/v1/organisations/{CHRISTIE.ods}/staff"
    made: dict[str, Any] = hr.post(issuer, f"{base}/{staff_id}/offers", {"actor": HR})
    return made


def collect(story: Story, stack: Stack, hr: ManagementClient, person: Colleague, name: str) -> Holder:
    """The whole way of one colleague: recorded, offered, collected with one PIN."""
    staff_id = record(stack, hr, person)
    made = offer(stack, hr, staff_id)
    story.expect(
        len(made["credential_configuration_ids"]) == TYPES and not made["not_held"],
        f"HR offers {TYPES} records; nothing is offered that was not checked",
    )
    holder = Holder(stack, name)
    holder.run("init")
    holder.run("trust", "add", str(stack.folder / "trust.json"))
    said = holder.run("accept", made["credential_offer"], typed=f"y\n{made['tx_code']}\n")
    story.expect(
        f"{TYPES} records" in said, "the wallet collects the whole passport with one offer and one PIN"
    )
    return holder
