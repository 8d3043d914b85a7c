"""Where races are run: whole services on SQLite in this process, on PostgreSQL in four others beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from passport_testkit.contract_worlds import World, Worlds
from passport_testkit.databases import SQLITE, Templates
from passport_testkit.race_field import worlds_on_replicas


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
) -> Iterator[dict[str, World]]:
    """The three worlds on PostgreSQL, reached through four processes in turn."""
    request.getfixturevalue("postgresql_cluster")

    def url_of(package: str) -> str:
        return racing.runner.run(database_templates.postgresql_copy(package))

    with worlds_on_replicas(racing, url_of) as reached:
        yield reached
