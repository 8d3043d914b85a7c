"""Key store (skeleton): private keys as rows, wrapped under a key-encryption key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.formats.jose import PublicKey, SigningKey
from passport_shared.service.db import Database, JsonText, UtcDateTime


class KeyState(StrEnum):
    """PERSISTED. Life of a key: NEXT (published), ACTIVE (signs), RETIRING (verifies), then out."""

    NEXT = "NEXT"
    ACTIVE = "ACTIVE"
    RETIRING = "RETIRING"
    RETIRED = "RETIRED"
    COMPROMISED = "COMPROMISED"


class KekError(Exception):
    """The key-encryption key is missing, readable by others, malformed, or not the right one."""


class KeyMissing(LookupError):
    """There is no key in the state that was asked for."""


@dataclass(frozen=True)
class KeyTables:
    """Tables of the key store."""

    keys: Table
    secrets: Table


def tables(metadata: MetaData) -> KeyTables:
    """Define the key store's tables."""
    keys = Table(
        "signing_keys",
        metadata,
        Column("kid", Text, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("purpose", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("kek_version", Integer, nullable=False),
        Column("public_jwk", JsonText, nullable=False),
        Column("wrapped", LargeBinary, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("changed_at", UtcDateTime, nullable=False),
    )
    for state in ("ACTIVE", "NEXT"):
        condition = keys.c.state == state
        Index(
            f"uq_signing_keys_one_{state.lower()}",
            keys.c.owner,
            keys.c.purpose,
            unique=True,
            sqlite_where=condition,
            postgresql_where=condition,
        )
    secrets = Table(
        "service_secrets",
        metadata,
        Column("name", Text, primary_key=True),
        Column("kek_version", Integer, nullable=False),
        Column("wrapped", LargeBinary, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
    )
    return KeyTables(keys, secrets)


class Kek:
    """The key-encryption key."""

    @classmethod
    def load(cls, path: Path, *, version: int = 1) -> Kek:
        """Read a KEK file: 32 bytes base64url; refuses a file that others may read."""
        raise NotImplementedError

    def wrap(self, plaintext: bytes, *, context: str) -> bytes:
        """Nonce and AES-256-GCM ciphertext, bound to `context`."""
        raise NotImplementedError

    def unwrap(self, wrapped: bytes, *, context: str) -> bytes:
        """Undo `wrap`; KekError if anything differs."""
        raise NotImplementedError


def create_kek_file(path: Path) -> None:
    """Make a new KEK file with mode 0600; never overwrites."""
    raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class StoredKey:
    """What may be published of a stored key."""

    kid: str
    owner: str
    purpose: str
    state: KeyState
    public: PublicKey
    changed_at: datetime


class KeyStore:
    """Signing keys of a service and its tenants (`owner` is the ODS code, "" the service itself)."""

    def __init__(self, db: Database, kek: Kek, tables: KeyTables, clock: Clock) -> None:
        raise NotImplementedError

    async def create(
        self,
        purpose: str,
        owner: str = "",
        *,
        state: KeyState = KeyState.ACTIVE,
        conn: AsyncConnection | None = None,
    ) -> SigningKey:
        """Make and store a key."""
        raise NotImplementedError

    async def ensure(self, purpose: str, owner: str = "") -> SigningKey:
        """The active key, made if there is none (safe when many ask at once)."""
        raise NotImplementedError

    async def active(self, purpose: str, owner: str = "") -> SigningKey:
        """The key that signs now; KeyMissing if none."""
        raise NotImplementedError

    async def load(self, kid: str) -> SigningKey:
        """Any key that is not retired or compromised, by kid; KeyMissing otherwise."""
        raise NotImplementedError

    async def published(self, purpose: str, owner: str = "") -> list[StoredKey]:
        """Keys others may meet: next, active and retiring, active first."""
        raise NotImplementedError

    async def activate_next(self, purpose: str, owner: str = "") -> SigningKey:
        """NEXT becomes ACTIVE and ACTIVE becomes RETIRING, in one transaction."""
        raise NotImplementedError

    async def retire(self, kid: str) -> None:
        """RETIRING becomes RETIRED."""
        raise NotImplementedError

    async def compromise(self, kid: str) -> None:
        """Any state becomes COMPROMISED: never signs or verifies again."""
        raise NotImplementedError

    async def secret(self, purpose: str) -> bytes:
        """32 bytes for HMACs of this purpose (codes, PINs, nonces): the same on every replica."""
        raise NotImplementedError
