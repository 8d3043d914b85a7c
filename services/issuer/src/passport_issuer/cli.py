"""The issuer's own commands beside ``serve``, ``migrate``, ``check-config`` and ``openapi``: its tenants.

``tenant enrol`` runs beside the service: it makes the tenant's keys, and the running service serves the
entity configuration that the registry fetches while it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from passport_issuer.app import PACKAGE, SERVICE, VERSION, Parts, build, close_context, open_context
from passport_issuer.context import Context
from passport_issuer.operations.status_lists import ensure_lists
from passport_issuer.settings import IssuerSettings
from passport_issuer.store import tables
from passport_shared.formats.federation import ENTITY_STATEMENT_MEDIA_TYPE, FederationError
from passport_shared.formats.federation import verify_entity_configuration as verify
from passport_shared.outbound import OutboundError
from passport_shared.service.cli import Command, CommandFailed, ServiceProgram
from passport_shared.service.keys import KekError
from passport_shared.service.tenancy import EnrolmentRefused

PATIENCE_S = 90
PAUSE_S = 0.5


@asynccontextmanager
async def _opened(settings: IssuerSettings) -> AsyncIterator[Context]:
    try:
        ctx = await open_context(settings, Parts(), shared=True)
    except KekError as error:
        raise CommandFailed(str(error)) from None
    try:
        yield ctx
    finally:
        await close_context(ctx)


def _enrol_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ods", help="ODS code of the trust, upper case")
    parser.add_argument("--code", required=True, help="the one-time code of the registry operator")
    parser.add_argument(
        "--wait", action="store_true", help="wait until the running service holds the tenant's trust mark"
    )


async def enrol(arguments: argparse.Namespace, settings: IssuerSettings) -> int:
    """Enrol a tenant; the same code may be used again after an interruption."""
    async with _opened(settings) as ctx:
        registry = settings.registry_url or ctx.tenants.registry
        await ctx.tenants.prepare(arguments.ods)
        entity_id = ctx.tenants.entity_id(arguments.ods)
        if not await _within(lambda: _serves(ctx, entity_id), 10):
            raise CommandFailed(f"the issuer does not answer at {entity_id}: start it first")
        try:
            tenant = await ctx.tenants.enrol(
                arguments.ods, arguments.code, registry_url=registry, outbound=ctx.outbound
            )
        except EnrolmentRefused as error:
            raise CommandFailed(str(error)) from None
        await ensure_lists(ctx, tenant)
        print(f"{tenant.ods}: enrolled {tenant.name} as {tenant.entity_id}")
        if arguments.wait:
            if not await _within(lambda: _holds_mark(ctx, entity_id), PATIENCE_S):
                raise CommandFailed(
                    "enrolled, but the trust mark has not arrived yet: look at the service's log"
                )
            print(f"{tenant.ods}: the trust mark is in force")
    return 0


async def list_tenants(arguments: argparse.Namespace, settings: IssuerSettings) -> int:
    """Print every tenant, one line each, or as JSON."""
    async with _opened(settings) as ctx:
        tenants = await ctx.tenants.every()
    if arguments.json:
        rows = [{"ods": t.ods, "name": t.name, "entity_id": t.entity_id, "state": t.state} for t in tenants]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    for tenant in tenants:
        print(f"{tenant.ods}\t{tenant.state}\t{tenant.entity_id}\t{tenant.name}")
    return 0


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


async def _configuration(ctx: Context, entity_id: str) -> str | None:
    """The entity configuration the running service serves, if it verifies."""
    try:
        answer = await ctx.outbound.get(
            f"{entity_id}/.well-known/openid-federation", accept=ENTITY_STATEMENT_MEDIA_TYPE
        )
    except OutboundError:
        return None
    if answer.status != 200:
        return None
    token = answer.body.decode("ascii", "replace")
    try:
        verify(token, now=ctx.clock.now(), expected_entity=entity_id)
    except FederationError:
        return None
    return token


async def _serves(ctx: Context, entity_id: str) -> bool:
    return await _configuration(ctx, entity_id) is not None


async def _holds_mark(ctx: Context, entity_id: str) -> bool:
    token = await _configuration(ctx, entity_id)
    if token is None:
        return False
    return bool(verify(token, now=ctx.clock.now(), expected_entity=entity_id).trust_marks)


async def _within(condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    for _ in range(int(seconds / PAUSE_S)):
        if await condition():
            return True
        await asyncio.sleep(PAUSE_S)
    return False


PROGRAM: ServiceProgram[IssuerSettings] = ServiceProgram(
    service=SERVICE,
    package=PACKAGE,
    version=VERSION,
    settings=IssuerSettings,
    metadata=tables.metadata,
    build=build,
    commands=(
        Command(
            name="tenant enrol", help="enrol a trust with the registry", run=enrol, configure=_enrol_arguments
        ),
        Command(name="tenant list", help="list the trusts", run=list_tenants, configure=_list_arguments),
    ),
)
