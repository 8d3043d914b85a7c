"""Tables of a movement's two sides: approvals, one-time links, release requests, Releases, licences.

No name stands in the clear. The host's words for the person are sealed under the movement's data key until
the employing trust has them, then erased; a Release is kept whole, sealed likewise, with its codes beside it.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from passport_shared.service.db import JsonText, UtcDateTime
from passport_verifier.store.metadata import metadata

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("movement_id", Text, ForeignKey("movements.id"), nullable=False),
    Column("terms_version", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", JsonText, nullable=False),
    Column("channel", Text),
    Column("cover_opt_in", Boolean),
    Column("staff_ref", Text),
    # What it came from: a presentation request, a one-time link, a Release.
    Column("source_id", Text),
    Column("recorded_at", UtcDateTime, nullable=False),
)
Index("ix_approvals_movement_id", approvals.c.movement_id, approvals.c.id)
_presented = approvals.c.method == "PRESENTATION"
Index("ix_approvals_presented", approvals.c.recorded_at, sqlite_where=_presented, postgresql_where=_presented)

agreement_links = Table(
    "agreement_links",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("movement_id", Text, ForeignKey("movements.id"), nullable=False),
    Column("terms_version", Integer, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", JsonText, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
)
Index("ix_agreement_links_movement_id", agreement_links.c.movement_id, agreement_links.c.id)

release_requests = Table(
    "release_requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("movement_id", Text, ForeignKey("movements.id"), nullable=False),
    Column("terms_version", Integer, nullable=False),
    Column("employing_ods", Text, nullable=False),
    Column("jti", Text, nullable=False, unique=True),
    Column("issuer", Text, nullable=False),
    Column("by_holder_ref", Boolean, nullable=False),
    Column("duties_sha256", Text, nullable=False),
    Column("last_day", Date, nullable=False),
    # The claims, with the host's words for the person: gone once delivered, or when delivery is given up.
    Column("sealed_claims", LargeBinary),
    # The signed message, sealed for the same reason; it is signed once, so that a retry sends the same bytes.
    Column("sealed_message", LargeBinary),
    Column("request_sha256", Text),
    Column("state", Text, nullable=False),
    Column("refusal", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", JsonText, nullable=False),
    Column("answer_by", UtcDateTime, nullable=False),
    Column("delivered_at", UtcDateTime),
    Column("release_uri", Text),
    Column("etag", Text),
    Column("next_pull_at", UtcDateTime),
    Column("pulls", Integer, nullable=False),
    Column("pulled_at", UtcDateTime),
    Column("last_refusal", Text),
    Column("last_refusal_sha256", Text),
    Column("last_refusal_at", UtcDateTime),
)
Index("ix_release_requests_next_pull_at", release_requests.c.next_pull_at)
Index("ix_release_requests_movement_id", release_requests.c.movement_id, release_requests.c.id)
_live = release_requests.c.state.in_(["COMPOSED", "REQUESTED", "ANSWERED"])
# One request of a movement counts at a time; whoever asks anew replaces it in the same transaction.
Index(
    "uq_release_requests_live",
    release_requests.c.movement_id,
    unique=True,
    sqlite_where=_live,
    postgresql_where=_live,
)

releases = Table(
    "releases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("movement_id", Text, ForeignKey("movements.id"), nullable=False),
    Column("request_id", Text, ForeignKey("release_requests.id"), nullable=False),
    Column("terms_version", Integer, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("end", Date),
    Column("statement", Text),
    Column("decline_code", Text),
    Column("limits", JsonText, nullable=False),
    Column("overlap_warning", Boolean, nullable=False),
    Column("line_manager_at", UtcDateTime),
    Column("hr_at", UtcDateTime),
    Column("holder_commitment", Text),
    Column("message_sha256", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("signed_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    # The decision about another person for which both trusts' HR teams were told of the mismatch.
    Column("mismatch_with", Text),
    UniqueConstraint("request_id", "serial"),
)
Index("ix_releases_movement_id", releases.c.movement_id, releases.c.id)

licences = Table(
    "licences_to_attend",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("movement_id", Text, ForeignKey("movements.id"), nullable=False),
    Column("terms_version", Integer, nullable=False),
    Column("text_version", Text, nullable=False),
    Column("staff_approval_id", Text, nullable=False),
    Column("staff_agreed_at", UtcDateTime, nullable=False),
    Column("release_id", Text, ForeignKey("releases.id")),
    Column("release_serial", Integer),
    Column("decision_id", Text, ForeignKey("decisions.id"), nullable=False),
    Column("document", JsonText, nullable=False),
    Column("document_sha256", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
)
Index("ix_licences_to_attend_movement_id", licences.c.movement_id, licences.c.id)
_in_force = licences.c.state == "IN_FORCE"
Index(
    "uq_licences_to_attend_in_force",
    licences.c.movement_id,
    unique=True,
    sqlite_where=_in_force,
    postgresql_where=_in_force,
)
