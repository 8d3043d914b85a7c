"""Tables of workforce connections: how to reach a system, who is who in it, and what was read from it.

Personal data is in `staff_links` (the names a person was chosen by), in `gathering_items` until they expire,
and in `screening_records`. An API key is here wrapped, an event key as its hash.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from passport_issuer.store.metadata import metadata
from passport_shared.service.db import JsonText, UtcDateTime

connections = Table(
    "connections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, ForeignKey("tenants.ods"), nullable=False),
    Column("name", Text, nullable=False),
    Column("system_type", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("authentication", Text, nullable=False),
    Column("token_url", Text),
    Column("client_id", Text),
    Column("audience", Text),
    Column("api_key_wrapped", LargeBinary),
    Column("private_hosts", JsonText, nullable=False),
    Column("timeout_s", Float, nullable=False),
    Column("max_pages", Integer, nullable=False),
    Column("on_registration_change", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("event_key_hash", Text, unique=True),
    # What people may change counts as a version; how the connection is doing does not.
    Column("last_ok_at", UtcDateTime),
    Column("last_error", Text),
    Column("last_error_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("suspicious_at", UtcDateTime),
    Column("suspicious_reason", Text),
    Column("cursor", Text),
    Column("refresh_due_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("ods", "name"),
)
Index("ix_connections_ods_id", connections.c.ods, connections.c.id)
Index("ix_connections_state_refresh_due_at", connections.c.state, connections.c.refresh_due_at)

staff_links = Table(
    "staff_links",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("connection_id", Text, ForeignKey("connections.id"), nullable=False),
    Column("person_id", Text, nullable=False),
    # The other system's words when a person chose them: what later answers are compared with.
    Column("given_name", Text, nullable=False),
    Column("family_name", Text, nullable=False),
    Column("previous_family_names", JsonText, nullable=False),
    Column("birthdate", Date),
    Column("differences", JsonText, nullable=False),
    Column("differences_accepted", Text),
    Column("chosen_by", Text, nullable=False),
    Column("chosen_at", UtcDateTime, nullable=False),
    Column("contested_at", UtcDateTime),
    Column("due_at", UtcDateTime),
    Column("last_gathered_at", UtcDateTime),
    Column("version", Integer, nullable=False),
    UniqueConstraint("connection_id", "person_id"),
    UniqueConstraint("connection_id", "staff_id"),
)
Index("ix_staff_links_staff_id", staff_links.c.staff_id)
Index("ix_staff_links_connection_id_due_at", staff_links.c.connection_id, staff_links.c.due_at)

gatherings = Table(
    "gatherings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("cause", Text, nullable=False),
    Column("sources", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
Index("ix_gatherings_staff_id_id", gatherings.c.staff_id, gatherings.c.id)
Index("ix_gatherings_expires_at", gatherings.c.expires_at)

gathering_items = Table(
    "gathering_items",
    metadata,
    Column("id", Text, primary_key=True),
    Column("gathering_id", Text, ForeignKey("gatherings.id"), nullable=False),
    Column("connection_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("values", JsonText),
    Column("differs", JsonText, nullable=False),
    Column("applied_at", UtcDateTime),
    Column("applied_by", Text),
    Column("record_id", Text),
    Column("changed_something", Boolean),
    UniqueConstraint("gathering_id", "position"),
)

screening_records = Table(
    "screening_records",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("connection_id", Text, nullable=False),
    Column("record_type", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("description", Text, nullable=False),
    # As precise as the other system is: YYYY, YYYY-MM or YYYY-MM-DD; empty where it gives none.
    Column("date", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    UniqueConstraint("staff_id", "record_type", "code", "date"),
)
