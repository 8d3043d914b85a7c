"""The worlds of the interface tests: made when first asked for, shared by all tests of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from passport_testkit.contract_worlds import World, Worlds
from passport_testkit.databases import POSTGRESQL, SQLITE, Templates

WorldOf = Callable[..., World]


@pytest.fixture(scope="session")
def world_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database_templates: Templates
) -> Iterator[WorldOf]:
    """`world_of(service)`, on SQLite unless another dialect is named."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        worlds = Worlds(tmp_path_factory.mktemp("worlds"), runner, AsyncExitStack())

        def found(service: str, dialect: str = SQLITE) -> World:
            if (service, dialect) in worlds.made:
                return worlds.made[service, dialect]
            package = f"passport_{service}"
            if dialect == POSTGRESQL:
                request.getfixturevalue("postgresql_cluster")
                url = runner.run(database_templates.postgresql_copy(package))
            else:
                url = f"sqlite:///{worlds.folder / package}.db"
                runner.run(worlds.migrated(url, package))
            return worlds.get(service, dialect, url)

        try:
            yield found
        finally:
            runner.run(worlds.stack.aclose())
