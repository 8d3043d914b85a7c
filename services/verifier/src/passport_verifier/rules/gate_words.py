"""Plain words for gates and approvals, in en-GB and cy, from ``words_data/gates.json``. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any

from passport_verifier.rules import wording
from passport_verifier.rules.gates import Gate, GateCode
from passport_verifier.rules.movement_types import ApprovalKind

Localised = Mapping[str, str]


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Mapping[str, Localised]]:
    text = resources.files(__package__).joinpath("words_data", "gates.json").read_text("utf-8")
    data: Mapping[str, Mapping[str, Localised]] = json.loads(text)
    return data


def known_keys() -> frozenset[str]:
    """Every key that has a sentence."""
    return frozenset(_data()["sentences"])


def name(code: GateCode, locale: str) -> str:
    """What a gate is about."""
    return _data()["names"][code][locale]


def kind(value: ApprovalKind, locale: str) -> str:
    """Whose approval it is."""
    return _data()["kinds"][value][locale]


def says(gate: Gate, locale: str) -> str:
    """What a gate found."""
    return _sentence(gate.key, gate.params, locale)


def next_step(gate: Gate, locale: str) -> str | None:
    """What to do where it does not hold."""
    return _sentence(gate.next_step, gate.params, locale) if gate.next_step else None


def _sentence(key: str, params: Mapping[str, Any], locale: str) -> str:
    told = {one: _value(one, value, locale) for one, value in params.items()}
    return _data()["sentences"][key][locale].format_map(told)


def _value(one: str, value: Any, locale: str) -> str:
    if one == "date":
        return wording.day(date.fromisoformat(value), locale)
    return kind(ApprovalKind(value), locale) if one == "kind" else str(value)
