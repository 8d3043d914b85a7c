"""Holder sessions at one's own trust: opened by a key, bound to it, for what is one's own."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from passport_issuer.store.holder_tables import holders
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.status_list import SUSPENDED
from passport_shared.service.tenancy import FEDERATION
from passport_shared.wire.release import ByHolderRef, ByName, ReleaseState
from passport_testkit.issuers import ENTITY, HR, IssuerBench, check_body, running_issuer
from passport_testkit.releases import HostSimulator, movement, request_claims
from passport_testkit.staff_app import StaffApp

MANAGER = {"decision": "AGREED", "actor": "manager-22"}
YES_HR = {"decision": "AGREED", "statement": "NO_CURRENT_RESTRICTION_KNOWN", "actor": HR}


async def app_of(issuer: IssuerBench, **person: Any) -> tuple[StaffApp, str]:
    """The app of a person who has collected two credentials, and the person's id."""
    staff_id = await issuer.staff(**{"external_ids": [], **person})
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.made(f"/staff/{staff_id}/checks", check_body("RTW"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth", "RightToWork"])
    wallet = issuer.wallet()
    got = await wallet.collect(made["credential_offer"], made["tx_code"])
    credential = got.credentials["OccupationalHealth_1"][0]
    return StaffApp(issuer.http, issuer.clock, ENTITY, credential, wallet.key), staff_id


async def opened(issuer: IssuerBench, **person: Any) -> tuple[StaffApp, str]:
    """The same, with a session."""
    app, staff_id = await app_of(issuer, **person)
    answer = await app.open()
    assert answer.status_code == 200, answer.text
    return app, staff_id


async def test_a_session_shows_the_passport_in_plain_words(issuer: IssuerBench) -> None:
    app, staff_id = await app_of(issuer)
    answer = await app.open()
    assert answer.json()["token_type"] == "DPoP"
    assert answer.json()["expires_in"] == 900
    assert answer.headers["cache-control"] == "no-store"
    seen = await app.read("passport")
    assert (seen["state"], seen["reason_code"]) == ("ACTIVE", None)
    assert seen["words"]["en-GB"] == "Your staff passport is in use."
    assert seen["words"]["cy"] != seen["words"]["en-GB"]
    assert {record["type"] for record in seen["records"]} == {"OccupationalHealth", "RightToWork"}
    assert {record["state"] for record in seen["records"]} == {"ACTIVE"}
    await issuer.call(
        "POST",
        f"/staff/{staff_id}/passport/hold",
        {"reason_code": "EMPLOYMENT_ON_HOLD", "actor": HR},
    )
    held = await app.read("passport")
    assert (held["state"], held["reason_code"]) == ("ON_HOLD", "EMPLOYMENT_ON_HOLD")
    assert "RBV" in held["words"]["en-GB"] or "Christie" in held["words"]["en-GB"]


async def test_offers_that_wait_are_shown_without_their_pin(issuer: IssuerBench) -> None:
    app, staff_id = await opened(issuer)
    assert (await app.read("offers"))["items"] == []
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    (offer,) = (await app.read("offers"))["items"]
    assert (offer["id"], offer["types"]) == (made["id"], ["OccupationalHealth"])
    assert made["tx_code"] not in str(offer)


# -- opening a session -------------------------------------------------------------------------------------


async def _refused(answer: httpx.Response) -> tuple[str, str]:
    assert answer.status_code == 400, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["error"], answer.json()["error_description"]


async def test_every_refusal_to_open_names_its_reason(issuer: IssuerBench) -> None:
    app, _ = await app_of(issuer)
    other = SigningKey.generate()
    now = issuer.clock.now()
    spoils: dict[str, dict[str, Any]] = {
        "key_binding_bad_signature": {"key": other},
        "key_binding_wrong_aud": {"aud": "https://issuer.example/R0A"},
        "key_binding_too_old": {"iat": now - timedelta(seconds=301)},
        "key_binding_in_future": {"iat": now + timedelta(seconds=61)},
    }
    for reason, spoiled in spoils.items():
        answer = await app.post_session(app.presentation(await app.challenge(), **spoiled))
        error, description = await _refused(answer)
        assert (error, reason in description) == ("invalid_grant", True), description

    for challenge in ("made-up", "a.b.c", f"{await app.challenge()}x", "x" * 200):
        error, description = await _refused(await app.post_session(app.presentation(challenge)))
        assert (error, "challenge" in description) == ("invalid_grant", True)
    for malformed in ("", "~", "not a presentation", app.credential):
        assert (await _refused(await app.post_session(malformed)))[0] == "invalid_grant"
    assert (await _refused(await app.post_session(7)))[0] == "invalid_request"
    assert (await _refused(await app.post_session(None)))[0] == "invalid_request"


async def test_the_proof_is_of_the_credentials_own_key(issuer: IssuerBench) -> None:
    app, _ = await app_of(issuer)
    url = f"{ENTITY}/holder/sessions"
    other = SigningKey.generate()
    stolen = app.proof("POST", url, key=other)
    answer = await app.post_session(app.presentation(await app.challenge()), stolen)
    error, description = await _refused(answer)
    assert (error, "DPoP key" in description) == ("invalid_grant", True)
    for proof in ("", "no proof", app.proof("GET", url), app.proof("POST", f"{url}/x")):
        answer = await app.post_session(app.presentation(await app.challenge()), proof)
        assert (await _refused(answer))[0] == "invalid_dpop_proof"


async def test_a_challenge_opens_one_session_and_runs_out(issuer: IssuerBench) -> None:
    app, _ = await app_of(issuer)
    challenge = await app.challenge()
    assert (await app.post_session(app.presentation(challenge))).status_code == 200
    error, description = await _refused(await app.post_session(app.presentation(challenge)))
    assert (error, "used before" in description) == ("invalid_grant", True)
    late = await app.challenge()
    issuer.clock.advance(timedelta(minutes=5))
    assert (await _refused(await app.post_session(app.presentation(late))))[0] == "invalid_grant"


async def test_one_of_many_at_once_opens_with_a_challenge(issuer: IssuerBench) -> None:
    app, _ = await app_of(issuer)
    presentation = app.presentation(await app.challenge())
    answers = await asyncio.gather(*(app.post_session(presentation) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    sessions = holders.sessions
    async with issuer.ctx.db.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(sessions))).scalar_one() == 1
        stored = (await conn.execute(select(sessions.c.token_hash))).scalar_one()
    token = next(a.json()["access_token"] for a in answers if a.status_code == 200)
    assert stored != token  # only its hash is kept


async def test_a_replayed_proof_opens_nothing(issuer: IssuerBench) -> None:
    app, _ = await app_of(issuer)
    proof = app.proof("POST", f"{ENTITY}/holder/sessions")
    assert (await app.post_session(app.presentation(await app.challenge()), proof)).status_code == 200
    again = await app.post_session(app.presentation(await app.challenge()), proof)
    assert (await _refused(again))[0] == "invalid_dpop_proof"


async def test_what_was_revoked_or_replaced_opens_nothing(issuer: IssuerBench) -> None:
    app, staff_id = await app_of(issuer)
    items = (await issuer.call("GET", f"/credentials?staff_id={staff_id}")).json()["items"]
    one = next(item for item in items if item["type"] == "OccupationalHealth")
    await issuer.call(
        "POST", f"/credentials/{one['id']}/revoke", {"reason_code": "OH_WITHDRAWN", "actor": HR}
    )
    error, description = await _refused(await app.open())
    assert (error, "no longer valid" in description) == ("invalid_grant", True)


async def test_what_has_run_out_opens_nothing(issuer: IssuerBench) -> None:
    app, _ = await app_of(issuer)
    issuer.clock.advance(timedelta(days=800))
    assert (await _refused(await app.open()))[0] == "invalid_grant"


async def test_a_credential_of_another_trust_opens_nothing_here(tmp_path, databases) -> None:
    url = await databases.url("passport_issuer")
    async with running_issuer(tmp_path, url, tenants=("RBV", "R0A")) as issuer:
        app, _ = await app_of(issuer)
        app.entity_id = "https://issuer.example/R0A"
        error, description = await _refused(await app.open())
        assert (error, "not issued here" in description) == ("invalid_grant", True)
        # and a session of one trust is none of another's
        app.entity_id = ENTITY
        await app.open()
        app.entity_id = "https://issuer.example/R0A"
        assert await app.refused() == "invalid_token"


# -- using a session ---------------------------------------------------------------------------------------


async def test_every_use_needs_a_fresh_proof_of_the_same_key(issuer: IssuerBench) -> None:
    app, _ = await opened(issuer)
    now = issuer.clock.now()
    assert await app.refused(key=SigningKey.generate()) == "invalid_token"
    spoils: list[dict[str, Any]] = [
        {"htm": "POST"},
        {"htu": f"{ENTITY}/holder/offers"},
        {"access_token": "another"},
        {"access_token": None},
        {"iat": now - timedelta(seconds=301)},
        {"iat": now + timedelta(seconds=61)},
    ]
    for spoiled in spoils:
        assert await app.refused(**spoiled) == "invalid_dpop_proof", spoiled
    assert await app.refused(token="made-up") == "invalid_token"
    assert (await app.call("GET", "passport", jti="once")).status_code == 200
    assert await app.refused(jti="once") == "invalid_dpop_proof"


async def test_a_proof_is_used_once_whoever_is_quickest(issuer: IssuerBench) -> None:
    app, _ = await opened(issuer)
    answers = await asyncio.gather(*(app.call("GET", "passport", jti="race") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer {token}", "DPoP": "{proof}"},
        {"Authorization": "DPoP {token}"},
        {"Authorization": "DPoP ", "DPoP": "{proof}"},
        {"Authorization": "DPoP " + "x" * 300, "DPoP": "{proof}"},
    ],
)
async def test_a_token_alone_is_not_enough(issuer: IssuerBench, headers: dict[str, str]) -> None:
    app, _ = await opened(issuer)
    url = f"{ENTITY}/holder/passport"
    proof = app.proof("GET", url, access_token=app.token)
    sent = {name: value.format(token=app.token, proof=proof) for name, value in headers.items()}
    answer = await issuer.http.get(url, headers=sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("DPoP")


async def test_a_session_ends_after_15_minutes(issuer: IssuerBench) -> None:
    app, _ = await opened(issuer)
    issuer.clock.advance(timedelta(minutes=14, seconds=59))
    assert (await app.call("GET", "passport")).status_code == 200
    issuer.clock.advance(timedelta(seconds=1))
    assert await app.refused() == "invalid_token"
    assert await issuer.ctx.holders.purge() > 0


async def test_tokens_of_wallets_and_systems_are_none_here(issuer: IssuerBench) -> None:
    app, _ = await opened(issuer)
    management = (await issuer.headers())["Authorization"].partition(" ")[2]
    url = f"{ENTITY}/holder/passport"
    proof = app.proof("GET", url, access_token=management)
    sent = {"Authorization": f"DPoP {management[:190]}", "DPoP": proof}
    assert (await issuer.http.get(url, headers=sent)).status_code == 401
    answer = await issuer.http.get(
        "/api/v1/organisations/RBV/staff", headers={"Authorization": f"Bearer {app.token}"}
    )
    assert answer.status_code == 401


# -- moves -------------------------------------------------------------------------------------------------


@pytest.fixture
async def host(issuer: IssuerBench) -> HostSimulator:
    """Manchester's verifier."""
    entity = issuer.registry.enrol_verifier()
    await issuer.refresh()
    return HostSimulator(issuer.http, issuer.clock, entity.federation_key)


async def asked_for(issuer: IssuerBench, host: HostSimulator, staff_id: str, **more: Any) -> dict[str, Any]:
    """A request for this person, linked by HR."""
    asked = await host.ask(
        request_claims(issuer.clock.now(), ByName(given_name="A", family_name="B"), **more)
    )
    asked["id"] = asked["release_uri"].rsplit("/", 1)[-1]
    answer = await issuer.call("POST", f"/releases/{asked['id']}/person", {"staff_id": staff_id, "actor": HR})
    assert answer.status_code == 200, answer.text
    return asked


async def test_my_moves_say_who_asked_for_when_and_what(issuer: IssuerBench, host: HostSimulator) -> None:
    app, staff_id = await opened(issuer)
    asked = await asked_for(issuer, host, staff_id)
    (move,) = (await app.read("releases"))["items"]
    assert move["id"] == asked["id"]
    assert move["host"]["name"] == "Manchester University NHS Foundation Trust"
    assert (move["start"], move["end"], move["state"]) == ("2026-09-08", "2026-09-10", "REQUESTED")
    assert "Manchester" in move["words"]["en-GB"]
    assert move == await app.read(f"releases/{asked['id']}")
    agreed = await app.call("POST", f"releases/{asked['id']}/agree")
    assert (agreed.status_code, agreed.json()["my_answer"]) == (200, "AGREED")
    assert (await app.call("POST", f"releases/{asked['id']}/agree")).status_code == 200
    seen = (await issuer.call("GET", f"/releases/{asked['id']}")).json()
    assert seen["staff_decision"] == "AGREED"


async def test_nobody_is_released_who_says_no(issuer: IssuerBench, host: HostSimulator) -> None:
    app, staff_id = await opened(issuer)
    asked = await asked_for(issuer, host, staff_id)
    answer = await app.call("POST", f"releases/{asked['id']}/withdraw")
    assert (answer.status_code, answer.json()["state"]) == (200, "REQUESTED")
    path = f"/releases/{asked['id']}/line-manager"
    refused = await issuer.call("POST", path, MANAGER)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    # a changed mind counts, and declining was always possible
    await app.call("POST", f"releases/{asked['id']}/agree")
    assert (await issuer.call("POST", path, MANAGER)).status_code == 200


async def test_a_release_is_taken_back_by_the_person(issuer: IssuerBench, host: HostSimulator) -> None:
    app, staff_id = await opened(issuer)
    asked = await asked_for(issuer, host, staff_id)
    await issuer.call("POST", f"/releases/{asked['id']}/line-manager", MANAGER)
    await issuer.call("POST", f"/releases/{asked['id']}/hr", YES_HR)
    public = (await issuer.ctx.keys.active(FEDERATION, "RBV")).public
    released = await host.read(asked, public)
    assert released.state is ReleaseState.AGREED
    answer = await app.call("POST", f"releases/{asked['id']}/withdraw")
    assert (answer.status_code, answer.json()["state"]) == (200, "WITHDRAWN")
    taken_back = await host.read(asked, public, after_serial=released.serial)
    assert (taken_back.state, taken_back.serial) == (ReleaseState.WITHDRAWN, 2)
    again = await app.call("POST", f"releases/{asked['id']}/withdraw")
    assert (again.status_code, again.json()["state"]) == (200, "WITHDRAWN")
    assert (await host.read(asked, public)).serial == 2
    too_late = await app.call("POST", f"releases/{asked['id']}/agree")
    assert (too_late.status_code, too_late.json()["error"]) == (409, "conflict")
    # the reference in the passport is the one the host was given
    assert released.holder_ref is not None
    second = await host.ask(
        request_claims(
            issuer.clock.now(),
            ByHolderRef(holder_ref=released.holder_ref),
            movement=movement(date(2026, 10, 1), id="second"),
        )
    )
    assert second["release_uri"].rsplit("/", 1)[-1] in {
        item["id"] for item in (await app.read("releases"))["items"]
    }


async def test_the_person_and_hr_at_the_same_moment_end_in_one_state(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    app, staff_id = await opened(issuer)
    asked = await asked_for(issuer, host, staff_id)
    await issuer.call("POST", f"/releases/{asked['id']}/line-manager", MANAGER)
    hr, own = await asyncio.gather(
        issuer.call("POST", f"/releases/{asked['id']}/hr", YES_HR),
        app.call("POST", f"releases/{asked['id']}/withdraw"),
    )
    assert own.status_code == 200
    state = (await app.read(f"releases/{asked['id']}"))["state"]
    assert state == ("WITHDRAWN" if hr.status_code == 200 else "REQUESTED")


async def test_what_is_another_persons_does_not_exist(issuer: IssuerBench, host: HostSimulator) -> None:
    _, staff_id = await app_of(issuer)
    asked = await asked_for(issuer, host, staff_id)
    stranger, _ = await opened(issuer, legal_given="Bronwen", legal_family="Pugh")
    assert (await stranger.read("releases"))["items"] == []
    for method, path in (
        ("GET", f"releases/{asked['id']}"),
        ("POST", f"releases/{asked['id']}/agree"),
        ("POST", f"releases/{asked['id']}/withdraw"),
    ):
        answer = await stranger.call(method, path)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert (await issuer.call("GET", f"/releases/{asked['id']}")).json()["staff_decision"] is None


# -- problems ----------------------------------------------------------------------------------------------


async def test_a_problem_reaches_hr(issuer: IssuerBench) -> None:
    app, staff_id = await opened(issuer)
    body = {"kind": "WRONG_DETAIL", "about": "RightToWork", "text": "The date is not mine, Siân"}
    made = await app.call("POST", "problems", body)
    assert made.status_code == 201, made.text
    assert (await app.read("problems"))["items"] == [made.json()]
    (seen,) = (await issuer.call("GET", "/problems?state=OPEN")).json()["items"]
    assert (seen["staff_id"], seen["kind"], seen["text"]) == (staff_id, "WRONG_DETAIL", body["text"])
    closed = await issuer.call("POST", f"/problems/{seen['id']}/close", {"actor": HR})
    assert (closed.json()["state"], closed.json()["closed_by"]) == ("CLOSED", HR)
    assert (await issuer.call("GET", "/problems?state=OPEN")).json()["items"] == []
    stranger, _ = await opened(issuer, legal_given="Bronwen")
    assert (await stranger.read("problems"))["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "LATE"},
        {"kind": "OTHER", "about": "Payslip"},
        {"kind": "OTHER", "text": ""},
        {"kind": "OTHER", "text": "t" * 1_001},
        {"kind": "OTHER", "text": 7},
    ],
)
async def test_reports_of_another_form_are_refused(issuer: IssuerBench, body: dict[str, Any]) -> None:
    app, _ = await opened(issuer)
    answer = await app.call("POST", "problems", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_lost_phone_puts_everything_on_hold_at_once(issuer: IssuerBench) -> None:
    app, staff_id = await opened(issuer)
    await issuer.publish()
    assert (await app.call("POST", "problems", {"kind": "LOST_PHONE"})).status_code == 201
    passport = (await issuer.call("GET", f"/staff/{staff_id}/passport")).json()
    assert (passport["state"], passport["reason_code"]) == ("ON_HOLD", "HOLDER_KEY_LOST")
    await issuer.publish()
    for credential in passport["credentials"]:
        status = await issuer.status(credential["status_list"])
        assert status.list.get(credential["status_index"]) == SUSPENDED
    # this session and every new one with these keys are over
    assert await app.refused() == "invalid_token"
    error, description = await _refused(await app.open())
    assert (error, "blocked" in description) == ("invalid_grant", True)


async def test_hr_ends_the_sessions_of_a_lost_phone_at_once(issuer: IssuerBench) -> None:
    app, staff_id = await opened(issuer)
    held = await issuer.call(
        "POST", f"/staff/{staff_id}/passport/hold", {"reason_code": "HOLDER_KEY_LOST", "actor": HR}
    )
    assert held.status_code == 200, held.text
    assert await app.refused() == "invalid_token"


async def test_a_session_ends_with_the_last_record_under_its_key(issuer: IssuerBench) -> None:
    app, staff_id = await opened(issuer)
    passport = (await issuer.call("GET", f"/staff/{staff_id}/passport")).json()
    for credential in passport["credentials"]:
        assert (await app.call("GET", "passport")).status_code == 200
        revoked = await issuer.call(
            "POST",
            f"/credentials/{credential['id']}/revoke",
            {"reason_code": "HOLDER_KEY_LOST", "actor": HR},
        )
        assert revoked.status_code == 200, revoked.text
    assert await app.refused() == "invalid_token"


async def test_a_phone_lost_while_on_hold_for_another_cause_is_blocked_too(issuer: IssuerBench) -> None:
    app, staff_id = await opened(issuer)
    await issuer.call(
        "POST", f"/staff/{staff_id}/passport/hold", {"reason_code": "DATA_CHANGED", "actor": HR}
    )
    # on hold, the person still sees it and can report
    assert (await app.open()).status_code == 200
    assert (await app.read("passport"))["state"] == "ON_HOLD"
    assert (await app.call("POST", "problems", {"kind": "LOST_PHONE"})).status_code == 201
    assert (await _refused(await app.open()))[0] == "invalid_grant"
    (report,) = (await issuer.call("GET", "/problems")).json()["items"]
    await issuer.call("POST", f"/problems/{report['id']}/close", {"actor": HR})
    await issuer.call("POST", f"/staff/{staff_id}/passport/reinstate", {"actor": HR})
    assert (await app.open()).status_code == 200


async def test_a_browser_app_may_call(issuer: IssuerBench) -> None:
    answer = await issuer.http.options(
        f"{ENTITY}/holder/sessions",
        headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status_code == 204
    assert "DPoP" in answer.headers["access-control-allow-headers"]
