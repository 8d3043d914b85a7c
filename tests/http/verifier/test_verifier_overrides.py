"""Overrides (R-14) over HTTP: assurance only, a reason, two people, 72 hours, and the decision as before."""

# ruff: noqa: E501 - a table of cases reads better with a case per line

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from passport_shared.wire.scopes import scopes_of
from passport_testkit.apps import problem
from passport_testkit.cases import all_skills
from passport_testkit.clients import ApiClientKit, api_client
from passport_testkit.datasets import skill
from passport_testkit.verifiers import HR, VerifierBench
from passport_verifier.operations.overrides import expire
from passport_verifier.operations.overriding import may_start
from passport_verifier.store import shown_decisions
from passport_verifier.store.tables import audit, outbox

PATH = "/policies/SERVICE_NEED_URGENT.UROLOGY_SURGEON"
REASON = "The fire course was done on 31 August, the certificate is on its way."
FIRE = {"rule": "R-12", "subject": "FS"}


async def without_conditions(verifier: VerifierBench, *subjects: str) -> None:
    """A host that names no condition for some subjects: then a person has to decide (W11)."""
    rules = (await verifier.read(PATH))["rules"]
    for row in rules["rows"]:
        if row["subject"] in subjects:
            row["conditions"] = {}
    body = {**rules, "effective": "2026-09-01"}
    ann, bea = verifier.person("policy-ann"), verifier.person("policy-bea")
    made = (await verifier.call("POST", f"{PATH}/versions", body, client=ann)).json()
    done = await verifier.call("POST", f"{PATH}/versions/{made['number']}/approve", {}, client=bea)
    assert done.status_code == 200, done.text


async def referred(verifier: VerifierBench, **skills: Any) -> dict[str, Any]:
    """A decision that is referred because fire safety was not shown."""
    await without_conditions(verifier, "FS", "IG")
    shown = all_skills(**{"FS": None, **skills})
    decision = await verifier.decided(verifier.surgeon(CoreSkills={"skills": shown}))
    assert decision["result"]["outcome"] == "REFER"
    return decision


async def proposed(verifier: VerifierBench, decision_id: str, person: ApiClientKit, **more: Any) -> Any:
    body = {"decision_id": decision_id, "findings": [FIRE], "reason": REASON, **more}
    return await verifier.call("POST", "/overrides", body, client=person)


async def overridden(verifier: VerifierBench, decision_id: str) -> dict[str, Any]:
    ann, bea = verifier.person("ann"), verifier.person("bea")
    made = await proposed(verifier, decision_id, ann)
    assert made.status_code == 201, made.text
    done = await verifier.call("POST", f"/overrides/{made.json()['id']}/approve", {}, client=bea)
    assert done.status_code == 200, done.text
    found: dict[str, Any] = done.json()
    return found


async def outcomes(verifier: VerifierBench, decision_id: str) -> tuple[str, str]:
    """As it was judged, and as it is now."""
    result = (await verifier.read(f"/decisions/{decision_id}"))["result"]
    return result["outcome"], result["outcome_now"]


async def test_two_people_accept_what_is_missing_for_72_hours(verifier: VerifierBench):
    decision = await referred(verifier)
    made = await proposed(verifier, decision["id"], verifier.person("ann"))
    assert made.status_code == 201, made.text
    override = made.json()
    assert (override["state"], override["reason"]) == ("PROPOSED", REASON)
    assert made.headers["location"].endswith(f"/overrides/{override['id']}")
    assert await outcomes(verifier, decision["id"]) == ("REFER", "REFER")
    path = f"/overrides/{override['id']}"
    done = (await verifier.call("POST", f"{path}/approve", {}, client=verifier.person("bea"))).json()
    assert (done["state"], done["four_eyes"]) == ("APPROVED", "PERSONS")
    until = verifier.clock.now() + timedelta(hours=72)
    assert done["expires_at"] == until.isoformat().replace("+00:00", "Z")
    assert await outcomes(verifier, decision["id"]) == ("REFER", "READY_WITH_CONDITIONS")
    result = (await verifier.read(f"/decisions/{decision['id']}"))["result"]
    [brief] = result["overrides"]
    assert brief["id"] == override["id"]
    assert brief["text"]["en-GB"].startswith("Accepted with a reason by two people, until 4 September 2026")
    verifier.clock.advance(timedelta(hours=72))
    await verifier.refresh()
    assert await outcomes(verifier, decision["id"]) == ("REFER", "REFER")
    assert (await verifier.read(path))["state"] == "EXPIRED"
    assert await expire(verifier.ctx) == 1
    assert await expire(verifier.ctx) == 0
    ended = await verifier.read(path)
    assert (ended["state"], ended["ended_by"]["ref"]) == ("EXPIRED", "verifier")


async def test_it_is_reported_without_its_reason(verifier: VerifierBench):
    decision = await referred(verifier)
    override = await overridden(verifier, decision["id"])
    withdrawn = await verifier.call("POST", f"/overrides/{override['id']}/withdraw", {"actor": HR})
    assert withdrawn.json()["state"] == "WITHDRAWN"
    assert await outcomes(verifier, decision["id"]) == ("REFER", "REFER")
    async with verifier.ctx.db.read() as conn:
        events = list(await conn.execute(select(outbox.events)))
        entries = list(await conn.execute(select(audit.entries)))
    told = {row.type: row.data for row in events}
    assert told["decision.overridden"]["override"] == override["id"]
    assert told["decision.overridden"]["findings"] == [{**FIRE, "reason": "NOT_PRESENTED"}]
    assert told["override.ended"]["how"] == "WITHDRAWN"
    kinds = [row.kind for row in entries]
    for kind in ("override.proposed", "decision.overridden", "override.withdrawn"):
        assert kinds.count(kind) == 1, kind
    assert "certificate" not in str(events)
    assert "certificate" not in str(entries)


async def test_one_person_alone_accepts_nothing(verifier: VerifierBench):
    decision = await referred(verifier)
    ann = verifier.person("ann")
    override = (await proposed(verifier, decision["id"], ann)).json()
    path = f"/overrides/{override['id']}/approve"
    problem(await verifier.call("POST", path, {}, client=ann), 409, "second_person_needed")
    problem(await verifier.call("POST", path, {"actor": "hr-2"}), 409, "second_person_needed")
    weak = api_client("r0a-reader", organisation="R0A", scopes={"verifications:write"})
    verifier.clients.put(weak)
    problem(await verifier.call("POST", path, {"actor": "hr-3"}, client=weak), 403, "forbidden")
    assert await outcomes(verifier, decision["id"]) == ("REFER", "REFER")


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"reason": "because"}, 422, "invalid_request", "/reason"),
        ({"reason": "." * 60}, 422, "invalid_request", "/reason"),
        ({"findings": [{"rule": "R-12", "subject": "LDA"}]}, 422, "invalid_request", "/findings/0"),
        ({"findings": [FIRE, {"rule": "R-08"}]}, 409, "not_acceptable_with_reason", "/findings/1"),
        ({"findings": [{"rule": "R-01"}]}, 409, "not_acceptable_with_reason", "/findings/0"),
        ({"findings": [{"rule": "R-12", "subject": "IPC"}]}, 409, "not_acceptable_with_reason", "/findings/0"),
        ({"findings": [{"rule": "R-12", "subject": "EDHR"}]}, 409, "not_acceptable_with_reason", "/findings/0"),
        ({"findings": []}, 422, "invalid_request", "/findings"),
        ({"decision_id": "01900000-nobody"}, 404, "not_found", None),
    ],
)  # fmt: skip
async def test_what_cannot_be_accepted_says_why(
    verifier: VerifierBench, change: dict[str, Any], status: int, code: str, field: str | None
):
    decision = await referred(verifier)
    named = change.get("decision_id", decision["id"])
    change = {name: value for name, value in change.items() if name != "decision_id"}
    refused = await proposed(verifier, named, verifier.person("ann"), **change)
    assert problem(refused, status, code).get("field") == field


async def test_safety_is_never_accepted(verifier: VerifierBench):
    unsafe = verifier.surgeon(DbsOutcome={"level": "STANDARD", "barred_lists": []})
    decision = await verifier.decided(unsafe)
    assert decision["result"]["outcome"] == "NOT_READY"
    refused = await proposed(verifier, decision["id"], verifier.person("ann"), findings=[{"rule": "R-08"}])
    problem(refused, 409, "not_acceptable_with_reason")


async def test_a_decision_that_is_withheld_or_replaced_accepts_nothing(verifier: VerifierBench):
    decision = await referred(verifier)
    again = await verifier.recheck(decision["id"])
    ann = verifier.person("ann")
    problem(await proposed(verifier, decision["id"], ann), 409, "was_rechecked")
    request = await verifier.ask()
    surgeon = verifier.surgeon(CoreSkills={"skills": all_skills(FS=None)})
    assert (await verifier.present(request, surgeon)).status_code == 200
    waiting = (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"]
    problem(await proposed(verifier, waiting, ann), 409, "person_not_confirmed")
    assert (await proposed(verifier, again["id"], ann)).status_code == 201


async def test_a_recheck_carries_it_exactly_as_far_as_the_same_thing_is_missing(verifier: VerifierBench):
    decision = await referred(verifier, IG=skill("1", "2025-09-05"))
    override = await overridden(verifier, decision["id"])
    again = await verifier.recheck(decision["id"])
    assert await outcomes(verifier, again["id"]) == ("REFER", "READY_WITH_CONDITIONS")
    [brief] = (await verifier.read(f"/decisions/{again['id']}"))["result"]["overrides"]
    assert brief["expires_at"] == override["expires_at"], "a re-check never makes it longer"


async def test_something_else_that_goes_missing_is_not_covered(verifier: VerifierBench):
    # Both are missing, and only fire safety is accepted.
    decision = await referred(verifier, IG=None)
    await overridden(verifier, decision["id"])
    assert await outcomes(verifier, decision["id"]) == ("REFER", "REFER")


async def test_a_new_answer_is_judged_without_it(verifier: VerifierBench):
    decision = await referred(verifier)
    await overridden(verifier, decision["id"])
    surgeon = verifier.surgeon(CoreSkills={"skills": all_skills(FS=None)})
    other = await verifier.decided(surgeon)
    assert await outcomes(verifier, other["id"]) == ("REFER", "REFER")


async def test_of_many_approvals_at_once_one_counts_and_a_late_one_does_not(verifier: VerifierBench):
    decision = await referred(verifier)
    made = (await proposed(verifier, decision["id"], verifier.person("ann"))).json()
    path = f"/overrides/{made['id']}/approve"
    people = [verifier.person(name) for name in ("bea", "cat", "dan")]
    answers = await asyncio.gather(*(verifier.call("POST", path, {}, client=one) for one in people))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    late = (await proposed(verifier, decision["id"], verifier.person("ann"))).json()
    verifier.clock.advance(timedelta(hours=72))
    refused = await verifier.call("POST", f"/overrides/{late['id']}/approve", {}, client=people[0])
    problem(refused, 409, "conflict")
    gone = await verifier.call("POST", f"/overrides/{late['id']}/withdraw", {"actor": HR})
    problem(gone, 409, "conflict")


async def test_overrides_are_listed_by_decision_and_are_nobody_elses(verifier: VerifierBench):
    decision = await referred(verifier)
    override = await overridden(verifier, decision["id"])
    listed = (await verifier.read(f"/overrides?decision_id={decision['id']}"))["items"]
    assert [one["id"] for one in listed] == [override["id"]]
    assert (await verifier.read("/overrides?decision_id=other"))["items"] == []
    other = api_client("rm3-hr-system", organisation="RM3", scopes=scopes_of("verifier"))
    verifier.clients.put(other)
    for method, path in (("GET", ""), ("POST", "/approve"), ("POST", "/withdraw")):
        body = {"actor": HR} if method == "POST" else None
        answer = await verifier.call(method, f"/overrides/{override['id']}{path}", body, client=other)
        problem(answer, 404, "not_found")


async def test_the_movement_may_start_while_it_is_in_force(verifier: VerifierBench):
    decision = await referred(verifier)

    async def may() -> bool:
        async with verifier.ctx.db.read() as conn:
            shown = await shown_decisions.newest_of(conn, decision["movement_id"])
            return await may_start(verifier.ctx, conn, shown)

    assert await may() is False
    override = await overridden(verifier, decision["id"])
    assert await may() is True
    await verifier.call("POST", f"/overrides/{override['id']}/withdraw", {"actor": HR})
    assert await may() is False
    await overridden(verifier, decision["id"])
    verifier.clock.advance(timedelta(hours=72))
    assert await may() is False
