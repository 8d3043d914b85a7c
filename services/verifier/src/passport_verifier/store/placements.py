"""Placements as rows: started once, held and let go, ended once, and told to the host's issuer."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_verifier.store.placement_tables import placements


class PlacementState(StrEnum):  # PERSISTED
    """Where a placement stands.

    PREPARED: started by HR, its first day or the local induction is still to come. ACTIVE: begun. ON_HOLD:
    begun, and stopped until what is missing is there again. ENDED: over, for ever.
    """

    PREPARED = "PREPARED"
    ACTIVE = "ACTIVE"
    ON_HOLD = "ON_HOLD"
    ENDED = "ENDED"


async def state_of(conn: AsyncConnection, movement_id: str) -> PlacementState | None:
    """The state of a movement's placement; None where none was started.

    A placement that is put on hold before it begins stays PREPARED: it cannot begin, and nothing has to stop.
    """
    query = select(placements.c.state, placements.c.on_hold).where(placements.c.movement_id == movement_id)
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        return None
    state = PlacementState(row.state)
    return PlacementState.ON_HOLD if row.on_hold and state is PlacementState.ACTIVE else state
