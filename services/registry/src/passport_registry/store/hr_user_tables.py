"""Table of the trusts' HR users: who issues, verifies and approves for a trust, and until when trained.

A person stands here as the opaque id the trust's own systems use; no name, no address.
"""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Integer, Table, Text

from passport_registry.store.metadata import metadata
from passport_shared.service.db import JsonText, UtcDateTime

hr_users = Table(
    "hr_users",
    metadata,
    Column("ods_code", Text, ForeignKey("organisations.ods_code"), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("roles", JsonText, nullable=False),
    Column("training_passed_on", Date),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("recorded_by", JsonText, nullable=False),
    Column("version", Integer, nullable=False),
)
