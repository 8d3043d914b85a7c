"""`…/movements/{id}/approvals`, `…/staff-agreement`, `…/induction`: what people say to a movement."""

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, Field

from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.routes import management_router
from passport_verifier.http.management.common import (
    PREFIX,
    Access,
    ActorRef,
    ActorView,
    ApiModel,
    Ctx,
    IdPath,
    Words,
    access,
    once,
)
from passport_verifier.operations import approvals as operations
from passport_verifier.operations import staff_agreements
from passport_verifier.operations.approvals import NewApproval
from passport_verifier.operations.staff_agreements import Said
from passport_verifier.rules import gate_words, wording
from passport_verifier.rules.movement_state import Answer, MovementState
from passport_verifier.rules.movement_types import ApprovalKind, ApprovalMethod, movement_type
from passport_verifier.store.approvals import Approval
from passport_verifier.store.movements import Movement

router: APIRouter = management_router(f"{PREFIX}/movements/{{movement_id}}", tags=["approvals"])
Reader = Annotated[Access, Depends(access("approvals:read"))]
Writer = Annotated[Access, Depends(access("approvals:write"))]
Approver = Annotated[Access, Depends(access("approvals:approve"))]
MovementWriter = Annotated[Access, Depends(access("movements:write"))]

HostKind = Literal["HOST_DEPARTMENT", "HOST_HR", "FINANCE", "EDUCATOR"]
Heard = Literal["IN_PERSON", "PHONE", "VIDEO", "WRITTEN"]


class ApprovalView(ApiModel):
    """One answer to a movement.

    `counts` is false where the days or duties have changed since, or a newer answer of the same kind
    replaces it.
    """

    id: str
    kind: ApprovalKind
    name: Words
    decision: Answer
    method: ApprovalMethod
    channel: str | None
    cover_opt_in: bool | None
    terms_version: int
    at: datetime
    by: ActorView | None = Field(description="Null for the staff member and for the employing trust.")
    counts: bool


class ApprovalsView(ApiModel):
    """All answers, oldest first, and whose are needed."""

    needed: list[ApprovalKind]
    items: list[ApprovalView]


class NewApprovalBody(ApiModel):
    """What somebody at the host says."""

    kind: HostKind
    decision: Literal["AGREED", "DECLINED"]
    actor: ActorRef = None


class StaffAgreementBody(ApiModel):
    """What the staff member said to HR. An agreement can be recorded for urgent moves only."""

    decision: Answer
    channel: Heard
    at: AwareDatetime
    cover_opt_in: bool | None = Field(
        default=None, description="Whether covering for sickness or maternity leave is right for them."
    )
    staff_ref: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="The staff member's own reference in the calling system, where it is known: they cannot "
        "approve their own move.",
    )
    actor: ActorRef = None


class InductionBody(ApiModel):
    """The day of the local induction."""

    on: date
    actor: ActorRef = None


class ProgressView(ApiModel):
    """Where the movement stands afterwards."""

    movement_id: str
    state: MovementState


def _view(approval: Approval, movement: Movement, newest: dict[ApprovalKind, str]) -> ApprovalView:
    others = approval.method is not ApprovalMethod.RECORDED
    return ApprovalView(
        id=approval.id,
        kind=approval.kind,
        name={locale: gate_words.kind(approval.kind, locale) for locale in wording.LOCALES},
        decision=approval.decision,
        method=approval.method,
        channel=approval.channel,
        cover_opt_in=approval.cover_opt_in,
        terms_version=approval.terms_version,
        at=approval.at,
        by=None if others else ActorView(**approval.actor),
        counts=newest[approval.kind] == approval.id and approval.terms_version == movement.terms_version,
    )


@router.get("/approvals", summary="Read what was said to a movement")
async def list_approvals(movement_id: IdPath, who: Reader, ctx: Ctx) -> ApprovalsView:
    """Everything that was said, by the staff member, the employing trust and people at the host."""
    movement, found = await operations.find(ctx, who.ods, movement_id)
    newest = {approval.kind: approval.id for approval in found}
    needed = movement_type(movement.type).approvals
    return ApprovalsView(
        needed=[kind for kind in ApprovalKind if kind in needed],
        items=[_view(approval, movement, newest) for approval in found],
    )


@router.post("/approvals", status_code=201, summary="Approve or decline at the host")
async def approve(
    movement_id: IdPath, body: NewApprovalBody, who: Approver, ctx: Ctx, request: Request, response: Response
) -> ApprovalsView:
    """Write down what one person at the host says; each kind is another person's."""
    new = NewApproval(kind=ApprovalKind(body.kind), decision=Answer(body.decision))
    actor = who.actor(body.actor)
    await once(
        ctx,
        request,
        who,
        lambda claim: operations.approve(ctx, who.ods, movement_id, new, actor, claim),
    )
    response.headers["Location"] = f"/api/v1/organisations/{who.ods}/movements/{movement_id}/approvals"
    return await list_approvals(movement_id, who, ctx)


@router.post("/staff-agreement", summary="Record what the staff member said")
async def record_staff_agreement(
    movement_id: IdPath, body: StaffAgreementBody, who: Writer, ctx: Ctx, request: Request
) -> ProgressView:
    """Record an agreement (urgent moves only), a decline, or that an agreement is taken back."""
    actor = who.actor(body.actor)
    said = Said(
        method=ApprovalMethod.RECORDED,
        at=body.at,
        channel=body.channel,
        cover_opt_in=body.cover_opt_in,
        staff_ref=body.staff_ref,
    )

    async def work(claim: Claim) -> str:
        await _ACTS[body.decision](ctx, who.ods, movement_id, said, actor, claim)
        return movement_id

    await once(ctx, request, who, work)
    return await _progress(ctx, who, movement_id)


_ACTS = {
    Answer.AGREED: staff_agreements.agree,
    Answer.DECLINED: staff_agreements.decline,
    Answer.WITHDRAWN: staff_agreements.withdraw,
}


@router.post("/induction", summary="Record the local induction")
async def record_induction(
    movement_id: IdPath, body: InductionBody, who: MovementWriter, ctx: Ctx, request: Request
) -> ProgressView:
    """Record the day of the local induction, which comes before the first shift."""
    actor: Actor = who.actor(body.actor)

    async def work(claim: Claim) -> str:
        await operations.induct(ctx, who.ods, movement_id, body.on, actor, claim)
        return movement_id

    await once(ctx, request, who, work)
    return await _progress(ctx, who, movement_id)


async def _progress(ctx: Ctx, who: Access, movement_id: str) -> ProgressView:
    movement, _ = await operations.find(ctx, who.ods, movement_id)
    return ProgressView(movement_id=movement.id, state=movement.state)
