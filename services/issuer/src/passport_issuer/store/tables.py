"""Tables of the issuer: tenants, staff and what was checked, passports, offers, credentials, status lists.

Personal data is in `staff`, `staff_external_ids`, `assignments`, `checks`, `training`, `identity_sessions`
and, until an offer is over, in `offer_datasets`; nowhere else. Every tenant's row carries its ODS code, and
every statement on it names that code.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from passport_issuer.store import connection_tables as connection_tables
from passport_issuer.store import holder_tables as holder_tables
from passport_issuer.store import notice_tables as notice_tables
from passport_issuer.store import placement_tables as placement_tables
from passport_issuer.store import release_tables as release_tables
from passport_issuer.store.metadata import metadata as metadata
from passport_shared.service import audit as audit_log
from passport_shared.service import auth as access_tokens
from passport_shared.service import documents as cached_documents
from passport_shared.service import idempotency as idempotency_keys
from passport_shared.service import jobs as leased_jobs
from passport_shared.service import keys as key_store
from passport_shared.service import limits as rate_limits
from passport_shared.service import outbox as event_outbox
from passport_shared.service import tenancy as tenant_tables
from passport_shared.service.db import JsonText, UtcDateTime

audit = audit_log.tables(metadata)
outbox = event_outbox.tables(metadata)
jobs = leased_jobs.tables(metadata)
keys = key_store.tables(metadata)
documents = cached_documents.tables(metadata)
idempotency = idempotency_keys.tables(metadata)
auth = access_tokens.tables(metadata)
limits = rate_limits.tables(metadata)
tenants = tenant_tables.tables(metadata)

staff = Table(
    "staff",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, ForeignKey("tenants.ods"), nullable=False),
    Column("legal_given", Text, nullable=False),
    Column("legal_family", Text, nullable=False),
    Column("preferred_name", Text),
    Column("birthdate", Date, nullable=False),
    Column("portrait", Text),
    Column("work_email", Text),
    Column("mobile", Text),
    Column("employment_status", Text, nullable=False),
    Column("leaving_date", Date),
    Column("preferences", JsonText, nullable=False),
    # A visitor on a temporary placement, employed elsewhere: known here for the placement's record alone.
    Column("visiting", Boolean, nullable=False, server_default=false()),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
Index("ix_staff_ods_id", staff.c.ods, staff.c.id)

staff_external_ids = Table(
    "staff_external_ids",
    metadata,
    Column("ods", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("system", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("since", Date),
)
Index("ix_staff_external_ids_staff_id", staff_external_ids.c.staff_id)

assignments = Table(
    "assignments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("ref", Text, nullable=False),
    Column("primary", Boolean, nullable=False),
    Column("type", Text, nullable=False),
    Column("fte", Float, nullable=False),
    Column("title", Text, nullable=False),
    Column("staff_group", Text, nullable=False),
    Column("job_role", Text, nullable=False),
    Column("grade", Text),
    Column("department", Text),
    Column("site", Text),
    Column("start", Date, nullable=False),
    Column("projected_end", Date),
    Column("status", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("staff_id", "ref"),
)

checks = Table(
    "checks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("check_type", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("performed_on", Date, nullable=False),
    Column("performed_by", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("evidence_ref", Text),
    Column("fields", JsonText, nullable=False),
    Column("provenance", JsonText, nullable=False),
    Column("next_due", Date),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
)
Index("ix_checks_staff_id_id", checks.c.staff_id, checks.c.id)
has_end = checks.c.next_due.is_not(None)
Index("ix_checks_next_due", checks.c.next_due, sqlite_where=has_end, postgresql_where=has_end)

training = Table(
    "training",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("subject_code", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("completed_on", Date, nullable=False),
    Column("provider_ods", Text, nullable=False),
    Column("framework", Text, nullable=False),
    Column("framework_version", Text, nullable=False),
    Column("competency_name", Text, nullable=False),
    Column("assessed", Boolean, nullable=False),
    Column("learning_method", Text, nullable=False),
    Column("certificate_ref", Text),
    Column("source", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
)
Index("ix_training_staff_id_id", training.c.staff_id, training.c.id)

identity_sessions = Table(
    "identity_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("scheduled_for", UtcDateTime),
    Column("join_url", Text),
    Column("place", Text),
    Column("documents", JsonText, nullable=False),
    Column("face_matched", Boolean, nullable=False),
    Column("originals_seen_in_person_on", Date),
    Column("result", Text, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("hr_user", Text),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
)
Index("ix_identity_sessions_staff_id_id", identity_sessions.c.staff_id, identity_sessions.c.id)

passports = Table(
    "passports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("staff_id", Text, ForeignKey("staff.id"), nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("holder_ref", Text, nullable=False, unique=True),
    Column("reason_code", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("first_issued_at", UtcDateTime),
    Column("version", Integer, nullable=False),
)

credential_offers = Table(
    "credential_offers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("passport_id", Text, ForeignKey("passports.id"), nullable=False),
    Column("staff_id", Text, nullable=False),
    Column("configuration_ids", JsonText, nullable=False),
    Column("not_held", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("reviewed", Boolean, nullable=False),
    Column("wrong_tx_codes", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("redeemed_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    # Set where only this key may collect.
    Column("holder_jkt", Text),
)
Index("ix_credential_offers_staff_id_id", credential_offers.c.staff_id, credential_offers.c.id)
Index("ix_credential_offers_state_expires_at", credential_offers.c.state, credential_offers.c.expires_at)

offer_datasets = Table(
    "offer_datasets",
    metadata,
    # The credential_identifier of OpenID4VCI.
    Column("id", Text, primary_key=True),
    Column("offer_id", Text, ForeignKey("credential_offers.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("configuration_id", Text, nullable=False),
    Column("source_ref", Text, nullable=False),
    # Emptied when the offer is over.
    Column("claims", JsonText),
    UniqueConstraint("offer_id", "position"),
)
_kept = offer_datasets.c.claims.is_not(None)
Index("ix_offer_datasets_kept", offer_datasets.c.offer_id, sqlite_where=_kept, postgresql_where=_kept)

access_tokens_table = Table(
    "wallet_access_tokens",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("offer_id", Text, ForeignKey("credential_offers.id"), nullable=False),
    Column("by_identifier", Boolean, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)
Index("ix_wallet_access_tokens_offer_id", access_tokens_table.c.offer_id)
Index("ix_wallet_access_tokens_expires_at", access_tokens_table.c.expires_at)

used_nonces = Table(
    "used_nonces",
    metadata,
    Column("nonce_hash", Text, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
)
Index("ix_used_nonces_expires_at", used_nonces.c.expires_at)

status_lists = Table(
    "status_lists",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, ForeignKey("tenants.ods"), nullable=False),
    Column("size", Integer, nullable=False),
    Column("allocated", Integer, nullable=False),
    Column("usable_from", UtcDateTime, nullable=False),
    # `version` counts changes, `published_version` is the last one in force.
    Column("version", BigInteger, nullable=False),
    Column("published_version", BigInteger, nullable=False),
    Column("published_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    # After a restore: an index no row here accounts for may have been given, and counts as ended (ADR-0031).
    Column("accounted_only", Boolean(create_constraint=False), nullable=False, server_default=false()),
)
Index("ix_status_lists_ods", status_lists.c.ods)

credentials = Table(
    "credentials",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("passport_id", Text, ForeignKey("passports.id"), nullable=False),
    Column("staff_id", Text, nullable=False),
    Column("offer_id", Text, ForeignKey("credential_offers.id"), nullable=False),
    Column("dataset_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("source_ref", Text, nullable=False),
    Column("vct", Text, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("status_list_id", Text, ForeignKey("status_lists.id"), nullable=False),
    Column("status_idx", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason_code", Text),
    Column("holder_jkt", Text, nullable=False),
    Column("payload_digest", Text, nullable=False),
    Column("issuer_jwt_sha256", Text),
    Column("supersedes", Text),
    Column("request_id", Text, nullable=False),
    Column("notification_id", Text, nullable=False),
    Column("prepared_at", UtcDateTime, nullable=False),
    Column("issued_at", UtcDateTime),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("acknowledged_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    # No index is ever given twice, whatever replica gives it.
    UniqueConstraint("status_list_id", "status_idx"),
)
Index("ix_credentials_passport_id_type", credentials.c.passport_id, credentials.c.type)
Index("ix_credentials_ods_id", credentials.c.ods, credentials.c.id)
Index("ix_credentials_staff_id_id", credentials.c.staff_id, credentials.c.id)
Index("ix_credentials_dataset_id", credentials.c.dataset_id)
Index("ix_credentials_notification_id", credentials.c.notification_id)
Index("ix_credentials_request_id", credentials.c.request_id)
Index("ix_credentials_issuer_jwt_sha256", credentials.c.issuer_jwt_sha256)
prepared = credentials.c.state == "PREPARED"
Index("ix_credentials_prepared", credentials.c.prepared_at, sqlite_where=prepared, postgresql_where=prepared)
live = credentials.c.state.in_(["ISSUED", "ACTIVE"])
Index("ix_credentials_live_expires_at", credentials.c.expires_at, sqlite_where=live, postgresql_where=live)

notifications = Table(
    "wallet_notifications",
    metadata,
    Column("notification_id", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("received_at", UtcDateTime, nullable=False),
)
