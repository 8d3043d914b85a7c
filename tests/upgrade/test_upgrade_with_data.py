"""From the release before this one, with people's data in it, to this one: nothing begun is lost."""

from __future__ import annotations

import asyncio
import lzma
import sqlite3
import subprocess
from pathlib import Path

import asyncpg
import pytest

from deploy.dev import starting
from deploy.dev.clients import Clients
from deploy.dev.stack import Stack, free_ports
from passport_testkit.postgres_cluster import Cluster
from tests.upgrade import lives, previous
from tests.upgrade.pack import RELEASES, archived

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

COMMITS = {"0.2.0": "b9ec356"}
"""Where each kept release was landed."""
LAST = {"0.2.0": "0007"}
"""The last migration of the issuer in each: what ran before the upgrade was the old release indeed."""


def old_stack(folder: Path, source: Path) -> Stack:
    stack = Stack.prepare(folder, ports=free_ports())
    for name, service in stack.services.items():
        stack.services[name] = previous.as_previous(service, source)
    return stack


def start(stack: Stack) -> None:
    for name, service in stack.services.items():
        service.start()
        stack.wait_ready(name)


def begun(stack: Stack) -> tuple[Clients, lives.Begun]:
    known = starting.start(stack, simulators=False)
    lives.network(stack, known)
    return known, lives.begin(stack, known.machine)


def test_on_sqlite_the_service_is_stopped_migrated_and_started(tmp_path: Path) -> None:
    stack = old_stack(tmp_path / "stack", previous.unpack(tmp_path / "old"))
    try:
        known, left = begun(stack)
        assert revision(stack.folder / "issuer.db") == LAST["0.2.0"]
        stack.stop()
        for service in stack.services.values():
            previous.to_present(service)
            service.command("migrate")
        start(stack)
        lives.go_on(stack, known.machine, left)
    finally:
        stack.stop()


@pytest.mark.postgres
def test_on_postgresql_old_replicas_serve_the_migrated_database_until_they_are_replaced(
    tmp_path: Path, postgresql_cluster: Cluster
) -> None:
    stack = old_stack(tmp_path / "stack", previous.unpack(tmp_path / "old"))
    for name, service in stack.services.items():
        create_database(postgresql_cluster, f"upgrade_{name}")
        url = postgresql_cluster.url(f"upgrade_{name}")
        service.environment[f"PASSPORT_{name.upper()}_DATABASE_URL"] = url
    try:
        known, left = begun(stack)
        running = {name: service.process for name, service in stack.services.items()}
        for service in stack.services.values():
            previous.to_present(service)
            service.command("migrate")
        lives.meanwhile(stack, known.machine)
        assert running == {name: service.process for name, service in stack.services.items()}
        stack.stop()
        start(stack)
        lives.go_on(stack, known.machine, left)
    finally:
        stack.stop()


@pytest.mark.parametrize("version", sorted(COMMITS))
def test_a_kept_release_is_what_was_landed(version: str) -> None:
    """Where the checkout has the history; a checkout without it has nothing to compare with."""
    try:
        landed = archived(COMMITS[version])
    except (subprocess.CalledProcessError, FileNotFoundError):
        return
    assert lzma.decompress((RELEASES / f"{version}.tar.xz").read_bytes()) == landed


def revision(file: Path) -> str:
    with sqlite3.connect(file) as database:
        [[found]] = database.execute("SELECT version_num FROM alembic_version")
    return str(found)


def create_database(cluster: Cluster, name: str) -> None:
    async def create() -> None:
        admin = await asyncpg.connect(cluster.url())
        try:
            await admin.execute(f'CREATE DATABASE "{name}"')
        finally:
            await admin.close()

    asyncio.run(create())
