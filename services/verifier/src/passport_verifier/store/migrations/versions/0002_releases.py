"""Make the tables of approvals, agreements and releases."""

import sqlalchemy as sa
from alembic import op

from passport_shared.service.columns import JsonText, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LIVE = sa.text("state IN ('COMPOSED', 'REQUESTED', 'ANSWERED')")
_PRESENTED = sa.text("method = 'PRESENTATION'")
_IN_FORCE = sa.text("state = 'IN_FORCE'")


def upgrade() -> None:
    with op.batch_alter_table("movements", schema=None) as batch_op:
        batch_op.add_column(sa.Column("terms_version", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("agreement", JsonText(), nullable=True))
        batch_op.add_column(sa.Column("capped_end", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("inducted_on", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("inducted_by", JsonText(), nullable=True))
    with op.batch_alter_table("presentation_requests", schema=None) as batch_op:
        batch_op.add_column(sa.Column("duties", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("terms_version", sa.Integer(), nullable=True))
    _approvals()
    _release_requests()
    _releases()
    _licences()


def _movement() -> list[sa.Column[str]]:
    return [
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ods", sa.Text(), nullable=False),
        sa.Column("movement_id", sa.Text(), nullable=False),
    ]


def _of_movement(table: str) -> list[sa.Constraint]:
    name = op.f(f"fk_{table}_movement_id_movements")
    return [
        sa.ForeignKeyConstraint(["movement_id"], ["movements.id"], name=name),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    ]


def _approvals() -> None:
    op.create_table(
        "approvals",
        *_movement(),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("actor", JsonText(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("cover_opt_in", sa.Boolean(), nullable=True),
        sa.Column("staff_ref", sa.Text(), nullable=True),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("recorded_at", UtcDateTime(timezone=True), nullable=False),
        *_of_movement("approvals"),
    )
    op.create_index("ix_approvals_movement_id", "approvals", ["movement_id", "id"])
    op.create_index(
        "ix_approvals_presented",
        "approvals",
        ["recorded_at"],
        sqlite_where=_PRESENTED,
        postgresql_where=_PRESENTED,
    )
    op.create_table(
        "agreement_links",
        *_movement(),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", JsonText(), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_at", UtcDateTime(timezone=True), nullable=True),
        *_of_movement("agreement_links"),
        sa.UniqueConstraint("token_hash", name=op.f("uq_agreement_links_token_hash")),
    )
    op.create_index("ix_agreement_links_movement_id", "agreement_links", ["movement_id", "id"])


def _release_requests() -> None:
    op.create_table(
        "release_requests",
        *_movement(),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("employing_ods", sa.Text(), nullable=False),
        sa.Column("jti", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("by_holder_ref", sa.Boolean(), nullable=False),
        sa.Column("duties_sha256", sa.Text(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("sealed_claims", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_message", sa.LargeBinary(), nullable=True),
        sa.Column("request_sha256", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", JsonText(), nullable=False),
        sa.Column("answer_by", UtcDateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("release_uri", sa.Text(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("next_pull_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("pulls", sa.Integer(), nullable=False),
        sa.Column("pulled_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_refusal", sa.Text(), nullable=True),
        sa.Column("last_refusal_sha256", sa.Text(), nullable=True),
        sa.Column("last_refusal_at", UtcDateTime(timezone=True), nullable=True),
        *_of_movement("release_requests"),
        sa.UniqueConstraint("jti", name=op.f("uq_release_requests_jti")),
    )
    op.create_index("ix_release_requests_next_pull_at", "release_requests", ["next_pull_at"])
    op.create_index("ix_release_requests_movement_id", "release_requests", ["movement_id", "id"])
    op.create_index(
        "uq_release_requests_live",
        "release_requests",
        ["movement_id"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )


def _releases() -> None:
    op.create_table(
        "releases",
        *_movement(),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("end", sa.Date(), nullable=True),
        sa.Column("statement", sa.Text(), nullable=True),
        sa.Column("decline_code", sa.Text(), nullable=True),
        sa.Column("limits", JsonText(), nullable=False),
        sa.Column("overlap_warning", sa.Boolean(), nullable=False),
        sa.Column("line_manager_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("hr_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("holder_commitment", sa.Text(), nullable=True),
        sa.Column("message_sha256", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("signed_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("received_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("mismatch_with", sa.Text(), nullable=True),
        *_of_movement("releases"),
        sa.ForeignKeyConstraint(
            ["request_id"], ["release_requests.id"], name=op.f("fk_releases_request_id_release_requests")
        ),
        sa.UniqueConstraint("request_id", "serial", name=op.f("uq_releases_request_id_serial")),
    )
    op.create_index("ix_releases_movement_id", "releases", ["movement_id", "id"])


def _licences() -> None:
    table = "licences_to_attend"
    op.create_table(
        table,
        *_movement(),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("text_version", sa.Text(), nullable=False),
        sa.Column("staff_approval_id", sa.Text(), nullable=False),
        sa.Column("staff_agreed_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("release_id", sa.Text(), nullable=True),
        sa.Column("release_serial", sa.Integer(), nullable=True),
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("document", JsonText(), nullable=False),
        sa.Column("document_sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        *_of_movement(table),
        sa.ForeignKeyConstraint(
            ["release_id"], ["releases.id"], name=op.f(f"fk_{table}_release_id_releases")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f(f"fk_{table}_decision_id_decisions")
        ),
    )
    op.create_index(f"ix_{table}_movement_id", table, ["movement_id", "id"])
    op.create_index(
        f"uq_{table}_in_force",
        table,
        ["movement_id"],
        unique=True,
        sqlite_where=_IN_FORCE,
        postgresql_where=_IN_FORCE,
    )


def downgrade() -> None:
    for table in ("licences_to_attend", "releases", "release_requests", "agreement_links", "approvals"):
        op.drop_table(table)
    with op.batch_alter_table("presentation_requests", schema=None) as batch_op:
        batch_op.drop_column("terms_version")
        batch_op.drop_column("duties")
    with op.batch_alter_table("movements", schema=None) as batch_op:
        for column in ("inducted_by", "inducted_on", "capped_end", "agreement", "terms_version"):
            batch_op.drop_column(column)
