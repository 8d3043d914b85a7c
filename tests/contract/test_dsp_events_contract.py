"""The published Digital Staff Passport API against our server: what it allows, what it forbids, its errors.

The document is NHS England's own, read from beside this repository and never changed but for its examples,
two of which are no JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from passport_testkit import corpora
from passport_testkit.contract_worlds import EVERYTHING, World
from passport_testkit.databases import POSTGRESQL, SQLITE

load_all_checks()
DOCUMENT = corpora.REPOSITORY.parent / "shared" / "contracts" / "nhs-dsp" / "digital-staff-passport-api.yaml"
CONTRACT = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
MEDIA_TYPE = "application/cloudevents+json"
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
each_database = pytest.mark.parametrize(
    "dialect", [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.postgres)]
)


def _without_examples(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_examples(item) for key, item in value.items() if key not in ("example", "examples")
        }
    return [_without_examples(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def published() -> Any:
    """The published operation."""
    if not DOCUMENT.exists():
        pytest.skip("the published NHS DSP documents are not beside this repository")
    document = _without_examples(yaml.safe_load(DOCUMENT.read_text(encoding="utf-8")))
    return schemathesis.openapi.from_dict(document)["/events"]["POST"]


def event_key(world: World) -> str:
    """The event key of the world's connection, made anew."""
    path = f"/api/v1/organisations/{world.existing['ods']}/connections/{world.existing['connection_id']}"
    headers = {"Authorization": f"Bearer {world.token(EVERYTHING)}"}
    answer = world.request("POST", f"{path}/event-key", json={"actor": "hr-4711"}, headers=headers)
    return str(answer.json()["event_key"])


def publish(world: World, **options: Any) -> Any:
    return world.request("POST", "/dsp-api/events", **options)


@each_database
@pytest.mark.parametrize("mode", [POSITIVE, NEGATIVE], ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("known", [True, False], ids=["its own key", "a key it makes up"])
def test_the_published_document(
    world_of: Callable[..., World], published: Any, dialect: str, mode: GenerationMode, known: bool
) -> None:
    world = world_of("issuer", dialect)
    key = event_key(world)
    checks: Any = CHECKS.get_by_names(CONTRACT)

    @settings(
        max_examples=40 if dialect == SQLITE else 10,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=published.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        sent = case.as_transport_kwargs(base_url=world.base_url)
        names = ("method", "url", "headers", "params", "data", "json", "files", "cookies")
        wire = requests.Request(**{name: sent[name] for name in names if name in sent}).prepare()
        headers = {name: value for name, value in wire.headers.items() if name.lower() != "content-length"}
        if known:
            headers["apikey"] = key
        answer = publish(world, content=wire.body, headers=headers)
        case.validate_response(answer, checks=list(checks))
        if not known:
            assert answer.status_code in (400, 401, 415)

    run()


def test_every_document_of_the_json_suite_is_answered_as_published(world_of: Callable[..., World]) -> None:
    folder = "jsontestsuite/test_parsing"
    corpora.path(folder)
    world = world_of("issuer")
    headers = {"Content-Type": MEDIA_TYPE, "apikey": event_key(world)}
    for file in corpora.files(folder, "*.json"):
        answer = publish(world, content=file.read_bytes(), headers=headers)
        assert answer.status_code == 400, file.name
        assert answer.json()["issue"][0]["code"] == "invalid", file.name


def test_naughty_strings_in_every_member_of_an_event(world_of: Callable[..., World]) -> None:
    world = world_of("issuer")
    headers = {"Content-Type": MEDIA_TYPE, "apikey": event_key(world)}
    ods = world.existing["ods"]
    good = {
        "specversion": "1.0",
        "id": "236a1d4a-5d69-4fa9-9c7f-e72bf505aa5b",
        "source": "com.example",
        "type": "employee-dbs-check-completed",
        "time": "2026-06-01T13:00:00Z",
        "subject": "12345",
        "filtering": {"organisation": ods},
        "dataref": f"https://systems.example/organisations/{ods}/employees/12345/records",
    }
    assert publish(world, content=json.dumps(good), headers=headers).status_code == 200
    naughty: list[str] = corpora.load_json("blns/blns.json")
    texts = [text for text in naughty if text.encode("utf-8", "ignore").decode() == text]
    for number, text in enumerate(texts):
        member = list(good)[number % len(good)]
        spoiled = {**good, member: {"organisation": text} if member == "filtering" else text}
        answer = publish(world, content=json.dumps(spoiled), headers=headers)
        assert answer.status_code in (200, 400), f"{member}: {text!r}"
        if text and answer.status_code == 400:
            assert text not in answer.json()["issue"][0]["details"]["text"] or len(text) < 12
