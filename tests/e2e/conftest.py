"""One stack of real processes for all end-to-end tests of a run: https, SQLite, two trusts enrolled."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo import onboarding
from deploy.demo.onboarding import CHRISTIE, MANCHESTER
from deploy.demo.story import Story
from deploy.dev.management import ManagementClient, http_client
from deploy.dev.stack import Stack, free_ports
from passport_registry.clients.tokens import read_client_key
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
        for service in stack.services.values():
            service.command("migrate")
        registry = stack.services["registry"]
        registry.command("init", "--out", str(folder / "trust.json"))
        registry.command("client", "create", "tests", "--out", str(folder / "client.json"))
        for name, service in stack.services.items():
            service.start()
            stack.wait_ready(name)
        client_id, key = read_client_key(folder / "client.json")
        operator = ManagementClient(client_id, key, http_client(stack.tls.ca))
        story = Story()
        for trust in (CHRISTIE, MANCHESTER):
            onboarding.join(story, stack, operator, trust)
        onboarding.agree(stack, operator)
        onboarding.live(story, stack, operator)
        yield Network(stack, operator)
    finally:
        stack.stop()


@pytest.fixture
async def peer(network: Network) -> AsyncIterator[node.NodePeer]:
    reason = node.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    process = await node.NodePeer.start(ca_file=Path(network.stack.tls.ca))
    yield process
    await process.stop()
