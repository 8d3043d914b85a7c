"""The ``client-key`` command of a service that is an API client of others."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TypeVar

from passport_shared.service.cli import Command
from passport_shared.service.service_client import client_jwks
from passport_shared.service.settings import ServiceSettings
from passport_shared.service.tenant_commands import Opened

S = TypeVar("S", bound=ServiceSettings)


def client_commands(opened: Opened[S]) -> tuple[Command[S], ...]:
    """The command; ``opened`` gives the service's parts for the time of one command."""

    async def client_key(arguments: argparse.Namespace, settings: S) -> int:  # noqa: ARG001
        async with opened(settings) as parts:
            jwks = await client_jwks(parts.keys)
        sys.stdout.write(json.dumps(jwks, indent=2) + "\n")
        return 0

    return (
        Command(
            name="client-key",
            help="print the public key to register this service as an API client with",
            run=client_key,
        ),
    )
