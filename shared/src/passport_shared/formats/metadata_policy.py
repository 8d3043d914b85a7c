"""Metadata policy of OpenID Federation 1.0 §6.1: the seven standard operators, merged and applied.

Pure functions on JSON. Operators this network does not know are ignored, as the specification says; that a
critical one is not, is checked where the statement is read (`entity_statement`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from passport_shared.formats import strict
from passport_shared.formats.federation_jws import FederationError, FederationReason

OPERATORS = ("value", "add", "default", "one_of", "subset_of", "superset_of", "essential")

MAX_PARAMETERS = 128
MAX_OPERAND_VALUES = 128

_LIST_OPERATORS = frozenset({"add", "one_of", "subset_of", "superset_of"})
# The one parameter that is a string of words and that operators treat as an array (§6.1.3.1.8).
_SPACE_SEPARATED = "scope"

Operators = dict[str, Any]
Policy = dict[str, dict[str, Operators]]


def merge_policies(policies: Sequence[Mapping[str, Any]]) -> Policy:
    """Merge the policies of a chain, the most superior first, into the one that applies.

    Raises:
        FederationError: `BAD_POLICY` for a malformed policy or operators that exclude each other,
            `POLICY_CONFLICT` for a subordinate policy that does not fit its superior's.
    """
    merged: Policy = {}
    for policy in policies:
        for entity_type, parameters in read_policy(policy).items():
            known = merged.setdefault(entity_type, {})
            for name, operators in parameters.items():
                if name not in known:
                    known[name] = operators
                    continue
                known[name] = _merge_operators(known[name], operators)
                _check_combination(known[name], FederationReason.POLICY_CONFLICT)
    return merged


def apply_policy(policy: Policy, metadata: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Apply a merged policy to the metadata of the chain's subject.

    Entity types the subject does not have stay absent.

    Raises:
        FederationError: `POLICY_VIOLATED`: a check failed or an essential parameter is missing.
    """
    resolved = {entity_type: dict(parameters) for entity_type, parameters in metadata.items()}
    for entity_type, parameters in policy.items():
        if entity_type in resolved:
            for name, operators in parameters.items():
                _apply_to_parameter(resolved[entity_type], name, operators)
    return resolved


def read_policy(value: Mapping[str, Any]) -> Policy:
    """Read one statement's policy: standard operators only, each well-formed, none excluding another.

    Raises:
        FederationError: `BAD_POLICY`.
    """
    policy: Policy = {}
    for entity_type, parameters in value.items():
        if not isinstance(parameters, Mapping) or len(parameters) > MAX_PARAMETERS:
            _bad("a policy is an object of parameters")
        policy[entity_type] = {name: _read_operators(operators) for name, operators in parameters.items()}
    return policy


def _read_operators(value: object) -> Operators:
    if not isinstance(value, Mapping):
        _bad("a parameter's policy is an object of operators")
    operators = {name: value[name] for name in OPERATORS if name in value}
    for name in _LIST_OPERATORS & operators.keys():
        if not isinstance(operators[name], list) or len(operators[name]) > MAX_OPERAND_VALUES:
            _bad(f"{name} is an array")
    if not isinstance(operators.get("essential", False), bool):
        _bad("essential is true or false")
    if "default" in operators and operators["default"] is None:
        _bad("default is never null")
    _check_combination(operators, FederationReason.BAD_POLICY)
    return operators


def _check_combination(operators: Operators, reason: FederationReason) -> None:
    """The combinations of §6.1.3.1; what is not listed there is not allowed."""

    def refuse_unless(fits: bool, text: str) -> None:
        if not fits:
            raise FederationError(reason, text)

    def both(one: str, other: str) -> bool:
        return one in operators and other in operators

    if "value" in operators:
        value = operators["value"]
        removed = value is None
        refuse_unless(not (removed and "default" in operators), "default beside a removed value")
        refuse_unless(not (removed and operators.get("essential") is True), "an essential value is removed")
        refuse_unless("one_of" not in operators or _among(value, operators["one_of"]), "value not in one_of")
        values = _elements(value)
        refuse_unless(_within(operators.get("add", []), values), "add goes beyond value")
        refuse_unless(
            "subset_of" not in operators or _within(values, operators["subset_of"]), "value beyond subset_of"
        )
        refuse_unless(_within(operators.get("superset_of", []), values), "value lacks some of superset_of")
    if both("add", "subset_of"):
        refuse_unless(_within(operators["add"], operators["subset_of"]), "add goes beyond subset_of")
    if both("subset_of", "superset_of"):
        refuse_unless(_within(operators["superset_of"], operators["subset_of"]), "no set fits both bounds")
    if "one_of" in operators:
        clash = {"add", "subset_of", "superset_of"} & operators.keys()
        refuse_unless(not clash, "one_of beside an operator for arrays")


def _merge_operators(superior: Operators, subordinate: Operators) -> Operators:
    merged = dict(superior)
    for name, operand in subordinate.items():
        merged[name] = _MERGES[name](superior[name], operand) if name in superior else operand
    return merged


def _equal_only(superior: Any, subordinate: Any) -> Any:
    if not _same(superior, subordinate):
        raise FederationError(FederationReason.POLICY_CONFLICT, "value and default merge only when equal")
    return superior


def _one_of(superior: list[Any], subordinate: list[Any]) -> list[Any]:
    common = _intersection(superior, subordinate)
    if not common:
        raise FederationError(FederationReason.POLICY_CONFLICT, "no value is left in one_of")
    return common


def _intersection(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    return [value for value in one if _among(value, other)]


def _union(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    return [*one, *(value for value in other if not _among(value, one))]


def _either(superior: bool, subordinate: bool) -> bool:
    return superior or subordinate


_MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "value": _equal_only,
    "add": _union,
    "default": _equal_only,
    "one_of": _one_of,
    "subset_of": _intersection,
    "superset_of": _union,
    "essential": _either,
}


def _apply_to_parameter(parameters: dict[str, Any], name: str, operators: Operators) -> None:
    """Value, add, default, one_of, subset_of, superset_of, essential, in this order."""
    present = name in parameters
    current = parameters.pop(name, None)
    words = name == _SPACE_SEPARATED and (isinstance(current, str) or not present)
    if words and isinstance(current, str):
        current = current.split()
    if "value" in operators:
        current, present = operators["value"], operators["value"] is not None
    if "add" in operators:
        current, present = _union(_array(name, current) if present else [], operators["add"]), True
    if "default" in operators and not present:
        current, present = operators["default"], True
    if present and "one_of" in operators and not _among(current, operators["one_of"]):
        _violated(f"{name} is not one of the allowed values")
    if present and "subset_of" in operators:
        current = _intersection(_array(name, current), operators["subset_of"])
    if (
        present
        and "superset_of" in operators
        and not _within(operators["superset_of"], _array(name, current))
    ):
        _violated(f"{name} lacks a required value")
    if operators.get("essential") and not present:
        _violated(f"{name} is essential and missing")
    if present:
        parameters[name] = " ".join(current) if words and isinstance(current, list) else current


def _array(name: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        _violated(f"{name} is not an array")
    return value


def _elements(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _same(one: object, other: object) -> bool:
    # Through canonical JSON, so that true is not 1 and member order does not matter; arrays are sets here.
    if isinstance(one, list) and isinstance(other, list):
        return _within(one, other) and _within(other, one)
    return strict.canonical(one) == strict.canonical(other)


def _among(value: object, values: Sequence[Any]) -> bool:
    return any(_same(value, other) for other in values)


def _within(values: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(_among(value, others) for value in values)


def _bad(text: str) -> NoReturn:
    raise FederationError(FederationReason.BAD_POLICY, text)


def _violated(text: str) -> NoReturn:
    raise FederationError(FederationReason.POLICY_VIOLATED, text)
