"""Outbox (skeleton): CloudEvents written in the caller's transaction, delivered at least once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.outbound import Outbound
from passport_shared.service.db import Database, JsonText, UtcDateTime
from passport_shared.service.jobs import Leases
from passport_shared.service.keys import KeyStore


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
    """Where events are delivered: POST `url`, CloudEvents structured mode, signed."""

    name: str
    url: str


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """Replay page; `next` is the cursor to continue from."""

    items: tuple[Mapping[str, Any], ...]
    next: str | None


class Outbox:
    """Writes, orders, delivers and replays events."""

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
        raise NotImplementedError

    async def emit(
        self,
        conn: AsyncConnection,
        *,
        type: str,  # noqa: A002
        subject: str,
        organisation: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> str:
        """Write one event in the caller's transaction; its id. No personal data."""
        raise NotImplementedError

    async def place(self) -> int:
        """Give unplaced events their position; how many."""
        raise NotImplementedError

    async def deliver(self) -> int:
        """Deliver due events to every sink; how many were accepted."""
        raise NotImplementedError

    async def events_after(
        self, cursor: str | None, *, organisation: str | None = None, limit: int = 100
    ) -> EventPage:
        """Events after a cursor, oldest first."""
        raise NotImplementedError
