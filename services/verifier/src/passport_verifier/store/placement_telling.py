"""What the host's issuer has to hear of placements, and where it is: leased, told, tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.db import UtcDateTime
from passport_shared.service.once import insert_once
from passport_shared.service.schedule import is_due
from passport_verifier.rules.placements import LONGEST_PAUSE
from passport_verifier.store.placement_tables import placement_issuers, placements
from passport_verifier.store.placements import Placement, placement_of

LEASE = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class PlacementIssuer:
    """Where a host's own issuer is."""

    ods: str
    issuer_url: str
    changed_at: datetime
    changed_by: Mapping[str, Any]
    version: int


def _untold(now: datetime) -> Any:
    free = or_(placements.c.lease_until.is_(None), is_due(placements.c.lease_until, now, LEASE))
    return and_(placements.c.told_revision < placements.c.revision, free)


async def to_tell(conn: AsyncConnection, now: datetime, *, limit: int = 100) -> list[str]:
    """Movements whose placement the issuer has to hear of now, the longest waiting first."""
    query = select(placements.c.movement_id).where(
        _untold(now), is_due(placements.c.next_try_at, now, LONGEST_PAUSE)
    )
    return list((await conn.execute(query.order_by(placements.c.next_try_at).limit(limit))).scalars())


async def lease(conn: AsyncConnection, movement_id: str, holder: str, now: datetime) -> Placement | None:
    """Take a placement that the issuer has not heard of, for a minute; None if it has, or it is taken.

    It is not due again before: one that nobody can finish does not stand in front of the others.
    """
    statement = (
        update(placements)
        .where(placements.c.movement_id == movement_id, _untold(now))
        .values(holder=holder, lease_until=now + LEASE, next_try_at=now + LEASE)
        .returning(*placements.c)
    )
    row = (await conn.execute(statement)).mappings().one_or_none()
    return placement_of(row) if row else None


async def told(
    conn: AsyncConnection,
    placement: Placement,
    holder: str,
    *,
    offer: Mapping[str, Any] | None,
    taken_at: datetime | None,
) -> bool:
    """Record that the issuer has heard of a placement as it was when leased; False if that was lost."""
    statement = (
        update(placements)
        .where(placements.c.movement_id == placement.movement_id, placements.c.holder == holder)
        .values(
            told_revision=placement.revision,
            offer=dict(offer) if offer is not None else None,
            taken_at=taken_at,
            holder=None,
            lease_until=None,
            attempts=0,
            last_error=None,
        )
    )
    return (await conn.execute(statement)).rowcount == 1


async def not_told(
    conn: AsyncConnection, placement: Placement, holder: str, *, error: str, next_try_at: datetime
) -> None:
    """Record that the issuer could not be told, and when to try again.

    What was changed meanwhile (the placement, or where its issuer is) has asked for a try of its own: that
    one is not put off by the failure of what it replaces.
    """
    statement = update(placements).where(
        placements.c.movement_id == placement.movement_id, placements.c.holder == holder
    )
    unchanged = and_(
        placements.c.revision == placement.revision, placements.c.next_try_at == placement.next_try_at
    )
    await conn.execute(
        statement.values(
            holder=None,
            lease_until=None,
            attempts=case((unchanged, placement.attempts + 1), else_=placements.c.attempts),
            next_try_at=case((unchanged, literal(next_try_at, UtcDateTime)), else_=placements.c.next_try_at),
            last_error=error,
        )
    )


async def keep_offer(conn: AsyncConnection, movement_id: str, offer: Mapping[str, Any] | None) -> None:
    """Keep a newer answer of the issuer's about its offer."""
    statement = update(placements).where(placements.c.movement_id == movement_id)
    await conn.execute(statement.values(offer=dict(offer) if offer is not None else None))


async def issuer_of(conn: AsyncConnection, ods: str) -> PlacementIssuer | None:
    """Where a host's issuer is; None where nobody has said."""
    query = select(placement_issuers).where(placement_issuers.c.ods == ods)
    row = (await conn.execute(query)).mappings().one_or_none()
    return PlacementIssuer(**row) if row else None


async def set_issuer(conn: AsyncConnection, issuer: PlacementIssuer) -> bool:
    """Say where a host's issuer is; ``version`` is one more than what is stored, else False."""
    if issuer.version == 1:
        return await insert_once(conn, placement_issuers, dict(vars(issuer)))
    statement = update(placement_issuers).where(
        placement_issuers.c.ods == issuer.ods, placement_issuers.c.version == issuer.version - 1
    )
    changed = (await conn.execute(statement.values(**vars(issuer)))).rowcount == 1
    if changed:
        # What waits for an issuer that could not be reached is tried at the new place at once.
        waiting = (placements.c.ods == issuer.ods, placements.c.told_revision < placements.c.revision)
        await conn.execute(update(placements).where(*waiting).values(next_try_at=issuer.changed_at))
    return changed
