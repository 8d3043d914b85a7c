"""The comparison that keeps two people's credentials apart (design §4.4)."""

# ruff: noqa: E501 - a table of cases reads better with a case per line
from __future__ import annotations

from dataclasses import replace

import pytest

from passport_verifier.rules.one_person import Identified, normalised, one_person

IDENTITY = Identified(
    credential="StaffIdentity",
    iss="https://issuer.example/RBV",
    holder_thumbprint="key-1",
    holder_ref="ref-1",
    family_name="Okonkwo-Price",
    given_name="Adaeze",
    birthdate="1981-03-09",
)
NAMELESS = replace(IDENTITY, family_name=None, given_name=None, birthdate=None)
OTHER = Identified(
    credential="CoreSkills",
    iss="https://issuer.example/RM3",
    holder_thumbprint="key-2",
    holder_ref="ref-2",
    family_name=None,
    given_name=None,
    birthdate=None,
)
SAME_PASSPORT = replace(NAMELESS, credential="DbsOutcome", holder_thumbprint="key-3")
SAME_KEY = replace(OTHER, holder_thumbprint="key-1")
NAMED = replace(OTHER, family_name="OKONKWO\u2010PRICE", given_name=" adaeze ", birthdate="1981-03-09")


@pytest.mark.parametrize(
    ("name", "presented", "same"),
    [
        ("identity alone", [IDENTITY], True),
        ("a: issuer and holder_ref", [IDENTITY, SAME_PASSPORT], True),
        ("b: same key", [IDENTITY, SAME_KEY], True),
        ("b: same key as one accepted", [replace(OTHER, holder_thumbprint="key-3"), SAME_PASSPORT, IDENTITY], True),
        ("c: names and birthdate", [IDENTITY, NAMED], True),
        ("holder_ref of another issuer", [IDENTITY, replace(OTHER, holder_ref="ref-1")], False),
        ("issuer without holder_ref", [replace(IDENTITY, holder_ref=None), replace(SAME_PASSPORT, holder_ref=None)], False),
        ("nothing in common", [IDENTITY, OTHER], False),
        ("another birthdate", [IDENTITY, replace(NAMED, birthdate="1981-09-03")], False),
        ("another given name", [IDENTITY, replace(NAMED, given_name="Ada")], False),
        ("accents count", [IDENTITY, replace(NAMED, given_name="Adaéze")], False),
        ("family name withheld", [IDENTITY, replace(NAMED, family_name=None)], False),
        ("empty names do not match", [replace(IDENTITY, given_name=""), replace(NAMED, given_name="")], False),
        ("blank names do not match", [replace(IDENTITY, given_name=" "), replace(NAMED, given_name="\u00a0")], False),
        ("both birthdates withheld", [replace(IDENTITY, birthdate=None), replace(NAMED, birthdate=None)], False),
        ("no identity", [OTHER], False),
        ("two identities", [IDENTITY, IDENTITY], False),
        ("one of three is a stranger", [IDENTITY, SAME_PASSPORT, OTHER], False),
        ("nothing", [], False),
    ],
)  # fmt: skip
def test_one_person_table(name: str, presented: list[Identified], same: bool):
    assert one_person(presented) is same, name


def test_the_documented_comparison():
    assert normalised("  O\u2019BRIEN  \u2011 Smith ") == "o'brien - smith"
    assert normalised("Straße") == normalised("STRASSE")
    assert normalised("Zoe\u0308") == normalised("ZOË")
    assert normalised("Zoe") != normalised("Zoë")
