"""Trusts join the network: governance with its dates, keys of their own making, certificates, authority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.demo.story import Story
from deploy.demo.trusts import CHRISTIE, MANCHESTER, NINTH, PILOT, SLA_DAYS, STUCK_DAYS, Trust
from deploy.dev import register
from deploy.dev.clients import Clients
from deploy.dev.deployment import Deployment, Program
from deploy.dev.management import ManagementClient
from deploy.dev.stack import StackError
from passport_shared.wire import catalogue

URGENT = "SERVICE_NEED_URGENT"
MOVEMENTS = (URGENT, "INDUCTION_VISIT", "CROSS_TRUST_WORKING", "PLACEMENT_DEVELOPMENT")
SERVICES = {"ISSUER": "issuer", "VERIFIER": "verifier"}
ROLES = ("ISSUER", "VERIFIER")
YEAR = timedelta(days=365)
OPERATOR = "registry-operator-1"


def join(
    story: Story,
    stack: Deployment,
    clients: Clients,
    trust: Trust,
    *,
    sandbox: bool = False,
    roles: Sequence[str] = ROLES,
) -> None:
    """Take one trust from the invitation to certificates and authority."""
    invite(stack, clients.machine, trust, sandbox=sandbox)
    for step, details in _steps().items():
        record_step(
            stack,
            clients.machine,
            trust,
            step,
            {
                "state": "DONE",
                "done_on": trust.registered,
                "evidence": f"pilot file {step.lower()}",
                "details": details,
            },
        )
    with ThreadPoolExecutor(len(roles)) as both:
        for done in [both.submit(enrol, stack, clients, trust, role) for role in roles]:
            done.result()
    story.say(f"{trust.name}: governance recorded, keys made by its own services, certificates issued.")


def invite(stack: Deployment, operator: ManagementClient, trust: Trust, *, sandbox: bool = False) -> None:
    """Add a trust to the network; its office is named, nobody in it."""
    operator.post(
        stack.services["registry"].url,
        "/api/v1/organisations",
        {
            "ods_code": trust.ods,
            "name": trust.name,
            "aliases": list(trust.aliases),
            "locality": trust.locality,
            "icb": trust.icb,
            "contacts": {
                "hrd": "Office of the director of workforce",
                "ig_lead": "Information governance office",
                "hr_team": f"staff.passport@{trust.ods.lower()}.example",
            },
            "sandbox": sandbox,
            "actor": OPERATOR,
        },
    )


def record_step(
    stack: Deployment, operator: ManagementClient, trust: Trust, step: str, said: dict[str, Any]
) -> None:
    """Record where an onboarding step stands."""
    path = f"/api/v1/organisations/{trust.ods}/steps/{step}"
    body = {"actor": OPERATOR, **said}
    operator.put(stack.services["registry"].url, path, body, if_match='"0"')


def enrol(stack: Deployment, clients: Clients, trust: Trust, role: str) -> None:
    """One entity of a trust: its own service makes the keys, two people give the authority."""
    registry = stack.services["registry"].url
    entities = f"/api/v1/organisations/{trust.ods}/entities"
    service = stack.services[SERVICES[role]]
    entity = {"role": role, "entity_id": f"{service.url}/{trust.ods}", "actor": OPERATOR}
    clients.machine.post(registry, entities, entity)
    code = clients.machine.post(registry, f"{entities}/{role}/enrolment-codes", {"actor": OPERATOR})["code"]
    _enrol(service, trust.ods, code)
    grants = f"{entities}/{role}/authorisations"
    for grant in _grants(stack, role):
        proposed = clients.first.post(registry, grants, grant)
        clients.second.post(registry, f"{grants}/{proposed['id']}/approve")


def _enrol(service: Program, ods: str, code: str) -> None:
    """The service's own command, given again where the registry says that it could not look just now."""
    for last in (False, False, True):
        try:
            service.command("tenant", "enrol", ods, "--code", "-", feed=f"{code}\n".encode())
        except StackError as refused:
            if last or "status 503" not in str(refused):
                raise
        else:
            return


def agree(
    stack: Deployment, operator: ManagementClient, trusts: Sequence[Trust] = (CHRISTIE, MANCHESTER)
) -> None:
    """Record the memorandum of understanding the directors of workforce have signed."""
    operator.post(
        stack.services["registry"].url,
        "/api/v1/agreements",
        {
            "type": "MOU",
            "version": "1",
            "parties": [trust.ods for trust in trusts],
            "movement_types": list(MOVEMENTS),
            "max_days": 365,
            "effective": "2021-11-08",
            "actor": OPERATOR,
        },
    )


def pilot(story: Story, stack: Deployment, clients: Clients) -> None:
    """The eight trusts with the dates of table F1, and a ninth that waits for its own approval."""
    for trust in PILOT:
        join(story, stack, clients, trust)
    agree(stack, clients.machine, PILOT)
    story.say("The memorandum of understanding of all eight is recorded: four kinds of move, up to a year.")
    invite(stack, clients.machine, NINTH)
    details = {"ods_active": True}
    done = {"state": "DONE", "done_on": NINTH.registered, "evidence": "pilot file", "details": details}
    record_step(stack, clients.machine, NINTH, "REGISTRATION", done)
    today = datetime.now(UTC).date()  # noqa: TID251  a program of its own
    waiting = {
        "state": "IN_PROGRESS",
        "due": (today - timedelta(days=STUCK_DAYS - SLA_DAYS)).isoformat(),
        "owner": "Trust IG lead",
        "note": f"With the information governance office since {today - timedelta(days=STUCK_DAYS):%d %B %Y}",
    }
    record_step(stack, clients.machine, NINTH, "DPIA", waiting)
    story.say(f"{NINTH.name} has waited {STUCK_DAYS} days for its own data protection assessment.")


def hr_users(
    stack: Deployment, operator: ManagementClient, trust: Trust, people: Mapping[str, Sequence[str]]
) -> None:
    """Name a trust's HR users with their roles; their training was passed last month."""
    passed_on = (datetime.now(UTC).date() - timedelta(days=30)).isoformat()  # noqa: TID251
    for subject, roles in people.items():
        body = {"roles": list(roles), "training_passed_on": passed_on, "actor": OPERATOR}
        path = f"/api/v1/organisations/{trust.ods}/hr-users/{subject}"
        operator.put(stack.services["registry"].url, path, body, if_match='"0"')


def _steps() -> dict[str, dict[str, Any]]:
    return {
        "REGISTRATION": {"ods_active": True},
        "DPIA": {"approved_by_ig_lead": True},
        "TERMS_OF_USE": {},
        "MOU": {},
        "HR_TRAINING": {"trained_issuers": 2, "trained_verifiers": 2, "mfa": True, "cover": "DEPUTY"},
        "ESR_LINK": {"method": "API"},
        "TEST_ISSUE": {},
        "TEST_VERIFY": {},
    }


def _grants(stack: Deployment, role: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251  a program of its own
    period = {
        "valid_from": (now - timedelta(minutes=5)).isoformat().replace("+00:00", "Z"),
        "valid_until": (now + YEAR).isoformat().replace("+00:00", "Z"),
    }
    base = f"{stack.services['registry'].url}/vct"
    grants = []
    for kind in catalogue.TYPES.values():
        if role == "VERIFIER" and kind.issued_by == "host":
            continue  # its own record: a host does not ask for it
        grant: dict[str, Any] = {**period, "vct": catalogue.vct(base, kind.name, kind.version)}
        if role == "ISSUER":
            grant |= {"action": "issue", "max_validity_s": int((2 * YEAR).total_seconds())}
        else:
            top = sorted({claim.path[0] for claim in kind.claims} - {"portrait", "provenance"})
            grant |= {"action": "ask", "claims": [[name] for name in top], "purposes": list(MOVEMENTS)}
        grants.append(grant)
    return grants


def live(story: Story, stack: Deployment, operator: ManagementClient) -> None:
    """The trusts are live, and the services have heard of it."""
    registry = stack.services["registry"].url
    register.published(stack, operator)
    listed = {entry["ods_code"]: entry for entry in operator.http.get(f"{registry}/register").json()["items"]}
    story.expect(
        listed[CHRISTIE.ods]["live_to_issue"], "the public register shows The Christie live to issue"
    )
    story.expect(listed[MANCHESTER.ods]["live_to_verify"], "and Manchester University NHS FT live to verify")
