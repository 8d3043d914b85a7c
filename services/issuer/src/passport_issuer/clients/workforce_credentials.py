"""How a connection proves who calls: OAuth 2.0 client credentials with `private_key_jwt`, or an API key.

The assertion (RFC 7523 §3, ES256) is signed by the trust's own `workforce` key, whose public half the
supplier registers. An access token is kept in memory until a minute before it ends; one that is refused is
forgotten.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from passport_issuer.clients.workforce import WorkforceError, WorkforceReason, failed
from passport_shared.formats.clock import Clock, epoch_s
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import SigningKey, sign
from passport_shared.formats.strict import StrictError, loads_object
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.wire.clients import ASSERTION_TYPE

ASSERTION_LIFE = timedelta(seconds=60)
SPARE = timedelta(seconds=60)
SHORTEST, LONGEST = timedelta(seconds=30), timedelta(hours=1)
MAX_TOKEN_BYTES = 16_384
MAX_TOKENS = 4_096
API_KEY_HEADER = "X-API-Key"
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")


class ApiKey:
    """A static key in a header."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def headers(self, _outbound: Outbound) -> Mapping[str, str]:
        """The header."""
        return {API_KEY_HEADER: self._key}

    def refused(self) -> bool:
        """A key does not get better by being sent again."""
        return False


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """Where and as whom tokens are asked for."""

    token_url: str
    client_id: str
    audience: str
    timeout: timedelta


class Tokens:
    """Access tokens by connection and version, in memory."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, int], tuple[str, datetime]] = OrderedDict()

    def get(self, key: tuple[str, int], now: datetime) -> str | None:
        """A token that still lives."""
        token, ends_at = self._held.get(key, ("", now))
        return token if now < ends_at else None

    def keep(self, key: tuple[str, int], token: str, ends_at: datetime) -> None:
        """Keep a token."""
        self._held[key] = (token, ends_at)
        self._held.move_to_end(key)
        while len(self._held) > MAX_TOKENS:
            self._held.popitem(last=False)

    def forget(self, key: tuple[str, int]) -> bool:
        """Forget a token; whether there was one."""
        return self._held.pop(key, None) is not None


class PrivateKeyJwt:
    """Tokens fetched with an assertion; one fetch serves until the token ends."""

    def __init__(
        self, key: tuple[str, int], request: TokenRequest, signer: SigningKey, tokens: Tokens, clock: Clock
    ) -> None:
        self._key = key
        self._request = request
        self._signer = signer
        self._tokens = tokens
        self._clock = clock

    async def headers(self, outbound: Outbound) -> Mapping[str, str]:
        """A bearer token's header."""
        token = self._tokens.get(self._key, self._clock.now()) or await self._fetch(outbound)
        return {"Authorization": f"Bearer {token}"}

    def refused(self) -> bool:
        """Forget the token; a fresh one may do."""
        return self._tokens.forget(self._key)

    def _assertion(self, now: datetime) -> str:
        claims = {
            "iss": self._request.client_id,
            "sub": self._request.client_id,
            "aud": self._request.audience,
            "jti": random_token(),
            "iat": epoch_s(now),
            "exp": epoch_s(now + ASSERTION_LIFE),
        }
        return sign(claims, self._signer, typ="JWT")

    async def _fetch(self, outbound: Outbound) -> str:
        now = self._clock.now()
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(now),
        }
        try:
            answer = await outbound.post(
                self._request.token_url,
                form=form,
                max_bytes=MAX_TOKEN_BYTES,
                timeout=self._request.timeout,
            )
        except OutboundError as error:
            raise failed(error) from None
        if answer.status >= 500:
            raise WorkforceError(WorkforceReason.FAILED)
        token, life = _token_of(answer.body if answer.status == 200 else b"")
        self._tokens.keep(self._key, token, now + max(SHORTEST, min(life, LONGEST) - SPARE))
        return token


def _token_of(body: bytes) -> tuple[str, timedelta]:
    try:
        answer = loads_object(body, max_bytes=MAX_TOKEN_BYTES)
    except StrictError:
        raise WorkforceError(WorkforceReason.NO_TOKEN) from None
    token, life = answer.get("access_token"), answer.get("expires_in", 300)
    if (
        not isinstance(token, str)
        or not token.isascii()
        or not token.isprintable()
        or " " in token
        or not token
    ):
        raise WorkforceError(WorkforceReason.NO_TOKEN)
    if isinstance(life, str) and life.isascii() and life.isdecimal() and len(life) < 9:
        life = int(life)
    seconds = life if isinstance(life, int) and not isinstance(life, bool) and 0 < life < 10**9 else 300
    return token, timedelta(seconds=seconds)
