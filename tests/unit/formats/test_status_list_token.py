"""Status List Tokens: the verifier's checklist (standards §2.3), one case and one reason per rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from passport_shared.formats import jose, status_list
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.status_list import (
    SUSPENDED,
    StatusList,
    StatusListError,
    StatusListReason,
    StatusToken,
    clamp_ttl,
    read_token,
    sign_token,
)
from passport_testkit.certificates import Authority
from passport_testkit.clock import NOON
from passport_testkit.credentials import ABSENT, authority, derived_key, issuer, raw_jws, seconds, segment

R = StatusListReason
URI = "https://issuer.example/RBV/statuslists/AAAAAAAAAAAAAAAAAAAAAA"
AT = seconds(NOON)
HOUR = timedelta(hours=1)


def held() -> StatusList:
    entries = StatusList(2, 4_096)
    entries.set(1_000, SUSPENDED)
    return entries


def token(**changes: Any) -> str:
    leaf = issuer("status")
    arguments: dict[str, Any] = {
        "uri": URI,
        "key": leaf.key,
        "x5c": leaf.x5c,
        "iat": NOON,
        "exp": NOON + 24 * HOUR,
        "ttl": timedelta(seconds=300),
        **changes,
    }
    return sign_token(held(), **arguments)


def read(text: str | bytes, **changes: Any) -> StatusToken:
    return read_token(text, **{"uri": URI, "roots": authority().roots, "now": NOON, **changes})


def refused(text: str | bytes, **changes: Any) -> StatusListReason:
    with pytest.raises(StatusListError) as caught:
        read(text, **changes)
    return caught.value.reason


Parts = tuple[dict[str, Any], Any, SigningKey]


def spoilt(change: Callable[[dict[str, Any], Any], object], key: SigningKey | None = None) -> str:
    parsed = jose.parse(token())
    header, claims = parsed.header, parsed.claims
    change(header, claims)
    header = {name: value for name, value in header.items() if value is not ABSENT}
    claims = {name: value for name, value in claims.items() if value is not ABSENT}
    return raw_jws(header, claims, key or issuer("status").key)


def header(name: str, value: object) -> Callable[[dict[str, Any], Any], object]:
    return lambda head, claims: head.update({name: value})


def claim(name: str, value: object) -> Callable[[dict[str, Any], Any], object]:
    return lambda head, claims: claims.update({name: value})


def content(name: str, value: object) -> Callable[[dict[str, Any], Any], object]:
    def change(_: dict[str, Any], claims: Any) -> None:
        claims["status_list"][name] = value
        if value is ABSENT:
            del claims["status_list"][name]

    return change


def test_a_token_says_what_was_signed() -> None:
    status_token = read(token(aggregation_uri="https://issuer.example/RBV/statuslists"))
    assert status_token.uri == URI
    assert (status_token.iat, status_token.exp) == (NOON, NOON + 24 * HOUR)
    assert status_token.ttl == timedelta(seconds=300)
    assert status_token.list == held()
    assert status_token.list.get(1_000) == SUSPENDED
    assert status_token.leaf is not None
    assert status_token.leaf.san_uri == "https://issuer.example/RBV"
    assert status_token.aggregation_uri == "https://issuer.example/RBV/statuslists"
    assert status_token.refresh_at(NOON) == NOON + timedelta(seconds=300)
    assert status_token.refresh_at(NOON + 24 * HOUR) == status_token.exp


def test_the_header_and_claims_are_those_of_the_specification() -> None:
    parsed = jose.parse(token())
    assert parsed.header == {"alg": "ES256", "typ": "statuslist+jwt", "x5c": issuer("status").x5c}
    assert parsed.claims == {
        "sub": URI,
        "iat": AT,
        "exp": AT + 86_400,
        "ttl": 300,
        "status_list": {"bits": 2, "lst": held().encode()},
    }


def test_a_registry_list_is_checked_with_a_key_set() -> None:
    key = derived_key("test-only-registry")
    text = token(key=key, x5c=None)
    assert jose.parse(text).header["kid"] == key.kid
    status_token = read(text, roots=None, jwks={"keys": [key.public.as_jwk()]})
    assert status_token.leaf is None
    assert refused(text, roots=None, jwks={"keys": []}) is R.UNKNOWN_KEY
    other = {**derived_key("test-only-other").public.as_jwk(), "kid": key.kid}
    assert refused(text, roots=None, jwks={"keys": [other]}) is R.BAD_SIGNATURE


def test_a_chain_is_no_substitute_for_a_key_set_nor_a_key_set_for_a_chain() -> None:
    key = issuer("status").key
    assert refused(token(), roots=None, jwks=[key.public.as_jwk()]) is R.UNKNOWN_KEY
    assert refused(token(x5c=None)) is R.CHAIN_MISSING


@pytest.mark.parametrize("arguments", [{"roots": None}, {"jwks": {"keys": []}}])
def test_the_caller_says_how_the_key_is_found(arguments: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match="either roots or jwks"):
        read(token(), **arguments)


BROKEN: list[tuple[str, str | bytes, StatusListReason]] = [
    ("empty", "", R.TOKEN_MALFORMED),
    ("html", b"<html><body>OK</body></html>", R.TOKEN_MALFORMED),
    ("not_ascii", "é", R.TOKEN_MALFORMED),
    ("two_parts", token().rpartition(".")[0], R.TOKEN_MALFORMED),
    ("sd_jwt", token() + "~", R.TOKEN_MALFORMED),
    ("padded", token() + "=", R.TOKEN_MALFORMED),
    ("too_large", "x" * 2_097_153, R.TOKEN_TOO_LARGE),
    ("crit", spoilt(header("crit", ["x"])), R.CRITICAL_HEADER),
    ("zip", spoilt(header("zip", "DEF")), R.TOKEN_MALFORMED),
    ("alg_none", spoilt(header("alg", "none")), R.ALG_NOT_ALLOWED),
    ("alg_hs256", spoilt(header("alg", "HS256")), R.ALG_NOT_ALLOWED),
    ("alg_missing", spoilt(header("alg", ABSENT)), R.TOKEN_MALFORMED),
    ("typ_jwt", spoilt(header("typ", "JWT")), R.WRONG_TYP),
    ("typ_missing", spoilt(header("typ", ABSENT)), R.WRONG_TYP),
    ("typ_credential", spoilt(header("typ", "dc+sd-jwt")), R.WRONG_TYP),
    ("typ_media", spoilt(header("typ", "application/statuslist+jwt")), R.WRONG_TYP),
    ("typ_cwt", spoilt(header("typ", "statuslist+cwt")), R.WRONG_TYP),
    ("chain_missing", spoilt(header("x5c", ABSENT)), R.CHAIN_MISSING),
    ("chain_empty", spoilt(header("x5c", [])), R.CHAIN_UNTRUSTED),
    ("chain_string", spoilt(header("x5c", "AAAA")), R.CHAIN_UNTRUSTED),
    ("other_key", spoilt(lambda *_: None, derived_key("test-only-stranger")), R.BAD_SIGNATURE),
    ("sub_missing", spoilt(claim("sub", ABSENT)), R.WRONG_SUBJECT),
    ("sub_other", spoilt(claim("sub", URI + "/")), R.WRONG_SUBJECT),
    ("sub_list", spoilt(claim("sub", [URI])), R.WRONG_SUBJECT),
    ("iat_missing", spoilt(claim("iat", ABSENT)), R.IAT_MISSING),
    ("iat_text", spoilt(claim("iat", str(AT))), R.IAT_MALFORMED),
    ("iat_bool", spoilt(claim("iat", True)), R.IAT_MALFORMED),
    ("iat_year_10000", spoilt(claim("iat", 2**50)), R.IAT_MALFORMED),
    ("iat_future", spoilt(claim("iat", AT + 61)), R.ISSUED_IN_FUTURE),
    ("exp_text", spoilt(claim("exp", "x")), R.EXP_MALFORMED),
    ("exp_null", spoilt(claim("exp", None)), R.EXP_MALFORMED),
    ("exp_passed", spoilt(claim("exp", AT - 60)), R.EXPIRED),
    ("too_old", spoilt(lambda _, claims: claims.update(iat=AT - 73 * 3_600)), R.EXPIRED),
    ("old_without_exp", spoilt(lambda _, c: c.update(iat=AT - 25 * 3_600, exp=ABSENT)), R.EXPIRED),
    *[
        (f"ttl_{ttl!r}", spoilt(claim("ttl", ttl)), R.TTL_MALFORMED)
        for ttl in (0, -1, "300", True, None, [300], -0.5)
    ],
    ("list_missing", spoilt(claim("status_list", ABSENT)), R.STATUS_LIST_MISSING),
    ("list_array", spoilt(claim("status_list", [])), R.STATUS_LIST_MISSING),
    *[
        (
            f"bits_{bits!r}"
            if bits is None or isinstance(bits, int | str | float)
            else f"bits_{type(bits).__name__}",
            spoilt(content("bits", bits)),
            R.BITS_NOT_ALLOWED,
        )
        for bits in (ABSENT, 0, 3, 16, "2", 2.0, True, None)
    ],
    ("lst_missing", spoilt(content("lst", ABSENT)), R.LIST_NOT_BASE64URL),
    ("lst_number", spoilt(content("lst", 1)), R.LIST_NOT_BASE64URL),
    ("lst_empty", spoilt(content("lst", "")), R.LIST_NOT_BASE64URL),
    ("lst_rubbish", spoilt(content("lst", "AAAA")), R.LIST_NOT_ZLIB),
    ("lst_cut", spoilt(content("lst", "eNrbuRg")), R.LIST_TRUNCATED),
    *[
        (f"aggregation_{uri!r}", spoilt(content("aggregation_uri", uri)), R.AGGREGATION_URI_MALFORMED)
        for uri in (1, "http://issuer.example/x", "x")
    ],
]


@pytest.mark.parametrize(("text", "reason"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_rule_is_refused_for_its_own_reason(text: str | bytes, reason: StatusListReason) -> None:
    assert refused(text) is reason


def test_every_reason_of_a_token_has_a_case() -> None:
    elsewhere = {
        R.REFERENCE_MISSING,
        R.REFERENCE_MALFORMED,
        R.INDEX_MALFORMED,
        R.URI_MALFORMED,
        R.INDEX_OUT_OF_RANGE,
        R.VALUE_OUT_OF_RANGE,
        R.SIZE_NOT_ALLOWED,
        R.LIST_TRAILING_BYTES,
        R.LIST_TOO_LARGE,
        R.LIST_EMPTY,
        R.AGGREGATION_MALFORMED,
        R.ROLLED_BACK,
        R.UNKNOWN_KEY,
    }
    assert {case[2] for case in BROKEN} == set(R) - elsewhere


@pytest.mark.parametrize(
    "text",
    [
        spoilt(claim("exp", AT - 59)),
        spoilt(claim("iat", AT + 60)),
        spoilt(claim("iat", float(AT))),
        spoilt(claim("iss", "https://issuer.example/RBV")),
        spoilt(header("kid", "x")),
        spoilt(content("more", [1])),
    ],
    ids=range(6),
)
def test_what_the_rules_allow_is_accepted(text: str) -> None:
    assert read(text).list == held()


def test_an_unsigned_token_is_refused() -> None:
    parsed = jose.parse(token())
    text = f"{segment({**parsed.header, 'alg': 'none'})}.{segment(parsed.claims)}."
    assert refused(text) is R.ALG_NOT_ALLOWED


@pytest.mark.parametrize(
    ("change", "reason"),
    [(header("typ", "JWT"), R.WRONG_TYP), (header("alg", "RS256"), R.ALG_NOT_ALLOWED)],
)
def test_type_and_algorithm_are_checked_before_any_work_on_keys(
    change: Callable[[dict[str, Any], Any], object], reason: StatusListReason
) -> None:
    assert refused(spoilt(change), roots=[]) is reason


def test_a_chain_to_another_root_is_refused() -> None:
    text = token()
    assert refused(text, roots=Authority.create().roots) is R.CHAIN_UNTRUSTED
    assert refused(text, roots=[]) is R.CHAIN_UNTRUSTED


def test_an_older_token_than_one_already_seen_is_refused() -> None:
    text = token()
    assert refused(text, min_iat=NOON + timedelta(seconds=1)) is R.ROLLED_BACK
    assert read(text, min_iat=NOON).iat == NOON


@pytest.mark.parametrize(
    ("ttl", "clamped"),
    [(1, 15), (14.5, 15), (15, 15), (300, 300), (0.001, 15), (3_600, 3_600), (86_400, 3_600), (1e308, 3_600)],
)
def test_a_ttl_is_brought_between_15_seconds_and_an_hour(ttl: float, clamped: int) -> None:
    assert read(spoilt(claim("ttl", ttl))).ttl == timedelta(seconds=clamped)
    if ttl < 1e9:
        assert clamp_ttl(timedelta(seconds=ttl)) == timedelta(seconds=clamped)


def test_a_huge_whole_ttl_is_clamped() -> None:
    assert read(spoilt(claim("ttl", 10**400))).ttl == HOUR


def test_without_ttl_a_list_is_fetched_again_after_five_minutes() -> None:
    assert read(spoilt(claim("ttl", ABSENT))).ttl == timedelta(minutes=5)


def test_a_long_life_is_cut_to_ours() -> None:
    text = token(exp=NOON + 1_000 * HOUR)
    assert read(text).exp == NOON + 72 * HOUR
    assert read(text, max_life=24 * HOUR).exp == NOON + 24 * HOUR
    assert read(spoilt(claim("exp", ABSENT))).exp == NOON + 24 * HOUR
    assert refused(text, now=NOON + 24 * HOUR + timedelta(seconds=60), max_life=24 * HOUR) is R.EXPIRED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"uri": "http://issuer.example/1"}, R.URI_MALFORMED),
        ({"ttl": timedelta(0)}, R.TTL_MALFORMED),
        ({"exp": NOON}, R.EXP_MALFORMED),
        ({"aggregation_uri": "x"}, R.AGGREGATION_URI_MALFORMED),
    ],
)
def test_an_issuer_signs_no_token_a_verifier_would_refuse(
    change: Mapping[str, Any], reason: StatusListReason
) -> None:
    with pytest.raises(StatusListError) as caught:
        token(**change)
    assert caught.value.reason is reason


def test_a_list_larger_than_the_caller_allows_is_refused() -> None:
    assert refused(token(), max_bytes=1_000) is R.LIST_TOO_LARGE


def test_an_index_beyond_the_signed_list_is_refused() -> None:
    with pytest.raises(StatusListError) as caught:
        read(token()).list.get(4_096)
    assert caught.value.reason is R.INDEX_OUT_OF_RANGE


def test_the_media_type_is_the_registered_one() -> None:
    assert status_list.MEDIA_TYPE == "application/statuslist+jwt"
