"""Whether a decision lets somebody start: by its outcome, or by an override that is in force (R-14)."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_verifier.context import Context
from passport_verifier.rules.outcome import Outcome
from passport_verifier.rules.override import Accepted, outcome_with
from passport_verifier.store import overrides
from passport_verifier.store.shown_decisions import ShownDecision

STARTS = frozenset({Outcome.READY, Outcome.READY_WITH_CONDITIONS})


async def may_start(ctx: Context, conn: AsyncConnection, shown: ShownDecision | None) -> bool:
    """Whether the person may start on a decision that may be shown; False where there is none."""
    if shown is None:
        return False
    return shown.outcome in STARTS or await outcome_now(ctx, conn, shown.id) in STARTS


async def outcome_now(ctx: Context, conn: AsyncConnection, decision_id: str) -> Outcome:
    """What a decision comes to with the overrides in force; as it was judged where there is none."""
    judged = await overrides.judged_with(conn, decision_id)
    now = ctx.clock.now()
    accepted = {
        Accepted.of(finding) for one in judged.overrides if one.in_force(now) for finding in one.findings
    }
    return outcome_with(judged.findings, accepted)
