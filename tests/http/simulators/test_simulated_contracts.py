"""The simulated systems against their contracts: the published DSP API standard and our ESR-shaped port.

schemathesis makes requests from each document, and holds every answer to it. The published YAML is read where
it lies beside the repository.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode

from deploy.simulators import clients
from deploy.simulators.app import create_app
from deploy.simulators.dsp_records import SYSTEMS
from deploy.simulators.settings import Settings
from passport_testkit import nhs_dsp
from passport_testkit.corpora import REPOSITORY

load_all_checks()
URL = "https://localhost:9003"
API_KEY = "test-only-key-of-a-client"
ESR_PORT = REPOSITORY / "docs" / "workforce" / "esr-port.openapi.json"
EXAMPLES = 25
ALWAYS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
DSP_OPERATIONS = (
    ("/organisations/{org-id}/employees", "GET"),
    ("/organisations/{org-id}/employees/{employee-id}", "GET"),
    ("/organisations/{org-id}/employees/{employee-id}/records", "GET"),
    ("/organisations/{org-id}/employees/{employee-id}/records", "POST"),
    ("/organisations/{org-id}/_status", "GET"),
)
ADDING = DSP_OPERATIONS[3]
VALUES = {"org-id": "RBV", "employee-id": "E391234"}
ESR_VALUES = {"ods": "RBV", "person_id": "20391234"}


def esr_port() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(ESR_PORT.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("simulators")
    made = Settings(public_url=URL, folder=folder)
    clients.register(made.clients_file, "tests", organisations=["*"], api_key=API_KEY)
    return create_app(made)


def send(runner: asyncio.Runner, app: Any, case: Any, prefix: str, *, admitted: bool) -> httpx.Response:
    sent = case.as_transport_kwargs(base_url=URL)
    known = ("method", "url", "headers", "params", "data", "json", "cookies")
    wire = requests.Request(**{name: sent[name] for name in known if name in sent}).prepare()
    content: Any = wire.body
    headers = {name: str(value) for name, value in wire.headers.items() if name.lower() != "content-length"}
    if admitted:
        headers["x-api-key"] = API_KEY
    target = str(wire.url).replace(URL, f"{URL}{prefix}", 1)

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as http:
            return await http.request(str(wire.method), target, content=content, headers=headers)

    return runner.run(call())


def drive(document, operation, call, mode=GenerationMode.POSITIVE, values=None, examples=EXAMPLES):
    path, method = operation
    checks = CHECKS.get_by_names(ALWAYS)
    described = schemathesis.openapi.from_dict(document)[path][method]

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.as_strategy(generation_mode=mode, path_parameters=values))
    def run(case):
        case.headers.pop("Authorization", None)
        case.validate_response(call(case), checks=list(checks))

    run()


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda one: one.prefix)
@pytest.mark.parametrize("operation", DSP_OPERATIONS, ids=lambda one: f"{one[1]} {one[0]}")
class TestTheDspStandard:
    def test_is_kept_for_somebody_who_is_there(self, system, operation, app, runner):
        def call(case):
            return send(runner, app, case, system.prefix, admitted=True)

        examples = EXAMPLES if system.prefix == "/dsp" else 5
        drive(
            nhs_dsp.standard(),
            operation,
            call,
            values={name: value for name, value in VALUES.items() if f"{{{name}}}" in operation[0]},
            examples=examples,
        )

    def test_is_kept_for_anything_else_and_for_strangers(self, system, operation, app, runner):
        for admitted in (True, False):

            def call(case, admitted=admitted):
                return send(runner, app, case, system.prefix, admitted=admitted)

            drive(nhs_dsp.standard(), operation, call, examples=4)


def test_what_the_standard_forbids_is_not_added(app, runner):
    def call(case):
        answer = send(runner, app, case, "/dsp", admitted=True)
        assert answer.status_code != 201, case.body
        return answer

    drive(nhs_dsp.standard(), ADDING, call, mode=GenerationMode.NEGATIVE, values=VALUES, examples=25)


def test_every_operation_of_the_standard_is_tried():
    document = nhs_dsp.standard()
    offered = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    assert offered == set(DSP_OPERATIONS)


ESR_OPERATIONS = [(path, method.upper()) for path, item in esr_port()["paths"].items() for method in item]


@pytest.mark.parametrize("operation", ESR_OPERATIONS, ids=lambda one: f"{one[1]} {one[0]}")
class TestTheEsrPort:
    def test_keeps_its_contract_for_somebody_who_is_there(self, operation, app, runner):
        values = {name: value for name, value in ESR_VALUES.items() if f"{{{name}}}" in operation[0]}

        def call(case):
            return send(runner, app, case, "", admitted=True)

        drive(esr_port(), operation, call, values=values)

    def test_keeps_it_for_anything_else_and_for_strangers(self, operation, app, runner):
        for admitted in (True, False):

            def call(case, admitted=admitted):
                return send(runner, app, case, "", admitted=admitted)

            drive(esr_port(), operation, call, examples=5)


def test_the_contract_names_every_route_and_no_other(app):
    served = {
        (route.path, method)
        for route in app.routes
        if route.path.startswith(("/esr/", "/oauth2/"))
        for method in route.methods - {"HEAD"}
    }
    assert served == set(ESR_OPERATIONS)


async def test_everybody_s_records_are_what_the_contract_says(bench):
    document = esr_port()
    shapes = {
        "": "Person",
        "/assignments": "Assignments",
        "/registrations": "Registrations",
        "/checks": "Checks",
    }
    validators = {
        part: _validator(document, name) for part, name in {**shapes, "summary": "PersonSummary"}.items()
    }
    for ods in ("R0A", "RJN", "SBX01"):
        for employee in list(bench.world.of(ods)):
            for part in shapes:
                found = await bench.read(f"/esr/{ods}/persons/{employee.person_id}{part}")
                validators[part].validate(found)


def _validator(document, name):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def test_an_answer_that_breaks_the_standard_is_found_out(app, runner):
    document = nhs_dsp.standard()
    details = document["components"]["schemas"]["EmployeePersonalDetails"]
    details["required"] = [*details["required"], "shoeSize"]

    def call(case):
        return send(runner, app, case, "/dsp", admitted=True)

    with pytest.raises(FailureGroup):
        drive(document, DSP_OPERATIONS[1], call, values=VALUES, examples=2)
