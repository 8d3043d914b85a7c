"""From records of workforce systems to records of ours: what comes out, and what is refused by which name."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_issuer.rules import workforce_dsp, workforce_esr
from passport_issuer.rules.workforce import (
    MAX_ITEMS,
    ForeignPerson,
    ForeignRecords,
    ItemKind,
    Proposal,
    Reading,
    Refusal,
    SystemType,
    Unusable,
    worse_for_practice,
)
from passport_testkit import corpora
from passport_testkit.workforce import (
    ASSIGNMENT,
    CHECKS,
    DBS_OUTCOME,
    REGISTRATION,
    RESUSCITATION,
    SCREENING,
    SKILL,
)

TODAY = date(2026, 9, 1)
EXAMPLES = corpora.REPOSITORY.parent / "shared" / "contracts" / "nhs-dsp" / "components" / "examples"


def reading(system_type: SystemType = SystemType.ESR, **changes: Any) -> Reading:
    values: dict[str, Any] = {
        "ods": "RBV",
        "given_name": "Adaeze",
        "family_name": "Okonkwo-Price",
        "birthdate": date(1981, 3, 9),
        "known_family_names": ("Okonkwo-Price",),
        "known_given_names": ("Adaeze",),
        "connection_id": "c1",
        "system_type": system_type,
        "today": TODAY,
    }
    return Reading(**{**values, **changes})


def esr(person: dict[str, Any] | None = None, /, **lists: Any) -> list[Any]:
    """Findings of ESR records, the person's own left out unless changed."""
    values: dict[str, Any] = {
        "person_id": "1",
        "given_name": "Adaeze",
        "family_name": "Okonkwo-Price",
        "birthdate": date(1981, 3, 9),
        **(person or {}),
    }
    records = {name: tuple(items) for name, items in lists.items()}
    answered = ForeignRecords(person=ForeignPerson(**values), answered_id="1", records=records)
    return workforce_esr.findings(answered, reading())


def dsp(record: Any, system_type: SystemType = SystemType.LMS, **changes: Any) -> Any:
    [found] = workforce_dsp.findings([record], reading(system_type, **changes))
    return found


def reason(found: Any) -> Refusal | None:
    return found.reason if isinstance(found, Unusable) else None


SUBJECTS = [
    ("NHS Conflict Resolution (England)", "NHS Conflict Resolution (England)", "1", ("CR", "1")),
    ("Equality, Diversity & Human Rights", "Equality, Diversity & Human Rights", "1", ("EDHR", "1")),
    ("Infection Prevention and Control", "Infection Prevention and Control", "2", ("IPC", "2")),
    ("Resuscitation", "Resuscitation", "1", ("RES", "1")),
    ("Resuscitation", "Resuscitation Adult Basic Life Support", "2", ("RES", "2_ADULT")),
    ("Resuscitation", "Resuscitation Paediatric Basic Life Support", "2", ("RES", "2_PAEDIATRIC")),
    ("Resuscitation", "Resuscitation Newborn Basic Life Support", "2", ("RES", "2_NEWBORN")),
    ("Resuscitation", "Resuscitation Adult Immediate Life Support", "3", ("RES", "3_ADULT")),
    ("Preventing Radicalisation", "Preventing Radicalisation Basic Prevent Awareness", "1", ("PR", "BASIC")),
    ("Preventing Radicalisation", "Preventing Radicalisation Awareness of Prevent", "3", ("PR", "AWARENESS")),
    (
        "Oliver McGowan Mandatory Training on Learning Disability and Autism",
        "Oliver McGowan Mandatory Training on Learning Disability and Autism Tier 2",
        "1",
        ("LDA", "T2"),
    ),
    ("Local Fire Exits", "Local Fire Exits", "1", None),
]


@pytest.mark.parametrize(("subject", "competency", "level", "expected"), SUBJECTS)
def test_core_skills_by_the_naming_convention(
    subject: str, competency: str, level: str, expected: tuple[str, str] | None
) -> None:
    found = dsp({**SKILL, "subjectName": subject, "competencyName": competency, "subjectLevel": level})
    if expected is None:
        assert reason(found) is Refusal.NOT_MAPPED
    else:
        assert (found.values["subject_code"], found.values["level"]) == expected


def test_a_core_skill_with_everything() -> None:
    found = dsp(RESUSCITATION)
    assert isinstance(found, Proposal)
    certificate = found.values["certificate_ref"]
    assert certificate.startswith("c1/")
    assert dict(found.values) == {
        "subject_code": "RES",
        "level": "2_ADULT",
        "completed_on": "2026-02-01",
        "provider_ods": "RBV",
        "framework": "CSTF",
        "framework_version": "1.1",
        "competency_name": "Resuscitation Adult Basic Life Support",
        "assessed": True,
        "learning_method": "E_LEARNING",
        "certificate_ref": certificate,
    }
    assert dsp(RESUSCITATION) == found, "the same record is the same evidence"


def test_the_same_skill_twice_is_a_duplicate() -> None:
    found = workforce_dsp.findings([SKILL, dict(SKILL)], reading(SystemType.LMS))
    assert [reason(one) for one in found] == [None, Refusal.DUPLICATE]


def test_more_records_than_a_person_can_have() -> None:
    found = workforce_dsp.findings([None] * (MAX_ITEMS + 50), reading(SystemType.LMS))
    assert len(found) == MAX_ITEMS + 1
    assert reason(found[-1]) is Refusal.TOO_MANY


BARRED = ("Enhanced with barred list(s) check", True, True)
DBS = [
    ({}, ("ENHANCED_BARRED", "BOTH", ["ADULT", "CHILD"])),
    ({"workforceType": "Child", "adultsBarredListChecked": False}, ("ENHANCED_BARRED", "CHILD", ["CHILD"])),
    (
        {
            "typeOfDbsCheck": "Standard check",
            "adultsBarredListChecked": "false",
            "childrensBarredListChecked": False,
            "workforceType": "Adult",
        },
        ("STANDARD", "ADULT", []),
    ),
]


@pytest.mark.parametrize(("changes", "expected"), DBS)
def test_dbs_outcomes(changes: dict[str, Any], expected: tuple[str, str, list[str]]) -> None:
    found = dsp({**DBS_OUTCOME, **changes}, SystemType.RECRUITMENT)
    fields = found.values["fields"]
    assert (fields["level"], fields["workforce"], fields["barred_lists"]) == expected
    assert fields["update_service"] is False
    assert found.values["outcome"] == "CLEARED"
    assert "123456789012" not in str(found.values), "the certificate's number stays where it is"


DBS_REFUSED = [
    ({"informationDisclosed": True}, Refusal.DECISION_NEEDED),
    ({"informationDisclosed": "true"}, Refusal.DECISION_NEEDED),
    ({"informationDisclosed": None}, Refusal.MALFORMED),
    ({"applicantSurname": "Else"}, Refusal.OTHER_PERSON),
    ({"applicantFirstName": "Somebody"}, Refusal.OTHER_PERSON),
    ({"applicantDateOfBirth": "1981-09-03"}, Refusal.OTHER_PERSON),
    ({"disclosureIssueDate": "2026-09-02"}, Refusal.FUTURE_DATE),
    ({"disclosureIssueDate": "1901-01-01"}, Refusal.IMPOSSIBLE_VALUE),
    ({"disclosureIssueDate": "2026-02-30"}, Refusal.MALFORMED),
    ({"typeOfDbsCheck": "Enhanced check"}, Refusal.IMPOSSIBLE_VALUE),
    ({"typeOfDbsCheck": "Better check"}, Refusal.MALFORMED),
    ({"workforceType": "Other"}, Refusal.MALFORMED),
    ({"registeredBodyNumber": 12345678901}, Refusal.MALFORMED),
]


@pytest.mark.parametrize(("changes", "expected"), DBS_REFUSED)
def test_dbs_outcomes_that_are_not_used(changes: dict[str, Any], expected: Refusal) -> None:
    assert reason(dsp({**DBS_OUTCOME, **changes}, SystemType.RECRUITMENT)) is expected


def test_a_certificate_under_an_earlier_name_is_hers_when_it_is_known() -> None:
    record = {**DBS_OUTCOME, "applicantSurname": "Okonkwo"}
    assert reason(dsp(record, SystemType.RECRUITMENT)) is Refusal.OTHER_PERSON
    names = ("Okonkwo-Price", "Okonkwo")
    assert reason(dsp(record, SystemType.RECRUITMENT, known_family_names=names)) is None


@pytest.mark.parametrize("record", SCREENING)
def test_screening_loses_its_results_and_becomes_no_check(record: dict[str, Any]) -> None:
    found = dsp(record, SystemType.OCCUPATIONAL_HEALTH)
    assert found.kind is ItemKind.SCREENING
    assert set(found.values) == {"record_type", "code", "description", "date"}


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2027", Refusal.FUTURE_DATE), ("1980-12", Refusal.IMPOSSIBLE_VALUE), ("81", "MALFORMED")],
)
def test_screening_on_impossible_days(day: str, expected: str) -> None:
    assert reason(dsp({**SCREENING[0], "date": day}, SystemType.OCCUPATIONAL_HEALTH)) == expected


@pytest.mark.parametrize("system_type", [one for one in SystemType if one is not SystemType.ESR])
def test_a_system_answers_for_its_own_kind_of_records_only(system_type: SystemType) -> None:
    records = {
        SystemType.LMS: SKILL,
        SystemType.RECRUITMENT: DBS_OUTCOME,
        SystemType.OCCUPATIONAL_HEALTH: SCREENING[0],
    }
    for owner, record in records.items():
        expected = None if owner is system_type else Refusal.NOT_FROM_THIS_SYSTEM
        assert reason(dsp(record, system_type)) is expected


@pytest.mark.parametrize(
    ("file", "system_type"),
    [
        ("GetEmployeeRecordsResponseCoreSkills.json", SystemType.LMS),
        ("GetEmployeeRecordsResponseDBSCheckOutcome.json", SystemType.RECRUITMENT),
        ("GetEmployeeRecordsResponseScreeningAndVaccination.json", SystemType.OCCUPATIONAL_HEALTH),
    ],
)
def test_the_published_examples_are_understood(file: str, system_type: SystemType) -> None:
    if not EXAMPLES.exists():
        pytest.skip("the published NHS DSP documents are not beside this repository")
    import json

    answered = json.loads((EXAMPLES / file).read_text())
    jane = {
        "birthdate": date(1998, 10, 22),
        "known_given_names": ("Jane",),
        "known_family_names": ("Smith",),
    }
    found = workforce_dsp.findings(answered["records"], reading(system_type, **jane))
    assert found
    assert [reason(one) for one in found] == [None] * len(found)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=12),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*SKILL, *DBS_OUTCOME, *SCREENING[1], "items"]), inner, max_size=6
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(["", *SKILL, *DBS_OUTCOME]),
    st.sampled_from(list(SystemType)),
)
def test_whatever_is_sent_is_a_finding(value: Any, member: str, system_type: SystemType) -> None:
    base = copy.deepcopy(DBS_OUTCOME if member in DBS_OUTCOME else SKILL)
    for record in (value, {**base, member: value}):
        [found] = workforce_dsp.findings([record], reading(system_type))
        assert isinstance(found, Proposal | Unusable)
    for name, good in (
        ("assignments", ASSIGNMENT),
        ("registrations", REGISTRATION),
        ("checks", CHECKS["DBS"]),
    ):
        for record in (value, {**good, "fields": value}, {**good, "position": value}):
            found_there = esr(**{name: [record]})
            assert all(isinstance(one, Proposal | Unusable) for one in found_there)


def test_esr_records_become_ours() -> None:
    found = esr(
        {"employment_status": "NOTICE", "leaving_date": date(2026, 12, 1), "work_email": "a@trust.invalid"},
        assignments=[ASSIGNMENT],
        registrations=[REGISTRATION],
        checks=list(CHECKS.values()),
    )
    assert [reason(one) for one in found] == [None] * 8
    by_key = {one.key: one.values for one in found}
    assert by_key["employment"] == {"employment_status": "NOTICE", "leaving_date": "2026-12-01"}
    assert by_key["20391234"]["staff_group"] == "Medical and Dental"
    registration = by_key["REGISTRATION/GMC/7099999"]
    assert registration["outcome"] == "CLEARED"
    assert registration["fields"]["number"] == "7099999"
    assert by_key["OH"]["outcome"] == "CLEARED"
    assert by_key["OH"]["fields"] == {"role_category": "SURGICAL", "epp_cleared": "YES"}
    assert by_key["RTW"]["performed_by"] == "RECRUITMENT"


STATUSES = {
    "REGISTERED": "CLEARED",
    "PROVISIONAL": "CLEARED",
    "REGISTERED_WITH_CONDITIONS": "CLEARED",
    "INTERIM_CONDITIONS": "CLEARED",
    "REGISTERED_WITHOUT_LICENCE": "NOT_CLEARED",
    "LAPSED": "NOT_CLEARED",
    "SUSPENDED": "NOT_CLEARED",
    "INTERIM_SUSPENSION": "NOT_CLEARED",
    "REMOVED": "NOT_CLEARED",
    "NOT_FOUND": "NOT_CLEARED",
    "UNKNOWN": "NOT_CLEARED",
}


@pytest.mark.parametrize(("status", "outcome"), STATUSES.items())
def test_what_a_registration_status_means(status: str, outcome: str) -> None:
    found = [
        one for one in esr(registrations=[{**REGISTRATION, "status": status}]) if one.kind is ItemKind.CHECK
    ]
    assert [one.values["outcome"] for one in found] == [outcome]
    ends = outcome == "NOT_CLEARED" and status != "UNKNOWN"
    limits = status in ("REGISTERED_WITH_CONDITIONS", "INTERIM_CONDITIONS")
    assert worse_for_practice("REGISTERED", status) == (ends or limits)
    assert not worse_for_practice(status, status)


def test_conditions_that_were_known_are_no_news() -> None:
    assert not worse_for_practice("INTERIM_CONDITIONS", "REGISTERED_WITH_CONDITIONS")
    assert worse_for_practice("REGISTERED_WITH_CONDITIONS", "SUSPENDED")
    assert worse_for_practice(None, "LAPSED")
    assert not worse_for_practice("LAPSED", "REGISTERED")


def _check(kind: str, changes: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    return {**CHECKS[kind], **changes, "fields": {**CHECKS[kind]["fields"], **fields}}


ESR_REFUSED = [
    ("checks", _check("RTW", {}, {"permission": "UNTIL"}), Refusal.IMPOSSIBLE_VALUE),
    ("checks", _check("RTW", {}, {"permission_expires": "2027-01-01"}), Refusal.IMPOSSIBLE_VALUE),
    ("checks", _check("DBS", {}, {"level": "ENHANCED"}), Refusal.IMPOSSIBLE_VALUE),
    ("checks", _check("DBS", {}, {"certificate_issued_on": "2026-03-11"}), Refusal.IMPOSSIBLE_VALUE),
    ("checks", _check("DBS", {"outcome": "CLEARED_FOR_ROLE"}, {}), Refusal.IMPOSSIBLE_VALUE),
    ("checks", _check("DBS", {"performed_on": "2026-09-02"}, {}), Refusal.FUTURE_DATE),
    ("checks", _check("OH", {}, {"epp_cleared": "MAYBE"}), Refusal.MALFORMED),
    ("checks", {**CHECKS["OH"], "check_type": "ABSENCE"}, Refusal.MALFORMED),
    ("registrations", {**REGISTRATION, "number": "70999"}, Refusal.NUMBER_MALFORMED),
    ("registrations", {**REGISTRATION, "number": 7099999}, Refusal.MALFORMED),
    ("registrations", {**REGISTRATION, "status": "FINE"}, Refusal.MALFORMED),
    ("registrations", {**REGISTRATION, "checked_on": "2026-09-02"}, Refusal.FUTURE_DATE),
    ("assignments", {**ASSIGNMENT, "fte": 3}, Refusal.MALFORMED),
    ("assignments", {**ASSIGNMENT, "start": "2028-01-01"}, Refusal.FUTURE_DATE),
    ("assignments", {**ASSIGNMENT, "start": "1970-01-01"}, Refusal.IMPOSSIBLE_VALUE),
    ("assignments", "post", Refusal.MALFORMED),
]


@pytest.mark.parametrize(("name", "record", "expected"), ESR_REFUSED)
def test_esr_records_that_are_not_used(name: str, record: Any, expected: Refusal) -> None:
    found = esr(**{name: [record]})
    assert [reason(one) for one in found] == [expected]
    assert "70999" not in str(found), "nothing of its content is kept"


def test_a_post_that_starts_soon_may_be_known_already() -> None:
    [found] = esr(assignments=[{**ASSIGNMENT, "start": "2026-10-01"}])
    assert reason(found) is None


LEAVING = [
    ("LEFT", None, Refusal.IMPOSSIBLE_VALUE),
    ("LEFT", date(2026, 9, 2), Refusal.IMPOSSIBLE_VALUE),
    ("LEFT", date(2026, 8, 31), None),
    ("NOTICE", date(2026, 12, 1), None),
    ("NOTICE", date(1970, 1, 1), Refusal.IMPOSSIBLE_VALUE),
    ("ACTIVE", None, None),
]


@pytest.mark.parametrize(("status", "leaving", "expected"), LEAVING)
def test_leaving(status: str, leaving: date | None, expected: Refusal | None) -> None:
    [found] = esr({"employment_status": status, "leaving_date": leaving})
    assert reason(found) is expected


def test_a_spelling_that_esr_cannot_write_is_no_change_of_name() -> None:
    assert esr({"family_name": "OKONKWO PRICE", "given_name": "Adaezé"}) == []
    [found] = esr({"family_name": "Adeyemi", "previous_family_names": ("Okonkwo-Price",)})
    assert (found.kind, found.values) == (ItemKind.PERSON, {"legal_family": "Adeyemi"})
