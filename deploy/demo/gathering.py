"""Records are read from workforce systems: linked by a person's choice, accepted by HR."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from deploy.demo import actors
from deploy.demo.story import Story, Unexpected
from deploy.dev.deployment import Deployment
from deploy.dev.management import ManagementClient
from deploy.simulators.people import PilotPerson
from deploy.simulators.sandbox_people import SandboxPerson

ESR, LEARNING = "ESR", "LMS"
Person = PilotPerson | SandboxPerson
MARRIED = "Surname changed on marriage; the certificate was seen"
SPELLING = "The learning system cannot write these letters; birthdate and post are the same"


@dataclass(frozen=True)
class Employer:
    """An employing trust's side at the issuer, with its connections by system type."""

    stack: Deployment
    hr: ManagementClient
    ods: str
    connections: dict[str, str]

    @property
    def issuer(self) -> str:
        """Base URL of the issuer."""
        return self.stack.services["issuer"].url

    @property
    def base(self) -> str:
        """Management path of the trust."""
        return f"/api/v1/organisations/{self.ods}"

    @property
    def actor(self) -> str:
        """Who acts for it."""
        return actors.hr(self.ods)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """POST below the trust, by its HR."""
        return self.hr.post(self.issuer, f"{self.base}{path}", {"actor": self.actor, **(body or {})})


@dataclass
class Record:
    """A member of staff at the issuer, with what was gathered."""

    staff_id: str
    applied: int = 0
    not_usable: list[str] = field(default_factory=list)
    not_held: list[str] = field(default_factory=list)


def connect(stack: Deployment, hr: ManagementClient, ods: str) -> Employer:
    """Connect a trust to its staff record and its learning system, which admit it by its public key."""
    employer, keys = Employer(stack, hr, ods, {}), b""
    simulators = stack.simulators.url
    for system, path in ((ESR, "/esr"), (LEARNING, "/dsp-learning")):
        made = employer.post(
            "/connections",
            {
                "name": "Electronic staff record" if system == ESR else "Learning management system",
                "system_type": system,
                "base_url": f"{simulators}{path}",
                "authentication": "PRIVATE_KEY_JWT",
                "token_url": f"{simulators}/oauth2/token",
                "client_id": f"staff-passport-{ods.lower()}",
                "private_hosts": [stack.simulators.address],
            },
        )
        employer.connections[system] = made["id"]
        keys = json.dumps(made["jwks"]).encode()
    # one key for the trust's connections, whatever they lead to
    stack.simulators.command("client", f"staff-passport-{ods.lower()}", "-", ods, feed=keys)
    for system, connection in employer.connections.items():
        tested = employer.post(f"/connections/{connection}/test")
        if not tested["ok"]:
            raise Unexpected(f"{ods}: {system} does not answer: {tested}")
    return employer


def enter(employer: Employer, person: Person) -> str:
    """HR enters whom they are going to invite; the rest is read."""
    hire = person.hire
    made = employer.hr.post(
        employer.issuer,
        f"{employer.base}/staff",
        {
            "legal_given": hire.given_name,
            "legal_family": hire.family_name,
            "birthdate": hire.birthdate.isoformat(),
            "work_email": f"{person.key.replace('_', '.')}@{employer.ods.lower()}.example",
            "external_ids": [{"system": "ESR", "kind": "ESR_PERSON", "value": hire.person_id}],
        },
    )
    return str(made["id"])


def link(story: Story, employer: Employer, staff_id: str, person: Person) -> None:
    """Search both systems, and choose: nobody is linked by the service itself."""
    hire = person.hire
    for system, connection in employer.connections.items():
        found = employer.post(f"/connections/{connection}/search", {"staff_id": staff_id})["candidates"]
        if not found:
            # HR knows that the learning system still has another name for her, or another spelling.
            known_as = {
                "staff_id": staff_id,
                "given_name": hire.learning_given or hire.given_name,
                "family_name": hire.learning_family or hire.family_name,
            }
            found = employer.post(f"/connections/{connection}/search", known_as)["candidates"]
        wanted = hire.person_id if system == ESR else hire.dsp_id
        chosen = next((one for one in found if one["person_id"] == wanted), None)
        if chosen is None:
            raise Unexpected(f"{person.key}: {system} did not find {wanted} among {len(found)}")
        body: dict[str, Any] = {"person_id": wanted, "actor": employer.actor}
        if chosen["needs_reason"]:
            body["differences_accepted"] = MARRIED if hire.previous_family_names else SPELLING
            story.say(f"{hire.given_name} {hire.family_name}: {body['differences_accepted']}.")
        path = f"{employer.base}/staff/{staff_id}/links/{connection}"
        employer.hr.put(employer.issuer, path, body, if_match='"0"')


def gather(employer: Employer, staff_id: str) -> Record:
    """Read what the linked systems say, and accept everything that is usable and new."""
    read = employer.post(f"/staff/{staff_id}/gather")
    failed = [one for one in read["sources"] if one["outcome"] != "READ"]
    if failed:
        raise Unexpected(f"a source was not read: {failed}")
    accepted = [one["id"] for one in read["items"] if one["state"] in ("NEW", "CHANGED")]
    record = Record(staff_id, applied=len(accepted))
    record.not_usable = [one["detail"] for one in read["items"] if one["state"] == "NOT_USABLE"]
    record.not_held = [one["type"] for one in read["not_held"]]
    if accepted:
        employer.post(f"/staff/{staff_id}/gatherings/{read['id']}/apply", {"items": accepted})
    return record
