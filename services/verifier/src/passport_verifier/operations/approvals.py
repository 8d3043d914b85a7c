"""What people at the host say to a movement: department, HR, finance, educator (domain model §5, matrix).

The employer's two approvals are never written here: they come with its signed Release. Each of the host's is
another person's (gate G-C), whoever acts for HR is a trained HR user (G-B). The newest word of a kind counts,
for the days and duties it was said to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound, one_field
from passport_verifier.operations import gates
from passport_verifier.operations.gates import Standing
from passport_verifier.operations.hr_users import hr_user_answer
from passport_verifier.operations.movement_progress import refresh
from passport_verifier.rules.gates import Step
from passport_verifier.rules.movement_state import OVER, Answer, MovementState
from passport_verifier.rules.movement_types import HOST_KINDS, ApprovalKind, ApprovalMethod
from passport_verifier.rules.readiness import london_day
from passport_verifier.store import approvals, movements
from passport_verifier.store.approvals import Approval
from passport_verifier.store.movements import Movement


@dataclass(frozen=True, kw_only=True)
class NewApproval:
    """One person's word at the host."""

    kind: ApprovalKind
    decision: Answer


async def approve(
    ctx: Context, ods: str, movement_id: str, new: NewApproval, actor: Actor, claim: Claim | None = None
) -> str:
    """Write down what somebody at the host says; the id of the approval.

    Raises:
        NotFound: no such movement of this host.
        Invalid: a kind that is not the host's to give, or no answer to a movement's terms.
        Conflict: the movement is over.
        GateNotPassed: the same person said something else about it (G-C), or is not trained for it (G-B).
    """
    if new.kind not in HOST_KINDS:
        raise one_field("/kind", "not_the_hosts", "This approval is not the host's to write down.")
    if new.decision is Answer.WITHDRAWN:
        raise one_field("/decision", "not_an_answer", "Say AGREED or DECLINED.")
    movement = await _movement(ctx, ods, movement_id)
    hr_user = await hr_user_answer(ctx, movement, actor, new.kind)
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        found = await _held(ctx, conn, movement)
        gates.check_held(found, Step.APPROVE, actor=actor, acting_as=new.kind, hr_user=hr_user)
        approval = Approval(
            id=new_id(),
            ods=ods,
            movement_id=movement_id,
            terms_version=found.movement.terms_version,
            kind=new.kind,
            decision=new.decision,
            method=ApprovalMethod.RECORDED,
            at=now,
            actor=actor.as_dict(),
            channel=None,
            cover_opt_in=None,
            staff_ref=None,
            source_id=None,
            recorded_at=now,
        )
        approval = await approvals.add(conn, approval)
        await movements.touch(conn, movement_id, at=now)
        await ctx.audit.record(
            conn,
            kind="approval.recorded",
            subject_ref=movement_id,
            actor=actor.as_dict(),
            organisation=ods,
            details={"kind": new.kind, "decision": new.decision, "approval": approval.id},
        )
        await refresh(ctx, conn, movement_id, actor=actor)
        if claim is not None:
            await claim.complete(conn, approval.id)
    return approval.id


async def _movement(ctx: Context, ods: str, movement_id: str) -> Movement:
    async with ctx.db.read() as conn:
        movement = await movements.get(conn, ods, movement_id)
    if movement is None:
        raise NotFound
    return movement


async def _held(ctx: Context, conn: AsyncConnection, movement: Movement) -> Standing:
    held = await movements.held(conn, movement.id)
    if held is None or held.state in OVER:
        raise Conflict("The movement is over: nothing can be said to it any more.")
    return await gates.standing(ctx, conn, held)


async def find(ctx: Context, ods: str, movement_id: str) -> tuple[Movement, tuple[Approval, ...]]:
    """Everything that was said to a movement, oldest first; NotFound for another host's."""
    movement = await _movement(ctx, ods, movement_id)
    async with ctx.db.read() as conn:
        return movement, await approvals.all_of(conn, movement_id)


async def induct(
    ctx: Context, ods: str, movement_id: str, on: date, actor: Actor, claim: Claim | None = None
) -> MovementState:
    """Record the local induction (gate G-H); the movement's state afterwards. Repeating it changes nothing.

    Raises:
        NotFound: no such movement of this host.
        Invalid: a day in the future.
        Conflict: the movement is over, or the induction is recorded for another day.
    """
    if on > london_day(ctx.clock.now()):
        raise one_field("/on", "in_future", "An induction is recorded when it was given.")
    movement = await _movement(ctx, ods, movement_id)
    async with ctx.db.write() as conn:
        held = (await _held(ctx, conn, movement)).movement
        if held.inducted_on not in {None, on}:
            raise Conflict("The local induction is recorded already, for another day.")
        if held.inducted_on is None:
            await _record_induction(ctx, conn, held, on, actor)
        state = await refresh(ctx, conn, movement_id, actor=actor)
        if claim is not None:
            await claim.complete(conn, movement_id)
    return state


async def _record_induction(
    ctx: Context, conn: AsyncConnection, movement: Movement, on: date, actor: Actor
) -> None:
    values = {"inducted_on": on, "inducted_by": actor.as_dict()}
    await movements.touch(conn, movement.id, at=ctx.clock.now(), values=values)
    await ctx.audit.record(
        conn,
        kind="induction.recorded",
        subject_ref=movement.id,
        actor=actor.as_dict(),
        organisation=movement.ods,
        details={"on": on.isoformat()},
    )
