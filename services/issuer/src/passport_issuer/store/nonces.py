"""Nonces that were consumed, kept until they could not be replayed anyway."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.store import tables as t
from passport_shared.service.once import insert_once


async def use(conn: AsyncConnection, nonce_hash: str, expires_at: datetime) -> bool:
    """Consume a nonce; exactly one caller ever gets True."""
    return await insert_once(conn, t.used_nonces, {"nonce_hash": nonce_hash, "expires_at": expires_at})


async def forget(conn: AsyncConnection, now: datetime) -> int:
    """Forget nonces that have expired; how many."""
    gone = await conn.execute(delete(t.used_nonces).where(t.used_nonces.c.expires_at <= now))
    return gone.rowcount
