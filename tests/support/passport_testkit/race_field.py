"""Three services on PostgreSQL, each run by several processes at once, for the rounds of `race_rounds`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from passport_shared.service.db import Database
from passport_testkit.contract_worlds import SERVICES, World, Worlds
from passport_testkit.databases import POSTGRESQL
from passport_testkit.notices import READABLE
from passport_testkit.replicas import PROCESSES, Replicas, Service, replicas


@contextlib.contextmanager
def worlds_on_replicas(
    worlds: Worlds, url_of: Callable[[str], str], *, processes: int = PROCESSES
) -> Iterator[dict[str, World]]:
    """The three worlds, reached through processes in turn.

    Args:
        worlds: where the worlds are made.
        url_of: gives a migrated PostgreSQL database for a package.
        processes: how many there are, besides the one that made the worlds.
    """
    made = {service: worlds.get(service, POSTGRESQL, url_of(f"passport_{service}")) for service in SERVICES}
    described = [_described(world, worlds.folder) for world in made.values()]
    with replicas(worlds.folder, described, processes=processes) as running:
        reached = {service: _reached(world, running) for service, world in made.items()}
        try:
            yield reached
        finally:
            for world in reached.values():
                worlds.runner.run(world.http.aclose())


def _described(world: World, folder: Path) -> Service:
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


def _reached(world: World, running: Replicas) -> World:
    """The same world, spoken to through the replicas."""
    http = running.client(world.base_url)
    bench = world.bench if world.service == "registry" else replace(world.bench, http=http)
    return replace(world, http=http, bench=bench)
