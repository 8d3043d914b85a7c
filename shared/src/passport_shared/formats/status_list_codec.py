"""The status list itself: entries packed into bytes, compressed, and the reference to one of them.

draft-ietf-oauth-status-list-20 §4 (list and compression) and §6.2 (reference in a Referenced Token). Whatever
is sent, no more than the allowed bytes are ever inflated. The signed token around a list is ``status_list``.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from passport_shared.formats import strict
from passport_shared.formats.strict import StrictError

VALID: Final = 0
INVALID: Final = 1
SUSPENDED: Final = 2

DEFAULT_BITS: Final = 2
DEFAULT_SIZE: Final = 131_072
ALLOWED_BITS: Final = (1, 2, 4, 8)

MAX_ENCODED_BYTES: Final = 2_097_152
MAX_LIST_BYTES: Final = 1_048_576
MAX_URI_CHARS: Final = 2_048


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
    if not is_plain_https(uri):
        raise StatusListError(StatusListReason.URI_MALFORMED)
    return StatusReference(uri=uri, idx=idx)


def is_plain_https(uri: object) -> bool:
    """An https URL with a host, without user information or fragment, of printable ASCII."""
    return isinstance(uri, str) and len(uri) <= MAX_URI_CHARS and _is_plain_https(uri)


@lru_cache(maxsize=1024)
def _is_plain_https(uri: str) -> bool:
    """Remembered: thousands of credentials name one list."""
    if not uri.startswith("https://"):
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
            compressed = strict.b64url_decode(lst, max_bytes=MAX_ENCODED_BYTES)
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
