"""The one JSON decoder and the one base64url decoder of the suite.

Python's `json` accepts NaN, keeps the last of duplicate members, guesses UTF-16, turns 1e400 into infinity
and dies of deep nesting; its base64 skips characters it does not know. Two parsers that disagree about one
byte string are how forged tokens pass, so everything from outside is read here (RFC 8259, RFC 7493 for
duplicates and encoding, RFC 4648 §5 for base64url) and limits are checked before anything is built.

It does not validate against schemas and does not know JOSE.
"""

from __future__ import annotations

import binascii
import json
import json.encoder
import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeAlias, cast

JsonValue: TypeAlias = Any

MAX_BYTES = 65_536
MAX_DEPTH = 32
MAX_BINARY_BYTES = 1_048_576
MAX_SAFE_INTEGER = 2**53

_BOM = "\ufeff"
_NOT_QUOTE_OR_BRACKET = bytes(set(range(256)) - set(b'"[]{}'))
_OPENING = frozenset(b"[{")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# The standard alphabet's own two characters, and padding, become one that strict decoding refuses.
_FROM_URL_SAFE = bytes.maketrans(b"-_+/=", b"+/***")
_TAILS = ("", "", "AQgw", "AEIMQUYcgkosw048")
_PADDING = (b"", b"", b"==", b"=")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class StrictCode(StrEnum):
    """Why outside data was refused."""

    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    BOM = "bom"
    MALFORMED = "malformed"
    DUPLICATE_MEMBER = "duplicate_member"
    TOO_DEEP = "too_deep"
    BAD_NUMBER = "bad_number"
    BAD_BASE64URL = "bad_base64url"
    WRONG_TYPE = "wrong_type"


class StrictError(ValueError):
    """Outside data broke a rule; `code` says which. The message never repeats the data."""

    def __init__(self, code: StrictCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def _members(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictError(StrictCode.DUPLICATE_MEMBER, "an object names a member twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise StrictError(StrictCode.BAD_NUMBER, "a number is too large")
    return number


def _constant(_name: str) -> JsonValue:
    raise StrictError(StrictCode.BAD_NUMBER, "NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_float=_finite, parse_constant=_constant)
_SCAN: Callable[[str, int], tuple[JsonValue, int]] = _DECODER.scan_once  # type: ignore[attr-defined]
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
# What the encoder itself uses for text, without the four calls in between.
_TEXT_ENCODER: Callable[[str], str] = json.encoder.encode_basestring
_WHITESPACE = " \t\n\r"


def loads(data: bytes | str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> JsonValue:
    """Parse one JSON text of at most `max_bytes` UTF-8 bytes and `max_depth` nested arrays and objects.

    Raises:
        StrictError: too_large, not_utf8 (also lone surrogates), bom, too_deep, duplicate_member,
            bad_number or malformed.
    """
    if len(data) > max_bytes:
        raise StrictError(StrictCode.TOO_LARGE, f"longer than {max_bytes} bytes")
    if isinstance(data, bytes):
        raw, text = data, _decode_utf8(data)
    else:
        raw, text = _encode_utf8(data, max_bytes), data
    # Most texts have fewer brackets than may be nested; only the others are looked at one by one.
    if raw.count(b"[") + raw.count(b"{") > max_depth:
        _check_depth(raw, max_depth)
    if text.startswith(_BOM):
        raise StrictError(StrictCode.BOM, "the text starts with a byte order mark")
    # The decoder's own `decode` spends half its time on looking for white space.
    content = text.strip(_WHITESPACE)
    try:
        value, end = _SCAN(content, 0)
    except StopIteration as error:
        raise StrictError(StrictCode.MALFORMED, f"not JSON: no value at {error.value}") from None
    except StrictError:
        raise
    except json.JSONDecodeError as error:
        raise StrictError(StrictCode.MALFORMED, f"not JSON: {error.msg} at {error.pos}") from None
    except ValueError:  # an integer of more digits than Python converts
        raise StrictError(StrictCode.BAD_NUMBER, "a number has too many digits") from None
    except RecursionError:  # a caller raised max_depth, or stands deep in the stack
        raise StrictError(StrictCode.TOO_DEEP, "nested too deeply") from None
    if end != len(content):
        raise StrictError(StrictCode.MALFORMED, f"not JSON: text after the value at {end}")
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        _refuse_lone_surrogates(value)
    return value


def loads_object(
    data: bytes | str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> dict[str, JsonValue]:
    """Parse a JSON text that must be an object; as `loads`, and wrong_type for anything else."""
    value = loads(data, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise StrictError(StrictCode.WRONG_TYPE, "a JSON object is expected")
    return cast("dict[str, JsonValue]", value)


def _encode_utf8(data: str, max_bytes: int) -> bytes:
    try:
        raw = data.encode("utf-8")
    except UnicodeEncodeError:
        raise StrictError(StrictCode.NOT_UTF8, "a lone surrogate is not a character") from None
    if len(raw) > max_bytes:
        raise StrictError(StrictCode.TOO_LARGE, f"longer than {max_bytes} bytes")
    return raw


def _decode_utf8(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise StrictError(StrictCode.NOT_UTF8, "the text is not UTF-8") from None


def _check_depth(raw: bytes, max_depth: int) -> None:
    """Refuse deep nesting before the recursive parser sees it, in time linear in the length."""
    if b"\\" in raw:  # a run of backslashes starts with an escape, so pairs from its left are right
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(raw.translate(None, _NOT_QUOTE_OR_BRACKET).split(b'"')[::2])
    depth = 0
    for bracket in outside_strings:
        depth += 1 if bracket in _OPENING else -1
        if depth > max_depth:
            raise StrictError(StrictCode.TOO_DEEP, f"nested deeper than {max_depth}")


def _refuse_lone_surrogates(value: JsonValue) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise StrictError(StrictCode.NOT_UTF8, "a lone surrogate is not a character") from None


def dumps(value: JsonValue) -> bytes:
    """Return compact UTF-8 JSON with members in the order given.

    Raises:
        StrictError: bad_number for NaN and infinities, not_utf8 for lone surrogates, wrong_type for what
            JSON cannot say, too_deep for circles.
    """
    try:
        if type(value) is str:  # a claim's name or value: twenty times in each credential that is made
            return _TEXT_ENCODER(value).encode("utf-8")
        return _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError:
        raise StrictError(StrictCode.NOT_UTF8, "a lone surrogate is not a character") from None
    except TypeError:
        raise StrictError(StrictCode.WRONG_TYPE, "a value has no JSON form") from None
    except RecursionError:
        raise StrictError(StrictCode.TOO_DEEP, "nested too deeply") from None
    except ValueError as error:
        code = StrictCode.TOO_DEEP if "Circular" in str(error) else StrictCode.BAD_NUMBER
        raise StrictError(code, "a value has no JSON form") from None


def canonical(value: JsonValue) -> bytes:
    """Return the JSON Canonicalization Scheme form (RFC 8785), for hashing and comparing.

    Raises:
        StrictError: as `dumps`; bad_number also for integers beyond 2^53, which other readers would round.
    """
    try:
        return _canonical_text(value).encode("utf-8")
    except UnicodeEncodeError:
        raise StrictError(StrictCode.NOT_UTF8, "a lone surrogate is not a character") from None
    except RecursionError:
        raise StrictError(StrictCode.TOO_DEEP, "nested too deeply") from None


def _canonical_text(value: JsonValue) -> str:
    if isinstance(value, str):
        return _TEXT_ENCODER(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return _canonical_number(value)
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise StrictError(StrictCode.WRONG_TYPE, "a member name is not text")
        # RFC 8785 §3.2.3 sorts by UTF-16 code units, which differs from code points above U+FFFF.
        if all(map(str.isascii, value)):
            names = sorted(value)
        else:
            names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_canonical_text(n)}:{_canonical_text(value[n])}" for n in names) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ",".join(map(_canonical_text, value)) + "]"
    raise StrictError(StrictCode.WRONG_TYPE, "a value has no JSON form")


def _canonical_number(number: float) -> str:
    """Write a number as ECMAScript does (RFC 8785 §3.2.2.3)."""
    if isinstance(number, int):
        if abs(number) > MAX_SAFE_INTEGER:
            raise StrictError(StrictCode.BAD_NUMBER, "an integer is beyond 2^53")
        return str(number)
    if not math.isfinite(number):
        raise StrictError(StrictCode.BAD_NUMBER, "NaN and Infinity are not JSON")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        text = digits.ljust(point, "0")
        return sign + (f"{text[:point]}.{text[point:]}" if len(text) > point else text)
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def b64url_encode(data: bytes) -> str:
    """Return unpadded base64url (RFC 7515 §2)."""
    return b64url_bytes(data).decode("ascii")


def b64url_bytes(data: bytes) -> bytes:
    """Return the same as ASCII bytes, for what is hashed or joined next."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL_SAFE, b"=")


def b64url_decode(text: str, *, max_bytes: int = MAX_BINARY_BYTES) -> bytes:
    """Decode non-empty unpadded base64url into at most `max_bytes` bytes.

    There is one text per byte string: padding, foreign characters, white space and non-zero bits in the
    tail are refused, because caches and deny lists compare the text.

    Raises:
        StrictError: too_large or bad_base64url.
    """
    if not isinstance(text, str):
        raise StrictError(StrictCode.WRONG_TYPE, "base64url is text")
    length = len(text)
    if length > (max_bytes * 4 + 2) // 3:
        raise StrictError(StrictCode.TOO_LARGE, f"longer than {max_bytes} bytes")
    tail = length & 3
    # The last character of a short group carries 4 or 2 bits that stand for nothing and must be 0.
    if not text or (tail and text[-1] not in _TAILS[tail]):
        raise StrictError(StrictCode.BAD_BASE64URL, "not base64url in its one canonical form")
    try:
        raw = text.encode("ascii").translate(_FROM_URL_SAFE) + _PADDING[tail]
        return binascii.a2b_base64(raw, strict_mode=True)
    except ValueError:  # also binascii.Error and UnicodeEncodeError
        raise StrictError(StrictCode.BAD_BASE64URL, "not base64url") from None


def numeric_date(value: object) -> int:
    """Return a JWT NumericDate as whole seconds; an integral float is accepted, a boolean or text is not.

    Raises:
        StrictError: wrong_type, or bad_number outside 0 to 2^53 or with a fraction.
    """
    seconds = instant_s(value)
    if not seconds.is_integer():
        raise StrictError(StrictCode.BAD_NUMBER, "a date must be whole seconds")
    return int(seconds)


def instant_s(value: object) -> float:
    """Return a JWT NumericDate of a stranger's clock, which may have a fraction (RFC 7519 §2), as seconds.

    Raises:
        StrictError: wrong_type, or bad_number outside 0 to 2^53.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise StrictError(StrictCode.WRONG_TYPE, "a date must be a number of seconds")
    if not 0 <= value <= MAX_SAFE_INTEGER:
        raise StrictError(StrictCode.BAD_NUMBER, "a date is out of range")
    return float(value)
