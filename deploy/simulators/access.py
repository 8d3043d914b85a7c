"""Admission to the simulated systems: OAuth 2.0 private key JWT, as the DSP API standard asks, or an API key.

`POST /oauth2/token` takes a client assertion (RFC 7523) for an access token of five minutes, which is opaque
and kept in memory. The assertion is ES256 under a key of the clients file; its audience is this system's base
URL or its token endpoint (NHS England's own guide names the latter), it lives at most five minutes, and its
`jti` is good once. `X-API-Key` is the second way, for tests and for systems that know no OAuth.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from deploy.simulators.answers import Refusal, json_response, read_body
from deploy.simulators.clients import SystemClient, SystemClients
from passport_shared.formats import jose, strict
from passport_shared.formats.clock import Clock, from_epoch_s
from passport_shared.formats.ids import random_token
from passport_shared.wire.clients import ASSERTION_TYP, ASSERTION_TYPE

TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path
TOKEN_LIFE = timedelta(minutes=5)
ASSERTION_LIFE = timedelta(minutes=5)
MAX_FORM_BYTES = 16_384
MAX_KEPT = 10_000
FORM = "application/x-www-form-urlencoded"
CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Admission:
    """Gives and recognises access tokens; state in memory."""

    def __init__(self, public_url: str, clients: SystemClients, clock: Clock) -> None:
        self._audiences = (public_url, f"{public_url}{TOKEN_PATH}")
        self._clients = clients
        self._clock = clock
        self._tokens: dict[bytes, tuple[str, datetime]] = {}
        self._used: dict[tuple[str, str], datetime] = {}

    async def token(self, request: Request) -> Response:
        """The token endpoint; errors in the form of RFC 6749 §5.2."""
        form = await _form(request)
        if form.get("grant_type") != "client_credentials":
            raise Refusal(400, "unsupported_grant_type", "grant_type must be client_credentials.")
        if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
            raise Refusal(400, "invalid_request", "Send a client_assertion of type jwt-bearer.")
        client = self._authenticated(form["client_assertion"])
        token, now = random_token(), self._clock.now()
        self._forget(now)
        self._tokens[_digest(token)] = (client.client_id, now + TOKEN_LIFE)
        given = {"access_token": token, "token_type": "Bearer", "expires_in": int(TOKEN_LIFE.total_seconds())}
        return json_response(given)

    def admit(self, request: Request, ods: str) -> SystemClient:
        """The caller, if it may act for this organisation.

        Raises:
            Refusal: 401 without valid credentials, 403 for an organisation it is not enabled for.
        """
        client = self._caller(request)
        if client is None:
            raise Refusal(
                401,
                "unauthenticated",
                "The access token is missing, wrong or expired.",
                headers=CHALLENGE,
            )
        if not client.may_call_for(ods):
            raise Refusal(403, "forbidden", "The calling application is not enabled for this organisation.")
        return client

    def _caller(self, request: Request) -> SystemClient | None:
        api_key = request.headers.get("x-api-key")
        if api_key is not None:
            return self._clients.by_api_key(api_key)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        client_id, until = self._tokens.get(_digest(token.strip()), ("", self._clock.now()))
        if scheme.lower() != "bearer" or until <= self._clock.now():
            return None
        return self._clients.client(client_id)

    def _authenticated(self, assertion: str) -> SystemClient:
        now = self._clock.now()
        try:
            parsed = jose.parse(assertion, max_bytes=MAX_FORM_BYTES)
            subject = parsed.claims.get("sub")
            client = self._clients.client(subject) if isinstance(subject, str) else None
            keys = client.jwks if client else ()
            claims = jose.verify_with_jwks(parsed, keys, typ=(ASSERTION_TYP, "JWT")).claims
            jose.check_times(claims, now=now, leeway=timedelta(seconds=30), require=("exp",))
        except jose.JoseError as error:
            raise _refused(error.reason.value) from error
        if client is None or claims.get("iss") != subject:
            raise _refused("iss and sub are the client id")
        if claims.get("aud") not in self._audiences:
            raise _refused("aud is this system's base URL or token endpoint, as one string")
        return self._once(client, claims, now)

    def _once(self, client: SystemClient, claims: Any, now: datetime) -> SystemClient:
        try:
            until = from_epoch_s(strict.numeric_date(claims["exp"]))
        except ValueError as error:
            raise _refused("exp is not a date") from error
        jti = claims.get("jti")
        if until > now + ASSERTION_LIFE + timedelta(seconds=30):
            raise _refused("exp is at most five minutes ahead")
        if not isinstance(jti, str) or not jti or (client.client_id, jti) in self._used:
            raise _refused("jti is missing or was used before")
        self._used[client.client_id, jti] = until + timedelta(minutes=1)
        return client

    def _forget(self, now: datetime) -> None:
        self._tokens = {key: kept for key, kept in self._tokens.items() if kept[1] > now}
        self._used = {key: until for key, until in self._used.items() if until > now}
        if len(self._tokens) >= MAX_KEPT:
            raise Refusal(503, "temporarily_unavailable", "Too many access tokens are out.")


def _refused(why: str) -> Refusal:
    return Refusal(401, "invalid_client", f"The client assertion was refused: {why}.")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def _form(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refusal(400, "invalid_request", f"Send {FORM}.")
    body = await read_body(request, max_bytes=MAX_FORM_BYTES)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=16)
    except ValueError as error:
        raise Refusal(400, "invalid_request", "The form cannot be read.") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Refusal(400, "invalid_request", "A field is there twice.")
    return form
