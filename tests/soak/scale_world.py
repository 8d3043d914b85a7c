"""The three real services in one process on PostgreSQL, which reach each other by their own HTTP interfaces.

The registry is the real one with the real anchor; issuer and verifier enrol in it with codes, read its
snapshot and its client directory, and answer requests through their whole application, tokens included. Only
the sockets are missing: ``Wire`` hands a request for a service's host to its application.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from fastapi import FastAPI

import passport_issuer.app
import passport_registry.app
import passport_verifier.app
from passport_issuer.settings import IssuerSettings
from passport_registry.operations import anchor
from passport_registry.rules.entities import Role
from passport_shared.formats.snapshot import TrustFile
from passport_shared.outbound import Outbound, OutboundError, OutboundReason
from passport_shared.service.clock import SystemClock
from passport_shared.service.db import migrate
from passport_shared.service.kek import create_kek_file
from passport_shared.wire.clients import ClientKind
from passport_shared.wire.scopes import scopes_of
from passport_testkit.clients import ApiClientKit, access_token, api_client
from passport_testkit.postgres_cluster import Cluster
from passport_testkit.registries import Hosts, RegistryBench, registry_settings
from passport_verifier.settings import VerifierSettings

REGISTRY, ISSUER, VERIFIER = "https://registry.example", "https://issuer.example", "https://verifier.example"
HOSTS = {"registry": REGISTRY, "issuer": ISSUER, "verifier": VERIFIER}
TOKEN_KEPT = timedelta(minutes=3)


class Wire(httpx.AsyncBaseTransport):
    """The network: every service's application under its host name, and nobody else."""

    def __init__(self) -> None:
        self.apps: dict[str, httpx.ASGITransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Hand a request to the service it is for."""
        service = self.apps.get(f"https://{request.url.host}")
        if service is None:
            raise OutboundError(OutboundReason.CONNECT_FAILED, "nobody there", host=request.url.host)
        return await service.handle_async_request(request)


@dataclass
class World:
    """The running services, where their databases are, and the clients that ask them."""

    cluster: Cluster
    folder: Path
    wire: Wire
    apps: dict[str, FastAPI]
    http: dict[str, httpx.AsyncClient]
    registry: RegistryBench
    trust_file: TrustFile
    clients: dict[str, ApiClientKit] = field(default_factory=dict)
    _tokens: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)

    def context(self, service: str) -> Any:
        """A service's own context."""
        return self.apps[service].state.context

    def url(self, service: str) -> str:
        """The URL of a service's database."""
        return self.cluster.url(f"scale_{service}")

    @contextlib.asynccontextmanager
    async def sql(self, service: str) -> AsyncIterator[asyncpg.Connection]:
        """A connection of our own to a service's database."""
        conn = await asyncpg.connect(self.url(service))
        try:
            yield conn
        finally:
            await conn.close()

    def client(self, service: str, organisation: str) -> ApiClientKit:
        """An API client of an organisation with every scope of a service."""
        name = f"scale-{service}-{organisation.replace('*', 'all').lower()}"
        if name not in self.clients:
            self.clients[name] = api_client(
                name, kind=ClientKind.MACHINE, organisation=organisation, scopes=scopes_of(service)
            )
        return self.clients[name]

    async def get(self, service: str, path: str, organisation: str) -> httpx.Response:
        """A management request with a token that still lives."""
        now = SystemClock().now()
        token, fetched = self._tokens.get((service, organisation), ("", now))
        if not token or now - fetched > TOKEN_KEPT:
            kit = self.client(service, organisation)
            token = await access_token(self.http[service], kit, HOSTS[service], now)
            self._tokens[(service, organisation)] = (token, now)
        return await self.http[service].get(path, headers={"Authorization": f"Bearer {token}"})


async def make_databases(cluster: Cluster) -> None:
    """An empty database for each service, brought up by its own migrations."""
    admin = await asyncpg.connect(cluster.url())
    try:
        for service in HOSTS:
            await admin.execute(f'CREATE DATABASE "scale_{service}"')
    finally:
        await admin.close()
    for service in HOSTS:
        await migrate(cluster.url(f"scale_{service}"), f"passport_{service}")


@contextlib.asynccontextmanager
async def running_world(cluster: Cluster, folder: Path) -> AsyncIterator[World]:
    """The three services on migrated databases, with nobody in them but the anchor."""
    wire = Wire()
    async with contextlib.AsyncExitStack() as stack:

        async def run(service: str, app: FastAPI) -> None:
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
            wire.apps[HOSTS[service]] = transport
            http[service] = await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url=HOSTS[service], timeout=600)
            )

        http: dict[str, httpx.AsyncClient] = {}
        registry = passport_registry.app.build(
            registry_settings(cluster.url("scale_registry"), folder, access_log_every=1_000_000),
            passport_registry.app.Parts(outbound=Outbound(transport=wire), background=False),
        )
        await run("registry", registry)
        trust_file = await anchor.initialise(registry.state.context)
        (folder / "trust.json").write_bytes(trust_file.as_bytes())
        issuer = passport_issuer.app.build(
            issuer_settings(cluster.url("scale_issuer"), folder),
            passport_issuer.app.Parts(outbound=Outbound(transport=wire), background=False),
        )
        await run("issuer", issuer)
        verifier = passport_verifier.app.build(
            verifier_settings(cluster.url("scale_verifier"), folder),
            passport_verifier.app.Parts(outbound=Outbound(transport=wire), background=False),
        )
        await run("verifier", verifier)
        bench = RegistryBench(
            ctx=registry.state.context,
            clock=SystemClock(),  # type: ignore[arg-type]  # the bench only reads it
            hosts=Hosts(),
            trust_file=trust_file,
        )
        apps = {"registry": registry, "issuer": issuer, "verifier": verifier}
        yield World(cluster, folder, wire, apps, http, bench, trust_file)


def _kek(folder: Path, name: str) -> Path:
    file = folder / name
    if not file.exists():
        create_kek_file(file)
    return file


def issuer_settings(url: str, folder: Path) -> IssuerSettings:
    """Settings of the issuer."""
    return IssuerSettings(
        public_url=ISSUER,
        database_url=url,
        kek_file=_kek(folder, "issuer.kek"),
        trust_file=folder / "trust.json",
        environment="test",
        access_log_every=1_000_000,
    )


def verifier_settings(url: str, folder: Path) -> VerifierSettings:
    """Settings of the verifier."""
    return VerifierSettings(
        public_url=VERIFIER,
        database_url=url,
        kek_file=_kek(folder, "verifier.kek"),
        trust_file=folder / "trust.json",
        environment="test",
        access_log_every=1_000_000,
    )


async def enrol(world: World, service: str, ods: str) -> None:
    """A tenant of a service: its entity at the registry, the code, and the enrolment over HTTP."""
    role = Role.ISSUER if service == "issuer" else Role.VERIFIER
    code = await world.registry.code(ods, role)
    # So many trusts never enrol within a minute from one address: the limit is for whoever guesses codes.
    async with world.sql("registry") as conn:
        await conn.execute("DELETE FROM rate_limits")
    ctx = world.context(service)
    await ctx.tenants.enrol(ods, code, registry_url=REGISTRY, outbound=ctx.outbound)
