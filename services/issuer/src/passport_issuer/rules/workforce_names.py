"""Comparing people across systems: accents, several given names, changed surnames.

Folding is for comparison only; nothing folded is ever stored or shown. A comparison says what differs, field
by field, and never decides that two records are one person: a named person does (domain model, employee
linking; names are poor in every workforce system).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from passport_issuer.rules.records import StaffMember
from passport_issuer.rules.workforce import ForeignPerson, Refusal

# Letters that do not come apart under NFKD, and what systems without them write instead.
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "ß": "ss",
        "ı": "i",
        "ħ": "h",
        "ŋ": "n",
    }
)
_LEFT_OUT = frozenset("'’‘ʼ`´.·")


class Difference(StrEnum):
    """PERSISTED. How a field of two records differs; only the first three pass without a person's reason."""

    SAME = "SAME"
    SPELLING = "SPELLING"  # accents, case, hyphens or apostrophes only
    FEWER_NAMES = "FEWER_NAMES"  # one of the two leaves out later given names
    PREVIOUS_NAME = "PREVIOUS_NAME"  # the other system knows ours as an earlier family name
    PREFERRED_NAME = "PREFERRED_NAME"  # one of the two uses the preferred name
    NOT_GIVEN = "NOT_GIVEN"  # the other system does not say
    DIFFERENT = "DIFFERENT"


HARMLESS = frozenset({Difference.SAME, Difference.SPELLING, Difference.FEWER_NAMES})


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What differs between a member of staff and a person of another system."""

    given_name: Difference
    family_name: Difference
    birthdate: Difference

    @property
    def needs_reason(self) -> bool:
        """Whether choosing this person needs a reason in words."""
        return not {self.given_name, self.family_name, self.birthdate} <= HARMLESS

    def as_dict(self) -> dict[str, str]:
        """By field, for answers and rows."""
        return {
            "given_name": self.given_name.value,
            "family_name": self.family_name.value,
            "birthdate": self.birthdate.value,
        }


def tokens(name: str) -> tuple[str, ...]:
    """The words of a name, folded: no accents, no case, hyphens as spaces, apostrophes and dots left out."""
    lowered = unicodedata.normalize("NFKC", name).casefold().translate(_LETTERS)
    found: list[str] = []
    for character in unicodedata.normalize("NFKD", lowered):
        if unicodedata.combining(character) or character in _LEFT_OUT:
            continue
        found.append(character if character.isalnum() else " ")
    return tuple("".join(found).split())


def folded(name: str) -> str:
    """A name for systems that know no accents: used in searches, never kept."""
    return " ".join(tokens(name))


def _given(ours: str, theirs: str, preferred: Iterable[str | None]) -> Difference:
    if _plain(ours) == _plain(theirs):
        return Difference.SAME
    mine, other = tokens(ours), tokens(theirs)
    if mine == other:
        return Difference.SPELLING
    if _shortened(mine, other) or _shortened(other, mine):
        return Difference.FEWER_NAMES
    if any(name and tokens(name)[:1] in (mine[:1], other[:1]) for name in preferred):
        return Difference.PREFERRED_NAME
    return Difference.DIFFERENT


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", " ".join(name.split()))


def _shortened(short: tuple[str, ...], full: tuple[str, ...]) -> bool:
    """Whether ``short`` begins like ``full`` with later names left out or as initials."""
    if not short or len(short) > len(full) or short[0] != full[0]:
        return False
    rest = iter(full[1:])
    return all(any(word in (name, name[:1]) for name in rest) for word in short[1:])


def _family(ours: str, theirs: str, earlier: Iterable[str]) -> Difference:
    if _plain(ours) == _plain(theirs):
        return Difference.SAME
    if tokens(ours) == tokens(theirs):
        return Difference.SPELLING
    if any(tokens(name) == tokens(ours) for name in earlier):
        return Difference.PREVIOUS_NAME
    return Difference.DIFFERENT


def compare(staff: StaffMember, foreign: ForeignPerson) -> Comparison:
    """Compare a member of staff with a person of another system."""
    birthdate = Difference.SAME if foreign.birthdate == staff.birthdate else Difference.DIFFERENT
    return Comparison(
        given_name=_given(
            staff.legal_given, foreign.given_name, (staff.preferred_name, foreign.preferred_name)
        ),
        family_name=_family(staff.legal_family, foreign.family_name, foreign.previous_family_names),
        birthdate=Difference.NOT_GIVEN if foreign.birthdate is None else birthdate,
    )


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The other system's words for a person when somebody chose them: what later answers must still be."""

    person_id: str
    given_name: str
    family_name: str
    previous_family_names: tuple[str, ...]
    birthdate: date | None


def still_the_same(
    staff: StaffMember, ods: str, chosen: Chosen, foreign: ForeignPerson, answered_id: str
) -> Refusal | None:
    """Whether a later answer is still about the person who was chosen; else why not.

    A birthdate must be ours or the one that was accepted; so must the names, but for spelling and later
    given names. A family name that changed while everything else stayed is said so, not called a lie: people
    marry.
    """
    if foreign.person_id != chosen.person_id or answered_id != chosen.person_id:
        return Refusal.OTHER_PERSON
    if foreign.organisation not in (None, ods):
        return Refusal.OTHER_ORGANISATION
    if foreign.birthdate not in (staff.birthdate, chosen.birthdate):
        return Refusal.OTHER_PERSON
    mine = compare(staff, foreign)
    given_as_chosen = _given(chosen.given_name, foreign.given_name, ())
    if not {mine.given_name, given_as_chosen} & (HARMLESS | {Difference.PREFERRED_NAME}):
        return Refusal.OTHER_PERSON
    known = {tokens(staff.legal_family), tokens(chosen.family_name)}
    if {tokens(foreign.family_name), *map(tokens, foreign.previous_family_names)} & known:
        return None
    return Refusal.NAME_CHANGED


def is_applicant(
    given_name: str,
    family_name: str,
    birthdate: date,
    *,
    given: Iterable[str],
    family: Iterable[str],
    born: date,
) -> bool:
    """Whether a record that names its subject is about a person known by these names."""
    if birthdate != born:
        return False
    if tokens(family_name) not in {tokens(name) for name in family}:
        return False
    return any(_given(name, given_name, ()) in HARMLESS for name in given)
