"""What an issuer hides and a holder shows: RFC 9901 §5.1, §6 and §7.2."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from passport_shared.formats import jose, sd_jwt
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.sd_jwt import SdJwtError, SdJwtReason
from passport_shared.formats.strict import b64url_decode
from passport_testkit.credentials import AUD, NONCE, credential, derived_key, forgery, holder_key, verify

KEY = derived_key("test-only-issuer-credential")
CLAIMS: dict[str, Any] = {
    "iss": "https://issuer.example/RBV",
    "name": "Ottoline Dovecote",
    "address": {"city": "Otterbridge", "postcode": "ZZ99 3VZ", "lines": ["1 Weir Lane", "Millside"]},
    "posts": [{"title": "Nurse", "grade": 6}, {"title": "Sister", "grade": 7}],
    "nothing": [],
}


def issued(*paths: tuple[str | int | None, ...], **options: Any) -> sd_jwt.SdJwt:
    return sd_jwt.parse(sd_jwt.issue(CLAIMS, paths, KEY, **options))


def test_without_hidden_claims_there_is_no_sd_and_no_disclosure() -> None:
    token = sd_jwt.issue(CLAIMS, [], KEY, decoys=5)
    parsed = sd_jwt.parse(token)
    assert token.count("~") == 1
    assert parsed.issuer_jwt.claims == CLAIMS


def test_what_is_hidden_is_not_in_the_signed_payload() -> None:
    parsed = issued(("name",), ("address", "city"), ("address", "lines", 1), ("posts", None, "grade"))
    payload = parsed.issuer_jwt.claims
    assert "name" not in payload
    assert set(payload["address"]) == {"_sd", "postcode", "lines"}
    assert payload["address"]["lines"][0] == "1 Weir Lane"
    assert set(payload["address"]["lines"][1]) == {"..."}
    assert [set(post) for post in payload["posts"]] == [{"title", "_sd"}, {"title", "_sd"}]
    assert payload["_sd_alg"] == "sha-256"
    assert sd_jwt.process(parsed) == CLAIMS


def test_parents_and_children_can_both_be_hidden() -> None:
    parsed = issued(("address",), ("address", "lines"), ("address", "lines", None), ("posts", 0))
    assert set(parsed.issuer_jwt.claims) == {"iss", "name", "nothing", "posts", "_sd", "_sd_alg"}
    assert len(parsed.disclosures) == 5
    assert sd_jwt.process(parsed) == CLAIMS


def test_salts_are_fresh_and_at_least_128_bits() -> None:
    tokens = [credential() for _ in range(20)]
    salts = [
        json.loads(b64url_decode(disclosure.encoded))[0]
        for token in tokens
        for disclosure in sd_jwt.parse(token).disclosures
    ]
    assert all(len(b64url_decode(salt)) >= 16 for salt in salts)
    assert len(set(salts)) == len(salts)


def test_the_order_of_digests_says_nothing_about_the_order_of_claims() -> None:
    names = [f"claim_{number}" for number in range(6)]
    claims = dict.fromkeys(names, 1)
    orders = set()
    for _ in range(40):
        parsed = sd_jwt.parse(sd_jwt.issue(claims, [(name,) for name in names], KEY))
        by_digest = {disclosure.digest: disclosure.name for disclosure in parsed.disclosures}
        orders.add(tuple(by_digest[digest] for digest in parsed.issuer_jwt.claims["_sd"]))
    assert len(orders) > 20


@pytest.mark.parametrize("decoys", [0, 1, 7])
def test_decoys_stand_in_every_object_and_array_that_hides_something(decoys: int) -> None:
    parsed = issued(("name",), ("address", "city"), ("posts", 1), decoys=decoys)
    payload = parsed.issuer_jwt.claims
    assert len(payload["_sd"]) == 1 + decoys
    assert len(payload["address"]["_sd"]) == 1 + decoys
    assert len(payload["posts"]) == 2 + decoys
    assert payload["address"]["lines"] == CLAIMS["address"]["lines"]
    assert sd_jwt.process(parsed) == CLAIMS


@pytest.mark.parametrize("name", sorted(sd_jwt.ALWAYS_PLAIN))
def test_a_claim_that_limits_the_token_is_never_hidden(name: str) -> None:
    claims = {**CLAIMS, name: {"inner": 1}}
    for path in ((name,), (name, "inner")):
        with pytest.raises(SdJwtError) as caught:
            sd_jwt.issue(claims, [path], KEY)
        assert caught.value.reason is SdJwtReason.CLAIM_MUST_STAY_PLAIN


@pytest.mark.parametrize(
    "path",
    [(), ("absent",), ("address", "absent"), ("posts", 2), ("posts", -1), ("posts", True), ("name", 0), (0,)],
    ids=str,
)
def test_a_path_that_leads_nowhere_is_a_mistake(path: tuple[str | int, ...]) -> None:
    with pytest.raises(SdJwtError) as caught:
        sd_jwt.issue(CLAIMS, [path], KEY)
    assert caught.value.reason is SdJwtReason.PATH_NOT_FOUND


def test_a_path_that_leads_nowhere_is_skipped_if_the_caller_says_so() -> None:
    parsed = issued(("absent",), ("name",), ("posts", None, "absent"), missing_ok=True)
    assert [disclosure.name for disclosure in parsed.disclosures] == ["name"]


def test_every_element_of_an_empty_array_is_no_mistake() -> None:
    assert issued(("nothing", None)).disclosures == ()


def test_under_every_element_it_is_enough_that_one_has_the_claim() -> None:
    claims = {"posts": [{"title": "Nurse", "grade": 6}, {"title": "Bank"}]}
    token = sd_jwt.issue(claims, [("posts", None, "grade")], KEY)
    assert sd_jwt.disclosable_paths(token) == (("posts", 0, "grade"),)
    assert shown(token, ("posts", None, "grade")) == claims
    with pytest.raises(SdJwtError):
        sd_jwt.issue(claims, [("posts", None, "absent")], KEY)
    with pytest.raises(SdJwtError):
        sd_jwt.present(token, [("posts", None, "absent")])


@pytest.mark.parametrize("name", ["_sd", "...", "_sd_alg"])
def test_a_reserved_claim_name_is_refused_at_any_level(name: str) -> None:
    for claims in ({name: 1}, {"a": {name: 1}}, {"a": [{name: 1}]}):
        with pytest.raises(SdJwtError) as caught:
            sd_jwt.issue(claims, [], KEY)
        assert caught.value.reason is SdJwtReason.CLAIM_NAME_RESERVED


def test_an_issuer_makes_nothing_its_verifiers_would_refuse_for_size() -> None:
    many = {f"claim_{number}": number for number in range(65)}
    with pytest.raises(SdJwtError) as caught:
        sd_jwt.issue(many, [(name,) for name in many], KEY)
    assert caught.value.reason is SdJwtReason.TOO_MANY_DISCLOSURES
    with pytest.raises(SdJwtError) as caught:
        sd_jwt.issue({"long": "x" * 60_000}, [], KEY)
    assert caught.value.reason is SdJwtReason.TOO_LARGE
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    with pytest.raises(SdJwtError) as caught:
        sd_jwt.issue({"deep": deep}, [], KEY)
    assert caught.value.reason is SdJwtReason.TOO_DEEP


def test_the_claims_given_are_not_changed() -> None:
    claims = {"a": {"b": [1, 2]}, "c": 3}
    sd_jwt.issue(claims, [("a",), ("a", "b", 0), ("c",)], KEY, decoys=2)
    assert claims == {"a": {"b": [1, 2]}, "c": 3}


def test_a_key_id_is_named_unless_a_chain_names_the_key() -> None:
    plain = sd_jwt.parse(sd_jwt.issue(CLAIMS, [], KEY, typ="example+sd-jwt"))
    chained = sd_jwt.parse(sd_jwt.issue(CLAIMS, [], KEY, headers={"x5c": ["AAAA"]}))
    assert plain.issuer_jwt.header == {"alg": "ES256", "typ": "example+sd-jwt", "kid": KEY.kid}
    assert set(chained.issuer_jwt.header) == {"alg", "typ", "x5c"}
    assert jose.verify(plain.issuer_jwt, KEY.public, typ="example+sd-jwt").claims == CLAIMS


# the holder


@pytest.fixture(scope="module")
def nested() -> str:
    paths = [("name",), ("address",), ("address", "city"), ("address", "lines", None), ("posts", None)]
    return sd_jwt.issue(CLAIMS, paths, KEY, decoys=3)


def shown(token: str, *reveal: tuple[str | int | None, ...], subtree: bool = True) -> dict[str, Any]:
    return sd_jwt.process(sd_jwt.parse(sd_jwt.present(token, reveal, subtree=subtree)))


def test_nothing_chosen_shows_only_what_is_plain(nested: str) -> None:
    assert shown(nested) == {"iss": CLAIMS["iss"], "posts": [], "nothing": []}


def test_a_chosen_claim_brings_its_parents(nested: str) -> None:
    claims = shown(nested, ("address", "city"))
    assert claims["address"] == {"city": "Otterbridge", "postcode": "ZZ99 3VZ", "lines": []}
    assert "name" not in claims


def test_a_chosen_object_is_shown_whole_or_by_itself(nested: str) -> None:
    assert shown(nested, ("address",))["address"] == CLAIMS["address"]
    assert shown(nested, ("address",), subtree=False)["address"] == {"postcode": "ZZ99 3VZ", "lines": []}


def test_elements_are_chosen_by_index_or_all(nested: str) -> None:
    assert shown(nested, ("posts", 1))["posts"] == [CLAIMS["posts"][1]]
    assert shown(nested, ("posts", None, "title"))["posts"] == CLAIMS["posts"]
    assert shown(nested, ("nothing", None)) == shown(nested)


def test_everything_chosen_gives_back_the_claims(nested: str) -> None:
    assert shown(nested, *sd_jwt.disclosable_paths(nested)) == CLAIMS


def test_a_plain_claim_may_be_chosen(nested: str) -> None:
    assert shown(nested, ("iss",)) == shown(nested)


def test_the_issuers_bytes_are_kept(nested: str) -> None:
    parts = nested.split("~")
    presented = sd_jwt.present(nested, [("name",), ("address", "city")])
    assert presented.startswith(parts[0] + "~")
    assert presented.endswith("~")
    assert set(presented.split("~")) < set(parts)


@pytest.mark.parametrize(
    "path", [("absent",), ("address", "absent"), ("posts", 2), ("posts", "0"), ("name", 0)]
)
def test_choosing_what_is_not_there_is_a_mistake(nested: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(SdJwtError) as caught:
        sd_jwt.present(nested, [path])
    assert caught.value.reason is SdJwtReason.PATH_NOT_FOUND


def test_a_holder_refuses_a_token_that_already_has_a_key_binding() -> None:
    bound = forgery().token()
    for refused in (
        lambda: sd_jwt.present(bound, []),
        lambda: sd_jwt.parse_issued(bound),
        lambda: sd_jwt.disclosable_paths(bound),
        lambda: sd_jwt.add_key_binding(bound, holder_key(), aud=AUD, nonce=NONCE, iat=0),
    ):
        with pytest.raises(SdJwtError) as caught:
            refused()
        assert caught.value.reason is SdJwtReason.KEY_BINDING_PRESENT


def test_a_holder_refuses_a_credential_with_a_stray_disclosure() -> None:
    forged = forgery()
    forged.add(["salt", "ward", "Heron"])
    with pytest.raises(SdJwtError) as caught:
        sd_jwt.present(forged.presented(), [])
    assert caught.value.reason is SdJwtReason.DISCLOSURE_UNREFERENCED


def test_a_key_binding_covers_exactly_what_is_shown() -> None:
    token = credential()
    some = sd_jwt.present(token, [("family_name",)])
    more = sd_jwt.present(token, [("family_name",), ("birthdate",)])
    bound = sd_jwt.add_key_binding(some, holder_key(), aud=AUD, nonce=NONCE, iat=1)
    kb = jose.parse(bound.rpartition("~")[2])
    assert kb.header == {"alg": "ES256", "typ": "kb+jwt"}
    assert kb.claims == {"iat": 1, "aud": AUD, "nonce": NONCE, "sd_hash": sd_jwt.digest_of(some)}
    assert sd_jwt.digest_of(some) != sd_jwt.digest_of(more)


def test_every_subset_of_a_credential_verifies_with_exactly_that_subset() -> None:
    token = credential()
    singles = [("family_name",), ("birthdate",), ("skills", "FS"), ("languages", 0)]
    for size in range(len(singles) + 1):
        for chosen in itertools.combinations(singles, size):
            presented = sd_jwt.present(token, chosen)
            bound = sd_jwt.add_key_binding(presented, holder_key(), aud=AUD, nonce=NONCE, iat=_noon_seconds())
            assert verify(bound).disclosed_paths == frozenset(chosen)


def _noon_seconds() -> int:
    return int(forgery().kb_claims["iat"])


def test_keys_of_tests_are_the_same_in_every_run() -> None:
    first: SigningKey = derived_key("test-only-issuer-credential")
    assert first.kid == KEY.kid
    assert first.kid != derived_key("test-only-holder").kid
