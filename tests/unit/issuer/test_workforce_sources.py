"""What each source can fill, held to the catalogue and to what the mappings do."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest

from passport_issuer.rules import workforce_dsp, workforce_esr
from passport_issuer.rules.datasets import Assessment, assess
from passport_issuer.rules.records import Source, StaffRecords
from passport_issuer.rules.workforce import (
    ForeignPerson,
    ForeignRecords,
    Proposal,
    Reading,
    SystemType,
    source_of,
)
from passport_issuer.rules.workforce_preview import gaps, judge
from passport_issuer.rules.workforce_sources import ORIGIN_OF, TABLE, Origin, as_markdown, where_from
from passport_shared.wire import catalogue
from passport_testkit import corpora
from passport_testkit.clock import NOON
from passport_testkit.records import session, staff
from passport_testkit.workforce import (
    ASSIGNMENT,
    CHECKS,
    DBS_OUTCOME,
    REGISTRATION,
    RESUSCITATION,
    SCREENING,
    SKILL,
)

DOCUMENT = corpora.REPOSITORY / "docs" / "workforce" / "sources.md"
HOLDER_REF = "A" * 22
TODAY = NOON.date()
ROWS = {row.type: row for row in TABLE}


def own_claims(name: str) -> set[str]:
    """The claims a type has of its own; of core skills, the members of one subject."""
    kind = catalogue.TYPES[name]
    if name == "CoreSkills":
        return {
            claim.path[2]
            for claim in kind.claims
            if claim.path[:2] == ("skills", "FS") and len(claim.path) == 3
        }
    return {claim.path[0] for claim in kind.claims if claim.path[0] not in catalogue.COMMON_CLAIMS}


@pytest.mark.parametrize("name", [row.type for row in TABLE])
def test_the_table_names_every_claim_of_the_type(name: str) -> None:
    assert {claim.name for claim in ROWS[name].claims} == own_claims(name)


def test_the_table_has_the_types_an_employer_issues() -> None:
    assert list(ROWS) == list(catalogue.EMPLOYER_TYPES)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.type)
def test_a_source_that_fills_nothing_says_why(row: Any) -> None:
    filling = {origin for claim in row.claims for origin in claim.fills}
    assert set(ORIGIN_OF.values()) == (filling & set(ORIGIN_OF.values())) | set(row.why_not)
    assert not filling & set(row.why_not)
    assert set(where_from(row.type)) == filling


def read_by(system_type: SystemType) -> Assessment:
    """What is held of a person about whom nothing is known but what one system said."""
    reading = Reading(
        ods="RBV",
        given_name="Adaeze",
        family_name="Okonkwo-Price",
        birthdate=date(1981, 3, 9),
        known_family_names=("Okonkwo-Price",),
        known_given_names=("Adaeze",),
        connection_id="c1",
        system_type=system_type,
        today=TODAY,
    )
    person = ForeignPerson(
        person_id="1", given_name="Adaeze", family_name="Okonkwo-Price", birthdate=date(1981, 3, 9)
    )
    everything = {
        "assignments": (ASSIGNMENT,),
        "registrations": (REGISTRATION,),
        "checks": tuple(CHECKS.values()),
        "records": (SKILL, RESUSCITATION, DBS_OUTCOME, *SCREENING),
    }
    answered = ForeignRecords(person=person, answered_id="1", records=everything)
    if system_type is SystemType.ESR:
        found = workforce_esr.findings(answered, reading)
    else:
        found = workforce_dsp.findings(answered.records["records"], reading)
    # The appointment is nobody's record: it is there, so that what a system adds can be seen.
    held = StaffRecords(staff=staff(), sessions=(session(),))
    judged = [(judge(one, held), source_of(system_type)) for one in found if isinstance(one, Proposal)]
    return gaps(held, judged, HOLDER_REF, catalogue.EMPLOYER_TYPES, TODAY, NOON)


@pytest.mark.parametrize("system_type", list(SystemType))
def test_a_system_fills_what_the_table_says_and_nothing_else(system_type: SystemType) -> None:
    origin = ORIGIN_OF[system_type]
    expected = {row.type for row in TABLE if any(origin in claim.fills for claim in row.claims)}
    assessment = read_by(system_type)
    assert {dataset.type for dataset in assessment.held} == expected
    for dataset in assessment.held:
        assert dataset.claims["provenance"]["origin"] == source_of(system_type).value
        said = {claim.name for claim in ROWS[dataset.type].claims if origin in claim.fills}
        claims = dataset.claims["skills"]["FS"] if dataset.type == "CoreSkills" else dataset.claims
        assert said <= set(claims)
        without = own_claims(dataset.type) - said
        # What the table does not say comes from the appointment, or is not there.
        assert without <= {"channel", "verified_on", "originals_seen_in_person_on", "portrait"}


def test_without_any_system_nothing_is_held() -> None:
    nothing = StaffRecords(staff=staff())
    found = assess(nothing, HOLDER_REF, catalogue.EMPLOYER_TYPES, TODAY)
    assert found.held == ()
    assert {one.type for one in found.not_held} == set(ROWS)
    assert all(Origin.BY_HAND in where_from(one.type) for one in found.not_held)
    assert where_from("NoSuchType") == ()
    assert Source.DSP_API is source_of(SystemType.OCCUPATIONAL_HEALTH)


def test_the_document_is_what_the_rules_say() -> None:
    [written] = re.findall(r"<!-- sources -->\n(.*?)<!-- /sources -->", DOCUMENT.read_text(), re.DOTALL)
    assert written == as_markdown(), "run: make documents"
