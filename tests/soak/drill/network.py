"""Registry, issuer and verifier as processes, on SQLite or on a PostgreSQL of their own that flushes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.demo import onboarding, placing
from deploy.demo.story import Story
from deploy.demo.trusts import CHRISTIE, MANCHESTER
from deploy.dev import starting
from deploy.dev.clients import Clients
from deploy.dev.stack import Stack, free_ports
from passport_testkit.postgres_cluster import Cluster, throwaway_cluster

SERVICES = ("registry", "issuer", "verifier")


@dataclass
class Network:
    """The running network; `cluster` is there on PostgreSQL only."""

    stack: Stack
    clients: Clients
    cluster: Cluster | None

    def url(self, service: str) -> str:
        """Base URL of a service."""
        return self.stack.services[service].url


@contextlib.contextmanager
def running(folder: Path, *, postgresql: bool, files: Path | None = None) -> Iterator[Network]:
    """Start everything from nothing: two trusts enrolled, live, with an agreement; stop it at the end.

    Args:
        folder: settings, keys and logs.
        postgresql: a cluster of its own that flushes, in the temporary folder; else SQLite.
        files: where SQLite's files lie, if not in `folder`.
    """
    with contextlib.ExitStack() as held:
        cluster = held.enter_context(throwaway_cluster(durable=True)) if postgresql else None
        stack = Stack.prepare(folder, ports=free_ports())
        if cluster is not None:
            asyncio.run(_databases(cluster))
            for name, service in stack.services.items():
                service.environment[f"PASSPORT_{name.upper()}_DATABASE_URL"] = cluster.url(name)
        held.callback(stack.stop)
        if cluster is None and files is not None:
            for name, service in stack.services.items():
                service.environment[f"PASSPORT_{name.upper()}_DATABASE_URL"] = f"sqlite:///{files / name}.db"
        known = starting.start(stack, simulators=False)
        story = Story()
        for trust in (CHRISTIE, MANCHESTER):
            onboarding.join(story, stack, known, trust)
        onboarding.agree(stack, known.machine)
        onboarding.live(story, stack, known.machine)
        placing.name_issuer(stack, known.machine, MANCHESTER.ods)
        yield Network(stack, known, cluster)


async def _databases(cluster: Cluster) -> None:
    admin = await asyncpg.connect(cluster.url())
    try:
        for name in SERVICES:
            # The names are ours; identifiers cannot be parameters.
            await admin.execute(f'CREATE DATABASE "{name}"')
    finally:
        await admin.close()
