"""Make the tables of temporary placements issued as a host."""

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.add_column(sa.Column("visiting", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("credential_offers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("holder_jkt", sa.Text(), nullable=True))
    instant = passport_shared.service.columns.UtcDateTime(timezone=True)
    op.create_table(
        "placements",
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("movement_id", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.Text(), nullable=False),
        sa.Column("passport_id", sa.Text(), nullable=False),
        sa.Column("offer_id", sa.Text(), nullable=False),
        sa.Column("movement_type", sa.Text(), nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("end", sa.Date(), nullable=False),
        sa.Column("post", passport_shared.service.columns.JsonText(), nullable=False),
        sa.Column("holder_jkt", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("ended_at", instant, nullable=True),
        sa.Column("erased_at", instant, nullable=True),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["credential_offers.id"], name=op.f("fk_placements_offer_id_credential_offers")
        ),
        sa.ForeignKeyConstraint(
            ["passport_id"], ["passports.id"], name=op.f("fk_placements_passport_id_passports")
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_placements_staff_id_staff")),
        sa.PrimaryKeyConstraint("ods", "movement_id", name=op.f("pk_placements")),
    )
    with op.batch_alter_table("placements", schema=None) as batch_op:
        for name, column, where in _PARTIAL:
            batch_op.create_index(
                name, [column], unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
            )


_PARTIAL = (
    ("ix_placements_running", "end", "ended_at IS NULL"),
    ("ix_placements_kept", "ended_at", "erased_at IS NULL"),
)


def downgrade() -> None:
    op.drop_table("placements")
    with op.batch_alter_table("credential_offers", schema=None) as batch_op:
        batch_op.drop_column("holder_jkt")
    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.drop_column("visiting")
