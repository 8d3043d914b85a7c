"""One-time links as rows: known by the hash of their token, used once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_verifier.store.release_tables import agreement_links


@dataclass(frozen=True, kw_only=True)
class AgreementLink:
    """One link to the page on which a staff member answers; it is for the terms it was made for."""

    id: str
    ods: str
    movement_id: str
    terms_version: int
    token_hash: str
    created_at: datetime
    created_by: Mapping[str, Any]
    expires_at: datetime
    used_at: datetime | None

    def open_at(self, now: datetime) -> bool:
        """Whether it can still be used."""
        return self.used_at is None and now < self.expires_at


def _link(row: RowMapping) -> AgreementLink:
    return AgreementLink(**row)


async def add(conn: AsyncConnection, link: AgreementLink) -> None:
    """Store a link."""
    await conn.execute(insert(agreement_links).values(**vars(link)))


async def get(conn: AsyncConnection, ods: str, link_id: str) -> AgreementLink | None:
    """One link of an organisation, by its id."""
    query = select(agreement_links).where(agreement_links.c.id == link_id, agreement_links.c.ods == ods)
    row = (await conn.execute(query)).mappings().one_or_none()
    return _link(row) if row else None


async def by_hash(conn: AsyncConnection, ods: str, token_hash: str) -> AgreementLink | None:
    """One link of an organisation, by the hash of its token."""
    query = select(agreement_links).where(
        agreement_links.c.token_hash == token_hash, agreement_links.c.ods == ods
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return _link(row) if row else None


async def use(conn: AsyncConnection, link_id: str, now: datetime) -> bool:
    """Use a link; whether it was still to be used."""
    statement = update(agreement_links).where(
        agreement_links.c.id == link_id,
        agreement_links.c.used_at.is_(None),
        agreement_links.c.expires_at > now,
    )
    return (await conn.execute(statement.values(used_at=now))).rowcount == 1


async def close_open(conn: AsyncConnection, movement_id: str, now: datetime) -> None:
    """Let a movement's older links run out: the newest one is the one to use."""
    statement = update(agreement_links).where(
        agreement_links.c.movement_id == movement_id,
        agreement_links.c.used_at.is_(None),
        agreement_links.c.expires_at > now,
    )
    await conn.execute(statement.values(expires_at=now))
