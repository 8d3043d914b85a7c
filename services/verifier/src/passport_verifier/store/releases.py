"""Releases as rows: what the employing trust said, and the cap it may put on the days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.wire.release import ReleaseState
from passport_verifier.store.release_tables import releases
from passport_verifier.store.tables import movements


@dataclass(frozen=True, kw_only=True)
class StoredRelease:
    """One Release: its codes in the clear, the signed message and the words of its limits sealed.

    ``limits`` are codes and days; ``holder_commitment`` commits to the passport it releases.
    """

    id: str
    ods: str
    movement_id: str
    request_id: str
    terms_version: int
    serial: int
    state: ReleaseState
    end: date | None
    statement: str | None
    decline_code: str | None
    limits: Sequence[Mapping[str, Any]]
    overlap_warning: bool
    line_manager_at: datetime | None
    hr_at: datetime | None
    holder_commitment: str | None
    message_sha256: str
    sealed: bytes
    signed_at: datetime
    expires_at: datetime
    received_at: datetime
    mismatch_with: str | None = None

    @property
    def not_before(self) -> date | None:
        """The first day it releases, where a limit names one."""
        days = [date.fromisoformat(limit["date"]) for limit in self.limits if limit["code"] == "NOT_BEFORE"]
        return max(days, default=None)


def _release(row: RowMapping) -> StoredRelease:
    return StoredRelease(**{**row, "state": ReleaseState(row["state"])})


async def add(conn: AsyncConnection, release: StoredRelease) -> None:
    """Store a Release; the caller holds its request, and has compared the serials."""
    await conn.execute(insert(releases).values(**vars(release)))


async def newest_of_request(conn: AsyncConnection, request_id: str) -> StoredRelease | None:
    """The Release with the highest serial of a request."""
    query = (
        select(releases)
        .where(releases.c.request_id == request_id)
        .order_by(releases.c.serial.desc())
        .limit(1)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return _release(row) if row else None


async def newest_of(conn: AsyncConnection, movement_id: str) -> StoredRelease | None:
    """The newest Release of a movement: of its newest answered request, the highest serial."""
    query = (
        select(releases)
        .where(releases.c.movement_id == movement_id)
        .order_by(releases.c.request_id.desc(), releases.c.serial.desc())
        .limit(1)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return _release(row) if row else None


async def tell_mismatch(conn: AsyncConnection, release_id: str, decision_id: str) -> bool:
    """Note that a mismatch with a decision is told; whether it was not before."""
    statement = update(releases).where(
        releases.c.id == release_id, releases.c.mismatch_with.is_distinct_from(decision_id)
    )
    return (await conn.execute(statement.values(mismatch_with=decision_id))).rowcount == 1


async def cap_end(conn: AsyncConnection, movement_id: str, end: date | None, at: datetime) -> bool:
    """Cap a movement's last day, or lift the cap; whether that changed anything."""
    statement = update(movements).where(
        movements.c.id == movement_id, movements.c.capped_end.is_distinct_from(end)
    )
    values = {"capped_end": end, "updated_at": at, "version": movements.c.version + 1}
    return (await conn.execute(statement.values(**values))).rowcount == 1


async def last_day_of(conn: AsyncConnection, movement_id: str) -> date | None:
    """The last day of a movement as it is released: the earlier of its end and the cap."""
    query = select(movements.c.end, movements.c.capped_end).where(movements.c.id == movement_id)
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        return None
    end: date = row.end
    return end if row.capped_end is None else min(end, row.capped_end)
