"""Tables of holder sessions, and of the problems people report about their passport."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text

from passport_issuer.store.metadata import metadata
from passport_shared.service import holder_sessions
from passport_shared.service.db import UtcDateTime

holders = holder_sessions.tables(metadata)

problem_reports = Table(
    "problem_reports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, ForeignKey("tenants.ods"), nullable=False),
    Column("passport_id", Text, ForeignKey("passports.id"), nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Text),
    Column("text", Text),
    Column("state", Text, nullable=False),
    Column("reported_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("closed_by", Text),
)
Index("ix_problem_reports_ods_id", problem_reports.c.ods, problem_reports.c.id)
Index("ix_problem_reports_passport_id", problem_reports.c.passport_id)
