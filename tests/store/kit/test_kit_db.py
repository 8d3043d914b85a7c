"""The database of a service on both dialects: who commits, who reads what, who is refused."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Date,
    ForeignKey,
    Index,
    Insert,
    Integer,
    PrimaryKeyConstraint,
    RowMapping,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.database_faults import as_answer, database_unavailable
from passport_shared.service.db import (
    Database,
    DatabaseInUse,
    DatabaseUnsafe,
    JsonText,
    UtcDateTime,
    driver_url,
    is_unique_violation,
    new_metadata,
    violates,
)
from passport_testkit.databases import FreshDatabases, at_once, both_databases, postgresql_only
from passport_testkit.postgres_cluster import Cluster

METADATA = new_metadata()
ITEMS = Table(
    "items",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("colour", Text),
    Column("size", Integer),
    Column("count", Integer, nullable=False, server_default="0"),
    Column("at", UtcDateTime),
    Column("on", Date),
    Column("facts", JsonText),
    UniqueConstraint("colour", "size"),
)
PARTS = Table(
    "parts", METADATA, Column("id", Text, primary_key=True), Column("item_id", ForeignKey(ITEMS.c.id))
)
OWNERS = Table("owners", METADATA, Column("id", Text, primary_key=True), Column("code", Text))
OWNER_CODE = Index(None, OWNERS.c.code, unique=True)


async def _open(databases: FreshDatabases) -> Database:
    return await databases.open(metadata=METADATA)


async def _count(db: Database) -> int:
    async with db.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(ITEMS))).scalar_one())


@both_databases
async def test_a_write_commits_when_its_block_ends_and_not_before(databases: FreshDatabases) -> None:
    db = await _open(databases)
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a"))
        assert await _count(db) == 0
    assert await _count(db) == 1


@both_databases
async def test_a_write_that_fails_leaves_nothing(databases: FreshDatabases) -> None:
    db = await _open(databases)
    with pytest.raises(RuntimeError, match="halfway"):
        async with db.write() as conn:
            await conn.execute(insert(ITEMS).values(id="a"))
            raise RuntimeError("halfway")
    assert await _count(db) == 0
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="b"))
    assert await _count(db) == 1


@both_databases
async def test_a_cancelled_write_leaves_nothing_and_the_next_one_works(databases: FreshDatabases) -> None:
    db = await _open(databases)
    inside = asyncio.Event()

    async def forever() -> None:
        async with db.write() as conn:
            await conn.execute(insert(ITEMS).values(id="a"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(forever())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="b"))
    assert await _count(db) == 1


async def test_a_reader_on_sqlite_cannot_write(databases: FreshDatabases) -> None:
    db = await _open(databases)
    async with db.read() as conn:
        with pytest.raises(Exception, match="readonly"):
            await conn.execute(insert(ITEMS).values(id="a"))


@both_databases
async def test_reads_go_on_beside_a_write(databases: FreshDatabases) -> None:
    db = await _open(databases)
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a"))
        assert await at_once(8, lambda _: _count(db)) == [0] * 8


@both_databases
async def test_counting_up_at_once_loses_no_step(databases: FreshDatabases) -> None:
    db = await _open(databases)
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a"))
    step = update(ITEMS).where(ITEMS.c.id == "a").values(count=ITEMS.c.count + 1).returning(ITEMS.c.count)

    async def hot(_: int) -> int:
        return int((await db.hot(step, step))[0]["count"])

    assert sorted(await at_once(40, hot)) == list(range(1, 41))  # type: ignore[type-var]


@both_databases
async def test_hot_consumes_once_and_gives_its_rows(databases: FreshDatabases) -> None:
    db = await _open(databases)
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a", count=1))
    take = update(ITEMS).where(ITEMS.c.count == 1).values(count=0).returning(ITEMS.c.id)
    results = await at_once(20, lambda _: db.hot(take, take))
    assert [rows for rows in results if rows] == [[{"id": "a"}]]


@both_databases
async def test_hot_stops_where_a_statement_finds_nothing(databases: FreshDatabases) -> None:
    db = await _open(databases)
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a", count=1))
    sqlite_form = [
        text("UPDATE items SET count = 0 WHERE id = :id AND count = 1 RETURNING id"),
        text("INSERT INTO parts (id, item_id) VALUES (:part, :id) RETURNING id"),
    ]
    postgresql_form = text(
        "WITH taken AS (UPDATE items SET count = 0 WHERE id = :id AND count = 1 RETURNING id) "
        "INSERT INTO parts (id, item_id) SELECT :part, id FROM taken RETURNING id"
    )
    first = await db.hot(sqlite_form, postgresql_form, {"id": "a", "part": "p1"})
    second = await db.hot(sqlite_form, postgresql_form, {"id": "a", "part": "p2"})
    assert ([dict(row) for row in first], second) == ([{"id": "p1"}], [])
    async with db.read() as conn:
        assert (await conn.execute(select(PARTS.c.id))).scalars().all() == ["p1"]


@both_databases
async def test_hot_may_take_a_function_on_sqlite(databases: FreshDatabases) -> None:
    db = await _open(databases)

    async def sqlite_form(conn: AsyncConnection, params: Mapping[str, object]) -> list[RowMapping]:
        await conn.execute(insert(ITEMS).values(id=params["id"], count=1))
        return list((await conn.execute(select(ITEMS.c.id, ITEMS.c.count))).mappings().all())

    statement = text("INSERT INTO items (id, count) VALUES (:id, 1) RETURNING id, count")
    assert [dict(row) for row in await db.hot(sqlite_form, statement, {"id": "a"})] == [
        {"id": "a", "count": 1}
    ]


@both_databases
async def test_instants_come_back_as_utc_and_compare(databases: FreshDatabases) -> None:
    db = await _open(databases)
    summer = datetime(2026, 7, 1, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=1)))
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a", at=summer, on=date(2026, 7, 1)))
        with pytest.raises(StatementError, match="naive"):
            await conn.execute(insert(ITEMS).values(id="b", at=datetime(2026, 7, 1)))  # noqa: DTZ001
    async with db.read() as conn:
        row = (
            await conn.execute(select(ITEMS).where(ITEMS.c.at <= datetime(2026, 7, 1, 9, 0, 1, tzinfo=UTC)))
        ).one()
        assert (row.at, row.at.tzinfo, row.on) == (summer.astimezone(UTC), UTC, date(2026, 7, 1))
        later = select(ITEMS).where(ITEMS.c.at > datetime(2026, 7, 1, 9, 0, 1, tzinfo=UTC))
        assert (await conn.execute(later)).all() == []


@both_databases
async def test_json_comes_back_as_it_was(databases: FreshDatabases) -> None:
    db = await _open(databases)
    facts = {"b": [1, None, True], "a": "Siân", "n": {"x": 1.5}}
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a", facts=facts))
        await conn.execute(insert(ITEMS).values(id="b", facts=None))
        with pytest.raises(StatementError):
            await conn.execute(insert(ITEMS).values(id="c", facts=float("nan")))
    async with db.read() as conn:
        rows = (await conn.execute(select(ITEMS.c.facts).order_by(ITEMS.c.id))).scalars().all()
        null = text("SELECT count(*) FROM items WHERE facts IS NULL")
        assert (rows, (await conn.execute(null)).scalar_one()) == ([facts, None], 1)


@both_databases
async def test_a_violated_constraint_is_told_by_name(databases: FreshDatabases) -> None:
    db = await _open(databases)
    (colour_and_size,) = [c for c in ITEMS.constraints if isinstance(c, UniqueConstraint)]
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a", colour="red", size=1))
        await conn.execute(insert(OWNERS).values(id="a", code="x"))
    cases: list[tuple[Insert, UniqueConstraint | PrimaryKeyConstraint | Index]] = [
        (insert(ITEMS).values(id="a"), ITEMS.primary_key),
        (insert(ITEMS).values(id="b", colour="red", size=1), colour_and_size),
        (insert(OWNERS).values(id="b", code="x"), OWNER_CODE),
    ]
    constraints = [constraint for _, constraint in cases]
    for statement, broken in cases:
        with pytest.raises(IntegrityError) as caught:
            async with db.write() as conn:
                await conn.execute(statement)
        assert is_unique_violation(caught.value)
        assert [c for c in constraints if violates(caught.value, c)] == [broken]


@both_databases
async def test_a_foreign_key_holds_and_is_no_unique_violation(databases: FreshDatabases) -> None:
    db = await _open(databases)
    with pytest.raises(IntegrityError) as caught:
        async with db.write() as conn:
            await conn.execute(insert(PARTS).values(id="p", item_id="nowhere"))
    assert not is_unique_violation(caught.value)
    assert not violates(caught.value, PARTS.primary_key)


async def test_sqlite_is_set_to_keep_what_it_acknowledges(databases: FreshDatabases) -> None:
    db = await _open(databases)
    async with db.write() as conn:
        found = {
            name: (await conn.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


async def test_a_second_user_of_a_sqlite_file_is_refused_with_the_first_ones_number(
    databases: FreshDatabases,
) -> None:
    url = await databases.url()
    first = databases.attach(url)
    await first.open()
    second = databases.attach(url)
    with pytest.raises(DatabaseInUse, match=rf"in use by process {os.getpid()}: SQLite serves one process"):
        await second.open()
    await first.close()
    await second.open()


async def test_a_short_command_may_share_the_file(databases: FreshDatabases) -> None:
    db = await _open(databases)
    beside = databases.attach(f"sqlite:///{db.url.database}", shared=True)
    async with beside.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a"))
    assert await _count(db) == 1


async def test_two_writers_of_one_sqlite_file_wait_for_each_other(databases: FreshDatabases) -> None:
    db = await _open(databases)
    beside = databases.attach(f"sqlite:///{db.url.database}", shared=True)
    async with db.write() as conn:
        await conn.execute(insert(ITEMS).values(id="a"))
    step = update(ITEMS).values(count=ITEMS.c.count + 1).returning(ITEMS.c.count)
    results = await at_once(20, lambda i: (db if i % 2 else beside).hot(step, step))
    assert sorted(rows[0]["count"] for rows in results) == list(range(1, 21))  # type: ignore[index]


def _count_up(url: str, times: int) -> None:
    async def run() -> None:
        async with Database(url, name="test", durable=False) as db:
            step = update(ITEMS).values(count=ITEMS.c.count + 1)
            for _ in range(times):
                await db.hot(step, step)

    asyncio.run(run())


@postgresql_only
async def test_several_processes_on_postgresql_lose_no_step(databases: FreshDatabases) -> None:
    url = await databases.url()
    db = databases.attach(url)
    async with db.write() as conn:
        await conn.run_sync(METADATA.create_all)
        await conn.execute(insert(ITEMS).values(id="a"))
    processes = [
        multiprocessing.get_context("spawn").Process(target=_count_up, args=(url, 10)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    async with db.read() as conn:
        assert (await conn.execute(select(ITEMS.c.count))).scalar_one() == 30


@postgresql_only
async def test_postgresql_that_does_not_flush_is_refused(databases: FreshDatabases) -> None:
    url = await databases.url()
    strict = Database(url, name="issuer")
    with pytest.raises(DatabaseUnsafe, match=r"issuer database does not keep .*fsync=off \(needs on\)"):
        await strict.open()
    relaxed = databases.attach(url)
    await relaxed.open()


@postgresql_only
async def test_connections_carry_the_services_limits(databases: FreshDatabases) -> None:
    db = databases.attach(await databases.url(), name="verifier")
    async with db.read() as conn:
        names = (
            "application_name",
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
        )
        found = [(await conn.execute(text(f"SHOW {name}"))).scalar_one() for name in names]
    assert found == ["passport-verifier", "30s", "10s", "1min"]


async def test_a_server_that_is_not_there_is_unavailable(postgresql_cluster: Cluster) -> None:
    nowhere = Database(postgresql_cluster.url("no_such_database"), name="test")
    with pytest.raises(Exception, match="no_such_database") as caught:
        await nowhere.open()
    assert not database_unavailable(caught.value)
    dead = Database("postgresql://postgres@127.0.0.1:1/x", name="test")
    with pytest.raises(OSError) as refused:
        await dead.open()
    assert database_unavailable(refused.value)
    assert as_answer(refused.value).status == 503


async def test_a_read_only_file_is_unavailable_not_a_fault(databases: FreshDatabases) -> None:
    db = await _open(databases)
    async with db.write() as conn:
        await conn.exec_driver_sql("PRAGMA query_only=ON")
        with pytest.raises(Exception, match="readonly") as caught:
            await conn.execute(insert(ITEMS).values(id="a"))
        await conn.exec_driver_sql("PRAGMA query_only=OFF")
    assert as_answer(caught.value).status == 503


async def test_a_missing_table_is_a_fault(databases: FreshDatabases) -> None:
    db = databases.attach(await databases.url())
    with pytest.raises(Exception, match="no such table") as caught:
        await _count(db)
    assert as_answer(caught.value).status == 500


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "oracle://x"])
def test_only_our_databases_are_understood(url: str) -> None:
    with pytest.raises(ValueError, match=r"SQLite needs a file|start with sqlite"):
        driver_url(url)


def test_the_drivers_are_ours(tmp_path: Path) -> None:
    assert driver_url(f"sqlite:///{tmp_path}/x.db").drivername == "sqlite+aiosqlite"
    assert driver_url("postgresql://u@h/d").drivername == "postgresql+asyncpg"
