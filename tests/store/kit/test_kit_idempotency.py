"""Idempotency keys: one execution per key, whatever runs at once, repeats or crashes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Column, Table, Text, func, insert, select
from starlette.requests import Request

from passport_shared.formats.ids import new_id
from passport_shared.service import idempotency
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.idempotency import Claim, Idempotency, IdempotentCall, Outcome, call_of, key_of
from passport_shared.service.problems import BadRequest, PassportError
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases

METADATA = new_metadata()
CLAIMS = idempotency.tables(METADATA)
THINGS = Table("things", METADATA, Column("id", Text, primary_key=True))
CALL = IdempotentCall(client_id="hr", route="POST /things", key_hash="k1", fingerprint="f1")


class Desk:
    """A service that makes things, one replica of it."""

    def __init__(self, db: Database, clock: FrozenClock) -> None:
        self.db = db
        self.clock = clock
        self.idempotency = Idempotency(db, CLAIMS, clock)

    async def make(self, call: IdempotentCall | None = CALL) -> Outcome:
        async def work(claim: Claim) -> str:
            made = new_id()
            async with self.db.write() as conn:
                await conn.execute(insert(THINGS).values(id=made))
                await claim.complete(conn, made)
            return made

        return await self.idempotency.once(call, work)

    async def things(self) -> int:
        async with self.db.read() as conn:
            return int((await conn.execute(select(func.count()).select_from(THINGS))).scalar_one())


@pytest.fixture
async def desk(databases: FreshDatabases) -> Desk:
    return Desk(await databases.open(metadata=METADATA), FrozenClock())


@both_databases
async def test_a_repeated_request_finds_what_the_first_one_made(desk: Desk) -> None:
    first = await desk.make()
    again = await desk.make()
    assert (first.replayed, again) == (False, Outcome(first.resource_id, replayed=True))
    assert await desk.things() == 1


@both_databases
async def test_twenty_at_once_make_one_thing(desk: Desk) -> None:
    for number in range(5):
        results = await at_once(20, lambda _, n=number: desk.make(replace(CALL, key_hash=f"race-{n}")))  # type: ignore[misc]
        made = [r for r in results if isinstance(r, Outcome) and not r.replayed]
        refused = [r for r in results if isinstance(r, PassportError)]
        assert len(made) == 1
        assert {r.code for r in refused} <= {"request_in_progress"}
        replays = [r for r in results if isinstance(r, Outcome) and r.replayed]
        assert {r.resource_id for r in replays} <= {made[0].resource_id}
        assert len(made) + len(refused) + len(replays) == 20
    assert await desk.things() == 5


@both_databases
async def test_two_replicas_make_one_thing(desk: Desk, databases: FreshDatabases) -> None:
    url = desk.db.url.render_as_string(hide_password=False).replace("+asyncpg", "").replace("+aiosqlite", "")
    replica = Desk(databases.attach(url, shared=True), desk.clock)
    results = await at_once(20, lambda i: (desk if i % 2 else replica).make())
    assert len([r for r in results if isinstance(r, Outcome) and not r.replayed]) == 1
    assert await desk.things() == 1


@both_databases
async def test_another_request_under_the_key_is_refused(desk: Desk) -> None:
    await desk.make()
    with pytest.raises(PassportError) as caught:
        await desk.make(replace(CALL, fingerprint="other"))
    assert (caught.value.code, caught.value.status) == ("idempotency_key_reused", 422)


@both_databases
async def test_a_running_request_is_told_so(desk: Desk) -> None:
    async def work(_: Claim) -> str:
        with pytest.raises(PassportError) as caught:
            await desk.make()
        assert (caught.value.code, caught.value.status) == ("request_in_progress", 409)
        assert caught.value.headers == {"Retry-After": "1"}
        return "made"

    assert await desk.idempotency.once(CALL, work) == Outcome("made", replayed=False)
    assert await desk.make() == Outcome("made", replayed=True)


@both_databases
async def test_keys_belong_to_a_client_and_a_route(desk: Desk) -> None:
    for call in (CALL, replace(CALL, client_id="other"), replace(CALL, route="POST /others"), None, None):
        assert not (await desk.make(call)).replayed
    assert await desk.things() == 5


@both_databases
async def test_a_refused_request_gives_its_key_back(desk: Desk) -> None:
    async def refuse(_: Claim) -> str:
        raise PassportError("conflict", "not now")

    with pytest.raises(PassportError, match="not now"):
        await desk.idempotency.once(CALL, refuse)
    assert not (await desk.make()).replayed


@both_databases
async def test_after_a_crash_the_claim_is_taken_over_when_its_lease_is_over(desk: Desk) -> None:
    await desk.idempotency._claim(CALL)  # and the process dies here
    with pytest.raises(PassportError, match="still running"):
        await desk.make()
    desk.clock.advance(timedelta(minutes=2))
    results = await at_once(10, lambda _: desk.make())
    assert len([r for r in results if isinstance(r, Outcome) and not r.replayed]) == 1
    assert await desk.things() == 1


@both_databases
async def test_who_lost_the_lease_cannot_commit(desk: Desk) -> None:
    async def slow(claim: Claim) -> str:
        desk.clock.advance(timedelta(minutes=2))
        await desk.make()  # somebody else takes over and finishes
        async with desk.db.write() as conn:
            await conn.execute(insert(THINGS).values(id="late"))
            await claim.complete(conn, "late")
        return "late"

    with pytest.raises(PassportError, match="still running"):
        await desk.idempotency.once(CALL, slow)
    assert await desk.things() == 1
    assert (await desk.make()).replayed


@both_databases
async def test_keys_are_forgotten_after_a_day(desk: Desk) -> None:
    first = await desk.make()
    desk.clock.advance(timedelta(hours=23, minutes=59))
    assert (await desk.make()).resource_id == first.resource_id
    assert await desk.idempotency.purge() == 0
    desk.clock.advance(timedelta(minutes=1))
    assert not (await desk.make(replace(CALL, fingerprint="another day"))).replayed
    desk.clock.advance(timedelta(hours=24))
    assert await desk.idempotency.purge() == 1


def _request(*keys: str, path: str = "/things", query: str = "", body: bytes = b"{}") -> Request:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"idempotency-key", key.encode("latin-1")) for key in keys]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "server": ("service.example", 443),
        "scheme": "https",
    }
    return Request(scope, receive)


@pytest.mark.parametrize(
    ("sent", "key"), [((), None), (("abc",), "abc"), (('"abc"',), "abc"), (("x" * 255,), "x" * 255)]
)
def test_keys_are_read_with_and_without_quotes(sent: tuple[str, ...], key: str | None) -> None:
    assert key_of(_request(*sent)) == key


@pytest.mark.parametrize(
    "sent", [("",), ('""',), ("a b",), ("a\tb",), ("x" * 256,), ('"a',), ("café",), ("a", "b")]
)
def test_unusable_keys_are_refused(sent: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest, match="1 to 255 visible ASCII") as caught:
        key_of(_request(*sent))
    assert caught.value.field == "header/Idempotency-Key"


async def test_the_fingerprint_covers_path_query_and_body() -> None:
    calls = [
        await call_of(_request("k"), "hr"),
        await call_of(_request("k", path="/things/1"), "hr"),
        await call_of(_request("k", query="a=1"), "hr"),
        await call_of(_request("k", body=b"{} "), "hr"),
    ]
    assert len({call.fingerprint for call in calls if call}) == 4
    assert calls[0] == await call_of(_request('"k"'), "hr")
    assert await call_of(_request(), "hr") is None


async def test_the_key_is_not_kept(desk: Desk) -> None:
    call = await call_of(_request("ann-other@example.test"), "hr")
    await desk.make(call)
    async with desk.db.read() as conn:
        rows = (await conn.execute(select(CLAIMS.claims))).all()
    assert "ann-other" not in repr(rows)


@both_databases
async def test_a_completed_claim_whose_transaction_was_rolled_back_gives_its_key_back(desk: Desk) -> None:
    async def fail_after_completing(claim: Claim) -> str:
        async with desk.db.write() as conn:
            await claim.complete(conn, "never made")
            raise PassportError("conflict", "not now")

    with pytest.raises(PassportError, match="not now"):
        await desk.idempotency.once(CALL, fail_after_completing)
    assert not (await desk.make()).replayed
    assert (await desk.make()).replayed
