"""Proofs of possession in a Credential Request (OpenID4VCI 1.0 §8.2.1.1, Appendix F.1), as pure checks.

The order follows the cost: structure, then claims, then the signature. That a nonce was not used before is
for the store; that it is ours and fresh is checked here through ``rules.codes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from passport_issuer.rules.codes import nonce_is_ours
from passport_shared.formats import jose
from passport_shared.formats.jose import JoseError, PublicKey
from passport_shared.formats.strict import JsonValue, StrictError, instant_s

PROOF_TYP = "openid4vci-proof+jwt"
MAX_PROOF_BYTES = 8_192
OLDEST = timedelta(minutes=5)
NEWEST = timedelta(seconds=60)


class ProofFault(StrEnum):
    """Why proofs are refused."""

    MALFORMED = "malformed"
    WRONG_TYP = "wrong_typ"
    WRONG_ALG = "wrong_alg"
    KEY_SOURCE = "key_source"
    BAD_KEY = "bad_key"
    BAD_SIGNATURE = "bad_signature"
    WRONG_AUDIENCE = "wrong_audience"
    BAD_IAT = "bad_iat"
    NONCE_MISSING = "nonce_missing"
    NONCE_NOT_OURS = "nonce_not_ours"
    NONCES_DIFFER = "nonces_differ"
    KEY_TWICE = "key_twice"


NONCE_FAULTS = frozenset({ProofFault.NONCE_MISSING, ProofFault.NONCE_NOT_OURS, ProofFault.NONCES_DIFFER})


class ProofInvalid(ValueError):
    """A proof breaks one rule."""

    def __init__(self, fault: ProofFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True)
class VerifiedProofs:
    """The distinct holder keys of a request and the one nonce they signed."""

    keys: tuple[PublicKey, ...]
    nonce: str


def verify_proofs(
    proofs: Sequence[str], *, audience: str, ods: str, nonce_secret: bytes, now: datetime
) -> VerifiedProofs:
    """Check every ``jwt`` proof of a request.

    Args:
        proofs: compact JWTs, at least one.
        audience: the Credential Issuer Identifier, compared as one string.
        nonce_secret: the secret nonces are made with.
        now: the instant of the request.
        ods: the tenant whose nonce must have been signed.

    Raises:
        ProofInvalid: with the one rule that is broken.
    """
    verified = [_one(proof, audience, now) for proof in proofs]
    nonces = {nonce for _, nonce in verified}
    if len(nonces) > 1:
        raise ProofInvalid(ProofFault.NONCES_DIFFER)
    nonce = nonces.pop()
    if not nonce_is_ours(nonce_secret, ods, nonce, now):
        raise ProofInvalid(ProofFault.NONCE_NOT_OURS)
    keys = tuple(key for key, _ in verified)
    if len({key.thumbprint for key in keys}) != len(keys):
        raise ProofInvalid(ProofFault.KEY_TWICE)
    return VerifiedProofs(keys, nonce)


def _one(proof: str, audience: str, now: datetime) -> tuple[PublicKey, str]:
    try:
        parsed = jose.parse(proof, max_bytes=MAX_PROOF_BYTES)
    except JoseError:
        raise ProofInvalid(ProofFault.MALFORMED) from None
    if parsed.header.get("typ") != PROOF_TYP:
        raise ProofInvalid(ProofFault.WRONG_TYP)
    if parsed.header.get("alg") != jose.ES256:
        raise ProofInvalid(ProofFault.WRONG_ALG)
    key = _key(parsed.header)
    _check_claims(parsed.claims, audience, now)
    try:
        jose.verify(parsed, key, typ=PROOF_TYP)
    except JoseError:
        raise ProofInvalid(ProofFault.BAD_SIGNATURE) from None
    nonce = parsed.claims.get("nonce")
    if not isinstance(nonce, str) or not nonce:
        raise ProofInvalid(ProofFault.NONCE_MISSING)
    return key, nonce


def _key(header: dict[str, JsonValue]) -> PublicKey:
    """The key a proof is made with.

    Exactly one source, and only ``jwk`` binds (cryptographic_binding_methods). A ``key_attestation``, which a
    wallet may add unasked, is no source: we have no use for it yet, and it is ignored (RFC 7515 §4).
    """
    sources = [name for name in ("jwk", "kid", "x5c", "trust_chain") if name in header]
    jwk = header.get("jwk")
    if sources != ["jwk"] or not isinstance(jwk, dict):
        raise ProofInvalid(ProofFault.KEY_SOURCE)
    try:
        return PublicKey.from_jwk(jwk)
    except JoseError:
        raise ProofInvalid(ProofFault.BAD_KEY) from None


def _check_claims(claims: dict[str, JsonValue], audience: str, now: datetime) -> None:
    if claims.get("aud") != audience:
        raise ProofInvalid(ProofFault.WRONG_AUDIENCE)
    try:
        age = now.timestamp() - instant_s(claims.get("iat"))
        late = "exp" in claims and now.timestamp() >= instant_s(claims["exp"])
        early = "nbf" in claims and now.timestamp() < instant_s(claims["nbf"]) - NEWEST.total_seconds()
    except StrictError:
        raise ProofInvalid(ProofFault.BAD_IAT) from None
    if not -NEWEST.total_seconds() <= age <= OLDEST.total_seconds() or late or early:
        raise ProofInvalid(ProofFault.BAD_IAT)
