"""Tables of host policies and of overrides.

A policy version is never edited once it is approved, and never deleted: decisions name it. The reason of an
override is a person's words about a person, and sealed under the data key of its case.
"""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from passport_shared.service.db import JsonText, UtcDateTime
from passport_verifier.store.metadata import metadata

policy_versions = Table(
    "policy_versions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    # What decisions and requests name: "<policy id>@<ods>-<number>".
    Column("version_id", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("effective", Date, nullable=False),
    Column("document", JsonText, nullable=False),
    Column("digest", Text, nullable=False),
    # The network's default it was compared with.
    Column("base_version", Text, nullable=False),
    Column("note", Text),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("proposed_by", JsonText, nullable=False),
    Column("approved_at", UtcDateTime),
    Column("approved_by", JsonText),
    Column("four_eyes", Text),
    Column("withdrawn_at", UtcDateTime),
    Column("withdrawn_by", JsonText),
    UniqueConstraint("ods", "policy_id", "number"),
)
_approved = policy_versions.c.state == "APPROVED"
Index(
    "ix_policy_versions_approved",
    policy_versions.c.ods,
    policy_versions.c.policy_id,
    policy_versions.c.effective,
    sqlite_where=_approved,
    postgresql_where=_approved,
)

overrides = Table(
    "overrides",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("request_id", Text, ForeignKey("presentation_requests.id"), nullable=False),
    Column("decision_id", Text, ForeignKey("decisions.id"), nullable=False),
    Column("movement_id", Text, ForeignKey("movements.id")),
    Column("findings", JsonText, nullable=False),
    Column("reason", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("proposed_by", JsonText, nullable=False),
    Column("approved_at", UtcDateTime),
    Column("approved_by", JsonText),
    Column("four_eyes", Text),
    # Of a proposal: until when somebody can approve it. Of an override: until when it counts.
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("ended_by", JsonText),
)
Index("ix_overrides_ods_id", overrides.c.ods, overrides.c.id)
Index("ix_overrides_request_id", overrides.c.request_id)
_running = overrides.c.state.in_(["PROPOSED", "APPROVED"])
Index("ix_overrides_running", overrides.c.expires_at, sqlite_where=_running, postgresql_where=_running)
