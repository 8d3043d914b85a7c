"""Paging: every item once, in order, while the list grows; cursors of other lists are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Integer, Table, Text, insert, select

from passport_shared.formats import strict
from passport_shared.service.db import Database, UtcDateTime, new_metadata
from passport_shared.service.paging import PageQuery, decode_cursor, encode_cursor, fetch_page
from passport_shared.service.problems import BadRequest
from passport_testkit.databases import FreshDatabases, both_databases

METADATA = new_metadata()
EVENTS = Table(
    "events",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("size", Integer, nullable=False),
)
START = datetime(2026, 9, 1, 8, 0, 0, 1, tzinfo=UTC)


async def _filled(databases: FreshDatabases, count: int) -> Database:
    db = await databases.open(metadata=METADATA)
    rows = [{"id": f"e{i:02}", "at": START + timedelta(minutes=i // 3), "size": i % 2} for i in range(count)]
    async with db.write() as conn:
        await conn.execute(insert(EVENTS), rows)
    return db


async def _walk(db: Database, limit: int, *, descending: bool, columns: list[str]) -> list[list[str]]:
    pages: list[list[str]] = []
    cursor: str | None = None
    while True:
        async with db.read() as conn:
            rows, cursor = await fetch_page(
                conn,
                select(EVENTS),
                list_name="events",
                order_by=[EVENTS.c[name] for name in columns],
                query=PageQuery(limit, cursor),
                descending=descending,
            )
        pages.append([row.id for row in rows])
        if cursor is None:
            return pages


@both_databases
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("columns", [["id"], ["at", "id"], ["size", "at", "id"]])
async def test_every_item_once_and_in_order(
    databases: FreshDatabases, descending: bool, columns: list[str]
) -> None:
    db = await _filled(databases, 11)
    async with db.read() as conn:
        order = [EVENTS.c[name].desc() if descending else EVENTS.c[name] for name in columns]
        everything = list((await conn.execute(select(EVENTS.c.id).order_by(*order))).scalars())
    pages = await _walk(db, 4, descending=descending, columns=columns)
    assert [len(page) for page in pages] == [4, 4, 3]
    assert [item for page in pages for item in page] == everything


@both_databases
@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (3, [3]), (4, [4]), (5, [4, 1])])
async def test_the_last_page_has_no_next(databases: FreshDatabases, count: int, sizes: list[int]) -> None:
    db = await databases.open(metadata=METADATA) if count == 0 else await _filled(databases, count)
    assert [len(page) for page in await _walk(db, 4, descending=False, columns=["id"])] == sizes


@both_databases
async def test_new_items_do_not_disturb_a_reader(databases: FreshDatabases) -> None:
    db = await _filled(databases, 6)
    query = PageQuery(3)
    async with db.read() as conn:
        first, cursor = await fetch_page(
            conn,
            select(EVENTS),
            list_name="events",
            order_by=[EVENTS.c.at, EVENTS.c.id],
            query=query,
            descending=True,
        )
    async with db.write() as conn:
        await conn.execute(insert(EVENTS).values(id="new", at=START + timedelta(days=1), size=0))
    async with db.read() as conn:
        second, _ = await fetch_page(
            conn,
            select(EVENTS),
            list_name="events",
            order_by=[EVENTS.c.at, EVENTS.c.id],
            query=PageQuery(3, cursor),
            descending=True,
        )
    assert [row.id for row in (*first, *second)] == ["e05", "e04", "e03", "e02", "e01", "e00"]


GOOD = encode_cursor("events", ["e01", 7, START])


def _with(value: object) -> str:
    return strict.b64url_encode(strict.dumps(value))


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "=====",
        GOOD + "=",
        GOOD[:-2],
        encode_cursor("others", ["e01", 7, START]),
        encode_cursor("events", ["e01", 7]),
        encode_cursor("events", ["e01", 7, START, 1]),
        encode_cursor("events", [7, "e01", START]),
        encode_cursor("events", ["e\x00", 7, START]),
        encode_cursor("events", ["e01", True, START]),
        encode_cursor("events", ["e01", 2**53 * 2**20, START]),
        encode_cursor("events", ["e01", 7, "2026-09-01T08:00:00"]),
        encode_cursor("events", ["e01", 7, "yesterday"]),
        encode_cursor("events", ["e01", 7, None]),
        _with({}),
        _with([]),
        _with(1),
        _with(None),
    ],
)
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest, match="does not belong to this list") as caught:
        decode_cursor("events", cursor, [str, int, datetime])
    assert caught.value.field == "query/cursor"


def test_a_cursor_of_ours_is_read_back() -> None:
    assert decode_cursor("events", GOOD, [str, int, datetime]) == ["e01", 7, START]
