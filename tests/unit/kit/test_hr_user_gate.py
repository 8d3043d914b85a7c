"""Gate G-B from the signed directory: every code, the grace of 30 days, and what a wrong entry does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from passport_shared.formats.jose import sign
from passport_shared.service.auth import Actor
from passport_shared.service.hr_users import HrUsers, hr_user_gate
from passport_shared.wire.clients import (
    DIRECTORY_TYP,
    ClientKind,
    Directory,
    DirectoryError,
    DirectoryReason,
    build_directory,
    read_directory,
)
from passport_shared.wire.hr_users import Duty, HrRole, HrUser, HrUserCode, finding, subject_hash
from passport_testkit.clock import NOON, FrozenClock
from passport_testkit.keys import key

REGISTRY = "https://registry.example"
SIGNER = key("client directory")
JWKS = [SIGNER.public.as_jwk()]
LAST_DAY = date(2026, 6, 30)
Code = HrUserCode


def user(subject: str = "hr-1", *roles: HrRole, until: date | None = LAST_DAY, ods: str = "RBV") -> HrUser:
    return HrUser(
        organisation=ods,
        subject_hash=subject_hash(ods, subject),
        roles=frozenset(roles or {HrRole.HR_ISSUER, HrRole.HR_VERIFIER}),
        trained_until=until,
    )


def directory(*users: HrUser, keep: tuple[str, ...] = ("RBV",)) -> Directory:
    token = build_directory(
        [], iss=REGISTRY, sequence=1, iat=NOON, key=SIGNER, hr_users=users, keep_hr_users=keep
    )
    return read_directory(token, JWKS, iss=REGISTRY, now=NOON)


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def code(held: Directory, subject: str, duty: Duty, day: date = LAST_DAY, *, urgent: bool = False) -> Code:
    found = finding(
        held.hr_users,
        held.keep_hr_users,
        organisation="RBV",
        subject=subject,
        duty=duty,
        now=at(day),
        urgent=urgent,
    )
    assert found.detail
    assert found.holds is (found.code not in {Code.UNKNOWN_HR_USER, Code.WRONG_ROLE, Code.TRAINING_LAPSED})
    return found.code


def after(days: int) -> date:
    return LAST_DAY + timedelta(days=days)


@pytest.mark.parametrize(
    ("subject", "duty", "day", "urgent", "expected"),
    [
        ("hr-1", Duty.ISSUE, LAST_DAY, False, Code.TRAINED),
        ("hr-1", Duty.ISSUE, after(1), False, Code.TRAINING_IN_GRACE),
        ("hr-1", Duty.ISSUE, after(30), False, Code.TRAINING_IN_GRACE),
        ("hr-1", Duty.ISSUE, after(31), False, Code.TRAINING_LAPSED),
        ("hr-1", Duty.ISSUE, after(31), True, Code.TRAINING_LAPSED),
        ("hr-1", Duty.VERIFY, after(31), False, Code.TRAINING_LAPSED),
        ("hr-1", Duty.VERIFY, after(31), True, Code.URGENT_WITHOUT_TRAINING),
        ("untrained", Duty.ISSUE, LAST_DAY, False, Code.TRAINING_LAPSED),
        ("untrained", Duty.VERIFY, LAST_DAY, True, Code.URGENT_WITHOUT_TRAINING),
        ("viewer", Duty.ISSUE, LAST_DAY, False, Code.WRONG_ROLE),
        ("viewer", Duty.VERIFY, LAST_DAY, True, Code.WRONG_ROLE),
        ("duty-manager", Duty.VERIFY, LAST_DAY, False, Code.TRAINED),
        ("duty-manager", Duty.ISSUE, LAST_DAY, False, Code.WRONG_ROLE),
        ("duty-manager", Duty.APPROVE, LAST_DAY, False, Code.TRAINED),
        ("stranger", Duty.VERIFY, LAST_DAY, True, Code.UNKNOWN_HR_USER),
    ],
)
def test_gate_b(subject: str, duty: Duty, day: date, urgent: bool, expected: Code) -> None:
    held = directory(
        user(),
        user("untrained", until=None),
        user("viewer", HrRole.REPORT_VIEWER),
        user("duty-manager", HrRole.APPROVER),
    )
    assert code(held, subject, duty, day, urgent=urgent) is expected


def test_an_hr_user_of_another_trust_is_a_stranger() -> None:
    assert code(directory(user(ods="R0A")), "hr-1", Duty.ISSUE) is Code.UNKNOWN_HR_USER


def test_a_trust_that_keeps_its_hr_users_itself_is_taken_at_its_word() -> None:
    assert code(directory(keep=()), "anybody", Duty.ISSUE) is Code.NOT_KEPT


def test_a_trust_whose_last_hr_user_left_is_not_open_to_everybody() -> None:
    assert code(directory(), "anybody", Duty.ISSUE) is Code.UNKNOWN_HR_USER


def test_the_directory_names_nobody() -> None:
    token = build_directory(
        [], iss=REGISTRY, sequence=1, iat=NOON, key=SIGNER, hr_users=[user("hr-7f31")], keep_hr_users=["RBV"]
    )
    assert "hr-7f31" not in str(read_directory(token, JWKS, iss=REGISTRY, now=NOON).hr_users)


GOOD: dict[str, Any] = {
    "organisation": "RBV",
    "subject_hash": subject_hash("RBV", "hr-1"),
    "roles": ["HR_ISSUER"],
    "trained_until": "2026-06-30",
}


def spoilt(entries: Any, keep: Any = ("RBV",)) -> str:
    claims = {
        "iss": REGISTRY,
        "iat": int(NOON.timestamp()),
        "exp": int((NOON + timedelta(hours=1)).timestamp()),
        "sequence": 1,
        "clients": [],
        "hr_users": entries,
        "keep_hr_users": list(keep) if isinstance(keep, tuple) else keep,
    }
    return sign(claims, SIGNER, typ=DIRECTORY_TYP)


@pytest.mark.parametrize(
    "entries",
    [
        "nobody",
        {},
        ["nobody"],
        [{**GOOD, "organisation": "rbv"}],
        [{**GOOD, "organisation": 7}],
        [{**GOOD, "subject_hash": "hr-1"}],
        [{**GOOD, "subject_hash": None}],
        [{**GOOD, "roles": "HR_ISSUER"}],
        [{**GOOD, "roles": [["HR_ISSUER"]]}],
        [{**GOOD, "roles": ["X"] * 65}],
        [{**GOOD, "trained_until": 20260630}],
        [{**GOOD, "trained_until": "next year"}],
    ],
)
def test_one_wrong_hr_user_refuses_the_directory(entries: Any) -> None:
    with pytest.raises(DirectoryError) as refused:
        read_directory(spoilt(entries), JWKS, iss=REGISTRY, now=NOON)
    assert refused.value.reason is DirectoryReason.HR_USER


@pytest.mark.parametrize("keep", ["RBV", ["rbv"], [7], {}])
def test_a_wrong_list_of_trusts_refuses_the_directory(keep: Any) -> None:
    with pytest.raises(DirectoryError) as refused:
        read_directory(spoilt([], keep), JWKS, iss=REGISTRY, now=NOON)
    assert refused.value.reason is DirectoryReason.HR_USER


def test_an_hr_user_twice_refuses_the_directory() -> None:
    with pytest.raises(DirectoryError) as refused:
        read_directory(spoilt([GOOD, GOOD]), JWKS, iss=REGISTRY, now=NOON)
    assert refused.value.reason is DirectoryReason.DUPLICATE


def test_a_role_of_a_later_version_permits_nothing() -> None:
    held = read_directory(spoilt([{**GOOD, "roles": ["ARCHBISHOP"]}]), JWKS, iss=REGISTRY, now=NOON)
    assert code(held, "hr-1", Duty.ISSUE) is Code.WRONG_ROLE


class Held:
    def __init__(self, held: Directory) -> None:
        self._held = held

    async def directory(self) -> Directory:
        return self._held


async def test_a_service_judges_by_the_directory_it_holds() -> None:
    actor = Actor(ref="hr-1", client_id="hr-system", kind=ClientKind.MACHINE, asserted=True)
    held = directory(user(until=NOON.date()))
    assert (await HrUsers(Held(held), FrozenClock()).finding("RBV", actor, Duty.ISSUE)).code is Code.TRAINED
    assert hr_user_gate(held, "RBV", actor, Duty.VERIFY, FrozenClock()).holds
