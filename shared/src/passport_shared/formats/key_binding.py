"""Key binding of a presentation, as a verifier checks it (RFC 9901 §7.3, OpenID4VP 1.0 appendix B.3.6).

Whether a binding is required is the verifier's decision, made before the presentation is looked at: the
caller passes a ``KeyBindingPolicy`` or None, and a binding that is there without being asked for is refused
as one that is missing is. That a nonce is used once is the caller's to enforce.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from passport_shared.formats import jose, strict
from passport_shared.formats.credential_rejected import CredentialRejected, RejectReason
from passport_shared.formats.jose import JoseError, JoseReason, PublicKey
from passport_shared.formats.sd_jwt_holder import KEY_BINDING_TYP
from passport_shared.formats.sd_jwt_structure import SdJwt
from passport_shared.formats.strict import StrictError
from passport_shared.formats.verdict import Check

MAX_KEY_BINDING_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True)
class KeyBindingPolicy:
    """What a key binding must say: to whom, to which nonce, and how fresh it is.

    ``aud`` is the verifier's full client id, prefix included.
    """

    aud: str
    nonce: str
    now: datetime
    max_age: timedelta = timedelta(seconds=300)
    leeway: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        if not self.aud or not self.nonce:
            raise ValueError("a key binding is checked against an audience and a nonce")


def check_key_binding(sd_jwt: SdJwt, holder: PublicKey, policy: KeyBindingPolicy | None) -> None:
    """Check a presentation's key binding against the policy.

    1. present exactly if asked for; 2. form, alg, typ; 3. signature by the holder's key of the credential;
    4. sd_hash over the exact bytes presented; 5. aud, one string; 6. nonce; 7. iat, exp, nbf.

    Raises:
        CredentialRejected: one of these failed.
    """
    # 1. the policy decided before the token was looked at
    if policy is None:
        if sd_jwt.key_binding is not None:
            raise _refuse(RejectReason.KEY_BINDING_UNEXPECTED)
        return
    if sd_jwt.key_binding is None:
        raise _refuse(RejectReason.KEY_BINDING_MISSING)
    # 2, 3.
    claims = _verified_claims(sd_jwt.key_binding, holder)
    # 4.
    sd_hash = claims.get("sd_hash")
    if not isinstance(sd_hash, str):
        raise _refuse(RejectReason.KEY_BINDING_SD_HASH_MISSING)
    if sd_hash != sd_jwt.sd_hash:
        raise _refuse(RejectReason.KEY_BINDING_WRONG_SD_HASH)
    # 5, 6.
    _check_addressed(claims, policy)
    # 7.
    _check_fresh(claims, policy)


def _refuse(reason: RejectReason, check: Check = Check.HOLDER_BINDING) -> CredentialRejected:
    return CredentialRejected(reason, check)


_JOSE_REASONS: Final[Mapping[JoseReason, RejectReason]] = {
    JoseReason.ALG_NOT_ALLOWED: RejectReason.KEY_BINDING_ALG_NOT_ALLOWED,
    JoseReason.WRONG_TYP: RejectReason.KEY_BINDING_WRONG_TYP,
    JoseReason.BAD_SIGNATURE: RejectReason.KEY_BINDING_BAD_SIGNATURE,
}


def _verified_claims(token: str, holder: PublicKey) -> dict[str, Any]:
    try:
        return jose.verify(token, holder, typ=KEY_BINDING_TYP, max_bytes=MAX_KEY_BINDING_BYTES).claims
    except JoseError as error:
        raise _refuse(_JOSE_REASONS.get(error.reason, RejectReason.KEY_BINDING_MALFORMED)) from None


def _check_addressed(claims: Mapping[str, Any], policy: KeyBindingPolicy) -> None:
    aud = claims.get("aud")
    if not isinstance(aud, str):
        raise _refuse(RejectReason.KEY_BINDING_AUD_NOT_STRING, Check.AUDIENCE)
    if aud != policy.aud:
        raise _refuse(RejectReason.KEY_BINDING_WRONG_AUD, Check.AUDIENCE)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not nonce:
        raise _refuse(RejectReason.KEY_BINDING_NONCE_MISSING, Check.NONCE)
    if nonce != policy.nonce:
        raise _refuse(RejectReason.KEY_BINDING_WRONG_NONCE, Check.NONCE)


def _check_fresh(claims: Mapping[str, Any], policy: KeyBindingPolicy) -> None:
    now, leeway = policy.now.timestamp(), policy.leeway.total_seconds()
    if "iat" not in claims:
        raise _refuse(RejectReason.KEY_BINDING_IAT_MISSING, Check.FRESHNESS)
    iat = _seconds(claims["iat"], RejectReason.KEY_BINDING_IAT_MALFORMED)
    if iat < now - policy.max_age.total_seconds():
        raise _refuse(RejectReason.KEY_BINDING_TOO_OLD, Check.FRESHNESS)
    if iat > now + leeway:
        raise _refuse(RejectReason.KEY_BINDING_IN_FUTURE, Check.FRESHNESS)
    if "exp" in claims and now >= _seconds(claims["exp"]) + leeway:
        raise _refuse(RejectReason.KEY_BINDING_EXPIRED, Check.FRESHNESS)
    if "nbf" in claims and now < _seconds(claims["nbf"]) - leeway:
        raise _refuse(RejectReason.KEY_BINDING_NOT_YET_VALID, Check.FRESHNESS)


def _seconds(value: object, reason: RejectReason = RejectReason.KEY_BINDING_TIMES_MALFORMED) -> float:
    try:
        return strict.instant_s(value)
    except StrictError:
        raise _refuse(reason, Check.FRESHNESS) from None
