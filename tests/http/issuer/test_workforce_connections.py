"""Connections of a trust to its workforce systems: secrets stay in, tests are recorded, versions count."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from passport_issuer.store.connection_tables import connections
from passport_shared.wire.clients import ClientKind
from passport_testkit.apps import problem
from passport_testkit.issuers import HR, IssuerBench, other_trust
from passport_testkit.workforce import (
    API_KEY,
    BAD_DAYS,
    BROKEN,
    DOWN,
    ENDLESS_BODY,
    GARBAGE,
    LOCKED,
    SLOW,
    Workforce,
)

REASONS = {
    SLOW: "TIMED_OUT",
    DOWN: "UNREACHABLE",
    BROKEN: "FAILED",
    GARBAGE: "GARBAGE",
    ENDLESS_BODY: "TOO_MUCH",
    LOCKED: "NOT_AUTHORISED",
}
SYSTEMS = ["ESR", "LMS", "RECRUITMENT", "OCCUPATIONAL_HEALTH"]


@pytest.mark.parametrize("system_type", SYSTEMS)
async def test_a_connection_is_added_and_tested(
    connected: IssuerBench, workforce: Workforce, system_type: str
) -> None:
    made = await connected.made("/connections", workforce.connection(system_type))
    assert made["kind"] == ("ESR" if system_type == "ESR" else "DSP_API")
    assert (made["has_api_key"], made["jwks"], made["last_ok_at"]) == (True, {"keys": []}, None)
    answer = await connected.call("POST", f"/connections/{made['id']}/test", {"actor": HR})
    tested = answer.json()
    assert tested["ok"], tested
    assert tested["status"] == tested["search"] == {"outcome": "OK", "detail": None}
    after = (await connected.call("GET", f"/connections/{made['id']}")).json()
    assert after["last_ok_at"] is not None
    assert after["version"] == 1


async def test_a_secret_goes_in_and_never_comes_out(connected: IssuerBench, workforce: Workforce) -> None:
    made = await connected.call("POST", "/connections", workforce.connection("LMS"))
    listed = await connected.call("GET", "/connections")
    read = await connected.call("GET", f"/connections/{made.json()['id']}")
    for answer in (made, listed, read):
        assert API_KEY not in answer.text
    async with connected.ctx.db.read() as conn:
        [wrapped] = (await conn.execute(select(connections.c.api_key_wrapped))).scalars()
    assert API_KEY.encode() not in wrapped
    key = await connected.call("POST", f"/connections/{made.json()['id']}/event-key", {"actor": HR})
    assert key.json()["events_url"] == "https://issuer.example/dsp-api/events"
    async with connected.ctx.db.read() as conn:
        [hashed] = (await conn.execute(select(connections.c.event_key_hash))).scalars()
    assert key.json()["event_key"] not in hashed
    assert (await connected.call("GET", f"/connections/{made.json()['id']}")).json()["has_event_key"]


async def test_private_key_jwt_with_the_trusts_own_key(connected: IssuerBench, workforce: Workforce) -> None:
    body = workforce.connection(
        "RECRUITMENT",
        authentication="PRIVATE_KEY_JWT",
        api_key=None,
        token_url=workforce.token_url,
        client_id="rbv-passport",
    )
    made = await connected.made("/connections", body)
    refused = (await connected.call("POST", f"/connections/{made['id']}/test", {"actor": HR})).json()
    assert refused["status"]["outcome"] == "OK"
    assert refused["search"]["outcome"] == "NO_TOKEN"
    [public] = workforce.jwks = made["jwks"]["keys"]
    assert "d" not in public
    for _ in range(2):
        tested = (await connected.call("POST", f"/connections/{made['id']}/test", {"actor": HR})).json()
        assert tested["ok"], tested
    # One token served both; its assertion is this client's, for this endpoint, for a minute.
    [assertion] = workforce.assertions
    assert (assertion["iss"], assertion["sub"]) == ("rbv-passport", "rbv-passport")
    assert assertion["aud"] == workforce.token_url
    assert assertion["exp"] - assertion["iat"] == 60
    workforce.tokens.clear()
    tested = (await connected.call("POST", f"/connections/{made['id']}/test", {"actor": HR})).json()
    assert tested["ok"], "a refused token is fetched anew"
    connected.clock.advance(timedelta(minutes=10))
    await connected.call("POST", f"/connections/{made['id']}/test", {"actor": HR})
    assert len(workforce.assertions) == 3
    assert len({one["jti"] for one in workforce.assertions}) == 3


@pytest.mark.parametrize("mode", BAD_DAYS)
async def test_a_bad_day_is_recorded_with_its_reason(
    connected: IssuerBench, workforce: Workforce, mode: str
) -> None:
    connection_id = await workforce.connect(connected, "ESR", timeout_s=0.5)
    workforce.modes["ESR"] = mode
    tested = (await connected.call("POST", f"/connections/{connection_id}/test", {"actor": HR})).json()
    assert not tested["ok"]
    step = tested["search"] if mode == LOCKED else tested["status"]
    assert step["outcome"] == REASONS[mode]
    assert step["detail"]
    after = (await connected.call("GET", f"/connections/{connection_id}")).json()
    assert (after["last_error"], after["consecutive_failures"]) == (REASONS[mode], 1)
    workforce.modes.clear()
    again = (await connected.call("POST", f"/connections/{connection_id}/test", {"actor": HR})).json()
    assert again["ok"]
    after = (await connected.call("GET", f"/connections/{connection_id}")).json()
    assert (after["last_error"], after["consecutive_failures"]) == (None, 0)


async def test_the_breaker_of_one_connection_is_nobody_elses(
    connected: IssuerBench, workforce: Workforce
) -> None:
    sick = await workforce.connect(connected, "LMS")
    well = await workforce.connect(connected, "ESR")
    workforce.modes["LMS"] = DOWN
    outcomes = []
    for _ in range(6):
        tested = (await connected.call("POST", f"/connections/{sick}/test", {"actor": HR})).json()
        outcomes.append(tested["status"]["outcome"])
    assert outcomes == ["UNREACHABLE"] * 5 + ["LEFT_ALONE"]
    # The same host and port, and not left alone.
    assert (await connected.call("POST", f"/connections/{well}/test", {"actor": HR})).json()["ok"]


REFUSED = [
    ({"base_url": "https://10.0.0.7/dsp"}, "/base_url"),
    ({"base_url": "https://localhost/dsp", "private_hosts": []}, "/base_url"),
    ({"base_url": "https://user@systems.example/dsp"}, "/base_url"),
    ({"base_url": "https://systems.example:8443/dsp", "private_hosts": []}, "/base_url"),
    ({"base_url": "https://systems.example/organisations/R0A"}, "/base_url"),
    ({"api_key": None}, "/api_key"),
    ({"authentication": "PRIVATE_KEY_JWT", "api_key": None}, "/token_url"),
    (
        {
            "authentication": "PRIVATE_KEY_JWT",
            "token_url": "https://systems.example/token",
            "client_id": "a",
        },
        "/api_key",
    ),
]


@pytest.mark.parametrize(("changes", "field"), REFUSED)
async def test_what_can_never_work_is_refused(
    connected: IssuerBench, workforce: Workforce, changes: dict[str, object], field: str
) -> None:
    body: dict[str, object] = workforce.connection(
        "LMS", **{"base_url": "https://systems.example/dsp", **changes}
    )
    refused = problem(await connected.call("POST", "/connections", body), 422, "invalid_request")
    assert refused["field"] == field
    assert "10.0.0.7" not in refused["detail"]


async def test_names_versions_and_kinds(connected: IssuerBench, workforce: Workforce) -> None:
    body = workforce.connection("LMS")
    made = await connected.made("/connections", body)
    problem(await connected.call("POST", "/connections", body), 409, "connection_name_taken")
    path = f"/connections/{made['id']}"
    changed = {**body, "timeout_s": 2.0, "api_key": None}
    problem(await connected.call("PUT", path, changed), 428, "precondition_required")
    problem(
        await connected.call("PUT", path, changed, headers={"If-Match": '"7"'}), 412, "precondition_failed"
    )
    answer = await connected.call("PUT", path, changed, headers={"If-Match": '"1"'})
    assert (answer.json()["timeout_s"], answer.json()["has_api_key"], answer.headers["etag"]) == (
        2,
        True,
        '"2"',
    )
    tested = await connected.call("POST", f"{path}/test", {"actor": HR})
    assert tested.json()["ok"], "the stored key still serves"
    other = {**changed, "system_type": "RECRUITMENT"}
    problem(await connected.call("PUT", path, other, headers={"If-Match": '"2"'}), 409, "connection_in_use")


async def test_a_stored_key_does_not_follow_a_connection_elsewhere(
    connected: IssuerBench, workforce: Workforce
) -> None:
    """Who may change an address must not learn the key by it."""
    made = await connected.made("/connections", workforce.connection("LMS"))
    path, version = f"/connections/{made['id']}", {"If-Match": '"1"'}
    elsewhere = {**workforce.connection("LMS"), "base_url": "https://elsewhere.example/dsp", "api_key": None}
    refused = problem(await connected.call("PUT", path, elsewhere, headers=version), 422, "invalid_request")
    assert refused["field"] == "/api_key"
    anew = {**elsewhere, "api_key": "another-key-of-the-new-system"}
    assert (await connected.call("PUT", path, anew, headers=version)).status_code == 200


async def test_only_the_trusts_own_people_reach_it(connected: IssuerBench, workforce: Workforce) -> None:
    connection_id = await workforce.connect(connected, "LMS")
    stranger = other_trust(connected, kind=ClientKind.PERSON)
    for method, path in (("GET", ""), ("POST", "/test"), ("POST", "/event-key"), ("POST", "/remove")):
        url = f"/api/v1/organisations/R0A/connections/{connection_id}{path}"
        body: dict[str, Any] | None = {} if method == "POST" else None
        problem(await connected.call(method, url, body, client=stranger), 404, "not_found")
    nobody = await connected.call("POST", f"/connections/{connection_id}/test", {})
    problem(nobody, 422, "invalid_request")


async def test_removing_what_nobody_is_linked_through(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, staff_id, "ESR")
    path = f"/connections/{connection_id}"
    problem(await connected.call("POST", f"{path}/remove", {"actor": HR}), 409, "connection_in_use")
    await connected.call(
        "POST", f"/staff/{staff_id}/links/{connection_id}/unlink", {"actor": HR}, headers={"If-Match": "*"}
    )
    assert (await connected.call("POST", f"{path}/remove", {"actor": HR})).status_code == 204
    problem(await connected.call("GET", path), 404, "not_found")


async def test_a_paused_connection_is_left_alone(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, staff_id, "ESR")
    body = workforce.connection("ESR", state="PAUSED", api_key=None)
    paused = await connected.call("PUT", f"/connections/{connection_id}", body, headers={"If-Match": "*"})
    assert paused.json()["state"] == "PAUSED"
    before = len(workforce.seen)
    search = {"staff_id": staff_id, "actor": HR}
    answer = await connected.call("POST", f"/connections/{connection_id}/search", search)
    problem(answer, 409, "connection_paused")
    gathered = await connected.made(f"/staff/{staff_id}/gather", {"actor": HR})
    assert [source["outcome"] for source in gathered["sources"]] == ["PAUSED"]
    assert len(workforce.seen) == before
