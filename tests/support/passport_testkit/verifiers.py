"""A verifier in the test's own process, enrolled in a network that exists only in this test.

`running_verifier` starts the real application on a fresh database with the real enrolment; `VerifierBench` is
what a test drives it with: HR's acts by API, a staff member's answers, and the background work by hand.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from passport_shared.formats.federation import ClaimPath
from passport_shared.formats.jose import PublicKey
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.outbound.errors import OutboundReason
from passport_shared.service.jobs import JobQueue
from passport_shared.service.keys import create_kek_file
from passport_shared.wire.clients import ClientKind
from passport_shared.wire.scopes import scopes_of
from passport_testkit.cases import GMC_NUMBER
from passport_testkit.clients import ApiClientKit, ClientsSimulator, access_token, api_client
from passport_testkit.clock import FrozenClock
from passport_testkit.network import MANCHESTER, NetworkEntity, TrustRegistrySimulator
from passport_testkit.presenter import Answer, HomeTrust, Presenter, opened
from passport_testkit.registry_wire import CODE, RegistryWire
from passport_testkit.release_desk import Case, ReleaseDesk
from passport_verifier.app import Parts, build, job_handlers
from passport_verifier.context import Context
from passport_verifier.operations import rechecks, status_lists
from passport_verifier.rules.asking import asked
from passport_verifier.rules.policies import policies
from passport_verifier.settings import VerifierSettings
from passport_verifier.store import tables

VERIFIER = "https://verifier.example"
MOVEMENT_TYPES = frozenset(policy.movement_type for policy in policies().values())
API = "/api/v1/organisations/R0A"
HR = "hr-0815"

MOVEMENT: dict[str, Any] = {
    "type": "SERVICE_NEED_URGENT",
    "role_profile": "UROLOGY_SURGEON",
    "employing_ods": "RBV",
    "start": "2026-09-02",
    "end": "2026-09-02",
    "sites": ["Manchester Royal Infirmary"],
    "department": "Urology",
    "duties": "Perform an operating list",
    "supervisor": "Clinical director of surgery",
    "sessions": ["2026-09-02 morning"],
    "out_of_hours_contact": "Site manager, bleep 100",
    "use_case": "SERVICE_NEED",
    "workforce_group": "Clinicians",
    "would_have_needed": "LETTER_OF_AUTHORITY",
}


class NetworkWire(RegistryWire):
    """The registry, and the trusts whose status lists a verifier reads; enrols verifiers with the code."""

    def __init__(self, registry: TrustRegistrySimulator, homes: list[HomeTrust]) -> None:
        super().__init__(registry)
        self.homes = homes
        self.desk = ReleaseDesk(registry)
        self.apps: dict[str, httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; whole services that a test runs beside the verifier answer for themselves."""
        if request.url.host in self.apps:
            self.requests.append(f"{request.method} {request.url}")
            return await self.apps[request.url.host].handle_async_request(request)
        if self.desk.serves(str(request.url)):
            self.requests.append(f"{request.method} {request.url}")
            return await self.desk.answer(request)
        for home in self.homes:
            host = home.entity_id.split("/")[2]
            if request.url.host == host:
                self.requests.append(f"{request.method} {request.url}")
                if home.down:
                    raise OutboundError(OutboundReason.CONNECT_FAILED, "the issuer is down", host=host)
                found = home.serve(request.url.path)
                if found is None:
                    continue
                headers = {"Content-Type": found[0]}
                return httpx.Response(200, headers=headers, stream=httpx.ByteStream(found[1]))
        if self.down:
            raise OutboundError(OutboundReason.CONNECT_FAILED, "the registry is down", host=request.url.host)
        return await super().handle_async_request(request)

    def _entity(self, entity_id: str, federation: PublicKey) -> NetworkEntity:
        if entity_id not in self.registry.entities:
            asks: dict[str, dict[ClaimPath, None]] = {}
            for entry in (entry for policy in policies().values() for entry in asked(policy)):
                asks.setdefault(entry.credential, {}).update(dict.fromkeys(entry.paths))
            # What a host's own version may ask about besides.
            asks["DbsOutcome"].update(dict.fromkeys([("certificate_issued_on",), ("barred_lists",)]))
            self.registry.enrol_verifier(
                entity_id,
                name=f"{entity_id.rsplit('/', 1)[-1]} NHS Foundation Trust",
                asks={name: list(paths) for name, paths in asks.items()},
                purposes=tuple(sorted(MOVEMENT_TYPES)),
            )
        entity: NetworkEntity = super()._entity(entity_id, federation)
        return entity


@dataclass
class VerifierBench:
    """A running verifier and everything a test needs around it."""

    app: FastAPI
    http: httpx.AsyncClient
    clock: FrozenClock
    registry: TrustRegistrySimulator
    wire: NetworkWire
    home: HomeTrust
    clients: ClientsSimulator
    client: ApiClientKit
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def ctx(self) -> Context:
        """The application's own context."""
        context: Context = self.app.state.context
        return context

    async def headers(self, client: ApiClientKit | None = None) -> dict[str, str]:
        """The Authorization header of an API client with a fresh token."""
        token = await access_token(self.http, client or self.client, VERIFIER, self.clock.now())
        return {"Authorization": f"Bearer {token}"}

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        client: ApiClientKit | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A management request below the tenant's prefix (or an absolute path)."""
        url = path if path.startswith("/api/") else f"{API}{path}"
        sent = {**await self.headers(client), **(headers or {})}
        return await self.http.request(method, url, json=body, headers=sent)

    async def made(self, path: str, body: Any, status: int = 201) -> dict[str, Any]:
        """POST something that must succeed; its representation."""
        answer = await self.call("POST", path, body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def read(self, path: str) -> dict[str, Any]:
        """GET something that must be there."""
        answer = await self.call("GET", path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def movement(self, **changes: Any) -> dict[str, Any]:
        """An urgent operating list tomorrow."""
        return await self.made("/movements", {**MOVEMENT, **changes})

    async def look_up(
        self, movement_id: str | None, status: str = "REGISTERED", **changes: Any
    ) -> dict[str, Any]:
        """The host's look-up of the register, three hours ago."""
        body = {
            "movement_id": movement_id,
            "regulator": "GMC",
            "number": GMC_NUMBER,
            "status": status,
            "licence": status != "REGISTERED_WITHOUT_LICENCE",
            "checked_at": (self.clock.now() - timedelta(hours=3)).isoformat(),
            "actor": HR,
            **changes,
        }
        return await self.made("/register-checks", body)

    async def ask(self, movement_id: str | None = None, **changes: Any) -> dict[str, Any]:
        """A presentation request; for a new movement with a look-up unless one is named."""
        if movement_id is None and "policy" not in changes:
            movement_id = (await self.movement())["id"]
            await self.look_up(movement_id)
        return await self.made("/presentation-requests", {"movement_id": movement_id, **changes})

    async def fetch(self, asked_for: Mapping[str, Any]) -> dict[str, Any]:
        """The request object of a request, verified as a wallet does."""
        answer = await self.http.get(asked_for["links"]["request_uri"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/oauth-authz-req+jwt"
        return opened(answer.text, self.registry.authority.roots)

    async def answer(self, asked_for: Mapping[str, Any], presenter: Presenter) -> Answer:
        """A staff member's answer, not yet sent."""
        return presenter.answer(await self.fetch(asked_for), self.clock.now())

    async def send(self, answer: Answer | str, ods: str = "R0A") -> httpx.Response:
        """Post an answer."""
        token = answer if isinstance(answer, str) else answer.token()
        return await self.http.post(f"{VERIFIER}/{ods}/oid4vp/response", data={"response": token})

    async def present(self, asked_for: Mapping[str, Any], presenter: Presenter) -> httpx.Response:
        """A staff member answers."""
        return await self.send(await self.answer(asked_for, presenter))

    async def decided(self, presenter: Presenter, movement_id: str | None = None) -> dict[str, Any]:
        """Ask, share, confirm the person: the decision as HR reads it."""
        request = await self.ask(movement_id)
        answered = await self.present(request, presenter)
        assert (answered.status_code, answered.json()) == (200, {}), answered.text
        found = await self.read(f"/presentation-requests/{request['id']}")
        return await self.confirm(found["decision_id"])

    async def confirm(self, decision_id: str, **changes: Any) -> dict[str, Any]:
        """Confirm the person face to face; the decision."""
        body = {"method": "FACE_TO_FACE", "actor": HR, **changes}
        return await self.made(f"/decisions/{decision_id}/person-confirmation", body, 200)

    async def recheck(self, decision_id: str) -> dict[str, Any]:
        """Judge a decision again; the new one."""
        return await self.made(f"/decisions/{decision_id}/recheck", {"actor": HR})

    @property
    def desk(self) -> ReleaseDesk:
        """The employing trust's release desk."""
        return self.wire.desk

    async def deliver(self) -> int:
        """Run the jobs that are due: what waits to be sent is sent."""
        queue = JobQueue(self.ctx.db, tables.jobs, self.clock)
        return int(await queue.run_due(job_handlers(self.ctx)))

    async def ask_release(self, movement_id: str, **body: Any) -> Case:
        """Send a release request for a movement by the person's name; what the employing trust has then."""
        person = {"given_name": "Morgan", "family_name": "Invented"}
        await self.made(
            f"/movements/{movement_id}/release-request", {"person": person, "actor": HR, **body}, 202
        )
        await self.deliver()
        return self.desk.case

    async def look(self, movement_id: str) -> dict[str, Any]:
        """Fetch the employing trust's answer now; the release as HR reads it."""
        return await self.made(f"/movements/{movement_id}/release/refresh", None, 200)

    async def released(self, movement_id: str) -> dict[str, Any]:
        """Ask for the person's release and have it agreed; the release as HR reads it."""
        self.desk.agree(await self.ask_release(movement_id))
        return await self.look(movement_id)

    async def approve(
        self, movement_id: str, kind: str = "HOST_DEPARTMENT", actor: str = "ward-12", **changes: Any
    ) -> dict[str, Any]:
        """Somebody at the host agrees."""
        body = {"kind": kind, "decision": "AGREED", "actor": actor, **changes}
        return await self.made(f"/movements/{movement_id}/approvals", body)

    async def refresh(self) -> bool:
        """Publish the network as it is and let the verifier read it."""
        self.wire.publish()
        return bool(await self.ctx.snapshots.refresh())

    async def refresh_statuses(self) -> int:
        """What the background does: find lists, fetch those that are due, judge what waited."""
        await status_lists.discover(self.ctx)
        return await rechecks.refresh_and_recheck(self.ctx)

    def person(self, name: str) -> ApiClientKit:
        """The API client of a person at the host: two of them are four eyes."""
        kit = api_client(
            f"r0a-{name}", organisation="R0A", scopes=scopes_of("verifier"), kind=ClientKind.PERSON
        )
        self.clients.put(kit)
        return kit

    def surgeon(self, **changes: Mapping[str, Any]) -> Presenter:
        """The surgeon with her whole passport; `changes` of claims by type."""
        return Presenter(self.home).hold_everything(**changes)


def verifier_settings(folder: Path, database_url: str, **changes: Any) -> VerifierSettings:
    """Settings of a verifier in a test's folder."""
    kek = folder / "verifier-kek"
    if not kek.exists():
        create_kek_file(kek)
    values: dict[str, Any] = {
        "public_url": VERIFIER,
        "database_url": database_url,
        "kek_file": kek,
        "environment": "test",
        **changes,
    }
    return VerifierSettings(**values)


@contextlib.asynccontextmanager
async def running_verifier(
    folder: Path,
    database_url: str,
    *,
    tenants: tuple[str, ...] = ("R0A",),
    way_out: Callable[[httpx.AsyncBaseTransport], Outbound] | None = None,
    **settings: Any,
) -> AsyncIterator[VerifierBench]:
    """A verifier with enrolled tenants, its snapshot and the home trust's status list read.

    `way_out` makes the outbound client that leads to the network of the test.
    """
    clock = FrozenClock()
    registry = TrustRegistrySimulator(clock)
    # Whoever takes part has signed the agreement; a test that wants none takes it away.
    registry.agree("RBV", "RW3", *tenants, movement_types=sorted(MOVEMENT_TYPES), max_days=400)
    home = HomeTrust(registry)
    wire = NetworkWire(registry, [home])
    client = api_client("r0a-hr-system", organisation="R0A", scopes=scopes_of("verifier"))
    clients = ClientsSimulator(client)
    parts = Parts(
        clock=clock,
        outbound=way_out(wire) if way_out else Outbound(transport=wire),
        trust_file=registry.trust_file,
        clients=clients,
        background=False,
    )
    app = build(verifier_settings(folder, database_url, **settings), parts)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=VERIFIER) as http:
            bench = VerifierBench(app, http, clock, registry, wire, home, clients, client)
            registry.agree("RBV", "RW3", *tenants, movement_types=[], max_days=None, effective="2021-11-08")
            for ods in tenants:
                await bench.ctx.tenants.enrol(
                    ods, CODE, registry_url=registry.anchor, outbound=bench.ctx.outbound
                )
            await bench.refresh()
            await bench.refresh_statuses()
            yield bench


__all__ = [
    "API",
    "HR",
    "MANCHESTER",
    "MOVEMENT",
    "VERIFIER",
    "NetworkWire",
    "VerifierBench",
    "running_verifier",
    "verifier_settings",
]
