"""Who may call what, and what is not there: one row per operation of the three OpenAPI documents."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from passport_shared.service.db import migrate
from passport_shared.wire.scopes import scopes_of
from passport_testkit import contract_examples as examples
from passport_testkit.apps import problem, protocol_error
from passport_testkit.contract_refusals import fault, is_page
from passport_testkit.contract_worlds import (
    EVERYTHING,
    NOBODY,
    OTHER_TRUST,
    Operation,
    World,
    operations,
    registry_world,
)

WorldOf = Callable[..., World]
ALL = operations()
MANAGED = [operation for operation in ALL if operation.managed]
SECURED = [operation for operation in ALL if operation.secured]
OF_A_TRUST = [operation for operation in SECURED if "{ods}" in operation.path]
WITH_OBJECT = [operation for operation in ALL if operation.path.count("{") > ("{ods}" in operation.path)]
LISTS = [
    operation for operation in SECURED if any(p["name"] == "cursor" for p in operation.parameters("query"))
]
ABSENT = {
    "agreement_id": "01a1ffdb-0000-7000-8000-000000000000",
    "authorisation_id": "01a1ffdb-0000-7000-8000-000000000000",
    "client_id": "nobody-here",
    "kid": "A" * 43,
    "x5t": "A" * 43,
    "sha256": "0" * 64,
    "list_id": "A" * 22,
    "name": "NoSuchType",
    "role": "NOBODY",
    "step": "NO_SUCH_STEP",
    "kind": "gif",
}
OTHER_MEDIA_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json; charset=utf-16",
    "",
]
BAD_PAGES = [
    "cursor=AAAA",
    "cursor=%F0%9F%92%A9",
    "cursor=",
    "cursor=%00",
    "cursor=" + "A" * 1025,
    "limit=0",
    "limit=201",
    "limit=1e3",
    "limit=-1",
    "limit=9999999999999999999999",
    "limit=x&limit=y",
]
# What the caller names and makes by PUT is not absent: it comes to be.
MADE_BY_PUT = {
    "issuer PUT /api/v1/organisations/{ods}/placements/{movement_id}",
    "registry PUT /api/v1/organisations/{ods}/hr-users/{subject}",
}
NOT_THERE = "There is nothing under this path for this client."
# A value outside a closed list is malformed, not absent; so is a kind of picture there is none of.
MALFORMED = {"role", "step", "kind"}


def each(found: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", found, ids=str)


def a_body(operation: Operation) -> dict[str, Any]:
    if operation.takes_json:
        return {"json": examples.body(operation)}
    return {"data": examples.form(operation)} if operation.takes_form else {}


@each(SECURED)
def test_without_a_token_nothing_is_done(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    answer = world.call(operation, by=NOBODY, **a_body(operation))
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    for spoiled in ("Bearer", "Bearer nonsense", "Basic YTpi", "Bearer " + "A" * 5000):
        refused = world.call(operation, by=NOBODY, headers={"Authorization": spoiled}, **a_body(operation))
        problem(refused, 401, "unauthenticated")


@each(SECURED)
def test_exactly_one_scope_opens_an_operation(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    opening, named = set(), set()
    for scope in sorted(scopes_of(operation.service)):
        headers = {"Authorization": f"Bearer {world.token(EVERYTHING, scope)}"}
        # Without a body nothing is changed, and the scope is asked for before the body.
        answer = world.request(operation.method, world.path(operation), headers=headers)
        challenge = answer.headers.get("www-authenticate", "")
        if answer.status_code == 403 and 'error="insufficient_scope", scope="' in challenge:
            problem(answer, 403, "forbidden")
            named.add(challenge.rpartition('scope="')[2].rstrip('"'))
        else:
            assert answer.status_code != 401, answer.text
            opening.add(scope)
    assert opening == named, f"{operation} is opened by {opening} and asks for {named}"
    assert len(opening) == 1
    [scope] = opening
    assert scope.endswith(":read") == (operation.method == "GET"), scope


@each(OF_A_TRUST)
def test_another_trusts_path_is_not_there(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    answer = world.call(operation, by=OTHER_TRUST, **a_body(operation))
    body = json.loads(json.dumps(a_body(operation)).replace("example/RBV", "example/ZZZ9"))
    unknown = world.call(operation, path=world.path(operation, ods="ZZZ9"), **body)
    assert problem(unknown, 404, "not_found")["detail"] == NOT_THERE
    if answer.status_code == 403:
        # What only the network's operator may do is refused alike for any trust, there or not, one's own too.
        for ods in (world.kits[OTHER_TRUST].record.organisation, "ZZZ9"):
            path = world.path(operation, ods=ods)
            alike = world.call(operation, by=OTHER_TRUST, path=path, **a_body(operation))
            assert problem(alike, 403, "forbidden")["detail"] == problem(answer, 403, "forbidden")["detail"]
    else:
        assert problem(answer, 404, "not_found")["detail"] == NOT_THERE


def _objects(operation: Operation) -> list[str]:
    return [name for name in re.findall(r"\{(\w+)\}", operation.path) if name != "ods"]


def _of_one_trust(operation: Operation) -> bool:
    """Whether the path names something that belongs to a trust, in a service that holds such things."""
    return operation.service != "registry" and not set(_objects(operation)) <= MALFORMED | {"policy_id"}


@each(
    [one for one in OF_A_TRUST if one in WITH_OBJECT and _of_one_trust(one) and str(one) not in MADE_BY_PUT]
)
def test_another_trusts_object_is_not_in_ones_own(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    own = world.kits[OTHER_TRUST].record.organisation
    answer = world.call(operation, by=OTHER_TRUST, path=world.path(operation, ods=own), **a_body(operation))
    problem(answer, 404, "not_found")


@each([operation for operation in ALL if "{ods}" in operation.path])
def test_a_lower_case_code_names_nobody(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    lower = world.value(operation.path, "ods").lower()
    answer = world.call(operation, path=world.path(operation, ods=lower), **a_body(operation))
    assert answer.status_code == 404
    assert fault(operation, answer) is None


@each([operation for operation in WITH_OBJECT if str(operation) not in MADE_BY_PUT])
def test_what_is_not_there_is_404(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    for name in _objects(operation):
        absent = ABSENT.get(name, "99" if name == "number" else "01a1ffdb-0000-7000-8000-000000000000")
        answer = world.call(operation, path=world.path(operation, **{name: absent}), **a_body(operation))
        # a condition of a decision that another test has replaced since
        allowed = {404, 409} if name == "number" else {404}
        allowed = {401} if operation.in_session else allowed
        assert answer.status_code in allowed, f"{name}: {answer.status_code} {answer.text}"
        assert fault(operation, answer) is None, f"{name}: {fault(operation, answer)}"


NASTY_SEGMENTS = [
    "%00",
    "..%2f..%2fetc",
    "%ff%fe",
    "a" * 5000,
    "%F0%9F%92%A9",
    "'%20OR%201=1--",
    "%0d%0aX:y",
    "-1",
]


@each([operation for operation in ALL if "{" in operation.path])
def test_nasty_path_segments_are_refused_in_the_promised_form(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    for name in re.findall(r"\{(\w+)\}", operation.path):
        for nasty in NASTY_SEGMENTS:
            answer = world.call(operation, path=world.path(operation, **{name: nasty}), **a_body(operation))
            allowed = (400, 401, 404) if operation.in_session else (400, 404)
            assert answer.status_code in allowed, f"{name}={nasty[:40]}: {answer.status_code}"
            assert fault(operation, answer) is None, f"{name}={nasty[:40]}: {fault(operation, answer)}"


@each(ALL)
def test_other_methods_are_refused_in_the_promised_form(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    offered = {other.method for other in operations(operation.service) if other.path == operation.path}
    for method in ("PATCH", "DELETE", "PUT", "TRACE", "PROPFIND"):
        if method in offered:
            continue
        answer = world.request(method, world.path(operation), headers=world.headers(operation))
        if operation.answers_problems:
            problem(answer, 405, "method_not_allowed")
        else:
            assert answer.status_code == 405, answer.text
            assert is_page(operation) or {"error", "issue"} & answer.json().keys(), answer.text
        allowed = {name.strip() for name in answer.headers["allow"].split(",")} - {"HEAD"}
        assert allowed <= offered, f"Allow: {answer.headers['allow']}"
        assert allowed, "Allow names what is offered"


@each([operation for operation in ALL if operation.media_types])
def test_bodies_that_are_too_large_or_encoded_are_refused(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    media_type = {"Content-Type": operation.media_types[0]}
    for content, status in ((b"a" * 2_000_000, 413), (b"{}", 415)):
        encoded = {"Content-Encoding": "gzip"} if status == 415 else {}
        answer = world.call(operation, content=content, headers={**media_type, **encoded})
        assert answer.status_code == status, answer.text
        assert fault(operation, answer) is None, fault(operation, answer)


@each([operation for operation in ALL if operation.takes_json])
def test_other_media_types_than_json_are_refused(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    for media_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "",
    ):
        answer = world.call(operation, content=b'{"actor":"x"}', headers={"Content-Type": media_type})
        refused = 401 if operation.in_session else 415 if operation.managed else 400
        assert answer.status_code == refused, f"{media_type}: {answer.text}"
        assert fault(operation, answer) is None, f"{media_type}: {fault(operation, answer)}"


@each([operation for operation in MANAGED if operation.method == "POST"])
def test_an_idempotency_key_must_be_one(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    for key in ("", " ", "a" * 256, "with space", "\x7f"):
        answer = world.call(operation, headers={"Idempotency-Key": key}, **a_body(operation))
        assert answer.status_code in (400, 422), f"{key[:20]!r}: {answer.status_code} {answer.text}"
        assert fault(operation, answer) is None, fault(operation, answer)


@each([operation for operation in MANAGED if operation.guarded_by_version])
def test_a_change_names_the_version_it_changes(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    sent = {**world.headers(operation)}
    missing = world.request(operation.method, world.path(operation), headers=sent, **a_body(operation))
    problem(missing, 428, "precondition_required")
    for tag in ('"999"', 'W/"1"', '"\xe9"', "1", '"a", "b"'):
        answer = world.call(operation, headers={b"If-Match": tag.encode("latin-1")}, **a_body(operation))
        assert answer.status_code in (400, 412, 422), f"{tag}: {answer.status_code} {answer.text}"
        assert fault(operation, answer) is None, fault(operation, answer)


@each(LISTS)
def test_lists_refuse_cursors_that_are_not_theirs(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    for query in BAD_PAGES:
        answer = world.call(operation, path=f"{world.path(operation)}?{query}")
        assert answer.status_code in (400, 422), f"{query}: {answer.status_code}"
        assert fault(operation, answer) is None, f"{query}: {fault(operation, answer)}"


@pytest.mark.parametrize("service", ["registry", "issuer", "verifier"])
def test_paths_without_a_route_are_404_on_their_surface(service: str, world_of: WorldOf):
    world = world_of(service)
    for path in ("/api", "/api/", "/api/v1/nothing", "/api/v2/organisations", "/"):
        problem(world.request("GET", path), 404, "not_found")
    for path in (
        "/nothing",
        "/RBV/nothing",
        "/RBV/.well-known/openid",
        "/RBV//x",
        "/oauth2/token/",
    ):
        protocol_error(world.request("GET", path), 404, "not_found")


def test_too_many_attempts_are_429_and_may_be_made_again_later(tmp_path: Path):
    [operation] = [one for one in MANAGED if one.key == "POST /api/v1/enrolments"]
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        url = f"sqlite:///{tmp_path / 'registry.db'}"
        runner.run(migrate(url, "passport_registry"))
        opened = registry_world(tmp_path, url, runner, enrolments_per_minute=2)
        world = runner.run(opened.__aenter__())
        try:
            answers = [world.request("POST", operation.path, **a_body(operation)) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [403, 403, 429], answers[0].text
            problem(answers[-1], 429, "too_many_requests")
            wait = int(answers[-1].headers["retry-after"])
            assert 1 <= wait <= 60
            world.clock.advance(timedelta(seconds=wait))
            assert world.request("POST", operation.path, **a_body(operation)).status_code == 403
        finally:
            runner.run(opened.__aexit__(None, None, None))
