"""Composition root of the issuer: settings in, application out.

Everything with a connection or a key is opened when the application starts, so that building it (for the
OpenAPI document, for instance) needs no deployment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version

import httpx
from fastapi import FastAPI

from passport_issuer.clients.workforce import WorkforceClients
from passport_issuer.clients.workforce_credentials import Tokens
from passport_issuer.context import Context, Secrets, Workforce
from passport_issuer.errors import PROBLEMS
from passport_issuer.http import (
    dsp_events,
    federation,
    holder,
    invitation_page,
    notice_outbox_page,
    offer_page,
    oid4vci,
    openapi,
    status_lists,
)
from passport_issuer.http import releases as release_messages
from passport_issuer.http.management import (
    assignments,
    checks,
    connections,
    events,
    gatherings,
    identity_sessions,
    invitations,
    notices,
    offers,
    passports,
    placements,
    problem_reports,
    releases,
    staff,
    staff_links,
    training,
)
from passport_issuer.operations import (
    gathering,
    leavers,
    mass_revocation,
    notice_sending,
    placement_ends,
    renewals,
)
from passport_issuer.operations.connections_refresh import Refresher
from passport_issuer.operations.couriers import notice_means
from passport_issuer.operations.placements import tidy as tidy_placements
from passport_issuer.operations.status_lists import tend
from passport_issuer.operations.sweeping import sweep
from passport_issuer.operations.tenants import current_mark, entity_metadata
from passport_issuer.rules.notices import NoticeChannel
from passport_issuer.settings import IssuerSettings
from passport_issuer.store import holder_tables, measures, tables
from passport_shared.formats.clock import Clock
from passport_shared.formats.snapshot import TrustFile, TrustFileError
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
from passport_shared.service.jobs import JobQueue, Leases, Periodic, Runner
from passport_shared.service.key_rolling import TENANT_ROLLS, KeyRolling
from passport_shared.service.keys import Kek, KeyStore
from passport_shared.service.limits import RateLimiter
from passport_shared.service.measuring import States, peer_kinds, shared_measure
from passport_shared.service.outbox import Outbox, activity_sinks
from passport_shared.service.pages import Pages, stylesheet_routes
from passport_shared.service.registry_watch import RegistryWatch
from passport_shared.service.renewals import Renewals
from passport_shared.service.server import CannotServe
from passport_shared.service.settings import Environment, metrics_access
from passport_shared.service.snapshot_keeper import SnapshotKeeper
from passport_shared.service.tenancy import Pins, Tenants, pinned
from passport_shared.service.tracing import Tracing, tracing_of
from passport_shared.wire.enrolment import EntityRole
from passport_shared.wire.scopes import scopes_of

SERVICE = "issuer"
PACKAGE = "passport_issuer"
VERSION = version("passport-issuer")
DESCRIPTION = (
    "Issues and looks after staff passports for many trusts. Wallets use the OpenID4VCI endpoints below each "
    "trust's identifier; HR systems use `/api/v1`."
)
STATUS_EVERY = timedelta(seconds=5)
SWEEP_EVERY = timedelta(seconds=30)
RELEASES_EVERY = timedelta(seconds=15)
PLACEMENTS_EVERY = timedelta(seconds=60)
PURGE_EVERY = timedelta(minutes=10)
CERTIFICATES_EVERY = timedelta(hours=1)
KEYS_EVERY = timedelta(minutes=1)
WORKFORCE_EVERY = timedelta(seconds=2)
NOTICES_EVERY = timedelta(minutes=1)
RENEWALS_EVERY = timedelta(hours=1)
EVENTS_EVERY = timedelta(seconds=1)
EVENTS_KEPT = timedelta(days=400)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a test puts in the place of the real thing; ``background`` starts the periodic tasks."""

    clock: Clock = field(default_factory=SystemClock)
    outbound: Outbound | None = None
    clients: KnownClients | None = None
    workforce: httpx.AsyncBaseTransport | None = None
    background: bool = True
    tracing: Tracing | None = None


def read_trust_file(settings: IssuerSettings) -> TrustFile:
    """The trust of the network this issuer belongs to.

    Raises:
        CannotServe: none is configured, or it cannot be used.
    """
    if settings.trust_file is None:
        raise CannotServe(f"set {settings.prefix()}TRUST_FILE: print one with 'passport-registry trust-file'")
    try:
        return TrustFile.parse(settings.trust_file.read_bytes())
    except OSError as error:
        raise CannotServe(f"{settings.trust_file} cannot be read: {error.strerror}") from None
    except TrustFileError as error:
        raise CannotServe(str(error)) from None


async def open_context(settings: IssuerSettings, parts: Parts, *, shared: bool = False) -> Context:
    """Put an issuer together and open its database.

    Args:
        settings: of this deployment.
        parts: clock, outbound client and clients.
        shared: for a short command beside a running service.

    Raises:
        CannotServe: no usable trust file.
        KekError: the key-encryption key cannot be read.
    """
    trust_file, clock = read_trust_file(settings), parts.clock
    db = Database(settings.database_url, name=SERVICE, shared=shared, durable=settings.durable)
    guard = ClockGuard(clock, db)
    keys = KeyStore(db, Kek.load(settings.kek_file), tables.keys, clock, guard)
    outbound = parts.outbound or Outbound(
        ca_file=settings.tls_ca_file,
        allow=settings.outbound_allow,
        allow_private=settings.environment is not Environment.PRODUCTION,
    )
    try:
        means = notice_means(settings, db, clock, outbound)
    except ValueError as error:
        raise CannotServe(str(error)) from None
    await db.open()
    documents = CachedDocuments(db, tables.documents, clock)
    snapshots = SnapshotKeeper(db, outbound, trust_file, clock, documents)
    guard.follow(snapshots)
    directory = RegistryClients(documents, outbound, snapshots.directory_source, clock)
    tenants = Tenants(
        db,
        tables.tenants,
        keys,
        clock,
        role=EntityRole.ISSUER,
        public_url=settings.public_url,
        registry=trust_file.entity_id,
        registry_url=settings.registry_url or trust_file.entity_id,
        metadata=lambda tenant: entity_metadata(trust_file.vct_base, tenant),
        mark=lambda entity_id: current_mark(snapshots, clock.now(), entity_id),
        pins=lambda entity_id: _pins(snapshots, clock, entity_id),
    )
    return Context(
        public_url=settings.public_url,
        vct_base=trust_file.vct_base,
        offer_lifetime=settings.offer_lifetime,
        placement_offer_lifetime=settings.placement_offer_lifetime,
        placement_retention=settings.placement_retention,
        db=db,
        clock=clock,
        clock_guard=guard,
        keys=keys,
        documents=documents,
        outbound=outbound,
        audit=AuditLog(tables.audit, clock),
        idempotency=Idempotency(db, tables.idempotency, clock),
        limiter=RateLimiter(db, tables.limits, clock),
        outbox=Outbox(
            db,
            tables.outbox,
            Leases(db, tables.jobs, clock),
            keys,
            outbound,
            clock,
            source=settings.public_url,
            sinks=activity_sinks(trust_file.entity_id, settings.client_id),
        ),
        snapshots=snapshots,
        directory=directory,
        hr_users=HrUsers(parts.clients or directory, clock),
        tenants=tenants,
        holders=HolderSessions(
            db,
            holder_tables.holders,
            clock,
            keys=keys,
            public_url=settings.public_url,
        ),
        secrets=Secrets(
            offers=await keys.secret("offers"),
            nonces=await keys.secret("nonces"),
            pages=await keys.secret("pages"),
        ),
        notices=means,
        workforce=Workforce(
            clients=WorkforceClients(
                ca_file=settings.tls_ca_file,
                allow=settings.outbound_allow,
                production=settings.environment is Environment.PRODUCTION,
                networks=settings.workforce_private_networks,
                transport=parts.workforce,
            ),
            tokens=Tokens(),
            poll=settings.workforce_poll,
        ),
    )


async def _pins(snapshots: SnapshotKeeper, clock: Clock, entity_id: str) -> Pins | None:
    return pinned(await snapshots.latest(), entity_id, clock.now())


async def close_context(ctx: Context) -> None:
    """Close what a context holds."""
    await ctx.outbound.close()
    await ctx.workforce.clients.close()
    await ctx.db.close()


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


def build(settings: IssuerSettings, parts: Parts | None = None) -> FastAPI:
    """Build the issuer's application."""
    given = parts or Parts(clock=clock_of(settings.clock_file))
    tracing = given.tracing or tracing_of(settings, SERVICE, VERSION)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        ctx = await open_context(settings, given)
        authenticator = Authenticator(
            service_url=settings.public_url,
            clients=given.clients or ctx.directory,
            keys=ctx.keys,
            db=ctx.db,
            tables=tables.auth,
            clock=ctx.clock,
            scopes=scopes_of(SERVICE),
            limiter=ctx.limiter,
        )
        app.state.context = ctx
        measures_of = [shared_measure(service_tables()), measures.measure]
        app.state.metrics.adopt(ctx.counts, States(ctx.db, ctx.clock, measures_of))
        ctx.outbound.observe(
            peer_kinds({ctx.tenants.registry: "registry"}, others="trust"), ctx.counts.called
        )
        app.state.authenticator = authenticator
        app.state.pages = Pages(package=PACKAGE, secret=ctx.secrets.pages, public_url=settings.public_url)
        app.state.sealer = Sealer(
            ctx.db,
            tables.audit,
            Leases(ctx.db, tables.jobs, ctx.clock),
            ctx.keys,
            ctx.clock,
            issuer=settings.public_url,
        )
        watch = RegistryWatch(ctx.snapshots, ctx.directory, every=settings.registry_poll)
        watch.show(app.state.metrics, ctx.clock)
        ctx.clock_guard.show(app.state.metrics)
        app.state.refresher = Refresher(ctx, Leases(ctx.db, tables.jobs, ctx.clock))
        periodics = [
            *_periodics(ctx, watch, authenticator, app.state.sealer),
            Periodic(name="workforce", every=WORKFORCE_EVERY, run=app.state.refresher.tick),
        ]
        app.state.runner = Runner(
            ctx.db,
            tables.jobs,
            ctx.clock,
            periodics=periodics,
            handlers=mass_revocation.handlers(ctx),
            guard=ctx.clock_guard,
            tracing=tracing,
        )
        # One runner per channel: a mail server that hangs delays no text message and no other work.
        senders = [
            Runner(
                ctx.db,
                tables.jobs,
                ctx.clock,
                handlers=notice_sending.handlers(ctx, channel),
                guard=ctx.clock_guard,
                tracing=tracing,
            )
            for channel in NoticeChannel
        ]
        if given.background:
            for runner in (app.state.runner, *senders):
                await runner.start()
        try:
            yield
        finally:
            for runner in (app.state.runner, *senders):
                await runner.stop()
            await app.state.refresher.close()
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
            staff.router,
            assignments.router,
            checks.router,
            training.router,
            identity_sessions.router,
            offers.router,
            passports.router,
            invitations.router,
            notices.router,
            releases.router,
            problem_reports.router,
            placements.router,
            connections.router,
            staff_links.router,
            gatherings.router,
        ],
        protocol_routes=[
            *oid4vci.routes(),
            *status_lists.routes(),
            *offer_page.routes(),
            *invitation_page.routes(),
            *notice_outbox_page.routes(),
            *release_messages.routes(),
            *holder.routes(),
            *dsp_events.routes(),
            *federation.routes(),
            *stylesheet_routes(),
        ],
        readiness=_readiness(lambda: app),
        problems=PROBLEMS,
        surface=dsp_events.surface,
        max_body_bytes=settings.max_body_bytes,
        access_log_every=settings.access_log_every,
        metrics_access=metrics_access(settings),
        tracing=tracing,
        trusted_proxies=settings.trusted_proxies,
        openapi_paths=openapi.PATHS,
        description=DESCRIPTION,
    )
    return app


def _periodics(
    ctx: Context, watch: RegistryWatch, authenticator: Authenticator, sealer: Sealer
) -> list[Periodic]:
    async def purge() -> None:
        await authenticator.purge()
        await ctx.idempotency.purge()
        await ctx.limiter.purge()
        await ctx.holders.purge()
        await ctx.outbox.purge(ctx.clock.now() - EVENTS_KEPT)
        await JobQueue(ctx.db, tables.jobs, ctx.clock).purge(ctx.clock.now() - EVENTS_KEPT)
        await gathering.forget_expired(ctx)

    return [
        watch.periodic(),
        Periodic(name="status.publish", every=STATUS_EVERY, run=lambda: tend(ctx)),
        Periodic(name="sweep", every=SWEEP_EVERY, run=lambda: sweep(ctx)),
        Periodic(name="releases", every=RELEASES_EVERY, run=lambda: leavers.tend(ctx)),
        Periodic(name="placements.tidy", every=PLACEMENTS_EVERY, run=lambda: tidy_placements(ctx)),
        Periodic(name="seal", every=timedelta(seconds=1), run=sealer.run),
        Periodic(name="events", every=EVENTS_EVERY, run=ctx.outbox.run),
        Periodic(name="notices", every=NOTICES_EVERY, run=lambda: notice_sending.tend(ctx)),
        Periodic(name="renewals", every=RENEWALS_EVERY, run=lambda: renewals.announce(ctx)),
        Periodic(name="placement.ends", every=RENEWALS_EVERY, run=lambda: placement_ends.announce(ctx)),
        Periodic(name="purge", every=PURGE_EVERY, run=purge),
        Periodic(name="certificates", every=CERTIFICATES_EVERY, run=renewals_of(ctx).run),
        Periodic(name="keys", every=KEYS_EVERY, run=KeyRolling(ctx.keys, ctx.clock, TENANT_ROLLS).run),
    ]


def _readiness(app: Callable[[], FastAPI]) -> list[Check]:
    """Ready: database and clock are right, the secrets open, and the audit log is being sealed."""

    async def database() -> None:
        await app().state.context.db.ping()

    async def keys() -> None:
        await app().state.context.keys.secret("offers")

    async def sealing() -> None:
        if await app().state.sealer.lag() > MAX_LAG:
            raise RuntimeError("audit entries wait to be sealed")

    async def clock() -> None:
        await app().state.context.clock_guard.check()

    return [
        Check("database", database),
        Check("clock", clock),
        Check("keys", keys),
        Check("audit", sealing),
    ]
