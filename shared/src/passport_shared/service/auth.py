"""API clients at the management interfaces: the token endpoint, callers and actors (design §6 "API clients").

Every service has its own `POST /oauth2/token`: client credentials with private_key_jwt, checked against the
client directory. Access tokens are `at+jwt` (RFC 9068), live five minutes and are good at this service alone.
A client that is suspended, or loses a scope, loses it for the tokens it holds as well, as soon as this
service's directory says so. Wallet-facing access tokens are other things and never reach this module.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import structlog
from fastapi import APIRouter, Request
from sqlalchemy import Column, Index, MetaData, Table, Text, delete
from starlette.responses import Response

from passport_shared.formats.clock import Clock, epoch_s
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import (
    JoseError,
    JoseReason,
    VerifiedJwt,
    check_times,
    sign,
    verify_with_jwks,
)
from passport_shared.formats.strict import dumps
from passport_shared.service import failpoints
from passport_shared.service.client_assertion import (
    AssertionReason,
    AssertionRefused,
    CheckedAssertion,
    check_assertion,
)
from passport_shared.service.client_directory import ClientDirectory, DirectoryUnavailable
from passport_shared.service.db import Database, UtcDateTime
from passport_shared.service.keys import KeyStore, StoredKey
from passport_shared.service.limits import RateLimiter
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.once import insert_once
from passport_shared.service.peer_address import UNKNOWN, peer_of
from passport_shared.service.problems import (
    Forbidden,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from passport_shared.service.routes import form_body, protocol_router
from passport_shared.service.token_limits import count_failure
from passport_shared.service.token_openapi import TOKEN_REQUEST, TOKEN_RESPONSES
from passport_shared.wire.clients import (
    ASSERTION_TYPE,
    EVERY_ORGANISATION,
    ApiClient,
    ClientKind,
    ClientState,
)
from passport_shared.wire.scopes import ALL_SCOPES, format_scope

ACCESS_TOKEN_KEY = "access-token"  # noqa: S105 - the key's purpose
ACCESS_TOKEN_TYP = "at+jwt"  # noqa: S105 - a media type
ACCESS_TOKEN_LIFE = timedelta(seconds=300)
KEPT_LONGER = timedelta(minutes=5)
"""How long a used assertion is remembered after its end, for replicas whose clocks are behind."""
MAX_ACCESS_TOKEN_BYTES = 4_096

_ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}\Z")
_DIRECTORY_RETRY_S = "60"

log = structlog.get_logger()


@dataclass(frozen=True)
class AuthTables:
    """Table of used assertions."""

    assertions: Table


def tables(metadata: MetaData) -> AuthTables:
    """Define the table of used assertions."""
    assertions = Table(
        "used_client_assertions",
        metadata,
        Column("client_id", Text, primary_key=True),
        Column("jti", Text, primary_key=True),
        Column("expires_at", UtcDateTime, nullable=False),
    )
    Index("ix_used_client_assertions_expires_at", assertions.c.expires_at)
    return AuthTables(assertions)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls, proven by an access token: `organisation` is an ODS code or "*"."""

    client_id: str
    kind: ClientKind
    organisation: str
    scopes: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The person who acts: the person client itself, or whom a machine client asserts."""

    ref: str
    client_id: str
    kind: ClientKind
    asserted: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON form for audit entries."""
        return {
            "ref": self.ref,
            "client_id": self.client_id,
            "kind": self.kind.value,
            "asserted": self.asserted,
        }


class Authenticator:
    """Gives access tokens to API clients and recognises them; kept at `app.state.authenticator`.

    Args:
        service_url: the service's base URL: audience of assertions, issuer and audience of access tokens.
        scopes: the scopes that exist at this service.
    """

    def __init__(
        self,
        *,
        service_url: str,
        clients: ClientDirectory,
        keys: KeyStore,
        db: Database,
        tables: AuthTables,
        clock: Clock,
        scopes: Collection[str],
        limiter: RateLimiter,
    ) -> None:
        self._service_url = service_url
        self._clients = clients
        self._keys = keys
        self._db = db
        self._assertions = tables.assertions
        self._clock = clock
        self._scopes = frozenset(scopes)
        self._limiter = limiter

    async def grant(self, form: Mapping[str, str], *, address: str = UNKNOWN) -> dict[str, Any]:
        """Answer a token request (RFC 6749 §4.4, RFC 7521 §4.2).

        Args:
            form: the request.
            address: what failures are counted under besides the client id.

        Raises:
            ProtocolError: invalid_request, unsupported_grant_type, invalid_client (401), invalid_scope, or
                temporarily_unavailable (503) when no current client directory is held.
            TooManyRequests: not authenticated, once too often; never where the client is.
        """
        assertion = _assertion_of(form)
        client = await self._authenticate_client(assertion, form.get("client_id"), address)
        granted = self._granted(client, form.get("scope"))
        key = await self._keys.ensure(ACCESS_TOKEN_KEY)
        issued_at = epoch_s(self._clock.now())
        claims = {
            "iss": self._service_url,
            "sub": client.client_id,
            "client_id": client.client_id,
            "aud": self._service_url,
            "organisation": client.organisation,
            "kind": client.kind.value,
            "scope": format_scope(granted),
            "iat": issued_at,
            "exp": issued_at + int(ACCESS_TOKEN_LIFE.total_seconds()),
            "jti": random_token(),
        }
        return {
            "access_token": sign(claims, key, typ=ACCESS_TOKEN_TYP),
            "token_type": "Bearer",
            "expires_in": int(ACCESS_TOKEN_LIFE.total_seconds()),
            "scope": claims["scope"],
        }

    async def _authenticate_client(self, assertion: str, client_id: str | None, address: str) -> ApiClient:
        try:
            checked = await check_assertion(
                assertion,
                client_id=client_id,
                audience=self._service_url,
                clients=self._clients,
                now=self._clock.now(),
            )
            await self._consume(checked)
            failpoints.hit(failpoints.AFTER_ASSERTION_USED)
        except AssertionRefused as refusal:
            wait = await count_failure(self._limiter, address=address, client_id=refusal.claimed)
            if wait is not None:
                raise TooManyRequests(
                    wait, "Client authentication has failed too often; a valid assertion is always taken."
                ) from refusal
            log.info("client_assertion.rejected", reason=refusal.reason.value)
            raise ProtocolError("invalid_client", refusal.description, status=401) from refusal
        except DirectoryUnavailable as error:
            log.warning("client_directory.unavailable", reason=str(error))
            raise ProtocolError(
                "temporarily_unavailable",
                "no current client directory is held; the operator must restore the registry connection",
                status=503,
                headers={"Retry-After": _DIRECTORY_RETRY_S},
            ) from error
        return checked.client

    async def _consume(self, checked: CheckedAssertion) -> None:
        row = {
            "client_id": checked.client.client_id,
            "jti": checked.jti,
            "expires_at": checked.expires_at,
        }
        async with self._db.write() as conn:
            if not await insert_once(conn, self._assertions, row):
                raise AssertionRefused(AssertionReason.REPLAYED, checked.client.client_id)

    def _granted(self, client: ApiClient, requested: str | None) -> frozenset[str]:
        """The scopes to grant: those asked for, or without asking all the client has at this service."""
        here = client.scopes & self._scopes
        if requested is None:
            wanted = here
        else:
            names = requested.split(" ")
            wanted = frozenset(names)
            if len(wanted) != len(names) or not wanted <= here:
                raise ProtocolError(
                    "invalid_scope", "a scope is unknown, repeated or not granted to this client"
                )
        if not wanted:
            raise ProtocolError("invalid_scope", "this client has no scope at this service")
        return wanted

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller of a management request, from its Authorization header.

        Raises:
            Unauthenticated: no access token, or not a current one of this service.
            Unavailable: no current client directory is held.
        """
        claims = await self._verified(_bearer(authorization))
        try:
            client = await self._clients.client(str(claims.get("client_id")))
        except DirectoryUnavailable as error:
            log.warning("client_directory.unavailable", reason=str(error))
            raise Unavailable("No current client directory is held: no client can be recognised.") from error
        if client is None or client.state is not ClientState.ACTIVE:
            raise _invalid_token("The client is not active any more.")
        if claims.get("organisation") != client.organisation or claims.get("kind") != client.kind.value:
            raise _invalid_token("The client has changed since this token was issued; fetch a new one.")
        scopes = frozenset(str(claims.get("scope")).split(" ")) & client.scopes & self._scopes
        return Caller(
            client_id=client.client_id, kind=client.kind, organisation=client.organisation, scopes=scopes
        )

    async def _verified(self, token: str) -> dict[str, Any]:
        try:
            claims = (await self._signed_here(token)).claims
            # The leeway is for another replica's clock; the end of a token is the end.
            check_times(claims, now=self._clock.now())
            check_times({"exp": claims["exp"]}, now=self._clock.now(), leeway=timedelta(0), require=("exp",))
        except JoseError as error:
            raise _invalid_token("The access token is not a current one of this service.") from error
        if claims.get("iss") != self._service_url or claims.get("aud") != self._service_url:
            raise _invalid_token("The access token is not a current one of this service.")
        return claims

    async def _signed_here(self, token: str) -> VerifiedJwt:
        """Verify the signature; an unknown key is looked for once more: a replica may have made it.

        Raises:
            JoseError: as `verify_with_jwks`.
        """
        try:
            return self._signed_by(await self._keys.published(ACCESS_TOKEN_KEY), token)
        except JoseError as error:
            if error.reason is not JoseReason.UNKNOWN_KID:
                raise
        return self._signed_by(await self._keys.published(ACCESS_TOKEN_KEY, anew=True), token)

    def _signed_by(self, keys: list[StoredKey], token: str) -> VerifiedJwt:
        jwks = [key.public.as_jwk() for key in keys]
        return verify_with_jwks(token, jwks, typ=ACCESS_TOKEN_TYP, max_bytes=MAX_ACCESS_TOKEN_BYTES)

    async def purge(self) -> int:
        """Forget assertions that every replica refuses for their age, however its clock runs; how many."""
        old = delete(self._assertions).where(self._assertions.c.expires_at < self._clock.now() - KEPT_LONGER)
        async with self._db.write() as conn:
            return int((await conn.execute(old)).rowcount)


def _assertion_of(form: Mapping[str, str]) -> str:
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise ProtocolError("invalid_request", "grant_type is missing")
    if grant_type != "client_credentials":
        raise ProtocolError("unsupported_grant_type", "only client_credentials is offered")
    if "client_secret" in form:
        raise ProtocolError("invalid_client", "clients authenticate with private_key_jwt only", status=401)
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise ProtocolError("invalid_client", f"client_assertion_type must be {ASSERTION_TYPE}", status=401)
    assertion = form.get("client_assertion")
    if not assertion:
        raise ProtocolError("invalid_client", "client_assertion is missing", status=401)
    return assertion


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise Unauthenticated("Send an access token of this service in the Authorization header.")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("The Authorization header must hold a Bearer access token.")
    return token


def _invalid_token(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, error="invalid_token")


def token_routes(auth: Authenticator | None = None) -> APIRouter:
    """A router with `POST /oauth2/token`.

    Args:
        auth: None for the one at `app.state.authenticator`, for services that make it when they start.
    """
    router = protocol_router(tags=["API clients"])

    @router.post(
        "/oauth2/token",
        operation_id="issue_access_token",
        summary="Exchange a client assertion for an access token",
        responses=TOKEN_RESPONSES,
        openapi_extra=TOKEN_REQUEST,
    )
    async def token(request: Request) -> Response:
        authenticator: Authenticator = auth or request.app.state.authenticator
        answer = await authenticator.grant(await form_body(request), address=peer_of(request))
        body = dumps(answer)
        return Response(
            body,
            media_type="application/json",
            headers={"Cache-Control": "no-store", "Pragma": "no-cache"},
        )

    return router


@cache
def require(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """FastAPI dependency: a caller whose token has `scope`; 401 and 403 otherwise.

    The same function is returned for the same scope, so that FastAPI runs it once per request.

    Raises:
        ValueError: no such scope exists (at import, not at a request).
    """
    if scope not in ALL_SCOPES:
        raise ValueError(f"no scope is called {scope}")

    async def caller(request: Request) -> Caller:
        authenticator: Authenticator = request.app.state.authenticator
        headers = request.headers.getlist("authorization")
        if len(headers) > 1:
            raise Unauthenticated("Send one Authorization header.", error="invalid_request")
        found = await authenticator.authenticate(headers[0] if headers else None)
        request.state.client_id = found.client_id
        if scope not in found.scopes:
            raise Forbidden(f"This needs the scope {scope}.", scope=scope)
        return found

    return caller


def authorise_organisation(caller: Caller, ods: str) -> None:
    """The one place where an object's organisation is compared with the caller's.

    Raises:
        NotFound: another organisation's; the caller does not learn whether it exists.
    """
    if caller.organisation not in (EVERY_ORGANISATION, ods):
        raise NotFound


def actor_of(caller: Caller, asserted: str | None) -> Actor:
    """The actor of an act that needs a person.

    Args:
        caller: the authenticated client.
        asserted: `actor` of the request: an opaque id of the person in the organisation's own directory.

    Raises:
        Invalid: a machine client names nobody, or the id is malformed.
        Forbidden: a person client names somebody else.
    """
    if caller.kind is ClientKind.PERSON:
        if asserted not in (None, caller.client_id):
            raise Forbidden("A person's client acts for that person alone.")
        return Actor(ref=caller.client_id, client_id=caller.client_id, kind=caller.kind, asserted=False)
    if asserted is None:
        raise Invalid("This act needs a person: name the actor.", field="/actor")
    if not _ACTOR.match(asserted):
        raise Invalid("actor is an opaque id of the person, not a name or an e-mail address.", field="/actor")
    return Actor(ref=asserted, client_id=caller.client_id, kind=caller.kind, asserted=True)
