"""Composition root of the verifier: settings in, application out.

Everything with a connection or a key is opened when the application starts, so that building it (for the
OpenAPI document, for instance) needs no deployment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from passport_shared.formats.clock import Clock
from passport_shared.formats.federation import verifier_metadata
from passport_shared.formats.snapshot import SnapshotError
from passport_shared.formats.trust_file import TrustFile
from passport_shared.formats.trust_mark import MarkRole
from passport_shared.outbound import Outbound
from passport_shared.service.app import Check, create_app
from passport_shared.service.audit import MAX_LAG, AuditLog, Sealer
from passport_shared.service.auth import Authenticator, token_routes
from passport_shared.service.client_directory import RegistryClients
from passport_shared.service.clock import SystemClock, clock_of
from passport_shared.service.clock_check import ClockGuard
from passport_shared.service.db import Database
from passport_shared.service.doctor import ServiceTables
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.holder_sessions import HolderSessions
from passport_shared.service.hr_users import HrUsers, KnownClients
from passport_shared.service.idempotency import Idempotency
from passport_shared.service.jobs import JobHandler, JobQueue, Leases, Periodic, Runner
from passport_shared.service.kek import Kek
from passport_shared.service.key_rolling import TENANT_ROLLS, KeyRolling
from passport_shared.service.keys import KeyStore
from passport_shared.service.limits import RateLimiter
from passport_shared.service.measuring import States, peer_kinds, shared_measure
from passport_shared.service.outbox import Outbox, activity_sinks
from passport_shared.service.pages import Pages
from passport_shared.service.registry_watch import RegistryWatch
from passport_shared.service.renewals import Renewals
from passport_shared.service.service_client import ServiceClient
from passport_shared.service.settings import Environment, metrics_access
from passport_shared.service.snapshot_keeper import SnapshotKeeper
from passport_shared.service.tenancy import Pins, Tenant, Tenants, pinned
from passport_shared.service.tracing import Tracing, tracing_of
from passport_shared.wire.enrolment import EntityRole
from passport_shared.wire.scopes import scopes_of
from passport_verifier.context import Context
from passport_verifier.errors import PROBLEMS
from passport_verifier.http import agreement_page, federation, holder, oid4vp, openapi, pages
from passport_verifier.http.management import (
    agreement_links,
    approvals,
    decisions,
    events,
    gates,
    movements,
    overrides,
    placements,
    policies,
    presentation_requests,
    register_checks,
    releases,
    watches,
)
from passport_verifier.operations import rechecks, release_requests, status_lists
from passport_verifier.operations.answers import retry_held
from passport_verifier.operations.movement_progress import CATCH_UP_EVERY, catch_up
from passport_verifier.operations.overrides import expire
from passport_verifier.operations.placement_telling import tell_due
from passport_verifier.operations.placements import erase as erase_placements
from passport_verifier.operations.placements import tend as tend_placements
from passport_verifier.operations.presentation_requests import sweep
from passport_verifier.operations.releases import PULL_EVERY, pull_due
from passport_verifier.operations.watches import round_once as watch_round
from passport_verifier.operations.watches import tidy as watch_tidy
from passport_verifier.settings import VerifierSettings
from passport_verifier.store import holder_tables, measures, tables
from passport_verifier.store.status_memory import StatusMemory

SERVICE = "verifier"
PACKAGE = "passport_verifier"
VERSION = version("passport-verifier")
DESCRIPTION = (
    "Asks for, verifies and decides on staff passports for many trusts: may this person start here on this "
    "day, and if not, what is missing and who can put it right."
)
PURGE_EVERY = timedelta(minutes=10)
CERTIFICATES_EVERY = timedelta(hours=1)
KEYS_EVERY = timedelta(minutes=1)
EVENTS_EVERY = timedelta(seconds=1)
EVENTS_KEPT = timedelta(days=400)
STATUS_EVERY = timedelta(seconds=2)
DISCOVER_EVERY = timedelta(seconds=60)
TEND_EVERY = timedelta(seconds=30)
TELL_EVERY = timedelta(seconds=2)
WATCH_EVERY = timedelta(seconds=3)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a test puts in the place of the real thing; ``background`` starts the periodic tasks."""

    clock: Clock = field(default_factory=SystemClock)
    outbound: Outbound | None = None
    trust_file: TrustFile | None = None
    clients: KnownClients | None = None
    background: bool = True
    tracing: Tracing | None = None


class NoTrustFile(RuntimeError):
    """The one thing that is configured about trust is missing or unreadable."""


def open_context(settings: VerifierSettings, parts: Parts, *, shared: bool = False) -> Context:
    """Put a verifier together; its database is opened by the first use.

    Args:
        settings: of this deployment.
        parts: clock, outbound client and trust file.
        shared: for a short command beside a running service.

    Raises:
        KekError: the key-encryption key cannot be read.
        NoTrustFile: there is no readable trust file.
    """
    clock = parts.clock
    db = Database(settings.database_url, name=SERVICE, shared=shared, durable=settings.durable)
    kek = Kek.load(settings.kek_file)
    guard = ClockGuard(clock, db)
    keys = KeyStore(db, kek, tables.keys, clock, guard)
    outbound = parts.outbound or Outbound(
        ca_file=settings.tls_ca_file,
        allow=settings.outbound_allow,
        allow_private=settings.environment is not Environment.PRODUCTION,
    )
    trust_file = parts.trust_file or read_trust_file(settings.trust_file)
    documents = CachedDocuments(db, tables.documents, clock)
    snapshots = SnapshotKeeper(db, outbound, trust_file, clock, documents)
    guard.follow(snapshots)
    directory = RegistryClients(documents, outbound, snapshots.directory_source, clock)
    leases = Leases(db, tables.jobs, clock)
    return Context(
        settings=settings,
        db=db,
        clock=clock,
        clock_guard=guard,
        keys=keys,
        kek=kek,
        outbound=outbound,
        audit=AuditLog(tables.audit, clock),
        idempotency=Idempotency(db, tables.idempotency, clock),
        limiter=RateLimiter(db, tables.limits, clock),
        documents=documents,
        leases=leases,
        outbox=Outbox(
            db,
            tables.outbox,
            leases,
            keys,
            outbound,
            clock,
            source=settings.public_url,
            sinks=activity_sinks(trust_file.entity_id, settings.client_id),
        ),
        trust_file=trust_file,
        snapshots=snapshots,
        directory=directory,
        hr_users=HrUsers(parts.clients or directory, clock),
        holders=HolderSessions(
            db,
            holder_tables.holders,
            clock,
            keys=keys,
            public_url=settings.public_url,
        ),
        statuses=StatusMemory(db, clock, size=settings.status_memory),
        service_client=ServiceClient(client_id=settings.client_id, keys=keys, outbound=outbound, clock=clock),
        tenants=Tenants(
            db,
            tables.tenants,
            keys,
            clock,
            role=EntityRole.VERIFIER,
            public_url=settings.public_url,
            registry=trust_file.entity_id,
            registry_url=settings.registry_url or trust_file.entity_id,
            metadata=tenant_metadata,
            mark=lambda entity_id: _mark(snapshots, clock, entity_id),
            pins=lambda entity_id: _pins(snapshots, clock, entity_id),
        ),
    )


def read_trust_file(path: Path | None) -> TrustFile:
    """The configured trust; NoTrustFile with a line for the operator if there is none that can be read."""
    if path is None:
        raise NoTrustFile("PASSPORT_VERIFIER_TRUST_FILE is not set: fetch it from the registry's operator")
    try:
        return TrustFile.parse(path.read_bytes())
    except (OSError, ValueError) as error:
        raise NoTrustFile(f"the trust file {path} cannot be used: {error}") from None


async def _mark(snapshots: SnapshotKeeper, clock: Clock, entity_id: str) -> str | None:
    snapshot = await snapshots.latest()
    if snapshot is None:
        return None
    try:
        mark = snapshot.mark_for(entity_id, roles=(MarkRole.CREDENTIAL_VERIFIER,), now=clock.now())
    except SnapshotError:
        return None
    return mark.compact if mark else None


def tenant_metadata(tenant: Tenant) -> Mapping[str, Any]:
    """A tenant's metadata in its entity configuration: without keys, which are fresh with every request."""
    return {
        **verifier_metadata(tenant.entity_id),
        "federation_entity": {
            "organization_name": tenant.name or tenant.ods,
            "policy_uri": f"{tenant.entity_id}/privacy",
            "logo_uri": f"{tenant.entity_id}/logo.svg",
        },
    }


async def _pins(snapshots: SnapshotKeeper, clock: Clock, entity_id: str) -> Pins | None:
    return pinned(await snapshots.latest(), entity_id, clock.now())


async def close_context(ctx: Context) -> None:
    """Close what a context holds."""
    await ctx.outbound.close()
    await ctx.db.close()


def sealer(ctx: Context) -> Sealer:
    """The sealer of the verifier's audit log."""
    return Sealer(ctx.db, tables.audit, ctx.leases, ctx.keys, ctx.clock, issuer=ctx.settings.public_url)


def service_tables() -> ServiceTables:
    """The shared tables as this service has them."""
    return ServiceTables(
        metadata=tables.metadata,
        audit=tables.audit,
        outbox=tables.outbox,
        jobs=tables.jobs,
        keys=tables.keys,
        documents=tables.documents,
        tenants=tables.tenants,
    )


def renewals_of(ctx: Context) -> Renewals:
    """Renews the certificates of this service's tenants."""
    return Renewals(ctx.tenants, ctx.keys, ctx.clock, ctx.outbound, registry_url=ctx.tenants.registry_url)


def build(settings: VerifierSettings, parts: Parts | None = None) -> FastAPI:
    """Build the verifier's application."""
    given = parts or Parts(clock=clock_of(settings.clock_file))
    tracing = given.tracing or tracing_of(settings, SERVICE, VERSION)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ctx = open_context(settings, given)
        await ctx.db.open()
        app.state.context = ctx
        measures_of = [shared_measure(service_tables()), measures.measure]
        app.state.metrics.adopt(ctx.counts, States(ctx.db, ctx.clock, measures_of))
        ctx.outbound.observe(
            peer_kinds({ctx.tenants.registry: "registry"}, others="trust"), ctx.counts.called
        )
        app.state.authenticator = _authenticator(ctx, given.clients or ctx.directory)
        app.state.pages = Pages(
            package=PACKAGE, secret=await ctx.keys.secret("pages"), public_url=settings.public_url
        )
        watch = RegistryWatch(ctx.snapshots, ctx.directory, every=settings.registry_poll)
        watch.show(app.state.metrics, ctx.clock)
        ctx.clock_guard.show(app.state.metrics)
        periodics = _periodics(ctx, app.state.authenticator, watch)
        app.state.runner = Runner(
            ctx.db,
            tables.jobs,
            ctx.clock,
            periodics=periodics,
            handlers=job_handlers(ctx),
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
            events.router,
            movements.router,
            presentation_requests.router,
            decisions.router,
            register_checks.router,
            policies.router,
            overrides.router,
            gates.router,
            approvals.router,
            agreement_links.router,
            releases.router,
            placements.router,
            watches.router,
        ],
        protocol_routes=[
            *oid4vp.routes(),
            *pages.routes(),
            *agreement_page.routes(),
            *holder.routes(),
            *federation.routes(),
        ],
        readiness=_readiness(lambda: app.state.context),
        problems=PROBLEMS,
        max_body_bytes=settings.max_body_bytes,
        access_log_every=settings.access_log_every,
        metrics_access=metrics_access(settings),
        tracing=tracing,
        trusted_proxies=settings.trusted_proxies,
        openapi_paths=openapi.PATHS,
        description=DESCRIPTION,
    )
    return app


def job_handlers(ctx: Context) -> dict[str, JobHandler]:
    """The jobs of the verifier by kind."""
    return {release_requests.DELIVER: lambda run: release_requests.deliver(ctx, run)}


def _authenticator(ctx: Context, directory: KnownClients) -> Authenticator:
    return Authenticator(
        service_url=ctx.settings.public_url,
        clients=directory,
        keys=ctx.keys,
        db=ctx.db,
        tables=tables.auth,
        clock=ctx.clock,
        scopes=scopes_of(SERVICE),
        limiter=ctx.limiter,
    )


def _periodics(ctx: Context, authenticator: Authenticator, watch: RegistryWatch) -> list[Periodic]:
    chain = sealer(ctx)

    async def purge() -> None:
        await authenticator.purge()
        await ctx.idempotency.purge()
        await ctx.limiter.purge()
        await ctx.holders.purge()
        await ctx.outbox.purge(ctx.clock.now() - EVENTS_KEPT)
        await JobQueue(ctx.db, tables.jobs, ctx.clock).purge(ctx.clock.now() - EVENTS_KEPT)

    async def tidy_watches() -> None:
        await watch_tidy(ctx)
        await erase_placements(ctx)
        await catch_up(ctx, since=None)

    async def tidy() -> None:
        await retry_held(ctx)
        await sweep(ctx)

    return [
        watch.periodic(),
        Periodic(name="status.discover", every=DISCOVER_EVERY, run=lambda: status_lists.discover(ctx)),
        Periodic(name="status.refresh", every=STATUS_EVERY, run=lambda: rechecks.refresh_and_recheck(ctx)),
        Periodic(name="requests.tidy", every=timedelta(seconds=5), run=tidy),
        Periodic(name="releases.pull", every=PULL_EVERY, run=lambda: pull_due(ctx)),
        Periodic(name="movements.catch_up", every=CATCH_UP_EVERY, run=lambda: catch_up(ctx)),
        Periodic(name="overrides.expire", every=timedelta(seconds=30), run=lambda: expire(ctx)),
        Periodic(name="placements.tend", every=TEND_EVERY, run=lambda: tend_placements(ctx)),
        Periodic(name="placements.tell", every=TELL_EVERY, run=lambda: tell_due(ctx)),
        Periodic(name="watch", every=WATCH_EVERY, run=lambda: watch_round(ctx)),
        Periodic(name="watch.tidy", every=PURGE_EVERY, run=tidy_watches),
        Periodic(name="seal", every=timedelta(seconds=1), run=chain.run),
        Periodic(name="events", every=EVENTS_EVERY, run=ctx.outbox.run),
        Periodic(name="purge", every=PURGE_EVERY, run=purge),
        Periodic(name="certificates", every=CERTIFICATES_EVERY, run=renewals_of(ctx).run),
        Periodic(name="keys", every=KEYS_EVERY, run=KeyRolling(ctx.keys, ctx.clock, TENANT_ROLLS).run),
    ]


def _readiness(app_context: Callable[[], Context]) -> list[Check]:
    """Ready: database and clock are right, the keys open, and the audit log is being sealed."""

    async def database() -> None:
        await app_context().db.ping()

    async def keys() -> None:
        await app_context().keys.check()

    async def sealing() -> None:
        if await sealer(app_context()).lag() > MAX_LAG:
            raise RuntimeError("audit entries wait to be sealed")

    async def clock() -> None:
        await app_context().clock_guard.check()

    return [
        Check("database", database),
        Check("clock", clock),
        Check("keys", keys),
        Check("audit", sealing),
    ]
