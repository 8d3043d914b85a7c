"""Properties of decisions: less or worse evidence never gives a better answer.

A presentation that leaves out something required is refused before it is judged, which is worse than any
outcome; that refusal is part of the order here.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.trust import Finding as TrustFinding
from passport_testkit.cases import COMPLETED, THE_DAY, all_skills, case, look_up, surgeon, urgent_policy
from passport_testkit.datasets import skill
from passport_verifier.rules.asking import asked
from passport_verifier.rules.decision import judge
from passport_verifier.rules.evidence import RegisterStatus
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
from passport_verifier.rules.policies import HostPolicy
from passport_verifier.rules.trust_findings import StatusFinding, standing

REFUSED = len(OUTCOME_ORDER)
Datasets = dict[str, dict[str, Any]]

# Each claim's values from best to worst, as far as one is better than another whatever else is shown.
LADDERS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("StaffIdentity", "originals_seen_in_person_on"): ("2026-04-20", "NONE"),
    ("Employment", "contract_end"): ("NONE", "2026-12-31", "2026-05-10", "2026-04-30"),
    ("Employment", "employer_ods"): ("RBV", "RM3"),
    ("RightToWork", "work_restriction"): ("NONE", "SPONSORED", "OTHER"),
    ("RightToWork", "permission_expires"): ("2027-01-01", "2026-05-10", "2026-05-01"),
    ("DbsOutcome", "level"): ("ENHANCED_BARRED", "ENHANCED", "STANDARD", "BASIC", "NONE"),
    ("DbsOutcome", "workforce"): ("BOTH", "ADULT", "CHILD", "OTHER"),
    ("DbsOutcome", "barred_lists"): (["ADULT", "CHILD"], ["CHILD"], []),
    ("ProfessionalRegistration", "registration_status"): ("REGISTERED", "INTERIM_CONDITIONS", "SUSPENDED"),
    ("ProfessionalRegistration", "licence_to_practise"): (True, False),
    ("OccupationalHealth", "epp_cleared"): ("YES", "NO"),
}
SUBJECTS = tuple(sorted(all_skills()))
TRAINING = (COMPLETED, "2025-05-10", "2020-01-01")


@st.composite
def evidence(draw: st.DrawFn) -> Datasets:
    """A whole presentation, each claim anywhere on its ladder."""
    shown = surgeon(RightToWork={"permission": "UNTIL"})
    for (name, claim), ladder in LADDERS.items():
        shown[name][claim] = draw(st.sampled_from(ladder))
    for subject in SUBJECTS:
        held = shown["CoreSkills"]["skills"][subject]
        level = draw(st.sampled_from((held["level"], held["level"], "0")))
        shown["CoreSkills"]["skills"][subject] = skill(level, draw(st.sampled_from(TRAINING)))
    return shown


def policies() -> st.SearchStrategy[HostPolicy]:
    """The urgent policy, and one that names no conditions for core skills."""
    policy = urgent_policy()
    rows = tuple(replace(row, conditions={}) if row.subject in {"FS", "IG"} else row for row in policy.rows)
    return st.sampled_from([policy, replace(policy, rows=rows)])


def lacks_something_required(shown: Datasets, policy: HostPolicy) -> bool:
    for entry in asked(policy):
        for path in entry.required if entry.need is Need.SAFETY else ():
            value: Any = shown.get(entry.credential)
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            if value is None:
                return True
    return False


def rank(shown: Datasets, policy: HostPolicy, **more: Any) -> int:
    if lacks_something_required(shown, policy):
        return REFUSED
    return OUTCOME_ORDER.index(judge(case(shown, policy=policy, **more)).outcome)


@settings(max_examples=150, deadline=None)
@given(evidence(), policies(), st.data())
def test_withholding_any_claim_or_dropping_any_credential_never_improves(
    shown: Datasets, policy: HostPolicy, data: st.DataObject
):
    last_day = THE_DAY + timedelta(days=data.draw(st.sampled_from((0, 30))))
    name = data.draw(st.sampled_from(sorted(shown)))
    less = copy.deepcopy(shown)
    what = data.draw(st.sampled_from(["credential", "claim", "subject"]))
    if what == "credential":
        del less[name]
    elif what == "claim":
        del less[name][data.draw(st.sampled_from(sorted(less[name])))]
    else:
        del less["CoreSkills"]["skills"][data.draw(st.sampled_from(SUBJECTS))]
    assert rank(less, policy, last_day=last_day) >= rank(shown, policy, last_day=last_day)


@settings(max_examples=150, deadline=None)
@given(evidence(), policies(), st.data())
def test_worsening_any_evidence_never_improves(shown: Datasets, policy: HostPolicy, data: st.DataObject):
    last_day = THE_DAY + timedelta(days=data.draw(st.sampled_from((0, 30))))
    worse = copy.deepcopy(shown)
    name, claim = data.draw(st.sampled_from(sorted(LADDERS)))
    ladder = LADDERS[name, claim]
    at = ladder.index(shown[name][claim])
    worse[name][claim] = data.draw(st.sampled_from(ladder[at:]))
    assert rank(worse, policy, last_day=last_day) >= rank(shown, policy, last_day=last_day)


@settings(max_examples=100, deadline=None)
@given(evidence(), policies(), st.data())
def test_older_training_never_improves(shown: Datasets, policy: HostPolicy, data: st.DataObject):
    worse = copy.deepcopy(shown)
    subject = data.draw(st.sampled_from(SUBJECTS))
    held = worse["CoreSkills"]["skills"][subject]
    held["completed_on"] = data.draw(st.sampled_from(TRAINING[TRAINING.index(held["completed_on"]) :]))
    assert rank(worse, policy) >= rank(shown, policy)


TRUST_LADDER = (TrustFinding.AUTHORISED, TrustFinding.SUSPENDED, TrustFinding.NOT_AUTHORISED)
STATUS_LADDER = (StatusFinding.ACTIVE, StatusFinding.UNAVAILABLE, StatusFinding.REVOKED)


@settings(max_examples=100, deadline=None)
@given(evidence(), policies(), st.data())
def test_a_worse_issuer_or_status_never_improves(shown: Datasets, policy: HostPolicy, data: st.DataObject):
    name = data.draw(st.sampled_from(sorted(shown)))
    trust, status = data.draw(st.sampled_from(TRUST_LADDER)), data.draw(st.sampled_from(STATUS_LADDER))
    worse_trust = data.draw(st.sampled_from(TRUST_LADDER[TRUST_LADDER.index(trust) :]))
    worse_status = data.draw(st.sampled_from(STATUS_LADDER[STATUS_LADDER.index(status) :]))
    before = rank(shown, policy, standings={name: standing(trust, status, "RBV")})
    after = rank(shown, policy, standings={name: standing(worse_trust, worse_status, "RBV")})
    assert after >= before


@settings(max_examples=100, deadline=None)
@given(evidence(), st.lists(st.sampled_from(list(RegisterStatus)), max_size=3), st.data())
def test_a_bad_look_up_added_or_a_good_one_lost_never_improves(
    shown: Datasets, statuses: list[RegisterStatus], data: st.DataObject
):
    checks = tuple(look_up(status, hours=5 - at) for at, status in enumerate(statuses))
    before = rank(shown, urgent_policy(), look_ups=checks)
    lapsed = rank(shown, urgent_policy(), look_ups=(*checks, look_up("LAPSED", hours=0)))
    assert lapsed >= before
    good = [check for check in checks if check.status is RegisterStatus.REGISTERED]
    if good and checks[-1] is good[-1]:
        without = tuple(check for check in checks if check.status is not RegisterStatus.REGISTERED)
        assert rank(shown, urgent_policy(), look_ups=without) >= before


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
