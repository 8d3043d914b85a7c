"""Make every table of the registry and the one row that counts changes."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915 - one statement per table
    op.create_table(
        "agreements",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("agreement_version", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.Text(), nullable=True),
        sa.Column("parties", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("movement_types", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("staff_groups", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("max_days", sa.Integer(), nullable=True),
        sa.Column("effective", sa.Date(), nullable=False),
        sa.Column("expires", sa.Date(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("updated_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreements")),
    )
    op.create_table(
        "api_clients",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("scopes", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_api_clients")),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("signed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_checkpoints")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recorded_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("subject_ref", sa.Text(), nullable=False),
        sa.Column("actor", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("details", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("prev_hash", sa.Text(), nullable=True),
        sa.Column("hash", sa.Text(), nullable=True),
        sa.Column("sealed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sa.UniqueConstraint("seq", name=op.f("uq_audit_entries_seq")),
    )
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.create_index("ix_audit_entries_subject_ref", ["subject_ref", "id"], unique=False)
        batch_op.create_index(
            "ix_audit_entries_unsealed",
            ["id"],
            unique=False,
            sqlite_where=sa.text("seq IS NULL"),
            postgresql_where=sa.text("seq IS NULL"),
        )

    op.create_table(
        "authority_certificates",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("not_after", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_authority_certificates")),
    )
    op.create_table(
        "cached_documents",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("source_etag", sa.Text(), nullable=True),
        sa.Column("max_age_s", sa.Integer(), nullable=False),
        sa.Column("fetched_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("checked_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cached_documents")),
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.Column("published_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_changes_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
    )
    op.create_table(
        "idempotency_claims",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=True),
        sa.Column("lease_until", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "route", "key_hash", name=op.f("pk_idempotency_claims")),
    )
    with op.batch_alter_table("idempotency_claims", schema=None) as batch_op:
        batch_op.create_index("ix_idempotency_claims_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("unique_key", sa.Text(), nullable=True),
        sa.Column("payload", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("progress", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("run_after", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("lease_until", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("unique_key", name=op.f("uq_jobs_unique_key")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_state_run_after", ["state", "run_after"], unique=False)

    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("next_run_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "organisations",
        sa.Column("ods_code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("aliases", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("locality", sa.Text(), nullable=True),
        sa.Column("icb", sa.Text(), nullable=True),
        sa.Column("ods_roles", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("contacts", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("cstf_alignment", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("networks", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("ods_code", name=op.f("pk_organisations")),
    )
    op.create_table(
        "outbox_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("time", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("data", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_events")),
        sa.UniqueConstraint("position", name=op.f("uq_outbox_events_position")),
    )
    with op.batch_alter_table("outbox_events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_events_organisation_position", ["organisation", "position"], unique=False
        )
        batch_op.create_index(
            "ix_outbox_events_unplaced",
            ["id"],
            unique=False,
            sqlite_where=sa.text("position IS NULL"),
            postgresql_where=sa.text("position IS NULL"),
        )

    op.create_table(
        "outbox_sinks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column(
            "next_attempt_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False
        ),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_outbox_sinks")),
    )
    op.create_table(
        "parts",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("last_used_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_parts")),
    )
    op.create_table(
        "publications",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("follows", sa.BigInteger(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("issued_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state IN ('PREPARED', 'PUBLISHED', 'ABANDONED')", name=op.f("ck_publications_state_value")
        ),
        sa.PrimaryKeyConstraint("kind", "sequence", name=op.f("pk_publications")),
    )
    with op.batch_alter_table("publications", schema=None) as batch_op:
        batch_op.create_index(
            "uq_publications_one_successor",
            ["kind", "follows"],
            unique=True,
            sqlite_where=sa.text("state = 'PUBLISHED'"),
            postgresql_where=sa.text("state = 'PUBLISHED'"),
        )

    op.create_table(
        "rate_limits",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject_hash", sa.Text(), nullable=False),
        sa.Column("next_at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "subject_hash", name=op.f("pk_rate_limits")),
    )
    op.create_table(
        "service_secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kek_version", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_service_secrets")),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("kek_version", sa.Integer(), nullable=False),
        sa.Column("public_jwk", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("changed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
    )
    with op.batch_alter_table("signing_keys", schema=None) as batch_op:
        batch_op.create_index("ix_signing_keys_owner_purpose", ["owner", "purpose"], unique=False)
        batch_op.create_index(
            "uq_signing_keys_one_active",
            ["owner", "purpose"],
            unique=True,
            sqlite_where=sa.text("state = 'ACTIVE'"),
            postgresql_where=sa.text("state = 'ACTIVE'"),
        )
        batch_op.create_index(
            "uq_signing_keys_one_next",
            ["owner", "purpose"],
            unique=True,
            sqlite_where=sa.text("state = 'NEXT'"),
            postgresql_where=sa.text("state = 'NEXT'"),
        )

    op.create_table(
        "statements",
        sa.Column("sub", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("issued_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("jwt", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sub", name=op.f("pk_statements")),
    )
    op.create_table(
        "status_lists",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("bits", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("full", sa.Boolean(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=True),
        sa.Column("issued_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_lists")),
        sa.UniqueConstraint("uri", name=op.f("uq_status_lists_uri")),
    )
    op.create_table(
        "used_client_assertions",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti", name=op.f("pk_used_client_assertions")),
    )
    with op.batch_alter_table("used_client_assertions", schema=None) as batch_op:
        batch_op.create_index("ix_used_client_assertions_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "api_client_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("jwk", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("added_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("removed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("slot IN (1, 2)", name=op.f("ck_api_client_keys_slot_value")),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_clients.client_id"], name=op.f("fk_api_client_keys_client_id_api_clients")
        ),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_api_client_keys")),
    )
    with op.batch_alter_table("api_client_keys", schema=None) as batch_op:
        batch_op.create_index(
            "uq_api_client_keys_slot",
            ["client_id", "slot"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.create_table(
        "entities",
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("ods_code", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("federation_jwks", passport_shared.service.columns.JsonText(), nullable=True),
        sa.Column("enrolled_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("suspension", sa.Text(), nullable=True),
        sa.Column("suspension_reason", sa.Text(), nullable=True),
        sa.Column("suspended_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("suspended_by", passport_shared.service.columns.JsonText(), nullable=True),
        sa.Column("review_on", sa.Date(), nullable=True),
        sa.Column("live_since", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column(
            "issuing_closed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True
        ),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ods_code"], ["organisations.ods_code"], name=op.f("fk_entities_ods_code_organisations")
        ),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_entities")),
        sa.UniqueConstraint("ods_code", "role", name=op.f("uq_entities_ods_code_role")),
    )
    op.create_table(
        "onboarding_steps",
        sa.Column("ods_code", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due", sa.Date(), nullable=True),
        sa.Column("done_on", sa.Date(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("waived_until", sa.Date(), nullable=True),
        sa.Column("waived_by", sa.Text(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("details", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("recorded_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ods_code"], ["organisations.ods_code"], name=op.f("fk_onboarding_steps_ods_code_organisations")
        ),
        sa.PrimaryKeyConstraint("ods_code", "step", name=op.f("pk_onboarding_steps")),
    )
    op.create_table(
        "authorisations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("vct", sa.Text(), nullable=False),
        sa.Column("territory", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("valid_from", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("valid_until", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("max_validity_s", sa.Integer(), nullable=True),
        sa.Column("claims", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("purposes", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("proposed_by", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("approved_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("approved_by", passport_shared.service.columns.JsonText(), nullable=True),
        sa.Column("four_eyes", sa.Text(), nullable=True),
        sa.Column("withdrawn_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", passport_shared.service.columns.JsonText(), nullable=True),
        sa.Column("withdrawn_reason", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entities.entity_id"], name=op.f("fk_authorisations_entity_id_entities")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorisations")),
    )
    with op.batch_alter_table("authorisations", schema=None) as batch_op:
        batch_op.create_index("ix_authorisations_entity_id", ["entity_id"], unique=False)

    op.create_table(
        "enrolment_codes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("code_hmac", sa.Text(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("keys_digest", sa.Text(), nullable=True),
        sa.Column("federation_jwks", passport_shared.service.columns.JsonText(), nullable=True),
        sa.Column("completed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entities.entity_id"], name=op.f("fk_enrolment_codes_entity_id_entities")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolment_codes")),
        sa.UniqueConstraint("code_hmac", name=op.f("uq_enrolment_codes_code_hmac")),
    )
    with op.batch_alter_table("enrolment_codes", schema=None) as batch_op:
        batch_op.create_index("ix_enrolment_codes_entity_id", ["entity_id"], unique=False)

    op.create_table(
        "trust_marks",
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("trust_mark_type", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("content", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("issued_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("status_list_id", sa.Text(), nullable=False),
        sa.Column("status_idx", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("jwt", sa.Text(), nullable=True),
        sa.Column("replaced_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('PREPARED', 'CURRENT', 'REPLACED', 'ABANDONED')",
            name=op.f("ck_trust_marks_state_value"),
        ),
        sa.CheckConstraint("status IN (0, 1, 2)", name=op.f("ck_trust_marks_status_value")),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entities.entity_id"], name=op.f("fk_trust_marks_entity_id_entities")
        ),
        sa.ForeignKeyConstraint(
            ["status_list_id"], ["status_lists.id"], name=op.f("fk_trust_marks_status_list_id_status_lists")
        ),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_trust_marks")),
        sa.UniqueConstraint(
            "status_list_id", "status_idx", name=op.f("uq_trust_marks_status_list_id_status_idx")
        ),
    )
    with op.batch_alter_table("trust_marks", schema=None) as batch_op:
        batch_op.create_index(
            "uq_trust_marks_one_current",
            ["entity_id"],
            unique=True,
            sqlite_where=sa.text("state = 'CURRENT'"),
            postgresql_where=sa.text("state = 'CURRENT'"),
        )

    op.create_table(
        "certificates",
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("enrolment_id", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("jkt", sa.Text(), nullable=False),
        sa.Column("public_jwk", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("subject", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("not_before", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("not_after", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column(
            "not_after_signing", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False
        ),
        sa.Column("der", sa.LargeBinary(), nullable=True),
        sa.Column("x5t_s256", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column(
            "state_changed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["enrolment_id"],
            ["enrolment_codes.id"],
            name=op.f("fk_certificates_enrolment_id_enrolment_codes"),
        ),
        sa.ForeignKeyConstraint(
            ["entity_id"], ["entities.entity_id"], name=op.f("fk_certificates_entity_id_entities")
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificates")),
        sa.UniqueConstraint("enrolment_id", "use", name=op.f("uq_certificates_enrolment_id_use")),
        sa.UniqueConstraint("jkt", name=op.f("uq_certificates_jkt")),
        sa.UniqueConstraint("x5t_s256", name=op.f("uq_certificates_x5t_s256")),
    )
    with op.batch_alter_table("certificates", schema=None) as batch_op:
        batch_op.create_index("ix_certificates_entity_id", ["entity_id"], unique=False)

    op.execute("INSERT INTO changes (id, made, published) VALUES (1, 0, 0)")


def downgrade() -> None:  # noqa: PLR0915 - one statement per table
    with op.batch_alter_table("certificates", schema=None) as batch_op:
        batch_op.drop_index("ix_certificates_entity_id")

    op.drop_table("certificates")
    with op.batch_alter_table("trust_marks", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_trust_marks_one_current",
            sqlite_where=sa.text("state = 'CURRENT'"),
            postgresql_where=sa.text("state = 'CURRENT'"),
        )

    op.drop_table("trust_marks")
    with op.batch_alter_table("enrolment_codes", schema=None) as batch_op:
        batch_op.drop_index("ix_enrolment_codes_entity_id")

    op.drop_table("enrolment_codes")
    with op.batch_alter_table("authorisations", schema=None) as batch_op:
        batch_op.drop_index("ix_authorisations_entity_id")

    op.drop_table("authorisations")
    op.drop_table("onboarding_steps")
    op.drop_table("entities")
    with op.batch_alter_table("api_client_keys", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_api_client_keys_slot",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.drop_table("api_client_keys")
    with op.batch_alter_table("used_client_assertions", schema=None) as batch_op:
        batch_op.drop_index("ix_used_client_assertions_expires_at")

    op.drop_table("used_client_assertions")
    op.drop_table("status_lists")
    op.drop_table("statements")
    with op.batch_alter_table("signing_keys", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_signing_keys_one_next",
            sqlite_where=sa.text("state = 'NEXT'"),
            postgresql_where=sa.text("state = 'NEXT'"),
        )
        batch_op.drop_index(
            "uq_signing_keys_one_active",
            sqlite_where=sa.text("state = 'ACTIVE'"),
            postgresql_where=sa.text("state = 'ACTIVE'"),
        )
        batch_op.drop_index("ix_signing_keys_owner_purpose")

    op.drop_table("signing_keys")
    op.drop_table("service_secrets")
    op.drop_table("rate_limits")
    with op.batch_alter_table("publications", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_publications_one_successor",
            sqlite_where=sa.text("state = 'PUBLISHED'"),
            postgresql_where=sa.text("state = 'PUBLISHED'"),
        )

    op.drop_table("publications")
    op.drop_table("parts")
    op.drop_table("outbox_sinks")
    with op.batch_alter_table("outbox_events", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_events_unplaced",
            sqlite_where=sa.text("position IS NULL"),
            postgresql_where=sa.text("position IS NULL"),
        )
        batch_op.drop_index("ix_outbox_events_organisation_position")

    op.drop_table("outbox_events")
    op.drop_table("organisations")
    op.drop_table("leases")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_state_run_after")

    op.drop_table("jobs")
    with op.batch_alter_table("idempotency_claims", schema=None) as batch_op:
        batch_op.drop_index("ix_idempotency_claims_expires_at")

    op.drop_table("idempotency_claims")
    op.drop_table("changes")
    op.drop_table("cached_documents")
    op.drop_table("authority_certificates")
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_audit_entries_unsealed",
            sqlite_where=sa.text("seq IS NULL"),
            postgresql_where=sa.text("seq IS NULL"),
        )
        batch_op.drop_index("ix_audit_entries_subject_ref")

    op.drop_table("audit_entries")
    op.drop_table("audit_checkpoints")
    op.drop_table("api_clients")
    op.drop_table("agreements")
