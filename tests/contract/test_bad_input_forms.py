"""Forms as they must not be: repeated, broken, of another type, too many, too long; every form endpoint."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from passport_testkit import contract_examples as examples
from passport_testkit.contract_refusals import fault, is_page
from passport_testkit.contract_worlds import Operation, World, operations

WorldOf = Callable[..., World]
FORMS = [operation for operation in operations() if operation.takes_form]
FORM_TYPE = "application/x-www-form-urlencoded"


def spoiled(good: dict[str, str]) -> dict[str, tuple[bytes, str]]:
    """Bodies and media types by what is wrong with them; each must be refused."""
    encoded = urlencode(good).encode()
    first = next(iter(good))
    cases: dict[str, tuple[bytes, str]] = {
        f"{name} repeated": (encoded + f"&{name}=again".encode(), FORM_TYPE) for name in good
    }
    return cases | {
        "repeated under another spelling": (
            encoded + b"&%" + f"{ord(first[0]):02x}{first[1:]}=x".encode(),
            FORM_TYPE,
        ),
        "NUL in a value": (encoded + b"&more=a%00b", FORM_TYPE),
        "NUL in a name": (encoded + b"&a%00b=more", FORM_TYPE),
        "a raw NUL": (encoded + b"&more=a\x00b", FORM_TYPE),
        "percent-encoded bytes that are not UTF-8": (encoded + b"&more=%ff%fe", FORM_TYPE),
        "raw bytes that are not UTF-8": (encoded + b"&more=\xff\xfe", FORM_TYPE),
        "a lone surrogate": (encoded + b"&more=%ed%a0%80", FORM_TYPE),
        "an overlong encoding": (encoded + b"&more=%c0%80", FORM_TYPE),
        "too many parameters": (encoded + b"".join(b"&p%d=1" % n for n in range(100)), FORM_TYPE),
        "JSON": (b"{}", "application/json"),
        "plain text": (encoded, "text/plain"),
        "no media type": (encoded, ""),
        "two media types": (encoded, f"{FORM_TYPE}, application/json"),
        "another charset": (encoded, f"{FORM_TYPE}; charset=utf-16"),
        "multipart": (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    }


# Each is well-formed as a form; what is missing or wrong is the content.
def empty(operation: Operation) -> dict[str, bytes]:
    first = next(iter(examples.form(operation)))
    return {
        "nothing": b"",
        "separators": b"&&&&",
        "no name": b"=value",
        "no value": first.encode(),
        "an empty value": first.encode() + b"=",
        "broken percent-encoding": first.encode() + b"=%zz%",
        "semicolons": first.encode() + b"=a;b=c",
    }


@pytest.mark.parametrize("operation", FORMS, ids=str)
def test_forms_that_are_none(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    faults = []
    for name, (content, media_type) in spoiled(examples.form(operation)).items():
        answer = world.call(operation, content=content, headers={"Content-Type": media_type})
        found = fault(operation, answer)
        if found is None and answer.status_code != 400:
            found = f"answered with {answer.status_code}"
        if found is None and not is_page(operation) and answer.json()["error"] != "invalid_request":
            found = f"refused as {answer.json()['error']}"
        if found is not None:
            faults.append(f"{name}: {found}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("operation", FORMS, ids=str)
def test_forms_that_say_nothing(operation: Operation, world_of: WorldOf):
    world = world_of(operation.service)
    faults = []
    for name, content in empty(operation).items():
        answer = world.call(operation, content=content, headers={"Content-Type": FORM_TYPE})
        found = fault(operation, answer)
        # The wallet need send nothing to fetch its request.
        if found is None and answer.is_success and "{link}" not in operation.path:
            found = f"accepted with {answer.status_code}"
        if found is not None:
            faults.append(f"{name}: {found}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("operation", FORMS, ids=str)
def test_a_very_long_value_is_refused_within_the_limit(operation: Operation, world_of: WorldOf):
    world, good = world_of(operation.service), examples.form(operation)
    for name in good:
        answer = world.call(operation, data={**good, name: "A" * 200_000})
        assert 400 <= answer.status_code < 500, f"{name}: {answer.status_code}"
        assert fault(operation, answer) is None, f"{name}: {fault(operation, answer)}"
