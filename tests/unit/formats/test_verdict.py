"""The verdict: verified exactly when every check passed, and never made without all of them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passport_shared.formats.verdict import NOT_CHECKED, PASSED, Check, CheckResult, Outcome, Verdict

NAMES = [check.value for check in Check]
RESULTS = st.one_of(
    st.just(PASSED),
    st.sampled_from(["expired", "revoked"]).map(CheckResult.failed),
    st.sampled_from(["status_stale", "registry_stale"]).map(CheckResult.unknown),
)


def all_passed(**changes: CheckResult) -> dict[str, Any]:
    return {**dict.fromkeys(NAMES, PASSED), **changes}


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, RESULTS)))
def test_verified_exactly_when_every_check_passed(results: dict[str, CheckResult]) -> None:
    verdict = Verdict(**results)
    assert verdict.verified == all(result == PASSED for result in results.values())
    assert len(verdict.reasons) == sum(result != PASSED for result in results.values())


def test_every_check_has_a_field_and_every_field_is_a_check() -> None:
    assert [field.name for field in dataclasses.fields(Verdict)] == NAMES


def test_no_field_has_a_default() -> None:
    for field in dataclasses.fields(Verdict):
        assert field.default is dataclasses.MISSING
        assert field.default_factory is dataclasses.MISSING
        assert field.kw_only


@pytest.mark.parametrize("name", NAMES)
def test_a_verdict_cannot_be_made_without_a_check(name: str) -> None:
    results = all_passed()
    del results[name]
    with pytest.raises(TypeError, match=name):
        Verdict(**results)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.UNKNOWN])
def test_one_check_that_did_not_pass_is_enough(name: str, outcome: Outcome) -> None:
    verdict = Verdict(**all_passed(**{name: CheckResult(outcome, "reason")}))
    assert not verdict.verified
    assert verdict.reasons == ("reason",)


@pytest.mark.parametrize("value", [True, None, "PASS", Outcome.PASS, 1])
def test_a_check_is_never_a_bare_value(value: object) -> None:
    with pytest.raises(TypeError, match="status"):
        Verdict(**{**all_passed(), "status": value})


@pytest.mark.parametrize("outcome", [True, "PASS", None])
def test_an_outcome_is_never_a_bare_value(outcome: Any) -> None:
    with pytest.raises(TypeError, match="Outcome"):
        CheckResult(outcome, None)


@pytest.mark.parametrize(
    ("outcome", "reason"), [(Outcome.PASS, "why"), (Outcome.FAIL, None), (Outcome.UNKNOWN, None)]
)
def test_a_reason_is_given_exactly_when_a_check_did_not_pass(outcome: Outcome, reason: str | None) -> None:
    with pytest.raises(ValueError, match="reason"):
        CheckResult(outcome, reason)


def test_a_verdict_cannot_be_changed() -> None:
    verdict = Verdict.stopped_at(Check.STATUS, "revoked")
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict.status = PASSED  # type: ignore[misc]
    changed = dataclasses.replace(verdict, status=PASSED)
    assert not changed.verified


@pytest.mark.parametrize("check", list(Check))
def test_a_check_that_stopped_the_others_leaves_them_unknown(check: Check) -> None:
    verdict = Verdict.stopped_at(check, "why")
    assert not verdict.verified
    for name, result in verdict.results().items():
        expected = CheckResult.failed("why") if name == check else CheckResult.unknown(NOT_CHECKED)
        assert result == expected


def test_the_json_form_says_the_same() -> None:
    verdict = Verdict(**all_passed(nonce=CheckResult.failed("wrong_nonce")))
    said = json.loads(json.dumps(verdict.as_dict()))
    assert said["verified"] is False
    assert said["checks"]["nonce"] == {"outcome": "FAIL", "reason": "wrong_nonce"}
    assert said["checks"]["trust"] == {"outcome": "PASS", "reason": None}
    assert list(said["checks"]) == NAMES
    assert Verdict(**all_passed()).as_dict()["verified"] is True
