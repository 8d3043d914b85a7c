"""Regulators of health and care professions and the form of their registration numbers.

Dated data, not an enumeration in code: a regulator that is not listed is not refused, its numbers are simply
not checked for form. The register itself is looked up by people (or a feed), never here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Regulator:
    """A regulator: its short name, its name in both languages, and the pattern of a registration number."""

    code: str
    names: Mapping[str, str]
    number: re.Pattern[str]


def _load() -> dict[str, Regulator]:
    text = resources.files(__package__).joinpath("catalogue_data", "regulators.json").read_text("utf-8")
    return {
        code: Regulator(code, entry["name"], re.compile(entry["number"], re.ASCII))
        for code, entry in json.loads(text).items()
    }


REGULATORS: dict[str, Regulator] = _load()


def number_has_form(regulator: str, number: str) -> bool:
    """Whether a registration number has the form its regulator uses; True for a regulator not listed."""
    known = REGULATORS.get(regulator)
    return known is None or known.number.fullmatch(number) is not None
