"""Make the tables of holder sessions of staff apps."""

import sqlalchemy as sa
from alembic import op

from passport_shared.service.columns import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "holder_sessions",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("jkt", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_holder_sessions")),
    )
    with op.batch_alter_table("holder_sessions", schema=None) as batch_op:
        batch_op.create_index("ix_holder_sessions_subject", ["subject"], unique=False)
        batch_op.create_index("ix_holder_sessions_expires_at", ["expires_at"], unique=False)
    op.create_table(
        "holder_used_values",
        sa.Column("value_hash", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("value_hash", name=op.f("pk_holder_used_values")),
    )
    with op.batch_alter_table("holder_used_values", schema=None) as batch_op:
        batch_op.create_index("ix_holder_used_values_expires_at", ["expires_at"], unique=False)
    op.create_table(
        "problem_reports",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("passport_id", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reported_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["ods"], ["tenants.ods"], name=op.f("fk_problem_reports_ods_tenants")),
        sa.ForeignKeyConstraint(
            ["passport_id"], ["passports.id"], name=op.f("fk_problem_reports_passport_id_passports")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_problem_reports_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_problem_reports")),
    )
    with op.batch_alter_table("problem_reports", schema=None) as batch_op:
        batch_op.create_index("ix_problem_reports_ods_id", ["ods", "id"], unique=False)
        batch_op.create_index("ix_problem_reports_passport_id", ["passport_id"], unique=False)
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.create_index("ix_credentials_issuer_jwt_sha256", ["issuer_jwt_sha256"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_index("ix_credentials_issuer_jwt_sha256")
    op.drop_table("problem_reports")
    op.drop_table("holder_used_values")
    op.drop_table("holder_sessions")
