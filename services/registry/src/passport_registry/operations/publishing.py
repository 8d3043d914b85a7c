"""The publisher: brings what the world reads in line with what is recorded (design.md §4.2).

Any number of replicas may run it; the lease lets one at a time work, and every transaction asks for it again.
Whatever fails is tried again at the next look, and what was published before stays in force until it ends.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from passport_registry.context import Context
from passport_registry.operations import anchor, directory, failpoints, marks, snapshot, standings, statements
from passport_registry.operations.turn import Turn, always, turn_of
from passport_registry.store import fingerprints, organisations, publications
from passport_registry.store.fingerprints import Fingerprint
from passport_registry.store.publications import Kind, Publication
from passport_shared.service.leases import LeaseLost, while_held

LEASE = "publish"
# Extended while the work lasts; short, so that after a kill the next publisher begins soon.
LEASE_TTL = timedelta(seconds=15)
# Renewals fall due by the clock alone; they are looked for this often.
LOOK_EVERY = timedelta(seconds=60)
# Every organisation is looked at again this often, so many at once that a change does not wait for them.
LOOK_AGAIN = timedelta(minutes=10)
AGAIN_AT_ONCE = 500

log = structlog.get_logger(__name__)


async def publish_if_due(ctx: Context) -> Publication | None:
    """Publish if something has changed or a minute has passed: what the background task calls."""
    async with ctx.db.read() as conn:
        counted = await publications.changes(conn)
    looked = counted.published_at
    # A look in the future was by a clock that was ahead.
    just_looked = looked is not None and timedelta(0) <= ctx.clock.now() - looked < LOOK_EVERY
    if counted.made == counted.published and just_looked:
        return None
    return await publish(ctx)


async def publish(ctx: Context) -> Publication | None:
    """Publish whatever is due; the new snapshot, or None if there was nothing or no lease."""
    lease = await ctx.leases.acquire(LEASE, LEASE_TTL)
    if lease is None:
        return None
    try:
        return await while_held(
            publish_unleased(ctx, turn_of(ctx, lease)), lambda: ctx.leases.extend(lease, LEASE_TTL), LEASE_TTL
        )
    except LeaseLost:
        log.warning("publish.lost")
        return None
    finally:
        await ctx.leases.release(lease)


async def publish_unleased(ctx: Context, turn: Turn = always) -> Publication | None:
    """Publish whatever is due, while it is this publisher's turn.

    Without a lease many may do it at once: nothing forks and nothing is lost, but what one of them read
    earlier may stand for a minute where another wrote something newer.
    """
    async with ctx.db.read() as conn:
        seen = await publications.changes(conn)
    await statements.renew_configuration(ctx, turn)
    await _renew(ctx, turn)
    failpoints.hit(failpoints.AFTER_STATEMENTS)
    published = await snapshot.publish(ctx, turn)
    failpoints.hit(failpoints.AFTER_SNAPSHOT)
    await directory.publish(ctx, turn)
    failpoints.hit(failpoints.AFTER_DIRECTORY)
    async with ctx.db.write() as conn:
        await publications.note_published(conn, seen.made, ctx.clock.now())
    return published


async def _renew(ctx: Context, turn: Turn) -> None:
    """Sign anew what is due of the organisations something was recorded about, and of those long not seen.

    What time alone changes (a step that runs out, a mark a day old) is found within half an hour in the
    largest network. A page of organisations at a time: neither memory nor a transaction grows with it.
    """
    now = ctx.clock.now()
    kid = (await anchor.signing_key(ctx, anchor.FEDERATION)).kid
    async with ctx.db.read() as conn:
        recorded = await fingerprints.every(conn)
    changed = {ods for ods, said in recorded.items() if not _seen(ctx, ods, (kid, *said))}
    aged = sorted((at, ods) for ods, (_, at) in ctx.looked.items() if not _lately(at, now))
    due = sorted(changed | {ods for _, ods in aged[:AGAIN_AT_ONCE] if ods in recorded})
    for start in range(0, len(due), standings.PAGE):
        codes = due[start : start + standings.PAGE]
        async with ctx.db.read() as conn:
            views = await standings.of(conn, await organisations.those(conn, codes), now)
        await marks.renew(ctx, views, turn)
        await statements.renew(ctx, views, turn)
        # Noted as it was before the page was read: what came since is a change the next time.
        ctx.looked.update({ods: ((kid, *recorded[ods]), now) for ods in codes})


def _seen(ctx: Context, ods: str, said: Fingerprint) -> bool:
    return ods in ctx.looked and ctx.looked[ods][0] == said


def _lately(at: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - at < LOOK_AGAIN


async def lag(ctx: Context) -> int:
    """Return how many recorded changes are not published yet: what readiness and metrics show."""
    async with ctx.db.read() as conn:
        counted = await publications.changes(conn)
    return counted.made - counted.published


async def sequence(ctx: Context) -> int | None:
    """Return the sequence of the published snapshot, None before the first."""
    async with ctx.db.read() as conn:
        published = await publications.last(conn, Kind.SNAPSHOT)
    return published.sequence if published else None
