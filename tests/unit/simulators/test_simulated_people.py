"""The invented people: always the same, complete, in the right forms, and awkward where people are."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.simulators import names, people, sandbox_people
from deploy.simulators.answers import Refusal
from deploy.simulators.dsp_records import SUITE, records
from deploy.simulators.dsp_sent import TYPES, checked
from deploy.simulators.subjects import BY_COMPETENCY, SUBJECTS
from passport_shared.wire.regulators import number_has_form

TODAY = date(2026, 5, 1)
EVERYBODY = [one for trust in people.population(TODAY).values() for one in trust.values()]


def test_the_same_day_gives_the_same_people():
    assert people.population(TODAY) == people.population(TODAY)


def test_eight_trusts_with_some_forty_people_each_and_two_of_the_sandbox():
    found = people.population(TODAY)
    assert set(found) == {*people.TRUSTS, "SBX01", "SBX02"}
    assert len(people.TRUSTS) == 8
    assert all(len(found[ods]) >= people.PER_TRUST for ods in people.TRUSTS)


def test_the_nine_of_table_f2():
    assert len(people.PILOT) == 9
    by_group: dict[str, int] = {}
    for one in people.PILOT:
        by_group[one.workforce_group] = by_group.get(one.workforce_group, 0) + 1
    assert by_group == {"Clinicians": 1, "Nursing": 3, "Imaging": 4, "Trainees": 1}
    employers = [one.employing_ods for one in people.PILOT]
    hosts = [one.host_ods for one in people.PILOT]
    assert (employers.count("RBV"), employers.count("R0A")) == (2, 7)
    assert (hosts.count("R0A"), hosts.count("RM3")) == (1, 8)


def test_ids_numbers_and_addresses_are_nobody_else_s():
    for found in (
        [one.person_id for one in EVERYBODY],
        [(one.ods, one.dsp_id) for one in EVERYBODY],
        [(r.regulator, r.number) for one in EVERYBODY for r in one.registrations],
        [one.work_email for one in EVERYBODY],
        [one.dbs.certificate_number for one in EVERYBODY if one.dbs],
        [post.assignment_number for one in EVERYBODY for post in one.assignments],
    ):
        assert len(found) == len(set(found))


def test_registration_numbers_have_the_form_of_their_regulator():
    for one in EVERYBODY:
        for registration in one.registrations:
            assert number_has_form(registration.regulator, registration.number), registration.number


def test_addresses_are_plain_and_lead_nowhere():
    for one in EVERYBODY:
        assert one.work_email.isascii()
        assert one.work_email.endswith(".example")


def test_names_are_as_awkward_as_names_are():
    nine = [one.employee(TODAY) for one in people.PILOT]
    written = [f"{one.given_name} {one.family_name}" for one in nine]
    assert sum(not name.isascii() for name in written) >= 5
    assert any(" " in one.given_name for one in nine)
    assert any(one.middle_names for one in nine)
    assert any(one.previous_family_names for one in nine)
    assert any(one.learning_family != one.family_name for one in nine)
    assert len(set(names.GIVEN)) == len(names.GIVEN)


def test_nobody_started_before_they_were_grown_or_after_today():
    for one in EVERYBODY:
        for post in one.assignments:
            assert one.birthdate + timedelta(days=18 * 365) < post.start < TODAY
        assert one.nhs_start_date < one.primary.start


def test_every_date_of_a_record_lies_in_the_past():
    for one in EVERYBODY:
        dates = [one.identity_checked_on, one.right_to_work.performed_on]
        dates += [skill.completed_on for skill in one.skills]
        dates += [registration.checked_on for registration in one.registrations]
        assert max(dates) < TODAY


def test_what_the_dsp_port_gives_it_would_also_take():
    for one in EVERYBODY:
        for record in records(one, SUITE.gives):
            assert checked(record) == record


def test_competencies_are_told_apart_by_name_and_level():
    assert len(BY_COMPETENCY) == len(SUBJECTS)
    assert SUBJECTS["RES", "2_ADULT"].competency_name == "Resuscitation Adult Basic Life Support"


def test_the_sandbox_has_each_outcome_and_a_person_who_says_no():
    outcomes = [one.outcome for one in sandbox_people.PEOPLE]
    assert set(outcomes) == {"READY", "READY_WITH_CONDITIONS", "REFER", "NOT_READY", None}
    assert [one.key for one in sandbox_people.PEOPLE if not one.agrees] == ["declines"]
    assert sandbox_people.person("nobody") is None
    with pytest.raises(KeyError):
        people.pilot("nobody")


@settings(max_examples=30, deadline=None)
@given(st.dates(date(2025, 1, 1), date(2040, 12, 31)))
def test_any_day_has_its_people(day):
    for trust in people.population(day).values():
        for one in trust.values():
            assert all(skill.completed_on < day for skill in one.skills)


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)


def records_of(name: str):
    others = dict.fromkeys(sorted(TYPES[name].fields.keys() - {"recordType"}), VALUES)
    return st.fixed_dictionaries({"recordType": st.just(name)}, optional=others)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(TYPES)).flatmap(records_of))
def test_a_record_of_any_values_is_refused_in_words_or_taken(record):
    refused = None
    try:
        found = checked(record)
    except Refusal as refusal:
        refused = refusal
    if refused is None:
        assert found["recordType"] == record["recordType"]
    else:
        assert (refused.status, refused.code) == (400, "invalid")
