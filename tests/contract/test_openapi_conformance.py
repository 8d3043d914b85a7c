"""Every operation does what its OpenAPI document says, whatever it is sent (schemathesis).

Two kinds of input per operation: what the document allows, which must be answered as the document says, and
what it forbids, which must be refused. Inputs are derived, not random: the same on every run. SQLite carries
most of it; PostgreSQL refuses other values than SQLite does (NUL, ranges of integers): it gets a share.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case

from passport_testkit import contract_examples
from passport_testkit.contract_worlds import EVERYTHING, NOBODY, Operation, World, document, operations
from passport_testkit.databases import POSTGRESQL, SQLITE
from passport_testkit.thorough import THOROUGH

load_all_checks()


@schemathesis.serializer("application/staff-passport-release-request+jwt")
def as_text(_: Any, value: Any) -> bytes:
    """A signed message is text; what is generated is sent as it is."""
    return str(value).encode("utf-8")


@schemathesis.serializer("application/cloudevents+json")
def as_json(_: Any, value: Any) -> bytes:
    """A CloudEvent in structured mode is JSON."""
    return json.dumps(value).encode("utf-8")


WorldOf = Callable[..., World]
POLICY = "/api/v1/organisations/{ods}/policies/{policy_id}"
MOVEMENTS = "/api/v1/organisations/{ods}/movements"
EXAMPLES = {SQLITE: 100, POSTGRESQL: 25} if THOROUGH else {SQLITE: 8, POSTGRESQL: 2}
ALWAYS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
OF_BAD_INPUT = (*ALWAYS, "negative_data_rejection")
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE

each_database = pytest.mark.parametrize(
    "dialect", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.postgres)]
)
# What reads comes first, while the world is as it was made.
ALL = sorted(operations(), key=lambda one: (one.method != "GET", str(one)))


@cache
def schema_of(service: str) -> Any:
    return schemathesis.openapi.from_dict(document(service))


def api_operation(operation: Operation) -> Any:
    return schema_of(operation.service)[operation.path][operation.method]


def send(world: World, operation: Operation, case: Case[Any], **options: Any) -> httpx.Response:
    """Send a case exactly as schemathesis would put it on the wire."""
    known = ("method", "url", "headers", "params", "data", "json", "files", "cookies")
    sent = case.as_transport_kwargs(base_url=world.base_url)
    wire = requests.Request(**{name: sent[name] for name in known if name in sent}).prepare()
    headers = {name: value for name, value in wire.headers.items() if name.lower() != "content-length"}
    return world.call(operation, path=str(wire.url), content=wire.body, headers=headers, **options)


def drive(
    world: World,
    operation: Operation,
    mode: GenerationMode,
    examples: int,
    there: dict[str, str] | None,
    *,
    by: str = EVERYTHING,
    against: Any = None,
) -> None:
    checks: Any = CHECKS.get_by_names(ALWAYS if mode is POSITIVE else OF_BAD_INPUT)
    good = contract_examples.body(operation) if operation.takes_json else {}
    kept = st.sets(st.sampled_from(sorted(good))) if good and mode is POSITIVE else st.just(set())

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=(against or api_operation(operation)).as_strategy(generation_mode=mode, path_parameters=there),
        kept=kept,
    )
    def run(case: Case[Any], kept: set[str]) -> None:
        if mode is POSITIVE and good and isinstance(case.body, dict):
            # Some members from the good body, so that what lies behind the schema is reached as well.
            case.body = {**case.body, **{name: good[name] for name in kept | ({"actor"} & good.keys())}}
        answer = send(world, operation, case, by=by)
        case.validate_response(answer, checks=list(checks))
        if by == NOBODY and operation.secured:
            assert answer.status_code in (400, 401), answer.text

    run()


BOUNDS = {"pattern", "enum", "format", "maxLength", "minLength", "minimum", "maximum"}


def can_be_spoiled(operation: Operation, *but: str) -> bool:
    """Whether the document forbids anything that could be sent, but in these places."""
    parameters = [one for one in operation.spec.get("parameters", ()) if one["in"] not in but]
    bounded = [one for one in parameters if one["required"] and one["in"] == "query"]
    bounded += [one for one in parameters if BOUNDS & set(json.dumps(one["schema"]).split('"'))]
    if operation.takes_form:
        [body] = operation.spec["requestBody"]["content"].values()
        return bool(bounded) or "required" in body["schema"] or "pattern" in json.dumps(body)
    return bool(bounded) or operation.takes_json


@each_database
@pytest.mark.parametrize("operation", ALL, ids=str)
def test_what_the_document_allows_is_answered_as_it_says(
    operation: Operation, dialect: str, world_of: WorldOf
):
    world = world_of(operation.service, dialect)
    there = world.values(operation)
    drive(world, operation, POSITIVE, EXAMPLES[dialect], there)
    drive(world, operation, POSITIVE, 2, there, by=NOBODY)


@each_database
@pytest.mark.parametrize("operation", [one for one in ALL if can_be_spoiled(one)], ids=str)
def test_what_the_document_forbids_is_refused(operation: Operation, dialect: str, world_of: WorldOf):
    world = world_of(operation.service, dialect)
    # Spoil the path only where there is nothing else: a path that leads nowhere hides all other faults.
    there = world.values(operation) if can_be_spoiled(operation, "path") else None
    drive(world, operation, NEGATIVE, EXAMPLES[dialect], there)


PLANTED = {
    "a status that can occur is left out": lambda spec: spec["responses"].pop("404"),
    "an answer of another type": lambda spec: _content(spec).update(
        {"text/plain": _content(spec).pop("application/json")}
    ),
    "a member that is not sent": lambda spec: _content(spec)["application/json"].update(
        schema={"type": "object", "required": ["nowhere"]}
    ),
}


def _content(spec: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = spec["responses"]["200"]["content"]
    return content


@pytest.mark.parametrize("plant", PLANTED)
def test_a_document_that_does_not_say_the_truth_is_found_out(plant: str, world_of: WorldOf):
    world = world_of("verifier")
    [operation] = [one for one in ALL if str(one) == f"verifier GET {POLICY}"]
    false = document("verifier")
    PLANTED[plant](false["paths"][POLICY]["get"])
    against = schemathesis.openapi.from_dict(false)[POLICY]["GET"]
    there = world.values(operation)
    if plant.startswith("a status"):
        there["policy_id"] = "NO_SUCH_POLICY"
    with pytest.raises(FailureGroup):
        drive(world, operation, POSITIVE, 2, there, against=against)


def test_bad_input_that_is_accepted_is_found_out(world_of: WorldOf):
    world = world_of("verifier")
    [operation] = [one for one in ALL if str(one) == f"verifier GET {MOVEMENTS}"]
    false = document("verifier")
    listed = false["paths"][MOVEMENTS]["get"]
    # said to allow one word, where almost any is accepted: whatever is forbidden gives the lie away
    listed["parameters"] = [one for one in listed["parameters"] if one["name"] in ("ods", "external_id")]
    for parameter in listed["parameters"]:
        if parameter["name"] == "external_id":
            parameter["schema"] = {"type": "string", "enum": ["only-this"]}
    against = schemathesis.openapi.from_dict(false)[MOVEMENTS]["GET"]
    with pytest.raises(FailureGroup):
        drive(world, operation, NEGATIVE, 60, world.values(operation), against=against)
