"""`POST /dsp-api/events`: the published document word by word, and an event that says nothing of anybody."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from passport_issuer.operations import connections_events
from passport_issuer.store import connection_links as links
from passport_shared.service.limits import Rate
from passport_testkit.issuers import HR, IssuerBench
from passport_testkit.workforce import SKILL, Workforce

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "236a1d4a-5d69-4fa9-9c7f-e72bf505aa5b",
    "source": "com.example-organisation.example-workforce-system",
    "type": "employee-elearning-completed",
    "time": "2020-06-01T13:00:00Z",
    "subject": "E-77",
    "filtering": {"organisation": "RBV"},
    "dataref": "https://systems.example/dsp-api/organisations/RBV/employees/E-77/records",
}
MEDIA_TYPE = "application/cloudevents+json"


async def event_key(issuer: IssuerBench, connection_id: str) -> str:
    answer = await issuer.call("POST", f"/connections/{connection_id}/event-key", {"actor": HR})
    return str(answer.json()["event_key"])


async def publish(
    issuer: IssuerBench,
    key: str | None,
    event: Any = None,
    *,
    content: bytes | None = None,
    media_type: str = MEDIA_TYPE,
) -> httpx.Response:
    body = json.dumps(EVENT if event is None else event).encode() if content is None else content
    headers = {b"Content-Type": media_type.encode()}
    if key is not None:
        headers[b"apikey"] = key.encode()
    return await issuer.http.post("/dsp-api/events", content=body, headers=headers)


def outcome(answer: httpx.Response, status: int, code: str) -> str:
    """The answer is this OperationOutcome; its words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    [issue] = body["issue"]
    assert (issue["severity"], issue["code"]) == ("error", code)
    return str(issue["details"]["text"])


async def due(issuer: IssuerBench, connection_id: str) -> int:
    async with issuer.ctx.db.read() as conn:
        return len(await links.due_links(conn, connection_id, issuer.clock.now(), 9))


async def test_a_linked_person_is_read_again(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, staff_id, "LMS")
    key = await event_key(connected, connection_id)
    answer = await publish(connected, key)
    assert (answer.status_code, answer.json()) == (200, {"id": EVENT["id"]})
    assert (await publish(connected, key)).status_code == 200, "the same event again"
    assert await due(connected, connection_id) == 1
    workforce.employees["LMS"]["E-77"]["records"] = [{**SKILL, "dateLastAwarded": "2026-08-31"}]
    refresher = connected.app.state.refresher
    connected.clock.advance(timedelta(seconds=3))
    assert await refresher.tick() == 1, "it does not wait for the connection's usual turn"
    await refresher.settled()
    assert await due(connected, connection_id) == 0
    [waiting] = (await connected.call("GET", f"/staff/{staff_id}/gatherings")).json()["items"]
    assert waiting["cause"] == "EVENT"


async def test_an_unknown_subject_is_accepted_and_forgotten(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, staff_id, "LMS")
    key = await event_key(connected, connection_id)
    unknown = {**EVENT, "subject": "E-99", "dataref": EVENT["dataref"].replace("E-77", "E-99")}
    answer = await publish(connected, key, unknown)
    assert (answer.status_code, answer.json()) == (200, {"id": EVENT["id"]})
    assert await due(connected, connection_id) == 0


async def test_a_key_opens_its_own_connection_only(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.staff(external_ids=[])
    learning = await workforce.linked(connected, staff_id, "LMS")
    recruitment = await workforce.connect(connected, "RECRUITMENT")
    key = await event_key(connected, recruitment)
    assert (await publish(connected, key)).status_code == 200
    assert await due(connected, learning) == 0
    first = await event_key(connected, learning)
    second = await event_key(connected, learning)
    outcome(await publish(connected, first), 401, "invalid-credentials")
    assert (await publish(connected, second)).status_code == 200
    for wrong in (None, "", "x" * 500, "clé", second[:-1]):
        outcome(await publish(connected, wrong), 401, "invalid-credentials")


def without(member: str) -> dict[str, Any]:
    return {name: value for name, value in EVENT.items() if name != member}


INVALID: list[tuple[Any, str]] = [
    *[(without(member), member) for member in EVENT],
    ({**EVENT, "specversion": "0.3"}, "specversion"),
    ({**EVENT, "specversion": 1.0}, "specversion"),
    ({**EVENT, "type": "employee-left"}, "type"),
    ({**EVENT, "time": "2020-06-01"}, "time"),
    ({**EVENT, "time": 1590966000}, "time"),
    ({**EVENT, "subject": 12345}, "subject"),
    ({**EVENT, "filtering": {}}, "organisation"),
    ({**EVENT, "filtering": "RBV"}, "filtering"),
    ({**EVENT, "filtering": {"organisation": "R0A"}}, "dataref"),
    ({**EVENT, "dataref": EVENT["dataref"].replace("E-77", "E-78")}, "dataref"),
    ({**EVENT, "dataref": EVENT["dataref"].replace("https", "http")}, "dataref"),
    ({**EVENT, "dataref": "/organisations/RBV/employees/E-77/records"}, "dataref"),
    ([EVENT], "JSON"),
]


@pytest.mark.parametrize(("event", "named"), INVALID)
async def test_invalid_events_are_refused_by_name(
    connected: IssuerBench, workforce: Workforce, event: Any, named: str
) -> None:
    key = await event_key(connected, await workforce.connect(connected, "LMS"))
    assert named in outcome(await publish(connected, key, event), 400, "invalid")


async def test_another_trusts_event_and_what_is_no_event(
    connected: IssuerBench, workforce: Workforce
) -> None:
    key = await event_key(connected, await workforce.connect(connected, "LMS"))
    other = {
        **EVENT,
        "filtering": {"organisation": "R0A"},
        "dataref": EVENT["dataref"].replace("/RBV/", "/R0A/"),
    }
    outcome(await publish(connected, key, other), 400, "invalid")
    for content in (b"", b"{", b'{"a":1,"a":2}', b"\xff\xfe{}", b'{"id": "\\u0000"}', b"[" * 5_000):
        outcome(await publish(connected, key, content=content), 400, "invalid")
    outcome(await publish(connected, key, media_type="application/json"), 415, "invalid")
    outcome(await publish(connected, key, content=b" " * 300_000), 413, "too-long")
    outcome(await connected.http.get("/dsp-api/events"), 405, "not-supported")
    outcome(await connected.http.post("/dsp-api/elsewhere"), 404, "not-found")


async def test_a_system_gone_wild_is_slowed_down(
    connected: IssuerBench, workforce: Workforce, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower = Rate(name="test.workforce_events", limit=1, per=timedelta(minutes=1), burst=1)
    monkeypatch.setattr(connections_events, "EVENTS", slower)
    key = await event_key(connected, await workforce.connect(connected, "LMS"))
    answers = [await publish(connected, key) for _ in range(3)]
    limited = next(answer for answer in answers if answer.status_code == 429)
    outcome(limited, 429, "throttled")
    assert limited.headers["retry-after"].isdigit()
