"""Find a person's credentials, those of one dataset, and what offers still keep, without reading them all."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_credentials_staff_id_id", "credentials", ["staff_id", "id"])
    op.create_index("ix_credentials_dataset_id", "credentials", ["dataset_id"])
    op.create_index(
        "ix_offer_datasets_kept",
        "offer_datasets",
        ["offer_id"],
        sqlite_where=sa.text("claims IS NOT NULL"),
        postgresql_where=sa.text("claims IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_offer_datasets_kept", table_name="offer_datasets")
    op.drop_index("ix_credentials_dataset_id", table_name="credentials")
    op.drop_index("ix_credentials_staff_id_id", table_name="credentials")
