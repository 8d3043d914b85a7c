"""A service as a client of the others: its key, and what an operator needs to register it.

An issuer or verifier signs its activity events, and asks other services for tokens, with one key of its own.
``client-key`` prints the public half, the operator of the registry registers it as an API client, and the
service is told its client id.
"""

from __future__ import annotations

from typing import Any

from passport_shared.service.keys import KeyStore

CLIENT_KEY = "client"
"""Purpose of the key with which a service signs as an API client."""


async def client_jwks(keys: KeyStore) -> dict[str, list[dict[str, Any]]]:
    """The public key set to register this service with; its key is made by the first call."""
    await keys.ensure(CLIENT_KEY)
    return {"keys": [key.public.as_jwk() for key in await keys.published(CLIENT_KEY)]}
