"""The committed OpenAPI documents are what the applications say, and describe every deployed route."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

import passport_issuer.app
import passport_issuer.settings
import passport_registry.app
import passport_registry.settings
import passport_verifier.app
import passport_verifier.settings
from passport_testkit.contract_examples import BODIES, FORMS, body
from passport_testkit.contract_worlds import DOCUMENTS, SERVICES, Operation, World, document, operations

APPLICATIONS: dict[str, Callable[[], FastAPI]] = {
    "registry": lambda: passport_registry.app.build(passport_registry.settings.RegistrySettings.example()),
    "issuer": lambda: passport_issuer.app.build(passport_issuer.settings.IssuerSettings.example()),
    "verifier": lambda: passport_verifier.app.build(passport_verifier.settings.VerifierSettings.example()),
}

# What every service has beside its interface; health, metrics and pages' style are not for integrators.
BESIDE = {
    ("GET", "/assets/passport.css"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/problems"),
    ("GET", "/problems/{slug}"),
    # pages, there only where the registry's operator publishes its reports
    ("GET", "/reports"),
    ("GET", "/reports/{name}"),
}


def deployed(app: FastAPI) -> set[tuple[str, str]]:
    return {
        (method, re.sub(r":[a-z]+\}", "}", context.path or ""))
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
        if method != "HEAD"
    }


@pytest.mark.parametrize("service", SERVICES)
def test_the_committed_document_is_what_the_command_prints(service: str):
    # Another hash seed and an environment that would spoil it: the document depends on neither.
    environment = {"PYTHONHASHSEED": "1", f"PASSPORT_{service.upper()}_PUBLIC_URL": "https://other.example"}
    program = [sys.executable, "-m", f"passport_{service}", "openapi"]
    printed = subprocess.run(program, capture_output=True, check=True, env=environment)
    committed = (DOCUMENTS / f"{service}.json").read_bytes()
    assert printed.stdout == committed, "run `make openapi` and commit docs/openapi"


@pytest.mark.parametrize("service", SERVICES)
def test_the_document_describes_exactly_the_deployed_routes(service: str):
    described = {(operation.method, operation.path) for operation in operations(service)}
    assert described == deployed(APPLICATIONS[service]()) - BESIDE


@pytest.mark.parametrize("service", SERVICES)
def test_the_running_service_serves_the_document(service: str, world_of: Callable[..., World]):
    world = world_of(service)
    answer = world.request("GET", "/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    served, made = answer.json(), APPLICATIONS[service]().openapi()
    assert served["paths"].keys() == made["paths"].keys()
    assert served["servers"] == [{"url": world.base_url}]


def test_operation_ids_name_one_operation_each():
    for service in SERVICES:
        named = [str(operation.spec.get("operationId")) for operation in operations(service)]
        assert len(set(named)) == len(named), sorted(name for name in named if named.count(name) > 1)


def test_no_document_names_a_machine():
    for service in SERVICES:
        text = (DOCUMENTS / f"{service}.json").read_text(encoding="utf-8")
        assert not re.search(r"localhost|127\.0\.0\.1|/(home|root)/", text), service


def test_every_operation_with_a_body_has_an_example_here():
    with_json = {str(operation) for operation in operations() if operation.takes_json}
    assert with_json == set(BODIES)
    assert {operation.key for operation in operations() if operation.takes_form} == set(FORMS)


@pytest.mark.parametrize(
    "operation", [one for one in operations() if one.takes_json and one.managed], ids=str
)
def test_the_good_bodies_are_good(operation: Operation, world_of: Callable[..., World]):
    answer = world_of(operation.service).call(operation, json=body(operation))
    # What the state of the world refuses is another matter; the tests of bad input start from here.
    assert answer.status_code in (200, 201, 204, 403, 404, 409, 412), answer.text


@pytest.mark.parametrize("service", SERVICES)
def test_references_resolve_and_nothing_is_left_over(service: str):
    found = document(service)
    defined = {f"#/components/schemas/{name}" for name in found["components"]["schemas"]}
    assert set(references(found)) == defined


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from references(item)
