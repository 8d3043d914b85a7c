"""Find a movement's and a request's decisions, and the lists people ask for, without reading them all."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_movements_ods_state_id", "movements", ["ods", "state", "id"])
    op.create_index("ix_register_checks_ods_id", "register_checks", ["ods", "id"])
    op.create_index("ix_decisions_movement_id", "decisions", ["movement_id", "id"])
    op.create_index("ix_decisions_request_id", "decisions", ["request_id", "id"])
    op.create_index("ix_placements_ods_state", "placements", ["ods", "state", "movement_id"])
    op.create_index(
        "ix_placements_kept",
        "placements",
        ["ended_at"],
        sqlite_where=sa.text("erased_at IS NULL"),
        postgresql_where=sa.text("erased_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_placements_kept", table_name="placements")
    op.drop_index("ix_placements_ods_state", table_name="placements")
    op.drop_index("ix_decisions_request_id", table_name="decisions")
    op.drop_index("ix_decisions_movement_id", table_name="decisions")
    op.drop_index("ix_register_checks_ods_id", table_name="register_checks")
    op.drop_index("ix_movements_ods_state_id", table_name="movements")
