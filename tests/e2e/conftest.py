"""One stack of real processes for all end-to-end tests of a run: https, SQLite, two trusts enrolled.

Tests that use the Node peers run in their module's event loop: `pytest.mark.asyncio(loop_scope="module")`.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo import onboarding
from deploy.demo.story import Story
from deploy.demo.trusts import CHRISTIE, MANCHESTER
from deploy.dev import starting
from deploy.dev.management import ManagementClient
from deploy.dev.stack import Stack, free_ports
from passport_testkit import node


@dataclass(frozen=True)
class Network:
    """The running stack and a client that may do everything in it."""

    stack: Stack
    operator: ManagementClient

    def url(self, service: str) -> str:
        return self.stack.services[service].url


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("stack")
    stack = Stack.prepare(folder, ports=free_ports())
    try:
        known = starting.start(stack, simulators=False)
        story = Story()
        for trust in (CHRISTIE, MANCHESTER):
            onboarding.join(story, stack, known, trust)
        onboarding.agree(stack, known.machine)
        onboarding.live(story, stack, known.machine)
        yield Network(stack, known.machine)
    finally:
        stack.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(network: Network) -> AsyncIterator[node.NodePeer]:
    reason = node.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    process = await node.NodePeer.start(ca_file=Path(network.stack.tls.ca))
    yield process
    await process.stop()


@pytest.fixture(scope="session")
def trust_file(network: Network) -> dict[str, Any]:
    """What everybody who joins the network is given."""
    given: dict[str, Any] = json.loads((network.stack.folder / "trust.json").read_text())
    return given
