"""The staff member's agreement to a move: given, declined, taken back (gate G-D).

Given by presenting to a request that names host, dates and duties, by a one-time link, in a holder session,
or recorded by HR with time and channel where the move is urgent. It can be taken back before and during the
placement. Why somebody declines is neither asked nor stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound, RecordedAgreementNotAllowed, one_field
from passport_verifier.operations.movement_progress import refresh
from passport_verifier.rules.movement_state import OVER, Answer, MovementState
from passport_verifier.rules.movement_types import ApprovalKind, ApprovalMethod, movement_type
from passport_verifier.store import approvals, movements
from passport_verifier.store.approvals import Approval
from passport_verifier.store.movements import Movement
from passport_verifier.store.requests import PresentationRequest

LEEWAY = timedelta(minutes=1)
OLDEST_RECORDED = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Said:
    """How an answer was given.

    Args:
        method: by what way it came.
        at: when it was given; now where it is not recorded afterwards.
        channel: how HR heard it, for what is recorded.
        cover_opt_in: whether covering sickness or maternity is right for the person; None where not asked.
        staff_ref: the person's own reference in the calling system, where it is known: they cannot approve
            their own move.
        source_id: the request or link it came with.
        terms_version: the terms it answers; those of now where it is None.
    """

    method: ApprovalMethod
    at: datetime | None = None
    channel: str | None = None
    cover_opt_in: bool | None = None
    staff_ref: str | None = None
    source_id: str | None = None
    terms_version: int | None = None


async def agree(
    ctx: Context,
    ods: str,
    movement_id: str,
    said: Said,
    by: Actor | Mapping[str, Any],
    claim: Claim | None = None,
) -> MovementState:
    """The staff member agrees; the movement's state afterwards.

    Raises:
        NotFound: no such movement of this host.
        Conflict: the movement is over, or its days or duties are others by now.
        RecordedAgreementNotAllowed: HR may record it for urgent moves only.
        Invalid: the time it was given lies in the future, or is more than a week ago.
    """
    return await _answer(ctx, ods, movement_id, Answer.AGREED, said, by, claim)


async def decline(
    ctx: Context,
    ods: str,
    movement_id: str,
    said: Said,
    by: Actor | Mapping[str, Any],
    claim: Claim | None = None,
) -> MovementState:
    """The staff member does not agree; nobody is told why.

    Raises:
        NotFound, Conflict, Invalid: as `agree`.
    """
    return await _answer(ctx, ods, movement_id, Answer.DECLINED, said, by, claim)


async def withdraw(
    ctx: Context,
    ods: str,
    movement_id: str,
    said: Said,
    by: Actor | Mapping[str, Any],
    claim: Claim | None = None,
) -> MovementState:
    """The staff member takes their agreement back, before or during the placement.

    Raises:
        NotFound, Conflict, Invalid: as `agree`; Conflict also where they have not agreed.
    """
    return await _answer(ctx, ods, movement_id, Answer.WITHDRAWN, said, by, claim)


async def _answer(
    ctx: Context,
    ods: str,
    movement_id: str,
    answer: Answer,
    said: Said,
    by: Actor | Mapping[str, Any],
    claim: Claim | None,
) -> MovementState:
    async with ctx.db.write() as conn:
        state = await answer_in(ctx, conn, ods, movement_id, answer, said, by)
        if claim is not None:
            await claim.complete(conn, movement_id)
    return state


async def answer_in(
    ctx: Context,
    conn: AsyncConnection,
    ods: str,
    movement_id: str,
    answer: Answer,
    said: Said,
    by: Actor | Mapping[str, Any],
) -> MovementState:
    """Write an answer down in the caller's transaction; the movement's state afterwards.

    Raises:
        NotFound, Conflict, RecordedAgreementNotAllowed, Invalid: as `agree` and `withdraw`.
    """
    now = ctx.clock.now()
    movement = await movements.held(conn, movement_id)
    if movement is None or movement.ods != ods:
        raise NotFound
    await _check(conn, movement, answer, said, now)
    approval = Approval(
        id=new_id(),
        ods=ods,
        movement_id=movement.id,
        terms_version=movement.terms_version,
        kind=ApprovalKind.STAFF,
        decision=answer,
        method=said.method,
        at=said.at or now,
        actor=_who(by),
        channel=said.channel,
        cover_opt_in=said.cover_opt_in if answer is Answer.AGREED else None,
        staff_ref=said.staff_ref,
        source_id=said.source_id,
        recorded_at=now,
    )
    await approvals.add(conn, approval)
    await movements.touch(conn, movement.id, at=now)
    await ctx.audit.record(
        conn,
        kind=f"staff_agreement.{_PARTICIPLES[answer]}",
        subject_ref=movement.id,
        actor=_who(by),
        organisation=ods,
        details={"method": said.method, "terms_version": movement.terms_version},
    )
    return await refresh(ctx, conn, movement.id, actor=by)


def _who(by: Actor | Mapping[str, Any]) -> Mapping[str, Any]:
    return by.as_dict() if isinstance(by, Actor) else by


def agreement_by_presenting(request: PresentationRequest, at: datetime) -> Approval | None:
    """What a staff member says who answers a movement's request: yes to its host, days and duties.

    None for a request without a movement, or whose purpose did not name them.
    """
    if request.movement_id is None or request.terms_version is None or request.duties is None:
        return None
    return Approval(
        id=new_id(),
        ods=request.ods,
        movement_id=request.movement_id,
        terms_version=request.terms_version,
        kind=ApprovalKind.STAFF,
        decision=Answer.AGREED,
        method=ApprovalMethod.PRESENTATION,
        at=at,
        actor=WALLET,
        channel=request.channel,
        cover_opt_in=None,
        staff_ref=None,
        source_id=request.id,
        recorded_at=at,
    )


WALLET = {"ref": "wallet", "client_id": "wallet", "kind": "WALLET", "asserted": False}
"""The actor of what a staff member's wallet does."""

_PARTICIPLES = {Answer.AGREED: "given", Answer.DECLINED: "declined", Answer.WITHDRAWN: "withdrawn"}


async def _check(
    conn: AsyncConnection, movement: Movement, answer: Answer, said: Said, now: datetime
) -> None:
    if movement.state in OVER:
        raise Conflict("The movement is over: nothing can be said to it any more.")
    if said.terms_version not in {None, movement.terms_version}:
        raise Conflict("The days or duties of the movement have changed: read them, and answer anew.")
    if said.at is not None and said.at > now + LEEWAY:
        raise one_field("/at", "in_future", "It cannot have been said in the future.")
    if said.at is not None and said.at < now - OLDEST_RECORDED:
        raise one_field("/at", "too_old", "What was said more than a week ago is to be asked anew.")
    recorded = said.method is ApprovalMethod.RECORDED
    if answer is Answer.AGREED and recorded and not movement_type(movement.type).recorded_agreement:
        raise RecordedAgreementNotAllowed
    if answer is Answer.WITHDRAWN:
        before = (await approvals.newest_of(conn, movement.id)).get(ApprovalKind.STAFF)
        if before is None or before.decision is not Answer.AGREED:
            raise Conflict("There is no agreement that could be taken back.")
