"""Holder sessions at a host: opened by a key something was shared with, for one's own moves and sharing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from passport_shared.formats.jose import SigningKey
from passport_shared.formats.status_list import INVALID, SUSPENDED
from passport_testkit.presenter import Presenter
from passport_testkit.staff_app import StaffApp
from passport_testkit.verifiers import VERIFIER, VerifierBench, running_verifier

ENTITY = f"{VERIFIER}/R0A"


def app_of(verifier: VerifierBench, person: Presenter, name: str = "StaffIdentity") -> StaffApp:
    """The app of a person, with one of their credentials."""
    held = person.held[name]
    return StaffApp(verifier.http, verifier.clock, ENTITY, held.token, held.key)


async def shared(verifier: VerifierBench, **changes: Any) -> tuple[Presenter, dict[str, Any]]:
    """A surgeon who shared her records for a movement, and the movement."""
    person = verifier.surgeon()
    movement = await verifier.movement(**changes)
    await verifier.look_up(movement["id"])
    await verifier.decided(person, movement["id"])
    return person, movement


async def opened(verifier: VerifierBench, **changes: Any) -> tuple[StaffApp, dict[str, Any]]:
    """The same, with a session."""
    person, movement = await shared(verifier, **changes)
    app = app_of(verifier, person)
    answer = await app.open()
    assert answer.status_code == 200, answer.text
    return app, movement


async def refusal(answer: httpx.Response, status: int = 400) -> tuple[str, str]:
    assert answer.status_code == status, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["error"], answer.json()["error_description"]


async def test_any_record_that_was_shared_opens_a_session(verifier: VerifierBench) -> None:
    person, movement = await shared(verifier)
    for name in ("StaffIdentity", "CoreSkills"):
        app = app_of(verifier, person, name)
        answer = await app.open()
        assert (answer.status_code, answer.json()["expires_in"]) == (200, 900)
        (move,) = (await app.read("moves"))["items"]
        assert move["id"] == movement["id"]


async def test_a_move_is_shown_as_it_stands(verifier: VerifierBench) -> None:
    app, movement = await opened(verifier)
    (move,) = (await app.read("moves"))["items"]
    assert move == await app.read(f"moves/{movement['id']}")
    assert (move["movement_type"], move["start"]) == ("SERVICE_NEED_URGENT", "2026-09-02")
    assert (move["duties"], move["employing_ods"]) == ("Perform an operating list", "RBV")
    # presenting to a request that named host, dates and duties was the agreement
    assert (move["my_answer"]["decision"], move["my_answer"]["method"]) == ("AGREED", "PRESENTATION")
    assert move["my_answer"]["of_these_terms"] is True
    assert "outcome" not in str(move)


async def test_an_agreement_is_given_in_the_app(verifier: VerifierBench) -> None:
    app, movement = await opened(verifier)
    path = f"moves/{movement['id']}/agree"
    given = await app.call("POST", path, {"terms_version": 1, "cover_opt_in": True})
    assert given.json()["my_answer"]["method"] == "HOLDER_SESSION", given.text
    assert (await app.call("POST", path)).json() == given.json()
    seen = await verifier.read(f"/movements/{movement['id']}/approvals")
    staff = [one for one in seen["items"] if one["kind"] == "STAFF"]
    assert {one["method"] for one in staff} >= {"HOLDER_SESSION"}


async def test_an_agreement_is_taken_back_once_and_for_all(verifier: VerifierBench) -> None:
    app, movement = await opened(verifier)
    path = f"moves/{movement['id']}"
    taken = await app.call("POST", f"{path}/withdraw")
    assert taken.status_code == 200, taken.text
    assert taken.json()["my_answer"]["decision"] == "WITHDRAWN"
    assert taken.json()["my_answer"]["method"] == "HOLDER_SESSION"
    again = await app.call("POST", f"{path}/withdraw")
    assert (again.status_code, again.json()) == (200, taken.json())
    assert (await verifier.read(f"/movements/{movement['id']}"))["state"] == taken.json()["state"]
    assert (await refusal(await app.call("POST", f"{path}/agree"), 409))[0] == "conflict"


async def test_a_person_declines(verifier: VerifierBench) -> None:
    app, movement = await opened(verifier)
    declined = await app.call("POST", f"moves/{movement['id']}/decline")
    assert (declined.status_code, declined.json()["state"]) == (200, "DECLINED")
    assert (await verifier.read(f"/movements/{movement['id']}"))["state"] == "DECLINED"


async def test_other_terms_than_were_read_are_not_agreed_to(verifier: VerifierBench) -> None:
    app, movement = await opened(verifier)
    answer = await app.call("POST", f"moves/{movement['id']}/agree", {"terms_version": 2})
    assert (await refusal(answer, 409))[0] == "conflict"
    for body in ({"terms_version": "1"}, {"terms_version": True}, {"terms_version": 0}, {"cover_opt_in": 1}):
        answer = await app.call("POST", f"moves/{movement['id']}/agree", body)
        assert (await refusal(answer))[0] == "invalid_request"


async def test_what_is_over_is_not_answered(verifier: VerifierBench) -> None:
    app, movement = await opened(verifier)
    await verifier.made(f"/movements/{movement['id']}/cancel", {"actor": "hr-0815"}, 200)
    answer = await app.call("POST", f"moves/{movement['id']}/withdraw")
    assert (await refusal(answer, 409))[0] == "conflict"


async def test_sharing_says_what_when_and_for_what_and_no_outcome(verifier: VerifierBench) -> None:
    app, movement = await opened(verifier)
    (one,) = (await app.read("sharing"))["items"]
    assert (one["move"], one["purpose"]) == (movement["id"], "SERVICE_NEED_URGENT")
    assert one["with"]["ods_code"] == "R0A"
    records = {record["type"]: record for record in one["records"]}
    assert "StaffIdentity" in records
    assert records["CoreSkills"]["from"] == "RBV"
    assert ["holder_ref"] in records["StaffIdentity"]["details_asked"]
    text = str(one)
    assert not any(word in text for word in ("READY", "REFER", "PASS", "FAIL", "Okonkwo"))


async def test_a_re_check_is_no_new_sharing(verifier: VerifierBench) -> None:
    person = verifier.surgeon()
    decision = await verifier.decided(person)
    await verifier.recheck(decision["id"])
    app = app_of(verifier, person)
    await app.open()
    assert len((await app.read("sharing"))["items"]) == 1
    assert len((await app.read("moves"))["items"]) == 1


async def test_what_is_another_persons_does_not_exist(verifier: VerifierBench) -> None:
    _, movement = await shared(verifier)
    stranger, own = await opened(verifier)
    assert [move["id"] for move in (await stranger.read("moves"))["items"]] == [own["id"]]
    for method, path in (
        ("GET", f"moves/{movement['id']}"),
        ("POST", f"moves/{movement['id']}/agree"),
        ("POST", f"moves/{movement['id']}/decline"),
        ("POST", f"moves/{movement['id']}/withdraw"),
        ("GET", "moves/unknown"),
    ):
        assert (await refusal(await stranger.call(method, path), 404))[0] == "not_found"


async def test_a_move_is_the_last_presenters(verifier: VerifierBench) -> None:
    """Somebody else's answer to a request makes the move theirs to answer only until the right one comes."""
    person, movement = await shared(verifier)
    right = verifier.surgeon()
    await verifier.decided(right, movement["id"])
    first, second = app_of(verifier, person), app_of(verifier, right)
    await first.open()
    await second.open()
    assert (await first.read("moves"))["items"] == []
    assert [move["id"] for move in (await second.read("moves"))["items"]] == [movement["id"]]
    # what the first one shared stays in their history
    assert len((await first.read("sharing"))["items"]) == 1


async def test_an_answer_nobody_has_confirmed_takes_a_move_from_nobody(verifier: VerifierBench) -> None:
    """Who gets hold of a request, a photographed code say, cannot end somebody else's placement by it."""
    person, movement = await shared(verifier)
    stranger = verifier.surgeon()
    assert (await verifier.present(await verifier.ask(movement["id"]), stranger)).status_code == 200
    right, wrong = app_of(verifier, person), app_of(verifier, stranger)
    await right.open()
    await wrong.open()
    assert (await wrong.read("moves"))["items"] == []
    withdrawn = await wrong.call("POST", f"moves/{movement['id']}/withdraw")
    assert (await refusal(withdrawn, 404))[0] == "not_found"
    assert [move["id"] for move in (await right.read("moves"))["items"]] == [movement["id"]]


# -- opening -----------------------------------------------------------------------------------------------


async def test_a_key_nothing_was_shared_with_opens_nothing(verifier: VerifierBench) -> None:
    await shared(verifier)
    stranger = verifier.surgeon()
    error, description = await refusal(await app_of(verifier, stranger).open())
    assert (error, "nothing was shared" in description) == ("invalid_grant", True)


async def test_a_credential_nobody_trusts_opens_nothing(verifier: VerifierBench) -> None:
    person, _ = await shared(verifier)
    held = person.held["StaffIdentity"]
    app = app_of(verifier, person)
    issuer_jwt, _, rest = held.token.partition("~")
    forged = f"{issuer_jwt[:-8]}AAAAAAAA~{rest}"
    answer = await app.post_session(app.presentation(await app.challenge(), credential=forged))
    assert (await refusal(answer))[0] == "invalid_grant"


async def _home_becomes(verifier: VerifierBench, change: str) -> None:
    getattr(verifier.registry, change)(verifier.home.entity_id)
    verifier.clock.advance(timedelta(seconds=31))
    await verifier.refresh()


@pytest.mark.parametrize("change", ["compromise", "make_sandbox", "leave"])
async def test_a_record_whose_issuer_is_not_relied_on_opens_nothing(
    verifier: VerifierBench, change: str
) -> None:
    """What would be refused as evidence is no proof of whose session it is either."""
    person, _ = await shared(verifier)
    await _home_becomes(verifier, change)
    error, description = await refusal(await app_of(verifier, person).open())
    assert (error, "not relied on" in description) == ("invalid_grant", True), description


async def test_a_suspended_issuers_people_may_still_look(verifier: VerifierBench) -> None:
    person, _ = await shared(verifier)
    await _home_becomes(verifier, "suspend")
    assert (await app_of(verifier, person).open()).status_code == 200


async def test_a_status_nobody_knows_opens_nothing(verifier: VerifierBench) -> None:
    person, _ = await shared(verifier)
    verifier.home.list.set(person.held["StaffIdentity"].idx, 3)
    verifier.clock.advance(timedelta(minutes=6))
    await verifier.refresh_statuses()
    error, description = await refusal(await app_of(verifier, person).open())
    assert (error, "no longer valid" in description) == ("invalid_grant", True)


async def test_status_decides_who_may_look(verifier: VerifierBench) -> None:
    person, _ = await shared(verifier)
    held = person.held["StaffIdentity"]
    verifier.home.list.set(held.idx, SUSPENDED)
    verifier.clock.advance(timedelta(minutes=6))
    await verifier.refresh_statuses()
    assert (await app_of(verifier, person).open()).status_code == 200  # on hold: only home knows why
    verifier.home.list.set(held.idx, INVALID)
    verifier.clock.advance(timedelta(minutes=6))
    await verifier.refresh_statuses()
    error, description = await refusal(await app_of(verifier, person).open())
    assert (error, "no longer valid" in description) == ("invalid_grant", True)


async def test_what_nobody_can_say_opens_nothing_now(verifier: VerifierBench) -> None:
    person, _ = await shared(verifier)
    verifier.home.down = True
    verifier.clock.advance(timedelta(hours=25))
    await verifier.refresh()
    answer = await app_of(verifier, person).open()
    assert (await refusal(answer, 503))[0] == "temporarily_unavailable"
    assert answer.headers["retry-after"] == "60"


async def test_every_refusal_to_open_names_its_reason(verifier: VerifierBench) -> None:
    person, _ = await shared(verifier)
    app, now = app_of(verifier, person), verifier.clock.now()
    spoils: dict[str, dict[str, Any]] = {
        "key_binding_bad_signature": {"key": SigningKey.generate()},
        "key_binding_wrong_aud": {"aud": f"{VERIFIER}/RBV"},
        "key_binding_too_old": {"iat": now - timedelta(seconds=301)},
    }
    for reason, spoiled in spoils.items():
        answer = await app.post_session(app.presentation(await app.challenge(), **spoiled))
        error, description = await refusal(answer)
        assert (error, reason in description) == ("invalid_grant", True), description
    url = f"{ENTITY}/holder/sessions"
    other = app.proof("POST", url, key=SigningKey.generate())
    answer = await app.post_session(app.presentation(await app.challenge()), other)
    assert (await refusal(answer))[0] == "invalid_grant"
    answer = await app.post_session(app.presentation(await app.challenge()), app.proof("GET", url))
    assert (await refusal(answer))[0] == "invalid_dpop_proof"
    answer = await app.post_session(app.presentation("made-up"))
    assert (await refusal(answer))[0] == "invalid_grant"


async def test_challenge_and_proofs_are_used_once(verifier: VerifierBench) -> None:
    person, _ = await shared(verifier)
    app = app_of(verifier, person)
    presentation = app.presentation(await app.challenge())
    answers = await asyncio.gather(*(app.post_session(presentation) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 5
    await app.open()
    uses = await asyncio.gather(*(app.call("GET", "moves", jti="race") for _ in range(6)))
    assert sorted(answer.status_code for answer in uses) == [200] + [401] * 5


async def test_every_use_needs_a_proof_of_the_same_key(verifier: VerifierBench) -> None:
    app, _ = await opened(verifier)
    assert await app.refused(path="moves", key=SigningKey.generate()) == "invalid_token"
    assert await app.refused(path="moves", htm="POST") == "invalid_dpop_proof"
    assert await app.refused(path="moves", access_token="another") == "invalid_dpop_proof"
    assert await app.refused(path="moves", token="made-up") == "invalid_token"
    verifier.clock.advance(timedelta(minutes=15))
    assert await app.refused(path="moves") == "invalid_token"


async def test_a_session_is_of_one_host(tmp_path, databases) -> None:
    url = await databases.url("passport_verifier")
    async with running_verifier(tmp_path, url, tenants=("R0A", "RM3")) as verifier:
        person, _ = await shared(verifier)
        app = app_of(verifier, person)
        await app.open()
        app.entity_id = f"{VERIFIER}/RM3"
        assert await app.refused(path="moves") == "invalid_token"
        assert (await refusal(await app.open()))[0] == "invalid_grant"


# -- requirements ------------------------------------------------------------------------------------------


async def test_requirements_are_public_and_cacheable(verifier: VerifierBench) -> None:
    path = "/R0A/requirements/SERVICE_NEED_URGENT?role=UROLOGY_SURGEON"
    answer = await verifier.http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "public, max-age=300"
    body = answer.json()
    (role,) = body["roles"]
    assert (body["host"]["ods_code"], role["role_profile"]) == ("R0A", "UROLOGY_SURGEON")
    assert all(body["host"]["name"] in text and "{" not in text for text in role["purpose"].values())
    records = {record["type"]: record for record in role["records"]}
    assert records["StaffIdentity"]["need"] == "SAFETY"
    assert "barred_lists" in records["DbsOutcome"]["details"]
    skills = {skill["subject"]: skill for skill in records["CoreSkills"]["skills"]}
    assert skills["IPC"]["need"] == "SAFETY"
    assert skills["FS"]["need"] == "ASSURANCE"
    assert all(record["label"]["cy"] for record in role["records"])
    unchanged = await verifier.http.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/R0A/requirements/NO_SUCH_MOVE",
        "/R0A/requirements/SERVICE_NEED_URGENT?role=NO_SUCH_ROLE",
        "/ZZZ/requirements/SERVICE_NEED_URGENT",
        "/r0a/requirements/SERVICE_NEED_URGENT",
    ],
)
async def test_what_no_host_asks_for_is_404(verifier: VerifierBench, path: str) -> None:
    assert (await refusal(await verifier.http.get(path), 404))[0] == "not_found"


async def test_every_policy_in_force_has_its_requirements(verifier: VerifierBench) -> None:
    for policy in (await verifier.read("/policies"))["items"]:
        movement_type, _, role = policy["id"].partition(".")
        answer = await verifier.http.get(f"/R0A/requirements/{movement_type}?role={role}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["roles"][0]["records"]
