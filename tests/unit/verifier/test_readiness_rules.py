"""The readiness rules one by one, the worked cases, and the outcome algebra."""

# ruff: noqa: E501 - a table of cases reads better with a case per line
from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from passport_shared.formats.trust import Finding as TrustFinding
from passport_testkit.cases import (
    DECIDED_AT,
    THE_DAY,
    all_skills,
    case,
    commit,
    good_standing,
    look_up,
    surgeon,
    urgent_policy,
)
from passport_testkit.datasets import skill
from passport_verifier.rules import readiness
from passport_verifier.rules.decision import Judgement, judge
from passport_verifier.rules.outcome import Finding, Outcome, Party, Reason, Result
from passport_verifier.rules.trust_findings import StatusFinding, standing


def finding(judged: Judgement, rule: str, subject: str | None = None) -> Finding:
    return next(found for found in judged.findings if found.rule == rule and found.subject == subject)


def test_w1_fire_safety_ten_days_out_of_date_is_a_condition_for_72_hours():
    lapsed = skill("1", (THE_DAY - timedelta(days=10)).replace(year=2024).isoformat())
    judged = judge(case(surgeon(CoreSkills={"skills": all_skills(FS=lapsed)})))
    assert judged.outcome is Outcome.READY_WITH_CONDITIONS
    [condition] = judged.conditions
    assert (condition.subject, condition.owner) == ("FS", Party.STAFF_MEMBER)
    assert condition.due == DECIDED_AT + timedelta(hours=72)
    assert finding(judged, "R-12", "FS").reason is Reason.CORE_SKILL


@pytest.mark.parametrize(
    ("name", "status", "licence", "outcome"),
    [
        ("w1", "REGISTERED", True, Outcome.READY),
        ("w2a", "INTERIM_CONDITIONS", True, Outcome.REFER),
        ("conditions of practice", "REGISTERED_WITH_CONDITIONS", True, Outcome.REFER),
        ("w2b", "INTERIM_SUSPENSION", True, Outcome.NOT_READY),
        ("w2c", "REGISTERED_WITHOUT_LICENCE", False, Outcome.NOT_READY),
        ("registered, licence not seen", "REGISTERED", None, Outcome.NOT_READY),
        ("suspended", "SUSPENDED", True, Outcome.NOT_READY),
        ("lapsed", "LAPSED", True, Outcome.NOT_READY),
        ("removed", "REMOVED", True, Outcome.NOT_READY),
        ("not found", "NOT_FOUND", None, Outcome.NOT_READY),
        ("provisional", "PROVISIONAL", True, Outcome.NOT_READY),
    ],
)
def test_w2_the_hosts_own_look_up_of_the_register(
    name: str, status: str, licence: bool | None, outcome: Outcome
):
    judged = judge(case(look_ups=(look_up(status, licence=licence),)))
    assert judged.outcome is outcome, name
    if outcome is Outcome.REFER:
        assert judged.decided_by is Party.HOST_PROFESSIONAL_LEAD


def test_a_provisional_registration_passes_where_the_profile_allows_it():
    policy = urgent_policy()
    policy = replace(policy, profile=replace(policy.profile, provisional_allowed=True))
    assert judge(case(look_ups=(look_up("PROVISIONAL"),), policy=policy)).outcome is Outcome.READY


@pytest.mark.parametrize(
    ("name", "look_ups", "result", "reason"),
    [
        ("none", (), Result.UNKNOWN, Reason.REG_STALE),
        ("24 hours old", (look_up(hours=24),), Result.PASS, None),
        ("older", (look_up(hours=24.1),), Result.UNKNOWN, Reason.REG_STALE),
        ("bad and older", (look_up("LAPSED", hours=900),), Result.FAIL, Reason.REG_STATUS),
        ("bad, then good", (look_up("LAPSED", hours=9), look_up(hours=1)), Result.PASS, None),
        ("good, then bad", (look_up("LAPSED", hours=1), look_up(hours=9)), Result.FAIL, Reason.REG_STATUS),
        (
            "another number",
            (look_up(number_commitment=commit("GMC|7000001")),),
            Result.UNKNOWN,
            Reason.REG_STALE,
        ),
        ("another regulator", (look_up(regulator="NMC"),), Result.UNKNOWN, Reason.REG_STALE),
        ("in the future", (look_up(hours=-1),), Result.UNKNOWN, Reason.REG_STALE),
    ],
)
def test_age_and_number_of_a_look_up(name: str, look_ups: Any, result: Result, reason: Reason | None):
    found = finding(judge(case(look_ups=look_ups)), "R-09")
    assert (found.result, found.reason) == (result, reason), name


def test_an_employers_bad_check_counts_without_a_look_up_and_is_referred_against_a_good_one():
    shown = surgeon(ProfessionalRegistration={"registration_status": "SUSPENDED"})
    assert judge(case(shown, look_ups=())).outcome is Outcome.NOT_READY
    judged = judge(case(shown))
    assert judged.outcome is Outcome.REFER
    assert judged.decided_by is Party.HOST_PROFESSIONAL_LEAD


def test_w4_a_standard_dbs_check_is_not_enough():
    judged = judge(case(surgeon(DbsOutcome={"level": "STANDARD", "barred_lists": []})))
    assert judged.outcome is Outcome.NOT_READY
    assert finding(judged, "R-08").reason is Reason.DBS_LEVEL


def test_w6_permission_that_ends_during_the_movement_is_referred_with_an_earlier_end():
    first, expires = THE_DAY, THE_DAY + timedelta(days=39)
    shown = surgeon(RightToWork={"permission": "UNTIL", "permission_expires": expires.isoformat()})
    judged = judge(case(shown, first_day=first, last_day=first + timedelta(days=59)))
    assert judged.outcome is Outcome.REFER
    assert judged.latest_end == (expires - timedelta(days=1)).isoformat()
    found = finding(judged, "R-07")
    assert (found.first_day.result, found.last_day.result) == (Result.PASS, Result.FAIL)


@pytest.mark.parametrize("months", [24, 12])
def test_w7_the_host_sets_how_long_training_counts(months: int):
    policy = urgent_policy()
    rows = tuple(replace(row, months=months) if row.subject == "FS" else row for row in policy.rows)
    done = skill("1", "2024-11-01")
    shown = surgeon(CoreSkills={"skills": all_skills(FS=done)})
    judged = judge(case(shown, policy=replace(policy, rows=rows)))
    assert judged.outcome is (Outcome.READY if months == 24 else Outcome.READY_WITH_CONDITIONS)


def test_w9_and_w10_fire_safety_never_done_and_withheld_are_the_same():
    judged = judge(case(surgeon(CoreSkills={"skills": all_skills(FS=None)})))
    assert judged.outcome is Outcome.READY_WITH_CONDITIONS
    assert [condition.subject for condition in judged.conditions] == ["FS"]
    assert finding(judged, "R-12", "FS").reason is Reason.NOT_PRESENTED


def test_w11_an_assurance_failure_without_a_condition_is_referred():
    policy = urgent_policy()
    rows = tuple(replace(row, conditions={}) if row.subject == "FS" else row for row in policy.rows)
    shown = surgeon(CoreSkills={"skills": all_skills(FS=None)})
    judged = judge(case(shown, policy=replace(policy, rows=rows)))
    assert judged.outcome is Outcome.REFER
    assert judged.conditions == ()


@pytest.mark.parametrize(("months", "outcome"), [(None, Outcome.READY), (36, Outcome.NOT_READY)])
def test_w13_the_age_of_a_dbs_certificate_counts_only_where_the_host_says_so(
    months: int | None, outcome: Outcome
):
    policy = urgent_policy()
    policy = replace(policy, profile=replace(policy.profile, dbs_max_age_months=months))
    shown = surgeon(DbsOutcome={"certificate_issued_on": "2014-03-01"})
    judged = judge(case(shown, policy=policy))
    assert judged.outcome is outcome
    assert finding(judged, "R-08").reason is (Reason.DBS_AGE if months else None)


def test_everything_in_order_is_ready_with_a_finding_for_every_rule():
    judged = judge(case())
    assert judged.outcome is Outcome.READY
    assert judged.conditions == ()
    assert {found.rule for found in judged.findings} == {
        "R-01", "R-02", "R-03", "R-05", "R-06", "R-07", "R-08", "R-09", "R-10", "R-12",
    }  # fmt: skip
    assert all(found.result is Result.PASS for found in judged.findings)


RULE_TABLE: list[tuple[str, str, dict[str, Any], Result, Reason | None, Outcome]] = [
    ("R-05", "StaffIdentity", {"originals_seen_in_person_on": "NONE"}, Result.WARN, Reason.ORIGINALS_NOT_SEEN, Outcome.READY_WITH_CONDITIONS),
    ("R-05", "StaffIdentity", {"identity_scheme": "GPG45", "gpg45_level": "HIGH"}, Result.PASS, None, Outcome.READY),
    ("R-05", "StaffIdentity", {"identity_scheme": "GPG45", "gpg45_level": "VERY_HIGH", "originals_seen_in_person_on": "NONE"}, Result.PASS, None, Outcome.READY),
    ("R-05", "StaffIdentity", {"identity_scheme": "GPG45", "gpg45_level": "MEDIUM"}, Result.FAIL, Reason.IDENTITY_LEVEL, Outcome.NOT_READY),
    ("R-05", "StaffIdentity", {"identity_scheme": "SOMETHING_ELSE"}, Result.UNKNOWN, Reason.NOT_PRESENTED, Outcome.REFER),
    ("R-06", "Employment", {"contract_end": THE_DAY.isoformat()}, Result.PASS, None, Outcome.READY),
    ("R-06", "Employment", {"contract_end": (THE_DAY - timedelta(days=1)).isoformat()}, Result.FAIL, Reason.EMPLOYMENT, Outcome.NOT_READY),
    ("R-06", "Employment", {"employer_ods": "RM3"}, Result.FAIL, Reason.EMPLOYMENT, Outcome.NOT_READY),
    ("R-07", "RightToWork", {"work_restriction": "SPONSORED"}, Result.WARN, Reason.SPONSORED, Outcome.READY_WITH_CONDITIONS),
    ("R-07", "RightToWork", {"work_restriction": "HOURS_LIMIT"}, Result.WARN, Reason.RTW, Outcome.REFER),
    ("R-07", "RightToWork", {"permission": "UNTIL", "permission_expires": THE_DAY.isoformat()}, Result.FAIL, Reason.RTW, Outcome.NOT_READY),
    ("R-07", "RightToWork", {"permission": "UNTIL", "permission_expires": (THE_DAY + timedelta(days=1)).isoformat()}, Result.PASS, None, Outcome.READY),
    ("R-08", "DbsOutcome", {"level": "ENHANCED", "barred_lists": []}, Result.FAIL, Reason.DBS_LEVEL, Outcome.NOT_READY),
    ("R-08", "DbsOutcome", {"workforce": "CHILD", "barred_lists": ["CHILD"]}, Result.FAIL, Reason.DBS_WORKFORCE, Outcome.NOT_READY),
    ("R-08", "DbsOutcome", {"barred_lists": ["CHILD"]}, Result.FAIL, Reason.DBS_WORKFORCE, Outcome.NOT_READY),
    ("R-09", "ProfessionalRegistration", {"regulator": "HCPC"}, Result.FAIL, Reason.REG_STATUS, Outcome.NOT_READY),
    ("R-10", "OccupationalHealth", {"epp_cleared": "NO"}, Result.FAIL, Reason.EPP, Outcome.NOT_READY),
    ("R-10", "OccupationalHealth", {"epp_cleared": "NA"}, Result.FAIL, Reason.EPP, Outcome.NOT_READY),
    ("R-10", "OccupationalHealth", {"role_category": "CLERICAL"}, Result.FAIL, Reason.OH, Outcome.NOT_READY),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "name", "change", "result", "reason", "outcome"), RULE_TABLE)
def test_rule_table(
    rule: str, name: str, change: dict[str, Any], result: Result, reason: Reason | None, outcome: Outcome
):
    judged = judge(case(surgeon(**{name: change})))
    found = finding(judged, rule)
    assert (found.result, found.reason, judged.outcome) == (result, reason, outcome)


@pytest.mark.parametrize(
    ("subject", "change", "outcome"),
    [
        ("IPC", skill("1"), Outcome.NOT_READY),
        ("IPC", None, Outcome.REFER),
        ("RES", skill("2_ADULT", "2024-01-01"), Outcome.NOT_READY),
        ("RES", skill("3_ADULT"), Outcome.READY),
        ("SA", skill("1"), Outcome.READY_WITH_CONDITIONS),
        ("IG", skill("1", "2025-05-01"), Outcome.READY_WITH_CONDITIONS),
        ("IG", skill("1", "2025-05-02"), Outcome.READY),
        ("FS", skill("1", "2026-05-09"), Outcome.READY_WITH_CONDITIONS),
    ],
)
def test_core_skill_table(subject: str, change: dict[str, Any] | None, outcome: Outcome):
    assert judge(case(surgeon(CoreSkills={"skills": all_skills(**{subject: change})}))).outcome is outcome


def test_training_that_runs_out_during_the_movement_is_a_condition_or_a_referral():
    last = THE_DAY + timedelta(days=30)
    runs_out = (THE_DAY + timedelta(days=10)).replace(year=THE_DAY.year - 1).isoformat()
    assurance = surgeon(CoreSkills={"skills": all_skills(IG=skill("1", runs_out))})
    assert judge(case(assurance, last_day=last)).outcome is Outcome.READY_WITH_CONDITIONS
    safety = surgeon(CoreSkills={"skills": all_skills(IPC=skill("2", runs_out))})
    assert judge(case(safety, last_day=last)).outcome is Outcome.REFER


def test_sponsored_permission_that_also_ends_during_the_movement_is_referred_not_made_a_condition():
    shown = surgeon(
        RightToWork={
            "permission": "UNTIL",
            "permission_expires": "2026-05-20",
            "work_restriction": "SPONSORED",
        }
    )
    assert judge(case(shown, last_day=date(2026, 6, 1))).outcome is Outcome.REFER


def test_an_employment_stated_by_another_trust_does_not_count():
    judged = judge(case(standings={"Employment": good_standing("RM3")}))
    assert judged.outcome is Outcome.NOT_READY
    assert finding(judged, "R-06").reason is Reason.EMPLOYMENT


def test_a_rule_that_cannot_be_worked_out_is_unknown_and_safety():
    broken = surgeon(CoreSkills={"skills": all_skills(FS=skill("1", "yesterday"))})
    judged = judge(case(broken))
    found = finding(judged, "R-12", "FS")
    assert (found.result, found.reason, judged.outcome) == (Result.UNKNOWN, Reason.RULE_ERROR, Outcome.REFER)
    level = judge(case(surgeon(DbsOutcome={"level": "PLATINUM"})))
    assert finding(level, "R-08").reason is Reason.RULE_ERROR


TRUST_TABLE = [
    (TrustFinding.AUTHORISED, Result.PASS, Outcome.READY),
    (TrustFinding.FORMER, Result.PASS, Outcome.READY),
    (TrustFinding.SUSPENDED, Result.UNKNOWN, Outcome.REFER),
    (TrustFinding.REGISTRY_STALE, Result.UNKNOWN, Outcome.REFER),
    (TrustFinding.NOT_AUTHORISED, Result.FAIL, Outcome.NOT_READY),
    (TrustFinding.UNKNOWN_ENTITY, Result.FAIL, Outcome.NOT_READY),
    (TrustFinding.KEY_COMPROMISED, Result.FAIL, Outcome.NOT_READY),
]


@pytest.mark.parametrize(("trust", "result", "outcome"), TRUST_TABLE)
def test_every_trust_finding(trust: TrustFinding, result: Result, outcome: Outcome):
    judged = judge(case(standings={"DbsOutcome": standing(trust, StatusFinding.ACTIVE, "RBV")}))
    found = next(f for f in judged.findings if f.rule == "R-01" and f.credential == "DbsOutcome")
    assert (found.result, judged.outcome) == (result, outcome)


def test_the_trust_table_is_whole():
    assert {row[0] for row in TRUST_TABLE} == set(TrustFinding)


@pytest.mark.parametrize(
    ("status", "result", "outcome", "waits"),
    [
        (StatusFinding.ACTIVE, Result.PASS, Outcome.READY, False),
        (StatusFinding.REVOKED, Result.FAIL, Outcome.NOT_READY, False),
        (StatusFinding.ON_HOLD, Result.FAIL, Outcome.NOT_READY, False),
        (StatusFinding.EXPIRED, Result.FAIL, Outcome.NOT_READY, False),
        (StatusFinding.STALE, Result.UNKNOWN, Outcome.REFER, True),
        (StatusFinding.UNAVAILABLE, Result.UNKNOWN, Outcome.REFER, True),
    ],
)
def test_every_status_finding(status: StatusFinding, result: Result, outcome: Outcome, waits: bool):
    judged = judge(case(standings={"RightToWork": standing(TrustFinding.AUTHORISED, status, "RBV")}))
    found = next(f for f in judged.findings if f.rule == "R-03" and f.credential == "RightToWork")
    assert (found.result, judged.outcome, judged.awaits_status) == (result, outcome, waits)


def test_months_are_counted_on_the_calendar():
    assert readiness.add_months(date(2024, 2, 29), 12) == date(2025, 2, 28)
    assert readiness.add_months(date(2025, 10, 31), 4) == date(2026, 2, 28)
    assert readiness.add_months(date(2025, 12, 15), 1) == date(2026, 1, 15)


def test_business_days_are_london_days():
    assert readiness.london_day(DECIDED_AT.replace(hour=23, minute=30)) == date(2026, 5, 2)
