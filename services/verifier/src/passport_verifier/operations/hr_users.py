"""What the network register says of the HR user who acts (G-B), asked in this one place.

The directory is the one every API client is recognised by: whoever got here was found in it, so it is there.
Heads of department, finance and educators are no HR users: their scope is what lets them approve.
"""

from __future__ import annotations

from passport_shared.service.auth import Actor
from passport_shared.service.client_directory import DirectoryUnavailable
from passport_shared.wire.hr_users import Duty
from passport_verifier.context import Context
from passport_verifier.rules.gates import HrUserAnswer
from passport_verifier.rules.movement_types import ApprovalKind, movement_type
from passport_verifier.store.movements import Movement


async def hr_user_answer(
    ctx: Context, movement: Movement, actor: Actor, acting_as: ApprovalKind | None
) -> HrUserAnswer | None:
    """Whether who acts for host HR is named and trained for it; None for somebody who is no HR user."""
    if acting_as is not ApprovalKind.HOST_HR:
        return None
    urgent = movement_type(movement.type).recorded_agreement
    try:
        found = await ctx.hr_users.finding(movement.ods, actor, Duty.VERIFY, urgent=urgent)
    except DirectoryUnavailable:
        return HrUserAnswer(holds=False, code="DIRECTORY_UNAVAILABLE")
    return HrUserAnswer(holds=found.holds, code=found.code.value)
