"""Keys for tests: real P-256 keys made on the spot, the same one for the same name within a run."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from passport_shared.formats.jose import SigningKey
from passport_shared.formats.strict import b64url_encode


@lru_cache(maxsize=512)
def key(name: str) -> SigningKey:
    """Return the key of that name, for instance `key("RBV credential")`; made at first use."""
    del name  # only the cache's key
    return SigningKey.generate()


def private_jwk(signing_key: SigningKey) -> dict[str, Any]:
    """Return the key as a private JWK, for the independent libraries tests compare with."""
    secret = signing_key.private.private_numbers().private_value
    return {**signing_key.public.jwk, "d": b64url_encode(secret.to_bytes(32, "big"))}
