"""What the offer page shows: every detail once, in words, and nothing that is for machines only."""

from __future__ import annotations

from datetime import date

import pytest

from passport_issuer.http import offer_contents
from passport_shared.wire import catalogue
from passport_testkit.datasets import dataset


def say(value: date) -> str:
    return f"{value.day}/{value.month}/{value.year}"


def of(*names: str, locale: str = "en-GB", **changed: object) -> list[offer_contents.Section]:
    return offer_contents.sections([(name, dataset(name, **changed)) for name in names], locale, say)


@pytest.mark.parametrize("locale", catalogue.LOCALES)
@pytest.mark.parametrize("name", sorted(catalogue.TYPES))
def test_every_detail_of_a_record_is_there(name: str, locale: str) -> None:
    kind, claims = catalogue.TYPES[name], dataset(name)
    [section] = of(name, locale=locale)
    assert section.name == kind.display[locale]["name"]
    labels = [row.label for row in section.rows]
    wanted = [kind.label((claim,), locale) for claim in claims if claim not in offer_contents.HIDDEN]
    if name == "CoreSkills":
        wanted.remove(kind.label(("skills",), locale))
        wanted += [kind.label(("skills", subject), locale) for subject in claims["skills"]]
    assert sorted(labels) == sorted(wanted)


def test_who_it_is_stands_first_and_once() -> None:
    first, second = of("StaffIdentity", "Employment")
    assert [row.label for row in first.rows[:3]] == ["Family name", "Given names", "Date of birth"]
    assert "Family name" not in [row.label for row in second.rows]


def test_another_name_in_a_later_record_is_seen() -> None:
    records = [
        ("StaffIdentity", dataset("StaffIdentity")),
        ("Employment", dataset("Employment", family_name="Somebody-Else")),
    ]
    _, second = offer_contents.sections(records, "en-GB", say)
    assert next((row.label, row.value) for row in second.rows) == ("Family name", "Somebody-Else")
    assert "Given names" not in [row.label for row in second.rows]


def test_a_subject_says_level_and_day_at_once_and_keeps_the_rest_under_it() -> None:
    [section] = of("CoreSkills")
    row = next(row for row in section.rows if row.label == "Fire safety")
    entry = dataset("CoreSkills")["skills"]["FS"]
    assert (
        row.value == f"Level {entry['level']}, completed on {say(date.fromisoformat(entry['completed_on']))}"
    )
    assert len(row.more) == len(entry) - offer_contents.SHOWN_AT_ONCE
    assert ("Training provider", entry["provider"]) in row.more


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2031-05-01", "1/5/2031"),
        ("NONE", "None"),
        ("PERMANENT", "Permanent"),
        ("ZERO_HOURS", "Zero hours"),
        ("GMC", "GMC"),
        ("Ward 7_B", "Ward 7_B"),
        (1.0, "1"),
        (0.6, "0.6"),
        (True, "Yes"),
        (["ADULT", "CHILD"], "Adults, Children"),
        ("data:image/jpeg;base64,AAAA", "Yes"),
    ],
)
def test_values_in_words(value: object, shown: str) -> None:
    [section] = offer_contents.sections([("Employment", {"employment_type": value})], "en-GB", say)
    assert section.rows == (offer_contents.Row("Type of employment", shown),)
