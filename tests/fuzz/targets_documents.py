"""Targets for plain documents: strict JSON and base64url, trust files, DCQL, headers, forms.

What is verified and typed by the layer in front (a signature, a media type) is given; what a target asserts
beyond "returns or raises its error" is said where it asserts it.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request

from passport_registry.rules.activity import FactRefused
from passport_registry.rules.activity import accepted as accepted_fact
from passport_registry.rules.identifiers import entity_id_fault, is_ods_code
from passport_shared.formats import dcql, strict
from passport_shared.formats.federation import FederationError
from passport_shared.formats.sd_jwt import disclosable_paths
from passport_shared.formats.strict import StrictError
from passport_shared.formats.trust_file import TrustFile, TrustFileError
from passport_shared.formats.trust_mark import parse_rfc3339
from passport_shared.outbound.errors import OutboundError
from passport_shared.outbound.urls import check_url
from passport_shared.service.client_assertion import AssertionRefused, check_assertion
from passport_shared.service.clock import read_offset
from passport_shared.service.etags import require_match
from passport_shared.service.http_signatures import (
    SignatureRefused,
    sign_request,
    signing_key_id,
    verify_request,
)
from passport_shared.service.idempotency import key_of
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.paging import decode_cursor, encode_cursor
from passport_shared.service.problems import PassportError
from passport_shared.service.redaction import redact_text, redact_value
from passport_shared.service.routes import form_body, json_body
from passport_shared.service.settings import database_address, host_and_port, identifier_url
from passport_shared.wire import catalogue
from passport_shared.wire.activity import ActivityEvent, Source
from passport_shared.wire.placements import PlacementBody
from passport_testkit import credentials as sd
from passport_testkit.clients import ClientsSimulator, api_client
from passport_testkit.clock import NOON
from passport_testkit.datasets import dataset
from passport_testkit.placements import placement_body
from tests.fuzz.target import REFUSED, Target, as_json, as_text, corpus, read, read_object, signed, unsigned
from tests.fuzz.targets_tokens import KEY, network

URL = "https://registry.example/activity/events"
AUDIENCE = "https://issuer.example"


def _finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a parser waits for something")


# -- strict readers -------------------------------------------------------------------------------------


def _strict_json(data: bytes) -> bool:
    """Whatever is accepted, the standard library reads alike, and it survives being written."""
    try:
        value = strict.loads(data)
    except StrictError:
        return False
    assert json.loads(data) == value
    assert strict.loads(strict.dumps(value), max_bytes=10 * strict.MAX_BYTES) == value
    try:
        written = strict.canonical(value)
    except StrictError:
        return True  # an integer beyond 2^53
    assert strict.canonical(strict.loads(written, max_bytes=10 * strict.MAX_BYTES)) == written
    return True


def _base64url(data: bytes) -> bool:
    try:
        raw = strict.b64url_decode(as_text(data))
    except StrictError:
        return False
    assert strict.b64url_encode(raw).encode() == data, "two texts for one value"
    return True


def _dates(data: bytes) -> bool:
    value = read(data)
    found = False
    for reader in (strict.numeric_date, strict.instant_s, lambda one: parse_rfc3339(one, "at")):
        try:
            reader(value)
            found = True
        except (StrictError, FederationError):
            continue
    return found


# -- trust file and DCQL --------------------------------------------------------------------------------


def _trust_file(data: bytes) -> bool:
    try:
        found = TrustFile.parse(data)
    except TrustFileError:
        return False
    assert TrustFile.parse(found.as_bytes()) == found
    assert found.roots
    return True


def _dcql(data: bytes) -> bool:
    """What is read is written and read alike, and can be matched and selected with."""
    value = read(data)
    try:
        query = dcql.parse_query(None if value is REFUSED else value)
    except dcql.DcqlError:
        return False
    assert dcql.parse_query(query.as_json()) == query
    held = [_held()]
    dcql.select(query, held)
    dcql.match(query, {entry.id: held for entry in query.credentials})
    return True


@lru_cache(maxsize=1)
def _held() -> dcql.Credential:
    claims = sd.staff_claims()
    paths = frozenset(disclosable_paths(sd.credential()))
    return dcql.Credential(vct=sd.VCT, claims=claims, key="one", disclosed_paths=paths)


DCQL = [
    {
        "credentials": [
            {
                "id": "identity",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": [sd.VCT]},
                "multiple": False,
                "require_cryptographic_holder_binding": True,
                "trusted_authorities": [{"type": "aki", "values": ["AAAA"]}],
                "claims": [
                    {"id": "a", "path": ["family_name"]},
                    {"id": "b", "path": ["languages", None], "values": ["cy", 1, True]},
                    {"id": "c", "path": ["skills", "FS"]},
                ],
                "claim_sets": [["a", "b"], ["a", "c"]],
            },
            {"id": "other", "format": "dc+sd-jwt", "meta": {"vct_values": [f"{sd.VCT}0"]}},
        ],
        "credential_sets": [{"options": [["identity"], ["identity", "other"]], "required": False}],
    }
]


# -- service kit ----------------------------------------------------------------------------------------


def _request(data: bytes) -> Request:
    """A request whose headers are the lines up to an empty one, and whose body is the rest.

    A server lets no other header names through than tokens of ASCII.
    """
    head, _, body = data.partition(b"\n\n")
    headers = [
        (name.strip().lower(), value.strip())
        for name, separator, value in (line.partition(b":") for line in head.split(b"\n"))
        if separator and name.isascii()
    ]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(
        {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}, receive
    )


def _form(data: bytes) -> bool:
    try:
        fields = _finished(form_body(_request(data)))
    except ProtocolError:
        return False
    for name, value in fields.items():
        assert "\x00" not in name + value
        (name + value).encode()
    return True


def _json_body(data: bytes) -> bool:
    try:
        _finished(json_body(_request(data)))
    except ProtocolError:
        return False
    return True


def _headers(data: bytes) -> bool:
    request = _request(data)
    found = False
    for look in (lambda: key_of(request), lambda: require_match(request.headers.get("if-match"), '"1"')):
        try:
            look()
            found = True
        except PassportError:
            continue
    return found


def _cursor(data: bytes) -> bool:
    try:
        at, number, text = decode_cursor("staff", as_text(data), [datetime, int, str])
    except PassportError:
        return False
    at.astimezone(UTC)  # as the column type does
    assert abs(number) < 2**63
    assert "\x00" not in text
    return True


def _cursor_values(data: bytes) -> bool:
    """Any JSON where a cursor of ours has its values."""
    return _cursor(strict.b64url_encode(data).encode()) if data else False


def _cursor_seed() -> bytes:
    return strict.b64url_decode(encode_cursor("staff", [NOON, 7, "a"]))


def _signed_request(data: bytes) -> bool:
    request = _request(data)
    headers, body = dict(request.headers), _finished(request.body())
    try:
        signing_key_id(headers)
        verify_request(
            method="POST", url=URL, headers=headers, body=body, keys={KEY.kid: KEY.public}, now=NOON
        )
    except SignatureRefused:
        return False
    assert body == b'{"id":"1"}', "a changed body was accepted"
    return True


def _signed_request_seed() -> bytes:
    body, media_type = b'{"id":"1"}', "application/cloudevents+json"
    headers = sign_request(method="POST", url=URL, content_type=media_type, body=body, key=KEY, at=NOON)
    lines = [f"{name}: {value}" for name, value in {**headers, "Content-Type": media_type}.items()]
    return "\n".join(lines).encode() + b"\n\n" + body


def _assertion(token: str) -> bool:
    clients = ClientsSimulator(_client())
    try:
        _finished(check_assertion(token, client_id=None, audience=AUDIENCE, clients=clients, now=NOON))
    except AssertionRefused:
        return False
    return True


@lru_cache(maxsize=1)
def _client() -> Any:
    return api_client("rbv-hr-system")


def _url(data: bytes) -> bool:
    """The outbound guard and everything that checks an identifier."""
    text, found = as_text(data), False
    try:
        target = check_url(text)
        assert target.host == target.host.lower()
        found = True
    except OutboundError:
        pass
    for check in (identifier_url, host_and_port, database_address):
        try:
            check(text)
            found = True
        except ValueError:
            continue
    is_ods_code(text)
    return entity_id_fault(text, "RBV") is None or found


def _clock_file(data: bytes) -> bool:
    try:
        offset = read_offset(data)
    except ValueError:
        return False
    assert timedelta(0) <= offset < timedelta(days=3_653)
    return True


def _log_value(data: bytes) -> bool:
    """Redaction takes anything that can stand in a log line and hands back something that can be written."""
    value = read(data)
    redact_text(as_text(data))
    json.dumps(redact_value(as_text(data) if value is REFUSED else value), ensure_ascii=True)
    return value is not REFUSED


# -- models of the wire ---------------------------------------------------------------------------------


def _activity(data: bytes) -> bool:
    value = read_object(data)
    try:
        event = ActivityEvent.model_validate(value or {})
        accepted_fact(event.id, event.type, event.data, source=Source.LIVE, today=NOON.date())
    except (ValidationError, FactRefused):
        return False
    return True


ACTIVITY = [
    {
        "specversion": "1.0",
        "id": "01990b2c-0000-7000-8000-000000000001",
        "source": "https://verifier.example/R0A",
        "type": "passport.verified",
        "time": "2026-09-01T12:00:00Z",
        "organisation": "R0A",
        "data": {
            "day": "2026-09-01",
            "employing_ods": "RBV",
            "host_ods": "R0A",
            "movement_type": "SERVICE_NEED_URGENT",
            "outcome": "READY",
            "durations_s": {"time_to_verify": 170},
            "source": "live",
        },
    }
]


def _dataset(data: bytes) -> bool:
    value = read_object(data)
    accepted = False
    for kind in catalogue.TYPES.values():
        try:
            catalogue.validate_claims(kind, value or {})
            accepted = True
        except catalogue.ClaimsInvalid:
            continue
    return accepted


def _placement(data: bytes) -> bool:
    try:
        PlacementBody.model_validate(read_object(data) or {})
    except ValidationError:
        return False
    return True


def _types() -> list[bytes]:
    return as_json(*[dataset(name) for name in catalogue.TYPES])


_FORM = b"content-type: application/x-www-form-urlencoded\n\ngrant_type=a&pre-authorized_code=a.b&tx_code=12"
_JSON = (
    b'content-type: application/json; charset=utf-8\n\n{"notification_id":"a","event":"credential_accepted"}'
)

TARGETS: list[Target] = [
    Target(
        "strict JSON",
        _strict_json,
        lambda: [b'{"a":[1,2.5e3,"\\u00e9",null,true]}', *corpus("jsontestsuite/test_parsing")],
    ),
    Target("strict base64url", _base64url, lambda: [b"AA", b"AAA", b"AAAA", b"_-8", b"eyJhbGciOiJFUzI1NiJ9"]),
    Target(
        "dates",
        _dates,
        lambda: as_json(1_788_264_000, 1.5, "2026-09-01T12:00:00Z", "2026-09-01T12:00:00+01:00"),
    ),
    Target("trust file", _trust_file, lambda: [network().trust_file.as_bytes()]),
    Target("DCQL", _dcql, lambda: as_json(*DCQL)),
    Target("form body", _form, lambda: [_FORM]),
    Target("JSON body", _json_body, lambda: [_JSON]),
    Target("request headers", _headers, lambda: [b'idempotency-key: "a-1"\nif-match: "1", W/"2"\n\n']),
    Target("cursor", _cursor, lambda: [encode_cursor("staff", [NOON, 7, "a"]).encode()]),
    Target("cursor values", _cursor_values, lambda: [_cursor_seed()]),
    Target("signed request", _signed_request, lambda: [_signed_request_seed()]),
    Target(
        "client assertion as received",
        lambda data: _assertion(as_text(data)),
        lambda: [_client().assertion(AUDIENCE, NOON).encode()],
    ),
    Target(
        "client assertion signed again",
        lambda data: _assertion(signed(data, _client().key)),
        lambda: [unsigned(_client().assertion(AUDIENCE, NOON))],
    ),
    Target(
        "URL and identifiers",
        _url,
        lambda: [
            b"https://issuer.example/RBV",
            b"https://a.example:8443/x?y=z",
            b"10.0.0.1:80",
            b"postgresql://a@b/c",
            b"RBV",
        ],
    ),
    Target("clock file", _clock_file, lambda: as_json({"offset_s": 86_400})),
    Target(
        "log values",
        _log_value,
        lambda: as_json({"event": "a", "token": "b", "list": [{"x": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln"}]}),
    ),
    Target("activity event", _activity, lambda: as_json(*ACTIVITY)),
    Target("dataset of a credential", _dataset, _types),
    Target("placement", _placement, lambda: as_json(placement_body(KEY.public))),
]
