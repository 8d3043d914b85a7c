"""Who holds a movement takes what hangs on it, never the other way round: nobody waits in a circle.

PostgreSQL only: on SQLite there is one writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_testkit.databases import postgresql_only
from passport_testkit.verifiers import HR, VerifierBench
from passport_verifier.operations import agreement_links, rechecks, release_requests, releases
from passport_verifier.store import agreement_links as link_store
from passport_verifier.store import decisions, movements
from passport_verifier.store import release_requests as request_store
from passport_verifier.store.release_requests import ReleaseRequestState, StoredRequest

pytestmark = postgresql_only
PERSON = {"given_name": "Morgan", "family_name": "Invented"}
WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


async def both(
    verifier: VerifierBench,
    movement_id: str,
    act: Callable[[], Awaitable[object]],
    then: Callable[[AsyncConnection], Awaitable[object]],
) -> None:
    """Hold a movement; when `act` waits for it, touch what hangs on the movement. Neither must fail."""
    db = verifier.ctx.db
    async with db.write() as conn:
        await movements.held(conn, movement_id)
        task = asyncio.ensure_future(act())
        async with db.read() as watching:
            while not (await watching.execute(WAITS)).scalar_one():
                assert not task.done(), task.result()
        await then(conn)
    await task


async def asked_for(verifier: VerifierBench, movement_id: str) -> StoredRequest:
    path = f"/movements/{movement_id}/release-request"
    await verifier.made(path, {"person": PERSON, "actor": HR}, 202)
    async with verifier.ctx.db.read() as conn:
        request = await request_store.newest_of(conn, movement_id)
    assert request is not None
    return request


async def test_an_answer_on_a_link_while_hr_makes_another(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    made = await verifier.made(f"/movements/{movement_id}/agreement-links", {"actor": HR})
    found = await agreement_links.opened(verifier.ctx, "R0A", made["page"].rsplit("/", 1)[-1])
    assert found is not None
    await both(
        verifier,
        movement_id,
        lambda: agreement_links.answer(verifier.ctx, found, agrees=True, cover_opt_in=None),
        lambda conn: link_store.close_open(conn, movement_id, verifier.clock.now() - timedelta(days=1)),
    )


@pytest.mark.parametrize("ends", ["delivered", "given_up", "refused"])
async def test_the_end_of_a_request_while_hr_asks_anew(verifier: VerifierBench, ends: str):
    movement_id = (await verifier.movement())["id"]
    request = await asked_for(verifier, movement_id)
    acts: dict[str, Callable[[], Awaitable[object]]] = {
        "delivered": lambda: release_requests._delivered(verifier.ctx, request, "https://x.example/r/1"),
        "given_up": lambda: release_requests._give_up(
            verifier.ctx, request, ReleaseRequestState.REFUSED, "refused"
        ),
        "refused": lambda: releases._record_refusal(verifier.ctx, request, "serial_reused", "x"),
    }
    await both(verifier, movement_id, acts[ends], lambda conn: request_store.replace_live(conn, movement_id))


async def test_a_recheck_while_a_placement_ends(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.look_up(movement_id)
    decided = await verifier.decided(verifier.surgeon(), movement_id)
    await both(
        verifier,
        movement_id,
        lambda: rechecks.recheck(verifier.ctx, "R0A", decided["id"], rechecks.BY_ITSELF),
        lambda conn: decisions.hold(conn, "R0A", decided["id"]),
    )
