"""Make the tables of events that a receiver refuses and of cases that count as verified."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0006"
down_revision = "0005"
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
    op.create_table(
        "verified_cases",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("verified_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_verified_cases")),
    )


def downgrade() -> None:
    op.drop_table("verified_cases")
    op.drop_table("outbox_refusals")
