"""Rounds of the watch: status lists and issuers compared, and every watch that is due looked at.

Comparing is per list and per issuer, not per placement: a list that says nothing new of anybody costs one
page of an index. Everything here is run by one replica under a lease, and is right when two run it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from passport_shared.formats import trust
from passport_shared.formats.freshness import ISSUER_STATUS_LIST_WATCHED_POLL, STATUS_FRESH
from passport_shared.formats.snapshot import Snapshot, SnapshotError
from passport_shared.formats.status_list import StatusListError, StatusToken
from passport_verifier.context import Context
from passport_verifier.errors import NotFound
from passport_verifier.operations import failpoints
from passport_verifier.operations.movement_progress import alone, refresh
from passport_verifier.operations.rechecks import BY_ITSELF, authority_now
from passport_verifier.operations.status_lists import ISSUER_ROLES
from passport_verifier.operations.watching import look
from passport_verifier.rules import watching
from passport_verifier.rules.presentation import status_at
from passport_verifier.rules.trust_findings import StatusFinding
from passport_verifier.store import decisions, watches
from passport_verifier.store.watches import ListToCompare, Watch, WatchedCard, WatchedIssuer

PAGE = 500
# Each is verified in memory: no more at a time than others can wait for.
ISSUERS = 50
LOOKS = 200

log = structlog.get_logger(__name__)


async def get(ctx: Context, ods: str, movement_id: str) -> Watch:
    """The watch of a movement; NotFound where it is not watched."""
    async with ctx.db.read() as conn:
        watch = await watches.get(conn, ods, movement_id)
    if watch is None:
        raise NotFound
    return watch


async def round_once(ctx: Context) -> int:
    """Compare what is new, and look at every watch that is due; how many were looked at."""
    async with ctx.db.write() as conn:
        await watches.hurry_lists(conn, every=ISSUER_STATUS_LIST_WATCHED_POLL, now=ctx.clock.now())
    await compare_lists(ctx)
    await compare_issuers(ctx)
    failpoints.hit(failpoints.AFTER_COMPARED)
    return await look_due(ctx)


async def look_due(ctx: Context) -> int:
    """Look at the watches that are due; how many could be judged."""
    async with ctx.db.read() as conn:
        due = await watches.due(conn, ctx.clock.now(), limit=LOOKS)
    done = 0
    for watch in due:
        try:
            done += await look(ctx, watch)
        except Exception as fault:
            log.exception("watch.failed", movement=watch.movement_id, reason=type(fault).__name__)
    return done


async def compare_lists(ctx: Context) -> int:
    """Compare every watched list that is newer, or has grown old; how many watches have become due."""
    snapshot = await ctx.snapshots.latest()
    if snapshot is None:
        return 0
    async with ctx.db.read() as conn:
        lists = await watches.lists_to_compare(conn, stale_before=ctx.clock.now() - STATUS_FRESH)
    changed = 0
    for one in lists:
        token = await ctx.statuses.get(one.uri, snapshot.roots, as_stored=True)
        if token is not None and token.iat == one.iat:
            changed += await _compare_list(ctx, snapshot, one, token)
    return changed


async def _compare_list(ctx: Context, snapshot: Snapshot, one: ListToCompare, token: StatusToken) -> int:
    now, after, changed, whole = ctx.clock.now(), one.compared_to, 0, False
    while not whole:
        async with ctx.db.read() as conn:
            cards = await watches.cards_on_list(conn, one.uri, after=after, limit=PAGE)
        cards, whole = _complete(cards)
        different = {
            card.movement_id
            for card in cards
            if not watching.same_status(card.status_finding, _status(snapshot, token, card, now))
        }
        after = cards[-1].movement_id if cards else after
        async with ctx.db.write() as conn:
            changed += await watches.notice(conn, different, now, judge_again=True)
            await watches.compared_list(conn, one, to=after, whole=whole)
    return changed


def _complete(cards: list[WatchedCard]) -> tuple[list[WatchedCard], bool]:
    """A page without the movement it may have cut in two, and whether it is the last."""
    if len(cards) < PAGE:
        return cards, True
    last = cards[-1].movement_id
    return [card for card in cards if card.movement_id != last] or cards, False


def _status(snapshot: Snapshot, token: StatusToken, card: WatchedCard, now: datetime) -> StatusFinding:
    try:
        return status_at(snapshot, token, issuer=card.issuer, idx=card.status_idx, now=now)
    except StatusListError:
        return StatusFinding.UNAVAILABLE


async def compare_issuers(ctx: Context) -> int:
    """Look every watched issuer up in a new copy of the register; how many watches have become due."""
    snapshot = await ctx.snapshots.latest()
    if snapshot is None:
        return 0
    async with ctx.db.read() as conn:
        issuers = await watches.issuers_to_compare(conn, snapshot.sequence)
    changed = 0
    for start in range(0, len(issuers), ISSUERS):
        page = issuers[start : start + ISSUERS]
        standings = {one.issuer: _standing(ctx, snapshot, one.issuer) for one in page}
        # Nearly all stand as they stood: that is one statement, not one for each.
        same = [one.issuer for one in page if standings[one.issuer] == one.standing]
        if same:
            async with ctx.db.write() as conn:
                await watches.same_issuers(conn, same, sequence=snapshot.sequence)
        for one in page:
            if standings[one.issuer] != one.standing:
                changed += await _compare_issuer(ctx, snapshot, one, standings[one.issuer])
    return changed


def _standing(ctx: Context, snapshot: Snapshot, issuer: str) -> str:
    now = ctx.clock.now()
    try:
        mark = snapshot.mark_for(issuer, roles=ISSUER_ROLES, now=now)
    except SnapshotError:
        mark = None
    status = str(snapshot.mark_status(mark, now=now)) if mark else "no_mark"
    return watching.standing_of(mark, status, now)


async def _compare_issuer(ctx: Context, snapshot: Snapshot, one: WatchedIssuer, standing: str) -> int:
    after = one.compared_to if one.comparing == standing else None
    changed, whole, now = 0, False, ctx.clock.now()
    while not whole:
        async with ctx.db.read() as conn:
            cards = await watches.cards_of_issuer(conn, one.issuer, after=after, limit=PAGE)
            chains = await decisions.chains(conn, sorted({card.x5t_s256 for card in cards}))
        cards, whole = _complete(cards)
        different = _trusted_otherwise(ctx, snapshot, cards, chains)
        after = cards[-1].movement_id if cards else after
        async with ctx.db.write() as conn:
            changed += await watches.notice(conn, different, now, judge_again=True)
            await watches.compared_issuer(
                conn, one.issuer, standing=standing, sequence=snapshot.sequence, to=after, whole=whole
            )
    return changed


def _trusted_otherwise(
    ctx: Context, snapshot: Snapshot, cards: Sequence[WatchedCard], chains: dict[str, list[str]]
) -> set[str]:
    """Movements with a card whose issuer's authority is another one now than when it was relied on."""
    now = ctx.clock.now()
    sandbox = {
        ods: trust.of_sandbox(snapshot, ctx.tenants.entity_id(ods), now=now)
        for ods in {card.ods for card in cards}
    }
    return {
        card.movement_id
        for card in cards
        if authority_now(card, chains.get(card.x5t_s256), snapshot, now, sandbox=sandbox[card.ods])
        != card.trust_finding
    }


async def tidy(ctx: Context) -> int:
    """Watch what should be and is not, and forget lists and issuers nobody is watched by; how many opened."""
    async with ctx.db.read() as conn:
        missing = await watches.unwatched(conn)
    for movement_id in missing:
        await alone(movement_id, _begin(ctx, movement_id))
    async with ctx.db.write() as conn:
        await watches.forget_unwatched(conn)
    async with ctx.db.write() as conn:
        await watches.watch_again(conn)
    return len(missing)


async def _begin(ctx: Context, movement_id: str) -> None:
    async with ctx.db.write() as conn:
        await refresh(ctx, conn, movement_id, actor=BY_ITSELF, caused=False)
