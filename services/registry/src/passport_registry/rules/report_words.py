"""The words of reports, as data by language: titles, columns, definitions, and labels of codes.

A code without a label is shown as itself, so that a new movement type is never a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passport_registry.rules.reports import data
from passport_shared.wire.activity import workforce_groups

ENGLISH = "en-GB"


def say(key: str, locale: str = ENGLISH, **facts: object) -> str:
    """The words of a key in one language, with ``{facts}`` filled in; KeyError for none."""
    text: str = data("labels")[key][locale]
    return text.format(**facts) if facts else text


def code(kind: str, value: str, locale: str = ENGLISH) -> str:
    """The label of a code, or the code in plain letters; *not recorded* for none."""
    if not value:
        return say("word.not_recorded", locale)
    label: Mapping[str, str] | None = data("labels").get(f"{kind}.{value}")
    return label[locale] if label else value.replace("_", " ").capitalize()


def known(kind: str, value: str, otherwise: str, locale: str = ENGLISH) -> str:
    """The label of a code, or these words for one without a label."""
    label: Mapping[str, str] | None = data("labels").get(f"{kind}.{value}")
    return label[locale] if label else otherwise


def group(value: str, locale: str = ENGLISH) -> str:
    """The label of a workforce group."""
    known = workforce_groups().get(value)
    return str(known[locale]) if known else code("workforce_group", value, locale)


def role(value: str, locale: str = ENGLISH, *, many: bool = False) -> str:
    """The label of a role, of one person or of several."""
    label: Mapping[str, Any] | None = data("labels").get(f"role.{value}")
    if label is None:
        return code("role", value, locale)
    return str(label[f"{locale}.many" if many else locale])


def use_case(movement_type: str, role_profile: str, use: str, n: int, locale: str = ENGLISH) -> str:
    """The sentence that says what n passports were for."""
    form = "one" if n == 1 else "many"
    for case in data("use_cases"):
        if (case["movement_type"], case["role_profile"]) == (movement_type, role_profile):
            return str(case[form][locale]).format(n=n)
    return say(f"use_case_sentence.{form}", locale, n=n, use_case=code("use_case", use, locale))
