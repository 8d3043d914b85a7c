"""Where a fault is said to be: in what the caller sent, never in how we model it."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, StringConstraints, ValidationError

from passport_shared.service.validation import field_errors

SENT = {"check_type": "RTW", "fields": {"permission": "MAYBE"}, "list": [{"a": 1}], "a/b": {"~": 1}}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (("body", "RTW", "performed_on"), "/performed_on"),
        (("body", "RTW", "fields", "permission"), "/fields/permission"),
        (("body", "RTW", "fields", "route"), "/fields/route"),
        (("body", "check_type"), "/check_type"),
        (("body", "missing"), "/missing"),
        (("body", "list", 0, "a"), "/list/0/a"),
        (("body", "list", 0, "b"), "/list/0/b"),
        (("body", "list", 7, "b"), "/list/7/b"),
        (("body", "a/b", "~"), "/a~1b/~0"),
        (("body",), ""),
        (("query", "limit"), "query/limit"),
    ],
)
def test_the_pointer_leads_into_what_was_sent(location, expected):
    [error] = field_errors([{"loc": location, "type": "x", "msg": "m"}], SENT)
    assert error.pointer == expected


def test_a_body_that_is_no_object_is_pointed_at_as_a_whole():
    [error] = field_errors([{"loc": ("body",), "type": "x", "msg": "m"}], [1])
    assert error.pointer == ""


def test_a_member_name_that_breaks_its_rule_is_not_repeated() -> None:
    class Timed(BaseModel):
        durations: dict[Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,20}$")], int]

    body = {"durations": {"Morgan Invented": "long", "time_to_issue": "short"}}
    with pytest.raises(ValidationError) as caught:
        Timed.model_validate(body)
    faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in caught.value.errors()]
    found = field_errors(faults, body)
    assert [fault.pointer for fault in found] == ["/durations", "/durations", "/durations/time_to_issue"]
    assert "Morgan" not in repr(found)
