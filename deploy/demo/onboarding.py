"""The Christie and Manchester University join the network: governance, keys, certificates, authority."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.demo.story import Story
from deploy.dev import register
from deploy.dev.clients import Clients
from deploy.dev.management import ManagementClient
from deploy.dev.stack import Stack
from passport_shared.wire import catalogue

URGENT = "SERVICE_NEED_URGENT"
YEAR = timedelta(days=365)
OPERATOR = "registry-operator-1"


@dataclass(frozen=True)
class Trust:
    """A trust of the pilot and the dates its report prints."""

    ods: str
    name: str
    alias: str
    role: str
    registered: str
    locality: str = "GM Integrated Care"

    @property
    def service(self) -> str:
        """Which service runs its entity in this demonstration."""
        return {"ISSUER": "issuer", "VERIFIER": "verifier"}[self.role]


CHRISTIE = Trust("RBV", "The Christie NHS Foundation Trust", "The Christie", "ISSUER", "2021-07-20")
MANCHESTER = Trust(
    "R0A",
    "Manchester University NHS Foundation Trust",
    "Manchester University Foundation Trust (MFT)",
    "VERIFIER",
    "2021-11-08",
)


def join(story: Story, stack: Stack, clients: Clients, trust: Trust) -> None:
    """Take one trust from the invitation to a certificate and authority."""
    operator = clients.machine
    registry = stack.services["registry"].url
    organisation = f"/api/v1/organisations/{trust.ods}"
    operator.post(
        registry,
        "/api/v1/organisations",
        {
            "ods_code": trust.ods,
            "name": trust.name,
            "aliases": [trust.alias],
            "locality": trust.locality,
            "contacts": {
                "hrd": "Office of the director of workforce",
                "hr_team": f"staff.passport@{trust.ods.lower()}.example",
            },
            "actor": OPERATOR,
        },
    )
    for step, details in _steps(trust).items():
        operator.put(
            registry,
            f"{organisation}/steps/{step}",
            {
                "state": "DONE",
                "done_on": trust.registered,
                "evidence": f"pilot file {step.lower()}",
                "details": details,
                "actor": OPERATOR,
            },
            if_match='"0"',
        )
    entity_id = f"{stack.services[trust.service].url}/{trust.ods}"
    operator.post(
        registry,
        f"{organisation}/entities",
        {"role": trust.role, "entity_id": entity_id, "actor": OPERATOR},
    )
    code = operator.post(
        registry, f"{organisation}/entities/{trust.role}/enrolment-codes", {"actor": OPERATOR}
    )["code"]
    stack.services[trust.service].command("tenant", "enrol", trust.ods, "--code", code)
    story.say(f"{trust.name}: governance recorded, keys made by its own service, certificates issued.")
    grants = f"{organisation}/entities/{trust.role}/authorisations"
    for grant in _grants(stack, trust):
        proposed = clients.first.post(registry, grants, grant)
        clients.second.post(registry, f"{grants}/{proposed['id']}/approve")
    story.say("One person proposes what it may do, a second person approves it.")


def agree(stack: Stack, operator: ManagementClient) -> None:
    """Record the workforce sharing agreement between the two trusts."""
    operator.post(
        stack.services["registry"].url,
        "/api/v1/agreements",
        {
            "type": "MOU",
            "version": "1",
            "parties": [CHRISTIE.ods, MANCHESTER.ods],
            "movement_types": [URGENT],
            "max_days": 30,
            "effective": "2021-11-08",
            "actor": OPERATOR,
        },
    )


def _steps(trust: Trust) -> dict[str, dict[str, Any]]:
    steps: dict[str, dict[str, Any]] = {
        "REGISTRATION": {"ods_active": True},
        "DPIA": {"approved_by_ig_lead": True},
        "TERMS_OF_USE": {},
        "MOU": {},
        "HR_TRAINING": {"trained_issuers": 2, "trained_verifiers": 2, "mfa": True, "cover": "DEPUTY"},
        "TEST_VERIFY": {},
    }
    if trust.role == "ISSUER":
        steps |= {"ESR_LINK": {"method": "API"}, "TEST_ISSUE": {}}
    return steps


def _grants(stack: Stack, trust: Trust) -> list[dict[str, Any]]:
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251  a program of its own
    period = {
        "valid_from": (now - timedelta(minutes=5)).isoformat().replace("+00:00", "Z"),
        "valid_until": (now + YEAR).isoformat().replace("+00:00", "Z"),
    }
    base = f"{stack.services['registry'].url}/vct"
    grants = []
    for kind in catalogue.TYPES.values():
        if trust.role == "VERIFIER" and kind.issued_by == "host":
            continue  # its own record: a host does not ask for it
        grant: dict[str, Any] = {**period, "vct": catalogue.vct(base, kind.name, kind.version)}
        if trust.role == "ISSUER":
            grant |= {"action": "issue", "max_validity_s": int((2 * YEAR).total_seconds())}
        else:
            top = sorted({claim.path[0] for claim in kind.claims} - {"portrait", "provenance"})
            grant |= {"action": "ask", "claims": [[name] for name in top], "purposes": [URGENT]}
        grants.append(grant)
    return grants


def live(story: Story, stack: Stack, operator: ManagementClient) -> None:
    """Both trusts are live, and the services have heard of it."""
    registry = stack.services["registry"].url
    register.published(stack, operator)
    listed = {entry["ods_code"]: entry for entry in operator.http.get(f"{registry}/register").json()["items"]}
    story.expect(
        listed[CHRISTIE.ods]["live_to_issue"], "the public register shows The Christie live to issue"
    )
    story.expect(listed[MANCHESTER.ods]["live_to_verify"], "and Manchester University NHS FT live to verify")
