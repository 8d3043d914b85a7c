"""The audit chain as anybody can check it: pure functions over exported entries and public checkpoints.

Security.md D2: `hash = SHA-256(0x00 || canonical entry)`, where the entry holds its sequence number and the
hash of the one before. A checkpoint is a signed statement of the chain's head; it names the checkpoint before
it. Whoever keeps checkpoints elsewhere detects every edit, deletion, insertion, reordering, truncation and
fork up to the last of them, also by somebody who can write to the database and compute hashes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from passport_shared.formats.clock import epoch_s, from_epoch_s
from passport_shared.formats.jose import JoseError, PublicKey, SigningKey, sign, verify, verify_with_jwks
from passport_shared.formats.strict import StrictError, b64url_encode, canonical, numeric_date

CHECKPOINT_TYP = "staff-passport-audit-checkpoint+jwt"
GENESIS = "0" * 64
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class ChainEntry:
    """One sealed entry as it is exported."""

    seq: int
    prev_hash: str
    hash: str
    id: str
    recorded_at: datetime
    kind: str
    organisation: str
    subject_ref: str
    actor: Mapping[str, Any]
    details: Mapping[str, Any]


def entry_hash(entry: ChainEntry) -> str:
    """The hash this entry must have, in hexadecimal."""
    content = {
        "seq": entry.seq,
        "prev_hash": entry.prev_hash,
        "id": entry.id,
        "recorded_at": entry.recorded_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "kind": entry.kind,
        "organisation": entry.organisation,
        "subject_ref": entry.subject_ref,
        "actor": entry.actor,
        "details": entry.details,
    }
    return hashlib.sha256(b"\x00" + canonical(content)).hexdigest()


def commitment(salt: bytes, value: str) -> str:
    """What an entry holds instead of a personal value: erasing the subject's salt makes it say nothing."""
    if len(salt) < 16:
        raise ValueError("a salt has at least 16 random bytes")
    return b64url_encode(hmac.digest(salt, value.encode(), "sha256"))


def checkpoint_hash(token: str | None) -> str:
    """How the next checkpoint names this one; the first names `GENESIS`."""
    return GENESIS if token is None else hashlib.sha256(token.encode("ascii")).hexdigest()


def sign_checkpoint(
    key: SigningKey, *, issuer: str, seq: int, head: str, previous: str | None, at: datetime
) -> str:
    """Signed statement that the chain of `issuer` has `head` as the hash of entry `seq`."""
    claims = {"iss": issuer, "iat": epoch_s(at), "seq": seq, "hash": head, "prev": checkpoint_hash(previous)}
    return sign(claims, key, typ=CHECKPOINT_TYP)


class ChainFault(StrEnum):
    """What is wrong with a chain."""

    GAP = "gap"
    OUT_OF_ORDER = "out_of_order"
    PREV_HASH = "prev_hash"
    HASH = "hash"
    TIME = "time"
    TRUNCATED = "truncated"
    CHECKPOINT_SIGNATURE = "checkpoint_signature"
    CHECKPOINT_MALFORMED = "checkpoint_malformed"
    CHECKPOINT_ORDER = "checkpoint_order"
    CHECKPOINT_MISMATCH = "checkpoint_mismatch"


@dataclass(frozen=True)
class ChainFinding:
    """One fault and the sequence number where it shows."""

    fault: ChainFault
    seq: int


@dataclass
class ChainReport:
    """The answer of a check: the chain is whole if there is no finding."""

    entries: int = 0
    head_seq: int = 0
    head_hash: str = GENESIS
    findings: list[ChainFinding] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def add(self, fault: ChainFault, seq: int) -> None:
        """Record a fault."""
        self.findings.append(ChainFinding(fault, seq))


@dataclass(frozen=True)
class _Checkpoint:
    seq: int
    head: str
    prev: str
    at: datetime


def verify_chain(
    entries: Iterable[ChainEntry],
    checkpoints: Sequence[str],
    keys: PublicKey | Mapping[str, PublicKey],
    *,
    issuer: str,
    after: tuple[int, str] = (0, GENESIS),
) -> ChainReport:
    """Check entries in the order of their sequence numbers against each other and against all checkpoints.

    Args:
        entries: the export, from the first entry (or the one behind `after`) to the last.
        checkpoints: signed checkpoints in the order in which they were published, from the first on.
        keys: the audit key, or all that were ever used, by kid.
        issuer: whose chain it is.
        after: sequence number and hash of an entry that was checked before, to go on from there.
    """
    report = ChainReport(head_seq=after[0], head_hash=after[1])
    signed = _read_checkpoints(checkpoints, keys, issuer, report)
    at_seq: dict[int, list[_Checkpoint]] = {}
    for checkpoint in signed:
        at_seq.setdefault(checkpoint.seq, []).append(checkpoint)
    # What was recorded behind a checkpoint cannot be older than it, but for clocks that differ a little.
    earliest = max((c.at for c in signed if c.seq <= after[0]), default=datetime.min.replace(tzinfo=UTC))
    for entry in entries:
        _check_entry(entry, report, earliest)
        for checkpoint in at_seq.pop(entry.seq, ()):
            if checkpoint.head != entry.hash:
                report.add(ChainFault.CHECKPOINT_MISMATCH, entry.seq)
            earliest = max(earliest, checkpoint.at)
    for seq in sorted(at_seq):
        if seq > report.head_seq:
            report.add(ChainFault.TRUNCATED, seq)
        elif seq == after[0]:
            if any(checkpoint.head != after[1] for checkpoint in at_seq[seq]):
                report.add(ChainFault.CHECKPOINT_MISMATCH, seq)
        elif seq > after[0]:
            report.add(ChainFault.GAP, seq)
    return report


def _check_entry(entry: ChainEntry, report: ChainReport, earliest: datetime) -> None:
    if entry.seq <= report.head_seq:
        report.add(ChainFault.OUT_OF_ORDER, entry.seq)
    elif entry.seq != report.head_seq + 1:
        report.add(ChainFault.GAP, entry.seq)
    if entry.prev_hash != report.head_hash:
        report.add(ChainFault.PREV_HASH, entry.seq)
    if _recomputed(entry) != entry.hash:
        report.add(ChainFault.HASH, entry.seq)
    if entry.recorded_at.astimezone(UTC) + CLOCK_TOLERANCE < earliest:
        report.add(ChainFault.TIME, entry.seq)
    report.entries += 1
    report.head_seq, report.head_hash = max(entry.seq, report.head_seq), entry.hash


def _recomputed(entry: ChainEntry) -> str | None:
    try:
        return entry_hash(entry)
    except (StrictError, ValueError, TypeError):
        return None


def _read_checkpoints(
    tokens: Sequence[str],
    keys: PublicKey | Mapping[str, PublicKey],
    issuer: str,
    report: ChainReport,
) -> list[_Checkpoint]:
    signed: list[_Checkpoint] = []
    previous: str | None = None
    for token in tokens:
        checkpoint = _read_checkpoint(token, keys, issuer, report)
        if checkpoint is not None:
            last = signed[-1] if signed else None
            chained = checkpoint.prev == checkpoint_hash(previous)
            forward = last is None or (checkpoint.seq > last.seq and checkpoint.at >= last.at)
            if not chained or not forward:
                report.add(ChainFault.CHECKPOINT_ORDER, checkpoint.seq)
            signed.append(checkpoint)
        previous = token
    return signed


def _read_checkpoint(
    token: str, keys: PublicKey | Mapping[str, PublicKey], issuer: str, report: ChainReport
) -> _Checkpoint | None:
    try:
        claims = _verify(token, keys)
    except JoseError:
        report.add(ChainFault.CHECKPOINT_SIGNATURE, 0)
        return None
    try:
        seq, at = numeric_date(claims.get("seq")), from_epoch_s(numeric_date(claims.get("iat")))
    except (StrictError, ValueError):
        report.add(ChainFault.CHECKPOINT_MALFORMED, 0)
        return None
    head, prev = claims.get("hash"), claims.get("prev")
    if claims.get("iss") != issuer or not isinstance(head, str) or not isinstance(prev, str):
        report.add(ChainFault.CHECKPOINT_MALFORMED, seq)
        return None
    return _Checkpoint(seq, head, prev, at)


def _verify(token: str, keys: PublicKey | Mapping[str, PublicKey]) -> dict[str, Any]:
    if isinstance(keys, PublicKey):
        return verify(token, keys, typ=CHECKPOINT_TYP).claims
    from_kid = [key.as_jwk(kid=kid) for kid, key in keys.items()]
    return verify_with_jwks(token, from_kid, typ=CHECKPOINT_TYP).claims
