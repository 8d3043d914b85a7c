"""The snapshot: everything the registry says, verified, in memory, and asked without any network.

A verified manifest and its parts become one `Snapshot`. Statements and marks of an entity, and the registry's
own status lists, are verified on first use and remembered. Whether a signature may be relied on is judged in
`trust`; here is only what the registry said, and that the registry said it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from passport_shared.formats.entity_statement import (
    STATUS_KEYS_MEMBER,
    EntityConfiguration,
    SubordinateStatement,
    verify_subordinate_statement,
)
from passport_shared.formats.federation_jws import FederationError, check_times, key_set
from passport_shared.formats.freshness import CLOCK_LEEWAY, Freshness, freshness
from passport_shared.formats.snapshot_manifest import (
    MANIFEST_MEDIA_TYPE,
    MANIFEST_TYP,
    MAX_PART_BYTES,
    PART_MEDIA_TYPE,
    Manifest,
    Part,
    SnapshotError,
    SnapshotReason,
    build_manifest,
    build_part,
    manifest_hash,
    next_sequence,
    part_name,
    verify_manifest,
)
from passport_shared.formats.snapshot_parts import (
    Agreement,
    Documents,
    ReadPart,
    as_array,
    as_text,
    check_part,
    part_key,
)
from passport_shared.formats.status_list import (
    INVALID,
    SUSPENDED,
    VALID,
    StatusListError,
    StatusToken,
    read_token,
)
from passport_shared.formats.trust_file import TrustFile, TrustFileError, TrustFileReason
from passport_shared.formats.trust_mark import (
    MarkRole,
    Organisation,
    TrustMark,
    verify_trust_mark,
)

__all__ = [
    "MANIFEST_MEDIA_TYPE",
    "MANIFEST_TYP",
    "MAX_PART_BYTES",
    "PART_MEDIA_TYPE",
    "Agreement",
    "Manifest",
    "MarkStanding",
    "Part",
    "Snapshot",
    "SnapshotEntity",
    "SnapshotError",
    "SnapshotReason",
    "TrustFile",
    "TrustFileError",
    "TrustFileReason",
    "build_manifest",
    "build_part",
    "check_part",
    "manifest_hash",
    "next_sequence",
    "part_name",
    "verify_manifest",
]

MAX_MARKS = 4
MAX_VERIFIED = 2_048
"""Entities remembered once verified, about 20 kB each: more than anybody's neighbours, less than a nation."""


class MarkStanding(StrEnum):
    """What the registry's status list says about a mark."""

    VALID = "VALID"
    SUSPENDED = "SUSPENDED"
    INVALID = "INVALID"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, kw_only=True)
class SnapshotEntity:
    """One entity with its verified statement and marks; times are judged when it is asked for."""

    entity_id: str
    organisation: Organisation
    statement: SubordinateStatement
    marks: tuple[TrustMark, ...]


class Snapshot:
    """A verified snapshot. Built by `load` only."""

    def __init__(
        self,
        manifest: Manifest,
        anchor: EntityConfiguration,
        trust_file: TrustFile,
        roots: tuple[bytes, ...],
        documents: Documents,
    ) -> None:
        self.manifest = manifest
        self.anchor = anchor
        self.trust_file = trust_file
        self.roots = roots
        self.types = documents.types
        self.agreements = documents.agreements
        self._parts = documents.parts
        self._entries = documents.entities
        self._status_tokens = documents.status_tokens
        self._entities: dict[str, SnapshotEntity] = {}
        self._status: dict[str, StatusToken] = {}
        self._of_organisation: dict[str, tuple[str, ...]] | None = None
        self._status_keys = _status_keys(anchor)

    @classmethod
    def load(
        cls,
        manifest: Manifest,
        parts: Mapping[str, bytes],
        trust_file: TrustFile,
        *,
        before: Snapshot | None = None,
    ) -> Snapshot:
        """Put a verified manifest and its parts together.

        Args:
            manifest: as `verify_manifest` returned it.
            parts: bytes by part name; parts the manifest does not name are ignored.
            before: an earlier snapshot; a part that it holds (`held_part`) need not be given again.
            trust_file: the accepted trust. `Snapshot.trust_file` is the same after the anchor's key roll and
                is what the next manifest is verified with.

        Raises:
            SnapshotError: a part is missing, of another size or hash, or malformed; the anchor's
                configuration is not signed by an accepted key; no root of the trust file is left.
        """
        documents = Documents()
        for part in manifest.parts:
            read = before.held_part(part) if before is not None else None
            if read is None:
                if part.name not in parts:
                    raise SnapshotError(SnapshotReason.PART_MISSING, part.name)
                check_part(part, parts[part.name])
                read = ReadPart(part.name, parts[part.name])
            documents.add(part_key(part), read)
        if documents.anchor is None:
            raise SnapshotError(SnapshotReason.ANCHOR_INVALID, "no part carries the anchor's configuration")
        try:
            anchor = trust_file.verify_anchor(documents.anchor, manifest.verified_at)
            rolled = trust_file.rolled(documents.anchor, manifest.verified_at)
        except FederationError as fault:
            raise SnapshotError(SnapshotReason.ANCHOR_INVALID, str(fault)) from fault
        # A root needs both: the operator's trust file and the registry's word that it still stands.
        roots = tuple(root for root in trust_file.roots if root in manifest.x509_anchors)
        if not roots:
            raise SnapshotError(SnapshotReason.ROOTS_UNKNOWN, "the manifest names no root of the trust file")
        return cls(manifest, anchor, rolled, roots, documents)

    def held_part(self, part: Part) -> ReadPart | None:
        """What was read from the same bytes as a part of the same kind, None if this snapshot has none."""
        return self._parts.get(part_key(part))

    @property
    def sequence(self) -> int:
        """Sequence of the manifest."""
        return self.manifest.sequence

    @property
    def registry(self) -> str:
        """Entity identifier of the anchor."""
        return self.manifest.iss

    @property
    def entity_ids(self) -> tuple[str, ...]:
        """Every entity the snapshot lists, not yet verified."""
        return tuple(self._entries)

    def entities_of(self, ods_code: str) -> tuple[str, ...]:
        """Entities the snapshot lists for an organisation, not yet verified: ask `entity` and its mark."""
        if self._of_organisation is None:
            found: dict[str, tuple[str, ...]] = {}
            for entity_id, entry in self._entries.items():
                organisation = entry.get("organisation")
                code = organisation.get("ods_code") if isinstance(organisation, Mapping) else None
                if isinstance(code, str):
                    found[code] = (*found.get(code, ()), entity_id)
            self._of_organisation = found
        return self._of_organisation.get(ods_code, ())

    def age(self, now: datetime) -> timedelta:
        """How long ago the registry signed this; never negative."""
        return max(now - self.manifest.iat, timedelta(0))

    def freshness(self, now: datetime) -> Freshness:
        """What the age means for a decision; an expired or not yet signed manifest is refused at any age."""
        if now >= self.manifest.exp or self.manifest.iat > now + CLOCK_LEEWAY:
            return Freshness.REFUSE
        return freshness(self.age(now))

    def entity(self, entity_id: str, *, now: datetime | None = None) -> SnapshotEntity | None:
        """The entity with this exact identifier, None if the snapshot does not list it.

        Args:
            entity_id: compared as a string.
            now: instant at which the statement's times are judged; when the manifest was verified by default.

        Raises:
            SnapshotError: `ENTITY_INVALID`: its statement or a mark does not verify or has expired. Others
                stay usable.
        """
        entry = self._entries.get(entity_id)
        if entry is None:
            return None
        try:
            entity = self._entities.get(entity_id)
            if entity is None:
                entity = self._verify(entity_id, entry)
                while len(self._entities) >= MAX_VERIFIED:
                    del self._entities[next(iter(self._entities))]
                self._entities[entity_id] = entity
            check_times(entity.statement.iat, entity.statement.exp, now or self.manifest.verified_at)
        except (FederationError, SnapshotError) as fault:
            raise SnapshotError(SnapshotReason.ENTITY_INVALID, str(fault)) from fault
        return entity

    def mark_for(
        self, entity_id: str, *, roles: Collection[MarkRole] = tuple(MarkRole), now: datetime | None = None
    ) -> TrustMark | None:
        """The entity's one current mark of these roles; a current role before a former one, the newest first.

        Raises:
            SnapshotError: as `entity`.
        """
        now = now or self.manifest.verified_at
        entity = self.entity(entity_id, now=now)
        if entity is None:
            return None
        current = [mark for mark in entity.marks if mark.role in roles and mark.exp > now]
        current.sort(key=lambda mark: (mark.role is MarkRole.FORMER_CREDENTIAL_ISSUER, -mark.iat.timestamp()))
        standing = [mark for mark in current if self.mark_status(mark, now=now) is not MarkStanding.INVALID]
        return next(iter(standing or current), None)

    def mark_status(self, mark: TrustMark, *, now: datetime | None = None) -> MarkStanding:
        """What the registry's own status list says about a mark; UNAVAILABLE when it says nothing usable."""
        token = self._status_token(mark.status.uri)
        now = now or self.manifest.verified_at
        if token is None or token.exp is None or now >= token.exp:
            return MarkStanding.UNAVAILABLE
        try:
            value = token.list.get(mark.status.idx)
        except (StatusListError, IndexError):
            return MarkStanding.UNAVAILABLE
        # A value nobody defined is no good standing.
        return {
            VALID: MarkStanding.VALID,
            SUSPENDED: MarkStanding.SUSPENDED,
            INVALID: MarkStanding.INVALID,
        }.get(value, MarkStanding.INVALID)

    def agreements_between(self, one: str, other: str, on: date) -> tuple[Agreement, ...]:
        """Agreements in force on a day to which both ODS codes are parties."""
        return tuple(
            agreement
            for agreement in self.agreements
            if one in agreement.parties
            and other in agreement.parties
            and agreement.effective <= on
            and (agreement.expires is None or on <= agreement.expires)
        )

    def _verify(self, entity_id: str, entry: Mapping[str, Any]) -> SnapshotEntity:
        at = self.manifest.verified_at
        statement = verify_subordinate_statement(
            str(entry.get("statement")), self.anchor.jwks, at, iss=self.registry, sub=entity_id
        )
        marks = tuple(
            verify_trust_mark(
                str(mark),
                self.anchor.jwks,
                at,
                sub=entity_id,
                trust_mark_issuers=self.anchor.trust_mark_issuers,
                trust_mark_owners=self.anchor.trust_mark_owners,
            )
            for mark in as_array(entry.get("trust_marks"), "trust_marks")[: MAX_MARKS + 1]
        )
        if len(marks) > MAX_MARKS:
            raise SnapshotError(SnapshotReason.ENTITY_INVALID, "too many marks")
        organisation = _organisation(entry.get("organisation"))
        return SnapshotEntity(
            entity_id=entity_id, organisation=organisation, statement=statement, marks=marks
        )

    def _status_token(self, uri: str) -> StatusToken | None:
        if uri not in self._status and uri in self._status_tokens:
            token = self._read_status(uri, self._status_tokens[uri])
            if token is not None:
                self._status[uri] = token
        return self._status.get(uri)

    def _read_status(self, uri: str, compact: str) -> StatusToken | None:
        try:
            token = read_token(compact, uri=uri, roots=self.roots, now=self.manifest.verified_at)
        except StatusListError:
            return None
        # Only the registry's own status leaf speaks about marks: right entity and the key its EC names.
        ours = (
            token.leaf is not None
            and token.leaf.san_uri == self.registry
            and token.leaf.public.thumbprint in self._status_keys
        )
        return token if ours else None


def _status_keys(anchor: EntityConfiguration) -> frozenset[str]:
    stated = anchor.metadata.get("federation_entity", {}).get(STATUS_KEYS_MEMBER)
    if not isinstance(stated, Mapping):
        raise SnapshotError(SnapshotReason.ANCHOR_INVALID, f"the anchor names no {STATUS_KEYS_MEMBER} keys")
    try:
        return frozenset(key.thumbprint for key in key_set(stated.get("jwks")).values())
    except FederationError as fault:
        raise SnapshotError(SnapshotReason.ANCHOR_INVALID, str(fault)) from fault


def _organisation(value: object) -> Organisation:
    return Organisation(ods_code=as_text(value, "ods_code"), name=as_text(value, "name"))
