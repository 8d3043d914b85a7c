"""Make the table of HR users; let an organisation keep its HR users here, and be a sandbox."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sandbox", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(
            sa.Column("keeps_hr_users", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    op.create_table(
        "hr_users",
        sa.Column("ods_code", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("roles", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("training_passed_on", sa.Date(), nullable=True),
        sa.Column("recorded_at", passport_shared.service.columns.UtcDateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ods_code"], ["organisations.ods_code"], name=op.f("fk_hr_users_ods_code_organisations")
        ),
        sa.PrimaryKeyConstraint("ods_code", "subject", name=op.f("pk_hr_users")),
    )


def downgrade() -> None:
    op.drop_table("hr_users")
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        batch_op.drop_column("keeps_hr_users")
        batch_op.drop_column("sandbox")
