"""A client's side of `POST /oauth2/token`, for the command line: key file in, access token out."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from passport_shared.formats import strict
from passport_shared.formats.clock import Clock
from passport_shared.formats.jose import JoseError, PublicKey, SigningKey
from passport_shared.formats.strict import StrictError
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.service.settings import read_secret
from passport_shared.wire.clients import ASSERTION_TYPE, client_assertion

MAX_ANSWER_BYTES = 16_384


class TokenRefused(Exception):
    """No token was given; the message is for the person who asked."""


def read_client_key(path: Path) -> tuple[str, SigningKey]:
    """Read what `client create` wrote: the client's id and its private key.

    Raises:
        TokenRefused: it is not such a file, or others may read it.
    """
    try:
        content = strict.loads_object(read_secret(path))
        client_id, jwk = content["client_id"], content["jwk"]
        if not isinstance(client_id, str) or not isinstance(jwk, dict) or not isinstance(jwk.get("d"), str):
            raise TokenRefused(f"{path} holds no client id and private JWK")
        secret = int.from_bytes(strict.b64url_decode(str(jwk["d"])), "big")
        key = SigningKey.from_private(ec.derive_private_key(secret, ec.SECP256R1()))
        public = PublicKey.from_jwk({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    except (KeyError, StrictError, JoseError, ValueError) as error:
        raise TokenRefused(f"{path} is no client key file: {error}") from None
    if public.thumbprint != key.kid:
        raise TokenRefused(f"{path} holds a private key that does not belong to its public one")
    return client_id, key


async def access_token(
    service_url: str,
    client_id: str,
    key: SigningKey,
    *,
    clock: Clock,
    ca_file: Path | None,
    scope: str | None,
) -> str:
    """Ask a service for an access token.

    Raises:
        TokenRefused: the service cannot be reached or gave none.
    """
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": client_assertion(client_id, key, audience=service_url, now=clock.now()),
    }
    if scope:
        form["scope"] = scope
    # The person typed the address: that is what the exception list is for.
    parts = urlsplit(service_url)
    typed = f"{parts.hostname}:{parts.port or 443}"
    async with Outbound(ca_file=ca_file, allow=frozenset({typed})) as outbound:
        try:
            answer = await outbound.post(f"{service_url}/oauth2/token", form=form, max_bytes=MAX_ANSWER_BYTES)
            content = strict.loads_object(answer.body)
        except (OutboundError, StrictError) as error:
            raise TokenRefused(f"{service_url} gave no usable answer ({error})") from None
    token = content.get("access_token")
    if not answer.ok or not isinstance(token, str):
        raise TokenRefused(
            f"{service_url} refused: {content.get('error')}: {content.get('error_description')}"
        )
    return token
