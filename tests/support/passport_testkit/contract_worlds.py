"""The three services as their interface tests meet them: running, with one of everything in them.

A `World` is one real application on a real database with a caller for every kind of permission and, for every
path parameter of its OpenAPI document, a value that names something that exists. It is driven from ordinary
(synchronous) tests through one event loop of its own, so that Hypothesis can drive it too. What a test sends
may change the world: tests of an interface state what holds in every state.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from passport_registry.app import Parts, build
from passport_registry.operations import clients
from passport_registry.operations.clients import RegisterClient
from passport_shared.formats.snapshot import verify_manifest
from passport_shared.formats.status_list import SUSPENDED
from passport_shared.outbound import Outbound
from passport_shared.service.db import migrate
from passport_shared.wire.release import ByName
from passport_shared.wire.scopes import scopes_of
from passport_testkit.apps import client_of
from passport_testkit.cases import all_skills
from passport_testkit.clients import ApiClientKit, access_token, api_client
from passport_testkit.clock import FrozenClock
from passport_testkit.corpora import REPOSITORY
from passport_testkit.datasets import skill
from passport_testkit.issuers import (
    CHECKS,
    ENTITY,
    POST,
    IssuerBench,
    check_body,
    running_issuer,
    training_body,
)
from passport_testkit.keys import key
from passport_testkit.notices import REACHABLE, READABLE
from passport_testkit.notices import sent as sent_notices
from passport_testkit.placements import MOVEMENT_ID, placement_body
from passport_testkit.placing import HOST_ENTITY, HOST_ISSUER, START
from passport_testkit.registries import ANN, PUBLIC_URL, R0A, RBV, registry_bench, registry_settings
from passport_testkit.releases import HostSimulator, request_claims
from passport_testkit.staff_app import StaffApp
from passport_testkit.verifiers import HR, VerifierBench, running_verifier
from passport_testkit.wallet import Collected, WalletSimulator
from passport_testkit.workforce import workforce_simulator
from passport_verifier.operations import watches

SERVICES = ("registry", "issuer", "verifier")
EVERYTHING, OTHER_TRUST, NOBODY = "everything", "other trust", "nobody"
DOCUMENTS = REPOSITORY / "docs" / "openapi"
WORDS = ByName(given_name="Adaeze", family_name="Okonkwo-Price")
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


@dataclass(frozen=True)
class Operation:
    """One operation of a committed OpenAPI document."""

    service: str
    method: str
    path: str
    spec: Mapping[str, Any] = field(hash=False, compare=False)

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"

    @property
    def key(self) -> str:
        """How tables of examples name it."""
        return f"{self.method} {self.path}"

    @property
    def managed(self) -> bool:
        """Whether it belongs to the management interface, with problems as its errors."""
        return self.path.startswith("/api/")

    @property
    def answers_problems(self) -> bool:
        """Whether its errors are problems: the management interface, and what says so in the document."""
        answers = self.spec.get("responses", {}).values()
        return self.managed or any("application/problem+json" in one.get("content", {}) for one in answers)

    @property
    def in_session(self) -> bool:
        """Whether it belongs to a holder session, which no caller here has: 401 comes before all else."""
        return "/holder/" in self.path and "401" in self.spec["responses"]

    @property
    def secured(self) -> bool:
        """Whether it needs an access token of an API client."""
        return bool(self.spec.get("security"))

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types of its body; none without a body."""
        return tuple(self.spec.get("requestBody", {}).get("content", ()))

    @property
    def takes_json(self) -> bool:
        """Whether its body is JSON."""
        return "application/json" in self.media_types

    @property
    def takes_form(self) -> bool:
        """Whether its body is a form."""
        return "application/x-www-form-urlencoded" in self.media_types

    def parameters(self, where: str) -> list[Mapping[str, Any]]:
        """Its parameters in `path`, `query` or `header`."""
        return [parameter for parameter in self.spec.get("parameters", ()) if parameter["in"] == where]

    @property
    def guarded_by_version(self) -> bool:
        """Whether it wants If-Match."""
        return any(parameter["name"].lower() == "if-match" for parameter in self.parameters("header"))


def document(service: str) -> dict[str, Any]:
    """The committed OpenAPI document of a service."""
    found: dict[str, Any] = json.loads((DOCUMENTS / f"{service}.json").read_text(encoding="utf-8"))
    return found


def operations(*services: str) -> list[Operation]:
    """Every operation of the committed documents."""
    return [
        Operation(service, method.upper(), path, spec)
        for service in services or SERVICES
        for path, methods in document(service)["paths"].items()
        for method, spec in methods.items()
        if method in METHODS
    ]


@dataclass
class World:
    """A running service and everything an interface test needs around it; `bench` is what made it."""

    service: str
    app: FastAPI
    http: httpx.AsyncClient
    clock: FrozenClock
    runner: asyncio.Runner
    kits: Mapping[str, ApiClientKit]
    existing: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    bench: Any = None
    _tokens: dict[tuple[str, str | None], str] = field(default_factory=dict)
    _etags: dict[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Where the service lives."""
        return str(self.http.base_url).rstrip("/")

    def value(self, path: str, name: str) -> str:
        """The value of a path parameter that names something that exists."""
        return self.existing.get(f"{path} {name}") or self.existing[name]

    def values(self, operation: Operation) -> dict[str, str]:
        """The values of all path parameters of an operation."""
        return {p["name"]: self.value(operation.path, p["name"]) for p in operation.parameters("path")}

    def path(self, operation: Operation, **changes: str) -> str:
        """The operation's path with parameters that exist, but for `changes`."""
        return operation.path.format(**{**self.values(operation), **changes})

    def token(self, who: str, scope: str | None = None) -> str:
        """An access token of one of the callers; the clock stands still, so it lives for ever."""
        found = self._tokens.get((who, scope))
        if found is None:
            fetched = access_token(self.http, self.kits[who], self.base_url, self.clock.now(), scope=scope)
            found = self._tokens[who, scope] = self.runner.run(fetched)
        return found

    def headers(self, operation: Operation, by: str = EVERYTHING) -> dict[str, str]:
        """The Authorization header this operation wants of this caller."""
        if by == NOBODY:
            return {}
        if operation.secured:
            return {"Authorization": f"Bearer {self.token(by)}"}
        wallet = self.secrets.get(operation.key)
        return {} if wallet is None else {"Authorization": f"Bearer {wallet}"}

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send anything."""
        return self.runner.run(self.http.request(method, url, **options))

    def call(
        self,
        operation: Operation,
        *,
        by: str = EVERYTHING,
        path: str | None = None,
        headers: Mapping[Any, Any] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Call an operation on what exists; where a version must be named it is the present one."""
        url = path or self.path(operation)
        sent: dict[Any, Any] = {**self.headers(operation, by), **(headers or {})}
        named = "If-Match" in sent or b"If-Match" in sent
        if operation.guarded_by_version and by != NOBODY and not named:
            sent.setdefault("If-Match", self.version_of(operation, url, sent))
        answer = self.request(operation.method, url, headers=sent, **options)
        if answer.status_code == 429:
            self.runner.run(self.forgive())
            answer = self.request(operation.method, url, headers=sent, **options)
        if answer.is_success and "etag" in answer.headers and operation.method != "GET":
            self._etags[url] = answer.headers["etag"]
        return answer

    def version_of(self, operation: Operation, url: str, headers: Mapping[str, str]) -> str:
        """The entity tag of what an operation changes, as it is now or was last seen."""
        if url not in self._etags:
            # `/x/{id}/end` and `/x/{id}/scopes` change `/x/{id}`.
            for readable in (url, url.rpartition("/")[0]):
                answer = self.request("GET", readable, headers=headers)
                if answer.is_success and "etag" in answer.headers:
                    self._etags[url] = answer.headers["etag"]
                    break
        return self._etags.get(url, '"1"')

    async def forgive(self) -> None:
        """Give every caller their rate limits back: time stands still here, so nothing is earned back."""
        async with self.app.state.context.db.write() as conn:
            await conn.execute(text("DELETE FROM rate_limits"))


@dataclass
class Worlds:
    """Every world of a test process, made when first asked for."""

    folder: Path
    runner: asyncio.Runner
    stack: AsyncExitStack
    made: dict[tuple[str, str], World] = field(default_factory=dict)

    async def migrated(self, url: str, package: str) -> None:
        """Bring a new database to the present version."""
        await migrate(url, package)

    def get(self, service: str, dialect: str, url: str) -> World:
        """The world of a service on a kind of database; `url` is a migrated database for a new one."""
        folder = self.folder / f"{service}-{dialect}"
        folder.mkdir()
        opened = _OPENED_BY[service](folder, url, self.runner)
        world = self.made[service, dialect] = self.runner.run(self.stack.enter_async_context(opened))
        return world


def kits(service: str, organisation: str) -> dict[str, ApiClientKit]:
    """A client that may do everything, and one that may do everything for another trust."""
    other = R0A if organisation != R0A else RBV
    every = scopes_of(service)
    return {
        EVERYTHING: api_client("contract-everything", organisation=organisation, scopes=every),
        OTHER_TRUST: api_client("contract-other-trust", organisation=other, scopes=every),
    }


@asynccontextmanager
async def registry_world(
    folder: Path, url: str, runner: asyncio.Runner, *, enrolments_per_minute: int = 10_000
) -> AsyncIterator[World]:
    """A registry with a live issuer, a live verifier, an agreement and clients."""
    attempts: dict[str, Any] = {"enrolments_per_minute": enrolments_per_minute}
    callers = kits("registry", "*")
    target = api_client("contract-target", organisation=RBV, scopes=["organisations:read"])
    async with registry_bench(url, folder, **attempts) as bench:
        await bench.live_issuer(RBV)
        await bench.live_verifier(R0A)
        for kit in (*callers.values(), target):
            await clients.register(bench.ctx, _registered(kit), ANN)
    outbound = Outbound(transport=bench.hosts.transport())
    settings = registry_settings(url, folder, **attempts)
    app = build(settings, Parts(clock=bench.clock, outbound=outbound, background=False))
    async with client_of(app, base_url=PUBLIC_URL) as http:
        bench.ctx = app.state.context
        existing = {
            "ods": RBV,
            "role": "ISSUER",
            "step": "DPIA",
            "subject": "hr-7f31",
            "report": "r2",
            "document": "HONORARY_CONTRACT",
            "name": "StaffIdentity",
            "major": "1",
            "client_id": target.client_id,
            "kid": target.key.kid,
            **await _registry_ids(http, callers[EVERYTHING], bench),
        }
        yield World("registry", app, http, bench.clock, runner, callers, existing, bench=bench)


def _registered(kit: ApiClientKit) -> RegisterClient:
    record = kit.record
    return RegisterClient(
        client_id=record.client_id,
        name=record.name,
        kind=record.kind,
        organisation=record.organisation,
        scopes=sorted(record.scopes),
        jwks=[kit.key.public.jwk],
    )


async def _registry_ids(http: httpx.AsyncClient, client: ApiClientKit, bench: Any) -> dict[str, str]:
    token = await access_token(http, client, PUBLIC_URL, bench.clock.now())
    http.headers["Authorization"] = f"Bearer {token}"
    named = await http.put(
        f"/api/v1/organisations/{RBV}/hr-users/hr-7f31",
        json={"roles": ["HR_ISSUER"], "actor": "op-1"},
        headers={"If-Match": '"0"'},
    )
    assert named.status_code == 200, named.text
    agreement = {
        "type": "MOU",
        "version": "1",
        "parties": [RBV, R0A],
        "movement_types": ["SERVICE_NEED_URGENT"],
        "effective": "2026-01-01",
        "actor": "op-1",
    }
    made = await http.post("/api/v1/agreements", json=agreement)
    assert made.status_code == 201, made.text
    before = {
        "id": "contract-fact-0",
        "type": "passport.issued",
        "data": {"day": "2026-07-01", "employing_ods": RBV, "source": "imported"},
    }
    counted = {"source_note": "Pilot report, table 4.2", "facts": [before], "actor": "op-1"}
    imported = await http.post("/api/v1/activity/imports", json=counted)
    assert imported.status_code == 201, imported.text
    below = f"/api/v1/organisations/{RBV}/entities/ISSUER"
    certificates = (await http.get(f"{below}/certificates")).json()["items"]
    granted = (await http.get(f"{below}/authorisations")).json()["items"]
    await bench.publish()
    del http.headers["Authorization"]
    lists = (await http.get("/statuslists")).json()["status_lists"]
    published = (await http.get("/federation/snapshot")).text
    manifest = verify_manifest(published, bench.trust_file, now=bench.clock.now())
    return {
        "agreement_id": made.json()["id"],
        "import_id": imported.json()["id"],
        "x5t": certificates[0]["x5t_s256"],
        "authorisation_id": granted[0]["id"],
        "list_id": str(lists[0]).rpartition("/")[2],
        "sha256": manifest.parts[0].sha256,
    }


async def reported_problem(bench: IssuerBench, holder: WalletSimulator, collected: Collected) -> str:
    """A problem the person reported in their app; its id."""
    [credential, *_] = next(iter(collected.credentials.values()))
    app = StaffApp(bench.http, bench.clock, ENTITY, credential, holder.key)
    assert (await app.open()).status_code == 200
    answer = await app.call("POST", "problems", {"kind": "OTHER", "text": "A question"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@asynccontextmanager
async def issuer_world(folder: Path, url: str, runner: asyncio.Runner) -> AsyncIterator[World]:
    """An issuer with a surgeon whose passport is collected, an open offer, a wallet's token and a request."""
    callers = kits("issuer", RBV)
    async with (
        workforce_simulator(folder) as systems,
        running_issuer(
            folder, url, tenants=(RBV, R0A), settings={**READABLE, "tls_ca_file": systems.ca_file}
        ) as bench,
    ):
        for kit in callers.values():
            bench.clients.put(kit)
        staff_id = await bench.staff(**REACHABLE)
        below = f"/staff/{staff_id}"
        assignment = await bench.made(f"{below}/assignments", POST)
        recorded = [await bench.made(f"{below}/checks", check_body(kind)) for kind in CHECKS]
        training = await bench.made(f"{below}/training", training_body("FS"))
        await bench.confirm_identity(staff_id)
        session = await bench.made(f"{below}/identity-sessions", {"channel": "VIDEO", "actor": "hr-4711"})
        invitation = await bench.made(f"{below}/invitations", {"channel": "PRINT", "actor": "hr-4711"})
        coming = {"channel": "VIDEO", "scheduled_for": "2026-09-02T09:00:00Z", "actor": "hr-4711"}
        await bench.made(f"{below}/identity-sessions", coming)
        notices = await sent_notices(bench)
        first = await bench.offer(staff_id)
        holder = bench.wallet()
        collected = await holder.collect(first["credential_offer"], first["tx_code"])
        report_id = await reported_problem(bench, holder, collected)
        credentials = (await bench.call("GET", "/credentials")).json()["items"]
        # Another person, so that one open offer waits for its PIN and another has been redeemed.
        other = await bench.surgeon(external_ids=[])
        wallet, offer = bench.wallet(), await bench.offer(other)
        wallet_token = await wallet.token(
            await wallet.read_offer(offer["credential_offer"]), offer["tx_code"]
        )
        waiting = await bench.offer(staff_id)
        await bench.publish()
        lists = (await bench.http.get(f"/{RBV}/statuslists")).json()["status_lists"]
        entity = bench.registry.enrol_verifier()
        await bench.refresh()
        host = HostSimulator(bench.http, bench.clock, entity.federation_key)
        asked = await host.ask(request_claims(bench.clock.now(), WORDS))
        systems.hire()
        connection_id = await systems.linked(bench, staff_id, "ESR")
        gathering = await bench.made(f"{below}/gather", {"actor": "hr-4711"})
        connected = "/api/v1/organisations/{ods}/connections/{connection_id}"
        body = placement_body(key("a visitor's wallet").public)
        visit = await bench.call("PUT", f"/placements/{MOVEMENT_ID}", body)
        assert visit.status_code == 200, visit.text
        existing = {
            "ods": RBV,
            "kind": "svg",
            "movement_id": MOVEMENT_ID,
            "connection_id": connection_id,
            # What changes a connection has its own, and what removes one meets a person linked through it:
            # the linked one goes on leading to a system that answers.
            f"{connected} connection_id": await systems.connect(bench, "RECRUITMENT"),
            f"{connected}/remove connection_id": await systems.linked(bench, other, "LMS"),
            "gathering_id": gathering["id"],
            "release_id": str(asked["release_uri"]).rpartition("/")[2],
            "report_id": report_id,
            "staff_id": staff_id,
            "assignment_id": assignment["id"],
            "check_id": recorded[0]["id"],
            "entry_id": training["id"],
            "session_id": session["id"],
            "invitation_id": invitation["id"],
            "notice_id": notices[0].id,
            "token": str(invitation["link"]).rpartition("/")[2],
            "offer_id": waiting["id"],
            "credential_id": credentials[0]["id"],
            "list_id": str(lists[0]).rpartition("/")[2],
        }
        secrets = {"POST /{ods}/credential": wallet_token, "POST /{ods}/notification": wallet_token}
        yield World("issuer", bench.app, bench.http, bench.clock, runner, callers, existing, secrets, bench)


URGENT_POLICY = "SERVICE_NEED_URGENT.UROLOGY_SURGEON"
MOVEMENT_PATH = "/api/v1/organisations/{ods}/movements/{movement_id}"


async def proposed_version(bench: VerifierBench, *, approve: bool = False) -> dict[str, Any]:
    """A version of a policy that names no condition for one subject; proposed, or in force."""
    rules = (await bench.read(f"/policies/{URGENT_POLICY}"))["rules"]
    for row in rules["rows"]:
        if row["subject"] == "IG":
            row["conditions"] = {}
    path = f"/policies/{URGENT_POLICY}/versions"
    body = {**rules, "effective": bench.clock.now().date().isoformat()}
    made = await bench.call("POST", path, body, client=bench.person("policy-ann"))
    version: dict[str, Any] = made.json()
    if approve:
        path = f"{path}/{version['number']}/approve"
        done = await bench.call("POST", path, {}, client=bench.person("policy-bea"))
        assert done.status_code == 200, done.text
    return version


async def proposed_override(bench: VerifierBench) -> dict[str, Any]:
    """An override of a referral that waits for its second person."""
    await proposed_version(bench, approve=True)
    decision = await bench.decided(bench.surgeon(CoreSkills={"skills": all_skills(IG=None)}))
    return await bench.made(
        "/overrides",
        {
            "decision_id": decision["id"],
            "findings": [{"rule": "R-12", "subject": "IG"}],
            "reason": "The course was done this week, the certificate is on its way.",
            "actor": HR,
        },
    )


async def placed(bench: VerifierBench) -> dict[str, str]:
    """A placement that was started and put on hold: the ids of its movement and of the alert about it."""
    bench.registry.enrol_issuer(HOST_ENTITY, name="Manchester University NHS FT")
    bench.clock.advance(timedelta(seconds=31))
    await bench.refresh()
    where = {"issuer_url": HOST_ISSUER, "actor": HR}
    told = await bench.call("PUT", "/placement-issuer", where, headers={"If-Match": '"0"'})
    assert told.status_code == 200, told.text
    movement = str((await bench.movement(end="2026-09-21"))["id"])
    await bench.look_up(movement)
    await bench.released(movement)
    presenter = bench.surgeon()
    await bench.decided(presenter, movement)
    await bench.approve(movement)
    await bench.made(f"/movements/{movement}/placement", START)
    await watches.round_once(bench.ctx)
    bench.home.list.set(presenter.held["DbsOutcome"].idx, SUSPENDED)
    bench.clock.advance(timedelta(seconds=61))
    await watches.round_once(bench.ctx)
    await bench.refresh_statuses()
    await watches.round_once(bench.ctx)
    [alert] = (await bench.read(f"/alerts?movement_id={movement}"))["items"]
    paths = ("/placement", "/placement/end", "/placement/offer", "/watch")
    return {"alert_id": alert["id"], **{f"{MOVEMENT_PATH}{path} movement_id": movement for path in paths}}


@asynccontextmanager
async def verifier_world(folder: Path, url: str, runner: asyncio.Runner) -> AsyncIterator[World]:
    """A verifier with a decided movement and a request that waits for its answer."""
    callers = kits("verifier", R0A)
    async with running_verifier(folder, url, tenants=(R0A, RBV)) as bench:
        for kit in callers.values():
            bench.clients.put(kit)
        placement = await placed(bench)
        surgeon = bench.surgeon(CoreSkills={"skills": all_skills(FS=skill("1", "2024-08-22"))})
        movement = await bench.movement()
        looked_up = await bench.look_up(movement["id"])
        decision = await bench.decided(surgeon, movement["id"])
        assert decision["result"]["conditions"], "the decision has a condition to meet"
        open_movement = await bench.movement(external_id="roster-4711")
        request = await bench.ask(open_movement["id"])
        version = await proposed_version(bench)
        override = await proposed_override(bench)
        answer = await bench.made(f"/movements/{open_movement['id']}/agreement-links", {"actor": HR})
        licensed = placement[f"{MOVEMENT_PATH}/watch movement_id"]
        existing = {
            "ods": R0A,
            "kind": "svg",
            "movement_type": "SERVICE_NEED_URGENT",
            "movement_id": open_movement["id"],
            "check_id": looked_up["id"],
            "decision_id": decision["id"],
            "number": "1",
            "request_id": request["id"],
            "policy_id": version["policy_id"],
            "override_id": override["id"],
            **placement,
            f"{MOVEMENT_PATH}/licence movement_id": licensed,
            "link_id": answer["id"],
            "token": str(answer["page"]).rpartition("/")[2],
            "link": str(request["links"]["page"]).rpartition("/")[2],
        }
        yield World("verifier", bench.app, bench.http, bench.clock, runner, callers, existing, bench=bench)


_OPENED_BY = {"registry": registry_world, "issuer": issuer_world, "verifier": verifier_world}
