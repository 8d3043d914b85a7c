"""Plain words for alerts, in en-GB and cy (domain model §10h): what changed, what to do, never why. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any

from passport_shared.wire import catalogue
from passport_verifier.rules import wording
from passport_verifier.rules.outcome import Outcome, Words
from passport_verifier.rules.wording import LOCALES


@lru_cache(maxsize=1)
def _sentences() -> Mapping[str, Mapping[str, str]]:
    text = resources.files(__package__).joinpath("words_data", "alerts.json").read_text("utf-8")
    data: Mapping[str, Mapping[str, str]] = json.loads(text)
    return data


def known_keys() -> frozenset[str]:
    """Every key that has a sentence."""
    return frozenset(_sentences())


def both(words: Words) -> dict[str, str]:
    """An alert's own sentence in both languages."""
    return {locale: sentence(words, locale) for locale in LOCALES}


def sentence(words: Words, locale: str) -> str:
    """An alert's own sentence.

    Parameters: ``date`` a day, ``outcome`` a code, ``credential`` and ``subject`` what runs out (``what``),
    ``condition`` the key of a condition's words, the rest as it stands.
    """
    params = {name: _value(name, value, words.params, locale) for name, value in words.params.items()}
    if "credential" in words.params:
        params["what"] = _what(words.params, locale)
    return _sentences()[words.key][locale].format_map(params)


def _value(name: str, value: Any, params: Mapping[str, Any], locale: str) -> str:
    if name == "date":
        return wording.day(date.fromisoformat(value), locale)
    if name == "outcome":
        return wording.outcome(Outcome(value), None, locale)
    if name == "condition":
        return wording.sentence(Words(key=value, params={"subject": params.get("subject") or ""}), locale)
    return str(value)


def _what(params: Mapping[str, Any], locale: str) -> str:
    kind = catalogue.TYPES[params["credential"]]
    if params.get("subject"):
        return kind.label(("skills", params["subject"]), locale)
    return kind.display[locale]["name"]
