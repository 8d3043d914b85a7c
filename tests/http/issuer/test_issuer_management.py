"""The management interface: whose things, which scope, which version, once.

And nothing that stings in the input.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from passport_shared.service.limits import Rate
from passport_shared.wire.clients import ClientKind
from passport_testkit.apps import problem
from passport_testkit.clients import api_client
from passport_testkit.databases import both_databases
from passport_testkit.issuers import (
    API,
    HR,
    POST,
    SURGEON,
    IssuerBench,
    check_body,
    other_trust,
    training_body,
)

CORPORA = Path(__file__).resolve().parents[4] / "shared" / "corpora"


async def test_staff_are_found_by_id_and_by_external_identifier(issuer: IssuerBench) -> None:
    made = await issuer.call("POST", "/staff", SURGEON)
    assert made.status_code == 201
    staff_id = made.json()["id"]
    assert made.headers["location"] == f"{API}/staff/{staff_id}"
    assert made.headers["etag"] == '"1"'
    assert (await issuer.call("GET", f"/staff/{staff_id}")).json() == made.json()
    found = (await issuer.call("GET", "/staff?external_id=ESR_PERSON:1234567")).json()
    assert [item["id"] for item in found["items"]] == [staff_id]
    assert (await issuer.call("GET", "/staff?external_id=LMS:1234567")).json()["items"] == []
    problem(await issuer.call("GET", "/staff?external_id=nonsense"), 422, "invalid_request")


async def test_an_external_identifier_belongs_to_one_person(issuer: IssuerBench) -> None:
    first = await issuer.staff()
    problem(await issuer.call("POST", "/staff", SURGEON), 409, "external_id_taken")
    second = await issuer.staff(external_ids=[])
    answer = await issuer.call("PUT", f"/staff/{second}", SURGEON, headers={"If-Match": '"1"'})
    problem(answer, 409, "external_id_taken")
    kept = await issuer.call("PUT", f"/staff/{first}", SURGEON, headers={"If-Match": '"1"'})
    assert kept.status_code == 200


async def test_a_change_names_the_version_it_changes(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff()
    changed = {**SURGEON, "legal_family": "Price"}
    problem(await issuer.call("PUT", f"/staff/{staff_id}", changed), 428, "precondition_required")
    answer = await issuer.call("PUT", f"/staff/{staff_id}", changed, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    again = await issuer.call("PUT", f"/staff/{staff_id}", changed, headers={"If-Match": '"1"'})
    problem(again, 412, "precondition_failed")
    post = await issuer.made(f"/staff/{staff_id}/assignments", POST)
    path = f"/staff/{staff_id}/assignments/{post['id']}"
    body = {key: value for key, value in POST.items() if key != "ref"} | {"title": "Clinical lead"}
    problem(await issuer.call("PUT", path, body), 428, "precondition_required")
    answer = await issuer.call("PUT", path, body, headers={"If-Match": '"1"'})
    assert answer.json()["title"] == "Clinical lead"
    problem(await issuer.call("PUT", path, body, headers={"If-Match": '"1"'}), 412, "precondition_failed")
    problem(await issuer.call("POST", f"/staff/{staff_id}/assignments", POST), 409, "conflict")


@both_databases
async def test_an_idempotency_key_makes_one_of_each(issuer: IssuerBench) -> None:
    headers = {"Idempotency-Key": "hr-run-1"}
    first = await issuer.call("POST", "/staff", SURGEON, headers=headers)
    again = await issuer.call("POST", "/staff", SURGEON, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await issuer.call("POST", "/staff", {**SURGEON, "legal_given": "Ada"}, headers=headers)
    problem(other, 422, "idempotency_key_reused")
    staff_id = first.json()["id"]
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    body = {"types": ["OccupationalHealth"], "actor": HR}
    one = await issuer.call("POST", f"/staff/{staff_id}/offers", body, headers=headers)
    two = await issuer.call("POST", f"/staff/{staff_id}/offers", body, headers=headers)
    # the PIN is derived, so a repetition can show it again although it is stored nowhere
    assert (one.json()["id"], one.json()["tx_code"]) == (two.json()["id"], two.json()["tx_code"])
    listed = (await issuer.call("GET", f"/staff/{staff_id}/offers")).json()
    assert len(listed["items"]) == 1


async def test_an_act_repeated_under_its_key_is_answered_alike(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    offer = await issuer.offer(staff_id, ["OccupationalHealth"])
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    (item,) = (await issuer.call("GET", "/credentials")).json()["items"]
    open_offer = await issuer.offer(staff_id)
    reason = {"reason_code": "OH_WITHDRAWN", "actor": HR}
    acts: list[tuple[str, dict[str, Any]]] = [
        (f"/offers/{open_offer['id']}/pin", {"actor": HR}),
        (f"/offers/{open_offer['id']}/withdraw", {"actor": HR}),
        (f"/credentials/{item['id']}/hold", reason),
        (f"/credentials/{item['id']}/reinstate", {"actor": HR}),
        (f"/credentials/{item['id']}/revoke", reason),
        (f"/staff/{staff_id}/passport/hold", reason),
        (f"/staff/{staff_id}/passport/reinstate", {"actor": HR}),
    ]
    for path, body in acts:
        headers = {"Idempotency-Key": "same-key"}
        first = await issuer.call("POST", path, body, headers=headers)
        assert first.status_code == 200, (path, first.text)
        again = await issuer.call("POST", path, body, headers=headers)
        assert (again.status_code, again.json()) == (200, first.json()), path


async def test_a_client_that_has_gone_wild_is_slowed_down(
    issuer: IssuerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Rate(name="issuer.writes", limit=60, per=timedelta(minutes=1), burst=2)
    monkeypatch.setattr("passport_issuer.http.access.WRITES", slow)
    for _ in range(2):
        await issuer.staff(external_ids=[])
    refused = await issuer.call("POST", "/staff", {**SURGEON, "external_ids": []})
    problem(refused, 429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"
    # reading goes on, and so does everybody else
    assert (await issuer.call("GET", "/staff")).headers["cache-control"] == "no-store"
    other = api_client("other-system", scopes=["staff:write"])
    issuer.clients.put(other)
    body = {**SURGEON, "external_ids": []}
    assert (await issuer.call("POST", "/staff", body, client=other)).status_code == 201
    issuer.clock.advance(timedelta(seconds=1))
    await issuer.staff(external_ids=[])


async def test_lists_are_paged_without_gaps_or_repetitions(issuer: IssuerBench) -> None:
    made = [await issuer.staff(external_ids=[]) for _ in range(5)]
    seen: list[str] = []
    path = "/staff?limit=2"
    while True:
        page = (await issuer.call("GET", path)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        path = f"/staff?limit=2&cursor={page['next']}"
    assert seen == made
    problem(await issuer.call("GET", "/staff?cursor=nonsense"), 400, "bad_request")
    problem(await issuer.call("GET", "/staff?limit=0"), 422, "invalid_request")


MALFORMED: list[tuple[str, str, Any, str]] = [
    ("POST", "/staff", {}, "/legal_given"),
    ("POST", "/staff", {**SURGEON, "birthdate": "1981-02-30"}, "/birthdate"),
    ("POST", "/staff", {**SURGEON, "birthdate": 347155200}, "/birthdate"),
    ("POST", "/staff", {**SURGEON, "birthdate": "347155200"}, "/birthdate"),
    ("POST", "/staff", {**SURGEON, "birthdate": "1981-03-09T00:00:00Z"}, "/birthdate"),
    ("POST", "/staff", {**SURGEON, "leaving_date": "9999-12-31"}, "/leaving_date"),
    ("POST", "/staff", {**SURGEON, "preferences": {"pause_offers": 0}}, "/preferences/pause_offers"),
    ("POST", "/staff/{id}/assignments", {**POST, "fte": "1.0"}, "/fte"),
    ("POST", "/staff/{id}/assignments", {**POST, "primary": "yes"}, "/primary"),
    (
        "POST",
        "/staff/{id}/identity-sessions",
        {"channel": "VIDEO", "actor": HR, "scheduled_for": "2026-09-02T10:00:00"},
        "/scheduled_for",
    ),
    (
        "POST",
        "/staff/{id}/identity-sessions",
        {"channel": "VIDEO", "actor": HR, "scheduled_for": "9999-12-31T23:59:59-23:59"},
        "/scheduled_for",
    ),
    ("POST", "/staff", {**SURGEON, "employment_status": "RETIRED"}, "/employment_status"),
    ("POST", "/staff", {**SURGEON, "work_email": "nobody"}, "/work_email"),
    ("POST", "/staff", {**SURGEON, "portrait": "data:image/png;base64,AAAA"}, "/portrait"),
    ("POST", "/staff", {**SURGEON, "ethnicity": "x"}, "/ethnicity"),
    ("POST", "/staff", {**SURGEON, "legal_given": "A\nB"}, "/legal_given"),
    ("POST", "/staff/{id}/assignments", {**POST, "fte": 2}, "/fte"),
    ("POST", "/staff/{id}/assignments", {**POST, "ref": "a b"}, "/ref"),
    ("POST", "/staff/{id}/checks", check_body("OH", evidence_ref=None), "/evidence_ref"),
    ("POST", "/staff/{id}/checks", check_body("OH", performed_on="2026-09-02"), "/performed_on"),
    ("POST", "/staff/{id}/checks", check_body("OH", outcome="FIT"), "/OH/outcome"),
    ("POST", "/staff/{id}/checks", check_body("OH", fields={"hiv": "negative"}), "/OH/fields/role_category"),
    ("POST", "/staff/{id}/checks", {"check_type": "HOROSCOPE"}, ""),
    ("POST", "/staff/{id}/training", training_body("YOGA"), "/subject_code"),
    ("POST", "/staff/{id}/training", training_body("FS", completed_on="2027-01-01"), "/completed_on"),
    ("POST", "/staff/{id}/identity-sessions", {"channel": "PIGEON", "actor": HR}, "/channel"),
    (
        "POST",
        "/staff/{id}/identity-sessions",
        {"channel": "VIDEO", "join_url": "http://x", "actor": HR},
        "/join_url",
    ),
    ("POST", "/staff/{id}/offers", {"types": ["Nothing"], "actor": HR}, "/types/0"),
    ("POST", "/staff/{id}/offers", {"types": [], "actor": HR}, "/types"),
]


async def test_malformed_input_is_named_field_by_field(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff()
    for method, path, body, pointer in MALFORMED:
        body_of = problem(await issuer.call(method, path.format(id=staff_id), body), 422, "invalid_request")
        pointers = {error["pointer"] for error in body_of.get("errors", [])} | {body_of.get("field")}
        assert any(found and pointer.split("/")[-1] in found for found in pointers) or not pointer, (
            path,
            body_of,
        )


async def test_an_act_that_needs_a_person_names_one(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff()
    check = check_body("OH")
    del check["actor"]
    answer = problem(await issuer.call("POST", f"/staff/{staff_id}/checks", check), 422, "invalid_request")
    assert answer["field"] == "/actor"
    person = api_client("jo-at-desk", kind=ClientKind.PERSON, scopes=["checks:write", "checks:read"])
    issuer.clients.put(person)
    made = await issuer.call("POST", f"/staff/{staff_id}/checks", check, client=person)
    assert made.json()["performed_by"] == "jo-at-desk"
    other = await issuer.call("POST", f"/staff/{staff_id}/checks", {**check, "actor": "sam"}, client=person)
    problem(other, 403, "forbidden")


async def test_every_route_needs_its_scope_and_a_token(issuer: IssuerBench) -> None:
    reader = api_client("reports", scopes=["staff:read"])
    issuer.clients.put(reader)
    document = (await issuer.http.get("/openapi.json")).json()
    routes = [
        (method.upper(), path)
        for path, operations in document["paths"].items()
        if path.startswith("/api/")
        for method in operations
    ]
    assert len(routes) > 25
    for method, path in routes:
        filled = path.replace("{ods}", "RBV").replace("{kind}", "svg")
        filled = filled.replace("{staff_id}", "x").replace("}", "").replace("{", "")
        anonymous = await issuer.http.request(method, filled, json={})
        assert anonymous.status_code == 401, (method, path, anonymous.text)
        if not (method == "GET" and "/staff" in path and path.count("/") <= 8 and "passport" not in path):
            answer = await issuer.call(method, filled, {}, client=reader)
            assert answer.status_code in (403, 404), (method, path, answer.text)


async def test_another_trust_finds_nothing_anywhere(issuer: IssuerBench) -> None:
    """Every route, every foreign object: 404 under the owner's code and under one's own."""
    staff_id = await issuer.surgeon()
    offer = await issuer.offer(staff_id)
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    post = (await issuer.call("GET", f"/staff/{staff_id}/assignments")).json()["items"][0]["id"]
    check = (await issuer.call("GET", f"/staff/{staff_id}/checks")).json()["items"][0]["id"]
    entry = (await issuer.call("GET", f"/staff/{staff_id}/training")).json()["items"][0]["id"]
    session = (await issuer.call("GET", f"/staff/{staff_id}/identity-sessions")).json()["items"][0]["id"]
    credential = (await issuer.call("GET", "/credentials")).json()["items"][0]["id"]
    await issuer.ctx.tenants.enrol(
        "R0A", "a-one-time-code", registry_url=issuer.registry.anchor, outbound=issuer.ctx.outbound
    )
    stranger = other_trust(issuer)
    person, reason = {"actor": HR}, {"reason_code": "DATA_CHANGED", "actor": HR}
    result = {"result": "CONFIRMED", "face_matched": True, "actor": HR}
    body_post = {key: value for key, value in POST.items() if key != "ref"}
    matrix: list[tuple[str, str, Any]] = [
        ("GET", f"/staff/{staff_id}", None),
        ("PUT", f"/staff/{staff_id}", SURGEON),
        ("GET", f"/staff/{staff_id}/assignments", None),
        ("POST", f"/staff/{staff_id}/assignments", POST),
        ("GET", f"/staff/{staff_id}/assignments/{post}", None),
        ("PUT", f"/staff/{staff_id}/assignments/{post}", body_post),
        ("GET", f"/staff/{staff_id}/checks", None),
        ("POST", f"/staff/{staff_id}/checks", check_body("OH")),
        ("GET", f"/staff/{staff_id}/checks/{check}", None),
        ("GET", f"/staff/{staff_id}/training", None),
        ("POST", f"/staff/{staff_id}/training", training_body("FS")),
        ("GET", f"/staff/{staff_id}/training/{entry}", None),
        ("GET", f"/staff/{staff_id}/identity-sessions", None),
        ("POST", f"/staff/{staff_id}/identity-sessions", {"channel": "VIDEO", "actor": HR}),
        ("GET", f"/staff/{staff_id}/identity-sessions/{session}", None),
        ("POST", f"/staff/{staff_id}/identity-sessions/{session}/result", result),
        ("GET", f"/staff/{staff_id}/offers", None),
        ("POST", f"/staff/{staff_id}/offers", person),
        ("GET", f"/offers/{offer['id']}", None),
        ("POST", f"/offers/{offer['id']}/pin", person),
        ("POST", f"/offers/{offer['id']}/withdraw", person),
        ("GET", f"/offers/{offer['id']}/qr.svg", None),
        ("GET", f"/staff/{staff_id}/passport", None),
        ("POST", f"/staff/{staff_id}/passport/hold", reason),
        ("POST", f"/staff/{staff_id}/passport/reinstate", person),
        ("GET", f"/credentials/{credential}", None),
        ("POST", f"/credentials/{credential}/revoke", reason),
        ("POST", f"/credentials/{credential}/hold", reason),
        ("POST", f"/credentials/{credential}/reinstate", person),
    ]
    for method, path, body in matrix:
        for ods in ("RBV", "R0A"):
            url = f"/api/v1/organisations/{ods}{path}"
            answer = await issuer.call(method, url, body, client=stranger, headers={"If-Match": '"1"'})
            problem(answer, 404, "not_found")
    for path in ("/staff", "/credentials"):
        problem(await issuer.call("GET", path, client=stranger), 404, "not_found")
        own = await issuer.call("GET", f"/api/v1/organisations/R0A{path}", client=stranger)
        assert own.json()["items"] == []
    listed = await issuer.call(
        "GET", f"/api/v1/organisations/R0A/credentials?staff_id={staff_id}", client=stranger
    )
    assert listed.json()["items"] == []
    # and nothing of it changed anything
    mine = (await issuer.call("GET", f"/staff/{staff_id}/passport")).json()
    assert (mine["state"], {item["state"] for item in mine["credentials"]}) == ("ACTIVE", {"ACTIVE"})


async def test_lower_case_and_unknown_organisations_are_404(issuer: IssuerBench) -> None:
    for ods in ("rbv", "ZZZ", "RBV "):
        answer = await issuer.call("GET", f"/api/v1/organisations/{ods}/staff")
        problem(answer, 404, "not_found")


JSON_ROUTES = ["/staff", "/staff/x/checks", "/staff/x/training", "/staff/x/offers", "/offers/x/pin"]
PROTOCOL_ROUTES = ["/RBV/credential", "/RBV/notification"]


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora lie beside the project, and here they do not")
async def test_json_corpora_are_never_a_500(issuer: IssuerBench) -> None:
    headers = await issuer.headers()
    wallet = {"Authorization": "Bearer " + "A" * 43}
    files = sorted((CORPORA / "jsontestsuite").rglob("*.json"))
    assert len(files) > 100
    for file in files:
        content = file.read_bytes()
        for path in JSON_ROUTES[:2]:
            answer = await issuer.http.post(
                f"{API}{path}", content=content, headers={**headers, "Content-Type": "application/json"}
            )
            assert answer.status_code in (400, 404, 413, 422), (file.name, path, answer.status_code)
        for path in PROTOCOL_ROUTES[:1]:
            answer = await issuer.http.post(
                path, content=content, headers={**wallet, "Content-Type": "application/json"}
            )
            assert answer.status_code in (400, 401, 413), (file.name, path, answer.status_code)


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora lie beside the project, and here they do not")
async def test_naughty_strings_are_names_or_refused(issuer: IssuerBench) -> None:
    (file,) = (CORPORA / "blns").rglob("blns.json")
    strings: list[str] = json.loads(file.read_text("utf-8"))
    headers = await issuer.headers()
    kept = 0
    for text in strings:
        body = {**SURGEON, "legal_family": text, "external_ids": []}
        answer = await issuer.http.post(f"{API}/staff", json=body, headers=headers)
        assert answer.status_code in (201, 400, 422), (text, answer.status_code)
        if answer.status_code == 201:
            kept += 1
            assert answer.json()["legal_family"] == text
        found = await issuer.http.get(f"{API}/staff", params={"external_id": f"LMS:{text}"}, headers=headers)
        assert found.status_code in (200, 400, 422), (text, found.status_code)
    assert kept > 100


async def test_a_passport_in_one_call_says_what_is_missing(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff()
    await issuer.made(f"/staff/{staff_id}/assignments", POST)
    await issuer.made(f"/staff/{staff_id}/checks", check_body("DBS", outcome="CLEARED_WITH_RISK_ASSESSMENT"))
    found = (await issuer.call("GET", f"/staff/{staff_id}/passport")).json()
    assert (found["id"], found["state"], found["credentials"]) == (None, None, [])
    assert found["can_be_issued"] == ["Employment"]
    missing = {item["type"]: item["missing"][0]["code"] for item in found["not_held"]}
    assert missing == {
        "StaffIdentity": "check_missing",
        "RightToWork": "check_missing",
        "DbsOutcome": "check_not_cleared",
        "ProfessionalRegistration": "check_missing",
        "OccupationalHealth": "check_missing",
        "CoreSkills": "training_missing",
    }
    refused = await issuer.call("POST", f"/staff/{staff_id}/offers", {"actor": HR})
    problem(refused, 409, "identity_not_confirmed")
    await issuer.confirm_identity(staff_id)
    nothing = await issuer.call(
        "POST", f"/staff/{staff_id}/offers", {"types": ["DbsOutcome", "CoreSkills"], "actor": HR}
    )
    assert [item["pointer"] for item in problem(nothing, 409, "nothing_to_issue")["errors"]] == [
        "/types/0",
        "/types/1",
    ]
    some = await issuer.offer(staff_id)
    assert some["credential_configuration_ids"] == ["Employment_1"]
    assert {item["type"] for item in some["not_held"]} >= {"DbsOutcome", "RightToWork"}


async def test_an_identity_mismatch_stops_every_offer(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    issuer.clock.advance(timedelta(hours=1))
    await issuer.confirm_identity(staff_id, result="FAILED", face_matched=False)
    refused = await issuer.call("POST", f"/staff/{staff_id}/offers", {"actor": HR})
    problem(refused, 409, "identity_not_confirmed")
    issuer.clock.advance(timedelta(hours=1))
    await issuer.confirm_identity(staff_id)
    assert (await issuer.offer(staff_id))["not_held"] == []


async def test_a_session_ends_once_and_an_offer_is_withdrawn_once(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    session = (await issuer.call("GET", f"/staff/{staff_id}/identity-sessions")).json()["items"][0]["id"]
    result = {"result": "FAILED", "face_matched": False, "actor": HR}
    again = await issuer.call("POST", f"/staff/{staff_id}/identity-sessions/{session}/result", result)
    problem(again, 409, "wrong_state")
    offer = await issuer.offer(staff_id)
    assert (await issuer.call("POST", f"/offers/{offer['id']}/withdraw", {"actor": HR})).status_code == 200
    problem(await issuer.call("POST", f"/offers/{offer['id']}/withdraw", {"actor": HR}), 409, "wrong_state")
    problem(await issuer.call("POST", f"/offers/{offer['id']}/pin", {"actor": HR}), 409, "wrong_state")


async def test_a_credential_is_revoked_once_and_a_passport_held_once(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    offer = await issuer.offer(staff_id, ["OccupationalHealth"])
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    (item,) = (await issuer.call("GET", "/credentials")).json()["items"]
    reason = {"reason_code": "OH_WITHDRAWN", "actor": HR}
    assert (await issuer.call("POST", f"/credentials/{item['id']}/revoke", reason)).status_code == 200
    problem(await issuer.call("POST", f"/credentials/{item['id']}/revoke", reason), 409, "wrong_state")
    hold = f"/staff/{staff_id}/passport/hold"
    assert (await issuer.call("POST", hold, reason)).status_code == 200
    problem(await issuer.call("POST", hold, reason), 409, "wrong_state")
    back = f"/staff/{staff_id}/passport/reinstate"
    assert (await issuer.call("POST", back, {"actor": HR})).json()["state"] == "ACTIVE"
    problem(await issuer.call("POST", back, {"actor": HR}), 409, "wrong_state")
    # revoked stays revoked
    assert (await issuer.call("GET", f"/credentials/{item['id']}")).json()["state"] == "REVOKED"


async def test_an_offer_s_qr_code_is_an_image(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    offer = await issuer.offer(staff_id)
    svg = await issuer.call("GET", f"/offers/{offer['id']}/qr.svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in svg.content
    png = await issuer.call("GET", f"/offers/{offer['id']}/qr.png")
    assert png.content.startswith(b"\x89PNG")
    problem(await issuer.call("GET", f"/offers/{offer['id']}/qr.gif"), 404, "not_found")
