"""What a notice says: whole in both languages, a first name and nothing more, words that cannot be abused."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_issuer.rules import notices
from passport_issuer.rules.notices import (
    LANGUAGES,
    PLACEHOLDERS,
    NoticeChannel,
    NoticeKind,
    channel_of,
    checked_facts,
    compose,
    fact_day,
    first_name,
    is_paused,
    language_of,
    made_at_appointment,
    milestone,
    one_line,
    say_contact,
    say_day,
)

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
VALUES = {
    "trust": "Ymddiriedolaeth Dyffryn Dyfrgi",
    "link": "https://issuer.example/RBV/i/" + "a" * 32,
    "day": "3 May 2026",
    "hour": "14:30",
    "place": "HR office, Oak Road",
    "contact": "the HR team, 0161 496 0000",
}
# domain model §10h: what is never said to staff
NEVER = re.compile(
    r"consent|revoke|issuer|verifier|relying party|trust anchor|credential|claim|attribute|disclose"
    r"|suspend|deployment|\b(fit|unfit|pass|fail|grant|query)\b",
    re.IGNORECASE,
)


def data(language: str) -> dict[str, Any]:
    text = (
        resources.files("passport_issuer")
        .joinpath("rules", "notice_data", f"{language}.json")
        .read_text("utf-8")
    )
    found: dict[str, Any] = json.loads(text)
    return found


def texts(template: dict[str, Any]) -> list[str]:
    return [template["subject"], *template["paragraphs"], template["text"]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_is_there_and_says_what_its_placeholders_say(language: str):
    found = data(language)["templates"]
    assert set(found) == set(PLACEHOLDERS)
    for name, template in found.items():
        assert set(template) == {"subject", "paragraphs", "text"}, name
        allowed = PLACEHOLDERS[name]
        body = set(re.findall(r"\{([^}]*)\}", " ".join(template["paragraphs"])))
        closing = set(re.findall(r"\{([^}]*)\}", " ".join(data(language)["closing"])))
        assert body | closing == allowed, name
        assert set(re.findall(r"\{([^}]*)\}", template["text"])) <= allowed, name
        assert not re.search(r"[{}]", template["subject"]), name
        link = "link" in allowed
        assert ("{link}" in template["text"]) is link, name
        assert all("{link}" not in line or line == "{link}" for line in template["paragraphs"]), name


def test_both_languages_say_the_same_things_in_their_own_words():
    english, welsh = (data(language)["templates"] for language in LANGUAGES)
    for name in PLACEHOLDERS:
        assert len(english[name]["paragraphs"]) == len(welsh[name]["paragraphs"]), name
        for ours, theirs in zip(texts(english[name]), texts(welsh[name]), strict=True):
            assert sorted(re.findall(r"\{.*?\}", ours)) == sorted(re.findall(r"\{.*?\}", theirs)), name
            assert ours != theirs or ours == "{link}", name


def test_every_kind_has_a_template():
    assert {name.partition(".")[0] for name in PLACEHOLDERS} == {kind.value for kind in NoticeKind}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", PLACEHOLDERS)
def test_nothing_is_left_to_fill_in_and_the_words_are_for_people(language: str, template: str):
    words = compose(template, language, "Adaeze", VALUES)
    for text in (words.subject, words.body, words.text):
        assert not re.search(r"[{}]", text)
        assert not NEVER.search(text.replace(VALUES["link"], "")), text
    assert words.body.startswith(("Hello Adaeze,\n\n", "Helo Adaeze,\n\n"))
    assert "Adaeze" not in words.subject
    # three text messages at most, with a link of 80 characters
    assert len(words.text) <= 3 * 153 + 80
    nameless = compose(template, language, "", VALUES)
    assert nameless.body.startswith(("Hello,\n\n", "Helo,\n\n"))


def test_values_are_never_read_as_templates_and_stay_on_their_line():
    hostile = {**VALUES, "trust": "{link}{contact}", "place": "Room\r\nBcc: a@b.invalid\u2028\u202ehidden"}
    words = compose("APPOINTMENT.PLACE", "en-GB", "Ada", hostile)
    assert "{link}{contact}" in words.body
    assert "Where: Room Bcc: a@b.invalid hidden\n" in words.body
    assert words.subject == "Your staff passport appointment"


def test_a_missing_value_is_refused():
    with pytest.raises(KeyError):
        compose("INVITE", "en-GB", "Ada", {"trust": "T", "day": "today"})


@pytest.mark.parametrize(
    ("preferred", "legal", "said"),
    [
        (None, "Adaeze", "Adaeze"),
        ("Ada", "Adaeze", "Ada"),
        (None, "Mary Jane Ann", "Mary"),
        (None, "Siân", "Siân"),
        (None, "Sia\u0302n", "Siân"),
        (None, "Anne-Marie", "Anne-Marie"),
        (None, "D'Arcy", "D'Arcy"),
        (None, "Łukasz", "Łukasz"),
        (None, "Nguyễn", "Nguyễn"),
        (None, "明", "明"),
        ("  ", "Bo", "Bo"),
        ("123", "Bo", "Bo"),
        ("http://evil.example", "Bo", "httpevilexample"),
        ("Ada\r\nBcc: x@y.invalid", "Bo", "Ada"),
        ("\u202eadA", "Bo", "adA"),
        ("<b>Ada</b>", "Bo", "bAdab"),
        (None, "12 .", ""),
    ],
)
def test_the_first_name_is_one_word_of_letters(preferred: str | None, legal: str, said: str):
    assert first_name(preferred, legal) == said


@settings(max_examples=150)
@given(st.text(max_size=80), st.text(max_size=80))
def test_no_name_brings_anything_into_a_notice_but_letters(preferred: str, legal: str):
    name = first_name(preferred, legal)
    assert len(name) <= 60
    assert not any(unicodedata.category(c)[0] in "CZNS" for c in name)
    assert not set(name) & set('./:@\\<>{}"')
    assert compose("ON_HOLD", "en-GB", name, VALUES).body.count("\n\n") == 3


@settings(max_examples=150)
@given(st.text(max_size=300))
def test_one_line_is_one_visible_line(value: str):
    line = one_line(value)
    assert len(line) <= 200
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in line)
    assert one_line(line) == line.strip()


@pytest.mark.parametrize(
    ("left", "due"),
    [
        (31, None),
        (30, 30),
        (27, 30),
        (26, None),
        (15, None),
        (14, 14),
        (11, 14),
        (10, None),
        (8, None),
        (7, 7),
        (4, 7),
        (3, None),
        (2, None),
        (1, 1),
        (0, 1),
        (-1, None),
    ],
)
def test_a_renewal_is_announced_on_its_days_and_a_little_later(left: int, due: int | None):
    assert milestone(left) == due


@pytest.mark.parametrize(
    ("chosen", "email", "mobile", "sms", "way"),
    [
        (None, True, True, True, "EMAIL"),
        ("SMS", True, True, True, "SMS"),
        ("text", True, True, True, "SMS"),
        ("sms ", True, True, True, "SMS"),
        ("SMS", True, True, False, "EMAIL"),
        ("SMS", True, False, True, "EMAIL"),
        ("phone", True, True, True, "EMAIL"),
        ("EMAIL", False, True, True, "SMS"),
        ("EMAIL", False, True, False, "EMAIL"),
        (None, False, False, True, "EMAIL"),
    ],
)
def test_the_channel_is_the_persons_where_it_can_be(
    chosen: str | None, email: bool, mobile: bool, sms: bool, way: str
):
    found = channel_of({"channel": chosen}, has_email=email, has_mobile=mobile, sms_offered=sms)
    assert found is NoticeChannel(way)


def test_the_language_is_english_unless_welsh_was_chosen():
    assert [language_of({"language": value}) for value in ("cy", "en-GB", "fr", None, 7)] == [
        "cy",
        "en-GB",
        "en-GB",
        "en-GB",
        "en-GB",
    ]
    assert language_of({}) == "en-GB"


def test_who_paused_offers_hears_only_that_the_passport_is_on_hold():
    paused = {kind for kind in NoticeKind if is_paused({"pause_offers": True}, kind)}
    assert paused == set(NoticeKind) - {NoticeKind.ON_HOLD}
    assert not any(
        is_paused({"pause_offers": value}, kind) for kind in NoticeKind for value in (False, None, "yes")
    )


def test_a_notice_keeps_days_and_versions_and_nothing_else():
    assert checked_facts({"day": date(2026, 9, 2), "version": 3}) == {"day": "2026-09-02", "version": 3}
    for facts in (
        {"name": "Adaeze"},
        {"day": "2026-09-02"},
        {"day": NOW},
        {"version": "3"},
        {"version": True},
        {"host": "R0A"},
    ):
        with pytest.raises(ValueError, match="keeps no fact"):
            checked_facts(facts)
    assert fact_day({"day": "2026-09-02"}) == date(2026, 9, 2)
    assert fact_day({}) is None
    assert fact_day({"day": "soon"}) is None


def test_days_and_whom_to_ask_in_both_languages():
    assert say_day(date(2026, 5, 3), "en-GB") == "3 May 2026"
    assert say_day(date(2026, 5, 3), "cy") == "3 Mai 2026"
    nobody = {"name": None, "phone": None, "email": None}
    assert say_contact("en-GB", "The Trust", **nobody) == "the HR team at The Trust"
    assert say_contact("cy", "Y Bwrdd", **nobody) == "tîm AD Y Bwrdd"
    named = {"name": "Staff Passport Team", "phone": "0161 496 0000", "email": "hr@trust.invalid"}
    assert say_contact("cy", "Y Bwrdd", **named) == "Staff Passport Team, 0161 496 0000, hr@trust.invalid"
    assert say_contact("en-GB", "The Trust", **{**nobody, "phone": "1"}) == "the HR team at The Trust, 1"


def test_an_offer_made_while_the_person_sits_there_is_no_news_to_them():
    assert made_at_appointment(NOW - timedelta(minutes=59), NOW)
    assert not made_at_appointment(NOW - timedelta(hours=1), NOW)
    assert not made_at_appointment(None, NOW)


def test_the_months_are_twelve():
    for language in LANGUAGES:
        assert len(data(language)["months"]) == 12
    assert notices.CATCH_UP_DAYS < 7
