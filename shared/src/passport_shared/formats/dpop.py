"""Proofs of possession of a key, one per request (DPoP, RFC 9449 §4).

A proof says: the holder of this key makes this request (`htm`, `htu`) now (`iat`), once (`jti`), with this
access token (`ath`). `read_dpop_proof` makes the checks of §4.3 but two that need more than the proof: that a
`jti` is used once, and that the key is the one a token was bound to when no `jkt` is given. Only ES256. No
server-provided nonce is used: a stateless challenge precedes the session instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from passport_shared.formats import jose
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import JoseError, JoseReason, PublicKey, SigningKey
from passport_shared.formats.strict import StrictError, b64url_encode, instant_s

DPOP_TYP = "dpop+jwt"
MAX_PROOF_BYTES = 4_096
MAX_JTI_CHARS = 256
MAX_AGE = timedelta(seconds=300)
LEEWAY = timedelta(seconds=60)
REMEMBERED = MAX_AGE + 2 * LEEWAY
"""For how long after its `iat` a proof's `jti` must be remembered: as long as it could be accepted again."""


class DpopReason(StrEnum):
    """Why a proof was refused; each is one rule."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    WRONG_TYP = "wrong_typ"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    BAD_KEY = "bad_key"
    BAD_SIGNATURE = "bad_signature"
    MISSING_CLAIM = "missing_claim"
    BAD_CLAIM = "bad_claim"
    WRONG_METHOD = "wrong_method"
    WRONG_URI = "wrong_uri"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a reason
    WRONG_KEY = "wrong_key"


class DpopError(ValueError):
    """A proof was refused; `reason` says why. The message never repeats the proof."""

    def __init__(self, reason: DpopReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class DpopProof:
    """A proof whose signature and claims were checked; whether its `jti` is new has not been."""

    key: PublicKey = field(repr=False)
    jkt: str
    jti: str
    iat: datetime


def access_token_hash(token: str) -> str:
    """`ath`: base64url of the SHA-256 of an access token's ASCII (§4.2)."""
    return b64url_encode(hashlib.sha256(token.encode("ascii")).digest())


def dpop_proof(
    key: SigningKey,
    *,
    htm: str,
    htu: str,
    iat: datetime,
    access_token: str | None = None,
    jti: str | None = None,
) -> str:
    """Make the proof of one request.

    Args:
        key: the key the session is, or is to be, bound to.
        htm: the request's method.
        htu: the request's URL; query and fragment are left out.
        iat: the present.
        access_token: the token sent beside it; None at the session endpoint.
        jti: unique for each proof; made if None.
    """
    claims: dict[str, Any] = {
        "htm": htm,
        "htu": htu.partition("#")[0].partition("?")[0],
        "iat": epoch_s(iat),
        "jti": jti or random_token(16),
    }
    if access_token is not None:
        claims["ath"] = access_token_hash(access_token)
    return jose.sign(claims, key, typ=DPOP_TYP, kid=False, headers={"jwk": key.public.jwk})


def read_dpop_proof(
    proof: str | bytes,
    *,
    htm: str,
    htu: str,
    now: datetime,
    access_token: str | None = None,
    jkt: str | None = None,
) -> DpopProof:
    """Check a proof in the order of §4.3: form, typ, alg, key, signature, method, URI, time, token, key.

    Args:
        proof: the value of the one DPoP header.
        htm: the request's method, compared exactly.
        htu: the request's URL as the world knows it, without query and fragment.
        now: the present; `iat` may lie 300 seconds before and 60 after it.
        access_token: the token sent with the request, which `ath` must be the hash of; None forbids nothing.
        jkt: thumbprint of the key the token is bound to; None accepts any key.

    Raises:
        DpopError: one rule is broken.
    """
    verified, key = _verified(proof)
    claims = verified.claims
    jti = _text(claims, "jti", MAX_JTI_CHARS)
    if _text(claims, "htm", 32) != htm:
        raise DpopError(DpopReason.WRONG_METHOD, "htm is another method")
    if _normalised(_text(claims, "htu", 2_048)) != _normalised(htu):
        raise DpopError(DpopReason.WRONG_URI, "htu is another address")
    iat = _issued_at(claims, now)
    if access_token is not None and _text(claims, "ath", 64) != access_token_hash(access_token):
        raise DpopError(DpopReason.WRONG_TOKEN, "ath is the hash of another token")
    if jkt is not None and key.thumbprint != jkt:
        raise DpopError(DpopReason.WRONG_KEY, "the token is bound to another key")
    return DpopProof(key=key, jkt=key.thumbprint, jti=jti, iat=iat)


def _verified(proof: str | bytes) -> tuple[jose.VerifiedJwt, PublicKey]:
    try:
        parsed = jose.parse(proof, max_bytes=MAX_PROOF_BYTES)
        jwk = parsed.header.get("jwk")
        if parsed.header.get("typ") != DPOP_TYP:
            raise DpopError(DpopReason.WRONG_TYP, f"typ is not {DPOP_TYP}")
        if parsed.header.get("alg") != jose.ES256:
            raise DpopError(DpopReason.ALG_NOT_ALLOWED, "only ES256 is accepted")
        if not isinstance(jwk, dict):
            raise DpopError(DpopReason.BAD_KEY, "the header carries no jwk")
        # The one place where a token's own key is used: the proof proves possession of it, nothing else.
        key = PublicKey.from_jwk(jwk)
        return jose.verify(parsed, key, typ=DPOP_TYP, max_bytes=MAX_PROOF_BYTES), key
    except JoseError as error:
        raise DpopError(_REASONS.get(error.reason, DpopReason.MALFORMED), str(error)) from None


_REASONS: Mapping[JoseReason, DpopReason] = {
    JoseReason.TOO_LARGE: DpopReason.TOO_LARGE,
    JoseReason.BAD_KEY: DpopReason.BAD_KEY,
    JoseReason.BAD_SIGNATURE: DpopReason.BAD_SIGNATURE,
    JoseReason.ALG_NOT_ALLOWED: DpopReason.ALG_NOT_ALLOWED,
}


def _text(claims: Mapping[str, Any], name: str, limit: int) -> str:
    if name not in claims:
        raise DpopError(DpopReason.MISSING_CLAIM, name)
    value = claims[name]
    if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isprintable():
        raise DpopError(DpopReason.BAD_CLAIM, name)
    return value


def _issued_at(claims: Mapping[str, Any], now: datetime) -> datetime:
    if "iat" not in claims:
        raise DpopError(DpopReason.MISSING_CLAIM, "iat")
    try:
        seconds = instant_s(claims["iat"])
    except StrictError:
        raise DpopError(DpopReason.BAD_CLAIM, "iat") from None
    age = now.timestamp() - seconds
    if age > MAX_AGE.total_seconds():
        raise DpopError(DpopReason.TOO_OLD, "the proof is older than 300 seconds")
    if age < -LEEWAY.total_seconds():
        raise DpopError(DpopReason.IN_FUTURE, "the proof is from the future")
    return now - timedelta(seconds=age)


def _normalised(uri: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path as RFC 3986 §6.2.2, §6.2.3 compare them; the rest does not count (§4.3).

    Percent-encoding is left as it is: our own paths have none.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port or 443
    except ValueError:
        raise DpopError(DpopReason.BAD_CLAIM, "htu") from None
    if parts.scheme.lower() != "https" or not parts.hostname or parts.username is not None:
        raise DpopError(DpopReason.WRONG_URI, "htu is not an https address")
    return "https", parts.hostname, port, parts.path or "/"
