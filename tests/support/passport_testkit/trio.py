"""The three services in one process, each the real application, over a network that leads to nothing else.

For what only shows between services: enrolment and renewal, request ids, restores. Background work is done by
hand; the clock is one and stands still.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from fastapi import FastAPI

from passport_issuer import app as issuer_app
from passport_issuer.operations import status_lists
from passport_registry import app as registry_app
from passport_registry.operations import anchor
from passport_registry.rules.entities import Role
from passport_shared.outbound import Outbound, OutboundError, OutboundReason
from passport_shared.service.tracing import Tracing
from passport_shared.wire.catalogue import TYPES
from passport_shared.wire.scopes import scopes_of
from passport_testkit.clients import ClientsSimulator, api_client
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import ISSUER, IssuerBench, issuer_settings
from passport_testkit.registries import PUBLIC_URL, RBV, Hosts, RegistryBench, registry_settings

Any_ = cast("Any", None)


class InProcess(httpx.AsyncBaseTransport):
    """Leads to applications by host; everybody else is away. ``seen`` keeps what was asked."""

    def __init__(self) -> None:
        self.apps: dict[str, httpx.AsyncBaseTransport] = {}
        self.down: set[str] = set()
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.seen.append(request)
        app = self.apps.get(request.url.host)
        if app is None or request.url.host in self.down:
            raise OutboundError(OutboundReason.CONNECT_FAILED, host=request.url.host)
        return await app.handle_async_request(request)


@dataclass
class Duo:
    """A registry and an issuer that is enrolled with it."""

    clock: FrozenClock
    wire: InProcess
    registry: RegistryBench
    registry_http: httpx.AsyncClient
    issuer: IssuerBench

    async def publish(self) -> None:
        """The registry publishes what is due, and the issuer reads it."""
        await self.registry.publish()
        await self.issuer.ctx.snapshots.refresh()


def _client(app: FastAPI, base_url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=base_url)


@asynccontextmanager
async def registry_and_issuer(
    databases: FreshDatabases,
    folder: Path,
    *,
    issuer: Mapping[str, Any] | None = None,
    tracing: Mapping[str, Tracing] | None = None,
) -> AsyncIterator[Duo]:
    """Both running, The Christie enrolled and allowed to issue every type; ``tracing`` by service."""
    traces = tracing or {}
    clock, wire = FrozenClock(), InProcess()
    outbound = Outbound(transport=wire)
    (folder / "registry").mkdir(exist_ok=True)
    settings = registry_settings(await databases.url("passport_registry"), folder / "registry")
    registry = registry_app.build(
        settings,
        registry_app.Parts(clock=clock, outbound=outbound, background=False, tracing=traces.get("registry")),
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(registry.router.lifespan_context(registry))
        wire.apps["registry.example"] = httpx.ASGITransport(app=registry)
        trust_file = await anchor.initialise(registry.state.context)
        bench = RegistryBench(ctx=registry.state.context, clock=clock, hosts=Hosts(), trust_file=trust_file)
        configured = issuer_settings(
            folder, await databases.url("passport_issuer"), trust_file.as_bytes(), **(issuer or {})
        )
        client = api_client("rbv-hr-system", organisation="RBV", scopes=scopes_of("issuer"))
        clients = ClientsSimulator(client)
        parts = issuer_app.Parts(
            clock=clock, outbound=outbound, clients=clients, background=False, tracing=traces.get("issuer")
        )
        app = issuer_app.build(configured, parts)
        await stack.enter_async_context(app.router.lifespan_context(app))
        wire.apps["issuer.example"] = httpx.ASGITransport(app=app)
        http = await stack.enter_async_context(_client(app, ISSUER))
        registry_http = await stack.enter_async_context(_client(registry, PUBLIC_URL))
        issuing = IssuerBench(app, http, clock, Any_, Any_, clients, client)
        duo = Duo(clock, wire, bench, registry_http, issuing)
        await _enrol(duo)
        yield duo


async def _enrol(duo: Duo) -> None:
    bench, ctx = duo.registry, duo.issuer.ctx
    await bench.join(RBV)
    code = await bench.code(RBV, Role.ISSUER)
    tenant = await ctx.tenants.enrol(RBV, code, registry_url=PUBLIC_URL, outbound=ctx.outbound)
    await bench.pass_steps(RBV)
    for name in TYPES:
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant(name))
    await status_lists.ensure_lists(ctx, tenant)
    await duo.publish()
