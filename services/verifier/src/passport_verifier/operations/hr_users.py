"""What the network register says of the HR user who acts (G-B), asked in this one place."""

from __future__ import annotations

from passport_shared.service.auth import Actor
from passport_verifier.context import Context
from passport_verifier.rules.gates import HrUserAnswer, Step
from passport_verifier.store.movements import Movement


async def hr_user_answer(ctx: Context, movement: Movement, actor: Actor, step: Step) -> HrUserAnswer | None:
    """Whether who acts is named and trained for it; None where the register says nothing of HR users."""
    return None
