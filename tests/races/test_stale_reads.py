"""What was read before a transaction is not what is true in it: whoever waited decides on what it finds then.

PostgreSQL only: on SQLite there is one writer, and these moments are reached by waiting for a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.auth import Actor
from passport_shared.wire.clients import ClientKind
from passport_testkit.cases import all_skills
from passport_testkit.contract_worlds import proposed_version
from passport_testkit.databases import FreshDatabases, postgresql_only
from passport_testkit.verifiers import VerifierBench, running_verifier
from passport_verifier.operations import overrides, policies
from passport_verifier.operations.movement_progress import refresh
from passport_verifier.rules.override import LIFE
from passport_verifier.store import overrides as store
from passport_verifier.store.policies import PolicyVersion

pytestmark = postgresql_only

URGENT = "SERVICE_NEED_URGENT.UROLOGY_SURGEON"
WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
CAT = Actor(ref="r0a-cat", client_id="r0a-cat", kind=ClientKind.PERSON, asserted=False)


@pytest.fixture
async def verifier(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[VerifierBench]:
    async with running_verifier(tmp_path, await databases.url("passport_verifier")) as bench:
        yield bench


async def meanwhile(
    verifier: VerifierBench,
    first: Callable[[AsyncConnection], Awaitable[object]],
    act: Callable[[], Awaitable[object]],
) -> object:
    """Do `first` in a transaction; when `act` waits for what it holds, commit. What `act` came to."""
    db = verifier.ctx.db
    async with db.write() as conn:
        await first(conn)
        task = asyncio.ensure_future(act())
        async with db.read() as watching:
            while not (await watching.execute(WAITS)).scalar_one():
                assert not task.done(), task.result()
    return await task


async def proposed(verifier: VerifierBench) -> tuple[dict[str, Any], str]:
    """A movement that waits for one person's word, with an override of that proposed; both."""
    await proposed_version(verifier, approve=True)
    movement = await verifier.movement()
    await verifier.look_up(movement["id"])
    await verifier.released(movement["id"])
    decision = await verifier.decided(
        verifier.surgeon(CoreSkills={"skills": all_skills(IG=None)}), movement["id"]
    )
    await verifier.approve(movement["id"])
    asked = {
        "decision_id": decision["id"],
        "findings": [{"rule": "R-12", "subject": "IG"}],
        "reason": "The course was done this week, the certificate is on its way.",
    }
    override = await verifier.call("POST", "/overrides", asked, client=verifier.person("ann"))
    assert override.status_code == 201, override.text
    return movement, str(override.json()["id"])


async def test_a_withdrawal_that_meets_an_approval_takes_the_movement_back(verifier: VerifierBench) -> None:
    movement, override_id = await proposed(verifier)
    now = verifier.clock.now()
    assert (await verifier.read(f"/movements/{movement['id']}"))["state"] == "RELEASED"

    async def approve(conn: AsyncConnection) -> None:
        until = now + LIFE
        assert await store.approve(
            conn, override_id, by=CAT.as_dict(), four_eyes="PERSONS", at=now, until=until
        )
        assert await refresh(verifier.ctx, conn, movement["id"], actor=CAT) == "READY"

    withdrawn = await meanwhile(
        verifier, approve, lambda: overrides.withdraw(verifier.ctx, "R0A", override_id, CAT)
    )
    assert isinstance(withdrawn, store.Override)
    assert withdrawn.state == "WITHDRAWN"
    assert (await verifier.read(f"/movements/{movement['id']}"))["state"] == "RELEASED"
    async with verifier.ctx.db.read() as conn:
        query = text("SELECT type FROM outbox_events WHERE type = 'override.ended'")
        assert len((await conn.execute(query)).all()) == 1


async def test_two_who_take_one_proposal_back_are_told_alike(verifier: VerifierBench) -> None:
    number = (await proposed_version(verifier))["number"]

    async def withdraw() -> PolicyVersion:
        return await policies.withdraw(verifier.ctx, "R0A", URGENT, number, CAT)

    found = await asyncio.gather(*(withdraw() for _ in range(6)))
    assert {one.state.value for one in found} == {"WITHDRAWN"}
    async with verifier.ctx.db.read() as conn:
        query = text("SELECT kind FROM audit_entries WHERE kind = 'policy.withdrawn'")
        assert len((await conn.execute(query)).all()) == 1
