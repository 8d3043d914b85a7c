"""Bodies, queries and headers that are deep, wide, long or many; every operation, in the promised form.

`tests/http/kit/test_kit_server.py` sends what never ends, over TLS to a process; here everything ends, and is
of the size a careful limit could miss: just below what is accepted at all, or far above it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest

from passport_testkit import contract_examples as examples
from passport_testkit.contract_refusals import fault
from passport_testkit.contract_worlds import Operation, World, operations

WorldOf = Callable[..., World]
ALL = operations()
WITH_JSON = [operation for operation in ALL if operation.takes_json]
DEPTHS = (33, 1_000, 20_000)
INSTANTS = (
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999999Z",
    "0000-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z", "2026-09-01T24:00:00Z", "2026-09-01T12:00:60Z",
    "2026-09-01T12:00:00+99:99",
    1e308, -1,
)  # fmt: skip
DAYS = ("0001-01-01", "9999-12-31", "0000-00-00", "2026-02-29", "1582-10-10", 253402300800, -1)


@lru_cache(maxsize=1)
def unfit_documents() -> dict[str, bytes]:
    """JSON that is too large whatever it is for."""
    found = {f"{depth} deep": b'{"a":' * depth + b"1" + b"}" * depth for depth in DEPTHS}
    found |= {f"lists {depth} deep": b"[" * depth + b"]" * depth for depth in DEPTHS}
    return found | {
        "5,000 members": json.dumps({f"m{number}": 1 for number in range(5_000)}).encode(),
        "100,000 members": json.dumps({f"m{number}": 1 for number in range(100_000)}).encode(),
        "20,000 elements": json.dumps([1] * 20_000).encode(),
    }


def swollen(good: dict[str, Any]) -> dict[str, bytes]:
    """A good body with one member too much, by what is wrong with that one's size."""
    rest = json.dumps(good)[1:]
    found = {
        f"{depth} deep in a good body": f'{{"x":{"[" * depth}{"]" * depth},{rest}'.encode()
        for depth in DEPTHS
    }
    return found | {
        "a number of 5,000 digits": f'{{"x":{"9" * 5_000},{rest}'.encode(),
        "a number of 60,000 digits": f'{{"x":{"9" * 60_000},{rest}'.encode(),
        "a number of 1,000,000 digits": f'{{"x":{"9" * 1_000_000},{rest}'.encode(),
        "an exponent of 5,000 digits": f'{{"x":1e{"9" * 5_000},{rest}'.encode(),
        "a text of 60,000 characters": json.dumps({**good, "x": "a" * 60_000}).encode(),
        "a name of 60,000 characters": json.dumps({**good, "a" * 60_000: 1}).encode(),
        "60,000 bytes of escapes": b'{"x":"' + b"\\u0041" * 10_000 + b'",' + rest.encode(),
    }


def large_documents(good: dict[str, Any], *, whole: bool) -> dict[str, bytes]:
    """Everything, or one that is too deep and one that is too long."""
    if whole:
        return unfit_documents() | swollen(good)
    rest = json.dumps(good)[1:]
    return {
        "33 deep in a good body": f'{{"x":{"[" * 33}{"]" * 33},{rest}'.encode(),
        "a number of 60,000 digits": f'{{"x":{"9" * 60_000},{rest}'.encode(),
    }


# All operations read bodies by the same two readers: all sizes go to one of each, the worst to all.
IN_FULL = list({f"{one.service} {one.managed}": one for one in WITH_JSON}.values())


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_documents_that_are_too_large_in_any_direction(operation: Operation, world_of: WorldOf):
    world, faults = world_of(operation.service), []
    for name, content in large_documents(examples.body(operation), whole=operation in IN_FULL).items():
        answer = world.call(operation, content=content, headers={"Content-Type": "application/json"})
        found = fault(operation, answer)
        if found is None and not 400 <= answer.status_code < 500:
            found = f"answered with {answer.status_code}"
        if found is None and len(answer.content) > 40_000:
            found = f"answered with {len(answer.content)} bytes"
        faults += [] if found is None else [f"{name}: {found}"]
    assert not faults, "\n".join(faults)


LISTS = [one for one in ALL if any(parameter["name"] == "cursor" for parameter in one.parameters("query"))]
QUERIED = [*LISTS, *IN_FULL]


@pytest.mark.parametrize("operation", QUERIED, ids=str)
def test_queries_and_headers_that_are_many_or_long(operation: Operation, world_of: WorldOf):
    world, faults = world_of(operation.service), []
    path = world.path(operation)
    body: dict[str, Any] = {"json": examples.body(operation)} if operation.takes_json else {}
    tried: dict[str, tuple[str, dict[str, str]]] = {
        "2,000 parameters": (f"{path}?{'&'.join(f'p{n}={n}' for n in range(2_000))}", {}),
        "one parameter 2,000 times": (f"{path}?{'&'.join(['limit=1'] * 2_000)}", {}),
        "a parameter of 50,000 characters": (f"{path}?cursor={'A' * 50_000}", {}),
        "a header of 50,000 characters": (
            path,
            {"X-Request-Id": "A" * 50_000, "Accept-Language": "x" * 50_000},
        ),
        "500 headers": (path, {f"X-Header-{number}": "a" for number in range(500)}),
        "a traceparent of 50,000 characters": (path, {"Traceparent": "00-" + "a" * 50_000}),
        "1,000 entity tags": (path, {"If-None-Match": ", ".join(['"a"'] * 1_000)}),
        "a range of bytes": (path, {"Range": "bytes=0-" + "9" * 400}),
        "a length that is none": (path, {"Accept": "*/*;q=" + "9" * 5_000}),
    }
    for name, (url, headers) in tried.items():
        answer = world.call(operation, path=url, headers=headers, **body)
        found = fault(operation, answer)
        if found is None and len(answer.headers.get("x-request-id", "")) > 1_000:
            found = "a header came back"
        faults += [] if found is None else [f"{name}: {found}"]
    assert not faults, "\n".join(faults)


def times(
    value: Any, schema: Any, definitions: dict[str, Any], at: tuple[Any, ...] = ()
) -> dict[tuple[Any, ...], str]:
    """Where a body has an instant or a day, by its path; by what the text looks like."""
    if isinstance(value, dict):
        return {
            k: v
            for name, item in value.items()
            for k, v in times(item, schema, definitions, (*at, name)).items()
        }
    if isinstance(value, list):
        return {
            k: v
            for n, item in enumerate(value)
            for k, v in times(item, schema, definitions, (*at, n)).items()
        }
    if (
        isinstance(value, str)
        and len(value) >= 10
        and value[4:5] == value[7:8] == "-"
        and value[:4].isdigit()
    ):
        return {at: "instant" if "T" in value else "day"}
    return {}


def changed(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """The value with the item at a path replaced."""
    if not at:
        return new
    head, *rest = at
    if isinstance(value, dict):
        return {
            name: changed(item, tuple(rest), new) if name == head else item for name, item in value.items()
        }
    return [changed(item, tuple(rest), new) if number == head else item for number, item in enumerate(value)]


@pytest.mark.parametrize("operation", WITH_JSON, ids=str)
def test_days_and_instants_at_the_ends_of_the_calendar(operation: Operation, world_of: WorldOf):
    world, good, faults = world_of(operation.service), examples.body(operation), []
    for at, kind in times(good, {}, {}).items():
        for new in INSTANTS if kind == "instant" else DAYS:
            found = fault(operation, world.call(operation, json=changed(good, at, new)))
            faults += [] if found is None else [f"{'/'.join(map(str, at))}={new}: {found}"]
    assert not faults, "\n".join(faults)
