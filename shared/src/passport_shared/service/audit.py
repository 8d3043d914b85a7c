"""Audit log (skeleton): entries in the caller's transaction, chained by a sealer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Index, MetaData, Table, Text
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.service.db import Database, JsonText, UtcDateTime
from passport_shared.service.jobs import Leases
from passport_shared.service.keys import KeyStore


@dataclass(frozen=True)
class AuditTables:
    """Tables of the audit log."""

    entries: Table
    checkpoints: Table


def tables(metadata: MetaData) -> AuditTables:
    """Define the audit tables."""
    entries = Table(
        "audit_entries",
        metadata,
        Column("id", Text, primary_key=True),
        Column("recorded_at", UtcDateTime, nullable=False),
        Column("kind", Text, nullable=False),
        Column("organisation", Text, nullable=False),
        Column("subject_ref", Text, nullable=False),
        Column("actor", JsonText, nullable=False),
        Column("details", JsonText, nullable=False),
        Column("seq", BigInteger, unique=True),
        Column("prev_hash", Text),
        Column("hash", Text),
        Column("sealed_at", UtcDateTime),
    )
    unsealed = entries.c.seq.is_(None)
    Index("ix_audit_entries_unsealed", entries.c.id, sqlite_where=unsealed, postgresql_where=unsealed)
    checkpoints = Table(
        "audit_checkpoints",
        metadata,
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("hash", Text, nullable=False),
        Column("signed_at", UtcDateTime, nullable=False),
        Column("token", Text, nullable=False),
    )
    return AuditTables(entries, checkpoints)


class AuditLog:
    """Writes audit entries."""

    def __init__(self, tables: AuditTables, clock: Clock) -> None:
        self.tables = tables
        self.clock = clock

    async def record(
        self,
        conn: AsyncConnection,
        *,
        kind: str,
        subject_ref: str,
        actor: Mapping[str, Any],
        organisation: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> str:
        """Write one entry in the caller's transaction; its id. No personal data in any field."""
        raise NotImplementedError

    def values(
        self,
        *,
        kind: str,
        subject_ref: str,
        actor: Mapping[str, Any],
        organisation: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The row `record` inserts, for a transaction that is one statement."""
        raise NotImplementedError


class Sealer:
    """Chains entries and signs checkpoints."""

    def __init__(
        self,
        db: Database,
        tables: AuditTables,
        leases: Leases,
        keys: KeyStore,
        clock: Clock,
        *,
        issuer: str,
        checkpoint_every: timedelta = timedelta(seconds=30),
    ) -> None:
        raise NotImplementedError

    async def seal(self) -> int:
        """Chain the unsealed entries; how many."""
        raise NotImplementedError

    async def checkpoint(self) -> str | None:
        """Sign the head if it moved and the last checkpoint is old enough."""
        raise NotImplementedError

    async def lag(self) -> timedelta:
        """Age of the oldest unsealed entry."""
        raise NotImplementedError
