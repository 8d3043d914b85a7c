"""Outbox: what happened, told to other systems as CloudEvents, at least once and in order (design §6).

An event is written in the transaction of the change. A placer then gives events their position, one writer by
lease, so that a reader with a cursor never misses one that committed late. Every sink has its own cursor:
events are posted in order, signed, until the sink has accepted them; a sink that fails is asked again with
growing pauses and holds up nobody else. Receivers find doubles by the event's id. Events carry ids and codes,
never personal data.
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
from passport_shared.formats.ids import new_id
from passport_shared.formats.strict import dumps
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.service.db import Database, JsonText, UtcDateTime
from passport_shared.service.http_signatures import sign_request
from passport_shared.service.job_queue import pause_after
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

_TYPE = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+\Z")
_REF = re.compile(r"[\x21-\x7e]{0,256}\Z")
_CURSOR = re.compile(r"(?:0|[1-9][0-9]{0,17})\Z")

log = structlog.get_logger()


@dataclass(frozen=True)
class OutboxTables:
    """Tables of the outbox."""

    events: Table
    sinks: Table


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
    return OutboxTables(events, sinks)


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
        if cursor["next_attempt_at"] > self._clock.now():
            return 0
        events = self.tables.events
        async with self._db.read() as conn:
            due = select(events).where(events.c.position > cursor["position"]).order_by(events.c.position)
            rows = (await conn.execute(due.limit(DELIVERIES_PER_RUN))).mappings().all()
        accepted = 0
        try:
            for row in rows:
                refusal = await self._post(sink, row)
                if refusal is None:
                    change = {"position": row["position"], "attempts": 0, "last_error": None}
                    accepted += 1
                else:
                    attempts = cursor["attempts"] + 1 if accepted == 0 else 1
                    pause = self._clock.now() + pause_after(attempts)
                    change = {"attempts": attempts, "next_attempt_at": pause, "last_error": refusal}
                await self._move(sink, lease, change)
                if refusal is not None:
                    log.warning("event.delivery_failed", sink=sink.name, reason=refusal, attempts=attempts)
                    break
                lease = await self._leases.extend(lease, LEASE)
        except LeaseLost:
            log.warning("event.delivery_lost", sink=sink.name)
        return accepted

    async def _post(self, sink: Sink, row: RowMapping) -> str | None:
        """Post one event; None if the sink took it, else why not."""
        body = dumps(cloud_event(row))
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
            return error.reason.value
        return None if answer.ok else f"status_{answer.status}"

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

    async def _move(self, sink: Sink, lease: Lease, change: Mapping[str, Any]) -> None:
        table = self.tables.sinks
        async with self._db.write() as conn:
            await self._leases.confirm(conn, lease)
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
        """Forget events older than `before` that every configured sink has accepted; how many.

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
                events.c.time < before, events.c.position <= everywhere, events.c.position < last
            )
            return int((await conn.execute(old)).rowcount)
