"""The issuer's own commands beside ``serve``, ``migrate``, ``check-config`` and ``openapi``: its tenants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from passport_issuer.app import (
    PACKAGE,
    SERVICE,
    VERSION,
    Parts,
    build,
    close_context,
    open_context,
    service_tables,
)
from passport_issuer.operations import doctor
from passport_issuer.operations.status_lists import ensure_lists
from passport_issuer.settings import IssuerSettings
from passport_issuer.store import tables
from passport_shared.service.cli import CommandFailed, ServiceProgram
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


HEALTH = HealthPlan(
    service=SERVICE,
    package=PACKAGE,
    tables=service_tables(),
    looks=doctor.LOOKS,
)

PROGRAM: ServiceProgram[IssuerSettings] = ServiceProgram(
    service=SERVICE,
    package=PACKAGE,
    version=VERSION,
    settings=IssuerSettings,
    metadata=tables.metadata,
    build=build,
    commands=(*tenant_commands(opened), *client_commands(opened), *key_commands(with_keys, TENANT_ROLLS)),
    health=HEALTH,
)
