"""Two replicas that roll and retire keys at the same moment, one of them with an old memory of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from passport_shared.service import keys
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.kek import Kek
from passport_shared.service.key_rolling import REPLICAS, TENANT_ROLLS, KeyRolling
from passport_shared.service.keys import KeyState, KeyStore
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, both_databases

METADATA = new_metadata()
TABLES = keys.tables(METADATA)
PURPOSE = "access-token"

pytestmark = both_databases


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def db(databases: FreshDatabases) -> Database:
    return await databases.open(metadata=METADATA)


def replica(db: Database, clock: FrozenClock) -> tuple[KeyStore, KeyRolling]:
    store = KeyStore(db, Kek(bytes(range(32))), TABLES, clock)
    return store, KeyRolling(store, clock, TENANT_ROLLS)


async def test_a_roll_that_another_replica_made_is_no_fault(db: Database, clock: FrozenClock) -> None:
    (ours, our_rolling), (theirs, their_rolling) = replica(db, clock), replica(db, clock)
    await our_rolling.begin(PURPOSE)
    clock.advance(REPLICAS)
    for store in (ours, theirs):
        await store.published(PURPOSE)
    assert await our_rolling.run() == [PURPOSE]
    assert await their_rolling.run() == [], "the other purposes are looked at all the same"
    assert (await theirs.active(PURPOSE)).kid == (await ours.active(PURPOSE)).kid
    clock.advance(TENANT_ROLLS[PURPOSE].keep_for)
    for store in (ours, theirs):
        await store.published(PURPOSE)
    await our_rolling.run()
    await their_rolling.run()
    assert [one.state for one in await theirs.published(PURPOSE)] == [KeyState.ACTIVE]


async def test_a_next_key_signs_only_after_it_was_published_itself(db: Database, clock: FrozenClock) -> None:
    """A replica that still remembers the last next key as old must not take the new one for it."""
    (ours, our_rolling), (theirs, their_rolling) = replica(db, clock), replica(db, clock)
    await our_rolling.begin(PURPOSE)
    clock.advance(REPLICAS)
    await theirs.published(PURPOSE)
    assert await our_rolling.run() == [PURPOSE]
    second = await ours.active(PURPOSE)
    clock.advance(timedelta(seconds=10))
    await our_rolling.begin(PURPOSE)
    assert await their_rolling.run() == []
    assert (await theirs.active(PURPOSE)).kid == second.kid
    ours.look_again(PURPOSE)
    assert [one.state for one in await ours.published(PURPOSE)] == [
        KeyState.ACTIVE,
        KeyState.NEXT,
        KeyState.RETIRING,
    ]
