"""A movement's life at the host: asked for, read, changed while nothing depends on it, cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.db import is_unique_violation
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound, PreconditionFailed, UnknownPolicy
from passport_verifier.operations import agreements, policies
from passport_verifier.operations.gates import Standing, standing
from passport_verifier.operations.movement_progress import emit_state, refresh
from passport_verifier.operations.sealing import DataKey
from passport_verifier.rules.agreements import Move
from passport_verifier.store import movements
from passport_verifier.store.movements import Movement, MovementState


@dataclass(frozen=True, kw_only=True)
class NewMovement:
    """What a host says of a move; ``details`` as the management interface describes them."""

    type: str
    role_profile: str
    employing_ods: str
    start: date
    end: date
    external_id: str | None
    details: Mapping[str, Any]


async def create(ctx: Context, ods: str, new: NewMovement, actor: Actor, claim: Claim) -> str:
    """Store a movement with the agreement that covers it; its id.

    One that no agreement covers can be made all the same: the gates say what to do (G-A).

    Raises:
        UnknownPolicy: this host has no policy for its type and role profile.
        Conflict: the external id is taken.
    """
    if await policies.in_force(ctx, ods, f"{new.type}.{new.role_profile}") is None:
        raise UnknownPolicy
    now = ctx.clock.now()
    movement_id = new_id()
    choice = await agreements.choose(
        ctx,
        Move(
            type=new.type,
            host_ods=ods,
            employing_ods=new.employing_ods,
            workforce_group=new.details["workforce_group"],
            start=new.start,
            end=new.end,
        ),
    )
    movement = Movement(
        id=movement_id,
        ods=ods,
        employing_ods=new.employing_ods,
        type=new.type,
        role_profile=new.role_profile,
        start=new.start,
        end=new.end,
        details=new.details,
        external_id=new.external_id,
        state=MovementState.REQUESTED,
        data_key=DataKey.create(ctx.kek, movement_id),
        created_at=now,
        created_by=actor.as_dict(),
        updated_at=now,
        version=1,
        agreement=choice.agreement,
    )
    try:
        async with ctx.db.write() as conn:
            await movements.add(conn, movement)
            await _audit(ctx, conn, "movement.created", movement, actor)
            await claim.complete(conn, movement_id)
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Conflict(
                "Another movement of this trust has this external id.", field="/external_id"
            ) from None
        raise
    return movement_id


async def get(ctx: Context, ods: str, movement_id: str) -> Movement:
    """One movement; NotFound for an unknown one or another organisation's."""
    async with ctx.db.read() as conn:
        movement = await movements.get(conn, ods, movement_id)
    if movement is None:
        raise NotFound
    return movement


async def standing_of(ctx: Context, movement: Movement) -> Standing:
    """A movement with all that was said to it."""
    async with ctx.db.read() as conn:
        return await standing(ctx, conn, movement)


async def find(
    ctx: Context, ods: str, query: PageQuery, *, state: str | None, external_id: str | None
) -> tuple[list[Movement], str | None]:
    """A page of movements, newest first."""
    async with ctx.db.read() as conn:
        return await movements.page(conn, ods, query, state=state, external_id=external_id)


async def cancel(ctx: Context, movement: Movement, actor: Actor) -> Movement:
    """Cancel a movement that has not begun, and withdraw what is asked for it.

    Raises:
        Conflict: it is cancelled, declined or over, or has begun.
        PreconditionFailed: somebody changed it since it was read.
    """
    if movement.state in {MovementState.ACTIVE, MovementState.ENDED, MovementState.DECLINED}:
        raise Conflict("A movement that has begun, ended or been declined cannot be cancelled.")
    if movement.state is MovementState.CANCELLED:
        return movement
    async with ctx.db.write() as conn:
        await _hold(conn, movement)
        await movements.close_requests(conn, movement.id, ctx.clock.now())
        state = {"state": MovementState.CANCELLED}
        await _change(ctx, conn, movement, actor, "movement.cancelled", state)
        await emit_state(ctx, conn, movement, MovementState.CANCELLED)
        await refresh(ctx, conn, movement.id, actor=actor)
    return await get(ctx, movement.ods, movement.id)


CHANGEABLE = frozenset({MovementState.REQUESTED, MovementState.AGREED, MovementState.RELEASED})


async def amend(ctx: Context, movement: Movement, values: Mapping[str, Any], actor: Actor) -> Movement:
    """Change dates or details of a movement nobody has presented for.

    What was agreed to and released before is for other terms then: it counts no more.

    Raises:
        Conflict: it is ready or further, or something was asked for it.
        PreconditionFailed: somebody changed it since it was read.
    """
    if movement.state not in CHANGEABLE:
        raise Conflict("Only a movement that is not ready yet can be changed.")
    amended = replace(movement, **values)
    choice = await agreements.choose(ctx, agreements.move_of(amended))
    terms = {
        "terms_version": movement.terms_version + 1,
        "agreement": choice.agreement,
        "capped_end": None,
    }
    async with ctx.db.write() as conn:
        await _hold(conn, movement)
        # A decision is about the days that were asked for; another day is another question.
        if await movements.has_requests(conn, movement.id, ctx.clock.now()):
            raise Conflict("Something was asked for this movement: withdraw it, or make a new movement.")
        await _change(ctx, conn, movement, actor, "movement.changed", {**values, **terms})
        await refresh(ctx, conn, movement.id, actor=actor)
    return await get(ctx, movement.ods, movement.id)


async def _hold(conn: AsyncConnection, movement: Movement) -> None:
    if not await movements.hold(conn, movement.id, movement.version):
        raise PreconditionFailed


async def _change(
    ctx: Context,
    conn: AsyncConnection,
    movement: Movement,
    actor: Actor,
    kind: str,
    values: Mapping[str, Any],
) -> None:
    if not await movements.change(conn, movement, at=ctx.clock.now(), values=values):
        raise PreconditionFailed
    await _audit(ctx, conn, kind, movement, actor)


async def _audit(ctx: Context, conn: AsyncConnection, kind: str, movement: Movement, actor: Actor) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=movement.id,
        actor=actor.as_dict(),
        organisation=movement.ods,
        details={"type": movement.type, "employing_ods": movement.employing_ods},
    )
