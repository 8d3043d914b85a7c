"""Gates G-A to G-H: each holds and does not hold, says why in both languages, and guards its steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from passport_shared.formats.snapshot_parts import Agreement
from passport_verifier.rules import gate_words, gates, licence_text, movement_types, wording
from passport_verifier.rules.agreements import Move, as_stored, covering
from passport_verifier.rules.gates import (
    AgreementTerms,
    Gate,
    GateCode,
    GateFacts,
    HrUserAnswer,
    Step,
)
from passport_verifier.rules.movement_state import Answer, ReleaseStanding
from passport_verifier.rules.movement_types import ApprovalKind, movement_type
from passport_verifier.rules.purpose_words import MAX_DUTIES_CHARS, duties_summary, for_move

OPEN = GateFacts(
    start=date(2026, 9, 2),
    end=date(2026, 9, 5),
    agreement=AgreementTerms(
        id="a", type="MOU", version="1", max_days=90, effective=date(2026, 1, 1), expires=None
    ),
    register_usable=True,
    max_days=90,
    staff=Answer.AGREED,
    staff_terms_changed=False,
    release=ReleaseStanding.COVERS,
    release_end=date(2026, 9, 5),
    same_person=True,
    person_unknown=False,
    cover_reason="NONE",
    cover_opt_in=False,
    said={},
    staff_refs=frozenset(),
    inducted_on=date(2026, 9, 1),
    hr_user=HrUserAnswer(holds=True, code="TRAINED"),
)

HOLDING: list[tuple[GateCode, str, dict[str, Any]]] = [
    (GateCode.AGREEMENT, "AGREEMENT_COVERS", {}),
    (GateCode.HR_USER, "HR_USER_TRAINED", {}),
    (GateCode.SEPARATION, "SEPARATE", {}),
    (GateCode.SEPARATION, "SEPARATE", {"acting": "hr-1", "said": {ApprovalKind.FINANCE: "fin-1"}}),
    (
        GateCode.SEPARATION,
        "SEPARATE",
        {"acting": "hr-1", "acting_as": ApprovalKind.HOST_HR, "said": {ApprovalKind.HOST_HR: "hr-1"}},
    ),
    (GateCode.STAFF_AGREED, "STAFF_AGREED", {}),
    (GateCode.RELEASED, "RELEASED_UNTIL", {}),
    (GateCode.RELEASED, "RELEASED", {"release_end": None}),
    (GateCode.RELEASED, "RELEASED_UNTIL", {"same_person": None}),
    (GateCode.RELEASED, "RELEASE_NOT_NEEDED", {"release": ReleaseStanding.NOT_NEEDED}),
    (GateCode.LENGTH, "LENGTH_WITHIN", {"max_days": 4}),
    (GateCode.COVER, "COVER_NOT_ASKED", {}),
    (GateCode.COVER, "COVER_NOT_ASKED", {"cover_reason": "VACANCY"}),
    (GateCode.COVER, "COVER_OPTED_IN", {"cover_reason": "SICKNESS", "cover_opt_in": True}),
    (GateCode.INDUCTION, "INDUCTED", {}),
]
NOT_HOLDING: list[tuple[GateCode, str, dict[str, Any]]] = [
    (GateCode.AGREEMENT, "AGREEMENT_NONE", {"agreement": None}),
    (GateCode.AGREEMENT, "AGREEMENT_UNKNOWN", {"agreement": None, "register_usable": False}),
    (GateCode.HR_USER, "HR_USER_NOT", {"hr_user": HrUserAnswer(holds=False, code="TRAINING_LAPSED")}),
    (
        GateCode.SEPARATION,
        "SAME_PERSON_TWICE",
        {
            "acting": "x",
            "acting_as": ApprovalKind.HOST_HR,
            "said": {ApprovalKind.HOST_DEPARTMENT: "x"},
        },
    ),
    (GateCode.SEPARATION, "OWN_MOVE", {"acting": "x", "staff_refs": frozenset({"x"})}),
    (GateCode.STAFF_AGREED, "STAFF_NOT_YET", {"staff": None}),
    (GateCode.STAFF_AGREED, "STAFF_TERMS_CHANGED", {"staff": None, "staff_terms_changed": True}),
    (GateCode.STAFF_AGREED, "STAFF_NOT", {"staff": Answer.DECLINED}),
    (GateCode.STAFF_AGREED, "STAFF_NOT", {"staff": Answer.WITHDRAWN}),
    (GateCode.RELEASED, "RELEASE_NOT_YET", {"release": ReleaseStanding.NONE}),
    (GateCode.RELEASED, "RELEASE_OTHER_TERMS", {"release": ReleaseStanding.OTHER_TERMS}),
    (GateCode.RELEASED, "RELEASE_DECLINED", {"release": ReleaseStanding.DECLINED}),
    (GateCode.RELEASED, "RELEASE_WITHDRAWN", {"release": ReleaseStanding.WITHDRAWN}),
    (GateCode.RELEASED, "RELEASED_ANOTHER", {"same_person": False}),
    (GateCode.RELEASED, "RELEASED_UNKNOWN", {"same_person": None, "person_unknown": True}),
    (GateCode.LENGTH, "LENGTH_BEYOND", {"max_days": 3}),
    (GateCode.COVER, "COVER_NOT_OPTED_IN", {"cover_reason": "SICKNESS"}),
    (GateCode.COVER, "COVER_NOT_OPTED_IN", {"cover_reason": "MATERNITY"}),
    (GateCode.INDUCTION, "NOT_INDUCTED", {"inducted_on": None}),
]


def gate_of(code: GateCode, **changes: Any) -> Gate:
    return next(one for one in gates.gates(replace(OPEN, **changes)) if one.code is code)


@pytest.mark.parametrize(("code", "key", "changes"), HOLDING)
def test_a_gate_holds(code: GateCode, key: str, changes: dict[str, Any]):
    gate = gate_of(code, **changes)
    assert (gate.holds, gate.key, gate.next_step, gate.who_can_fix) == (True, key, None, None)


@pytest.mark.parametrize(("code", "key", "changes"), NOT_HOLDING)
def test_a_gate_that_does_not_hold_says_who_can_do_what(code: GateCode, key: str, changes: dict[str, Any]):
    gate = gate_of(code, **changes)
    assert (gate.holds, gate.key, gate.next_step) == (False, key, f"{key}_NEXT")
    assert gate.who_can_fix is not None
    others = [one for one in gates.gates(replace(OPEN, **changes)) if one.code is not code]
    assert all(one.holds for one in others), "one gate's facts say nothing about another"


def test_who_acts_is_not_judged_without_anybody_who_acts():
    gate = gate_of(GateCode.HR_USER, hr_user=None)
    assert (gate.holds, gate.key) == (None, "HR_USER_NOT_JUDGED")
    assert gates.closed(replace(OPEN, hr_user=None), Step.CONFIRM) is None


@pytest.mark.parametrize(
    ("step", "guarding"),
    [
        (Step.ASK, {"G-A"}),
        (Step.REQUEST_RELEASE, {"G-A"}),
        (Step.APPROVE, {"G-B", "G-C"}),
        (Step.CONFIRM, {"G-B", "G-C"}),
        (Step.PLACE, {"G-D", "G-E", "G-F", "G-G"}),
        (Step.ACTIVATE, {"G-H"}),
    ],
)
def test_each_step_is_guarded_by_its_gates_and_no_others(step: Step, guarding: set[str]):
    assert gates.closed(OPEN, step) is None
    for code, key, changes in NOT_HOLDING:
        closed = gates.closed(replace(OPEN, **changes), step)
        assert (closed.key if closed else None) == (key if code in guarding else None)


def test_every_gate_has_its_words_in_both_languages():
    used = set()
    for code, _, changes in [*HOLDING, *NOT_HOLDING, (GateCode.HR_USER, "", {"hr_user": None})]:
        gate = gate_of(code, **changes)
        used |= {gate.key, gate.next_step} - {None}
        for locale in wording.LOCALES:
            assert "{" not in gate_words.says(gate, locale)
            assert gate_words.name(code, locale)
            assert (gate_words.next_step(gate, locale) is None) == (gate.next_step is None)
    assert used == gate_words.known_keys(), "a sentence without a use, or a use without a sentence"
    for kind in ApprovalKind:
        assert gate_words.kind(kind, "en-GB") != gate_words.kind(kind, "cy")


# -- the matrix and the choice of an agreement ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "approvals", "max_days", "recorded"),
    [
        ("SERVICE_NEED_URGENT", "STAFF LINE_MANAGER HOST_DEPARTMENT HOST_HR", 180, True),
        ("CROSS_TRUST_WORKING", "STAFF LINE_MANAGER EMPLOYING_HR HOST_DEPARTMENT HOST_HR", 365, False),
        ("INDUCTION_VISIT", "STAFF LINE_MANAGER HOST_DEPARTMENT HOST_HR", 180, False),
        (
            "PLACEMENT_DEVELOPMENT",
            "STAFF LINE_MANAGER EMPLOYING_HR HOST_DEPARTMENT HOST_HR EDUCATOR",
            180,
            False,
        ),
        ("A_TYPE_OF_ITS_OWN", "STAFF LINE_MANAGER EMPLOYING_HR HOST_DEPARTMENT HOST_HR", 180, False),
    ],
)
def test_the_matrix_of_the_pilots_movement_types(name: str, approvals: str, max_days: int, *, recorded: bool):
    row = movement_type(name)
    assert row.approvals == {ApprovalKind(kind) for kind in approvals.split()}
    assert (row.max_days, row.recorded_agreement, row.release) == (max_days, recorded, True)
    assert row.host_approvals == row.approvals & movement_types.HOST_KINDS


MOVE = Move(
    type="CROSS_TRUST_WORKING",
    host_ods="R0A",
    employing_ods="RBV",
    workforce_group="Imaging",
    start=date(2026, 9, 2),
    end=date(2027, 3, 1),
)


def an_agreement(**changes: Any) -> Agreement:
    values: dict[str, Any] = {
        "id": "a",
        "type": "MOU",
        "version": "1",
        "parties": ("RBV", "R0A"),
        "movement_types": ("CROSS_TRUST_WORKING",),
        "staff_groups": ("Medical and Dental",),
        "max_days": 200,
        "effective": date(2026, 1, 1),
        "expires": date(2027, 3, 1),
    }
    return Agreement(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "covers"),
    [
        ({}, True),
        ({"movement_types": ()}, True),
        ({"staff_groups": ()}, True),
        ({"staff_groups": ("imaging",)}, True),
        ({"type": "WSA"}, True),
        ({"expires": None}, True),
        ({"type": "STATMAND_MOU"}, False),
        ({"type": "SECONDMENT"}, False),
        ({"parties": ("RBV", "RW3")}, False),
        ({"parties": ("R0A",)}, False),
        ({"movement_types": ("SERVICE_NEED_URGENT",)}, False),
        ({"staff_groups": ("Estates and Ancillary",)}, False),
        ({"effective": date(2026, 9, 3)}, False),
        ({"expires": date(2027, 2, 28)}, False),
    ],
)
def test_an_agreement_covers_a_move_in_type_group_parties_and_every_day(
    changes: dict[str, Any], *, covers: bool
):
    found = covering([an_agreement(**changes)], MOVE)
    assert (found is not None) is covers


def test_the_agreement_that_came_into_force_last_is_chosen():
    older, newer = an_agreement(id="old"), an_agreement(id="new", effective=date(2026, 6, 1))
    assert covering([newer, older], MOVE) == newer
    assert as_stored(newer)["effective"] == "2026-06-01"


# -- words ---------------------------------------------------------------------------------------------------


def test_a_purpose_names_days_and_duties_in_both_languages():
    first, last = date(2026, 9, 2), date(2026, 9, 5)
    english = for_move("To work at X", first=first, last=last, duties="Lists", locale="en-GB")
    assert english == (
        "To work at X, from 2 September 2026 to 5 September 2026. Duties: Lists. "
        "By sharing, you agree to this move"
    )
    one_day = for_move("I weithio yn X", first=first, last=first, duties="Rhestrau", locale="cy")
    assert "2 Medi 2026" in one_day
    assert "Dyletswyddau: Rhestrau" in one_day


@pytest.mark.parametrize(
    ("duties", "told"),
    [
        ("Operate.", "Operate"),
        ("  Operate\n on  lists ", "Operate on lists"),
        ("word " * 60, ("word " * 60)[: MAX_DUTIES_CHARS - 1].rsplit(" ", 1)[0].rstrip() + "…"),
        ("x" * 500, "x" * (MAX_DUTIES_CHARS - 1) + "…"),
    ],
)
def test_duties_are_told_in_one_short_line(duties: str, told: str):
    assert duties_summary(duties) == told
    assert len(told) <= MAX_DUTIES_CHARS


def test_the_licence_has_the_same_clauses_in_both_languages():
    words = licence_text.text()
    assert set(words) == set(wording.LOCALES)
    assert {len(words[locale]["clauses"]) for locale in words} == {6}
    assert all(set(words["en-GB"]) == set(words[locale]) for locale in words)
    with pytest.raises(KeyError):
        licence_text.text("0")
    one, other = {"b": 1, "a": [True, None]}, {"a": [True, None], "b": 1}
    assert licence_text.document_sha256(one) == licence_text.document_sha256(other)
    assert licence_text.document_sha256(one) != licence_text.document_sha256({**one, "b": 2})
