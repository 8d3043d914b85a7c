"""How old signed objects may be: the one place in the code that holds the numbers of design §4.2.

Issuing services take their life times from here and relying services their limits, so that neither can
drift from the other. This module knows no clock and fetches nothing.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

# Federation statements outlive any snapshot that carries them.
STATEMENT_LIFETIME = timedelta(hours=96)
STATEMENT_RENEWAL = timedelta(hours=24)
STATEMENT_HTTP_MAX_AGE = timedelta(seconds=300)

# A tenant's own entity configuration.
ENTITY_CONFIGURATION_LIFETIME = timedelta(hours=24)
ENTITY_CONFIGURATION_RENEWAL = timedelta(hours=12)
ENTITY_CONFIGURATION_HTTP_MAX_AGE = timedelta(seconds=300)

SNAPSHOT_LIFETIME = timedelta(hours=72)
SNAPSHOT_RENEWAL = timedelta(hours=1)
SNAPSHOT_CHANGE_PUBLISHED_WITHIN = timedelta(seconds=15)
SNAPSHOT_POLL = timedelta(seconds=30)
SNAPSHOT_HTTP_MAX_AGE = timedelta(seconds=15)

REGISTRY_STATUS_LIST_LIFETIME = timedelta(hours=72)
REGISTRY_STATUS_LIST_HTTP_MAX_AGE = timedelta(seconds=15)

ISSUER_STATUS_LIST_LIFETIME = timedelta(hours=24)
ISSUER_STATUS_LIST_RENEWAL = timedelta(hours=6)
ISSUER_STATUS_LIST_CHANGE_PUBLISHED_WITHIN = timedelta(seconds=15)
ISSUER_STATUS_LIST_TTL = timedelta(seconds=300)
ISSUER_STATUS_LIST_WATCHED_POLL = timedelta(seconds=60)
ISSUER_STATUS_LIST_HTTP_MAX_AGE = timedelta(seconds=60)

CLIENT_DIRECTORY_LIFETIME = timedelta(hours=72)

SNAPSHOT_FRESH = timedelta(hours=1)
SNAPSHOT_AGED = timedelta(hours=24)
SNAPSHOT_LIMIT = timedelta(hours=72)
STATUS_FRESH = timedelta(hours=1)
RETRY_WINDOW = timedelta(minutes=10)

CLOCK_LEEWAY = timedelta(seconds=60)


class Freshness(StrEnum):
    """What the age of the snapshot means for a decision (design §4.2)."""

    FRESH = "FRESH"
    AGED = "AGED"
    UNKNOWN = "UNKNOWN"
    REFUSE = "REFUSE"


def freshness(snapshot_age: timedelta) -> Freshness:
    """What a snapshot of this age still says: all, all with its age stated, UNKNOWN, or nothing."""
    if snapshot_age <= SNAPSHOT_FRESH:
        return Freshness.FRESH
    if snapshot_age <= SNAPSHOT_AGED:
        return Freshness.AGED
    if snapshot_age <= SNAPSHOT_LIMIT:
        return Freshness.UNKNOWN
    return Freshness.REFUSE


class StatusFreshness(StrEnum):
    """What the age of an issuer's status list means for a decision (design §4.2)."""

    FRESH = "FRESH"
    STALE = "STATUS_STALE"
    UNAVAILABLE = "STATUS_UNAVAILABLE"


def status_freshness(list_age: timedelta, until_exp: timedelta) -> StatusFreshness:
    """What a status list says that was signed `list_age` ago and has `until_exp` left (negative: expired)."""
    if until_exp <= timedelta(0):
        return StatusFreshness.UNAVAILABLE
    return StatusFreshness.FRESH if list_age <= STATUS_FRESH else StatusFreshness.STALE
