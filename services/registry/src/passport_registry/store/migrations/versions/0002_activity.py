"""Make the tables of activity facts, what they add up to, and what reports estimate with."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "activity_counts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("employing_ods", sa.Text(), nullable=False),
        sa.Column("host_ods", sa.Text(), nullable=False),
        sa.Column("movement_type", sa.Text(), nullable=False),
        sa.Column("role_profile", sa.Text(), nullable=False),
        sa.Column("workforce_group", sa.Text(), nullable=False),
        sa.Column("use_case", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("would_have_needed", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("timed", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint(
            "kind",
            "source",
            "month",
            "ods",
            "employing_ods",
            "host_ods",
            "movement_type",
            "role_profile",
            "workforce_group",
            "use_case",
            "channel",
            "would_have_needed",
            "outcome",
            "reason",
            name=op.f("pk_activity_counts"),
        ),
    )
    with op.batch_alter_table("activity_counts", schema=None) as batch_op:
        batch_op.create_index("ix_activity_counts_month_kind", ["month", "kind"], unique=False)

    op.create_table(
        "activity_durations",
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("seconds", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "step", "ods", "channel", "source", "month", "seconds", name=op.f("pk_activity_durations")
        ),
    )
    op.create_table(
        "activity_imports",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source_note", sa.Text(), nullable=False),
        sa.Column("imported", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("actor", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("created_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activity_imports")),
    )
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
        "report_baselines",
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("citation", sa.Text(), nullable=False),
        sa.Column("entered_by", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("entered_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("minutes > 0", name=op.f("ck_report_baselines_takes_time")),
        sa.PrimaryKeyConstraint("document", "ods", name=op.f("pk_report_baselines")),
    )
    op.create_table(
        "activity_facts",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("fact", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("import_id", sa.Text(), nullable=True),
        sa.Column("received_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["activity_imports.id"], name=op.f("fk_activity_facts_import_id_activity_imports")
        ),
        sa.ForeignKeyConstraint(
            ["ods"], ["organisations.ods_code"], name=op.f("fk_activity_facts_ods_organisations")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_activity_facts")),
    )
    with op.batch_alter_table("activity_facts", schema=None) as batch_op:
        batch_op.create_index("ix_activity_facts_ods_event_id", ["ods", "event_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("activity_facts", schema=None) as batch_op:
        batch_op.drop_index("ix_activity_facts_ods_event_id")

    op.drop_table("activity_facts")
    op.drop_table("report_baselines")
    op.drop_table("outbox_refusals")
    op.drop_table("activity_imports")
    op.drop_table("activity_durations")
    with op.batch_alter_table("activity_counts", schema=None) as batch_op:
        batch_op.drop_index("ix_activity_counts_month_kind")

    op.drop_table("activity_counts")
