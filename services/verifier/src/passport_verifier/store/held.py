"""Presentations that could not be judged because the network register's snapshot was too old (design §4.2).

Kept as the wallet sent them, encrypted to the request's own key, for ten minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.once import insert_once
from passport_verifier.store.tables import held_presentations, presentation_requests


@dataclass(frozen=True, kw_only=True)
class HeldPresentation:
    """One held answer: the encrypted token and when it came."""

    ods: str
    request_id: str
    token: str
    received_at: datetime


async def keep(
    conn: AsyncConnection, *, request_id: str, token: str, received_at: datetime, expires_at: datetime
) -> bool:
    """Hold an answer; the first one for a request counts."""
    row = {
        "request_id": request_id,
        "token": token,
        "received_at": received_at,
        "expires_at": expires_at,
    }
    return await insert_once(conn, held_presentations, row)


async def waiting(conn: AsyncConnection, now: datetime, *, limit: int = 100) -> list[HeldPresentation]:
    """Held answers that are still worth judging, oldest first."""
    query = (
        select(held_presentations, presentation_requests.c.ods)
        .join(presentation_requests, presentation_requests.c.id == held_presentations.c.request_id)
        .where(held_presentations.c.expires_at > now)
        .order_by(held_presentations.c.received_at)
        .limit(limit)
    )
    return [
        HeldPresentation(
            ods=row["ods"],
            request_id=row["request_id"],
            token=row["token"],
            received_at=row["received_at"],
        )
        for row in (await conn.execute(query)).mappings()
    ]


async def forget(conn: AsyncConnection, request_id: str) -> None:
    """Drop a held answer."""
    await conn.execute(delete(held_presentations).where(held_presentations.c.request_id == request_id))


async def forget_expired(conn: AsyncConnection, now: datetime) -> int:
    """Drop what was held for ten minutes."""
    statement = delete(held_presentations).where(held_presentations.c.expires_at <= now)
    return int((await conn.execute(statement)).rowcount)
