"""A host that places people: its verifier and its own issuer, each the real application, over one wire.

`running_host` starts both on fresh databases in one invented network. `Host` has the acts of the way to a
placement: agreement, Release, decision, start, collection, and the background rounds by hand.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from passport_issuer.app import Parts as IssuerParts
from passport_issuer.app import build as build_issuer
from passport_issuer.context import Context as IssuerContext
from passport_issuer.operations import status_lists as issuer_lists
from passport_shared.formats.jose import SigningKey, parse
from passport_shared.formats.status_list import read_token
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.outbound.errors import OutboundReason
from passport_shared.service.service_client import client_jwks
from passport_shared.wire.catalogue import TYPES
from passport_shared.wire.clients import ApiClient, ClientKind
from passport_shared.wire.scopes import scopes_of
from passport_testkit.clients import ApiClientKit, ClientsSimulator, access_token, api_client
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import issuer_settings
from passport_testkit.presenter import Presenter
from passport_testkit.registry_wire import CODE
from passport_testkit.verifiers import VerifierBench, running_verifier
from passport_testkit.wallet import WalletSimulator
from passport_verifier.operations import placement_telling, placements, watches

HOST_ISSUER = "https://host-issuer.example"
HOST_ENTITY = f"{HOST_ISSUER}/R0A"
CLIENT_ID = "r0a-verifier"
START = {
    "position_title": "Visiting consultant urologist",
    "department_contact": "Urology ward office",
    "approved_by": "Clinical director of surgery",
    "hr_contact": "Medical staffing",
    "actor": "hr-0815",
}
DONE = {"badge_returned": True, "it_access_removed": True, "uniform_returned": True, "actor": "hr-0815"}
TWENTY_DAYS = {"start": "2026-09-02", "end": "2026-09-21"}

Act = Callable[[httpx.Request], Awaitable[None]]


class IssuerWire(httpx.AsyncBaseTransport):
    """The host's issuer as its verifier reaches it; a test lets things happen before and after an answer."""

    def __init__(self, app: FastAPI) -> None:
        self._app = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        self.down = False
        self.before: Act | None = None
        self.after: Act | None = None
        self.seen: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request, or break as the test says."""
        if self.down:
            raise OutboundError(OutboundReason.CONNECT_FAILED, "the issuer is down", host=request.url.host)
        self.seen.append(f"{request.method} {request.url.path.rsplit('/', 1)[-1]}")
        if self.before is not None:
            await self.before(request)
        answer = await self._app.handle_async_request(request)
        if self.after is not None:
            await self.after(request)
        return answer


@dataclass
class Host:
    """A verifier and an issuer of one host."""

    verifier: VerifierBench
    issuer_app: FastAPI
    issuer_http: httpx.AsyncClient
    wire: IssuerWire
    hr: ApiClientKit
    keys: dict[str, SigningKey] = field(default_factory=dict)

    @property
    def issuer(self) -> IssuerContext:
        """The issuer's own context."""
        context: IssuerContext = self.issuer_app.state.context
        return context

    async def ready(self, presenter: Presenter | None = None, **changes: Any) -> dict[str, Any]:
        """A movement of twenty days that is ready: shared, confirmed and released."""
        verifier = self.verifier
        movement = await verifier.movement(**{**TWENTY_DAYS, **changes})
        await verifier.look_up(movement["id"])
        person = presenter or verifier.surgeon()
        self.keys[movement["id"]] = person.held["StaffIdentity"].key
        await verifier.released(movement["id"])
        await verifier.decided(person, movement["id"])
        await verifier.approve(movement["id"])
        return await verifier.read(f"/movements/{movement['id']}")

    async def inducted(self, movement_id: str, on: str) -> None:
        """The local induction is given."""
        body = {"on": on, "actor": "manager-1"}
        answer = await self.verifier.call("POST", f"/movements/{movement_id}/induction", body)
        assert answer.status_code < 300, answer.text

    async def started(self, movement: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """A placement that was just started, of a ready movement."""
        found = movement or await self.ready()
        return await self.verifier.made(f"/movements/{found['id']}/placement", {**START, **changes})

    async def running(self, presenter: Presenter | None = None, **changes: Any) -> str:
        """A placement that has begun on its first day; the movement's id."""
        movement = await self.ready(presenter, **changes)
        await self.started(movement)
        self.verifier.clock.advance(timedelta(days=1))
        await self.network()
        await self.inducted(movement["id"], "2026-09-02")
        await self.round()
        assert (await self.placement(movement["id"]))["state"] == "ACTIVE"
        return str(movement["id"])

    async def placement(self, movement_id: str) -> dict[str, Any]:
        """The placement as HR reads it."""
        return await self.verifier.read(f"/movements/{movement_id}/placement")

    async def alerts(self, movement_id: str, **query: str) -> list[dict[str, Any]]:
        """The alerts of a movement, oldest first."""
        parameters = "&".join(f"{name}={value}" for name, value in query.items())
        found = await self.verifier.read(f"/alerts?movement_id={movement_id}&{parameters}")
        return list(reversed(found["items"]))

    async def network(self) -> None:
        """Everybody reads the network again."""
        await self.verifier.refresh()
        await self.issuer.snapshots.refresh()
        await self.verifier.refresh_statuses()

    async def round(self) -> None:
        """What the background does, once: lists fetched, watches looked at, placements tended and told."""
        ctx = self.verifier.ctx
        await watches.round_once(ctx)
        await self.verifier.refresh_statuses()
        await watches.round_once(ctx)
        await placements.tend(ctx)
        await placement_telling.tell_due(ctx)
        await issuer_lists.tend(self.issuer)

    async def collect(self, movement_id: str) -> str:
        """The person collects the record with the key they shared with."""
        offer = (await self.placement(movement_id))["offer"]
        headers = {
            "Authorization": "Bearer "
            + await access_token(self.issuer_http, self.hr, HOST_ISSUER, self.verifier.clock.now())
        }
        path = f"/api/v1/organisations/R0A/offers/{offer['id']}/pin"
        answer = await self.issuer_http.post(path, json={"actor": "hr-1"}, headers=headers)
        wallet = WalletSimulator(self.issuer_http, self.verifier.clock, key=self.keys[movement_id])
        got = await wallet.collect(offer["credential_offer_uri"], answer.json()["tx_code"])
        [credential] = got.credentials["TemporaryPlacement_1"]
        return credential

    async def status_of(self, credential: str) -> int:
        """What the host issuer's published list says of a record."""
        await issuer_lists.tend(self.issuer)
        claims: dict[str, Any] = parse(credential.partition("~")[0]).claims
        entry = claims["status"]["status_list"]
        answer = await self.issuer_http.get(entry["uri"])
        roots, now = self.verifier.registry.authority.roots, self.verifier.clock.now()
        return read_token(answer.text, uri=entry["uri"], roots=roots, now=now).list.get(entry["idx"])


@contextlib.asynccontextmanager
async def running_host(folder: Path, databases: FreshDatabases, **settings: Any) -> AsyncIterator[Host]:
    """A verifier and an issuer of Manchester's, enrolled, that know each other."""
    url = await databases.url("passport_verifier")
    async with running_verifier(folder, url, client_id=CLIENT_ID, **settings) as verifier:
        registry = verifier.registry
        registry.enrol_issuer(HOST_ENTITY, name="Manchester University NHS FT", types=tuple(TYPES))
        hr = api_client("r0a-issuing-hr", organisation="R0A", scopes=scopes_of("issuer"))
        clients = ClientsSimulator(hr)
        await _register(verifier, clients)
        made = issuer_settings(
            folder,
            await databases.url("passport_issuer"),
            registry.trust_file.as_bytes(),
            public_url=HOST_ISSUER,
        )
        outbound = Outbound(transport=verifier.wire)
        parts = IssuerParts(clock=verifier.clock, outbound=outbound, clients=clients, background=False)
        app = build_issuer(made, parts)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url=HOST_ISSUER) as http:
                ctx: IssuerContext = app.state.context
                tenant = await ctx.tenants.enrol(
                    "R0A", CODE, registry_url=registry.anchor, outbound=ctx.outbound
                )
                await issuer_lists.ensure_lists(ctx, tenant)
                wire = IssuerWire(app)
                verifier.wire.apps["host-issuer.example"] = wire
                host = Host(verifier, app, http, wire, hr)
                verifier.clock.advance(timedelta(seconds=31))
                await host.network()
                told = await verifier.call(
                    "PUT", "/placement-issuer", {"issuer_url": HOST_ISSUER}, headers={"If-Match": '"0"'}
                )
                assert told.status_code == 200, told.text
                yield host


async def _register(verifier: VerifierBench, clients: ClientsSimulator) -> None:
    """The verifier's own key is registered as an API client of its host."""
    jwks = await client_jwks(verifier.ctx.keys)
    clients.records[CLIENT_ID] = ApiClient(
        client_id=CLIENT_ID,
        kind=ClientKind.MACHINE,
        organisation="R0A",
        scopes=frozenset({"placements:write", "placements:read"}),
        jwks=tuple(jwks["keys"]),
        name="Manchester's verifier",
    )
