"""The strict base64url decoder: one text per byte string."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.strict import StrictCode, StrictError, b64url_decode, b64url_encode
from passport_testkit import corpora

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=300))
def test_what_is_encoded_is_decoded(data: bytes):
    assert b64url_decode(b64url_encode(data)) == data


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=ALPHABET, min_size=1, max_size=40) | st.text(max_size=40))
def test_no_two_texts_mean_the_same_bytes(text: str):
    try:
        data = b64url_decode(text)
    except StrictError:
        return
    assert b64url_encode(data) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "AAAAA",
        "Zg==",
        "Zm8=",
        "Zm9v=",
        "Zm9v\n",
        "\nZm9v",
        "Zm 9v",
        "Zm+v",
        "Zm/v",
        "Zm*v",
        "Zm.9v",
        "Zh",  # "Zg" with bits left over
        "Zm9",  # "Zm8" with bits left over
        "Zm9v\x00",
        "Zm9v\u00e9",
        "\uff21\uff21\uff21\uff21",
        "Zm9v\ud800",
    ],
)
def test_refused_forms(text: str):
    with pytest.raises(StrictError) as refused:
        b64url_decode(text)
    assert refused.value.code is StrictCode.BAD_BASE64URL


@pytest.mark.parametrize("length", [2, 3])
def test_of_all_tails_only_the_canonical_ones_are_read(length: int):
    accepted = 0
    for last in ALPHABET:
        try:
            b64url_decode("Zm9v" + "A" * (length - 1) + last)
        except StrictError:
            continue
        accepted += 1
    assert accepted == {2: 4, 3: 16}[length]


def test_the_limit_counts_decoded_bytes():
    assert len(b64url_decode(b64url_encode(b"x" * 100), max_bytes=100)) == 100
    with pytest.raises(StrictError) as refused:
        b64url_decode(b64url_encode(b"x" * 101), max_bytes=100)
    assert refused.value.code is StrictCode.TOO_LARGE


@pytest.mark.parametrize("value", [None, 1, b"Zm9v", ["Zm9v"], {"a": 1}])
def test_only_text_is_base64url(value: object):
    with pytest.raises(StrictError) as refused:
        b64url_decode(value)  # type: ignore[arg-type]
    assert refused.value.code is StrictCode.WRONG_TYPE


def test_naughty_strings_are_read_or_refused():
    for text in corpora.load_json("blns/blns.json"):
        try:
            data = b64url_decode(text)
        except StrictError:
            continue
        assert b64url_encode(data) == text
        assert b64url_decode(b64url_encode(text.encode() or b"-"))
