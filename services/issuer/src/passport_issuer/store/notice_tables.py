"""Tables of invitations and notices, of whom to ask, and of the development outbox.

A notice's row holds no name and no address: both are read from `staff` when it is sent. Only the development
outbox keeps what a person would read, and production refuses to use it.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text

from passport_issuer.store.metadata import metadata
from passport_shared.service.db import JsonText, UtcDateTime

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    # Of the token in the link, which is derived and never stored; of the browser that opened it.
    Column("token_hash", Text, nullable=False, unique=True),
    Column("browser_hash", Text),
    Column("resend_of", Text),
    Column("sent_at", UtcDateTime),
    Column("opened_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
)
Index("ix_invitations_staff_id", invitations.c.staff_id)
waiting = invitations.c.state.in_(["DRAFT", "SENT"])
# One link at a time can be opened by a person, whatever replica makes it.
Index(
    "ux_invitations_waiting",
    invitations.c.staff_id,
    unique=True,
    sqlite_where=waiting,
    postgresql_where=waiting,
)
sent = invitations.c.state == "SENT"
Index("ix_invitations_expires_at", invitations.c.expires_at, sqlite_where=sent, postgresql_where=sent)

notices = Table(
    "notices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("language", Text, nullable=False),
    # The id of what it is about: an invitation, session, offer, passport or movement.
    Column("about", Text),
    Column("facts", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("attempts", Integer, nullable=False),
    Column("once", Text, unique=True),
    Column("resend_of", Text, unique=True),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("created_by", Text, nullable=False),
)
Index("ix_notices_ods_id", notices.c.ods, notices.c.id)
Index("ix_notices_staff_id_id", notices.c.staff_id, notices.c.id)
queued = notices.c.state == "QUEUED"
Index("ix_notices_queued", notices.c.queued_at, sqlite_where=queued, postgresql_where=queued)

notice_contacts = Table(
    "notice_contacts",
    metadata,
    Column("ods", Text, ForeignKey("tenants.ods"), primary_key=True),
    Column("name", Text),
    Column("phone", Text),
    Column("email", Text),
    Column("version", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", Text, nullable=False),
)

notice_outbox = Table(
    "notice_outbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("to_address", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("sent_at", UtcDateTime, nullable=False),
)
