"""Make every table of the issuer."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915 - one statement per table
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
        "tenants",
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("enrolled_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("ods", name=op.f("pk_tenants")),
        sa.UniqueConstraint("entity_id", name=op.f("uq_tenants_entity_id")),
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
        "used_nonces",
        sa.Column("nonce_hash", sa.Text(), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("nonce_hash", name=op.f("pk_used_nonces")),
    )
    with op.batch_alter_table("used_nonces", schema=None) as batch_op:
        batch_op.create_index("ix_used_nonces_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "wallet_notifications",
        sa.Column("notification_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("received_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("notification_id", "event", name=op.f("pk_wallet_notifications")),
    )
    op.create_table(
        "staff",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("legal_given", sa.Text(), nullable=False),
        sa.Column("legal_family", sa.Text(), nullable=False),
        sa.Column("preferred_name", sa.Text(), nullable=True),
        sa.Column("birthdate", sa.Date(), nullable=False),
        sa.Column("portrait", sa.Text(), nullable=True),
        sa.Column("work_email", sa.Text(), nullable=True),
        sa.Column("mobile", sa.Text(), nullable=True),
        sa.Column("employment_status", sa.Text(), nullable=False),
        sa.Column("leaving_date", sa.Date(), nullable=True),
        sa.Column("preferences", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ods"], ["tenants.ods"], name=op.f("fk_staff_ods_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
    )
    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.create_index("ix_staff_ods_id", ["ods", "id"], unique=False)

    op.create_table(
        "status_lists",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("allocated", sa.Integer(), nullable=False),
        sa.Column("usable_from", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("published_version", sa.BigInteger(), nullable=False),
        sa.Column("published_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ods"], ["tenants.ods"], name=op.f("fk_status_lists_ods_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_lists")),
    )
    with op.batch_alter_table("status_lists", schema=None) as batch_op:
        batch_op.create_index("ix_status_lists_ods", ["ods"], unique=False)

    op.create_table(
        "tenant_certificates",
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("x5c", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("x5t_s256", sa.Text(), nullable=False),
        sa.Column("not_before", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("not_after", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column(
            "not_after_signing", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False
        ),
        sa.Column("received_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ods"], ["tenants.ods"], name=op.f("fk_tenant_certificates_ods_tenants")),
        sa.PrimaryKeyConstraint("ods", "use", "kid", name=op.f("pk_tenant_certificates")),
    )
    op.create_table(
        "assignments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("primary", sa.Boolean(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("fte", sa.Float(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("staff_group", sa.Text(), nullable=False),
        sa.Column("job_role", sa.Text(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("site", sa.Text(), nullable=True),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("projected_end", sa.Date(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_assignments_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
        sa.UniqueConstraint("staff_id", "ref", name=op.f("uq_assignments_staff_id_ref")),
    )
    op.create_table(
        "checks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("check_type", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("performed_on", sa.Date(), nullable=False),
        sa.Column("performed_by", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("evidence_ref", sa.Text(), nullable=True),
        sa.Column("fields", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("provenance", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("next_due", sa.Date(), nullable=True),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_checks_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checks")),
    )
    with op.batch_alter_table("checks", schema=None) as batch_op:
        batch_op.create_index("ix_checks_staff_id_id", ["staff_id", "id"], unique=False)

    op.create_table(
        "identity_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("scheduled_for", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("join_url", sa.Text(), nullable=True),
        sa.Column("documents", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("face_matched", sa.Boolean(), nullable=False),
        sa.Column("originals_seen_in_person_on", sa.Date(), nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("started_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("hr_user", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_identity_sessions_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_sessions")),
    )
    with op.batch_alter_table("identity_sessions", schema=None) as batch_op:
        batch_op.create_index("ix_identity_sessions_staff_id_id", ["staff_id", "id"], unique=False)

    op.create_table(
        "passports",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("holder_ref", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column(
            "first_issued_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_passports_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passports")),
        sa.UniqueConstraint("holder_ref", name=op.f("uq_passports_holder_ref")),
        sa.UniqueConstraint("staff_id", name=op.f("uq_passports_staff_id")),
    )
    op.create_table(
        "staff_external_ids",
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["staff.id"], name=op.f("fk_staff_external_ids_staff_id_staff")
        ),
        sa.PrimaryKeyConstraint("ods", "kind", "value", name=op.f("pk_staff_external_ids")),
    )
    with op.batch_alter_table("staff_external_ids", schema=None) as batch_op:
        batch_op.create_index("ix_staff_external_ids_staff_id", ["staff_id"], unique=False)

    op.create_table(
        "training",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("subject_code", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("completed_on", sa.Date(), nullable=False),
        sa.Column("provider_ods", sa.Text(), nullable=False),
        sa.Column("framework", sa.Text(), nullable=False),
        sa.Column("framework_version", sa.Text(), nullable=False),
        sa.Column("competency_name", sa.Text(), nullable=False),
        sa.Column("assessed", sa.Boolean(), nullable=False),
        sa.Column("learning_method", sa.Text(), nullable=False),
        sa.Column("certificate_ref", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_training_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training")),
    )
    with op.batch_alter_table("training", schema=None) as batch_op:
        batch_op.create_index("ix_training_staff_id_id", ["staff_id", "id"], unique=False)

    op.create_table(
        "credential_offers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("passport_id", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("configuration_ids", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("not_held", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reviewed", sa.Boolean(), nullable=False),
        sa.Column("wrong_tx_codes", sa.Integer(), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("redeemed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["passport_id"], ["passports.id"], name=op.f("fk_credential_offers_passport_id_passports")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential_offers")),
    )
    with op.batch_alter_table("credential_offers", schema=None) as batch_op:
        batch_op.create_index("ix_credential_offers_staff_id_id", ["staff_id", "id"], unique=False)
        batch_op.create_index("ix_credential_offers_state_expires_at", ["state", "expires_at"], unique=False)

    op.create_table(
        "credentials",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("passport_id", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source_ref", sa.Text(), nullable=False),
        sa.Column("vct", sa.Text(), nullable=False),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.Column("status_list_id", sa.Text(), nullable=False),
        sa.Column("status_idx", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("holder_jkt", sa.Text(), nullable=False),
        sa.Column("payload_digest", sa.Text(), nullable=False),
        sa.Column("issuer_jwt_sha256", sa.Text(), nullable=True),
        sa.Column("supersedes", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("notification_id", sa.Text(), nullable=False),
        sa.Column("prepared_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("issued_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column(
            "acknowledged_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True
        ),
        sa.Column("ended_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["credential_offers.id"], name=op.f("fk_credentials_offer_id_credential_offers")
        ),
        sa.ForeignKeyConstraint(
            ["passport_id"], ["passports.id"], name=op.f("fk_credentials_passport_id_passports")
        ),
        sa.ForeignKeyConstraint(
            ["status_list_id"], ["status_lists.id"], name=op.f("fk_credentials_status_list_id_status_lists")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        sa.UniqueConstraint(
            "status_list_id", "status_idx", name=op.f("uq_credentials_status_list_id_status_idx")
        ),
    )
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.create_index("ix_credentials_notification_id", ["notification_id"], unique=False)
        batch_op.create_index("ix_credentials_ods_id", ["ods", "id"], unique=False)
        batch_op.create_index("ix_credentials_passport_id_type", ["passport_id", "type"], unique=False)
        batch_op.create_index(
            "ix_credentials_prepared",
            ["prepared_at"],
            unique=False,
            sqlite_where=sa.text("state = 'PREPARED'"),
            postgresql_where=sa.text("state = 'PREPARED'"),
        )
        batch_op.create_index("ix_credentials_request_id", ["request_id"], unique=False)

    op.create_table(
        "offer_datasets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("configuration_id", sa.Text(), nullable=False),
        sa.Column("source_ref", sa.Text(), nullable=False),
        sa.Column("claims", passport_shared.service.columns.JsonText(), nullable=True),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["credential_offers.id"], name=op.f("fk_offer_datasets_offer_id_credential_offers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer_datasets")),
        sa.UniqueConstraint("offer_id", "position", name=op.f("uq_offer_datasets_offer_id_position")),
    )
    op.create_table(
        "wallet_access_tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("by_identifier", sa.Boolean(), nullable=False),
        sa.Column("issued_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["offer_id"],
            ["credential_offers.id"],
            name=op.f("fk_wallet_access_tokens_offer_id_credential_offers"),
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_wallet_access_tokens")),
    )
    with op.batch_alter_table("wallet_access_tokens", schema=None) as batch_op:
        batch_op.create_index("ix_wallet_access_tokens_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_wallet_access_tokens_offer_id", ["offer_id"], unique=False)


def downgrade() -> None:  # noqa: PLR0915 - one statement per table
    with op.batch_alter_table("wallet_access_tokens", schema=None) as batch_op:
        batch_op.drop_index("ix_wallet_access_tokens_offer_id")
        batch_op.drop_index("ix_wallet_access_tokens_expires_at")

    op.drop_table("wallet_access_tokens")
    op.drop_table("offer_datasets")
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_index("ix_credentials_request_id")
        batch_op.drop_index(
            "ix_credentials_prepared",
            sqlite_where=sa.text("state = 'PREPARED'"),
            postgresql_where=sa.text("state = 'PREPARED'"),
        )
        batch_op.drop_index("ix_credentials_passport_id_type")
        batch_op.drop_index("ix_credentials_ods_id")
        batch_op.drop_index("ix_credentials_notification_id")

    op.drop_table("credentials")
    with op.batch_alter_table("credential_offers", schema=None) as batch_op:
        batch_op.drop_index("ix_credential_offers_state_expires_at")
        batch_op.drop_index("ix_credential_offers_staff_id_id")

    op.drop_table("credential_offers")
    with op.batch_alter_table("training", schema=None) as batch_op:
        batch_op.drop_index("ix_training_staff_id_id")

    op.drop_table("training")
    with op.batch_alter_table("staff_external_ids", schema=None) as batch_op:
        batch_op.drop_index("ix_staff_external_ids_staff_id")

    op.drop_table("staff_external_ids")
    op.drop_table("passports")
    with op.batch_alter_table("identity_sessions", schema=None) as batch_op:
        batch_op.drop_index("ix_identity_sessions_staff_id_id")

    op.drop_table("identity_sessions")
    with op.batch_alter_table("checks", schema=None) as batch_op:
        batch_op.drop_index("ix_checks_staff_id_id")

    op.drop_table("checks")
    op.drop_table("assignments")
    op.drop_table("tenant_certificates")
    with op.batch_alter_table("status_lists", schema=None) as batch_op:
        batch_op.drop_index("ix_status_lists_ods")

    op.drop_table("status_lists")
    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.drop_index("ix_staff_ods_id")

    op.drop_table("staff")
    op.drop_table("wallet_notifications")
    with op.batch_alter_table("used_nonces", schema=None) as batch_op:
        batch_op.drop_index("ix_used_nonces_expires_at")

    op.drop_table("used_nonces")
    with op.batch_alter_table("used_client_assertions", schema=None) as batch_op:
        batch_op.drop_index("ix_used_client_assertions_expires_at")

    op.drop_table("used_client_assertions")
    op.drop_table("tenants")
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
    op.drop_table("outbox_sinks")
    with op.batch_alter_table("outbox_events", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_events_unplaced",
            sqlite_where=sa.text("position IS NULL"),
            postgresql_where=sa.text("position IS NULL"),
        )
        batch_op.drop_index("ix_outbox_events_organisation_position")

    op.drop_table("outbox_events")
    op.drop_table("leases")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_state_run_after")

    op.drop_table("jobs")
    with op.batch_alter_table("idempotency_claims", schema=None) as batch_op:
        batch_op.drop_index("ix_idempotency_claims_expires_at")

    op.drop_table("idempotency_claims")
    op.drop_table("cached_documents")
    with op.batch_alter_table("audit_entries", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_audit_entries_unsealed",
            sqlite_where=sa.text("seq IS NULL"),
            postgresql_where=sa.text("seq IS NULL"),
        )
        batch_op.drop_index("ix_audit_entries_subject_ref")

    op.drop_table("audit_entries")
    op.drop_table("audit_checkpoints")
