"""Watches as rows: what is watched, what is due, and how far the comparing of lists and issuers has come.

Looking is by status list and by issuer, in pages, with the place where a round stopped in a row of its own:
a round that is killed goes on there, and two rounds beside each other do no harm.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, and_, case, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.once import insert_once
from passport_shared.service.schedule import is_due
from passport_verifier.rules.movement_state import MovementState
from passport_verifier.rules.outcome import Outcome
from passport_verifier.store.placement_tables import watched_issuers, watched_lists, watches
from passport_verifier.store.tables import movements, reliances, status_lists


class WatchState(StrEnum):  # PERSISTED
    """Whether a movement is watched still."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


WATCHED = (MovementState.READY, MovementState.ACTIVE)
"""States in which a watch begins; it lasts until the movement is over."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """One watch. ``due_at`` is set when something happened, ``judge_again`` when it happened in the world."""

    movement_id: str
    ods: str
    state: WatchState
    decision_id: str
    outcome: Outcome
    opened_at: datetime
    closed_at: datetime | None
    next_date: datetime | None
    due_at: datetime | None
    judge_again: bool


@dataclass(frozen=True, kw_only=True)
class WatchedCard:
    """One card of an open watch, as its decision relied on it."""

    movement_id: str
    ods: str
    issuer: str
    vct: str
    x5t_s256: str
    status_idx: int
    iat: datetime
    exp: datetime
    trust_finding: str
    status_finding: str


@dataclass(frozen=True, kw_only=True)
class ListToCompare:
    """A watched list with a newer token, or one that has grown old, and where the comparing stopped."""

    uri: str
    iat: datetime
    compared_to: str | None
    stale: bool


def _watch(row: RowMapping) -> Watch:
    return Watch(**{**row, "state": WatchState(row["state"]), "outcome": Outcome(row["outcome"])})


async def open_watch(
    conn: AsyncConnection, *, movement_id: str, ods: str, decision_id: str, outcome: Outcome, now: datetime
) -> bool:
    """Begin to watch a movement, looked at in the next round; whether it was not watched yet."""
    row = {
        "movement_id": movement_id,
        "ods": ods,
        "state": WatchState.OPEN,
        "decision_id": decision_id,
        "outcome": outcome,
        "opened_at": now,
        "due_at": now,
        "judge_again": False,
    }
    return await insert_once(conn, watches, row)


async def close(conn: AsyncConnection, movement_id: str, now: datetime) -> bool:
    """Stop watching a movement; whether it was watched."""
    statement = update(watches).where(
        watches.c.movement_id == movement_id, watches.c.state == WatchState.OPEN
    )
    values = {"state": WatchState.CLOSED, "closed_at": now, "due_at": None, "next_date": None}
    return (await conn.execute(statement.values(**values))).rowcount == 1


async def get(conn: AsyncConnection, ods: str, movement_id: str) -> Watch | None:
    """The watch of a movement of this host."""
    query = select(watches).where(watches.c.ods == ods, watches.c.movement_id == movement_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return _watch(row) if row else None


async def held(conn: AsyncConnection, movement_id: str) -> Watch | None:
    """Take a watch's row until the transaction ends, and return it as it is then."""
    same = update(watches).where(watches.c.movement_id == movement_id).values(ods=watches.c.ods)
    row = (await conn.execute(same.returning(*watches.c))).mappings().one_or_none()
    return _watch(row) if row else None


async def unwatched(conn: AsyncConnection, *, limit: int = 200) -> list[str]:
    """Movements that should be watched and are not: only after an upgrade, or a fault."""
    query = (
        select(movements.c.id)
        .where(
            movements.c.state.in_(list(WATCHED)),
            ~exists().where(watches.c.movement_id == movements.c.id),
        )
        .limit(limit)
    )
    return list((await conn.execute(query)).scalars())


async def notice(
    conn: AsyncConnection, movement_ids: Collection[str], now: datetime, *, judge_again: bool
) -> int:
    """Have open watches looked at in the next round; how many there are."""
    if not movement_ids:
        return 0
    values: dict[str, Any] = {"due_at": now}
    if judge_again:
        values["judge_again"] = True
    statement = update(watches).where(
        watches.c.movement_id.in_(sorted(movement_ids)), watches.c.state == WatchState.OPEN
    )
    return int((await conn.execute(statement.values(**values))).rowcount)


async def notice_newer(conn: AsyncConnection, movement_id: str, decision_id: str, now: datetime) -> None:
    """Have a movement's watch looked at if it still relies on an earlier decision than this one."""
    statement = update(watches).where(
        watches.c.movement_id == movement_id,
        watches.c.state == WatchState.OPEN,
        watches.c.decision_id != decision_id,
    )
    # What is due already is looked at anyway, and with what it is due for.
    await conn.execute(statement.values(due_at=func.coalesce(watches.c.due_at, now)))


async def due(conn: AsyncConnection, now: datetime, *, limit: int = 200) -> list[Watch]:
    """Open watches that something happened to, or whose next day has come, the longest waiting first."""
    open_ = watches.c.state == WatchState.OPEN
    happened = (
        select(watches).where(open_, is_due(watches.c.due_at, now, timedelta(0))).order_by(watches.c.due_at)
    )
    found = [_watch(row) for row in (await conn.execute(happened.limit(limit))).mappings()]
    if len(found) < limit:
        dated = select(watches).where(open_, watches.c.due_at.is_(None), watches.c.next_date <= now)
        rest = await conn.execute(dated.order_by(watches.c.next_date).limit(limit - len(found)))
        found += [_watch(row) for row in rest.mappings()]
    return found


async def looked(
    conn: AsyncConnection,
    watch: Watch,
    *,
    decision_id: str,
    outcome: Outcome,
    next_date: datetime | None,
) -> None:
    """Record that a watch, whose row is held, was looked at; what happened since stays due."""
    done = watches.c.due_at.is_not_distinct_from(watch.due_at)
    await conn.execute(
        update(watches)
        .where(watches.c.movement_id == watch.movement_id, watches.c.state == WatchState.OPEN)
        .values(
            decision_id=decision_id,
            outcome=outcome,
            next_date=next_date,
            due_at=case((done, None), else_=watches.c.due_at),
            judge_again=case((done, False), else_=watches.c.judge_again),
        )
    )


async def watch_cards(conn: AsyncConnection, decision_id: str) -> None:
    """Begin to watch the lists and issuers a decision relies on."""
    query = select(reliances.c.status_uri, reliances.c.issuer).where(reliances.c.decision_id == decision_id)
    rows = (await conn.execute(query)).all()
    # In one order, so that two rounds do not wait for each other in a circle.
    for uri in sorted({row.status_uri for row in rows}):
        await insert_once(conn, watched_lists, {"uri": uri, "stale_seen": False})
    for issuer in sorted({row.issuer for row in rows}):
        await insert_once(conn, watched_issuers, {"issuer": issuer})


async def hurry_lists(conn: AsyncConnection, *, every: timedelta, now: datetime) -> int:
    """Have watched lists fetched at least this often, whatever their time to live; how many are sooner."""
    table = status_lists
    watched = select(watched_lists.c.uri)
    late = or_(table.c.fetched_at.is_(None), table.c.fetched_at <= now - every)
    statement = (
        update(table)
        # One that failed keeps its pauses, but for those longer than this.
        .where(table.c.uri.in_(watched), table.c.next_fetch_at > now, late, table.c.failures == 0)
        .values(next_fetch_at=now)
    )
    return int((await conn.execute(statement)).rowcount)


async def lists_to_compare(conn: AsyncConnection, *, stale_before: datetime) -> list[ListToCompare]:
    """Watched lists with a token that not every watch was compared with, or that grew old unnoticed."""
    newer = or_(watched_lists.c.seen_iat.is_(None), watched_lists.c.seen_iat < status_lists.c.iat)
    aged = and_(status_lists.c.iat < stale_before, ~watched_lists.c.stale_seen)
    query = (
        select(watched_lists, status_lists.c.iat)
        .join(status_lists, status_lists.c.uri == watched_lists.c.uri)
        .where(status_lists.c.iat.is_not(None), or_(newer, aged))
        .order_by(watched_lists.c.uri)
    )
    found = []
    for row in (await conn.execute(query)).mappings():
        same = row["comparing_iat"] == row["iat"]
        found.append(
            ListToCompare(
                uri=row["uri"],
                iat=row["iat"],
                compared_to=row["compared_to"] if same else None,
                stale=row["iat"] < stale_before,
            )
        )
    return found


_OF_RELIANCE = tuple(name for name in WatchedCard.__dataclass_fields__ if name not in {"movement_id", "ods"})


def _cards(*where: Any, after: str | None, limit: int) -> Any:
    table = reliances
    query = (
        select(
            watches.c.movement_id,
            watches.c.ods,
            *(table.c[name] for name in _OF_RELIANCE),
        )
        .join(watches, watches.c.decision_id == table.c.decision_id)
        .where(watches.c.state == WatchState.OPEN, *where)
    )
    if after is not None:
        query = query.where(watches.c.movement_id > after)
    return query.order_by(watches.c.movement_id, table.c.credential).limit(limit)


async def cards_on_list(
    conn: AsyncConnection, uri: str, *, after: str | None, limit: int
) -> list[WatchedCard]:
    """A page of the cards whose status is in a list, by movement."""
    query = _cards(reliances.c.status_uri == uri, after=after, limit=limit)
    return [WatchedCard(**row) for row in (await conn.execute(query)).mappings()]


async def cards_of_issuer(
    conn: AsyncConnection, issuer: str, *, after: str | None, limit: int
) -> list[WatchedCard]:
    """A page of the cards of an issuer, by movement."""
    query = _cards(reliances.c.issuer == issuer, after=after, limit=limit)
    return [WatchedCard(**row) for row in (await conn.execute(query)).mappings()]


async def compared_list(conn: AsyncConnection, one: ListToCompare, *, to: str | None, whole: bool) -> None:
    """Record how far a list was compared; ``whole`` when every watch was."""
    values: dict[str, Any] = {"comparing_iat": one.iat, "compared_to": to}
    if whole:
        values = {"seen_iat": one.iat, "comparing_iat": None, "compared_to": None, "stale_seen": one.stale}
    await conn.execute(update(watched_lists).where(watched_lists.c.uri == one.uri).values(**values))


@dataclass(frozen=True, kw_only=True)
class WatchedIssuer:
    """An issuer whose credentials are relied on: what its mark said when every watch was compared with it."""

    issuer: str
    sequence: int | None
    standing: str | None
    comparing: str | None
    compared_to: str | None


async def issuers_to_compare(conn: AsyncConnection, sequence: int) -> list[WatchedIssuer]:
    """Watched issuers that were not looked up in this copy of the register, or not wholly."""
    seen = watched_issuers.c.sequence
    query = select(watched_issuers).where(or_(seen.is_(None), seen != sequence))
    rows = await conn.execute(query.order_by(watched_issuers.c.issuer))
    return [WatchedIssuer(**row) for row in rows.mappings()]


async def compared_issuer(
    conn: AsyncConnection,
    issuer: str,
    *,
    standing: str,
    sequence: int,
    to: str | None,
    whole: bool,
) -> None:
    """Record how far an issuer's cards were compared; ``whole`` when all were."""
    values: dict[str, Any] = {"comparing": standing, "compared_to": to}
    if whole:
        values = {"standing": standing, "sequence": sequence, "comparing": None, "compared_to": None}
    await conn.execute(update(watched_issuers).where(watched_issuers.c.issuer == issuer).values(**values))


async def same_issuers(conn: AsyncConnection, issuers: Collection[str], *, sequence: int) -> None:
    """Record that these issuers stand in a copy of the register as they stood in the one before."""
    values = {"sequence": sequence, "comparing": None, "compared_to": None}
    those = watched_issuers.c.issuer.in_(sorted(issuers))
    await conn.execute(update(watched_issuers).where(those).values(values))


async def forget_unwatched(conn: AsyncConnection) -> int:
    """Stop watching lists and issuers that no open watch relies on any more; how many lists."""
    open_ = select(reliances.c.decision_id).join(watches, watches.c.decision_id == reliances.c.decision_id)
    open_ = open_.where(watches.c.state == WatchState.OPEN)
    issuers = open_.where(reliances.c.issuer == watched_issuers.c.issuer).correlate(watched_issuers)
    lists = open_.where(reliances.c.status_uri == watched_lists.c.uri).correlate(watched_lists)
    await conn.execute(delete(watched_issuers).where(~issuers.exists()))
    gone = await conn.execute(delete(watched_lists).where(~lists.exists()))
    return int(gone.rowcount)


async def watch_again(conn: AsyncConnection) -> int:
    """Watch the lists and issuers that open watches rely on and nobody watches; how many lists.

    A watch that came to rely on one at the very moment it was forgotten could not see that. What is watched
    anew is compared with every watch from the start, so that nothing is missed in between.
    """
    relied = (watches.c.decision_id == reliances.c.decision_id) & (watches.c.state == WatchState.OPEN)
    known_lists, known_issuers = select(watched_lists.c.uri), select(watched_issuers.c.issuer)
    lists = select(reliances.c.status_uri).distinct().join(watches, relied)
    issuers = select(reliances.c.issuer).distinct().join(watches, relied)
    uris = (await conn.execute(lists.where(reliances.c.status_uri.not_in(known_lists)))).scalars().all()
    for uri in sorted(uris):
        await insert_once(conn, watched_lists, {"uri": uri, "stale_seen": False})
    missing = (await conn.execute(issuers.where(reliances.c.issuer.not_in(known_issuers)))).scalars().all()
    for issuer in sorted(missing):
        await insert_once(conn, watched_issuers, {"issuer": issuer})
    return len(uris)
