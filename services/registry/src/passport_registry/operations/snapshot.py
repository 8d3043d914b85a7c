"""Publishing the snapshot: registry status lists, parts by hash, the numbered manifest (standards.md §1.8).

A manifest is published when what it names has changed, and hourly. Parts are immutable and named by their
hash. A number is reserved and committed before it is signed; it counts only if it follows the newest one, so
that no two manifests ever follow the same manifest, whoever publishes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from passport_registry.context import Context
from passport_registry.operations import anchor, chain, failpoints
from passport_registry.operations.standings import TrustView
from passport_registry.operations.turn import Turn, always
from passport_registry.store import agreements, marks, publications
from passport_registry.store.agreements import Agreement
from passport_registry.store.publications import Kind, Publication
from passport_shared.formats import snapshot_manifest, status_list, strict
from passport_shared.formats.freshness import (
    REGISTRY_STATUS_LIST_HTTP_MAX_AGE,
    REGISTRY_STATUS_LIST_LIFETIME,
    SNAPSHOT_HTTP_MAX_AGE,
    SNAPSHOT_LIFETIME,
    SNAPSHOT_RENEWAL,
)
from passport_shared.formats.x5c import encode_x5c
from passport_shared.wire import catalogue

SNAPSHOT_DOCUMENT = "snapshot"
AGGREGATION_DOCUMENT = "statuslists"
STATUS_TTL = timedelta(seconds=300)
PART_SERVED_FOR = timedelta(days=365)
ENTITIES_PER_PART = 1_500


def part_document(sha256: str) -> str:
    """Return the name under which a part's bytes are kept."""
    return f"part/{sha256}"


def status_document(list_id: str) -> str:
    """Return the name under which a status list token is kept."""
    return f"statuslist/{list_id}"


async def publish(ctx: Context, views: Sequence[TrustView], turn: Turn = always) -> Publication | None:
    """Publish a manifest if anything it names has changed or an hour has passed; None if neither."""
    await _status_lists(ctx, turn)
    parts = await _parts(ctx, views)
    ca = await anchor.authority(ctx)
    described = [
        snapshot_manifest.build_part(name, body, base_uri=f"{ctx.anchor}/federation/parts")
        for name, body in parts
    ]
    digest = hashlib.sha256(
        strict.canonical([[part.name, part.sha256] for part in described]) + ca.root_der + ca.issuing_der
    ).hexdigest()
    if not await chain.due(ctx, Kind.SNAPSHOT, digest, SNAPSHOT_RENEWAL):
        return None
    await _keep_parts(ctx, parts)
    failpoints.hit(failpoints.AFTER_PARTS)
    key = await anchor.signing_key(ctx, anchor.FEDERATION)

    def sign(item: Publication, prev: str | None) -> bytes:
        return snapshot_manifest.build_manifest(
            iss=ctx.anchor,
            iat=item.issued_at,
            exp=item.expires_at,
            sequence=item.sequence,
            prev=prev,
            x509_anchors=[ca.root_der, ca.issuing_der],
            parts=described,
            key=key,
        ).encode("ascii")

    return await chain.publish(
        ctx,
        chain.Link(
            kind=Kind.SNAPSHOT,
            document=SNAPSHOT_DOCUMENT,
            media_type=snapshot_manifest.MANIFEST_MEDIA_TYPE,
            life=SNAPSHOT_LIFETIME,
            max_age=SNAPSHOT_HTTP_MAX_AGE,
            content_digest=digest,
        ),
        sign,
        turn,
    )


async def _status_lists(ctx: Context, turn: Turn) -> None:
    """Sign every status list whose entries have changed, or that is due with the snapshot."""
    async with ctx.db.read() as conn:
        rows = await marks.lists(conn)
    for row in rows:
        async with ctx.db.read() as conn:
            entries = await marks.non_zero(conn, row.id)
        digest = hashlib.sha256(strict.canonical([list(entry) for entry in entries])).hexdigest()
        now = ctx.clock.now().replace(microsecond=0)
        # A list ends with the manifest that carries it or later, so it is signed again when half an hour old.
        fresh = row.issued_at is not None and now - row.issued_at < SNAPSHOT_RENEWAL / 2
        if fresh and row.content_digest == digest:
            continue
        token = await _status_token(ctx, row, entries)
        failpoints.hit(failpoints.AFTER_STATUS_SIGNED)
        async with ctx.db.write() as conn:
            await turn(conn)
            if await marks.note_token(conn, row.id, content_digest=digest, issued_at=now):
                await ctx.documents.put(
                    status_document(row.id),
                    token.encode("ascii"),
                    media_type=status_list.MEDIA_TYPE,
                    max_age=REGISTRY_STATUS_LIST_HTTP_MAX_AGE,
                    conn=conn,
                )
    uris = strict.dumps({"status_lists": [row.uri for row in rows]})
    kept = await ctx.documents.get(AGGREGATION_DOCUMENT)
    if kept is None or kept.body != uris:
        await ctx.documents.put(
            AGGREGATION_DOCUMENT,
            uris,
            media_type="application/json",
            max_age=REGISTRY_STATUS_LIST_HTTP_MAX_AGE,
        )


async def _status_token(ctx: Context, row: marks.StatusListRow, entries: Sequence[tuple[int, int]]) -> str:
    values = status_list.StatusList(row.bits, row.size)
    for idx, status in entries:
        values.set(idx, status)
    leaf = await anchor.status_leaf(ctx)
    ca = await anchor.authority(ctx)
    now = ctx.clock.now().replace(microsecond=0)
    return status_list.sign_token(
        values,
        uri=row.uri,
        key=await anchor.signing_key(ctx, anchor.STATUS),
        x5c=encode_x5c([leaf.public_bytes(Encoding.DER), ca.issuing_der]),
        iat=now,
        exp=now + REGISTRY_STATUS_LIST_LIFETIME,
        ttl=STATUS_TTL,
        aggregation_uri=f"{ctx.anchor}/statuslists",
    )


async def _parts(ctx: Context, views: Sequence[TrustView]) -> list[tuple[str, bytes]]:
    """Return the parts as (name, bytes), the same bytes for the same content."""
    async with ctx.db.read() as conn:
        statements = await publications.statements(conn)
        current = await marks.every_current(conn)
        rows = await marks.lists(conn)
        agreed = await agreements.in_force(conn)
    listed: list[dict[str, Any]] = []
    for view in views:
        for entity in view.entities.values():
            mark, statement = current.get(entity.entity.entity_id), statements.get(entity.entity.entity_id)
            if mark is None or mark.jwt is None or statement is None:
                continue
            listed.append(
                {
                    "entity_id": entity.entity.entity_id,
                    "statement": statement.jwt,
                    "trust_marks": [mark.jwt],
                    "organisation": {
                        "ods_code": view.organisation.ods_code,
                        "name": view.organisation.name,
                    },
                }
            )
    tokens = [(row.uri, await ctx.documents.get(status_document(row.id))) for row in rows]
    status = [{"uri": uri, "token": kept.body.decode("ascii")} for uri, kept in tokens if kept is not None]
    return [
        *_entity_parts(statements[ctx.anchor].jwt, listed),
        ("status", strict.dumps({"status_lists": status})),
        ("types", strict.dumps({"types": type_hashes(ctx.vct_base)})),
        ("agreements", strict.dumps({"agreements": [_agreement(item) for item in agreed]})),
    ]


def _entity_parts(configuration: str, listed: Sequence[dict[str, Any]]) -> list[tuple[str, bytes]]:
    """Return the entities as one part or numbered shards; the first carries the anchor's configuration."""
    shards = max(1, math.ceil(len(listed) / ENTITIES_PER_PART))
    parts = []
    for number in range(shards):
        document: dict[str, Any] = {"trust_anchor": configuration} if number == 0 else {}
        document["entities"] = list(listed[number * ENTITIES_PER_PART : (number + 1) * ENTITIES_PER_PART])
        name = "entities" if shards == 1 else f"entities-{number + 1}"
        parts.append((name, strict.dumps(document)))
    return parts


def type_document(kind: catalogue.CredentialType, vct_base: str) -> bytes:
    """Return the type metadata of a credential type as it is served and hashed."""
    return strict.dumps(catalogue.type_metadata(kind, vct_base))


def type_hashes(vct_base: str) -> list[dict[str, str]]:
    """Return the `types` part: every `vct` with the SHA-256 of its metadata."""
    return [
        {
            "vct": catalogue.vct(vct_base, kind.name, kind.version),
            "sha256": hashlib.sha256(type_document(kind, vct_base)).hexdigest(),
        }
        for kind in catalogue.TYPES.values()
    ]


def _agreement(item: Agreement) -> dict[str, Any]:
    return {
        "id": item.id,
        "type": item.type,
        "version": item.agreement_version,
        "parties": list(item.parties),
        "movement_types": list(item.movement_types),
        "staff_groups": list(item.staff_groups),
        "max_days": item.max_days,
        "effective": _day(item.effective),
        "expires": _day(item.expires),
    }


def _day(value: date | None) -> str | None:
    return value.isoformat() if value is not None else None


async def _keep_parts(ctx: Context, parts: Sequence[tuple[str, bytes]]) -> None:
    """Keep the parts before the manifest that names them exists; forget those nobody can need any more."""
    now = ctx.clock.now()
    for name, body in parts:
        sha256 = snapshot_manifest.part_name(body)
        kept = publications.KeptPart(sha256=sha256, name=name, bytes=len(body), last_used_at=now)
        async with ctx.db.write() as conn:
            if await publications.use_part(conn, kept):
                await ctx.documents.put(
                    part_document(sha256),
                    body,
                    media_type=snapshot_manifest.PART_MEDIA_TYPE,
                    version=1,
                    max_age=PART_SERVED_FOR,
                    conn=conn,
                )
    since = now - SNAPSHOT_LIFETIME
    async with ctx.db.read() as conn:
        unused = await publications.unused_parts(conn, since=since)
    for part in unused:
        # Row and bytes go together, or content that comes back would name bytes that are gone.
        async with ctx.db.write() as conn:
            if await publications.forget_part(conn, part.sha256, unused_since=since):
                await ctx.documents.delete(part_document(part.sha256), conn=conn)
