"""Whether a decision lets somebody start: by its outcome, or by an override that is in force."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_verifier.context import Context
from passport_verifier.rules.outcome import Outcome
from passport_verifier.store.shown_decisions import ShownDecision

STARTS = frozenset({Outcome.READY, Outcome.READY_WITH_CONDITIONS})


async def may_start(ctx: Context, conn: AsyncConnection, shown: ShownDecision | None) -> bool:
    """Whether the person may start on a decision that may be shown; False where there is none."""
    return shown is not None and shown.outcome in STARTS
