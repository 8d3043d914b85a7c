"""What belongs to a holder key at a host: moves decided with it, and what was shared with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, and_, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_verifier.store.movements import Movement, MovementState
from passport_verifier.store.tables import decisions, movements, presentation_requests, reliances

MAX_SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """One time something was shared with this host: for what, and which records by type and issuer.

    Never what was decided.
    """

    decision_id: str
    received_at: datetime
    purpose: str
    movement_id: str | None
    movement_type: str | None
    first_day: date
    last_day: date
    dcql_query: Mapping[str, Any]
    credentials: Sequence[tuple[str, str | None]]


async def is_known(conn: AsyncConnection, ods: str, thumbprint: str) -> bool:
    """Whether something bound to this key was ever shared with this host."""
    query = (
        select(reliances.c.decision_id)
        .join(decisions, decisions.c.id == reliances.c.decision_id)
        .where(reliances.c.holder_thumbprint == thumbprint, decisions.c.ods == ods)
        .limit(1)
    )
    return (await conn.execute(query)).first() is not None


async def moves(conn: AsyncConnection, ods: str, thumbprint: str) -> list[Movement]:
    """The holder's moves, newest first."""
    query = _mine(ods, thumbprint).order_by(movements.c.id.desc()).limit(MAX_SHOWN)
    return [_movement(row) for row in (await conn.execute(query)).mappings()]


async def move(conn: AsyncConnection, ods: str, thumbprint: str, movement_id: str) -> Movement | None:
    """One of the holder's moves."""
    query = _mine(ods, thumbprint).where(movements.c.id == movement_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _movement(row)


def _mine(ods: str, thumbprint: str) -> Select[Any]:
    """Movements whose newest decision rests on this key, of the confirmed ones where there are any.

    The newest: an answer somebody else gave before, with records of their own, makes the move not theirs.
    Confirmed: an answer whose person nobody has looked at may be anybody's who got hold of the request.
    """
    newest = (
        select(decisions.c.id)
        .where(decisions.c.movement_id == movements.c.id)
        .order_by(decisions.c.person_at.is_not(None).desc(), decisions.c.id.desc())
        .limit(1)
        .correlate(movements)
        .scalar_subquery()
    )
    mine = exists().where(
        and_(reliances.c.decision_id == newest, reliances.c.holder_thumbprint == thumbprint)
    )
    touched = (
        select(decisions.c.movement_id)
        .join(reliances, reliances.c.decision_id == decisions.c.id)
        .where(reliances.c.holder_thumbprint == thumbprint, decisions.c.ods == ods)
    )
    return select(movements).where(movements.c.ods == ods, movements.c.id.in_(touched), mine)


def _movement(row: Any) -> Movement:
    return Movement(**{**row, "state": MovementState(row["state"])})


async def shared(conn: AsyncConnection, ods: str, thumbprint: str) -> list[Sharing]:
    """What was shared with this host under this key, newest first; re-checks share nothing new."""
    query = (
        select(
            decisions.c.id,
            decisions.c.received_at,
            decisions.c.movement_id,
            presentation_requests.c.purpose,
            presentation_requests.c.first_day,
            presentation_requests.c.last_day,
            presentation_requests.c.dcql_query,
            movements.c.type,
        )
        .join(presentation_requests, presentation_requests.c.id == decisions.c.request_id)
        .outerjoin(movements, movements.c.id == decisions.c.movement_id)
        .where(
            decisions.c.ods == ods,
            decisions.c.recheck_of.is_(None),
            exists().where(
                and_(reliances.c.decision_id == decisions.c.id, reliances.c.holder_thumbprint == thumbprint)
            ),
        )
        .order_by(decisions.c.id.desc())
        .limit(MAX_SHOWN)
    )
    rows = (await conn.execute(query)).mappings().all()
    found = await _credentials(conn, [row["id"] for row in rows])
    return [
        Sharing(
            decision_id=row["id"],
            received_at=row["received_at"],
            purpose=row["purpose"],
            movement_id=row["movement_id"],
            movement_type=row["type"],
            first_day=row["first_day"],
            last_day=row["last_day"],
            dcql_query=row["dcql_query"],
            credentials=tuple(found.get(row["id"], ())),
        )
        for row in rows
    ]


async def _credentials(
    conn: AsyncConnection, decision_ids: Sequence[str]
) -> dict[str, list[tuple[str, str | None]]]:
    found: dict[str, list[tuple[str, str | None]]] = {}
    if not decision_ids:
        return found
    query = (
        select(reliances.c.decision_id, reliances.c.vct, reliances.c.issuer_ods)
        .where(reliances.c.decision_id.in_(decision_ids))
        .order_by(reliances.c.decision_id, reliances.c.credential)
    )
    for row in await conn.execute(query):
        found.setdefault(row.decision_id, []).append((row.vct, row.issuer_ods))
    return found
