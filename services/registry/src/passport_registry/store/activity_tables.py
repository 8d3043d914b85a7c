"""Tables of activity: facts as they came, what they add up to, and the baselines estimates are made with.

A fact says nothing of a person. Reports read the two tables of sums only.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from passport_registry.rules.activity import CountKey, DurationKey
from passport_registry.store.metadata import metadata
from passport_shared.service.db import JsonText, UtcDateTime

activity_imports = Table(
    "activity_imports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source_note", Text, nullable=False),
    Column("imported", Integer, nullable=False),
    Column("known", Integer, nullable=False),
    Column("actor", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

activity_facts = Table(
    "activity_facts",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("ods", Text, ForeignKey("organisations.ods_code"), nullable=False),
    Column("day", Date, nullable=False),
    Column("fact", JsonText, nullable=False),
    Column("digest", Text, nullable=False),
    # Who sent it: an API client.
    Column("client", Text, nullable=False),
    Column("import_id", Text, ForeignKey("activity_imports.id")),
    Column("received_at", UtcDateTime, nullable=False),
)
Index("ix_activity_facts_ods_event_id", activity_facts.c.ods, activity_facts.c.event_id)

_COUNT_KEY = tuple(CountKey.__dataclass_fields__)
activity_counts = Table(
    "activity_counts",
    metadata,
    *(Column(name, Text, nullable=False) for name in _COUNT_KEY),
    Column("n", BigInteger, nullable=False),
    Column("timed", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    PrimaryKeyConstraint(*_COUNT_KEY),
)
Index("ix_activity_counts_month_kind", activity_counts.c.month, activity_counts.c.kind)

_DURATION_KEY = tuple(DurationKey.__dataclass_fields__)
activity_durations = Table(
    "activity_durations",
    metadata,
    *(
        Column(name, BigInteger if name == "seconds" else Text, nullable=False)
        for name in DurationKey.__dataclass_fields__
    ),
    Column("n", BigInteger, nullable=False),
    PrimaryKeyConstraint(*_DURATION_KEY),
)

report_baselines = Table(
    "report_baselines",
    metadata,
    Column("document", Text, primary_key=True),
    Column("ods", Text, primary_key=True),
    Column("minutes", Integer, nullable=False),
    Column("citation", Text, nullable=False),
    Column("entered_by", JsonText, nullable=False),
    Column("entered_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    CheckConstraint("minutes > 0", name="takes_time"),
)
