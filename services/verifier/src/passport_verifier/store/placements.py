"""Placements as rows: started once, held and let go, ended once, and told to the host's issuer.

Every change of state is one conditional statement, so that of many who want it one does it. ``revision``
counts what the issuer has to know; who tells it leases the row for that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, Select, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.once import insert_once
from passport_shared.service.paging import PageQuery, fetch_page
from passport_verifier.rules.movement_state import OVER, MovementState
from passport_verifier.store.placement_tables import placements
from passport_verifier.store.tables import decisions, movements


class PlacementState(StrEnum):  # PERSISTED
    """Where a placement stands.

    PREPARED: started by HR, its first day or the local induction is still to come. ACTIVE: begun. ON_HOLD:
    begun, and stopped until what is missing is there again. ENDED: over, for ever.
    """

    PREPARED = "PREPARED"
    ACTIVE = "ACTIVE"
    ON_HOLD = "ON_HOLD"
    ENDED = "ENDED"


class EndReason(StrEnum):  # PERSISTED
    """Why a placement ended: by HR, after its last day, or with its movement."""

    CLOSED = "CLOSED"
    LAST_DAY = "LAST_DAY"
    MOVEMENT_OVER = "MOVEMENT_OVER"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One placement; ``state`` is never ON_HOLD here (``shown``); ``offer`` is the issuer's answer."""

    movement_id: str
    ods: str
    state: PlacementState
    on_hold: bool
    held_at: datetime | None
    start: date
    end: date
    decision_id: str
    holder_jkt: str
    post: Mapping[str, Any]
    begun_at: datetime | None
    ended_at: datetime | None
    ended_by: Mapping[str, Any] | None
    end_reason: EndReason | None
    checklist: Mapping[str, Any] | None
    created_at: datetime
    created_by: Mapping[str, Any]
    revision: int
    told_revision: int
    taken_at: datetime | None
    offer: Mapping[str, Any] | None
    holder: str | None
    lease_until: datetime | None
    attempts: int
    next_try_at: datetime
    last_error: str | None
    erased_at: datetime | None

    @property
    def shown(self) -> PlacementState:
        """The state people are shown."""
        return _shown(self.state, on_hold=self.on_hold)


def _shown(state: PlacementState, *, on_hold: bool) -> PlacementState:
    return PlacementState.ON_HOLD if on_hold and state is PlacementState.ACTIVE else state


def placement_of(row: RowMapping) -> Placement:
    """A placement from a row that has its columns."""
    reason = row["end_reason"]
    values = {column.name: row[column.name] for column in placements.c}
    return Placement(
        **{
            **values,
            "state": PlacementState(row["state"]),
            "end_reason": EndReason(reason) if reason else None,
        }
    )


async def state_of(conn: AsyncConnection, movement_id: str) -> PlacementState | None:
    """The state of a movement's placement; None where none was started.

    A placement that is put on hold before it begins stays PREPARED: it cannot begin, and nothing has to stop.
    """
    found = await of_movement(conn, movement_id)
    return found.shown if found else None


async def of_movement(conn: AsyncConnection, movement_id: str) -> Placement | None:
    """A movement's placement."""
    query = select(placements).where(placements.c.movement_id == movement_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return placement_of(row) if row else None


async def get(conn: AsyncConnection, ods: str, movement_id: str) -> Placement | None:
    """A placement of this host."""
    found = await of_movement(conn, movement_id)
    return found if found is not None and found.ods == ods else None


async def add(conn: AsyncConnection, placement: Placement) -> bool:
    """Store a placement unless its movement has one; whether it was stored."""
    return await insert_once(conn, placements, dict(vars(placement)))


async def page(
    conn: AsyncConnection, ods: str, query: PageQuery, *, state: PlacementState | None
) -> tuple[list[Placement], str | None]:
    """A host's placements, newest first."""
    statement: Select[Any] = select(placements).where(placements.c.ods == ods)
    if state is PlacementState.ON_HOLD:
        statement = statement.where(placements.c.state == PlacementState.ACTIVE, placements.c.on_hold)
    elif state is PlacementState.ACTIVE:
        statement = statement.where(placements.c.state == state, ~placements.c.on_hold)
    elif state is not None:
        statement = statement.where(placements.c.state == state)
    rows, following = await fetch_page(
        conn,
        statement,
        list_name=f"placements {ods} {state}",
        order_by=[placements.c.movement_id],
        query=query,
        descending=True,
    )
    return [placement_of(row._mapping) for row in rows], following


async def _change(conn: AsyncConnection, movement_id: str, *where: Any, **values: Any) -> bool:
    running = placements.c.state != PlacementState.ENDED
    statement = update(placements).where(placements.c.movement_id == movement_id, running, *where)
    return (await conn.execute(statement.values(**values))).rowcount == 1


def _to_be_told(now: datetime) -> dict[str, Any]:
    return {"revision": placements.c.revision + 1, "next_try_at": now, "attempts": 0}


async def begin(conn: AsyncConnection, movement_id: str, *, now: datetime, today: date) -> bool:
    """Begin a prepared placement whose first day has come; whether it began now."""
    where = (
        placements.c.state == PlacementState.PREPARED,
        placements.c.start <= today,
        placements.c.end >= today,
        ~placements.c.on_hold,
    )
    return await _change(conn, movement_id, *where, state=PlacementState.ACTIVE, begun_at=now)


async def hold(conn: AsyncConnection, movement_id: str, now: datetime) -> bool:
    """Put a placement on hold; whether it was not."""
    values = {"on_hold": True, "held_at": now, **_to_be_told(now)}
    return await _change(conn, movement_id, ~placements.c.on_hold, **values)


async def reinstate(conn: AsyncConnection, movement_id: str, now: datetime) -> bool:
    """Take a placement off hold; whether it was on hold."""
    return await _change(conn, movement_id, placements.c.on_hold, on_hold=False, **_to_be_told(now))


async def cap(conn: AsyncConnection, movement_id: str, end: date, now: datetime) -> bool:
    """Give a placement another last day; whether it had another one."""
    return await _change(conn, movement_id, placements.c.end != end, end=end, **_to_be_told(now))


async def rebind(
    conn: AsyncConnection, movement_id: str, *, decision_id: str, holder_jkt: str, now: datetime
) -> bool:
    """Issue a placement to another key, shared and confirmed since; whether it is another one."""
    other = placements.c.holder_jkt != holder_jkt
    values = {"decision_id": decision_id, "holder_jkt": holder_jkt, **_to_be_told(now)}
    return await _change(conn, movement_id, other, **values)


async def end(
    conn: AsyncConnection,
    movement_id: str,
    *,
    now: datetime,
    by: Mapping[str, Any],
    reason: EndReason,
    checklist: Mapping[str, Any] | None = None,
) -> bool:
    """End a placement; whether it was running."""
    values = {
        "state": PlacementState.ENDED,
        "ended_at": now,
        "ended_by": dict(by),
        "end_reason": reason,
        "checklist": dict(checklist) if checklist is not None else None,
        **_to_be_told(now),
    }
    return await _change(conn, movement_id, **values)


async def check_off(conn: AsyncConnection, movement_id: str, checklist: Mapping[str, Any]) -> bool:
    """Record the checklist of a placement that ended by itself; whether there was none yet."""
    statement = update(placements).where(
        placements.c.movement_id == movement_id,
        placements.c.state == PlacementState.ENDED,
        placements.c.checklist.is_(None),
    )
    return (await conn.execute(statement.values(checklist=dict(checklist)))).rowcount == 1


async def to_begin(conn: AsyncConnection, today: date, *, limit: int = 200) -> list[str]:
    """Movements whose placement can begin: its first day has come and the local induction is recorded.

    Those that are ready come first, and the others in no order: what else keeps one back may take long, and
    a full round of such must not be the same ones every time.
    """
    query = (
        select(placements.c.movement_id)
        .join(movements, movements.c.id == placements.c.movement_id)
        .where(
            placements.c.state == PlacementState.PREPARED,
            placements.c.start <= today,
            placements.c.end >= today,
            ~placements.c.on_hold,
            movements.c.inducted_on.is_not(None),
        )
    )
    ready = case((movements.c.state == MovementState.READY, 0), else_=1)
    return list((await conn.execute(query.order_by(ready, func.random()).limit(limit))).scalars())


async def over(conn: AsyncConnection, today: date, *, limit: int = 200) -> list[str]:
    """Movements whose placement has had its last day."""
    running = placements.c.state.in_([PlacementState.PREPARED, PlacementState.ACTIVE])
    query = select(placements.c.movement_id).where(running, placements.c.end < today)
    return list((await conn.execute(query.order_by(placements.c.end).limit(limit))).scalars())


async def outlived(conn: AsyncConnection, *, limit: int = 200) -> list[str]:
    """Movements that are over while their placement is not."""
    query = (
        select(placements.c.movement_id)
        .join(movements, movements.c.id == placements.c.movement_id)
        .where(placements.c.state != PlacementState.ENDED, movements.c.state.in_(sorted(OVER)))
    )
    return list((await conn.execute(query.limit(limit))).scalars())


async def erasable(conn: AsyncConnection, *, ended_before: datetime, limit: int = 200) -> list[Placement]:
    """Placements that ended so long ago that what is sealed for them goes."""
    query = (
        select(placements)
        .where(
            placements.c.state == PlacementState.ENDED,
            placements.c.erased_at.is_(None),
            placements.c.ended_at <= ended_before,
        )
        .limit(limit)
    )
    return [placement_of(row) for row in (await conn.execute(query)).mappings()]


async def erase(conn: AsyncConnection, movement_id: str, now: datetime) -> None:
    """Delete the data key of a movement: nothing that is sealed under it can be read any more."""
    await conn.execute(update(movements).where(movements.c.id == movement_id).values(data_key=b""))
    mine = placements.c.movement_id == movement_id
    await conn.execute(update(placements).where(mine).values(erased_at=now))


async def sealed_person(conn: AsyncConnection, decision_id: str) -> tuple[str, bytes] | None:
    """(decision, sealed names and birthdate) of the answer a decision was made from, while they are kept."""
    request = select(decisions.c.request_id).where(decisions.c.id == decision_id).scalar_subquery()
    query = select(decisions.c.id, decisions.c.sealed_person).where(
        decisions.c.request_id == request, decisions.c.sealed_person.is_not(None)
    )
    row = (await conn.execute(query)).first()
    return (row.id, row.sealed_person) if row else None


async def forget_person(conn: AsyncConnection, movement_id: str) -> None:
    """Erase names and birthdate: the host's issuer has them, or nobody needs them."""
    kept = (decisions.c.movement_id == movement_id, decisions.c.sealed_person.is_not(None))
    await conn.execute(update(decisions).where(*kept).values(sealed_person=None))


async def forget_people(conn: AsyncConnection, *, received_before: datetime) -> int:
    """Erase the names of answers that came so long ago, or whose movement is over; of how many."""
    ended = select(movements.c.id).where(movements.c.state.in_(sorted(OVER)))
    statement = update(decisions).where(
        decisions.c.sealed_person.is_not(None),
        or_(decisions.c.received_at <= received_before, decisions.c.movement_id.in_(ended)),
    )
    return int((await conn.execute(statement.values(sealed_person=None))).rowcount)
