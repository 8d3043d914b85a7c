"""Let a list say of every index nobody here accounts for that it has ended, after a restore."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "status_lists",
        sa.Column(
            "accounted_only", sa.Boolean(create_constraint=False), server_default=sa.false(), nullable=False
        ),
    )


def downgrade() -> None:
    with op.batch_alter_table("status_lists") as batch:
        batch.drop_column("accounted_only")
