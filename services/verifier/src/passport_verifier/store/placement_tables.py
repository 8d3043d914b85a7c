"""Tables of placements, the watch over them, and its alerts.

A placement's row holds what its host's HR wrote about the post and what the host's issuer answered; who the
person is stands nowhere in the clear. Names and birthdate are in ``decisions.sealed_person``, encrypted under
the movement's data key, from the answer until the host's issuer has taken them, the movement is over, or ten
days have gone by: then the column is emptied. What an alert says about a person's records is encrypted under
the same key. ``watched_lists`` and ``watched_issuers`` say how far the watch has looked, once per list and
per issuer, so that nothing is looked at twice and a killed round goes on where it was.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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

placement_issuers = Table(
    "placement_issuers",
    metadata,
    Column("ods", Text, primary_key=True),
    Column("issuer_url", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", JsonText, nullable=False),
    Column("version", Integer, nullable=False),
)

placements = Table(
    "placements",
    metadata,
    Column("movement_id", Text, ForeignKey("movements.id"), primary_key=True),
    Column("ods", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("on_hold", Boolean, nullable=False),
    Column("held_at", UtcDateTime),
    Column("start", Date, nullable=False),
    # Shortened by a newer Release; never later than the movement's own end.
    Column("end", Date, nullable=False),
    Column("decision_id", Text, ForeignKey("decisions.id"), nullable=False),
    Column("holder_jkt", Text, nullable=False),
    # What the credential says of the post: the host's words, nothing about the person.
    Column("post", JsonText, nullable=False),
    Column("begun_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("ended_by", JsonText),
    Column("end_reason", Text),
    Column("checklist", JsonText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", JsonText, nullable=False),
    # `revision` counts what the host's issuer has to know; `told_revision` is the last it knows.
    Column("revision", Integer, nullable=False),
    Column("told_revision", Integer, nullable=False),
    Column("taken_at", UtcDateTime),
    Column("offer", JsonText),
    Column("holder", Text),
    Column("lease_until", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("next_try_at", UtcDateTime, nullable=False),
    Column("last_error", Text),
    Column("erased_at", UtcDateTime),
)
Index("ix_placements_ods_movement_id", placements.c.ods, placements.c.movement_id)
Index("ix_placements_ods_state", placements.c.ods, placements.c.state, placements.c.movement_id)
Index("ix_placements_state_end", placements.c.state, placements.c.end)
_kept = placements.c.erased_at.is_(None)
Index("ix_placements_kept", placements.c.ended_at, sqlite_where=_kept, postgresql_where=_kept)
_untold = placements.c.told_revision < placements.c.revision
Index(
    "ix_placements_untold",
    placements.c.next_try_at,
    sqlite_where=_untold,
    postgresql_where=_untold,
)

watches = Table(
    "watches",
    metadata,
    Column("movement_id", Text, ForeignKey("movements.id"), primary_key=True),
    Column("ods", Text, nullable=False),
    Column("state", Text, nullable=False),
    # The decision whose reliances are watched: always the newest that a person was confirmed for.
    Column("decision_id", Text, ForeignKey("decisions.id"), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    # When it is looked at next whatever happens: the next known date.
    Column("next_date", UtcDateTime),
    # Set when something happened; `judge_again` tells a change in the world from a newer decision.
    Column("due_at", UtcDateTime),
    Column("judge_again", Boolean, nullable=False),
)
_due = watches.c.due_at.is_not(None)
Index("ix_watches_due_at", watches.c.due_at, sqlite_where=_due, postgresql_where=_due)
Index("ix_watches_state_next_date", watches.c.state, watches.c.next_date)
Index("ix_watches_decision_id", watches.c.decision_id)

watched_lists = Table(
    "watched_lists",
    metadata,
    Column("uri", Text, primary_key=True),
    # The newest token all watches were compared with, the one being compared, and how far.
    Column("seen_iat", UtcDateTime),
    Column("comparing_iat", UtcDateTime),
    Column("compared_to", Text),
    # Whether the watches know that the list has grown old.
    Column("stale_seen", Boolean, nullable=False),
)

watched_issuers = Table(
    "watched_issuers",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("sequence", BigInteger),
    Column("standing", Text),
    Column("comparing", Text),
    Column("compared_to", Text),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("ods", Text, nullable=False),
    Column("movement_id", Text, ForeignKey("movements.id"), nullable=False),
    Column("kind", Text, nullable=False),
    # A commitment under the movement's data key to what the alert is about, so that it is raised once.
    Column("about", Text, nullable=False),
    Column("decision_id", Text, ForeignKey("decisions.id")),
    Column("sealed", LargeBinary, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("acknowledged_at", UtcDateTime),
    Column("acknowledged_by", JsonText),
    UniqueConstraint("movement_id", "about"),
)
Index("ix_alerts_ods_id", alerts.c.ods, alerts.c.id)
_open = alerts.c.acknowledged_at.is_(None)
Index("ix_alerts_open", alerts.c.ods, alerts.c.id, sqlite_where=_open, postgresql_where=_open)
