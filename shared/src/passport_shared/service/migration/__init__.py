"""Migrations: one history per service, inside its package, in its own database (style.md §4.6).

A service holds ``<package>/store/migrations/versions/*.py`` and nothing else; the environment Alembic wants
lies beside this file and is shared. The URL travels in ``config.attributes``, so there is no alembic.ini.
Starting a service never migrates: ``migrate`` is a command of its own.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, event, make_url, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from passport_shared.service.database_url import FileLock, driver_url

T = TypeVar("T")

# Two replicas that both run "migrate" take turns; the number is arbitrary and ours.
ADVISORY_LOCK = 7_305_514_090


def config_for(
    package: str, connection: Connection | None = None, metadata: MetaData | None = None
) -> Config:
    """Alembic's configuration for one service's history."""
    try:
        spec = importlib.util.find_spec(f"{package}.store.migrations")
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        message = f"{package}.store.migrations is not a package"
        raise ValueError(message)
    config = Config()
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    versions = Path(next(iter(spec.submodule_search_locations))) / "versions"
    config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["metadata"] = metadata
    return config


async def migrate(url: str, package: str, revision: str = "head") -> None:
    """Bring the database to a revision; ``base`` goes down to nothing.

    Raises:
        DatabaseInUse: SQLite, and the service is running on it.
    """

    def run(connection: Connection) -> None:
        config = config_for(package, connection)
        if revision == "base":
            command.downgrade(config, "base")
        else:
            command.upgrade(config, revision)

    await _locked(url, run)


async def pending(url: str, package: str) -> list[str]:
    """The revisions that this package has and the database lacks, oldest first; empty when it is current."""
    script = ScriptDirectory.from_config(config_for(package))
    every = [revision.revision for revision in script.walk_revisions()][::-1]
    target = driver_url(url)
    missing = target.get_backend_name() == "sqlite" and not os.path.exists(str(target.database))  # noqa: ASYNC240
    if missing:
        return every

    def run(connection: Connection) -> list[str]:
        applied = set(MigrationContext.configure(connection).get_current_heads())
        known = {ancestor.revision for head in applied for ancestor in script.iterate_revisions(head, "base")}
        return [revision for revision in every if revision not in known]

    return await _connected(url, run)


async def check(url: str, package: str, metadata: MetaData) -> list[Any]:
    """The differences between a migrated database and the tables the code declares; empty when they agree."""

    def run(connection: Connection) -> list[Any]:
        heads = ScriptDirectory.from_config(config_for(package)).get_heads()
        if len(heads) != 1:
            return [("heads", heads)]
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    return await _connected(url, run)


async def revise(url: str, package: str, metadata: MetaData, message: str) -> None:
    """Write a new revision from the difference between database and tables: a development command."""

    def run(connection: Connection) -> None:
        config = config_for(package, connection, metadata)
        versions = Path(str(config.get_main_option("version_locations")))
        versions.mkdir(exist_ok=True)
        count = len(list(ScriptDirectory.from_config(config).walk_revisions()))
        command.revision(
            config, message=message, autogenerate=True, rev_id=f"{count + 1:04d}", version_path=str(versions)
        )

    await _connected(url, run)


async def _locked(url: str, run: Callable[[Connection], None]) -> None:
    parsed = make_url(url)
    lock = FileLock(Path(str(parsed.database))) if parsed.get_backend_name() == "sqlite" else None
    if lock is not None:
        lock.acquire()
    try:
        await _connected(url, run)
    finally:
        if lock is not None:
            lock.release()


async def _connected(url: str, run: Callable[[Connection], T]) -> T:
    target = driver_url(url)
    sqlite = target.get_backend_name() == "sqlite"
    engine = create_async_engine(
        target, poolclass=pool.NullPool, connect_args={"isolation_level": None} if sqlite else {}
    )
    if sqlite:
        _prepare_sqlite(engine.sync_engine)
    try:
        async with engine.begin() as connection:
            if not sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            return await connection.run_sync(run)
    finally:
        await engine.dispose()


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        # A batch migration rebuilds tables; foreign keys would fire on the old ones while it does.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin_immediate(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
