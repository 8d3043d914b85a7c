"""Codes, PINs and nonces that are derived, not stored (design §6, security.md D1).

Everything here is an HMAC-SHA-256 under a service secret, with its own label: the pre-authorized code of an
offer (OpenID4VCI 1.0 §3.5), its ``tx_code``, the stateless ``c_nonce`` (§7) and the cookie of a reviewed
offer. So HR can be shown the PIN again and no database holds it. Single use is not decided here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from passport_shared.formats.strict import b64url_encode

TX_CODE_LENGTH = 6
NONCE_LIFE = timedelta(minutes=5)
REVIEW_LIFE = timedelta(minutes=15)
_TX_CODE = re.compile(r"[0-9]{6}")
_TAG_BYTES = 16
_INVITATION_BYTES = 24
_INVITATION_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
_OFFER_ID = re.compile(r"[A-Za-z0-9_-]{22}")


def _mac(secret: bytes, label: str, message: str) -> bytes:
    return hmac.new(secret, f"{label}|{message}".encode(), hashlib.sha256).digest()


def pre_authorized_code(secret: bytes, offer_id: str) -> str:
    """The code of an offer: its id and a 128-bit tag, so that it is found without a table of codes."""
    return f"{offer_id}.{b64url_encode(_mac(secret, 'pre-authorized_code', offer_id)[:_TAG_BYTES])}"


def offer_of_code(secret: bytes, code: str) -> str | None:
    """The offer a code belongs to, or None if we did not make it. Says nothing about its being used."""
    offer_id = code.partition(".")[0]
    if not _OFFER_ID.fullmatch(offer_id) or not code.isascii():
        return None
    return offer_id if hmac.compare_digest(pre_authorized_code(secret, offer_id), code) else None


def tx_code(secret: bytes, offer_id: str) -> str:
    """The PIN of an offer, six digits; the modulo of 64 bits favours no digit by more than 2^-44."""
    number = int.from_bytes(_mac(secret, "tx_code", offer_id)[:8], "big")
    return f"{number % 10**TX_CODE_LENGTH:0{TX_CODE_LENGTH}d}"


def is_tx_code(value: str) -> bool:
    """Whether a text could be a PIN: six ASCII digits."""
    return _TX_CODE.fullmatch(value) is not None


def tx_code_matches(secret: bytes, offer_id: str, given: str) -> bool:
    """Whether a well-formed PIN is the offer's own, in constant time."""
    return hmac.compare_digest(tx_code(secret, offer_id).encode("ascii"), given.encode("ascii", "replace"))


def _sealed(secret: bytes, label: str, audience: str, value: str, expires_epoch_s: int) -> str:
    tag = _mac(secret, label, f"{audience}|{value}|{expires_epoch_s}")[:_TAG_BYTES]
    return f"{value}.{expires_epoch_s:x}.{b64url_encode(tag)}"


def _opened(secret: bytes, label: str, audience: str, sealed: str, now: datetime) -> str | None:
    value, _, rest = sealed.partition(".")
    expires, _, _ = rest.partition(".")
    if len(sealed) > 200 or not sealed.isascii() or not re.fullmatch(r"[0-9a-f]{1,12}", expires):
        return None
    expected = _sealed(secret, label, audience, value, int(expires, 16))
    if not hmac.compare_digest(expected, sealed) or now.timestamp() >= int(expires, 16):
        return None
    return value


def new_nonce(secret: bytes, ods: str, now: datetime) -> str:
    """A fresh ``c_nonce`` of one tenant: 128 random bits, its expiry and a tag."""
    value = b64url_encode(secrets.token_bytes(16))
    return _sealed(secret, "c_nonce", ods, value, int((now + NONCE_LIFE).timestamp()))


def nonce_is_ours(secret: bytes, ods: str, nonce: str, now: datetime) -> bool:
    """Whether this tenant made the nonce and it has not expired; that it was not used is for the store."""
    return _opened(secret, "c_nonce", ods, nonce, now) is not None


def review_cookie(secret: bytes, offer_id: str, now: datetime) -> str:
    """A cookie that says its browser has given the PIN of this offer."""
    return _sealed(secret, "review", "", offer_id, int((now + REVIEW_LIFE).timestamp()))


def reviewed_offer(secret: bytes, cookie: str, now: datetime) -> str | None:
    """The offer whose PIN this browser has given, or None."""
    return _opened(secret, "review", "", cookie, now)


def invitation_token(secret: bytes, invitation_id: str) -> str:
    """The token in an invitation's link: 192 bits nobody can tell from random without the secret."""
    return b64url_encode(_mac(secret, "invitation", invitation_id)[:_INVITATION_BYTES])


def is_invitation_token(value: str) -> bool:
    """Whether a text could be the token of an invitation."""
    return _INVITATION_TOKEN.fullmatch(value) is not None


def token_hash(token: str) -> str:
    """The stored form of an opaque access token: 256 random bits need no salt."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def new_access_token() -> str:
    """An opaque access token of 256 random bits."""
    return b64url_encode(secrets.token_bytes(32))
