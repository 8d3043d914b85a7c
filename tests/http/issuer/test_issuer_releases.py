"""A host asks, line manager and HR answer, the host reads a signed Release: over HTTP, for real."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from passport_issuer.operations import failpoints, leavers, placement_ends
from passport_issuer.store import tables as t
from passport_issuer.store.release_tables import release_documents
from passport_shared.formats.federation import verify_entity_configuration
from passport_shared.formats.ids import new_id
from passport_shared.formats.jose import PublicKey
from passport_shared.service.tenancy import FEDERATION
from passport_shared.wire.clients import ClientKind
from passport_shared.wire.release import (
    ByHolderRef,
    ByName,
    ReleaseError,
    ReleaseReason,
    ReleaseState,
    new_jti,
    release_request,
)
from passport_shared.wire.scopes import scopes_of
from passport_testkit.clients import api_client
from passport_testkit.issuers import ENTITY, HR, SURGEON, IssuerBench, check_body, other_trust
from passport_testkit.keys import key
from passport_testkit.network import MANCHESTER
from passport_testkit.releases import HOST, HostSimulator, movement, request_claims, spoiled

NAMED = ByName(given_name="Adaeze", family_name="Okonkwo-Price", note="Urology, you know her")
MANAGER = "manager-22"
YES_MANAGER = {"decision": "AGREED", "actor": MANAGER}
YES_HR = {"decision": "AGREED", "statement": "NO_CURRENT_RESTRICTION_KNOWN", "actor": HR}
NO_MANAGER = {"decision": "DECLINED", "decline_code": "CAPACITY", "actor": MANAGER}
NO_HR = {"decision": "DECLINED", "decline_code": "SINGLE_POINT_OF_FAILURE", "actor": HR}


@pytest.fixture
async def host(issuer: IssuerBench) -> HostSimulator:
    """Manchester's verifier, enrolled in the issuer's network."""
    entity = issuer.registry.enrol_verifier()
    await issuer.refresh()
    return HostSimulator(issuer.http, issuer.clock, entity.federation_key)


async def employer_key(issuer: IssuerBench) -> PublicKey:
    """The public federation key of the Christie's issuer, as the register states it."""
    return (await issuer.ctx.keys.active(FEDERATION, "RBV")).public


async def act(issuer: IssuerBench, asked: dict[str, Any], path: str, body: dict[str, Any]) -> Any:
    """A management act on the case of a request."""
    release_id = asked["release_uri"].rsplit("/", 1)[-1]
    return await issuer.call("POST", f"/releases/{release_id}/{path}", body)


async def case(issuer: IssuerBench, asked: dict[str, Any]) -> dict[str, Any]:
    """The case of a request as HR reads it."""
    answer = await issuer.call("GET", f"/releases/{asked['release_uri'].rsplit('/', 1)[-1]}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def linked(issuer: IssuerBench, host: HostSimulator, **changes: Any) -> tuple[dict[str, Any], str]:
    """A request for a surgeon whom HR has chosen; the answer to the host, and her id."""
    staff_id = await issuer.staff(**{"external_ids": [], **changes.pop("staff", {})})
    asked = await host.ask(request_claims(issuer.clock.now(), NAMED, **changes))
    answer = await act(issuer, asked, "person", {"staff_id": staff_id, "actor": HR})
    assert answer.status_code == 200, answer.text
    return asked, staff_id


async def agreed(issuer: IssuerBench, host: HostSimulator, **changes: Any) -> tuple[dict[str, Any], str]:
    """A request both have agreed to."""
    asked, staff_id = await linked(issuer, host, **changes)
    for path, body in (("line-manager", YES_MANAGER), ("hr", YES_HR)):
        answer = await act(issuer, asked, path, body)
        assert answer.status_code == 200, answer.text
    return asked, staff_id


async def test_two_people_agree_and_the_host_reads_a_signed_release(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    issuer.registry.agree("RBV", "R0A")
    await issuer.refresh()
    staff_id = await issuer.surgeon()
    asked = await host.ask(request_claims(issuer.clock.now(), NAMED))
    assert asked["state"] == "REQUESTED"
    assert asked["release_uri"].startswith(f"{ENTITY}/releases/")

    waiting = await issuer.http.get(asked["release_uri"])
    assert (waiting.status_code, waiting.json()) == (202, {"state": "REQUESTED"})
    seen = await case(issuer, asked)
    assert seen["staff_id"] is None  # words link nobody
    assert seen["subject"]["family_name"] == "Okonkwo-Price"
    assert [found["covers_type"] for found in seen["agreements"]] == [True]

    release_id = seen["id"]
    candidates = (await issuer.call("GET", f"/releases/{release_id}/candidates")).json()
    assert [item["staff_id"] for item in candidates["items"]] == [staff_id]
    assert (await case(issuer, asked))["staff_id"] is None  # a single candidate is still nobody
    await act(issuer, asked, "person", {"staff_id": staff_id, "actor": HR})
    issuer.clock.advance(timedelta(hours=2))
    assert (await act(issuer, asked, "line-manager", YES_MANAGER)).json()["state"] == "REQUESTED"
    assert (await issuer.http.get(asked["release_uri"])).status_code == 202
    issuer.clock.advance(timedelta(hours=3))
    after = (await act(issuer, asked, "hr", YES_HR)).json()
    assert (after["state"], after["serial"], after["subject"]) == ("AGREED", 1, None)

    said = await host.read(asked, await employer_key(issuer))
    assert (said.state, said.serial, said.limits) == (ReleaseState.AGREED, 1, [])
    assert said.line_manager is not None
    assert said.hr is not None
    assert said.hr.at - said.line_manager.at == timedelta(hours=3)
    passport = (await issuer.call("GET", f"/staff/{staff_id}/passport")).json()
    assert passport["state"] == "INVITED"  # the reference exists before anything is issued
    (fact,) = await _facts(issuer)
    assert fact["outcome"] == "AGREED"
    assert fact["durations_s"] == {
        "request_to_line_manager": 7_200,
        "line_manager_to_hr": 10_800,
        "time_to_release": 18_000,
    }
    assert "Okonkwo" not in str(fact)


async def _facts(issuer: IssuerBench) -> list[dict[str, Any]]:
    events = issuer.ctx.outbox.tables.events
    async with issuer.ctx.db.read() as conn:
        rows = await conn.execute(select(events).where(events.c.type == "release.answered"))
        return [row.data for row in rows]


async def test_the_released_person_is_the_one_who_presents(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, staff_id = await agreed(issuer, host)
    said = await host.read(asked, await employer_key(issuer))
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    offer = await wallet.read_offer(made["credential_offer"])
    token = await wallet.token(offer, made["tx_code"])
    collected = await wallet.request(ENTITY, token, "OccupationalHealth_1")
    assert collected.status_code == 200
    assert said.holder_ref is not None
    # a second request names her by that reference, and links her at once
    again = await host.ask(
        request_claims(
            issuer.clock.now(),
            ByHolderRef(holder_ref=said.holder_ref),
            movement=movement(date(2026, 10, 5), id="another-move"),
        )
    )
    seen = await case(issuer, again)
    assert (seen["staff_id"], seen["linked_by"], seen["subject"]) == (staff_id, "holder_ref", None)
    # and nobody can point it at somebody else
    other = await issuer.staff(external_ids=[], legal_given="Bronwen")
    refused = await act(issuer, again, "person", {"staff_id": other, "actor": HR})
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


async def test_the_endpoint_stands_in_the_federation_metadata(issuer: IssuerBench) -> None:
    answer = await issuer.http.get("/RBV/.well-known/openid-federation")
    stated = verify_entity_configuration(answer.text, now=issuer.clock.now())
    endpoint = stated.metadata["federation_entity"]["staff_passport_release_request_endpoint"]
    assert endpoint == f"{ENTITY}/release-requests"


async def test_the_same_request_again_is_the_same_case(issuer: IssuerBench, host: HostSimulator) -> None:
    claims = request_claims(issuer.clock.now(), NAMED)
    token = release_request(claims, host.key)
    first = await host.post(token)
    answers = [await host.post(token) for _ in range(2)]
    assert first.status_code == 201
    assert [(a.status_code, a.json()) for a in answers] == [(200, first.json())] * 2
    changed = release_request(claims.model_copy(update={"urgent": True}), host.key)
    refused = await host.post(changed)
    assert (refused.status_code, refused.json()["code"]) == (409, "release_request_reused")
    assert len((await issuer.call("GET", "/releases")).json()["items"]) == 1


async def test_many_at_once_make_one_case(issuer: IssuerBench, host: HostSimulator) -> None:
    token = release_request(request_claims(issuer.clock.now(), NAMED), host.key)
    answers = await asyncio.gather(*(host.post(token) for _ in range(8)))
    assert sorted(a.status_code for a in answers) == [200] * 7 + [201]
    assert len({a.json()["release_uri"] for a in answers}) == 1


async def _refusal(issuer: IssuerBench, host: HostSimulator, token: str) -> tuple[int, str, list[str]]:
    answer = await host.post(token)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert (await issuer.call("GET", "/releases")).json()["items"] == []  # nothing was stored
    return answer.status_code, body["code"], [fault["code"] for fault in body.get("errors", [])]


async def test_refusals_of_the_form_name_the_rule(issuer: IssuerBench, host: HostSimulator) -> None:
    said = request_claims(issuer.clock.now(), NAMED)
    now = int(issuer.clock.now().timestamp())
    spoils: dict[str, str] = {
        "bad_signature": release_request(said, host.key)[:-4] + "AAAA",
        "unknown_key": release_request(said, key("a stranger")),
        "wrong_typ": spoiled(said, host.key, typ="JWT"),
        "wrong_audience": spoiled(said, host.key, aud="https://issuer.example/RM3"),
        "expired": spoiled(said, host.key, iat=now - 700, exp=now - 60),
        "too_old": spoiled(said, host.key, iat=now - 90_000),
        "issued_in_future": spoiled(said, host.key, iat=now + 3_600),
        "lifetime_too_long": spoiled(said, host.key, exp=now + 15 * 86_400),
        "wrong_host": release_request(_moved(said, host_ods="RM3"), host.key),
        "wrong_employer": release_request(_moved(said, employing_ods="RM3"), host.key),
        "movement_over": release_request(
            _moved(said, start=date(2026, 8, 1), end=date(2026, 8, 2)), host.key
        ),
        "bad_claim": spoiled(said, host.key, urgent="yes"),
        "missing_claim": spoiled(said, host.key, jti=None),
        "malformed": "not a token",
        "unknown_holder_ref": release_request(
            request_claims(issuer.clock.now(), ByHolderRef(holder_ref=new_jti())), host.key
        ),
    }
    for reason, token in spoils.items():
        assert await _refusal(issuer, host, token) == (400, "release_request_refused", [reason])


def _moved(said: Any, **changes: Any) -> Any:
    return said.model_copy(update={"movement": said.movement.model_copy(update=changes)})


async def test_who_may_not_ask_is_told_why(issuer: IssuerBench, host: HostSimulator) -> None:
    token = release_request(request_claims(issuer.clock.now(), NAMED), host.key)
    stranger = "https://verifier.example/XYZ"
    foreign = release_request(request_claims(issuer.clock.now(), NAMED, iss=stranger), host.key)
    assert (await _refusal(issuer, host, foreign))[:2] == (403, "requester_not_authorised")

    issuer.registry.suspend(MANCHESTER)
    await issuer.refresh()
    assert (await _refusal(issuer, host, token))[:2] == (403, "requester_not_authorised")
    issuer.registry.reinstate(MANCHESTER)
    issuer.registry.revoke_mark(MANCHESTER)
    await issuer.refresh()
    assert (await _refusal(issuer, host, token))[:2] == (403, "requester_not_authorised")
    # an issuer's mark does not let its entity ask, not even for its own trust
    own = await issuer.ctx.keys.active(FEDERATION, "RBV")
    itself = request_claims(issuer.clock.now(), NAMED, iss=ENTITY)
    assert (await _refusal(issuer, host, release_request(itself, own)))[:2] == (
        403,
        "requester_not_authorised",
    )


@pytest.mark.parametrize("practises", [MANCHESTER, ENTITY])
async def test_the_sandbox_and_a_trust_ask_nothing_of_each_other(
    issuer: IssuerBench, host: HostSimulator, practises: str
) -> None:
    token = release_request(request_claims(issuer.clock.now(), NAMED), host.key)
    issuer.registry.make_sandbox(practises)
    await issuer.refresh()
    assert (await _refusal(issuer, host, token))[:2] == (403, "requester_not_authorised")
    for entity_id in {MANCHESTER, ENTITY} - {practises}:
        issuer.registry.make_sandbox(entity_id)
    await issuer.refresh()
    assert (await host.post(token)).status_code == 201


async def test_an_administratively_closed_host_may_still_arrange_what_runs(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    issuer.registry.close(MANCHESTER)
    await issuer.refresh()
    assert (
        await host.post(release_request(request_claims(issuer.clock.now(), NAMED), host.key))
    ).status_code == 201


async def test_an_old_register_decides_nothing(issuer: IssuerBench, host: HostSimulator) -> None:
    issuer.clock.advance(timedelta(hours=25))
    token = release_request(request_claims(issuer.clock.now(), NAMED), host.key)
    answer = await host.post(token)
    assert (answer.status_code, answer.json()["code"]) == (503, "register_too_old")
    assert answer.headers["retry-after"]


async def test_the_open_address_has_limits(issuer: IssuerBench, host: HostSimulator) -> None:
    too_long = await host.post("a" * 40_000)
    assert (too_long.status_code, too_long.json()["code"]) == (413, "too_large")
    wrong = await host.post("x", media_type="application/json")
    assert (wrong.status_code, wrong.json()["code"]) == (415, "unsupported_media_type")
    nobody = await host.post("x", ods="ZZZ")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "not_found")
    unknown = await issuer.http.get(f"/RBV/releases/{new_jti()}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    answers = await asyncio.gather(*(host.post("x", media_type="text/plain") for _ in range(601)))
    assert 429 in {answer.status_code for answer in answers}


@pytest.mark.parametrize(
    ("first", "second", "state", "code"),
    [
        (("line-manager", NO_MANAGER), ("hr", YES_HR), "DECLINED", "CAPACITY"),
        (("hr", NO_HR), ("line-manager", YES_MANAGER), "DECLINED", "SINGLE_POINT_OF_FAILURE"),
    ],
)
async def test_either_declines_and_the_other_is_too_late(
    issuer: IssuerBench,
    host: HostSimulator,
    first: tuple[str, dict[str, Any]],
    second: tuple[str, dict[str, Any]],
    state: str,
    code: str,
) -> None:
    asked, _ = await linked(issuer, host)
    assert (await act(issuer, asked, *first)).json()["state"] == state
    late = await act(issuer, asked, *second)
    assert (late.status_code, late.json()["code"]) == (409, "wrong_state")
    assert state in late.json()["detail"]
    said = await host.read(asked, await employer_key(issuer))
    assert (said.state.value, said.decline_code) == (state, code)
    assert said.holder_ref is None
    assert said.statement is None
    (fact,) = await _facts(issuer)
    assert (fact["outcome"], fact["reason"]) == (state, code)


async def test_hr_declines_words_that_name_nobody_here(issuer: IssuerBench, host: HostSimulator) -> None:
    asked = await host.ask(request_claims(issuer.clock.now(), ByName(given_name="No", family_name="Body")))
    release_id = (await case(issuer, asked))["id"]
    assert (await issuer.call("GET", f"/releases/{release_id}/candidates")).json() == {
        "items": [],
        "more": False,
    }
    unlinked = await act(issuer, asked, "hr", YES_HR)
    assert (unlinked.status_code, unlinked.json()["code"]) == (409, "person_not_linked")
    assert (await act(issuer, asked, "hr", {**NO_HR, "decline_code": "OTHER"})).json()["state"] == "DECLINED"


async def test_an_answer_is_given_once(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await linked(issuer, host)
    await act(issuer, asked, "line-manager", YES_MANAGER)
    again = await act(issuer, asked, "line-manager", {**NO_MANAGER, "actor": "manager-23"})
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    assert "AGREED" in again.json()["detail"]
    seen = await case(issuer, asked)
    assert (seen["state"], seen["line_manager"]["by"]) == ("REQUESTED", MANAGER)
    # who was meant cannot be changed under an answer
    other = await issuer.staff(external_ids=[], legal_given="Bronwen")
    assert (await act(issuer, asked, "person", {"staff_id": other, "actor": HR})).status_code == 409


async def test_many_answers_at_once_count_once(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await linked(issuer, host)
    bodies = [{**YES_MANAGER, "actor": f"manager-{n}"} for n in range(6)]
    hr = [{**YES_HR, "actor": f"hr-{n}"} for n in range(6)]
    answers = await asyncio.gather(
        *(act(issuer, asked, "line-manager", body) for body in bodies),
        *(act(issuer, asked, "hr", body) for body in hr),
    )
    assert sorted(a.status_code for a in answers) == [200] * 2 + [409] * 10
    seen = await case(issuer, asked)
    assert (seen["state"], seen["serial"]) == ("AGREED", 1)
    assert len(await _facts(issuer)) == 1


async def test_two_people_answer_and_never_the_person_themselves(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    asked, staff_id = await linked(issuer, host, staff={"external_ids": SURGEON["external_ids"]})
    for own in (staff_id, "1234567", "ESR_PERSON:1234567"):
        refused = await act(issuer, asked, "line-manager", {**YES_MANAGER, "actor": own})
        assert (refused.status_code, refused.json()["code"]) == (409, "separation_of_duties")
    await act(issuer, asked, "line-manager", YES_MANAGER)
    same = await act(issuer, asked, "hr", {**YES_HR, "actor": MANAGER})
    assert (same.status_code, same.json()["code"]) == (409, "separation_of_duties")
    assert (await case(issuer, asked))["state"] == "REQUESTED"


async def test_the_wrong_trust_finds_nothing(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await linked(issuer, host)
    path = f"/releases/{asked['release_uri'].rsplit('/', 1)[-1]}"
    stranger = other_trust(issuer)
    for method, tail, body in [
        ("GET", "", None),
        ("GET", "/candidates", None),
        ("POST", "/hr", YES_HR),
        ("POST", "/withdraw", {"actor": HR}),
    ]:
        answer = await issuer.call(method, f"{path}{tail}", body, client=stranger)
        assert answer.status_code in (403, 404)
    reader = api_client("rbv-reader", organisation="RBV", scopes={"releases:read", "releases:write"})
    issuer.clients.put(reader)
    refused = await issuer.call("POST", f"{path}/hr", YES_HR, client=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await case(issuer, asked))["state"] == "REQUESTED"


async def test_a_person_client_answers_as_itself(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await linked(issuer, host)
    person = api_client("m-jones", organisation="RBV", kind=ClientKind.PERSON, scopes=scopes_of("issuer"))
    issuer.clients.put(person)
    path = f"/releases/{asked['release_uri'].rsplit('/', 1)[-1]}"
    answer = await issuer.call("POST", f"{path}/line-manager", {"decision": "AGREED"}, client=person)
    assert answer.json()["line_manager"]["by"] == "m-jones"


async def test_limits_bound_the_release(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await linked(issuer, host)
    until = {"code": "NOT_AFTER", "text": "Back on Wednesday", "date": "2026-09-09"}
    duties = {"code": "DUTIES", "text": "No on-call"}
    await act(issuer, asked, "line-manager", {**YES_MANAGER, "limits": [until]})
    after = (await act(issuer, asked, "hr", {**YES_HR, "limits": [duties]})).json()
    assert (after["state"], after["released_end"]) == ("AGREED_WITH_LIMITS", "2026-09-09")
    said = await host.read(asked, await employer_key(issuer))
    assert [limit.code.value for limit in said.limits] == ["NOT_AFTER", "DUTIES"]
    assert said.end == date(2026, 9, 9)


@pytest.mark.parametrize(
    "limits",
    [
        [{"code": "NOT_AFTER", "text": "too early", "date": "2026-09-01"}],
        [{"code": "NOT_AFTER", "text": "no date"}],
        [{"code": "DUTIES", "text": "dated", "date": "2026-09-09"}],
        [{"code": "LEAVING", "text": "not for people to type"}],
        [
            {"code": "NOT_BEFORE", "text": "a", "date": "2026-09-10"},
            {"code": "NOT_AFTER", "text": "b", "date": "2026-09-09"},
        ],
    ],
)
async def test_limits_that_make_no_sense_are_refused(
    issuer: IssuerBench, host: HostSimulator, limits: list[dict[str, Any]]
) -> None:
    asked, _ = await linked(issuer, host)
    answer = await act(issuer, asked, "line-manager", {**YES_MANAGER, "limits": limits})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await case(issuer, asked))["line_manager"] is None


async def test_nobody_answers_in_time(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await linked(issuer, host)
    issuer.clock.advance(timedelta(days=5))
    await issuer.refresh()
    late = await act(issuer, asked, "line-manager", YES_MANAGER)
    assert late.status_code == 409
    assert "EXPIRED" in late.json()["detail"]
    gone = await issuer.http.get(asked["release_uri"])
    assert (gone.status_code, gone.json()["code"]) == (410, "release_request_expired")
    expired = (await issuer.call("GET", "/releases?state=EXPIRED")).json()["items"]
    assert [item["subject"] is None for item in expired] == [False]
    await issuer.sweep()
    (item,) = (await issuer.call("GET", "/releases?state=EXPIRED")).json()["items"]
    assert (item["state"], item["subject"]) == ("EXPIRED", None)  # the host's words are gone
    assert (await issuer.call("GET", "/releases?state=REQUESTED")).json()["items"] == []


async def test_a_newer_version_of_the_move_takes_the_place_of_an_unanswered_one(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    old = await host.ask(request_claims(issuer.clock.now(), NAMED))
    new = await host.ask(
        request_claims(issuer.clock.now(), NAMED, movement=movement(date(2026, 9, 8), version=2))
    )
    assert (await issuer.http.get(old["release_uri"])).status_code == 410
    assert (await issuer.http.get(new["release_uri"])).status_code == 202


async def test_a_release_is_taken_back(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await agreed(issuer, host)
    public = await employer_key(issuer)
    first = await host.read(asked, public)
    etag = (await issuer.http.get(asked["release_uri"])).headers["etag"]
    unchanged = await issuer.http.get(asked["release_uri"], headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (await act(issuer, asked, "withdraw", {"actor": HR})).json()["state"] == "WITHDRAWN"
    second = await host.read(asked, public, after_serial=first.serial)
    assert (second.state, second.serial) == (ReleaseState.WITHDRAWN, 2)
    changed = await issuer.http.get(asked["release_uri"], headers={"If-None-Match": etag})
    assert changed.status_code == 200
    with pytest.raises(ReleaseError) as caught:
        await host.read(asked, public, after_serial=3)
    assert caught.value.reason is ReleaseReason.SERIAL_WENT_BACK
    again = await act(issuer, asked, "withdraw", {"actor": HR})
    assert again.status_code == 409
    assert "WITHDRAWN" in again.json()["detail"]


async def test_what_is_not_agreed_cannot_be_taken_back(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await linked(issuer, host)
    assert (await act(issuer, asked, "withdraw", {"actor": HR})).status_code == 409


async def test_w8_a_leaver_is_released_until_the_last_day(issuer: IssuerBench, host: HostSimulator) -> None:
    move = movement(date(2026, 9, 8), end=date(2026, 10, 7))
    asked, staff_id = await agreed(issuer, host, movement=move)
    public = await employer_key(issuer)
    body = {"leaving_date": "2026-09-27", "actor": HR}
    changed = (await issuer.call("POST", f"/staff/{staff_id}/leaving-date", body)).json()
    assert changed["releases_changed"] == [asked["release_uri"].rsplit("/", 1)[-1]]
    capped = await host.read(asked, public, after_serial=1)
    assert (capped.state, capped.serial) == (ReleaseState.AGREED_WITH_LIMITS, 2)
    assert (capped.end, [limit.code.value for limit in capped.limits]) == (date(2026, 9, 27), ["LEAVING"])
    # the date again changes nothing; a later one gives days back; staying gives all
    await issuer.call("POST", f"/staff/{staff_id}/leaving-date", body)
    assert (await host.read(asked, public)).serial == 2
    await issuer.call("POST", f"/staff/{staff_id}/leaving-date", {**body, "leaving_date": "2026-10-01"})
    assert (await host.read(asked, public)).end == date(2026, 10, 1)
    await issuer.call("POST", f"/staff/{staff_id}/leaving-date", {**body, "leaving_date": None})
    whole = await host.read(asked, public, after_serial=3)
    assert (whole.state, whole.end, whole.serial) == (ReleaseState.AGREED, date(2026, 10, 7), 4)
    # who leaves before the first day is not released at all
    await issuer.call("POST", f"/staff/{staff_id}/leaving-date", {**body, "leaving_date": "2026-09-02"})
    assert (await host.read(asked, public, after_serial=4)).state is ReleaseState.WITHDRAWN


async def test_a_leaving_date_from_anywhere_reaches_the_host(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    asked, staff_id = await agreed(issuer, host)
    read = await issuer.call("GET", f"/staff/{staff_id}")
    body = {
        name: read.json()[name]
        for name in ("legal_given", "legal_family", "birthdate", "external_ids", "employment_status")
    }
    changed = await issuer.call(
        "PUT",
        f"/staff/{staff_id}",
        {**body, "leaving_date": "2026-09-09"},
        headers={"If-Match": read.headers["etag"]},
    )
    assert changed.status_code == 200, changed.text
    assert (await host.read(asked, await employer_key(issuer), after_serial=1)).end == date(2026, 9, 9)
    # and where another writer changed the row, the periodic task finds it
    async with issuer.ctx.db.write() as conn:
        await conn.execute(
            update(t.staff).where(t.staff.c.id == staff_id).values(leaving_date=date(2026, 9, 8))
        )
    assert await leavers.tend(issuer.ctx) == 1
    assert (await host.read(asked, await employer_key(issuer), after_serial=2)).end == date(2026, 9, 8)
    assert await leavers.tend(issuer.ctx) == 0


async def test_who_leaves_is_capped_when_the_answer_comes(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, staff_id = await linked(issuer, host)
    await issuer.call("POST", f"/staff/{staff_id}/leaving-date", {"leaving_date": "2026-09-09", "actor": HR})
    await act(issuer, asked, "line-manager", YES_MANAGER)
    assert (await act(issuer, asked, "hr", YES_HR)).json()["state"] == "AGREED_WITH_LIMITS"
    said = await host.read(asked, await employer_key(issuer))
    assert (said.end, said.limits[0].code) == (date(2026, 9, 9), "LEAVING")

    later = movement(date(2026, 9, 20), id="after-she-left")
    second = await host.ask(request_claims(issuer.clock.now(), NAMED, movement=later))
    await act(issuer, second, "person", {"staff_id": staff_id, "actor": HR})
    await act(issuer, second, "line-manager", YES_MANAGER)
    refused = await act(issuer, second, "hr", YES_HR)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert (await case(issuer, second))["hr"] is None  # nothing of it was kept


async def test_two_moves_on_one_day_are_warned_of(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, staff_id = await agreed(issuer, host)
    clash = movement(date(2026, 9, 10), id="second-move")
    second = await host.ask(request_claims(issuer.clock.now(), NAMED, movement=clash))
    await act(issuer, second, "person", {"staff_id": staff_id, "actor": HR})
    assert (await case(issuer, second))["overlaps"] == [asked["release_uri"].rsplit("/", 1)[-1]]
    await act(issuer, second, "line-manager", YES_MANAGER)
    assert (await act(issuer, second, "hr", YES_HR)).json()["overlap_warning"] is True
    public = await employer_key(issuer)
    assert (await host.read(second, public)).overlap_warning is True
    assert (await host.read(asked, public)).overlap_warning is False


async def test_overlapping_moves_agreed_at_the_same_moment_see_each_other(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    staff_id = await issuer.staff(external_ids=[])
    asked = []
    for number in range(3):
        move = movement(date(2026, 9, 8), id=f"move-{number}")
        one = await host.ask(request_claims(issuer.clock.now(), NAMED, movement=move))
        await act(issuer, one, "person", {"staff_id": staff_id, "actor": HR})
        await act(issuer, one, "line-manager", YES_MANAGER)
        asked.append(one)
    await asyncio.gather(*(act(issuer, one, "hr", YES_HR) for one in asked))
    warned = [(await case(issuer, one))["overlap_warning"] for one in asked]
    assert sorted(warned) == [False, True, True]


class Crash(BaseException):
    """The process ends here."""


def _crash() -> None:
    raise Crash


def _holds(error: BaseException) -> bool:
    return isinstance(error, Crash) or any(_holds(item) for item in getattr(error, "exceptions", ()))


@pytest.mark.parametrize("place", failpoints.RELEASE)
@pytest.mark.parametrize("healer", ["reader", "task"])
async def test_a_kill_between_deciding_and_signing_loses_nothing(
    issuer: IssuerBench, host: HostSimulator, place: str, healer: str
) -> None:
    asked, _ = await linked(issuer, host)
    await act(issuer, asked, "line-manager", YES_MANAGER)
    with failpoints.armed(place, _crash), pytest.raises(BaseException) as caught:
        await act(issuer, asked, "hr", YES_HR)
    assert _holds(caught.value)
    assert (await case(issuer, asked))["state"] == "AGREED"
    if healer == "task":
        await leavers.tend(issuer.ctx)
    public = await employer_key(issuer)
    texts = {(await issuer.http.get(asked["release_uri"])).text for _ in range(3)}
    assert len(texts) == 1  # one token for one serial
    assert (await host.read(asked, public)).serial == 1
    again = await act(issuer, asked, "hr", YES_HR)
    assert again.status_code == 409  # HR has answered; nothing is done twice


async def test_readers_at_once_after_a_kill_see_one_token(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await linked(issuer, host)
    await act(issuer, asked, "line-manager", YES_MANAGER)
    with failpoints.armed(failpoints.AFTER_RELEASE_RESERVED, _crash), pytest.raises(BaseException) as caught:
        await act(issuer, asked, "hr", YES_HR)
    assert _holds(caught.value)
    answers = await asyncio.gather(*(issuer.http.get(asked["release_uri"]) for _ in range(6)))
    assert len({answer.text for answer in answers}) == 1


async def test_repeating_an_act_with_its_key_answers_alike(issuer: IssuerBench, host: HostSimulator) -> None:
    asked, _ = await linked(issuer, host)
    path = f"/releases/{asked['release_uri'].rsplit('/', 1)[-1]}/line-manager"
    headers = {"Idempotency-Key": new_id()}
    first = await issuer.call("POST", path, YES_MANAGER, headers=headers)
    second = await issuer.call("POST", path, YES_MANAGER, headers=headers)
    assert (first.status_code, second.status_code) == (200, 200)


async def test_what_was_received_and_answered_stands_in_the_audit_log(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    asked, _ = await agreed(issuer, host)
    release_id = asked["release_uri"].rsplit("/", 1)[-1]
    entries = issuer.ctx.audit.tables.entries
    async with issuer.ctx.db.read() as conn:
        query = select(entries.c.kind, entries.c.details).where(entries.c.subject_ref == release_id)
        rows = (await conn.execute(query.order_by(entries.c.id))).all()
    assert [row.kind for row in rows] == [
        "release_request.received",
        "release.person_linked",
        "release.answered_by_line_manager",
        "release.answered_by_hr",
    ]
    assert "Okonkwo" not in str(rows)


async def test_lists_show_what_waits_newest_first(issuer: IssuerBench, host: HostSimulator) -> None:
    ids = []
    for number in range(3):
        issuer.clock.advance(timedelta(seconds=1))
        move = movement(date(2026, 9, 8), id=f"move-{number}")
        asked = await host.ask(request_claims(issuer.clock.now(), NAMED, movement=move))
        ids.append(asked["release_uri"].rsplit("/", 1)[-1])
    page = (await issuer.call("GET", "/releases?limit=2")).json()
    rest = (await issuer.call("GET", f"/releases?limit=2&cursor={page['next']}")).json()
    assert [item["id"] for item in [*page["items"], *rest["items"]]] == ids[::-1]
    assert rest["next"] is None
    assert page["items"][0]["requester"] == HOST


async def test_a_trust_without_its_key_holds_up_no_other_trusts_release(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    asked, _ = await linked(issuer, host)
    await act(issuer, asked, "line-manager", YES_MANAGER)
    with failpoints.armed(failpoints.RELEASE[0], _crash), pytest.raises(BaseException) as caught:
        await act(issuer, asked, "hr", YES_HR)
    assert _holds(caught.value)
    async with issuer.ctx.db.write() as conn:
        [waiting] = (await conn.execute(select(release_documents))).mappings()
        other = {"ods": "GONE", "serial": 0, "reserved_at": issuer.clock.now() - timedelta(days=1)}
        await conn.execute(release_documents.insert().values({**waiting, **other}))
    await leavers.tend(issuer.ctx)
    async with issuer.ctx.db.read() as conn:
        rows = (await conn.execute(select(release_documents))).mappings().all()
    assert {row["ods"]: row["token"] is not None for row in rows} == {"GONE": False, "RBV": True}


async def _placement_notices(issuer: IssuerBench, staff_id: str) -> list[dict[str, Any]]:
    answer = await issuer.call("GET", f"/notices?staff_id={staff_id}")
    assert answer.status_code == 200, answer.text
    return [item for item in answer.json()["items"] if item["kind"] == "PLACEMENT_ENDS"]


async def test_the_employer_tells_its_own_that_a_placement_ends_once_for_each_announcement(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    start, end = date(2026, 9, 10), date(2026, 10, 10)
    about = movement(start, end=end)
    _, staff_id = await agreed(issuer, host, movement=about, staff={"work_email": "a@trust.invalid"})
    assert await placement_ends.announce(issuer.ctx) == 0
    issuer.clock.advance(timedelta(days=(end - issuer.clock.now().date()).days - 7))
    assert await placement_ends.announce(issuer.ctx) == 1
    assert await placement_ends.announce(issuer.ctx) == 0
    issuer.clock.advance(timedelta(days=6))
    assert await placement_ends.announce(issuer.ctx) == 1
    issuer.clock.advance(timedelta(days=2))
    assert await placement_ends.announce(issuer.ctx) == 0
    assert len(await _placement_notices(issuer, staff_id)) == 2


async def test_nobody_is_told_of_an_end_the_day_after_they_agreed(
    issuer: IssuerBench, host: HostSimulator
) -> None:
    today = issuer.clock.now().date()
    about = movement(today, end=today + timedelta(days=5))
    await agreed(issuer, host, movement=about, staff={"work_email": "a@trust.invalid"})
    assert await placement_ends.announce(issuer.ctx) == 0
