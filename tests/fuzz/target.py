"""What a fuzzing target is, and the pieces that several share.

A target takes bytes and returns, or raises AssertionError or anything else that its parser does not promise:
that is a finding. It returns True for input that was accepted, so that a run can be seen to reach behind the
first check.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from passport_shared.formats import jose, strict
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.strict import StrictError
from passport_testkit import corpora

MAX_SEED_BYTES = 60_000


@dataclass(frozen=True)
class Target:
    """One parser of outside data, with valid and corpus inputs to start from."""

    name: str
    run: Callable[[bytes], bool]
    make_seeds: Callable[[], Sequence[bytes]]

    def __str__(self) -> str:
        return self.name

    @property
    def seeds(self) -> Sequence[bytes]:
        """The inputs to start from, made once."""
        return _seeds(self)


@lru_cache(maxsize=256)
def _seeds(target: Target) -> tuple[bytes, ...]:
    return tuple(seed for seed in target.make_seeds() if len(seed) <= MAX_SEED_BYTES)


def as_json(*values: Any) -> list[bytes]:
    """Seeds of JSON values."""
    return [json.dumps(value, separators=(",", ":")).encode() for value in values]


def as_text(data: bytes) -> str:
    """Bytes as the text a parser of text would be given by Starlette: latin-1 never fails, UTF-8 replaces."""
    return data.decode("utf-8", "replace")


def read(data: bytes) -> Any:
    """The JSON value a strict reader hands on, or REFUSED."""
    try:
        return strict.loads(data)
    except StrictError:
        return REFUSED


def read_object(data: bytes) -> Any:
    """As ``read``, for readers that insist on an object."""
    value = read(data)
    return value if isinstance(value, dict) else REFUSED


class _Refused:
    def __bool__(self) -> bool:
        return False


REFUSED = _Refused()


def signed(data: bytes, key: SigningKey) -> str:
    """A JWS under a right signature: the first line of ``data`` is the header, the rest the payload."""
    header, _, payload = data.partition(b"\n")
    signing_input = ".".join(
        strict.b64url_encode(part) if part else "" for part in (header[:20_000], payload[:60_000])
    )
    return f"{signing_input}.{strict.b64url_encode(key.sign(signing_input.encode()))}"


def unsigned(token: str) -> bytes:
    """The header and payload of a token as ``signed`` takes them: the seed for its mutations."""
    split = jose.split(token)
    return json.dumps(split.header).encode() + b"\n" + split.payload


def corpus(folder: str, pattern: str = "*.json") -> list[bytes]:
    """Files of a corpus beside the project; none where there are no corpora."""
    if not corpora.CORPORA.is_dir():
        return []
    return [file.read_bytes() for file in sorted((corpora.CORPORA / folder).glob(pattern))]
