"""Tables of the verifier: movements, requests, decisions and what they rely on.

No name, number or claim of a staff member is stored in the clear. What must be judged again later is in
``sealed`` columns, encrypted under the data key of the movement (or of the request that has none), which is
itself wrapped under the key-encryption key: deleting that one value makes every decision of the movement
unreadable.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
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

from passport_shared.service import audit as audit_log
from passport_shared.service import auth as access_tokens
from passport_shared.service import documents as cached_documents
from passport_shared.service import idempotency as idempotency_keys
from passport_shared.service import jobs as leased_jobs
from passport_shared.service import keys as key_store
from passport_shared.service import limits as rate_limits
from passport_shared.service import outbox as event_outbox
from passport_shared.service import tenancy
from passport_shared.service.db import JsonText, UtcDateTime
from passport_verifier.store import activity_tables as activity_tables
from passport_verifier.store import holder_tables as holder_tables
from passport_verifier.store import placement_tables as placement_tables
from passport_verifier.store import policy_tables as policy_tables
from passport_verifier.store import release_tables as release_tables
from passport_verifier.store.metadata import metadata as metadata

audit = audit_log.tables(metadata)
outbox = event_outbox.tables(metadata)
jobs = leased_jobs.tables(metadata)
keys = key_store.tables(metadata)
documents = cached_documents.tables(metadata)
idempotency = idempotency_keys.tables(metadata)
auth = access_tokens.tables(metadata)
limits = rate_limits.tables(metadata)
tenants = tenancy.tables(metadata)

movements = Table(
    "movements",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("employing_ods", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("role_profile", Text, nullable=False),
    Column("start", Date, nullable=False),
    Column("end", Date, nullable=False),
    Column("details", JsonText, nullable=False),
    Column("external_id", Text),
    Column("state", Text, nullable=False),
    Column("data_key", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", JsonText, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    # Rises when days or duties change: what people agreed to and what was released names it.
    Column("terms_version", Integer, nullable=False, server_default="1"),
    Column("agreement", JsonText),
    Column("capped_end", Date),
    Column("inducted_on", Date),
    Column("inducted_by", JsonText),
    CheckConstraint('"end" >= start', name="ends_after_it_starts"),
    UniqueConstraint("ods", "external_id"),
)
Index("ix_movements_ods_id", movements.c.ods, movements.c.id)
Index("ix_movements_ods_state_id", movements.c.ods, movements.c.state, movements.c.id)

presentation_requests = Table(
    "presentation_requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("movement_id", Text, ForeignKey("movements.id")),
    Column("policy_id", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("flow", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("employing_ods", Text),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    # The data key of a request without a movement; a movement's own is in its row.
    Column("data_key", LargeBinary),
    Column("link", Text, nullable=False, unique=True),
    Column("kid", Text, nullable=False, unique=True),
    Column("oauth_state", Text, nullable=False, unique=True),
    Column("nonce", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("dcql_query", JsonText, nullable=False),
    Column("encryption_jwk", JsonText, nullable=False),
    Column("encryption_key", LargeBinary),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_refusal", Text),
    Column("last_refusal_at", UtcDateTime),
    Column("browser_hash", Text),
    Column("response_code_hash", Text),
    Column("returned_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", JsonText, nullable=False),
    Column("client", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    # What the request's purpose says of the movement's duties, and the terms an answer agrees to.
    Column("duties", Text),
    Column("terms_version", Integer),
)
Index("ix_presentation_requests_ods_id", presentation_requests.c.ods, presentation_requests.c.id)
Index("ix_presentation_requests_movement_id", presentation_requests.c.movement_id)
_open = presentation_requests.c.state == "OPEN"
Index(
    "ix_presentation_requests_open",
    presentation_requests.c.expires_at,
    presentation_requests.c.client,
    sqlite_where=_open,
    postgresql_where=_open,
)

held_presentations = Table(
    "held_presentations",
    metadata,
    Column("request_id", Text, ForeignKey("presentation_requests.id"), primary_key=True),
    # As the wallet sent it: encrypted to the request's own key.
    Column("token", Text, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

register_checks = Table(
    "register_checks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("regulator", Text, nullable=False),
    Column("number_commitment", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("licence", Boolean),
    Column("source", Text, nullable=False),
    Column("checked_at", UtcDateTime, nullable=False),
    Column("actor", JsonText, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
)
Index("ix_register_checks_case_id", register_checks.c.case_id, register_checks.c.checked_at)
Index("ix_register_checks_ods_id", register_checks.c.ods, register_checks.c.id)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("request_id", Text, ForeignKey("presentation_requests.id"), nullable=False),
    Column("movement_id", Text, ForeignKey("movements.id")),
    Column("recheck_of", Text, ForeignKey("decisions.id")),
    Column("cause", Text, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("first_day", Date, nullable=False),
    Column("last_day", Date, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("decided_by", Text),
    Column("latest_end", Text),
    Column("verified", Boolean, nullable=False),
    Column("findings", JsonText, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    # Names and birthdate for the placement credential; emptied as `placement_tables` says.
    Column("sealed_person", LargeBinary),
    Column("policy_version", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("registry_sequence", BigInteger, nullable=False),
    Column("registry_age_s", Integer, nullable=False),
    Column("status_times", JsonText, nullable=False),
    Column("awaits_status", Boolean, nullable=False),
    Column("person_method", Text),
    Column("person_by", JsonText),
    Column("person_at", UtcDateTime),
)
Index("ix_decisions_ods_id", decisions.c.ods, decisions.c.id)
Index("ix_decisions_case_id", decisions.c.case_id, decisions.c.id)
Index("ix_decisions_movement_id", decisions.c.movement_id, decisions.c.id)
Index("ix_decisions_request_id", decisions.c.request_id, decisions.c.id)
_first = decisions.c.recheck_of.is_(None)
Index("uq_decisions_first", decisions.c.request_id, unique=True, sqlite_where=_first, postgresql_where=_first)
# A decision is re-checked once; the next re-check is of the newer decision, so that they form one line.
Index(
    "uq_decisions_recheck_of",
    decisions.c.recheck_of,
    unique=True,
    sqlite_where=decisions.c.recheck_of.is_not(None),
    postgresql_where=decisions.c.recheck_of.is_not(None),
)
Index(
    "ix_decisions_awaiting",
    decisions.c.id,
    sqlite_where=decisions.c.awaits_status,
    postgresql_where=decisions.c.awaits_status,
)

_with_person = decisions.c.sealed_person.is_not(None)
Index(
    "ix_decisions_sealed_person",
    decisions.c.received_at,
    sqlite_where=_with_person,
    postgresql_where=_with_person,
)

reliances = Table(
    "reliances",
    metadata,
    Column("decision_id", Text, ForeignKey("decisions.id"), primary_key=True),
    Column("credential", Text, primary_key=True),
    Column("vct", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("issuer_ods", Text),
    Column("x5t_s256", Text, nullable=False),
    Column("status_uri", Text, nullable=False),
    Column("status_idx", BigInteger, nullable=False),
    Column("iat", UtcDateTime, nullable=False),
    Column("exp", UtcDateTime, nullable=False),
    Column("issuer_jwt_sha256", Text, nullable=False),
    Column("holder_thumbprint", Text, nullable=False),
    Column("trust_finding", Text, nullable=False),
    Column("status_finding", Text, nullable=False),
    Column("verdict", JsonText, nullable=False),
)
Index("ix_reliances_status_uri", reliances.c.status_uri)
Index("ix_reliances_issuer", reliances.c.issuer, reliances.c.decision_id)
Index("ix_reliances_holder_thumbprint", reliances.c.holder_thumbprint, reliances.c.decision_id)

conditions = Table(
    "conditions",
    metadata,
    Column("decision_id", Text, ForeignKey("decisions.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("subject", Text),
    Column("text", Text, nullable=False),
    Column("due", UtcDateTime, nullable=False),
    Column("owner", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed_at", UtcDateTime),
    Column("changed_by", JsonText),
)

issuer_chains = Table(
    "issuer_chains",
    metadata,
    Column("x5t_s256", Text, primary_key=True),
    Column("x5c", JsonText, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

status_lists = Table(
    "status_lists",
    metadata,
    Column("uri", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("token", Text),
    Column("iat", UtcDateTime),
    Column("exp", UtcDateTime),
    Column("fetched_at", UtcDateTime),
    Column("next_fetch_at", UtcDateTime, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_error", Text),
    Column("first_seen_at", UtcDateTime, nullable=False),
)
Index("ix_status_lists_next_fetch_at", status_lists.c.next_fetch_at)
