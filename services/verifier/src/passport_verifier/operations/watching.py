"""One watch looked at: judged again where the world changed, and what follows for the placement (journey J7).

A change is judged once: the re-check of a decision is unique, and the watch moves to it by its own row. What
the host is told is what changed, in the words of the decision; a safety rule that fails puts the placement on
hold, and a later decision that is in order takes it off again. Whoever looks at the same watch beside us, or
after us when we are killed, finds it done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.kek import KekError
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound, RegisterTooOld, WasRechecked
from passport_verifier.operations import alerts, policies
from passport_verifier.operations.movement_progress import refresh
from passport_verifier.operations.overriding import may_start
from passport_verifier.operations.placements import holder_of
from passport_verifier.operations.rechecks import BY_ITSELF, recheck, stands_otherwise
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules import watching
from passport_verifier.rules.outcome import Words
from passport_verifier.rules.placements import stops
from passport_verifier.rules.readiness import london_day
from passport_verifier.rules.watching import AlertKind, KnownDate
from passport_verifier.store import decisions, movements, placements, shown_decisions, watches
from passport_verifier.store.decisions import Cause, Condition, ConditionState, Decision, Reliance
from passport_verifier.store.movements import Movement
from passport_verifier.store.placements import Placement, PlacementState
from passport_verifier.store.watches import Watch, WatchState

TRIES = 4

log = structlog.get_logger(__name__)


async def look(ctx: Context, watch: Watch) -> bool:
    """Look at one watch; False where it cannot be judged now and stays due."""
    for _ in range(TRIES):
        judged = await _judge_if_needed(ctx, watch)
        if judged is None:
            return False
        if not judged:
            break
    await _adopt(ctx, watch)
    return True


async def _judge_if_needed(ctx: Context, watch: Watch) -> bool | None:
    """Whether the newest decision was judged again now; None where it has to be and cannot."""
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        shown = await shown_decisions.newest_of(conn, watch.movement_id)
        newest = await decisions.get(conn, watch.ods, shown.id) if shown else None
        reliances = await decisions.reliances_of(conn, shown.id) if shown else ()
    if newest is None:
        return False
    if not _must_judge(watch, newest.decision, reliances, now) and not await _missed(
        ctx, watch, newest.decision, reliances
    ):
        return False
    try:
        await recheck(ctx, watch.ods, newest.decision.id, BY_ITSELF, cause=Cause.WATCHED)
    except WasRechecked:
        pass  # somebody else did, or a rival: look again at what there is
    except RegisterTooOld:
        return None
    except (Conflict, NotFound) as fault:
        log.info("watch.not_judged", movement=watch.movement_id, reason=fault.code)
        return False
    return True


async def _missed(ctx: Context, watch: Watch, newest: Decision, reliances: Sequence[Reliance]) -> bool:
    """Whether something changed between a decision and the moment its watch came to rely on it.

    Rounds compare what changes; what changed before, they compared without this watch.
    """
    new = newest.id != watch.decision_id or watch.due_at == watch.opened_at
    snapshot = await ctx.snapshots.latest() if new else None
    return snapshot is not None and await stands_otherwise(ctx, newest, reliances, snapshot)


def _must_judge(watch: Watch, newest: Decision, reliances: Sequence[Reliance], now: datetime) -> bool:
    changed = watch.judge_again and watch.due_at is not None
    # Still the decision the watch came with, or one that was made before the change was seen.
    if changed and (newest.id == watch.decision_id or newest.decided_at < (watch.due_at or now)):
        return True
    moments = watching.judged_at(one.exp for one in reliances)
    return any(newest.decided_at < moment <= now for moment in moments)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """Everything one look sees, with the movement's and the watch's rows held."""

    movement: Movement
    watch: Watch
    placement: Placement | None
    before: Decision
    newest: Decision
    reliances: tuple[Reliance, ...]
    conditions: tuple[Condition, ...]
    sealed: Mapping[str, Any] | None
    fine: bool


async def _adopt(ctx: Context, watch: Watch) -> None:
    """Let the watch rely on the newest decision, and do what follows from it, in one transaction."""
    async with ctx.db.read() as conn:
        shown = await shown_decisions.newest_of(conn, watch.movement_id)
        newest = await decisions.get(conn, watch.ods, shown.id) if shown else None
    if newest is not None:
        # Compiled before the transaction, which finds it in memory.
        await policies.pinned(ctx, newest.decision.policy_version)
    async with ctx.db.write() as conn:
        movement = await movements.held(conn, watch.movement_id)
        held = await watches.held(conn, watch.movement_id)
        if movement is None or held is None or held.state is WatchState.CLOSED:
            return
        seen = await _seen(ctx, conn, movement, held)
        if seen is None:
            return
        await _follow(ctx, conn, seen)
        due = await _tell_dates(ctx, conn, seen)
        await watches.watch_cards(conn, seen.newest.id)
        # What was due when this look began is done; what came since is not.
        await watches.looked(
            conn, watch, decision_id=seen.newest.id, outcome=seen.newest.outcome, next_date=due
        )
        if seen.newest.id != held.decision_id:
            # Whoever made or confirmed that decision has said so.
            await refresh(ctx, conn, movement.id, actor=BY_ITSELF, caused=False)


async def _seen(ctx: Context, conn: AsyncConnection, movement: Movement, watch: Watch) -> _Seen | None:
    shown = await shown_decisions.newest_of(conn, movement.id)
    newest = await decisions.get(conn, movement.ods, shown.id) if shown else None
    before = await decisions.get(conn, movement.ods, watch.decision_id)
    if newest is None or before is None:
        return None
    return _Seen(
        movement=movement,
        watch=watch,
        placement=await placements.of_movement(conn, movement.id),
        before=before.decision,
        newest=newest.decision,
        reliances=await decisions.reliances_of(conn, newest.decision.id),
        conditions=await decisions.conditions_of(conn, newest.decision.id),
        sealed=_opened(ctx, movement, newest.decision),
        fine=await may_start(ctx, conn, shown),
    )


def _opened(ctx: Context, movement: Movement, decision: Decision) -> Mapping[str, Any] | None:
    try:
        key = DataKey.unwrap(ctx.kek, movement.data_key, movement.id)
        sealed: Mapping[str, Any] = key.open(decision.sealed, decision_id=decision.id)
    except (KekError, Unreadable):
        return None
    return sealed


async def _follow(ctx: Context, conn: AsyncConnection, seen: _Seen) -> None:
    """Hold, reinstate or issue anew what the newest decision says, and tell the host what is worse."""
    now, placement = ctx.clock.now(), seen.placement
    running = placement is not None and placement.state is not PlacementState.ENDED
    stopped = stops(seen.newest.findings)
    held = running and stopped and await placements.hold(conn, seen.movement.id, now)
    if held:
        employer = Words(key="ON_HOLD", params={"employer": seen.movement.employing_ods})
        await _told(ctx, conn, seen, AlertKind.ON_HOLD, employer)
        await _record(ctx, conn, seen, "placement.held")
    elif watching.is_worse(seen.watch.outcome, seen.newest.outcome):
        changed = Words(key="WORSE", params={"outcome": seen.newest.outcome})
        await _told(ctx, conn, seen, AlertKind.WORSE, changed)
    if not running or stopped:
        return
    if seen.fine and await placements.reinstate(conn, seen.movement.id, now):
        await _told(ctx, conn, seen, AlertKind.REINSTATED, Words(key="REINSTATED"))
        await _record(ctx, conn, seen, "placement.reinstated")
    key = holder_of(seen.reliances)
    if key and await placements.rebind(
        conn, seen.movement.id, decision_id=seen.newest.id, holder_jkt=key, now=now
    ):
        await _record(ctx, conn, seen, "placement.key_changed")


async def _told(ctx: Context, conn: AsyncConnection, seen: _Seen, kind: AlertKind, words: Words) -> None:
    """Raise an alert with what a decision says differently from the one the watch came with."""
    said = seen.sealed["said"] if seen.sealed else []
    findings = seen.newest.findings
    changed = watching.worsened(seen.before.findings, findings) if kind is not AlertKind.REINSTATED else ()
    await alerts.raise_alert(
        ctx,
        conn,
        seen.movement,
        kind,
        words,
        about=seen.newest.id,
        findings=[_sentence(said[at][findings[at]["telling"]]) for at in changed if at < len(said)],
        decision_id=seen.newest.id,
    )


def _sentence(said: Mapping[str, Any]) -> Words:
    return Words(key=said["key"], params=said["params"])


async def _tell_dates(ctx: Context, conn: AsyncConnection, seen: _Seen) -> datetime | None:
    """Raise what is due of the dates that come, and return when to look again."""
    now = ctx.clock.now()
    start = seen.movement.start
    last_day = seen.placement.end if seen.placement else seen.movement.last_day
    ends = {one.credential: one.exp for one in seen.reliances}
    policy = await policies.pinned(ctx, seen.newest.policy_version)
    facts = seen.sealed["facts"] if seen.sealed else {}
    dates = watching.known_dates(facts, ends, policy, last_day=last_day)
    for one in dates:
        days = watching.told_ahead(one, start=start, today=london_day(now))
        if days is not None and (one.kind is not AlertKind.ENDS or seen.placement is not None):
            await _tell_date(ctx, conn, seen, one, days)
    waiting = [one for one in seen.conditions if one.state is ConditionState.OPEN]
    for condition in waiting:
        if condition.due <= now and seen.placement is not None:
            await _tell_overdue(ctx, conn, seen, condition)
    return watching.next_look(dates, ends.values(), [one.due for one in waiting], now)


async def _tell_date(ctx: Context, conn: AsyncConnection, seen: _Seen, one: KnownDate, days: int) -> None:
    params = {"date": one.on.isoformat(), "days": days}
    if one.kind is AlertKind.RUNS_OUT:
        params |= {"credential": one.credential, "subject": one.subject}
    await alerts.raise_alert(
        ctx,
        conn,
        seen.movement,
        one.kind,
        Words(key=one.kind, params=params),
        about=f"{one.credential}|{one.subject}|{one.on}|{days}",
        decision_id=seen.newest.id,
    )


async def _tell_overdue(ctx: Context, conn: AsyncConnection, seen: _Seen, condition: Condition) -> None:
    params = {
        "date": london_day(condition.due).isoformat(),
        "condition": condition.text,
        "subject": condition.subject,
    }
    await alerts.raise_alert(
        ctx,
        conn,
        seen.movement,
        AlertKind.CONDITION_OVERDUE,
        Words(key="CONDITION_OVERDUE", params=params),
        about=f"{condition.rule}|{condition.subject}|{condition.text}|{condition.due}",
        decision_id=seen.newest.id,
    )


async def _record(ctx: Context, conn: AsyncConnection, seen: _Seen, kind: str) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=seen.movement.id,
        actor=BY_ITSELF.as_dict(),
        organisation=seen.movement.ods,
        details={"decision": seen.newest.id},
    )
