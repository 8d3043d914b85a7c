"""Cached documents: versions that only grow, one refresher, memory that follows the row."""

from __future__ import annotations

from datetime import timedelta

import pytest

from passport_shared.service import documents, jobs
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.documents import CachedDocuments, Document, StaleVersion
from passport_shared.service.jobs import Leases
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases

METADATA = new_metadata()
TABLES = documents.tables(METADATA)
JOB_TABLES = jobs.tables(METADATA)
RECHECK = timedelta(seconds=2)

pytestmark = both_databases


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def db(databases: FreshDatabases) -> Database:
    return await databases.open(metadata=METADATA)


@pytest.fixture
def cache(db: Database, clock: FrozenClock) -> CachedDocuments:
    return CachedDocuments(db, TABLES, clock)


async def test_a_document_comes_back_as_it_was_put(
    cache: CachedDocuments, db: Database, clock: FrozenClock
) -> None:
    put = await cache.put(
        "snapshot",
        b"\x00bytes\xff",
        media_type="application/x",
        version=7,
        max_age=timedelta(seconds=15),
        source_etag='"abc"',
    )
    for reader in (cache, CachedDocuments(db, TABLES, clock)):
        assert await reader.get("snapshot") == put
    assert (put.version, put.body, put.media_type, put.source_etag) == (
        7,
        b"\x00bytes\xff",
        "application/x",
        '"abc"',
    )
    assert (put.max_age, put.fetched_at, put.checked_at) == (timedelta(seconds=15), clock.now(), clock.now())
    assert await cache.get("other") is None


@pytest.mark.parametrize(
    ("version", "body", "accepted"),
    [
        (8, b"new", True),
        (8, b"old", True),
        (7, b"old", True),
        (7, b"new", False),
        (6, b"old", False),
        (6, b"new", False),
        (0, b"new", False),
    ],
)
async def test_versions_only_grow(
    cache: CachedDocuments, version: int, body: bytes, *, accepted: bool
) -> None:
    await cache.put("snapshot", b"old", media_type="a/b", version=7)
    if accepted:
        await cache.put("snapshot", body, media_type="a/b", version=version)
    else:
        with pytest.raises(StaleVersion):
            await cache.put("snapshot", body, media_type="a/b", version=version)
    kept = await cache.get("snapshot")
    assert kept is not None
    assert (kept.version, kept.body) == ((version, body) if accepted else (7, b"old"))


async def test_putting_the_same_again_only_confirms_it(cache: CachedDocuments, clock: FrozenClock) -> None:
    first = await cache.put("snapshot", b"old", media_type="a/b", version=7)
    clock.advance(timedelta(hours=1))
    again = await cache.put("snapshot", b"old", media_type="a/b", version=7)
    assert (again.fetched_at, again.checked_at) == (first.fetched_at, clock.now())


async def test_without_a_version_each_put_is_newer(cache: CachedDocuments) -> None:
    versions = [(await cache.put("list", body, media_type="a/b")).version for body in (b"1", b"2", b"2")]
    assert versions == [1, 2, 3]


async def test_another_replica_sees_a_newer_document_soon(
    cache: CachedDocuments, db: Database, clock: FrozenClock
) -> None:
    reader = CachedDocuments(db, TABLES, clock)
    await cache.put("list", b"1", media_type="a/b")
    assert body_of(await reader.get("list")) == b"1"
    await cache.put("list", b"2", media_type="a/b")
    assert body_of(await reader.get("list")) == b"1", "from memory, within the time to recheck"
    clock.advance(RECHECK)
    assert body_of(await reader.get("list")) == b"2"
    await cache.delete("list")
    assert await cache.get("list") is None
    clock.advance(RECHECK)
    assert await reader.get("list") is None


async def test_a_clock_set_back_does_not_freeze_memory(
    cache: CachedDocuments, db: Database, clock: FrozenClock
) -> None:
    reader = CachedDocuments(db, TABLES, clock)
    await cache.put("list", b"1", media_type="a/b")
    await reader.get("list")
    await cache.put("list", b"2", media_type="a/b")
    clock.advance(timedelta(days=-400))
    assert body_of(await reader.get("list")) == b"2"


def body_of(document: Document | None) -> bytes | None:
    return None if document is None else document.body


async def test_touch_moves_only_the_time_of_checking(
    cache: CachedDocuments, db: Database, clock: FrozenClock
) -> None:
    put = await cache.put("snapshot", b"1", media_type="a/b", version=1)
    clock.advance(timedelta(minutes=1))
    await cache.touch("snapshot")
    for reader in (cache, CachedDocuments(db, TABLES, clock)):
        kept = await reader.get("snapshot")
        assert kept is not None
        assert (kept.fetched_at, kept.checked_at) == (put.fetched_at, clock.now())


async def test_a_put_that_is_rolled_back_is_forgotten(cache: CachedDocuments, db: Database) -> None:
    await cache.put("list", b"1", media_type="a/b")
    with pytest.raises(ZeroDivisionError):
        async with db.write() as conn:
            await cache.put("list", b"2", media_type="a/b", conn=conn)
            raise ZeroDivisionError
    assert body_of(await cache.get("list")) == b"1"


async def test_thirty_writers_of_one_version_one_wins(db: Database, clock: FrozenClock) -> None:
    caches = [CachedDocuments(db, TABLES, clock) for _ in range(30)]
    results = await at_once(
        30, lambda n: caches[n].put("snapshot", str(n).encode(), media_type="a/b", version=5)
    )
    winners = [result for result in results if isinstance(result, Document)]
    assert len(winners) == 1
    assert all(isinstance(result, StaleVersion) for result in results if result not in winners)
    assert await CachedDocuments(db, TABLES, clock).get("snapshot") == winners[0]


async def test_thirty_writers_without_a_version_get_thirty_versions(db: Database, clock: FrozenClock) -> None:
    caches = [CachedDocuments(db, TABLES, clock) for _ in range(30)]
    results = await at_once(30, lambda n: caches[n].put("list", str(n).encode(), media_type="a/b"))
    assert sorted(result.version for result in results if isinstance(result, Document)) == list(range(1, 31))


async def test_one_replica_at_a_time_refreshes(db: Database, clock: FrozenClock) -> None:
    caches = [CachedDocuments(db, TABLES, clock) for _ in range(10)]
    leases = Leases(db, JOB_TABLES, clock)
    inside: list[int] = []
    most: list[int] = []

    def refresher(number: int) -> object:
        async def refresh(_: Document | None) -> None:
            inside.append(number)
            most.append(len(inside))
            await caches[number].put("snapshot", b"x", media_type="a/b", version=1)
            inside.remove(number)

        return caches[number].refresh("snapshot", leases, refresh)

    results = await at_once(10, refresher)
    assert set(results) <= {True, False}
    assert True in results
    assert set(most) == {1}


async def test_memory_keeps_large_documents_within_its_limit(
    cache: CachedDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES_IN_MEMORY", 4_500)
    for number in range(5):
        await cache.put(f"d{number}", bytes([number]) * 1_000, media_type="a/b")
    assert cache._bytes <= 4_500  # each counts twice: as it is, and compressed for whoever asks
    assert len(cache._memory) == 2
    assert body_of(await cache.get("d0")) == bytes(1_000)
