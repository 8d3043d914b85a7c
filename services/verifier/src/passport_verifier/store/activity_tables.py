"""Cases that count as verified: one row per movement, or per request that has none."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from passport_shared.service.db import UtcDateTime
from passport_verifier.store.metadata import metadata

verified_cases = Table(
    "verified_cases",
    metadata,
    # The movement, or the request that has none.
    Column("case_id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("verified_at", UtcDateTime, nullable=False),
)
