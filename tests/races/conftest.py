"""Where races are run: whole services on SQLite in this process, on PostgreSQL in four others beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from passport_shared.service.db import Database
from passport_testkit.contract_worlds import SERVICES, World, Worlds
from passport_testkit.databases import POSTGRESQL, SQLITE, Templates
from passport_testkit.notices import READABLE
from passport_testkit.replicas import Replicas, Service, replicas

WorldOf = Callable[[str, str], World]


@pytest.fixture(scope="session")
def racing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """Worlds of this process's own, which races may use up."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        worlds = Worlds(tmp_path_factory.mktemp("races"), runner, AsyncExitStack())
        try:
            yield worlds
        finally:
            runner.run(worlds.stack.aclose())


@pytest.fixture(scope="session")
def on_sqlite(racing: Worlds) -> Callable[[str], World]:
    """A world on SQLite: one process, many tasks."""

    def found(service: str) -> World:
        if (service, SQLITE) not in racing.made:
            url = f"sqlite:///{racing.folder / service}.db"
            racing.runner.run(racing.migrated(url, f"passport_{service}"))
            racing.get(service, SQLITE, url)
        return racing.made[service, SQLITE]

    return found


@pytest.fixture(scope="session")
def beside(
    racing: Worlds, request: pytest.FixtureRequest, database_templates: Templates
) -> Iterator[tuple[Replicas, dict[str, World]]]:
    """The three worlds on PostgreSQL, reached through four processes in turn."""
    request.getfixturevalue("postgresql_cluster")
    made = {}
    for service in SERVICES:
        url = racing.runner.run(database_templates.postgresql_copy(f"passport_{service}"))
        made[service] = racing.get(service, POSTGRESQL, url)
    described = [described_as(world, racing.folder) for world in made.values()]
    with replicas(racing.folder, described) as running:
        reached = {service: reached_by(world, running) for service, world in made.items()}
        yield running, reached
        for world in reached.values():
            racing.runner.run(world.http.aclose())


def described_as(world: World, folder: Path) -> Service:
    """What another process needs to run a world's service."""
    return Service(
        name=world.service,
        settings=_settings(world, folder),
        now=world.clock.now(),
        clients=() if world.service == "registry" else tuple(world.bench.clients.records.values()),
    )


def _settings(world: World, folder: Path) -> dict[str, Any]:
    context = world.app.state.context
    if world.service == "issuer":
        own = folder / f"{world.service}-{POSTGRESQL}"
        return {
            "public_url": world.base_url,
            "database_url": _url(context.db),
            "kek_file": own / "kek",
            "trust_file": own / "trust.json",
            "tls_ca_file": own / "workforce-tls" / "ca.pem",
            **READABLE,
        }
    settings: dict[str, Any] = context.settings.model_dump(exclude_unset=True)
    if world.service == "verifier":
        settings["trust_file"] = folder / "verifier-trust.json"
        settings["trust_file"].write_bytes(world.bench.registry.trust_file.as_bytes())
    return settings


def _url(db: Database) -> str:
    return db.url.set(drivername="postgresql").render_as_string(hide_password=False)


def reached_by(world: World, running: Replicas) -> World:
    """The same world, spoken to through the replicas."""
    http = running.client(world.base_url)
    bench = world.bench
    if world.service != "registry":
        bench = replace(bench, http=http)
    return replace(world, http=http, bench=bench)
