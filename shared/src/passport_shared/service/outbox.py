"""Outbox: what happened, told to other systems as CloudEvents, at least once and in order (design §6).

An event is written in the transaction of the change. A placer then gives events their position, one writer by
lease, so that a reader with a cursor never misses one that committed late. Every sink has its own cursor:
events are posted in order, signed, until the sink has accepted them; a sink that fails is asked again with
growing pauses and holds up nobody else. One event that a sink refuses for what it is, again and again, is set
aside for a person to look at, so that it does not hold up those behind it. Receivers find doubles by the
event's id. Events carry ids and codes, never personal data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.formats.freshness import CLOCK_LEEWAY
from passport_shared.formats.ids import new_id
from passport_shared.formats.strict import dumps
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.service import failpoints
from passport_shared.service.db import Database, JsonText, UtcDateTime
from passport_shared.service.http_signatures import sign_request
from passport_shared.service.job_queue import LONGEST_PAUSE, pause_after
from passport_shared.service.jobs import Lease, LeaseLost, Leases
from passport_shared.service.keys import KeyStore
from passport_shared.service.once import insert_once
from passport_shared.service.service_client import CLIENT_KEY
from passport_shared.wire.activity import ACTIVITY_TYPES, EVENTS_PATH

EVENT_KEY = CLIENT_KEY
"""Purpose of the key that signs deliveries: the service's key as an API client, so that who receives an event
knows it from the client directory."""
MEDIA_TYPE = "application/cloudevents+json"
BATCH = 500
DELIVERIES_PER_RUN = 200
LEASE = timedelta(seconds=60)
MAX_DATA_BYTES = 16_384
REFUSALS_BEFORE_SET_ASIDE = 5
NOT_THE_EVENTS_FAULT = frozenset({401, 403, 404, 408, 425, 429})
"""Refusals that somebody can put right at the receiver: the event waits, however long."""

_TYPE = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+\Z")
_REF = re.compile(r"[\x21-\x7e]{0,256}\Z")
_CURSOR = re.compile(r"(?:0|[1-9][0-9]{0,17})\Z")

log = structlog.get_logger()


@dataclass(frozen=True)
class OutboxTables:
    """Tables of the outbox."""

    events: Table
    sinks: Table
    refusals: Table


def tables(metadata: MetaData) -> OutboxTables:
    """Define the outbox tables."""
    events = Table(
        "outbox_events",
        metadata,
        Column("id", Text, primary_key=True),
        Column("type", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("organisation", Text, nullable=False),
        Column("time", UtcDateTime, nullable=False),
        Column("data", JsonText, nullable=False),
        Column("position", BigInteger, unique=True),
    )
    unplaced = events.c.position.is_(None)
    Index("ix_outbox_events_unplaced", events.c.id, sqlite_where=unplaced, postgresql_where=unplaced)
    Index("ix_outbox_events_organisation_position", events.c.organisation, events.c.position)
    sinks = Table(
        "outbox_sinks",
        metadata,
        Column("name", Text, primary_key=True),
        Column("position", BigInteger, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("next_attempt_at", UtcDateTime, nullable=False),
        Column("last_error", Text),
    )
    refusals = Table(
        "outbox_refusals",
        metadata,
        Column("sink", Text, primary_key=True),
        Column("event_id", Text, primary_key=True),
        Column("attempts", Integer, nullable=False),
        Column("reason", Text, nullable=False),
        Column("refused_at", UtcDateTime, nullable=False),
        # NULL while the sink is still asked again.
        Column("set_aside_at", UtcDateTime),
    )
    return OutboxTables(events, sinks, refusals)


@dataclass(frozen=True, kw_only=True)
class Sink:
    """Where events are delivered: POST `url`, CloudEvents structured mode, signed.

    Args:
        name: of its cursor; never used again for another receiver.
        url: as the receiver knows itself, for it is part of what is signed.
        types: the types it gets; None for every one.
        with_subject: whether it may know what an event is about.
    """

    name: str
    url: str
    types: frozenset[str] | None = None
    with_subject: bool = True


def activity_sinks(registry: str, client_id: str | None) -> tuple[Sink, ...]:
    """The registry as receiver of activity facts; none for a service it does not know as a client.

    Subjects stay here: the registry is told what happened, not to whom.
    """
    if client_id is None:
        return ()
    url = f"{registry}{EVENTS_PATH}"
    return (Sink(name="registry.activity", url=url, types=ACTIVITY_TYPES, with_subject=False),)


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Replay page of CloudEvents; `next` is the cursor to continue from, also when nothing came."""

    items: tuple[Mapping[str, Any], ...]
    next: str


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """An event that a sink has refused for good, until somebody sends it again."""

    sink: str
    event_id: str
    type: str
    organisation: str
    attempts: int
    reason: str
    set_aside_at: datetime


@dataclass(frozen=True)
class _Refusal:
    reason: str
    permanent: bool


class CursorInvalid(ValueError):
    """The replay cursor is not one of ours."""


def cloud_event(row: RowMapping) -> dict[str, Any]:
    """The event as CloudEvents 1.0 JSON."""
    return {
        "specversion": "1.0",
        "id": row["id"],
        "source": row["source"],
        "type": row["type"],
        "subject": row["subject"],
        "time": row["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "organisation": row["organisation"],
        "data": row["data"],
    }


class Outbox:
    """Writes, places, delivers and replays events.

    Args:
        source: the service's base URL, the `source` of every event.
        sinks: where events are pushed; none means they are only kept for replay. A new sink gets every kept
            event.
    """

    def __init__(
        self,
        db: Database,
        tables: OutboxTables,
        leases: Leases,
        keys: KeyStore,
        outbound: Outbound,
        clock: Clock,
        *,
        source: str,
        sinks: Sequence[Sink] = (),
    ) -> None:
        self._db = db
        self.tables = tables
        self._leases = leases
        self._keys = keys
        self._outbound = outbound
        self._clock = clock
        self._source = source
        self._sinks = tuple(sinks)

    async def emit(
        self,
        conn: AsyncConnection,
        *,
        type: str,
        subject: str,
        organisation: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> str:
        """Write one event in the caller's transaction; its id. No personal data in any field."""
        values = self.values(type=type, subject=subject, organisation=organisation, data=data)
        await conn.execute(self.tables.events.insert().values(values))
        return str(values["id"])

    def values(
        self,
        *,
        type: str,
        subject: str,
        organisation: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The row that `emit` inserts, for a transaction that is one statement; ValueError if malformed."""
        if not _TYPE.match(type):
            raise ValueError("an event type reads noun.participle")
        if not _REF.match(subject) or not _REF.match(organisation):
            raise ValueError("an event's subject and organisation are ids of printable ASCII")
        content = dict(data or {})
        if len(dumps(content)) > MAX_DATA_BYTES:
            raise ValueError("an event tells what happened, it does not carry records")
        return {
            "id": new_id(),
            "type": type,
            "source": self._source,
            "subject": subject,
            "organisation": organisation,
            "time": self._clock.now(),
            "data": content,
        }

    async def run(self) -> None:
        """Place and deliver: the periodic task."""
        await self.place()
        await self.deliver()

    async def place(self) -> int:
        """Give events that have committed their position; how many. Zero while another replica does it."""
        events = self.tables.events
        async with self._db.read() as conn:
            waiting = select(events.c.id).where(events.c.position.is_(None)).limit(1)
            if (await conn.execute(waiting)).first() is None:
                return 0
        placed = 0
        async with self._leases.hold("outbox:place", LEASE) as lease:
            if lease is not None:
                while (batch := await self._place_batch(lease)) > 0:
                    placed += batch
                    failpoints.hit(failpoints.AFTER_EVENTS_PLACED)
        return placed

    async def _place_batch(self, lease: Lease) -> int:
        events = self.tables.events
        async with self._db.write() as conn:
            await self._leases.confirm(conn, lease)
            last = (await conn.execute(select(func.max(events.c.position)))).scalar()
            # After a purge the table may be empty while cursors stand at the last position.
            reached = (await conn.execute(select(func.max(self.tables.sinks.c.position)))).scalar()
            position = max(last or 0, reached or 0)
            unplaced = (
                select(events.c.id).where(events.c.position.is_(None)).order_by(events.c.id).limit(BATCH)
            )
            ids = (await conn.execute(unplaced)).scalars().all()
            if ids:
                placing = (
                    update(events).where(events.c.id == bindparam("of")).values(position=bindparam("to"))
                )
                rows = [{"of": event_id, "to": position + n} for n, event_id in enumerate(ids, start=1)]
                await conn.execute(placing, rows)
        return len(ids)

    async def deliver(self) -> int:
        """Post what is due to every sink; how many events were accepted."""
        accepted = 0
        for sink in self._sinks:
            async with self._leases.hold(f"outbox:sink:{sink.name}", LEASE) as lease:
                if lease is not None:
                    accepted += await self._deliver_to(sink, lease)
        return accepted

    async def _deliver_to(self, sink: Sink, lease: Lease) -> int:
        cursor = await self._cursor(sink)
        # A pause beyond the longest was written by a clock that was ahead.
        pause = cursor["next_attempt_at"] - self._clock.now()
        if timedelta(0) < pause <= LONGEST_PAUSE + CLOCK_LEEWAY:
            return 0
        rows, reached = await self._due(sink, cursor["position"])
        accepted, attempts = 0, cursor["attempts"]
        try:
            if not rows and reached > cursor["position"]:
                # Nothing up to here is for this sink; purging need not wait for it.
                await self._move(sink, lease, {"position": reached})
            for row in rows:
                refusal = await self._post(sink, row)
                if refusal is None:
                    failpoints.hit(failpoints.AFTER_EVENT_POSTED)
                    change = {"position": row["position"], "attempts": 0, "last_error": None}
                    await self._move(sink, lease, change, settled=row["id"] if attempts else None)
                    accepted += 1
                elif not await self._refused(sink, lease, row, refusal, attempts + 1):
                    break
                attempts = 0
                lease = await self._leases.extend(lease, LEASE)
        except LeaseLost:
            log.warning("event.delivery_lost", sink=sink.name)
        return accepted

    async def _due(self, sink: Sink, position: int) -> tuple[list[RowMapping], int]:
        """The next events for a sink, and the last position there is."""
        events = self.tables.events
        async with self._db.read() as conn:
            # First how far there is something to read: what another replica places meanwhile comes next time.
            last = (await conn.execute(select(func.max(events.c.position)))).scalar() or 0
            due = select(events).where(events.c.position > position, events.c.position <= last)
            if sink.types is not None:
                due = due.where(events.c.type.in_(sink.types))
            due = due.order_by(events.c.position).limit(DELIVERIES_PER_RUN)
            rows = list((await conn.execute(due)).mappings().all())
        return rows, last

    async def _refused(
        self, sink: Sink, lease: Lease, row: RowMapping, refusal: _Refusal, attempts: int
    ) -> bool:
        """Note a refusal; whether the event was set aside, so that the next one is due."""
        table, now = self.tables.refusals, self._clock.now()
        pause = {
            "attempts": attempts,
            "next_attempt_at": now + pause_after(attempts),
            "last_error": refusal.reason,
        }
        if not refusal.permanent:
            await self._move(sink, lease, pause)
            log.warning("event.delivery_failed", sink=sink.name, reason=refusal.reason, attempts=attempts)
            return False
        named = (table.c.sink == sink.name) & (table.c.event_id == row["id"])
        async with self._db.write() as conn:
            await self._leases.confirm(conn, lease)
            before = (await conn.execute(select(table.c.attempts).where(named))).scalar() or 0
            over = before + 1 >= REFUSALS_BEFORE_SET_ASIDE
            values = {
                "attempts": before + 1,
                "reason": refusal.reason,
                "refused_at": now,
                "set_aside_at": now if over else None,
            }
            known = {"sink": sink.name, "event_id": row["id"], **values}
            if not await insert_once(conn, table, known):
                await conn.execute(update(table).where(named).values(values))
            moved = {"position": row["position"], "attempts": 0, "last_error": refusal.reason}
            await self._set(conn, sink, moved if over else pause)
        say = "event.set_aside" if over else "event.delivery_refused"
        log.warning(say, sink=sink.name, event_id=row["id"], reason=refusal.reason, attempts=before + 1)
        return over

    async def _post(self, sink: Sink, row: RowMapping) -> _Refusal | None:
        """Post one event; None if the sink took it, else why not."""
        event = cloud_event(row)
        if not sink.with_subject:
            del event["subject"]
        body = dumps(event)
        headers = sign_request(
            method="POST",
            url=sink.url,
            content_type=MEDIA_TYPE,
            body=body,
            key=await self._keys.ensure(EVENT_KEY),
            at=self._clock.now(),
        )
        try:
            answer = await self._outbound.post(
                sink.url,
                content=body,
                content_type=MEDIA_TYPE,
                accept="*/*",
                headers=headers,
                max_bytes=65_536,
            )
        except OutboundError as error:
            return _Refusal(error.reason.value, permanent=False)
        if answer.ok:
            return None
        permanent = 400 <= answer.status < 500 and answer.status not in NOT_THE_EVENTS_FAULT
        return _Refusal(f"status_{answer.status}", permanent)

    async def set_aside(self, limit: int = 1_000) -> list[SetAside]:
        """What sinks have refused for good, oldest first."""
        table, events = self.tables.refusals, self.tables.events
        query = (
            select(table, events.c.type, events.c.organisation)
            .join(events, events.c.id == table.c.event_id)
            .where(table.c.set_aside_at.is_not(None))
            .order_by(table.c.set_aside_at, table.c.event_id, table.c.sink)
            .limit(limit)
        )
        async with self._db.read() as conn:
            rows = (await conn.execute(query)).mappings().all()
        return [SetAside(**{name: row[name] for name in SetAside.__dataclass_fields__}) for row in rows]

    async def resend(self, sink_name: str, event_id: str) -> str | None:
        """Send an event that was set aside once more; None if the sink took it, else why not.

        Raises:
            LookupError: no such event was set aside for such a sink.
        """
        table, events = self.tables.refusals, self.tables.events
        sink = next((one for one in self._sinks if one.name == sink_name), None)
        named = (table.c.sink == sink_name) & (table.c.event_id == event_id)
        query = select(events).join(table, events.c.id == table.c.event_id)
        async with self._db.read() as conn:
            found = await conn.execute(query.where(named, table.c.set_aside_at.is_not(None)))
            row = found.mappings().first()
        if sink is None or row is None:
            raise LookupError("no such event was set aside for this sink")
        refusal = await self._post(sink, row)
        async with self._db.write() as conn:
            if refusal is None:
                await conn.execute(delete(table).where(named))
                return None
            again = {"attempts": table.c.attempts + 1, "reason": refusal.reason}
            await conn.execute(update(table).where(named).values(**again, refused_at=self._clock.now()))
        return refusal.reason

    async def _cursor(self, sink: Sink) -> RowMapping:
        table = self.tables.sinks
        named = select(table).where(table.c.name == sink.name)
        async with self._db.read() as conn:
            row = (await conn.execute(named)).mappings().first()
        if row is None:
            start = {"name": sink.name, "position": 0, "attempts": 0, "next_attempt_at": self._clock.now()}
            async with self._db.write() as conn:
                await insert_once(conn, table, start)
                row = (await conn.execute(named)).mappings().one()
        return row

    async def _move(
        self, sink: Sink, lease: Lease, change: Mapping[str, Any], *, settled: str | None = None
    ) -> None:
        """Move a sink's cursor; ``settled`` is an event it may have refused before it took it."""
        refusals = self.tables.refusals
        async with self._db.write() as conn:
            await self._leases.confirm(conn, lease)
            await self._set(conn, sink, change)
            if settled is not None:
                named = (refusals.c.sink == sink.name) & (refusals.c.event_id == settled)
                await conn.execute(delete(refusals).where(named))

    async def _set(self, conn: AsyncConnection, sink: Sink, change: Mapping[str, Any]) -> None:
        table = self.tables.sinks
        await conn.execute(update(table).where(table.c.name == sink.name).values(dict(change)))

    async def events_after(
        self, cursor: str | None, *, organisation: str | None = None, limit: int = 100
    ) -> EventPage:
        """Events after a cursor (None: from the first kept one), oldest first; of one organisation if given.

        Raises:
            CursorInvalid: the cursor is not one of ours.
        """
        if cursor is not None and not _CURSOR.match(cursor):
            raise CursorInvalid("not a cursor of this list")
        after = int(cursor or 0)
        events = self.tables.events
        statement = select(events).where(events.c.position > after).order_by(events.c.position).limit(limit)
        if organisation is not None:
            statement = statement.where(events.c.organisation == organisation)
        async with self._db.read() as conn:
            rows = (await conn.execute(statement)).mappings().all()
        last = rows[-1]["position"] if rows else after
        return EventPage(items=tuple(map(cloud_event, rows)), next=str(last))

    async def purge(self, before: datetime) -> int:
        """Forget events older than `before` that every configured sink is past and none has set aside.

        The newest event is kept, so that positions never start again.
        """
        events, sinks = self.tables.events, self.tables.sinks
        names = [sink.name for sink in self._sinks]
        async with self._db.write() as conn:
            last = (await conn.execute(select(func.max(events.c.position)))).scalar() or 0
            reached = (
                await conn.execute(
                    select(func.min(sinks.c.position), func.count()).where(sinks.c.name.in_(names))
                )
            ).one()
            everywhere = last if not names else (reached[0] if reached[1] == len(names) else 0)
            old = delete(events).where(
                events.c.time < before,
                events.c.position <= everywhere,
                events.c.position < last,
                events.c.id.not_in(select(self.tables.refusals.c.event_id)),
            )
            return int((await conn.execute(old)).rowcount)
