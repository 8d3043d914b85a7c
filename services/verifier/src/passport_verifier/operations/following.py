"""What a placement and its watch do when their movement moves, in the transaction in which it does.

``advance`` comes before a movement's state is derived: the placement takes the last day the movement has now.
``begins`` comes when it is ready, ``settle`` at the end: a movement that is over takes its placement with it,
one that is ready is watched from then on. All are called by ``movement_progress.refresh`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.auth import Actor
from passport_shared.wire import activity
from passport_shared.wire.activity import EventType
from passport_verifier.context import Context
from passport_verifier.operations import alerts
from passport_verifier.rules.movement_state import OVER, MovementState
from passport_verifier.rules.outcome import Words
from passport_verifier.rules.readiness import london_day
from passport_verifier.rules.watching import AlertKind
from passport_verifier.store import placements, watches
from passport_verifier.store.movements import Movement
from passport_verifier.store.placements import EndReason, PlacementState
from passport_verifier.store.shown_decisions import ShownDecision

Who = Actor | Mapping[str, Any]
"""Who acts: a client and its person, or what a wallet or a page is recorded as."""


def as_dict(actor: Who) -> dict[str, Any]:
    """The JSON form of who acts."""
    return actor.as_dict() if isinstance(actor, Actor) else dict(actor)


async def advance(ctx: Context, conn: AsyncConnection, movement: Movement, *, actor: Who) -> bool:
    """Bring a movement's placement up to its days, the movement's row held; whether it had others."""
    placement = await placements.of_movement(conn, movement.id)
    if placement is None or placement.state is PlacementState.ENDED or movement.state in OVER:
        return False
    now = ctx.clock.now()
    last_day = max(movement.last_day, placement.start)
    moved = await placements.cap(conn, movement.id, last_day, now)
    if moved:
        earlier = last_day < placement.end
        await _record(ctx, conn, movement, "placement.capped" if earlier else "placement.extended", actor)
        await alerts.raise_alert(
            ctx,
            conn,
            movement,
            AlertKind.CAPPED,
            Words(key="CAPPED" if earlier else "EXTENDED", params={"date": last_day.isoformat()}),
            about=f"{placement.revision}|{last_day}",
        )
        await watches.notice(conn, [movement.id], now, judge_again=True)
    return moved


async def begins(
    ctx: Context, conn: AsyncConnection, movement: Movement, state: MovementState, *, actor: Who
) -> bool:
    """Begin the placement of a movement that is ready, when its day and the induction have come.

    Whether it began now; the movement's state is then to be derived again.
    """
    if state is not MovementState.READY or movement.inducted_on is None:
        return False
    now = ctx.clock.now()
    if not await placements.begin(conn, movement.id, now=now, today=london_day(now)):
        return False
    await _record(ctx, conn, movement, "placement.begun", actor)
    await emit(ctx, conn, movement, EventType.PLACEMENT_STARTED)
    return True


async def settle(
    ctx: Context,
    conn: AsyncConnection,
    movement: Movement,
    state: MovementState,
    shown: ShownDecision | None,
    *,
    actor: Who,
) -> None:
    """Let placement and watch follow the state a movement has come to; its row is held."""
    now = ctx.clock.now()
    if state in OVER:
        await _end_with(ctx, conn, movement, actor)
        await watches.close(conn, movement.id, now)
        return
    if shown is None:
        return
    await watches.notice_newer(conn, movement.id, shown.id, now)
    if state in watches.WATCHED:
        await watches.open_watch(
            conn,
            movement_id=movement.id,
            ods=movement.ods,
            decision_id=shown.id,
            outcome=shown.outcome,
            now=now,
        )


async def _end_with(ctx: Context, conn: AsyncConnection, movement: Movement, actor: Who) -> None:
    placement = await placements.of_movement(conn, movement.id)
    if placement is None or not await end(ctx, conn, movement, EndReason.MOVEMENT_OVER, actor):
        return
    if placement.begun_at is not None:
        words = Words(key="ENDED_WITH_MOVEMENT")
        kind = AlertKind.ENDED_WITH_MOVEMENT
        await alerts.raise_alert(ctx, conn, movement, kind, words, about="")


async def end(
    ctx: Context,
    conn: AsyncConnection,
    movement: Movement,
    reason: EndReason,
    actor: Who,
    checklist: dict[str, Any] | None = None,
) -> bool:
    """End a movement's placement, its row held; whether it was running."""
    before = await placements.of_movement(conn, movement.id)
    ended = await placements.end(
        conn,
        movement.id,
        now=ctx.clock.now(),
        by=as_dict(actor),
        reason=reason,
        checklist=checklist,
    )
    if not ended:
        return False
    await placements.forget_person(conn, movement.id)
    await _record(ctx, conn, movement, "placement.ended", actor, reason=reason)
    if before is not None and before.begun_at is not None:
        await emit(ctx, conn, movement, EventType.PLACEMENT_ENDED)
    return True


async def emit(ctx: Context, conn: AsyncConnection, movement: Movement, kind: EventType) -> None:
    """Tell the registry of a placement's begin or end, in codes."""
    details = movement.details
    await ctx.outbox.emit(
        conn,
        type=kind,
        subject=movement.id,
        organisation=movement.ods,
        data=activity.fact(
            at=ctx.clock.now(),
            employing_ods=movement.employing_ods,
            host_ods=movement.ods,
            movement_type=movement.type,
            role_profile=movement.role_profile,
            use_case=details.get("use_case"),
            workforce_group=details.get("workforce_group"),
            would_have_needed=details.get("would_have_needed"),
        ),
    )


async def _record(
    ctx: Context, conn: AsyncConnection, movement: Movement, kind: str, actor: Who, **details: str
) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=movement.id,
        actor=as_dict(actor),
        organisation=movement.ods,
        details=dict(details),
    )
