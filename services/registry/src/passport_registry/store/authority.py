"""Certificates of the anchor itself: root, issuing authority, and the leaf of its status key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.store import tables
from passport_registry.store.rows import one

_T = tables.authority_certificates


@dataclass(frozen=True, kw_only=True)
class AuthorityCertificate:
    """One certificate of the anchor, for the key `kid`."""

    name: str
    kid: str
    der: bytes
    not_before: datetime
    not_after: datetime
    created_at: datetime


async def get(conn: AsyncConnection, name: str) -> AuthorityCertificate | None:
    """Return the certificate under this name."""
    return await one(conn, select(_T).where(_T.c.name == name), AuthorityCertificate)


async def add(conn: AsyncConnection, row: AuthorityCertificate) -> None:
    """Insert a certificate.

    Raises:
        IntegrityError: there is one under its name.
    """
    await conn.execute(insert(_T).values(**vars(row)))


async def forget_leaf(conn: AsyncConnection, name: str, *, kid: str, begun_at: datetime) -> None:
    """Make room for the successor of a leaf: of another key, or begun otherwise; never of an authority."""
    old = or_(_T.c.kid != kid, _T.c.not_before != begun_at)
    await conn.execute(delete(_T).where(_T.c.name == name, old))
