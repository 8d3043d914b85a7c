"""The signed objects of OpenID Federation 1.0: their names, their one error, and how one is opened.

Every object is a compact JWS whose `typ` says which it is and whose `kid` must be found in the issuer's
federation keys. This module opens an object and checks what all have in common: header, signature, times,
issuer and subject as strings. What an object means is in `entity_statement`, `trust_mark` and `trust_chain`.
Nothing is fetched, and no key is ever taken from a header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from passport_shared.formats import jose
from passport_shared.formats.freshness import CLOCK_LEEWAY
from passport_shared.formats.jose import JoseError, ParsedJws, PublicKey
from passport_shared.formats.strict import StrictError, numeric_date

ENTITY_STATEMENT_TYP = "entity-statement+jwt"
ENTITY_STATEMENT_MEDIA_TYPE = "application/entity-statement+jwt"
TRUST_MARK_TYP = "trust-mark+jwt"
TRUST_MARK_MEDIA_TYPE = "application/trust-mark+jwt"
TRUST_MARK_STATUS_TYP = "trust-mark-status-response+jwt"
TRUST_MARK_STATUS_MEDIA_TYPE = "application/trust-mark-status-response+jwt"

MAX_STATEMENT_BYTES = 65_536
MAX_JWKS_KEYS = 16
MAX_IDENTIFIER_CHARS = 512


class FederationReason(StrEnum):
    """Why a federation object is refused."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    BAD_HEADER = "bad_header"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    WRONG_TYP = "wrong_typ"
    MISSING_KID = "missing_kid"
    UNKNOWN_KID = "unknown_kid"
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    ISSUED_IN_FUTURE = "issued_in_future"
    MISSING_CLAIM = "missing_claim"
    BAD_CLAIM = "bad_claim"
    MISSING_JWKS = "missing_jwks"
    BAD_JWKS = "bad_jwks"
    DUPLICATE_KID = "duplicate_kid"
    NOT_SELF_ISSUED = "not_self_issued"
    SELF_ISSUED = "self_issued"
    WRONG_ENTITY = "wrong_entity"
    WRONG_ISSUER = "wrong_issuer"
    NOT_IN_AUTHORITY_HINTS = "not_in_authority_hints"
    CRIT_NOT_UNDERSTOOD = "crit_not_understood"
    POLICY_CRIT_NOT_UNDERSTOOD = "policy_crit_not_understood"
    CLAIM_NOT_ALLOWED = "claim_not_allowed"
    EXPLICIT_REGISTRATION_ONLY = "explicit_registration_only"
    TRUST_CHAIN_HEADER = "trust_chain_header"
    NULL_METADATA = "null_metadata"
    BAD_METADATA = "bad_metadata"
    BAD_POLICY = "bad_policy"
    POLICY_CONFLICT = "policy_conflict"
    POLICY_VIOLATED = "policy_violated"
    CONSTRAINT_VIOLATED = "constraint_violated"
    CHAIN_LENGTH = "chain_length"
    CHAIN_BROKEN = "chain_broken"
    ANCHOR_NOT_TRUSTED = "anchor_not_trusted"
    MARK_ISSUER_NOT_TRUSTED = "mark_issuer_not_trusted"
    MARK_TYPE_UNKNOWN = "mark_type_unknown"
    DELEGATION_REQUIRED = "delegation_required"
    WRONG_MARK = "wrong_mark"
    STATUS_UNKNOWN = "status_unknown"


class FederationError(ValueError):
    """A federation object that must not be relied on; `reason` says which rule it breaks."""

    def __init__(self, reason: FederationReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class FederationJws:
    """One opened object: header and claims, with issuer, subject and times already read and typed.

    `sub` is empty and `exp` None only for objects whose specification leaves them out.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    compact: str
    iss: str
    sub: str
    iat: datetime
    exp: datetime | None


_JOSE_REASONS = {
    "malformed": FederationReason.MALFORMED,
    "too_large": FederationReason.TOO_LARGE,
    "alg_not_allowed": FederationReason.ALG_NOT_ALLOWED,
    "wrong_typ": FederationReason.WRONG_TYP,
    "crit_not_understood": FederationReason.CRIT_NOT_UNDERSTOOD,
    "unknown_kid": FederationReason.UNKNOWN_KID,
    "bad_key": FederationReason.BAD_JWKS,
    "bad_signature": FederationReason.BAD_SIGNATURE,
}


def parse_object(token: str | ParsedJws, *, typ: str) -> ParsedJws:
    """Read one object without believing it: structure, algorithm, `typ`, `kid`, no `trust_chain` header.

    Raises:
        FederationError: the header breaks a rule that holds for every object.
    """
    try:
        parsed = token if isinstance(token, ParsedJws) else jose.parse(token, max_bytes=MAX_STATEMENT_BYTES)
    except JoseError as fault:
        raise from_jose(fault) from fault
    header = parsed.header
    if header.get("alg") != jose.ES256:
        raise FederationError(FederationReason.ALG_NOT_ALLOWED, "only ES256 is accepted")
    if header.get("typ") != typ:
        raise FederationError(FederationReason.WRONG_TYP, f"expected {typ}")
    if "trust_chain" in header:
        raise FederationError(FederationReason.TRUST_CHAIN_HEADER, "trust_chain is not allowed here")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise FederationError(FederationReason.MISSING_KID, "every federation object names its key")
    return parsed


def open_object(
    token: str | ParsedJws,
    jwks: Mapping[str, Any],
    *,
    typ: str,
    now: datetime,
    require_sub: bool = True,
    require_exp: bool = True,
) -> FederationJws:
    """Verify one object with the issuer's federation keys and read the claims all objects share.

    Args:
        token: compact JWS, or the same already parsed.
        jwks: the issuer's federation key set, `{"keys": [...]}`.
        typ: the exact `typ` this kind of object carries.
        now: instant at which `iat` and `exp` are judged, with the one leeway of 60 seconds for `iat`.
        require_sub: False for objects without a subject.
        require_exp: False for objects whose `exp` is optional.

    Raises:
        FederationError: one rule is broken.
    """
    parsed = parse_object(token, typ=typ)
    keys = key_set(jwks)
    key = keys.get(parsed.header["kid"])
    if key is None:
        raise FederationError(FederationReason.UNKNOWN_KID, "the issuer publishes no such key")
    try:
        verified = jose.verify(parsed, key, typ=typ, max_bytes=MAX_STATEMENT_BYTES)
    except JoseError as fault:
        raise from_jose(fault) from fault
    claims = verified.claims
    opened = FederationJws(
        header=verified.header,
        claims=claims,
        compact=verified.compact,
        iss=identifier(claims, "iss"),
        sub=identifier(claims, "sub") if require_sub else "",
        iat=instant(claims, "iat"),
        exp=instant(claims, "exp") if require_exp or "exp" in claims else None,
    )
    check_times(opened.iat, opened.exp, now)
    return opened


def check_times(iat: datetime, exp: datetime | None, now: datetime) -> None:
    """Refuse an object from the future (beyond 60 s) or past its end.

    Raises:
        FederationError: `ISSUED_IN_FUTURE` or `EXPIRED`.
    """
    if iat > now + CLOCK_LEEWAY:
        raise FederationError(FederationReason.ISSUED_IN_FUTURE, "iat is in the future")
    if exp is not None and now >= exp:
        raise FederationError(FederationReason.EXPIRED, "exp has passed")


def key_set(jwks: object) -> dict[str, PublicKey]:
    """The keys of a federation key set by `kid`.

    Raises:
        FederationError: `BAD_JWKS` (shape, number, or not a public P-256 key) or `DUPLICATE_KID`.
    """
    entries = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(entries, Sequence) or isinstance(entries, str | bytes):
        raise FederationError(FederationReason.BAD_JWKS, "jwks needs a keys array")
    if not 0 < len(entries) <= MAX_JWKS_KEYS:
        raise FederationError(FederationReason.BAD_JWKS, f"jwks holds 1 to {MAX_JWKS_KEYS} keys")
    keys: dict[str, PublicKey] = {}
    for entry in entries:
        kid = entry.get("kid") if isinstance(entry, Mapping) else None
        if not isinstance(kid, str) or not kid:
            raise FederationError(FederationReason.BAD_JWKS, "every key needs a kid")
        if kid in keys:
            raise FederationError(FederationReason.DUPLICATE_KID, "kid must be unique in the key set")
        try:
            keys[kid] = PublicKey.from_jwk(entry)
        except JoseError as fault:
            raise FederationError(FederationReason.BAD_JWKS, str(fault)) from fault
    return keys


def identifier(claims: Mapping[str, Any], name: str) -> str:
    """An Entity Identifier from the claims, compared as a string ever after: https, no fragment, bounded.

    Raises:
        FederationError: `MISSING_CLAIM` or `BAD_CLAIM`.
    """
    if name not in claims:
        raise FederationError(FederationReason.MISSING_CLAIM, name)
    return as_identifier(claims[name], name)


def as_identifier(value: object, name: str) -> str:
    """`value` if it can be an Entity Identifier.

    Raises:
        FederationError: `BAD_CLAIM`.
    """
    well_formed = (
        isinstance(value, str)
        and value.startswith("https://")
        and len(value) <= MAX_IDENTIFIER_CHARS
        and value.isascii()
        and value.isprintable()
        and not any(character in value for character in ' "#?<>\\@[]')
        and not value.endswith("/")
    )
    if not well_formed:
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} is not an entity identifier")
    return str(value)


def instant(claims: Mapping[str, Any], name: str) -> datetime:
    """A NumericDate claim as an aware instant.

    Raises:
        FederationError: `MISSING_CLAIM` or `BAD_CLAIM`.
    """
    if name not in claims:
        raise FederationError(FederationReason.MISSING_CLAIM, name)
    return as_instant(claims[name], name)


def as_instant(value: object, name: str) -> datetime:
    """A NumericDate as an aware instant.

    Raises:
        FederationError: `BAD_CLAIM`.
    """
    try:
        return datetime.fromtimestamp(numeric_date(value), UTC)
    except (StrictError, OverflowError, OSError, ValueError) as fault:
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} is not a NumericDate") from fault


def epoch(at: datetime) -> int:
    """Whole seconds since the epoch, as a NumericDate is written."""
    return int(at.timestamp())


def from_jose(fault: JoseError) -> FederationError:
    """The federation error that says the same as a JOSE error."""
    return FederationError(_JOSE_REASONS.get(fault.reason.value, FederationReason.BAD_HEADER), str(fault))
