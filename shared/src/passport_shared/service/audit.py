"""Audit log: what changed anybody's standing, who did it, in an order nobody can rewrite (design §7).

An entry is written in the transaction of the change it tells of: no entry, no change. Writers do not wait for
each other; the sealer chains entries in the order in which they were committed, within a second, one writer
by lease, and signs a checkpoint at most a minute after anything new (see `audit_chain` for the format and the
checker). Entries hold ids and commitments, never personal values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    MetaData,
    RowMapping,
    Table,
    Text,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.formats.ids import new_id
from passport_shared.formats.strict import canonical
from passport_shared.service import failpoints
from passport_shared.service.audit_chain import GENESIS, ChainEntry, entry_hash, sign_checkpoint
from passport_shared.service.db import Database, JsonText, UtcDateTime
from passport_shared.service.jobs import Lease, Leases
from passport_shared.service.keys import KeyStore
from passport_shared.service.once import insert_once

AUDIT_KEY = "audit"
"""Purpose of the key that signs checkpoints: its own, used for nothing else."""
BATCH = 500
# Well below MAX_LAG: a replica that is killed while it seals must not make the others unready.
LEASE = timedelta(seconds=10)
MAX_LAG = timedelta(seconds=30)
MAX_DETAILS_BYTES = 4_096
MAX_REF_CHARACTERS = 256

_KIND = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+\Z")
_REF = re.compile(r"[\x21-\x7e]*\Z")


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
    Index("ix_audit_entries_subject_ref", entries.c.subject_ref, entries.c.id)
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
        self._clock = clock
        self._insert = tables.entries.insert()

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
        """Write one entry in the caller's transaction; its id.

        Args:
            conn: the transaction of the change.
            kind: what happened, noun and past participle: `credential.revoked`.
            subject_ref: id of what changed; never a name or a number of a person.
            actor: who did it, as `Actor.as_dict()`, or `{"system": "<task>"}`.
            organisation: ODS code, or "" for the service itself.
            details: ids, states and commitments, at most 4 KiB as JSON.

        Raises:
            ValueError: a field has not the form described here.
        """
        values = self.values(
            kind=kind, subject_ref=subject_ref, actor=actor, organisation=organisation, details=details
        )
        await conn.execute(self._insert, values)
        return str(values["id"])

    def values(
        self,
        *,
        kind: str,
        subject_ref: str,
        actor: Mapping[str, Any],
        organisation: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The row that `record` inserts, for a transaction that is one statement."""
        if not _KIND.match(kind):
            raise ValueError("an audit kind reads noun.participle")
        for reference in (subject_ref, organisation):
            if len(reference) > MAX_REF_CHARACTERS or not _REF.match(reference):
                raise ValueError("an audit reference is an id of printable ASCII")
        if len(canonical({"actor": dict(actor), "details": dict(details or {})})) > MAX_DETAILS_BYTES:
            raise ValueError("audit details are ids and states, not content")
        return {
            "id": new_id(),
            "recorded_at": self._clock.now(),
            "kind": kind,
            "organisation": organisation,
            "subject_ref": subject_ref,
            "actor": dict(actor),
            "details": dict(details or {}),
        }


def _entry(row: RowMapping | Mapping[str, Any], seq: int, prev_hash: str, entry_sha256: str) -> ChainEntry:
    return ChainEntry(
        seq=seq,
        prev_hash=prev_hash,
        hash=entry_sha256,
        id=row["id"],
        recorded_at=row["recorded_at"],
        kind=row["kind"],
        organisation=row["organisation"],
        subject_ref=row["subject_ref"],
        actor=row["actor"],
        details=row["details"],
    )


class Sealer:
    """Chains entries and signs checkpoints; every replica runs one, a lease lets one at a time work.

    Args:
        issuer: the service's base URL, named in checkpoints.
        checkpoint_every: how old the last checkpoint must be before new entries get another.
    """

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
        self._db = db
        self._tables = tables
        self._leases = leases
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._checkpoint_every = checkpoint_every

    async def run(self) -> None:
        """Seal and sign: the periodic task, every second."""
        await self.seal()
        await self.checkpoint()

    async def seal(self) -> int:
        """Chain the entries that are not yet; how many. Zero while another replica does it."""
        if not await self._any_unsealed():
            return 0
        sealed = 0
        async with self._leases.hold("audit:seal", LEASE) as lease:
            if lease is not None:
                while (batch := await self._seal_batch(lease)) > 0:
                    sealed += batch
                    failpoints.hit(failpoints.AFTER_SEALED)
        return sealed

    async def _any_unsealed(self) -> bool:
        entries = self._tables.entries
        async with self._db.read() as conn:
            statement = select(entries.c.id).where(entries.c.seq.is_(None)).limit(1)
            return (await conn.execute(statement)).first() is not None

    async def _seal_batch(self, lease: Lease) -> int:
        entries = self._tables.entries
        async with self._db.write() as conn:
            await self._leases.confirm(conn, lease)
            head = (
                await conn.execute(
                    select(entries.c.seq, entries.c.hash)
                    .where(entries.c.seq.is_not(None))
                    .order_by(entries.c.seq.desc())
                    .limit(1)
                )
            ).first()
            seq, prev_hash = (head.seq, head.hash) if head is not None else (0, GENESIS)
            unsealed = select(entries).where(entries.c.seq.is_(None)).order_by(entries.c.id).limit(BATCH)
            links = []
            now = self._clock.now()
            for row in (await conn.execute(unsealed)).mappings():
                seq += 1
                link = entry_hash(_entry(row, seq, prev_hash, ""))
                links.append(
                    {"of": row["id"], "to_seq": seq, "to_prev": prev_hash, "to_hash": link, "to_at": now}
                )
                prev_hash = link
            if links:
                chaining = (
                    update(entries)
                    .where(entries.c.id == bindparam("of"), entries.c.seq.is_(None))
                    .values(
                        seq=bindparam("to_seq"),
                        prev_hash=bindparam("to_prev"),
                        hash=bindparam("to_hash"),
                        sealed_at=bindparam("to_at"),
                    )
                )
                await conn.execute(chaining, links)
        return len(links)

    async def checkpoint(self) -> str | None:
        """Sign the head of the chain if it moved and the last checkpoint is old enough; the checkpoint."""
        entries, checkpoints = self._tables.entries, self._tables.checkpoints
        async with self._db.read() as conn:
            last = (
                await conn.execute(select(checkpoints).order_by(checkpoints.c.seq.desc()).limit(1))
            ).first()
            head = (
                await conn.execute(
                    select(entries.c.seq, entries.c.hash)
                    .where(entries.c.seq.is_not(None))
                    .order_by(entries.c.seq.desc())
                    .limit(1)
                )
            ).first()
        now = self._clock.now()
        if head is None or (last is not None and head.seq <= last.seq):
            return None
        if last is not None and now - last.signed_at < self._checkpoint_every:
            return None
        async with self._leases.hold("audit:checkpoint", LEASE) as lease:
            if lease is None:
                return None
            token = sign_checkpoint(
                await self._keys.ensure(AUDIT_KEY),
                issuer=self._issuer,
                seq=head.seq,
                head=head.hash,
                previous=None if last is None else last.token,
                at=now,
            )
            failpoints.hit(failpoints.AFTER_CHECKPOINT_SIGNED)
            return token if await self._keep_checkpoint(lease, head.seq, head.hash, last, token) else None

    async def _keep_checkpoint(self, lease: Lease, seq: int, head: str, last: Any, token: str) -> bool:
        checkpoints = self._tables.checkpoints
        async with self._db.write() as conn:
            await self._leases.confirm(conn, lease)
            newest = (await conn.execute(select(func.max(checkpoints.c.seq)))).scalar()
            # Another replica was between our read and our lease: its checkpoint is not the one ours names.
            if newest != (None if last is None else last.seq):
                return False
            row = {"seq": seq, "hash": head, "signed_at": self._clock.now(), "token": token}
            return await insert_once(conn, checkpoints, row)

    async def lag(self) -> timedelta:
        """Age of the oldest entry that is not sealed; zero if all are."""
        entries = self._tables.entries
        async with self._db.read() as conn:
            oldest = (
                await conn.execute(select(func.min(entries.c.recorded_at)).where(entries.c.seq.is_(None)))
            ).scalar()
        return timedelta(0) if oldest is None else max(timedelta(0), self._clock.now() - oldest)

    async def is_current(self) -> bool:
        """Whether sealing keeps up, for readiness."""
        return await self.lag() <= MAX_LAG

    async def export(self, *, after_seq: int = 0, limit: int = 1_000) -> list[ChainEntry]:
        """Sealed entries behind `after_seq`, for a checker."""
        entries = self._tables.entries
        statement = select(entries).where(entries.c.seq > after_seq).order_by(entries.c.seq).limit(limit)
        async with self._db.read() as conn:
            rows = (await conn.execute(statement)).mappings().all()
        return [_entry(row, row["seq"], row["prev_hash"], row["hash"]) for row in rows]

    async def checkpoints(self, *, after_seq: int = 0, limit: int = 1_000) -> list[str]:
        """Signed checkpoints behind `after_seq`, oldest first; they may be public."""
        table = self._tables.checkpoints
        statement = select(table.c.token).where(table.c.seq > after_seq).order_by(table.c.seq).limit(limit)
        async with self._db.read() as conn:
            return list((await conn.execute(statement)).scalars().all())
