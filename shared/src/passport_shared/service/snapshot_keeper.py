"""Keeps the network's snapshot: fetched in the background, verified, stored durably, served from memory.

The manifest is polled conditionally (design §4.2); only parts that changed are fetched, each is checked
against the hash in its name, and the manifest is stored last, so that what is stored is always whole. A
sequence lower than the last one stored, or the same with other bytes, is refused (standards.md §1.8). Nothing
here decides trust: callers evaluate `passport_shared.formats.trust` over `current()`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import structlog

from passport_shared.formats.clock import Clock
from passport_shared.formats.snapshot import Manifest, Snapshot, SnapshotError, TrustFile, verify_manifest
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.service.db import Database
from passport_shared.service.documents import CachedDocuments, StaleVersion
from passport_shared.service.jobs import Periodic

MANIFEST_MEDIA_TYPE = "application/staff-passport-snapshot+jwt"
MANIFEST_DOCUMENT = "snapshot/manifest"
POLL_EVERY = timedelta(seconds=30)
MANIFEST_MAX_BYTES = 262_144
PART_MAX_BYTES = 64 * 1024 * 1024

log = structlog.get_logger(__name__)


def part_document(name: str) -> str:
    """The document name of a part."""
    return f"snapshot/parts/{name}"


class SnapshotUnavailable(Exception):
    """The registry did not give a newer snapshot; what is kept stays in force. `reason` names why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SnapshotKeeper:
    """The snapshot of one network, for one service.

    Args:
        db: kept for symmetry with the other keepers; the documents live in it.
        trust_file: the only trust that is configured.
    """

    def __init__(
        self,
        db: Database,
        outbound: Outbound,
        trust_file: TrustFile,
        clock: Clock,
        documents: CachedDocuments,
    ) -> None:
        self._db = db
        self._outbound = outbound
        self._clock = clock
        self._documents = documents
        self._snapshot: Snapshot | None = None
        self._checked_at: datetime | None = None
        self.trust_file = trust_file

    def current(self) -> Snapshot | None:
        """The snapshot in memory, of any age; None before the first one."""
        return self._snapshot

    async def latest(self) -> Snapshot | None:
        """The newest snapshot stored, also by another replica; verified when it is new to this process."""
        manifest = await self._documents.get(MANIFEST_DOCUMENT)
        if manifest is not None and (self._snapshot is None or manifest.version > self._snapshot.sequence):
            await self._load(manifest.body)
        return self._snapshot

    async def refresh(self) -> bool:
        """Ask the registry; whether a newer snapshot is held now.

        Raises:
            SnapshotUnavailable: the registry could not be reached, or what it sent is not acceptable.
        """
        raise NotImplementedError

    def periodic(self) -> Periodic:
        """The background task: one replica asks, the others read what it stored."""
        return Periodic(name="snapshot.refresh", every=POLL_EVERY, run=self._refresh_quietly)

    async def _load(self, token: bytes) -> None:
        raise NotImplementedError

    async def _refresh_quietly(self) -> None:
        try:
            await self.refresh()
        except SnapshotUnavailable as error:
            log.warning("snapshot.refresh_failed", reason=error.reason)
