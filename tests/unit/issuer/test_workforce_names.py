"""Comparing people across systems: what is a spelling, what is a difference, and what is never guessed."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_issuer.rules.workforce import ForeignPerson, Refusal
from passport_issuer.rules.workforce_names import (
    Chosen,
    Difference,
    compare,
    folded,
    is_applicant,
    still_the_same,
    tokens,
)
from passport_testkit.records import staff

BORN = date(1981, 3, 9)
S, F, P, PREFERRED, D = (
    Difference.SPELLING,
    Difference.FEWER_NAMES,
    Difference.PREVIOUS_NAME,
    Difference.PREFERRED_NAME,
    Difference.DIFFERENT,
)
SAME = Difference.SAME


def foreign(given_name: str, family_name: str, **more: object) -> ForeignPerson:
    values: dict[str, object] = {"person_id": "1", "birthdate": BORN, **more}
    return ForeignPerson(given_name=given_name, family_name=family_name, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Núñez", "nunez"),
        ("O’Brien", "obrien"),
        ("O'Brien", "obrien"),
        ("Okonkwo-Price", "okonkwo price"),
        ("Łukasiewicz", "lukasiewicz"),
        ("Sørensen", "sorensen"),
        ("Weiß", "weiss"),
        ("ÅSE  Æbel", "ase aebel"),
        ("Đặng", "dang"),
        ("ap Rhŷs", "ap rhys"),
        ("St. John", "st john"),
        ("J. R.", "j r"),
    ],
)
def test_folding(name: str, plain: str) -> None:
    assert folded(name) == plain


GIVEN = [
    ("Adaeze", "Adaeze", SAME),
    ("Zoë", "Zoe", S),
    ("Zoe\u0308", "Zoë", SAME),  # the same name, composed differently
    ("Anne-Marie", "Anne Marie", S),
    ("María José", "Maria", F),
    ("Maria", "Maria José Luisa", F),
    ("Anne Louise", "Anne L", F),
    ("Anne Louise Jane", "Anne Jane", F),
    ("Anne Louise", "Louise Anne", D),
    ("Ann", "Anne", D),
    ("Robert", "Bob", D),
    ("A", "Adaeze", D),
    ("", "Adaeze", D),
]


@pytest.mark.parametrize(("ours", "theirs", "expected"), GIVEN)
def test_given_names(ours: str, theirs: str, expected: Difference) -> None:
    found = compare(staff(legal_given=ours), foreign(theirs, "Okonkwo-Price"))
    assert found.given_name is expected
    assert found.family_name is SAME
    mirrored = compare(staff(legal_given=theirs), foreign(ours, "Okonkwo-Price"))
    assert mirrored.given_name is expected


def test_a_preferred_name_is_said_so_and_needs_a_reason() -> None:
    for ours, theirs in (
        (staff(legal_given="Robert", preferred_name="Bob"), foreign("Bob", "Okonkwo-Price")),
        (staff(legal_given="Bob"), foreign("Robert", "Okonkwo-Price", preferred_name="Bob")),
    ):
        found = compare(ours, theirs)
        assert found.given_name is PREFERRED
        assert found.needs_reason


FAMILY = [
    ("Okonkwo-Price", "Okonkwo Price", (), S),
    ("O’Brien", "OBRIEN", (), S),
    ("Taylor", "Smith", ("Jones", "Taylor"), P),
    ("Taylor", "Smith", (), D),
    ("Okonkwo-Price", "Okonkwo", (), D),
    ("Smith", "Smyth", (), D),
]


@pytest.mark.parametrize(("ours", "theirs", "earlier", "expected"), FAMILY)
def test_family_names(ours: str, theirs: str, earlier: tuple[str, ...], expected: Difference) -> None:
    found = compare(staff(legal_family=ours), foreign("Adaeze", theirs, previous_family_names=earlier))
    assert found.family_name is expected
    assert found.needs_reason == (expected in (P, D))


def test_birthdates() -> None:
    assert compare(staff(), foreign("Adaeze", "Okonkwo-Price")).birthdate is SAME
    for birthdate, expected in ((None, Difference.NOT_GIVEN), (date(1981, 9, 3), D)):
        found = compare(staff(), foreign("Adaeze", "Okonkwo-Price", birthdate=birthdate))
        assert found.birthdate is expected
        assert found.needs_reason


CHOSEN = Chosen(
    person_id="1",
    given_name="Adaeze",
    family_name="Okonkwo",
    previous_family_names=(),
    birthdate=BORN,
)
LATER = [
    (foreign("Adaeze", "Okonkwo-Price"), None),
    (foreign("Adaeze", "Okonkwo"), None),  # as it was when somebody chose it
    (foreign("ADAEZE NGOZI", "okonkwo price"), None),
    (foreign("Adaeze", "Adeyemi", previous_family_names=("Okonkwo-Price",)), None),
    (foreign("Adaeze", "Adeyemi"), Refusal.NAME_CHANGED),
    (foreign("Somebody", "Okonkwo-Price"), Refusal.OTHER_PERSON),
    (foreign("Adaeze", "Okonkwo-Price", birthdate=date(1990, 1, 1)), Refusal.OTHER_PERSON),
    (foreign("Adaeze", "Okonkwo-Price", birthdate=None), Refusal.OTHER_PERSON),
    (foreign("Adaeze", "Okonkwo-Price", person_id="2"), Refusal.OTHER_PERSON),
    (foreign("Adaeze", "Okonkwo-Price", organisation="R0A"), Refusal.OTHER_ORGANISATION),
    (foreign("Adaeze", "Okonkwo-Price", organisation="RBV"), None),
]


@pytest.mark.parametrize(("person", "expected"), LATER)
def test_a_later_answer_is_still_about_the_one_who_was_chosen(
    person: ForeignPerson, expected: Refusal | None
) -> None:
    assert still_the_same(staff(), "RBV", CHOSEN, person, person.person_id) is expected


def test_records_under_another_id_are_another_persons() -> None:
    person = foreign("Adaeze", "Okonkwo-Price")
    assert still_the_same(staff(), "RBV", CHOSEN, person, "7") is Refusal.OTHER_PERSON


APPLICANTS = [
    ("Adaeze", "Okonkwo-Price", BORN, True),
    ("Adaeze Ngozi", "OKONKWO", BORN, True),
    ("Adaeze", "Adeyemi", BORN, False),
    ("Ngozi", "Okonkwo", BORN, False),
    ("Adaeze", "Okonkwo", date(1990, 1, 1), False),
]


@pytest.mark.parametrize(("given_name", "family_name", "born", "expected"), APPLICANTS)
def test_a_record_that_names_its_subject(
    given_name: str, family_name: str, born: date, expected: bool
) -> None:
    names = ["Okonkwo-Price", "Okonkwo"]
    found = is_applicant(given_name, family_name, born, given=["Adaeze"], family=names, born=BORN)
    assert found is expected


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40))
def test_folding_never_fails_and_folds_once(name: str) -> None:
    once = folded(name)
    assert tokens(once) == tokens(name)
    assert folded(once) == once


NAMES = st.lists(
    st.sampled_from(["Ana", "Zoë", "José", "Ng", "O’Dea", "de", "Łucja"]), min_size=1, max_size=3
)


@settings(max_examples=100, deadline=None)
@given(NAMES, NAMES, NAMES, NAMES)
def test_no_difference_is_harmless_unless_one_contains_the_other(
    given_a: list[str], given_b: list[str], family_a: list[str], family_b: list[str]
) -> None:
    ours = staff(legal_given=" ".join(given_a), legal_family=" ".join(family_a))
    found = compare(ours, foreign(" ".join(given_b), " ".join(family_b)))
    if not found.needs_reason:
        assert tokens(" ".join(family_a)) == tokens(" ".join(family_b))
        mine, theirs = tokens(" ".join(given_a)), tokens(" ".join(given_b))
        assert mine[0] == theirs[0]
