"""Make the tables of invitations and notices."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = passport_shared.service.columns.UtcDateTime(timezone=True)
JSON = passport_shared.service.columns.JsonText()


def _only(table: str, name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )


def upgrade() -> None:
    _invitations()
    _notices()
    op.create_table(
        "notice_contacts",
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ods"], ["tenants.ods"], name=op.f("fk_notice_contacts_ods_tenants")),
        sa.PrimaryKeyConstraint("ods", name=op.f("pk_notice_contacts")),
    )
    op.create_table(
        "notice_outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("to_address", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sent_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_outbox")),
    )
    with op.batch_alter_table("identity_sessions") as batch_op:
        batch_op.add_column(sa.Column("place", sa.Text(), nullable=True))
    _only("credentials", "ix_credentials_live_expires_at", ["expires_at"], "state IN ('ISSUED', 'ACTIVE')")
    _only("checks", "ix_checks_next_due", ["next_due"], "next_due IS NOT NULL")


def _invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("browser_hash", sa.Text(), nullable=True),
        sa.Column("resend_of", sa.Text(), nullable=True),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("opened_at", INSTANT, nullable=True),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_invitations_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_index("ix_invitations_staff_id", "invitations", ["staff_id"])
    _only("invitations", "ux_invitations_waiting", ["staff_id"], "state IN ('DRAFT', 'SENT')", unique=True)
    _only("invitations", "ix_invitations_expires_at", ["expires_at"], "state = 'SENT'")


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=True),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("once", sa.Text(), nullable=True),
        sa.Column("resend_of", sa.Text(), nullable=True),
        sa.Column("queued_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_notices_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("once", name=op.f("uq_notices_once")),
        sa.UniqueConstraint("resend_of", name=op.f("uq_notices_resend_of")),
    )
    op.create_index("ix_notices_ods_id", "notices", ["ods", "id"])
    op.create_index("ix_notices_staff_id_id", "notices", ["staff_id", "id"])
    _only("notices", "ix_notices_queued", ["queued_at"], "state = 'QUEUED'")


def downgrade() -> None:
    op.drop_index("ix_checks_next_due", table_name="checks")
    op.drop_index("ix_credentials_live_expires_at", table_name="credentials")
    with op.batch_alter_table("identity_sessions") as batch_op:
        batch_op.drop_column("place")
    for table in ("notice_outbox", "notice_contacts", "notices", "invitations"):
        op.drop_table(table)
