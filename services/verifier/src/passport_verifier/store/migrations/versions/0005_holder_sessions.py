"""Make the tables of holder sessions of staff apps."""

import sqlalchemy as sa
from alembic import op

from passport_shared.service.columns import UtcDateTime

revision = "0005"
down_revision = "0004"
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
    with op.batch_alter_table("reliances", schema=None) as batch_op:
        batch_op.create_index(
            "ix_reliances_holder_thumbprint", ["holder_thumbprint", "decision_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("reliances", schema=None) as batch_op:
        batch_op.drop_index("ix_reliances_holder_thumbprint")
    op.drop_table("holder_used_values")
    op.drop_table("holder_sessions")
