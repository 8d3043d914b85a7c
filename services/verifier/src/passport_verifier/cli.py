"""The verifier's own commands beside ``serve``, ``migrate``, ``check-config`` and ``openapi``.

``tenant enrol`` and ``tenant list`` are the shared ones; ``policy asks`` prints what the network register
has to let a host ask for a policy, ready for the registry's operator.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from passport_shared.service.cli import Command, CommandFailed, ServiceProgram
from passport_shared.service.client_commands import client_commands
from passport_shared.service.clock import clock_of
from passport_shared.service.db import Database
from passport_shared.service.doctor import HealthPlan
from passport_shared.service.kek import KekError
from passport_shared.service.key_rolling import TENANT_ROLLS, Rollable, key_commands
from passport_shared.service.tenant_commands import Enrolling, tenant_commands
from passport_shared.wire import catalogue
from passport_verifier.app import (
    PACKAGE,
    SERVICE,
    VERSION,
    NoTrustFile,
    Parts,
    build,
    close_context,
    open_context,
    read_trust_file,
    service_tables,
)
from passport_verifier.operations import doctor, restoring
from passport_verifier.operations.rewrapping import rewrap
from passport_verifier.rules.asking import asked
from passport_verifier.rules.policies import HostPolicy, policies
from passport_verifier.settings import VerifierSettings
from passport_verifier.store import status_lists, tables


@asynccontextmanager
async def opened(settings: VerifierSettings) -> AsyncIterator[Enrolling]:
    """Open the verifier beside a service that may be running; refusals become one line."""
    try:
        ctx = open_context(settings, Parts(clock=clock_of(settings.clock_file)), shared=True)
    except (KekError, NoTrustFile) as error:
        raise CommandFailed(str(error)) from None
    try:
        yield Enrolling(
            tenants=ctx.tenants, keys=ctx.keys, outbox=ctx.outbox, outbound=ctx.outbound, clock=ctx.clock
        )
    finally:
        await close_context(ctx)


def _policy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("policy", nargs="?", help="id of one policy; every policy by default")


def policy_asks(arguments: argparse.Namespace, settings: VerifierSettings) -> int:
    """Print, as JSON, the authorisations to ask that the policies need."""
    try:
        vct_base = read_trust_file(settings.trust_file).vct_base
    except NoTrustFile as error:
        raise CommandFailed(str(error)) from None
    wanted = [policy for policy in policies().values() if arguments.policy in (None, policy.id)]
    if not wanted:
        raise CommandFailed(f"no policy is called {arguments.policy}: {', '.join(policies())}")
    print(json.dumps([_asks(policy, vct_base) for policy in wanted], indent=2, ensure_ascii=False))
    return 0


def _asks(policy: HostPolicy, vct_base: str) -> dict[str, object]:
    authorisations = [
        {
            "action": "ask",
            "vct": catalogue.vct(vct_base, entry.credential, catalogue.TYPES[entry.credential].version),
            "claims": [list(path) for path in entry.paths],
            "purposes": [policy.movement_type],
        }
        for entry in asked(policy)
    ]
    return {"policy": policy.version_id, "authorisations": authorisations}


@asynccontextmanager
async def with_keys(settings: VerifierSettings) -> AsyncIterator[Rollable]:
    """Open the keys beside a service that may be running."""
    try:
        ctx = open_context(settings, Parts(clock=clock_of(settings.clock_file)), shared=True)
    except (KekError, NoTrustFile) as error:
        raise CommandFailed(str(error)) from None
    try:
        yield Rollable(keys=ctx.keys, clock=ctx.clock, rewrap=lambda: rewrap(ctx.db, ctx.keys, ctx.kek))
    finally:
        await close_context(ctx)


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uri", help="address of the list, as in the credentials that name it")


async def status_list(arguments: argparse.Namespace, settings: VerifierSettings) -> None:
    """Print the newest token of a status list that is kept here: its issuer needs it after a restore."""
    database = Database(settings.database_url, name=SERVICE, shared=True, durable=settings.durable)
    async with database as db, db.read() as conn:
        kept = await status_lists.get(conn, arguments.uri)
    if kept is None or kept.token is None:
        raise CommandFailed("this list is not kept here")
    print(kept.token)


async def restored(_: argparse.Namespace, settings: VerifierSettings) -> None:
    """After a restore: end open requests, leap over the events of the lost time, say so in the audit log."""
    ctx = open_context(settings, Parts(clock=clock_of(settings.clock_file)))
    try:
        print(f"{await restoring.restored(ctx, service_tables())} open request(s) were ended")
    finally:
        await close_context(ctx)


HEALTH = HealthPlan(
    service=SERVICE,
    package=PACKAGE,
    tables=service_tables(),
    looks=doctor.LOOKS,
)

PROGRAM: ServiceProgram[VerifierSettings] = ServiceProgram(
    service=SERVICE,
    package=PACKAGE,
    version=VERSION,
    settings=VerifierSettings,
    metadata=tables.metadata,
    build=build,
    health=HEALTH,
    commands=(
        *tenant_commands(opened),
        *client_commands(opened),
        *key_commands(with_keys, TENANT_ROLLS),
        Command(
            name="restored",
            help="after a restore of the database and before serving: end what was open",
            run=restored,
        ),
        Command(
            name="status-list",
            help="print the status list of an issuer that this verifier keeps",
            run=status_list,
            configure=_list_arguments,
        ),
        Command(
            name="policy asks",
            help="print what the network register has to let a host ask",
            run=policy_asks,
            configure=_policy_arguments,
        ),
    ),
)
