"""Make the tables of placements and watches."""

from typing import Any

import sqlalchemy as sa
from alembic import op

import passport_shared.service.columns

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _instant(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    kind = passport_shared.service.columns.UtcDateTime(timezone=True)
    return sa.Column(name, kind, nullable=nullable)


def _json(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, passport_shared.service.columns.JsonText(), nullable=nullable)


def _text(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def upgrade() -> None:
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sealed_person", sa.LargeBinary(), nullable=True))
        batch_op.create_index(
            "ix_decisions_sealed_person",
            ["received_at"],
            unique=False,
            sqlite_where=sa.text("sealed_person IS NOT NULL"),
            postgresql_where=sa.text("sealed_person IS NOT NULL"),
        )
    with op.batch_alter_table("reliances", schema=None) as batch_op:
        batch_op.create_index("ix_reliances_issuer", ["issuer", "decision_id"], unique=False)
    op.create_table(
        "placement_issuers",
        _text("ods", nullable=False),
        _text("issuer_url", nullable=False),
        _instant("changed_at", nullable=False),
        _json("changed_by", nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("ods", name=op.f("pk_placement_issuers")),
    )
    _placements()
    _watches()
    _alerts()


def _placements() -> None:
    op.create_table(
        "placements",
        _text("movement_id", nullable=False),
        _text("ods", nullable=False),
        _text("state", nullable=False),
        sa.Column("on_hold", sa.Boolean(), nullable=False),
        _instant("held_at"),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("end", sa.Date(), nullable=False),
        _text("decision_id", nullable=False),
        _text("holder_jkt", nullable=False),
        _json("post", nullable=False),
        _instant("begun_at"),
        _instant("ended_at"),
        _json("ended_by"),
        _text("end_reason"),
        _json("checklist"),
        _instant("created_at", nullable=False),
        _json("created_by", nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("told_revision", sa.Integer(), nullable=False),
        _instant("taken_at"),
        _json("offer"),
        _text("holder"),
        _instant("lease_until"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _instant("next_try_at", nullable=False),
        _text("last_error"),
        _instant("erased_at"),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_placements_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["movement_id"], ["movements.id"], name=op.f("fk_placements_movement_id_movements")
        ),
        sa.PrimaryKeyConstraint("movement_id", name=op.f("pk_placements")),
    )
    with op.batch_alter_table("placements", schema=None) as batch_op:
        batch_op.create_index("ix_placements_ods_movement_id", ["ods", "movement_id"], unique=False)
        batch_op.create_index("ix_placements_state_end", ["state", "end"], unique=False)
        batch_op.create_index(
            "ix_placements_untold",
            ["next_try_at"],
            unique=False,
            sqlite_where=sa.text("told_revision < revision"),
            postgresql_where=sa.text("told_revision < revision"),
        )


def _watches() -> None:
    op.create_table(
        "watches",
        _text("movement_id", nullable=False),
        _text("ods", nullable=False),
        _text("state", nullable=False),
        _text("decision_id", nullable=False),
        _text("outcome", nullable=False),
        _instant("opened_at", nullable=False),
        _instant("closed_at"),
        _instant("next_date"),
        _instant("due_at"),
        sa.Column("judge_again", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_watches_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["movement_id"], ["movements.id"], name=op.f("fk_watches_movement_id_movements")
        ),
        sa.PrimaryKeyConstraint("movement_id", name=op.f("pk_watches")),
    )
    with op.batch_alter_table("watches", schema=None) as batch_op:
        batch_op.create_index("ix_watches_decision_id", ["decision_id"], unique=False)
        batch_op.create_index(
            "ix_watches_due_at",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("due_at IS NOT NULL"),
            postgresql_where=sa.text("due_at IS NOT NULL"),
        )
        batch_op.create_index("ix_watches_state_next_date", ["state", "next_date"], unique=False)
    op.create_table(
        "watched_lists",
        _text("uri", nullable=False),
        _instant("seen_iat"),
        _instant("comparing_iat"),
        _text("compared_to"),
        sa.Column("stale_seen", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("uri", name=op.f("pk_watched_lists")),
    )
    op.create_table(
        "watched_issuers",
        _text("issuer", nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        _text("standing"),
        _text("comparing"),
        _text("compared_to"),
        sa.PrimaryKeyConstraint("issuer", name=op.f("pk_watched_issuers")),
    )


def _alerts() -> None:
    op.create_table(
        "alerts",
        _text("id", nullable=False),
        _text("ods", nullable=False),
        _text("movement_id", nullable=False),
        _text("kind", nullable=False),
        _text("about", nullable=False),
        _text("decision_id"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        _instant("raised_at", nullable=False),
        _instant("acknowledged_at"),
        _json("acknowledged_by"),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_alerts_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["movement_id"], ["movements.id"], name=op.f("fk_alerts_movement_id_movements")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("movement_id", "about", name=op.f("uq_alerts_movement_id_about")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index("ix_alerts_ods_id", ["ods", "id"], unique=False)
        batch_op.create_index(
            "ix_alerts_open",
            ["ods", "id"],
            unique=False,
            sqlite_where=sa.text("acknowledged_at IS NULL"),
            postgresql_where=sa.text("acknowledged_at IS NULL"),
        )


def downgrade() -> None:
    for table in ("alerts", "watched_issuers", "watched_lists", "watches", "placements", "placement_issuers"):
        op.drop_table(table)
    with op.batch_alter_table("reliances", schema=None) as batch_op:
        batch_op.drop_index("ix_reliances_issuer")
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_decisions_sealed_person",
            sqlite_where=sa.text("sealed_person IS NOT NULL"),
            postgresql_where=sa.text("sealed_person IS NOT NULL"),
        )
        batch_op.drop_column("sealed_person")
