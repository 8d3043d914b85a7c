"""The parts of a snapshot, read strictly: entities, status lists, credential types and agreements.

A part counts only under the hash its manifest gives. What is read here is shape, not truth: statements, marks
and status list tokens are verified in `snapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from passport_shared.formats import strict
from passport_shared.formats.snapshot_manifest import (
    MAX_PART_BYTES,
    Part,
    SnapshotError,
    SnapshotReason,
    part_name,
)
from passport_shared.formats.strict import StrictError

MAX_PART_DEPTH = 16


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """An agreement between organisations; dates are business dates, both inclusive, `expires` may be open."""

    id: str
    type: str
    version: str
    parties: tuple[str, ...]
    movement_types: tuple[str, ...]
    staff_groups: tuple[str, ...]
    max_days: int | None
    effective: date
    expires: date | None


def check_part(part: Part, content: bytes) -> None:
    """Refuse bytes that are not the part the manifest names.

    Raises:
        SnapshotError: `PART_WRONG_SIZE` or `PART_WRONG_HASH`.
    """
    if len(content) != part.bytes:
        raise SnapshotError(SnapshotReason.PART_WRONG_SIZE, part.name)
    if part_name(content) != part.sha256:
        raise SnapshotError(SnapshotReason.PART_WRONG_HASH, part.name)


PartKey = tuple[str, str, int]


def part_key(part: Part) -> PartKey:
    """What decides about what is read from a part: its kind, its hash and its size."""
    return _kind(part.name), part.sha256, part.bytes


def _kind(name: str) -> str:
    """Large kinds are sharded as `<kind>-<number>`."""
    return name.split("-", 1)[0]


class ReadPart:
    """What one part holds, read strictly and not yet verified."""

    def __init__(self, name: str, content: bytes) -> None:
        self.anchor: str | None = None
        self.entities: dict[str, Mapping[str, Any]] = {}
        self.status_tokens: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self.agreements: tuple[Agreement, ...] = ()
        self._read(name, content)

    def _read(self, name: str, content: bytes) -> None:
        """Read the bytes; an unknown kind is ignored."""
        try:
            document = strict.loads_object(content, max_bytes=MAX_PART_BYTES, max_depth=MAX_PART_DEPTH)
        except StrictError as fault:
            raise SnapshotError(SnapshotReason.PART_MALFORMED, f"{name}: {fault.code}") from fault
        kind = _kind(name)
        if kind == "entities":
            self._read_entities(document)
        elif kind == "status":
            for entry in as_array(document.get("status_lists"), "status_lists"):
                self.status_tokens[as_text(entry, "uri")] = as_text(entry, "token")
        elif kind == "types":
            for entry in as_array(document.get("types"), "types"):
                self.types[as_text(entry, "vct")] = as_text(entry, "sha256")
        elif kind == "agreements":
            entries = as_array(document.get("agreements"), "agreements")
            self.agreements = tuple(_agreement(entry) for entry in entries)

    def _read_entities(self, document: Mapping[str, Any]) -> None:
        if "trust_anchor" in document:
            self.anchor = as_text(document, "trust_anchor")
        for entry in as_array(document.get("entities"), "entities"):
            entity_id = as_text(entry, "entity_id")
            if entity_id in self.entities:
                raise SnapshotError(SnapshotReason.ENTITY_TWICE, "an entity is listed twice")
            self.entities[entity_id] = entry


class Documents:
    """What the parts of one snapshot hold together, and each part by itself."""

    def __init__(self) -> None:
        self.parts: dict[PartKey, ReadPart] = {}
        self.anchor: str | None = None
        self.entities: dict[str, Mapping[str, Any]] = {}
        self.status_tokens: dict[str, str] = {}
        self.types: dict[str, str] = {}
        self.agreements: tuple[Agreement, ...] = ()

    def add(self, key: PartKey, part: ReadPart) -> None:
        """Add what a part holds."""
        self.parts[key] = part
        if part.anchor is not None:
            self.anchor = part.anchor
        if not self.entities.keys().isdisjoint(part.entities):
            raise SnapshotError(SnapshotReason.ENTITY_TWICE, "an entity is listed twice")
        self.entities.update(part.entities)
        self.status_tokens.update(part.status_tokens)
        self.types.update(part.types)
        self.agreements += part.agreements


def _agreement(entry: object) -> Agreement:
    if not isinstance(entry, Mapping):
        raise SnapshotError(SnapshotReason.PART_MALFORMED, "an agreement is not an object")
    max_days = entry.get("max_days")
    if max_days is not None and (not isinstance(max_days, int) or isinstance(max_days, bool)):
        raise SnapshotError(SnapshotReason.PART_MALFORMED, "max_days is not a number of days")
    expires = entry.get("expires")
    return Agreement(
        id=as_text(entry, "id"),
        type=as_text(entry, "type"),
        version=str(entry.get("version", "")),
        parties=as_texts(entry, "parties"),
        movement_types=as_texts(entry, "movement_types"),
        staff_groups=as_texts(entry, "staff_groups"),
        max_days=max_days,
        effective=_date(entry.get("effective")),
        expires=None if expires is None else _date(expires),
    )


def _date(value: object) -> date:
    try:
        if isinstance(value, str):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise SnapshotError(SnapshotReason.PART_MALFORMED, "not a plain date")


def as_array(value: object, name: str) -> list[Any]:
    """`value` as an array, or `PART_MALFORMED` naming it."""
    if not isinstance(value, list):
        raise SnapshotError(SnapshotReason.PART_MALFORMED, f"{name} is not an array")
    return value


def as_text(entry: object, name: str) -> str:
    """A member that is a text and not empty, or `PART_MALFORMED` naming it."""
    value = entry.get(name) if isinstance(entry, Mapping) else None
    if not isinstance(value, str) or not value:
        raise SnapshotError(SnapshotReason.PART_MALFORMED, f"{name} is not a text")
    return value


def as_texts(entry: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A member that is an array of texts, empty if absent, or `PART_MALFORMED` naming it."""
    values = as_array(entry.get(name, []), name)
    if not all(isinstance(value, str) for value in values):
        raise SnapshotError(SnapshotReason.PART_MALFORMED, f"{name} holds something that is not text")
    return tuple(values)
