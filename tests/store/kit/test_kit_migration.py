"""Migrations: a made-up service's history, written by the revision command, run on both databases."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, UniqueConstraint, insert, select, text

from passport_shared.service import audit, auth, documents, idempotency, jobs, keys, limits, outbox
from passport_shared.service.db import (
    Database,
    DatabaseInUse,
    JsonText,
    UtcDateTime,
    check,
    migrate,
    new_metadata,
    pending,
)
from passport_shared.service.migration import revise
from passport_testkit.databases import FreshDatabases, at_once, both_databases, postgresql_only


def _first() -> MetaData:
    metadata = new_metadata()
    Table("wards", metadata, Column("id", Text, primary_key=True), Column("opened_at", UtcDateTime))
    return metadata


def _second() -> MetaData:
    metadata = new_metadata()
    wards = Table(
        "wards",
        metadata,
        Column("id", Text, primary_key=True),
        Column("opened_at", UtcDateTime),
        Column("beds", Integer, nullable=False, server_default="0"),
        Column("facts", JsonText),
        UniqueConstraint("beds", "opened_at"),
    )
    Index("ix_wards_opened_at", wards.c.opened_at)
    return metadata


@pytest.fixture
def package(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """An importable package with an empty history, as a new service has."""
    name = f"kit_service_{abs(hash(request.node.nodeid))}"
    folder = tmp_path / "packages" / name / "store" / "migrations"
    folder.mkdir(parents=True)
    for level in (folder, folder.parent, folder.parent.parent):
        (level / "__init__.py").touch()
    sys.path.insert(0, str(tmp_path / "packages"))
    importlib.invalidate_caches()
    yield name
    sys.path.remove(str(tmp_path / "packages"))


async def _with_history(databases: FreshDatabases, package: str) -> str:
    """Write two revisions on a scratch database and give the URL of another, empty one."""
    scratch = await databases.url()
    await revise(scratch, package, _first(), "open wards")
    await migrate(scratch, package)
    await revise(scratch, package, _second(), "count beds")
    return await databases.url()


@both_databases
async def test_the_history_leads_to_the_tables(databases: FreshDatabases, package: str) -> None:
    url = await _with_history(databases, package)
    assert await pending(url, package) == ["0001", "0002"]
    await migrate(url, package, "0001")
    assert await pending(url, package) == ["0002"]
    assert await check(url, package, _first()) == []
    db = databases.attach(url)
    async with db.write() as conn:
        await conn.execute(insert(_first().tables["wards"]).values(id="w1"))
    await db.close()
    await migrate(url, package)
    assert (await pending(url, package), await check(url, package, _second())) == ([], [])
    async with db.read() as conn:
        rows = (await conn.execute(select(_second().tables["wards"]))).all()
    assert [(row.id, row.beds) for row in rows] == [("w1", 0)]


@both_databases
async def test_a_difference_between_code_and_database_is_found(
    databases: FreshDatabases, package: str
) -> None:
    url = await _with_history(databases, package)
    await migrate(url, package)
    differences = await check(url, package, _first())
    assert {item[0] for item in differences} >= {"remove_index", "remove_column"}


@both_databases
async def test_down_and_up_again(databases: FreshDatabases, package: str) -> None:
    url = await _with_history(databases, package)
    await migrate(url, package)
    await migrate(url, package, "base")
    assert await pending(url, package) == ["0001", "0002"]
    await migrate(url, package)
    assert await pending(url, package) == []


@both_databases
async def test_a_migration_that_fails_changes_nothing(databases: FreshDatabases, package: str) -> None:
    url = await _with_history(databases, package)
    versions = Path(str(importlib.import_module(f"{package}.store.migrations").__path__[0])) / "versions"
    second = next(versions.glob("0002_*.py"))
    second.write_text(
        second.read_text().replace("def downgrade", "    raise RuntimeError('power cut')\n\n\ndef downgrade")
    )
    await migrate(url, package, "0001")
    with pytest.raises(RuntimeError, match="power cut"):
        await migrate(url, package)
    assert await pending(url, package) == ["0002"]
    assert await check(url, package, _first()) == []


@postgresql_only
async def test_two_replicas_that_migrate_at_once_take_turns(databases: FreshDatabases, package: str) -> None:
    url = await _with_history(databases, package)
    assert await at_once(3, lambda _: migrate(url, package)) == [None, None, None]
    assert await pending(url, package) == []


async def test_a_running_service_is_not_migrated_under_its_feet(
    databases: FreshDatabases, package: str
) -> None:
    url = await _with_history(databases, package)
    async with Database(url, name="running"):
        with pytest.raises(DatabaseInUse):
            await migrate(url, package)
    await migrate(url, package)


async def test_asking_about_a_missing_file_does_not_make_it(tmp_path: Path, package: str) -> None:
    await revise(f"sqlite:///{tmp_path}/scratch.db", package, _first(), "open wards")
    assert await pending(f"sqlite:///{tmp_path}/absent/x.db", package) == ["0001"]
    assert not (tmp_path / "absent").exists()


async def test_a_package_without_migrations_is_named() -> None:
    with pytest.raises(ValueError, match=r"passport_shared.store.migrations is not a package"):
        await pending("sqlite:////nowhere/x.db", "passport_shared")


@both_databases
async def test_the_shared_tables_can_be_created(databases: FreshDatabases) -> None:
    metadata = new_metadata()
    for module in (audit, auth, documents, idempotency, jobs, keys, limits, outbox):
        module.tables(metadata)
    db = await databases.open(metadata=metadata)
    for table in metadata.sorted_tables:
        async with db.read() as conn:
            assert (await conn.execute(text(f"SELECT count(*) FROM {table.name}"))).scalar_one() == 0  # noqa: S608


def test_migrate_needs_no_running_loop(tmp_path: Path, package: str) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    asyncio.run(revise(url, package, _first(), "open wards"))
    asyncio.run(migrate(url, package))
    assert asyncio.run(pending(url, package)) == []
