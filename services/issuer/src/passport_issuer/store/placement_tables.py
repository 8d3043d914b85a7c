"""Table of the temporary placements this trust hosts (design §6 "TemporaryPlacement").

The visitor's names and birthdate are in a `staff` row of their own, marked as a visitor's, which no list of
the trust's own staff shows; they are blanked some time after the placement's end. What is here is about the
post and the key alone.
"""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Index, Integer, Table, Text

from passport_issuer.store.metadata import metadata
from passport_shared.service.db import JsonText, UtcDateTime

placements = Table(
    "placements",
    metadata,
    Column("ods", Text, primary_key=True),
    # The movement at the host's verifier, by its id there.
    Column("movement_id", Text, primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("passport_id", Text, ForeignKey("passports.id"), nullable=False),
    Column("offer_id", Text, ForeignKey("credential_offers.id"), nullable=False),
    Column("movement_type", Text, nullable=False),
    Column("start", Date, nullable=False),
    Column("end", Date, nullable=False),
    Column("post", JsonText, nullable=False),
    Column("holder_jkt", Text, nullable=False),
    # The verifier's count of changes: what is lower than this came late.
    Column("revision", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("erased_at", UtcDateTime),
)
_running = placements.c.ended_at.is_(None)
Index("ix_placements_running", placements.c.end, sqlite_where=_running, postgresql_where=_running)
_kept = placements.c.erased_at.is_(None)
Index("ix_placements_kept", placements.c.ended_at, sqlite_where=_kept, postgresql_where=_kept)
