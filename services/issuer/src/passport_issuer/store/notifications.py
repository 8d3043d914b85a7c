"""Events a wallet has notified, so that a repetition is known as one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.store import tables as t
from passport_shared.service.once import insert_once


async def first(conn: AsyncConnection, notification_id: str, event: str, at: datetime) -> bool:
    """Record an event; whether it is the first of its kind for this answer."""
    return await insert_once(
        conn, t.notifications, {"notification_id": notification_id, "event": event, "received_at": at}
    )
