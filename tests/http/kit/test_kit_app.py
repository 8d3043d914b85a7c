"""The application every service is built on: ids, limits, errors, health, metrics, catalogue, OpenAPI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Form, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import text
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from passport_shared.service import idempotency
from passport_shared.service.app import Check, create_app
from passport_shared.service.db import new_metadata
from passport_shared.service.etags import IfMatch, etag_of, not_modified, require_match
from passport_shared.service.health import database_check
from passport_shared.service.idempotency import Claim, Idempotency, call_of
from passport_shared.service.middleware import Edge, EdgeOptions
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.observability import Metrics
from passport_shared.service.problems import (
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    PassportError,
    Problem,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    WhoCanFix,
)
from passport_shared.service.routes import (
    form_body,
    json_body,
    management_router,
    protocol_route,
    protocol_router,
)
from passport_shared.wire.problems import COMMON
from passport_testkit import corpora
from passport_testkit.apps import client_of, problem, protocol_error
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases

PUBLIC_URL = "https://issuer.example"
LIMIT = 8_192
WARD_CLOSED = Problem(
    slug="ward_closed",
    title="The ward is closed",
    status=409,
    explanation="Open the ward first.",
    who_can_fix=WhoCanFix.ORGANISATION,
)


class Shift(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ward: str = Field(min_length=1, max_length=10)
    hours: int = Field(ge=1, le=24)
    tags: list[str] = []

    @field_validator("ward")
    @classmethod
    def _no_x(cls, value: str) -> str:
        if value == "x":
            raise ValueError("there is no ward x")
        return value


ERRORS: dict[str, Callable[[], Exception]] = {
    "conflict": lambda: Conflict("The shift is taken."),
    "own": lambda: PassportError(WARD_CLOSED, "Ward 3 is closed.", field="/ward"),
    "unauthenticated": lambda: Unauthenticated("No token.", error="invalid_token"),
    "forbidden": lambda: Forbidden("The scope is missing.", scope="staff:write"),
    "limited": lambda: TooManyRequests(timedelta(seconds=2.5)),
    "down": lambda: Unavailable("The registry does not answer."),
    "invalid": lambda: Invalid(
        "Two faults.", [FieldError(pointer="/a", code="missing", detail="Field required")]
    ),
    "protocol": lambda: ProtocolError("invalid_grant", 'no such "code"', headers={"X-Extra": "1"}),
    "boom": lambda: RuntimeError("Dr Ann Other, eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"),
}


def _routers() -> list[Any]:
    management = management_router("/api/v1/shifts", tags=["shifts"])

    @management.post("", status_code=201)
    async def create(shift: Shift) -> Shift:
        return shift

    @management.post("/{shift_id}/end", status_code=204)
    async def end(shift_id: str) -> None:
        return None

    @management.get("/fail/{kind}")
    async def fail(kind: str) -> Shift:
        raise ERRORS[kind]()

    @management.get("/search")
    async def search(limit: Annotated[int, Query(ge=1, le=9)] = 1) -> Shift:
        return Shift(ward="a", hours=limit)

    @management.put("/{shift_id}")
    async def change(shift_id: str, shift: Shift, if_match: IfMatch = None) -> Shift:
        require_match(if_match, etag_of(7))
        return shift

    @management.get("/{shift_id}")
    async def read(shift_id: str, request: Request) -> Any:
        return not_modified(request, etag_of(7)) or JSONResponse(
            {"id": shift_id}, headers={"ETag": etag_of(7)}
        )

    protocol = protocol_router("/RBV")

    @protocol.post("/notification")
    async def notification(notification_id: Annotated[str, Form(max_length=5)]) -> dict[str, str]:
        return {"id": notification_id}

    @protocol.get("/fail/{kind}")
    async def protocol_fail(kind: str) -> dict[str, str]:
        raise ERRORS[kind]()

    return [management, protocol]


async def _token(request: Request) -> Response:
    return JSONResponse(await form_body(request, max_fields=4))


async def _credential(request: Request) -> Response:
    return JSONResponse(await json_body(request, max_bytes=2_000))


def _app(**options: Any) -> FastAPI:
    routes = [
        protocol_route("/RBV/token", _token, methods=["POST"]),
        protocol_route("/RBV/credential", _credential, methods=["POST"]),
        Route("/RBV/statuslists/{list_id}", lambda _: Response(b"list"), methods=["GET"]),
    ]
    settings: dict[str, Any] = {
        "service": "issuer",
        "version": "1.2.3",
        "public_url": PUBLIC_URL,
        "routers": _routers(),
        "protocol_routes": routes,
        "problems": [WARD_CLOSED],
        "max_body_bytes": LIMIT,
        "body_limits": {"/api/v1/shifts/imports": 16},
    }
    return create_app(**(settings | options))


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(_app()) as client:
        yield client


JSON = {"content-type": "application/json"}
GOOD = {"ward": "a", "hours": 8}


async def test_a_request_id_is_made_or_taken_over(client: httpx.AsyncClient) -> None:
    made = (await client.get("/health/live")).headers["x-request-id"]
    assert len(made) == 32
    given = await client.get("/health/live", headers={"X-Request-ID": "job-2026_09.01-0001"})
    assert given.headers["x-request-id"] == "job-2026_09.01-0001"


@pytest.mark.parametrize(
    "bad", ["", "short", "x" * 65, "has space ok", "new\tline-1234", "<script>alert", "-leading1234"]
)
async def test_a_request_id_that_could_forge_a_log_line_is_replaced(
    client: httpx.AsyncClient, bad: str
) -> None:
    answer = await client.get("/nowhere", headers={"X-Request-ID": bad})
    assert answer.headers["x-request-id"] != bad
    assert len(answer.headers["x-request-id"]) == 32


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/health/live", "/nowhere", "/api/v1/shifts/1", "/api/v1/shifts/fail/boom", "/problems"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["strict-transport-security"].startswith("max-age=31536000")
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
    assert (await client.get("/api/v1/shifts/1")).headers["cache-control"] == "no-store"


async def test_a_good_body_is_accepted(client: httpx.AsyncClient) -> None:
    for content_type in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        answer = await client.post(
            "/api/v1/shifts", content=json.dumps(GOOD), headers={"content-type": content_type}
        )
        assert (answer.status_code, answer.json()) == (201, {**GOOD, "tags": []})


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/vnd.api+json",
        "application/json; charset=utf-16",
        "",
    ],
)
async def test_a_body_of_another_type_is_refused(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await client.post(
        "/api/v1/shifts", content=json.dumps(GOOD), headers={"content-type": content_type}
    )
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity", "x"])
@pytest.mark.parametrize("path", ["/api/v1/shifts", "/RBV/token"])
async def test_encoded_bodies_are_refused(client: httpx.AsyncClient, encoding: str, path: str) -> None:
    answer = await client.post(path, content=b"{}", headers={**JSON, "content-encoding": encoding})
    if path.startswith("/api"):
        problem(answer, 415, "unsupported_media_type")
    else:
        protocol_error(answer, 415, "invalid_request")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b'{"ward":"a","ward":"b","hours":1}', "twice"),
        (b'{"ward":"a","hours":NaN}', "NaN"),
        (b'{"ward":"a","hours":1e999}', "too large"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b'{"ward":"\xff"}', "UTF-8"),
        (b"[" * 40 + b"]" * 40, "deep"),
        (b'{"ward":"\\ud800","hours":1}', "surrogate"),
        (b'{"ward":"a\\u0000","hours":1}', "NUL"),
        (b"1" * 5_000, "digits"),
    ],
)
async def test_json_that_parsers_disagree_about_is_400(
    client: httpx.AsyncClient, body: bytes, words: str
) -> None:
    found = problem(await client.post("/api/v1/shifts", content=body, headers=JSON), 400, "bad_request")
    assert words in found["detail"]
    found = protocol_error(
        await client.post("/RBV/credential", content=body, headers=JSON), 400, "invalid_request"
    )


async def test_each_fault_has_its_pointer(client: httpx.AsyncClient) -> None:
    body = {"ward": "", "hours": "eight", "tags": ["a", 1], "a/b~c": 1}
    found = problem(await client.post("/api/v1/shifts", json=body), 422, "invalid_request")
    assert {(e["pointer"], e["code"]) for e in found["errors"]} == {
        ("/ward", "string_too_short"),
        ("/hours", "int_parsing"),
        ("/tags/1", "string_type"),
        ("/a~1b~0c", "extra_forbidden"),
    }
    assert "field" not in found
    assert "eight" not in json.dumps(found)


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        ({"ward": "a"}, "/hours", "Field required"),
        ({"ward": "x", "hours": 1}, "/ward", "there is no ward x"),
        ([], "", "Input should be a valid dictionary or object to extract fields from"),
        (1, "", "Input should be a valid dictionary or object to extract fields from"),
    ],
)
async def test_a_single_fault_is_named_in_field(
    client: httpx.AsyncClient, body: object, field: str, detail: str
) -> None:
    found = problem(await client.post("/api/v1/shifts", json=body), 422, "invalid_request")
    assert found.get("field", "") == field
    assert [e["detail"] for e in found["errors"]] == [detail]


async def test_parameters_are_named_by_kind(client: httpx.AsyncClient) -> None:
    found = problem(await client.get("/api/v1/shifts/search?limit=99"), 422, "invalid_request")
    assert [e["pointer"] for e in found["errors"]] == ["query/limit"]


async def test_a_thousand_faults_are_not_all_told(client: httpx.AsyncClient) -> None:
    body = {**GOOD, "tags": [1] * 1_000}
    found = problem(await client.post("/api/v1/shifts", json=body), 422, "invalid_request")
    assert len(found["errors"]) == 50


async def test_a_missing_body_is_a_fault_not_a_crash(client: httpx.AsyncClient) -> None:
    problem(await client.post("/api/v1/shifts"), 422, "invalid_request")
    problem(await client.post("/api/v1/shifts", headers=JSON), 422, "invalid_request")


@pytest.mark.parametrize("path", ["/api/v1/shifts", "/RBV/token", "/nowhere"])
async def test_a_body_over_the_limit_is_413_declared_or_not(client: httpx.AsyncClient, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // 16 + 1):
            yield b" " * 16

    for content in (b" " * (LIMIT + 1), chunks()):
        answer = await client.post(path, content=content, headers=JSON)
        if path.startswith("/api"):
            assert str(LIMIT) in problem(answer, 413, "too_large")["detail"]
        else:
            protocol_error(answer, 413, "invalid_request")


async def test_a_body_at_the_limit_and_a_path_with_its_own(client: httpx.AsyncClient) -> None:
    padded = json.dumps(GOOD).ljust(LIMIT).encode()
    assert (await client.post("/api/v1/shifts", content=padded, headers=JSON)).status_code == 201
    assert "16" in problem(await client.post("/api/v1/shifts/imports", json=GOOD), 413, "too_large")["detail"]


async def _raw(
    app: Any, headers: list[tuple[bytes, bytes]], *messages: dict[str, Any], path: str = "/api/v1/shifts"
) -> int:
    """Speak ASGI directly, for what no HTTP client would send."""
    queue = list(messages)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not queue:
            await asyncio.Event().wait()
        return queue.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "server": ("issuer.example", 443),
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("length", [b"-1", b"1x", b"", b"9" * 30, b"\xb2"])
async def test_a_content_length_that_is_no_number_is_400(length: bytes) -> None:
    assert await _raw(_app(), [(b"content-length", length)]) == 400


async def test_a_body_that_stops_coming_is_408() -> None:
    async def inner(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("not reached")

    options = EdgeOptions(public_url=PUBLIC_URL, metrics=Metrics("issuer", "1"), body_timeout_s=0.01)
    message = {"type": "http.request", "body": b"{", "more_body": True}
    assert await _raw(Edge(inner, options), [(b"content-length", b"9")], message) == 408


async def test_a_caller_that_goes_away_half_way_does_no_harm() -> None:
    half = {"type": "http.request", "body": b"{", "more_body": True}
    status = await _raw(
        _app(),
        [(b"content-length", b"9"), (b"content-type", b"application/json")],
        half,
        {"type": "http.disconnect"},
    )
    assert status in (400, 422, 499, 500)


@pytest.mark.parametrize(
    "kind", ["conflict", "own", "unauthenticated", "forbidden", "limited", "down", "invalid"]
)
async def test_each_error_has_its_answer(client: httpx.AsyncClient, kind: str) -> None:
    error = ERRORS[kind]()
    assert isinstance(error, PassportError)
    answer = await client.get(f"/api/v1/shifts/fail/{kind}")
    found = problem(answer, error.status, error.code)
    assert (found["detail"], found["retryable"], found["who_can_fix"]) == (
        error.detail,
        error.retryable,
        error.who_can_fix,
    )
    assert found["instance"] == f"/api/v1/shifts/fail/{kind}"
    assert found["type"] == f"{PUBLIC_URL}/problems/{error.code}"
    assert error.headers.items() <= answer.headers.items() or all(
        answer.headers[k] == v for k, v in error.headers.items()
    )


async def test_the_errors_own_facts_are_in_the_answer(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/shifts/fail/limited")).headers["retry-after"] == "3"
    assert (await client.get("/api/v1/shifts/fail/own")).json()["field"] == "/ward"
    assert (
        'error="insufficient_scope", scope="staff:write"'
        in (await client.get("/api/v1/shifts/fail/forbidden")).headers["www-authenticate"]
    )


async def test_what_nobody_caught_is_500_without_a_word_about_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/shifts/fail/boom", headers={"X-Request-ID": "quote-me-1234"})
    found = problem(answer, 500, "internal_error")
    assert found["correlation_id"] == "quote-me-1234"
    assert "Ann" not in answer.text
    assert "RuntimeError" not in answer.text
    protocol_error(await client.get("/RBV/fail/boom"), 500, "server_error")


async def test_unknown_paths_and_methods(client: httpx.AsyncClient) -> None:
    problem(await client.get("/api/v1/nothing"), 404, "not_found")
    problem(await client.get("/problems/nothing"), 404, "not_found")
    refused = await client.delete("/api/v1/shifts")
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "POST"
    protocol_error(await client.get("/rbv/token"), 404, "not_found")
    assert (await client.get("/RBV/token")).status_code == 405
    problem(await client.get("/api/v1/shifts/"), 404, "not_found")
    assert (await client.get("/docs")).status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/shifts/a%00b", "/api/v1/shifts/%00"])
async def test_nul_in_a_path_is_404(client: httpx.AsyncClient, path: str) -> None:
    problem(await client.get(path), 404, "not_found")


async def test_nul_in_a_query_is_400(client: httpx.AsyncClient) -> None:
    problem(await client.get("/api/v1/shifts/search?q=%00"), 400, "bad_request")


async def test_pages_of_another_origin_change_nothing(client: httpx.AsyncClient) -> None:
    for origin in (
        "https://evil.example",
        "null",
        "https://issuer.example.evil.example",
        "http://issuer.example",
    ):
        answer = await client.post("/api/v1/shifts", json=GOOD, headers={"origin": origin})
        problem(answer, 403, "forbidden")
    assert (await client.post("/api/v1/shifts", json=GOOD, headers={"origin": PUBLIC_URL})).status_code == 201
    assert (
        await client.get("/api/v1/shifts/1", headers={"origin": "https://evil.example"})
    ).status_code == 200


async def test_the_host_header_is_believed_nowhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/nothing", headers={"host": "evil.example"})
    assert "evil" not in answer.text + str(answer.headers)
    assert "evil" not in (await client.get("/openapi.json", headers={"host": "evil.example"})).text


async def test_protocol_routes_speak_oauth(client: httpx.AsyncClient) -> None:
    found = protocol_error(await client.get("/RBV/fail/protocol"), 400, "invalid_grant")
    assert found["error_description"] == "no such code"
    protocol_error(await client.get("/RBV/fail/down"), 503, "temporarily_unavailable")
    assert (await client.get("/RBV/fail/down")).headers["retry-after"] == "30"
    protocol_error(await client.get("/RBV/fail/limited"), 429, "temporarily_unavailable")
    protocol_error(await client.get("/RBV/fail/conflict"), 409, "invalid_request")
    protocol_error(
        await client.post("/RBV/notification", data={"notification_id": "too long"}), 400, "invalid_request"
    )
    protocol_error(await client.post("/RBV/notification"), 400, "invalid_request")
    assert (await client.post("/RBV/notification", data={"notification_id": "ok"})).json() == {"id": "ok"}


async def test_the_key_of_a_repeatable_request_is_checked_on_every_post(client: httpx.AsyncClient) -> None:
    for path in ("/api/v1/shifts", "/api/v1/shifts/1/end"):
        answer = await client.post(path, json=GOOD, headers={"idempotency-key": "a b"})
        assert problem(answer, 400, "bad_request")["field"] == "header/Idempotency-Key"
        assert (await client.post(path, json=GOOD, headers={"idempotency-key": "k1"})).status_code in (
            201,
            204,
        )


@both_databases
async def test_a_repeated_post_over_http_makes_one_thing(databases: FreshDatabases) -> None:
    metadata = new_metadata()
    claims = idempotency.tables(metadata)
    db = await databases.open(metadata=metadata)
    once = Idempotency(db, claims, FrozenClock())
    made: list[str] = []
    router = management_router("/api/v1/organisations/{ods}/things")

    @router.post("", status_code=201)
    async def create(ods: str, shift: Shift, request: Request) -> dict[str, str]:
        async def work(_: Claim) -> str:
            made.append(f"{ods}-{shift.ward}-{len(made)}")
            return made[-1]

        outcome = await once.once(await call_of(request, "client-1"), work)
        return {"id": outcome.resource_id}

    async with client_of(_app(routers=[router])) as client:

        async def post(ods: str = "RBV", ward: str = "a", key: str = "k") -> httpx.Response:
            path = f"/api/v1/organisations/{ods}/things"
            return await client.post(path, json={"ward": ward, "hours": 1}, headers={"idempotency-key": key})

        answers = await at_once(20, lambda _: post())
        first = (await post()).json()
        assert {a.status_code for a in answers if isinstance(a, httpx.Response)} <= {201, 409}
        assert [made[0]] == made
        assert {a.json()["id"] for a in answers if isinstance(a, httpx.Response) and a.is_success} == {
            first["id"]
        }
        problem(await post(ward="b"), 422, "idempotency_key_reused")
        problem(await post(ods="R0A"), 422, "idempotency_key_reused")
        assert (await post(key="other")).json()["id"] == "RBV-a-1"


FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_form_bodies_are_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/RBV/token", content=b"a=1&b=%C3%A9+x&c=", headers=FORM)
    assert answer.json() == {"a": "1", "b": "é x", "c": ""}
    assert (await client.post("/RBV/token", content=b"", headers=FORM)).json() == {}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"a=1&a=2", FORM),
        (b"a=1&%61=2", FORM),
        (b"a=%ff", FORM),
        (b"a=\xff", FORM),
        (b"a=%00", FORM),
        (b"a=1&b=1&c=1&d=1&e=1", FORM),
        (b"{}", JSON),
        (b"a=1", {"content-type": "text/plain"}),
        (b"a=1", {"content-type": "multipart/form-data; boundary=x"}),
        (b"a=1", {}),
    ],
)
async def test_form_bodies_that_are_refused(
    client: httpx.AsyncClient, body: bytes, headers: dict[str, str]
) -> None:
    protocol_error(await client.post("/RBV/token", content=body, headers=headers), 400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "headers"), [(b"[]", JSON), (b"", JSON), (b"{}", FORM), (b'"x"', JSON), (b" " * 2_001, JSON)]
)
async def test_json_bodies_of_protocols_that_are_refused(
    client: httpx.AsyncClient, body: bytes, headers: dict[str, str]
) -> None:
    protocol_error(
        await client.post("/RBV/credential", content=body, headers=headers), 400, "invalid_request"
    )


async def test_versions_are_named_before_a_change(client: httpx.AsyncClient) -> None:
    async def change(tag: str | None) -> httpx.Response:
        return await client.put(
            "/api/v1/shifts/1", json=GOOD, headers={} if tag is None else {"if-match": tag}
        )

    problem(await change(None), 428, "precondition_required")
    problem(await change('"6"'), 412, "precondition_failed")
    problem(await change('W/"7"'), 412, "precondition_failed")
    for malformed in ("7", '"7', '"a"b"', ""):
        problem(await change(malformed), 400, "bad_request")
    for good in ('"7"', "*", '"6", "7"'):
        assert (await change(good)).status_code == 200
    for tag, status in (('"7"', 304), ('W/"7"', 304), ('"1", "7"', 304), ("*", 304), ('"8"', 200)):
        assert (await client.get("/api/v1/shifts/1", headers={"if-none-match": tag})).status_code == status


def test_entity_tags_are_safe_text() -> None:
    assert etag_of(b"abc") == etag_of(b"abc") != etag_of(b"abd")
    for bad in ('a"b', "a b", "é", "a\nb"):
        with pytest.raises(ValueError, match="visible ASCII"):
            etag_of(bad)


async def test_the_catalogue_resolves(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/problems")).json()["items"]
    assert {entry["code"] for entry in listed} == {*COMMON, "ward_closed"}
    for entry in listed:
        path = entry["type"].removeprefix(PUBLIC_URL)
        assert (await client.get(path)).json() == entry
        page = await client.get(path, headers={"accept": "text/html"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert entry["title"] in page.text
        assert "<script" not in page.text
        assert (await client.get("/problems", headers={"accept": "text/html"})).text.count(
            f'/problems/{entry["code"]}"'
        ) == 1


def test_two_problems_may_not_share_a_slug() -> None:
    clash = Problem(slug="not_found", title="x", status=404, explanation="x")
    with pytest.raises(ValueError, match="two problems are called not_found"):
        _app(problems=[clash])


async def test_liveness_and_readiness() -> None:
    healthy = True

    async def check() -> None:
        if not healthy:
            raise RuntimeError("key missing")

    async with client_of(_app(readiness=[Check("keys", check)])) as client:
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready", "checks": {"keys": "ok"}})
        healthy = False
        unready = await client.get("/health/ready")
        assert (unready.status_code, unready.json()["checks"]) == (503, {"keys": "failed"})
        assert (await client.get("/health/live")).json() == {"status": "live"}
        assert 'passport_ready{check="keys"} 0.0' in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    "path", ["/metrics", "/health/live", "/health/ready", "/%6Detrics", "/health%2Fready"]
)
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_what_is_for_operators_is_not_there_for_whoever_comes_through_a_proxy(
    path: str, header: str
) -> None:
    asked: list[str] = []

    async def check() -> None:
        asked.append("database")

    async with client_of(_app(readiness=[Check("database", check)])) as client:
        answer = await client.get(path, headers={header: "for=192.0.2.1"})
        assert (answer.status_code, asked) == (404, [])
        assert answer.json()["code"] == "not_found"
        assert (await client.get(path)).status_code == 200


@both_databases
async def test_readiness_asks_the_database(databases: FreshDatabases) -> None:
    db = await databases.open()
    async with client_of(_app(readiness=[database_check(db)])) as client:
        assert (await client.get("/health/ready")).json()["checks"] == {"database": "ok"}


async def test_metrics_have_as_many_series_as_routes(client: httpx.AsyncClient) -> None:
    for number in range(20):
        await client.get(f"/api/v1/shifts/{number}")
        await client.get(f"/RBV/statuslists/{number}")
        await client.get(f"/guess/{number}")
        await client.request(f"METHOD{number}", "/health/live")
    lines = (await client.get("/metrics")).text.splitlines()
    counted = {
        line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines if "http_requests_total{" in line
    }
    assert counted == {
        'passport_http_requests_total{method="GET",route="/api/v1/shifts/{shift_id}",status="200"}': "20.0",
        'passport_http_requests_total{method="GET",route="/RBV/statuslists/{list_id}",status="200"}': "20.0",
        'passport_http_requests_total{method="GET",route="unmatched",status="404"}': "20.0",
        'passport_http_requests_total{method="OTHER",route="/health/live",status="405"}': "20.0",
    }


async def test_applications_in_one_process_count_apart() -> None:
    first, second = _app(), _app()
    first.state.metrics.outcome("credential.issued")
    assert (
        b'passport_outcomes_total{event="credential.issued",reason="ok"} 1.0' in first.state.metrics.render()
    )
    assert b"credential.issued" not in second.state.metrics.render()


@both_databases
async def test_a_database_that_is_gone_is_503_and_the_rest_works(databases: FreshDatabases) -> None:
    gone = databases.attach(
        "postgresql://postgres@127.0.0.1:1/x"
        if databases.dialect == "postgresql"
        else "sqlite:////proc/x.db",
        shared=True,
    )
    router = management_router("/api/v1/rows")

    @router.get("")
    async def rows() -> dict[str, int]:
        async with gone.read() as conn:
            return {"n": (await conn.execute(text("SELECT 1"))).scalar_one()}

    async with client_of(_app(routers=[router])) as client:
        answer = await client.get("/api/v1/rows")
        found = problem(answer, 503, "unavailable")
        assert (found["retryable"], answer.headers["retry-after"]) == (True, "5")
        assert (await client.get("/health/live")).status_code == 200


async def test_a_value_the_database_cannot_hold_is_422(
    databases: FreshDatabases, client: httpx.AsyncClient
) -> None:
    from sqlalchemy.exc import DataError

    from passport_shared.service.database_faults import as_answer

    answer = as_answer(DataError("INSERT", {}, ValueError("out of range")))
    assert (answer.status, answer.code) == (422, "invalid_request")


OPENAPI_STATUSES = {
    ("post", "/api/v1/shifts"): {"201", "400", "401", "403", "409", "413", "415", "422", "429", "503"},
    ("post", "/api/v1/shifts/{shift_id}/end"): {
        "204", "400", "401", "403", "404", "409", "413", "415", "422", "429", "503",
    },
    ("get", "/api/v1/shifts/search"): {"200", "400", "401", "403", "413", "415", "422", "429", "503"},
    ("put", "/api/v1/shifts/{shift_id}"): {
        "200", "400", "401", "403", "404", "409", "412", "413", "415", "422", "428", "429", "503",
    },
    ("post", "/RBV/notification"): {"200", "400", "413", "415", "503"},
}  # fmt: skip


async def test_the_openapi_document_says_what_can_happen(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for (method, path), statuses in OPENAPI_STATUSES.items():
        assert set(document["paths"][path][method]["responses"]) == statuses, (method, path)
    refused = document["paths"]["/api/v1/shifts"]["post"]["responses"]["422"]["content"]
    assert refused == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    oauth = document["paths"]["/RBV/notification"]["post"]["responses"]["400"]["content"]
    assert oauth == {"application/json": {"schema": {"$ref": "#/components/schemas/ProtocolError"}}}
    assert "HTTPValidationError" not in json.dumps(document)
    assert document["servers"] == [{"url": PUBLIC_URL}]
    flow = document["components"]["securitySchemes"]["clientCredentials"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == f"{PUBLIC_URL}/oauth2/token"
    assert "staff:write" in flow["scopes"]
    referenced = set(_references(document))
    assert referenced <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    return [found for value in node for found in _references(value)] if isinstance(node, list) else []


async def test_hand_kept_paths_are_merged_and_completed() -> None:
    paths = {"/RBV/token": {"post": {"summary": "Token", "responses": {"200": {"description": "A token"}}}}}
    async with client_of(_app(openapi_paths=paths)) as client:
        operation = (await client.get("/openapi.json")).json()["paths"]["/RBV/token"]["post"]
    assert set(operation["responses"]) == {"200", "400", "413", "415", "503"}


async def test_answers_match_the_problem_schema(client: httpx.AsyncClient) -> None:
    jsonschema = pytest.importorskip("jsonschema_rs")
    document = (await client.get("/openapi.json")).json()
    schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    for kind in ("conflict", "own", "invalid", "limited"):
        jsonschema.validate(schema, (await client.get(f"/api/v1/shifts/fail/{kind}")).json())


async def test_the_json_corpus_never_gets_a_500(client: httpx.AsyncClient) -> None:
    folder = corpora.path("jsontestsuite")
    files = [file for file in sorted(folder.rglob("*.json")) if file.stat().st_size < LIMIT]
    assert len(files) > 250
    send: list[tuple[str, Callable[[bytes], Awaitable[httpx.Response]]]] = [
        (path, lambda body, path=path: client.post(path, content=body, headers=JSON))  # type: ignore[misc]
        for path in ("/api/v1/shifts", "/RBV/credential")
    ]
    for file in files:
        for path, post in send:
            answer = await post(file.read_bytes())
            assert answer.status_code in (200, 400, 422), (file.name, path, answer.text)
            if file.name.startswith("n_") and file.read_bytes():
                assert answer.status_code == 400, (file.name, path, answer.text)
