"""Identifiers: time-ordered ids for rows (UUIDv7, RFC 9562 §5.7) and unguessable tokens.

Ids are text and compared as strings. The time inside an id orders rows in an index; no rule may read it.
"""

from __future__ import annotations

import secrets
import time
import uuid
from base64 import urlsafe_b64encode

_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0b10 << 62


def new_id() -> str:
    """Return a new UUIDv7 as 36 characters of lower-case text: 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (
        (milliseconds & (2**48 - 1)) << 80
        | _VERSION_7
        | secrets.randbits(12) << 64
        | _VARIANT_RFC
        | secrets.randbits(62)
    )
    return str(uuid.UUID(int=value))


def random_token(nbytes: int = 16) -> str:
    """Return `nbytes` of randomness as unpadded base64url; 16 bytes are the 128 bits an identifier needs."""
    return urlsafe_b64encode(secrets.token_bytes(nbytes)).rstrip(b"=").decode("ascii")
