"""Make the tables of releases of staff to other trusts."""

import sqlalchemy as sa
from alembic import op

from passport_shared.service.columns import JsonText, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "releases",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("request_jti", sa.Text(), nullable=False),
        sa.Column("request_sha256", sa.Text(), nullable=False),
        sa.Column("host_ods", sa.Text(), nullable=False),
        sa.Column("movement_id", sa.Text(), nullable=False),
        sa.Column("movement_version", sa.Integer(), nullable=False),
        sa.Column("movement", JsonText(), nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("end", sa.Date(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("subject", JsonText(), nullable=True),
        sa.Column("staff_id", sa.Text(), nullable=True),
        sa.Column("linked_by", sa.Text(), nullable=True),
        sa.Column("linked_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("received_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("answer_by", UtcDateTime(timezone=True), nullable=False),
        sa.Column("line_manager_decision", sa.Text(), nullable=True),
        sa.Column("line_manager_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("line_manager_by", sa.Text(), nullable=True),
        sa.Column("hr_decision", sa.Text(), nullable=True),
        sa.Column("hr_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("hr_by", sa.Text(), nullable=True),
        sa.Column("staff_decision", sa.Text(), nullable=True),
        sa.Column("staff_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("limits", JsonText(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=True),
        sa.Column("decline_code", sa.Text(), nullable=True),
        sa.Column("agreed_end", sa.Date(), nullable=True),
        sa.Column("released_end", sa.Date(), nullable=True),
        sa.Column("overlap_warning", sa.Boolean(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["ods"], ["tenants.ods"], name=op.f("fk_releases_ods_tenants")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_releases_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint(
            "ods", "requester", "request_jti", name=op.f("uq_releases_ods_requester_request_jti")
        ),
    )
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.create_index("ix_releases_ods_received_at_id", ["ods", "received_at", "id"], unique=False)
        batch_op.create_index("ix_releases_staff_id", ["staff_id"], unique=False)
        batch_op.create_index("ix_releases_requester_movement_id", ["requester", "movement_id"], unique=False)
        batch_op.create_index(
            "ix_releases_open",
            ["answer_by"],
            unique=False,
            sqlite_where=sa.text("state = 'REQUESTED'"),
            postgresql_where=sa.text("state = 'REQUESTED'"),
        )
    op.create_table(
        "release_documents",
        sa.Column("release_id", sa.Text(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("claims", JsonText(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("reserved_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("signed_at", UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["release_id"], ["releases.id"], name=op.f("fk_release_documents_release_id_releases")
        ),
        sa.PrimaryKeyConstraint("release_id", "serial", name=op.f("pk_release_documents")),
    )
    with op.batch_alter_table("release_documents", schema=None) as batch_op:
        batch_op.create_index(
            "ix_release_documents_unsigned",
            ["reserved_at"],
            unique=False,
            sqlite_where=sa.text("token IS NULL"),
            postgresql_where=sa.text("token IS NULL"),
        )


def downgrade() -> None:
    op.drop_table("release_documents")
    op.drop_table("releases")
