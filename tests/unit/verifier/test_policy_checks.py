"""What a policy may say, and what a host may change of the network's default: every fault by its pointer."""

# ruff: noqa: E501 - a table of cases reads better with a case per line

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from passport_verifier.http.management.policies import PolicyRules, rules_of
from passport_verifier.rules import policy_checks, wording
from passport_verifier.rules.outcome import Outcome
from passport_verifier.rules.override import Accepted, acceptable, is_a_reason, outcome_with
from passport_verifier.rules.parts import OPTIONAL_PER_PART, parts
from passport_verifier.rules.policies import (
    compiled,
    default_versions,
    defaults_on,
    documents,
    policies,
)

SURGEON = "SERVICE_NEED_URGENT.UROLOGY_SURGEON@1"
NURSE = "INDUCTION_VISIT.CLINICAL_NURSE_SPECIALIST@1"
RESIDENT = "PGD_ROTATION.RESIDENT_DOCTOR@1"
PILOT = {
    "SERVICE_NEED_URGENT.UROLOGY_SURGEON",
    "CROSS_TRUST_WORKING.RADIOLOGIST",
    "INDUCTION_VISIT.CLINICAL_NURSE_SPECIALIST",
    "PLACEMENT_DEVELOPMENT.TRAINEE_ACP_DIETETICS",
    "PGD_ROTATION.RESIDENT_DOCTOR",
}
Change = Callable[[dict[str, Any]], Any]


def document(version_id: str, change: Change = lambda _: None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(documents()[version_id]))
    change(found)
    return found


def row(found: dict[str, Any], rule: str, subject: str | None = None) -> dict[str, Any]:
    one: dict[str, Any] = next(
        entry for entry in found["rows"] if (entry["rule"], entry.get("subject")) == (rule, subject)
    )
    return one


def index(found: dict[str, Any], rule: str, subject: str | None = None) -> int:
    return int(found["rows"].index(row(found, rule, subject)))


@pytest.mark.parametrize("version_id", sorted(documents()))
def test_every_default_is_sound_has_the_interfaces_shape_and_asks_for_no_less_than_itself(version_id: str):
    found = documents()[version_id]
    assert policy_checks.faults(found) == []
    assert policy_checks.lowered(found, found) == []
    assert rules_of(found) == PolicyRules.model_validate(rules_of(found).model_dump())
    for entry in found["rows"]:
        for condition in entry.get("conditions", {}).values():
            assert condition["text"] in policy_checks.CONDITION_TEXTS & wording.known_keys()


def test_every_text_a_condition_can_have_has_words():
    assert wording.known_keys() >= policy_checks.CONDITION_TEXTS


# The matrix of the domain model (§10d): what each movement needs for safety, and what as assurance.
MATRIX: dict[str, tuple[set[str], set[str], str, tuple[str, ...], bool, bool]] = {
    "SERVICE_NEED_URGENT.UROLOGY_SURGEON": ({"IPC", "RES"}, {"CR", "EDHR", "FS", "HSW", "IG", "MH", "PR", "SA", "SC"}, "ENHANCED_BARRED", ("GMC",), True, True),
    "CROSS_TRUST_WORKING.RADIOLOGIST": ({"IG"}, {"FS", "IPC", "SA", "SC"}, "ENHANCED", ("GMC",), True, False),
    "INDUCTION_VISIT.CLINICAL_NURSE_SPECIALIST": (set(), {"IG", "FS", "IPC"}, "STANDARD", ("NMC",), False, False),
    "PLACEMENT_DEVELOPMENT.TRAINEE_ACP_DIETETICS": ({"IG", "IPC"}, {"CR", "EDHR", "FS", "HSW", "MH", "PR", "RES", "SA", "SC"}, "ENHANCED", ("HCPC",), False, False),
    "PGD_ROTATION.RESIDENT_DOCTOR": ({"IG", "IPC", "RES"}, {"CR", "EDHR", "FS", "HSW", "MH", "PR", "SA", "SC"}, "ENHANCED_BARRED", ("GMC",), True, False),
}  # fmt: skip


def test_the_defaults_are_the_rows_of_the_matrix():
    assert set(policies()) == PILOT == set(MATRIX)
    for policy_id, (safety, assurance, dbs, regulators, licence, epp) in MATRIX.items():
        policy = policies()[policy_id]
        by_need = {
            need: {one.subject for one in policy.rows if one.subject and one.need == need}
            for need in ("SAFETY", "ASSURANCE")
        }
        assert (by_need["SAFETY"], by_need["ASSURANCE"]) == (safety, assurance), policy_id
        profile = policy.profile
        assert (profile.dbs_level, profile.regulators, profile.licence_required, profile.epp) == (
            dbs, regulators, licence, epp,
        )  # fmt: skip
        others = {one.rule: one.need for one in policy.rows if one.subject is None}
        observer = policy_id.startswith("INDUCTION_VISIT")
        assert others.pop("R-10") == ("ASSURANCE" if observer else "SAFETY")
        assert others == dict.fromkeys(("R-05", "R-06", "R-07", "R-08", "R-09"), "SAFETY")
    assert policies()["PGD_ROTATION.RESIDENT_DOCTOR"].profile.dbs_max_age_months == 36
    levels = {(policy.id, one.subject): one.levels for policy in policies().values() for one in policy.rows}
    for policy_id in PILOT - {"CROSS_TRUST_WORKING.RADIOLOGIST", "INDUCTION_VISIT.CLINICAL_NURSE_SPECIALIST"}:
        assert levels[policy_id, "IPC"] == ("2",)


FAULTS: list[tuple[str, Change, str, str]] = [
    (SURGEON, lambda d: d["profile"].update(gpg45_minimum="MEDIUM"), "/profile/gpg45_minimum", "too_low"),
    (SURGEON, lambda d: d["profile"]["dbs"].update(barred_lists=[]), "/profile/dbs", "barred_lists_needed"),
    (SURGEON, lambda d: d["profile"]["dbs"].update(level="ENHANCED"), "/profile/dbs", "barred_lists_needed"),
    (NURSE, lambda d: d["profile"]["dbs"].update(barred_lists=["ADULT"]), "/profile/dbs/barred_lists", "not_regulated_activity"),
    (SURGEON, lambda d: d["profile"].update(regulators=[]), "/profile/regulators", "missing"),
    (SURGEON, lambda d: d["profile"].update(oh_role_categories=[]), "/profile/oh_role_categories", "missing"),
    (SURGEON, lambda d: d["profile"].update(look_up_max_age_hours={"GMC": 25}), "/profile/look_up_max_age_hours/GMC", "too_old"),
    (SURGEON, lambda d: d["profile"].update(look_up_max_age_hours={"HCPC": 169}), "/profile/look_up_max_age_hours/HCPC", "too_old"),
    (SURGEON, lambda d: d["rows"][0].update(rule="R-99"), "/rows/0/rule", "unknown_rule"),
    (SURGEON, lambda d: d["rows"].append(d["rows"][0]), "/rows/17", "repeated"),
    (SURGEON, lambda d: d["rows"][0].update(months=3), "/rows/0/months", "not_core_skills"),
    (SURGEON, lambda d: d["rows"][6].update(subject="XX"), "/rows/6/subject", "unknown_subject"),
    (SURGEON, lambda d: d["rows"][6].update(levels=[]), "/rows/6/levels", "missing"),
    (SURGEON, lambda d: d["rows"][3].update(conditions={"*": {"text": "SHARE_AGAIN"}}), "/rows/3/conditions/*", "safety_has_no_condition"),
    (SURGEON, lambda d: d["rows"][0]["conditions"].update({"IDENTITY_LEVEL": {"text": "SHARE_AGAIN"}}), "/rows/0/conditions/IDENTITY_LEVEL", "safety_has_no_condition"),
    (SURGEON, lambda d: d["rows"][8].update(conditions={"*": {"text": "DO_IT_SOMETIME"}}), "/rows/8/conditions/*/text", "unknown_text"),
    (SURGEON, lambda d: d["rows"][8].update(conditions={"NOT_PRESENTED": {"text": "SHARE_AGAIN"}}), "/rows/8/conditions", "any_reason_missing"),
]  # fmt: skip


@pytest.mark.parametrize(("version_id", "change", "pointer", "code"), FAULTS)
def test_what_makes_a_document_no_sound_policy(version_id: str, change: Change, pointer: str, code: str):
    found = policy_checks.faults(document(version_id, change))
    assert (pointer, code) in {(one.pointer, one.code) for one in found}


LOWERED: list[tuple[str, Change, str]] = [
    (SURGEON, lambda d: d["profile"].update(regulated_activity=False), "/profile/regulated_activity"),
    (SURGEON, lambda d: d["profile"].update(epp=False), "/profile/epp"),
    (SURGEON, lambda d: d["profile"].update(gpg45_minimum="MEDIUM"), "/profile/gpg45_minimum"),
    (SURGEON, lambda d: d["profile"].update(regulators=["GMC", "NMC"]), "/profile/regulators"),
    (SURGEON, lambda d: d["profile"].update(licence_required=False), "/profile/licence_required"),
    (SURGEON, lambda d: d["profile"].update(provisional_allowed=True), "/profile/provisional_allowed"),
    (SURGEON, lambda d: d["profile"]["oh_role_categories"].append("CLERICAL"), "/profile/oh_role_categories"),
    (SURGEON, lambda d: d["profile"]["dbs"].update(level="ENHANCED"), "/profile/dbs/level"),
    (SURGEON, lambda d: d["profile"]["dbs"].update(workforce=["CHILD"]), "/profile/dbs/workforce"),
    (SURGEON, lambda d: d["profile"]["dbs"].update(barred_lists=["CHILD"]), "/profile/dbs/barred_lists"),
    (RESIDENT, lambda d: d["profile"]["dbs"].update(max_age_months=None), "/profile/dbs/max_age_months"),
    (RESIDENT, lambda d: d["profile"]["dbs"].update(max_age_months=37), "/profile/dbs/max_age_months"),
    (SURGEON, lambda d: d["profile"].update(look_up_max_age_hours={"GMC": 48}), "/profile/look_up_max_age_hours/GMC"),
    (SURGEON, lambda d: d["rows"].pop(3), "/rows"),
    (SURGEON, lambda d: d["rows"].pop(8), "/rows"),
    (SURGEON, lambda d: row(d, "R-12", "IPC").update(need="ASSURANCE"), "/rows/6/need"),
    (SURGEON, lambda d: row(d, "R-08").update(need="ASSURANCE"), "/rows/3/need"),
    (SURGEON, lambda d: row(d, "R-12", "IPC").update(months=13), "/rows/6/months"),
    (SURGEON, lambda d: row(d, "R-12", "IPC").pop("months"), "/rows/6/months"),
    (SURGEON, lambda d: row(d, "R-12", "IPC").update(levels=["1", "2"]), "/rows/6/levels"),
    (SURGEON, lambda d: row(d, "R-12", "SA").update(levels=["1", "2"]), "/rows/15/levels"),
    (SURGEON, lambda d: row(d, "R-07")["conditions"].update({"OTHER": {}}), "/rows/2/conditions/OTHER"),
]  # fmt: skip


@pytest.mark.parametrize(("version_id", "change", "pointer"), LOWERED)
def test_what_the_network_needs_is_never_lowered(version_id: str, change: Change, pointer: str):
    found = policy_checks.lowered(documents()[version_id], document(version_id, change))
    assert pointer in {one.pointer for one in found}


ALLOWED: list[tuple[str, Change]] = [
    (SURGEON, lambda d: row(d, "R-12", "FS").update(months=12)),
    (SURGEON, lambda d: row(d, "R-12", "FS").update(months=48)),
    (SURGEON, lambda d: row(d, "R-12", "FS").update(conditions={})),
    (SURGEON, lambda d: row(d, "R-12", "FS").update(need="SAFETY", conditions={})),
    (SURGEON, lambda d: row(d, "R-12", "IPC").update(months=6)),
    (SURGEON, lambda d: row(d, "R-07").pop("conditions")),
    (SURGEON, lambda d: d["profile"]["dbs"].update(max_age_months=36)),
    (SURGEON, lambda d: d["profile"].update(look_up_max_age_hours={"GMC": 4})),
    (NURSE, lambda d: row(d, "R-10").update(need="SAFETY", conditions={})),
    (NURSE, lambda d: d["profile"].update(gpg45_minimum="HIGH")),
]


@pytest.mark.parametrize(("version_id", "change"), ALLOWED)
def test_a_host_may_ask_for_more_and_set_its_own_periods(version_id: str, change: Change):
    found = document(version_id, change)
    assert [*policy_checks.faults(found), *policy_checks.lowered(documents()[version_id], found)] == []
    assert compiled(found).digest != default_versions()[version_id].digest


def test_the_default_of_a_day_is_the_newest_that_has_begun(monkeypatch: pytest.MonkeyPatch):
    first = default_versions()[SURGEON]
    second = compiled(document(SURGEON, lambda d: d.update(version="2", effective="2027-01-01")))
    defaults_on.cache_clear()
    monkeypatch.setattr(
        "passport_verifier.rules.policies.default_versions",
        lambda: {first.version_id: first, second.version_id: second},
    )
    try:
        assert defaults_on(date(2026, 12, 31))[first.id].version == "1"
        assert defaults_on(date(2027, 1, 1))[first.id].version == "2"
        # Before there was any, the first there will be: an early clock finds no gap.
        assert defaults_on(date(2020, 1, 1))[first.id].version == "1"
    finally:
        defaults_on.cache_clear()


@pytest.mark.parametrize("version_id", sorted(documents()))
def test_no_part_of_a_card_has_more_optional_subjects_than_can_be_listed(version_id: str):
    policy = default_versions()[version_id]
    found = parts(policy)
    assert sorted(map(repr, (one for part in found for one in part.rows))) == sorted(map(repr, policy.rows))
    for part in found:
        optional = [one for one in part.rows if one.subject and one.need == "ASSURANCE"]
        assert len(optional) <= OPTIONAL_PER_PART


def finding(need: str = "ASSURANCE", outcome: str = "REFER", **more: Any) -> dict[str, Any]:
    return {
        "rule": "R-12",
        "subject": "FS",
        "reason": "NOT_PRESENTED",
        "need": need,
        "outcome": outcome,
        **more,
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (finding(), True),
        (finding(need="SAFETY"), False),
        (finding(need="SAFETY", outcome="NOT_READY"), False),
        (finding(outcome="READY"), False),
        (finding(outcome="READY_WITH_CONDITIONS"), False),
        (finding(rule="R-01"), False),
        (finding(rule="R-02"), False),
        (finding(rule="R-03"), False),
    ],
)
def test_only_an_assurance_finding_that_is_referred_can_be_accepted(found: dict[str, Any], expected: bool):
    assert acceptable(found) is expected
    with_it = outcome_with([found], {Accepted.of(found)})
    assert (with_it is not Outcome(found["outcome"])) is expected


def test_what_is_accepted_weighs_as_a_condition_and_covers_only_the_same_reason():
    fire, course = finding(), finding(subject="IG")
    accepted = {Accepted.of(fire)}
    assert outcome_with([fire], accepted) is Outcome.READY_WITH_CONDITIONS
    assert outcome_with([fire, course], accepted) is Outcome.REFER
    assert outcome_with([finding(reason="CORE_SKILL")], accepted) is Outcome.REFER
    unsafe = finding(need="SAFETY", outcome="NOT_READY", rule="R-08", subject=None)
    assert outcome_with([fire, unsafe], {*accepted, Accepted.of(unsafe)}) is Outcome.NOT_READY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Certificate is in the post.", True),
        ("a" * 40, False),
        ("because            so", False),
        ("nineteen characters", False),
        ("Certificate is in the post." + " " * 500, False),
    ],
)
def test_a_reason_says_something(text: str, expected: bool):
    assert is_a_reason(text) is expected
