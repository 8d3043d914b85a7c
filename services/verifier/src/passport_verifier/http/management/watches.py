"""`…/movements/{id}/watch` and `…/alerts`: the ongoing checks of a placement, and what they told."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from passport_shared.service.paging import Page, Paging
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
from passport_verifier.operations import alerts as alert_operations
from passport_verifier.operations import watches as operations
from passport_verifier.operations.alerts import Told
from passport_verifier.rules.outcome import Outcome
from passport_verifier.rules.watching import AlertKind
from passport_verifier.store.watches import WatchState

router: APIRouter = management_router(PREFIX, tags=["watches"])
Reader = Annotated[Access, Depends(access("watches:read"))]
Writer = Annotated[Access, Depends(access("watches:write"))]


class WatchView(ApiModel):
    """The ongoing checks of one movement."""

    movement_id: str
    state: WatchState
    decision_id: str = Field(description="The decision whose records are watched: the newest confirmed one.")
    outcome: Outcome
    opened_at: datetime
    closed_at: datetime | None
    next_date: datetime | None = Field(description="When it is looked at next, if nothing happens before.")
    due: bool = Field(description="Something happened, and is looked at in a moment.")


class AlertView(ApiModel):
    """An alert: what changed and what to do now, never why."""

    id: str
    movement_id: str
    kind: AlertKind
    urgent: bool
    text: Words | None = Field(description="Null once the details have been deleted with the movement.")
    findings: list[dict[str, str]] = Field(
        description="What is different, sentence by sentence, by language."
    )
    decision_id: str | None
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: ActorView | None


class AcknowledgeBody(ApiModel):
    """Who has seen it."""

    actor: ActorRef = None


def _view(told: Told) -> AlertView:
    alert, by = told.alert, told.alert.acknowledged_by
    text: Mapping[str, str] | None = told.text
    return AlertView(
        id=alert.id,
        movement_id=alert.movement_id,
        kind=alert.kind,
        urgent=alert.urgent,
        text=dict(text) if text else None,
        findings=[dict(one) for one in told.findings],
        decision_id=alert.decision_id,
        raised_at=alert.raised_at,
        acknowledged_at=alert.acknowledged_at,
        acknowledged_by=ActorView(**by) if by else None,
    )


@router.get("/movements/{movement_id}/watch", summary="Read the ongoing checks of a movement")
async def read_watch(movement_id: IdPath, who: Reader, ctx: Ctx) -> WatchView:
    """The watch over what the newest decision relies on."""
    watch = await operations.get(ctx, who.ods, movement_id)
    return WatchView(
        movement_id=watch.movement_id,
        state=watch.state,
        decision_id=watch.decision_id,
        outcome=watch.outcome,
        opened_at=watch.opened_at,
        closed_at=watch.closed_at,
        next_date=watch.next_date,
        due=watch.due_at is not None,
    )


@router.get("/alerts", summary="List alerts")
async def list_alerts(
    who: Reader,
    ctx: Ctx,
    paging: Paging,
    acknowledged: Annotated[
        bool | None, Query(description="Only those that somebody has seen, or not.")
    ] = None,
    movement_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Page[AlertView]:
    """Alerts of this host, newest first; `acknowledged=false` lists what nobody has seen."""
    found, following = await alert_operations.find(
        ctx, who.ods, paging, acknowledged=acknowledged, movement_id=movement_id
    )
    return Page(items=[_view(one) for one in found], next=following)


@router.get("/alerts/{alert_id}", summary="Read an alert")
async def read_alert(alert_id: IdPath, who: Reader, ctx: Ctx) -> AlertView:
    """One alert."""
    return _view(await alert_operations.get(ctx, who.ods, alert_id))


@router.post("/alerts/{alert_id}/acknowledge", summary="Acknowledge an alert")
async def acknowledge_alert(
    alert_id: IdPath, body: AcknowledgeBody, who: Writer, ctx: Ctx, request: Request
) -> AlertView:
    """Record the person who has seen an alert; the first one counts, repeating it changes nothing."""
    actor = who.actor(body.actor)

    async def work(_: object) -> str:
        await alert_operations.acknowledge(ctx, who.ods, alert_id, actor)
        return alert_id

    await once(ctx, request, who, work)
    return _view(await alert_operations.get(ctx, who.ods, alert_id))
