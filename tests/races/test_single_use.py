"""What is used once is used once by whoever asks whichever of four processes on PostgreSQL (R5)."""

from __future__ import annotations

import pytest

from passport_testkit import race_rounds as rounds
from passport_testkit.contract_worlds import World
from passport_testkit.race_rounds import Field, Round

pytestmark = [pytest.mark.xdist_group("races"), pytest.mark.postgres]

AT_ONCE = 20


@pytest.fixture(scope="module")
def field(beside: dict[str, World]) -> Field:
    return Field(beside)


def run(field: Field, one: Round, count: int = AT_ONCE) -> None:
    field.worlds["issuer"].runner.run(one(field, count))


def test_one_code_one_token(field: Field) -> None:
    run(field, rounds.code)


def test_five_guesses_and_no_more(field: Field) -> None:
    run(field, rounds.tx_code, 60)


def test_one_nonce_one_credential(field: Field) -> None:
    run(field, rounds.nonce)


def test_one_dataset_one_live_credential(field: Field) -> None:
    run(field, rounds.dataset, 12)


def test_one_notification_is_recorded_once(field: Field) -> None:
    run(field, rounds.notification)


def test_withdrawing_and_redeeming_at_once_leave_one_truth(field: Field) -> None:
    run(field, rounds.withdrawn_or_redeemed)


def test_opposite_changes_leave_what_the_last_one_said(field: Field) -> None:
    run(field, rounds.held_or_reinstated)


def test_one_assertion_one_token(field: Field) -> None:
    run(field, rounds.assertion)


def test_one_key_one_thing(field: Field) -> None:
    run(field, rounds.idempotency_key)


def test_one_external_id_one_person(field: Field) -> None:
    run(field, rounds.external_id)


def test_one_presentation_one_decision(field: Field) -> None:
    run(field, rounds.presentation)


def test_cancelling_and_answering_at_once_leave_one_truth(field: Field) -> None:
    run(field, rounds.cancelled_or_answered)


def test_one_response_code_one_browser(field: Field) -> None:
    run(field, rounds.response_code)


def test_a_person_is_confirmed_once_by_any_process(field: Field) -> None:
    run(field, rounds.person_confirmed)


def test_one_agreement_link_one_answer(field: Field) -> None:
    run(field, rounds.agreement_link)


def test_everything_at_once_ends_in_a_state_that_follows(field: Field) -> None:
    run(field, rounds.everything, 42)


def test_a_graver_suspension_is_never_refused_for_a_lighter_one(field: Field) -> None:
    run(field, rounds.graver_suspension)
