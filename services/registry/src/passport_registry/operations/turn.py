"""A publisher's turn: what each of its transactions asks before it writes.

Publishing reads what is recorded, signs, and writes, in many steps. A publisher that was stopped for longer
than its lease would write what it read before the one that followed it, and so take a withdrawal or a
compromise back for a while. Its turn is over then, and the transaction with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.context import Context
from passport_shared.service.leases import Lease

Turn = Callable[[AsyncConnection], Awaitable[None]]
"""Raises LeaseLost when the turn is over; nobody else's begins before the transaction ends."""


def turn_of(ctx: Context, lease: Lease) -> Turn:
    """The turn that lasts as long as a lease."""

    async def confirm(conn: AsyncConnection) -> None:
        await ctx.leases.confirm(conn, lease)

    return confirm


async def always(_: AsyncConnection) -> None:
    """The turn of who publishes without a lease."""
