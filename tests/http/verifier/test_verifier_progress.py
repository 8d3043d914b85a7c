"""A movement's progress over HTTP: agreement, gates, approvals, licence, and the states that follow."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from passport_shared.service.auth import Actor
from passport_shared.wire.clients import ClientKind
from passport_shared.wire.scopes import scopes_of
from passport_testkit.apps import problem
from passport_testkit.clients import api_client
from passport_testkit.verifiers import HR, MOVEMENT, VerifierBench
from passport_verifier.operations import staff_agreements
from passport_verifier.operations.staff_agreements import Said
from passport_verifier.rules import licence_text
from passport_verifier.rules.movement_types import ApprovalMethod
from passport_verifier.store.tables import outbox

PLANNED = {"type": "SERVICE_NEED_URGENT", "start": "2026-09-02", "end": "2026-09-08"}


async def state(verifier: VerifierBench, movement_id: str) -> str:
    return str((await verifier.read(f"/movements/{movement_id}"))["state"])


async def gate(verifier: VerifierBench, movement_id: str, code: str) -> dict[str, Any]:
    items = (await verifier.read(f"/movements/{movement_id}/gates"))["items"]
    return next(one for one in items if one["code"] == code)


async def link(verifier: VerifierBench, movement_id: str) -> str:
    made = await verifier.made(f"/movements/{movement_id}/agreement-links", {"actor": HR})
    return str(made["page"])


async def answer(verifier: VerifierBench, page: str, **form: str) -> httpx.Response:
    """A staff member opens the page and answers."""
    shown = await verifier.http.get(page)
    assert shown.status_code == 200, shown.text
    found = re.search(r'name="csrf" value="([^"]+)"', shown.text)
    assert found is not None, shown.text
    return await verifier.http.post(page, data={"csrf": found.group(1), **form})


def recorded(verifier: VerifierBench, **changes: Any) -> dict[str, Any]:
    return {
        "decision": "AGREED",
        "channel": "PHONE",
        "at": (verifier.clock.now() - timedelta(minutes=10)).isoformat(),
        "actor": HR,
        **changes,
    }


async def ready(verifier: VerifierBench, **changes: Any) -> str:
    """A movement with everything that is needed before the first day."""
    movement_id = (await verifier.movement(**changes))["id"]
    await verifier.look_up(movement_id)
    await verifier.decided(verifier.surgeon(), movement_id)
    await verifier.approve(movement_id)
    await verifier.released(movement_id)
    assert await state(verifier, movement_id) == "READY"
    return str(movement_id)


# -- from request to ready -----------------------------------------------------------------------------------


async def test_the_state_follows_whatever_comes_first(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.look_up(movement_id)
    await verifier.approve(movement_id)
    await verifier.released(movement_id)
    assert await state(verifier, movement_id) == "REQUESTED", "nobody has asked the person"
    await verifier.decided(verifier.surgeon(), movement_id)
    found = await verifier.read(f"/movements/{movement_id}")
    assert found["state"] == "READY"
    assert found["progress"]["approvals_missing"] == []
    assert found["progress"]["closed_gates"] == ["G-H"]
    approvals = (await verifier.read(f"/movements/{movement_id}/approvals"))["items"]
    staff = next(one for one in approvals if one["kind"] == "STAFF")
    assert (staff["decision"], staff["method"], staff["channel"]) == ("AGREED", "PRESENTATION", "SAME_ROOM")


async def test_each_step_of_the_way_has_its_state(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.made(f"/movements/{movement_id}/staff-agreement", recorded(verifier), 200)
    assert await state(verifier, movement_id) == "AGREED"
    await verifier.released(movement_id)
    assert await state(verifier, movement_id) == "RELEASED"
    await verifier.look_up(movement_id)
    await verifier.decided(verifier.surgeon(), movement_id)
    shown = await verifier.read(f"/movements/{movement_id}")
    assert shown["state"] == "RELEASED"
    assert shown["progress"]["approvals_missing"] == ["HOST_DEPARTMENT"]
    await verifier.approve(movement_id)
    assert await state(verifier, movement_id) == "READY"
    told = [
        row
        for row in await events(verifier)
        if row["subject"] == movement_id and row["type"].startswith("movement.")
    ]
    assert [row["type"] for row in told] == ["movement.agreed", "movement.released", "movement.ready"]


async def events(verifier: VerifierBench) -> list[dict[str, Any]]:
    async with verifier.ctx.db.read() as conn:
        rows = (await conn.execute(select(outbox.events).order_by(outbox.events.c.id))).mappings()
        return [dict(row) for row in rows]


async def test_an_answer_that_is_not_ready_leaves_the_movement_released(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.approve(movement_id)
    await verifier.released(movement_id)
    decision = await verifier.decided(verifier.surgeon(), movement_id)
    assert decision["result"]["outcome"] != "READY"
    assert await state(verifier, movement_id) == "RELEASED", "nobody has looked the register up"
    await verifier.look_up(movement_id)
    await verifier.recheck(decision["id"])
    assert await state(verifier, movement_id) == "READY"


# -- G-A -----------------------------------------------------------------------------------------------------


async def test_without_an_agreement_nothing_is_asked_and_the_way_out_is_named(verifier: VerifierBench):
    movement = await verifier.movement(employing_ods="RXX")
    assert movement["agreement"] is None
    assert "G-A" in movement["progress"]["closed_gates"]
    closed = await gate(verifier, movement["id"], "G-A")
    assert closed["holds"] is False
    assert "secondment agreement or an honorary contract" in closed["next_step"]["en-GB"]
    assert "secondiad" in closed["next_step"]["cy"]
    for path, body in (
        ("/presentation-requests", {"movement_id": movement["id"]}),
        (f"/movements/{movement['id']}/release-request", {"actor": HR}),
    ):
        refused = problem(await verifier.call("POST", path, body), 409, "gate_not_passed")
        assert refused["detail"].startswith("G-A: ")
    verifier.registry.agree("RXX", "R0A", movement_types=["SERVICE_NEED_URGENT"], type="WSA", version="7")
    await verifier.refresh()
    assert (await gate(verifier, movement["id"], "G-A"))["holds"] is True
    await verifier.made("/presentation-requests", {"movement_id": movement["id"]})
    kept = (await verifier.read(f"/movements/{movement['id']}"))["agreement"]
    assert (kept["type"], kept["version"]) == ("WSA", "7")


async def test_an_agreement_that_is_over_before_the_last_day_covers_nothing(verifier: VerifierBench):
    verifier.registry.agreements.clear()
    verifier.registry.agree("RBV", "R0A", expires="2026-09-04")
    await verifier.refresh()
    assert (await verifier.movement(**PLANNED))["agreement"] is None
    covered = await verifier.movement(**{**PLANNED, "end": "2026-09-04"})
    assert covered["agreement"]["expires"] == "2026-09-04"


# -- G-C, approvals ------------------------------------------------------------------------------------------


async def test_everybody_says_one_thing_about_a_movement(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.approve(movement_id, "HOST_DEPARTMENT", "ward-12")
    body = {"kind": "FINANCE", "decision": "AGREED", "actor": "ward-12"}
    refused = await verifier.call("POST", f"/movements/{movement_id}/approvals", body)
    assert problem(refused, 409, "gate_not_passed")["detail"].startswith("G-C: ")
    await verifier.approve(movement_id, "FINANCE", "fin-1")
    await verifier.approve(movement_id, "HOST_DEPARTMENT", "ward-12")
    await verifier.look_up(movement_id)
    request = await verifier.ask(movement_id)
    await verifier.present(request, verifier.surgeon())
    decision_id = (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"]
    for actor in ("ward-12", "fin-1"):
        confirmation = {"method": "FACE_TO_FACE", "actor": actor}
        path = f"/decisions/{decision_id}/person-confirmation"
        problem(await verifier.call("POST", path, confirmation), 409, "gate_not_passed")
    await verifier.confirm(decision_id)
    body = {"kind": "EDUCATOR", "decision": "AGREED", "actor": HR}
    refused = await verifier.call("POST", f"/movements/{movement_id}/approvals", body)
    problem(refused, 409, "gate_not_passed")


async def test_nobody_approves_their_own_move(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    said = recorded(verifier, staff_ref="consultant-7")
    await verifier.made(f"/movements/{movement_id}/staff-agreement", said, 200)
    body = {"kind": "HOST_DEPARTMENT", "decision": "AGREED", "actor": "consultant-7"}
    refused = await verifier.call("POST", f"/movements/{movement_id}/approvals", body)
    assert "own move" in problem(refused, 409, "gate_not_passed")["detail"]


async def test_a_department_that_declines_ends_it(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await verifier.approve(movement_id, decision="DECLINED")
    assert await state(verifier, movement_id) == "DECLINED"
    body = {"kind": "FINANCE", "decision": "AGREED", "actor": "fin-1"}
    problem(await verifier.call("POST", f"/movements/{movement_id}/approvals", body), 409, "conflict")


@pytest.mark.parametrize("kind", ["STAFF", "LINE_MANAGER", "EMPLOYING_HR", "ANYBODY"])
async def test_the_host_never_types_the_others_decisions(verifier: VerifierBench, kind: str):
    movement_id = (await verifier.movement())["id"]
    body = {"kind": kind, "decision": "AGREED", "actor": "ward-12"}
    refused = await verifier.call("POST", f"/movements/{movement_id}/approvals", body)
    problem(refused, 422, "invalid_request")


# -- G-D -----------------------------------------------------------------------------------------------------


async def test_a_request_of_a_movement_says_what_sharing_agrees_to(verifier: VerifierBench):
    movement = await verifier.movement(**PLANNED, duties="Operate on lists. Teach.")
    asked = await verifier.made("/presentation-requests", {"movement_id": movement["id"]})
    text = asked["purpose_text"]["en-GB"]
    assert "R0A NHS Foundation Trust, from 2 September 2026 to 8 September 2026" in text
    assert "Duties: Operate on lists. Teach. By sharing, you agree to this move" in text
    assert "2 Medi 2026" in asked["purpose_text"]["cy"]
    (info,) = (await verifier.fetch(asked))["verifier_info"]
    assert info["data"]["text"] == asked["purpose_text"]
    assert (info["data"]["host"], info["data"]["duties"]) == (
        "R0A NHS Foundation Trust",
        "Operate on lists. Teach",
    )
    standalone = await verifier.ask(None, policy="SERVICE_NEED_URGENT.UROLOGY_SURGEON")
    assert "Duties" not in standalone["purpose_text"]["en-GB"]


async def test_a_link_is_answered_once_and_looking_at_it_changes_nothing(verifier: VerifierBench):
    movement_id = (await verifier.movement(**PLANNED))["id"]
    page = await link(verifier, movement_id)
    for _ in range(3):
        shown = await verifier.http.get(page)
        assert "Perform an operating list" in shown.text
        assert shown.headers["cache-control"] == "no-store"
    assert await state(verifier, movement_id) == "REQUESTED"
    welsh = await verifier.http.get(page, headers={"Accept-Language": "cy"})
    assert "a ydych yn cytuno?" in welsh.text
    neither = await answer(verifier, page)
    assert neither.status_code == 422
    agreed = await answer(verifier, page, answer="yes")
    assert agreed.status_code == 303
    after = await verifier.http.get(agreed.headers["location"])
    assert "You have agreed" in after.text
    assert await state(verifier, movement_id) == "AGREED"
    assert "form" not in (await verifier.http.get(page)).text.split("<main")[1].split("</main")[0]
    made = await verifier.made(f"/movements/{movement_id}/agreement-links", {"actor": HR})
    second = await answer(verifier, made["page"], answer="no")
    assert second.status_code == 303
    assert await state(verifier, movement_id) == "DECLINED", "taken back"
    items = (await verifier.read(f"/movements/{movement_id}/approvals"))["items"]
    assert [(one["decision"], one["method"]) for one in items] == [
        ("AGREED", "ONE_TIME_LINK"),
        ("WITHDRAWN", "ONE_TIME_LINK"),
    ]
    used = await verifier.read(f"/movements/{movement_id}/agreement-links/{made['id']}")
    assert used["page"] is None
    assert used["used_at"] is not None


async def test_a_decline_shows_managers_no_reason(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    await answer(verifier, await link(verifier, movement_id), answer="no")
    assert await state(verifier, movement_id) == "DECLINED"
    (said,) = (await verifier.read(f"/movements/{movement_id}/approvals"))["items"]
    assert said["decision"] == "DECLINED"
    assert not [name for name in said if "reason" in name or "note" in name]
    closed = await gate(verifier, movement_id, "G-D")
    assert closed["text"]["en-GB"] == "The staff member does not agree to this move."


async def test_links_that_cannot_be_used(verifier: VerifierBench):
    movement_id = (await verifier.movement(**PLANNED))["id"]
    first = await link(verifier, movement_id)
    second = await link(verifier, movement_id)
    assert (await verifier.http.get(first)).status_code == 410, "a newer one replaces it"
    forged = await verifier.http.post(second, data={"csrf": "x", "answer": "yes"})
    assert forged.status_code == 400
    foreign = await verifier.http.post(
        second, data={"answer": "yes"}, headers={"Origin": "https://elsewhere.example"}
    )
    assert foreign.status_code == 400
    unknown = second[:-3] + "AAA"
    assert (await verifier.http.get(unknown)).status_code == 404
    assert (await verifier.http.get(second.replace("/R0A/", "/RM3/"))).status_code == 404
    kept = {"type", "role_profile", "employing_ods"}
    change = {
        **{k: v for k, v in MOVEMENT.items() if k not in kept},
        "start": "2026-09-03",
        "end": "2026-09-04",
    }
    headers = {"If-Match": "*"}
    assert (
        await verifier.call("PUT", f"/movements/{movement_id}", change, headers=headers)
    ).status_code == 200
    assert (await verifier.http.get(second)).status_code == 410, "it was about other days"
    third = await link(verifier, movement_id)
    verifier.clock.advance(timedelta(days=8))
    assert (await verifier.http.get(third)).status_code == 410
    assert await state(verifier, movement_id) == "REQUESTED"


async def test_a_link_that_was_made_is_made_again_with_the_same_key(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    path, headers = f"/movements/{movement_id}/agreement-links", {"Idempotency-Key": "k-1"}
    one = await verifier.call("POST", path, {"actor": HR}, headers=headers)
    two = await verifier.call("POST", path, {"actor": HR}, headers=headers)
    assert one.json() == two.json()
    assert one.json()["page"].startswith("https://verifier.example/R0A/a/")
    read = await verifier.read(f"{path}/{one.json()['id']}")
    assert read == {**one.json(), "page": None}, "whoever has the link can answer: it is not shown again"


async def test_hr_records_an_agreement_for_urgent_moves_only(verifier: VerifierBench):
    verifier.registry.agree("RBV", "R0A", movement_types=["INDUCTION_VISIT"])
    await verifier.refresh()
    visit = {
        **PLANNED,
        "type": "INDUCTION_VISIT",
        "role_profile": "CLINICAL_NURSE_SPECIALIST",
        "use_case": "INDUCTION",
    }
    movement_id = (await verifier.movement(**visit))["id"]
    path = f"/movements/{movement_id}/staff-agreement"
    refused = await verifier.call("POST", path, recorded(verifier))
    problem(refused, 409, "recorded_agreement_not_allowed")
    await verifier.made(path, recorded(verifier, decision="DECLINED"), 200)
    assert await state(verifier, movement_id) == "DECLINED"
    urgent = (await verifier.movement())["id"]
    path = f"/movements/{urgent}/staff-agreement"
    for changes, pointer in (
        ({"at": (verifier.clock.now() + timedelta(hours=1)).isoformat()}, "/at"),
        ({"at": (verifier.clock.now() - timedelta(days=8)).isoformat()}, "/at"),
        ({"channel": "TELEPATHY"}, "/channel"),
    ):
        refused = await verifier.call("POST", path, recorded(verifier, **changes))
        assert pointer in str(problem(refused, 422, "invalid_request")["errors"])
    nothing = await verifier.call("POST", path, recorded(verifier, decision="WITHDRAWN"))
    problem(nothing, 409, "conflict")
    await verifier.made(path, recorded(verifier), 200)
    (said,) = (await verifier.read(f"/movements/{urgent}/approvals"))["items"]
    assert (said["method"], said["channel"], said["by"]["ref"]) == ("RECORDED", "PHONE", HR)


async def test_a_holder_session_agrees_and_takes_back(verifier: VerifierBench):
    movement_id = await ready(verifier)
    holder = Actor(ref="holder", client_id="holder", kind=ClientKind.MACHINE, asserted=False)
    said = Said(method=ApprovalMethod.HOLDER_SESSION)
    assert await staff_agreements.agree(verifier.ctx, "R0A", movement_id, said, holder) == "READY"
    assert await staff_agreements.withdraw(verifier.ctx, "R0A", movement_id, said, holder) == "DECLINED"
    problem(
        await verifier.call("POST", f"/movements/{movement_id}/agreement-links", {"actor": HR}),
        409,
        "conflict",
    )


# -- G-E: the person who is released -------------------------------------------------------------------------


async def test_a_release_of_another_person_does_not_hold_and_employing_hr_is_to_be_told(
    verifier: VerifierBench,
):
    movement_id = (await verifier.movement())["id"]
    await verifier.look_up(movement_id)
    await verifier.approve(movement_id)
    verifier.desk.agree(await verifier.ask_release(movement_id), holder_ref="B" * 22)
    await verifier.look(movement_id)
    await verifier.decided(verifier.surgeon(), movement_id)
    found = await verifier.read(f"/movements/{movement_id}")
    assert (found["state"], found["progress"]["closed_gates"]) == ("RELEASED", ["G-E", "G-H"])
    closed = await gate(verifier, movement_id, "G-E")
    assert "released another person" in closed["text"]["en-GB"]
    assert closed["who_can_fix"]["party"] == "EMPLOYING_HR"
    told = [row["data"] for row in await events(verifier) if row["type"] == "release.person_mismatch"]
    assert told == [{"employing_ods": "RBV", "host_ods": "R0A", "tell": ["HOST_HR", "EMPLOYING_HR"]}]
    verifier.desk.agree()
    await verifier.look(movement_id)
    assert await state(verifier, movement_id) == "READY"
    assert len([row for row in await events(verifier) if row["type"] == "release.person_mismatch"]) == 1


async def test_a_release_that_is_taken_back_before_the_first_day_waits_for_another(verifier: VerifierBench):
    movement_id = await ready(verifier)
    verifier.desk.withdraw()
    await verifier.look(movement_id)
    assert await state(verifier, movement_id) == "AGREED"
    again = await verifier.made(f"/movements/{movement_id}/release-request", {"actor": HR}, 202)
    assert again["request"]["by_holder_ref"]
    await verifier.deliver()
    verifier.desk.agree()
    await verifier.look(movement_id)
    assert await state(verifier, movement_id) == "READY"


# -- G-F, G-G, G-H -------------------------------------------------------------------------------------------


async def test_a_stay_beyond_what_is_agreed_is_not_ready(verifier: VerifierBench):
    verifier.registry.agreements.clear()
    verifier.registry.agree("RBV", "R0A", max_days=3)
    await verifier.refresh()
    movement_id = (await verifier.movement(**PLANNED))["id"]
    await verifier.look_up(movement_id)
    await verifier.approve(movement_id)
    case = await verifier.ask_release(movement_id)
    verifier.desk.agree(case)
    await verifier.look(movement_id)
    await verifier.decided(verifier.surgeon(), movement_id)
    assert await state(verifier, movement_id) == "RELEASED"
    closed = await gate(verifier, movement_id, "G-F")
    assert closed["text"]["en-GB"] == "The move lasts 7 days; at most 3 are agreed."
    verifier.desk.limit(date(2026, 9, 4), case)
    await verifier.look(movement_id)
    assert await state(verifier, movement_id) == "READY", "three days are released"


async def test_cover_for_sickness_only_by_who_said_it_is_right(verifier: VerifierBench):
    movement_id = (await verifier.movement(cover_reason="SICKNESS"))["id"]
    await verifier.look_up(movement_id)
    await verifier.approve(movement_id)
    await verifier.released(movement_id)
    await verifier.decided(verifier.surgeon(), movement_id)
    assert await state(verifier, movement_id) == "RELEASED"
    assert (await gate(verifier, movement_id, "G-G"))["holds"] is False
    await answer(verifier, await link(verifier, movement_id), answer="yes")
    assert await state(verifier, movement_id) == "RELEASED", "they agreed, and did not tick it"
    await answer(verifier, await link(verifier, movement_id), answer="yes", cover="yes")
    assert await state(verifier, movement_id) == "READY"


async def test_the_local_induction_is_recorded_once(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    path = f"/movements/{movement_id}/induction"
    future = await verifier.call("POST", path, {"on": "2026-09-02", "actor": HR})
    problem(future, 422, "invalid_request")
    await verifier.made(path, {"on": "2026-09-01", "actor": HR}, 200)
    await verifier.made(path, {"on": "2026-09-01", "actor": HR}, 200)
    problem(await verifier.call("POST", path, {"on": "2026-08-31", "actor": HR}), 409, "conflict")
    assert (await gate(verifier, movement_id, "G-H"))["holds"] is True


# -- the licence ---------------------------------------------------------------------------------------------


async def test_the_licence_is_made_by_itself_and_made_anew_when_a_part_changes(verifier: VerifierBench):
    movement_id = (await verifier.movement(**PLANNED))["id"]
    problem(await verifier.call("GET", f"/movements/{movement_id}/licence"), 404, "not_found")
    movement_id = await ready(verifier, **PLANNED)
    licence = await verifier.read(f"/movements/{movement_id}/licence")
    assert (licence["state"], licence["release_serial"]) == ("IN_FORCE", 1)
    assert licence["document_sha256"] == licence_text.document_sha256(licence["document"])
    assert licence["title"] == {"en-GB": "Licence to attend", "cy": "Trwydded i fynychu"}
    assert "from 2 September 2026 to 8 September 2026" in licence["clauses"]["en-GB"][0]
    verifier.desk.limit(date(2026, 9, 5))
    await verifier.look(movement_id)
    shorter = await verifier.read(f"/movements/{movement_id}/licence")
    assert (shorter["release_serial"], shorter["document"]["end"]) == (2, "2026-09-05")
    assert shorter["id"] != licence["id"]
    page = await verifier.call("GET", f"/movements/{movement_id}/licence", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert shorter["document_sha256"] in page.text
    assert "No further signature is needed" in page.text
    assert "Okonkwo" not in page.text + str(shorter), "it names nobody"
    await verifier.made(f"/movements/{movement_id}/cancel", {}, 200)
    ended = await verifier.read(f"/movements/{movement_id}/licence")
    assert (ended["id"], ended["state"]) == (shorter["id"], "ENDED")


# -- who may -------------------------------------------------------------------------------------------------


async def test_a_persons_client_is_told_whether_they_may_act(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    assert (await gate(verifier, movement_id, "G-B"))["holds"] is None
    person = api_client(
        "hr-person-1", organisation="R0A", scopes=scopes_of("verifier"), kind=ClientKind.PERSON
    )
    verifier.clients.put(person)
    found = (await verifier.call("GET", f"/movements/{movement_id}/gates", client=person)).json()
    judged = next(one for one in found["items"] if one["code"] == "G-B")
    assert judged["holds"] is True, "this trust keeps its HR users itself"


async def test_a_lower_scope_reads_and_does_not_approve(verifier: VerifierBench):
    movement_id = (await verifier.movement())["id"]
    reader = api_client("reader", organisation="R0A", scopes={"approvals:read", "movements:read"})
    verifier.clients.put(reader)
    for path in ("approvals", "gates", "release"):
        found = await verifier.call("GET", f"/movements/{movement_id}/{path}", client=reader)
        assert found.status_code == 200
    for path, body in (
        ("approvals", {"kind": "FINANCE", "decision": "AGREED", "actor": "f"}),
        ("staff-agreement", recorded(verifier)),
        ("agreement-links", {"actor": HR}),
        ("release-request", {"actor": HR}),
        ("release/refresh", None),
        ("induction", {"on": "2026-09-01", "actor": HR}),
    ):
        refused = await verifier.call("POST", f"/movements/{movement_id}/{path}", body, client=reader)
        problem(refused, 403, "forbidden")
