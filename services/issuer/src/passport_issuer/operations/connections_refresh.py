"""Keeping linked people up to date: the feed of changes, thin events, and a reading now and then.

One replica at a time ticks (a lease); each connection whose turn has come gets a task and a lease of its own,
within its own time, so that a slow system delays nobody but itself. The feed's cursor is moved in the
transaction that marks whom it names, so that a crash repeats at most what changes nothing. A system that
fails is left alone for growing pauses; what is due stays due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from passport_issuer.clients.workforce import WorkforceError, WorkforceReason
from passport_issuer.context import Context
from passport_issuer.operations import connections, failpoints, gathering
from passport_issuer.operations.gathering_apply import BY_SYSTEM, SYSTEM
from passport_issuer.rules.workforce import Cause, Change, ConnectionKind, ConnectionState
from passport_issuer.store import connection_links as links
from passport_issuer.store import connections as store
from passport_issuer.store.connection_links import Link
from passport_issuer.store.connections import Connection
from passport_issuer.store.staff import get_staff
from passport_shared.service.jobs import LeaseLost, Leases
from passport_shared.service.leases import while_held
from passport_shared.service.problems import NotFound

ANEW = timedelta(hours=24)
"""How old a reading may become before it is made again by itself."""
AT_ONCE = 32
PEOPLE_PER_TURN = 20
LEASE = timedelta(seconds=60)

log = structlog.get_logger(__name__)


class Refresher:
    """Tasks of connections, at most one per connection and ``AT_ONCE`` in all."""

    def __init__(self, ctx: Context, leases: Leases) -> None:
        self._ctx = ctx
        self._leases = leases
        self._running: dict[str, asyncio.Task[None]] = {}

    async def tick(self) -> int:
        """Start a task for every connection whose turn has come; how many were started."""
        free = AT_ONCE - len(self._running)
        if free <= 0:
            return 0
        async with self._ctx.db.read() as conn:
            due = await store.due_connections(conn, self._ctx.clock.now(), AT_ONCE * 2)
        waiting = [connection for connection in due if connection.id not in self._running][:free]
        for connection in waiting:
            task = asyncio.create_task(self._turn(connection))
            self._running[connection.id] = task
            task.add_done_callback(partial(self._ended, connection.id))
        return len(waiting)

    async def settled(self) -> None:
        """Wait until every task that is running now has ended."""
        await asyncio.gather(*list(self._running.values()), return_exceptions=True)

    async def close(self) -> None:
        """Cancel what is running; it becomes due again by its lease's end at the latest."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, connection_id: str, _: asyncio.Task[None]) -> None:
        self._running.pop(connection_id, None)

    async def _turn(self, connection: Connection) -> None:
        try:
            async with self._leases.hold(f"workforce:{connection.id}", LEASE) as lease:
                if lease is not None:
                    held = lease
                    await while_held(
                        refresh(self._ctx, connection), lambda: self._leases.extend(held, LEASE), LEASE
                    )
        except LeaseLost:
            log.warning("workforce.lease_lost")
        except Exception as error:
            log.warning("workforce.refresh_failed", reason=type(error).__name__, exc_info=True)
            await self._later(connection, self._ctx.clock.now() + self._ctx.workforce.poll)

    async def _later(self, connection: Connection, at: datetime) -> None:
        async with self._ctx.db.write() as conn:
            await store.come_again(conn, connection.id, at)


async def refresh(ctx: Context, connection: Connection) -> None:
    """One turn of a connection: follow its feed, then read the people who are due."""
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        present = await store.get_connection(conn, connection.ods, connection.id)
    if present is None or present.state is not ConnectionState.ACTIVE:
        return
    # Said first: an event that hastens the connection during this turn is not overwritten by its end.
    async with ctx.db.write() as conn:
        await store.come_again(conn, present.id, now + ctx.workforce.poll)
        await links.mark_stale(conn, present.id, now - ANEW, now)
    try:
        if present.kind is ConnectionKind.ESR:
            await _follow(ctx, present)
        failpoints.hit(failpoints.AFTER_FEED_FOLLOWED)
        more = await _read_due(ctx, present)
    except WorkforceError:
        await _pause(ctx, present)
        return
    if more:
        async with ctx.db.write() as conn:
            await store.come_again(conn, present.id, now)


async def _pause(ctx: Context, connection: Connection) -> None:
    async with ctx.db.write() as conn:
        present = await store.get_connection(conn, connection.ods, connection.id)
        if present is None:
            return
        pause = min(store.LONGEST_PAUSE, timedelta(seconds=30) * 2 ** min(present.failures, 10))
        await store.come_again(conn, present.id, ctx.clock.now() + pause)


async def _follow(ctx: Context, connection: Connection) -> None:
    """Read the feed from the durable cursor on, marking whom it names.

    Raises:
        WorkforceError: what was read before stays read.
    """
    async with connections.opened(ctx, connection) as system:
        async for changes in system.changes(connection.cursor):
            if not await _note(ctx, connection, changes):
                return
            connection = await _present(ctx, connection)


async def _present(ctx: Context, connection: Connection) -> Connection:
    async with ctx.db.read() as conn:
        return await store.get_connection(conn, connection.ods, connection.id) or connection


async def _note(ctx: Context, connection: Connection, changes: Sequence[Change]) -> bool:
    """Mark whom a page names and move the cursor past it; False when another replica did."""
    async with ctx.db.write() as conn:
        if not await store.move_cursor(conn, connection, changes[-1].cursor):
            return False
        people = sorted({change.person_id for change in changes})
        await links.mark_due(conn, connection.id, people, ctx.clock.now())
    return True


async def _read_due(ctx: Context, connection: Connection) -> bool:
    """Read the people who are due, one after the other; whether more are waiting.

    Raises:
        WorkforceError: the system failed; the rest stays due.
    """
    async with ctx.db.read() as conn:
        due = await links.due_links(conn, connection.id, ctx.clock.now(), PEOPLE_PER_TURN + 1)
    for link in due[:PEOPLE_PER_TURN]:
        try:
            await read_again(ctx, connection, link)
        except Exception:
            # The next turn begins with others: one record that cannot be read holds up nobody for ever.
            async with ctx.db.write() as conn:
                await links.put_behind(conn, link, ctx.clock.now())
            raise
    return len(due) > PEOPLE_PER_TURN


async def read_again(ctx: Context, connection: Connection, link: Link) -> None:
    """Read one linked person through one connection, and keep what differs for HR.

    Raises:
        WorkforceError: the system failed; the link stays due.
    """
    tenant = await ctx.tenants.get(link.ods)
    async with ctx.db.read() as conn:
        staff = await get_staff(conn, link.ods, link.staff_id)
        every = await links.links_of_staff(conn, link.ods, link.staff_id)
    if tenant is None or staff is None:
        return
    source = await gathering.read_source(ctx, staff, link, connection, every)
    if source.error not in (None, WorkforceReason.NOT_FOUND):
        raise WorkforceError(source.error)
    cause = Cause.CHANGES if connection.kind is ConnectionKind.ESR else Cause.EVENT
    try:
        await gathering.keep(ctx, tenant, staff, [source], cause, BY_SYSTEM, SYSTEM)
    except NotFound:
        return
