"""Are these credentials one person's? (design §4.4, "One person").

A set is one person's only if the StaffIdentity is in it and every other credential (a) has the same ``iss``
and ``holder_ref`` as the StaffIdentity, or (b) has the same key as one already accepted, or (c) matches the
StaffIdentity in names and birthdate.

The comparison of (c): Unicode NFKC, case folded, every run of white space one space, no space around;
typographic apostrophes and hyphens equal their ASCII forms. Family name, given name and birthdate must all
be there and all be equal after that. Accents count, and so do middle names: a shortened or translated name
is not matched, because a false match would join two people. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

ANCHOR = "StaffIdentity"
FORMS = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u2010": "-", "\u2011": "-", "\u2013": "-"}
)


@dataclass(frozen=True, kw_only=True)
class Identified:
    """What of one credential says whose it is; None for what was not disclosed."""

    credential: str
    iss: str
    holder_thumbprint: str
    holder_ref: str | None
    family_name: str | None
    given_name: str | None
    birthdate: str | None


def normalised(name: str) -> str:
    """A name as it is compared."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.translate(FORMS).split())


def same_names(one: Identified, other: Identified) -> bool:
    """Names and birthdate of both are there and equal."""
    pairs = ((one.family_name, other.family_name), (one.given_name, other.given_name))
    if one.birthdate is None or one.birthdate != other.birthdate:
        return False
    # A name of white space alone says nothing about anybody, so it joins nothing.
    compared = [(normalised(left or ""), normalised(right or "")) for left, right in pairs]
    return all(left and left == right for left, right in compared)


def _joins(candidate: Identified, anchor: Identified, keys: set[str]) -> bool:
    same_passport = (
        candidate.holder_ref is not None
        and candidate.holder_ref == anchor.holder_ref
        and candidate.iss == anchor.iss
    )
    return same_passport or candidate.holder_thumbprint in keys or same_names(candidate, anchor)


def one_person(presented: Sequence[Identified]) -> bool:
    """Whether every credential is the person's whose StaffIdentity is among them."""
    anchors = [entry for entry in presented if entry.credential == ANCHOR]
    if len(anchors) != 1:
        return False
    anchor = anchors[0]
    keys, waiting = {anchor.holder_thumbprint}, [entry for entry in presented if entry is not anchor]
    while waiting:
        joined = [entry for entry in waiting if _joins(entry, anchor, keys)]
        if not joined:
            return False
        keys.update(entry.holder_thumbprint for entry in joined)
        waiting = [entry for entry in waiting if entry not in joined]
    return True
