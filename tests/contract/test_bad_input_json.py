"""JSONTestSuite against every operation with a JSON body: what is no JSON is refused, and nothing breaks one.

`n_` files must be refused as unreadable (400), `y_` and `i_` may be answered in any documented way. Each
operation gets its share of the files; `make soak P=interfaces` sends all to each.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from passport_testkit import corpora
from passport_testkit.contract_refusals import fault
from passport_testkit.contract_worlds import Operation, World, operations
from passport_testkit.thorough import sample

FOLDER = "jsontestsuite/test_parsing"
JSON = [operation for operation in operations() if operation.takes_json]


@pytest.mark.parametrize("operation", JSON, ids=str)
def test_every_document_of_the_suite(operation: Operation, world_of: Callable[..., World]):
    corpora.path(FOLDER)
    world = world_of(operation.service)
    faults = []
    for file in sample(corpora.files(FOLDER, "*.json"), operation):
        content = file.read_bytes()
        answer = world.call(operation, content=content, headers={"Content-Type": "application/json"})
        found = fault(operation, answer)
        # No body at all is no malformed JSON: the management interface says that the body is missing.
        refused = (400, 422) if operation.managed and not content else (400,)
        refused = (401,) if operation.in_session else refused
        if found is None and file.name.startswith("n_") and answer.status_code not in refused:
            found = f"answered with {answer.status_code}"
        if found is not None:
            faults.append(f"{file.name}: {found}")
    assert not faults, "\n".join(faults)
