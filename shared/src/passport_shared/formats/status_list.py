"""Token Status List: the list itself, its token, and the reference to it in a credential.

draft-ietf-oauth-status-list-20: §4 (the list, its compression), §5.1 (Status List Token as a JWT), §6.2 (the
reference), §9.3 (aggregation). The JWT form only. Nothing here fetches, stores or decides whether the signer
may speak for the issuer: the caller asks ``trust.authority`` with the leaf that ``read_token`` returns.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from passport_shared.formats import jose, strict
from passport_shared.formats.clock import epoch_s, from_epoch_s
from passport_shared.formats.jose import JoseError, JoseReason, ParsedJws, SigningKey
from passport_shared.formats.strict import StrictError
from passport_shared.formats.x5c import ChainError, Leaf, verify_chain

STATUS_LIST_TYP: Final = "statuslist+jwt"
MEDIA_TYPE: Final = "application/statuslist+jwt"

VALID: Final = 0
INVALID: Final = 1
SUSPENDED: Final = 2

DEFAULT_BITS: Final = 2
DEFAULT_SIZE: Final = 131_072
ALLOWED_BITS: Final = (1, 2, 4, 8)

MAX_TOKEN_BYTES: Final = 2_097_152
MAX_LIST_BYTES: Final = 1_048_576
MAX_URI_CHARS: Final = 2_048
MAX_AGGREGATED_URIS: Final = 10_000
LEEWAY: Final = timedelta(seconds=60)
LONGEST_LIFE: Final = timedelta(hours=72)
LIFE_WITHOUT_EXP: Final = timedelta(hours=24)
TTL_MIN: Final = timedelta(seconds=15)
TTL_MAX: Final = timedelta(hours=1)
TTL_UNSTATED: Final = timedelta(minutes=5)


class StatusListReason(StrEnum):
    """Why a status list, its token or a reference to it is refused."""

    REFERENCE_MISSING = "status_reference_missing"
    REFERENCE_MALFORMED = "status_reference_malformed"
    INDEX_MALFORMED = "status_index_malformed"
    URI_MALFORMED = "status_uri_malformed"
    INDEX_OUT_OF_RANGE = "index_out_of_range"
    VALUE_OUT_OF_RANGE = "value_out_of_range"
    BITS_NOT_ALLOWED = "bits_not_allowed"
    SIZE_NOT_ALLOWED = "size_not_allowed"
    LIST_NOT_BASE64URL = "list_not_base64url"
    LIST_NOT_ZLIB = "list_not_zlib"
    LIST_TRUNCATED = "list_truncated"
    LIST_TRAILING_BYTES = "list_trailing_bytes"
    LIST_TOO_LARGE = "list_too_large"
    LIST_EMPTY = "list_empty"
    TOKEN_TOO_LARGE = "token_too_large"  # noqa: S105  a reason, not a password
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105
    WRONG_TYP = "wrong_typ"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    CRITICAL_HEADER = "critical_header"
    CHAIN_MISSING = "chain_missing"
    CHAIN_UNTRUSTED = "chain_untrusted"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    WRONG_SUBJECT = "wrong_subject"
    IAT_MISSING = "iat_missing"
    IAT_MALFORMED = "iat_malformed"
    ISSUED_IN_FUTURE = "issued_in_future"
    ROLLED_BACK = "rolled_back"
    EXP_MALFORMED = "exp_malformed"
    EXPIRED = "expired"
    TTL_MALFORMED = "ttl_malformed"
    STATUS_LIST_MISSING = "status_list_missing"
    AGGREGATION_URI_MALFORMED = "aggregation_uri_malformed"
    AGGREGATION_MALFORMED = "aggregation_malformed"


class StatusListError(ValueError):
    """No statement about a status can be made; ``reason`` says why."""

    def __init__(self, reason: StatusListReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class StatusReference:
    """Where the status of a Referenced Token stands: the list's uri and the index in it."""

    uri: str
    idx: int

    def as_claim(self) -> dict[str, Any]:
        """Value of the ``status`` claim."""
        return {"status_list": {"idx": self.idx, "uri": self.uri}}


def status_reference(claims: Mapping[str, Any]) -> StatusReference:
    """Read ``status.status_list`` of a Referenced Token (§6.2).

    Raises:
        StatusListError: it is missing, or ``idx`` is not a whole number from 0, or ``uri`` not plain https.
    """
    status = claims.get("status")
    if status is None:
        raise StatusListError(StatusListReason.REFERENCE_MISSING)
    if not isinstance(status, Mapping) or not isinstance(status.get("status_list"), Mapping):
        raise StatusListError(StatusListReason.REFERENCE_MALFORMED, "there is no status_list object")
    reference = status["status_list"]
    idx = reference.get("idx")
    if type(idx) is not int or not 0 <= idx <= strict.MAX_SAFE_INTEGER:
        raise StatusListError(StatusListReason.INDEX_MALFORMED)
    uri = reference.get("uri")
    if not _is_plain_https(uri):
        raise StatusListError(StatusListReason.URI_MALFORMED)
    return StatusReference(uri=uri, idx=idx)


def _is_plain_https(uri: object) -> bool:
    """An https URL with a host, without user information or fragment, of printable ASCII."""
    if not isinstance(uri, str) or not uri.startswith("https://") or len(uri) > MAX_URI_CHARS:
        return False
    if not uri.isascii() or not uri.isprintable() or " " in uri or "\\" in uri:
        return False
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.netloc and "#" not in uri


class StatusList:
    """A list of statuses, ``bits`` wide each, packed from the least significant bit of each byte (§4.1).

    It starts with every entry VALID. Not safe for concurrent writers.
    """

    __slots__ = ("_packed", "bits")

    def __init__(self, bits: int = DEFAULT_BITS, size: int = DEFAULT_SIZE) -> None:
        if bits not in ALLOWED_BITS or type(bits) is not int:
            raise StatusListError(StatusListReason.BITS_NOT_ALLOWED, "bits is 1, 2, 4 or 8")
        if type(size) is not int or size <= 0 or size * bits % 8 or size * bits // 8 > MAX_LIST_BYTES:
            raise StatusListError(StatusListReason.SIZE_NOT_ALLOWED, "the list must fill whole bytes")
        self.bits = bits
        self._packed = bytearray(size * bits // 8)

    @classmethod
    def from_packed(cls, packed: bytes | bytearray, bits: int) -> StatusList:
        """Take over a packed byte array, as a database keeps it."""
        status_list = cls(bits, 8 // bits if bits in ALLOWED_BITS else 8)
        if not packed:
            raise StatusListError(StatusListReason.LIST_EMPTY)
        if len(packed) > MAX_LIST_BYTES:
            raise StatusListError(StatusListReason.LIST_TOO_LARGE)
        status_list._packed = bytearray(packed)
        return status_list

    @property
    def packed(self) -> bytes:
        """The packed byte array, uncompressed."""
        return bytes(self._packed)

    def __len__(self) -> int:
        return len(self._packed) * 8 // self.bits

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StatusList):
            return NotImplemented
        return self.bits == other.bits and self._packed == other._packed

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def get(self, idx: int) -> int:
        """Return the status at ``idx``; raises StatusListError for an index outside the list."""
        at = self._check_index(idx) * self.bits
        return self._packed[at >> 3] >> (at & 7) & ((1 << self.bits) - 1)

    def set(self, idx: int, status: int) -> None:
        """Change the status at ``idx``; raises StatusListError for an index or status out of range."""
        at = self._check_index(idx) * self.bits
        mask = (1 << self.bits) - 1
        if type(status) is not int or not 0 <= status <= mask:
            raise StatusListError(StatusListReason.VALUE_OUT_OF_RANGE, f"a status is 0 to {mask} here")
        kept = self._packed[at >> 3] & ~(mask << (at & 7)) & 0xFF
        self._packed[at >> 3] = kept | status << (at & 7)

    def _check_index(self, idx: int) -> int:
        if type(idx) is not int or not 0 <= idx < len(self):
            raise StatusListError(StatusListReason.INDEX_OUT_OF_RANGE)
        return idx

    def encode(self) -> str:
        """Return ``lst``: zlib at level 9, base64url."""
        return strict.b64url_encode(zlib.compress(self._packed, 9))

    @classmethod
    def decode(cls, lst: str, bits: int, max_bytes: int = MAX_LIST_BYTES) -> StatusList:
        """Read ``lst``; at most ``max_bytes`` are ever inflated.

        Raises:
            StatusListError: wrong bits, not base64url, not one whole zlib stream, or too large.
        """
        if bits not in ALLOWED_BITS or type(bits) is not int:
            raise StatusListError(StatusListReason.BITS_NOT_ALLOWED, "bits is 1, 2, 4 or 8")
        try:
            compressed = strict.b64url_decode(lst, max_bytes=MAX_TOKEN_BYTES)
        except StrictError:
            raise StatusListError(StatusListReason.LIST_NOT_BASE64URL) from None
        return cls.from_packed(_inflate(compressed, max_bytes), bits)


def _inflate(compressed: bytes, max_bytes: int) -> bytes:
    """Inflate exactly one zlib stream (RFC 1950), of any compression level, within bounds."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(compressed, max_bytes + 1)
    except zlib.error:
        raise StatusListError(StatusListReason.LIST_NOT_ZLIB) from None
    if len(raw) > max_bytes:
        raise StatusListError(StatusListReason.LIST_TOO_LARGE, f"more than {max_bytes} bytes inflated")
    if not inflater.eof:
        raise StatusListError(StatusListReason.LIST_TRUNCATED)
    if inflater.unused_data:
        raise StatusListError(StatusListReason.LIST_TRAILING_BYTES)
    return raw


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
    if not _is_plain_https(uri):
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
        list=StatusList.decode(_lst(content), content.get("bits", 0), max_bytes),
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


def _lst(content: Mapping[str, Any]) -> str:
    lst = content.get("lst")
    if not isinstance(lst, str):
        raise StatusListError(StatusListReason.LIST_NOT_BASE64URL)
    return lst


def _aggregation_uri(uri: object) -> str:
    if not isinstance(uri, str) or not _is_plain_https(uri):
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
    if not isinstance(uris, list) or len(uris) > MAX_AGGREGATED_URIS or not all(map(_is_plain_https, uris)):
        raise StatusListError(StatusListReason.AGGREGATION_MALFORMED)
    return tuple(uris)
