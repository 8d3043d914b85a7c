"""Status lists of a tenant: made in time, published within seconds of a change (design §4.2).

Token Status List, JWT form. A list is built from the rows of its credentials, signed with the tenant's status
key, and stored as the bytes that are served. The version read before the rows tells whether anything changed
meanwhile: then the list stays due and is published again. A second list is announced well before its first
index is used.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from passport_issuer.context import Context
from passport_issuer.operations import failpoints
from passport_issuer.operations.tenants import certified_key
from passport_issuer.store import status_lists as store
from passport_issuer.store.status_lists import StatusListRow
from passport_shared.formats.freshness import CLOCK_LEEWAY
from passport_shared.formats.ids import random_token
from passport_shared.formats.status_list import MEDIA_TYPE, VALID, StatusList, sign_token
from passport_shared.service.documents import Document
from passport_shared.service.tenancy import Tenant

SIZE = 131_072
ALL_INVALID = 0b01010101
FULL_AT = 0.7
NEXT_AT = 0.6
ANNOUNCED_FOR = timedelta(minutes=10)
LIFE = timedelta(hours=24)
TTL = timedelta(seconds=300)
# At least six-hourly, says the design; hosts take a list that was signed more than an hour ago for stale, so
# that one nothing changes in has to be signed anew well before.
RENEW_AFTER = timedelta(minutes=30)
HTTP_MAX_AGE = timedelta(seconds=60)
PAGE = 200
AT_ONCE = 4

log = structlog.get_logger(__name__)


def list_uri(tenant: Tenant, list_id: str) -> str:
    """The identifier of a list: its URL and the ``sub`` of its token."""
    return f"{tenant.entity_id}/statuslists/{list_id}"


def aggregation_uri(tenant: Tenant) -> str:
    """Where a tenant's lists are listed."""
    return f"{tenant.entity_id}/statuslists"


def document_name(ods: str, list_id: str) -> str:
    """The stored document of a list."""
    return f"statuslists/{ods}/{list_id}"


def usable(lists: list[StatusListRow], now: datetime) -> StatusListRow | None:
    """The list the next index comes from: the oldest that is served, announced long enough and not full."""
    served = [row for row in lists if row.published_at is not None and row.usable_from <= now]
    room = [row for row in served if row.allocated < row.size * FULL_AT]
    return room[0] if room else None


async def ensure_lists(ctx: Context, tenant: Tenant) -> None:
    """Make the tenant's first list, or the next one while the newest still has room; publish what is new."""
    async with ctx.db.read() as conn:
        lists = await store.lists_of(conn, tenant.ods)
    if _another_is_needed(lists):
        async with ctx.db.write() as conn:
            # Asked again while the tenant is held: two replicas need one list, not two.
            await store.hold_tenant(conn, tenant.ods)
            lists = await store.lists_of(conn, tenant.ods)
            if _another_is_needed(lists):
                made = _new_list(tenant, ctx.clock.now(), first=not lists)
                await store.insert_list(conn, made)
                lists.append(made)
    failpoints.hit(failpoints.AFTER_LIST_MADE)
    for row in lists:
        if row.published_at is None:
            await publish(ctx, tenant, row)


def _another_is_needed(lists: list[StatusListRow]) -> bool:
    return all(row.allocated >= row.size * NEXT_AT for row in lists)


def _new_list(tenant: Tenant, now: datetime, *, first: bool) -> StatusListRow:
    return StatusListRow(
        id=random_token(16),
        ods=tenant.ods,
        size=SIZE,
        allocated=0,
        usable_from=now if first else now + ANNOUNCED_FOR,
        version=1,
        published_version=0,
        published_at=None,
        created_at=now,
    )


async def publish_due(ctx: Context) -> int:
    """Publish every list that changed, and then the oldest of those that are half an hour old; how many."""
    now, count, after = ctx.clock.now(), 0, ""
    while True:
        async with ctx.db.read() as conn:
            # One that was signed in the future was signed by a clock that was ahead.
            rows = await store.changed(conn, published_after=now + CLOCK_LEEWAY, after=after, limit=PAGE)
        count += await _publish_each(ctx, rows)
        if len(rows) < PAGE:
            break
        after = rows[-1].id
    async with ctx.db.read() as conn:
        # A page at a time: after an outage all are due at once, and what changes meanwhile must not wait.
        old = await store.aged(conn, published_before=now - RENEW_AFTER, limit=PAGE)
    return count + await _publish_each(ctx, old)


async def _publish_each(ctx: Context, rows: list[StatusListRow]) -> int:
    """Publish lists, a few beside each other: while one waits for the disk another is signed."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(row: StatusListRow) -> bool:
        async with turns:
            tenant = await ctx.tenants.get(row.ods)
            return tenant is not None and await publish(ctx, tenant, row)

    return sum(await asyncio.gather(*map(one, rows)))


async def publish(ctx: Context, tenant: Tenant, row: StatusListRow) -> bool:
    """Build, sign and store one list; False when the tenant has no status key to sign with."""
    signer = await certified_key(ctx, tenant, "status")
    if signer is None:
        log.error("status_list.no_key", entity_id=tenant.entity_id)
        return False
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        current = await store.get_list(conn, row.ods, row.id)
        if current is None:
            return False
        values = await store.entries(conn, row.id)
        accounted = await store.accounted(conn, row.id) if current.accounted_only else None
    bits = StatusList(bits=2, size=current.size)
    if accounted is not None:
        # After a restore: ended, but for what a row accounts for.
        bits = StatusList.from_packed(bytes([ALL_INVALID]) * (current.size // 4), bits=2)
        for idx in accounted:
            bits.set(idx, VALID)
    for idx, value in values:
        bits.set(idx, value)
    token = sign_token(
        bits,
        uri=list_uri(tenant, row.id),
        key=signer.key,
        x5c=list(signer.x5c),
        iat=now,
        exp=now + LIFE,
        ttl=TTL,
        aggregation_uri=aggregation_uri(tenant),
    )
    failpoints.hit(failpoints.AFTER_LIST_SIGNED)
    async with ctx.db.write() as conn:
        if not await store.published(conn, row.id, version=current.version, at=now):
            return False
        await ctx.documents.put(
            document_name(row.ods, row.id),
            token.encode("ascii"),
            media_type=MEDIA_TYPE,
            max_age=HTTP_MAX_AGE,
            conn=conn,
        )
    failpoints.hit(failpoints.AFTER_LIST_PUBLISHED)
    return True


async def published_list(ctx: Context, ods: str, list_id: str) -> Document | None:
    """The stored bytes of a list."""
    return await ctx.documents.get(document_name(ods, list_id))


async def list_uris(ctx: Context, tenant: Tenant) -> list[str]:
    """The tenant's published lists, for the aggregation."""
    async with ctx.db.read() as conn:
        lists = await store.lists_of(conn, tenant.ods)
    return [list_uri(tenant, row.id) for row in lists if row.published_at is not None]


async def tend(ctx: Context) -> None:
    """The background task: every enrolled tenant has room, and everything due is published."""
    async with ctx.db.read() as conn:
        without = await store.without_room(conn, room=NEXT_AT)
    for ods in without:
        tenant = await ctx.tenants.get(ods)
        if tenant is not None:
            await ensure_lists(ctx, tenant)
    await publish_due(ctx)
