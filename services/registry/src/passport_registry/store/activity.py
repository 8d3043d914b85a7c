"""Activity facts as rows, and the sums that reports read.

A fact and its sums are written in one transaction. Sums are added to in the order of their keys, the same for
everybody, so that no two writers wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.rules.activity import Count, CountKey, DurationKey, Event
from passport_registry.rules.reports import Timing
from passport_registry.store.activity_tables import (
    activity_counts,
    activity_durations,
    activity_facts,
    activity_imports,
)
from passport_registry.store.rows import many, one
from passport_shared.service.once import insert_once

_KEY = tuple(field.name for field in fields(CountKey))
_DURATION_KEY = tuple(field.name for field in fields(DurationKey))
AT_ONCE = 40
"""Rows per statement: SQLite takes 32,766 parameters, and a statement should stay readable in a log."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a fact came from: the API client that sent it, and the import it was part of."""

    client: str
    received_at: datetime
    import_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ImportRow:
    """One import: who typed in how much from where."""

    id: str
    source_note: str
    imported: int
    known: int
    actor: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class FactRow:
    """A fact as it is kept."""

    event_id: str
    kind: str
    source: str
    ods: str
    fact: Mapping[str, Any]
    import_id: str | None
    received_at: datetime


async def digests(conn: AsyncConnection, ids: Collection[str]) -> dict[str, str]:
    """The digests of facts that are known, by event id."""
    table = activity_facts
    query = select(table.c.event_id, table.c.digest).where(table.c.event_id.in_(list(ids)))
    return {row.event_id: row.digest for row in await conn.execute(query)}


async def add(conn: AsyncConnection, event: Event, provenance: Provenance) -> bool:
    """Write a fact unless its id is known; whether it was written. Its sums are the caller's to add."""
    return await insert_once(
        conn,
        activity_facts,
        {
            "event_id": event.id,
            "kind": event.kind.value,
            "source": event.fact.source.value,
            "ods": event.ods,
            "day": event.fact.day,
            "fact": event.fact.model_dump(mode="json"),
            "digest": event.digest,
            **vars(provenance),
        },
    )


async def add_counts(conn: AsyncConnection, counts: Sequence[Count]) -> None:
    """Add to the counts of these keys, which come in their order."""
    table = activity_counts
    rows = [
        {
            **{name: getattr(count.key, name) for name in _KEY},
            "n": count.n,
            "timed": count.timed,
            "seconds": count.seconds,
            "first_day": count.first_day,
            "last_day": count.last_day,
        }
        for count in counts
    ]
    smaller, larger = (func.min, func.max) if _is_sqlite(conn) else (func.least, func.greatest)

    def merged(new: Any) -> dict[str, ColumnElement[Any]]:
        sums = {name: table.c[name] + new[name] for name in ("n", "timed", "seconds")}
        return {
            **sums,
            "first_day": smaller(table.c.first_day, new["first_day"]),
            "last_day": larger(table.c.last_day, new["last_day"]),
        }

    await _add_up(conn, table, rows, _KEY, merged)


async def add_durations(conn: AsyncConnection, durations: Mapping[DurationKey, int]) -> None:
    """Add to the durations of these keys, which come in their order."""
    table = activity_durations
    rows = [{**{name: getattr(key, name) for name in _DURATION_KEY}, "n": n} for key, n in durations.items()]
    await _add_up(conn, table, rows, _DURATION_KEY, lambda new: {"n": table.c.n + new["n"]})


async def _add_up(
    conn: AsyncConnection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    key: Iterable[str],
    merged: Any,
) -> None:
    made = sqlite.insert if _is_sqlite(conn) else postgresql.insert
    for begin in range(0, len(rows), AT_ONCE):
        statement = made(table).values(list(rows[begin : begin + AT_ONCE]))
        change = merged(statement.excluded)
        await conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=change))


def _is_sqlite(conn: AsyncConnection) -> bool:
    return conn.dialect.name == "sqlite"


async def add_import(conn: AsyncConnection, row: ImportRow) -> None:
    """Write that an import happened."""
    await conn.execute(insert(activity_imports).values(**vars(row)))


async def count_import(conn: AsyncConnection, import_id: str, *, imported: int, known: int) -> None:
    """Write how many facts of an import were new, and how many known."""
    table = activity_imports
    await conn.execute(update(table).where(table.c.id == import_id).values(imported=imported, known=known))


async def get_import(conn: AsyncConnection, import_id: str) -> ImportRow | None:
    """An import by its id."""
    table = activity_imports
    return await one(conn, select(table).where(table.c.id == import_id), ImportRow)


async def facts_page(
    conn: AsyncConnection, *, ods: str | None, after: str | None, limit: int
) -> list[FactRow]:
    """Facts by event id, after a cursor; of one reporting trust if `ods` names it."""
    table = activity_facts
    columns = [table.c[field.name] for field in fields(FactRow)]
    query = select(*columns).order_by(table.c.event_id).limit(limit)
    if ods is not None:
        query = query.where(table.c.ods == ods)
    if after is not None:
        query = query.where(table.c.event_id > after)
    return await many(conn, query, FactRow)


async def counts(
    conn: AsyncConnection,
    kinds: Collection[str],
    *,
    first: str | None,
    last: str | None,
    by: Collection[str] = _KEY,
) -> list[Count]:
    """The counts of these kinds in the months from `first` to `last`, both included, by their keys.

    Only the parts of the key named in `by` are told apart; the database adds up the others, which are empty
    in what comes back.
    """
    table = activity_counts
    columns = [table.c[name] for name in _KEY if name in by]
    sums = [func.sum(table.c[name]).label(name) for name in ("n", "timed", "seconds")]
    days = [func.min(table.c.first_day).label("first_day"), func.max(table.c.last_day).label("last_day")]
    query = select(*columns, *sums, *days).where(table.c.kind.in_(list(kinds)), *_months(table, first, last))
    found = []
    for row in (await conn.execute(query.group_by(*columns).order_by(*columns))).mappings():
        key = CountKey(**{name: row[name] if name in by else "" for name in _KEY})
        whole = {name: int(row[name]) for name in ("n", "timed", "seconds")}
        found.append(Count(key=key, **whole, first_day=row["first_day"], last_day=row["last_day"]))
    return found


async def timings(
    conn: AsyncConnection, percents: Sequence[int], *, first: str | None, last: str | None
) -> list[Timing]:
    """The nearest-rank percentiles of every step by trust and channel, ranked by the database.

    Only what was seen to happen: imported facts carry no measured time.
    """
    table = activity_durations
    group = (table.c.step, table.c.ods, table.c.channel)
    summed = (
        select(*group, table.c.seconds, func.sum(table.c.n).label("n"))
        .where(table.c.source == "live", *_months(table, first, last))
        .group_by(*group, table.c.seconds)
        .subquery()
    )
    part = [summed.c.step, summed.c.ods, summed.c.channel]
    ranked = select(
        *part,
        summed.c.seconds,
        func.sum(summed.c.n).over(partition_by=part, order_by=summed.c.seconds).label("up_to"),
        func.sum(summed.c.n).over(partition_by=part).label("total"),
    ).subquery()
    # The nearest rank of p % is ceil(p·n/100): the least value at or below which so many lie.
    at = [
        func.min(ranked.c.seconds).filter(ranked.c.up_to * 100 >= ranked.c.total * percent)
        for percent in percents
    ]
    columns = [ranked.c.step, ranked.c.ods, ranked.c.channel]
    query = select(*columns, func.max(ranked.c.total), *at).group_by(*columns).order_by(*columns)
    return [
        Timing(step=row[0], ods=row[1], channel=row[2], n=int(row[3]), seconds=tuple(map(int, row[4:])))
        for row in await conn.execute(query)
    ]


def _months(table: Table, first: str | None, last: str | None) -> list[ColumnElement[bool]]:
    conditions = []
    if first is not None:
        conditions.append(table.c.month >= first)
    if last is not None:
        conditions.append(table.c.month <= last)
    return conditions
