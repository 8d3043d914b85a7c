"""Find what is prepared for an entity, and how long a list's marks last, without reading every mark."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_trust_marks_prepared",
        "trust_marks",
        ["entity_id"],
        sqlite_where=sa.text("state = 'PREPARED'"),
        postgresql_where=sa.text("state = 'PREPARED'"),
    )
    op.create_index(
        "ix_trust_marks_status_list_id_expires_at", "trust_marks", ["status_list_id", "expires_at"]
    )


def downgrade() -> None:
    op.drop_index("ix_trust_marks_status_list_id_expires_at", table_name="trust_marks")
    op.drop_index("ix_trust_marks_prepared", table_name="trust_marks")
