"""Plain words for findings, conditions, roles and outcomes, in en-GB and cy (domain model §10h).

Sentences are data in ``words_data``; parameters that are codes become the catalogue's labels. Nobody is
ever called suitable or unsuitable: a person is ready to start, or not ready yet, and the words say what is
missing and who can put it right. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from importlib import resources
from typing import Any

from passport_shared.wire import catalogue
from passport_verifier.rules.outcome import LONDON, Outcome, Party, Words

LOCALES = ("en-GB", "cy")


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    text = resources.files(__package__).joinpath("words_data", "words.json").read_text("utf-8")
    data: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads(text)
    return data


def known_keys() -> frozenset[str]:
    """Every key that has a sentence."""
    return frozenset(_data()["sentences"])


def _value(name: str, value: Any, locale: str) -> str:
    if name == "subject" and value:
        return catalogue.TYPES["CoreSkills"].label(("skills", value), locale)
    if name == "credential" and value in catalogue.TYPES:
        return catalogue.TYPES[value].display[locale]["name"]
    if name in {"date", "offer"} and value:
        return day(date.fromisoformat(value), locale)
    if name == "moment" and value:
        return moment(datetime.fromisoformat(value), locale)
    return catalogue.value_label(value, locale)


def sentence(words: Words, locale: str) -> str:
    """The sentence in a language; a key with ``subject`` speaks of the subject where it can."""
    sentences = _data()["sentences"]
    params = {name: _value(name, value, locale) for name, value in words.params.items()}
    about_subject = f"{words.key}_SUBJECT"
    key = about_subject if params.get("subject") and about_subject in sentences else words.key
    return sentences[key][locale].format_map(params)


def both(words: Words) -> dict[str, str]:
    """The sentence in both languages."""
    return {locale: sentence(words, locale) for locale in LOCALES}


def party(who: Party, locale: str) -> str:
    """A role in plain words."""
    return _data()["parties"][who][locale]


def outcome(value: Outcome, decided_by: Party | None, locale: str) -> str:
    """An outcome in plain words."""
    text = _data()["outcomes"][value][locale]
    return text.format(party=party(decided_by or Party.HOST_HR, locale))


def rule_name(rule: str, locale: str) -> str:
    """What a rule is about."""
    return _data()["rules"][rule][locale]


def day(value: date, locale: str) -> str:
    """A day as people write it, such as 3 May 2026."""
    month = _data()["months"][str(value.month)][locale]
    return f"{value.day} {month} {value.year}"


def moment(value: datetime, locale: str) -> str:
    """An instant as people write it, in London time."""
    local = value.astimezone(LONDON)
    return f"{day(local.date(), locale)}, {local:%H:%M}"
