"""The signed client directory: what is in it, and that one wrong entry refuses the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.clock import epoch_s
from passport_shared.formats.jose import sign
from passport_shared.wire.clients import (
    DIRECTORY_LIFETIME,
    DIRECTORY_TYP,
    MAX_SCOPES,
    ApiClient,
    ClientKind,
    ClientState,
    DirectoryError,
    DirectoryReason,
    build_directory,
    check_client,
    read_directory,
)
from passport_shared.wire.scopes import ALL_SCOPES
from passport_testkit.clients import api_client
from passport_testkit.clock import NOON
from passport_testkit.keys import key, private_jwk

REGISTRY = "https://registry.example"
SIGNER = key("client directory")
JWKS = [SIGNER.public.as_jwk()]
HR = api_client("rbv-hr", scopes=["staff:read"]).record
R = DirectoryReason


def claims(**changes: Any) -> dict[str, Any]:
    entry = {
        "client_id": "rbv-hr",
        "kind": "MACHINE",
        "organisation": "RBV",
        "scopes": ["staff:read"],
        "jwks": {"keys": [dict(jwk) for jwk in HR.jwks]},
        "state": "ACTIVE",
        "name": "HR",
    }
    whole = {
        "iss": REGISTRY,
        "iat": epoch_s(NOON),
        "exp": epoch_s(NOON + DIRECTORY_LIFETIME),
        "sequence": 7,
        "clients": [entry],
    }
    return whole | changes


def entry(**changes: Any) -> dict[str, Any]:
    one = claims()["clients"][0] | changes
    return claims(clients=[{name: value for name, value in one.items() if value is not ...}])


def test_a_directory_is_read_as_it_was_built() -> None:
    clients = [
        HR,
        api_client("region", organisation="*", scopes=["reports:read"]).record,
        api_client("anna", kind=ClientKind.PERSON, scopes=[], state=ClientState.SUSPENDED).record,
        replace(HR, client_id="two-keys", jwks=(*HR.jwks, key("second").public.as_jwk())),
        replace(HR, client_id="no-key", jwks=()),
    ]
    token = build_directory(clients, iss=REGISTRY, sequence=7, iat=NOON, key=SIGNER)
    directory = read_directory(token, JWKS, iss=REGISTRY, now=NOON)
    assert list(directory.clients.values()) == clients
    assert (directory.sequence, directory.iat, directory.exp) == (7, NOON, NOON + DIRECTORY_LIFETIME)


WRONG: dict[str, tuple[Callable[[], dict[str, Any]], DirectoryReason]] = {
    "iss": (lambda: claims(iss="https://other.example"), R.ISSUER),
    "iss list": (lambda: claims(iss=[REGISTRY]), R.ISSUER),
    "iat text": (lambda: claims(iat="1"), R.TIMES),
    "expired": (lambda: claims(iat=epoch_s(NOON) - 600, exp=epoch_s(NOON) - 60), R.TIMES),
    "future": (lambda: claims(iat=epoch_s(NOON) + 61), R.TIMES),
    "lives too long": (lambda: claims(exp=epoch_s(NOON + DIRECTORY_LIFETIME) + 1), R.LIFETIME),
    "ends before it starts": (lambda: claims(iat=epoch_s(NOON) + 30, exp=epoch_s(NOON) + 20), R.LIFETIME),
    "sequence text": (lambda: claims(sequence="7"), R.SEQUENCE),
    "sequence true": (lambda: claims(sequence=True), R.SEQUENCE),
    "sequence negative": (lambda: claims(sequence=-1), R.SEQUENCE),
    "clients object": (lambda: claims(clients={}), R.CLIENT),
    "clients missing": (lambda: claims(clients=None), R.CLIENT),
    "client text": (lambda: claims(clients=["rbv-hr"]), R.CLIENT),
    "hr_users text": (lambda: claims(hr_users="nobody"), R.HR_USER),
    "twice": (lambda: claims(clients=claims()["clients"] * 2), R.DUPLICATE),
    "client_id missing": (lambda: entry(client_id=...), R.CLIENT),
    "client_id empty": (lambda: entry(client_id=""), R.CLIENT),
    "client_id with spaces": (lambda: entry(client_id="rbv hr"), R.CLIENT),
    "client_id long": (lambda: entry(client_id="x" * 65), R.CLIENT),
    "kind unknown": (lambda: entry(kind="ROBOT"), R.CLIENT),
    "kind list": (lambda: entry(kind=["MACHINE"]), R.CLIENT),
    "organisation lower case": (lambda: entry(organisation="rbv"), R.CLIENT),
    "organisation empty": (lambda: entry(organisation=""), R.CLIENT),
    "organisation two stars": (lambda: entry(organisation="**"), R.CLIENT),
    "scopes text": (lambda: entry(scopes="staff:read"), R.CLIENT),
    "scope of another form": (lambda: entry(scopes=["staff:*"]), R.CLIENT),
    "scope number": (lambda: entry(scopes=[1]), R.CLIENT),
    "too many scopes": (lambda: entry(scopes=["staff:read"] * 257), R.CLIENT),
    "state unknown": (lambda: entry(state="active"), R.CLIENT),
    "state missing": (lambda: entry(state=...), R.CLIENT),
    "jwks missing": (lambda: entry(jwks=...), R.CLIENT),
    "jwks list": (lambda: entry(jwks=[]), R.CLIENT),
    "three keys": (
        lambda: entry(jwks={"keys": [key(f"k{n}").public.as_jwk() for n in range(3)]}),
        R.CLIENT,
    ),
    "one key twice": (lambda: entry(jwks={"keys": [dict(HR.jwks[0])] * 2}), R.CLIENT),
    "private key": (lambda: entry(jwks={"keys": [{**private_jwk(key("k")), "kid": "k"}]}), R.CLIENT),
    "key without kid": (lambda: entry(jwks={"keys": [key("k").public.jwk]}), R.CLIENT),
    "key off the curve": (
        lambda: entry(jwks={"keys": [{**key("k").public.as_jwk(), "x": key("l").public.jwk["x"]}]}),
        R.CLIENT,
    ),
    "symmetric key": (lambda: entry(jwks={"keys": [{"kty": "oct", "k": "AAAA", "kid": "k"}]}), R.CLIENT),
    "name number": (lambda: entry(name=1), R.CLIENT),
    "name long": (lambda: entry(name="x" * 201), R.CLIENT),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_wrong_thing_refuses_the_whole(case: str) -> None:
    make, reason = WRONG[case]
    token = sign(make(), SIGNER, typ=DIRECTORY_TYP)
    with pytest.raises(DirectoryError) as refusal:
        read_directory(token, JWKS, iss=REGISTRY, now=NOON)
    assert refusal.value.reason is reason


@pytest.mark.parametrize(
    "token",
    [
        "x",
        b"\xff",
        sign(claims(), SIGNER, typ="JWT"),
        sign(claims(), key("attacker"), typ=DIRECTORY_TYP),
        sign(claims(), SIGNER, typ=DIRECTORY_TYP, kid=False),
    ],
    ids=["text", "bytes", "typ", "key", "no kid"],
)
def test_other_tokens_are_no_directory(token: str | bytes) -> None:
    with pytest.raises(DirectoryError) as refusal:
        read_directory(token, JWKS, iss=REGISTRY, now=NOON)
    assert refusal.value.reason is R.TOKEN


def test_every_reason_has_a_case() -> None:
    assert {reason for _, reason in WRONG.values()} | {R.TOKEN} == set(DirectoryReason)


def test_clocks_may_differ_by_a_minute() -> None:
    token = build_directory([HR], iss=REGISTRY, sequence=7, iat=NOON, key=SIGNER)
    read_directory(token, JWKS, iss=REGISTRY, now=NOON - timedelta(seconds=60))


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["client_id", "kind", "organisation", "scopes", "jwks", "state", "name"]),
)
def test_whatever_stands_in_a_member_is_refused_or_read(value: Any, member: str) -> None:
    whole = entry(**{member: value})
    try:
        token = sign(whole, SIGNER, typ=DIRECTORY_TYP)
    except ValueError:
        return
    try:
        directory = read_directory(token, JWKS, iss=REGISTRY, now=NOON)
    except DirectoryError:
        return
    assert all(isinstance(client, ApiClient) for client in directory.clients.values())


def test_a_client_may_have_every_scope_there_is():
    assert len(ALL_SCOPES) <= MAX_SCOPES
    every = check_client(
        client_id="everything",
        kind="MACHINE",
        organisation="*",
        scopes=sorted(ALL_SCOPES),
        keys=[],
        state="ACTIVE",
        name="",
    )
    assert every.scopes == ALL_SCOPES
