"""The snapshot manifest: one small signed page that names every part of the registry by its hash.

Profile of standards.md §1.8. The rules against rollback, freeze, fast-forward and mix-and-match are those of
TUF in our words: a sequence never goes back, the same sequence never has two contents, a manifest ends after
72 hours, and a part counts only under the hash the manifest gives. The parts are read in `snapshot`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from passport_shared.formats import jose
from passport_shared.formats.federation_jws import FederationError, FederationReason, epoch, open_object
from passport_shared.formats.freshness import CLOCK_LEEWAY, SNAPSHOT_LIMIT
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.trust_file import TrustFile

MANIFEST_TYP = "staff-passport-snapshot+jwt"
MANIFEST_MEDIA_TYPE = "application/staff-passport-snapshot+jwt"
PART_MEDIA_TYPE = "application/json"

MAX_PARTS = 128
MAX_PART_BYTES = 8 * 1024 * 1024
MAX_ANCHORS = 16
# The sequence is at least the Unix time of publication; far beyond it, a number would lock all readers out.
MAX_SEQUENCE_AHEAD_S = 3_600


class SnapshotReason(StrEnum):
    """Why a manifest, a part or an entry of the snapshot is refused."""

    NOT_AUTHENTIC = "not_authentic"
    UNKNOWN_KEY = "unknown_key"
    WRONG_TYP = "wrong_typ"
    WRONG_ISSUER = "wrong_issuer"
    EXPIRED = "expired"
    ISSUED_IN_FUTURE = "issued_in_future"
    LIVES_TOO_LONG = "lives_too_long"
    BAD_CLAIM = "bad_claim"
    ROLLED_BACK = "rolled_back"
    FORKED = "forked"
    FAST_FORWARDED = "fast_forwarded"
    PART_MISSING = "part_missing"
    PART_WRONG_SIZE = "part_wrong_size"
    PART_WRONG_HASH = "part_wrong_hash"
    PART_MALFORMED = "part_malformed"
    ANCHOR_INVALID = "anchor_invalid"
    ROOTS_UNKNOWN = "roots_unknown"
    ENTITY_TWICE = "entity_twice"
    ENTITY_INVALID = "entity_invalid"


class SnapshotError(ValueError):
    """A snapshot that must not replace the one in use."""

    def __init__(self, reason: SnapshotReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class Part:
    """One immutable part as the manifest names it; `sha256` is lower-case hex."""

    name: str
    uri: str
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A verified manifest. `hash` is what the next one names in `prev` and what anti-rollback remembers."""

    iss: str
    iat: datetime
    exp: datetime
    sequence: int
    prev: str | None
    x509_anchors: tuple[bytes, ...]
    parts: tuple[Part, ...]
    hash: str
    verified_at: datetime
    compact: str = field(repr=False)


def part_name(content: bytes) -> str:
    """The name of a part: SHA-256 of its bytes in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def manifest_hash(token: str) -> str:
    """SHA-256 of a manifest's compact form in lower-case hex."""
    return hashlib.sha256(token.encode("ascii", errors="replace")).hexdigest()


def build_part(name: str, content: bytes, *, base_uri: str) -> Part:
    """Describe a part's bytes; `base_uri` is `<TA>/federation/parts`."""
    digest = part_name(content)
    return Part(name=name, uri=f"{base_uri}/{digest}", sha256=digest, bytes=len(content))


def build_manifest(
    *,
    iss: str,
    iat: datetime,
    exp: datetime,
    sequence: int,
    prev: str | None,
    x509_anchors: Sequence[bytes],
    parts: Sequence[Part],
    key: SigningKey,
) -> str:
    """Sign a manifest with the anchor's federation key.

    Args:
        iss: the anchor.
        iat: instant of publication.
        exp: its end, at most 72 hours later.
        sequence: higher than every one before; `next_sequence`.
        prev: `manifest_hash` of the manifest before, None for the first.
        x509_anchors: DER of roots and issuing certificate authorities.
        parts: as `build_part` describes them.
        key: federation key.
    """
    claims = {
        "iss": iss,
        "iat": epoch(iat),
        "exp": epoch(exp),
        "sequence": sequence,
        "prev": prev,
        "x509_anchors": [base64.b64encode(anchor).decode() for anchor in x509_anchors],
        "parts": [
            {"name": part.name, "uri": part.uri, "sha256": part.sha256, "bytes": part.bytes} for part in parts
        ],
    }
    return jose.sign(claims, key, typ=MANIFEST_TYP)


def next_sequence(last: int | None, now: datetime) -> int:
    """The sequence of the next manifest: after the last, never below the Unix time (standards.md §1.8)."""
    return max((last or 0) + 1, epoch(now))


_REASONS = {
    FederationReason.UNKNOWN_KID: SnapshotReason.UNKNOWN_KEY,
    FederationReason.WRONG_TYP: SnapshotReason.WRONG_TYP,
    FederationReason.EXPIRED: SnapshotReason.EXPIRED,
    FederationReason.ISSUED_IN_FUTURE: SnapshotReason.ISSUED_IN_FUTURE,
    FederationReason.MISSING_CLAIM: SnapshotReason.BAD_CLAIM,
    FederationReason.BAD_CLAIM: SnapshotReason.BAD_CLAIM,
}


def verify_manifest(
    token: str,
    trust_file: TrustFile,
    *,
    now: datetime,
    last_sequence: int | None = None,
    last_hash: str | None = None,
) -> Manifest:
    """Verify a manifest and that it does not go back behind what this reader has seen.

    The same sequence with the same hash is accepted: it is the answer a poll gets while nothing changes.

    Args:
        token: the manifest.
        trust_file: the anchor and the keys accepted for it.
        now: instant at which times are judged.
        last_sequence: highest sequence this reader has stored, None at first start.
        last_hash: `Manifest.hash` stored with it.

    Raises:
        SnapshotError: one rule is broken, by name; the caller keeps what it has.
    """
    try:
        opened = open_object(token, trust_file.jwks, typ=MANIFEST_TYP, now=now, require_sub=False)
    except FederationError as fault:
        reason = _REASONS.get(fault.reason, SnapshotReason.NOT_AUTHENTIC)
        raise SnapshotError(reason, str(fault)) from fault
    if opened.iss != trust_file.entity_id:
        raise SnapshotError(SnapshotReason.WRONG_ISSUER, "published by another anchor")
    assert opened.exp is not None  # noqa: S101  open_object requires it; this only tells the type checker
    if opened.exp - opened.iat > SNAPSHOT_LIMIT + CLOCK_LEEWAY:
        raise SnapshotError(SnapshotReason.LIVES_TOO_LONG, "a manifest ends after 72 hours")
    claims = opened.claims
    manifest = Manifest(
        iss=opened.iss,
        iat=opened.iat,
        exp=opened.exp,
        sequence=_sequence(claims.get("sequence")),
        prev=_prev(claims.get("prev")),
        x509_anchors=_anchors(claims.get("x509_anchors")),
        parts=_parts(claims.get("parts")),
        hash=manifest_hash(opened.compact),
        verified_at=now,
        compact=opened.compact,
    )
    _check_sequence(manifest, now, last_sequence, last_hash)
    return manifest


def _check_sequence(
    manifest: Manifest, now: datetime, last_sequence: int | None, last_hash: str | None
) -> None:
    if manifest.sequence > epoch(now) + MAX_SEQUENCE_AHEAD_S:
        raise SnapshotError(SnapshotReason.FAST_FORWARDED, "the sequence is far ahead of the time")
    if last_sequence is None:
        return
    if manifest.sequence < last_sequence:
        raise SnapshotError(SnapshotReason.ROLLED_BACK, "an older manifest than one already seen")
    if manifest.sequence == last_sequence and last_hash is not None and manifest.hash != last_hash:
        raise SnapshotError(SnapshotReason.FORKED, "the same sequence with another content")


def _sequence(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**53:
        raise SnapshotError(SnapshotReason.BAD_CLAIM, "sequence is not a positive integer")
    return value


def _prev(value: object) -> str | None:
    if value is None or _is_sha256(value):
        return value if isinstance(value, str) else None
    raise SnapshotError(SnapshotReason.BAD_CLAIM, "prev is not a hash")


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and all(digit in "0123456789abcdef" for digit in value)


def _anchors(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ANCHORS:
        raise SnapshotError(SnapshotReason.BAD_CLAIM, "x509_anchors is not a short array")
    try:
        return tuple(base64.b64decode(anchor, validate=True) for anchor in value)
    except (ValueError, TypeError) as fault:
        raise SnapshotError(SnapshotReason.BAD_CLAIM, "an anchor is not base64 of DER") from fault


def _parts(value: object) -> tuple[Part, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_PARTS:
        raise SnapshotError(SnapshotReason.BAD_CLAIM, f"parts is not an array of 1 to {MAX_PARTS}")
    parts = tuple(_part(entry) for entry in value)
    if len({part.name for part in parts}) != len(parts):
        raise SnapshotError(SnapshotReason.BAD_CLAIM, "a part name occurs twice")
    return parts


def _part(entry: object) -> Part:
    if not isinstance(entry, Mapping):
        raise SnapshotError(SnapshotReason.BAD_CLAIM, "a part is not an object")
    name, uri, size = entry.get("name"), entry.get("uri"), entry.get("bytes")
    if not isinstance(name, str) or not 0 < len(name) <= 64:
        raise SnapshotError(SnapshotReason.BAD_CLAIM, "a part has no name")
    if not isinstance(uri, str) or not uri.startswith("https://") or len(uri) > 1_024:
        raise SnapshotError(SnapshotReason.BAD_CLAIM, "a part has no https uri")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= MAX_PART_BYTES:
        raise SnapshotError(SnapshotReason.BAD_CLAIM, "a part has no acceptable size")
    digest: Any = entry.get("sha256")
    if not _is_sha256(digest):
        raise SnapshotError(SnapshotReason.BAD_CLAIM, "a part has no hash")
    return Part(name=name, uri=uri, sha256=digest, bytes=size)
