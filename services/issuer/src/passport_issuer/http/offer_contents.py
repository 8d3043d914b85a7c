"""What is in an offer, as its holder reads it on the offer page: sections, details, values in plain words.

Every detail that will be issued is there to be checked, once: names and birth date, which every record
repeats, stand in the first section and come again only where a record says something else. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from passport_shared.wire import catalogue

HIDDEN = ("holder_ref", "provenance")
PERSON = ("family_name", "given_name", "birthdate")
SHOWN_AT_ONCE = 2
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")

SayDay = Callable[[date], str]


@dataclass(frozen=True)
class Row:
    """One detail: its label and value, or for a subject of a card its first details and ``more``."""

    label: str
    value: str
    more: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Section:
    """One record: its name and details."""

    name: str
    rows: tuple[Row, ...]


def sections(records: Iterable[tuple[str, Mapping[str, Any]]], locale: str, say_day: SayDay) -> list[Section]:
    """The sections of an offer.

    Args:
        records: type name and claims of each record, in the order of the offer.
        locale: ``en-GB`` or ``cy``.
        say_day: a day as people write it in that language.
    """
    said: set[tuple[str, object]] = set()
    found = []
    for name, claims in records:
        kind = catalogue.TYPES[name]
        person = [(claim, claims[claim]) for claim in PERSON if claim in claims]
        own = [(claim, value) for claim, value in claims.items() if claim not in (*HIDDEN, *PERSON)]
        rows = [
            row
            for claim, value in [*(detail for detail in person if detail not in said), *own]
            for row in _rows(kind, claim, value, locale, say_day)
        ]
        said.update(person)
        found.append(Section(kind.display[locale]["name"], tuple(rows)))
    return found


def _rows(
    kind: catalogue.CredentialType, claim: str, value: object, locale: str, say_day: SayDay
) -> Sequence[Row]:
    if isinstance(value, Mapping):
        return [_subject(kind, (claim, key), inner, locale, say_day) for key, inner in value.items()]
    return [Row(kind.label((claim,), locale), _plain(value, locale, say_day))]


def _subject(
    kind: catalogue.CredentialType, path: tuple[str, str], value: object, locale: str, say_day: SayDay
) -> Row:
    """One subject of a card as one row: what matters most at once, the rest under it."""
    label = kind.label(path, locale)
    if not isinstance(value, Mapping):
        return Row(label, _plain(value, locale, say_day))
    details = [
        (kind.label((*path, member), locale).removeprefix(f"{label}: "), _plain(inner, locale, say_day))
        for member, inner in value.items()
    ]
    first = ", ".join(f"{name} {text}" for name, text in details[:SHOWN_AT_ONCE])
    rest = tuple((_upper_first(name), text) for name, text in details[SHOWN_AT_ONCE:])
    return Row(label, _upper_first(first), rest)


def _plain(value: object, locale: str, say_day: SayDay) -> str:
    """A value as people write it; an image is only named, a code without words loses its underscores."""
    if isinstance(value, str) and value.startswith("data:image/"):
        return catalogue.value_label(True, locale)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str) and _DAY.fullmatch(value):
        return say_day(date.fromisoformat(value))
    text = catalogue.value_label(value, locale)
    return text.replace("_", " ").capitalize() if _CODE.fullmatch(text) else text


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]
