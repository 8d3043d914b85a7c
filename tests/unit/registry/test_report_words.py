"""The words of reports: in both languages, a label for every code of ours, nothing unknown on a page."""

from __future__ import annotations

import re
from datetime import date

import pytest

from passport_registry.operations.reports import MADE
from passport_registry.rules import report_words
from passport_registry.rules.onboarding import OnboardingState, Step, StepState, gates
from passport_registry.rules.reports import Kind, Material, ReportName, data
from passport_shared.wire.activity import Step as TimedStep
from passport_shared.wire.activity import workforce_groups

LOCALES = ("en-GB", "cy")
# domain model §10h: what no page for HR and region says
NEVER = re.compile(
    r"\b(issuer|verifier|relying party|trust anchor|credential|claim|consent|fit|revoked)\b", re.I
)


@pytest.mark.parametrize("key", sorted(data("labels")))
def test_every_word_is_there_in_both_languages_with_the_same_blanks(key: str):
    label = data("labels")[key]
    english, welsh = (set(re.findall(r"\{(\w+)\}", label[locale])) for locale in LOCALES)
    assert english == welsh
    assert all(label[locale].strip() for locale in LOCALES)
    assert NEVER.search(label["en-GB"]) is None


def test_every_code_of_ours_has_a_label():
    nothing = gates({}, today=date(2026, 9, 1), hrd_named=False, active_issuing_key=False)
    wanted = [
        *(f"state.{state}" for state in OnboardingState),
        *(f"step_state.{state}" for state in StepState),
        *(f"column.step_{step.lower()}" for step in Step),
        *(f"step.{step}" for step in TimedStep),
        *(f"missing.{item.code}" for item in nothing.g3.missing),
        *(f"fixer.{item.who_can_fix}" for item in nothing.g3.missing),
        *(f"{part}.{name}" for name in ReportName for part in ("title", "summary")),
    ]
    assert [key for key in wanted if key not in data("labels")] == []


def test_every_word_a_report_names_exists():
    empty = Material(trusts=(), counts=(), as_at=date(2026, 9, 1))
    for make in MADE.values():
        report = make(empty)
        keys = [column.label for column in report.columns if column.text is None]
        keys += [f"definition.{key}" for key in report.definitions]
        keys += [f"note.{note.key}" for note in report.notes]
        keys += [f"figure.{figure.key}" for figure in report.figures]
        assert [key for key in keys if key not in data("labels")] == []
        assert {column.kind for column in report.columns} <= set(Kind)


def test_groups_and_codes_are_said_or_shown_as_they_are():
    for code, group in workforce_groups().items():
        assert [report_words.group(code, locale) for locale in LOCALES] == [group["en-GB"], group["cy"]]
    assert report_words.code("channel", "CARRIER_PIGEON") == "Carrier pigeon"
    assert report_words.code("channel", "", "cy") == "Heb ei gofnodi"


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("locale", LOCALES)
def test_use_cases_name_how_many(n: int, locale: str):
    for case in data("use_cases"):
        said = report_words.use_case(case["movement_type"], case["role_profile"], "OTHER", n, locale)
        assert said.startswith(f"{n} x ")
        assert ("DSPs" in said) == (locale == "en-GB" and n > 1)
