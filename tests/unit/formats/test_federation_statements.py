"""Entity statements: the forms we publish, and each one that standards.md §1.2 says must be refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from passport_shared.formats import federation, jose, strict
from passport_shared.formats.federation import (
    ENTITY_STATEMENT_TYP,
    FederationError,
    FederationReason,
    public_jwks,
    verify_entity_configuration,
    verify_subordinate_statement,
)
from passport_shared.formats.jose import SigningKey
from passport_testkit.clock import NOON
from passport_testkit.keys import key, private_jwk
from passport_testkit.network import ANCHOR, CHRISTIE, MANCHESTER, TrustRegistrySimulator

Claims = dict[str, Any]
Change = Callable[[Claims], None]
OWN = key("RBV federation")
SUPERIOR = key("registry federation")


def epoch(delta: timedelta = timedelta(0)) -> int:
    return int((NOON + delta).timestamp())


def configuration_claims() -> Claims:
    return {
        "iss": CHRISTIE,
        "sub": CHRISTIE,
        "iat": epoch(),
        "exp": epoch(timedelta(hours=24)),
        "jwks": public_jwks([OWN.public]),
        "authority_hints": [ANCHOR],
        "metadata": {"openid_credential_issuer": {"credential_issuer": CHRISTIE}},
    }


def statement_claims() -> Claims:
    return {
        "iss": ANCHOR,
        "sub": CHRISTIE,
        "iat": epoch(),
        "exp": epoch(timedelta(hours=96)),
        "jwks": public_jwks([OWN.public]),
        "metadata": {"openid_credential_issuer": {"client_registration_types_supported": ["automatic"]}},
        "metadata_policy": {"openid_credential_issuer": {"credential_issuer": {"value": CHRISTIE}}},
        "source_endpoint": f"{ANCHOR}/federation/fetch",
    }


def signed(claims: Claims, signer: SigningKey, typ: str = ENTITY_STATEMENT_TYP, **headers: Any) -> str:
    return jose.sign(claims, signer, typ=typ, headers=headers or None)


def with_header(token: str, signer: SigningKey, change: Callable[[Claims], object]) -> str:
    """The same claims under another header, signed again by the same key."""
    parsed = jose.parse(token)
    header = dict(parsed.header)
    change(header)
    first = strict.b64url_encode(strict.dumps(header))
    signing_input = f"{first}.{token.split('.')[1]}"
    return f"{signing_input}.{strict.b64url_encode(signer.sign(signing_input.encode()))}"


def setting(name: str, value: object) -> Change:
    def change(claims: Claims) -> None:
        claims[name] = value

    return change


def without(name: str) -> Change:
    def change(claims: Claims) -> None:
        del claims[name]

    return change


COMMON: list[tuple[str, Change, FederationReason]] = [
    ("no iss", without("iss"), FederationReason.MISSING_CLAIM),
    ("no sub", without("sub"), FederationReason.MISSING_CLAIM),
    ("no iat", without("iat"), FederationReason.MISSING_CLAIM),
    ("no exp", without("exp"), FederationReason.MISSING_CLAIM),
    ("no jwks", without("jwks"), FederationReason.MISSING_JWKS),
    ("jwks null", setting("jwks", None), FederationReason.MISSING_JWKS),
    ("jwks a list", setting("jwks", []), FederationReason.BAD_JWKS),
    ("jwks without keys", setting("jwks", {}), FederationReason.BAD_JWKS),
    ("keys null", setting("jwks", {"keys": None}), FederationReason.BAD_JWKS),
    ("keys a number", setting("jwks", {"keys": 1}), FederationReason.BAD_JWKS),
    ("a key without kid", setting("jwks", {"keys": [OWN.public.jwk]}), FederationReason.BAD_JWKS),
    (
        "a key whose kid is a number",
        setting("jwks", {"keys": [OWN.public.as_jwk(), {**OWN.public.jwk, "kid": 1}]}),
        FederationReason.BAD_JWKS,
    ),
    ("crit names an object", setting("crit", [{}]), FederationReason.CRIT_NOT_UNDERSTOOD),
    ("crit names a list", setting("crit", [["iss"]]), FederationReason.CRIT_NOT_UNDERSTOOD),
    ("crit is text", setting("crit", "iss"), FederationReason.BAD_CLAIM),
    ("crit is an object", setting("crit", {"iss": 1}), FederationReason.BAD_CLAIM),
    ("17 entity types", setting("metadata", {f"t{n}": {} for n in range(17)}), FederationReason.BAD_METADATA),
    ("iss a number", setting("iss", 1), FederationReason.BAD_CLAIM),
    ("iss http", setting("iss", "http://registry.example"), FederationReason.BAD_CLAIM),
    ("sub with a trailing slash", setting("sub", f"{CHRISTIE}/"), FederationReason.BAD_CLAIM),
    ("sub with a fragment", setting("sub", f"{CHRISTIE}#a"), FederationReason.BAD_CLAIM),
    ("sub with a homograph", setting("sub", "https://іssuer.example/RBV"), FederationReason.BAD_CLAIM),
    ("iat text", setting("iat", "1788264000"), FederationReason.BAD_CLAIM),
    ("iat true", setting("iat", True), FederationReason.BAD_CLAIM),
    ("exp too great", setting("exp", 2**60), FederationReason.BAD_CLAIM),
    ("iat in the future", setting("iat", epoch(timedelta(seconds=61))), FederationReason.ISSUED_IN_FUTURE),
    ("exp passed", setting("exp", epoch()), FederationReason.EXPIRED),
    ("crit unknown", setting("crit", ["x_limits"]), FederationReason.CRIT_NOT_UNDERSTOOD),
    ("crit not a name", setting("crit", [1]), FederationReason.CRIT_NOT_UNDERSTOOD),
    ("crit empty", setting("crit", []), FederationReason.BAD_CLAIM),
    ("crit text", setting("crit", "x_limits"), FederationReason.BAD_CLAIM),
    ("aud", setting("aud", ANCHOR), FederationReason.EXPLICIT_REGISTRATION_ONLY),
    ("trust_anchor", setting("trust_anchor", ANCHOR), FederationReason.EXPLICIT_REGISTRATION_ONLY),
    ("metadata a list", setting("metadata", []), FederationReason.BAD_METADATA),
    ("metadata null", setting("metadata", None), FederationReason.BAD_METADATA),
    (
        "metadata of a type null",
        setting("metadata", {"federation_entity": None}),
        FederationReason.NULL_METADATA,
    ),
    (
        "metadata of a type text",
        setting("metadata", {"federation_entity": "a"}),
        FederationReason.BAD_METADATA,
    ),
    (
        "a null parameter",
        setting("metadata", {"federation_entity": {"contacts": None}}),
        FederationReason.NULL_METADATA,
    ),
    (
        "credential_issuer of another",
        setting("metadata", {"openid_credential_issuer": {"credential_issuer": MANCHESTER}}),
        FederationReason.BAD_METADATA,
    ),
]

CONFIGURATION_ONLY: list[tuple[str, Change, FederationReason]] = [
    ("about another", setting("sub", MANCHESTER), FederationReason.NOT_SELF_ISSUED),
    ("metadata_policy", setting("metadata_policy", {}), FederationReason.CLAIM_NOT_ALLOWED),
    ("metadata_policy_crit", setting("metadata_policy_crit", ["x"]), FederationReason.CLAIM_NOT_ALLOWED),
    ("constraints", setting("constraints", {}), FederationReason.CLAIM_NOT_ALLOWED),
    ("source_endpoint", setting("source_endpoint", "https://a.example"), FederationReason.CLAIM_NOT_ALLOWED),
    ("no hints", setting("authority_hints", []), FederationReason.BAD_CLAIM),
    ("a flood of hints", setting("authority_hints", [ANCHOR] * 9), FederationReason.BAD_CLAIM),
    ("a hint that is no identifier", setting("authority_hints", ["ftp://a"]), FederationReason.BAD_CLAIM),
    ("trust_marks not a list", setting("trust_marks", {}), FederationReason.BAD_CLAIM),
    (
        "a mark without its type",
        setting("trust_marks", [{"trust_mark": "a.b.c"}]),
        FederationReason.BAD_CLAIM,
    ),
    (
        "an entry without a mark",
        setting("trust_marks", [{"trust_mark_type": "t"}]),
        FederationReason.BAD_CLAIM,
    ),
    ("an entry that is text", setting("trust_marks", ["a.b.c"]), FederationReason.BAD_CLAIM),
    ("an entry that is null", setting("trust_marks", [None]), FederationReason.BAD_CLAIM),
    ("trust_mark_issuers a list", setting("trust_mark_issuers", []), FederationReason.BAD_CLAIM),
]

STATEMENT_ONLY: list[tuple[str, Change, FederationReason]] = [
    ("about itself", setting("sub", ANCHOR), FederationReason.SELF_ISSUED),
    ("authority_hints", setting("authority_hints", [ANCHOR]), FederationReason.CLAIM_NOT_ALLOWED),
    ("trust_marks", setting("trust_marks", []), FederationReason.CLAIM_NOT_ALLOWED),
    ("trust_mark_issuers", setting("trust_mark_issuers", {}), FederationReason.CLAIM_NOT_ALLOWED),
    ("trust_mark_owners", setting("trust_mark_owners", {}), FederationReason.CLAIM_NOT_ALLOWED),
    ("policy crit", setting("metadata_policy_crit", ["regexp"]), FederationReason.POLICY_CRIT_NOT_UNDERSTOOD),
    ("policy crit empty", setting("metadata_policy_crit", []), FederationReason.BAD_CLAIM),
    ("policy crit an object", setting("metadata_policy_crit", {"a": 1}), FederationReason.BAD_CLAIM),
    ("policy crit a number", setting("metadata_policy_crit", 1), FederationReason.BAD_CLAIM),
    (
        "policy crit names a list",
        setting("metadata_policy_crit", [[]]),
        FederationReason.POLICY_CRIT_NOT_UNDERSTOOD,
    ),
    ("policy a list", setting("metadata_policy", []), FederationReason.BAD_CLAIM),
    ("constraints a list", setting("constraints", []), FederationReason.BAD_CLAIM),
    ("source_endpoint http", setting("source_endpoint", "http://a.example"), FederationReason.BAD_CLAIM),
    ("source_endpoint a number", setting("source_endpoint", 1), FederationReason.BAD_CLAIM),
    ("no keys about the subject", setting("jwks", {"keys": []}), FederationReason.BAD_JWKS),
]


def refused_configuration(token: str, **more: Any) -> FederationReason:
    with pytest.raises(FederationError) as caught:
        verify_entity_configuration(token, now=NOON, **more)
    return caught.value.reason


def refused_statement(token: str, jwks: Claims | None = None, **more: Any) -> FederationReason:
    with pytest.raises(FederationError) as caught:
        verify_subordinate_statement(token, jwks or public_jwks([SUPERIOR.public]), NOON, **more)
    return caught.value.reason


def test_a_right_configuration_is_read() -> None:
    configuration = verify_entity_configuration(signed(configuration_claims(), OWN), now=NOON)
    assert configuration.entity_id == CHRISTIE
    assert configuration.authority_hints == (ANCHOR,)
    assert configuration.keys[OWN.kid].thumbprint == OWN.kid
    assert configuration.exp - configuration.iat == timedelta(hours=24)


def test_as_many_hints_marks_and_types_as_are_allowed_are_read() -> None:
    claims = configuration_claims() | {
        "authority_hints": [f"{ANCHOR}/{number}" for number in range(8)],
        "trust_marks": [{"trust_mark_type": "t", "trust_mark": "a.b.c"}] * 16,
        "metadata": {f"t{number}": {} for number in range(16)},
    }
    read = verify_entity_configuration(signed(claims, OWN), now=NOON)
    assert (len(read.authority_hints), len(read.trust_marks), len(read.metadata)) == (8, 16, 16)


def test_a_statement_need_not_name_its_endpoint() -> None:
    claims = {name: value for name, value in statement_claims().items() if name != "source_endpoint"}
    jwks = public_jwks([SUPERIOR.public])
    assert verify_subordinate_statement(signed(claims, SUPERIOR), jwks, NOON).source_endpoint is None


def test_a_right_statement_is_read() -> None:
    subject = verify_entity_configuration(signed(configuration_claims(), OWN), now=NOON)
    jwks = public_jwks([SUPERIOR.public])
    statement = verify_subordinate_statement(
        signed(statement_claims(), SUPERIOR), jwks, NOON, iss=ANCHOR, sub=CHRISTIE, subject=subject
    )
    assert (statement.iss, statement.sub) == (ANCHOR, CHRISTIE)
    assert statement.source_endpoint == f"{ANCHOR}/federation/fetch"


@pytest.mark.parametrize(("name", "change", "reason"), COMMON + CONFIGURATION_ONLY)
def test_a_configuration_is_refused(name: str, change: Change, reason: FederationReason) -> None:
    claims = configuration_claims()
    change(claims)
    assert refused_configuration(signed(claims, OWN)) is reason, name


@pytest.mark.parametrize(("name", "change", "reason"), COMMON + STATEMENT_ONLY)
def test_a_statement_is_refused(name: str, change: Change, reason: FederationReason) -> None:
    claims = statement_claims()
    change(claims)
    assert refused_statement(signed(claims, SUPERIOR)) is reason, name


def test_iat_has_sixty_seconds_of_leeway_and_exp_none() -> None:
    claims = configuration_claims()
    claims["iat"], claims["exp"] = epoch(timedelta(seconds=60)), epoch(timedelta(seconds=61))
    assert verify_entity_configuration(signed(claims, OWN), now=NOON).iat == NOON + timedelta(seconds=60)
    assert (
        verify_entity_configuration(signed(claims, OWN), now=NOON + timedelta(seconds=60)).entity_id
        == CHRISTIE
    )
    with pytest.raises(FederationError):
        verify_entity_configuration(signed(claims, OWN), now=NOON + timedelta(seconds=61))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda header: header.pop("typ"), FederationReason.WRONG_TYP),
        (lambda header: header.update(typ="JWT"), FederationReason.WRONG_TYP),
        (lambda header: header.update(typ="Entity-Statement+JWT"), FederationReason.WRONG_TYP),
        (lambda header: header.update(typ="trust-mark+jwt"), FederationReason.WRONG_TYP),
        (lambda header: header.update(typ="resolve-response+jwt"), FederationReason.WRONG_TYP),
        (lambda header: header.update(alg="none"), FederationReason.ALG_NOT_ALLOWED),
        (lambda header: header.update(alg="None"), FederationReason.ALG_NOT_ALLOWED),
        (lambda header: header.update(alg="HS256"), FederationReason.ALG_NOT_ALLOWED),
        (lambda header: header.pop("alg"), FederationReason.BAD_HEADER),
        (lambda header: header.pop("kid"), FederationReason.MISSING_KID),
        (lambda header: header.update(kid=""), FederationReason.MISSING_KID),
        (lambda header: header.update(kid="../../etc/passwd"), FederationReason.UNKNOWN_KID),
        (lambda header: header.update(kid=key("a stranger").kid), FederationReason.UNKNOWN_KID),
        (lambda header: header.update(trust_chain=["a.b.c"]), FederationReason.TRUST_CHAIN_HEADER),
        (lambda header: header.update(crit=["exp"], exp=1), FederationReason.CRIT_NOT_UNDERSTOOD),
    ],
)
def test_a_header_is_refused_in_both_kinds(
    change: Callable[[Claims], object], reason: FederationReason
) -> None:
    own = with_header(signed(configuration_claims(), OWN), OWN, change)
    assert refused_configuration(own) is reason
    superior = with_header(signed(statement_claims(), SUPERIOR), SUPERIOR, change)
    assert refused_statement(superior) is reason


def test_a_key_in_the_header_is_not_a_key() -> None:
    stranger = key("a stranger")
    token = signed(statement_claims(), stranger, jwk=stranger.public.as_jwk())
    assert refused_statement(token) is FederationReason.UNKNOWN_KID


def test_another_signature_is_refused() -> None:
    right = signed(configuration_claims(), OWN)
    other = signed(configuration_claims(), key("a stranger"))
    forged = ".".join([*right.split(".")[:2], other.split(".")[2]])
    assert refused_configuration(forged) is FederationReason.BAD_SIGNATURE


def test_a_stranger_under_the_right_kid_is_refused() -> None:
    stranger = key("a stranger")
    token = with_header(
        signed(statement_claims(), stranger), stranger, lambda header: header.update(kid=SUPERIOR.kid)
    )
    assert refused_statement(token) is FederationReason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([], FederationReason.BAD_JWKS),
        ("text", FederationReason.BAD_JWKS),
        ([1], FederationReason.BAD_JWKS),
        ([{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}], FederationReason.BAD_JWKS),
        ([{**OWN.public.as_jwk(), "crv": "P-384"}], FederationReason.BAD_JWKS),
        ([{**private_jwk(OWN), "kid": OWN.kid}], FederationReason.BAD_JWKS),
        ([{"kty": "oct", "k": "AAAA", "kid": "a"}], FederationReason.BAD_JWKS),
        ([OWN.public.as_jwk(), OWN.public.as_jwk()], FederationReason.DUPLICATE_KID),
        ([{**OWN.public.as_jwk(), "kid": str(n)} for n in range(17)], FederationReason.BAD_JWKS),
    ],
)
def test_a_key_set_is_refused(keys: object, reason: FederationReason) -> None:
    claims = configuration_claims()
    claims["jwks"] = {"keys": keys}
    assert refused_configuration(signed(claims, OWN)) is reason


@pytest.mark.parametrize("junk", ["", "a", "a.b.c", "." * 5, "é.é.é", "e30.e30.", "x" * 70_000])
def test_junk_is_refused_by_name(junk: str) -> None:
    known = {
        FederationReason.MALFORMED,
        FederationReason.TOO_LARGE,
        FederationReason.BAD_HEADER,
        FederationReason.ALG_NOT_ALLOWED,
    }
    assert refused_configuration(junk) in known
    assert refused_statement(junk) in known


def test_too_large_has_its_own_reason() -> None:
    assert refused_configuration("x" * 70_000) is FederationReason.TOO_LARGE


def test_a_configuration_of_another_entity_is_refused() -> None:
    token = signed(configuration_claims(), OWN)
    assert refused_configuration(token, expected_entity=MANCHESTER) is FederationReason.WRONG_ENTITY


def test_a_statement_by_another_superior_or_about_another_is_refused() -> None:
    token = signed(statement_claims(), SUPERIOR)
    assert refused_statement(token, iss="https://other.example") is FederationReason.WRONG_ISSUER
    assert refused_statement(token, sub=MANCHESTER) is FederationReason.WRONG_ENTITY


def test_a_superior_that_the_entity_does_not_name_is_refused() -> None:
    claims = configuration_claims()
    claims["authority_hints"] = ["https://other.example"]
    subject = verify_entity_configuration(signed(claims, OWN), now=NOON)
    token = signed(statement_claims(), SUPERIOR)
    assert refused_statement(token, subject=subject) is FederationReason.NOT_IN_AUTHORITY_HINTS


# What we publish, in exactly the form other people's clients read (standards.md §1.7, §1.8).


@pytest.fixture(scope="module")
def network() -> TrustRegistrySimulator:
    simulator = TrustRegistrySimulator()
    simulator.enrol_issuer()
    simulator.enrol_verifier()
    return simulator


@pytest.mark.parametrize("entity_id", [CHRISTIE, MANCHESTER])
def test_our_statement_has_only_the_members_every_reader_knows(
    network: TrustRegistrySimulator, entity_id: str
) -> None:
    claims = jose.parse(network.statement(entity_id)).claims
    assert set(claims) == {
        "iss",
        "sub",
        "iat",
        "exp",
        "jwks",
        "metadata",
        "metadata_policy",
        "source_endpoint",
    }


def test_our_statement_about_an_issuer(network: TrustRegistrySimulator) -> None:
    claims = jose.parse(network.statement(CHRISTIE)).claims
    metadata = claims["metadata"]["openid_credential_issuer"]
    assert metadata["client_registration_types_supported"] == ["automatic"]
    pinned = network.entities[CHRISTIE].issued("credential").key
    assert [entry["kid"] for entry in metadata["jwks"]["keys"]] == [pinned.kid]
    assert claims["metadata_policy"] == {
        "openid_credential_issuer": {"credential_issuer": {"value": CHRISTIE}}
    }


def test_our_statement_about_a_verifier_has_no_keys(network: TrustRegistrySimulator) -> None:
    claims = jose.parse(network.statement(MANCHESTER)).claims
    assert claims["metadata"] == {
        "openid_credential_verifier": {
            "client_registration_types": ["automatic"],
            "response_uris": [f"{MANCHESTER}/oid4vp/response"],
        }
    }


def test_our_configuration_carries_type_and_legacy_id_of_its_mark(network: TrustRegistrySimulator) -> None:
    claims = jose.parse(network.configuration(CHRISTIE)).claims
    assert claims["authority_hints"] == [ANCHOR]
    (entry,) = claims["trust_marks"]
    kind = f"{ANCHOR}/tm/credential-issuer"
    assert (entry["id"], entry["trust_mark_type"]) == (kind, kind)
    inside = jose.parse(entry["trust_mark"]).claims
    assert (inside["id"], inside["trust_mark_type"]) == (kind, kind)


def test_our_anchor_names_itself_as_issuer_of_every_mark_type(network: TrustRegistrySimulator) -> None:
    token = network.anchor_configuration()
    anchor = verify_entity_configuration(token, now=NOON, expected_entity=ANCHOR)
    roles = ("credential-issuer", "credential-verifier", "former-credential-issuer")
    assert anchor.trust_mark_issuers == {f"{ANCHOR}/tm/{role}": [ANCHOR] for role in roles}
    assert "authority_hints" not in anchor.claims
    stated = anchor.metadata["federation_entity"]
    for name in ("fetch", "list", "trust_mark", "trust_mark_status", "snapshot"):
        assert stated[f"federation_{name}_endpoint"] == f"{ANCHOR}/federation/{name}"
    assert stated[federation.STATUS_KEYS_MEMBER]["jwks"]["keys"][0]["kid"] == network.status_leaf.key.kid
    directory = stated[federation.CLIENT_DIRECTORY_MEMBER]
    assert directory["uri"] == f"{ANCHOR}/client-directory"
    assert directory["jwks"]["keys"][0]["kid"] == network.client_directory_key.kid


def test_what_we_publish_is_what_we_accept(network: TrustRegistrySimulator) -> None:
    configuration = verify_entity_configuration(network.configuration(CHRISTIE), now=NOON)
    jwks = public_jwks([network.key.public])
    statement = verify_subordinate_statement(
        network.statement(CHRISTIE), jwks, NOON, iss=ANCHOR, subject=configuration
    )
    assert statement.sub == CHRISTIE
