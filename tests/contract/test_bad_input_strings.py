"""The big list of naughty strings in every text a caller can send: bodies, queries and forms.

Texts that are free (no pattern, list or format confines them) are replaced in an otherwise good body, so that
what lies behind the schema meets them; every tenth string also goes into all the other texts. Each operation
gets its share of the strings; `make soak P=interfaces` sends all to each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from passport_testkit import contract_examples as examples
from passport_testkit import corpora
from passport_testkit.contract_refusals import fault
from passport_testkit.contract_worlds import Operation, World, document, operations
from passport_testkit.thorough import sample

WorldOf = Callable[..., World]
ALL = operations()
FREE_TEXT = "Anything <b>at all</b> — ŵ"
CONFINED = {"enum", "const", "format"}


def naughty_strings() -> list[str]:
    # Lone surrogates cannot be sent as UTF-8; the strict decoder's own tests have them.
    found: list[str] = corpora.load_json("blns/blns.json")
    return [text for text in found if text.encode("utf-8", "ignore").decode() == text]


def is_free(schema: Any, definitions: dict[str, Any]) -> bool:
    """Whether a schema accepts any text."""
    if "$ref" in schema:
        return is_free(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if any(is_free(choice, definitions) for choice in schema.get("anyOf", ())):
        return True
    fits = re.search(schema.get("pattern", ""), FREE_TEXT) and len(FREE_TEXT) <= schema.get("maxLength", 999)
    return schema.get("type") == "string" and not CONFINED & schema.keys() and bool(fits)


def members(schema: Any, value: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The member schemas of the object schema that describes this value."""
    if "$ref" in schema:
        return members(definitions[schema["$ref"].rpartition("/")[2]], value, definitions)
    choices = [choice for kind in ("anyOf", "oneOf") for choice in schema.get(kind, ())]
    found = [members(choice, value, definitions) for choice in choices]
    found.append(schema.get("properties", {}))
    return max(found, key=lambda names: (len(names.keys() & value.keys()), -len(names)))


def replaced(value: Any, schema: Any, definitions: dict[str, Any], text: str, *, everywhere: bool) -> Any:
    """The value with its free texts, or all its texts, replaced."""
    if isinstance(value, str):
        return text if everywhere or is_free(schema, definitions) else value
    if isinstance(value, dict):
        known = members(schema, value, definitions)
        more = schema.get("additionalProperties")
        return {
            name: replaced(
                item,
                known.get(name, more if isinstance(more, dict) else {}),
                definitions,
                text,
                everywhere=everywhere,
            )
            for name, item in value.items()
        }
    if isinstance(value, list):
        items = schema.get("items", {})
        return [replaced(item, items, definitions, text, everywhere=everywhere) for item in value]
    return value


@pytest.mark.parametrize("operation", [one for one in ALL if one.takes_json], ids=str)
def test_in_bodies(operation: Operation, world_of: WorldOf):
    world, definitions = world_of(operation.service), document(operation.service)["components"]["schemas"]
    schema = operation.spec["requestBody"]["content"]["application/json"]["schema"]
    good = examples.body(operation)
    free = replaced(good, schema, definitions, FREE_TEXT, everywhere=False) != good
    faults = []
    for number, text in enumerate(sample(naughty_strings(), operation)):
        # Where every text is confined, all strings meet the same few patterns: a tenth of them is enough.
        ways = [False] * free + [True] * (number % 10 == 0)
        for every in ways:
            body = replaced(good, schema, definitions, text, everywhere=every)
            found = fault(operation, world.call(operation, json=body))
            if found is not None:
                faults.append(f"{text!r}: {found}")
    assert not faults, "\n".join(faults[:20])


@pytest.mark.parametrize("operation", [one for one in ALL if one.parameters("query")], ids=str)
def test_in_queries(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    names = [parameter["name"] for parameter in operation.parameters("query")]
    faults = []
    for number, text in enumerate(sample(naughty_strings(), operation)):
        # One parameter at a time, each in its turn: a fault in one hides the others.
        name = names[number % len(names)]
        found = fault(operation, world.call(operation, params={name: text}))
        if found is not None:
            faults.append(f"{name}={text!r}: {found}")
    assert not faults, "\n".join(faults[:20])


@pytest.mark.parametrize("operation", [one for one in ALL if one.takes_form], ids=str)
def test_in_forms(operation: Operation, world_of: WorldOf):
    world, good = world_of(operation.service), examples.form(operation)
    names = [name for name in good if name not in ("grant_type", "client_assertion_type", "act")]
    faults = []
    for number, text in enumerate(sample(naughty_strings(), operation)):
        changed = {names[number % len(names)]: text} if number % 2 else dict.fromkeys(names, text)
        answer = world.call(operation, data={**good, **changed})
        found = fault(operation, answer) or (
            f"accepted with {answer.status_code}"
            if answer.is_success and "link" not in operation.path
            else None
        )
        if found is not None:
            faults.append(f"{text!r}: {found}")
    assert not faults, "\n".join(faults[:20])
