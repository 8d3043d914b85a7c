"""The ``tenant`` commands of a service with tenants: ``tenant enrol`` and ``tenant list``.

``tenant enrol`` runs beside the service: it makes the tenant's keys, and the running service serves the
entity configuration that the registry fetches while it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar

from passport_shared.formats.clock import Clock
from passport_shared.formats.federation import (
    ENTITY_STATEMENT_MEDIA_TYPE,
    EntityConfiguration,
    FederationError,
    verify_entity_configuration,
)
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.service.cli import Command, CommandFailed
from passport_shared.service.keys import KeyStore
from passport_shared.service.outbox import Outbox
from passport_shared.service.renewals import SEEN_BY_REPLICAS, Renewals
from passport_shared.service.settings import ServiceSettings
from passport_shared.service.tenancy import EnrolmentRefused, Tenant, Tenants
from passport_shared.wire.enrolment import PUBLISHED_BEFORE_USE

S = TypeVar("S", bound=ServiceSettings)

START_PATIENCE_S = 10.0
MARK_PATIENCE_S = 90.0
PAUSE_S = 0.5
FROM_INPUT = "-"
LONGEST_CODE = 1_000


@dataclass(frozen=True, kw_only=True)
class Enrolling:
    """What the commands need of a service that is opened beside its running self.

    ``afterwards`` is what the service still has to do for a tenant that was enrolled.
    """

    tenants: Tenants
    keys: KeyStore
    outbox: Outbox
    outbound: Outbound
    clock: Clock
    afterwards: Callable[[Tenant], Awaitable[None]] | None = None


Opened = Callable[[S], AbstractAsyncContextManager[Enrolling]]


def tenant_commands(opened: Opened[S]) -> tuple[Command[S], ...]:
    """The commands; ``opened`` gives the service's parts for the time of one command."""

    async def enrol(arguments: argparse.Namespace, settings: S) -> int:
        async with opened(settings) as parts:
            await _enrol(parts, arguments)
        return 0

    async def renew(arguments: argparse.Namespace, settings: S) -> int:
        async with opened(settings) as parts:
            await _renew(parts, arguments.ods)
        return 0

    async def list_tenants(arguments: argparse.Namespace, settings: S) -> int:
        async with opened(settings) as parts:
            _print(await parts.tenants.every(), as_json=arguments.json)
        return 0

    return (
        Command(
            name="tenant enrol", help="enrol a trust with the registry", run=enrol, configure=_enrol_arguments
        ),
        Command(
            name="tenant renew",
            help="have new keys certified for a trust before its old ones end",
            run=renew,
            configure=_renew_arguments,
        ),
        Command(name="tenant list", help="list the trusts", run=list_tenants, configure=_list_arguments),
    )


def _enrol_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ods", help="ODS code of the trust, upper case")
    parser.add_argument(
        "--code",
        required=True,
        help="the one-time code of the registry operator; - reads it from standard input, where other "
        "people on this machine do not see it",
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait until the running service holds the tenant's trust mark"
    )


def _renew_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ods", help="ODS code of the trust, upper case")


async def _renew(parts: Enrolling, ods: str) -> None:
    """Renew one tenant now; the running service publishes its next federation key meanwhile."""
    renewals = Renewals(
        parts.tenants,
        parts.keys,
        parts.clock,
        parts.outbound,
        registry_url=parts.tenants.registry_url,
    )
    try:
        renewed = await renewals.renew(ods)
    except LookupError:
        raise CommandFailed(f"{ods} is not enrolled here: use 'tenant enrol'") from None
    except EnrolmentRefused as error:
        raise CommandFailed(str(error)) from None
    if renewed is None:
        seconds = int(SEEN_BY_REPLICAS.total_seconds())
        raise CommandFailed(f"the next federation key was published just now: again in {seconds} seconds")
    newest = min(one.not_after_signing for one in renewed.held[-len(renewed.certificates) :])
    hours = int(PUBLISHED_BEFORE_USE.total_seconds() // 3600)
    _say(f"{ods}: new keys may sign until {newest:%Y-%m-%d}; they are used by themselves in {hours} hours")


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def _given(code: str) -> str:
    """The code, from standard input for ``-``: everybody on a machine can read the words of a command."""
    if code != FROM_INPUT:
        return code
    said = sys.stdin.readline(LONGEST_CODE).strip()
    if not said:
        raise CommandFailed("standard input holds no code: write it there, on one line")
    return said


async def _enrol(parts: Enrolling, arguments: argparse.Namespace) -> None:
    """Enrol a tenant; the same code may be used again after an interruption."""
    tenants, code = parts.tenants, _given(arguments.code)
    await tenants.prepare(arguments.ods)
    entity_id = tenants.entity_id(arguments.ods)
    if not await _within(lambda: _serves(parts, entity_id), START_PATIENCE_S):
        raise CommandFailed(f"nothing answers at {entity_id}: start the service first")
    try:
        tenant = await tenants.enrol(
            arguments.ods,
            code,
            registry_url=tenants.registry_url,
            outbound=parts.outbound,
        )
    except EnrolmentRefused as error:
        raise CommandFailed(str(error)) from None
    if parts.afterwards is not None:
        await parts.afterwards(tenant)
    _say(f"{tenant.ods}: enrolled {tenant.name} as {tenant.entity_id}")
    if arguments.wait:
        if not await _within(lambda: _holds_mark(parts, entity_id), MARK_PATIENCE_S):
            raise CommandFailed("enrolled, but the trust mark has not arrived yet: look at the service's log")
        _say(f"{tenant.ods}: the trust mark is in force")


def _print(tenants: list[Tenant], *, as_json: bool) -> None:
    if as_json:
        rows = [{"ods": t.ods, "name": t.name, "entity_id": t.entity_id, "state": t.state} for t in tenants]
        _say(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for tenant in tenants:
        _say(f"{tenant.ods}\t{tenant.state}\t{tenant.entity_id}\t{tenant.name}")


async def _served(parts: Enrolling, entity_id: str) -> EntityConfiguration | None:
    """The entity configuration the running service serves, if it verifies."""
    url = f"{entity_id}/.well-known/openid-federation"
    try:
        answer = await parts.outbound.get(url, accept=ENTITY_STATEMENT_MEDIA_TYPE)
        if answer.status != 200:
            return None
        token = answer.body.decode("ascii", "replace")
        return verify_entity_configuration(token, now=parts.clock.now(), expected_entity=entity_id)
    except (OutboundError, FederationError):
        return None


async def _serves(parts: Enrolling, entity_id: str) -> bool:
    return await _served(parts, entity_id) is not None


async def _holds_mark(parts: Enrolling, entity_id: str) -> bool:
    configuration = await _served(parts, entity_id)
    return configuration is not None and bool(configuration.trust_marks)


async def _within(condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    for _ in range(int(seconds / PAUSE_S)):
        if await condition():
            return True
        await asyncio.sleep(PAUSE_S)
    return False


def _say(text: str) -> None:
    """One line to whoever typed the command."""
    sys.stdout.write(f"{text}\n")
