"""The agreement a movement rests on: chosen from the network register, kept with the movement (gate G-A)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from passport_shared.formats.freshness import Freshness
from passport_verifier.context import Context
from passport_verifier.rules.agreements import Move, as_stored, covering
from passport_verifier.store import movements
from passport_verifier.store.movements import Movement


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the register says: ``agreement`` as it is stored, None where none covers the move.

    ``register_usable`` is False where the register's copy is too old to say anything.
    """

    agreement: Mapping[str, Any] | None
    register_usable: bool


async def choose(ctx: Context, move: Move) -> Choice:
    """The agreement that covers a move, by the register as it is known now."""
    snapshot = await ctx.snapshots.latest()
    if snapshot is None or snapshot.freshness(ctx.clock.now()) is Freshness.REFUSE:
        return Choice(agreement=None, register_usable=False)
    found = covering(snapshot.agreements_between(move.host_ods, move.employing_ods, move.start), move)
    return Choice(agreement=as_stored(found) if found else None, register_usable=True)


def move_of(movement: Movement) -> Move:
    """What of a movement its agreement is chosen by."""
    return Move(
        type=movement.type,
        host_ods=movement.ods,
        employing_ods=movement.employing_ods,
        workforce_group=movement.details["workforce_group"],
        start=movement.start,
        end=movement.end,
    )


async def current(ctx: Context, movement: Movement) -> Choice:
    """The agreement that covers a movement now; while the register is unusable, the one that was kept."""
    choice = await choose(ctx, move_of(movement))
    if choice.register_usable or movement.agreement is None:
        return choice
    return Choice(agreement=movement.agreement, register_usable=False)


async def settle(ctx: Context, movement: Movement) -> Movement:
    """Keep the agreement that covers a movement now with it; the movement as it is afterwards."""
    choice = await current(ctx, movement)
    if choice.agreement == movement.agreement:
        return movement
    async with ctx.db.write() as conn:
        held = await movements.held(conn, movement.id)
        if held is not None:
            await movements.touch(
                conn, movement.id, at=ctx.clock.now(), values={"agreement": choice.agreement}
            )
    async with ctx.db.read() as conn:
        after = await movements.get(conn, movement.ods, movement.id)
    return after or movement
