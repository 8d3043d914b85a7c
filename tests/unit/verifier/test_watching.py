"""What a watch looks for, by its rules: dates that come, outcomes that get worse, standings that change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.trust_mark import MarkRole
from passport_testkit.clock import FrozenClock
from passport_testkit.network import CHRISTIE, TrustRegistrySimulator
from passport_verifier.rules import alert_wording, placements, watching
from passport_verifier.rules.outcome import OUTCOME_ORDER, Outcome, Words
from passport_verifier.rules.placements import NewPost, pause_after, stops
from passport_verifier.rules.policies import policies
from passport_verifier.rules.readiness import london_day
from passport_verifier.rules.trust_findings import StatusFinding
from passport_verifier.rules.watching import AHEAD, AlertKind, KnownDate

POLICY = policies()["SERVICE_NEED_URGENT.UROLOGY_SURGEON"]
START, END = date(2026, 9, 1), date(2026, 12, 31)
DAYS = st.dates(min_value=START, max_value=END)


def runs_out(on: date) -> KnownDate:
    return KnownDate(on=on, kind=AlertKind.RUNS_OUT, credential="DbsOutcome")


@pytest.mark.parametrize(
    ("left", "told"), [(-1, None), (0, 1), (1, 1), (2, 7), (7, 7), (8, 14), (30, 30), (31, None)]
)
def test_the_nearest_day_ahead_is_told(left: int, told: int | None):
    today = date(2026, 10, 1)
    assert watching.told_ahead(runs_out(today + timedelta(days=left)), start=START, today=today) == told


@pytest.mark.parametrize(
    ("length", "left", "told"),
    [(0, 0, None), (1, 1, None), (3, 1, 1), (7, 7, None), (20, 7, 7), (20, 8, None)],
)
def test_of_its_own_end_nothing_is_told_that_was_so_from_the_first_day(
    length: int, left: int, told: int | None
):
    on = START + timedelta(days=length)
    one = KnownDate(on=on, kind=AlertKind.ENDS, credential="TemporaryPlacement")
    assert watching.told_ahead(one, start=START, today=on - timedelta(days=left)) == told


@given(on=DAYS, first=DAYS)
@settings(max_examples=60, deadline=None)
def test_whoever_looks_when_told_to_misses_no_day_ahead(on: date, first: date):
    now, told = watching.morning(first), set()
    for _ in range(len(AHEAD) + 2):
        found = watching.told_ahead(runs_out(on), start=START, today=london_day(now))
        told |= {found} - {None}
        following = watching.next_look([runs_out(on)], [], [], now)
        if following is None:
            break
        assert following > now
        now = following
    left = (on - first).days
    assert told == {days for days in AHEAD if days <= left} | (
        {min(days for days in AHEAD if days >= left)} if 0 <= left <= AHEAD[0] else set()
    )


def test_known_dates_are_what_ends_by_the_last_day():
    facts: dict[str, dict[str, Any]] = {
        "RightToWork": {"permission_expires": "2026-10-05"},
        "Employment": {"contract_end": "NONE"},
        "ProfessionalRegistration": {"renewal_due": "2027-03-31"},
        "CoreSkills": {"FS": {"level": "1", "completed_on": "2024-10-10"}, "IPC": {"completed_on": None}},
    }
    ends = {
        "DbsOutcome": datetime(2026, 11, 1, 12, tzinfo=UTC),
        "CoreSkills:2": datetime(2028, 1, 1, tzinfo=UTC),
    }
    found = watching.known_dates(facts, ends, POLICY, last_day=END)
    assert [(one.on.isoformat(), one.credential, one.subject) for one in found] == [
        ("2026-10-05", "RightToWork", None),
        ("2026-10-10", "CoreSkills", "FS"),
        ("2026-11-01", "DbsOutcome", None),
        ("2026-12-31", "TemporaryPlacement", None),
    ]


def test_malformed_facts_are_no_dates():
    found = watching.known_dates({"RightToWork": {"permission_expires": "soon"}}, {}, POLICY, last_day=END)
    assert [one.kind for one in found] == [AlertKind.ENDS]


@pytest.mark.parametrize("before", OUTCOME_ORDER)
@pytest.mark.parametrize("after", OUTCOME_ORDER)
def test_worse_is_later_in_the_order(before: Outcome, after: Outcome):
    assert watching.is_worse(before, after) == (OUTCOME_ORDER.index(after) > OUTCOME_ORDER.index(before))


def finding(rule: str, result: str, need: str = "SAFETY") -> dict[str, Any]:
    return {"rule": rule, "credential": "X", "subject": None, "result": result, "need": need}


def test_what_is_worse_is_named_and_what_is_new_counts_from_passed():
    before = [finding("R-03", "PASS"), finding("R-08", "FAIL"), finding("R-12", "UNKNOWN")]
    after = [finding("R-03", "FAIL"), finding("R-08", "UNKNOWN"), finding("R-12", "UNKNOWN")]
    assert watching.worsened(before, [*after, finding("R-09", "WARN"), finding("R-05", "PASS")]) == (0, 3)


@pytest.mark.parametrize(
    ("findings", "stopped"),
    [
        ([finding("R-03", "FAIL")], True),
        ([finding("R-03", "FAIL", "ASSURANCE")], False),
        ([finding("R-03", "UNKNOWN"), finding("R-05", "WARN")], False),
        ([], False),
    ],
)
def test_only_a_safety_rule_that_fails_stops_a_placement(findings: list[dict[str, Any]], stopped: bool):
    assert stops(findings) is stopped


SAME = [
    ("ACTIVE", StatusFinding.ACTIVE, True),
    ("IN_GRACE", StatusFinding.ACTIVE, True),
    ("ACTIVE", StatusFinding.ON_HOLD, False),
    ("ON_HOLD", StatusFinding.ACTIVE, False),
    ("ON_HOLD", StatusFinding.REVOKED, False),
    ("STALE", StatusFinding.ACTIVE, False),
    ("ACTIVE", StatusFinding.STALE, False),
    ("EXPIRED", StatusFinding.ACTIVE, True),
]


@pytest.mark.parametrize(("stored", "now", "same"), SAME)
def test_what_a_list_says_anew(stored: str, now: StatusFinding, same: bool):
    assert watching.same_status(stored, now) is same


def standing(registry: TrustRegistrySimulator) -> str:
    snapshot, now = registry.snapshot(), registry.clock.now()
    mark = snapshot.mark_for(CHRISTIE, roles=(MarkRole.CREDENTIAL_ISSUER,), now=now)
    assert mark is not None
    return watching.standing_of(mark, str(snapshot.mark_status(mark, now=now)), now)


def test_a_mark_that_is_only_renewed_stands_as_before():
    clock = FrozenClock()
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    before = standing(registry)
    clock.advance(timedelta(days=1))
    assert standing(registry) == before
    registry.compromise(CHRISTIE)
    compromised = standing(registry)
    assert compromised != before
    registry.suspend(CHRISTIE)
    assert standing(registry) not in {before, compromised}


def test_an_authorisation_that_runs_out_changes_the_standing_by_itself():
    clock = FrozenClock()
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    before = standing(registry)
    clock.advance(timedelta(days=366))
    assert standing(registry) != before
    assert watching.standing_of(None, "no_mark", clock.now()) == "none no_mark"


CONDITION = next(template.text for row in POLICY.rows for template in row.conditions.values())
PARAMS: dict[str, dict[str, Any]] = {
    "WORSE": {"outcome": "REFER"},
    "ON_HOLD": {"employer": "RBV"},
    "REINSTATED": {},
    "CAPPED": {"date": "2026-09-10"},
    "EXTENDED": {"date": "2026-09-10"},
    "ENDED_WITH_MOVEMENT": {},
    "RUNS_OUT": {"date": "2026-09-10", "days": 7, "credential": "CoreSkills", "subject": "FS"},
    "ENDS": {"date": "2026-09-10", "days": 7},
    "CONDITION_OVERDUE": {"date": "2026-09-10", "condition": CONDITION, "subject": None},
}
NEVER = ("revoked", "suspended", "credential", "monitoring", "unfit", "bypass")


def test_every_alert_has_words_in_both_languages_and_none_that_are_never_said():
    assert alert_wording.known_keys() == set(PARAMS)
    assert {kind.value for kind in AlertKind} <= alert_wording.known_keys()
    for key, params in PARAMS.items():
        said = alert_wording.both(Words(key=key, params=params))
        assert set(said) == {"en-GB", "cy"}
        for text in said.values():
            assert "{" not in text
            assert not any(word in text.lower() for word in NEVER), text
    assert "Fire safety" in alert_wording.sentence(Words(key="RUNS_OUT", params=PARAMS["RUNS_OUT"]), "en-GB")


def test_pauses_grow_to_five_minutes_and_are_that_at_once_where_people_must_act():
    assert [pause_after(n, soon=True).total_seconds() for n in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert pause_after(0, soon=False) == placements.LONGEST_PAUSE
    assert pause_after(10_000, soon=True) == placements.LONGEST_PAUSE


NEW = NewPost(
    position_title="Visiting consultant",
    position_number="NONE",
    site=None,
    department_contact="Ward office",
    approved_by="Clinical director",
    hr_contact="Medical staffing",
    licence_to_attend=True,
)


def test_a_post_takes_the_only_site_and_short_lines():
    details = {"sites": ["Trafford\nGeneral"], "department": "Urology", "sessions": ["x" * 700, "y" * 700]}
    made = placements.post(NEW, details, ["c" * 600])
    assert made is not None
    assert made["site"] == "Trafford General"
    assert (len(made["work_pattern"]), len(made["conditions"][0])) == (1_000, 500)
    assert placements.post(NEW, {**details, "sites": ["A", "B"]}, []) is None
    nothing = placements.post(NEW, {**details, "sessions": []}, [])
    assert nothing is not None
    assert nothing["work_pattern"] == "As arranged with the department"
