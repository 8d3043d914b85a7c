"""Release requests as rows: composed, signed once, delivered, asked after until the movement is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.schedule import is_due
from passport_verifier.store.release_tables import release_requests

CLAIM = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
"""Between two looks at the same Release."""
"""How long one replica has for one pull before another takes it up."""


class ReleaseRequestState(StrEnum):  # PERSISTED
    """COMPOSED is on its way, REQUESTED has arrived, ANSWERED has a Release; the others are ends."""

    COMPOSED = "COMPOSED"
    REQUESTED = "REQUESTED"
    ANSWERED = "ANSWERED"
    REFUSED = "REFUSED"
    UNDELIVERED = "UNDELIVERED"
    REPLACED = "REPLACED"


LIVE = (ReleaseRequestState.COMPOSED, ReleaseRequestState.REQUESTED, ReleaseRequestState.ANSWERED)
ARRIVED = (ReleaseRequestState.REQUESTED, ReleaseRequestState.ANSWERED)


@dataclass(frozen=True, kw_only=True)
class StoredRequest:
    """One release request; what is sealed is gone once it has arrived, or cannot arrive any more."""

    id: str
    ods: str
    movement_id: str
    terms_version: int
    employing_ods: str
    jti: str
    issuer: str
    by_holder_ref: bool
    duties_sha256: str
    last_day: date
    sealed_claims: bytes | None
    sealed_message: bytes | None
    request_sha256: str | None
    state: ReleaseRequestState
    refusal: str | None
    created_at: datetime
    created_by: Mapping[str, Any]
    answer_by: datetime
    delivered_at: datetime | None
    release_uri: str | None
    etag: str | None
    next_pull_at: datetime | None
    pulls: int
    pulled_at: datetime | None
    last_refusal: str | None
    last_refusal_sha256: str | None
    last_refusal_at: datetime | None


def _request(row: RowMapping) -> StoredRequest:
    return StoredRequest(**{**row, "state": ReleaseRequestState(row["state"])})


async def add(conn: AsyncConnection, request: StoredRequest) -> None:
    """Store a new request; IntegrityError while another one of the movement counts."""
    await conn.execute(insert(release_requests).values(**vars(request)))


async def get(conn: AsyncConnection, request_id: str) -> StoredRequest | None:
    """One request."""
    query = select(release_requests).where(release_requests.c.id == request_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return _request(row) if row else None


async def newest_of(conn: AsyncConnection, movement_id: str) -> StoredRequest | None:
    """The newest request of a movement, whatever became of it."""
    query = (
        select(release_requests)
        .where(release_requests.c.movement_id == movement_id)
        .order_by(release_requests.c.id.desc())
        .limit(1)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return _request(row) if row else None


async def replace_live(conn: AsyncConnection, movement_id: str) -> None:
    """Let a movement's live request count no more; what is sealed of it goes."""
    statement = update(release_requests).where(
        release_requests.c.movement_id == movement_id, release_requests.c.state.in_(LIVE)
    )
    await conn.execute(
        statement.values(
            state=ReleaseRequestState.REPLACED, sealed_claims=None, sealed_message=None, next_pull_at=None
        )
    )


async def keep_message(
    conn: AsyncConnection, request_id: str, *, sealed_message: bytes, request_sha256: str
) -> bool:
    """Keep the signed message, once; whether it was this one."""
    statement = update(release_requests).where(
        release_requests.c.id == request_id,
        release_requests.c.state == ReleaseRequestState.COMPOSED,
        release_requests.c.sealed_message.is_(None),
    )
    values = {"sealed_message": sealed_message, "request_sha256": request_sha256, "sealed_claims": None}
    return (await conn.execute(statement.values(**values))).rowcount == 1


async def delivered(
    conn: AsyncConnection, request_id: str, *, release_uri: str, at: datetime, next_pull_at: datetime
) -> bool:
    """Record that it arrived and erase the words for the person; whether this call did."""
    statement = update(release_requests).where(
        release_requests.c.id == request_id, release_requests.c.state == ReleaseRequestState.COMPOSED
    )
    values = {
        "state": ReleaseRequestState.REQUESTED,
        "sealed_claims": None,
        "sealed_message": None,
        "delivered_at": at,
        "release_uri": release_uri,
        "next_pull_at": next_pull_at,
    }
    return (await conn.execute(statement.values(**values))).rowcount == 1


async def given_up(
    conn: AsyncConnection, request_id: str, state: ReleaseRequestState, *, refusal: str
) -> bool:
    """Record that it was refused or never arrived, erasing the words for the person; whether this did."""
    statement = update(release_requests).where(
        release_requests.c.id == request_id, release_requests.c.state == ReleaseRequestState.COMPOSED
    )
    values = {"state": state, "refusal": refusal, "sealed_claims": None, "sealed_message": None}
    return (await conn.execute(statement.values(**values))).rowcount == 1


async def due(conn: AsyncConnection, now: datetime, *, limit: int = 100) -> list[str]:
    """Requests whose Release is to be looked at, the longest waiting first."""
    query = (
        select(release_requests.c.id)
        .where(
            release_requests.c.state.in_(ARRIVED), is_due(release_requests.c.next_pull_at, now, LONGEST_PAUSE)
        )
        .order_by(release_requests.c.next_pull_at)
        .limit(limit)
    )
    return list((await conn.execute(query)).scalars())


async def take_pull(
    conn: AsyncConnection, request_id: str, now: datetime, *, due_only: bool
) -> StoredRequest | None:
    """Take one pull for this replica; None if it is not due or another replica has it."""
    table = release_requests
    statement = update(table).where(table.c.id == request_id, table.c.state.in_(ARRIVED))
    if due_only:
        statement = statement.where(is_due(table.c.next_pull_at, now, LONGEST_PAUSE))
    row = (
        (await conn.execute(statement.values(next_pull_at=now + CLAIM).returning(*table.c)))
        .mappings()
        .first()
    )
    return _request(row) if row else None


async def pulled(
    conn: AsyncConnection,
    request_id: str,
    *,
    at: datetime,
    pulls: int,
    next_pull_at: datetime | None,
    etag: str | None,
) -> None:
    """Record that the Release was looked at, and when it is to be looked at again."""
    table = release_requests
    values = {"pulled_at": at, "pulls": pulls, "next_pull_at": next_pull_at, "etag": etag}
    await conn.execute(
        update(table).where(table.c.id == request_id, table.c.state.in_(ARRIVED)).values(**values)
    )


async def refused(
    conn: AsyncConnection, request_id: str, *, reason: str, message_sha256: str, at: datetime
) -> bool:
    """Record why an answer was not accepted; whether this is another refusal than the last one."""
    table = release_requests
    same = and_(table.c.last_refusal == reason, table.c.last_refusal_sha256 == message_sha256)
    statement = update(table).where(table.c.id == request_id, or_(table.c.last_refusal.is_(None), ~same))
    values = {"last_refusal": reason, "last_refusal_sha256": message_sha256, "last_refusal_at": at}
    return (await conn.execute(statement.values(**values))).rowcount == 1


async def answered(conn: AsyncConnection, request_id: str) -> bool:
    """Hold a live, delivered request and note that it is answered; False if it counts no more."""
    table = release_requests
    statement = update(table).where(table.c.id == request_id, table.c.state.in_(ARRIVED))
    return (await conn.execute(statement.values(state=ReleaseRequestState.ANSWERED))).rowcount == 1
