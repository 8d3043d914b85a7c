"""Make the tables of host policies and overrides."""

import sqlalchemy as sa
from alembic import op

from passport_shared.service.columns import JsonText, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_APPROVED = sa.text("state = 'APPROVED'")
_RUNNING = sa.text("state IN ('PROPOSED', 'APPROVED')")


def upgrade() -> None:
    _policy_versions()
    _overrides()


def _policy_versions() -> None:
    op.create_table(
        "policy_versions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("policy_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("effective", sa.Date(), nullable=False),
        sa.Column("document", JsonText(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("base_version", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("proposed_by", JsonText(), nullable=False),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("approved_by", JsonText(), nullable=True),
        sa.Column("four_eyes", sa.Text(), nullable=True),
        sa.Column("withdrawn_at", UtcDateTime(), nullable=True),
        sa.Column("withdrawn_by", JsonText(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_versions")),
        sa.UniqueConstraint(
            "ods", "policy_id", "number", name=op.f("uq_policy_versions_ods_policy_id_number")
        ),
        sa.UniqueConstraint("version_id", name=op.f("uq_policy_versions_version_id")),
    )
    with op.batch_alter_table("policy_versions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_policy_versions_approved",
            ["ods", "policy_id", "effective"],
            unique=False,
            sqlite_where=_APPROVED,
            postgresql_where=_APPROVED,
        )


def _overrides() -> None:
    op.create_table(
        "overrides",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("movement_id", sa.Text(), nullable=True),
        sa.Column("findings", JsonText(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("proposed_by", JsonText(), nullable=False),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("approved_by", JsonText(), nullable=True),
        sa.Column("four_eyes", sa.Text(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", JsonText(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["presentation_requests.id"],
            name=op.f("fk_overrides_request_id_presentation_requests"),
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_overrides_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["movement_id"], ["movements.id"], name=op.f("fk_overrides_movement_id_movements")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_overrides")),
    )
    with op.batch_alter_table("overrides", schema=None) as batch_op:
        batch_op.create_index("ix_overrides_ods_id", ["ods", "id"], unique=False)
        batch_op.create_index("ix_overrides_request_id", ["request_id"], unique=False)
        batch_op.create_index(
            "ix_overrides_running",
            ["expires_at"],
            unique=False,
            sqlite_where=_RUNNING,
            postgresql_where=_RUNNING,
        )


def downgrade() -> None:
    op.drop_table("overrides")
    op.drop_table("policy_versions")
