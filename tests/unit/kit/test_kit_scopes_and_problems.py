"""Scopes and the problem catalogue: complete, consistent, and strict about what they are asked."""

from __future__ import annotations

import pytest

from passport_shared.service.validation import pointer
from passport_shared.wire.problems import COMMON, Problem, catalogue
from passport_shared.wire.scopes import (
    ALL_SCOPES,
    APPROVED_RESOURCES,
    RESOURCES,
    ScopeError,
    format_scope,
    parse_scope,
    scopes_of,
)


def test_every_resource_can_be_read_and_written() -> None:
    for service, resources in RESOURCES.items():
        for resource in resources:
            assert {f"{resource}:read", f"{resource}:write"} <= scopes_of(service)
            assert (f"{resource}:approve" in scopes_of(service)) == (resource in APPROVED_RESOURCES)
    assert {resource for resources in RESOURCES.values() for resource in resources} >= APPROVED_RESOURCES


def test_scopes_are_read_and_written_in_one_form() -> None:
    scopes = parse_scope("staff:write staff:read")
    assert scopes == {"staff:read", "staff:write"}
    assert format_scope(scopes) == "staff:read staff:write"
    assert parse_scope(format_scope(ALL_SCOPES)) == ALL_SCOPES


@pytest.mark.parametrize(
    "text",
    ["", " ", "staff", "staff:", "staff:delete", "Staff:read", "staff:read ", " staff:read",
     "staff:read  staff:write",
     "staff:read staff:read", "staff:read\tstaff:write", "*", "staff:*", "checks:approve"],
)  # fmt: skip
def test_other_scope_texts_are_refused(text: str) -> None:
    with pytest.raises(ScopeError):
        parse_scope(text)


def test_the_catalogue_is_complete_enough_to_act_on() -> None:
    assert {problem.status for problem in COMMON.values()} == {
        400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 428, 429, 500, 503,
    }  # fmt: skip
    for slug, problem in COMMON.items():
        assert slug == problem.slug
        assert slug == slug.lower()
        assert problem.title
        assert problem.explanation.endswith(".")
        assert problem.retryable or problem.status not in (429, 500, 503)


def test_a_slug_means_one_thing() -> None:
    one = Problem(slug="x", title="a", status=409, explanation="a.")
    other = Problem(slug="x", title="b", status=409, explanation="b.")
    assert list(catalogue([one, one])) == ["x"]
    with pytest.raises(ValueError, match="two problems are called x"):
        catalogue([one, other])


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ((), ""),
        (("body",), ""),
        (("body", "a", 0, "b"), "/a/0/b"),
        (("body", "a/b", "c~d"), "/a~1b/c~0d"),
        (("body", "x" * 500), "/" + "x" * 199),
        (("query", "limit"), "query/limit"),
        (("header", "If-Match"), "header/If-Match"),
    ],
)
def test_pointers(location: tuple[str | int, ...], expected: str) -> None:
    assert pointer(location) == expected
