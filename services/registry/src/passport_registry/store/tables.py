"""Tables of the registry: organisations and what they are trusted with, and what is published of it.

Nothing about a staff member is stored anywhere here; contacts are those of a trust's own offices.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from passport_registry.store import activity_tables as activity_tables
from passport_registry.store import hr_user_tables as hr_user_tables
from passport_registry.store.metadata import metadata as metadata
from passport_shared.service import audit as audit_log
from passport_shared.service import auth as access_tokens
from passport_shared.service import documents as cached_documents
from passport_shared.service import idempotency as idempotency_keys
from passport_shared.service import jobs as leased_jobs
from passport_shared.service import keys as key_store
from passport_shared.service import limits as rate_limits
from passport_shared.service import outbox as event_outbox
from passport_shared.service.db import JsonText, UtcDateTime

audit = audit_log.tables(metadata)
outbox = event_outbox.tables(metadata)
jobs = leased_jobs.tables(metadata)
keys = key_store.tables(metadata)
documents = cached_documents.tables(metadata)
idempotency = idempotency_keys.tables(metadata)
auth = access_tokens.tables(metadata)
limits = rate_limits.tables(metadata)

organisations = Table(
    "organisations",
    metadata,
    Column("ods_code", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("aliases", JsonText, nullable=False),
    Column("locality", Text),
    Column("icb", Text),
    Column("ods_roles", JsonText, nullable=False),
    Column("contacts", JsonText, nullable=False),
    Column("cstf_alignment", JsonText, nullable=False),
    Column("networks", JsonText, nullable=False),
    # For practice only: said at the invitation, never changed, told in every trust mark.
    Column("sandbox", Boolean(create_constraint=False), nullable=False, server_default=false()),
    # Since when its first HR user was recorded here; removing the last one does not open the door again.
    Column("keeps_hr_users", Boolean(create_constraint=False), nullable=False, server_default=false()),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
)

onboarding_steps = Table(
    "onboarding_steps",
    metadata,
    Column("ods_code", Text, ForeignKey("organisations.ods_code"), primary_key=True),
    Column("step", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("due", Date),
    Column("done_on", Date),
    Column("valid_until", Date),
    Column("waived_until", Date),
    Column("waived_by", Text),
    Column("evidence", Text),
    Column("owner", Text),
    Column("note", Text),
    Column("details", JsonText, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("recorded_by", JsonText, nullable=False),
    Column("version", Integer, nullable=False),
)

entities = Table(
    "entities",
    metadata,
    Column("entity_id", Text, primary_key=True),
    Column("ods_code", Text, ForeignKey("organisations.ods_code"), nullable=False),
    Column("role", Text, nullable=False),
    # NULL until the entity has enrolled.
    Column("federation_jwks", JsonText),
    Column("enrolled_at", UtcDateTime),
    Column("suspension", Text),
    Column("suspension_reason", Text),
    Column("suspended_at", UtcDateTime),
    Column("suspended_by", JsonText),
    Column("review_on", Date),
    # What was derived last: the moments of going live and of closing must not move.
    Column("live_since", UtcDateTime),
    Column("issuing_closed_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("ods_code", "role"),
)

enrolment_codes = Table(
    "enrolment_codes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("entity_id", Text, ForeignKey("entities.entity_id"), nullable=False),
    Column("code_hmac", Text, nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    # What it was used for: the same keys get the same answer again, other keys never do.
    Column("keys_digest", Text),
    Column("federation_jwks", JsonText),
    Column("completed_at", UtcDateTime),
    Index("ix_enrolment_codes_entity_id", "entity_id"),
)

authority_certificates = Table(
    "authority_certificates",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kid", Text, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    # Decimal text: 160 bits fit no integer column.
    Column("serial", Text, primary_key=True),
    Column("entity_id", Text, ForeignKey("entities.entity_id"), nullable=False),
    Column("enrolment_id", Text, ForeignKey("enrolment_codes.id"), nullable=False),
    Column("use", Text, nullable=False),
    Column("jkt", Text, nullable=False, unique=True),
    Column("public_jwk", JsonText, nullable=False),
    Column("subject", JsonText, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("not_after", UtcDateTime, nullable=False),
    Column("not_after_signing", UtcDateTime, nullable=False),
    # NULL while the certificate is reserved and not yet signed.
    Column("der", LargeBinary),
    Column("x5t_s256", Text, unique=True),
    Column("state", Text, nullable=False),
    Column("state_reason", Text),
    Column("state_changed_at", UtcDateTime, nullable=False),
    UniqueConstraint("enrolment_id", "use"),
    Index("ix_certificates_entity_id", "entity_id"),
)

authorisations = Table(
    "authorisations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("entity_id", Text, ForeignKey("entities.entity_id"), nullable=False),
    Column("action", Text, nullable=False),
    Column("vct", Text, nullable=False),
    Column("territory", JsonText, nullable=False),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("valid_until", UtcDateTime, nullable=False),
    Column("max_validity_s", Integer),
    Column("claims", JsonText, nullable=False),
    Column("purposes", JsonText, nullable=False),
    Column("test", Boolean(create_constraint=False), nullable=False),
    Column("state", Text, nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("proposed_by", JsonText, nullable=False),
    Column("approved_at", UtcDateTime),
    Column("approved_by", JsonText),
    Column("four_eyes", Text),
    Column("withdrawn_at", UtcDateTime),
    Column("withdrawn_by", JsonText),
    Column("withdrawn_reason", Text),
    Column("version", Integer, nullable=False),
    Index("ix_authorisations_entity_id", "entity_id"),
)

trust_marks = Table(
    "trust_marks",
    metadata,
    Column("jti", Text, primary_key=True),
    Column("entity_id", Text, ForeignKey("entities.entity_id"), nullable=False),
    Column("trust_mark_type", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    # The exact content to be signed, kept before the signature exists.
    Column("content", JsonText, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("status_list_id", Text, ForeignKey("status_lists.id"), nullable=False),
    Column("status_idx", Integer, nullable=False),
    # 0 valid, 1 invalid, 2 suspended: read by the status endpoint and by the status list alike.
    Column("status", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("jwt", Text),
    Column("replaced_at", UtcDateTime),
    UniqueConstraint("status_list_id", "status_idx"),
    CheckConstraint("status IN (0, 1, 2)", name="status_value"),
    CheckConstraint("state IN ('PREPARED', 'CURRENT', 'REPLACED', 'ABANDONED')", name="state_value"),
)
_current = trust_marks.c.state == "CURRENT"
Index(
    "uq_trust_marks_one_current",
    trust_marks.c.entity_id,
    unique=True,
    sqlite_where=_current,
    postgresql_where=_current,
)

_prepared = trust_marks.c.state == "PREPARED"
Index(
    "ix_trust_marks_prepared",
    trust_marks.c.entity_id,
    sqlite_where=_prepared,
    postgresql_where=_prepared,
)
Index("ix_trust_marks_status_list_id_expires_at", trust_marks.c.status_list_id, trust_marks.c.expires_at)

status_lists = Table(
    "status_lists",
    metadata,
    Column("id", Text, primary_key=True),
    Column("uri", Text, nullable=False, unique=True),
    Column("bits", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("full", Boolean(create_constraint=False), nullable=False),
    Column("content_digest", Text),
    Column("issued_at", UtcDateTime),
)

statements = Table(
    "statements",
    metadata,
    # The anchor's own entity configuration is the row whose subject is the anchor.
    Column("sub", Text, primary_key=True),
    Column("content_digest", Text, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("jwt", Text, nullable=False),
)

publications = Table(
    "publications",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    # The one it follows, 0 for the first. One publication follows another, never two.
    Column("follows", BigInteger, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("sha256", Text),
    Column("state", Text, nullable=False),
    CheckConstraint("state IN ('PREPARED', 'PUBLISHED', 'ABANDONED')", name="state_value"),
)
_published = publications.c.state == "PUBLISHED"
Index(
    "uq_publications_one_successor",
    publications.c.kind,
    publications.c.follows,
    unique=True,
    sqlite_where=_published,
    postgresql_where=_published,
)

# Parts of snapshots that are kept; their bytes are cached documents.
parts = Table(
    "parts",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("last_used_at", UtcDateTime, nullable=False),
    # Of what it was made from, where making it costs something.
    Column("source", Text),
    Index("ix_parts_source", "source"),
)

# One row: counts changes that must be published, and how far publishing has come.
changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("made", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
    Column("published_at", UtcDateTime),
    CheckConstraint("id = 1", name="single_row"),
)

agreements = Table(
    "agreements",
    metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("agreement_version", Text, nullable=False),
    Column("text_hash", Text),
    Column("parties", JsonText, nullable=False),
    Column("movement_types", JsonText, nullable=False),
    Column("staff_groups", JsonText, nullable=False),
    Column("max_days", Integer),
    Column("effective", Date, nullable=False),
    Column("expires", Date),
    Column("state", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", JsonText, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
)

api_clients = Table(
    "api_clients",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("scopes", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("version", Integer, nullable=False),
)

api_client_keys = Table(
    "api_client_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("api_clients.client_id"), nullable=False),
    # At most two keys live at once, so that a client can change its key without a gap.
    Column("slot", Integer, nullable=False),
    Column("jwk", JsonText, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),
    CheckConstraint("slot IN (1, 2)", name="slot_value"),
)
_live = api_client_keys.c.removed_at.is_(None)
Index(
    "uq_api_client_keys_slot",
    api_client_keys.c.client_id,
    api_client_keys.c.slot,
    unique=True,
    sqlite_where=_live,
    postgresql_where=_live,
)
