"""The issuer's own commands beside ``serve``, ``migrate``, ``check-config`` and ``openapi``: its tenants."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from passport_issuer.app import (
    PACKAGE,
    SERVICE,
    VERSION,
    Parts,
    build,
    close_context,
    open_context,
    read_trust_file,
    service_tables,
)
from passport_issuer.context import Context
from passport_issuer.operations import doctor, restoring
from passport_issuer.operations.status_lists import ensure_lists
from passport_issuer.revocation_commands import revocation_commands
from passport_issuer.settings import IssuerSettings
from passport_issuer.store import tables
from passport_shared.service.cli import Command, CommandFailed, ServiceProgram
from passport_shared.service.client_commands import client_commands
from passport_shared.service.clock import clock_of
from passport_shared.service.doctor import HealthPlan
from passport_shared.service.key_rolling import TENANT_ROLLS, Rollable, key_commands
from passport_shared.service.keys import KekError
from passport_shared.service.tenancy import Tenant
from passport_shared.service.tenant_commands import Enrolling, tenant_commands


@asynccontextmanager
async def opened(settings: IssuerSettings) -> AsyncIterator[Enrolling]:
    """Open the issuer beside a service that may be running; refusals become one line."""
    try:
        ctx = await open_context(settings, Parts(clock=clock_of(settings.clock_file)), shared=True)
    except KekError as error:
        raise CommandFailed(str(error)) from None

    async def lists_before_credentials(tenant: Tenant) -> None:
        await ensure_lists(ctx, tenant)

    try:
        yield Enrolling(
            tenants=ctx.tenants,
            keys=ctx.keys,
            outbox=ctx.outbox,
            outbound=ctx.outbound,
            clock=ctx.clock,
            afterwards=lists_before_credentials,
        )
    finally:
        await close_context(ctx)


@asynccontextmanager
async def whole(settings: IssuerSettings) -> AsyncIterator[Context]:
    """Open the whole issuer beside a service that may be running."""
    try:
        ctx = await open_context(settings, Parts(clock=clock_of(settings.clock_file)), shared=True)
    except KekError as error:
        raise CommandFailed(str(error)) from None
    try:
        yield ctx
    finally:
        await close_context(ctx)


@asynccontextmanager
async def with_keys(settings: IssuerSettings) -> AsyncIterator[Rollable]:
    """Open the keys beside a service that may be running."""
    try:
        ctx = await open_context(settings, Parts(clock=clock_of(settings.clock_file)), shared=True)
    except KekError as error:
        raise CommandFailed(str(error)) from None
    try:
        yield Rollable(keys=ctx.keys, clock=ctx.clock, rewrap=ctx.keys.rewrap)
    finally:
        await close_context(ctx)


def _restored_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--list",
        dest="lists",
        action="append",
        type=Path,
        default=[],
        help="file with a published status list token that a host kept; may be repeated",
    )
    parser.add_argument(
        "--without-lists",
        action="store_true",
        help="go on without some of them; revocations of the lost time have to be made again by hand",
    )


async def restored(arguments: argparse.Namespace, settings: IssuerSettings) -> None:
    """Bring a restored database into a state that may be served; the service must not run."""
    try:
        ctx = await open_context(settings, Parts(clock=clock_of(settings.clock_file)))
    except KekError as error:
        raise CommandFailed(str(error)) from None
    try:
        tokens = [path.read_text(encoding="ascii") for path in arguments.lists]
        done = await restoring.restored(
            ctx, service_tables(), read_trust_file(settings), tokens, without=arguments.without_lists
        )
    except restoring.ListsMissing as missing:
        lines = "\n  ".join(missing.uris)
        raise CommandFailed(
            "ask a host for the published lists with 'passport-verifier status-list URI', and give each with "
            f"--list; without them who was revoked in the lost time is valid again:\n  {lines}"
        ) from None
    except (OSError, UnicodeDecodeError, restoring.ListUnusable) as error:
        raise CommandFailed(str(error)) from None
    finally:
        await close_context(ctx)
    print(f"{done.closed} list(s) are closed: what was issued after the backup counts as revoked")
    print(f"revoked again: {', '.join(done.revoked) or 'none'}")
    print(f"on hold again: {', '.join(done.held) or 'none'}")


HEALTH = HealthPlan(
    service=SERVICE,
    package=PACKAGE,
    tables=service_tables(),
    looks=doctor.LOOKS,
)

RESTORED = Command(
    name="restored",
    help="after a restore of the database and before serving: close lists, revoke again what was revoked",
    run=restored,
    configure=_restored_arguments,
)

PROGRAM: ServiceProgram[IssuerSettings] = ServiceProgram(
    service=SERVICE,
    package=PACKAGE,
    version=VERSION,
    settings=IssuerSettings,
    metadata=tables.metadata,
    build=build,
    commands=(
        RESTORED,
        *tenant_commands(opened),
        *client_commands(opened),
        *key_commands(with_keys, TENANT_ROLLS),
        *revocation_commands(whole),
    ),
    health=HEALTH,
)
