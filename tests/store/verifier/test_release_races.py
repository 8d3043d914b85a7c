"""Races for what a movement's state follows from, on both databases: links, releases, approvals, delivery."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select

from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.wire.clients import ClientKind
from passport_shared.wire.release import text_sha256
from passport_testkit.databases import at_once, both_databases
from passport_testkit.verifiers import HR, VerifierBench
from passport_verifier.errors import Conflict, GateNotPassed
from passport_verifier.operations import (
    agreement_links,
    approvals,
    releases,
    staff_agreements,
)
from passport_verifier.operations.approvals import NewApproval
from passport_verifier.operations.movement_progress import catch_up, refresh
from passport_verifier.operations.staff_agreements import Said
from passport_verifier.rules.movement_state import Answer
from passport_verifier.rules.movement_types import ApprovalKind, ApprovalMethod
from passport_verifier.store import approvals as approval_store
from passport_verifier.store import release_requests, requests
from passport_verifier.store.release_requests import ReleaseRequestState
from passport_verifier.store.release_tables import approvals as approval_rows
from passport_verifier.store.release_tables import licences
from passport_verifier.store.release_tables import release_requests as request_rows
from passport_verifier.store.release_tables import releases as release_rows

pytestmark = both_databases
TASKS = 12
PERSON = {"given_name": "Morgan", "family_name": "Invented"}


def somebody(ref: str) -> Actor:
    return Actor(ref=ref, client_id="system", kind=ClientKind.MACHINE, asserted=True)


async def count(verifier: VerifierBench, table: Any, *where: Any) -> int:
    async with verifier.ctx.db.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(table).where(*where))).scalar_one())


async def test_a_link_is_used_once_however_many_answer(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    made = await verifier.made(f"/movements/{movement_id}/agreement-links", {"actor": HR})
    token = made["page"].rsplit("/", 1)[-1]
    found = await agreement_links.opened(verifier.ctx, "R0A", token)
    assert found is not None

    async def answer(number: int) -> bool:
        return await agreement_links.answer(verifier.ctx, found, agrees=number % 2 == 0, cover_opt_in=None)

    answered = await at_once(TASKS, answer)
    assert answered.count(True) == 1, answered
    assert all(one in (True, False) or isinstance(one, Conflict) for one in answered)
    assert await count(verifier, approval_rows) == 1


async def test_of_two_approvals_by_one_person_at_once_one_is_refused(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    kinds = [ApprovalKind.HOST_DEPARTMENT, ApprovalKind.FINANCE, ApprovalKind.EDUCATOR]

    async def approve(number: int) -> str:
        new = NewApproval(kind=kinds[number % 3], decision=Answer.AGREED)
        return await approvals.approve(verifier.ctx, "R0A", movement_id, new, somebody("one-and-the-same"))

    said = await at_once(TASKS, approve)
    passed = [one for one in said if isinstance(one, str)]
    assert all(isinstance(one, GateNotPassed) for one in said if not isinstance(one, str)), said
    stored = (await approvals.find(verifier.ctx, "R0A", movement_id))[1]
    assert len({one.kind for one in stored}) == 1, "one person speaks for one part"
    assert len(stored) == len(passed)


async def test_agreement_release_approval_and_decision_at_once_end_in_one_state(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.look_up(movement_id)
    verifier.desk.agree(await verifier.ask_release(movement_id))
    request = await verifier.ask(movement_id)
    answer = await verifier.answer(request, verifier.surgeon())
    said = Said(method=ApprovalMethod.HOLDER_SESSION)
    await asyncio.gather(
        verifier.send(answer),
        verifier.look(movement_id),
        verifier.approve(movement_id),
        staff_agreements.agree(verifier.ctx, "R0A", movement_id, said, somebody("holder")),
    )
    assert (await verifier.read(f"/movements/{movement_id}"))["state"] == "RELEASED"
    decision_id = (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"]
    confirmed = await at_once(6, lambda _: verifier.confirm(decision_id))
    assert not [one for one in confirmed if isinstance(one, BaseException)], confirmed
    assert (await verifier.read(f"/movements/{movement_id}"))["state"] == "READY"
    assert await count(verifier, licences) == 1


async def test_a_withdrawal_beside_everything_else_wins_in_the_end(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    verifier.desk.agree(await verifier.ask_release(movement_id))
    said = Said(method=ApprovalMethod.HOLDER_SESSION)
    ctx, holder = verifier.ctx, somebody("holder")
    await staff_agreements.agree(ctx, "R0A", movement_id, said, holder)
    results = await asyncio.gather(
        verifier.look(movement_id),
        staff_agreements.withdraw(ctx, "R0A", movement_id, said, holder),
        staff_agreements.agree(ctx, "R0A", movement_id, said, holder),
        return_exceptions=True,
    )
    unexpected = [one for one in results if isinstance(one, BaseException) and not isinstance(one, Conflict)]
    assert not unexpected
    assert (await verifier.read(f"/movements/{movement_id}"))["state"] == "DECLINED"


async def test_one_release_is_taken_once_however_many_look(verifier: VerifierBench):
    movement_id = (await verifier.movement(end="2026-09-08"))["id"]
    case = await verifier.ask_release(movement_id)
    first = verifier.desk.limit(date(2026, 9, 6), case)
    second = verifier.desk.limit(date(2026, 9, 4), case)
    async with verifier.ctx.db.read() as conn:
        request = await release_requests.newest_of(conn, movement_id)
    assert request is not None
    taken = await at_once(
        TASKS, lambda number: releases.receive(verifier.ctx, request, second if number % 3 else first)
    )
    assert taken.count(True) in {1, 2}, taken
    assert await count(verifier, release_rows, release_rows.c.serial == 2) == 1
    assert await count(verifier, release_rows) == taken.count(True)
    shown = await verifier.read(f"/movements/{movement_id}")
    assert shown["last_day"] == "2026-09-04"
    assert shown["progress"]["release"]["serial"] == 2


async def test_one_pull_is_one_replicas(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.ask_release(movement_id)
    async with verifier.ctx.db.read() as conn:
        request = await release_requests.newest_of(conn, movement_id)
    assert request is not None
    assert request.next_pull_at is not None
    verifier.clock.set(request.next_pull_at)
    before = len(verifier.wire.requests)
    pulled = await at_once(TASKS, lambda _: releases.pull(verifier.ctx, request.id, due_only=True))
    assert pulled.count(True) == 1
    assert len(verifier.wire.requests) == before + 1


async def test_one_request_of_a_movement_counts(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    path = f"/movements/{movement_id}/release-request"
    sent = await at_once(TASKS, lambda _: verifier.call("POST", path, {"person": PERSON, "actor": HR}))
    statuses = sorted(answer.status_code for answer in sent)  # type: ignore[attr-defined]
    assert statuses == [202] + [409] * (TASKS - 1)
    assert await count(verifier, request_rows) == 1


async def test_delivery_by_two_replicas_sends_one_content(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    path = f"/movements/{movement_id}/release-request"
    await verifier.made(path, {"person": PERSON, "actor": HR}, 202)
    await at_once(4, lambda _: verifier.deliver())
    assert len(set(verifier.desk.posted)) == 1
    async with verifier.ctx.db.read() as conn:
        request = await release_requests.newest_of(conn, movement_id)
    assert request is not None
    assert request.state is ReleaseRequestState.REQUESTED
    assert request.request_sha256 == text_sha256(verifier.desk.posted[0])
    async with verifier.ctx.db.write() as conn:
        assert not await release_requests.keep_message(
            conn, request.id, sealed_message=b"another", request_sha256="x"
        )
        assert not await release_requests.given_up(
            conn, request.id, ReleaseRequestState.REFUSED, refusal="late"
        )


async def test_refreshing_again_changes_nothing_but_the_version(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.approve(movement_id)
    before = await verifier.read(f"/movements/{movement_id}")
    for _ in range(3):
        async with verifier.ctx.db.write() as conn:
            assert await refresh(verifier.ctx, conn, movement_id, actor=somebody(new_id())) == "REQUESTED"
    after = await verifier.read(f"/movements/{movement_id}")
    changed = {"version", "updated_at"}
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }


async def test_an_answer_whose_process_died_is_followed_a_little_later(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    asked = await verifier.made("/presentation-requests", {"movement_id": movement_id})
    async with verifier.ctx.db.write() as conn:
        request = await requests.get(conn, "R0A", asked["id"])
        assert request is not None
        said = staff_agreements.agreement_by_presenting(request, verifier.clock.now())
        assert said is not None
        await approval_store.add(conn, said)
    assert await catch_up(verifier.ctx) == 0, "whoever wrote it may still be about to"
    verifier.clock.advance(timedelta(seconds=11))
    assert await catch_up(verifier.ctx) == 1
    assert (await verifier.read(f"/movements/{movement_id}"))["state"] == "AGREED"
    assert await catch_up(verifier.ctx) == 0


async def test_a_look_that_time_brings_gives_no_new_version(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.approve(movement_id)
    before = await verifier.read(f"/movements/{movement_id}")
    async with verifier.ctx.db.write() as conn:
        await refresh(verifier.ctx, conn, movement_id, actor=somebody("time"), caused=False)
    assert await verifier.read(f"/movements/{movement_id}") == before


async def test_a_movement_can_be_asked_about_while_its_progress_is_looked_at(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]

    async def act(number: int) -> int:
        if number % 2:
            async with verifier.ctx.db.write() as conn:
                await refresh(verifier.ctx, conn, movement_id, actor=somebody("beside"))
            return 201
        answer = await verifier.call("POST", "/presentation-requests", {"movement_id": movement_id})
        return answer.status_code

    assert set(await at_once(TASKS, act)) == {201}
