"""A movement's state, kept in step with what it follows from.

Whoever changes an approval, a Release, the confirmation of a decision, an override or a placement calls
``refresh`` in the same transaction. It holds the movement's row, derives the state from everything that is
stored by then, and writes, audits and tells the change; so whatever comes first, the last one sees all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.auth import Actor
from passport_verifier.context import Context
from passport_verifier.errors import NotFound
from passport_verifier.operations import following, licences
from passport_verifier.operations.gates import Standing, standing
from passport_verifier.operations.overriding import may_start
from passport_verifier.rules import gates
from passport_verifier.rules.gates import Step
from passport_verifier.rules.movement_state import (
    OVER,
    MovementState,
    PlacementPhase,
    Progress,
    derive,
)
from passport_verifier.store import approvals, movements, releases
from passport_verifier.store.movements import Movement
from passport_verifier.store.placements import PlacementState

log = structlog.get_logger(__name__)

_PHASES = {
    None: PlacementPhase.NONE,
    PlacementState.PREPARED: PlacementPhase.NONE,
    PlacementState.ACTIVE: PlacementPhase.RUNNING,
    PlacementState.ON_HOLD: PlacementPhase.RUNNING,
    PlacementState.ENDED: PlacementPhase.ENDED,
}


async def refresh(
    ctx: Context,
    conn: AsyncConnection,
    movement_id: str,
    *,
    actor: Actor | Mapping[str, Any],
    caused: bool = True,
) -> MovementState:
    """Derive a movement's state anew, in the caller's transaction; the state it has now.

    Args:
        ctx: the verifier.
        conn: the caller's transaction, with what has changed already written.
        movement_id: the movement.
        actor: who changed it, for the audit log; a mapping for a wallet or a page.
        caused: whether the caller has changed something of the movement; False for a look that only time
            has brought, which gives no new version unless something follows from it.

    Raises:
        NotFound: there is no such movement.
    """
    movement = await movements.held(conn, movement_id)
    if movement is None:
        raise NotFound
    changed = await following.advance(ctx, conn, movement, actor=actor) or caused
    found = await standing(ctx, conn, movement)
    state = derive(await progress(ctx, conn, found))
    if await following.begins(ctx, conn, movement, state, actor=actor):
        changed = True
        found = await standing(ctx, conn, movement)
        state = derive(await progress(ctx, conn, found))
    await licences.keep(ctx, conn, found, state)
    await _tell_mismatch(ctx, conn, found)
    if changed or state is not movement.state:
        # Also where the state stays: what is shown of a movement's progress has changed with its cause.
        await movements.touch(conn, movement.id, at=ctx.clock.now(), values={"state": state})
    if state is not movement.state:
        await _changed(ctx, conn, movement, state, actor)
    await following.settle(ctx, conn, movement, state, found.shown, actor=actor)
    return state


CATCH_UP_EVERY = timedelta(seconds=30)
_AFTER = timedelta(seconds=10)
_WITHIN = timedelta(days=1)


async def catch_up(ctx: Context, *, since: timedelta | None = _WITHIN) -> int:
    """Refresh movements whose answer was taken by a process that died before it refreshed them; how many.

    Args:
        ctx: the verifier.
        since: answers of this long ago and later; None for all, after an outage of any length.
    """
    now = ctx.clock.now()
    earliest = None if since is None else now - since
    async with ctx.db.read() as conn:
        left = await approvals.not_followed(conn, since=earliest, until=now - _AFTER)
    return sum([await alone(movement_id, _follow(ctx, movement_id)) for movement_id in left])


async def _follow(ctx: Context, movement_id: str) -> None:
    async with ctx.db.write() as conn:
        await refresh(ctx, conn, movement_id, actor=ITSELF)


async def alone(movement_id: str, act: Awaitable[object]) -> bool:
    """Do one movement's part of a round; whether it was done. A fault in it holds up nobody else's."""
    try:
        await act
    except Exception as fault:
        log.exception("movement.not_tended", movement=movement_id, reason=type(fault).__name__)
        return False
    return True


async def progress(ctx: Context, conn: AsyncConnection, found: Standing) -> Progress:
    """All that the state of a movement follows from."""
    return Progress(
        current=found.movement.state,
        staff=found.facts.staff,
        release=found.facts.release,
        host_declined=found.host_declined,
        approved=found.approved,
        decided=await may_start(ctx, conn, found.shown),
        gates_hold=gates.closed(found.facts, Step.PLACE) is None,
        inducted=gates.closed(found.facts, Step.ACTIVATE) is None,
        placement=_PHASES[found.placement],
    )


async def _changed(
    ctx: Context,
    conn: AsyncConnection,
    movement: Movement,
    state: MovementState,
    actor: Actor | Mapping[str, Any],
) -> None:
    if state in OVER:
        await movements.close_requests(conn, movement.id, ctx.clock.now())
    await ctx.audit.record(
        conn,
        kind="movement.state_changed",
        subject_ref=movement.id,
        actor=actor.as_dict() if isinstance(actor, Actor) else actor,
        organisation=movement.ods,
        details={"from": movement.state, "to": state},
    )
    await emit_state(ctx, conn, movement, state)


async def emit_state(ctx: Context, conn: AsyncConnection, movement: Movement, state: MovementState) -> None:
    """Tell other systems of a movement's new state."""
    await ctx.outbox.emit(
        conn,
        type=f"movement.{state.lower()}",
        subject=movement.id,
        organisation=movement.ods,
        data={"employing_ods": movement.employing_ods, "host_ods": movement.ods, "type": movement.type},
    )


async def _tell_mismatch(ctx: Context, conn: AsyncConnection, found: Standing) -> None:
    """Tell both HR teams, once per decision, that another person is released than the one who presented."""
    release, shown = found.release, found.shown
    if found.facts.same_person is not False or release is None or shown is None:
        return
    if not await releases.tell_mismatch(conn, release.id, shown.id):
        return
    movement = found.movement
    await ctx.audit.record(
        conn,
        kind="release.person_mismatch",
        subject_ref=movement.id,
        actor=ITSELF,
        organisation=movement.ods,
        details={"release": release.id, "decision": shown.id},
    )
    await ctx.outbox.emit(
        conn,
        type="release.person_mismatch",
        subject=movement.id,
        organisation=movement.ods,
        data={
            "employing_ods": movement.employing_ods,
            "host_ods": movement.ods,
            "tell": ["HOST_HR", "EMPLOYING_HR"],
        },
    )


ITSELF = {"ref": "verifier", "client_id": "verifier", "kind": "MACHINE", "asserted": False}
"""The actor of what this service does by itself."""
