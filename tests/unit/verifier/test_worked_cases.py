"""The worked cases W1 to W13 of the domain model (§10d) through the judge, each by its own policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from passport_testkit.cases import (
    COMPLETED,
    DECIDED_AT,
    THE_DAY,
    case,
    commit,
    evidence_for,
    good_standing,
    look_up,
    look_up_for,
)
from passport_testkit.datasets import skill
from passport_verifier.rules.decision import Judgement, judge
from passport_verifier.rules.one_person import Identified, one_person
from passport_verifier.rules.outcome import Finding, Outcome, Party, Reason, Result
from passport_verifier.rules.policies import HostPolicy, compiled, documents, policies

SURGEON = "SERVICE_NEED_URGENT.UROLOGY_SURGEON"
RADIOLOGIST = "CROSS_TRUST_WORKING.RADIOLOGIST"
NURSE = "INDUCTION_VISIT.CLINICAL_NURSE_SPECIALIST"
DIETITIAN = "PLACEMENT_DEVELOPMENT.TRAINEE_ACP_DIETETICS"
RESIDENT = "PGD_ROTATION.RESIDENT_DOCTOR"


def policy(policy_id: str) -> HostPolicy:
    return policies()[policy_id]


def changed(policy_id: str, change: Callable[[dict[str, Any]], None]) -> HostPolicy:
    """A host's version of a default."""
    document = json.loads(json.dumps(documents()[policies()[policy_id].version_id]))
    change(document)
    return compiled({**document, "version": "R0A-1"})


def row(document: dict[str, Any], subject: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["rows"] if one.get("subject") == subject)
    return found


def finding(judged: Judgement, rule: str, subject: str | None = None) -> Finding:
    return next(found for found in judged.findings if found.rule == rule and found.subject == subject)


def with_skill(policy_id: str, subject: str, change: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    shown = evidence_for(policy(policy_id))
    if change is None:
        del shown["CoreSkills"]["skills"][subject]
    else:
        shown["CoreSkills"]["skills"][subject] = change
    return shown


@pytest.mark.parametrize("policy_id", [SURGEON, RADIOLOGIST, NURSE, DIETITIAN, RESIDENT])
def test_with_everything_in_order_every_policy_answers_ready(policy_id: str):
    judged = judge(case(policy=policy(policy_id)))
    assert judged.outcome is Outcome.READY
    assert {found.result for found in judged.findings} == {Result.PASS}
    assert (judged.conditions, judged.decided_by, judged.latest_end) == ((), None, None)


def test_w1_a_surgeon_with_fire_safety_ten_days_out_of_date_has_72_hours():
    lapsed = skill("1", (THE_DAY - timedelta(days=10)).replace(year=2024).isoformat())
    judged = judge(
        case(with_skill(SURGEON, "FS", lapsed), policy=policy(SURGEON), look_ups=(look_up(hours=3),))
    )
    assert judged.outcome is Outcome.READY_WITH_CONDITIONS
    [condition] = judged.conditions
    assert (condition.subject, condition.owner) == ("FS", Party.STAFF_MEMBER)
    assert condition.due == DECIDED_AT + timedelta(hours=72)


@pytest.mark.parametrize(
    ("name", "status", "outcome", "decider"),
    [
        ("w2a", "INTERIM_CONDITIONS", Outcome.REFER, Party.HOST_PROFESSIONAL_LEAD),
        ("w2b", "INTERIM_SUSPENSION", Outcome.NOT_READY, None),
        ("w2c", "REGISTERED_WITHOUT_LICENCE", Outcome.NOT_READY, None),
    ],
)
def test_w2_the_register_decides(name: str, status: str, outcome: Outcome, decider: Party | None):
    judged = judge(case(policy=policy(SURGEON), look_ups=(look_up(status),)))
    assert (judged.outcome, judged.decided_by) == (outcome, decider), name
    assert finding(judged, "R-09").reason is Reason.REG_STATUS


def test_w3_a_dietitian_whom_only_the_employer_has_looked_up_is_referred_until_the_host_looks():
    shown = evidence_for(policy(DIETITIAN))
    shown["ProfessionalRegistration"]["checked_on"] = (THE_DAY - timedelta(days=9)).isoformat()
    judged = judge(case(shown, policy=policy(DIETITIAN), look_ups=()))
    assert (judged.outcome, judged.decided_by) == (Outcome.REFER, Party.HOST_HR)
    found = finding(judged, "R-09")
    assert (found.result, found.reason) == (Result.UNKNOWN, Reason.REG_STALE)
    assert found.telling.words.params["date"] == "2026-04-22"
    looked = judge(
        case(shown, policy=policy(DIETITIAN), look_ups=(look_up_for(policy(DIETITIAN), hours=6 * 24),))
    )
    assert looked.outcome is Outcome.READY


def test_w3_the_hcpc_register_is_looked_up_once_a_week_and_the_gmc_once_a_day():
    for policy_id, hours in ((DIETITIAN, 168), (SURGEON, 24), (RADIOLOGIST, 24), (NURSE, 24)):
        fresh = look_up_for(policy(policy_id), hours=hours)
        old = look_up_for(policy(policy_id), hours=hours + 0.1)
        assert judge(case(policy=policy(policy_id), look_ups=(fresh,))).outcome is Outcome.READY
        assert judge(case(policy=policy(policy_id), look_ups=(old,))).outcome is Outcome.REFER


def test_w4_a_radiologist_with_a_standard_check_is_not_ready():
    shown = evidence_for(policy(RADIOLOGIST), DbsOutcome={"level": "STANDARD"})
    judged = judge(case(shown, policy=policy(RADIOLOGIST)))
    assert judged.outcome is Outcome.NOT_READY
    found = finding(judged, "R-08")
    assert (found.reason, found.telling.fixer) == (Reason.DBS_LEVEL, Party.EMPLOYING_HR)


def test_w5_a_visiting_nurse_without_occupational_health_observes_only():
    shown = evidence_for(policy(NURSE))
    del shown["OccupationalHealth"]
    judged = judge(case(shown, policy=policy(NURSE)))
    assert judged.outcome is Outcome.READY_WITH_CONDITIONS
    [condition] = judged.conditions
    assert (condition.words.key, condition.owner) == ("NO_HANDS_ON", Party.HOST_LINE_MANAGER)
    assert finding(judged, "R-10").reason is Reason.NOT_PRESENTED


def test_w6_a_right_to_work_that_ends_on_day_40_of_60_is_referred_offering_day_39():
    day_40 = THE_DAY + timedelta(days=39)
    shown = evidence_for(
        policy(DIETITIAN), RightToWork={"permission": "UNTIL", "permission_expires": day_40.isoformat()}
    )
    long: dict[str, Any] = {"policy": policy(DIETITIAN), "first_day": THE_DAY}
    judged = judge(case(shown, last_day=THE_DAY + timedelta(days=59), **long))
    assert (judged.outcome, judged.decided_by) == (Outcome.REFER, Party.HOST_HR)
    assert judged.latest_end == (day_40 - timedelta(days=1)).isoformat()
    assert finding(judged, "R-07").result is Result.WARN
    # The day that is offered is one that would be in order.
    offered = date.fromisoformat(judged.latest_end)
    assert judge(case(shown, last_day=offered, **long)).outcome is Outcome.READY


@pytest.mark.parametrize(("months", "outcome"), [(24, Outcome.READY), (12, Outcome.READY_WITH_CONDITIONS)])
def test_w7_the_hosts_own_version_says_how_long_fire_safety_counts(months: int, outcome: Outcome):
    host = changed(RADIOLOGIST, lambda document: row(document, "FS").update(months=months))
    done = skill("1", "2024-11-01")  # 18 months ago
    judged = judge(case(with_skill(RADIOLOGIST, "FS", done), policy=host))
    assert judged.outcome is outcome
    assert [condition.subject for condition in judged.conditions] == (["FS"] if months == 12 else [])


def test_w8_a_leaver_on_day_20_of_30_caps_the_end_and_both_hr_teams_are_told():
    day_20 = THE_DAY + timedelta(days=19)
    judged = judge(
        case(policy=policy(RADIOLOGIST), last_day=THE_DAY + timedelta(days=29), released_until=day_20)
    )
    assert (judged.outcome, judged.ends_on, judged.capped) == (Outcome.READY, day_20, True)
    assert judged.latest_end == day_20.isoformat()
    assert judged.told == (Party.EMPLOYING_HR, Party.HOST_HR)


def test_w8_a_contract_that_ends_on_day_20_is_referred_offering_that_day():
    day_20 = THE_DAY + timedelta(days=19)
    shown = evidence_for(policy(RADIOLOGIST), Employment={"contract_end": day_20.isoformat()})
    judged = judge(case(shown, policy=policy(RADIOLOGIST), last_day=THE_DAY + timedelta(days=29)))
    assert (judged.outcome, judged.latest_end) == (Outcome.REFER, day_20.isoformat())
    capped = judge(
        case(
            shown,
            policy=policy(RADIOLOGIST),
            last_day=THE_DAY + timedelta(days=29),
            released_until=day_20,
        )
    )
    assert (capped.outcome, capped.ends_on) == (Outcome.READY, day_20)


def test_w9_and_w10_fire_safety_never_done_is_a_condition_and_withheld_is_the_same():
    never = judge(case(with_skill(SURGEON, "FS", None), policy=policy(SURGEON)))
    assert never.outcome is Outcome.READY_WITH_CONDITIONS
    assert [condition.subject for condition in never.conditions] == ["FS"]
    # What a wallet withholds is not there, as what was never issued is not: one case, one answer.
    assert finding(never, "R-12", "FS").reason is Reason.NOT_PRESENTED


def test_w11_an_assurance_failure_without_a_condition_is_referred():
    host = changed(SURGEON, lambda document: row(document, "FS").update(conditions={}))
    judged = judge(case(with_skill(SURGEON, "FS", None), policy=host))
    assert (judged.outcome, judged.conditions) == (Outcome.REFER, ())
    assert judged.decided_by is Party.HOST_HR


def test_w12_two_peoples_credentials_are_nobodys():
    def shown(credential: str, key: str, ref: str, given: str) -> Identified:
        return Identified(
            credential=credential,
            iss="https://issuer.example/RBV",
            holder_thumbprint=key,
            holder_ref=ref,
            family_name="Okonkwo-Price" if credential == "StaffIdentity" else None,
            given_name=given if credential == "StaffIdentity" else None,
            birthdate="1981-03-09" if credential == "StaffIdentity" else None,
        )

    hers = shown("StaffIdentity", "k1", "ref-1", "Adaeze")
    assert one_person([hers, shown("DbsOutcome", "k2", "ref-1", "")])
    assert not one_person([hers, shown("DbsOutcome", "k3", "ref-2", "")])


def test_w13_a_certificate_of_twelve_years_counts_where_the_employer_is_unchanged_and_not_on_a_rotation():
    old = {"certificate_issued_on": "2014-03-01"}
    unchanged = judge(case(evidence_for(policy(SURGEON), DbsOutcome=old), policy=policy(SURGEON)))
    assert unchanged.outcome is Outcome.READY
    rotation = judge(case(evidence_for(policy(RESIDENT), DbsOutcome=old), policy=policy(RESIDENT)))
    assert rotation.outcome is Outcome.NOT_READY
    assert finding(rotation, "R-08").reason is Reason.DBS_AGE


def test_a_certificate_that_grows_too_old_during_a_rotation_is_referred():
    shown = evidence_for(policy(RESIDENT), DbsOutcome={"certificate_issued_on": "2023-06-01"})
    judged = judge(case(shown, policy=policy(RESIDENT), last_day=THE_DAY + timedelta(days=90)))
    assert judged.outcome is Outcome.REFER
    assert finding(judged, "R-08").reason is Reason.DBS_AGE


def test_a_provisional_registration_starts_a_rotation_and_no_urgent_list():
    for policy_id, outcome in ((RESIDENT, Outcome.READY), (SURGEON, Outcome.NOT_READY)):
        found = look_up("PROVISIONAL")
        assert judge(case(policy=policy(policy_id), look_ups=(found,))).outcome is outcome


@pytest.mark.parametrize(
    ("policy_id", "hours", "by_approver", "outcome"),
    [
        (SURGEON, 3, True, Outcome.READY),
        (SURGEON, 9, True, Outcome.REFER),  # yesterday evening in London
        (SURGEON, 9, False, Outcome.READY),
        (RADIOLOGIST, 3, True, Outcome.REFER),
    ],
)
def test_the_approvers_look_up_counts_for_an_urgent_move_on_its_own_day(
    policy_id: str, hours: float, by_approver: bool, outcome: Outcome
):
    found = look_up_for(policy(policy_id), hours=hours, by_approver=by_approver)
    judged = judge(case(policy=policy(policy_id), look_ups=(found,)))
    assert judged.outcome is outcome


def test_what_an_approver_saw_to_be_wrong_counts_for_every_move():
    looked = (
        look_up_for(policy(RADIOLOGIST), hours=5),
        look_up_for(policy(RADIOLOGIST), "SUSPENDED", hours=3, by_approver=True),
    )
    assert judge(case(policy=policy(RADIOLOGIST), look_ups=looked)).outcome is Outcome.NOT_READY


def test_a_number_in_another_form_is_not_looked_up_but_corrected():
    shown = evidence_for(policy(NURSE), ProfessionalRegistration={"number": "7099999"})
    looked = look_up_for(policy(NURSE), number_commitment=commit("NMC|7099999"))
    judged = judge(case(shown, policy=policy(NURSE), look_ups=(looked,)))
    assert judged.outcome is Outcome.NOT_READY
    found = finding(judged, "R-09")
    assert (found.reason, found.telling.fixer) == (Reason.REG_NUMBER_FORM, Party.EMPLOYING_HR)


def test_one_card_that_is_on_hold_counts_as_much_as_what_it_was_asked_for():
    """The second part of a long card is assurance: on hold it is a condition, the first part is not."""
    from passport_shared.formats.trust import Finding as TrustFinding
    from passport_verifier.rules.trust_findings import StatusFinding, standing

    held = standing(TrustFinding.AUTHORISED, StatusFinding.ON_HOLD, "RBV")
    shown = evidence_for(policy(SURGEON))
    for key, outcome in (
        ("CoreSkills", Outcome.NOT_READY),
        ("CoreSkills:2", Outcome.READY_WITH_CONDITIONS),
        ("CoreSkills:9", Outcome.NOT_READY),
    ):
        judged = judge(case(shown, policy=policy(SURGEON), standings={key: held}))
        assert judged.outcome is outcome, key
    assert judge(
        case(shown, policy=policy(SURGEON), standings={"CoreSkills:2": good_standing()})
    ).outcome is (Outcome.READY)


def test_skills_recorded_for_a_day_that_has_not_come_are_not_done():
    tomorrow = (THE_DAY + timedelta(days=1)).isoformat()
    judged = judge(case(with_skill(SURGEON, "FS", skill("1", tomorrow)), policy=policy(SURGEON)))
    assert finding(judged, "R-12", "FS").telling.words.key == "SKILL_NOT_YET"
    assert judged.outcome is Outcome.READY_WITH_CONDITIONS
    assert judge(case(with_skill(SURGEON, "FS", skill("1", COMPLETED)))).outcome is Outcome.READY
