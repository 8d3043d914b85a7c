"""Every row of our SD-JWT VC checklist broken once (draft -19, our profile), each with its own reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from passport_shared.formats import jose, sd_jwt, sd_jwt_vc
from passport_shared.formats.sd_jwt_vc import CredentialRejected, RejectReason, issue_credential
from passport_shared.formats.strict import b64url_decode, b64url_encode
from passport_shared.formats.verdict import Check
from passport_testkit.certificates import Authority, LeafSpec, self_signed_leaf
from passport_testkit.clock import NOON
from passport_testkit.credentials import (
    ABSENT,
    DISCLOSABLE,
    STATUS_URI,
    VCT,
    Forgery,
    authority,
    credential,
    derived_key,
    forgery,
    holder_key,
    issuer,
    seconds,
    segment,
    staff_claims,
    verify,
    without,
)

R = RejectReason
SALT = "2GLC42sKQveCfGfryNRN9w"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Mutation = Callable[[Forgery], object]


def payload(name: str, value: object) -> Mutation:
    def mutate(forged: Forgery) -> None:
        if value is ABSENT:
            forged.payload.pop(name)
        else:
            forged.payload[name] = value

    return mutate


def header(name: str, value: object) -> Mutation:
    def mutate(forged: Forgery) -> None:
        if value is ABSENT:
            forged.header.pop(name)
        else:
            forged.header[name] = value

    return mutate


def hidden(name: str, value: object | None = None) -> Mutation:
    """Move a registered claim from the payload into a disclosure."""

    def mutate(forged: Forgery) -> None:
        plain = forged.payload.pop(name, value)
        forged.plant([SALT, name, plain if value is None else value])

    return mutate


def inside(*path: str) -> Mutation:
    """Move a member of a registered claim into a disclosure."""

    def mutate(forged: Forgery) -> None:
        node = forged.payload
        for step in path[:-1]:
            node = node[step]
        node["_sd"] = [forged.add([SALT, path[-1], node.pop(path[-1])])]

    return mutate


def withheld(name: str) -> Mutation:
    """Hide a claim and do not show its disclosure."""

    def mutate(forged: Forgery) -> None:
        hidden(name)(forged)
        forged.disclosures.pop()

    return mutate


def empty_sd_in_cnf(forged: Forgery) -> None:
    forged.payload["cnf"]["_sd"] = ["decoy"]


def placeholder_in_aka_vcts(forged: Forgery) -> None:
    forged.payload["aka_vcts"] = ["https://other.example/vct", {"...": "decoy"}]


def _jwk(**changes: object) -> Mutation:
    def mutate(forged: Forgery) -> None:
        jwk = {**forged.payload["cnf"]["jwk"], **changes}
        forged.payload["cnf"] = {"jwk": {name: value for name, value in jwk.items() if value is not ABSENT}}

    return mutate


def _signature(change: Callable[[bytes], bytes]) -> Mutation:
    def mutate(forged: Forgery) -> None:
        sign = forged.sign_issuer

        def spoilt(head: object, claims: object, key: Any) -> str:
            signing_input, _, signature = sign(head, claims, key).rpartition(".")
            return f"{signing_input}.{b64url_encode(change(b64url_decode(signature)))}"

        forged.sign_issuer = spoilt

    return mutate


def _no_signature(forged: Forgery) -> None:
    forged.header["alg"] = "none"
    forged.sign_issuer = lambda head, claims, key: f"{segment(head)}.{segment(claims)}."


def other_key(forged: Forgery) -> None:
    forged.issuer_key = derived_key("test-only-stranger")


def other_organisations_key_and_chain(forged: Forgery) -> None:
    other = authority().leaf(
        derived_key("test-only-other-trust"), entity_id="https://issuer.example/R0A", ods_code="R0A"
    )
    forged.issuer_key, forged.header["x5c"] = other.key, other.x5c


def own_authority(forged: Forgery) -> None:
    stranger = Authority.create().leaf(derived_key("test-only-stranger"))
    forged.issuer_key, forged.header["x5c"] = stranger.key, stranger.x5c


def self_signed(forged: Forgery) -> None:
    der = self_signed_leaf(forged.issuer_key, LeafSpec())
    forged.header["x5c"] = [authority().x5c(der)[0], forged.header["x5c"][1]]


def anchor_in_chain(forged: Forgery) -> None:
    forged.header["x5c"] = [*forged.header["x5c"], authority().x5c(authority().root_der)[0]]


def expired_leaf(forged: Forgery) -> None:
    old = authority().leaf(forged.issuer_key, not_after=NOON - timedelta(hours=2))
    forged.header["x5c"] = old.x5c


def key_from_header(forged: Forgery) -> None:
    stranger = derived_key("test-only-stranger")
    forged.issuer_key = stranger
    forged.header["jwk"] = stranger.public.jwk


AT = seconds(NOON)
TYPS = ("vc+sd-jwt", "JWT", "at+jwt", "kb+jwt", "statuslist+jwt", "entity-statement+jwt", "DC+SD-JWT")
MALFORMED_DATES: tuple[object, ...] = ("1", None, True, [], 1.5, -1, 2**60, 1e300, {})
LOOK_ALIKES = (
    "https://issuer.example/rbv",
    "https://issuer.example/RBV/",
    "https://issuer.example:443/RBV",
    "https://ISSUER.example/RBV",
    "http://issuer.example/RBV",
    "https://issuer.example/RBV?",
    "https://issuer.example/RBV#",
    "https://issuer.example//RBV",
    "https://issuer.example/./RBV",
    "https://issuer.example/%52BV",
    "https://issuer.example.evil.example/RBV",
    "https://issuer.example@evil.example/RBV",
    "https://issuer.example/RBV ",
    " https://issuer.example/RBV",
    "https://іssuer.example/RBV",  # Cyrillic і
    "https://issuer.example/RBV\u200b",
)

BROKEN: list[tuple[str, Mutation, RejectReason, Check]] = [
    # RFC 9901 row 1 and 2: algorithm, type, chain, signature
    ("alg_none", _no_signature, R.ALG_NOT_ALLOWED, Check.ALGORITHM),
    *[
        (f"alg_{alg or 'blank'}", header("alg", alg), R.ALG_NOT_ALLOWED, Check.ALGORITHM)
        for alg in ("none", "None", "NONE", "", "HS256", "RS256", "ES384", "ES256K", "EdDSA", "es256")
    ],
    ("alg_missing", header("alg", ABSENT), R.ISSUER_JWT_MALFORMED, Check.STRUCTURE),
    ("alg_list", header("alg", ["ES256"]), R.ISSUER_JWT_MALFORMED, Check.STRUCTURE),
    *[(f"typ_{typ}", header("typ", typ), R.WRONG_TYP, Check.TYPE) for typ in TYPS],
    ("typ_media_type", header("typ", "application/dc+sd-jwt"), R.WRONG_TYP, Check.TYPE),
    ("typ_missing", header("typ", ABSENT), R.WRONG_TYP, Check.TYPE),
    ("typ_list", header("typ", ["dc+sd-jwt"]), R.ISSUER_JWT_MALFORMED, Check.STRUCTURE),
    ("chain_missing", header("x5c", ABSENT), R.CHAIN_MISSING, Check.TRUST),
    ("chain_null", header("x5c", None), R.CHAIN_MISSING, Check.TRUST),
    ("chain_empty", header("x5c", []), R.CHAIN_UNTRUSTED, Check.TRUST),
    ("chain_string", header("x5c", "AAAA"), R.CHAIN_UNTRUSTED, Check.TRUST),
    ("chain_object", header("x5c", {"0": "AAAA"}), R.CHAIN_UNTRUSTED, Check.TRUST),
    ("chain_of_numbers", header("x5c", [1, 2]), R.CHAIN_UNTRUSTED, Check.TRUST),
    ("chain_of_lists", header("x5c", [[], []]), R.CHAIN_UNTRUSTED, Check.TRUST),
    ("chain_rubbish", header("x5c", ["AAAA", "BBBB"]), R.CHAIN_UNTRUSTED, Check.TRUST),
    ("chain_of_a_stranger", own_authority, R.CHAIN_UNTRUSTED, Check.TRUST),
    ("chain_self_signed", self_signed, R.CHAIN_UNTRUSTED, Check.TRUST),
    ("chain_with_anchor", anchor_in_chain, R.CHAIN_UNTRUSTED, Check.TRUST),
    ("chain_expired", expired_leaf, R.CHAIN_UNTRUSTED, Check.TRUST),
    ("key_of_a_stranger", other_key, R.BAD_ISSUER_SIGNATURE, Check.ISSUER_SIGNATURE),
    ("key_from_header", key_from_header, R.BAD_ISSUER_SIGNATURE, Check.ISSUER_SIGNATURE),
    ("key_of_another_trust", other_organisations_key_and_chain, R.ISS_NOT_SIGNER, Check.TRUST),
    *[
        (f"signature_{name}", _signature(change), R.BAD_ISSUER_SIGNATURE, Check.ISSUER_SIGNATURE)
        for name, change in [
            ("flipped", lambda raw: bytes([raw[0] ^ 1]) + raw[1:]),
            ("zero", lambda raw: bytes(64)),
            ("r_zero", lambda raw: bytes(32) + raw[32:]),
            ("s_zero", lambda raw: raw[:32] + bytes(32)),
            ("r_order", lambda raw: ORDER.to_bytes(32, "big") + raw[32:]),
            ("s_order", lambda raw: raw[:32] + ORDER.to_bytes(32, "big")),
            ("swapped", lambda raw: raw[32:] + raw[:32]),
            ("short", lambda raw: raw[:63]),
            ("long", lambda raw: raw + b"\0"),
            ("very_long", lambda raw: raw * 200),
        ]
    ],
    # registered claims never in disclosures, nor anything inside them
    *[
        (f"hidden_{name}", hidden(name), R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE)
        for name in ("iss", "iat", "exp", "cnf", "vct", "status")
    ],
    ("hidden_nbf", hidden("nbf", AT), R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE),
    (
        "hidden_vct_integrity",
        hidden("vct#integrity", "sha256-x"),
        R.REGISTERED_CLAIM_DISCLOSED,
        Check.STRUCTURE,
    ),
    ("hidden_aka_vcts", hidden("aka_vcts", ["x"]), R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE),
    ("hidden_cnf_jwk", inside("cnf", "jwk"), R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE),
    ("hidden_cnf_jwk_x", inside("cnf", "jwk", "x"), R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE),
    ("hidden_status_list", inside("status", "status_list"), R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE),
    ("hidden_idx", inside("status", "status_list", "idx"), R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE),
    ("hidden_uri", inside("status", "status_list", "uri"), R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE),
    ("decoy_in_cnf", empty_sd_in_cnf, R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE),
    ("decoy_in_aka_vcts", placeholder_in_aka_vcts, R.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE),
    # row 17: a required claim may not hide in a withheld disclosure
    ("withheld_exp", withheld("exp"), R.EXP_MISSING, Check.VALIDITY),
    ("withheld_iat", withheld("iat"), R.IAT_MISSING, Check.VALIDITY),
    ("withheld_status", withheld("status"), R.STATUS_MISSING, Check.STATUS),
    ("withheld_cnf", withheld("cnf"), R.CNF_MISSING, Check.HOLDER_BINDING),
    # vct
    ("vct_missing", payload("vct", ABSENT), R.VCT_MISSING, Check.VCT),
    ("vct_empty", payload("vct", ""), R.VCT_MALFORMED, Check.VCT),
    ("vct_list", payload("vct", [VCT]), R.VCT_MALFORMED, Check.VCT),
    ("vct_null", payload("vct", None), R.VCT_MALFORMED, Check.VCT),
    ("vct_huge", payload("vct", VCT + "x" * 3_000), R.VCT_MALFORMED, Check.VCT),
    ("vct_other", payload("vct", VCT.replace("/1", "/2")), R.VCT_NOT_EXPECTED, Check.VCT),
    ("vct_other_case", payload("vct", VCT.replace("StaffI", "staffI")), R.VCT_NOT_EXPECTED, Check.VCT),
    ("vct_prefix", payload("vct", VCT + "/"), R.VCT_NOT_EXPECTED, Check.VCT),
    ("vct_integrity_number", payload("vct#integrity", 1), R.VCT_INTEGRITY_MALFORMED, Check.VCT),
    ("vct_integrity_unknown", payload("vct#integrity", "md5-x"), R.VCT_INTEGRITY_MALFORMED, Check.VCT),
    ("aka_vcts_string", payload("aka_vcts", "x"), R.AKA_VCTS_MALFORMED, Check.VCT),
    ("aka_vcts_null", payload("aka_vcts", None), R.AKA_VCTS_MALFORMED, Check.VCT),
    ("aka_vcts_empty", payload("aka_vcts", []), R.AKA_VCTS_MALFORMED, Check.VCT),
    ("aka_vcts_number", payload("aka_vcts", ["x", 1]), R.AKA_VCTS_MALFORMED, Check.VCT),
    ("aka_vcts_holds_vct", payload("aka_vcts", ["x", VCT]), R.AKA_VCTS_MALFORMED, Check.VCT),
    ("aka_vcts_many", payload("aka_vcts", ["x"] * 33), R.AKA_VCTS_MALFORMED, Check.VCT),
    # the signer
    ("iss_missing", payload("iss", ABSENT), R.ISS_MISSING, Check.TRUST),
    ("iss_list", payload("iss", ["https://issuer.example/RBV"]), R.ISS_MISSING, Check.TRUST),
    *[(f"iss_{iss!a}", payload("iss", iss), R.ISS_NOT_SIGNER, Check.TRUST) for iss in LOOK_ALIKES],
    # validity
    ("iat_missing", payload("iat", ABSENT), R.IAT_MISSING, Check.VALIDITY),
    ("iat_future", payload("iat", AT + 61), R.ISSUED_IN_FUTURE, Check.VALIDITY),
    ("exp_missing", payload("exp", ABSENT), R.EXP_MISSING, Check.VALIDITY),
    ("exp_passed", payload("exp", AT - 60), R.EXPIRED, Check.VALIDITY),
    ("nbf_ahead", payload("nbf", AT + 61), R.NOT_YET_VALID, Check.VALIDITY),
    *[
        (f"{name}_{value!r}", payload(name, value), reason, Check.VALIDITY)
        for name, reason in (
            ("iat", R.IAT_MALFORMED),
            ("exp", R.EXP_MALFORMED),
            ("nbf", R.NBF_MALFORMED),
        )
        for value in MALFORMED_DATES
    ],
    # status
    ("status_missing", payload("status", ABSENT), R.STATUS_MISSING, Check.STATUS),
    ("status_null", payload("status", None), R.STATUS_MISSING, Check.STATUS),
    *[
        (f"status_{number}", payload("status", value), R.STATUS_MALFORMED, Check.STATUS)
        for number, value in enumerate(
            [
                "x",
                {},
                {"status_list": []},
                *[
                    {"status_list": {"idx": idx, "uri": STATUS_URI}}
                    for idx in (-1, "1", 1.0, True, None, 2**60)
                ],
                {"status_list": {"uri": STATUS_URI}},
                {"status_list": {"idx": 1}},
                {"status_list": {"idx": 1, "uri": STATUS_URI.replace("https", "http")}},
                {"status_list": {"idx": 1, "uri": [STATUS_URI]}},
            ]
        )
    ],
    # holder's key
    ("cnf_missing", payload("cnf", ABSENT), R.CNF_MISSING, Check.HOLDER_BINDING),
    *[
        (f"cnf_{number}", payload("cnf", value), R.CNF_MALFORMED, Check.HOLDER_BINDING)
        for number, value in enumerate(
            ["x", {}, {"kid": "x"}, {"jwk": "x"}, {"jwk": {}}, {"jkt": "x"}, {"jku": "https://x.example"}]
        )
    ],
    ("cnf_private_key", _jwk(d="AAAA"), R.CNF_MALFORMED, Check.HOLDER_BINDING),
    ("cnf_off_curve", _jwk(x=b64url_encode(bytes(31) + b"\1")), R.CNF_MALFORMED, Check.HOLDER_BINDING),
    (
        "cnf_point_zero",
        _jwk(x=segment(bytes(32)), y=segment(bytes(32))),
        R.CNF_MALFORMED,
        Check.HOLDER_BINDING,
    ),
    ("cnf_without_y", _jwk(y=ABSENT), R.CNF_MALFORMED, Check.HOLDER_BINDING),
    ("cnf_other_curve", _jwk(crv="P-384"), R.CNF_MALFORMED, Check.HOLDER_BINDING),
    ("cnf_for_encryption", _jwk(use="enc"), R.CNF_MALFORMED, Check.HOLDER_BINDING),
]


def reject(token: str | bytes, **changes: Any) -> CredentialRejected:
    with pytest.raises(CredentialRejected) as caught:
        verify(token, **changes)
    return caught.value


@pytest.mark.parametrize(
    ("mutate", "reason", "check"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_a_broken_rule_is_refused_for_its_own_reason(
    mutate: Mutation, reason: RejectReason, check: Check
) -> None:
    forged = forgery()
    mutate(forged)
    rejected = reject(forged.token())
    assert (rejected.reason, rejected.check) == (reason, check)


def test_every_reason_outside_structure_and_key_binding_has_a_case() -> None:
    structural = {reason.value for reason in sd_jwt.SdJwtReason}
    expected = {
        reason
        for reason in RejectReason
        if reason.value not in structural and not reason.value.startswith("key_binding")
    }
    tested = {case[2] for case in BROKEN}
    assert expected <= tested


@pytest.mark.parametrize(
    "mutate",
    [
        payload("exp", AT - 59),
        payload("iat", AT + 60),
        payload("nbf", AT + 60),
        payload("exp", float(AT + 1_000)),
        payload("exp", 2**53),
        payload("aka_vcts", ["https://other.example/vct"]),
        payload("vct#integrity", "sha256-" + "A" * 43 + "="),
        payload("vct#integrity", "md5-x sha512-" + "A" * 86 + "==?ct=application/json"),
        payload("aud", "https://somebody.example"),
        payload("unknown", {"x": [1]}),
        header("kid", "a/../b"),
        header("jku", "https://attacker.example/keys"),
        header("vctm", ["AAAA"]),
        _jwk(kid="k", use="sig", alg="ES256"),
    ],
    ids=lambda mutate: None,
)
def test_what_the_rules_allow_is_accepted(mutate: Mutation) -> None:
    forged = forgery()
    mutate(forged)
    assert verify(forged.token()).vct == VCT


def test_a_verified_credential_says_what_was_proven() -> None:
    presented = sd_jwt.present(credential(), [("family_name",), ("skills", "FS"), ("languages", 1)])
    forged = forgery()
    bound = sd_jwt.add_key_binding(
        presented, holder_key(), aud=forged.kb_claims["aud"], nonce=forged.kb_claims["nonce"], iat=NOON
    )
    verified = verify(bound)
    assert verified.vct == VCT
    assert verified.aka_vcts == ()
    assert verified.iss == verified.leaf.san_uri == "https://issuer.example/RBV"
    assert verified.leaf.ods_code == "RBV"
    assert (verified.iat, verified.exp, verified.nbf) == (
        NOON - timedelta(hours=1),
        NOON + timedelta(days=90),
        None,
    )
    assert verified.holder == holder_key().public
    assert verified.cnf_jwk == holder_key().public.jwk
    assert verified.holder_thumbprint == holder_key().kid
    assert (verified.status.idx, verified.status.uri) == (4711, STATUS_URI)
    assert verified.disclosed_paths == {("family_name",), ("skills", "FS"), ("languages", 0)}
    assert verified.claims["languages"] == ["cy", "pl"]
    assert verified.claims["skills"] == {"FS": {"completed": "2026-02-01"}}
    assert "birthdate" not in verified.claims
    issuer_jwt = bound.partition("~")[0]
    assert verified.issuer_jwt_sha256 == hashlib.sha256(issuer_jwt.encode()).hexdigest()
    assert list(verified.x5c) == issuer().x5c


def test_personal_data_is_not_in_the_text_of_a_verified_credential() -> None:
    assert "Dovecote" not in repr(verify(forgery().token()))


def test_a_type_known_as_another_grants_nothing() -> None:
    forged = forgery()
    forged.payload["vct"] = "https://registry.example/vct/Other/1"
    forged.payload["aka_vcts"] = [VCT]
    assert reject(forged.token()).reason is R.VCT_NOT_EXPECTED


def test_any_type_is_accepted_where_none_is_expected_and_none_where_the_set_is_empty() -> None:
    token = forgery().token()
    assert verify(token, expected_vcts=None).vct == VCT
    assert reject(token, expected_vcts=[]).reason is R.VCT_NOT_EXPECTED


def test_the_chain_is_judged_at_the_time_given_though_it_was_seen_before() -> None:
    token = forgery().token()
    verify(token)
    late = NOON + timedelta(days=9_000)
    rejected = reject(token, at=late)
    assert (rejected.reason, rejected.detail) == (R.CHAIN_UNTRUSTED, "expired")
    assert reject(token, roots=[]).reason is R.CHAIN_UNTRUSTED
    assert reject(token, roots=Authority.create().roots).reason is R.CHAIN_UNTRUSTED
    verify(token)


def test_a_credential_expires_while_its_chain_lives() -> None:
    token = credential()
    late = NOON + timedelta(days=90, seconds=60)
    assert reject(token, at=late, key_binding=None).reason is R.EXPIRED
    assert verify(token, at=late - timedelta(seconds=1), key_binding=None).exp < late


def test_bytes_and_text_are_read_alike() -> None:
    token = forgery().token()
    assert verify(token.encode()) == verify(token)


# the wallet


def test_a_wallet_inspects_what_the_issuer_sent() -> None:
    inspected = sd_jwt_vc.inspect(credential(), roots=authority().roots, at=NOON)
    assert inspected.claims == staff_claims()
    assert inspected.holder_thumbprint == holder_key().kid


def test_a_wallet_refuses_a_credential_that_carries_a_key_binding() -> None:
    with pytest.raises(CredentialRejected) as caught:
        sd_jwt_vc.inspect(forgery().token(), roots=authority().roots, at=NOON)
    assert caught.value.reason is R.KEY_BINDING_UNEXPECTED


# the issuer


@pytest.mark.parametrize(
    "change",
    [
        {"sub": "person"},
        {"jti": "1"},
        *[{name: ABSENT} for name in ("vct", "iss", "iat", "exp", "cnf", "status")],
        {"vct": ""},
        {"vct#integrity": "x"},
        {"aka_vcts": [VCT]},
        {"iss": 1},
        {"iss": "https://issuer.example/R0A"},
        {"iat": "now"},
        {"exp": AT - 3_600},
        {"nbf": True},
        {"status": {"status_list": {"idx": -1, "uri": STATUS_URI}}},
        {"cnf": {"jwk": {"kty": "EC"}}},
        {"cnf": {"jwk": {**holder_key().public.jwk, "d": "AAAA"}}},
    ],
    ids=",".join,
)
def test_an_issuer_signs_nothing_a_verifier_would_refuse(change: dict[str, Any]) -> None:
    claims = {name: value for name, value in staff_claims(**change).items() if value is not ABSENT}
    with pytest.raises(ValueError, match=r"refused|link presentations|exp must|not the entity"):
        issue_credential(claims, [], issuer().key, issuer().x5c)


def test_an_issuer_refuses_a_key_its_chain_does_not_certify() -> None:
    with pytest.raises(ValueError, match="certified"):
        issue_credential(staff_claims(), [], derived_key("test-only-stranger"), issuer().x5c)


def test_an_issuer_refuses_a_chain_for_another_kind_of_key() -> None:
    public = rsa.generate_private_key(public_exponent=65_537, key_size=2_048).public_key()
    leaf = authority().leaf_for(issuer().key, public, LeafSpec())
    with pytest.raises(ValueError, match="no key on P-256"):
        issue_credential(staff_claims(), [], leaf.key, leaf.x5c)


def test_a_credential_has_only_the_header_it_needs() -> None:
    parsed = sd_jwt.parse(credential())
    assert parsed.issuer_jwt.header == {"alg": "ES256", "typ": "dc+sd-jwt", "x5c": issuer().x5c}
    assert parsed.key_binding is None


def test_optional_claims_of_a_type_may_be_absent() -> None:
    claims = without(staff_claims(), "email", "address")
    token = issue_credential(claims, DISCLOSABLE, issuer().key, issuer().x5c, missing_ok=True)
    assert sd_jwt_vc.inspect(token, roots=authority().roots, at=NOON).claims == claims
    with pytest.raises(sd_jwt.SdJwtError):
        issue_credential(claims, DISCLOSABLE, issuer().key, issuer().x5c)


def test_a_credential_without_hidden_claims_is_verified() -> None:
    token = issue_credential(staff_claims(), [], issuer().key, issuer().x5c)
    assert "_sd" not in jose.parse(token.rstrip("~")).claims
    assert sd_jwt_vc.inspect(token, roots=authority().roots, at=NOON).disclosed_paths == frozenset()
