"""Two replicas and a retry at the verifier: what is recorded stays recorded, once, whatever comes between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from passport_testkit.cases import all_skills
from passport_testkit.databases import at_once, both_databases
from passport_testkit.presenter import HomeTrust, Presenter
from passport_testkit.verifiers import HR, MOVEMENT, VerifierBench
from passport_verifier.operations import answers, presentation_requests, rechecks, status_lists
from passport_verifier.store.status_memory import StatusMemory
from passport_verifier.store.tables import audit, metadata

OTHER_DAYS = {
    **{k: v for k, v in MOVEMENT.items() if k not in {"type", "role_profile", "employing_ods"}},
    "start": "2026-09-09",
    "end": "2026-09-09",
}


def first(owner: Any, name: str, act: Callable[[], Awaitable[object]], patch: pytest.MonkeyPatch) -> None:
    """Let ``act`` happen, once, just before ``owner.name`` runs."""
    original = getattr(owner, name)
    waiting = [act]

    async def then(*args: Any, **kwargs: Any) -> Any:
        if waiting:
            await waiting.pop()()
        return await original(*args, **kwargs)

    patch.setattr(owner, name, then)


async def _presented(verifier: VerifierBench, presenter: Presenter) -> str:
    """The id of the decision about an answer, its person not confirmed yet."""
    request = await verifier.ask()
    answered = await verifier.present(request, presenter)
    assert answered.status_code == 200, answered.text
    return str((await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"])


async def _newest(verifier: VerifierBench, decision_id: str) -> dict[str, Any]:
    found = await verifier.read(f"/decisions/{decision_id}")
    while found["superseded_by"] is not None:
        found = await verifier.read(f"/decisions/{found['superseded_by']}")
    return found


async def _count(verifier: VerifierBench, table: str) -> int:
    async with verifier.ctx.db.read() as conn:
        query = select(func.count()).select_from(metadata.tables[table])
        return int((await conn.execute(query)).scalar_one())


@both_databases
async def test_a_person_who_is_confirmed_during_a_recheck_is_confirmed_after_it(
    verifier: VerifierBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision_id = await _presented(verifier, verifier.surgeon())

    async def confirm() -> None:
        await verifier.confirm(decision_id)

    first(verifier.ctx.statuses, "get_many", confirm, monkeypatch)
    again = await verifier.recheck(decision_id)
    assert (again["recheck_of"], again["withheld"]) == (decision_id, None)


@both_databases
async def test_a_condition_that_is_met_during_a_recheck_is_met_after_it(
    verifier: VerifierBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = await verifier.decided(verifier.surgeon(CoreSkills={"skills": all_skills(FS=None)}))

    async def meet() -> None:
        await verifier.made(f"/decisions/{decision['id']}/conditions/1/met", {"actor": HR}, 200)

    first(verifier.ctx.statuses, "get_many", meet, monkeypatch)
    again = await verifier.recheck(decision["id"])
    assert again["result"]["conditions"][0]["state"] == "MET"


@both_databases
async def test_what_is_confirmed_beside_a_recheck_is_confirmed_or_refused(verifier: VerifierBench) -> None:
    for _ in range(5):
        decision_id = await _presented(verifier, verifier.surgeon())

        async def act(number: int, decision_id: str = decision_id) -> int:
            path = "person-confirmation" if number else "recheck"
            body = {"actor": HR, "method": "FACE_TO_FACE"} if number else {"actor": HR}
            return (await verifier.call("POST", f"/decisions/{decision_id}/{path}", body)).status_code

        rechecked, confirmed = await at_once(2, act)
        assert rechecked == 201
        newest = await _newest(verifier, decision_id)
        assert (newest["withheld"] is None) == (confirmed == 200)


@both_databases
@pytest.mark.parametrize("change", ["cancel", "amend"])
async def test_nothing_is_asked_for_a_movement_that_changed_meanwhile(
    verifier: VerifierBench, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    movement = await verifier.movement()

    async def meanwhile() -> None:
        path = f"/movements/{movement['id']}"
        if change == "cancel":
            await verifier.made(f"{path}/cancel", {}, 200)
        else:
            answer = await verifier.call("PUT", path, OTHER_DAYS, headers={"If-Match": '"1"'})
            assert answer.status_code == 200, answer.text

    first(presentation_requests, "_check_may_ask", meanwhile, monkeypatch)
    body = {"movement_id": movement["id"]}
    answer = await verifier.call("POST", "/presentation-requests", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert await _count(verifier, "presentation_requests") == 0


@both_databases
async def test_asking_and_changing_at_once_leave_no_question_about_other_days(
    verifier: VerifierBench,
) -> None:
    for _ in range(5):
        movement = await verifier.movement()
        path = f"/movements/{movement['id']}"

        async def act(number: int, path: str = path, movement_id: str = movement["id"]) -> int:
            if number:
                body = {"movement_id": movement_id}
                return (await verifier.call("POST", "/presentation-requests", body)).status_code
            return (await verifier.call("PUT", path, OTHER_DAYS, headers={"If-Match": '"1"'})).status_code

        changed, asked = await at_once(2, act)
        assert changed in {200, 409}
        assert asked in {201, 409}
        days = await verifier.read(path)
        requests = await verifier.read(f"/presentation-requests?movement_id={movement['id']}")
        assert all(one["first_day"] == days["start"] for one in requests["items"])


async def _elsewhere(verifier: VerifierBench) -> Presenter:
    """The surgeon with one record of a trust whose status list cannot be had now."""
    away = HomeTrust(
        verifier.registry, "https://issuer.example/RM3", name="Salford Trust", types=["CoreSkills"]
    )
    away.down = True
    verifier.wire.homes.append(away)
    verifier.clock.advance(timedelta(seconds=31))
    await verifier.refresh()
    presenter = verifier.surgeon()
    presenter.hold("CoreSkills", trust=away, key=presenter.held["StaffIdentity"].key)
    return presenter


@both_databases
async def test_a_list_that_arrives_while_a_decision_is_made_is_judged_at_once(
    verifier: VerifierBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    presenter = await _elsewhere(verifier)
    await _presented(verifier, presenter)
    verifier.clock.advance(timedelta(seconds=30))
    made: list[str] = []

    async def meanwhile() -> None:
        # the round has begun, and its list is on the way, when another answer comes
        verifier.clock.advance(timedelta(seconds=1))
        verifier.wire.homes[-1].down = False
        made.append(await _presented(verifier, presenter))
        verifier.clock.advance(timedelta(seconds=1))

    first(status_lists, "_fetched", meanwhile, monkeypatch)
    assert await rechecks.refresh_and_recheck(verifier.ctx) == 2
    (decision_id,) = made
    assert (await verifier.read(f"/decisions/{decision_id}"))["superseded_by"] is not None


@both_databases
async def test_a_replica_that_remembers_no_list_judges_by_the_one_that_came(verifier: VerifierBench) -> None:
    ctx = verifier.ctx
    decision_id = await _presented(verifier, await _elsewhere(verifier))
    away = verifier.wire.homes[-1]
    memory = StatusMemory(ctx.db, ctx.clock, size=8)
    snapshot = await ctx.snapshots.latest()
    assert snapshot is not None
    verifier.clock.advance(timedelta(seconds=30))
    assert await memory.get(away.uri, snapshot.roots) is None
    away.down = False
    verifier.clock.advance(timedelta(seconds=1))
    assert await status_lists.refresh(ctx) != []
    assert await rechecks.recheck_waiting(replace(ctx, statuses=memory)) == 1
    newest = await _newest(verifier, decision_id)
    assert (newest["cause"], newest["awaits_status"]) == ("STATUS_ARRIVED", False)


@both_databases
async def test_two_replicas_judge_what_waited_once(verifier: VerifierBench) -> None:
    decision_id = await _presented(verifier, await _elsewhere(verifier))
    verifier.wire.homes[-1].down = False
    verifier.clock.advance(timedelta(seconds=30))
    await status_lists.refresh(verifier.ctx)
    found = await at_once(4, lambda _: rechecks.recheck_waiting(verifier.ctx))
    assert sorted(found, key=str) == [0, 0, 0, 1]
    assert await _count(verifier, "decisions") == 2
    assert (await _newest(verifier, decision_id))["recheck_of"] == decision_id


@both_databases
async def test_two_replicas_judge_a_kept_answer_once(verifier: VerifierBench) -> None:
    presenter = verifier.surgeon()
    verifier.clock.advance(timedelta(hours=71, minutes=58))
    await verifier.refresh_statuses()
    request = await verifier.ask()
    verifier.clock.advance(timedelta(minutes=3))
    assert (await verifier.present(request, presenter)).status_code == 503
    verifier.clock.advance(timedelta(minutes=5))
    await verifier.refresh()
    await verifier.refresh_statuses()
    await at_once(4, lambda _: answers.retry_held(verifier.ctx))
    assert await _count(verifier, "decisions") == 1
    assert await _count(verifier, "held_presentations") == 0


@both_databases
async def test_a_request_that_is_closed_after_bad_answers_is_in_the_audit_log(
    verifier: VerifierBench,
) -> None:
    request = await verifier.ask()
    token = (await verifier.answer(request, verifier.surgeon())).token()
    bad = f"{token[:-4]}{'AAAA' if token[-4:] != 'AAAA' else 'BBBB'}"
    for _ in range(22):
        assert (await verifier.send(bad)).status_code == 400
    async with verifier.ctx.db.read() as conn:
        kind = audit.entries.c.kind == "presentation_request.refused"
        (entry,) = await conn.execute(select(audit.entries).where(kind))
    assert (entry.subject_ref, entry.organisation) == (request["id"], "R0A")
