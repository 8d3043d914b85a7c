"""Create the verifier's tables."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915 (one statement per table and index)
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
        "issuer_chains",
        sa.Column("x5t_s256", sa.Text(), nullable=False),
        sa.Column("x5c", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("seen_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("x5t_s256", name=op.f("pk_issuer_chains")),
    )
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
        "movements",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("employing_ods", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("role_profile", sa.Text(), nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("end", sa.Date(), nullable=False),
        sa.Column("details", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("data_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("updated_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint('"end" >= start', name=op.f("ck_movements_ends_after_it_starts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movements")),
        sa.UniqueConstraint("ods", "external_id", name=op.f("uq_movements_ods_external_id")),
    )
    with op.batch_alter_table("movements", schema=None) as batch_op:
        batch_op.create_index("ix_movements_ods_id", ["ods", "id"], unique=False)

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
        "register_checks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("regulator", sa.Text(), nullable=False),
        sa.Column("number_commitment", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("licence", sa.Boolean(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("checked_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("actor", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("recorded_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_checks")),
    )
    with op.batch_alter_table("register_checks", schema=None) as batch_op:
        batch_op.create_index("ix_register_checks_case_id", ["case_id", "checked_at"], unique=False)

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
        "status_lists",
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("iat", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("exp", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("fetched_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column(
            "next_fetch_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False
        ),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column(
            "first_seen_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False
        ),
        sa.PrimaryKeyConstraint("uri", name=op.f("pk_status_lists")),
    )
    with op.batch_alter_table("status_lists", schema=None) as batch_op:
        batch_op.create_index("ix_status_lists_next_fetch_at", ["next_fetch_at"], unique=False)

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
        "presentation_requests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("movement_id", sa.Text(), nullable=True),
        sa.Column("policy_id", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("employing_ods", sa.Text(), nullable=True),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("data_key", sa.LargeBinary(), nullable=True),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("oauth_state", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("dcql_query", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("encryption_jwk", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("encryption_key", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_refusal", sa.Text(), nullable=True),
        sa.Column(
            "last_refusal_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True
        ),
        sa.Column("browser_hash", sa.Text(), nullable=True),
        sa.Column("response_code_hash", sa.Text(), nullable=True),
        sa.Column("returned_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("answered_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["movement_id"], ["movements.id"], name=op.f("fk_presentation_requests_movement_id_movements")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presentation_requests")),
        sa.UniqueConstraint("kid", name=op.f("uq_presentation_requests_kid")),
        sa.UniqueConstraint("link", name=op.f("uq_presentation_requests_link")),
        sa.UniqueConstraint("oauth_state", name=op.f("uq_presentation_requests_oauth_state")),
    )
    with op.batch_alter_table("presentation_requests", schema=None) as batch_op:
        batch_op.create_index("ix_presentation_requests_movement_id", ["movement_id"], unique=False)
        batch_op.create_index("ix_presentation_requests_ods_id", ["ods", "id"], unique=False)
        batch_op.create_index(
            "ix_presentation_requests_open",
            ["expires_at", "client"],
            unique=False,
            sqlite_where=sa.text("state = 'OPEN'"),
            postgresql_where=sa.text("state = 'OPEN'"),
        )

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
        "decisions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("movement_id", sa.Text(), nullable=True),
        sa.Column("recheck_of", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("received_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("latest_end", sa.Text(), nullable=True),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("findings", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("policy_digest", sa.Text(), nullable=False),
        sa.Column("registry_sequence", sa.BigInteger(), nullable=False),
        sa.Column("registry_age_s", sa.Integer(), nullable=False),
        sa.Column("status_times", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("awaits_status", sa.Boolean(), nullable=False),
        sa.Column("person_method", sa.Text(), nullable=True),
        sa.Column("person_by", passport_shared.service.columns.JsonText(), nullable=True),
        sa.Column("person_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["movement_id"], ["movements.id"], name=op.f("fk_decisions_movement_id_movements")
        ),
        sa.ForeignKeyConstraint(
            ["recheck_of"], ["decisions.id"], name=op.f("fk_decisions_recheck_of_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["presentation_requests.id"],
            name=op.f("fk_decisions_request_id_presentation_requests"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_decisions_awaiting",
            ["id"],
            unique=False,
            sqlite_where=sa.text("awaits_status"),
            postgresql_where=sa.text("awaits_status"),
        )
        batch_op.create_index("ix_decisions_case_id", ["case_id", "id"], unique=False)
        batch_op.create_index("ix_decisions_ods_id", ["ods", "id"], unique=False)
        batch_op.create_index(
            "uq_decisions_first",
            ["request_id"],
            unique=True,
            sqlite_where=sa.text("recheck_of IS NULL"),
            postgresql_where=sa.text("recheck_of IS NULL"),
        )
        batch_op.create_index(
            "uq_decisions_recheck_of",
            ["recheck_of"],
            unique=True,
            sqlite_where=sa.text("recheck_of IS NOT NULL"),
            postgresql_where=sa.text("recheck_of IS NOT NULL"),
        )

    op.create_table(
        "held_presentations",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("received_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["presentation_requests.id"],
            name=op.f("fk_held_presentations_request_id_presentation_requests"),
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_held_presentations")),
    )
    op.create_table(
        "conditions",
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("due", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("changed_by", passport_shared.service.columns.JsonText(), nullable=True),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_conditions_decision_id_decisions")
        ),
        sa.PrimaryKeyConstraint("decision_id", "number", name=op.f("pk_conditions")),
    )
    op.create_table(
        "reliances",
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("vct", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("issuer_ods", sa.Text(), nullable=True),
        sa.Column("x5t_s256", sa.Text(), nullable=False),
        sa.Column("status_uri", sa.Text(), nullable=False),
        sa.Column("status_idx", sa.BigInteger(), nullable=False),
        sa.Column("iat", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("exp", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("issuer_jwt_sha256", sa.Text(), nullable=False),
        sa.Column("holder_thumbprint", sa.Text(), nullable=False),
        sa.Column("trust_finding", sa.Text(), nullable=False),
        sa.Column("status_finding", sa.Text(), nullable=False),
        sa.Column("verdict", passport_shared.service.columns.JsonText(), nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_reliances_decision_id_decisions")
        ),
        sa.PrimaryKeyConstraint("decision_id", "credential", name=op.f("pk_reliances")),
    )
    with op.batch_alter_table("reliances", schema=None) as batch_op:
        batch_op.create_index("ix_reliances_status_uri", ["status_uri"], unique=False)


def downgrade() -> None:  # noqa: PLR0915
    with op.batch_alter_table("reliances", schema=None) as batch_op:
        batch_op.drop_index("ix_reliances_status_uri")

    op.drop_table("reliances")
    op.drop_table("conditions")
    op.drop_table("held_presentations")
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_decisions_recheck_of",
            sqlite_where=sa.text("recheck_of IS NOT NULL"),
            postgresql_where=sa.text("recheck_of IS NOT NULL"),
        )
        batch_op.drop_index(
            "uq_decisions_first",
            sqlite_where=sa.text("recheck_of IS NULL"),
            postgresql_where=sa.text("recheck_of IS NULL"),
        )
        batch_op.drop_index("ix_decisions_ods_id")
        batch_op.drop_index("ix_decisions_case_id")
        batch_op.drop_index(
            "ix_decisions_awaiting",
            sqlite_where=sa.text("awaits_status"),
            postgresql_where=sa.text("awaits_status"),
        )

    op.drop_table("decisions")
    op.drop_table("tenant_certificates")
    with op.batch_alter_table("presentation_requests", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_presentation_requests_open",
            sqlite_where=sa.text("state = 'OPEN'"),
            postgresql_where=sa.text("state = 'OPEN'"),
        )
        batch_op.drop_index("ix_presentation_requests_ods_id")
        batch_op.drop_index("ix_presentation_requests_movement_id")

    op.drop_table("presentation_requests")
    with op.batch_alter_table("used_client_assertions", schema=None) as batch_op:
        batch_op.drop_index("ix_used_client_assertions_expires_at")

    op.drop_table("used_client_assertions")
    op.drop_table("tenants")
    with op.batch_alter_table("status_lists", schema=None) as batch_op:
        batch_op.drop_index("ix_status_lists_next_fetch_at")

    op.drop_table("status_lists")
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
    with op.batch_alter_table("register_checks", schema=None) as batch_op:
        batch_op.drop_index("ix_register_checks_case_id")

    op.drop_table("register_checks")
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
    with op.batch_alter_table("movements", schema=None) as batch_op:
        batch_op.drop_index("ix_movements_ods_id")

    op.drop_table("movements")
    op.drop_table("leases")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_state_run_after")

    op.drop_table("jobs")
    op.drop_table("issuer_chains")
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
