"""What one replica overlooks because of another: clocks apart, rows changed meanwhile, bad neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete, select, update

from passport_shared.formats.ids import new_id
from passport_testkit.databases import FreshDatabases
from passport_testkit.placing import Host, running_host
from passport_verifier.operations import placement_telling, releases, staff_agreements, watches
from passport_verifier.operations.movement_progress import catch_up
from passport_verifier.operations.staff_agreements import Said
from passport_verifier.rules.movement_state import Answer
from passport_verifier.rules.movement_types import ApprovalMethod
from passport_verifier.store import approvals, placements, requests
from passport_verifier.store import placement_telling as telling_store
from passport_verifier.store import watches as watch_store
from passport_verifier.store.placement_tables import placements as placement_rows
from passport_verifier.store.placement_tables import watched_issuers, watched_lists
from passport_verifier.store.release_tables import approvals as approval_rows
from passport_verifier.store.release_tables import release_requests as request_rows
from passport_verifier.store.tables import movements as movement_rows

STAFF = {"ref": "wallet", "client_id": "wallet", "kind": "WALLET", "asserted": False}
AN_HOUR_AHEAD_MS = 3_600_000


@pytest.fixture
async def host(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, databases) as running:
        yield running


async def test_a_withdrawal_counts_though_a_replica_with_a_clock_ahead_wrote_the_agreement(
    host: Host,
) -> None:
    verifier = host.verifier
    movement_id = str((await verifier.movement())["id"])
    said = Said(method=ApprovalMethod.HOLDER_SESSION)
    await staff_agreements.agree(verifier.ctx, "R0A", movement_id, said, STAFF)
    async with verifier.ctx.db.write() as conn:
        made = (await conn.execute(select(approval_rows.c.id))).scalar_one()
        milliseconds = int(made.replace("-", "")[:12], 16) + AN_HOUR_AHEAD_MS
        ahead = f"{milliseconds:012x}"
        await conn.execute(update(approval_rows).values(id=f"{ahead[:8]}-{ahead[8:]}{made[13:]}"))
    state = await staff_agreements.withdraw(verifier.ctx, "R0A", movement_id, said, STAFF)
    assert state == "DECLINED"
    async with verifier.ctx.db.read() as conn:
        stored = await approvals.all_of(conn, movement_id)
    assert [one.decision for one in stored] == [Answer.AGREED, Answer.WITHDRAWN]


async def test_a_hold_during_a_telling_that_fails_is_told_at_once(host: Host) -> None:
    movement_id = await host.running()
    ctx, clock = host.verifier.ctx, host.verifier.clock
    async with ctx.db.write() as conn:
        await placements.hold(conn, movement_id, clock.now())
    holder = new_id()
    async with ctx.db.write() as conn:
        leased = await telling_store.lease(conn, movement_id, holder, clock.now())
    assert leased is not None
    clock.advance(timedelta(seconds=1))
    async with ctx.db.write() as conn:
        await placements.reinstate(conn, movement_id, clock.now())
        await telling_store.not_told(
            conn, leased, holder, error="refused", next_try_at=clock.now() + timedelta(minutes=5)
        )
    async with ctx.db.read() as conn:
        assert await telling_store.to_tell(conn, clock.now()) == [movement_id]
        placement = await placements.get(conn, "R0A", movement_id)
    assert placement is not None
    assert (placement.attempts, placement.last_error) == (0, "refused")


async def test_a_telling_that_fails_by_itself_waits(host: Host) -> None:
    movement_id = await host.running()
    ctx, clock = host.verifier.ctx, host.verifier.clock
    async with ctx.db.write() as conn:
        await placements.hold(conn, movement_id, clock.now())
        leased = await telling_store.lease(conn, movement_id, "me", clock.now())
        assert leased is not None
        later = clock.now() + timedelta(minutes=5)
        await telling_store.not_told(conn, leased, "me", error="refused", next_try_at=later)
    async with ctx.db.read() as conn:
        assert await telling_store.to_tell(conn, clock.now()) == []
        assert await telling_store.to_tell(conn, later) == [movement_id]


async def test_a_placement_that_cannot_be_told_holds_up_no_other(host: Host) -> None:
    first, second = await host.running(), await host.running()
    ctx, clock = host.verifier.ctx, host.verifier.clock
    async with ctx.db.write() as conn:
        for movement_id in (first, second):
            await placements.hold(conn, movement_id, clock.now())

    async def broken(request: httpx.Request) -> None:
        if first in request.url.path:
            raise RuntimeError("a fault of ours that nobody thought of")

    host.wire.before = broken
    assert await placement_telling.tell_due(ctx) == 1
    async with ctx.db.read() as conn:
        states = {row.movement_id: row for row in await conn.execute(select(placement_rows))}
        # It is not due before its lease is over, and then after those that wait longer.
        assert await telling_store.to_tell(conn, clock.now()) == []
        assert await telling_store.to_tell(conn, clock.now() + telling_store.LEASE) == [first]
    assert states[second].told_revision == states[second].revision
    host.wire.before = None
    clock.advance(telling_store.LEASE)
    assert await placement_telling.tell_due(ctx) == 1


async def test_a_release_that_cannot_be_looked_at_holds_up_no_other(host: Host) -> None:
    verifier = host.verifier
    moves = [str((await verifier.movement())["id"]) for _ in range(2)]
    for movement_id in moves:
        await verifier.ask_release(movement_id)
    async with verifier.ctx.db.write() as conn:
        # Nothing we write looks like that: a fault in one row, whatever made it.
        broken = update(request_rows).where(request_rows.c.movement_id == moves[0])
        await conn.execute(broken.values(release_uri="https://[not-an-address/RBV/releases/x"))
    verifier.clock.advance(timedelta(seconds=30))
    assert await releases.pull_due(verifier.ctx) >= 1
    async with verifier.ctx.db.read() as conn:
        query = select(request_rows.c.pulls).where(request_rows.c.movement_id == moves[1])
        assert (await conn.execute(query)).scalar_one() == 1


async def test_a_list_forgotten_while_a_watch_came_to_rely_on_it_is_watched_again(host: Host) -> None:
    await host.running()
    ctx = host.verifier.ctx
    async with ctx.db.write() as conn:
        before = set((await conn.execute(select(watched_lists.c.uri))).scalars())
        # What a tidy round leaves that read before the watch was committed.
        await conn.execute(delete(watched_lists))
        await conn.execute(delete(watched_issuers))
    assert before
    await watches.tidy(ctx)
    async with ctx.db.read() as conn:
        found = list((await conn.execute(select(watched_lists))).mappings())
        issuers = set((await conn.execute(select(watched_issuers.c.issuer))).scalars())
    assert {row["uri"] for row in found} == before
    assert {row["seen_iat"] for row in found} == {None}, "compared with every watch from the start"
    assert issuers
    async with ctx.db.write() as conn:
        assert await watch_store.watch_again(conn) == 0


async def test_an_answer_is_followed_however_long_nobody_ran(host: Host) -> None:
    verifier = host.verifier
    movement_id = str((await verifier.movement())["id"])
    asked = await verifier.made("/presentation-requests", {"movement_id": movement_id})
    async with verifier.ctx.db.write() as conn:
        request = await requests.get(conn, "R0A", asked["id"])
        assert request is not None
        said = staff_agreements.agreement_by_presenting(request, verifier.clock.now())
        assert said is not None
        await approvals.add(conn, said)
    verifier.clock.advance(timedelta(days=3))
    assert await catch_up(verifier.ctx) == 0, "what is seldom is looked for seldom"
    assert await catch_up(verifier.ctx, since=None) == 1
    assert await catch_up(verifier.ctx, since=None) == 0


async def test_placements_that_cannot_begin_keep_no_other_back(host: Host) -> None:
    movement_id = str((await host.ready())["id"])
    await host.started({"id": movement_id})
    await host.inducted(movement_id, "2026-09-01")
    blocked = {str((await host.verifier.movement())["id"]) for _ in range(6)}
    ctx = host.verifier.ctx
    async with ctx.db.write() as conn:
        placement = await placements.of_movement(conn, movement_id)
        assert placement is not None
        inducted = update(movement_rows).where(movement_rows.c.id.in_(blocked))
        await conn.execute(inducted.values(inducted_on=placement.start))
        for one in blocked:
            await placements.add(conn, replace(placement, movement_id=one))
    async with ctx.db.read() as conn:
        assert await placements.to_begin(conn, placement.start, limit=1) == [movement_id]
        rounds = [await placements.to_begin(conn, placement.start, limit=4) for _ in range(30)]
    assert {found[0] for found in rounds} == {movement_id}
    assert {one for found in rounds for one in found[1:]} == blocked, "none is passed over for ever"
