"""Rules of a release: what two answers add up to, days and limits, who may not answer, who may be meant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passport_issuer.rules.records import EmploymentStatus, ExternalId, ExternalIdKind, Source, StaffMember
from passport_issuer.rules.releases import (
    CaseState,
    Days,
    Named,
    agreed_days,
    could_be,
    is_the_person,
    limits_in_force,
    outcome,
    overlapping,
    released_until,
)
from passport_shared.wire.release import AnswerDecision, Limit, LimitCode

START, MID, END = date(2026, 9, 1), date(2026, 9, 5), date(2026, 9, 30)
YES, NO = AnswerDecision.AGREED, AnswerDecision.DECLINED


def until(day: date) -> Limit:
    return Limit(code=LimitCode.NOT_AFTER, text="until then", date=day)


def since(day: date) -> Limit:
    return Limit(code=LimitCode.NOT_BEFORE, text="from then", date=day)


@pytest.mark.parametrize(
    ("manager", "hr", "expected"),
    [
        (None, None, CaseState.REQUESTED),
        (YES, None, CaseState.REQUESTED),
        (None, YES, CaseState.REQUESTED),
        (YES, YES, CaseState.AGREED),
        (NO, None, CaseState.DECLINED),
        (None, NO, CaseState.DECLINED),
        (NO, YES, CaseState.DECLINED),
        (YES, NO, CaseState.DECLINED),
        (NO, NO, CaseState.DECLINED),
    ],
)
def test_both_agree_and_one_declines(
    manager: AnswerDecision | None, hr: AnswerDecision | None, expected: CaseState
) -> None:
    assert outcome(manager, hr, limited=False) is expected
    limited = CaseState.AGREED_WITH_LIMITS if expected is CaseState.AGREED else expected
    assert outcome(manager, hr, limited=True) is limited


def test_nothing_but_two_agreements_releases() -> None:
    released = [
        pair
        for pair in product((None, YES, NO), repeat=2)
        if outcome(*pair, limited=False) in (CaseState.AGREED, CaseState.AGREED_WITH_LIMITS)
    ]
    assert released == [(YES, YES)]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([], Days(first=START, last=END)),
        ([until(date(2026, 9, 20))], Days(first=START, last=date(2026, 9, 20))),
        ([since(date(2026, 9, 5))], Days(first=date(2026, 9, 5), last=END)),
        ([until(date(2026, 9, 20)), until(date(2026, 9, 10))], Days(first=START, last=date(2026, 9, 10))),
        ([since(MID), until(MID)], Days(first=MID, last=MID)),
        ([since(date(2026, 9, 6)), until(date(2026, 9, 5))], None),
        ([Limit(code=LimitCode.DUTIES, text="no on-call")], Days(first=START, last=END)),
    ],
)  # fmt: skip
def test_dated_limits_bound_the_days(limits: list[Limit], expected: Days | None) -> None:
    assert agreed_days(START, END, limits) == expected


def test_w8_a_leaver_on_day_20_of_30_is_released_until_day_20() -> None:
    day_20 = START + timedelta(days=19)
    assert released_until(END, day_20) == day_20
    (limit,) = limits_in_force([], END, day_20)
    assert limit.code is LimitCode.LEAVING


@pytest.mark.parametrize("leaving", [None, END, END + timedelta(days=1)])
def test_who_leaves_afterwards_or_not_at_all_is_released_whole(leaving: date | None) -> None:
    assert released_until(END, leaving) == END
    assert limits_in_force([], END, leaving) == ()


@given(
    first=st.dates(START, END),
    length=st.integers(0, 40),
    other=st.dates(START, END),
    other_length=st.integers(0, 40),
)
def test_overlap_is_sharing_a_day(first: date, length: int, other: date, other_length: int) -> None:
    mine = Days(first=first, last=first + timedelta(days=length))
    taken = Days(first=other, last=other + timedelta(days=other_length))
    shared = {first + timedelta(days=n) for n in range(length + 1)} & {
        other + timedelta(days=n) for n in range(other_length + 1)
    }
    assert bool(overlapping(mine, {"a": taken})) is bool(shared)
    assert mine.meets(taken) is taken.meets(mine)


def _staff() -> StaffMember:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    esr = ExternalId(
        system="ESR", kind=ExternalIdKind.ESR_PERSON, value="1234567", source=Source.ESR, since=None
    )
    return StaffMember(
        id="0192f7a0-1111-7000-8000-000000000001",
        ods="RBV",
        legal_given="Siân",
        legal_family="Ng-Ferreira",
        preferred_name=None,
        birthdate=date(1980, 1, 1),
        portrait=None,
        work_email="sian.ng@example.nhs.uk",
        mobile=None,
        external_ids=(esr,),
        employment_status=EmploymentStatus.ACTIVE,
        leaving_date=None,
        preferences={},
        version=1,
        created_at=at,
        created_by="hr",
        updated_at=at,
    )


@pytest.mark.parametrize(
    ("actor", "expected"),
    [
        ("0192f7a0-1111-7000-8000-000000000001", True),
        ("1234567", True),
        ("ESR_PERSON:1234567", True),
        ("esr_person:1234567", True),
        ("SIAN.NG@example.nhs.uk", True),
        ("manager-9", False),
        ("12345678", False),
    ],
)
def test_nobody_answers_for_themselves_under_any_of_their_identifiers(actor: str, expected: bool) -> None:
    assert is_the_person(actor, _staff()) is expected


def _named(given_names: str, family: str, preferred: str | None = None) -> Named:
    return Named(staff_id="s", given=given_names, family=family, preferred=preferred)


@pytest.mark.parametrize(
    ("known", "words", "expected"),
    [
        (_named("Siân", "Ng-Ferreira"), ("Siân", "Ng-Ferreira"), True),
        (_named("Siân", "Ng-Ferreira"), ("sian", "FERREIRA"), True),
        (_named("Adaeze Chidinma", "Okonkwo"), ("Chidinma", "Okonkwo"), True),
        (_named("Margaret", "O'Brien", "Peggy"), ("Peggy", "O\u2019Brien"), True),
        (_named("José María", "Núñez"), ("Jose", "Nunez"), True),
        (_named("Adaeze", "Okonkwo"), ("Adaeze", "Price"), False),
        (_named("Margaret", "O'Brien"), ("Margaret", "O'Neill"), False),
        (_named("Adaeze", "Okonkwo"), ("Ada", "Okonkwo"), False),
        (_named("Adaeze", "Okonkwo"), ("-", "'"), False),
    ],
)
def test_candidates_are_found_whatever_the_accents(
    known: Named, words: tuple[str, str], expected: bool
) -> None:
    assert could_be(known, *words) is expected
