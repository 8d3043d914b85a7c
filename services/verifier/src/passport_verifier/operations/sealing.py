"""The data key of a movement (or of a request without one): what seals facts and commits to numbers.

A random AES-256 key per case, wrapped under the key-encryption key and kept in the case's row; deleting that
row's value makes everything sealed under it unreadable. Commitments are HMACs under a key derived from it, so
that two cases never show that they concern the same person.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from passport_shared.formats import strict
from passport_shared.service.kek import Kek, derive

KEY_BYTES = 32
NONCE_BYTES = 12
MAX_SEALED_BYTES = 262_144


class Unreadable(Exception):
    """What was sealed cannot be opened: another key, another decision, or changed bytes."""


class DataKey:
    """An unwrapped data key; it shows nothing of itself."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(derive(key, "verifier facts"))
        self._commitments = derive(key, "verifier commitments")

    def __repr__(self) -> str:
        return "DataKey()"

    @classmethod
    def create(cls, kek: Kek, case_id: str) -> bytes:
        """A new data key, wrapped."""
        return kek.wrap(secrets.token_bytes(KEY_BYTES), context=data_key_context(case_id))

    @classmethod
    def unwrap(cls, kek: Kek, wrapped: bytes, case_id: str) -> DataKey:
        """The data key of a case; KekError if it is not that case's."""
        return cls(kek.unwrap(wrapped, context=data_key_context(case_id)))

    def seal(self, value: Any, *, decision_id: str) -> bytes:
        """Encrypt a JSON value for one decision."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, strict.dumps(value), decision_id.encode())

    def open(self, sealed: bytes, *, decision_id: str) -> Any:
        """Undo ``seal``.

        Raises:
            Unreadable: it was not sealed by this key for this decision.
        """
        try:
            plaintext = self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], decision_id.encode())
        except (InvalidTag, ValueError):
            raise Unreadable from None
        return strict.loads(plaintext, max_bytes=MAX_SEALED_BYTES)

    def commit(self, text: str) -> str:
        """A keyed commitment to a text: the same text of this case gives the same value, and only of it."""
        return hmac.new(self._commitments, text.encode(), hashlib.sha256).hexdigest()


def data_key_context(case_id: str) -> str:
    """What the wrapping of a case's data key is bound to."""
    return f"data-key\x1f{case_id}"


def hashed(token: str) -> str:
    """The hash under which a random token is stored."""
    return hashlib.sha256(token.encode()).hexdigest()
