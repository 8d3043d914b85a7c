"""Public vectors for signatures and keys: Wycheproof and the JOSE cookbook (RFC 7520, 7797, 8037).

Invalid vectors must be refused without exception. Valid ones must be accepted, but for those named below.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from passport_shared.formats import jose
from passport_shared.formats.jose import JoseError, JoseReason, PublicKey
from passport_testkit import corpora

RSA = "RSA signatures are not offered"
HMAC = "symmetric keys are not offered, and a key with a secret member is no public key"
P521 = "P-521 is not offered (and these keys are labelled ES521)"
BASE64 = "characters outside the alphabet are never skipped (RFC 7515 §2), whatever the vector hopes"
JWE = "judged with the encrypted tokens"

# Vectors marked valid that we refuse, by file and number, with the reason.
ACCEPTED_DIFFERENCES: dict[str, dict[int, str]] = {
    "json_web_signature": {
        **dict.fromkeys([1, 348, 352, 357, 358, 359, 376, 377], HMAC),
        **dict.fromkeys([33, *range(259, 276), 287, 288, *range(320, 324), *range(325, 329)], RSA),
        **dict.fromkeys([345, 346, 349, 350], RSA),
        **dict.fromkeys([347, 351], P521),
        **dict.fromkeys([372, 373], BASE64),
    },
    "json_web_key": {**dict.fromkeys([2, 13, 14, 15], HMAC), 5: RSA},
    "json_web_crypto": {**dict.fromkeys([1, 48], HMAC), 33: RSA, **dict.fromkeys([50, 67], JWE)},
}
COUNTS = {"json_web_signature": 401, "json_web_key": 26, "json_web_crypto": 83}
MUST_BE_ACCEPTED = {"json_web_signature": {18, 378}, "json_web_key": set(), "json_web_crypto": {18}}


def judge(group: dict[str, Any], vector: dict[str, Any]) -> JoseReason | None:
    """Return None if accepted. Several layers look at a token; the first to object gives the reason."""
    text = vector["jws"] if isinstance(vector["jws"], str) else json.dumps(vector["jws"])
    given = group.get("public") or group["private"]
    try:
        token = jose.split(text)
        public = jose.choose_key(token.header, given) if "keys" in given else PublicKey.from_jwk(given)
        jose.check_signature(token, public)
    except JoseError as refused:
        return refused.reason
    return None


@pytest.mark.parametrize("name", list(COUNTS))
def test_wycheproof(name: str):
    groups = corpora.load_json(f"wycheproof/{name}_test.json")["testGroups"]
    differences: set[int] = set()
    accepted: set[int] = set()
    seen, wrongly_accepted = 0, []
    for group in groups:
        for vector in group["tests"]:
            seen += 1
            reason = judge(group, vector) if "jws" in vector else JoseReason.ALG_NOT_ALLOWED
            if vector["result"] == "invalid" and reason is None:
                wrongly_accepted.append(vector["tcId"])
            elif vector["result"] == "valid":
                (accepted if reason is None else differences).add(vector["tcId"])
    assert wrongly_accepted == []
    assert differences == set(ACCEPTED_DIFFERENCES[name])
    assert accepted == MUST_BE_ACCEPTED[name]
    assert seen == COUNTS[name]


def test_wycheproof_es256_is_refused_for_its_own_faults():
    """The forged tokens of the ES256 groups come with an ES256 key: it is not the algorithm that saves us."""
    reasons: dict[int, JoseReason | None] = {}
    for group in corpora.load_json("wycheproof/json_web_signature_test.json")["testGroups"]:
        public = group.get("public", {})
        if public.get("crv") == "P-256" and public.get("alg") == "ES256":
            reasons |= {v["tcId"]: judge(group, v) for v in group["tests"] if v["result"] == "invalid"}
    assert len(reasons) >= 14
    assert None not in reasons.values()
    assert {JoseReason.BAD_SIGNATURE, JoseReason.MALFORMED} <= set(reasons.values())


def test_wycheproof_raw_ecdsa():
    seen = 0
    for group in corpora.load_json("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json")["testGroups"]:
        public = PublicKey.from_spki_der(bytes.fromhex(group["publicKeyDer"]))
        if "publicKeyJwk" in group:
            assert PublicKey.from_jwk(group["publicKeyJwk"]) == public
        for vector in group["tests"]:
            verifies = public.verifies(bytes.fromhex(vector["msg"]), bytes.fromhex(vector["sig"]))
            assert verifies == (vector["result"] == "valid"), vector["tcId"]
            seen += 1
    assert seen == 262


COOKBOOK = corpora.files("jose-cookbook", "*.json")


def tokens_of(vector: dict[str, Any]) -> list[str]:
    """Return every serialisation in a cookbook file as text, compact or JSON."""
    parts = [vector[name] for name in ("output", "sign", "encrypt") if name in vector]
    parts += [part["output"] for part in parts if "output" in part]
    found = [part[form] for part in parts for form in ("compact", "json", "json_flat") if form in part]
    return [form if isinstance(form, str) else json.dumps(form) for form in found]


@pytest.mark.parametrize("path", COOKBOOK, ids=lambda path: path.name)
def test_the_cookbook_offers_no_es256_and_all_of_it_is_refused(path: Any):
    vector = json.loads(path.read_text(encoding="utf-8"))
    key = jose.SigningKey.generate().public
    if "kty" in vector:
        with pytest.raises(JoseError) as refused:
            PublicKey.from_jwk(vector)
        assert refused.value.reason is JoseReason.BAD_KEY
        return
    tokens = tokens_of(vector)
    assert tokens
    for token in tokens:
        with pytest.raises(JoseError):
            jose.check_signature(jose.split(token), key)
    given = vector.get("input", {}).get("key")
    for jwk in given if isinstance(given, list) else [given] if given else []:
        with pytest.raises(JoseError):
            PublicKey.from_jwk(jwk)


def test_the_whole_cookbook_was_there():
    if not COOKBOOK:
        corpora.path("jose-cookbook")
    assert len(COOKBOOK) == 32
