"""Activity facts: codes only, no person, the same model on both sides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from passport_shared.wire import activity
from passport_shared.wire.activity import MAX_DURATION_S, ActivityEvent, Fact, Step

AT = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
FACT: dict[str, Any] = {
    "day": "2026-07-02",
    "employing_ods": "RBV",
    "host_ods": "R0A",
    "movement_type": "SERVICE_NEED_URGENT",
    "workforce_group": "CLINICIANS",
    "role_profile": "UROLOGY_SURGEON",
    "use_case": "SERVICE_NEED",
    "channel": "VIDEO",
    "would_have_needed": "LETTER_OF_AUTHORITY",
    "outcome": "READY",
    "reason": None,
    "durations_s": {"time_to_verify": 170},
    "source": "live",
}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "0190a0b0-0000-7000-8000-000000000000",
    "source": "https://verifier.example",
    "type": "passport.verified",
    "time": "2026-07-01T23:30:00.000Z",
    "datacontenttype": "application/json",
    "organisation": "R0A",
    "data": FACT,
}


def test_a_fact_carries_the_day_in_london():
    made = activity.fact(at=AT, employing_ods="RBV")
    assert made["day"] == "2026-07-02", "half past eleven in UTC is the next day in British summer time"
    assert made["source"] == "live"
    assert Fact.model_validate(made).model_dump(mode="json") == made


def test_an_event_is_read_as_it_was_made():
    event = ActivityEvent.model_validate(EVENT)
    assert event.data.model_dump(mode="json") == FACT


@pytest.mark.parametrize(
    "change",
    [
        {"day": "2026-7-2"},
        {"day": "2026-07-02T00:00:00Z"},
        {"day": "2026-02-30"},
        {"day": 20260702},
        {"day": "1999-12-31"},
        {"day": True},
        {"employing_ods": "rbv"},
        {"employing_ods": "RBV "},
        {"employing_ods": "RBV\n"},
        {"host_ods": "R0A; DROP"},
        {"movement_type": "Service need"},
        {"workforce_group": "Dr Aisha Khan"},
        {"role_profile": "x" * 65},
        {"use_case": ""},
        {"channel": "MS Teams"},
        {"would_have_needed": "A_LETTER"},
        {"outcome": "ready"},
        {"reason": "the nonce was used"},
        {"durations_s": {"time_to_verify": -1}},
        {"durations_s": {"time_to_verify": 1.5}},
        {"durations_s": {"time_to_verify": True}},
        {"durations_s": {"time_to_verify": "170"}},
        {"durations_s": {"time_to_verify": MAX_DURATION_S + 1}},
        {"durations_s": {"Time to verify": 1}},
        {"durations_s": {f"step_{number}": 1 for number in range(13)}},
        {"durations_s": None},
        {"source": "guessed"},
        {"source": None},
        {"name": "Aisha Khan"},
        {"staff_id": "7"},
    ],
)
def test_what_is_no_code_is_refused(change: dict[str, Any]):
    with pytest.raises(ValidationError):
        Fact.model_validate({**FACT, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"id": ""},
        {"id": "x" * 65},
        {"id": "a b"},
        {"source": "http://verifier.example"},
        {"type": "passport.lost"},
        {"type": "presentation_request.created"},
        {"subject": "Aisha Khan"},
        {"time": "2026-07-01T23:30:00"},
        {"datacontenttype": "text/plain"},
        {"organisation": "RBV"},
        {"organisation": "R0A\n"},
        {"data": {**FACT, "host_ods": None}},
        {"person": "x"},
    ],
)
def test_what_is_no_event_of_ours_is_refused(change: dict[str, Any]):
    with pytest.raises(ValidationError):
        ActivityEvent.model_validate({**EVENT, **change})


def test_errors_never_repeat_what_was_sent():
    with pytest.raises(ValidationError) as refused:
        Fact.model_validate({**FACT, "workforce_group": "Dr Aisha Khan"})
    assert "Aisha" not in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("Clinicians", "CLINICIANS"),
        ("nursing", "NURSING"),
        (" Imaging ", "IMAGING"),
        ("TRAINEES", "TRAINEES"),
        ("Nyrsio", "NURSING"),
        ("Aisha Khan", "OTHER"),
        ("", "OTHER"),
    ],
)
def test_a_workforce_group_that_is_none_of_ours_is_told_as_other(typed: str, code: str):
    assert activity.fact(at=AT, employing_ods="RBV", workforce_group=typed)["workforce_group"] == code


@given(typed=st.text(max_size=40))
def test_whatever_is_typed_as_a_group_becomes_a_code(typed: str):
    made = activity.fact(at=AT, employing_ods="RBV", workforce_group=typed)
    assert made["workforce_group"] in activity.workforce_groups()


def test_durations_leave_out_what_was_not_seen_whole():
    begun, later = AT, AT + timedelta(seconds=61, milliseconds=900)
    found = activity.durations(
        {
            Step.OFFER_TO_PIN: (begun, later),
            Step.PIN_TO_COLLECTED: (None, later),
            Step.TIME_TO_ISSUE: (later, begun),
            Step.APPOINTMENT_TO_OFFER: (begun - timedelta(days=400), later),
        }
    )
    assert found == {"offer_to_pin": 61}
