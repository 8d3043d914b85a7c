"""Publishing one link of a numbered chain: the snapshot's manifests and the client directories.

sequence = max(last + 1, Unix seconds), reserved and committed before it is signed. A signed link counts only
if none has been published since the one it follows; otherwise its number is abandoned. So concurrent
publishers, crashes and restored backups cost numbers, never a fork.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from passport_registry.context import Context
from passport_registry.operations import failpoints
from passport_registry.operations.turn import Turn, always
from passport_registry.store import publications
from passport_registry.store.publications import Kind, Publication
from passport_registry.store.rows import Duplicate
from passport_shared.formats.snapshot_manifest import next_sequence
from passport_shared.service.documents import StaleVersion
from passport_shared.service.schedule import is_younger

RESERVATIONS = 32

Sign = Callable[[Publication, str | None], bytes]
"""Signs a link: its number and times, and the hash of the one it follows."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """What is to be published next in a chain."""

    kind: Kind
    document: str
    media_type: str
    life: timedelta
    max_age: timedelta
    content_digest: str


async def due(ctx: Context, kind: Kind, content_digest: str, renewal: timedelta) -> bool:
    """Return whether the chain's newest link says something else, or is as old as `renewal`."""
    async with ctx.db.read() as conn:
        last = await publications.last(conn, kind)
    if last is None or last.content_digest != content_digest:
        return True
    return not is_younger(last.issued_at, ctx.clock.now(), renewal)


async def publish(ctx: Context, link: Link, sign: Sign, turn: Turn = always) -> Publication | None:
    """Publish a link; None if another publisher was first, whose link then counts."""
    reserved, prev = await _reserve(ctx, link)
    failpoints.hit(failpoints.AFTER_LINK_RESERVED)
    body = sign(reserved, prev)
    failpoints.hit(failpoints.AFTER_LINK_SIGNED)
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        async with ctx.db.write() as conn:
            await turn(conn)
            if not await publications.publish(conn, link.kind, reserved.sequence, sha256=sha256):
                raise Duplicate
            await ctx.documents.put(
                link.document,
                body,
                media_type=link.media_type,
                version=reserved.sequence,
                max_age=link.max_age,
                conn=conn,
            )
            await publications.forget_publications(
                conn, link.kind, expired_before=ctx.clock.now() - link.life
            )
    except (Duplicate, StaleVersion):
        async with ctx.db.write() as conn:
            await publications.abandon(conn, link.kind, reserved.sequence)
        return None
    failpoints.hit(failpoints.AFTER_LINK_PUBLISHED)
    return reserved


async def _reserve(ctx: Context, link: Link) -> tuple[Publication, str | None]:
    for _ in range(RESERVATIONS):
        now = ctx.clock.now().replace(microsecond=0)
        async with ctx.db.read() as conn:
            last = await publications.last(conn, link.kind)
            highest = await publications.highest_sequence(conn, link.kind)
        item = Publication(
            kind=link.kind.value,
            sequence=next_sequence(highest, now),
            follows=last.sequence if last else 0,
            content_digest=link.content_digest,
            issued_at=now,
            expires_at=now + link.life,
            sha256=None,
            state="PREPARED",
        )
        try:
            async with ctx.db.write() as conn:
                await publications.reserve(conn, item)
        except Duplicate:
            continue
        return item, last.sha256 if last else None
    raise RuntimeError("no sequence number could be reserved")
