"""Gates G1 to G3 and the state of a trust follow from its recorded steps (domain.md §10e)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_registry.rules.onboarding import (
    Gates,
    OnboardingState,
    Step,
    StepRecord,
    StepState,
    effective_state,
    gates,
    london_day,
    state,
    step_faults,
)
from passport_testkit.registries import done

TODAY = date(2026, 9, 1)
DONE_ON = date(2021, 7, 13)


def all_done() -> dict[Step, StepRecord]:
    return {step: done(step, DONE_ON) for step in Step}


def judged(
    steps: dict[Step, StepRecord], *, today: date = TODAY, hrd: bool = True, key: bool = True
) -> Gates:
    return gates(steps, today=today, hrd_named=hrd, active_issuing_key=key)


def codes(found: Gates) -> tuple[list[str], list[str], list[str]]:
    g1, g2, g3 = (found.g1.missing, found.g2.missing, found.g3.missing)
    return ([m.code for m in g1], [m.code for m in g2[len(g1) :]], [m.code for m in g3[len(g2) :]])


def test_every_gate_holds_when_everything_is_done():
    found = judged(all_done())
    assert (found.g1.holds, found.g2.holds, found.g3.holds) == (True, True, True)
    assert state(all_done(), found, today=TODAY, suspended=False) is OnboardingState.LIVE


MISSING: list[tuple[str, Step, dict[str, Any] | None, int, str]] = [
    ("registration not done", Step.REGISTRATION, None, 0, "REGISTRATION"),
    ("ODS code not active", Step.REGISTRATION, {"details": {"ods_active": False}}, 0, "ODS_ACTIVE"),
    ("terms of use missing", Step.TERMS_OF_USE, None, 1, "TERMS_OF_USE"),
    ("DPIA missing", Step.DPIA, None, 1, "DPIA"),
    ("DPIA not by own IG lead", Step.DPIA, {"details": {}}, 1, "DPIA_APPROVED_BY_IG_LEAD"),
    ("training missing", Step.HR_TRAINING, None, 1, "HR_TRAINING"),
    (
        "nobody trained to verify",
        Step.HR_TRAINING,
        {"details": {"trained_issuers": 1, "trained_verifiers": 0, "mfa": True, "cover": "DEPUTY"}},
        1,
        "TRAINED_VERIFIER",
    ),
    (
        "no second factor",
        Step.HR_TRAINING,
        {"details": {"trained_issuers": 1, "trained_verifiers": 1, "mfa": False, "cover": "DEPUTY"}},
        1,
        "MFA",
    ),
    (
        "nobody trained to issue",
        Step.HR_TRAINING,
        {"details": {"trained_verifiers": 1, "mfa": True, "cover": "DEPUTY"}},
        2,
        "TRAINED_ISSUER",
    ),
    (
        "no cover",
        Step.HR_TRAINING,
        {"details": {"trained_issuers": 1, "trained_verifiers": 1, "mfa": True}},
        2,
        "COVER",
    ),
    ("no link to ESR", Step.ESR_LINK, None, 2, "ESR_LINK"),
    ("no test issue", Step.TEST_ISSUE, None, 2, "TEST_ISSUE"),
]


@pytest.mark.parametrize(
    ("step", "change", "gate", "code"), [c[1:] for c in MISSING], ids=[c[0] for c in MISSING]
)
def test_what_is_missing_shuts_its_gate_by_name(step, change, gate, code):
    steps = all_done()
    if change is None:
        del steps[step]
    else:
        steps[step] = replace(steps[step], **change)
    found = judged(steps)
    assert code in codes(found)[gate]
    assert [found.g1.holds, found.g2.holds, found.g3.holds] == [gate > 0, gate > 1, False]


def test_hr_director_and_issuing_key_are_asked_for_too():
    assert codes(judged(all_done(), hrd=False))[0] == ["HRD_NAMED"]
    without_key = judged(all_done(), key=False)
    assert codes(without_key) == ([], [], ["ACTIVE_KEY"])


def test_every_missing_item_says_who_can_fix_it():
    found = judged({}, hrd=False, key=False)
    assert len({m.code for m in found.g3.missing}) == 14
    assert all(m.text.endswith(".") and m.who_can_fix for m in found.g3.missing)


def test_only_the_test_issue_missing_is_recognised():
    steps = all_done()
    del steps[Step.TEST_ISSUE]
    assert judged(steps).only_test_issue_missing
    assert not judged(steps, key=False).only_test_issue_missing
    assert not judged(all_done()).only_test_issue_missing


def test_a_waived_step_counts_until_its_day():
    waived = StepRecord(
        step=Step.ESR_LINK,
        state=StepState.WAIVED,
        waived_until=date(2026, 9, 30),
        waived_by="regional lead",
        evidence="sop/manual",
    )
    steps = {**all_done(), Step.ESR_LINK: waived}
    assert judged(steps, today=date(2026, 9, 30)).g3.holds
    assert codes(judged(steps, today=date(2026, 10, 1)))[2] == ["ESR_LINK"]
    assert effective_state(waived, date(2026, 10, 1)) is StepState.EXPIRED


def test_waived_training_waives_what_is_read_from_it():
    waived = StepRecord(
        step=Step.HR_TRAINING,
        state=StepState.WAIVED,
        waived_until=date(2026, 9, 30),
        waived_by="regional lead",
        evidence="sop/training",
    )
    assert judged({**all_done(), Step.HR_TRAINING: waived}).g3.holds


def test_a_done_step_with_an_end_expires_after_its_last_day():
    steps = all_done()
    steps[Step.HR_TRAINING] = replace(steps[Step.HR_TRAINING], valid_until=TODAY)
    assert judged(steps, today=TODAY).g3.holds
    assert not judged(steps, today=date(2026, 9, 2)).g2.holds


STATES: list[tuple[OnboardingState, list[Step], dict[str, bool]]] = [
    (OnboardingState.INVITED, [], {}),
    (OnboardingState.INVITED, [Step.REGISTRATION], {"hrd": False}),
    (OnboardingState.REGISTERED, [Step.REGISTRATION], {}),
    (OnboardingState.GOVERNANCE, [Step.REGISTRATION, Step.DPIA], {}),
    (OnboardingState.ENABLEMENT, [Step.REGISTRATION, Step.DPIA, Step.TERMS_OF_USE, Step.MOU], {}),
    (
        OnboardingState.TEST,
        [Step.REGISTRATION, Step.DPIA, Step.TERMS_OF_USE, Step.MOU, Step.HR_TRAINING, Step.ESR_LINK],
        {},
    ),
    (OnboardingState.LIVE_VERIFY_ONLY, [s for s in Step if s is not Step.ESR_LINK], {}),
    (OnboardingState.LIVE_VERIFY_ONLY, list(Step), {"key": False}),
    (OnboardingState.LIVE, list(Step), {}),
]


@pytest.mark.parametrize(("expected", "passed", "facts"), STATES)
def test_state_is_the_furthest_reached(expected, passed, facts):
    steps = {step: done(step, DONE_ON) for step in passed}
    assert state(steps, judged(steps, **facts), today=TODAY, suspended=False) is expected


def test_a_suspended_entity_suspends_the_trust():
    assert state(all_done(), judged(all_done()), today=TODAY, suspended=True) is OnboardingState.SUSPENDED


@given(st.sets(st.sampled_from(list(Step))), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_taking_a_step_away_never_opens_a_gate(taken, hrd, key):
    full, less = (
        judged(all_done(), hrd=hrd, key=key),
        {step: record for step, record in all_done().items() if step not in taken},
    )
    found = judged(less, hrd=hrd, key=key)
    for name in ("g1", "g2", "g3"):
        assert set(getattr(full, name).missing) <= set(getattr(found, name).missing)
    assert not (found.g3.holds and not found.g2.holds)
    assert not (found.g2.holds and not found.g1.holds)


FAULTS: list[tuple[str, StepRecord, str]] = [
    ("expired typed", StepRecord(step=Step.MOU, state=StepState.EXPIRED), "state"),
    ("done without day", StepRecord(step=Step.MOU, state=StepState.DONE, evidence="x"), "done_on"),
    ("done tomorrow", done(Step.MOU, date(2026, 9, 2)), "done_on"),
    ("done without evidence", done(Step.MOU, DONE_ON, evidence=None), "evidence"),
    ("ends before it was done", done(Step.MOU, DONE_ON, valid_until=date(2020, 1, 1)), "valid_until"),
    ("day without done", StepRecord(step=Step.MOU, state=StepState.IN_PROGRESS, done_on=DONE_ON), "done_on"),
    ("waiver on a done step", done(Step.MOU, DONE_ON, waived_until=TODAY), "waived_until"),
    (
        "waiver without end",
        StepRecord(step=Step.MOU, state=StepState.WAIVED, waived_by="x", evidence="y"),
        "waived_until",
    ),
    (
        "waiver that has ended",
        StepRecord(step=Step.MOU, state=StepState.WAIVED, waived_by="x", evidence="y", waived_until=DONE_ON),
        "waived_until",
    ),
    (
        "waiver by nobody",
        StepRecord(step=Step.MOU, state=StepState.WAIVED, waived_until=TODAY, evidence="y"),
        "waived_by",
    ),
    (
        "waiver for nothing",
        StepRecord(step=Step.MOU, state=StepState.WAIVED, waived_until=TODAY, waived_by="x"),
        "evidence",
    ),
    (
        "registration waived",
        StepRecord(
            step=Step.REGISTRATION, state=StepState.WAIVED, waived_until=TODAY, waived_by="x", evidence="y"
        ),
        "state",
    ),
    ("unknown fact", done(Step.MOU, DONE_ON, details={"ods_active": True}), "details/ods_active"),
    (
        "wrong type of fact",
        done(Step.DPIA, DONE_ON, details={"approved_by_ig_lead": 1}),
        "details/approved_by_ig_lead",
    ),
    (
        "a boolean is no number",
        done(Step.HR_TRAINING, DONE_ON, details={"trained_issuers": True}),
        "details/trained_issuers",
    ),
    (
        "negative number",
        done(Step.HR_TRAINING, DONE_ON, details={"trained_issuers": -1}),
        "details/trained_issuers",
    ),
    ("unknown cover", done(Step.HR_TRAINING, DONE_ON, details={"cover": "NOBODY"}), "details/cover"),
    ("unknown method", done(Step.ESR_LINK, DONE_ON, details={"method": "PIGEON"}), "details/method"),
]


@pytest.mark.parametrize(("record", "field"), [c[1:] for c in FAULTS], ids=[c[0] for c in FAULTS])
def test_a_step_that_contradicts_itself_is_named(record, field):
    assert field in [name for name, _ in step_faults(record, TODAY)]


def test_good_steps_have_no_faults():
    for step in Step:
        assert step_faults(done(step, DONE_ON), TODAY) == []
        assert (
            step_faults(StepRecord(step=step, state=StepState.BLOCKED, note="waits for the board"), TODAY)
            == []
        )


def test_business_days_are_london_days():
    assert london_day(datetime(2026, 6, 30, 23, 30, tzinfo=UTC)) == date(2026, 7, 1)
    assert london_day(datetime(2026, 12, 31, 23, 30, tzinfo=UTC)) == date(2026, 12, 31)
