"""What the log may hold: each kind of secret and personal fact is fed in, and none comes out."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError

from passport_shared.formats import sd_jwt
from passport_shared.formats.jose import SigningKey, sign
from passport_shared.service import log_keys
from passport_shared.service.observability import configure_logging
from passport_shared.service.redaction import (
    DROPPED_NAMES,
    REDACTED,
    describe_exception,
    is_dropped,
    redact_text,
    redact_value,
)

CANARY = "Cañary-Bloggs-7761"
KEY = SigningKey.generate()
JWT = sign({"sub": CANARY, "iat": 1}, KEY, typ="JWT")
SD_JWT = sd_jwt.issue({"given_name": CANARY, "vct": "x"}, [("given_name",)], KEY, typ="dc+sd-jwt")
DISCLOSURE = (
    base64.urlsafe_b64encode(json.dumps(["salt1234567890salt", "given_name", CANARY]).encode())
    .rstrip(b"=")
    .decode()
)
PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    .decode()
)
JWE = "eyJhbGciOiJFQ0RILUVTIn0..aXYtaXYtaXYtaXY.Y2lwaGVydGV4dA.dGFn"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The real pipeline, into a string."""
    stream = io.StringIO()
    configure_logging("issuer", "1.0", level="debug", stream=stream)
    yield stream
    configure_logging("test", "0", level="warning", stream=io.StringIO())


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


SHAPES = {
    "a compact JWT": JWT,
    "an SD-JWT": SD_JWT,
    "an SD-JWT with key binding": SD_JWT + JWT,
    "a disclosure": DISCLOSURE,
    "disclosures": f"~{DISCLOSURE}~",
    "a JWE": JWE,
    "a private key": PEM,
    "half a private key": PEM[:120],
    "a bearer token": "Authorization: Bearer abcdefghijklmnop",
    "a private JWK": json.dumps({"kty": "EC", "d": "x" * 43}),
    "a URL with a password": "postgresql://user:hunter2hunter2@db/issuer",
    "an e-mail address": "ann.other@trust.example",
}


@pytest.mark.parametrize("what", SHAPES)
def test_a_secret_is_known_by_its_shape(log: io.StringIO, what: str) -> None:
    value = SHAPES[what]
    logger = structlog.get_logger()
    logger.info("x.happened", uri=value, nested={"a": [value, {"b": value}]}, pair=(value,))
    logging.getLogger("somewhere").warning("got %s here", value)
    written = log.getvalue()
    for part in (value, value[8:40]):
        assert part not in written, what
    assert CANARY not in written
    assert len(_lines(log)) == 2


@pytest.mark.parametrize(
    "name",
    [
        "token", "access_token", "client_assertion", "vp_token", "sd_jwt", "disclosures", "claims",
        "credential",
        "credentials", "proof", "key", "private_key", "kek", "d", "tx_code", "txCode", "pre_authorized_code",
        "pre-authorized_code", "code", "c_nonce", "nonce", "secret", "password", "Authorization", "cookie",
        "given_name", "familyName", "names", "birthdate", "date_of_birth", "nhs_number",
        "registration_number",
        "employee_number", "email", "address", "portrait", "holder_ref", "database_url", "body",
        "ip", "staff",
    ],
)  # fmt: skip
def test_a_fact_is_known_by_its_name(log: io.StringIO, name: str) -> None:
    structlog.get_logger().info("x.happened", **{name: CANARY}, facts={name: {"deep": CANARY}})
    (line,) = _lines(log)
    assert CANARY not in json.dumps(line, ensure_ascii=False)
    assert (line[name], line["facts"][name]) == (REDACTED, REDACTED)


def test_what_the_house_logs_passes() -> None:
    ours = {value for name, value in vars(log_keys).items() if name.isupper()}
    assert not {name for name in ours if is_dropped(name)}
    values = [
        "https://issuer.example/RBV",
        "0198d5a2-6f1e-7cc0-9d2f-0a3a5b1b2c3d",
        "x" * 43,
        "StaffIdentity_1",
        12,
        1.5,
        True,
        None,
    ]
    assert redact_value(values) == values


def test_lines_carry_service_version_and_bound_facts(log: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(request_id="r-1")
    structlog.get_logger().info("credential.issued", kid="k", **{log_keys.REASON: "ok"})
    logging.getLogger("uvicorn.error").info("Started %s", "now")
    structlog.contextvars.clear_contextvars()
    first, second = _lines(log)
    assert {
        "event": "credential.issued",
        "service": "issuer",
        "version": "1.0",
        "request_id": "r-1",
        "kid": "k",
    }.items() <= first.items()
    assert (second["event"], second["logger"], second["request_id"]) == (
        "Started now",
        "uvicorn.error",
        "r-1",
    )
    assert first["timestamp"].endswith("Z")


def test_bytes_and_depth_are_not_logged() -> None:
    deep: Any = CANARY
    for _ in range(10):
        deep = {"a": deep}
    assert CANARY not in json.dumps(redact_value(deep))
    assert redact_value(b"secret") == redact_value(bytearray(b"secret")) == REDACTED
    assert len(redact_text("x " * 10_000)) <= 2_001


def test_a_value_cannot_forge_a_line(log: io.StringIO) -> None:
    structlog.get_logger().info("x.happened", uri='a\n{"event": "forged"}\r\x1b[31m\u2028')
    assert len(log.getvalue().splitlines()) == 1
    assert "\\n" not in log.getvalue()


class Person(BaseModel):
    birth_year: int


def _raise_and_describe(error: BaseException) -> dict[str, Any]:
    try:
        raise error
    except type(error) as caught:
        return describe_exception(caught)


def test_exceptions_lose_what_libraries_quote() -> None:
    try:
        Person.model_validate({"birth_year": CANARY})
    except ValueError as error:
        described = describe_exception(error)
    assert CANARY not in json.dumps(described, ensure_ascii=False)
    assert described["type"].endswith("ValidationError")
    statement = IntegrityError(
        "INSERT INTO staff", {"name": CANARY}, ValueError(f"Key (name)=({CANARY}) exists")
    )
    assert CANARY not in json.dumps(_raise_and_describe(statement), ensure_ascii=False)


@pytest.mark.parametrize(
    "message",
    [
        "could not convert string to float: {!r}",
        "the codec can't encode {!r} here",
        "{!r} isn't a number, and {!r} isn't either",
        "unexpected value b{!r}",
        "it's not '{}'",
        "'{}",
        'no "{}" in it',
    ],
)
@pytest.mark.parametrize(
    "value", [CANARY, f"it's {CANARY}", f'O\'Brien "{CANARY}" {CANARY}', f"{CANARY}\nx'y"]
)
def test_exceptions_of_others_lose_what_they_quote_however_it_is_quoted(message: str, value: str) -> None:
    described = _raise_and_describe(ValueError(message.format(value, value)))
    assert CANARY not in json.dumps(described, ensure_ascii=False)


def test_our_own_exceptions_keep_their_message_without_secrets() -> None:
    described = _raise_and_describe(RuntimeError(f"the list is stale {JWT}\nsecond line {CANARY}"))
    assert described["message"] == f"the list is stale {REDACTED}"
    assert any("_raise_and_describe" in frame for frame in described["frames"])


def test_a_logged_exception_holds_no_locals(log: io.StringIO) -> None:
    secret_local = CANARY
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        structlog.get_logger().exception("x.failed")
        logging.getLogger("asyncio").exception("Task failed")
    assert secret_local not in log.getvalue()
    assert [line["exception"]["message"] for line in _lines(log)] == ["boom", "boom"]


@given(st.text(max_size=300), st.sampled_from(sorted(SHAPES)))
@settings(max_examples=60, deadline=None)
def test_a_token_is_found_wherever_it_stands(text: str, what: str) -> None:
    around = text.replace("~", " ").replace(".", " ")
    value = SHAPES[what]
    assert value not in redact_text(f"{around} {value} {around}")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=40),
        lambda c: st.lists(c) | st.dictionaries(st.text(max_size=10), c),
    )
)
@settings(max_examples=60, deadline=None)
def test_any_value_can_be_logged(value: object) -> None:
    json.dumps(redact_value(value))


def test_names_are_compared_without_case_and_separators() -> None:
    assert all(name == name.lower() and "-" not in name for name in DROPPED_NAMES)
    assert is_dropped("Pre-Authorized_Code")
    assert not is_dropped("key_count")
