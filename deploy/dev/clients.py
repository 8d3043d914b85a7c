"""The API clients of a sandbox: one machine, and two people, because giving authority takes two."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from deploy.dev.deployment import Deployment
from deploy.dev.management import ManagementClient, http_client
from passport_registry.clients.tokens import read_client_key
from passport_shared.service.clock import MovableClock

MACHINE, FIRST, SECOND = "sandbox", "first-person", "second-person"


@dataclass(frozen=True)
class Clients:
    """Clients of the whole network: a machine that names who acts, and two people who are themselves."""

    machine: ManagementClient
    first: ManagementClient
    second: ManagementClient


def create(stack: Deployment) -> Clients:
    """Register the clients at the registry; each key is written once, readable by its owner only."""
    registry = stack.services["registry"]
    for client_id in (MACHINE, FIRST, SECOND):
        kind = "MACHINE" if client_id == MACHINE else "PERSON"
        printed = registry.command("client", "create", client_id, "--kind", kind)
        file = stack.folder / f"{client_id}.json"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as private:
            private.write(printed)
    return read(stack)


def register_services(stack: Deployment, operator: ManagementClient) -> None:
    """Make issuer and verifier clients of the others: they report activity, and a host has placements issued.

    Their keys are made by themselves; only the public ones are handed over.
    """
    scopes = {"issuer": ["activity:write"], "verifier": ["activity:write", "placements:write"]}
    for name, wanted in scopes.items():
        jwks = json.loads(stack.services[name].command("client-key"))
        body = {
            "client_id": f"{name}-service",
            "name": f"The {name} itself",
            "kind": "MACHINE",
            "organisation": "*",
            "scopes": wanted,
            "jwks": jwks,
            "actor": "sandbox-operator",
        }
        operator.post(stack.services["registry"].url, "/api/v1/clients", body)


def read(stack: Deployment) -> Clients:
    """The clients of a stack that has them."""
    http, clock = http_client(stack.tls.ca), MovableClock(stack.clock_file)
    machine, first, second = (
        ManagementClient(*read_client_key(stack.folder / f"{client_id}.json"), http, clock)
        for client_id in (MACHINE, FIRST, SECOND)
    )
    return Clients(machine, first, second)
