"""What is issued is exactly what was checked; everything else is named as missing."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_issuer.rules.datasets import assess, level_rank
from passport_issuer.rules.records import (
    AssignmentStatus,
    CheckOutcome,
    CheckType,
    EmploymentStatus,
    SessionResult,
    Source,
    StaffRecords,
)
from passport_shared.wire.catalogue import EMPLOYER_TYPES, TYPES, validate_claims
from passport_testkit.clock import NOON
from passport_testkit.issuers import CHECKS
from passport_testkit.records import (
    TODAY,
    assignment,
    check,
    everything,
    session,
    staff,
    training,
)

REF = "AAECAwQFBgcICQoLDA0ODw"
CHECK_OF = {
    "StaffIdentity": "IDENTITY",
    "RightToWork": "RTW",
    "DbsOutcome": "DBS",
    "ProfessionalRegistration": "REGISTRATION",
    "OccupationalHealth": "OH",
}


def held(records: StaffRecords, *types: str) -> dict[str, dict[str, Any]]:
    found = assess(records, REF, types or EMPLOYER_TYPES, TODAY)
    return {dataset.type: dict(dataset.claims) for dataset in found.held}


def missing(records: StaffRecords, name: str) -> str:
    found = assess(records, REF, [name], TODAY)
    assert not found.held
    (item,) = found.not_held
    assert item.type == name
    assert all(part.detail for part in item.missing)
    return item.missing[0].code


def without(records: StaffRecords, check_type: str, *replacements: Any) -> StaffRecords:
    checks = tuple(item for item in records.checks if item.check_type.value != check_type)
    return everything(checks=(*checks, *replacements))


def test_everything_checked_is_everything_held_and_fits_its_schema() -> None:
    found = held(everything())
    assert list(found) == list(EMPLOYER_TYPES)
    for name, claims in found.items():
        validate_claims(TYPES[name], claims)
        assert claims["holder_ref"] == REF
        assert claims["provenance"]["verifier"] == {"ods_code": "RBV", "role": "HUMAN_RESOURCES"}
        assert "hr-4711" not in str(claims)


@pytest.mark.parametrize(("name", "check_type"), CHECK_OF.items())
def test_without_its_check_a_type_is_not_held(name: str, check_type: str) -> None:
    assert missing(without(everything(), check_type), name) == "check_missing"
    others = held(without(everything(), check_type))
    assert set(others) == set(EMPLOYER_TYPES) - {name}


@pytest.mark.parametrize(("name", "check_type"), CHECK_OF.items())
@pytest.mark.parametrize("outcome", [item for item in CheckOutcome if item is not CheckOutcome.CLEARED])
def test_only_a_cleared_check_is_issued(name: str, check_type: str, outcome: CheckOutcome) -> None:
    records = without(everything(), check_type, check(check_type, outcome=outcome))
    assert missing(records, name) == "check_not_cleared"


@pytest.mark.parametrize(("name", "check_type"), CHECK_OF.items())
def test_the_newest_check_decides(name: str, check_type: str) -> None:
    later = check(
        check_type,
        id="later",
        performed_on=TODAY - timedelta(days=1),
        outcome=CheckOutcome.NOT_CLEARED,
    )
    earlier = check(check_type, id="earlier", performed_on=TODAY - timedelta(days=100))
    assert missing(without(everything(), check_type, later, earlier), name) == "check_not_cleared"


FAULTS: list[tuple[str, StaffRecords, str]] = [
    ("StaffIdentity", everything(sessions=()), "identity_not_confirmed"),
    ("StaffIdentity", everything(sessions=(session(SessionResult.PENDING, None),)), "identity_not_confirmed"),
    (
        "StaffIdentity",
        everything(sessions=(session(), session(SessionResult.FAILED, NOON + timedelta(hours=1)))),
        "identity_mismatch",
    ),
    ("StaffIdentity", everything(sessions=(session(face_matched=False),)), "identity_mismatch"),
    ("Employment", everything(assignments=()), "assignment_missing"),
    ("Employment", everything(staff=staff(employment_status=EmploymentStatus.LEFT)), "employment_ended"),
    ("Employment", everything(staff=staff(leaving_date=TODAY - timedelta(days=1))), "assignment_missing"),
    (
        "Employment",
        everything(assignments=(assignment(projected_end=TODAY - timedelta(days=1)),)),
        "assignment_missing",
    ),
    (
        "Employment",
        everything(assignments=(assignment(status=AssignmentStatus.ENDED),)),
        "assignment_missing",
    ),
    (
        "RightToWork",
        without(
            everything(),
            "RTW",
            check(
                "RTW",
                fields={"permission": "UNTIL", "permission_expires": "2026-08-31", "route": "SHARE_CODE"},
            ),
        ),
        "permission_ended",
    ),
    ("RightToWork", without(everything(), "RTW", check("RTW", fields={})), "detail_incomplete"),
    (
        "DbsOutcome",
        without(everything(), "DBS", check("DBS", fields={**CHECKS["DBS"], "barred_lists": []})),
        "detail_incomplete",
    ),
    (
        "ProfessionalRegistration",
        without(
            everything(),
            "REGISTRATION",
            check("REGISTRATION", fields={**CHECKS["REGISTRATION"], "number": "12"}),
        ),
        "number_malformed",
    ),
    ("OccupationalHealth", without(everything(), "OH", check("OH", fields={})), "detail_incomplete"),
    ("CoreSkills", everything(training=()), "training_missing"),
    (
        "OccupationalHealth",
        without(everything(), "OH", check("OH", next_due=TODAY - timedelta(days=365))),
        "check_dates_wrong",
    ),
]


@pytest.mark.parametrize(("name", "records", "code"), FAULTS)
def test_what_is_missing_is_named(name: str, records: StaffRecords, code: str) -> None:
    assert missing(records, name) == code


STATUSES = [
    ("REGISTERED", True),
    ("REGISTERED_WITHOUT_LICENCE", True),
    ("PROVISIONAL", True),
    ("REGISTERED_WITH_CONDITIONS", True),
    ("INTERIM_CONDITIONS", True),
    ("INTERIM_SUSPENSION", False),
    ("SUSPENDED", False),
    ("LAPSED", False),
    ("REMOVED", False),
    ("NOT_FOUND", False),
    ("NOT_REQUIRED", False),
    ("UNKNOWN", False),
]


@pytest.mark.parametrize(("status", "issued"), STATUSES)
def test_only_a_standing_registration_is_issued(status: str, issued: bool) -> None:
    fields = {**CHECKS["REGISTRATION"], "status": status}
    records = without(everything(), "REGISTRATION", check("REGISTRATION", fields=fields))
    if issued:
        claims = held(records, "ProfessionalRegistration")["ProfessionalRegistration"]
        assert claims["registration_status"] == status
        assert "status" not in claims
    else:
        assert missing(records, "ProfessionalRegistration") == "not_registered"


def test_each_running_post_is_one_dataset_the_primary_first() -> None:
    posts = (
        assignment(id="a2", ref="second", primary=False, start=date(2010, 1, 1)),
        assignment(id="a3", ref="ended", status=AssignmentStatus.ENDED),
        assignment(
            ref="first", projected_end=TODAY + timedelta(days=400), department="Urology", grade="YC72"
        ),
    )
    records = everything(assignments=posts, staff=staff(leaving_date=TODAY + timedelta(days=30)))
    found = assess(records, REF, ["Employment"], TODAY).held
    assert [dataset.source_ref for dataset in found] == ["first", "second"]
    first, second = (dataset.claims for dataset in found)
    # a leaver's contract ends when they leave
    assert {first["contract_end"], second["contract_end"]} == {(TODAY + timedelta(days=30)).isoformat()}
    assert (first["grade"], first["department"]) == ("YC72", "Urology")
    assert (second["grade"], second["department"]) == ("NONE", "NONE")


LEVELS = [
    # the higher level counts while any subject's refresh could still cover it
    ([("2", 300), ("1", 10)], "2"),
    ([("2", 1099), ("1", 10)], "1"),
    ([("2", 1098), ("1", 10)], "2"),
    ([("1", 100), ("1", 10)], "1"),
    ([("2", 4000), ("1", 5000)], "2"),
]


@pytest.mark.parametrize(("entries", "level"), LEVELS)
def test_one_entry_per_subject_is_chosen(entries: list[tuple[str, int]], level: str) -> None:
    records = everything(
        training=tuple(
            training("IPC", entry_level, TODAY - timedelta(days=days)) for entry_level, days in entries
        )
    )
    claims = held(records, "CoreSkills")["CoreSkills"]
    assert claims["skills"]["IPC"]["level"] == level
    assert set(claims["skills"]) == {"IPC"}


@pytest.mark.parametrize(
    ("lower", "higher"), [("1", "2"), ("2", "3"), ("BASIC", "AWARENESS"), ("T1", "T2"), ("1", "2_ADULT")]
)
def test_levels_have_an_order(lower: str, higher: str) -> None:
    assert level_rank(lower) < level_rank(higher)


def test_provenance_follows_the_source_and_what_was_recorded() -> None:
    records = without(
        everything(),
        "OH",
        check("OH", source=Source.DSP_API, provenance={"pedigree": "CARRIED_OVER"}),
    )
    provenance = held(records, "OccupationalHealth")["OccupationalHealth"]["provenance"]
    assert provenance["origin"] == "DSP_API"
    assert provenance["verification_method"] == "SYSTEM_FEED"
    assert provenance["pedigree"] == "CARRIED_OVER"
    assert provenance["last_refresh"] == (TODAY - timedelta(days=10)).isoformat()


def test_a_portrait_is_optional_and_only_in_the_identity() -> None:
    picture = "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ=="
    found = held(everything(staff=staff(portrait=picture)))
    assert found["StaffIdentity"]["portrait"] == picture
    assert [name for name, claims in found.items() if "portrait" in claims] == ["StaffIdentity"]
    assert "portrait" not in held(everything())["StaffIdentity"]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(sorted(CHECK_OF.values()))), st.booleans(), st.booleans(), st.booleans())
def test_less_evidence_never_gives_more(dropped: set[str], posts: bool, sessions: bool, skills: bool) -> None:
    whole = everything()
    less = everything(
        checks=tuple(item for item in whole.checks if item.check_type.value not in dropped),
        assignments=whole.assignments if posts else (),
        sessions=whole.sessions if sessions else (),
        training=whole.training if skills else (),
    )
    assert set(held(less)) <= set(held(whole))
    found = assess(less, REF, EMPLOYER_TYPES, TODAY)
    assert {item.type for item in found.held} | {item.type for item in found.not_held} == set(EMPLOYER_TYPES)


def test_every_check_type_of_a_credential_is_known() -> None:
    assert {CheckType(value) for value in CHECK_OF.values()} <= set(CheckType)
