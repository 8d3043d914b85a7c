"""Keeps the network's snapshot: fetched in the background, verified, stored durably, served from memory.

The manifest is polled conditionally (design §4.2); only parts that are not stored yet are fetched, each is
checked against the hash the manifest gives, and the manifest is stored last, so that what is stored is always
whole. A sequence lower than the last one stored, or the same with other bytes, is refused (standards.md
§1.8). Nothing here decides trust: callers evaluate `passport_shared.formats.trust` over `current()`.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import structlog

from passport_shared.formats.clock import Clock
from passport_shared.formats.federation import CLIENT_DIRECTORY_MEMBER
from passport_shared.formats.freshness import SNAPSHOT_POLL
from passport_shared.formats.snapshot import (
    MANIFEST_MEDIA_TYPE,
    PART_MEDIA_TYPE,
    Manifest,
    Part,
    Snapshot,
    SnapshotError,
    TrustFile,
    check_part,
    manifest_hash,
    verify_manifest,
)
from passport_shared.outbound import Outbound, OutboundError, Response
from passport_shared.service.client_directory import DirectorySource
from passport_shared.service.db import Database
from passport_shared.service.documents import CachedDocuments, Document, StaleVersion

MANIFEST_DOCUMENT = "snapshot/manifest"
MANIFEST_MAX_BYTES = 262_144
PART_TIMEOUT = timedelta(seconds=20)
HEARD_FOR = timedelta(hours=1)
LONGEST_AGE_S = 86_400

log = structlog.get_logger(__name__)


def part_document(sha256: str) -> str:
    """The document name of a part, by its hash."""
    return f"snapshot/parts/{sha256}"


class SnapshotUnavailable(Exception):
    """The registry gave no newer snapshot that is acceptable; what is kept stays in force.

    `reason` says why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What the registry's clock said when it last answered: `date`, of a call that `took` so long."""

    date: datetime
    took: timedelta
    monotonic: Callable[[], float] = field(repr=False)
    at: float

    def running_for(self) -> timedelta | None:
        """How long ago that was; None once it says too little, because clocks drift."""
        passed = timedelta(seconds=self.monotonic() - self.at)
        return passed if passed <= HEARD_FOR else None


class SnapshotKeeper:
    """The snapshot of one network, for one service.

    Args:
        db: the database the documents live in.
        outbound: the way to the registry.
        trust_file: the only trust that is configured.
        clock: judges times.
        documents: where manifest and parts are kept.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        db: Database,
        outbound: Outbound,
        trust_file: TrustFile,
        clock: Clock,
        documents: CachedDocuments,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._outbound = outbound
        self._clock = clock
        self._monotonic = monotonic
        self._documents = documents
        self._snapshot: Snapshot | None = None
        self._loading = asyncio.Lock()
        self._unusable: tuple[int, datetime] | None = None
        self.heard: Heard | None = None
        self.trust_file = trust_file
        # Rolled keys belong to the trust file they were rolled from: a new file starts anew.
        digest = hashlib.sha256(trust_file.as_bytes()).hexdigest()[:32]
        self._trust_document = f"snapshot/trust/{digest}"

    def current(self) -> Snapshot | None:
        """The snapshot in memory, of any age; None before the first one."""
        return self._snapshot

    async def latest(self) -> Snapshot | None:
        """The newest snapshot stored, also by another replica.

        It is verified when it is new to this process.
        """
        manifest = await self._documents.get(MANIFEST_DOCUMENT)
        if manifest is not None and self._is_new(manifest):
            async with self._loading:
                # Whoever waited finds it loaded: megabytes are read and verified once.
                if self._is_new(manifest):
                    await self._take(manifest)
        return self._snapshot

    def _is_new(self, manifest: Document) -> bool:
        held = self._snapshot.sequence if self._snapshot else 0
        return manifest.version > held and not self._was_unusable(manifest)

    async def _take(self, manifest: Document) -> None:
        try:
            self._snapshot = await self._load(manifest)
        except SnapshotError as error:
            self._unusable = (manifest.version, self._clock.now())
            log.warning("snapshot.rejected", reason=error.reason.value, sequence=manifest.version)

    def _was_unusable(self, manifest: Document) -> bool:
        """Whether it was refused a moment ago: a clock that is put right may make it usable again."""
        if self._unusable is None or self._unusable[0] != manifest.version:
            return False
        return timedelta(0) <= self._clock.now() - self._unusable[1] < SNAPSHOT_POLL

    async def refresh(self) -> bool:
        """Ask the registry; whether a newer snapshot is held now.

        Raises:
            SnapshotUnavailable: the registry could not be reached, or what it sent is not acceptable.
        """
        await self.latest()
        kept = await self._documents.get(MANIFEST_DOCUMENT)
        answer = await self._fetch_manifest(kept)
        if answer is None:
            return False
        try:
            trust = await self._accepted_trust()
            manifest = verify_manifest(
                answer.body.decode("ascii", "replace"),
                trust,
                now=self._clock.now(),
                last_sequence=kept.version if kept else None,
                last_hash=manifest_hash(kept.body.decode("ascii")) if kept else None,
            )
            stored, fetched = await self._parts(manifest)
            snapshot = await self._put_together(manifest, {**stored, **fetched}, trust)
        except SnapshotError as error:
            raise SnapshotUnavailable(error.reason.value) from error
        newer = self._snapshot is None or snapshot.sequence > self._snapshot.sequence
        await self._keep(snapshot, fetched, answer)
        self._snapshot, self._unusable = snapshot, None
        return newer

    async def directory_source(self) -> DirectorySource | None:
        """Where the client directory is and who signs it, by the anchor's word; None before a snapshot."""
        snapshot = await self.latest()
        if snapshot is None:
            return None
        stated = snapshot.anchor.metadata.get("federation_entity", {}).get(CLIENT_DIRECTORY_MEMBER)
        if not isinstance(stated, Mapping) or not isinstance(stated.get("jwks"), Mapping):
            return None
        return DirectorySource(
            iss=snapshot.registry, uri=str(stated.get("uri")), jwks=tuple(stated["jwks"].get("keys", ()))
        )

    async def refresh_quietly(self) -> bool:
        """As `refresh`; a failure is logged, and what is kept stays in force."""
        try:
            return await self.refresh()
        except SnapshotUnavailable as error:
            log.warning("snapshot.refresh_failed", reason=error.reason)
            return False

    async def _fetch_manifest(self, kept: Document | None) -> Response | None:
        # Unless the kept manifest's snapshot is in memory it is needed again: the request is unconditional.
        held = kept is not None and self._snapshot is not None and self._snapshot.sequence >= kept.version
        etag = kept.source_etag if kept and held else None
        asked_at = self._monotonic()
        answer = await self._get(self.trust_file.snapshot_uri, MANIFEST_MEDIA_TYPE, MANIFEST_MAX_BYTES, etag)
        self._hear(answer, asked_at)
        if answer.status == 304:
            await self._documents.touch(MANIFEST_DOCUMENT)
            return None
        if answer.status != 200:
            raise SnapshotUnavailable(f"http_{answer.status}")
        return answer

    def _hear(self, answer: Response, asked_at: float) -> None:
        """Remember what time it is at the registry, by the answer's `Date` and, from a cache, its `Age`."""
        try:
            date = parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
            kept_for = min(int(answer.headers.get("age", "0")[:8]), LONGEST_AGE_S)
            date += timedelta(seconds=kept_for)
        except (TypeError, ValueError, OverflowError):
            return
        now = self._monotonic()
        took = timedelta(seconds=now - asked_at)
        self.heard = Heard(date=date, took=took, monotonic=self._monotonic, at=now)

    async def _parts(self, manifest: Manifest) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """The parts that memory does not hold, by name: those that are stored, and those just fetched."""
        held = await self._documents.known([part_document(part.sha256) for part in manifest.parts])
        stored: dict[str, bytes] = {}
        fetched: dict[str, bytes] = {}
        for part in manifest.parts:
            name = part_document(part.sha256)
            if name not in held:
                fetched[part.name] = await self._fetch_part(part)
            elif self._snapshot is None or self._snapshot.held_part(part) is None:
                body = await self._documents.body(name)
                stored[part.name] = body if body is not None else await self._fetch_part(part)
        return stored, fetched

    async def _put_together(self, manifest: Manifest, parts: dict[str, bytes], trust: TrustFile) -> Snapshot:
        # Megabytes of JSON: off the event loop.
        return await asyncio.to_thread(Snapshot.load, manifest, parts, trust, before=self._snapshot)

    async def _fetch_part(self, part: Part) -> bytes:
        # Parts come from the registry and from nowhere else, whatever a manifest says.
        if not part.uri.startswith(f"{self.trust_file.entity_id}/"):
            raise SnapshotUnavailable("part_elsewhere")
        answer = await self._get(part.uri, PART_MEDIA_TYPE, part.bytes, None)
        if answer.status != 200:
            raise SnapshotUnavailable(f"part_http_{answer.status}")
        check_part(part, answer.body)
        return answer.body

    async def _get(self, url: str, accept: str, max_bytes: int, etag: str | None) -> Response:
        try:
            return await self._outbound.get(
                url, accept=accept, max_bytes=max_bytes, etag=etag, timeout=PART_TIMEOUT
            )
        except OutboundError as error:
            raise SnapshotUnavailable(error.reason.value) from error

    async def _keep(self, snapshot: Snapshot, fetched: dict[str, bytes], answer: Response) -> None:
        manifest = snapshot.manifest
        for part in manifest.parts:
            if part.name in fetched:
                await self._documents.put(
                    part_document(part.sha256),
                    fetched[part.name],
                    media_type=PART_MEDIA_TYPE,
                    version=1,
                    in_memory=False,
                )
        try:
            await self._documents.put(
                self._trust_document,
                snapshot.trust_file.as_bytes(),
                media_type=PART_MEDIA_TYPE,
                version=manifest.sequence,
            )
            await self._documents.put(
                MANIFEST_DOCUMENT,
                manifest.compact.encode("ascii"),
                media_type=MANIFEST_MEDIA_TYPE,
                version=manifest.sequence,
                source_etag=answer.etag,
            )
        except StaleVersion as error:
            # Another replica stored a newer one meanwhile; it is read by the next `latest`.
            raise SnapshotUnavailable("rolled_back") from error
        await self._forget_parts_before(manifest)

    async def _forget_parts_before(self, manifest: Manifest) -> None:
        wanted = {part.sha256 for part in manifest.parts}
        for part in self._snapshot.manifest.parts if self._snapshot else ():
            if part.sha256 not in wanted:
                await self._documents.delete(part_document(part.sha256))

    async def _load(self, document: Document) -> Snapshot:
        trust = await self._accepted_trust()
        manifest = verify_manifest(document.body.decode("ascii"), trust, now=self._clock.now())
        parts: dict[str, bytes] = {}
        for part in manifest.parts:
            if self._snapshot is None or self._snapshot.held_part(part) is None:
                stored = await self._documents.body(part_document(part.sha256))
                if stored is not None:
                    parts[part.name] = stored
        return await self._put_together(manifest, parts, trust)

    async def _accepted_trust(self) -> TrustFile:
        """The configured trust with the keys the anchor has rolled to since it was installed."""
        rolled = await self._documents.get(self._trust_document)
        if rolled is None:
            return self.trust_file
        return replace(self.trust_file, jwks=TrustFile.parse(rolled.body).jwks)
