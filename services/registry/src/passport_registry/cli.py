"""The registry's own commands beside `serve`, `migrate` and `check-config`.

Commands work on the database directly, also beside a running service, and say what they did in one line. What
is printed on standard output is meant for a file or a pipe; a private key is printed once and kept nowhere.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

from passport_registry import app
from passport_registry.app import Parts, close_context, open_context
from passport_registry.clients.tokens import TokenRefused, access_token, read_client_key
from passport_registry.context import Context
from passport_registry.operations import (
    anchor,
    clients,
    doctor,
    entities,
    organisations,
    publishing,
    restoring,
)
from passport_registry.operations.clients import RegisterClient
from passport_registry.operations.organisations import OrganisationDetails
from passport_registry.rules.entities import Role
from passport_registry.rules.onboarding import Step, StepRecord, StepState
from passport_registry.settings import RegistrySettings
from passport_registry.store import tables
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.strict import b64url_encode
from passport_shared.service.auth import Actor
from passport_shared.service.cli import Command, CommandFailed, ServiceProgram
from passport_shared.service.clock import clock_of
from passport_shared.service.doctor import HealthPlan
from passport_shared.service.key_rolling import REGISTRY_ROLLS, Rollable, key_commands
from passport_shared.service.keys import KekError
from passport_shared.service.problems import PassportError
from passport_shared.wire.clients import ApiClient, ClientKind, ClientState
from passport_shared.wire.scopes import ALL_SCOPES

PUBLISH_ATTEMPTS = 240
PUBLISH_PAUSE_S = 0.25

OPERATOR = Actor(ref="command-line", client_id="command-line", kind=ClientKind.MACHINE, asserted=True)


@asynccontextmanager
async def opened(settings: RegistrySettings) -> AsyncIterator[Context]:
    """Open the registry beside a service that may be running; refusals become one line."""
    try:
        ctx = open_context(settings, Parts(clock=clock_of(settings.clock_file)), shared=True)
    except KekError as error:
        raise CommandFailed(str(error)) from None
    try:
        yield ctx
    except PassportError as error:
        faults = "".join(f"\n  {fault.pointer}: {fault.detail}" for fault in error.errors)
        raise CommandFailed(f"{error.detail}{faults}") from None
    finally:
        await close_context(ctx)


def write(text: str, out: Path | None, *, private: bool = False) -> None:
    """Write to a file (0600 if private, never over an existing private one) or to standard output."""
    if out is None:
        print(text)
        return
    if not private:
        out.write_text(text + "\n", encoding="utf-8")
        return
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CommandFailed(f"{out} exists and is not overwritten") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def _out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="write to this file instead of standard output")


async def init(arguments: argparse.Namespace, settings: RegistrySettings) -> None:
    """Make what is missing of the anchor, publish, and give the trust file."""
    async with opened(settings) as ctx:
        made = await anchor.initialise(ctx)
        await publishing.publish(ctx)
    write(made.as_bytes().decode("utf-8"), arguments.out)


async def trust_file(arguments: argparse.Namespace, settings: RegistrySettings) -> None:
    """Give the trust file."""
    async with opened(settings) as ctx:
        made = await anchor.trust_file(ctx)
    write(made.as_bytes().decode("utf-8"), arguments.out)


async def publish(_: argparse.Namespace, settings: RegistrySettings) -> None:
    """Publish whatever is due; ends when everything that was recorded before is published, by whomever."""
    async with opened(settings) as ctx:
        for _attempt in range(PUBLISH_ATTEMPTS):
            await publishing.publish(ctx)
            if await publishing.lag(ctx) == 0:
                print(f"sequence {await publishing.sequence(ctx)}")
                return
            # a running service has the lease and is at it
            await asyncio.sleep(PUBLISH_PAUSE_S)
    raise CommandFailed("a service has been publishing for too long: look at its log")


def _client_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client_id")
    parser.add_argument("--name", help="what it is for")
    parser.add_argument(
        "--kind", choices=[kind.value for kind in ClientKind], default=ClientKind.MACHINE.value
    )
    parser.add_argument("--organisation", default="*", help="ODS code, or * for the whole network")
    parser.add_argument("--scope", action="append", help="scope; may be repeated; all scopes by default")
    _out(parser)


async def client_create(arguments: argparse.Namespace, settings: RegistrySettings) -> None:
    """Register a client with a new key; the private JWK is printed once."""
    key = SigningKey.generate()
    secret = key.private.private_numbers().private_value.to_bytes(32, "big")
    jwk = {**key.public.jwk, "d": b64url_encode(secret), "kid": key.kid, "alg": "ES256", "use": "sig"}
    cmd = RegisterClient(
        client_id=arguments.client_id,
        name=arguments.name or arguments.client_id,
        kind=ClientKind(arguments.kind),
        organisation=arguments.organisation,
        scopes=arguments.scope or sorted(ALL_SCOPES),
        jwks=[key.public.jwk],
    )
    content = json.dumps({"client_id": cmd.client_id, "jwk": jwk}, indent=2)
    async with opened(settings) as ctx:
        if arguments.out is not None and arguments.out.exists():
            raise CommandFailed(f"{arguments.out} exists and is not overwritten")
        await clients.register(ctx, cmd, OPERATOR)
        write(content, arguments.out, private=True)
        await publishing.publish(ctx)


async def client_list(_: argparse.Namespace, settings: RegistrySettings) -> None:
    """List API clients, one a line."""
    async with opened(settings) as ctx:
        for client in await clients.api_clients(ctx):
            print(_client_line(client))


def _client_line(client: ApiClient) -> str:
    scopes = " ".join(sorted(client.scopes))
    return "\t".join([client.client_id, client.state, client.kind, client.organisation, scopes])


async def client_suspend(arguments: argparse.Namespace, settings: RegistrySettings) -> None:
    """Suspend an API client."""
    async with opened(settings) as ctx:
        await clients.set_state(
            ctx, arguments.client_id, ClientState.SUSPENDED, OPERATOR, reason="command line"
        )
        await publishing.publish(ctx)
    print(f"{arguments.client_id} is suspended", file=sys.stderr)


def _client_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client_id")


def _organisation_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ods")
    parser.add_argument("--name", required=True)
    parser.add_argument("--alias", action="append", default=[])
    parser.add_argument("--locality")
    parser.add_argument("--hrd", help="HR director's office or mailbox")
    parser.add_argument("--hr-team", help="mailbox shown in the public register")
    parser.add_argument("--phone")


async def organisation_add(arguments: argparse.Namespace, settings: RegistrySettings) -> None:
    """Add an organisation."""
    named = {"hrd": arguments.hrd, "hr_team": arguments.hr_team, "phone": arguments.phone}
    details = OrganisationDetails(
        name=arguments.name,
        aliases=arguments.alias,
        locality=arguments.locality,
        contacts={name: value for name, value in named.items() if value},
    )
    async with opened(settings) as ctx:
        view = await organisations.invite(ctx, arguments.ods, details, OPERATOR)
    print(f"{arguments.ods} is {view.state}", file=sys.stderr)


def _step_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ods")
    parser.add_argument("step", choices=[step.value for step in Step])
    parser.add_argument("--state", choices=[state.value for state in StepState], default=StepState.DONE.value)
    parser.add_argument("--done-on", type=date.fromisoformat)
    parser.add_argument("--valid-until", type=date.fromisoformat)
    parser.add_argument("--waived-until", type=date.fromisoformat)
    parser.add_argument("--waived-by")
    parser.add_argument("--evidence", help="reference of a document")
    parser.add_argument("--detail", action="append", default=[], help="fact=value, such as ods_active=true")


async def organisation_step(arguments: argparse.Namespace, settings: RegistrySettings) -> None:
    """Record an onboarding step."""
    record = StepRecord(
        step=Step(arguments.step),
        state=StepState(arguments.state),
        done_on=arguments.done_on,
        valid_until=arguments.valid_until,
        waived_until=arguments.waived_until,
        waived_by=arguments.waived_by,
        evidence=arguments.evidence,
        details=dict(_detail(text) for text in arguments.detail),
    )
    async with opened(settings) as ctx:
        view = await organisations.record_step(ctx, arguments.ods, record, OPERATOR, expected_version=None)
    print(f"{arguments.ods} is {view.state}", file=sys.stderr)


def _detail(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandFailed(f"--detail {text}: write fact=value")
    if value in {"true", "false"}:
        return name, value == "true"
    return name, int(value) if value.isdecimal() else value


def _entity_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ods")
    parser.add_argument("role", choices=[role.value for role in Role])
    parser.add_argument("entity_id", help="Entity Identifier, such as https://issuer.example/RBV")


async def entity_create(arguments: argparse.Namespace, settings: RegistrySettings) -> None:
    """Create an entity and print its first enrolment code."""
    async with opened(settings) as ctx:
        await entities.create(ctx, arguments.ods, Role(arguments.role), arguments.entity_id, OPERATOR)
        code = await entities.make_code(ctx, arguments.ods, Role(arguments.role), OPERATOR)
    print(code.code)


def _role_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ods")
    parser.add_argument("role", choices=[role.value for role in Role])


async def entity_code(arguments: argparse.Namespace, settings: RegistrySettings) -> None:
    """Print a new enrolment code; an unused one before it ends."""
    async with opened(settings) as ctx:
        code = await entities.make_code(ctx, arguments.ods, Role(arguments.role), OPERATOR)
    print(code.code)


def _token_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client", type=Path, required=True, help="file that `client create --out` wrote")
    parser.add_argument("--url", help="base URL of the service; this registry by default")
    parser.add_argument("--scope", help="scopes separated by spaces; all the client has there by default")


async def token(arguments: argparse.Namespace, settings: RegistrySettings) -> None:
    """Print an access token of any service of the network, for use with curl."""
    try:
        client_id, key = read_client_key(arguments.client)
        given = await access_token(
            arguments.url or settings.public_url,
            client_id,
            key,
            clock=clock_of(settings.clock_file),
            ca_file=settings.tls_ca_file,
            scope=arguments.scope,
        )
    except TokenRefused as error:
        raise CommandFailed(str(error)) from None
    print(given)


async def restored(_: argparse.Namespace, settings: RegistrySettings) -> None:
    """After a restore: say so in the audit log, and publish what the restored database says."""
    async with opened(settings) as ctx:
        await restoring.restored(ctx, app.service_tables())
    await publish(argparse.Namespace(), settings)


COMMANDS = (
    Command(
        name="restored",
        help="after a restore of the database and before serving: publish anew, say so in the audit log",
        run=restored,
    ),
    Command(
        name="init",
        help="make the anchor's keys and authority; print the trust file",
        run=init,
        configure=_out,
    ),
    Command(name="trust-file", help="print the trust file", run=trust_file, configure=_out),
    Command(name="publish", help="publish whatever is due now", run=publish),
    Command(
        name="client create",
        help="register an API client and print its private key once",
        run=client_create,
        configure=_client_arguments,
    ),
    Command(name="client list", help="list API clients", run=client_list),
    Command(name="client suspend", help="suspend an API client", run=client_suspend, configure=_client_id),
    Command(
        name="token",
        help="print an access token of a service for a client",
        run=token,
        configure=_token_arguments,
    ),
    Command(
        name="organisation add",
        help="add an organisation",
        run=organisation_add,
        configure=_organisation_arguments,
    ),
    Command(
        name="organisation step",
        help="record an onboarding step of an organisation",
        run=organisation_step,
        configure=_step_arguments,
    ),
    Command(
        name="entity create",
        help="create an entity and print its enrolment code",
        run=entity_create,
        configure=_entity_arguments,
    ),
    Command(
        name="entity code",
        help="print a new enrolment code of an entity",
        run=entity_code,
        configure=_role_arguments,
    ),
)


@asynccontextmanager
async def with_keys(settings: RegistrySettings) -> AsyncIterator[Rollable]:
    """Open the keys beside a service that may be running."""
    async with opened(settings) as ctx:
        yield Rollable(keys=ctx.keys, clock=ctx.clock, rewrap=ctx.keys.rewrap)


HEALTH = HealthPlan(
    service=app.SERVICE,
    package=app.PACKAGE,
    tables=app.service_tables(),
    looks=doctor.LOOKS,
)

PROGRAM = ServiceProgram(
    service=app.SERVICE,
    package=app.PACKAGE,
    version=app.VERSION,
    settings=RegistrySettings,
    metadata=tables.metadata,
    build=app.build,
    commands=(*COMMANDS, *key_commands(with_keys, REGISTRY_ROLLS)),
    health=HEALTH,
)
