"""Token Status List: its signed token, and the aggregation of many; the list is ``status_list_codec``.

draft-ietf-oauth-status-list-20 §5.1 (Status List Token as a JWT) and §9.3 (aggregation); the JWT form only.
Nothing here fetches, stores or decides whether the signer may speak for the issuer: the caller asks
``trust.authority`` with the leaf that ``read_token`` returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from passport_shared.formats import jose, strict
from passport_shared.formats.clock import epoch_s, from_epoch_s
from passport_shared.formats.jose import JoseError, JoseReason, ParsedJws, SigningKey
from passport_shared.formats.status_list_codec import (
    ALLOWED_BITS,
    DEFAULT_BITS,
    DEFAULT_SIZE,
    INVALID,
    MAX_LIST_BYTES,
    SUSPENDED,
    VALID,
    StatusList,
    StatusListError,
    StatusListReason,
    StatusReference,
    is_plain_https,
    status_reference,
)
from passport_shared.formats.strict import StrictError
from passport_shared.formats.x5c import ChainError, Leaf, verify_chain

__all__ = [
    "ALLOWED_BITS",
    "DEFAULT_BITS",
    "DEFAULT_SIZE",
    "INVALID",
    "MAX_LIST_BYTES",
    "MEDIA_TYPE",
    "STATUS_LIST_TYP",
    "SUSPENDED",
    "VALID",
    "StatusList",
    "StatusListError",
    "StatusListReason",
    "StatusReference",
    "StatusToken",
    "aggregation",
    "clamp_ttl",
    "read_aggregation",
    "read_token",
    "sign_token",
    "status_reference",
]

STATUS_LIST_TYP: Final = "statuslist+jwt"
MEDIA_TYPE: Final = "application/statuslist+jwt"

MAX_TOKEN_BYTES: Final = 2_097_152
MAX_AGGREGATED_URIS: Final = 10_000
LEEWAY: Final = timedelta(seconds=60)
LONGEST_LIFE: Final = timedelta(hours=72)
LIFE_WITHOUT_EXP: Final = timedelta(hours=24)
TTL_MIN: Final = timedelta(seconds=15)
TTL_MAX: Final = timedelta(hours=1)
TTL_UNSTATED: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class StatusToken:
    """A verified Status List Token.

    ``exp`` is when we stop relying on it: its own, or less where the local longest life is shorter. ``leaf``
    is the certificate it was signed under, None if it was checked with a key set.
    """

    uri: str
    iat: datetime
    exp: datetime
    ttl: timedelta
    list: StatusList = field(compare=False, repr=False)
    leaf: Leaf | None
    aggregation_uri: str | None

    def refresh_at(self, fetched_at: datetime) -> datetime:
        """When to fetch again: after the clamped ttl, but not after ``exp``."""
        return min(fetched_at + self.ttl, self.exp)


def clamp_ttl(ttl: timedelta) -> timedelta:
    """Bring a ttl between 15 seconds and 1 hour."""
    return max(TTL_MIN, min(ttl, TTL_MAX))


def sign_token(
    status_list: StatusList,
    *,
    uri: str,
    key: SigningKey,
    x5c: Sequence[str] | None = None,
    iat: datetime,
    exp: datetime,
    ttl: timedelta,
    aggregation_uri: str | None = None,
) -> str:
    """Sign a Status List Token (§5.1); ``uri`` becomes its ``sub``.

    Without ``x5c`` the header carries the key's ``kid`` (the registry's own list).

    Raises:
        StatusListError: uri or aggregation_uri is not plain https, or ttl or exp make no sense.
    """
    if not is_plain_https(uri):
        raise StatusListError(StatusListReason.URI_MALFORMED)
    if ttl < timedelta(seconds=1):
        raise StatusListError(StatusListReason.TTL_MALFORMED, "ttl is a positive number of seconds")
    if exp <= iat:
        raise StatusListError(StatusListReason.EXP_MALFORMED, "exp must be after iat")
    content: dict[str, Any] = {"bits": status_list.bits, "lst": status_list.encode()}
    if aggregation_uri is not None:
        content["aggregation_uri"] = _aggregation_uri(aggregation_uri)
    claims = {
        "sub": uri,
        "iat": epoch_s(iat),
        "exp": epoch_s(exp),
        "ttl": int(ttl.total_seconds()),
        "status_list": content,
    }
    headers = None if x5c is None else {"x5c": list(x5c)}
    return jose.sign(claims, key, typ=STATUS_LIST_TYP, kid=x5c is None, headers=headers)


def read_token(
    token: str | bytes,
    *,
    uri: str,
    now: datetime,
    roots: Sequence[bytes] | None = None,
    jwks: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    min_iat: datetime | None = None,
    max_life: timedelta = LONGEST_LIFE,
    max_bytes: int = MAX_LIST_BYTES,
) -> StatusToken:
    """Verify a Status List Token fetched for ``uri`` and inflate its list (standards §2.3, steps 4 to 8).

    The order: 1 size and structure; 2 typ and alg; 3 key: chain of ``x5c`` to ``roots``, or ``kid`` in
    ``jwks``; 4 signature; 5 subject; 6 times and rollback; 7 ttl; 8 bits and list.

    Args:
        token: the compact JWT.
        uri: the list's uri as the credential names it.
        now: the time to judge by, with 60 seconds of leeway.
        roots: DER of the trusted roots, for a token with ``x5c``.
        jwks: trusted keys, for a token with ``kid``. Exactly one of roots and jwks is given.
        min_iat: ``iat`` of the newest token seen for this uri; an older one is a rollback.
        max_life: how long after ``iat`` we rely on a token whatever its ``exp`` says.
        max_bytes: bound of the inflated list.

    Raises:
        StatusListError: any of these checks failed; the caller has no statement and fails closed.
    """
    if (roots is None) == (jwks is None):
        raise ValueError("give either roots or jwks")
    parsed, leaf = _verified(token, roots, jwks, now)
    claims = parsed.claims
    if claims.get("sub") != uri:  # 5
        raise StatusListError(StatusListReason.WRONG_SUBJECT)
    iat, exp = _times(claims, now=now, min_iat=min_iat, max_life=max_life)  # 6
    ttl = _ttl(claims)  # 7
    content = claims.get("status_list")  # 8
    if not isinstance(content, dict):
        raise StatusListError(StatusListReason.STATUS_LIST_MISSING)
    aggregation_uri = content.get("aggregation_uri")
    return StatusToken(
        uri=uri,
        iat=iat,
        exp=exp,
        ttl=ttl,
        list=StatusList.decode(content.get("lst", ""), content.get("bits", 0), max_bytes),
        leaf=leaf,
        aggregation_uri=None if aggregation_uri is None else _aggregation_uri(aggregation_uri),
    )


_JOSE_REASONS: Final[Mapping[JoseReason, StatusListReason]] = {
    JoseReason.TOO_LARGE: StatusListReason.TOKEN_TOO_LARGE,
    JoseReason.ALG_NOT_ALLOWED: StatusListReason.ALG_NOT_ALLOWED,
    JoseReason.WRONG_TYP: StatusListReason.WRONG_TYP,
    JoseReason.CRIT_NOT_UNDERSTOOD: StatusListReason.CRITICAL_HEADER,
    JoseReason.UNKNOWN_KID: StatusListReason.UNKNOWN_KEY,
    JoseReason.BAD_KEY: StatusListReason.UNKNOWN_KEY,
    JoseReason.BAD_SIGNATURE: StatusListReason.BAD_SIGNATURE,
}


def _verified(
    token: str | bytes,
    roots: Sequence[bytes] | None,
    jwks: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
    now: datetime,
) -> tuple[ParsedJws, Leaf | None]:
    try:
        parsed = jose.parse(token, max_bytes=MAX_TOKEN_BYTES)  # 1
        _check_alg_and_typ(parsed)  # 2, before any work on keys
        if jwks is not None:
            jose.verify_with_jwks(parsed, jwks, typ=STATUS_LIST_TYP)  # 3, 4
            return parsed, None
        if "x5c" not in parsed.header:
            raise StatusListError(StatusListReason.CHAIN_MISSING)
        leaf = verify_chain(parsed.header["x5c"], roots or (), at=now)  # 3
        jose.verify(parsed, leaf.public, typ=STATUS_LIST_TYP)  # 4
    except ChainError as error:
        raise StatusListError(StatusListReason.CHAIN_UNTRUSTED, error.reason.value) from None
    except JoseError as error:
        reason = _JOSE_REASONS.get(error.reason, StatusListReason.TOKEN_MALFORMED)
        raise StatusListError(reason, str(error)) from None
    return parsed, leaf


def _check_alg_and_typ(parsed: ParsedJws) -> None:
    if parsed.header["alg"] != jose.ES256:
        raise StatusListError(StatusListReason.ALG_NOT_ALLOWED)
    if parsed.header.get("typ") != STATUS_LIST_TYP:
        raise StatusListError(StatusListReason.WRONG_TYP)


def _times(
    claims: Mapping[str, Any], *, now: datetime, min_iat: datetime | None, max_life: timedelta
) -> tuple[datetime, datetime]:
    if "iat" not in claims:
        raise StatusListError(StatusListReason.IAT_MISSING)
    iat = _date(claims["iat"], StatusListReason.IAT_MALFORMED)
    if iat > now + LEEWAY:
        raise StatusListError(StatusListReason.ISSUED_IN_FUTURE)
    if min_iat is not None and iat < min_iat:
        raise StatusListError(StatusListReason.ROLLED_BACK, "a newer token of this list has been seen")
    if "exp" in claims:
        exp = min(_date(claims["exp"], StatusListReason.EXP_MALFORMED), iat + max_life)
    else:
        exp = iat + min(LIFE_WITHOUT_EXP, max_life)
    if now >= exp + LEEWAY:
        raise StatusListError(StatusListReason.EXPIRED)
    return iat, exp


def _date(value: object, reason: StatusListReason) -> datetime:
    try:
        return from_epoch_s(strict.numeric_date(value))
    except ValueError:
        raise StatusListError(reason, "not a date in seconds") from None


def _ttl(claims: Mapping[str, Any]) -> timedelta:
    """The ttl within local bounds; §5.1 wants a positive number, which may have a fraction."""
    if "ttl" not in claims:
        return TTL_UNSTATED
    ttl = claims["ttl"]
    if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not ttl > 0:
        raise StatusListError(StatusListReason.TTL_MALFORMED, "ttl is a positive number of seconds")
    return clamp_ttl(timedelta(seconds=min(float(min(ttl, 86_400)), TTL_MAX.total_seconds())))


def _aggregation_uri(uri: object) -> str:
    if not isinstance(uri, str) or not is_plain_https(uri):
        raise StatusListError(StatusListReason.AGGREGATION_URI_MALFORMED)
    return uri


def aggregation(uris: Sequence[str]) -> bytes:
    """Return the aggregation document (§9.3): ``{"status_lists": [uri, …]}``."""
    return strict.dumps({"status_lists": list(uris)})


def read_aggregation(document: bytes) -> tuple[str, ...]:
    """Read an aggregation document; raises StatusListError unless every entry is a plain https uri."""
    try:
        uris = strict.loads_object(document, max_bytes=MAX_TOKEN_BYTES).get("status_lists")
    except StrictError as error:
        raise StatusListError(StatusListReason.AGGREGATION_MALFORMED, str(error)) from None
    if not isinstance(uris, list) or len(uris) > MAX_AGGREGATED_URIS or not all(map(is_plain_https, uris)):
        raise StatusListError(StatusListReason.AGGREGATION_MALFORMED)
    return tuple(uris)
