"""The registry of the journey: the real application, which the real outboxes of issuer and verifier reach.

Everything else that they ask of a registry is answered by their benches. What was delivered is kept as it
went over the wire, and what the registry tells anybody is read from it when everybody has reported.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from passport_registry.app import Parts, build
from passport_registry.operations import anchor, clients, directory
from passport_registry.operations.clients import RegisterClient
from passport_registry.rules.reports import ReportName
from passport_shared.formats.jose import SigningKey
from passport_shared.outbound import Outbound
from passport_shared.service.http_signatures import sign_request
from passport_shared.service.keys import KeyStore
from passport_shared.service.outbox import MEDIA_TYPE, Outbox
from passport_shared.service.service_client import client_jwks
from passport_shared.wire.activity import EVENTS_PATH
from passport_shared.wire.clients import ClientKind
from passport_testkit.apps import client_of
from passport_testkit.clients import ApiClientKit, access_token, api_client
from passport_testkit.clock import FrozenClock
from passport_testkit.registries import (
    ANN,
    PUBLIC_URL,
    Hosts,
    RegistryBench,
    join_pilot,
    registry_settings,
)

FORMS = ("application/json", "text/csv", "text/html")
READER = api_client("region", organisation="*", scopes=["activity:read", "reports:read"])


class Way(httpx.AsyncBaseTransport):
    """Leads deliveries to the registry, and everything else where it led before."""

    def __init__(self, registry: httpx.AsyncBaseTransport, inner: httpx.AsyncBaseTransport) -> None:
        self._registry = registry
        self._inner = inner
        self.delivered: list[bytes] = []
        self.answered: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if str(request.url) != f"{PUBLIC_URL}{EVENTS_PATH}":
            return await self._inner.handle_async_request(request)
        self.delivered.append(await request.aread() + repr(request.headers.raw).encode())
        answer = await self._registry.handle_async_request(request)
        self.answered.append(answer.status_code)
        return answer


@dataclass
class Registry:
    """A running registry with the trusts of the pilot, and everybody's way to it."""

    app: FastAPI
    http: httpx.AsyncClient
    bench: RegistryBench
    ways: list[Way] = field(default_factory=list)
    refused: list[httpx.Response] = field(default_factory=list)

    def way_out(self, inner: httpx.AsyncBaseTransport) -> Outbound:
        """The outbound client of a service whose deliveries arrive here."""
        way = Way(httpx.ASGITransport(app=self.app, raise_app_exceptions=True), inner)
        self.ways.append(way)
        return Outbound(transport=way)

    @property
    def delivered(self) -> list[bytes]:
        """Bodies and headers of everything that was delivered."""
        return [one for way in self.ways for one in way.delivered]

    async def knows(self, client_id: str, organisation: str, keys: KeyStore) -> None:
        """Register a service as an API client that may report."""
        await self._register(client_id, organisation, ["activity:write"], (await client_jwks(keys))["keys"])

    async def registered(self, kit: ApiClientKit) -> None:
        """Register a client of the test's own."""
        record = kit.record
        await self._register(
            record.client_id, record.organisation, sorted(record.scopes), [kit.key.public.jwk]
        )

    async def _register(
        self, client_id: str, organisation: str, scopes: list[str], jwks: Sequence[Any]
    ) -> None:
        cmd = RegisterClient(
            client_id=client_id,
            name=client_id,
            kind=ClientKind.MACHINE,
            organisation=organisation,
            scopes=scopes,
            jwks=list(jwks),
        )
        await clients.register(self.bench.ctx, cmd, ANN)

    async def hears(self, outbox: Outbox, now: datetime) -> None:
        """Everything that a service has to tell is delivered, at its hour."""
        self.bench.clock.set(max(now, self.bench.clock.now()))
        await outbox.place()
        while await outbox.deliver():
            pass

    async def sent(self, event: Mapping[str, Any], by: SigningKey) -> httpx.Response:
        """Post an event as an outbox would, whatever it says."""
        url, body = f"{PUBLIC_URL}{EVENTS_PATH}", json.dumps(event, ensure_ascii=False).encode()
        now = self.bench.clock.now()
        signed = sign_request(method="POST", url=url, content_type=MEDIA_TYPE, body=body, key=by, at=now)
        return await self.http.post(url, content=body, headers={**signed, "Content-Type": MEDIA_TYPE})

    async def told(self) -> dict[str, bytes]:
        """What it tells: every report in every form, the facts, the snapshot, the client directory."""
        token = await access_token(self.http, READER, PUBLIC_URL, self.bench.clock.now())
        found: dict[str, bytes] = {}
        for name in ReportName:
            for form in FORMS:
                path = f"/api/v1/reports/{name.value}"
                found[f"{path} {form}"] = await self._read(path, token, form)
        found["facts"] = await self._read("/api/v1/activity/facts?limit=200", token, FORMS[0])
        await self.bench.publish()
        await directory.publish(self.bench.ctx)
        for path in ("/federation/snapshot", "/client-directory"):
            found[path] = await self._read(path)
        snapshot = await self.bench.snapshot()
        for part in snapshot.manifest.parts:
            found[part.name] = await self._read(f"/federation/parts/{part.sha256}")
        return found

    async def _read(self, path: str, token: str | None = None, form: str = "*/*") -> bytes:
        headers = {"Accept": form, **({"Authorization": f"Bearer {token}"} if token else {})}
        answer = await self.http.get(path, headers=headers)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.content


@contextlib.asynccontextmanager
async def running_registry(folder: Path, url: str) -> AsyncIterator[Registry]:
    """The registry on a migrated database, with the trusts of the pilot in it."""
    clock, hosts = FrozenClock(), Hosts()
    outbound = Outbound(transport=hosts.transport())
    settings = registry_settings(url, folder, log_level="debug")
    app = build(settings, Parts(clock=clock, outbound=outbound, background=False))
    async with client_of(app, base_url=PUBLIC_URL) as http:
        trust_file = await anchor.initialise(app.state.context)
        bench = RegistryBench(ctx=app.state.context, clock=clock, hosts=hosts, trust_file=trust_file)
        await join_pilot(bench)
        registry = Registry(app, http, bench)
        await registry.registered(READER)
        yield registry
