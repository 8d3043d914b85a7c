"""What the verifier tells of its activity: a case is verified once, re-checks and refusals stand apart."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from passport_shared.wire.activity import ActivityEvent
from passport_testkit.databases import at_once
from passport_testkit.verifiers import HR, VerifierBench


async def events(verifier: VerifierBench) -> list[dict[str, Any]]:
    """Activity events in their order, as the host's system reads them again."""
    await verifier.ctx.outbox.place()
    found = await verifier.read("/events?limit=200")
    return [event for event in found["items"] if event["type"].split(".")[0] in ("passport", "presentation")]


async def presented(verifier: VerifierBench, movement_id: str | None = None, **asked: Any) -> str:
    """A decision whose person nobody has confirmed yet; its id."""
    request = await verifier.ask(movement_id, **asked)
    verifier.clock.advance(timedelta(seconds=60))
    answered = await verifier.present(request, verifier.surgeon())
    assert answered.status_code == 200, answered.text
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    return str(found["decision_id"])


async def test_a_confirmed_decision_is_told_with_its_steps_and_nobodys_name(verifier: VerifierBench):
    movement = await verifier.movement()
    await verifier.look_up(movement["id"])
    decision_id = await presented(verifier, movement["id"], channel="VIDEO")
    assert await events(verifier) == [], "nothing counts before somebody has confirmed the person"
    verifier.clock.advance(timedelta(seconds=45))
    decision = await verifier.confirm(decision_id)
    [event] = await events(verifier)
    assert (event["type"], event["organisation"]) == ("passport.verified", "R0A")
    fact = event["data"]
    assert fact["durations_s"] == {
        "request_to_presented": 60,
        "presented_to_decided": 0,
        "decided_to_confirmed": 45,
        "time_to_verify": 105,
    }
    assert fact["outcome"] == decision["result"]["outcome"]
    assert {name: fact[name] for name in ("employing_ods", "host_ods", "movement_type", "role_profile")} == {
        "employing_ods": "RBV",
        "host_ods": "R0A",
        "movement_type": "SERVICE_NEED_URGENT",
        "role_profile": "UROLOGY_SURGEON",
    }
    assert (fact["workforce_group"], fact["use_case"], fact["would_have_needed"], fact["channel"]) == (
        "CLINICIANS",
        "SERVICE_NEED",
        "LETTER_OF_AUTHORITY",
        "VIDEO",
    )
    ActivityEvent.model_validate(event)
    assert "Okonkwo" not in json.dumps(event)


async def test_confirming_again_and_at_the_same_time_tells_it_once(verifier: VerifierBench):
    decision_id = await presented(verifier)
    body = {"method": "FACE_TO_FACE", "actor": HR}
    path = f"/decisions/{decision_id}/person-confirmation"
    await at_once(6, lambda _: verifier.call("POST", path, body))
    await verifier.confirm(decision_id)
    assert [event["type"] for event in await events(verifier)] == ["passport.verified"]


async def test_later_decisions_and_rechecks_of_a_movement_stand_apart(verifier: VerifierBench):
    movement = await verifier.movement()
    await verifier.look_up(movement["id"])
    first = await presented(verifier, movement["id"])
    await verifier.confirm(first)
    again = await verifier.recheck(first)
    second = await presented(verifier, movement["id"])
    await verifier.confirm(second)
    await verifier.recheck(again["id"])
    told = await events(verifier)
    assert [event["type"] for event in told] == ["passport.verified", *["passport.rechecked"] * 3]
    assert told[1]["data"]["movement_type"] == "SERVICE_NEED_URGENT"


async def test_rivals_of_one_movement_are_one_verified(verifier: VerifierBench):
    movement = await verifier.movement()
    await verifier.look_up(movement["id"])
    ids = [await presented(verifier, movement["id"]) for _ in range(3)]
    body = {"method": "FACE_TO_FACE", "actor": HR}
    await at_once(
        3, lambda place: verifier.call("POST", f"/decisions/{ids[place]}/person-confirmation", body)
    )
    kinds = sorted(event["type"] for event in await events(verifier))
    assert kinds == ["passport.rechecked", "passport.rechecked", "passport.verified"]


async def test_a_recheck_before_anybody_confirmed_counts_as_nothing(verifier: VerifierBench):
    decision_id = await presented(verifier)
    again = await verifier.made(f"/decisions/{decision_id}/recheck", {"actor": HR})
    assert await events(verifier) == []
    await verifier.confirm(again["id"])
    assert [event["type"] for event in await events(verifier)] == ["passport.verified"]


async def test_two_movements_are_two_verified(verifier: VerifierBench):
    for _ in range(2):
        movement = await verifier.movement()
        await verifier.look_up(movement["id"])
        await verifier.confirm(await presented(verifier, movement["id"]))
    assert [event["type"] for event in await events(verifier)] == ["passport.verified"] * 2


async def test_a_refused_answer_is_told_with_its_reason(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    other = await verifier.ask()
    # The answer to another request: the nonce is not this one's.
    stranger = await verifier.answer(other, verifier.surgeon())
    answer.vp_token = stranger.vp_token
    refused = await verifier.send(answer)
    assert refused.status_code == 400, refused.text
    [event] = await events(verifier)
    assert event["type"] == "presentation.refused"
    assert event["data"]["reason"]
    assert event["data"]["movement_type"] == "SERVICE_NEED_URGENT"
    ActivityEvent.model_validate(event)
    accepted = await verifier.present(request, verifier.surgeon())
    assert accepted.status_code == 200
