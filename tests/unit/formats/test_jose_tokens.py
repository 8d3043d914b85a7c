"""Signed tokens: every reason for refusing one, by name, and agreement with independent libraries."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwk as peer_jwk
from jwcrypto import jws as peer_jws

from passport_shared.formats import jose
from passport_shared.formats.jose import JoseError, JoseReason
from passport_shared.formats.strict import StrictError, b64url_decode, b64url_encode
from passport_testkit.clock import NOON
from passport_testkit.keys import key, private_jwk

ISSUER, STRANGER = key("issuer"), key("stranger")
TYP = "example+jwt"
NOW = int(NOON.timestamp())
CLAIMS = {"iss": "https://issuer.example/RBV", "iat": NOW, "exp": NOW + 300}
TOKEN = jose.sign(CLAIMS, ISSUER, typ=TYP)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def raw_token(
    header: object,
    payload: bytes | object = b"",
    signature: bytes | None = None,
    signer: jose.SigningKey = ISSUER,
) -> str:
    """Sign anything at all, the way an attacker with a key could."""
    first = header if isinstance(header, bytes) else json.dumps(header).encode()
    second = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    second = second or json.dumps(CLAIMS).encode()
    signing_input = f"{b64url_encode(first)}.{b64url_encode(second)}"
    signature = signer.sign(signing_input.encode()) if signature is None else signature
    return f"{signing_input}.{b64url_encode(signature)}"


def with_header(**members: object) -> str:
    return raw_token({"alg": "ES256", "typ": TYP, **members})


def with_signature(change: Callable[[bytes], bytes]) -> str:
    signing_input, _, signature = TOKEN.rpartition(".")
    return f"{signing_input}.{b64url_encode(change(b64url_decode(signature)))}"


def hs256_with_the_public_key(secret: bytes) -> str:
    signing_input = ".".join(
        b64url_encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": TYP}, CLAIMS)
    )
    return f"{signing_input}.{b64url_encode(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


def public_key_encodings() -> list[bytes]:
    public = ISSUER.public.key
    spki, raw = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.UncompressedPoint
    compressed = serialization.PublicFormat.CompressedPoint
    pem = public.public_bytes(serialization.Encoding.PEM, spki)
    jwk = ISSUER.public.jwk
    return [
        pem,
        pem.strip(),
        pem.replace(b"\n", b"\r\n"),
        public.public_bytes(serialization.Encoding.DER, spki),
        public.public_bytes(serialization.Encoding.X962, raw),
        public.public_bytes(serialization.Encoding.X962, compressed),
        json.dumps(jwk).encode(),
        jwk["x"].encode(),
        b"",
    ]


def numbers(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def der_signature(_: bytes) -> bytes:
    return ISSUER.private.sign(TOKEN.rpartition(".")[0].encode(), ec.ECDSA(hashes.SHA256()))


HEAD, BODY, SIGNATURE = TOKEN.split(".")
DUPLICATE = json.dumps(CLAIMS).replace("{", '{"exp":9999999999,', 1).encode()

REFUSED: list[tuple[str, str | bytes, JoseReason]] = [
    ("nothing", "", JoseReason.MALFORMED),
    ("one part", HEAD, JoseReason.MALFORMED),
    ("two parts", f"{HEAD}.{BODY}", JoseReason.MALFORMED),
    ("four parts", f"{TOKEN}.{SIGNATURE}", JoseReason.MALFORMED),
    ("five parts", f"{HEAD}..{BODY}.{BODY}.{SIGNATURE}", JoseReason.MALFORMED),
    ("empty content", f"{HEAD}..{SIGNATURE}", JoseReason.MALFORMED),
    ("not ASCII", TOKEN + "\u00e9", JoseReason.MALFORMED),
    ("not ASCII bytes", TOKEN.encode() + b"\xff", JoseReason.MALFORMED),
    ("a newline at the end", TOKEN + "\n", JoseReason.MALFORMED),
    ("a space in front", " " + TOKEN, JoseReason.BAD_HEADER),
    ("padding of the signature", TOKEN + "==", JoseReason.MALFORMED),
    ("padding of the content", f"{HEAD}.{BODY}=.{SIGNATURE}", JoseReason.MALFORMED),
    ("junk in the content", f"{HEAD}.{BODY[:8]}*{BODY[8:]}.{SIGNATURE}", JoseReason.MALFORMED),
    ("content is an array", raw_token({"alg": "ES256", "typ": TYP}, ["a"]), JoseReason.MALFORMED),
    ("content is text", raw_token({"alg": "ES256", "typ": TYP}, b'"a"'), JoseReason.MALFORMED),
    ("duplicate claims", raw_token({"alg": "ES256", "typ": TYP}, DUPLICATE), JoseReason.MALFORMED),
    ("NaN", raw_token({"alg": "ES256", "typ": TYP}, b'{"exp":NaN}'), JoseReason.MALFORMED),
    ("UTF-16", raw_token({"alg": "ES256", "typ": TYP}, "{}".encode("utf-16")), JoseReason.MALFORMED),
    (
        "depth",
        raw_token({"alg": "ES256", "typ": TYP}, b'{"a":' * 40 + b"1" + b"}" * 40),
        JoseReason.MALFORMED,
    ),
    ("65 kB", raw_token({"alg": "ES256", "typ": TYP}, {"a": "a" * 65_536}), JoseReason.TOO_LARGE),
    ("a header of 9 kB", with_header(pad="a" * 9_000), JoseReason.TOO_LARGE),
    ("a header that is no object", raw_token(["ES256"]), JoseReason.BAD_HEADER),
    ("a header that is no JSON", raw_token(b"ES256"), JoseReason.BAD_HEADER),
    ("no header", f".{BODY}.{SIGNATURE}", JoseReason.BAD_HEADER),
    ("duplicate headers", raw_token(b'{"alg":"none","alg":"ES256","typ":"x"}'), JoseReason.BAD_HEADER),
    ("no algorithm", raw_token({"typ": TYP}), JoseReason.BAD_HEADER),
    ("an algorithm that is a list", with_header(alg=["ES256"]), JoseReason.BAD_HEADER),
    ("an algorithm that is null", with_header(alg=None), JoseReason.BAD_HEADER),
    ("a typ that is no text", with_header(typ=[TYP]), JoseReason.BAD_HEADER),
    ("a kid that is a number", with_header(kid=7), JoseReason.BAD_HEADER),
    ("a kid of 4 kB", with_header(kid="k" * 4_000), JoseReason.BAD_HEADER),
    ("b64 false", with_header(b64=False), JoseReason.BAD_HEADER),
    ("b64 true", with_header(b64=True), JoseReason.BAD_HEADER),
    ("zip", with_header(zip="DEF"), JoseReason.BAD_HEADER),
    ("crit unknown", with_header(crit=["x"], x=1), JoseReason.CRIT_NOT_UNDERSTOOD),
    ("crit empty", with_header(crit=[]), JoseReason.CRIT_NOT_UNDERSTOOD),
    ("crit null", with_header(crit=None), JoseReason.CRIT_NOT_UNDERSTOOD),
    ("crit registered", with_header(crit=["exp"], exp=1), JoseReason.CRIT_NOT_UNDERSTOOD),
    ("crit b64", with_header(crit=["b64"], b64=False), JoseReason.CRIT_NOT_UNDERSTOOD),
    *[
        (f"algorithm {alg!r}", with_header(alg=alg), JoseReason.ALG_NOT_ALLOWED)
        for alg in ("none", "None", "NONE", "nOnE", "", " ", "ES256 ", "es256", "HS256", "RS256", "PS256")
    ],
    *[
        (f"algorithm {alg}", with_header(alg=alg), JoseReason.ALG_NOT_ALLOWED)
        for alg in ("ES384", "ES512", "ES256K", "EdDSA", "ESP256", "ES256\x00")
    ],
    (
        "none, unsigned",
        f"{raw_token({'alg': 'none', 'typ': TYP}).rpartition('.')[0]}.",
        JoseReason.ALG_NOT_ALLOWED,
    ),
    *[
        (f"HS256 with the public key {n}", hs256_with_the_public_key(secret), JoseReason.ALG_NOT_ALLOWED)
        for n, secret in enumerate(public_key_encodings())
    ],
    *[
        (f"typ {typ!r}", with_header(typ=typ), JoseReason.WRONG_TYP)
        for typ in (
            "JWT",
            "at+jwt",
            "kb+jwt",
            "dc+sd-jwt",
            "vc+sd-jwt",
            "statuslist+jwt",
            "entity-statement+jwt",
            "trust-mark+jwt",
            "oauth-authz-req+jwt",
            "openid4vci-proof+jwt",
            "client-authentication+jwt",
            "dpop+jwt",
            "Example+JWT",
            "application/example+jwt",
            "",
        )
    ],
    ("no typ", raw_token({"alg": "ES256"}), JoseReason.WRONG_TYP),
    ("no signature", f"{HEAD}.{BODY}.", JoseReason.BAD_SIGNATURE),
    (
        "another key's signature",
        raw_token({"alg": "ES256", "typ": TYP}, signer=STRANGER),
        JoseReason.BAD_SIGNATURE,
    ),
    ("other content", f"{HEAD}.{b64url_encode(b'{}')}.{SIGNATURE}", JoseReason.BAD_SIGNATURE),
    (
        "the attacker's key in jwk",
        raw_token({"alg": "ES256", "typ": TYP, "jwk": STRANGER.public.as_jwk()}, signer=STRANGER),
        JoseReason.BAD_SIGNATURE,
    ),
    (
        "the attacker's address in jku and x5u",
        raw_token(
            {"alg": "ES256", "typ": TYP, "jku": "https://evil.example/k", "x5u": "https://evil.example/c"},
            signer=STRANGER,
        ),
        JoseReason.BAD_SIGNATURE,
    ),
    (
        "the attacker's x5c",
        raw_token({"alg": "ES256", "typ": TYP, "x5c": ["AAAA"]}, signer=STRANGER),
        JoseReason.BAD_SIGNATURE,
    ),
    ("63 bytes", with_signature(lambda raw: raw[:63]), JoseReason.BAD_SIGNATURE),
    ("65 bytes", with_signature(lambda raw: raw + b"\x00"), JoseReason.BAD_SIGNATURE),
    ("65 bytes in front", with_signature(lambda raw: b"\x00" + raw), JoseReason.BAD_SIGNATURE),
    ("96 bytes", with_signature(lambda raw: raw + raw[:32]), JoseReason.BAD_SIGNATURE),
    ("128 bytes", with_signature(lambda raw: raw * 2), JoseReason.BAD_SIGNATURE),
    ("40 kB of signature", with_signature(lambda raw: raw * 640), JoseReason.BAD_SIGNATURE),
    ("r and s swapped", with_signature(lambda raw: raw[32:] + raw[:32]), JoseReason.BAD_SIGNATURE),
    ("DER", with_signature(der_signature), JoseReason.BAD_SIGNATURE),
    *[
        (f"r={r:#x} s={s:#x}", with_signature(lambda _, r=r, s=s: numbers(r, s)), JoseReason.BAD_SIGNATURE)  # type: ignore[misc]
        for r in (0, 1, ORDER, ORDER + 1, 2**256 - 1)
        for s in (0, 1, ORDER)
    ],
]


@pytest.mark.parametrize(("token", "reason"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_is_refused_and_why(token: str | bytes, reason: JoseReason):
    with pytest.raises(JoseError) as refused:
        jose.verify(token, ISSUER.public, typ=TYP)
    assert refused.value.reason is reason
    with pytest.raises(JoseError):
        jose.verify_with_jwks(token, [ISSUER.public.as_jwk()], typ=TYP)


def test_a_right_token_verifies_from_text_bytes_and_parsed():
    for form in (TOKEN, TOKEN.encode(), jose.parse(TOKEN)):
        verified = jose.verify(form, ISSUER.public, typ=TYP)
        assert verified.claims == CLAIMS
        assert verified.header == {"alg": "ES256", "typ": TYP, "kid": ISSUER.kid}
        assert verified.compact == TOKEN
        assert verified.key == ISSUER.public


def test_one_of_several_types():
    assert jose.verify(TOKEN, ISSUER.public, typ={"JWT", TYP}).claims == CLAIMS
    with pytest.raises(JoseError) as refused:
        jose.verify(TOKEN, ISSUER.public, typ=["JWT", "at+jwt"])
    assert refused.value.reason is JoseReason.WRONG_TYP


def test_a_type_is_not_found_inside_another():
    with pytest.raises(JoseError) as refused:
        jose.verify(jose.sign(CLAIMS, ISSUER, typ="jwt"), ISSUER.public, typ="at+jwt")
    assert refused.value.reason is JoseReason.WRONG_TYP


def test_a_verified_jwt_comes_from_verifying_only():
    with pytest.raises(TypeError):
        jose.VerifiedJwt(jose.parse(TOKEN), ISSUER.public, _seal=object())


def test_a_larger_limit_is_the_callers_choice():
    big = jose.sign({**CLAIMS, "pad": "a" * 70_000}, ISSUER, typ=TYP)
    assert jose.verify(big, ISSUER.public, typ=TYP, max_bytes=200_000).claims["pad"]
    with pytest.raises(JoseError) as refused:
        jose.verify(big, ISSUER.public, typ=TYP)
    assert refused.value.reason is JoseReason.TOO_LARGE


JWKS = {"keys": [STRANGER.public.as_jwk(), ISSUER.public.as_jwk(), {"kty": "oct", "kid": "other", "k": "AA"}]}


def test_the_kid_chooses_the_key():
    assert jose.verify_with_jwks(TOKEN, JWKS, typ=TYP).key == ISSUER.public
    assert jose.verify_with_jwks(jose.parse(TOKEN), JWKS["keys"], typ=TYP).key == ISSUER.public


@pytest.mark.parametrize(
    ("kid", "jwks", "reason"),
    [
        (None, JWKS, JoseReason.UNKNOWN_KID),
        ("", JWKS, JoseReason.UNKNOWN_KID),
        ("nobody", JWKS, JoseReason.UNKNOWN_KID),
        (ISSUER.kid.lower(), JWKS, JoseReason.UNKNOWN_KID),
        ("../../etc/passwd", JWKS, JoseReason.UNKNOWN_KID),
        ("' OR 1=1 --", JWKS, JoseReason.UNKNOWN_KID),
        ("a\x00b", JWKS, JoseReason.UNKNOWN_KID),
        ("a\r\nb", JWKS, JoseReason.UNKNOWN_KID),
        ("https://evil.example/key", JWKS, JoseReason.UNKNOWN_KID),
        (ISSUER.kid, {"keys": []}, JoseReason.UNKNOWN_KID),
        (ISSUER.kid, [STRANGER.public.as_jwk()], JoseReason.UNKNOWN_KID),
        (STRANGER.kid, JWKS, JoseReason.BAD_SIGNATURE),
        ("other", JWKS, JoseReason.BAD_KEY),
        (ISSUER.kid, [ISSUER.public.as_jwk(), STRANGER.public.as_jwk(kid=ISSUER.kid)], JoseReason.BAD_KEY),
        (ISSUER.kid, [ISSUER.public.as_jwk(use="enc")], JoseReason.BAD_KEY),
        (ISSUER.kid, [{**private_jwk(ISSUER), "kid": ISSUER.kid}], JoseReason.BAD_KEY),
        (ISSUER.kid, [ISSUER.public.as_jwk(), *({"kid": str(n)} for n in range(64))], JoseReason.BAD_KEY),
        (None, [ISSUER.public.jwk], JoseReason.UNKNOWN_KID),
        (None, [ISSUER.public.as_jwk(kid=None)], JoseReason.UNKNOWN_KID),
        ("", [ISSUER.public.as_jwk(kid="")], JoseReason.UNKNOWN_KID),
        (ISSUER.kid, {}, JoseReason.BAD_KEY),
        (ISSUER.kid, {"keys": "a"}, JoseReason.BAD_KEY),
        (ISSUER.kid, {"keys": {ISSUER.kid: ISSUER.public.as_jwk()}}, JoseReason.BAD_KEY),
        (ISSUER.kid, ["a"], JoseReason.BAD_KEY),
        (ISSUER.kid, None, JoseReason.BAD_KEY),
    ],
)
def test_a_kid_only_looks_up_the_set(kid: str | None, jwks: object, reason: JoseReason):
    token = with_header(kid=kid) if kid is not None else with_header()
    with pytest.raises(JoseError) as refused:
        jose.verify_with_jwks(token, jwks, typ=TYP)  # type: ignore[arg-type]
    assert refused.value.reason is reason


def test_64_keys_are_a_set_of_reasonable_size():
    jwks = [*({"kid": str(n)} for n in range(63)), ISSUER.public.as_jwk()]
    assert jose.verify_with_jwks(TOKEN, jwks, typ=TYP).key == ISSUER.public


def times(**claims: object) -> dict[str, object]:
    return {"iat": NOW, "exp": NOW + 300, **claims}


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (times(), None),
        (times(nbf=NOW), None),
        (times(exp=NOW - 59), None),
        (times(exp=NOW - 60), JoseReason.EXPIRED),
        (times(exp=0), JoseReason.EXPIRED),
        (times(nbf=NOW + 60), None),
        (times(nbf=NOW + 61), JoseReason.NOT_YET_VALID),
        (times(iat=NOW + 60), None),
        (times(iat=NOW + 61), JoseReason.ISSUED_IN_FUTURE),
        (times(iat=float(NOW)), None),
        ({"exp": NOW + 1}, JoseReason.MISSING_CLAIM),
        ({"iat": NOW}, JoseReason.MISSING_CLAIM),
        (times(exp=str(NOW + 300)), JoseReason.BAD_CLAIM),
        (times(exp=True), JoseReason.BAD_CLAIM),
        (times(exp=None), JoseReason.BAD_CLAIM),
        (times(exp=[NOW + 300]), JoseReason.BAD_CLAIM),
        (times(exp=2**60), JoseReason.BAD_CLAIM),
        (times(exp=NOW + 0.5), JoseReason.BAD_CLAIM),
        (times(nbf="0"), JoseReason.BAD_CLAIM),
        (times(iat={}), JoseReason.BAD_CLAIM),
        (times(iat=-1), JoseReason.BAD_CLAIM),
    ],
)
def test_times(claims: dict[str, object], reason: JoseReason | None):
    if reason is None:
        jose.check_times(claims, now=NOON)
    else:
        with pytest.raises(JoseError) as refused:
            jose.check_times(claims, now=NOON)
        assert refused.value.reason is reason


def test_what_is_required_and_how_much_leeway_is_the_callers_choice():
    jose.check_times({}, now=NOON, require=())
    jose.check_times({"exp": NOW - 200}, now=NOON, require=("exp",), leeway=timedelta(seconds=300))
    with pytest.raises(JoseError) as refused:
        jose.check_times(times(exp=NOW), now=NOON, leeway=timedelta())
    assert refused.value.reason is JoseReason.EXPIRED
    with pytest.raises(JoseError) as refused:
        jose.check_times(times(), now=NOON, require=("nbf",))
    assert refused.value.reason is JoseReason.MISSING_CLAIM


@pytest.mark.parametrize("name", ["alg", "typ", "crit", "b64", "zip"])
def test_a_caller_cannot_replace_what_signing_decides(name: str):
    with pytest.raises(ValueError, match="not a caller's headers"):
        jose.sign(CLAIMS, ISSUER, typ=TYP, headers={name: "x"})


def test_headers_of_a_signed_token():
    token = jose.sign(CLAIMS, ISSUER, typ=TYP, kid=False, headers={"x5c": ["AAAA"]})
    assert jose.parse(token).header == {"alg": "ES256", "typ": TYP, "x5c": ["AAAA"]}
    assert jose.parse(jose.sign(CLAIMS, ISSUER, typ=TYP, headers={"kid": "k"})).header["kid"] == "k"


def test_a_claim_without_a_json_form_is_not_signed():
    with pytest.raises(StrictError):
        jose.sign({"exp": float("nan")}, ISSUER, typ=TYP)


def test_rfc_7515_appendix_a_3():
    token = (
        "eyJhbGciOiJFUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    public = jose.PublicKey.from_jwk(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }
    )
    jose.check_signature(jose.split(token), public)
    assert jose.parse(token).claims == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}
    with pytest.raises(JoseError) as refused:
        jose.verify(token, public, typ="JWT")
    assert refused.value.reason is JoseReason.WRONG_TYP


def test_a_peer_verifies_what_we_sign():
    peer = peer_jws.JWS()
    peer.allowed_algs = ["ES256"]
    peer.deserialize(TOKEN, peer_jwk.JWK(**ISSUER.public.as_jwk()))
    assert json.loads(peer.payload) == CLAIMS


def test_we_verify_what_a_peer_signs():
    peer = peer_jws.JWS(json.dumps(CLAIMS).encode())
    header = json.dumps({"alg": "ES256", "typ": TYP, "kid": ISSUER.kid})
    peer.add_signature(peer_jwk.JWK(**private_jwk(ISSUER)), None, header)
    token = peer.serialize(compact=True)
    assert jose.verify(token, ISSUER.public, typ=TYP).claims == CLAIMS
    assert jose.verify_with_jwks(token, [ISSUER.public.as_jwk()], typ=TYP).claims == CLAIMS


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.characters(max_codepoint=0x17F))
def test_no_changed_character_goes_unnoticed(position: int, character: str):
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    if changed == TOKEN:
        return
    with pytest.raises(JoseError):
        jose.verify(changed, ISSUER.public, typ=TYP)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200) | st.text(alphabet="eyJ.AQ-_", max_size=60))
def test_arbitrary_input_is_refused_properly(token: str | bytes):
    with pytest.raises(JoseError):
        jose.verify(token, ISSUER.public, typ=TYP)


json_members = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "b64", "zip", "jwk", "x5c", "epk"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.lists(st.text(max_size=3), max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(json_members, st.binary(max_size=80))
def test_arbitrary_headers_are_refused_properly(header: dict[str, object], payload: bytes):
    with pytest.raises(JoseError):
        jose.verify(raw_token(header, payload, b"\x01" * 64), ISSUER.public, typ=TYP)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.integers(0, 2**53) | st.text(max_size=8), max_size=6))
def test_what_is_signed_is_read_again(claims: dict[str, object]):
    token = jose.sign(claims, ISSUER, typ=TYP)
    assert jose.verify(token, ISSUER.public, typ=TYP).claims == claims


def test_the_thumbprint_is_the_hash_of_the_canonical_key():
    text = '{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.format(**ISSUER.public.jwk)
    assert b64url_encode(hashlib.sha256(text.encode()).digest()) == ISSUER.kid
