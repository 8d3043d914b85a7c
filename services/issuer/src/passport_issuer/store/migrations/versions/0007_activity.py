"""Make the table of events that a receiver refuses."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox_refusals",
        sa.Column("sink", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refused_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("set_aside_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("sink", "event_id", name=op.f("pk_outbox_refusals")),
    )


def downgrade() -> None:
    op.drop_table("outbox_refusals")
