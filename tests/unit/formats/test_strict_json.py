"""The strict JSON decoder: what it refuses by name, what it must accept, and that nothing else escapes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from passport_shared.formats.strict import (
    StrictCode,
    StrictError,
    canonical,
    dumps,
    instant_s,
    loads,
    loads_object,
    numeric_date,
)
from passport_testkit import corpora

SUITE = corpora.files("jsontestsuite/test_parsing", "*.json")

REFUSED = [
    ("too many bytes", b'"' + b"a" * 70_000 + b'"', StrictCode.TOO_LARGE),
    ("too many bytes as characters", '"' + "é" * 40_000 + '"', StrictCode.TOO_LARGE),
    ("not UTF-8", b'"\xff"', StrictCode.NOT_UTF8),
    ("overlong UTF-8", b'"\xc0\xaf"', StrictCode.NOT_UTF8),
    ("UTF-8 of a surrogate", b'"\xed\xa0\x80"', StrictCode.NOT_UTF8),
    ("UTF-16 with a mark", '{"a":1}'.encode("utf-16"), StrictCode.NOT_UTF8),
    ("UTF-16 without a mark", '{"a":1}'.encode("utf-16-le"), StrictCode.MALFORMED),
    ("UTF-32", '{"a":1}'.encode("utf-32-be"), StrictCode.MALFORMED),
    ("a lone surrogate escaped", b'"\\ud800"', StrictCode.NOT_UTF8),
    ("a lone surrogate in a member name", b'{"\\uDFFF":1}', StrictCode.NOT_UTF8),
    ("surrogates the wrong way round", b'["\\udc00\\ud800"]', StrictCode.NOT_UTF8),
    ("a lone surrogate in text", '"\ud800"', StrictCode.NOT_UTF8),
    ("a byte order mark", b"\xef\xbb\xbf{}", StrictCode.BOM),
    ("a byte order mark in text", "\ufeff{}", StrictCode.BOM),
    ("nothing", b"", StrictCode.MALFORMED),
    ("white space only", b" \n\t", StrictCode.MALFORMED),
    ("two values", b"{}{}", StrictCode.MALFORMED),
    ("a trailing comma", b"[1,]", StrictCode.MALFORMED),
    ("single quotes", b"{'a':1}", StrictCode.MALFORMED),
    ("a control character in a string", b'"a\nb"', StrictCode.MALFORMED),
    ("a NUL after the value", b"{}\x00", StrictCode.MALFORMED),
    ("a leading zero", b"01", StrictCode.MALFORMED),
    ("a plus sign", b"+1", StrictCode.MALFORMED),
    ("other digits", "[\u0661]", StrictCode.MALFORMED),
    ("other white space", b"\x0c{}", StrictCode.MALFORMED),
    ("a comment", b"{}//", StrictCode.MALFORMED),
    ("duplicate members", b'{"a":1,"a":1}', StrictCode.DUPLICATE_MEMBER),
    ("duplicate members in the depth", b'[{"b":{"a":1,"\\u0061":2}}]', StrictCode.DUPLICATE_MEMBER),
    ("33 arrays", b"[" * 33 + b"]" * 33, StrictCode.TOO_DEEP),
    ("33 objects", b'{"a":' * 33 + b"1" + b"}" * 33, StrictCode.TOO_DEEP),
    ("33 of both after a string of brackets", b'["]]]]",' * 33 + b"1" + b"]" * 33, StrictCode.TOO_DEEP),
    ("65,000 opening brackets", b"[" * 65_000, StrictCode.TOO_DEEP),
    ("NaN", b"NaN", StrictCode.BAD_NUMBER),
    ("Infinity", b"[Infinity]", StrictCode.BAD_NUMBER),
    ("-Infinity", b'{"exp":-Infinity}', StrictCode.BAD_NUMBER),
    ("a number that overflows", b"1e400", StrictCode.BAD_NUMBER),
    ("a negative number that overflows", b"[-1E+400]", StrictCode.BAD_NUMBER),
    ("an integer of 5,000 digits", b"9" * 5_000, StrictCode.BAD_NUMBER),
]


@pytest.mark.parametrize(("data", "code"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_is_refused_and_why(data: bytes | str, code: StrictCode):
    with pytest.raises(StrictError) as refused:
        loads(data)
    assert refused.value.code is code


def test_every_code_of_the_json_decoder_has_a_case():
    others = {StrictCode.BAD_BASE64URL, StrictCode.WRONG_TYPE}
    assert {case[2] for case in REFUSED} == set(StrictCode) - others


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"[" * 32 + b"]" * 32, None),
        (b'{"a":' * 32 + b"1" + b"}" * 32, None),
        (b"[" + b"[]," * 5_000 + b"{}]", None),
        (b'"' + b"[{" * 3_000 + b'"', "[{" * 3_000),
        (b'["\\"' + b"[" * 100 + b'"]', ['"' + "[" * 100]),
        (b'["\\\\",' + b'"' + b"[" * 100 + b'"]', ["\\", "[" * 100]),
        (b' \t\r\n{"a" : [1, 2.5e1, true, null]}\n', {"a": [1, 25.0, True, None]}),
        (b'"\\ud83d\\ude00"', "😀"),
        ('"\U0001f600"', "😀"),
        (b'"\xef\xbb\xbf"', "\ufeff"),
        (b"1e-400", 0.0),
        (b"9007199254740993", 9007199254740993),
        (b'"\\u0000"', "\x00"),
    ],
)
def test_what_is_accepted(data: bytes | str, value: object):
    parsed = loads(data)
    if value is not None:
        assert parsed == value


@pytest.mark.parametrize("vector", SUITE, ids=lambda vector: vector.name)
def test_json_test_suite(vector: Path):
    data, kind = vector.read_bytes(), vector.name[0]
    if kind == "n":
        with pytest.raises(StrictError):
            loads(data, max_bytes=10_000_000)
    elif kind == "y":
        if vector.stem in {"y_object_duplicated_key", "y_object_duplicated_key_and_value"}:
            # RFC 8259 §4 leaves duplicates open ("SHOULD be unique"); we refuse them (RFC 7493 §2.3).
            with pytest.raises(StrictError) as refused:
                loads(data)
            assert refused.value.code is StrictCode.DUPLICATE_MEMBER
        else:
            loads(data)
    else:  # either answer is right, a crash is not
        try:
            loads(data, max_bytes=10_000_000)
        except StrictError:
            return


def test_the_whole_json_test_suite_was_there():
    if not SUITE:
        corpora.path("jsontestsuite/test_parsing")
    kinds = [vector.name[0] for vector in SUITE]
    assert (kinds.count("y"), kinds.count("n"), kinds.count("i")) == (95, 188, 35)


def test_a_caller_who_lifts_the_depth_limit_still_gets_a_clear_answer():
    with pytest.raises(StrictError) as refused:
        loads(b"[" * 200_000 + b"]" * 200_000, max_bytes=1_000_000, max_depth=1_000_000)
    assert refused.value.code is StrictCode.TOO_DEEP


def test_the_depth_scan_is_linear_in_hostile_quotes():
    hostile = b"[" * 40 + b'"' + b'\\"' * 500_000
    with pytest.raises(StrictError) as refused:
        loads(hostile, max_bytes=2_000_000)
    assert refused.value.code is StrictCode.TOO_DEEP
    with pytest.raises(StrictError) as refused:
        loads(b'"' + b'\\"' * 500_000 + b"[" * 40, max_bytes=2_000_000)
    assert refused.value.code is StrictCode.MALFORMED


@pytest.mark.parametrize("data", [b"[]", b'"{}"', b"1", b"null", b"true"])
def test_an_object_is_an_object(data: bytes):
    with pytest.raises(StrictError) as refused:
        loads_object(data)
    assert refused.value.code is StrictCode.WRONG_TYPE


def test_messages_do_not_repeat_the_data():
    with pytest.raises(StrictError) as refused:
        loads(b'{"family_name": Okonkwo-Price}')
    assert "Okonkwo" not in str(refused.value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53), max_value=2**53)
    | st.floats(min_value=-(2**53), max_value=2**53)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=10), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(json_values)
def test_what_is_written_is_read_again(value: object):
    assert loads(dumps(value), max_depth=64) == value
    assert loads(canonical(value), max_depth=64) == value


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9)))
def test_the_canonical_form_does_not_depend_on_order(members: dict[str, int]):
    assert canonical(dict(reversed(members.items()))) == canonical(members)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200))
@example(b'{"a":' * 200)
@example(b'"' + b"\\")
def test_arbitrary_input_is_read_or_refused(data: bytes | str):
    try:
        loads(data)
    except StrictError:
        return


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet='[]{}",:\\ue0123dDfalsnt -.+\ufeff', max_size=60))
def test_almost_json_is_read_or_refused(text: str):
    try:
        value = loads(text)
    except StrictError:
        return
    assert loads(dumps(value)) == value


def test_naughty_strings_survive_the_round_trip():
    strings = corpora.load_json("blns/blns.json")
    assert len(strings) == 515
    for text in strings:
        assert loads_object(dumps({"text": text, text: 1}))["text"] == (1 if text == "text" else text)
        assert loads(canonical([text])) == [text]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, b"0"),
        (-0.0, b"0"),
        (5e-324, b"5e-324"),
        (-5e-324, b"-5e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (9007199254740992.0, b"9007199254740992"),
        (295147905179352830000.0, b"295147905179352830000"),
        (9.999999999999997e22, b"9.999999999999997e+22"),
        (1e23, b"1e+23"),
        (1.0000000000000001e23, b"1.0000000000000001e+23"),
        (999999999999999700000.0, b"999999999999999700000"),
        (999999999999999900000.0, b"999999999999999900000"),
        (1e21, b"1e+21"),
        (9.999999999999997e-7, b"9.999999999999997e-7"),
        (0.000001, b"0.000001"),
        (333333333.33333325, b"333333333.33333325"),
        (1424953923781206.2, b"1424953923781206.2"),
        (-0.0000033333333333333333, b"-0.0000033333333333333333"),
        (4.5, b"4.5"),
        (0.002, b"0.002"),
        (1e30, b"1e+30"),
        (100.0, b"100"),
        (-17, b"-17"),
    ],
)
def test_canonical_numbers_as_in_rfc_8785_appendix_b(number: float, text: bytes):
    assert canonical(number) == text


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_canonical_number_is_the_same_number(number: float):
    text = canonical(number).decode()
    assert float(text) == number
    assert "E" not in text
    assert not text.startswith(".")


def test_canonical_members_are_sorted_as_in_rfc_8785_section_3_2_3():
    members = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(loads_object(canonical(members))) == expected


def test_canonical_strings_escape_only_what_they_must():
    text = '\u20ac$\u000f\nA\'B"\\\\"/\x7f'
    assert canonical(text) == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f"'.encode()


CIRCLE: list[object] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize("write", [dumps, canonical])
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (math.nan, StrictCode.BAD_NUMBER),
        ({"a": [math.inf]}, StrictCode.BAD_NUMBER),
        ("\ud800", StrictCode.NOT_UTF8),
        ({"\udfff": 1}, StrictCode.NOT_UTF8),
        (b"bytes", StrictCode.WRONG_TYPE),
        ({"a": object()}, StrictCode.WRONG_TYPE),
        (CIRCLE, StrictCode.TOO_DEEP),
    ],
)
def test_what_cannot_be_written(write: object, value: object, code: StrictCode):
    assert callable(write)
    with pytest.raises(StrictError) as refused:
        write(value)
    assert refused.value.code is code


@pytest.mark.parametrize(
    ("value", "code"),
    [({1: "a"}, StrictCode.WRONG_TYPE), (2**53 + 1, StrictCode.BAD_NUMBER)],
)
def test_what_has_no_canonical_form(value: object, code: StrictCode):
    with pytest.raises(StrictError) as refused:
        canonical(value)
    assert refused.value.code is code


def test_dumps_keeps_the_order_and_is_compact():
    assert dumps({"b": 1, "a": ["é", True]}) == '{"b":1,"a":["é",true]}'.encode()


@pytest.mark.parametrize(
    ("value", "seconds"), [(0, 0), (1_788_000_000, 1_788_000_000), (1.0, 1), (2**53, 2**53)]
)
def test_a_numeric_date(value: object, seconds: int):
    assert numeric_date(value) == seconds
    assert type(numeric_date(value)) is int


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (True, StrictCode.WRONG_TYPE),
        (False, StrictCode.WRONG_TYPE),
        ("1788000000", StrictCode.WRONG_TYPE),
        (None, StrictCode.WRONG_TYPE),
        ([1], StrictCode.WRONG_TYPE),
        (1.5, StrictCode.BAD_NUMBER),
        (-1, StrictCode.BAD_NUMBER),
        (2**53 + 1, StrictCode.BAD_NUMBER),
        (1e300, StrictCode.BAD_NUMBER),
        (math.nan, StrictCode.BAD_NUMBER),
        (math.inf, StrictCode.BAD_NUMBER),
    ],
)
def test_not_a_numeric_date(value: object, code: StrictCode):
    with pytest.raises(StrictError) as refused:
        numeric_date(value)
    assert refused.value.code is code
    if value != 1.5:
        with pytest.raises(StrictError) as refused:
            instant_s(value)
        assert refused.value.code is code


def test_an_instant_of_a_stranger_may_have_a_fraction():
    assert (instant_s(1.5), instant_s(0), instant_s(2**53)) == (1.5, 0.0, float(2**53))
