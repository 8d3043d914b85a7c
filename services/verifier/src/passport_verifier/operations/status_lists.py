"""Keeping the status lists of issuers: found, fetched and checked in the background, never while verifying.

Token Status List §8 and design §4.2. Only lists below the prefix an issuer's own mark names are ever asked
for: its aggregation, and those credentials named. A token must be newer than the one kept and signed under
the issuer's pinned status key. Whatever goes wrong, the list that is kept stays, and says how old it is.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from passport_shared.formats import trust
from passport_shared.formats.snapshot import Snapshot, SnapshotError
from passport_shared.formats.status_list import (
    StatusListError,
    StatusToken,
    read_aggregation,
    read_token,
)
from passport_shared.formats.trust_mark import MarkRole
from passport_shared.outbound import OutboundError
from passport_verifier.context import Context
from passport_verifier.operations import failpoints
from passport_verifier.rules.presentation import signed_by_issuer
from passport_verifier.store import status_lists
from passport_verifier.store.status_lists import StoredList

MEDIA_TYPE = "application/statuslist+jwt"
MAX_TOKEN_BYTES = 1_048_576
MAX_BACKOFF = timedelta(minutes=5)
AT_ONCE = 8
FIRST_RETRY = timedelta(seconds=5)
ISSUER_ROLES = (MarkRole.CREDENTIAL_ISSUER, MarkRole.FORMER_CREDENTIAL_ISSUER)

log = structlog.get_logger(__name__)


async def want(ctx: Context, issuer_by_uri: Mapping[str, str]) -> None:
    """Have lists fetched at the next round; they lie below their issuer's prefix, as was checked before."""
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        for uri, issuer in issuer_by_uri.items():
            if not await status_lists.know(conn, uri, issuer, now):
                await status_lists.hurry(conn, uri, now)


async def discover(ctx: Context) -> int:
    """Read the aggregation of every issuer in the network register; how many lists are new.

    Fetching all of an issuer's lists, and not only one that was named, is also what keeps an issuer from
    learning whose credential is being looked at.
    """
    snapshot = await ctx.snapshots.latest()
    if snapshot is None:
        return 0
    found = 0
    for entity_id in snapshot.entity_ids:
        found += await _discover_one(ctx, snapshot, entity_id)
    return found


async def _discover_one(ctx: Context, snapshot: Snapshot, entity_id: str) -> int:
    now = ctx.clock.now()
    try:
        mark = snapshot.mark_for(entity_id, roles=ISSUER_ROLES, now=now)
    except SnapshotError:
        return 0
    if mark is None or mark.status_lists is None:
        return 0
    try:
        answer = await ctx.outbound.get(mark.status_lists.aggregation, accept="application/json")
        uris = read_aggregation(answer.body) if answer.ok else ()
    except (OutboundError, StatusListError) as error:
        log.warning("status_list_aggregation.fetch_failed", entity_id=entity_id, reason=str(error.reason))
        return 0
    allowed = [uri for uri in uris if trust.status_uri_allowed(mark, uri)]
    async with ctx.db.read() as conn:
        known = await status_lists.known(conn, allowed)
    new = [uri for uri in allowed if uri not in known]
    if new:
        async with ctx.db.write() as conn:
            for uri in new:
                await status_lists.know(conn, uri, entity_id, now)
    return len(new)


async def refresh(ctx: Context) -> list[str]:
    """Fetch every list that is due; the uris of those that are newer now."""
    now = ctx.clock.now()
    snapshot = await ctx.snapshots.latest()
    if snapshot is None:
        return []
    async with ctx.db.read() as conn:
        due = await status_lists.due(conn, now)
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(stored: StoredList) -> str | None:
        async with turns:
            try:
                token, compact = await _fetched(ctx, snapshot, stored, now)
            except _NotFetched as fault:
                await _failed(ctx, stored, fault.reason, now)
                return None
        return stored.uri if await _kept(ctx, stored, token, compact) else None

    return [uri for uri in await asyncio.gather(*map(one, due)) if uri is not None]


class _NotFetched(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def _fetched(
    ctx: Context, snapshot: Snapshot, stored: StoredList, now: datetime
) -> tuple[StatusToken, str]:
    _check_allowed(snapshot, stored, now)
    try:
        answer = await ctx.outbound.get(stored.uri, accept=MEDIA_TYPE, max_bytes=MAX_TOKEN_BYTES)
    except OutboundError as error:
        raise _NotFetched(error.reason) from None
    if not answer.ok:
        raise _NotFetched(f"http_{answer.status}")
    try:
        compact = answer.body.decode("ascii").strip()
        token = read_token(compact, uri=stored.uri, now=now, roots=snapshot.roots, min_iat=stored.iat)
    except UnicodeDecodeError:
        raise _NotFetched("not_ascii") from None
    except StatusListError as error:
        raise _NotFetched(error.reason) from None
    if not signed_by_issuer(snapshot, token, issuer=stored.issuer, now=now):
        raise _NotFetched("not_the_issuers_status_key")
    return token, compact


def _check_allowed(snapshot: Snapshot, stored: StoredList, now: datetime) -> None:
    """The issuer's mark decides at every fetch, not only when the list was first heard of."""
    try:
        mark = snapshot.mark_for(stored.issuer, roles=ISSUER_ROLES, now=now)
    except SnapshotError:
        mark = None
    if mark is None or not trust.status_uri_allowed(mark, stored.uri):
        raise _NotFetched("outside_prefix")


async def _kept(ctx: Context, stored: StoredList, token: StatusToken, compact: str) -> bool:
    failpoints.hit(failpoints.AFTER_LIST_FETCHED)
    # When it came, not when the round began: a decision made between the two has not seen it.
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        newer = await status_lists.keep(
            conn,
            stored.uri,
            token=compact,
            iat=token.iat,
            exp=token.exp,
            fetched_at=now,
            next_fetch_at=_jittered(token.refresh_at(now), now),
        )
    failpoints.hit(failpoints.AFTER_LIST_KEPT)
    if newer:
        ctx.statuses.forget(stored.uri)
    return newer


def _jittered(at: datetime, now: datetime) -> datetime:
    """A little earlier, at random, so that a network's verifiers do not all ask at once."""
    wait = max(at - now, timedelta(seconds=1))
    return now + wait * (0.9 + secrets.randbelow(100) / 1000)


async def _failed(ctx: Context, stored: StoredList, reason: str, now: datetime) -> None:
    log.warning("status_list_token.fetch_failed", uri=stored.uri, entity_id=stored.issuer, reason=reason)
    failures = stored.failures + 1
    wait = min(FIRST_RETRY * 2 ** min(failures - 1, 10), MAX_BACKOFF)
    async with ctx.db.write() as conn:
        await status_lists.fail(conn, stored.uri, error=reason, failures=failures, next_fetch_at=now + wait)
