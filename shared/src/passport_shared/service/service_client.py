"""A service as a client of the others: its key, and what an operator needs to register it.

An issuer or verifier signs its activity events, and asks other services for tokens, with one key of its own.
``client-key`` prints the public half, the operator of the registry registers it as an API client, and the
service is told its client id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from passport_shared.formats import strict
from passport_shared.formats.clock import Clock
from passport_shared.outbound import Outbound
from passport_shared.service.keys import KeyStore
from passport_shared.wire.clients import ASSERTION_TYPE, client_assertion

CLIENT_KEY = "client"
"""Purpose of the key with which a service signs as an API client."""
REFRESH_BEFORE = timedelta(seconds=60)
MAX_TOKEN_ANSWER_BYTES = 16_384
MAX_TOKEN_CHARS = 8_192
MAX_TOKEN_LIFE_S = 3_600
PASSING = frozenset({408, 425, 429})
"""Refusals that end by themselves."""

_ERROR = re.compile(r"[a-z_]{1,64}")


async def client_jwks(keys: KeyStore) -> dict[str, list[dict[str, Any]]]:
    """The public key set to register this service with; its key is made by the first call."""
    await keys.ensure(CLIENT_KEY)
    return {"keys": [key.public.as_jwk() for key in await keys.published(CLIENT_KEY)]}


class NoClientId(Exception):
    """This service has not been told its client id, so it cannot be anybody's client."""


class TokenRefused(Exception):
    """Another service gave no access token; ``error`` is its OAuth error code, or what was wrong instead."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    expires_at: datetime


class ServiceClient:
    """Access tokens of other services for this one, by private_key_jwt (RFC 7523), kept while they live.

    Args:
        client_id: as the registry's operator registered this service; None refuses every token.
        keys: where this service's client key is.
        outbound: fetches.
        clock: the time.
    """

    def __init__(self, *, client_id: str | None, keys: KeyStore, outbound: Outbound, clock: Clock) -> None:
        self._client_id = client_id
        self._keys = keys
        self._outbound = outbound
        self._clock = clock
        self._tokens: dict[tuple[str, str], _Token] = {}

    async def token(self, service_url: str, scope: str) -> str:
        """An access token of the service at this base URL; a kept one until a minute before its end.

        Raises:
            NoClientId: this service is nobody's client.
            TokenRefused: the service refused, or answered something else.
            OutboundError: it could not be asked.
        """
        if not self._client_id:
            raise NoClientId
        now = self._clock.now()
        kept = self._tokens.get((service_url, scope))
        if kept is not None and now < kept.expires_at - REFRESH_BEFORE:
            return kept.value
        key = await self._keys.ensure(CLIENT_KEY)
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": client_assertion(self._client_id, key, audience=service_url, now=now),
            "scope": scope,
        }
        answer = await self._outbound.post(f"{service_url}/oauth2/token", form=form)
        if answer.status >= 500 or answer.status in PASSING:
            raise TokenRefused(f"http_{answer.status}")
        token = _read(answer.body, now, ok=answer.ok)
        self._tokens[(service_url, scope)] = token
        return token.value

    def forget(self, service_url: str, scope: str) -> None:
        """Drop a kept token: the service did not accept it."""
        self._tokens.pop((service_url, scope), None)


def _read(body: bytes, now: datetime, *, ok: bool) -> _Token:
    try:
        answer = strict.loads_object(body, max_bytes=MAX_TOKEN_ANSWER_BYTES)
    except strict.StrictError:
        raise TokenRefused("malformed_answer") from None
    if not ok:
        error = answer.get("error")
        raise TokenRefused(error if isinstance(error, str) and _ERROR.fullmatch(error) else "refused")
    value, lives = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TOKEN_CHARS or not isinstance(lives, int):
        raise TokenRefused("malformed_answer")
    return _Token(value, now + timedelta(seconds=max(0, min(lives, MAX_TOKEN_LIFE_S))))
