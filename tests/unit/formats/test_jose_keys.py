"""Keys: P-256 and nothing else, public where public is meant, for the purpose they name."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwk as peer_jwk

from passport_shared.formats.jose import JoseError, JoseReason, PublicKey, SigningKey
from passport_shared.formats.strict import b64url_encode
from passport_testkit.keys import key, private_jwk

KEY = key("holder")
JWK = KEY.public.jwk
PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
P384 = ec.generate_private_key(ec.SECP384R1())


def number(value: int, length: int = 32) -> str:
    return b64url_encode(value.to_bytes(length, "big"))


def coordinate(name: str) -> int:
    numbers = KEY.public.key.public_numbers()
    return numbers.x if name == "x" else numbers.y


REFUSED = [
    ("no object", "a"),
    ("a list", [JWK]),
    ("nothing", {}),
    ("no kty", {**JWK, "kty": None}),
    ("lower-case kty", {**JWK, "kty": "ec"}),
    ("an octet key", {"kty": "oct", "k": "AAAA"}),
    ("an RSA key", {"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    ("an OKP key", {"kty": "OKP", "crv": "Ed25519", "x": JWK["x"]}),
    ("another curve's name", {**JWK, "crv": "P-384"}),
    ("secp256k1", {**JWK, "crv": "secp256k1"}),
    ("a curve that is a list", {**JWK, "crv": ["P-256"]}),
    ("d", private_jwk(KEY)),
    ("d that is null", {**JWK, "d": None}),
    ("k", {**JWK, "k": "AAAA"}),
    ("no x", {"kty": "EC", "crv": "P-256", "y": JWK["y"]}),
    ("no y", {"kty": "EC", "crv": "P-256", "x": JWK["x"]}),
    ("x is a number", {**JWK, "x": 1}),
    ("x is a list", {**JWK, "x": [JWK["x"]]}),
    ("y is an object", {**JWK, "y": {"y": JWK["y"]}}),
    ("x is empty", {**JWK, "x": ""}),
    ("x is padded", {**JWK, "x": JWK["x"] + "="}),
    ("x is standard base64", {**JWK, "x": "+" + JWK["x"][1:]}),
    ("x has a zero in front", {**JWK, "x": number(coordinate("x"), 33)}),
    ("x is short", {**JWK, "x": number(1, 1)}),
    ("x is long", {**JWK, "x": "A" * 10_000}),
    ("x and y swapped", {**JWK, "x": JWK["y"], "y": JWK["x"]}),
    ("off the curve", {**JWK, "y": number(coordinate("y") ^ 1)}),
    ("the zero point", {**JWK, "x": number(0), "y": number(0)}),
    ("beyond the field", {**JWK, "x": number(2**256 - 1), "y": number(2**256 - 1)}),
    ("y at the prime", {**JWK, "y": number(PRIME)}),
    ("use enc", {**JWK, "use": "enc"}),
    ("use null", {**JWK, "use": None}),
    ("use list", {**JWK, "use": ["sig"]}),
    ("key_ops of a signer", {**JWK, "key_ops": ["sign"]}),
    ("key_ops empty", {**JWK, "key_ops": []}),
    ("key_ops text", {**JWK, "key_ops": "verify"}),
    ("key_ops twice", {**JWK, "key_ops": ["verify", "verify"]}),
    ("key_ops of numbers", {**JWK, "key_ops": [1, "verify"]}),
    ("key_ops null", {**JWK, "key_ops": None}),
    ("key_ops for agreement", {**JWK, "key_ops": ["deriveKey"]}),
    ("alg ES384", {**JWK, "alg": "ES384"}),
    ("alg ECDH-ES", {**JWK, "alg": "ECDH-ES"}),
    ("alg null", {**JWK, "alg": None}),
]


@pytest.mark.parametrize("jwk", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_keys_that_are_refused(jwk: object):
    with pytest.raises(JoseError) as refused:
        PublicKey.from_jwk(jwk)  # type: ignore[arg-type]
    assert refused.value.reason is JoseReason.BAD_KEY


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"use": "sig"},
        {"alg": "ES256"},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"], "use": "sig", "alg": "ES256", "kid": "x", "x5c": ["AAAA"]},
        {"kid": 7, "note": "members nobody knows are ignored"},
    ],
)
def test_keys_that_are_read(extra: dict[str, object]):
    public = PublicKey.from_jwk({**JWK, **extra})
    assert public == KEY.public
    assert public.jwk == JWK


def test_a_key_to_encrypt_to():
    for extra in (
        {},
        {"use": "enc"},
        {"alg": "ECDH-ES"},
        {"key_ops": ["deriveBits"]},
        {"key_ops": ["deriveKey"]},
    ):
        assert PublicKey.from_jwk({**JWK, **extra}, purpose="enc") == KEY.public
    for extra in ({"use": "sig"}, {"alg": "ES256"}, {"key_ops": ["verify"]}, {"alg": "ECDH-ES+A128KW"}):
        with pytest.raises(JoseError):
            PublicKey.from_jwk({**JWK, **extra}, purpose="enc")


def test_a_remembered_key_does_not_pardon_a_wrong_purpose():
    assert PublicKey.from_jwk(JWK) == KEY.public
    with pytest.raises(JoseError):
        PublicKey.from_jwk({**JWK, "use": "enc"})


def test_the_thumbprint_agrees_with_a_peer():
    for name in ("a", "b", "c"):
        public = key(name).public
        assert peer_jwk.JWK(**public.jwk).thumbprint() == public.thumbprint


def test_as_jwk():
    assert KEY.public.as_jwk() == {**JWK, "kid": KEY.kid, "alg": "ES256", "use": "sig"}
    assert KEY.public.as_jwk(use="enc", alg="ECDH-ES")["use"] == "enc"
    assert PublicKey.from_jwk(KEY.public.as_jwk()) == KEY.public


def spki(public: object) -> bytes:
    assert isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey)
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_spki():
    assert PublicKey.from_spki_der(spki(KEY.public.key)) == KEY.public
    others = [P384.public_key(), ed25519.Ed25519PrivateKey.generate().public_key()]
    for der in [*map(spki, others), b"", b"0", KEY.to_der()]:
        with pytest.raises(JoseError) as refused:
            PublicKey.from_spki_der(der)
        assert refused.value.reason is JoseReason.BAD_KEY


def test_a_signing_key_survives_storage_and_shows_no_secret():
    again = SigningKey.from_der(KEY.to_der())
    assert again == KEY
    assert again.public.verifies(b"data", again.sign(b"data"))
    assert len(again.sign(b"data")) == 64
    assert repr(again) == f"SigningKey(public=PublicKey(thumbprint='{KEY.kid}'))"


def pkcs8(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "der", [b"", b"junk", pkcs8(P384), pkcs8(ed25519.Ed25519PrivateKey.generate()), spki(KEY.public.key)]
)
def test_signing_keys_that_are_refused(der: bytes):
    with pytest.raises(JoseError) as refused:
        SigningKey.from_der(der)
    assert refused.value.reason is JoseReason.BAD_KEY


def test_only_p256_objects_are_wrapped():
    for other in (P384.public_key(), ed25519.Ed25519PrivateKey.generate().public_key(), KEY.private, None):
        with pytest.raises(JoseError):
            PublicKey.from_key(other)
    with pytest.raises(JoseError):
        SigningKey.from_private(P384)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "use", "key_ops", "alg", "d"]),
        st.sampled_from(["EC", "P-256", JWK["x"], JWK["y"], "sig"])
        | st.text(max_size=50)
        | st.none()
        | st.lists(st.text()),
    )
)
def test_arbitrary_jwks_are_read_or_refused_properly(jwk: dict[str, object]):
    try:
        public = PublicKey.from_jwk(jwk)
    except JoseError:
        return
    assert public.jwk["x"] == jwk["x"]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_arbitrary_der_is_refused_properly(der: bytes):
    with pytest.raises(JoseError):
        PublicKey.from_spki_der(der)
    with pytest.raises(JoseError):
        SigningKey.from_der(der)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_signatures_hold_for_their_data_only(data: bytes):
    signature = KEY.sign(data)
    assert KEY.public.verifies(data, signature)
    assert not KEY.public.verifies(data + b"x", signature)
    assert not key("stranger").public.verifies(data, signature)
