"""What the issuer tells of its activity: one passport issued, re-issues apart, never whom it was about."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from passport_issuer.operations import failpoints
from passport_shared.wire.activity import ActivityEvent
from passport_testkit.apps import problem
from passport_testkit.databases import at_once
from passport_testkit.issuers import API, ENTITY, HR, SURGEON, IssuerBench, check_body, other_trust


async def events(issuer: IssuerBench, kind: str = "passport") -> list[dict[str, Any]]:
    """The events of a kind, as a trust's system reads them again."""
    await issuer.ctx.outbox.place()
    answer = await issuer.call("GET", "/events?limit=200")
    assert answer.status_code == 200, answer.text
    return [event for event in answer.json()["items"] if event["type"].startswith(f"{kind}.")]


async def test_a_passport_is_told_once_however_many_parts_it_has(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    issuer.clock.advance(timedelta(minutes=7))
    offer = await issuer.offer(staff_id)
    issuer.clock.advance(timedelta(seconds=90))
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    [event] = await events(issuer)
    assert (event["type"], event["organisation"]) == ("passport.issued", "RBV")
    fact = event["data"]
    assert fact["durations_s"] == {
        "appointment_to_offer": 420,
        "offer_to_pin": 90,
        "pin_to_collected": 0,
        "time_to_issue": 510,
    }
    assert (fact["employing_ods"], fact["host_ods"], fact["source"]) == ("RBV", None, "live")
    assert fact["channel"] == "FACE_TO_FACE"
    ActivityEvent.model_validate(event)
    said = json.dumps(event)
    for private in (staff_id, SURGEON["legal_family"], SURGEON["legal_given"], SURGEON["birthdate"]):
        assert private not in said


async def test_issuing_again_is_told_apart_and_once_per_offer(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    wallet = issuer.wallet()
    for _ in range(3):
        offer = await issuer.offer(staff_id, ["StaffIdentity", "DbsOutcome"])
        await wallet.collect(offer["credential_offer"], offer["tx_code"])
    assert [event["type"] for event in await events(issuer)] == [
        "passport.issued",
        "passport.reissued",
        "passport.reissued",
    ]


async def test_nothing_is_told_of_what_was_not_collected(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    offer = await issuer.offer(staff_id)
    await issuer.call("POST", f"/offers/{offer['id']}/withdraw", {"actor": HR})
    assert await events(issuer) == []


class Crash(BaseException):
    """The process ends here."""


def crash() -> None:
    raise Crash


@pytest.mark.parametrize(
    "place", [failpoints.AFTER_RESERVE, failpoints.AFTER_SIGN, failpoints.AFTER_MARK_ISSUED]
)
async def test_a_crash_on_the_way_tells_it_once(issuer: IssuerBench, place: str) -> None:
    staff_id = await issuer.staff()
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    token = await wallet.token(await wallet.read_offer(made["credential_offer"]), made["tx_code"])
    nonce = await wallet.nonce(ENTITY)
    with failpoints.armed(place, crash), pytest.raises(BaseException):  # noqa: B017 - in a group
        await wallet.request(ENTITY, token, "OccupationalHealth_1", nonce=nonce)
    told = await events(issuer)
    assert len(told) == (1 if place == failpoints.AFTER_MARK_ISSUED else 0), (
        "told with the change or not at all"
    )
    again = await wallet.request(ENTITY, token, "OccupationalHealth_1", nonce=await wallet.nonce(ENTITY))
    assert again.status_code == 200, again.text
    assert [event["type"] for event in await events(issuer)] == ["passport.issued"]


async def test_rivals_for_the_first_credential_tell_of_one_passport(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    made = await issuer.offer(staff_id)
    wallet = issuer.wallet()
    token = await wallet.token(await wallet.read_offer(made["credential_offer"]), made["tx_code"])
    nonces = [await wallet.nonce(ENTITY) for _ in range(6)]
    names = [*made["credential_configuration_ids"][:3], *made["credential_configuration_ids"][:3]]
    await at_once(6, lambda place: wallet.request(ENTITY, token, names[place], nonce=nonces[place]))
    assert [event["type"] for event in await events(issuer)] == ["passport.issued"]


async def test_events_are_read_again_from_a_cursor_by_their_own_trust_only(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    for _ in range(3):
        offer = await issuer.offer(staff_id, ["StaffIdentity"])
        await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    every = await events(issuer)
    found, cursor = [], ""
    while True:
        page = (await issuer.call("GET", f"/events?limit=1{cursor and f'&cursor={cursor}'}")).json()
        cursor = page["next"]
        if not page["items"]:
            break
        found += [event["id"] for event in page["items"] if event["type"].startswith("passport.")]
    assert found == [event["id"] for event in every]
    assert (await issuer.call("GET", f"/events?cursor={cursor}")).json() == {"items": [], "next": cursor}
    for wrong in ("x", "-1", "01", "9" * 19):
        problem(await issuer.call("GET", f"/events?cursor={wrong}"), 422, "invalid_request")
    stranger = other_trust(issuer)
    problem(await issuer.call("GET", f"{API}/events", client=stranger), 404, "not_found")
