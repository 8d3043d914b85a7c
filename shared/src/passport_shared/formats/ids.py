"""Identifiers: time-ordered ids for rows (UUIDv7, RFC 9562 §5.7) and unguessable tokens.

Ids are text and compared as strings. The time inside an id orders rows in an index; no rule may read it. Ids
made by one process are in the order they were made, so that what one transaction writes keeps its order.
"""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from base64 import urlsafe_b64encode

_VERSION_7 = 0x7 << 76
_VARIANT_RFC = 0b10 << 62
_RANDOM_BITS = 74
_STEP_BITS = 32


class _Sequence:
    """Milliseconds and 74 random bits as one number that only grows (RFC 9562 §6.2, method 2)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        milliseconds = (time.time_ns() // 1_000_000) & (2**48 - 1)
        fresh = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        with self._lock:
            # Within a millisecond, and while a clock that was set back catches up, count on at random.
            if fresh >> _RANDOM_BITS <= self._last >> _RANDOM_BITS:
                fresh = self._last + 1 + secrets.randbits(_STEP_BITS)
            self._last = fresh
        return fresh


_sequence = _Sequence()


def new_id() -> str:
    """Return a new UUIDv7 as 36 characters of lower-case text; greater than every one made here before."""
    return _uuid_text(_sequence.next())


def new_id_after(previous: str | None) -> str:
    """Return a new UUIDv7 that is greater than `previous` too, which another process may have made.

    For rows of which the newest counts: replicas' clocks are never quite the same.
    """
    made = new_id()
    if previous is None or made > previous:
        return made
    # The next one of the same time: its random part is counted on (RFC 9562 §6.2, method 2).
    number = uuid.UUID(previous).int
    head, tail = (number >> 80) << 12 | (number >> 64 & 0xFFF), number & (2**62 - 1)
    following = (head << 62 | tail) + 1 + secrets.randbits(_STEP_BITS)
    return _uuid_text(following)


def _uuid_text(number: int) -> str:
    head, tail = number >> 62, number & (2**62 - 1)
    value = (head >> 12) << 80 | _VERSION_7 | (head & 0xFFF) << 64 | _VARIANT_RFC | tail
    return str(uuid.UUID(int=value))


def random_token(nbytes: int = 16) -> str:
    """Return `nbytes` of randomness as unpadded base64url; 16 bytes are the 128 bits an identifier needs."""
    return urlsafe_b64encode(secrets.token_bytes(nbytes)).rstrip(b"=").decode("ascii")
