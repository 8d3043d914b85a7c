"""The key-encryption key: what wraps private keys and secrets before they become rows (security.md D3).

AES-256-GCM with a random nonce; the additional data names what is wrapped, so that a row moved to another key
id, owner or purpose does not open. The key is a file that only its owner may read, never beside the database,
and there
is no default: a service without one does not start. This module logs nothing and shows nothing of a key.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from passport_shared.formats.strict import b64url_decode, b64url_encode

KEK_BYTES = 32
NONCE_BYTES = 12
MAX_FILE_BYTES = 512
MAX_KEYS = 4
MAX_VERSION_DIGITS = 6


class KekError(Exception):
    """The key-encryption key is missing, readable by others, malformed, or not the one that wrapped this."""


class Kek:
    """A key-encryption key; `version` tells the generations of it apart when it is replaced.

    `also` are further ones that open what they have wrapped, and wrap nothing new: those before it, and, so
    that no replica meets what it cannot open, the one that comes next.
    """

    def __init__(self, key: bytes, *, version: int = 1, also: Sequence[Kek] = ()) -> None:
        if len(key) != KEK_BYTES:
            raise KekError(f"a key-encryption key has {KEK_BYTES} bytes")
        if len(set(key)) == 1:
            raise KekError("a key-encryption key of one repeated byte was not made at random")
        self._aead = AESGCM(key)
        self._also = tuple(also)
        self.version = version
        if len({version, *(other.version for other in also)}) != 1 + len(also):
            raise KekError("two key-encryption keys have the same version")

    def __repr__(self) -> str:
        return f"Kek(version={self.version})"

    @classmethod
    def load(cls, path: Path) -> Kek:
        """Read a KEK file: 32 bytes as base64url and a line end; further lines while the key is replaced.

        A line may begin with the key's version and a space, 1 without. The first line wraps, all lines open.

        Raises:
            KekError: no such file, not a regular file, others may read or write it, or its content is wrong.
        """
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise KekError(
                f"{path} cannot be read ({error.strerror}): make one, or name the right file"
            ) from None
        if not stat.S_ISREG(status.st_mode):
            raise KekError(f"{path} is not a file")
        # The group may read: that is how orchestrators mount secrets for a process that is not root.
        if status.st_mode & (stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP):
            raise KekError(
                f"{path} is open to others: chmod 0600 (or 0640) it, and think about who has read it"
            )
        try:
            lines = content.decode("ascii").strip().split("\n")
            if not 1 <= len(lines) <= MAX_KEYS:
                raise ValueError("too many lines")
            first, *others = (_line(line) for line in lines)
        except ValueError:
            raise KekError(f"{path} does not hold 32 bytes of base64url") from None
        (version, key), also = first, [cls(key, version=version) for version, key in others]
        return cls(key, version=version, also=also)

    def wrap(self, plaintext: bytes, *, context: str) -> bytes:
        """Return nonce and ciphertext, bound to `context` and this version."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plaintext, self._bound(context))

    def unwrap(self, wrapped: bytes, *, context: str) -> bytes:
        """Undo `wrap`; KekError if no key opens it: another key, another context, or a changed bit."""
        for kek in (self, *self._also):
            opened = kek._open(wrapped, context)
            if opened is not None:
                return opened
        raise KekError("this was wrapped by another key-encryption key, or has been changed")

    def wrapped_by_first(self, wrapped: bytes, *, context: str) -> bool:
        """Whether this very key wrapped it, and none of the others."""
        return self._open(wrapped, context) is not None

    def _open(self, wrapped: bytes, context: str) -> bytes | None:
        try:
            return self._aead.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], self._bound(context))
        except (InvalidTag, ValueError):
            return None

    def _bound(self, context: str) -> bytes:
        return f"{context}\x1f{self.version}".encode()


def _line(line: str) -> tuple[int, bytes]:
    """Version and key of one line of a KEK file; ValueError if it is none."""
    version, _, key = line.rpartition(" ")
    if version and not (version.isascii() and version.isdigit() and len(version) <= MAX_VERSION_DIGITS):
        raise ValueError("a version is a small number")
    return int(version or "1"), b64url_decode(key, max_bytes=KEK_BYTES)


def create_kek_file(path: Path) -> Kek:
    """Make a new KEK file with mode 0600; FileExistsError rather than overwrite one."""
    key = secrets.token_bytes(KEK_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(b64url_encode(key) + "\n")
    return Kek(key)


def derive(root: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose from a random root (HKDF-SHA256)."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"staff-passport secret {purpose}".encode()).derive(root)
