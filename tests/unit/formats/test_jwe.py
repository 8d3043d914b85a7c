"""Encrypted tokens: every reason for refusing one, agreement with a peer, and Wycheproof."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwe as peer_jwe
from jwcrypto import jwk as peer_jwk

from passport_shared.formats import jwe
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.jwe import JweError, JweReason
from passport_shared.formats.strict import b64url_decode, b64url_encode
from passport_testkit import corpora
from passport_testkit.keys import key, private_jwk

RECIPIENT, STRANGER = key("verifier encryption"), key("stranger")
PLAINTEXT = b'{"vp_token":{}}'
TOKEN = jwe.encrypt(PLAINTEXT, RECIPIENT.public, kid="session-1")
PARTS = TOKEN.split(".")
HEADER = json.loads(b64url_decode(PARTS[0]))
EPK = HEADER["epk"]


def with_header(**members: object) -> str:
    """Return the token with changed header members; None takes one away."""
    header = {name: value for name, value in {**HEADER, **members}.items() if value is not None}
    return ".".join([b64url_encode(json.dumps(header).encode()), *PARTS[1:]])


def with_part(position: int, text: str) -> str:
    return ".".join([*PARTS[:position], text, *PARTS[position + 1 :]])


def number(value: int) -> str:
    return b64url_encode(value.to_bytes(32, "big"))


P384 = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
P384_JWK = {
    "kty": "EC",
    "crv": "P-384",
    "x": b64url_encode(P384.x.to_bytes(48, "big")),
    "y": b64url_encode(P384.y.to_bytes(48, "big")),
}
DUPLICATES = b64url_encode(json.dumps(HEADER).replace("{", '{"alg":"dir",', 1).encode())

REFUSED_BEFORE_DECRYPTING: list[tuple[str, str | bytes, JweReason]] = [
    ("nothing", "", JweReason.MALFORMED),
    ("three parts", ".".join(PARTS[:3]), JweReason.MALFORMED),
    ("six parts", TOKEN + ".AAAA", JweReason.MALFORMED),
    ("not ASCII", TOKEN.encode() + b"\xff", JweReason.MALFORMED),
    ("JSON serialisation", json.dumps({"protected": PARTS[0], "ciphertext": PARTS[3]}), JweReason.MALFORMED),
    ("262 kB", "a" * 262_145, JweReason.TOO_LARGE),
    ("a header of 9 kB", with_header(pad="a" * 9_000), JweReason.TOO_LARGE),
    ("no header", with_part(0, ""), JweReason.BAD_HEADER),
    ("a padded header", with_part(0, PARTS[0] + "="), JweReason.BAD_HEADER),
    ("a header that is no object", with_part(0, b64url_encode(b"[]")), JweReason.BAD_HEADER),
    ("duplicate members", with_part(0, DUPLICATES), JweReason.BAD_HEADER),
    ("a kid that is a number", with_header(kid=1), JweReason.BAD_HEADER),
    ("a kid of 4 kB", with_header(kid="k" * 4_000), JweReason.BAD_HEADER),
    ("zip", with_header(zip="DEF"), JweReason.PARAMETER_NOT_ALLOWED),
    ("p2c", with_header(p2c=2_000_000_000), JweReason.PARAMETER_NOT_ALLOWED),
    ("p2s", with_header(p2s="AAAA"), JweReason.PARAMETER_NOT_ALLOWED),
    ("b64", with_header(b64=True), JweReason.PARAMETER_NOT_ALLOWED),
    ("crit", with_header(crit=["exp"]), JweReason.CRIT_NOT_UNDERSTOOD),
    ("crit empty", with_header(crit=[]), JweReason.CRIT_NOT_UNDERSTOOD),
    *[
        (f"alg {alg}", with_header(alg=alg), JweReason.ALG_NOT_ALLOWED)
        for alg in ("dir", "none", "RSA1_5", "RSA-OAEP", "A128KW", "ECDH-ES+A128KW", "ECDH-1PU", "ecdh-es", 1)
    ],
    ("PBES2", with_header(alg="PBES2-HS512+A256KW"), JweReason.ALG_NOT_ALLOWED),
    ("no alg", with_header(alg=None), JweReason.ALG_NOT_ALLOWED),
    *[
        (f"enc {enc}", with_header(enc=enc), JweReason.ENC_NOT_ALLOWED)
        for enc in ("A192GCM", "A128CBC-HS256", "A256CBC-HS512", "a128gcm", "C20P", ["A128GCM"], {"a": 1})
    ],
    ("no enc", with_header(enc=None), JweReason.ENC_NOT_ALLOWED),
    ("no epk", with_header(epk=None), JweReason.BAD_EPHEMERAL_KEY),
    ("epk text", with_header(epk="a"), JweReason.BAD_EPHEMERAL_KEY),
    ("epk on P-384", with_header(epk=P384_JWK), JweReason.BAD_EPHEMERAL_KEY),
    ("epk P-384 called P-256", with_header(epk={**P384_JWK, "crv": "P-256"}), JweReason.BAD_EPHEMERAL_KEY),
    (
        "epk off the curve",
        with_header(epk={"kty": "EC", "crv": "P-256", "x": EPK["y"], "y": EPK["x"]}),
        JweReason.BAD_EPHEMERAL_KEY,
    ),
    (
        "epk at zero",
        with_header(epk={"kty": "EC", "crv": "P-256", "x": number(0), "y": number(0)}),
        JweReason.BAD_EPHEMERAL_KEY,
    ),
    ("epk with its secret", with_header(epk=private_jwk(STRANGER)), JweReason.BAD_EPHEMERAL_KEY),
    ("epk OKP", with_header(epk={"kty": "OKP", "crv": "X25519", "x": EPK["x"]}), JweReason.BAD_EPHEMERAL_KEY),
    ("apu number", with_header(apu=1), JweReason.BAD_PARTY_INFO),
    ("apu padded", with_header(apu="YQ=="), JweReason.BAD_PARTY_INFO),
    ("apv junk", with_header(apv="***"), JweReason.BAD_PARTY_INFO),
    ("apv of 1 kB", with_header(apv="A" * 1_024), JweReason.BAD_PARTY_INFO),
]
REFUSED_PARTS = [
    ("an encrypted key", with_part(1, "AAAA")),
    ("a padded key", with_part(1, "=")),
    ("no iv", with_part(2, "")),
    ("an iv of 16 bytes", with_part(2, b64url_encode(bytes(16)))),
    ("a padded iv", with_part(2, PARTS[2] + "=")),
    ("junk in the ciphertext", with_part(3, PARTS[3] + "*")),
    ("a newline in the ciphertext", with_part(3, PARTS[3] + "\n")),
    ("no tag", with_part(4, "")),
    ("a short tag", with_part(4, b64url_encode(bytes(12)))),
    ("a padded tag", with_part(4, PARTS[4] + "==")),
]


@pytest.mark.parametrize(
    ("token", "reason"),
    [case[1:] for case in REFUSED_BEFORE_DECRYPTING],
    ids=[case[0] for case in REFUSED_BEFORE_DECRYPTING],
)
def test_what_is_refused_before_any_cryptography(token: str | bytes, reason: JweReason):
    for read in (jwe.peek_header, lambda text: jwe.decrypt(text, RECIPIENT)):
        with pytest.raises(JweError) as refused:
            read(token)
        assert refused.value.reason is reason


def test_every_reason_has_a_case():
    assert {case[2] for case in REFUSED_BEFORE_DECRYPTING} == set(JweReason) - {JweReason.DECRYPTION_FAILED}


@pytest.mark.parametrize(
    "token", [case[1] for case in REFUSED_PARTS], ids=[case[0] for case in REFUSED_PARTS]
)
def test_parts_that_are_refused(token: str):
    with pytest.raises(JweError) as refused:
        jwe.decrypt(token, RECIPIENT)
    assert refused.value.reason is JweReason.MALFORMED


@pytest.mark.parametrize(
    "token",
    [
        with_part(4, b64url_encode(bytes(16))),
        with_part(2, b64url_encode(bytes(12))),
        with_part(3, b64url_encode(b"other")),
        with_part(3, ""),
        with_header(kid="session-2"),
        with_header(enc="A256GCM"),
        with_header(apu="YQ"),
        with_header(epk=STRANGER.public.jwk),
    ],
)
def test_a_changed_token_does_not_decrypt(token: str):
    with pytest.raises(JweError) as refused:
        jwe.decrypt(token, RECIPIENT)
    assert refused.value.reason is JweReason.DECRYPTION_FAILED


def test_another_key_does_not_decrypt():
    with pytest.raises(JweError) as refused:
        jwe.decrypt(TOKEN, STRANGER)
    assert refused.value.reason is JweReason.DECRYPTION_FAILED


@pytest.mark.parametrize("enc", jwe.ENC)
@pytest.mark.parametrize("size", [0, 1, 16, 4_096, 150_000])
def test_what_is_encrypted_is_decrypted(enc: str, size: int):
    token = jwe.encrypt(b"x" * size, RECIPIENT.public, kid="k", enc=enc, apu=b"wallet", apv=b"verifier")
    decrypted = jwe.decrypt(token.encode(), RECIPIENT)
    assert decrypted.plaintext == b"x" * size
    assert decrypted.header == jwe.peek_header(token)
    assert {"alg": "ECDH-ES", "enc": enc, "kid": "k"}.items() <= decrypted.header.items()
    assert "d" not in decrypted.header["epk"]


def test_a_header_belongs_to_whoever_read_it():
    """Headers are remembered by their text: what one reader does to one must not reach the next."""
    for read in (jwe.peek_header, lambda token: jwe.decrypt(token, RECIPIENT).header):
        header = read(TOKEN)
        header["epk"]["x"] = "changed"
        header["alg"] = "none"
    assert jwe.peek_header(TOKEN) == HEADER
    assert jwe.decrypt(TOKEN, RECIPIENT).header == HEADER


def test_every_token_has_its_own_ephemeral_key():
    tokens = [jwe.encrypt(PLAINTEXT, RECIPIENT.public, kid="k") for _ in range(5)]
    assert len({jwe.peek_header(token)["epk"]["x"] for token in tokens}) == 5


@pytest.mark.parametrize("enc", ["A192GCM", "A128CBC-HS256", "", "none"])
def test_only_two_encryptions_are_offered(enc: str):
    with pytest.raises(JweError) as refused:
        jwe.encrypt(PLAINTEXT, RECIPIENT.public, kid="k", enc=enc)
    assert refused.value.reason is JweReason.ENC_NOT_ALLOWED


def test_a_header_nobody_knows_is_ignored():
    header = {"alg": "ECDH-ES", "enc": "A128GCM", "kid": "k", "cty": "json", "x-note": {"a": [1]}}
    assert jwe.decrypt(peer_encrypt(header), RECIPIENT).header["cty"] == "json"


def peer_encrypt(header: dict[str, Any]) -> str:
    token = peer_jwe.JWE(PLAINTEXT, json.dumps(header))
    token.add_recipient(peer_jwk.JWK(**RECIPIENT.public.jwk))
    text: str = token.serialize(compact=True)
    return text


@pytest.mark.parametrize("enc", jwe.ENC)
@pytest.mark.parametrize("party", [{}, {"apu": b"wallet", "apv": b"a nonce"}])
def test_a_peer_decrypts_what_we_encrypt(enc: str, party: dict[str, bytes]):
    token = jwe.encrypt(PLAINTEXT, RECIPIENT.public, kid="k", enc=enc, **party)
    peer = peer_jwe.JWE(algs=["ECDH-ES", enc])
    peer.deserialize(token, peer_jwk.JWK(**private_jwk(RECIPIENT)))
    assert peer.payload == PLAINTEXT


@pytest.mark.parametrize("enc", jwe.ENC)
@pytest.mark.parametrize("party", [{}, {"apu": "d2FsbGV0", "apv": "YSBub25jZQ"}])
def test_we_decrypt_what_a_peer_encrypts(enc: str, party: dict[str, str]):
    token = peer_encrypt({"alg": "ECDH-ES", "enc": enc, "kid": "k", **party})
    assert jwe.decrypt(token, RECIPIENT).plaintext == PLAINTEXT


# The only valid Wycheproof vectors with our algorithms; every other valid one uses an algorithm, an
# encryption or compression that is not offered and must be refused for that, by one of these reasons.
OFFERED = {76, 78}
NOT_OFFERED = {
    JweReason.ALG_NOT_ALLOWED,
    JweReason.ENC_NOT_ALLOWED,
    JweReason.PARAMETER_NOT_ALLOWED,
}


def key_of(jwk: dict[str, Any]) -> SigningKey:
    """Return the vector's own key, or where it is of another kind any key at all."""
    if jwk.get("crv") != "P-256":
        return RECIPIENT
    secret = int.from_bytes(b64url_decode(jwk["d"]), "big")
    return SigningKey.from_private(ec.derive_private_key(secret, ec.SECP256R1()))


@pytest.mark.parametrize(("name", "count"), [("json_web_encryption", 139), ("json_web_crypto", 34)])
def test_wycheproof(name: str, count: int):
    accepted, refusals, seen = set(), {}, 0
    for group in corpora.load_json(f"wycheproof/{name}_test.json")["testGroups"]:
        for vector in (one for one in group["tests"] if "jwe" in one):
            seen += 1
            token = vector["jwe"] if isinstance(vector["jwe"], str) else json.dumps(vector["jwe"])
            try:
                plaintext = jwe.decrypt(token, key_of(group["private"])).plaintext
            except JweError as refused:
                if vector["result"] == "valid":
                    refusals[vector["tcId"]] = refused.reason
                continue
            assert vector["result"] == "valid", vector["tcId"]
            assert plaintext == bytes.fromhex(vector["pt"])
            accepted.add(vector["tcId"])
    assert accepted == (OFFERED if name == "json_web_encryption" else set())
    assert set(refusals.values()) <= NOT_OFFERED
    assert seen == count


COOKBOOK = corpora.files("jose-cookbook/jwe", "*.json")


@pytest.mark.parametrize("path", COOKBOOK, ids=lambda path: path.name)
def test_the_cookbook_offers_nothing_we_decrypt(path: Any):
    vector = json.loads(path.read_text(encoding="utf-8"))
    for name, form in vector["output"].items():
        with pytest.raises(JweError) as refused:
            jwe.decrypt(form if isinstance(form, str) else json.dumps(form), RECIPIENT)
        assert name != "compact" or refused.value.reason in NOT_OFFERED


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.characters(max_codepoint=0x17F))
def test_no_changed_character_goes_unnoticed(position: int, character: str):
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    if changed == TOKEN:
        return
    with pytest.raises(JweError):
        jwe.decrypt(changed, RECIPIENT)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200) | st.text(alphabet="eyJ.AQ-_", max_size=60))
def test_arbitrary_input_is_refused_properly(token: str | bytes):
    with pytest.raises(JweError):
        jwe.decrypt(token, RECIPIENT)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["apu", "apv", "kid", "cty", "typ", "jwk", "x5c", "iv", "tag", "x5t#S256"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=3)),
        min_size=1,
    )
)
def test_arbitrary_header_members_are_refused_properly(members: dict[str, object]):
    header = {**HEADER, **members}
    if header == HEADER:
        return
    token = ".".join([b64url_encode(json.dumps(header).encode()), *PARTS[1:]])
    with pytest.raises(JweError):
        jwe.decrypt(token, RECIPIENT)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(jwe.ENC), st.binary(max_size=64))
def test_round_trips(plaintext: bytes, enc: str, party: bytes):
    token = jwe.encrypt(plaintext, RECIPIENT.public, kid="k", enc=enc, apu=party, apv=party)
    assert jwe.decrypt(token, RECIPIENT).plaintext == plaintext
