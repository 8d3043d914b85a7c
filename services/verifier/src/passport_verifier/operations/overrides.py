"""Overrides (R-14): proposed with a reason, approved by a second person, over after 72 hours (ADR-0019).

They belong to an answer, not to one judgement of it: a re-check keeps an override exactly as far as the same
finding still stands for the same reason, and never longer. Each one is told as an event, its end too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_shared.wire.clients import ClientKind
from passport_verifier.context import Context
from passport_verifier.errors import (
    Conflict,
    NotAcceptable,
    NotFound,
    PersonNotConfirmed,
    WasRechecked,
    one_field,
)
from passport_verifier.operations import gates
from passport_verifier.operations.decisions import withheld
from passport_verifier.operations.movement_progress import alone, refresh
from passport_verifier.operations.policies import second_person
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules.gates import Step
from passport_verifier.rules.override import (
    LIFE,
    LONGEST_REASON,
    SHORTEST_REASON,
    Accepted,
    acceptable,
    is_a_reason,
)
from passport_verifier.store import decisions, movements
from passport_verifier.store import overrides as store
from passport_verifier.store.decisions import Listed
from passport_verifier.store.overrides import Override, OverrideState

BY_TIME = Actor(ref="verifier", client_id="verifier", kind=ClientKind.MACHINE, asserted=False)
"""The actor of what happens because 72 hours are over."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Named:
    """A finding as a person names it: its rule, and its subject where it has one."""

    rule: str
    subject: str | None


async def propose(
    ctx: Context,
    ods: str,
    decision_id: str,
    named: Sequence[Named],
    reason: str,
    actor: Actor,
    claim: Claim,
) -> str:
    """Propose to accept findings of the newest decision; the override's id. It lapses after 72 hours.

    Raises:
        NotFound: no such decision of this organisation.
        WasRechecked, PersonNotConfirmed: it is replaced, or withheld.
        Invalid: the reason says too little, or a finding is not in the decision.
        NotAcceptable: a finding is needed for safety, or needs no acceptance.
        GateNotPassed: this person may not decide about this movement.
        Conflict: the case's data key is gone.
    """
    if not is_a_reason(reason):
        limits = f"{SHORTEST_REASON} to {LONGEST_REASON} characters"
        raise one_field("/reason", "too_little_said", f"Say in {limits} why this can be accepted.")
    listed = await _decision(ctx, ods, decision_id)
    accepted = [
        _accepted(listed.decision.findings, one, f"/findings/{index}") for index, one in enumerate(named)
    ]
    await _check_gates(ctx, ods, listed.decision.movement_id, actor)
    override_id = new_id()
    sealed = await _sealed(ctx, listed, override_id, reason)
    now = ctx.clock.now()
    override = Override(
        id=override_id,
        ods=ods,
        case_id=listed.decision.case_id,
        request_id=listed.decision.request_id,
        decision_id=decision_id,
        movement_id=listed.decision.movement_id,
        findings=[vars(one) for one in dict.fromkeys(accepted)],
        reason=sealed,
        state=OverrideState.PROPOSED,
        proposed_at=now,
        proposed_by=actor.as_dict(),
        approved_at=None,
        approved_by=None,
        four_eyes=None,
        expires_at=now + LIFE,
        ended_at=None,
        ended_by=None,
    )
    async with ctx.db.write() as conn:
        held = await decisions.hold(conn, ods, decision_id)
        if held is None or held.superseded_by is not None:
            raise WasRechecked
        await store.add(conn, override)
        await _audit(ctx, conn, "override.proposed", override, actor)
        await claim.complete(conn, override_id)
    return override_id


async def _decision(ctx: Context, ods: str, decision_id: str) -> Listed:
    async with ctx.db.read() as conn:
        listed = await decisions.get(conn, ods, decision_id)
    if listed is None:
        raise NotFound
    if listed.superseded_by is not None:
        raise WasRechecked
    if withheld(listed) is not None:
        raise PersonNotConfirmed
    return listed


def _accepted(findings: Sequence[Mapping[str, Any]], named: Named, pointer: str) -> Accepted:
    same = [one for one in findings if (one["rule"], one["subject"]) == (named.rule, named.subject)]
    if not same:
        raise one_field(pointer, "unknown_finding", "The decision has no such finding.")
    found = [one for one in same if acceptable(one)]
    if not found:
        detail = "This is needed for safety, or nobody has to decide about it."
        raise NotAcceptable(detail, field=pointer)
    return Accepted.of(found[0])


async def _check_gates(ctx: Context, ods: str, movement_id: str | None, actor: Actor) -> None:
    """G-B and G-C: who decides is allowed to, and has no other part in this movement."""
    if movement_id is None:
        return
    async with ctx.db.read() as conn:
        movement = await movements.get(conn, ods, movement_id)
    if movement is not None:
        await gates.check_step(ctx, movement, Step.CONFIRM, actor=actor)


async def _sealed(ctx: Context, listed: Listed, override_id: str, reason: str) -> bytes:
    key = await _key(ctx, listed.decision.id, listed.decision.case_id)
    if key is None:
        raise Conflict("The details of this decision have been deleted with the movement.")
    return key.seal(reason, decision_id=_context(override_id))


async def _key(ctx: Context, decision_id: str, case_id: str) -> DataKey | None:
    async with ctx.db.read() as conn:
        wrapped = await decisions.data_key_of(conn, decision_id)
    return DataKey.unwrap(ctx.kek, wrapped, case_id) if wrapped else None


def _context(override_id: str) -> str:
    return f"override\x1f{override_id}"


async def get(ctx: Context, ods: str, override_id: str) -> Override:
    """One override; NotFound for an unknown one or another organisation's."""
    async with ctx.db.read() as conn:
        found = await store.get(conn, ods, override_id)
    if found is None:
        raise NotFound
    return found


async def find(
    ctx: Context, ods: str, query: PageQuery, *, decision_id: str | None
) -> tuple[list[Override], str | None]:
    """A page of overrides, newest first."""
    async with ctx.db.read() as conn:
        return await store.page(conn, ods, query, decision_id=decision_id)


async def reason_of(ctx: Context, override: Override) -> str | None:
    """The reason as it was given; None once the case's data key is gone."""
    key = await _key(ctx, override.decision_id, override.case_id)
    if key is None:
        return None
    try:
        return str(key.open(override.reason, decision_id=_context(override.id)))
    except Unreadable:
        return None


async def approve(ctx: Context, ods: str, override_id: str, actor: Actor) -> Override:
    """Approve what somebody else proposed; it counts for 72 hours from now.

    Raises:
        NotFound: no such override of this organisation.
        Conflict: it is no proposal any more.
        SecondPersonNeeded: proposer and approver are not two people, as this deployment counts them.
        GateNotPassed: this person may not decide about this movement.
    """
    found = await get(ctx, ods, override_id)
    now = ctx.clock.now()
    if found.state_at(now) is not OverrideState.PROPOSED:
        raise Conflict("This has been approved, taken back, or waited for too long.")
    eyes = second_person(ctx, found.proposed_by, actor)
    await _check_gates(ctx, ods, found.movement_id, actor)
    async with ctx.db.write() as conn:
        until = now + LIFE
        if not await store.approve(
            conn, override_id, by=actor.as_dict(), four_eyes=eyes.value, at=now, until=until
        ):
            raise Conflict("This has been approved, taken back, or waited for too long.")
        approved = replace(found, expires_at=until)
        await _audit(ctx, conn, "decision.overridden", approved, actor, four_eyes=eyes.value)
        await _tell(ctx, conn, "decision.overridden", approved, four_eyes=eyes.value)
        await _progress(ctx, conn, found, actor)
    return await get(ctx, ods, override_id)


async def withdraw(ctx: Context, ods: str, override_id: str, actor: Actor) -> Override:
    """Take a proposal or an override back: one person's word is enough, the decision stands as before.

    Raises:
        NotFound: no such override of this organisation.
        Conflict: it has run out.
    """
    await get(ctx, ods, override_id)
    async with ctx.db.write() as conn:
        # As it is now: what was a proposal a moment ago may count by now, and the movement rest on it.
        held = await store.held(conn, override_id)
        if held is None:
            raise NotFound
        if held.state is not OverrideState.WITHDRAWN:
            if not await store.withdraw(conn, override_id, by=actor.as_dict(), at=ctx.clock.now()):
                raise Conflict("This has run out.")
            await _ended(ctx, conn, held, OverrideState.WITHDRAWN, actor)
    return await get(ctx, ods, override_id)


async def expire(ctx: Context) -> int:
    """Write down what has run out, so that the movements that rested on it follow; how many."""
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        waiting = await store.run_out(conn, now)
    return sum([await alone(one.movement_id or one.id, _run_out(ctx, one, now)) for one in waiting])


async def _run_out(ctx: Context, override: Override, now: datetime) -> None:
    async with ctx.db.write() as conn:
        held = await store.held(conn, override.id)
        if held is not None and await store.expire(conn, override.id, by=BY_TIME.as_dict(), at=now):
            await _ended(ctx, conn, held, OverrideState.EXPIRED, BY_TIME)


async def _ended(
    ctx: Context, conn: AsyncConnection, override: Override, how: OverrideState, actor: Actor
) -> None:
    await _audit(ctx, conn, f"override.{how.lower()}", override, actor)
    if override.state is OverrideState.APPROVED:
        await _tell(ctx, conn, "override.ended", override, how=how.value)
        await _progress(ctx, conn, override, actor)


async def _progress(ctx: Context, conn: AsyncConnection, override: Override, actor: Actor) -> None:
    if override.movement_id is not None:
        await refresh(ctx, conn, override.movement_id, actor=actor)


async def _tell(ctx: Context, conn: AsyncConnection, kind: str, override: Override, **more: str) -> None:
    """The report of it: codes and times, never the reason."""
    await ctx.outbox.emit(
        conn,
        type=kind,
        subject=override.decision_id,
        organisation=override.ods,
        data={
            "override": override.id,
            "movement": override.movement_id,
            "findings": [dict(one) for one in override.findings],
            "expires_at": override.expires_at.isoformat().replace("+00:00", "Z"),
            **more,
        },
    )


async def _audit(
    ctx: Context, conn: AsyncConnection, kind: str, override: Override, actor: Actor, **details: str
) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=override.decision_id,
        actor=actor.as_dict(),
        organisation=override.ods,
        details={
            "override": override.id,
            "findings": [f"{one['rule']} {one['subject'] or ''}".strip() for one in override.findings],
            **details,
        },
    )
