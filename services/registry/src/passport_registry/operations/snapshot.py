"""Publishing the snapshot: registry status lists, parts by hash, the numbered manifest (standards.md §1.8).

A manifest is published when what it names has changed, and hourly. Parts are immutable and named by their
hash. A number is reserved and committed before it is signed; it counts only if it follows the newest one, so
that no two manifests ever follow the same manifest, whoever publishes.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from passport_registry.context import Context
from passport_registry.operations import anchor, chain, failpoints
from passport_registry.operations.turn import Turn, always
from passport_registry.store import agreements, marks, publications
from passport_registry.store.agreements import Agreement
from passport_registry.store.publications import KeptPart, Kind, ListedEntity, Publication, Statement
from passport_shared.formats import snapshot_manifest, status_list, strict
from passport_shared.formats.freshness import (
    REGISTRY_STATUS_LIST_HTTP_MAX_AGE,
    REGISTRY_STATUS_LIST_LIFETIME,
    SNAPSHOT_HTTP_MAX_AGE,
    SNAPSHOT_LIFETIME,
    SNAPSHOT_RENEWAL,
)
from passport_shared.formats.x5c import encode_x5c
from passport_shared.service.schedule import is_younger
from passport_shared.wire import catalogue

SNAPSHOT_DOCUMENT = "snapshot"
AGGREGATION_DOCUMENT = "statuslists"
STATUS_TTL = timedelta(seconds=300)
PART_SERVED_FOR = timedelta(days=365)
# About 6 kB each: a part stays well below what readers take, and a change makes few bytes new.
ENTITIES_PER_PART = 256
MAX_SHARDS = 64


def part_document(sha256: str) -> str:
    """Return the name under which a part's bytes are kept."""
    return f"part/{sha256}"


def status_document(list_id: str) -> str:
    """Return the name under which a status list token is kept."""
    return f"statuslist/{list_id}"


async def publish(ctx: Context, turn: Turn = always) -> Publication | None:
    """Publish a manifest if anything it names has changed or an hour has passed; None if neither."""
    await _status_lists(ctx, turn)
    parts = await _parts(ctx)
    ca = await anchor.authority(ctx)
    described = [_described(ctx, part) for part in parts]
    digest = hashlib.sha256(
        strict.canonical([[part.name, part.sha256] for part in described]) + ca.root_der + ca.issuing_der
    ).hexdigest()
    if not await chain.due(ctx, Kind.SNAPSHOT, digest, SNAPSHOT_RENEWAL):
        return None
    if not await _keep_parts(ctx, parts):
        return None
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


def _described(ctx: Context, part: KeptPart) -> snapshot_manifest.Part:
    uri = f"{ctx.anchor}/federation/parts/{part.sha256}"
    return snapshot_manifest.Part(name=part.name, uri=uri, sha256=part.sha256, bytes=part.bytes)


async def _status_lists(ctx: Context, turn: Turn) -> None:
    """Sign every status list whose entries have changed, or that is due with the snapshot."""
    async with ctx.db.read() as conn:
        rows = await marks.lists(conn, now=ctx.clock.now())
    for row in rows:
        async with ctx.db.read() as conn:
            entries = await marks.non_zero(conn, row.id)
        digest = hashlib.sha256(strict.canonical([list(entry) for entry in entries])).hexdigest()
        now = ctx.clock.now().replace(microsecond=0)
        # A list ends with the manifest that carries it or later, so it is signed again when half an hour old.
        fresh = row.issued_at is not None and is_younger(row.issued_at, now, SNAPSHOT_RENEWAL / 2)
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


async def _parts(ctx: Context) -> list[KeptPart]:
    """Return the parts, every one of them kept; the same content is the same part."""
    async with ctx.db.read() as conn:
        rows = await marks.lists(conn, now=ctx.clock.now())
        agreed = await agreements.in_force(conn)
    tokens = [(row.uri, await ctx.documents.get(status_document(row.id))) for row in rows]
    status = [{"uri": uri, "token": kept.body.decode("ascii")} for uri, kept in tokens if kept is not None]
    return [
        *await _entity_parts(ctx),
        await _kept(ctx, "status", strict.dumps({"status_lists": status})),
        await _kept(ctx, "types", strict.dumps({"types": type_hashes(ctx.vct_base)})),
        await _kept(ctx, "agreements", strict.dumps({"agreements": [_agreement(item) for item in agreed]})),
    ]


async def _entity_parts(ctx: Context) -> list[KeptPart]:
    """Return the entities as one part or numbered shards; the first carries the anchor's configuration.

    An organisation stays in its shard whoever joins or leaves, and a shard is made again only when something
    in it has changed: what a change costs everybody is one shard.
    """
    async with ctx.db.read() as conn:
        listed = await publications.listed(conn)
        configuration = await publications.statement(conn, ctx.anchor)
    if configuration is None:
        raise RuntimeError("the anchor has no entity configuration")
    shards: list[list[ListedEntity]] = [[] for _ in range(_shards(len(listed)))]
    for entity in listed:
        shards[zlib.crc32(entity.ods_code.encode()) % len(shards)].append(entity)
    sources = [
        _source(number, shard, configuration if number == 0 else None) for number, shard in enumerate(shards)
    ]
    async with ctx.db.read() as conn:
        known = await publications.parts_made_from(conn, sources)
    parts = []
    for number, (shard, source) in enumerate(zip(shards, sources, strict=True)):
        part = known.get(source)
        if part is None:
            name = "entities" if len(shards) == 1 else f"entities-{number + 1}"
            body = await _shard(ctx, shard, configuration.jwt if number == 0 else None)
            part = await _kept(ctx, name, body, source)
        parts.append(part)
    return parts


def _shards(entities: int) -> int:
    """Return how many shards there are: doubled as the network grows, so that they seldom change."""
    shards = 1
    while shards < MAX_SHARDS and shards * ENTITIES_PER_PART < entities:
        shards *= 2
    return shards


def _source(number: int, shard: Sequence[ListedEntity], configuration: Statement | None) -> str:
    said: list[Any] = [number, len(shard)]
    if configuration is not None:
        said += [configuration.content_digest, configuration.issued_at.isoformat()]
    for item in shard:
        said.append([item.entity_id, item.name, item.jti, item.stated_digest, item.stated_at.isoformat()])
    return hashlib.sha256(strict.dumps(said)).hexdigest()


async def _shard(ctx: Context, shard: Sequence[ListedEntity], configuration: str | None) -> bytes:
    async with ctx.db.read() as conn:
        signed = await publications.signed(conn, [item.entity_id for item in shard])
    document: dict[str, Any] = {} if configuration is None else {"trust_anchor": configuration}
    document["entities"] = [
        {
            "entity_id": item.entity_id,
            "statement": signed[item.entity_id][0],
            "trust_marks": [signed[item.entity_id][1]],
            "organisation": {"ods_code": item.ods_code, "name": item.name},
        }
        for item in shard
        if item.entity_id in signed
    ]
    return strict.dumps(document)


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


async def _kept(ctx: Context, name: str, body: bytes, source: str | None = None) -> KeptPart:
    """Keep a part's bytes before any manifest names them.

    Raises:
        ValueError: readers would refuse it for its size.
    """
    if len(body) > snapshot_manifest.MAX_PART_BYTES:
        raise ValueError(f"part {name} has {len(body)} bytes, more than a reader takes")
    part = KeptPart(
        sha256=snapshot_manifest.part_name(body),
        name=name,
        bytes=len(body),
        last_used_at=ctx.clock.now(),
        source=source,
    )
    async with ctx.db.write() as conn:
        if await publications.use_part(conn, part):
            await ctx.documents.put(
                part_document(part.sha256),
                body,
                media_type=snapshot_manifest.PART_MEDIA_TYPE,
                version=1,
                max_age=PART_SERVED_FOR,
                conn=conn,
            )
    return part


async def _keep_parts(ctx: Context, parts: Sequence[KeptPart]) -> bool:
    """Go on keeping what a manifest is about to name, and forget what nobody can need any more.

    False if one of the parts is gone: another publisher forgot it, and the next look makes it again.
    """
    now = ctx.clock.now()
    hashes = {part.sha256 for part in parts}
    async with ctx.db.write() as conn:
        if await publications.use_parts(conn, hashes, now) != len(hashes):
            return False
    since = now - SNAPSHOT_LIFETIME
    async with ctx.db.read() as conn:
        unused = await publications.unused_parts(conn, since=since)
    for part in unused:
        # Row and bytes go together, or content that comes back would name bytes that are gone.
        async with ctx.db.write() as conn:
            if await publications.forget_part(conn, part.sha256, unused_since=since):
                await ctx.documents.delete(part_document(part.sha256), conn=conn)
    return True
