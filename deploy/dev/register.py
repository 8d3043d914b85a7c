"""Waiting until what was recorded at the registry has reached the services that follow it."""

from __future__ import annotations

import time
from collections.abc import Callable

from deploy.dev.management import ManagementClient
from deploy.dev.stack import Stack, StackError

FOLLOWERS = ("issuer", "verifier")
WAIT_S = 90


def published(stack: Stack, operator: ManagementClient) -> None:
    """Publish what is due, and wait until every service that follows the registry keeps it."""
    wanted = int(stack.services["registry"].command("publish").split()[-1])
    for name in FOLLOWERS:
        _wait_for(operator, stack.services[name].url, wanted, name)


def _wait_for(operator: ManagementClient, url: str, wanted: int, name: str) -> None:
    wait_until(lambda: _kept(operator, url) >= wanted, f"the network register at the {name}")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a background task to do its work."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.25)
    raise StackError(f"{what} did not arrive within {WAIT_S} seconds")


def _kept(operator: ManagementClient, service: str) -> int:
    """The sequence a service says it keeps, in its metrics."""
    for line in operator.http.get(f"{service}/metrics").text.splitlines():
        if line.startswith("passport_snapshot_sequence "):
            return int(float(line.split()[1]))
    return 0
