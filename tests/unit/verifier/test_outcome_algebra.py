"""The algebra of outcomes: what one finding comes to, and many. Properties of whole decisions are in
``test_policy_properties``."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from passport_testkit.cases import case
from passport_verifier.rules.outcome import (
    OUTCOME_ORDER,
    RESULT_ORDER,
    ConditionTemplate,
    DayResult,
    Due,
    Finding,
    Need,
    Outcome,
    Party,
    Result,
    Words,
    worst,
)


def day(result: Result) -> DayResult:
    return DayResult(result=result, words=Words(key="ONE_PERSON"))


TEMPLATE = ConditionTemplate(text="COMPLETE_TRAINING", due=Due(hours=72), owner=Party.STAFF_MEMBER)


def test_the_outcome_of_one_finding_is_the_table_of_the_domain_model():
    table = {
        (Need.SAFETY, Result.PASS, False): Outcome.READY,
        (Need.SAFETY, Result.NOT_NEEDED, False): Outcome.READY,
        (Need.SAFETY, Result.WARN, False): Outcome.REFER,
        (Need.SAFETY, Result.WARN, True): Outcome.READY_WITH_CONDITIONS,
        (Need.SAFETY, Result.UNKNOWN, False): Outcome.REFER,
        (Need.SAFETY, Result.FAIL, False): Outcome.NOT_READY,
        (Need.SAFETY, Result.FAIL, True): Outcome.NOT_READY,
        (Need.ASSURANCE, Result.PASS, True): Outcome.READY,
        (Need.ASSURANCE, Result.WARN, True): Outcome.READY_WITH_CONDITIONS,
        (Need.ASSURANCE, Result.UNKNOWN, True): Outcome.READY_WITH_CONDITIONS,
        (Need.ASSURANCE, Result.FAIL, True): Outcome.READY_WITH_CONDITIONS,
        (Need.ASSURANCE, Result.WARN, False): Outcome.REFER,
        (Need.ASSURANCE, Result.UNKNOWN, False): Outcome.REFER,
        (Need.ASSURANCE, Result.FAIL, False): Outcome.REFER,
    }
    for (need, result, named), outcome in table.items():
        template = TEMPLATE if named else None
        found = Finding(
            rule="R-12", need=need, first_day=day(result), last_day=day(result), template=template
        )
        assert found.outcome is outcome, (need, result, named)


@given(st.lists(st.sampled_from(list(Outcome))))
def test_worst_is_the_worst_and_does_not_depend_on_order(outcomes: list[Outcome]):
    found = worst(outcomes)
    assert found == worst(reversed(outcomes))
    assert all(OUTCOME_ORDER.index(found) >= OUTCOME_ORDER.index(one) for one in outcomes)
    assert found in outcomes or not outcomes


def test_the_result_of_two_days():
    assert RESULT_ORDER.index(Result.FAIL) == len(RESULT_ORDER) - 1
    both = Finding(rule="R-07", need=Need.SAFETY, first_day=day(Result.PASS), last_day=day(Result.FAIL))
    assert both.result is Result.WARN
    assert both.outcome is Outcome.REFER
    first = Finding(rule="R-07", need=Need.SAFETY, first_day=day(Result.FAIL), last_day=day(Result.FAIL))
    assert first.result is Result.FAIL


def test_a_condition_on_the_first_day_is_due_that_evening_in_london():
    due = Due().at(decided_at=case().decided_at, first_day=date(2026, 7, 1))
    assert due.isoformat() == "2026-07-01T22:59:00+00:00"
