"""Key binding (RFC 9901 §7.3): decided by policy before looking, and each fault with its own reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from passport_shared.formats import sd_jwt
from passport_shared.formats.sd_jwt_vc import CredentialRejected, KeyBindingPolicy, RejectReason
from passport_shared.formats.verdict import Check
from passport_testkit.clock import NOON
from passport_testkit.credentials import (
    ABSENT,
    AUD,
    NONCE,
    Forgery,
    authority,
    credential,
    derived_key,
    forgery,
    holder_key,
    issuer,
    policy,
    raw_jws,
    seconds,
    segment,
    verify,
)

R = RejectReason
AT = seconds(NOON)
Mutation = Callable[[Forgery], object]


def claim(name: str, value: object) -> Mutation:
    return lambda forged: forged.kb_claims.update({name: value})


def header(name: str, value: object) -> Mutation:
    def mutate(forged: Forgery) -> None:
        forged.kb_header[name] = value
        if value is ABSENT:
            del forged.kb_header[name]

    return mutate


def stranger(forged: Forgery) -> None:
    forged.holder = derived_key("test-only-stranger")


def stranger_names_its_key(forged: Forgery) -> None:
    forged.holder = derived_key("test-only-stranger")
    forged.kb_header["jwk"] = forged.holder.public.jwk


def signed_by_the_issuer(forged: Forgery) -> None:
    forged.holder = issuer().key


def unsigned(forged: Forgery) -> None:
    forged.kb_header["alg"] = "none"
    forged.sign_holder = lambda head, claims, key: f"{segment(head)}.{segment(claims)}."


def _sd_hash(of: Callable[[Forgery], str]) -> Mutation:
    def mutate(forged: Forgery) -> None:
        signed = forged.presented()
        forged.sign_issuer = lambda head, claims, key: signed.partition("~")[0]
        forged.kb_claims["sd_hash"] = sd_jwt.digest_of(of(forged))

    return mutate


def no_key_binding(forged: Forgery) -> None:
    forged.key_binding = False


BROKEN: list[tuple[str, Mutation, RejectReason, Check]] = [
    ("missing", no_key_binding, R.KEY_BINDING_MISSING, Check.HOLDER_BINDING),
    ("alg_none", unsigned, R.KEY_BINDING_ALG_NOT_ALLOWED, Check.HOLDER_BINDING),
    ("alg_hs256", header("alg", "HS256"), R.KEY_BINDING_ALG_NOT_ALLOWED, Check.HOLDER_BINDING),
    ("alg_missing", header("alg", ABSENT), R.KEY_BINDING_MALFORMED, Check.HOLDER_BINDING),
    ("typ_jwt", header("typ", "JWT"), R.KEY_BINDING_WRONG_TYP, Check.HOLDER_BINDING),
    ("typ_credential", header("typ", "dc+sd-jwt"), R.KEY_BINDING_WRONG_TYP, Check.HOLDER_BINDING),
    ("typ_proof", header("typ", "openid4vci-proof+jwt"), R.KEY_BINDING_WRONG_TYP, Check.HOLDER_BINDING),
    ("typ_missing", header("typ", ABSENT), R.KEY_BINDING_WRONG_TYP, Check.HOLDER_BINDING),
    ("crit", header("crit", ["exp"]), R.KEY_BINDING_MALFORMED, Check.HOLDER_BINDING),
    ("stranger", stranger, R.KEY_BINDING_BAD_SIGNATURE, Check.HOLDER_BINDING),
    ("key_in_header", stranger_names_its_key, R.KEY_BINDING_BAD_SIGNATURE, Check.HOLDER_BINDING),
    ("issuers_key", signed_by_the_issuer, R.KEY_BINDING_BAD_SIGNATURE, Check.HOLDER_BINDING),
    ("too_large", claim("pad", "x" * 20_000), R.KEY_BINDING_MALFORMED, Check.HOLDER_BINDING),
    ("sd_hash_missing", claim("sd_hash", ABSENT), R.KEY_BINDING_SD_HASH_MISSING, Check.HOLDER_BINDING),
    ("sd_hash_number", claim("sd_hash", 1), R.KEY_BINDING_SD_HASH_MISSING, Check.HOLDER_BINDING),
    ("sd_hash_other", claim("sd_hash", "x" * 43), R.KEY_BINDING_WRONG_SD_HASH, Check.HOLDER_BINDING),
    ("sd_hash_empty", claim("sd_hash", ""), R.KEY_BINDING_WRONG_SD_HASH, Check.HOLDER_BINDING),
    (
        "sd_hash_without_last_tilde",
        _sd_hash(lambda forged: forged.presented()[:-1]),
        R.KEY_BINDING_WRONG_SD_HASH,
        Check.HOLDER_BINDING,
    ),
    (
        "sd_hash_of_issuer_jwt",
        _sd_hash(lambda forged: forged.presented().partition("~")[0]),
        R.KEY_BINDING_WRONG_SD_HASH,
        Check.HOLDER_BINDING,
    ),
    ("nonce_missing", claim("nonce", ABSENT), R.KEY_BINDING_NONCE_MISSING, Check.NONCE),
    ("nonce_empty", claim("nonce", ""), R.KEY_BINDING_NONCE_MISSING, Check.NONCE),
    ("nonce_list", claim("nonce", [NONCE]), R.KEY_BINDING_NONCE_MISSING, Check.NONCE),
    ("nonce_null", claim("nonce", None), R.KEY_BINDING_NONCE_MISSING, Check.NONCE),
    ("nonce_other", claim("nonce", NONCE + "x"), R.KEY_BINDING_WRONG_NONCE, Check.NONCE),
    ("nonce_case", claim("nonce", NONCE.upper()), R.KEY_BINDING_WRONG_NONCE, Check.NONCE),
    ("aud_missing", claim("aud", ABSENT), R.KEY_BINDING_AUD_NOT_STRING, Check.AUDIENCE),
    ("aud_list", claim("aud", [AUD]), R.KEY_BINDING_AUD_NOT_STRING, Check.AUDIENCE),
    ("aud_null", claim("aud", None), R.KEY_BINDING_AUD_NOT_STRING, Check.AUDIENCE),
    ("aud_other", claim("aud", "x509_hash:other"), R.KEY_BINDING_WRONG_AUD, Check.AUDIENCE),
    ("aud_without_prefix", claim("aud", AUD.partition(":")[2]), R.KEY_BINDING_WRONG_AUD, Check.AUDIENCE),
    ("aud_with_more", claim("aud", AUD + "/"), R.KEY_BINDING_WRONG_AUD, Check.AUDIENCE),
    ("iat_missing", claim("iat", ABSENT), R.KEY_BINDING_IAT_MISSING, Check.FRESHNESS),
    ("iat_text", claim("iat", str(AT)), R.KEY_BINDING_IAT_MALFORMED, Check.FRESHNESS),
    ("iat_bool", claim("iat", True), R.KEY_BINDING_IAT_MALFORMED, Check.FRESHNESS),
    ("iat_null", claim("iat", None), R.KEY_BINDING_IAT_MALFORMED, Check.FRESHNESS),
    ("iat_fraction_too_old", claim("iat", AT - 300.5), R.KEY_BINDING_TOO_OLD, Check.FRESHNESS),
    ("iat_fraction_ahead", claim("iat", AT + 60.5), R.KEY_BINDING_IN_FUTURE, Check.FRESHNESS),
    ("iat_negative", claim("iat", -1), R.KEY_BINDING_IAT_MALFORMED, Check.FRESHNESS),
    ("iat_huge", claim("iat", 2**60), R.KEY_BINDING_IAT_MALFORMED, Check.FRESHNESS),
    ("iat_too_old", claim("iat", AT - 301), R.KEY_BINDING_TOO_OLD, Check.FRESHNESS),
    ("iat_in_future", claim("iat", AT + 61), R.KEY_BINDING_IN_FUTURE, Check.FRESHNESS),
    ("exp_passed", claim("exp", AT - 60), R.KEY_BINDING_EXPIRED, Check.FRESHNESS),
    ("exp_text", claim("exp", "later"), R.KEY_BINDING_TIMES_MALFORMED, Check.FRESHNESS),
    ("nbf_ahead", claim("nbf", AT + 61), R.KEY_BINDING_NOT_YET_VALID, Check.FRESHNESS),
    ("nbf_list", claim("nbf", [AT]), R.KEY_BINDING_TIMES_MALFORMED, Check.FRESHNESS),
]


def reject(token: str, wanted: KeyBindingPolicy | None) -> CredentialRejected:
    with pytest.raises(CredentialRejected) as caught:
        verify(token, key_binding=wanted)
    return caught.value


@pytest.mark.parametrize(
    ("mutate", "reason", "check"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_a_broken_rule_is_refused_for_its_own_reason(
    mutate: Mutation, reason: RejectReason, check: Check
) -> None:
    forged = forgery()
    mutate(forged)
    rejected = reject(forged.token(), policy())
    assert (rejected.reason, rejected.check) == (reason, check)


def test_a_key_binding_nobody_asked_for_is_refused() -> None:
    assert reject(forgery().token(), None).reason is R.KEY_BINDING_UNEXPECTED


def test_every_reason_of_key_binding_has_a_case() -> None:
    expected = {reason for reason in RejectReason if reason.value.startswith("key_binding")}
    assert expected == {case[2] for case in BROKEN} | {R.KEY_BINDING_UNEXPECTED}


@pytest.mark.parametrize(
    "mutate",
    [
        claim("iat", AT - 300),
        claim("iat", AT + 60),
        claim("exp", AT - 59),
        claim("nbf", AT + 60),
        claim("jti", "x"),
        header("kid", "x"),
        header("cty", "x"),
    ],
    ids=lambda mutate: None,
)
def test_what_the_rules_allow_is_accepted(mutate: Mutation) -> None:
    forged = forgery()
    mutate(forged)
    assert verify(forged.token())


def _bound() -> tuple[list[str], str]:
    """The parts of a right presentation, and its key binding."""
    presented, _, key_binding = forgery().token().rpartition("~")
    return presented.split("~"), key_binding


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts[:-1],
        lambda parts: [parts[0], *parts[2:]],
        lambda parts: [parts[0], *reversed(parts[1:])],
        lambda parts: [parts[0], parts[2], parts[1], *parts[3:]],
    ],
    ids=["last_removed", "first_removed", "reversed", "two_swapped"],
)
def test_disclosures_may_not_change_after_signing(change: Callable[[list[str]], list[str]]) -> None:
    parts, key_binding = _bound()
    token = "~".join([*change(parts), key_binding])
    with pytest.raises(CredentialRejected):
        verify(token)


def test_a_disclosure_may_not_be_added_after_signing() -> None:
    token = credential()
    presented = sd_jwt.present(token, [("family_name",)])
    bound = sd_jwt.add_key_binding(presented, holder_key(), aud=AUD, nonce=NONCE, iat=NOON)
    more = sd_jwt.present(token, [("family_name",), ("birthdate",)])
    assert reject(more + bound.rpartition("~")[2], policy()).reason is R.KEY_BINDING_WRONG_SD_HASH


def test_a_key_binding_of_another_credential_of_the_same_holder_is_refused() -> None:
    one, other = forgery(), forgery(status={"status_list": {"idx": 1, "uri": "https://issuer.example/s"}})
    key_binding = one.token().rpartition("~")[2]
    assert reject(other.presented() + key_binding, policy()).reason is R.KEY_BINDING_WRONG_SD_HASH


def test_a_credential_of_somebody_else_is_refused() -> None:
    forged = forgery(cnf={"jwk": derived_key("test-only-somebody-else").public.jwk})
    assert reject(forged.token(), policy()).reason is R.KEY_BINDING_BAD_SIGNATURE


def test_two_key_bindings_are_refused() -> None:
    token = forgery().token()
    key_binding = token.rpartition("~")[2]
    rejected = reject(f"{token}~{key_binding}", policy())
    assert rejected.reason is R.DISCLOSURE_NOT_BASE64URL


def test_a_key_binding_must_be_a_token_of_its_own_kind_not_another_of_the_holder() -> None:
    proof = raw_jws(
        {"alg": "ES256", "typ": "openid4vci-proof+jwt"}, {"aud": AUD, "nonce": NONCE, "iat": AT}, holder_key()
    )
    assert reject(forgery().presented() + proof, policy()).reason is R.KEY_BINDING_WRONG_TYP


def test_the_window_of_freshness_is_the_policys() -> None:
    token = forgery().token()
    assert verify(token, key_binding=policy(now=NOON + timedelta(seconds=300)))
    late = policy(now=NOON + timedelta(seconds=301))
    assert reject(token, late).reason is R.KEY_BINDING_TOO_OLD
    assert verify(token, key_binding=policy(now=NOON + timedelta(seconds=301), max_age=timedelta(hours=1)))


@pytest.mark.parametrize("empty", [{"aud": ""}, {"nonce": ""}])
def test_a_policy_without_audience_or_nonce_cannot_be_made(empty: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="audience and a nonce"):
        policy(**empty)


def test_the_refusal_comes_after_the_issuers_signature() -> None:
    """A wrong key binding on a forged credential says that the credential is forged."""
    forged = forgery()
    forged.issuer_key = derived_key("test-only-stranger")
    forged.kb_claims["nonce"] = "other"
    assert reject(forged.token(), policy()).reason is R.BAD_ISSUER_SIGNATURE
    assert authority().roots
