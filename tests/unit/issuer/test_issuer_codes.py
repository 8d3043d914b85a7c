"""Codes, PINs and nonces: derived, separate, tamper-proof, and dead when their time is over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_issuer.rules import codes
from passport_shared.formats.ids import random_token
from passport_testkit.clock import NOON

SECRET, OTHER = b"s" * 32, b"o" * 32


def test_a_code_leads_back_to_its_offer_and_nothing_else_does() -> None:
    offer = random_token(16)
    code = codes.pre_authorized_code(SECRET, offer)
    assert codes.offer_of_code(SECRET, code) == offer
    assert codes.offer_of_code(OTHER, code) is None
    for spoiled in (
        offer,
        f"{offer}.",
        code + "A",
        code[:-1],
        code.swapcase(),
        f" {code}",
        "",
        ".",
        "é" * 22,
    ):
        assert codes.offer_of_code(SECRET, spoiled) is None
    assert codes.pre_authorized_code(SECRET, offer) == code


def test_pins_are_six_digits_that_differ_by_offer_and_secret() -> None:
    pins = {codes.tx_code(SECRET, random_token(16)) for _ in range(300)}
    assert all(codes.is_tx_code(pin) for pin in pins)
    assert len(pins) > 250
    offer = random_token(16)
    assert codes.tx_code(SECRET, offer) == codes.tx_code(SECRET, offer)
    assert codes.tx_code_matches(SECRET, offer, codes.tx_code(SECRET, offer))
    assert not codes.tx_code_matches(SECRET, offer, "é")


@pytest.mark.parametrize(
    "given", ["", "12345", "1234567", "12345a", "１２３４５６", "٧٠٩٩٩٩", "123456\n", " 12345"]
)
def test_what_is_no_pin_is_known_as_such(given: str) -> None:
    assert not codes.is_tx_code(given)


def test_a_nonce_is_ours_for_five_minutes_and_one_tenant() -> None:
    nonce = codes.new_nonce(SECRET, "RBV", NOON)
    assert codes.nonce_is_ours(SECRET, "RBV", nonce, NOON)
    assert codes.nonce_is_ours(SECRET, "RBV", nonce, NOON + codes.NONCE_LIFE - timedelta(seconds=1))
    assert not codes.nonce_is_ours(SECRET, "RBV", nonce, NOON + codes.NONCE_LIFE)
    assert not codes.nonce_is_ours(SECRET, "R0A", nonce, NOON)
    assert not codes.nonce_is_ours(OTHER, "RBV", nonce, NOON)
    assert codes.new_nonce(SECRET, "RBV", NOON) != nonce


def test_a_longer_life_cannot_be_written_into_a_nonce() -> None:
    value, expires, tag = codes.new_nonce(SECRET, "RBV", NOON).split(".")
    later = f"{int(expires, 16) + 3600:x}"
    assert not codes.nonce_is_ours(SECRET, "RBV", f"{value}.{later}.{tag}", NOON)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=250))
def test_no_text_is_taken_for_a_nonce_a_code_or_a_cookie(text: str) -> None:
    assert not codes.nonce_is_ours(SECRET, "RBV", text, NOON)
    assert codes.offer_of_code(SECRET, text) is None
    assert codes.reviewed_offer(SECRET, text, NOON) is None


def test_a_review_cookie_names_one_offer_and_ends() -> None:
    cookie = codes.review_cookie(SECRET, "offer-1", NOON)
    assert codes.reviewed_offer(SECRET, cookie, NOON) == "offer-1"
    assert codes.reviewed_offer(SECRET, cookie, NOON + codes.REVIEW_LIFE) is None
    assert codes.reviewed_offer(OTHER, cookie, NOON) is None
    # one kind of seal is no other kind
    assert codes.reviewed_offer(SECRET, codes.new_nonce(SECRET, "", NOON), NOON) is None


def test_tokens_are_long_and_stored_as_hashes() -> None:
    token = codes.new_access_token()
    assert len(token) == 43
    assert codes.token_hash(token) != token
    assert codes.token_hash(token) == codes.token_hash(token)
