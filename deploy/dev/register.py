"""Waiting until what was recorded at the registry has reached the services that follow it."""

from __future__ import annotations

import time
from collections.abc import Callable

from deploy.dev.deployment import Deployment, Program
from deploy.dev.management import ManagementClient
from deploy.dev.stack import StackError

FOLLOWERS = ("issuer", "verifier")
WAIT_S = 90


def published(stack: Deployment, _operator: ManagementClient) -> None:
    """Publish what is due, and wait until every service that follows the registry keeps it."""
    wanted = int(stack.services["registry"].command("publish").split()[-1])
    for name in FOLLOWERS:
        _wait_for(stack.services[name], wanted)


def _wait_for(service: Program, wanted: int) -> None:
    wait_until(lambda: kept(service) >= wanted, f"the network register at the {service.name}")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a background task to do its work."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.25)
    raise StackError(f"{what} did not arrive within {WAIT_S} seconds")


def kept(service: Program) -> int:
    """The sequence that every replica of a service says it keeps, in its metrics."""
    return min(_sequence(text) for text in service.metrics())


def _sequence(metrics: str) -> int:
    for line in metrics.splitlines():
        if line.startswith("passport_snapshot_sequence "):
            return int(float(line.split()[1]))
    return 0
