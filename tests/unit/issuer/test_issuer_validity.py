"""How long a credential lives: the shortest of every bound, judged in Europe/London."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_issuer.rules.passports import (
    ENDED,
    LIVE,
    CredentialState,
    PassportState,
    shown_state,
    status_value,
)
from passport_issuer.rules.validity import NothingLeft, add_months, end_of_day, expiry, london_day
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID
from passport_shared.wire.catalogue import TYPES
from passport_testkit.clock import NOON

FAR = NOON + timedelta(days=1100)
YEAR_S = 31_536_000


def ends(name: str, claims: dict[str, Any] | None = None, **changes: Any) -> datetime:
    bounds: dict[str, Any] = {"issued_at": NOON, "mark_max_validity_s": None, "leaf_not_after": FAR}
    return expiry(TYPES[name], claims or {}, **{**bounds, **changes})


def test_the_default_life_is_the_type_s() -> None:
    assert ends("StaffIdentity") == datetime(2027, 9, 1, 12, tzinfo=UTC)
    assert ends("CoreSkills") == datetime(2028, 9, 1, 12, tzinfo=UTC)


def test_the_mark_and_the_leaf_cut_it_short() -> None:
    assert ends("CoreSkills", mark_max_validity_s=YEAR_S) == NOON + timedelta(seconds=YEAR_S)
    assert ends("CoreSkills", leaf_not_after=NOON + timedelta(days=3)) == NOON + timedelta(days=3)


RECORDS = [
    ("RightToWork", {"permission_expires": "2026-12-31"}, datetime(2027, 1, 1, tzinfo=UTC)),
    # in summer the London day ends an hour earlier
    ("RightToWork", {"permission_expires": "2027-06-30"}, datetime(2027, 6, 30, 23, tzinfo=UTC)),
    ("RightToWork", {"permission_expires": "NONE"}, datetime(2027, 9, 1, 12, tzinfo=UTC)),
    ("RightToWork", {"permission_expires": "2040-01-01"}, datetime(2027, 9, 1, 12, tzinfo=UTC)),
    ("Employment", {"contract_end": "2026-09-01"}, datetime(2026, 9, 1, 23, tzinfo=UTC)),
    ("Employment", {"contract_end": "NONE"}, datetime(2027, 9, 1, 12, tzinfo=UTC)),
]


@pytest.mark.parametrize(("name", "claims", "end"), RECORDS)
def test_the_record_s_own_date_ends_it(name: str, claims: dict[str, Any], end: datetime) -> None:
    assert ends(name, claims) == end


@pytest.mark.parametrize(
    ("claims", "changes", "code"),
    [
        ({"contract_end": "2026-08-31"}, {}, "record"),
        ({}, {"leaf_not_after": NOON}, "certificate"),
        ({}, {"mark_max_validity_s": 60}, "trust_mark"),
    ],
)
def test_nothing_left_is_refused_with_its_bound(
    claims: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(NothingLeft) as caught:
        ends("Employment", claims, **changes)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("at", "months", "expected"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2026-08-31", 1, "2026-09-30"),
        ("2026-12-15", 12, "2027-12-15"),
        ("2026-11-30", 3, "2027-02-28"),
    ],
)
def test_months_are_calendar_months(at: str, months: int, expected: str) -> None:
    start = datetime.fromisoformat(f"{at}T08:00:00+00:00")
    assert add_months(start, months).isoformat() == f"{expected}T08:00:00+00:00"


def test_days_are_london_s() -> None:
    assert london_day(datetime(2026, 7, 1, 23, 30, tzinfo=UTC)) == date(2026, 7, 2)
    assert london_day(datetime(2026, 12, 1, 23, 30, tzinfo=UTC)) == date(2026, 12, 1)
    assert end_of_day(date(2026, 7, 1)) == datetime(2026, 7, 1, 23, tzinfo=UTC)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(TYPES)),
    st.integers(min_value=301, max_value=10**9),
    st.integers(min_value=1, max_value=1100),
    st.dates(min_value=date(2026, 9, 2), max_value=date(2035, 1, 1)),
)
def test_no_bound_is_ever_exceeded(name: str, mark: int, leaf_days: int, day: date) -> None:
    kind, leaf = TYPES[name], NOON + timedelta(days=leaf_days)
    claims = {kind.not_after_claim: day.isoformat()} if kind.not_after_claim else {}
    end = expiry(kind, claims, issued_at=NOON, mark_max_validity_s=mark, leaf_not_after=leaf)
    assert NOON < end <= min(leaf, NOON + timedelta(seconds=mark), add_months(NOON, 24))
    if kind.not_after_claim:
        assert end <= end_of_day(day)


def test_the_status_list_says_only_valid_on_hold_or_no_longer() -> None:
    for state in CredentialState:
        for passport in PassportState:
            value = status_value(state, passport)
            if state in ENDED or passport is PassportState.CLOSED:
                assert value == INVALID
            elif passport is PassportState.ON_HOLD:
                assert value == SUSPENDED
            else:
                assert value == VALID


def test_people_see_what_is_stored_unless_the_passport_or_the_date_says_more() -> None:
    for state in LIVE:
        assert shown_state(state, PassportState.ACTIVE, expired=False) is state
        assert shown_state(state, PassportState.ON_HOLD, expired=False) is CredentialState.ON_HOLD
        assert shown_state(state, PassportState.ON_HOLD, expired=True) is CredentialState.EXPIRED
    for state in (*ENDED, CredentialState.PREPARED):
        assert shown_state(state, PassportState.ON_HOLD, expired=True) is state
