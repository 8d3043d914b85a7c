"""The management interface: who may do what, forms of refusal, paging, versions, doing things once."""

# ruff: noqa: E501 - a table of cases reads better with a case per line
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from passport_shared.wire.clients import ClientKind
from passport_shared.wire.scopes import scopes_of
from passport_testkit.apps import problem
from passport_testkit.clients import api_client
from passport_testkit.databases import FreshDatabases
from passport_testkit.verifiers import API, HR, MOVEMENT, VERIFIER, VerifierBench, running_verifier


async def test_a_movement_is_made_read_changed_and_cancelled(verifier: VerifierBench):
    made = await verifier.call("POST", "/movements", MOVEMENT)
    assert made.status_code == 201
    movement = made.json()
    assert made.headers["location"] == f"{API}/movements/{movement['id']}"
    assert (movement["state"], movement["host_ods"], movement["version"]) == ("REQUESTED", "R0A", 1)
    read = await verifier.call("GET", f"/movements/{movement['id']}")
    assert (read.json(), read.headers["etag"]) == (movement, '"1"')
    unchanged = await verifier.call("GET", f"/movements/{movement['id']}", headers={"If-None-Match": '"1"'})
    assert unchanged.status_code == 304
    change = {
        name: value
        for name, value in MOVEMENT.items()
        if name not in {"type", "role_profile", "employing_ods"}
    }
    path = f"/movements/{movement['id']}"
    problem(await verifier.call("PUT", path, change), 428, "precondition_required")
    problem(await verifier.call("PUT", path, change, headers={"If-Match": '"7"'}), 412, "precondition_failed")
    moved = await verifier.call("PUT", path, {**change, "end": "2026-09-05"}, headers={"If-Match": '"1"'})
    assert moved.json()["end"] == "2026-09-05"
    assert moved.headers["etag"] == f'"{moved.json()["version"]}"' != '"1"'
    cancelled = await verifier.call("POST", f"{path}/cancel", {})
    assert cancelled.json()["state"] == "CANCELLED"
    again = await verifier.call("POST", f"{path}/cancel", {})
    assert again.json()["state"] == "CANCELLED"
    problem(
        await verifier.call("PUT", path, change, headers={"If-Match": again.headers["etag"]}), 409, "conflict"
    )
    problem(
        await verifier.call("POST", "/presentation-requests", {"movement_id": movement["id"]}),
        409,
        "conflict",
    )


async def test_a_movement_that_something_was_asked_for_keeps_its_days(verifier: VerifierBench):
    change = {k: v for k, v in MOVEMENT.items() if k not in {"type", "role_profile", "employing_ods"}}
    movement = await verifier.movement()
    path, headers = f"/movements/{movement['id']}", {"If-Match": '"1"'}
    await verifier.ask(movement["id"])
    problem(await verifier.call("PUT", path, change, headers=headers), 409, "conflict")
    verifier.clock.advance(timedelta(minutes=6))
    assert (await verifier.call("PUT", path, change, headers=headers)).status_code == 200
    await verifier.decided(verifier.surgeon(), movement["id"])
    headers = {"If-Match": f'"{(await verifier.read(path))["version"]}"'}
    problem(await verifier.call("PUT", path, change, headers=headers), 409, "conflict")


async def test_cancelling_a_movement_withdraws_what_is_asked_for_it(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    await verifier.made(f"/movements/{request['movement_id']}/cancel", {}, 200)
    assert (await verifier.read(f"/presentation-requests/{request['id']}"))["state"] == "CANCELLED"
    assert (await verifier.send(answer)).status_code == 400


BAD_MOVEMENTS: list[tuple[dict[str, Any], str]] = [
    ({"end": "2026-09-01"}, "body"),
    ({"end": "2036-09-01"}, "body"),
    ({"start": "soon"}, "/start"),
    ({"employing_ods": "rbv"}, "/employing_ods"),
    ({"sites": []}, "/sites"),
    ({"duties": ""}, "/duties"),
    ({"would_have_needed": "MAYBE"}, "/would_have_needed"),
    ({"staff_name": "Somebody"}, "/staff_name"),
]


@pytest.mark.parametrize(("changes", "pointer"), BAD_MOVEMENTS)
async def test_a_movement_that_is_malformed_names_the_field(
    verifier: VerifierBench, changes: dict[str, Any], pointer: str
):
    refused = problem(
        await verifier.call("POST", "/movements", {**MOVEMENT, **changes}), 422, "invalid_request"
    )
    assert any(pointer in error["pointer"] or pointer == "body" for error in refused["errors"])


async def test_a_movement_without_a_policy_is_refused_before_it_is_made(verifier: VerifierBench):
    refused = await verifier.call("POST", "/movements", {**MOVEMENT, "role_profile": "ASTRONAUT"})
    problem(refused, 409, "unknown_policy")


async def test_an_external_id_finds_its_movement_and_is_used_once(verifier: VerifierBench):
    movement = await verifier.movement(external_id="TRAC-77")
    await verifier.movement()
    found = await verifier.read("/movements?external_id=TRAC-77")
    assert [one["id"] for one in found["items"]] == [movement["id"]]
    again = await verifier.call("POST", "/movements", {**MOVEMENT, "external_id": "TRAC-77"})
    assert problem(again, 409, "conflict")["field"] == "/external_id"


async def test_an_idempotency_key_makes_one_movement(verifier: VerifierBench):
    headers = {"Idempotency-Key": "night-run-1"}
    first = await verifier.call("POST", "/movements", MOVEMENT, headers=headers)
    again = await verifier.call("POST", "/movements", MOVEMENT, headers=headers)
    assert first.json() == again.json()
    assert len((await verifier.read("/movements"))["items"]) == 1
    other = await verifier.call("POST", "/movements", {**MOVEMENT, "duties": "Another"}, headers=headers)
    problem(other, 422, "idempotency_key_reused")


async def test_an_idempotency_key_makes_one_request_one_look_up_and_one_recheck(verifier: VerifierBench):
    movement = await verifier.movement()
    headers = {"Idempotency-Key": "k1"}
    body = {"movement_id": movement["id"]}
    asked = [await verifier.call("POST", "/presentation-requests", body, headers=headers) for _ in range(2)]
    assert asked[0].json() == asked[1].json()
    decision = await verifier.decided(verifier.surgeon(), movement["id"])
    path = f"/decisions/{decision['id']}/recheck"
    rechecked = [await verifier.call("POST", path, {"actor": HR}, headers=headers) for _ in range(2)]
    assert rechecked[0].json() == rechecked[1].json()


async def test_lists_are_paged(verifier: VerifierBench):
    made = [(await verifier.movement())["id"] for _ in range(5)]
    first = await verifier.read("/movements?limit=2")
    second = await verifier.read(f"/movements?limit=2&cursor={first['next']}")
    third = await verifier.read(f"/movements?limit=2&cursor={second['next']}")
    ids = [one["id"] for page in (first, second, third) for one in page["items"]]
    assert ids == made[::-1]
    assert third["next"] is None
    problem(await verifier.call("GET", f"/decisions?cursor={first['next']}"), 400, "bad_request")


async def test_a_look_up_needs_a_person_and_a_number_of_the_right_form(verifier: VerifierBench):
    movement = await verifier.movement()
    body = {
        "movement_id": movement["id"],
        "regulator": "GMC",
        "number": "7099999",
        "status": "REGISTERED",
        "licence": True,
        "checked_at": verifier.clock.now().isoformat(),
    }
    assert (
        problem(await verifier.call("POST", "/register-checks", body), 422, "invalid_request")["field"]
        == "/actor"
    )
    for change, pointer in (
        ({"number": "70999"}, "/number"),
        ({"checked_at": (verifier.clock.now() + timedelta(hours=1)).isoformat()}, "/checked_at"),
        ({"status": "FINE"}, "/status"),
        ({"checked_at": "2026-09-01T10:00:00"}, "/checked_at"),
    ):
        refused = await verifier.call("POST", "/register-checks", {**body, "actor": HR, **change})
        assert pointer in str(problem(refused, 422, "invalid_request")["errors"])
    both = {**body, "actor": HR, "presentation_request_id": "x"}
    problem(await verifier.call("POST", "/register-checks", both), 422, "invalid_request")
    made = await verifier.made("/register-checks", {**body, "actor": HR})
    assert "number" not in made
    assert (await verifier.read(f"/register-checks/{made['id']}")) == made
    listed = await verifier.read(f"/register-checks?case_id={movement['id']}")
    assert [one["id"] for one in listed["items"]] == [made["id"]]


async def test_policies_say_what_is_needed_and_what_is_asked(verifier: VerifierBench):
    listed = {one["id"]: one for one in (await verifier.read("/policies"))["items"]}
    assert len(listed) == 5
    policy = listed["SERVICE_NEED_URGENT.UROLOGY_SURGEON"]
    assert (policy["own"], policy["version_id"]) == (False, "SERVICE_NEED_URGENT.UROLOGY_SURGEON@1")
    assert (await verifier.read(f"/policies/{policy['id']}")) == policy
    fire = next(need for need in policy["needs"] if need["subject"] == "FS")
    assert (fire["need"], fire["months"]) == ("ASSURANCE", 24)
    assert fire["conditions"][0]["text"]["en-GB"] == "Complete Fire safety and share it again."
    assert policy["asks"][0]["vct"].endswith("/vct/StaffIdentity/1")
    problem(await verifier.call("GET", "/policies/NOTHING.NOBODY"), 404, "not_found")


PLACEMENT = {
    "position_title": "Visiting consultant urologist",
    "department_contact": "Department office",
    "approved_by": "Clinical director",
    "hr_contact": "hr@trust.invalid",
}
CHECKLIST = {"badge_returned": True, "it_access_removed": True, "uniform_returned": True}


async def everything(verifier: VerifierBench) -> list[tuple[str, str, Any]]:
    """Every management route with an object of this trust in it."""
    movement = await verifier.movement()
    check = await verifier.look_up(movement["id"])
    request = await verifier.ask(movement["id"])
    decision = await verifier.decided(verifier.surgeon(), movement["id"])
    movement_id, request_id, decision_id = movement["id"], request["id"], decision["id"]
    body = {"actor": HR}
    versions = "/policies/SERVICE_NEED_URGENT.UROLOGY_SURGEON/versions"
    rules = (await verifier.read("/policies/SERVICE_NEED_URGENT.UROLOGY_SURGEON"))["rules"]
    return [
        ("GET", "/movements", None),
        ("POST", "/movements", MOVEMENT),
        ("GET", f"/movements/{movement_id}", None),
        ("PUT", f"/movements/{movement_id}", {k: v for k, v in MOVEMENT.items() if k not in {"type", "role_profile", "employing_ods"}}),
        ("POST", f"/movements/{movement_id}/cancel", {}),
        ("GET", f"/movements/{movement_id}/gates", None),
        ("GET", f"/movements/{movement_id}/licence", None),
        ("GET", f"/movements/{movement_id}/approvals", None),
        ("POST", f"/movements/{movement_id}/approvals", {"kind": "FINANCE", "decision": "AGREED", **body}),
        ("POST", f"/movements/{movement_id}/staff-agreement", {"decision": "AGREED", "channel": "PHONE", "at": "2026-09-01T09:00:00Z", **body}),
        ("POST", f"/movements/{movement_id}/induction", {"on": "2026-09-01", **body}),
        ("POST", f"/movements/{movement_id}/agreement-links", body),
        ("GET", f"/movements/{movement_id}/agreement-links/{movement_id}", None),
        ("POST", f"/movements/{movement_id}/release-request", body),
        ("GET", f"/movements/{movement_id}/release", None),
        ("POST", f"/movements/{movement_id}/release/refresh", None),
        ("GET", f"/movements/{movement_id}/placement", None),
        ("POST", f"/movements/{movement_id}/placement", {**PLACEMENT, **body}),
        ("POST", f"/movements/{movement_id}/placement/end", {**CHECKLIST, **body}),
        ("POST", f"/movements/{movement_id}/placement/offer", body),
        ("GET", f"/movements/{movement_id}/watch", None),
        ("GET", "/alerts", None),
        ("GET", f"/alerts/{movement_id}", None),
        ("POST", f"/alerts/{movement_id}/acknowledge", body),
        ("GET", "/events", None),
        ("GET", "/placements", None),
        ("GET", "/placement-issuer", None),
        ("PUT", "/placement-issuer", {"issuer_url": "https://issuer.example", **body}),
        ("GET", "/presentation-requests", None),
        ("POST", "/presentation-requests", {"movement_id": movement_id}),
        ("GET", f"/presentation-requests/{request_id}", None),
        ("POST", f"/presentation-requests/{request_id}/cancel", {}),
        ("GET", f"/presentation-requests/{request_id}/qr.svg", None),
        ("GET", "/decisions", None),
        ("GET", f"/decisions/{decision_id}", None),
        ("POST", f"/decisions/{decision_id}/person-confirmation", {"method": "KNOWN_TO_ME", **body}),
        ("POST", f"/decisions/{decision_id}/recheck", body),
        ("POST", f"/decisions/{decision_id}/conditions/1/met", body),
        ("GET", "/register-checks", None),
        ("POST", "/register-checks", {"movement_id": movement_id, "regulator": "GMC", "number": "7099999", "status": "REGISTERED", "checked_at": "2026-09-01T09:00:00Z", **body}),
        ("GET", f"/register-checks/{check['id']}", None),
        ("GET", "/policies", None),
        ("GET", "/policies/SERVICE_NEED_URGENT.UROLOGY_SURGEON", None),
        ("GET", f"{versions}", None),
        ("POST", f"{versions}", {**rules, "effective": "2026-10-01", **body}),
        ("GET", f"{versions}/1", None),
        ("POST", f"{versions}/1/approve", body),
        ("POST", f"{versions}/1/withdraw", body),
        ("GET", "/overrides", None),
        ("POST", "/overrides", {"decision_id": decision_id, "findings": [{"rule": "R-12", "subject": "FS"}], "reason": "The certificate is on its way.", **body}),
        ("GET", f"/overrides/{decision_id}", None),
        ("POST", f"/overrides/{decision_id}/approve", body),
        ("POST", f"/overrides/{decision_id}/withdraw", body),
    ]  # fmt: skip


async def test_every_route_is_in_the_matrix(verifier: VerifierBench):
    import re

    routes = {
        (method.upper(), re.sub(r"\{[^}]*\}", "*", path.removeprefix("/api/v1/organisations/{ods}")))
        for path, operations in verifier.app.openapi()["paths"].items()
        if path.startswith("/api/v1/")
        for method in operations
        if method != "parameters"
    }
    tried = {(method, re.sub(r"[0-9a-f-]{36}", "*", path)) for method, path, _ in await everything(verifier)}
    tried = {
        (method, path.replace("qr.svg", "qr.*").replace("conditions/1", "conditions/*").replace("/policies/SERVICE_NEED_URGENT.UROLOGY_SURGEON", "/policies/*").replace("versions/1", "versions/*"))
        for method, path in tried
    }  # fmt: skip
    assert tried == routes


async def test_another_trust_sees_and_touches_nothing(databases: FreshDatabases, tmp_path: Any):
    url = await databases.url("passport_verifier")
    async with running_verifier(tmp_path, url, tenants=("R0A", "RM3")) as verifier:
        routes = await everything(verifier)
        other = api_client("rm3-hr-system", organisation="RM3", scopes=scopes_of("verifier"))
        verifier.clients.put(other)
        for method, path, body in routes:
            headers = {"If-Match": "*"} if method == "PUT" else {}
            refused = await verifier.call(method, path, body, client=other, headers=headers)
            problem(refused, 404, "not_found")
            own_path = f"/api/v1/organisations/RM3{path}"
            found = await verifier.call(method, own_path, body, client=other, headers=headers)
            if path.endswith("/approve") and path.startswith("/policies/"):
                # its own version, which the same person proposed a line before
                problem(found, 409, "second_person_needed")
            elif path == "/placement-issuer":
                assert found.status_code in {404, 422}, (method, found.text)
            elif path in {"/movements", "/policies"} or path.startswith("/policies/"):
                assert found.status_code < 300, path
            elif method == "GET" and path.count("/") == 1:
                assert found.json()["items"] == [], path
            else:
                problem(found, 404, "not_found")
        everywhere = api_client("network", organisation="*", scopes=scopes_of("verifier"))
        verifier.clients.put(everywhere)
        assert (await verifier.call("GET", "/movements", client=everywhere)).status_code == 200
        unknown = await verifier.call("GET", "/api/v1/organisations/RXX/movements", client=everywhere)
        problem(unknown, 404, "not_found")
        lower = await verifier.call("GET", "/api/v1/organisations/r0a/movements", client=everywhere)
        problem(lower, 404, "not_found")


async def test_no_token_and_no_scope(verifier: VerifierBench):
    readers = api_client("reader", organisation="R0A", scopes={"policies:read"})
    verifier.clients.put(readers)
    for method, path, body in await everything(verifier):
        bare = await verifier.http.request(method, f"{API}{path}", json=body)
        problem(bare, 401, "unauthenticated")
        if not path.startswith("/policies"):
            problem(await verifier.call(method, path, body, client=readers), 403, "forbidden")


async def test_a_persons_client_is_its_own_actor(verifier: VerifierBench):
    person = api_client(
        "hr-person-1", organisation="R0A", scopes=scopes_of("verifier"), kind=ClientKind.PERSON
    )
    verifier.clients.put(person)
    request = await verifier.ask()
    await verifier.present(request, verifier.surgeon())
    decision_id = (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"]
    path = f"/decisions/{decision_id}/person-confirmation"
    claimed = await verifier.call("POST", path, {"method": "KNOWN_TO_ME", "actor": "somebody"}, client=person)
    problem(claimed, 403, "forbidden")
    nobody = await verifier.call("POST", path, {"method": "KNOWN_TO_ME"})
    problem(nobody, 422, "invalid_request")
    confirmed = await verifier.call("POST", path, {"method": "KNOWN_TO_ME"}, client=person)
    assert confirmed.json()["person"]["by"] == {
        "ref": "hr-person-1",
        "client_id": "hr-person-1",
        "kind": "PERSON",
        "asserted": False,
    }


async def test_a_client_has_only_so_many_open_requests(databases: FreshDatabases, tmp_path: Any):
    url = await databases.url("passport_verifier")
    async with running_verifier(tmp_path, url, open_requests=2) as verifier:
        movement = await verifier.movement()
        body = {"movement_id": movement["id"]}
        for _ in range(2):
            await verifier.made("/presentation-requests", body)
        refused = await verifier.call("POST", "/presentation-requests", body)
        problem(refused, 429, "too_many_requests")
        assert refused.headers["retry-after"] == "60"
        verifier.clock.advance(timedelta(minutes=6))
        await verifier.made("/presentation-requests", body)


async def test_a_tenant_that_is_not_enrolled_cannot_ask(verifier: VerifierBench):
    await verifier.ctx.tenants.prepare("RW3")
    other = api_client("rw3", organisation="RW3", scopes=scopes_of("verifier"))
    verifier.clients.put(other)
    prefix = "/api/v1/organisations/RW3"
    movement = await verifier.call("POST", f"{prefix}/movements", MOVEMENT, client=other)
    body = {"movement_id": movement.json()["id"]}
    refused = await verifier.call("POST", f"{prefix}/presentation-requests", body, client=other)
    problem(refused, 409, "not_enrolled")


async def test_every_problem_of_the_catalogue_resolves(verifier: VerifierBench):
    from passport_verifier.errors import PROBLEMS

    for entry in PROBLEMS:
        page = await verifier.http.get(f"{VERIFIER}/problems/{entry.slug}")
        assert page.status_code == 200, entry.slug


async def test_every_act_has_its_audit_entry(verifier: VerifierBench):
    await everything(verifier)
    async with verifier.ctx.db.read() as conn:
        from sqlalchemy import select

        from passport_verifier.store.tables import audit

        kinds = [row.kind for row in await conn.execute(select(audit.entries.c.kind))]
    assert sorted(set(kinds)) == [
        "decision.recorded",
        "movement.created",
        "movement.state_changed",
        "person.confirmed",
        "presentation_request.created",
        "register_check.recorded",
    ]
    assert kinds.count("decision.recorded") == 1
