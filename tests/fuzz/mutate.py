"""Mutations of outside data that know its shape: bytes, JSON, compact tokens, base64url, forms and headers.

``mutated`` takes a valid object and spoils it once to eight times; the choice is a function of the random
source alone, so one number repeats one input. A quarter of the mutations works on plain bytes, the rest goes
as deep as the data lets it: into the JSON inside a segment inside a token inside a JSON text.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

MAX_BYTES = 200_000
MAX_LEVELS = 4

TEXTS: Sequence[str] = (
    "",
    " ",
    "\x00",
    "a",
    "A" * 300,
    "é",
    "‮",
    "\ud800",
    "💩",
    "../..",
    "https://",
    "https://[",
    "https://a:b@c/",
    "https://registry.example",
    "https://issuer.example/RBV",
    "http://issuer.example/RBV",
    "none",
    "ES256",
    "HS256",
    "None",
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "2026-02-30",
    "2026-09-01",
    "9999-12-31",
    "0000-00-00",
    "2026-09-01T12:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-09-01T24:00:00Z",
    "_sd",
    "...",
    "_sd_alg",
    "sha-256",
    "__class__",
    "__proto__",
    "$ref",
    "%00",
    "%ff",
    "~",
    ".",
    "=",
    "AA==",
    "\r\nX: y",
    "'; DROP TABLE staff;--",
    "<script>",
    "RBV",
    "rbv",
    "ŵ",
    "﻿",
    "١٢٣",
    "²",
    "P1Y",
    "jwt",
    "vct",
)
NUMBERS: Sequence[Any] = (
    0,
    1,
    -1,
    2,
    3,
    8,
    31,
    32,
    33,
    255,
    256,
    65_535,
    65_536,
    2**31,
    2**32,
    2**53,
    2**53 + 1,
    2**63,
    2**64,
    10**30,
    10**400,
    -(2**63),
    0.0,
    -0.0,
    0.5,
    1.5,
    1e15,
    1e308,
    -1e308,
    1_788_264_000,
    1_788_264_000.5,
    253_402_300_799,
    253_402_300_800,
    67_768_036_191_676_800,
    True,
    False,
)
NAMES: Sequence[str] = (
    "alg",
    "typ",
    "kid",
    "jwk",
    "x5c",
    "crit",
    "b64",
    "zip",
    "enc",
    "epk",
    "apu",
    "apv",
    "iss",
    "sub",
    "aud",
    "iat",
    "exp",
    "nbf",
    "jti",
    "vct",
    "cnf",
    "status",
    "status_list",
    "idx",
    "uri",
    "bits",
    "lst",
    "ttl",
    "_sd",
    "...",
    "_sd_alg",
    "jwks",
    "keys",
    "metadata",
    "metadata_policy",
    "constraints",
    "authority_hints",
    "trust_marks",
    "max_path_length",
    "naming_constraints",
    "permitted",
    "excluded",
    "value",
    "add",
    "default",
    "one_of",
    "subset_of",
    "superset_of",
    "essential",
    "credentials",
    "claims",
    "claim_sets",
    "credential_sets",
    "values",
    "options",
    "required",
    "path",
    "id",
    "format",
    "meta",
    "vct_values",
    "nonce",
    "sd_hash",
    "kty",
    "crv",
    "x",
    "y",
    "d",
    "use",
    "key_ops",
    "parts",
    "sequence",
    "prev",
    "sha256",
    "bytes",
    "name",
    "",
    "\x00",
    "é",
    "__class__",
)
HEADER_BYTES: Sequence[bytes] = (
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"{",
    b"[",
    b"]",
    b"}",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"NaN",
    b"Infinity",
    b"1e999",
    b"-",
    b"~",
    b".",
    b"..",
    b"=",
    b"&",
    b"%",
    b"%00",
    b";",
    b",",
    b"\r\n",
    b"\n",
    b" ",
    b"[" * 40,
    b'{"a":' * 40,
    b"9" * 5000,
    b'"' + b"a" * 400 + b'"',
    b"\x78\x9c",
    b"\x30\x82\xff\xff",
)


def mutated(data: bytes, source: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """Spoil ``data`` once to eight times; ``others`` are spliced in now and then."""
    for _ in range(source.choice((1, 1, 1, 1, 2, 2, 3, 5, 8))):
        data = _any(data, source, others, 0)[:MAX_BYTES]
    return data


def _any(data: bytes, source: random.Random, others: Sequence[bytes], level: int) -> bytes:
    if level >= MAX_LEVELS or source.random() < 0.2:
        return _bytes(data, source, others)
    ways: list[Callable[[bytes], bytes | None]] = [
        lambda raw: _json(raw, source, others, level),
        lambda raw: _parts(raw, source, others, level),
        lambda raw: _base64(raw, source, others, level),
    ]
    for way in ways:
        found = way(data)
        if found is not None:
            return found
    return _bytes(data, source, others)


def _bytes(data: bytes, source: random.Random, others: Sequence[bytes]) -> bytes:
    if not data:
        return source.choice(HEADER_BYTES)
    at = source.randrange(len(data))
    end = min(len(data), at + source.choice((1, 1, 2, 4, 16, 64, 1_000)))
    match source.randrange(9):
        case 0:
            return data[:at] + bytes([data[at] ^ (1 << source.randrange(8))]) + data[at + 1 :]
        case 1:
            return data[:at] + bytes([source.randrange(256)]) + data[at + 1 :]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:at] + source.choice(HEADER_BYTES) + data[at:]
        case 4:
            return data[:at] + source.choice(HEADER_BYTES) + data[end:]
        case 5:
            return data[:at] + data[at:end] * source.choice((2, 3, 50)) + data[end:]
        case 6:
            return data[:at]
        case 7 if others:
            other = source.choice(others)
            return data[:at] + other[source.randrange(len(other) + 1) :]
        case _:
            return data[:at] + source.randbytes(source.choice((1, 2, 4, 8))) + data[end:]


def _json(data: bytes, source: random.Random, others: Sequence[bytes], level: int) -> bytes | None:
    if data[:1] not in (b"{", b"["):
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    changed = _node(value, source, others, level)
    text = json.dumps(changed, ensure_ascii=source.random() < 0.5, separators=(",", ":"))
    raw = text.encode("utf-8", "surrogatepass")
    if source.random() < 0.03 and raw.startswith(b'{"'):  # a member twice, which dict cannot say
        return b"{" + raw[1:-1] + b"," + raw[1:]
    return raw


def _node(value: Any, source: random.Random, others: Sequence[bytes], level: int) -> Any:
    """Walk down by chance and change one node."""
    if isinstance(value, dict) and value and source.random() < 0.8:
        name = source.choice(list(value))
        return {**value, name: _node(value[name], source, others, level)}
    if isinstance(value, list) and value and source.random() < 0.7:
        index = source.randrange(len(value))
        return [*value[:index], _node(value[index], source, others, level), *value[index + 1 :]]
    if isinstance(value, dict) and source.random() < 0.8:
        return _object(value, source)
    if isinstance(value, list) and source.random() < 0.6:
        return _array(value, source)
    if isinstance(value, str) and source.random() < 0.6:
        raw = value.encode("utf-8", "surrogatepass")
        return _any(raw, source, others, level + 1).decode("utf-8", "replace")
    if isinstance(value, int | float) and not isinstance(value, bool) and source.random() < 0.4:
        return _near(value, source)
    return _replacement(value, source)


def _near(value: float, source: random.Random) -> Any:
    step = source.choice((1, -1, 60, -61, 3600, 86_400, -86_401, 31_536_000, 0.5))
    return value + step if abs(value) < 2**60 else -1


def _object(value: dict[str, Any], source: random.Random) -> dict[str, Any]:
    names = list(value)
    match source.randrange(4):
        case 0 if names:
            left_out = source.choice(names)
            return {name: item for name, item in value.items() if name != left_out}
        case 1 if names:
            renamed = source.choice(names)
            return {(source.choice(NAMES) if n == renamed else n): item for n, item in value.items()}
        case 2 if names:
            return {**value, source.choice(NAMES): value[source.choice(names)]}
        case _:
            return {**value, source.choice(NAMES): _replacement(None, source)}


def _array(value: list[Any], source: random.Random) -> list[Any]:
    match source.randrange(5):
        case 0 if value:
            index = source.randrange(len(value))
            return value[:index] + value[index + 1 :]
        case 1 if value:
            return [*value, source.choice(value)]
        case 2:
            return value * source.choice((2, 10, 70))
        case 3:
            return source.sample(value, len(value))
        case _:
            return [*value, _replacement(None, source)]


def _replacement(value: Any, source: random.Random) -> Any:
    match source.randrange(9):
        case 0:
            return None
        case 1:
            return source.choice(NUMBERS)
        case 2 | 3:
            return source.choice(TEXTS)
        case 4:
            return []
        case 5:
            return {}
        case 6:
            return [value]
        case 7:
            return {source.choice(NAMES): value}
        case _:
            deep: Any = value
            for _ in range(source.choice((2, 31, 32, 33))):
                deep = [deep] if source.random() < 0.5 else {"a": deep}
            return deep


def _parts(data: bytes, source: random.Random, others: Sequence[bytes], level: int) -> bytes | None:
    """Take apart at line ends, ``~``, ``&``, ``.`` and commas, and change one part or their order."""
    for separator in (b"\n", b"~", b"&", b".", b",", b";", b"="):
        parts = data.split(separator)
        if 1 < len(parts) < 400:
            break
    else:
        return None
    index = source.randrange(len(parts))
    match source.randrange(8):
        case 0:
            del parts[index]
        case 1:
            parts.insert(index, parts[source.randrange(len(parts))])
        case 2:
            other = source.randrange(len(parts))
            parts[index], parts[other] = parts[other], parts[index]
        case 3:
            parts.insert(index, b"")
        case _:
            parts[index] = _any(parts[index], source, others, level + 1)
    return separator.join(parts)


def _base64(data: bytes, source: random.Random, others: Sequence[bytes], level: int) -> bytes | None:
    if len(data) < 4 or source.random() < 0.15:
        return None
    try:
        raw = base64.b64decode(
            data.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(data) % 4), validate=True
        )
    except (binascii.Error, ValueError):
        return None
    spoiled = base64.urlsafe_b64encode(_any(raw, source, others, level + 1))
    if source.random() < 0.1:
        return spoiled
    return (
        spoiled.rstrip(b"=")
        if b"+" not in data and b"/" not in data and not data.endswith(b"=")
        else (base64.b64encode(base64.urlsafe_b64decode(spoiled)))
    )
