"""Metadata policies at their bounds: what just fits, what no longer does, and values that only look alike."""

from __future__ import annotations

from typing import Any

import pytest

from passport_shared.formats.federation_jws import FederationError, FederationReason
from passport_shared.formats.metadata_policy import apply_policy, merge_policies, read_policy


def applied(operators: dict[str, Any], metadata: dict[str, Any], name: str = "p") -> Any:
    return apply_policy(merge_policies([{"t": {name: operators}}]), {"t": metadata})["t"].get(name)


@pytest.mark.parametrize("parameters", [None, [], "a", 1, [{"a": 1}]])
def test_a_policy_is_an_object_of_parameters(parameters: object):
    with pytest.raises(FederationError) as refused:
        read_policy({"t": parameters})
    assert refused.value.reason is FederationReason.BAD_POLICY


@pytest.mark.parametrize(
    ("count", "read"),
    [
        (128, lambda count: read_policy({"t": {f"p{n}": {} for n in range(count)}})),
        (128, lambda count: read_policy({"t": {"p": {"one_of": [str(n) for n in range(count)]}}})),
    ],
    ids=["parameters", "values of an operator"],
)
def test_as_many_as_are_allowed_and_no_more(count: int, read: Any):
    assert read(count)
    with pytest.raises(FederationError) as refused:
        read(count + 1)
    assert refused.value.reason is FederationReason.BAD_POLICY


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        ({"value": "a", "default": "b"}, "a"),
        ({"value": "a", "essential": True}, "a"),
        ({"value": "a", "one_of": ["a", "b"]}, "a"),
        ({"value": ["a"], "subset_of": ["a", "b"]}, ["a"]),
        ({"value": ["a", "b"], "superset_of": ["a"]}, ["a", "b"]),
        ({"value": None, "subset_of": ["a"]}, None),
    ],
)
def test_what_stands_beside_a_value_that_fits(operators: dict[str, Any], expected: Any):
    assert applied(operators, {"p": "x"}) == expected


@pytest.mark.parametrize(("superior", "subordinate"), [(False, True), (True, False)])
def test_essential_is_what_either_says(superior: bool, subordinate: bool):
    policy = merge_policies([{"t": {"p": {"essential": one}}} for one in (superior, subordinate)])
    with pytest.raises(FederationError) as refused:
        apply_policy(policy, {"t": {}})
    assert refused.value.reason is FederationReason.POLICY_VIOLATED


@pytest.mark.parametrize(
    ("allowed", "stated"),
    [(["a"], "a"), ("a", ["a"]), (["a", "b"], ["a"]), (["a"], ["a", "b"]), (1, True), ("1", 1), ({}, [])],
)
def test_values_that_only_look_alike_differ(allowed: Any, stated: Any):
    with pytest.raises(FederationError) as refused:
        applied({"one_of": [allowed]}, {"p": stated})
    assert refused.value.reason is FederationReason.POLICY_VIOLATED


@pytest.mark.parametrize(
    ("allowed", "stated"), [(["a", "b"], ["b", "a"]), ({"x": 1, "y": 2}, {"y": 2, "x": 1})]
)
def test_values_that_are_the_same_in_another_order(allowed: Any, stated: Any):
    assert applied({"one_of": [allowed]}, {"p": stated}) == stated


def test_a_scope_keeps_the_form_it_has():
    assert applied({"subset_of": ["a"]}, {"scope": ["a", "b"]}, "scope") == ["a"]
    assert applied({"subset_of": ["a"]}, {"scope": "a b"}, "scope") == "a"
    assert applied({"value": "a b"}, {"scope": "c"}, "scope") == "a b"
