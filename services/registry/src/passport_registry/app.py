"""Composition root of the registry: settings in, application out.

Everything with a connection or a key is opened when the application starts, so that building it (for the
OpenAPI document, for instance) needs no deployment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version

from fastapi import FastAPI
from starlette.routing import Route

from passport_registry.context import Context
from passport_registry.errors import PROBLEMS
from passport_registry.http import (
    activity,
    enrolment,
    federation,
    openapi,
    published,
    register,
    report_pages,
)
from passport_registry.http.management import activity as activity_management
from passport_registry.http.management import (
    agreements,
    authorisations,
    clients,
    entities,
    hr_users,
    organisations,
    reports,
)
from passport_registry.operations import anchor, publishing
from passport_registry.operations.clients import find
from passport_registry.settings import RegistrySettings
from passport_registry.store import measures, tables
from passport_shared.formats.clock import Clock
from passport_shared.outbound import Outbound
from passport_shared.service.app import Check, create_app
from passport_shared.service.audit import MAX_LAG, AuditLog, Sealer
from passport_shared.service.auth import Authenticator, token_routes
from passport_shared.service.client_directory import LocalClients
from passport_shared.service.clock import SystemClock, clock_of
from passport_shared.service.clock_check import ClockGuard
from passport_shared.service.db import Database
from passport_shared.service.doctor import ServiceTables
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.idempotency import Idempotency
from passport_shared.service.jobs import Leases, Periodic, Runner
from passport_shared.service.key_rolling import REGISTRY_ROLLS, KeyRolling
from passport_shared.service.keys import Kek, KeyStore
from passport_shared.service.limits import RateLimiter
from passport_shared.service.measuring import States, peer_kinds, shared_measure
from passport_shared.service.pages import Pages
from passport_shared.service.settings import Environment, metrics_access
from passport_shared.service.tracing import Tracing, tracing_of
from passport_shared.wire.activity import MAX_EVENT_BYTES
from passport_shared.wire.scopes import scopes_of

SERVICE = "registry"
PACKAGE = "passport_registry"
VERSION = version("passport-registry")
DESCRIPTION = (
    "The trust registry of a Staff Passport network: who is a member, what governance is done, and who may "
    "issue or ask for what. It holds no staff member's data."
)
PURGE_EVERY = timedelta(minutes=10)
KEYS_EVERY = timedelta(minutes=1)
BODY_LIMITS = {"/api/v1/activity/imports": 1_048_576, "/api/v1/activity/events": MAX_EVENT_BYTES}


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a test puts in the place of the real thing; `background` starts the periodic tasks."""

    clock: Clock = field(default_factory=SystemClock)
    outbound: Outbound | None = None
    background: bool = True
    tracing: Tracing | None = None


def open_context(settings: RegistrySettings, parts: Parts, *, shared: bool = False) -> Context:
    """Put a registry together; its database is opened by the first use.

    Args:
        settings: of this deployment.
        parts: clock and outbound client.
        shared: for a short command beside a running service.

    Raises:
        KekError: the key-encryption key cannot be read.
    """
    clock = parts.clock
    db = Database(settings.database_url, name=SERVICE, shared=shared, durable=settings.durable)
    outbound = parts.outbound or Outbound(
        ca_file=settings.tls_ca_file,
        allow=settings.outbound_allow,
        allow_private=settings.environment is not Environment.PRODUCTION,
    )
    guard = ClockGuard(clock, db)
    return Context(
        settings=settings,
        db=db,
        clock=clock,
        clock_guard=guard,
        keys=KeyStore(db, Kek.load(settings.kek_file), tables.keys, clock, guard),
        outbound=outbound,
        audit=AuditLog(tables.audit, clock),
        documents=CachedDocuments(db, tables.documents, clock),
        leases=Leases(db, tables.jobs, clock),
        idempotency=Idempotency(db, tables.idempotency, clock),
        limiter=RateLimiter(db, tables.limits, clock),
    )


async def close_context(ctx: Context) -> None:
    """Close what a context holds."""
    await ctx.outbound.close()
    await ctx.db.close()


def sealer(ctx: Context) -> Sealer:
    """Return the sealer of the registry's audit log."""
    return Sealer(ctx.db, tables.audit, ctx.leases, ctx.keys, ctx.clock, issuer=ctx.anchor)


def service_tables() -> ServiceTables:
    """The shared tables as this service has them."""
    return ServiceTables(
        metadata=tables.metadata,
        audit=tables.audit,
        outbox=tables.outbox,
        jobs=tables.jobs,
        keys=tables.keys,
        documents=tables.documents,
    )


def build(settings: RegistrySettings, parts: Parts | None = None) -> FastAPI:
    """Build the registry's application."""
    given = parts or Parts(clock=clock_of(settings.clock_file))
    tracing = given.tracing or tracing_of(settings, SERVICE, VERSION)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ctx = open_context(settings, given)
        await ctx.db.open()
        app.state.context = ctx
        measures_of = [shared_measure(service_tables()), measures.measure]
        app.state.metrics.adopt(ctx.counts, States(ctx.db, ctx.clock, measures_of))
        ctx.outbound.observe(peer_kinds({}, others="trust"), ctx.counts.called)
        app.state.authenticator = _authenticator(ctx)
        app.state.pages = Pages(
            package=PACKAGE, secret=await ctx.keys.secret("pages"), public_url=settings.public_url
        )
        ctx.clock_guard.show(app.state.metrics)
        app.state.runner = Runner(
            ctx.db,
            tables.jobs,
            ctx.clock,
            periodics=_periodics(ctx, app.state.authenticator),
            guard=ctx.clock_guard,
            tracing=tracing,
        )
        if given.background:
            await app.state.runner.start()
        try:
            yield
        finally:
            await app.state.runner.stop()
            await close_context(ctx)

    app: FastAPI = create_app(
        service=SERVICE,
        version=VERSION,
        public_url=settings.public_url,
        clock=given.clock,
        lifespan=lifespan,
        routers=[
            token_routes(),
            organisations.router,
            hr_users.router,
            entities.router,
            authorisations.router,
            agreements.router,
            clients.router,
            enrolment.router,
            activity.router,
            activity_management.router,
            reports.router,
        ],
        protocol_routes=[
            *federation.routes(),
            *published.routes(),
            *register.routes(),
            *report_pages.routes(),
            *_stylesheet(),
        ],
        readiness=_readiness(lambda: app.state.context),
        problems=PROBLEMS,
        max_body_bytes=settings.max_body_bytes,
        body_limits=BODY_LIMITS,
        access_log_every=settings.access_log_every,
        metrics_access=metrics_access(settings),
        tracing=tracing,
        trusted_proxies=settings.trusted_proxies,
        openapi_paths=openapi.PATHS,
        description=DESCRIPTION,
    )
    return app


def _stylesheet() -> Sequence[Route]:
    # The pages' own style sheet needs none of their secret.
    return Pages(package=PACKAGE, secret=bytes(16), public_url="").routes()


def _authenticator(ctx: Context) -> Authenticator:
    return Authenticator(
        service_url=ctx.settings.public_url,
        clients=LocalClients(lambda client_id: find(ctx, client_id)),
        keys=ctx.keys,
        db=ctx.db,
        tables=tables.auth,
        clock=ctx.clock,
        scopes=scopes_of(SERVICE),
        limiter=ctx.limiter,
    )


def _periodics(ctx: Context, authenticator: Authenticator) -> list[Periodic]:
    chain = sealer(ctx)

    async def seal() -> None:
        await chain.seal()
        await chain.checkpoint()

    async def purge() -> None:
        await authenticator.purge()
        await ctx.idempotency.purge()
        await ctx.limiter.purge()

    return [
        Periodic(
            name="publish", every=ctx.settings.publish_every, run=lambda: publishing.publish_if_due(ctx)
        ),
        Periodic(name="seal", every=timedelta(seconds=1), run=seal),
        Periodic(name="purge", every=PURGE_EVERY, run=purge),
        Periodic(name="keys", every=KEYS_EVERY, run=KeyRolling(ctx.keys, ctx.clock, REGISTRY_ROLLS).run),
    ]


def _readiness(app_context: Callable[[], Context]) -> list[Check]:
    """Ready: database and clock are right, the anchor's key can be used, the audit log is being sealed."""

    async def database() -> None:
        await app_context().db.ping()

    async def anchor_key() -> None:
        await anchor.signing_key(app_context(), anchor.FEDERATION)

    async def sealing() -> None:
        if await sealer(app_context()).lag() > MAX_LAG:
            raise RuntimeError("audit entries wait to be sealed")

    async def clock() -> None:
        await app_context().clock_guard.check()

    return [
        Check("database", database),
        Check("clock", clock),
        Check("anchor", anchor_key),
        Check("audit", sealing),
    ]
