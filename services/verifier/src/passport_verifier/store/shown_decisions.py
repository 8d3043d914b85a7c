"""The decision of a movement that counts: the newest one that may be shown and that nothing has replaced."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_verifier.rules.outcome import Outcome
from passport_verifier.store.requests import Flow
from passport_verifier.store.tables import decisions, presentation_requests


@dataclass(frozen=True, kw_only=True)
class ShownDecision:
    """What a movement's state needs of a decision; ``confirmed_by`` is a person's reference."""

    id: str
    case_id: str
    outcome: Outcome
    sealed: bytes
    confirmed_by: str | None


async def newest_of(
    conn: AsyncConnection, movement_id: str, *, confirmed: bool = True
) -> ShownDecision | None:
    """The newest decision of a movement that nothing has replaced.

    Args:
        conn: a connection.
        movement_id: the movement.
        confirmed: only one that may be shown: the person is confirmed, and a same-device answer came back.
    """
    newer = decisions.alias("newer")
    query = (
        select(decisions)
        .join(presentation_requests, presentation_requests.c.id == decisions.c.request_id)
        .outerjoin(newer, newer.c.recheck_of == decisions.c.id)
        .where(decisions.c.movement_id == movement_id, newer.c.id.is_(None))
        .order_by(decisions.c.id.desc())
        .limit(1)
    )
    if confirmed:
        returned = or_(
            presentation_requests.c.flow != Flow.SAME_DEVICE,
            presentation_requests.c.returned_at.is_not(None),
        )
        query = query.where(decisions.c.person_at.is_not(None), returned)
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    by = row["person_by"]
    return ShownDecision(
        id=row["id"],
        case_id=row["case_id"],
        outcome=Outcome(row["outcome"]),
        sealed=row["sealed"],
        confirmed_by=by["ref"] if by else None,
    )
