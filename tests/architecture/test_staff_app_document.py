"""The document for makers of staff apps is made from the code, complete, and its example runs."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import schemathesis

from deploy.dev.staff_app import OPEN, document
from passport_shared.service.holder_openapi import SCHEME
from passport_testkit.corpora import REPOSITORY

COMMITTED = REPOSITORY / "docs" / "openapi" / "staff-app.json"
GUIDE = REPOSITORY / "docs" / "staff-app.md"
OPERATIONS = [
    (path, method, operation)
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
    if method != "servers"
]


def test_the_committed_document_is_what_the_command_prints() -> None:
    assert json.loads(COMMITTED.read_text("utf-8")) == document(), "run `make openapi`"


def test_the_document_is_one_that_tools_read() -> None:
    assert len(list(schemathesis.openapi.from_dict(document()).get_all_operations())) == len(OPERATIONS)


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("path", "operation"), [(path, operation) for path, _, operation in OPERATIONS], ids=str
)
def test_what_needs_a_session_says_so(path: str, operation: dict[str, Any]) -> None:
    assert operation["security"] == ([] if path in OPEN else [{SCHEME: []}])
    assert path in OPEN or "401" in operation["responses"]


@pytest.mark.parametrize("service", ["issuer", "verifier"])
def test_every_route_of_a_session_is_in_it(service: str) -> None:
    own = json.loads((REPOSITORY / "docs" / "openapi" / f"{service}.json").read_text("utf-8"))
    described = {path for path in own["paths"] if "/holder/" in path or "/requirements/" in path}
    servers = document()["paths"]
    side = {path for path in servers if any(service in one["url"] for one in servers[path]["servers"])}
    assert side == described


def test_the_guide_names_every_resource() -> None:
    text = GUIDE.read_text("utf-8")
    tails = {re.sub(r"/\{\w+\}.*", "", path.removeprefix("/{ods}/")) for path, _, _ in OPERATIONS}
    assert [tail for tail in sorted(tails) if tail not in text] == []
