"""The pilot's tables from facts: every number of domain.md §10f, and the printed report's errors as tests."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_registry.http.report_forms import Layout, as_csv, view
from passport_registry.operations.reports import MADE, NEEDS
from passport_registry.rules.activity import Count, CountKey, Event, counted
from passport_registry.rules.reports import (
    Baseline,
    Material,
    Missing,
    Report,
    ReportName,
    Step,
    Timing,
    Trust,
    Value,
)
from passport_shared.wire.activity import EventType, Fact, Source
from passport_testkit.pilot_activity import (
    F1_PRINTED,
    F2_PRINTED,
    GM,
    TODAY,
    imported,
    live,
    report_trusts,
)

PILOT = [*imported(), *live()]
NINTH = Trust(
    ods="RX9",
    name="Otter Valley NHS Foundation Trust",
    aliases=(),
    locality=GM,
    state="GOVERNANCE",
    steps={
        "REGISTRATION": Step(state="DONE", done_on=date(2026, 7, 29), passed=True),
        "DPIA": Step(state="BLOCKED"),
    },
    missing=(Missing(code="DPIA", text="The assessment is not adopted.", who_can_fix="trust IG lead"),),
)


def material(events: list[Event], **changes: Any) -> Material:
    """What reports are made of."""
    members: dict[str, Any] = {
        "trusts": report_trusts(),
        "counts": tuple(counted(events)),
        "as_at": TODAY,
    }
    return Material(**{**members, **changes})


def made(name: ReportName, events: list[Event] | None = None, **changes: Any) -> Report:
    return MADE[name](material(PILOT if events is None else events, **changes))


def rows_of(text: str | bytes) -> list[list[str]]:
    plain = text.decode("utf-8") if isinstance(text, bytes) else text
    return list(csv.reader(io.StringIO(plain)))


def figure(report: Report, key: str, of: str | None = None) -> Value:
    [found] = [one for one in report.figures if (one.key, one.of) == (key, of)]
    return found.value


def figures(report: Report, key: str) -> dict[str | None, Value]:
    return {one.of: one.value for one in report.figures if one.key == key}


def test_f1_is_the_printed_table_to_the_letter():
    assert as_csv(made(ReportName.F1), Layout.PRINTED).decode() == F1_PRINTED.replace("\n", "\r\n")


def test_f1_counts_what_the_oracles_say():
    report = made(ReportName.F1)
    said = {one.key: one.value for one in report.figures}
    assert said == {
        "trusts": 8,
        "issued": 38,
        "verified": 40,
        "trusts_issuing": 6,
        "trusts_verifying": 7,
        "trusts_trained": 8,
        "trusts_with_esr_api": 8,
        "first_registration": date(2021, 7, 13),
        "last_registration": date(2022, 2, 17),
        "registration_days": 219,
    }
    assert (report.n, report.live, report.imported) == (78, 18, 60)
    assert report.covers == (date(2021, 7, 13), TODAY)


def test_f1_shows_live_and_imported_apart_and_adds_them_up_by_locality():
    report = made(ReportName.F1)
    by_name = {row["organisation"]: row for row in report.rows}
    mft = by_name["Manchester University Foundation Trust (MFT)"]
    assert (mft["issued_live"], mft["issued_imported"], mft["issued"]) == (7, 7, 14)
    assert (mft["verified_live"], mft["verified_imported"], mft["verified"]) == (1, 5, 6)
    gm, cm, everything = report.totals
    assert (gm["locality"], gm["issued"], gm["verified"]) == (GM, 38, 40)
    assert (cm["issued"], cm["verified"]) == (0, 0)
    assert (everything["issued"], everything["issued_live"], everything["issued_imported"]) == (38, 9, 29)
    assert (everything["verified"], everything["verified_live"], everything["verified_imported"]) == (
        40,
        9,
        31,
    )


def test_not_all_trusts_issued_and_verified_whatever_the_printed_report_says():
    # domain.md §0.7 (b): "passports have been issued and verified by all GM Trusts".
    by_name = {row["organisation"]: row for row in made(ReportName.F1).rows}
    assert by_name["Bolton NHS Foundation Trust"]["issued"] == 0
    east_cheshire = by_name["East Cheshire NHS Trust"]
    assert (east_cheshire["issued"], east_cheshire["verified"]) == (0, 0)


def test_more_can_be_verified_than_issued():
    # domain.md §0.7 (c): verification events are counted apart from passports.
    report = made(ReportName.F1)
    issued, verified = figure(report, "issued"), figure(report, "verified")
    assert isinstance(issued, int)
    assert isinstance(verified, int)
    assert verified > issued


def test_the_three_columns_are_derived_from_steps():
    first, *others = report_trusts()
    changed = replace(
        first,
        steps={
            **first.steps,
            "HR_TRAINING": Step(state="EXPIRED", done_on=first.steps["REGISTRATION"].done_on),
            "ESR_LINK": Step(state="DONE", done_on=TODAY, passed=True, method="CSV"),
            "REGISTRATION": Step(state="DONE", done_on=date(2021, 1, 2), passed=True),
        },
    )
    report = made(ReportName.F1, trusts=(changed, *others))
    row = next(row for row in report.rows if row["organisation"] == changed.aliases[0])
    assert (row["registration_complete"], row["hr_training"], row["esr_api"]) == (
        date(2021, 1, 2),
        False,
        False,
    )
    assert figure(report, "first_registration") == date(2021, 1, 2)


def test_a_trust_that_waits_for_its_assessment_is_in_r1_and_not_in_f1():
    trusts = (*report_trusts(), NINTH)
    assert figure(made(ReportName.F1, trusts=trusts), "trusts") == 8
    report = made(ReportName.R1, trusts=trusts)
    assert figure(report, "trusts") == 9
    row = report.rows[-1]
    assert row["organisation"] == NINTH.name
    assert (row["state"], row["governance_days"], row["who_can_fix"]) == ("GOVERNANCE", 34, "trust's IG lead")
    assert row["missing"] == "The data protection assessment is not adopted"
    assert row["step_registration"] == "Done 29/07/2026"
    done = next(row for row in report.rows if row["organisation"] == "Bolton NHS Foundation Trust")
    assert (done["governance_days"], done["missing"]) == (0, "")


def test_f2_is_the_printed_table_to_the_letter():
    assert as_csv(made(ReportName.F2), Layout.PRINTED).decode() == F2_PRINTED.replace("\n", "\r\n")


def test_f2_counts_what_the_oracles_say():
    report = made(ReportName.F2)
    assert (figure(report, "passports"), figure(report, "workforce_groups")) == (9, 4)
    assert (report.n, report.live, report.imported) == (9, 9, 0)
    assert figures(report, "by_employing_trust") == {"The Christie": 2, "Manchester Foundation Trust": 7}
    assert figures(report, "by_host_trust") == {"Manchester Foundation Trust": 1, "Northern Care Alliance": 8}
    assert figures(report, "by_use_case") == {
        "Service need": 1,
        "Induction": 3,
        "Cross-trust working": 4,
        "Education and development": 1,
    }
    assert figures(report, "by_method") == {"Video call": 9}
    assert [row["passports"] for row in report.rows] == [1, 3, 4, 1]
    assert figure(report, "honorary_contracts") == 4
    assert figure(report, "share_of_issued") == Decimal("23.7")


def test_f2_is_consistent_with_f1():
    f1 = {row["organisation"]: row for row in made(ReportName.F1).rows}
    f2 = made(ReportName.F2)
    same = {
        "The Christie": "The Christie NHS Foundation Trust",
        "Manchester Foundation Trust": "Manchester University Foundation Trust (MFT)",
        "Northern Care Alliance": "Northern Care Alliance (NCA)",
    }
    for short, n in figures(f2, "by_employing_trust").items():
        assert n <= f1[same[str(short)]]["issued"]  # type: ignore[operator]
    for short, n in figures(f2, "by_host_trust").items():
        assert n <= f1[same[str(short)]]["verified"]  # type: ignore[operator]


def test_a_movement_nobody_printed_is_told_by_its_use_case():
    fact = live()[1].fact.model_copy(update={"movement_type": "FACULTY", "role_profile": "SENIOR_LECTURER"})
    report = made(ReportName.F2, [Event(id="x", kind=EventType.VERIFIED, ods="R0A", fact=fact)])
    assert report.rows[0]["use_case"] == "1 x DSP issued: Service need"
    assert report.rows[0]["role"] == "Senior lecturer"


def test_r2_has_a_line_per_trust_and_month_and_counts_the_rest_apart():
    again = Event(
        id="again",
        kind=EventType.RECHECKED,
        ods="RM3",
        fact=Fact(day=TODAY, host_ods="RM3", source=Source.LIVE),
    )
    refused = Event(
        id="refused",
        kind=EventType.REFUSED,
        ods="RM3",
        fact=Fact(day=TODAY, host_ods="RM3", reason="nonce", source=Source.LIVE),
    )
    report = made(ReportName.R2, [*PILOT, again, refused])
    assert [row["month"] for row in report.rows] == sorted(str(row["month"]) for row in report.rows)
    nca = next(
        row for row in report.rows if row["month"] == "2026-09" and "Northern" in str(row["organisation"])
    )
    assert (nca["verified"], nca["verified_live"], nca["rechecked"], nca["refused"]) == (8, 8, 1, 1)
    [total] = report.totals
    assert (total["issued"], total["verified"], total["rechecked"], total["refused"]) == (38, 40, 1, 1)
    assert figure(made(ReportName.F1, [*PILOT, again, refused]), "verified") == 40


def test_r3_is_a_matrix_of_employers_and_hosts():
    report = made(ReportName.R3)
    by_employer = {row["employing_trust"]: row for row in report.rows}
    christie, mft = (
        by_employer["The Christie NHS Foundation Trust"],
        by_employer["Manchester University NHS Foundation Trust"],
    )
    assert (christie["host_R0A"], christie["host_RM3"], christie["verified"]) == (1, 1, 2)
    assert (mft["host_R0A"], mft["host_RM3"], mft["verified"]) == (0, 7, 7)
    assert by_employer["Not recorded"]["verified_imported"] == 31
    [total] = report.totals
    assert (total["verified"], total["host_RM3"]) == (40, 10)


def test_r4_shows_percentiles_with_their_n_in_the_order_of_the_steps():
    timings = (
        Timing(step="time_to_verify", ods="RM3", channel="VIDEO", n=8, seconds=(170, 190)),
        Timing(step="pin_to_collected", ods="RBV", channel="VIDEO", n=2, seconds=(30, 30)),
        Timing(step="a_new_step", ods="RBV", channel="", n=1, seconds=(5, 5)),
    )
    report = made(ReportName.R4, timings=timings)
    assert [row["step"] for row in report.rows] == ["pin_to_collected", "time_to_verify", "a_new_step"]
    assert report.rows[1] == {
        "step": "time_to_verify",
        "organisation": "Northern Care Alliance NHS Foundation Trust",
        "channel": "Video call",
        "n": 8,
        "p50": 170,
        "p90": 190,
    }
    assert (report.n, report.imported) == (18, 0), "imported facts carry no time"
    assert report.chart is not None
    assert [bar.values for bar in report.chart.bars] == [(170, 190)]


def test_r5_counts_four_honorary_contracts_and_estimates_nothing_without_a_baseline():
    report = made(ReportName.R5)
    assert (figure(report, "honorary_contracts"), figure(report, "saved_minutes")) == (4, None)
    assert [note.key for note in report.notes] == ["no_baseline"]


def test_r5_estimates_with_the_baseline_it_shows():
    baselines = (
        Baseline(document="HONORARY_CONTRACT", ods="*", minutes=60, citation="Time study, invented"),
        Baseline(document="LETTER_OF_AUTHORITY", ods="RM3", minutes=30, citation="NCA diary, invented"),
    )
    report = made(ReportName.R5, baselines=baselines)
    by_document = {(row["document"], row["host_trust"]): row for row in report.rows}
    radiologists = by_document["HONORARY_CONTRACT", "Northern Care Alliance NHS Foundation Trust"]
    # 4 × 60 min less 160 + 170 + 180 + 190 s: 14,400 − 700 = 13,700 s, 228.3 min.
    assert (radiologists["avoided"], radiologists["timed"], radiologists["saved_minutes"]) == (4, 4, 228)
    assert radiologists["actual_seconds"] == 175
    nurses = by_document["LETTER_OF_AUTHORITY", "Northern Care Alliance NHS Foundation Trust"]
    assert nurses["saved_minutes"] == (3 * 30 * 60 - 510 + 30) // 60
    surgeon = by_document["LETTER_OF_AUTHORITY", "Manchester University NHS Foundation Trust"]
    assert (surgeon["baseline_minutes"], surgeon["saved_minutes"]) == (None, None)
    assert figure(report, "saved_minutes") == 228 + int(str(nurses["saved_minutes"]))
    assert [note.facts["citation"] for note in report.notes] == [
        "Time study, invented",
        "NCA diary, invented",
    ]


def test_r5_saves_nothing_where_no_time_was_measured():
    untimed = [replace(event, fact=event.fact.model_copy(update={"durations_s": {}})) for event in live()]
    baseline = Baseline(document="HONORARY_CONTRACT", ods="*", minutes=60, citation="Time study, invented")
    report = made(ReportName.R5, untimed, baselines=(baseline,))
    assert (figure(report, "honorary_contracts"), figure(report, "saved_minutes")) == (4, None)


@pytest.mark.parametrize("name", list(ReportName))
@pytest.mark.parametrize("locale", ["en-GB", "cy"])
@pytest.mark.parametrize("events", [PILOT, []], ids=["pilot", "nothing"])
def test_every_report_says_what_it_counts_in_both_languages(
    name: ReportName, locale: str, events: list[Event]
):
    report = made(name, events, locale=locale)
    said = view(report)
    assert said.n == said.live + said.imported
    assert said.as_at == TODAY
    assert said.definitions
    assert (said.period.first_day is None) == (said.n == 0)
    for row in (*said.rows, *said.totals):
        assert set(row) <= {column.key for column in said.columns}
    full = rows_of(as_csv(report, Layout.FULL))
    assert {len(row) for row in full} == {len(report.columns)}
    assert len(full) == 1 + len(report.rows) + len(report.totals)


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx"])
def test_a_name_is_never_a_formula(name: str):
    first, *others = report_trusts()
    report = made(ReportName.F1, trusts=(replace(first, name=name, aliases=(), locality=name), *others))
    for layout in Layout:
        cells = [cell for row in rows_of(as_csv(report, layout)) for cell in row]
        assert f"'{name}" in cells
        assert name not in cells


def test_quotes_and_commas_in_a_name_stay_one_cell():
    first, *others = report_trusts()
    name = 'The "Royal", Otter Valley'
    report = made(ReportName.F1, trusts=(replace(first, name=name, aliases=()), *others))
    assert name in [row[1] for row in rows_of(as_csv(report, Layout.PRINTED))]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), repeated=st.lists(st.integers(0, len(PILOT) - 1), max_size=30))
def test_order_repetitions_and_replays_never_change_a_report(seed: int, repeated: list[int]):
    arriving = [*PILOT, *(PILOT[place] for place in repeated)]
    random.Random(seed).shuffle(arriving)  # noqa: S311 - an order, no secret
    # What the store does: an id counts once; batches are added up as they come.
    kept = list({event.id: event for event in arriving}.values())
    cut = len(kept) // 2
    sums = {count.key: count for count in counted(kept[:cut])}
    for count in counted(kept[cut:]):
        sums[count.key] = sums[count.key].plus(count) if count.key in sums else count
    for name in ReportName:
        again = MADE[name](material([], counts=tuple(sums[key] for key in sorted(sums))))
        assert again == made(name)


@pytest.mark.parametrize("name", list(ReportName))
def test_a_report_looks_at_nothing_that_the_database_has_added_up(name: ReportName):
    sums: dict[CountKey, Count] = {}
    for count in counted(PILOT):
        key = CountKey(
            **{part: value if part in NEEDS[name] else "" for part, value in vars(count.key).items()}
        )
        one = replace(count, key=key)
        sums[key] = sums[key].plus(one) if key in sums else one
    baselines = (
        Baseline(document="HONORARY_CONTRACT", ods="*", minutes=60, citation="Time study, invented"),
    )
    less = MADE[name](material([], counts=tuple(sums[key] for key in sorted(sums)), baselines=baselines))
    assert less == made(name, baselines=baselines)
