"""The key store: wrapped rows, one active key per purpose and owner, and the life of a key."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from passport_shared.formats.jose import SigningKey
from passport_shared.service import keys
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.keys import RECHECK, Kek, KekError, KeyExists, KeyMissing, KeyState, KeyStore
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases

METADATA = new_metadata()
TABLES = keys.tables(METADATA)
KEK = Kek(bytes(range(32)))

pytestmark = both_databases


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def db(databases: FreshDatabases) -> Database:
    return await databases.open(metadata=METADATA)


@pytest.fixture
def store(db: Database, clock: FrozenClock) -> KeyStore:
    return KeyStore(db, KEK, TABLES, clock)


def another(db: Database, clock: FrozenClock, kek: Kek = KEK) -> KeyStore:
    """The key store of another replica: nothing in memory."""
    return KeyStore(db, kek, TABLES, clock)


async def test_a_key_survives_and_signs_alike(store: KeyStore, db: Database, clock: FrozenClock) -> None:
    made = await store.create("credential", "RBV")
    found = await another(db, clock).active("credential", "RBV")
    assert found.kid == made.kid
    assert made.public.verifies(b"data", found.sign(b"data"))
    assert (await another(db, clock).load(made.kid)).kid == made.kid


async def test_the_row_does_not_hold_the_key_in_the_clear(store: KeyStore, db: Database) -> None:
    made = await store.create("credential", "RBV")
    async with db.read() as conn:
        row = (await conn.execute(select(TABLES.keys))).mappings().one()
    secret = made.private.private_numbers().private_value.to_bytes(32, "big")
    assert secret not in bytes(row["wrapped"])
    assert row["public_jwk"] == made.public.jwk
    assert "d" not in row["public_jwk"]


async def test_purposes_and_owners_are_apart(store: KeyStore) -> None:
    made = {
        (await store.create(purpose, owner)).kid
        for purpose in ("credential", "status")
        for owner in ("", "RBV", "R0A")
    }
    assert len(made) == 6
    with pytest.raises(KeyMissing):
        await store.active("request", "RBV")
    with pytest.raises(KeyMissing):
        await store.active("credential", "RW3")


@pytest.mark.parametrize("state", [KeyState.ACTIVE, KeyState.NEXT])
async def test_a_second_key_of_the_same_state_is_refused(store: KeyStore, state: KeyState) -> None:
    await store.create("credential", "RBV", state=state)
    with pytest.raises(KeyExists):
        await store.create("credential", "RBV", state=state)


async def test_fifty_at_once_get_the_same_key(db: Database, clock: FrozenClock) -> None:
    stores = [another(db, clock) for _ in range(50)]
    results = await at_once(50, lambda number: stores[number].ensure("access-token"))
    assert all(isinstance(result, SigningKey) for result in results), results
    assert len({result.kid for result in results if isinstance(result, SigningKey)}) == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [("owner", "R0A"), ("purpose", "status"), ("kid", "x"), ("wrapped", b"\0" * 200)],
)
async def test_a_tampered_row_does_not_open(
    store: KeyStore, db: Database, clock: FrozenClock, column: str, value: object
) -> None:
    await store.create("credential", "RBV")
    async with db.write() as conn:
        await conn.execute(update(TABLES.keys).values({column: value}))
    row_now = {"owner": "RBV", "purpose": "credential", column: value}
    with pytest.raises(KekError):
        await another(db, clock).active(str(row_now["purpose"]), str(row_now["owner"]))


async def test_a_row_copied_under_another_key_id_does_not_open(
    store: KeyStore, db: Database, clock: FrozenClock
) -> None:
    ours = await store.create("credential", "RBV")
    theirs = await store.create("credential", "R0A")
    async with db.write() as conn:
        wrapped = (
            await conn.execute(select(TABLES.keys.c.wrapped).where(TABLES.keys.c.kid == ours.kid))
        ).scalar_one()
        await conn.execute(update(TABLES.keys).where(TABLES.keys.c.kid == theirs.kid).values(wrapped=wrapped))
    with pytest.raises(KekError):
        await another(db, clock).active("credential", "R0A")


async def test_another_kek_opens_nothing_and_is_found_at_start(
    store: KeyStore, db: Database, clock: FrozenClock
) -> None:
    await store.create("credential", "RBV")
    await store.check()
    stranger = another(db, clock, Kek(bytes(range(32, 64))))
    with pytest.raises(KekError):
        await stranger.active("credential", "RBV")
    with pytest.raises(KekError):
        await stranger.check()


async def test_the_life_of_a_key(store: KeyStore, clock: FrozenClock) -> None:
    first = await store.create("credential", "RBV")
    second = await store.create("credential", "RBV", state=KeyState.NEXT)
    assert await states(store) == {first.kid: KeyState.ACTIVE, second.kid: KeyState.NEXT}
    assert (await store.active("credential", "RBV")).kid == first.kid
    clock.advance(timedelta(days=1))
    assert (await store.activate_next("credential", "RBV")).kid == second.kid
    assert (await store.active("credential", "RBV")).kid == second.kid
    assert await states(store) == {second.kid: KeyState.ACTIVE, first.kid: KeyState.RETIRING}
    assert (await store.load(first.kid)).kid == first.kid
    await store.retire(first.kid)
    assert await states(store) == {second.kid: KeyState.ACTIVE}
    with pytest.raises(KeyMissing):
        await store.load(first.kid)
    await store.compromise(second.kid)
    assert await states(store) == {}
    for missing in (store.active("credential", "RBV"), store.load(second.kid)):
        with pytest.raises(KeyMissing):
            await missing
    assert (await store.create("credential", "RBV")).kid not in (first.kid, second.kid)


async def states(store: KeyStore) -> dict[str, KeyState]:
    return {key.kid: key.state for key in await store.published("credential", "RBV")}


async def test_moves_that_do_not_exist_are_refused(store: KeyStore) -> None:
    active = await store.create("credential", "RBV")
    for refused in (
        store.retire(active.kid),
        store.retire("unknown"),
        store.compromise("unknown"),
        store.activate_next("credential", "RBV"),
    ):
        with pytest.raises(KeyMissing):
            await refused
    assert (await store.active("credential", "RBV")).kid == active.kid, "a failed activation changes nothing"


async def test_a_rotation_or_compromise_elsewhere_is_seen_soon(
    store: KeyStore, db: Database, clock: FrozenClock
) -> None:
    first = await store.create("credential", "RBV")
    assert (await store.active("credential", "RBV")).kid == first.kid
    elsewhere = another(db, clock)
    second = await elsewhere.create("credential", "RBV", state=KeyState.NEXT)
    await elsewhere.activate_next("credential", "RBV")
    clock.advance(RECHECK)
    assert (await store.active("credential", "RBV")).kid == second.kid
    await elsewhere.compromise(second.kid)
    clock.advance(RECHECK)
    with pytest.raises(KeyMissing):
        await store.active("credential", "RBV")
    assert await states(store) == {first.kid: KeyState.RETIRING}


async def test_twenty_rotations_at_once_move_one_key(
    db: Database, store: KeyStore, clock: FrozenClock
) -> None:
    await store.create("credential", "RBV")
    second = await store.create("credential", "RBV", state=KeyState.NEXT)
    stores = [another(db, clock) for _ in range(20)]
    results = await at_once(20, lambda number: stores[number].activate_next("credential", "RBV"))
    moved = [result for result in results if isinstance(result, SigningKey)]
    assert [key.kid for key in moved] == [second.kid]
    assert all(isinstance(result, KeyMissing) for result in results if result not in moved)
    assert (await another(db, clock).active("credential", "RBV")).kid == second.kid


async def test_keys_made_in_a_transaction_that_fails_do_not_exist(store: KeyStore, db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.write() as conn:
            await store.create("credential", "RBV", conn=conn)
            raise ZeroDivisionError
    with pytest.raises(KeyMissing):
        await store.active("credential", "RBV")


async def test_secrets_are_the_same_on_every_replica_from_the_first_moment(
    db: Database, clock: FrozenClock
) -> None:
    stores = [another(db, clock) for _ in range(30)]
    results = await at_once(30, lambda number: stores[number].secret("tx_code"))
    assert len(set(results)) == 1
    assert isinstance(results[0], bytes)
    assert len(results[0]) == 32
    assert await stores[0].secret("nonce") != results[0]


async def test_everything_moves_to_a_new_kek_and_secrets_stay(
    store: KeyStore, db: Database, clock: FrozenClock
) -> None:
    key = await store.create("credential", "RBV")
    secret = await store.secret("tx_code")
    second = Kek(bytes(range(32, 64)), version=2)
    both = another(db, clock, Kek(bytes(range(32, 64)), version=2, also=[KEK]))
    assert await both.rewrap() == 2
    assert await both.rewrap() == 0
    fresh = another(db, clock, second)
    assert (await fresh.active("credential", "RBV")).kid == key.kid
    assert await fresh.secret("tx_code") == secret
    with pytest.raises(KekError):
        await another(db, clock).active("credential", "RBV")
