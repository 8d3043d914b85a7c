"""HTTP Message Signatures: the RFC's own vector, our round trip, and every reason to refuse."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from passport_shared.formats.jose import PublicKey
from passport_shared.service.http_signatures import (
    SignatureReason,
    SignatureRefused,
    content_digest,
    sign_request,
    signature_base,
    verify_request,
)
from passport_testkit.clock import NOON
from passport_testkit.keys import key

SENDER = key("event sender")
URL = "https://hr.example/events?sink=1"
BODY = b'{"id":"1"}'
TYPE = "application/cloudevents+json"
R = SignatureReason


def test_the_vector_of_rfc_9421_b_2_4() -> None:
    public = PublicKey.from_jwk(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA",
            "y": "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0",
        }
    )
    digest = "mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ=="
    base = signature_base(
        [
            ("@status", "200"),
            ("content-type", "application/json"),
            ("content-digest", f"sha-512=:{digest}:"),
            ("content-length", "23"),
        ],
        '("@status" "content-type" "content-digest" "content-length")'
        ';created=1618884473;keyid="test-key-ecc-p256"',
    )
    signature = base64.b64decode(
        "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="
    )
    assert public.verifies(base, signature)


def test_the_digest_of_rfc_9530() -> None:
    assert content_digest(b'{"hello": "world"}') == "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"


def signed(**changes: Any) -> dict[str, str]:
    what: dict[str, Any] = {
        "method": "POST",
        "url": URL,
        "content_type": TYPE,
        "body": BODY,
        "key": SENDER,
        "at": NOON,
    } | changes
    made = sign_request(**what)
    return {"content-type": what["content_type"], **{name.lower(): value for name, value in made.items()}}


def check(headers: dict[str, str], **changes: Any) -> str:
    what: dict[str, Any] = {
        "method": "POST",
        "url": URL,
        "headers": headers,
        "body": BODY,
        "keys": {SENDER.kid: SENDER.public},
        "now": NOON,
    } | changes
    return verify_request(**what)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=5), timedelta(seconds=-60)])
def test_what_was_signed_verifies_for_five_minutes(late: timedelta) -> None:
    assert check(signed(), now=NOON + late) == SENDER.kid


Change = Callable[[dict[str, str]], dict[str, Any]]


def header(name: str, old: str, new: str) -> Change:
    def change(headers: dict[str, str]) -> dict[str, Any]:
        assert old in headers[name]
        return {"headers": {**headers, name: headers[name].replace(old, new)}}

    return change


def without(name: str) -> Change:
    return lambda headers: {"headers": {key: value for key, value in headers.items() if key != name}}


REFUSALS: dict[str, tuple[Change, SignatureReason]] = {
    "no input": (without("signature-input"), R.MISSING),
    "no signature": (without("signature"), R.MISSING),
    "no digest": (without("content-digest"), R.DIGEST),
    "no content type": (without("content-type"), R.SIGNATURE),
    "other body": (lambda headers: {"body": b"{}"}, R.DIGEST),
    "other body and digest": (
        lambda headers: {"headers": {**headers, "content-digest": content_digest(b"{}")}, "body": b"{}"},
        R.SIGNATURE,
    ),
    "other method": (lambda headers: {"method": "PUT"}, R.SIGNATURE),
    "other receiver": (lambda headers: {"url": "https://other.example/events?sink=1"}, R.SIGNATURE),
    "other query": (lambda headers: {"url": "https://hr.example/events?sink=2"}, R.SIGNATURE),
    "other type": (header("content-type", "cloudevents", "other"), R.SIGNATURE),
    "type that is not ASCII": (header("content-type", "cloudevents", "é"), R.MALFORMED),
    "unknown key": (lambda headers: {"keys": {}}, R.UNKNOWN_KEY),
    "another's key": (lambda headers: {"keys": {SENDER.kid: key("other").public}}, R.SIGNATURE),
    "too old": (lambda headers: {"now": NOON + timedelta(minutes=5, seconds=1)}, R.TOO_OLD),
    "in the future": (lambda headers: {"now": NOON - timedelta(seconds=61)}, R.IN_FUTURE),
    "newer time": (header("signature-input", "created=1", "created=2"), R.IN_FUTURE),
    "time that is none": (header("signature-input", ";created=", ";created=999999"), R.MALFORMED),
    "no time": (header("signature-input", ";created=", ";expires="), R.MALFORMED),
    "other tag": (header("signature-input", "staff-passport-event", "x"), R.WRONG_TAG),
    "other algorithm": (header("signature-input", "ecdsa-p256-sha256", "hmac-sha256"), R.ALGORITHM),
    "body not covered": (header("signature-input", ' "content-digest"', ""), R.WRONG_COMPONENTS),
    "nothing covered": (
        header("signature-input", '("@method" "@target-uri" "content-type" "content-digest")', "()"),
        R.WRONG_COMPONENTS,
    ),
    "other order": (
        header("signature-input", '"@method" "@target-uri"', '"@target-uri" "@method"'),
        R.WRONG_COMPONENTS,
    ),
    "component parameter": (header("signature-input", '"@method"', '"@method";req'), R.MALFORMED),
    "parameter twice": (header("signature-input", ";tag=", ";created=1;tag="), R.MALFORMED),
    "two signatures": (header("signature-input", "passport=", "a=(), passport="), R.MALFORMED),
    "other label": (header("signature", "passport=", "other="), R.MALFORMED),
    "not base64": (header("signature", "=:", "=:*"), R.MALFORMED),
    "cut short": (lambda headers: {"headers": {**headers, "signature": "passport=:AAAA:"}}, R.SIGNATURE),
    "empty": (lambda headers: {"headers": {**headers, "signature": "passport=::"}}, R.SIGNATURE),
    "endless input": (header("signature-input", 'tag="', 'tag="' + "x" * 4_000), R.MALFORMED),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str) -> None:
    change, reason = REFUSALS[case]
    headers = signed()
    arguments = change(headers)
    with pytest.raises(SignatureRefused) as refusal:
        check(arguments.pop("headers", headers), **arguments)
    assert refusal.value.reason is reason


def test_every_reason_has_a_case() -> None:
    assert {reason for _, reason in REFUSALS.values()} == set(SignatureReason)
