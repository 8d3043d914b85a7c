"""Make the tables of workforce connections and links."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "connections",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("system_type", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("authentication", sa.Text(), nullable=False),
        sa.Column("token_url", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("audience", sa.Text(), nullable=True),
        sa.Column("api_key_wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("private_hosts", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("timeout_s", sa.Float(), nullable=False),
        sa.Column("max_pages", sa.Integer(), nullable=False),
        sa.Column("on_registration_change", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("event_key_hash", sa.Text(), nullable=True),
        sa.Column("last_ok_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_error_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("suspicious_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("suspicious_reason", sa.Text(), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column(
            "refresh_due_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ods"], ["tenants.ods"], name=op.f("fk_connections_ods_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connections")),
        sa.UniqueConstraint("event_key_hash", name=op.f("uq_connections_event_key_hash")),
        sa.UniqueConstraint("ods", "name", name=op.f("uq_connections_ods_name")),
    )
    with op.batch_alter_table("connections", schema=None) as batch_op:
        batch_op.create_index("ix_connections_ods_id", ["ods", "id"], unique=False)
        batch_op.create_index(
            "ix_connections_state_refresh_due_at", ["state", "refresh_due_at"], unique=False
        )

    op.create_table(
        "gatherings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("sources", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_gatherings_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gatherings")),
    )
    with op.batch_alter_table("gatherings", schema=None) as batch_op:
        batch_op.create_index("ix_gatherings_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_gatherings_staff_id_id", ["staff_id", "id"], unique=False)

    op.create_table(
        "screening_records",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("date", sa.Text(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_screening_records_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screening_records")),
        sa.UniqueConstraint(
            "staff_id",
            "record_type",
            "code",
            "date",
            name=op.f("uq_screening_records_staff_id_record_type_code_date"),
        ),
    )
    op.create_table(
        "staff_links",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("given_name", sa.Text(), nullable=False),
        sa.Column("family_name", sa.Text(), nullable=False),
        sa.Column("previous_family_names", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("birthdate", sa.Date(), nullable=True),
        sa.Column("differences", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("differences_accepted", sa.Text(), nullable=True),
        sa.Column("chosen_by", sa.Text(), nullable=False),
        sa.Column("chosen_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("contested_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("due_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column(
            "last_gathered_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name=op.f("fk_staff_links_connection_id_connections")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_links_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_links")),
        sa.UniqueConstraint(
            "connection_id", "person_id", name=op.f("uq_staff_links_connection_id_person_id")
        ),
        sa.UniqueConstraint("connection_id", "staff_id", name=op.f("uq_staff_links_connection_id_staff_id")),
    )
    with op.batch_alter_table("staff_links", schema=None) as batch_op:
        batch_op.create_index(
            "ix_staff_links_connection_id_due_at", ["connection_id", "due_at"], unique=False
        )
        batch_op.create_index("ix_staff_links_staff_id", ["staff_id"], unique=False)

    op.create_table(
        "gathering_items",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("gathering_id", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("values", passport_shared.service.columns.JsonText(), nullable=True),
        sa.Column("differs", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("applied_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.Column("applied_by", sa.Text(), nullable=True),
        sa.Column("record_id", sa.Text(), nullable=True),
        sa.Column("changed_something", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["gathering_id"], ["gatherings.id"], name=op.f("fk_gathering_items_gathering_id_gatherings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gathering_items")),
        sa.UniqueConstraint(
            "gathering_id", "position", name=op.f("uq_gathering_items_gathering_id_position")
        ),
    )


def downgrade() -> None:
    op.drop_table("gathering_items")
    with op.batch_alter_table("staff_links", schema=None) as batch_op:
        batch_op.drop_index("ix_staff_links_staff_id")
        batch_op.drop_index("ix_staff_links_connection_id_due_at")

    op.drop_table("staff_links")
    op.drop_table("screening_records")
    with op.batch_alter_table("gatherings", schema=None) as batch_op:
        batch_op.drop_index("ix_gatherings_staff_id_id")
        batch_op.drop_index("ix_gatherings_expires_at")

    op.drop_table("gatherings")
    with op.batch_alter_table("connections", schema=None) as batch_op:
        batch_op.drop_index("ix_connections_state_refresh_due_at")
        batch_op.drop_index("ix_connections_ods_id")

    op.drop_table("connections")
