"""DPoP proofs: what is proven is accepted, and every rule of RFC 9449 §4.3 refuses by its name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwk as peer_jwk
from jwcrypto import jwt as peer_jwt

from passport_shared.formats import jose
from passport_shared.formats.dpop import (
    DPOP_TYP,
    MAX_PROOF_BYTES,
    DpopError,
    DpopReason,
    access_token_hash,
    dpop_proof,
    read_dpop_proof,
)
from passport_shared.formats.strict import b64url_encode, dumps
from passport_testkit.keys import key, private_jwk

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
KEY, OTHER = key("dpop holder"), key("dpop other")
URI = "https://issuer.example/RBV/holder/passport"
TOKEN = "an-opaque-access-token"


def read(proof: str | bytes, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "htm": "GET", "htu": URI, "now": NOW, "access_token": TOKEN, "jkt": KEY.kid, **changes
    }  # fmt: skip
    return read_dpop_proof(proof, **values)


def made(**changes: Any) -> str:
    values: dict[str, Any] = {"htm": "GET", "htu": URI, "iat": NOW, "access_token": TOKEN, **changes}
    return dpop_proof(KEY, **values)


def signed(header: dict[str, Any] | None = None, typ: str = DPOP_TYP, **changes: Any) -> str:
    """A proof with claims replaced (None removes one) and a header of choice, rightly signed."""
    claims = {**jose.parse(made()).claims, **changes}
    kept = {name: value for name, value in claims.items() if value is not None}
    headers = {"jwk": KEY.public.jwk} if header is None else header
    return jose.sign(kept, KEY, typ=typ, kid=False, headers=headers)


def test_a_proof_is_accepted_for_its_request() -> None:
    proof = read(made(jti="once"))
    assert (proof.jkt, proof.jti, proof.iat) == (KEY.kid, "once", NOW)
    assert proof.key == KEY.public


def test_a_proof_of_another_implementation_is_accepted() -> None:
    own = peer_jwk.JWK(**private_jwk(KEY))
    token = peer_jwt.JWT(
        header={"typ": "dpop+jwt", "alg": "ES256", "jwk": own.export_public(as_dict=True)},
        claims={
            "jti": "abc",
            "htm": "GET",
            "htu": URI,
            "iat": int(NOW.timestamp()),
            "ath": access_token_hash(TOKEN),
        },
    )
    token.make_signed_token(own)
    assert read(token.serialize()).jkt == KEY.kid


def test_the_hash_of_a_token_is_the_one_of_the_rfc() -> None:
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"  # RFC 9449 §7.1
    assert access_token_hash(token) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.parametrize(
    "htu",
    [
        URI,
        f"{URI}?limit=1",
        f"{URI}#top",
        URI.replace("issuer.example", "ISSUER.example"),
        URI.replace("https", "HTTPS"),
        URI.replace("issuer.example", "issuer.example:443"),
    ],
)
def test_addresses_are_compared_as_the_rfc_says(htu: str) -> None:
    assert read(signed(htu=htu)).jkt == KEY.kid


PRIVATE = {**KEY.public.jwk, "d": private_jwk(KEY)["d"]}
REFUSALS: list[tuple[str, DpopReason, Callable[[], str | bytes], dict[str, Any]]] = [
    ("no token", DpopReason.MALFORMED, lambda: "proof", {}),
    ("not ASCII", DpopReason.MALFORMED, lambda: b"\xff.\xff.\xff", {}),
    ("too long", DpopReason.TOO_LARGE, lambda: "a" * (MAX_PROOF_BYTES + 1), {}),
    ("another typ", DpopReason.WRONG_TYP, lambda: signed(typ="JWT"), {}),
    ("unsigned", DpopReason.ALG_NOT_ALLOWED, lambda: _unsigned(), {}),
    ("no key", DpopReason.BAD_KEY, lambda: signed(header={}), {}),
    ("a private key", DpopReason.BAD_KEY, lambda: signed(header={"jwk": PRIVATE}), {}),
    ("a key of no curve", DpopReason.BAD_KEY, lambda: signed(header={"jwk": {"kty": "EC"}}), {}),
    ("signed by another", DpopReason.BAD_SIGNATURE, lambda: signed(header={"jwk": OTHER.public.jwk}), {}),
    ("no jti", DpopReason.MISSING_CLAIM, lambda: signed(jti=None), {}),
    ("no htm", DpopReason.MISSING_CLAIM, lambda: signed(htm=None), {}),
    ("no htu", DpopReason.MISSING_CLAIM, lambda: signed(htu=None), {}),
    ("no iat", DpopReason.MISSING_CLAIM, lambda: signed(iat=None), {}),
    ("no ath", DpopReason.MISSING_CLAIM, lambda: signed(ath=None), {}),
    ("an empty jti", DpopReason.BAD_CLAIM, lambda: signed(jti=""), {}),
    ("a long jti", DpopReason.BAD_CLAIM, lambda: signed(jti="j" * 257), {}),
    ("a jti that is a number", DpopReason.BAD_CLAIM, lambda: signed(jti=7), {}),
    ("iat as text", DpopReason.BAD_CLAIM, lambda: signed(iat="now"), {}),
    ("iat as boolean", DpopReason.BAD_CLAIM, lambda: signed(iat=True), {}),
    ("a port that is none", DpopReason.BAD_CLAIM, lambda: signed(htu="https://issuer.example:x/"), {}),
    ("another method", DpopReason.WRONG_METHOD, lambda: made(), {"htm": "POST"}),
    ("a method in lower case", DpopReason.WRONG_METHOD, lambda: made(htm="get"), {}),
    ("another path", DpopReason.WRONG_URI, lambda: made(), {"htu": f"{URI}/x"}),
    ("another host", DpopReason.WRONG_URI, lambda: signed(htu=URI.replace("issuer.", "evil.")), {}),
    ("another port", DpopReason.WRONG_URI, lambda: signed(htu=URI.replace(".example", ".example:8443")), {}),
    ("http", DpopReason.WRONG_URI, lambda: signed(htu=URI.replace("https", "http")), {}),
    ("a user in it", DpopReason.WRONG_URI, lambda: signed(htu=URI.replace("issuer.", "me@issuer.")), {}),
    ("too old", DpopReason.TOO_OLD, lambda: made(iat=NOW - timedelta(seconds=301)), {}),
    ("from the future", DpopReason.IN_FUTURE, lambda: made(iat=NOW + timedelta(seconds=61)), {}),
    ("for another token", DpopReason.WRONG_TOKEN, lambda: made(access_token="another"), {}),
    ("another key", DpopReason.WRONG_KEY, lambda: made(), {"jkt": OTHER.kid}),
]


def _unsigned() -> str:
    header = dumps({"alg": "none", "typ": DPOP_TYP, "jwk": KEY.public.jwk})
    return f"{b64url_encode(header)}.{b64url_encode(dumps({'jti': 'a'}))}."


@pytest.mark.parametrize(
    ("reason", "make", "changes"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_every_refusal_has_its_reason(
    reason: DpopReason, make: Callable[[], str | bytes], changes: dict[str, Any]
) -> None:
    with pytest.raises(DpopError) as caught:
        read(make(), **changes)
    assert caught.value.reason is reason


def test_every_reason_is_tested() -> None:
    assert {case[1] for case in REFUSALS} == set(DpopReason)


@settings(max_examples=60)
@given(
    htm=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?#"), max_size=60),
    age=st.integers(-60, 300),
    token=st.one_of(st.none(), st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)),
)
def test_any_proof_is_accepted_for_its_own_request_alone(
    htm: str, path: str, age: int, token: str | None
) -> None:
    uri = f"https://issuer.example/RBV/{path}"
    proof = dpop_proof(KEY, htm=htm, htu=uri, iat=NOW - timedelta(seconds=age), access_token=token)
    said = read_dpop_proof(proof, htm=htm, htu=uri, now=NOW, access_token=token)
    assert said.jkt == KEY.kid
    right: dict[str, Any] = {"htm": htm, "htu": uri, "now": NOW, "access_token": token}
    for wrong in ({"htm": "PATCH"}, {"htu": f"{uri}x"}, {"access_token": f"{token}x"}):
        with pytest.raises(DpopError):
            read_dpop_proof(proof, **{**right, **wrong})


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_noise_is_refused_and_never_an_error_of_ours(noise: bytes) -> None:
    with pytest.raises(DpopError):
        read(noise)
