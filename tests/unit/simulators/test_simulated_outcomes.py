"""What the invented people's records come to, by the issuer's own mapping and the hosts' policies.

From the JSON of the ports through the issuer's rules (ESR and learning system, identity confirmed by hand) to
what a host decides. Signatures, wallets and databases have no part in it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from deploy.simulators import dsp_records, esr_records, people, sandbox_people
from deploy.simulators.clock import SandboxClock
from deploy.simulators.employees import Employee
from deploy.simulators.state import World
from passport_issuer.rules import workforce_dsp, workforce_esr
from passport_issuer.rules.datasets import assess
from passport_issuer.rules.records import (
    Channel,
    EmploymentStatus,
    IdentitySession,
    SessionResult,
    Source,
    StaffMember,
    StaffRecords,
)
from passport_issuer.rules.workforce import ForeignRecords, ItemKind, Proposal, Reading, SystemType, Unusable
from passport_issuer.rules.workforce_preview import (
    Making,
    assignment_from,
    check_from,
    details_from,
    training_from,
)
from passport_shared.formats.ids import random_token
from passport_shared.wire import catalogue
from passport_shared.wire.dsp_api import EmployeePersonalDetails
from passport_shared.wire.esr_port import Person
from passport_testkit.cases import case, commit, good_standing
from passport_verifier.rules.decision import judge
from passport_verifier.rules.evidence import RegisterLookUp, RegisterStatus, number_text
from passport_verifier.rules.policies import policies

TODAY = date(2026, 5, 1)
NOW = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
DAYS = {
    "SERVICE_NEED_URGENT": 2,
    "INDUCTION_VISIT": 5,
    "CROSS_TRUST_WORKING": 180,
    "PLACEMENT_DEVELOPMENT": 61,
}
LOCAL = "Local Fire Exits and Site Orientation"


def gathered(employee: Employee) -> StaffRecords:
    """Everything HR holds once both systems are read, every item is taken, and identity is confirmed."""
    making = Making(
        ods=employee.ods, staff_id="staff", record_id="record", source=Source.ESR, at=NOW, by="hr"
    )
    staff = StaffMember(
        id="staff",
        ods=employee.ods,
        legal_given=" ".join(filter(None, (employee.given_name, employee.middle_names))),
        legal_family=employee.family_name,
        preferred_name=None,
        birthdate=employee.birthdate,
        portrait=None,
        work_email=None,
        mobile=None,
        external_ids=(),
        employment_status=EmploymentStatus.ACTIVE,
        leaving_date=None,
        preferences={},
        version=1,
        created_at=NOW,
        created_by="hr",
        updated_at=NOW,
    )
    from_esr = proposals(
        workforce_esr.findings(from_port(employee), reading(staff, employee, SystemType.ESR))
    )
    learnt = dsp_records.records(employee, dsp_records.LEARNING.gives)
    from_lms = proposals(workforce_dsp.findings(learnt, reading(staff, employee, SystemType.LMS)))
    for one in from_esr:
        if one.kind in (ItemKind.PERSON, ItemKind.EMPLOYMENT_STATUS):
            staff = replace(staff, **details_from(one.values))
    session = IdentitySession(
        id="session",
        ods=employee.ods,
        staff_id="staff",
        channel=Channel.FACE_TO_FACE,
        scheduled_for=None,
        join_url=None,
        documents=({"kind": "PASSPORT", "last_four": "4821", "expires_on": "2031-05-01"},),
        face_matched=True,
        originals_seen_in_person_on=TODAY,
        result=SessionResult.CONFIRMED,
        started_at=NOW,
        ended_at=NOW,
        hr_user="hr",
        version=1,
        created_at=NOW,
        created_by="hr",
    )
    return StaffRecords(
        staff=staff,
        assignments=tuple(
            assignment_from(one.values, making, None) for one in from_esr if one.kind is ItemKind.ASSIGNMENT
        ),
        checks=tuple(check_from(one.values, making) for one in from_esr if one.kind is ItemKind.CHECK),
        training=tuple(training_from(one.values, making) for one in from_lms),
        sessions=(session,),
    )


def from_port(employee: Employee) -> ForeignRecords:
    """The port's answers as the issuer's client hands them over."""
    person = workforce_esr.person_of(Person.model_validate(esr_records.person(employee)))
    lists = {
        "assignments": tuple(esr_records.assignments(employee)),
        "registrations": tuple(esr_records.registrations(employee)),
        "checks": tuple(esr_records.checks(employee)),
    }
    return ForeignRecords(person=person, answered_id=person.person_id, records=lists)


def reading(staff: StaffMember, employee: Employee, system_type: SystemType) -> Reading:
    return Reading(
        ods=employee.ods,
        given_name=staff.legal_given,
        family_name=staff.legal_family,
        birthdate=staff.birthdate,
        known_family_names=(staff.legal_family, *employee.previous_family_names),
        known_given_names=(staff.legal_given,),
        connection_id="connection",
        system_type=system_type,
        today=TODAY,
    )


def proposals(findings) -> list[Proposal]:
    """What could be used; the one local subject could not, and nothing else was refused."""
    refused = [one for one in findings if isinstance(one, Unusable)]
    assert [one.reason.value for one in refused] in ([], ["NOT_MAPPED"]), refused
    return [one for one in findings if isinstance(one, Proposal)]


def decided(employee: Employee, policy_id: str, *, days: int, withholds: tuple[str, ...] = ()):
    """What the host decides on the day, having looked the registration up itself."""
    policy = policies()[policy_id]
    assessment = assess(gathered(employee), random_token(), catalogue.EMPLOYER_TYPES, TODAY)
    shown = {one.type: dict(one.claims) for one in assessment.held if one.type not in withholds}
    look_ups = tuple(
        RegisterLookUp(
            regulator=one.regulator,
            number_commitment=commit(number_text(one.regulator, one.number)),
            status=RegisterStatus(one.register_says or one.status),
            licence=one.licence_to_practise,
            checked_at=NOW - timedelta(hours=1),
        )
        for one in employee.registrations
    )
    judgement = judge(
        case(
            shown,
            policy=policy,
            look_ups=look_ups,
            first_day=TODAY,
            last_day=TODAY + timedelta(days=days),
            decided_at=NOW,
            employing_ods=employee.ods,
            standings={name: good_standing(employee.ods) for name in shown},
        )
    )
    return judgement, assessment


def not_passed(judgement) -> set[tuple[str, str]]:
    return {
        (finding.rule, finding.reason.value)
        for finding in judgement.findings
        if finding.reason is not None and finding.result.value not in ("PASS", "NOT_NEEDED")
    }


def on(pilot: people.PilotPerson) -> int:
    return DAYS[pilot.movement_type]


@pytest.mark.parametrize("pilot", people.PILOT, ids=lambda one: one.key)
def test_each_of_the_nine_gets_the_answer_of_the_pilot(pilot):
    judgement, assessment = decided(pilot.employee(TODAY), pilot.policy_id, days=on(pilot))
    assert not assessment.not_held
    expected = {
        "surgeon": ("READY_WITH_CONDITIONS", {("R-12", "CORE_SKILL")}),  # worked case W1
        "radiologist_3": ("NOT_READY", {("R-08", "DBS_LEVEL")}),  # worked case W4
    }
    outcome, reasons = expected.get(pilot.key, ("READY", set()))
    assert (judgement.outcome.value, not_passed(judgement)) == (outcome, reasons)


def test_the_radiologist_is_ready_once_the_check_is_done_at_home():
    world = World(SandboxClock(None))
    pilot = people.pilot("radiologist_3")
    fixed = world.set_dbs_level(pilot.employee(TODAY), "ENHANCED")
    assert fixed.dbs is not None
    dated = replace(fixed, dbs=replace(fixed.dbs, certificate_issued_on=TODAY, performed_on=TODAY))
    judgement, _ = decided(dated, pilot.policy_id, days=on(pilot))
    assert judgement.outcome.value == "READY"


@pytest.mark.parametrize("person", sandbox_people.PEOPLE, ids=lambda one: one.key)
def test_each_sandbox_person_gives_the_outcome_their_name_says(person):
    judgement, _ = decided(
        person.employee(TODAY), person.policy_id, days=sandbox_people.DAYS, withholds=person.withholds
    )
    if person.outcome is None:
        # would be ready, and says no
        assert (judgement.outcome.value, person.agrees) == ("READY", False)
        return
    reasons = {(person.rule, person.reason)} if person.rule else set()
    assert (judgement.outcome.value, not_passed(judgement)) == (person.outcome, reasons)


def test_everybody_s_records_make_records_a_passport_can_hold():
    for trust in people.population(TODAY).values():
        for employee in trust.values():
            assessment = assess(gathered(employee), random_token(), catalogue.EMPLOYER_TYPES, TODAY)
            missing = {one.type for one in assessment.not_held}
            unregistered = set() if employee.registrations else {"ProfessionalRegistration"}
            assert missing == unregistered, (employee.person_id, assessment.not_held)


def test_the_learning_system_knows_its_people_by_other_names_and_the_same_id():
    for pilot in people.PILOT:
        employee = pilot.employee(TODAY)
        details = EmployeePersonalDetails.model_validate(dsp_records.personal_details(employee))
        assert workforce_dsp.person_of(details).esr_person_id == pilot.person_id


def test_the_local_subject_goes_into_no_passport():
    employee = people.pilot("surgeon").employee(TODAY)
    names = [one["subjectName"] for one in dsp_records.records(employee, dsp_records.LEARNING.gives)]
    assert LOCAL in names
    records = gathered(employee)
    assert len(records.training) == len(names) - 1
