"""Commands of a service that is an API client of others: its key, and the events a receiver has refused."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TypeVar

from passport_shared.service.cli import Command, CommandFailed
from passport_shared.service.outbox import Outbox, SetAside
from passport_shared.service.service_client import client_jwks
from passport_shared.service.settings import ServiceSettings
from passport_shared.service.tenant_commands import Opened

S = TypeVar("S", bound=ServiceSettings)


def client_commands(opened: Opened[S]) -> tuple[Command[S], ...]:
    """The commands; ``opened`` gives the service's parts for the time of one command."""

    async def client_key(arguments: argparse.Namespace, settings: S) -> int:  # noqa: ARG001
        async with opened(settings) as parts:
            jwks = await client_jwks(parts.keys)
        sys.stdout.write(json.dumps(jwks, indent=2) + "\n")
        return 0

    async def list_set_aside(arguments: argparse.Namespace, settings: S) -> int:  # noqa: ARG001
        async with opened(settings) as parts:
            for one in await parts.outbox.set_aside():
                sys.stdout.write(_line(one))
        return 0

    async def resend(arguments: argparse.Namespace, settings: S) -> int:
        async with opened(settings) as parts:
            refused = await _resend(parts.outbox, arguments.event)
        if refused:
            raise CommandFailed(f"still refused: {', '.join(refused)}")
        return 0

    return (
        Command(
            name="client-key",
            help="print the public key to register this service as an API client with",
            run=client_key,
        ),
        Command(
            name="events set-aside", help="list the events a receiver refuses for good", run=list_set_aside
        ),
        Command(
            name="events resend",
            help="send events that were set aside once more",
            run=resend,
            configure=_resend_arguments,
        ),
    )


def _resend_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("event", nargs="?", help="id of one event; every one that was set aside by default")


def _line(one: SetAside) -> str:
    at = one.set_aside_at.isoformat(timespec="seconds")
    return f"{one.event_id}\t{one.sink}\t{one.type}\t{one.organisation}\t{one.reason}\t{at}\n"


async def _resend(outbox: Outbox, event_id: str | None) -> list[str]:
    """Send again; what is still refused, with the reason."""
    waiting = [one for one in await outbox.set_aside() if event_id in (None, one.event_id)]
    if event_id is not None and not waiting:
        raise CommandFailed("no event with this id was set aside: list them with 'events set-aside'")
    refused = []
    for one in waiting:
        reason = await outbox.resend(one.sink, one.event_id)
        if reason is not None:
            refused.append(f"{one.event_id} ({reason})")
    return refused
