"""The outbox on both databases: written with the change, delivered in order, replayed by cursor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.util import await_only

from passport_shared.outbound import Outbound
from passport_shared.service import jobs, keys, outbox
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.http_signatures import verify_request
from passport_shared.service.job_queue import pause_after
from passport_shared.service.jobs import Leases
from passport_shared.service.keys import Kek, KeyStore
from passport_shared.service.outbox import (
    EVENT_KEY,
    REFUSALS_BEFORE_SET_ASIDE,
    CursorInvalid,
    Outbox,
    Sink,
)
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.servers import (
    Behaviour,
    MisbehavingServer,
    TlsAuthority,
    answer,
    reset,
    stalled,
    tls_server,
)

METADATA = new_metadata()
TABLES = outbox.tables(METADATA)
JOB_TABLES = jobs.tables(METADATA)
KEY_TABLES = keys.tables(METADATA)
KEK = Kek(bytes(range(32)))
SOURCE = "https://issuer.example"
TAKEN: Behaviour = answer(b"", status=202, content_type=None)

pytestmark = both_databases


class World:
    """A service with two replicas and the two systems that listen to it."""

    def __init__(self, replicas: list[Database], server: MisbehavingServer, outbound: Outbound) -> None:
        self.clock = FrozenClock()
        self.replicas = replicas
        self.server = server
        self.outbound = outbound
        self.sinks = [Sink(name=name, url=server.url(f"/{name}")) for name in ("hr", "learning")]

    def outbox(self, replica: int = 0) -> Outbox:
        db = self.replicas[replica % 2]
        leases = Leases(db, JOB_TABLES, self.clock)
        store = KeyStore(db, KEK, KEY_TABLES, self.clock)
        return Outbox(db, TABLES, leases, store, self.outbound, self.clock, source=SOURCE, sinks=self.sinks)

    async def emit(self, number: int = 0, organisation: str = "RBV") -> str:
        box = self.outbox(number)
        async with self.replicas[number % 2].write() as conn:
            return await box.emit(
                conn,
                type="credential.issued",
                subject=f"credential-{number}",
                organisation=organisation,
                data={"number": number},
            )

    def delivered(self, sink: str) -> list[dict[str, Any]]:
        return [json.loads(r.body) for r in self.server.requests if r.path == f"/{sink}"]

    def numbers(self, sink: str) -> list[int]:
        return [event["data"]["number"] for event in self.delivered(sink)]


@pytest.fixture
async def world(databases: FreshDatabases, dialect: str, tmp_path: Path) -> AsyncIterator[World]:
    first = await databases.open(metadata=METADATA)
    second = first
    if dialect != "sqlite":
        second = databases.attach(
            first.url.set(drivername="postgresql").render_as_string(hide_password=False)
        )
    authority = TlsAuthority(tmp_path / "tls")
    async with (
        tls_server(authority.server_context("localhost"), {"/hr": TAKEN, "/learning": TAKEN}) as server,
        Outbound(ca_file=authority.ca_file, allow=[f"localhost:{server.port}"]) as outbound,
    ):
        yield World([first, second], server, outbound)


async def test_events_reach_every_sink_in_order_and_once(world: World) -> None:
    ids = [await world.emit(number) for number in range(5)]
    box = world.outbox()
    await box.run()
    await box.run()
    for sink in ("hr", "learning"):
        assert [event["id"] for event in world.delivered(sink)] == ids
        assert world.numbers(sink) == [0, 1, 2, 3, 4]


async def test_an_event_is_a_signed_cloud_event(world: World) -> None:
    event_id = await world.emit(7)
    await world.outbox().run()
    request = next(r for r in world.server.requests if r.path == "/hr")
    assert json.loads(request.body) == {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": "credential.issued",
        "subject": "credential-7",
        "time": "2026-09-01T12:00:00.000Z",
        "datacontenttype": "application/json",
        "organisation": "RBV",
        "data": {"number": 7},
    }
    assert request.headers["content-type"] == "application/cloudevents+json"
    sender = (await KeyStore(world.replicas[0], KEK, KEY_TABLES, world.clock).active(EVENT_KEY)).public
    signed_by = verify_request(
        method=request.method,
        url=world.server.url("/hr"),
        headers=request.headers,
        body=request.body,
        keys={sender.thumbprint: sender},
        now=world.clock.now(),
    )
    assert signed_by == sender.thumbprint


async def test_no_change_no_event(world: World) -> None:
    box = world.outbox()
    with pytest.raises(ZeroDivisionError):
        async with world.replicas[0].write() as conn:
            await box.emit(conn, type="credential.issued", subject="c")
            raise ZeroDivisionError
    assert await box.place() == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (answer(b"", status=500, content_type=None), "status_500"),
        (answer(b"", status=404, content_type=None), "status_404"),
        (answer(b"", status=429, content_type=None), "status_429"),
        (answer(b"", status=302, content_type=None), "redirect"),
        (reset(), "connection_broken"),
    ],
    ids=["500", "404", "429", "302", "reset"],
)
async def test_a_failing_sink_is_asked_again_and_holds_up_no_other(
    world: World, fault: Behaviour, reason: str
) -> None:
    for number in range(3):
        await world.emit(number)
    world.server.routes["/hr"] = fault
    box = world.outbox()
    await box.run()
    assert world.numbers("learning") == [0, 1, 2]
    assert len(world.delivered("hr")) == 1, "the second event waits for the first"
    assert await sink_row(world, "hr") == (0, 1, world.clock.now() + pause_after(1), reason)
    await box.run()
    assert len(world.delivered("hr")) == 1, "not before its time"
    world.clock.advance(pause_after(1))
    await box.run()
    assert await sink_row(world, "hr") == (0, 2, world.clock.now() + pause_after(2), reason)
    world.server.routes["/hr"] = TAKEN
    world.clock.advance(pause_after(2))
    await box.run()
    assert world.numbers("hr") == [0, 0, 0, 1, 2]
    assert (await sink_row(world, "hr"))[:2] == (3, 0)


REFUSED: Behaviour = answer(b"", status=422, content_type=None)


async def refuse_until_set_aside(world: World, box: Outbox) -> None:
    """Let the first event that hr has not taken be refused as often as it takes."""
    world.server.routes["/hr"] = REFUSED
    for attempt in range(1, REFUSALS_BEFORE_SET_ASIDE):
        await box.run()
        world.clock.advance(pause_after(attempt))
    assert await box.set_aside() == []


async def test_an_event_that_is_refused_for_what_it_is_is_set_aside_and_holds_up_no_other(
    world: World,
) -> None:
    ids = [await world.emit(number) for number in range(3)]
    box = world.outbox()
    await refuse_until_set_aside(world, box)
    assert world.numbers("hr") == [0] * (REFUSALS_BEFORE_SET_ASIDE - 1)
    await box.run()
    # The last refusal sets the first aside; the second is refused once and waits its turn.
    assert [one.event_id for one in await box.set_aside()] == ids[:1]
    assert (await sink_row(world, "hr"))[:2] == (1, 1)
    world.server.routes["/hr"] = TAKEN
    world.clock.advance(pause_after(1))
    await box.run()
    assert world.numbers("hr")[-2:] == [1, 2]
    [aside] = await box.set_aside()
    assert (aside.sink, aside.type, aside.reason) == ("hr", "credential.issued", "status_422")
    assert aside.attempts == REFUSALS_BEFORE_SET_ASIDE
    assert world.numbers("learning") == [0, 1, 2]


async def test_what_was_set_aside_can_be_sent_again(world: World) -> None:
    event_id = await world.emit(0)
    await world.emit(1)
    box = world.outbox()
    await refuse_until_set_aside(world, box)
    await box.run()
    assert await box.resend("hr", event_id) == "status_422"
    assert (await box.set_aside())[0].attempts == REFUSALS_BEFORE_SET_ASIDE + 1
    world.clock.advance(timedelta(days=400))
    world.server.routes["/hr"] = TAKEN
    await box.run()
    assert await box.purge(world.clock.now()) == 0, "it is kept as long as it is set aside"
    assert await box.resend("hr", event_id) is None
    assert await box.set_aside() == []
    assert await box.purge(world.clock.now()) == 1
    for sink, unknown in (("hr", event_id), ("learning", event_id), ("nobody", event_id), ("hr", "x")):
        with pytest.raises(LookupError):
            await box.resend(sink, unknown)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 425, 429, 500, 503])
async def test_what_the_receiver_can_put_right_is_never_set_aside(world: World, status: int) -> None:
    await world.emit(0)
    world.server.routes["/hr"] = answer(b"", status=status, content_type=None)
    box = world.outbox()
    for attempt in range(1, REFUSALS_BEFORE_SET_ASIDE + 3):
        await box.run()
        world.clock.advance(pause_after(attempt))
    assert await box.set_aside() == []
    assert len(world.delivered("hr")) >= REFUSALS_BEFORE_SET_ASIDE, "a breaker may open meanwhile"


async def test_a_sink_gets_its_types_only_and_no_subject_if_it_may_not_know(world: World) -> None:
    world.sinks = [
        Sink(
            name="hr",
            url=world.server.url("/hr"),
            types=frozenset({"passport.issued"}),
            with_subject=False,
        )
    ]
    box = world.outbox()
    await world.emit(0)
    async with world.replicas[0].write() as conn:
        await box.emit(conn, type="passport.issued", subject="passport-1", organisation="RBV")
    await world.emit(1)
    await box.run()
    [event] = world.delivered("hr")
    assert event["type"] == "passport.issued"
    assert "subject" not in event
    await box.run()
    assert (await sink_row(world, "hr"))[0] == 3, (
        "what is not for it is behind it, or nothing could be purged"
    )


async def sink_row(world: World, name: str) -> tuple[Any, ...]:
    table = TABLES.sinks
    async with world.replicas[0].read() as conn:
        row = (await conn.execute(select(table).where(table.c.name == name))).one()
    return (row.position, row.attempts, row.next_attempt_at, row.last_error)


async def test_a_replica_killed_while_posting_delivers_again_nothing_is_lost(world: World) -> None:
    for number in range(3):
        await world.emit(number)
    release = asyncio.Event()
    world.server.routes["/hr"] = stalled(release, then=TAKEN)
    killed = asyncio.create_task(world.outbox(0).run())
    await world.server.received(1)
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed
    release.set()
    world.server.routes["/hr"] = TAKEN
    world.clock.advance(outbox.LEASE)
    await world.outbox(1).run()
    assert world.numbers("hr") == [0, 0, 1, 2]
    ids = [event["id"] for event in world.delivered("hr")]
    assert ids[0] == ids[1], "a double is recognised by its id"


async def test_a_replica_that_lost_its_lease_stops_after_the_event_it_is_posting(world: World) -> None:
    for number in range(3):
        await world.emit(number)
    release = asyncio.Event()
    world.sinks = world.sinks[:1]
    world.server.routes["/hr"] = stalled(release, then=TAKEN)
    asleep = asyncio.create_task(world.outbox(0).run())
    await world.server.received(1)
    world.clock.advance(outbox.LEASE)
    world.server.routes["/hr"] = TAKEN
    await world.outbox(1).run()
    release.set()
    await asleep
    assert world.numbers("hr") == [0, 0, 1, 2]
    assert (await sink_row(world, "hr"))[0] == 3


async def test_rivals_deliver_each_event_once(world: World) -> None:
    for number in range(20):
        await world.emit(number)
    boxes = [world.outbox(number) for number in range(10)]
    results = await at_once(10, lambda number: boxes[number].run())
    assert results == [None] * 10
    await boxes[0].run()
    assert world.numbers("hr") == list(range(20))
    assert world.numbers("learning") == list(range(20))


async def test_positions_have_no_gaps_whoever_writes_and_places(world: World) -> None:
    boxes = [world.outbox(number) for number in range(10)]

    async def act(number: int) -> object:
        return await world.emit(number) if number < 50 else await boxes[number % 10].place()

    results = await at_once(80, act)
    assert [result for result in results if isinstance(result, BaseException)] == []
    await boxes[0].place()
    async with world.replicas[0].read() as conn:
        positions = (await conn.execute(select(TABLES.events.c.position))).scalars().all()
    assert sorted(positions) == list(range(1, 51))


async def test_a_cursor_never_misses_an_event_that_committed_late(world: World, dialect: str) -> None:
    box = world.outbox()
    if dialect == "sqlite":
        await world.emit(0)
        await box.place()
        assert len((await box.events_after(None)).items) == 1
        return
    written, commit = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with world.replicas[1].write() as conn:
            await world.outbox(1).emit(conn, type="credential.revoked", subject="late")
            written.set()
            await commit.wait()

    late = asyncio.create_task(slow())
    await written.wait()
    await world.emit(1)
    await box.place()
    first = await box.events_after(None)
    commit.set()
    await late
    await box.place()
    second = await box.events_after(first.next)
    assert [event["subject"] for event in (*first.items, *second.items)] == ["credential-1", "late"]


async def test_replay_pages_by_organisation(world: World) -> None:
    for number in range(6):
        await world.emit(number, organisation="RBV" if number % 2 else "R0A")
    box = world.outbox()
    assert (await box.events_after(None)).items == ()
    await box.place()
    seen, cursor = [], None
    while (page := await box.events_after(cursor, organisation="RBV", limit=2)).items:
        seen += [event["data"]["number"] for event in page.items]
        cursor = page.next
    assert seen == [1, 3, 5]
    assert page.next == cursor, "the cursor of an empty page goes on from the same place"
    assert len((await box.events_after("0")).items) == 6
    await world.emit(7)
    await box.place()
    assert len((await box.events_after(cursor, organisation="RBV")).items) == 1


async def test_other_cursors_are_refused(world: World) -> None:
    for cursor in ("", "-1", "01", "1.5", "x", "1 OR 1=1", "9" * 19, "１"):
        with pytest.raises(CursorInvalid):
            await world.outbox().events_after(cursor)


async def test_purging_keeps_what_a_sink_has_not_seen_and_never_reuses_positions(world: World) -> None:
    for number in range(3):
        await world.emit(number)
    world.server.routes["/hr"] = answer(b"", status=500, content_type=None)
    box = world.outbox()
    await box.run()
    world.clock.advance(timedelta(days=400))
    assert await box.purge(world.clock.now()) == 0, "hr has seen nothing"
    world.server.routes["/hr"] = TAKEN
    await box.run()
    assert await box.purge(world.clock.now() - timedelta(days=500)) == 0, "not old enough"
    assert await box.purge(world.clock.now()) == 2
    await world.emit(3)
    await box.run()
    assert world.numbers("learning") == [0, 1, 2, 3]
    assert (await box.events_after("3")).next == "4"


async def test_malformed_events_are_refused_before_they_are_written(world: World) -> None:
    good: dict[str, Any] = {"type": "credential.issued", "subject": "c", "organisation": "RBV", "data": {}}
    world.outbox().values(**good)
    malformed: tuple[dict[str, Any], ...] = (
        {"type": "issued"},
        {"type": "Credential.issued"},
        {"subject": "Aisha Khan"},
        {"subject": "é"},
        {"subject": "x" * 257},
        {"organisation": "R\nBV"},
        {"data": {"x": "y" * 20_000}},
        {"data": {"x": float("inf")}},
    )
    for changes in malformed:
        with pytest.raises(ValueError):
            world.outbox().values(**(good | changes))


async def test_what_is_placed_while_a_sink_looks_is_not_passed_over(world: World) -> None:
    """Another replica places an event between the two statements with which one looks for what is due."""
    only = Sink(name="hr", url=world.server.url("/hr"), types=frozenset({"credential.issued"}))
    world.sinks = [only]
    box = world.outbox()
    async with world.replicas[0].write() as conn:
        await box.emit(conn, type="something.else", subject="x")
    await box.place()
    await world.emit(1)
    other, statements = world.outbox(1), 0
    engine = world.replicas[0]._reader.sync_engine

    def placed_between(*_: object) -> None:
        nonlocal statements
        statements += 1
        if statements == 1:
            await_only(other.place())

    cursor = await box._cursor(only)
    event.listen(engine, "after_cursor_execute", placed_between)
    try:
        rows, reached = await box._due(only, cursor["position"])
    finally:
        event.remove(engine, "after_cursor_execute", placed_between)
    assert statements >= 2
    assert rows or reached < 2, "a cursor that is moved there passes the event over"
    await box.run()
    assert world.numbers("hr") == [1]
