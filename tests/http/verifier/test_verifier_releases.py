"""The employing trust's Release over HTTP: asked for, delivered, read, taken in order, refused by name."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from passport_shared.formats import jose
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.jose import SigningKey
from passport_shared.wire import release as wire
from passport_testkit.network import CHRISTIE
from passport_testkit.release_desk import HOLDER_REF, ReleaseDesk
from passport_testkit.verifiers import HR, MOVEMENT, VerifierBench
from passport_verifier.operations import releases
from passport_verifier.store.release_tables import release_requests
from passport_verifier.store.release_tables import releases as release_rows
from passport_verifier.store.tables import audit, outbox

PERSON = {"given_name": "Zoë", "family_name": "Fárrell-Ó Briain", "note": "Consultant, Tuesdays"}
WEEK = {"start": "2026-09-02", "end": "2026-09-08"}


async def rows(verifier: VerifierBench, table: Any) -> list[dict[str, Any]]:
    async with verifier.ctx.db.read() as conn:
        return [dict(row) for row in (await conn.execute(select(table))).mappings()]


async def kinds(verifier: VerifierBench) -> list[str]:
    return [row["kind"] for row in await rows(verifier, audit.entries)]


async def test_a_request_is_signed_delivered_and_its_words_for_the_person_are_forgotten(
    verifier: VerifierBench,
):
    movement = await verifier.movement()
    path = f"/movements/{movement['id']}"
    asked = await verifier.made(f"{path}/release-request", {"person": PERSON, "actor": HR}, 202)
    assert asked["request"]["state"] == "COMPOSED"
    assert asked["standing"] == "NONE"
    (before,) = await rows(verifier, release_requests)
    assert before["sealed_claims"] is not None
    assert b"Briain" not in before["sealed_claims"], "sealed, not stored"
    assert await verifier.deliver() == 1
    (after,) = await rows(verifier, release_requests)
    assert (after["sealed_claims"], after["sealed_message"]) == (None, None)
    request = verifier.desk.case.request
    assert request.subject.model_dump(exclude_none=True) == PERSON
    assert (request.movement.duties, request.movement.start) == (MOVEMENT["duties"], date(2026, 9, 2))
    assert request.urgent
    assert request.movement.host_name == "R0A NHS Foundation Trust"
    found = await verifier.read(f"{path}/release")
    assert found["request"]["state"] == "REQUESTED"
    assert await verifier.deliver() == 0
    assert {"release_request.composed", "release_request.delivered"} <= set(await kinds(verifier))
    for table in (release_requests, audit.entries, outbox.events):
        assert "Briain" not in json.dumps(await rows(verifier, table), default=str)


async def test_a_person_who_has_shared_is_named_by_their_passport(verifier: VerifierBench):
    movement = await verifier.movement()
    path = f"/movements/{movement['id']}"
    nobody = await verifier.call("POST", f"{path}/release-request", {"actor": HR})
    assert (nobody.status_code, nobody.json()["field"]) == (422, "/person")
    await verifier.look_up(movement["id"])
    await verifier.decided(verifier.surgeon(), movement["id"])
    await verifier.made(f"{path}/release-request", {"actor": HR}, 202)
    await verifier.deliver()
    assert verifier.desk.case.request.subject.model_dump() == {"holder_ref": HOLDER_REF}
    assert (await verifier.read(f"{path}/release"))["request"]["by_holder_ref"]


async def test_delivery_is_tried_again_with_the_same_bytes_and_given_up_in_the_end(verifier: VerifierBench):
    movement = await verifier.movement()
    path = f"/movements/{movement['id']}"
    verifier.desk.refuse_with = (503, {})
    await verifier.made(f"{path}/release-request", {"person": PERSON, "actor": HR}, 202)
    await verifier.deliver()
    verifier.clock.advance(timedelta(seconds=6))
    await verifier.deliver()
    assert len(verifier.desk.posted) == 2
    assert len(set(verifier.desk.posted)) == 1, "one signature, the same bytes"
    verifier.desk.refuse_with = None
    verifier.clock.advance(timedelta(minutes=1))
    await verifier.deliver()
    assert (await verifier.read(f"{path}/release"))["request"]["state"] == "REQUESTED"
    other = await verifier.movement(end="2026-09-05", external_id="other")
    verifier.desk.refuse_with = (500, {})
    await verifier.made(f"/movements/{other['id']}/release-request", {"person": PERSON}, 202)
    await verifier.deliver()
    verifier.clock.advance(timedelta(hours=23, minutes=30))
    await verifier.refresh()
    await verifier.deliver()
    found = (await verifier.read(f"/movements/{other['id']}/release"))["request"]
    assert (found["state"], found["refusal"]) == ("UNDELIVERED", "not_reached_in_time")
    gone = (await rows(verifier, release_requests))[-1]
    assert (gone["sealed_claims"], gone["sealed_message"]) == (None, None)
    verifier.desk.refuse_with = None
    again = await verifier.made(f"/movements/{other['id']}/release-request", {"person": PERSON}, 202)
    assert again["request"]["state"] == "COMPOSED"


async def test_a_refusal_of_the_employer_is_kept_as_a_code(verifier: VerifierBench):
    movement = await verifier.movement()
    verifier.desk.refuse_with = (
        400,
        {"code": "release_request_refused", "errors": [{"code": "unknown_holder_ref", "detail": "…"}]},
    )
    path = f"/movements/{movement['id']}"
    await verifier.made(f"{path}/release-request", {"person": PERSON, "actor": HR}, 202)
    await verifier.deliver()
    found = (await verifier.read(f"{path}/release"))["request"]
    assert (found["state"], found["refusal"]) == ("REFUSED", "unknown_holder_ref")
    events = [row["type"] for row in await rows(verifier, outbox.events)]
    assert "release_request.refused" in events
    verifier.desk.refuse_with = None
    await verifier.ask_release(movement["id"])


async def test_who_cannot_be_asked(verifier: VerifierBench):
    movement = await verifier.movement()
    path = f"/movements/{movement['id']}/release-request"
    body = {"person": PERSON, "actor": HR}
    await verifier.made(path, body, 202)
    assert (await verifier.call("POST", path, body)).json()["code"] == "conflict"
    verifier.registry.suspend(CHRISTIE)
    await verifier.refresh()
    other = await verifier.movement()
    refused = await verifier.call("POST", f"/movements/{other['id']}/release-request", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "employing_trust_not_found")
    await verifier.deliver()
    found = (await verifier.read(f"/movements/{movement['id']}/release"))["request"]
    assert (found["state"], found["refusal"]) == ("REFUSED", "issuer_suspended")
    verifier.registry.reinstate(CHRISTIE)
    await verifier.refresh()
    await verifier.made(f"/movements/{other['id']}/cancel", {}, 200)
    over = await verifier.call("POST", f"/movements/{other['id']}/release-request", body)
    assert over.json()["code"] == "conflict"
    tabs = {"given_name": "A\x07", "family_name": "B"}
    bad = await verifier.call("POST", path, {"person": tabs, "actor": HR})
    assert (bad.status_code, bad.json()["field"]) == (422, "/person")


async def test_a_release_is_read_verified_and_kept_with_what_it_means(verifier: VerifierBench):
    movement = await verifier.movement(**WEEK)
    case = await verifier.ask_release(movement["id"])
    path = f"/movements/{movement['id']}"
    waiting = await verifier.look(movement["id"])
    assert (waiting["standing"], waiting["release"]) == ("NONE", None)
    verifier.desk.limit(date(2026, 9, 5), case)
    found = await verifier.look(movement["id"])
    assert found["standing"] == "COVERS"
    release = found["release"]
    assert (release["serial"], release["state"], release["end"]) == (1, "AGREED_WITH_LIMITS", "2026-09-05")
    assert release["limits"] == [{"code": "NOT_AFTER", "date": "2026-09-05", "text": "Needed back at home"}]
    shown = await verifier.read(path)
    assert shown["last_day"] == "2026-09-05"
    assert shown["progress"]["release"] == {
        "standing": "COVERS",
        "state": "AGREED_WITH_LIMITS",
        "serial": 1,
        "end": "2026-09-05",
    }
    approvals = (await verifier.read(f"{path}/approvals"))["items"]
    assert [(one["kind"], one["decision"], one["method"], one["by"]) for one in approvals] == [
        ("LINE_MANAGER", "AGREED", "RELEASE", None),
        ("EMPLOYING_HR", "AGREED", "RELEASE", None),
    ]
    (stored,) = await rows(verifier, release_rows)
    assert HOLDER_REF not in json.dumps({**stored, "sealed": ""}, default=str)
    assert (await verifier.look(movement["id"]))["release"] == release, "nothing new, nothing changed"
    assert (await kinds(verifier)).count("release.received") == 1


async def test_w8_a_later_release_caps_the_end_and_both_hr_teams_are_told(verifier: VerifierBench):
    movement = await verifier.movement(**WEEK)
    await verifier.released(movement["id"])
    assert (await verifier.read(f"/movements/{movement['id']}"))["last_day"] == "2026-09-08"
    verifier.desk.limit(date(2026, 9, 4), code="LEAVING")
    await verifier.look(movement["id"])
    assert (await verifier.read(f"/movements/{movement['id']}"))["last_day"] == "2026-09-04"
    told = [row["data"] for row in await rows(verifier, outbox.events) if row["type"] == "movement.shortened"]
    assert told == [
        {
            "from": "2026-09-08",
            "to": "2026-09-04",
            "limits": ["LEAVING"],
            "host_ods": "R0A",
            "employing_ods": "RBV",
            "tell": ["HOST_HR", "EMPLOYING_HR"],
            "running": False,
        }
    ]
    verifier.desk.agree()
    await verifier.look(movement["id"])
    assert (await verifier.read(f"/movements/{movement['id']}"))["last_day"] == "2026-09-08"


def _days(claims: dict[str, Any]) -> None:
    claims["movement"]["end"] = "2026-10-01"
    claims["end"] = "2026-10-01"


def _set(**values: Any) -> Any:
    return lambda claims: claims.update(values)


def _movement(**values: Any) -> Any:
    return lambda claims: claims["movement"].update(values)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("unknown_key", {"key": SigningKey.generate()}),
    ("wrong_typ", {"typ": wire.RELEASE_REQUEST_TYP}),
    ("wrong_issuer", {"spoil": _set(iss="https://issuer.example/RW3")}),
    ("wrong_audience", {"spoil": _set(aud="https://verifier.example/RW3")}),
    ("wrong_request", {"spoil": _set(release_request="A" * 22)}),
    ("wrong_request", {"spoil": _set(request_sha256="A" * 43)}),
    ("wrong_movement", {"spoil": _movement(id="another-movement")}),
    ("wrong_movement", {"spoil": _movement(version=2)}),
    ("wrong_movement", {"spoil": _movement(duties_sha256="A" * 43)}),
    ("wrong_host", {"spoil": _movement(host_ods="RW3")}),
    ("wrong_employer", {"spoil": _movement(employing_ods="RW3")}),
    ("inconsistent", {"spoil": _set(end="2026-10-01")}),
    ("inconsistent", {"spoil": lambda claims: claims.pop("holder_ref")}),
    ("bad_claim", {"spoil": _set(state="MAYBE")}),
    ("missing_claim", {"spoil": lambda claims: claims.pop("serial")}),
    ("issued_in_future", {"spoil": lambda claims: claims.update(iat=claims["iat"] + 3_600)}),
    ("expired", {"spoil": lambda claims: claims.update(iat=claims["iat"] - 9_000, exp=claims["iat"] - 90)}),
    ("lifetime_too_long", {"spoil": lambda claims: claims.update(exp=claims["iat"] + 401 * 86_400)}),
]


async def test_every_answer_that_is_not_the_one_that_was_asked_for_changes_nothing(verifier: VerifierBench):
    movement = await verifier.movement(**WEEK)
    case = await verifier.ask_release(movement["id"])
    before = await verifier.read(f"/movements/{movement['id']}/approvals")
    for number, (reason, spoiled) in enumerate(REFUSED):
        verifier.desk.say(case, **{"serial": 1, **spoiled})
        if reason == "unknown_key":
            # Signed by somebody else under the employer's own key id.
            token = str(case.served)
            known = verifier.registry.entities[CHRISTIE].federation_key
            case.served = jose.sign(jose.parse(token).claims, SigningKey.generate(), typ=wire.RELEASE_TYP)
            assert jose.parse(case.served).header["kid"] != known.kid
        found = await verifier.look(movement["id"])
        assert (found["standing"], found["release"]) == ("NONE", None), reason
        assert found["request"]["last_refusal"] == reason, (number, reason)
    case.served = "not-a-token"
    assert (await verifier.look(movement["id"]))["request"]["last_refusal"] == "malformed"
    assert await verifier.read(f"/movements/{movement['id']}/approvals") == before
    assert await rows(verifier, release_rows) == []
    refusals = (await kinds(verifier)).count("release.refused")
    assert refusals == len(REFUSED) + 1
    await verifier.look(movement["id"])
    assert (await kinds(verifier)).count("release.refused") == refusals, "the same refusal is not repeated"
    verifier.desk.agree(case, serial=1)
    assert (await verifier.look(movement["id"]))["standing"] == "COVERS"


async def test_a_serial_never_goes_back_and_is_never_used_twice(verifier: VerifierBench):
    movement = await verifier.movement(**WEEK)
    case = await verifier.ask_release(movement["id"])
    first = verifier.desk.agree(case)
    await verifier.look(movement["id"])
    verifier.desk.withdraw(case)
    taken = await verifier.look(movement["id"])
    assert (taken["standing"], taken["release"]["serial"]) == ("WITHDRAWN", 2)
    case.served = first
    back = await verifier.look(movement["id"])
    assert (back["standing"], back["request"]["last_refusal"]) == ("WITHDRAWN", "serial_went_back")
    verifier.desk.agree(case, serial=2)
    reused = await verifier.look(movement["id"])
    assert (reused["standing"], reused["request"]["last_refusal"]) == ("WITHDRAWN", "serial_reused")
    verifier.desk.agree(case, serial=3)
    assert (await verifier.look(movement["id"]))["standing"] == "COVERS"


async def test_a_first_answer_after_the_time_for_it_changes_nothing(verifier: VerifierBench):
    movement = await verifier.movement(start="2026-09-20", end="2026-10-20")
    case = await verifier.ask_release(movement["id"])
    verifier.clock.advance(timedelta(days=15))
    await verifier.refresh()
    verifier.desk.agree(case)
    found = await verifier.look(movement["id"])
    assert (found["standing"], found["request"]["last_refusal"]) == ("NONE", "answered_late")


async def test_a_suspended_trust_cannot_answer_until_it_is_reinstated(verifier: VerifierBench):
    movement = await verifier.movement()
    case = await verifier.ask_release(movement["id"])
    verifier.desk.agree(case)
    verifier.registry.suspend(CHRISTIE)
    await verifier.refresh()
    assert (await verifier.look(movement["id"]))["request"]["last_refusal"] == "issuer_suspended"
    verifier.registry.reinstate(CHRISTIE)
    await verifier.refresh()
    assert (await verifier.look(movement["id"]))["standing"] == "COVERS"


async def test_the_sandbox_and_a_trust_release_nobody_to_each_other(verifier: VerifierBench):
    movement = await verifier.movement()
    case = await verifier.ask_release(movement["id"])
    verifier.desk.agree(case)
    verifier.registry.make_sandbox(CHRISTIE)
    await verifier.refresh()
    found = await verifier.look(movement["id"])
    assert (found["standing"], found["request"]["last_refusal"]) == ("NONE", "issuer_across_sandbox")
    other = await verifier.movement()
    refused = await verifier.call(
        "POST", f"/movements/{other['id']}/release-request", {"person": PERSON, "actor": HR}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "employing_trust_not_found")


async def test_a_decline_ends_the_movement_with_its_code_and_nothing_later_revives_it(
    verifier: VerifierBench,
):
    movement = await verifier.movement()
    case = await verifier.ask_release(movement["id"])
    verifier.desk.decline(case, "SINGLE_POINT_OF_FAILURE")
    found = await verifier.look(movement["id"])
    assert (found["standing"], found["release"]["decline_code"]) == ("DECLINED", "SINGLE_POINT_OF_FAILURE")
    assert (await verifier.read(f"/movements/{movement['id']}"))["state"] == "DECLINED"
    verifier.desk.agree(case)
    after = await verifier.look(movement["id"])
    assert (after["standing"], after["request"]["last_refusal"]) == ("DECLINED", "movement_over")


async def test_a_movement_that_was_changed_needs_another_release(verifier: VerifierBench):
    movement = await verifier.movement(**WEEK)
    case = await verifier.ask_release(movement["id"])
    verifier.desk.limit(date(2026, 9, 6), case)
    await verifier.look(movement["id"])
    path = f"/movements/{movement['id']}"
    kept = {"type", "role_profile", "employing_ods"}
    change = {**{k: v for k, v in MOVEMENT.items() if k not in kept}, **WEEK, "end": "2026-09-10"}
    changed = await verifier.call("PUT", path, change, headers={"If-Match": "*"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["terms_version"], changed.json()["last_day"]) == (2, "2026-09-10")
    assert changed.json()["progress"]["release"]["standing"] == "OTHER_TERMS"
    verifier.desk.limit(date(2026, 9, 5), case)
    late = await verifier.look(movement["id"])
    assert late["standing"] == "OTHER_TERMS", "an answer about the days before is kept, and covers nothing"
    assert (await verifier.read(path))["last_day"] == "2026-09-10"
    await verifier.released(movement["id"])
    assert verifier.desk.case.request.movement.version == 2
    assert (await verifier.read(f"{path}/release"))["standing"] == "COVERS"
    verifier.desk.agree(case)
    assert (await verifier.look(movement["id"]))["release"]["serial"] == 1


async def test_answers_are_fetched_soon_after_asking_then_less_often_and_hourly_in_the_end(
    verifier: VerifierBench,
):
    movement = await verifier.movement(**WEEK)
    await verifier.ask_release(movement["id"])
    pauses = []
    for _ in range(30):
        found = (await verifier.read(f"/movements/{movement['id']}/release"))["request"]
        due = verifier.clock.now().fromisoformat(found["next_look_at"])
        assert await releases.pull_due(verifier.ctx) == 0, "not before it is due"
        pauses.append((due - verifier.clock.now()).total_seconds())
        verifier.clock.set(due)
        assert await releases.pull_due(verifier.ctx) == 1
    assert pauses[:2] == [5.0, 7.5]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 3_600
    verifier.clock.set(verifier.clock.now().fromisoformat("2026-09-08T23:00:00+00:00"))
    await verifier.refresh()
    assert await releases.pull_due(verifier.ctx) == 1
    found = (await verifier.read(f"/movements/{movement['id']}/release"))["request"]
    assert found["next_look_at"] is None, "the movement is over"


async def test_an_employer_that_is_down_delays_only_its_own_answer(verifier: VerifierBench):
    movement = await verifier.movement()
    case = await verifier.ask_release(movement["id"])
    verifier.desk.down = True
    found = await verifier.look(movement["id"])
    assert (found["standing"], found["request"]["last_refusal"]) == ("NONE", None)
    verifier.desk.down = False
    verifier.desk.agree(case)
    assert (await verifier.look(movement["id"]))["standing"] == "COVERS"
    case.served = None
    assert (await verifier.look(movement["id"]))["standing"] == "COVERS", "what is known stays known"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"release_request": "another", "release_uri": "https://issuer.example/RBV/releases/AAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"release_request": "JTI", "release_uri": "https://elsewhere.example/releases/AAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"release_request": "JTI", "release_uri": "https://issuer.example/RBV/releases/../../RW3/releases/x"}',
        b'{"release_request": "JTI", "release_uri": 7}',
    ],
)
async def test_an_answer_that_sends_the_host_elsewhere_is_not_believed(
    verifier: VerifierBench, answer: bytes, monkeypatch: pytest.MonkeyPatch
):
    movement = await verifier.movement()
    await verifier.made(f"/movements/{movement['id']}/release-request", {"person": PERSON}, 202)
    (stored,) = await rows(verifier, release_requests)
    import httpx

    def take(_self: ReleaseDesk, _message: str) -> httpx.Response:
        content = answer.replace(b"JTI", stored["jti"].encode())
        headers = {"Content-Type": "application/json"}
        return httpx.Response(201, headers=headers, stream=httpx.ByteStream(content))

    monkeypatch.setattr(ReleaseDesk, "_take", take)
    await verifier.deliver()
    found = (await verifier.read(f"/movements/{movement['id']}/release"))["request"]
    assert found["state"] == "COMPOSED", "it is sent again"
    assert (
        epoch_s(verifier.clock.now()) < (await rows(verifier, release_requests))[0]["answer_by"].timestamp()
    )
