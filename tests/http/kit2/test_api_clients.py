"""The token endpoint and what its tokens open: every assertion but a good one is refused, by name."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from fastapi import Depends

from passport_shared.formats.clock import epoch_s
from passport_shared.formats.jose import parse, sign, verify
from passport_shared.formats.strict import b64url_encode
from passport_shared.service import auth, keys, limits
from passport_shared.service.app import create_app
from passport_shared.service.auth import (
    KEPT_LONGER,
    Authenticator,
    Caller,
    actor_of,
    authorise_organisation,
    require,
    token_routes,
)
from passport_shared.service.client_assertion import AssertionReason, AssertionRefused, check_assertion
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.keys import Kek, KeyState, KeyStore
from passport_shared.service.limits import RateLimiter
from passport_shared.service.problems import Forbidden, Invalid, NotFound, Unauthenticated
from passport_shared.service.routes import management_router
from passport_shared.wire.clients import ASSERTION_TYPE, ClientKind, ClientState, client_assertion
from passport_shared.wire.scopes import scopes_of
from passport_testkit.apps import client_of, problem, protocol_error
from passport_testkit.clients import (
    ABSENT,
    ApiClientKit,
    ClientsSimulator,
    access_token,
    api_client,
    bearer,
    token_form,
)
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.keys import key

METADATA = new_metadata()
AUTH_TABLES = auth.tables(METADATA)
KEY_TABLES = keys.tables(METADATA)
LIMIT_TABLES = limits.tables(METADATA)
KEK = Kek(bytes(range(32)))
URL = "https://issuer.example"
REGISTRY = "https://registry.example"
R = AssertionReason

HR = api_client("rbv-hr", scopes=["staff:read", "staff:write", "offers:write", "organisations:read"])
OTHER = api_client("r0a-hr", organisation="R0A", scopes=["staff:read"])
REGION = api_client("region", organisation="*", scopes=["staff:read"])
PERSON = api_client("rbv-anna", kind=ClientKind.PERSON, scopes=["staff:read"])


class World:
    """An issuer-like service with one management route, its directory and its clock."""

    def __init__(self, db: Database) -> None:
        self.clock = FrozenClock()
        self.db = db
        self.directory = ClientsSimulator(HR, OTHER, REGION, PERSON)
        self.keys = KeyStore(db, KEK, KEY_TABLES, self.clock)
        self.authenticator = self.another_replica(self.keys)
        self.http: httpx.AsyncClient

    def another_replica(self, store: KeyStore | None = None) -> Authenticator:
        return Authenticator(
            service_url=URL,
            clients=self.directory,
            keys=store or KeyStore(self.db, KEK, KEY_TABLES, self.clock),
            db=self.db,
            tables=AUTH_TABLES,
            clock=self.clock,
            scopes=scopes_of("issuer"),
            limiter=RateLimiter(self.db, LIMIT_TABLES, self.clock),
        )

    async def post(self, form: dict[str, str]) -> httpx.Response:
        return await self.http.post("/oauth2/token", data=form)

    async def bearer(self, client: ApiClientKit = HR, *, scope: str | None = None) -> dict[str, str]:
        return dict(await bearer(self.http, client, URL, self.clock.now(), scope=scope))

    async def staff(self, headers: dict[str, str], ods: str = "RBV") -> httpx.Response:
        return await self.http.get(f"/api/v1/organisations/{ods}/staff", headers=headers)


@pytest.fixture
async def world(databases: FreshDatabases) -> AsyncIterator[World]:
    made = World(await databases.open(metadata=METADATA))
    router = management_router("/api/v1/organisations/{ods}")

    @router.get("/staff")
    async def staff(ods: str, caller: Annotated[Caller, Depends(require("staff:read"))]) -> dict[str, str]:
        authorise_organisation(caller, ods)
        return {"ods": ods, "client": caller.client_id}

    app = create_app(
        service="issuer",
        version="0",
        public_url=URL,
        clock=made.clock,
        routers=[token_routes(made.authenticator), router],
    )
    app.state.authenticator = made.authenticator
    async with client_of(app) as http:
        made.http = http
        yield made


# The token that is given


async def test_a_good_assertion_gets_a_token_of_five_minutes(world: World) -> None:
    answer = await world.post(HR.token_request(URL, world.clock.now()))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert {name: body[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "offers:write staff:read staff:write",
    }
    own = (await world.keys.active("access-token")).public
    claims = verify(body["access_token"], own, typ="at+jwt").claims
    now = epoch_s(world.clock.now())
    jti = claims.pop("jti")
    assert len(jti) >= 22
    assert claims == {
        "iss": URL,
        "sub": "rbv-hr",
        "client_id": "rbv-hr",
        "aud": URL,
        "organisation": "RBV",
        "kind": "MACHINE",
        "scope": "offers:write staff:read staff:write",
        "iat": now,
        "exp": now + 300,
    }


@pytest.mark.parametrize("typ", ["client-authentication+jwt", "JWT"])
async def test_both_types_of_assertion_are_accepted(world: World, typ: str) -> None:
    form = token_form(HR.assertion(URL, world.clock.now(), typ=typ))
    assert (await world.post(form)).status_code == 200


async def test_the_assertion_our_own_clients_make_is_accepted(world: World) -> None:
    assertion = client_assertion("rbv-hr", HR.key, audience=URL, now=world.clock.now())
    assert (await world.post({**token_form(assertion), "client_id": "rbv-hr"})).status_code == 200


async def test_two_keys_may_be_live_and_one_that_is_gone_is_not(world: World) -> None:
    newer = key("rbv-hr, newer")
    both = HR.with_record(jwks=(HR.key.public.as_jwk(), newer.public.as_jwk()))
    world.directory.put(both)
    now = world.clock.now()
    for signing in (HR.key, newer):
        form = token_form(HR.assertion(URL, now, signed_by=signing, kid=signing.kid))
        assert (await world.post(form)).status_code == 200
    world.directory.put(HR.with_record(jwks=(newer.public.as_jwk(),)))
    protocol_error(await world.post(HR.token_request(URL, now)), 401, "invalid_client")


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        ("staff:read", "staff:read"),
        ("staff:write staff:read", "staff:read staff:write"),
        (None, "offers:write staff:read staff:write"),
    ],
)
async def test_scopes_can_be_fewer(world: World, requested: str | None, granted: str) -> None:
    answer = await world.post(HR.token_request(URL, world.clock.now(), scope=requested))
    assert answer.json()["scope"] == granted


@pytest.mark.parametrize(
    "requested",
    [
        "",
        " ",
        "staff:read staff:read",
        "staff:read  staff:write",
        "staff:approve",
        "credentials:write",
        "organisations:read",  # another service's, though the client has it
        "staff:read unknown:read",
        "STAFF:READ",
        "*",
    ],
)
async def test_scopes_cannot_be_more(world: World, requested: str) -> None:
    answer = await world.post(HR.token_request(URL, world.clock.now(), scope=requested))
    protocol_error(answer, 400, "invalid_scope")


async def test_a_client_without_a_scope_here_gets_no_token(world: World) -> None:
    stranger = api_client("reports-only", scopes=["reports:read"])
    world.directory.put(stranger)
    protocol_error(await world.post(stranger.token_request(URL, world.clock.now())), 400, "invalid_scope")


# Assertions that are refused


def hs256(claims: dict[str, Any], secret: bytes) -> str:
    head = b64url_encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": HR.key.kid}).encode())
    signing_input = f"{head}.{b64url_encode(json.dumps(claims).encode())}"
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(signing_input.encode())
    return f"{signing_input}.{b64url_encode(mac.finalize())}"


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    return ".".join([*(b64url_encode(json.dumps(part).encode()) for part in (header, claims)), signature])


PEM = HR.key.public.key.public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
Variant = Callable[[FrozenClock], str]


def changed(**changes: Any) -> Variant:
    return lambda clock: HR.assertion(URL, clock.now(), **changes)


def at(name: str, seconds: float) -> Variant:
    def make(clock: FrozenClock) -> str:
        changes: dict[str, Any] = {name: epoch_s(clock.now()) + seconds}
        return HR.assertion(URL, clock.now(), **changes)

    return make


def times(iat: int, exp: int) -> Variant:
    def make(clock: FrozenClock) -> str:
        now = epoch_s(clock.now())
        return HR.assertion(URL, clock.now(), iat=now + iat, exp=now + exp)

    return make


def with_header(**header: Any) -> Variant:
    def make(clock: FrozenClock) -> str:
        headers = {"kid": HR.key.kid} | header
        return sign(HR.claims(URL, clock.now()), HR.key, typ="JWT", kid=False, headers=headers)

    return make


VARIANTS: dict[str, tuple[Variant, AssertionReason]] = {
    # audience
    "aud: token endpoint": (changed(aud=f"{URL}/oauth2/token"), R.AUDIENCE),
    "aud: array with the right one": (changed(aud=[URL]), R.AUDIENCE),
    "aud: array of two": (changed(aud=[URL, REGISTRY]), R.AUDIENCE),
    "aud: another service": (changed(aud=REGISTRY), R.AUDIENCE),
    "aud: trailing slash": (changed(aud=f"{URL}/"), R.AUDIENCE),
    "aud: upper case": (changed(aud=URL.upper()), R.AUDIENCE),
    "aud: default port": (changed(aud=f"{URL}:443"), R.AUDIENCE),
    "aud: tenant": (changed(aud=f"{URL}/RBV"), R.AUDIENCE),
    "aud: missing": (changed(aud=ABSENT), R.AUDIENCE),
    "aud: null": (changed(aud=None), R.AUDIENCE),
    "aud: object": (changed(aud={URL: 1}), R.AUDIENCE),
    # issuer and subject
    "iss: another client": (changed(iss="r0a-hr"), R.ISSUER_SUBJECT),
    "sub: another client": (changed(sub="r0a-hr"), R.ISSUER_SUBJECT),
    "iss: missing": (changed(iss=ABSENT), R.ISSUER_SUBJECT),
    "sub: missing": (changed(sub=ABSENT), R.ISSUER_SUBJECT),
    "iss and sub: missing": (changed(iss=ABSENT, sub=ABSENT), R.ISSUER_SUBJECT),
    "iss and sub: list": (changed(iss=["rbv-hr"], sub=["rbv-hr"]), R.ISSUER_SUBJECT),
    "iss and sub: SQL": (changed(iss="' OR 1=1 --", sub="' OR 1=1 --"), R.ISSUER_SUBJECT),
    "iss and sub: look-alike": (changed(iss="rbv-hr\u200b", sub="rbv-hr\u200b"), R.ISSUER_SUBJECT),
    # times
    "exp: missing": (changed(exp=ABSENT), R.EXPIRY_MISSING),
    "exp: text": (changed(exp="9999999999"), R.EXPIRY_MISSING),
    "exp: true": (changed(exp=True), R.EXPIRY_MISSING),
    "exp: fraction": (at("exp", 30.5), R.EXPIRY_MISSING),
    "exp: beyond time": (changed(exp=2**53 + 2), R.EXPIRY_MISSING),
    "exp: past": (times(-60, -1), R.EXPIRED),
    "exp: now": (times(-30, 0), R.EXPIRED),
    "exp: 61 seconds ahead": (at("exp", 61), R.EXPIRY_TOO_FAR),
    "exp: an hour ahead": (at("exp", 3_600), R.EXPIRY_TOO_FAR),
    "exp: milliseconds": (at("exp", 1_000_000_000_000), R.EXPIRY_MISSING),
    "iat: missing": (changed(iat=ABSENT), R.ISSUED_AT),
    "iat: future": (times(31, 60), R.ISSUED_AT),
    "iat: after exp": (times(20, 10), R.ISSUED_AT),
    "iat: text": (changed(iat="1"), R.ISSUED_AT),
    "iat: long ago": (times(-3_600, 30), R.LIFE_TOO_LONG),
    "iat: life of 61 seconds": (times(-31, 30), R.LIFE_TOO_LONG),
    "nbf: future": (at("nbf", 31), R.NOT_BEFORE),
    "nbf: text": (changed(nbf="0"), R.NOT_BEFORE),
    # jti
    "jti: missing": (changed(jti=ABSENT), R.JTI),
    "jti: empty": (changed(jti=""), R.JTI),
    "jti: number": (changed(jti=7), R.JTI),
    "jti: too long": (changed(jti="x" * 129), R.JTI),
    "jti: spaces": (changed(jti="a b"), R.JTI),
    # algorithm, type and structure
    "alg: none": (
        lambda clock: unsigned({"alg": "none", "typ": "JWT"}, HR.claims(URL, clock.now())),
        R.ALGORITHM,
    ),
    "alg: nOnE": (
        lambda clock: unsigned({"alg": "nOnE", "typ": "JWT"}, HR.claims(URL, clock.now())),
        R.ALGORITHM,
    ),
    "alg: HS256 with the public key as PEM": (
        lambda clock: hs256(HR.claims(URL, clock.now()), PEM),
        R.ALGORITHM,
    ),
    "alg: HS256 with nothing": (lambda clock: hs256(HR.claims(URL, clock.now()), b""), R.ALGORITHM),
    "alg: ES384 by name": (
        lambda clock: unsigned({"alg": "ES384", "typ": "JWT"}, HR.claims(URL, clock.now()), "AAAA"),
        R.ALGORITHM,
    ),
    "alg: missing": (
        lambda clock: unsigned({"typ": "JWT"}, HR.claims(URL, clock.now()), "AAAA"),
        R.MALFORMED,
    ),
    "typ: access token": (changed(typ="at+jwt"), R.TYP),
    "typ: credential": (changed(typ="dc+sd-jwt"), R.TYP),
    "typ: other case": (changed(typ="jwt"), R.TYP),
    "crit": (
        lambda clock: unsigned({"alg": "ES256", "crit": ["exp"]}, HR.claims(URL, clock.now()), "AAAA"),
        R.MALFORMED,
    ),
    "not a token": (lambda _: "x", R.MALFORMED),
    "four parts": (lambda clock: HR.assertion(URL, clock.now()) + ".x", R.MALFORMED),
    "padding": (lambda clock: HR.assertion(URL, clock.now()) + "=", R.MALFORMED),
    "oversize": (changed(filler="x" * 10_000), R.MALFORMED),
    "claims that are a list": (lambda _: unsigned({"alg": "ES256"}, []), R.MALFORMED),  # type: ignore[arg-type]
    # keys
    "kid: missing": (
        lambda clock: sign(HR.claims(URL, clock.now()), HR.key, typ="JWT", kid=False),
        R.UNKNOWN_KEY,
    ),
    "kid: unknown": (changed(kid="unknown"), R.UNKNOWN_KEY),
    "kid: another client's": (changed(kid=OTHER.key.kid, signed_by=OTHER.key), R.UNKNOWN_KEY),
    "kid: path": (changed(kid="../../../dev/null"), R.UNKNOWN_KEY),
    "kid: SQL": (changed(kid="x' UNION SELECT 'a"), R.UNKNOWN_KEY),
    "kid: URL": (changed(kid="https://127.0.0.1/key"), R.UNKNOWN_KEY),
    "jwk in the header": (with_header(kid="x", jwk=key("attacker").public.as_jwk()), R.UNKNOWN_KEY),
    "jku in the header": (with_header(kid="x", jku="https://127.0.0.1/jwks"), R.UNKNOWN_KEY),
    "signature: another key": (changed(signed_by=key("attacker")), R.SIGNATURE),
    "signature: another client's key under our kid": (changed(signed_by=OTHER.key), R.SIGNATURE),
    "signature: missing": (
        lambda clock: HR.assertion(URL, clock.now()).rpartition(".")[0] + ".",
        R.SIGNATURE,
    ),
    "signature: zeros": (
        lambda clock: HR.assertion(URL, clock.now()).rpartition(".")[0] + "." + b64url_encode(bytes(64)),
        R.SIGNATURE,
    ),
    "signature: of other claims": (
        lambda clock: ".".join(
            [
                *HR.assertion(URL, clock.now()).split(".")[:2],
                HR.assertion(URL, clock.now()).split(".")[2],
            ]
        ),
        R.SIGNATURE,
    ),
    # the client
    "client: unknown": (
        lambda clock: api_client("nobody").assertion(URL, clock.now()),
        R.UNKNOWN_CLIENT,
    ),
    "client: suspended": (
        lambda clock: api_client("suspended").assertion(URL, clock.now()),
        R.SUSPENDED,
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
async def test_other_assertions_are_refused(world: World, variant: str) -> None:
    make, reason = VARIANTS[variant]
    world.directory.put(api_client("suspended", scopes=["staff:read"], state=ClientState.SUSPENDED))
    assertion = make(world.clock)
    with pytest.raises(AssertionRefused) as refusal:
        await check_assertion(
            assertion, client_id=None, audience=URL, clients=world.directory, now=world.clock.now()
        )
    assert refusal.value.reason is reason
    answer = await world.post(token_form(assertion))
    body = protocol_error(answer, 401, "invalid_client")
    assert len(answer.content) < 400
    assert assertion not in answer.text
    assert body["error_description"]


def test_every_reason_has_a_variant() -> None:
    elsewhere = {R.REPLAYED, R.CLIENT_MISMATCH}
    assert {reason for _, reason in VARIANTS.values()} | elsewhere == set(AssertionReason)
    assert len(VARIANTS) >= 30


def test_strangers_do_not_learn_which_clients_exist() -> None:
    untrusted = (R.UNKNOWN_CLIENT, R.SUSPENDED, R.UNKNOWN_KEY, R.SIGNATURE)
    assert len({AssertionRefused(reason).description for reason in untrusted}) == 1


async def test_client_id_must_be_the_assertions(world: World) -> None:
    form = HR.token_request(URL, world.clock.now())
    protocol_error(await world.post({**form, "client_id": "r0a-hr"}), 401, "invalid_client")
    assert (await world.post({**form, "client_id": "rbv-hr"})).status_code == 200


@both_databases
async def test_an_assertion_works_once_whoever_sends_it_where_and_when(world: World) -> None:
    form = HR.token_request(URL, world.clock.now())
    replicas = [world.another_replica() for _ in range(20)]
    results = await at_once(20, lambda number: replicas[number].grant(form))
    assert len([result for result in results if isinstance(result, dict)]) == 1
    world.clock.advance(timedelta(seconds=29))
    body = protocol_error(await world.post(form), 401, "invalid_client")
    assert "jti" in body["error_description"]
    same_jti = OTHER.assertion(URL, world.clock.now(), jti=parse(form["client_assertion"]).claims["jti"])
    assert (await world.post(token_form(same_jti))).status_code == 200, "a jti is the client's own"


async def test_a_refused_assertion_is_not_used_up(world: World) -> None:
    assertion = HR.assertion(URL, world.clock.now())
    forged = assertion[:-8] + ("A" * 8 if assertion[-8:] != "A" * 8 else "B" * 8)
    protocol_error(await world.post(token_form(forged)), 401, "invalid_client")
    assert (await world.post(token_form(assertion))).status_code == 200


async def test_used_assertions_are_forgotten_when_they_are_refused_for_their_age(world: World) -> None:
    form = HR.token_request(URL, world.clock.now())
    assert (await world.post(form)).status_code == 200
    world.clock.advance(timedelta(seconds=30))
    assert await world.authenticator.purge() == 0, "kept until it has expired for certain"
    protocol_error(await world.post(form), 401, "invalid_client")
    world.clock.advance(KEPT_LONGER)
    assert await world.authenticator.purge() == 0, "kept for replicas whose clocks are behind"
    world.clock.advance(timedelta(seconds=1))
    assert await world.authenticator.purge() == 1


# Requests that are no token requests


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({"client_assertion_type": None}, 401, "invalid_client"),
        ({"client_assertion_type": ASSERTION_TYPE + "x"}, 401, "invalid_client"),
        ({"client_assertion": None}, 401, "invalid_client"),
        ({"client_assertion": ""}, 401, "invalid_client"),
        ({"client_secret": "s"}, 401, "invalid_client"),
    ],
)
async def test_malformed_requests(
    world: World, change: dict[str, str | None], status: int, error: str
) -> None:
    form = HR.token_request(URL, world.clock.now()) | change
    sent = {name: value for name, value in form.items() if value is not None}
    protocol_error(await world.post(sent), status, error)


async def test_parameters_are_not_repeated_and_forms_are_forms(world: World) -> None:
    form = HR.token_request(URL, world.clock.now())
    encoded = httpx.QueryParams(form)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for name in form:
        content = f"{encoded}&{name}=x"
        answer = await world.http.post("/oauth2/token", content=content, headers=headers)
        protocol_error(answer, 400, "invalid_request")
    protocol_error(await world.http.post("/oauth2/token", json=form), 400, "invalid_request")
    protocol_error(
        await world.http.post("/oauth2/token", params=form, content=b"", headers=headers),
        400,
        "invalid_request",
    )
    basic = base64.b64encode(b"rbv-hr:secret").decode()
    answer = await world.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {basic}"},
    )
    protocol_error(answer, 401, "invalid_client")


async def test_without_a_directory_nobody_gets_in_and_the_reason_is_said(world: World) -> None:
    headers = await world.bearer()
    world.directory.unavailable = True
    answer = await world.post(HR.token_request(URL, world.clock.now()))
    protocol_error(answer, 503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "60"
    problem(await world.staff(headers), 503, "unavailable")


async def test_the_token_endpoint_answers_posts_only(world: World) -> None:
    assert (await world.http.get("/oauth2/token")).status_code == 405


async def test_the_token_endpoint_is_described(world: World) -> None:
    operation = (await world.http.get("/openapi.json")).json()["paths"]["/oauth2/token"]["post"]
    assert set(operation["responses"]) >= {"200", "400", "401", "503"}
    assert "422" not in operation["responses"]
    assert "application/x-www-form-urlencoded" in operation["requestBody"]["content"]


# What a token opens


async def test_a_token_opens_what_its_scope_says(world: World) -> None:
    answer = await world.staff(await world.bearer())
    assert (answer.status_code, answer.json()) == (200, {"ods": "RBV", "client": "rbv-hr"})
    lower = {"Authorization": (await world.bearer())["Authorization"].replace("Bearer", "bearer")}
    assert (await world.staff(lower)).status_code == 200


async def test_a_token_without_the_scope_is_403(world: World) -> None:
    answer = await world.staff(await world.bearer(scope="offers:write"))
    problem(answer, 403, "forbidden")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="staff:read"'


async def test_another_organisations_things_are_404_and_a_region_sees_all(world: World) -> None:
    problem(await world.staff(await world.bearer(OTHER)), 404, "not_found")
    for ods in ("RBV", "R0A"):
        assert (await world.staff(await world.bearer(REGION), ods)).status_code == 200


async def test_no_token_is_401_with_a_challenge(world: World) -> None:
    answer = await world.staff({})
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", ["Basic cmJ2OmhyIA==", "Bearer", "Bearer ", "", "token", "DPoP x", "Bearer  x"]
)
async def test_other_headers_are_401(world: World, header: str) -> None:
    problem(await world.staff({"Authorization": header}), 401, "unauthenticated")


async def test_two_authorization_headers_are_401(world: World) -> None:
    token = (await world.bearer())["Authorization"]
    answer = await world.http.get(
        "/api/v1/organisations/RBV/staff", headers=[("Authorization", token), ("Authorization", token)]
    )
    problem(answer, 401, "unauthenticated")


def token_claims(world: World, **changes: Any) -> dict[str, Any]:
    now = epoch_s(world.clock.now())
    claims = {
        "iss": URL,
        "sub": "rbv-hr",
        "client_id": "rbv-hr",
        "aud": URL,
        "organisation": "RBV",
        "kind": "MACHINE",
        "scope": "staff:read",
        "iat": now,
        "exp": now + 300,
        "jti": "j",
    } | changes
    return {name: value for name, value in claims.items() if value is not ABSENT}


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": REGISTRY},
        {"aud": REGISTRY},
        {"aud": [URL]},
        {"aud": ABSENT},
        {"iss": ABSENT},
        {"exp": ABSENT},
        {"iat": ABSENT},
        {"exp": 1},
        {"exp": "9999999999"},
        {"iat": 9_999_999_999, "exp": 9_999_999_999},
        {"nbf": 9_999_999_999},
        {"client_id": "nobody"},
        {"client_id": ABSENT},
        {"client_id": ["rbv-hr"]},
        {"client_id": "r0a-hr"},
        {"organisation": "R0A"},
        {"organisation": "*"},
        {"kind": "PERSON"},
    ],
)
async def test_tokens_of_our_key_with_other_claims_are_401(world: World, changes: dict[str, Any]) -> None:
    own = await world.keys.ensure("access-token")
    assert (await world.staff(authorization(sign(token_claims(world), own, typ="at+jwt")))).status_code == 200
    answer = await world.staff(authorization(sign(token_claims(world, **changes), own, typ="at+jwt")))
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_tokens_of_another_key_or_type_are_401(world: World) -> None:
    own = await world.keys.ensure("access-token")
    claims = token_claims(world)
    forged = [
        sign(claims, key("attacker"), typ="at+jwt"),
        sign(claims, key("attacker"), typ="at+jwt", kid=False, headers={"kid": own.kid}),
        sign(claims, own, typ="at+jwt", kid=False),
        sign(claims, own, typ="JWT"),
        sign(claims, own, typ="client-authentication+jwt"),
        sign(token_claims(world, filler="x" * 5_000), own, typ="at+jwt"),
        unsigned({"alg": "none", "typ": "at+jwt"}, claims),
        HR.assertion(URL, world.clock.now()),
        "opaque-wallet-token",
        "a.b.c",
    ]
    for token in forged:
        problem(await world.staff(authorization(token)), 401, "unauthenticated")


async def test_a_token_ends_after_five_minutes(world: World) -> None:
    headers = await world.bearer()
    world.clock.advance(timedelta(seconds=299))
    assert (await world.staff(headers)).status_code == 200
    world.clock.advance(timedelta(seconds=1))
    problem(await world.staff(headers), 401, "unauthenticated")


async def test_a_replica_whose_clock_is_behind_accepts_a_fresh_token(world: World) -> None:
    headers = await world.bearer()
    world.clock.advance(timedelta(seconds=-30))
    assert (await world.staff(headers)).status_code == 200


async def test_a_suspended_client_loses_the_tokens_it_holds(world: World) -> None:
    headers = await world.bearer()
    world.directory.put(HR.with_record(state=ClientState.SUSPENDED))
    problem(await world.staff(headers), 401, "unauthenticated")


async def test_a_scope_that_is_taken_away_is_gone_from_tokens_too(world: World) -> None:
    headers = await world.bearer()
    world.directory.put(HR.with_record(scopes=frozenset({"staff:write"})))
    problem(await world.staff(headers), 403, "forbidden")


async def test_tokens_survive_the_rotation_of_their_key_and_not_its_compromise(world: World) -> None:
    headers = await world.bearer()
    old = await world.keys.active("access-token")
    await world.keys.create("access-token", state=KeyState.NEXT)
    await world.keys.activate_next("access-token")
    assert (await world.staff(headers)).status_code == 200
    assert (await world.staff(await world.bearer())).status_code == 200
    await world.keys.compromise(old.kid)
    problem(await world.staff(headers), 401, "unauthenticated")
    assert (await world.staff(await world.bearer())).status_code == 200


@both_databases
async def test_replicas_accept_each_others_tokens(world: World) -> None:
    replicas = [world.another_replica() for _ in range(10)]
    results = await at_once(
        10, lambda number: replicas[number].grant(HR.token_request(URL, world.clock.now()))
    )
    tokens = [result["access_token"] for result in results if isinstance(result, dict)]
    assert len(tokens) == 10
    for token in tokens:
        caller = await world.another_replica().authenticate(f"Bearer {token}")
        assert caller.client_id == "rbv-hr"


@both_databases
async def test_a_replica_that_has_just_looked_accepts_a_key_another_makes_now(world: World) -> None:
    looked = world.another_replica()
    with pytest.raises(Unauthenticated):
        await looked.authenticate("Bearer " + sign(token_claims(world), key("attacker"), typ="at+jwt"))
    granted = await world.authenticator.grant(HR.token_request(URL, world.clock.now()))
    caller = await looked.authenticate(f"Bearer {granted['access_token']}")
    assert caller.client_id == "rbv-hr"


# Callers and actors


def caller_of(client: ApiClientKit) -> Caller:
    record = client.record
    return Caller(
        client_id=record.client_id, kind=record.kind, organisation=record.organisation, scopes=record.scopes
    )


def test_organisations_are_compared_as_strings() -> None:
    authorise_organisation(caller_of(HR), "RBV")
    authorise_organisation(caller_of(REGION), "RBV")
    for ods in ("R0A", "rbv", "RBV ", "", "*"):
        with pytest.raises(NotFound):
            authorise_organisation(caller_of(HR), ods)


def test_a_machine_asserts_a_person_and_a_person_is_itself() -> None:
    machine = actor_of(caller_of(HR), "hr-user-17")
    assert machine.as_dict() == {
        "ref": "hr-user-17",
        "client_id": "rbv-hr",
        "kind": "MACHINE",
        "asserted": True,
    }
    for asserted in (None, "rbv-anna"):
        person = actor_of(caller_of(PERSON), asserted)
        assert (person.ref, person.client_id, person.asserted) == ("rbv-anna", "rbv-anna", False)
    with pytest.raises(Forbidden):
        actor_of(caller_of(PERSON), "rbv-boss")
    for asserted in (None, "", "Anna Smith", "anna@example.nhs.uk", "é", "x" * 129, "-x", "a\nb"):
        with pytest.raises(Invalid):
            actor_of(caller_of(HR), asserted)


def test_scopes_that_do_not_exist_are_found_when_the_route_is_made() -> None:
    with pytest.raises(ValueError, match="no scope"):
        require("staff:delete")
    assert require("staff:read") is require("staff:read")


async def test_the_testkit_fetches_tokens(world: World) -> None:
    token = await access_token(world.http, HR, URL, world.clock.now(), scope="staff:read")
    assert parse(token).claims["scope"] == "staff:read"
