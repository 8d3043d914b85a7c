"""Tables of releases: what other trusts asked of this one, and the signed Releases it answered with.

A case keeps the host's words for a person (`subject`) only while it is open. `release_documents` is written
before anything is signed: its row is the reservation of a serial, its token comes after (security.md D1).
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from passport_issuer.store.metadata import metadata
from passport_shared.service.db import JsonText, UtcDateTime

releases = Table(
    "releases",
    metadata,
    # 128 random bits: knowing the id is what lets the host read the answer.
    Column("id", Text, primary_key=True),
    Column("ods", Text, ForeignKey("tenants.ods"), nullable=False),
    Column("requester", Text, nullable=False),
    Column("request_jti", Text, nullable=False),
    Column("request_sha256", Text, nullable=False),
    Column("host_ods", Text, nullable=False),
    Column("movement_id", Text, nullable=False),
    Column("movement_version", Integer, nullable=False),
    Column("movement", JsonText, nullable=False),
    Column("start", Date, nullable=False),
    Column("end", Date, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("subject", JsonText),
    Column("staff_id", Text, ForeignKey("staff.id")),
    Column("linked_by", Text),
    Column("linked_at", UtcDateTime),
    Column("state", Text, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("answer_by", UtcDateTime, nullable=False),
    Column("line_manager_decision", Text),
    Column("line_manager_at", UtcDateTime),
    Column("line_manager_by", Text),
    Column("hr_decision", Text),
    Column("hr_at", UtcDateTime),
    Column("hr_by", Text),
    # What the member of staff said here, AGREED or WITHDRAWN; the host keeps its own record of it.
    Column("staff_decision", Text),
    Column("staff_at", UtcDateTime),
    Column("limits", JsonText, nullable=False),
    Column("statement", Text),
    Column("decline_code", Text),
    Column("agreed_end", Date),
    Column("released_end", Date),
    Column("overlap_warning", Boolean, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("ods", "requester", "request_jti"),
)
Index("ix_releases_ods_received_at_id", releases.c.ods, releases.c.received_at, releases.c.id)
Index("ix_releases_staff_id", releases.c.staff_id)
Index("ix_releases_requester_movement_id", releases.c.requester, releases.c.movement_id)
_open = releases.c.state == "REQUESTED"
Index("ix_releases_open", releases.c.answer_by, sqlite_where=_open, postgresql_where=_open)

release_documents = Table(
    "release_documents",
    metadata,
    Column("release_id", Text, ForeignKey("releases.id"), primary_key=True),
    Column("serial", Integer, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("claims", JsonText, nullable=False),
    Column("token", Text),
    Column("reserved_at", UtcDateTime, nullable=False),
    Column("signed_at", UtcDateTime),
)
_unsigned = release_documents.c.token.is_(None)
Index(
    "ix_release_documents_unsigned",
    release_documents.c.reserved_at,
    sqlite_where=_unsigned,
    postgresql_where=_unsigned,
)
