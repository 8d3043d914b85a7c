"""What the verifier tells the registry of its activity: verified, re-checked, refused (domain.md §10a).

*Verified* is the first confirmed decision of a movement, or of a request without one, at this host; a row
that can be written once says which. Confirmed decisions after it, and re-checks of what is confirmed, are
told as re-checks; answers that become no decision are told apart. Everything is told in the transaction of
the change, in codes, and never whom it is about.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.once import insert_once
from passport_shared.wire import activity
from passport_shared.wire.activity import EventType, Step
from passport_verifier.context import Context
from passport_verifier.store import decisions, movements, requests
from passport_verifier.store.activity_tables import verified_cases
from passport_verifier.store.decisions import Decision
from passport_verifier.store.requests import PresentationRequest

_NOT_A_CODE = re.compile(r"[^A-Za-z0-9_]")
IDENTITY = "StaffIdentity"


async def emit_confirmed(ctx: Context, conn: AsyncConnection, decision: Decision, at: datetime) -> None:
    """Tell of a decision whose person was just confirmed; the first of its case counts as verified."""
    request = await requests.get(conn, decision.ods, decision.request_id)
    first = await insert_once(
        conn,
        verified_cases,
        {
            "case_id": decision.case_id,
            "ods": decision.ods,
            "decision_id": decision.id,
            "verified_at": at,
        },
    )
    steps: dict[str, tuple[datetime | None, datetime | None]] = {
        Step.REQUEST_TO_PRESENTED: (request.created_at if request else None, decision.received_at),
        Step.PRESENTED_TO_DECIDED: (decision.received_at, decision.decided_at),
        Step.DECIDED_TO_CONFIRMED: (decision.decided_at, at),
        Step.TIME_TO_VERIFY: (request.created_at if request else None, at),
    }
    await _emit_decision(
        ctx,
        conn,
        EventType.VERIFIED if first else EventType.RECHECKED,
        decision,
        request,
        at=at,
        durations_s=activity.durations(steps),
    )


async def emit_recheck(ctx: Context, conn: AsyncConnection, decision: Decision) -> None:
    """Tell of a decision that was judged again; nothing as long as nobody has confirmed the person."""
    if decision.person_at is None:
        return
    request = await requests.get(conn, decision.ods, decision.request_id)
    await _emit_decision(ctx, conn, EventType.RECHECKED, decision, request, at=decision.decided_at)


async def emit_refused(
    ctx: Context, conn: AsyncConnection, request: PresentationRequest, reason: str, at: datetime
) -> None:
    """Tell of an answer that became no decision."""
    await ctx.outbox.emit(
        conn,
        type=EventType.REFUSED,
        subject=request.id,
        organisation=request.ods,
        data=activity.fact(
            at=at,
            host_ods=request.ods,
            channel=request.channel,
            reason=_NOT_A_CODE.sub("_", reason)[:64],
            **await _move(conn, request.ods, request.movement_id, request.employing_ods),
        ),
    )


async def _emit_decision(
    ctx: Context,
    conn: AsyncConnection,
    kind: EventType,
    decision: Decision,
    request: PresentationRequest | None,
    *,
    at: datetime,
    durations_s: dict[str, int] | None = None,
) -> None:
    employing = request.employing_ods if request else None
    await ctx.outbox.emit(
        conn,
        type=kind,
        subject=decision.id,
        organisation=decision.ods,
        data=activity.fact(
            at=at,
            host_ods=decision.ods,
            channel=request.channel if request else None,
            outcome=decision.outcome,
            durations_s=durations_s,
            **await _move(
                conn, decision.ods, decision.movement_id, employing or await _issuer(conn, decision.id)
            ),
        ),
    )


async def _issuer(conn: AsyncConnection, decision_id: str) -> str | None:
    """Who issued the identity that was shared: the employer, where nobody said who employs the person."""
    found = await decisions.reliances_of(conn, decision_id)
    return next((one.issuer_ods for one in found if one.credential == IDENTITY), None)


async def _move(
    conn: AsyncConnection, ods: str, movement_id: str | None, employing_ods: str | None
) -> dict[str, Any]:
    """What a fact says of the movement behind it; without one, only who employs the person."""
    movement = await movements.get(conn, ods, movement_id) if movement_id else None
    if movement is None:
        return {"employing_ods": employing_ods}
    details = movement.details
    return {
        "employing_ods": movement.employing_ods,
        "movement_type": movement.type,
        "role_profile": movement.role_profile,
        "use_case": details.get("use_case"),
        "workforce_group": details.get("workforce_group"),
        "would_have_needed": details.get("would_have_needed"),
    }
