"""`…/overrides`: accepting with a reason what is asked for as assurance: two people, 72 hours."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.four_eyes import FourEyes
from passport_verifier.context import Context
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
from passport_verifier.operations import overrides as operations
from passport_verifier.operations.overrides import Named
from passport_verifier.rules import wording
from passport_verifier.rules.override import LONGEST_REASON
from passport_verifier.store.overrides import Override, OverrideState

router: APIRouter = management_router(f"{PREFIX}/overrides", tags=["overrides"])
Reader = Annotated[Access, Depends(access("verifications:read"))]
Writer = Annotated[Access, Depends(access("verifications:write"))]
Approver = Annotated[Access, Depends(access("verifications:approve"))]


class NamedFinding(ApiModel):
    """A finding of the decision."""

    rule: Annotated[str, Field(pattern=r"^R-[0-9]{2}$", examples=["R-12"])]
    subject: Annotated[str, Field(pattern=r"^[A-Z]{2,8}$", examples=["FS"])] | None = None


class NewOverrideBody(ApiModel):
    """What is to be accepted, and why."""

    decision_id: Annotated[str, Field(min_length=1, max_length=64)]
    findings: Annotated[list[NamedFinding], Field(min_length=1, max_length=20)]
    reason: Annotated[str, Field(min_length=1, max_length=LONGEST_REASON)] = Field(
        description="At least 20 characters, for whoever approves and whoever asks later. Say nothing about "
        "health or private life.",
        examples=["The fire course was on 3 May; the certificate is on its way from the training provider."],
    )
    actor: ActorRef = None


class ActBody(ApiModel):
    """Who approves it, or takes it back."""

    actor: ActorRef = None


class AcceptedView(ApiModel):
    """A finding that is accepted."""

    rule: str
    name: Words
    subject: str | None
    reason: str | None = Field(description="Why it did not pass; another reason is not accepted with it.")


class OverrideView(ApiModel):
    """An override with everybody who had a say in it."""

    id: str
    decision_id: str
    movement_id: str | None
    findings: list[AcceptedView]
    reason: str | None = Field(description="Null once the details have been deleted with the movement.")
    state: OverrideState
    proposed_at: datetime
    proposed_by: ActorView
    approved_at: datetime | None
    approved_by: ActorView | None
    four_eyes: FourEyes | None
    expires_at: datetime = Field(description="Of a proposal: until when it can be approved.")
    ended_at: datetime | None
    ended_by: ActorView | None


async def _view(ctx: Context, override: Override) -> OverrideView:
    return OverrideView(
        id=override.id,
        decision_id=override.decision_id,
        movement_id=override.movement_id,
        findings=[
            AcceptedView(
                rule=one["rule"],
                name={locale: wording.rule_name(one["rule"], locale) for locale in wording.LOCALES},
                subject=one["subject"],
                reason=one["reason"],
            )
            for one in override.findings
        ],
        reason=await operations.reason_of(ctx, override),
        state=override.state_at(ctx.clock.now()),
        proposed_at=override.proposed_at,
        proposed_by=ActorView(**override.proposed_by),
        approved_at=override.approved_at,
        approved_by=ActorView(**override.approved_by) if override.approved_by else None,
        four_eyes=FourEyes(override.four_eyes) if override.four_eyes else None,
        expires_at=override.expires_at,
        ended_at=override.ended_at,
        ended_by=ActorView(**override.ended_by) if override.ended_by else None,
    )


@router.post("", status_code=201, summary="Propose to accept with a reason")
async def propose_override(
    body: NewOverrideBody, who: Writer, ctx: Ctx, request: Request, response: Response
) -> OverrideView:
    """Propose an override of assurance findings; it counts once a second person approves it."""
    actor = who.actor(body.actor)
    named = [Named(rule=one.rule, subject=one.subject) for one in body.findings]
    made = await once(
        ctx,
        request,
        who,
        lambda claim: operations.propose(ctx, who.ods, body.decision_id, named, body.reason, actor, claim),
    )
    response.headers["Location"] = f"/api/v1/organisations/{who.ods}/overrides/{made.resource_id}"
    return await _view(ctx, await operations.get(ctx, who.ods, made.resource_id))


@router.get("", summary="List overrides")
async def list_overrides(
    who: Reader,
    ctx: Ctx,
    paging: Paging,
    decision_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Page[OverrideView]:
    """Overrides of this host, newest first."""
    found, following = await operations.find(ctx, who.ods, paging, decision_id=decision_id)
    return Page(items=[await _view(ctx, one) for one in found], next=following)


@router.get("/{override_id}", summary="Read an override")
async def read_override(override_id: IdPath, who: Reader, ctx: Ctx) -> OverrideView:
    """One override."""
    return await _view(ctx, await operations.get(ctx, who.ods, override_id))


@router.post("/{override_id}/approve", summary="Approve an override")
async def approve_override(
    override_id: IdPath, body: ActBody, who: Approver, ctx: Ctx, request: Request
) -> OverrideView:
    """Approve what somebody else proposed; it counts for 72 hours."""
    actor = who.actor(body.actor)

    async def work(_: object) -> str:
        return (await operations.approve(ctx, who.ods, override_id, actor)).id

    await once(ctx, request, who, work)
    return await _view(ctx, await operations.get(ctx, who.ods, override_id))


@router.post("/{override_id}/withdraw", summary="Take an override back")
async def withdraw_override(
    override_id: IdPath, body: ActBody, who: Writer, ctx: Ctx, request: Request
) -> OverrideView:
    """Take a proposal or an override back: the decision stands as before."""
    actor = who.actor(body.actor)

    async def work(_: object) -> str:
        return (await operations.withdraw(ctx, who.ods, override_id, actor)).id

    await once(ctx, request, who, work)
    return await _view(ctx, await operations.get(ctx, who.ods, override_id))
