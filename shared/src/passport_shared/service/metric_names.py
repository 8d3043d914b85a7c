"""Every metric of the suite by name: one spelling for code, alarms and the table in ``docs/metrics.md``.

Labels are closed sets of our own code (types, reasons, outcomes, purposes, route templates). No label holds
an ODS code, a client or anything of a person: thousands of trusts would be thousands of series, and who is
busy where is nobody's business who may read a dashboard. What concerns one trust is in the log and the API.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

REGISTRY, ISSUER, VERIFIER = "registry", "issuer", "verifier"
EVERY = (REGISTRY, ISSUER, VERIFIER)
TENANTS = (ISSUER, VERIFIER)


class Kind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric.

    Args:
        name: as exposed; a counter's ends with ``_total``.
        help: one sentence.
        labels: names of its labels, each from a closed set.
        services: who exposes it.
        shared: whether every replica says the same, because it is read from the database: take ``max`` and
            never ``sum`` over replicas.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    services: tuple[str, ...] = EVERY
    shared: bool = False


_ALL: list[Metric] = []


def _counter(name: str, text: str, *labels: str, services: tuple[str, ...] = EVERY) -> Metric:
    return _kept(Metric(name=name, kind=Kind.COUNTER, help=text, labels=labels, services=services))


def _gauge(
    name: str, text: str, *labels: str, services: tuple[str, ...] = EVERY, shared: bool = True
) -> Metric:
    found = Metric(name=name, kind=Kind.GAUGE, help=text, labels=labels, services=services, shared=shared)
    return _kept(found)


def _kept(metric: Metric) -> Metric:
    _ALL.append(metric)
    return metric


HTTP_REQUESTS = _counter(
    "passport_http_requests_total", "Requests answered; status 429 is what a rate limit refused.",
    "method", "route", "status",
)  # fmt: skip
HTTP_DURATION = _kept(
    Metric(
        name="passport_http_request_duration_seconds",
        kind=Kind.HISTOGRAM,
        help="Time from the request's head to the end of the answer.",
        labels=("method", "route"),
    )
)
OUTCOMES = _counter(
    "passport_outcomes_total", "Outcomes of acts, by the reason the log gives.", "event", "reason"
)
READY = _gauge("passport_ready", "Whether the last readiness check passed.", "check", shared=False)
BUILD_INFO = _gauge("passport_build_info", "Version of the service.", "service", "version", shared=False)
MEASURED = _gauge(
    "passport_measured", "Whether what the database tells was read for this scrape.", shared=False
)

OUTBOUND_CALLS = _counter(
    "passport_outbound_calls_total",
    "Calls of other services by kind of peer and outcome: ok, refused (4xx), failed (5xx) or why there was "
    "no answer.",
    "peer",
    "outcome",
)
POOL_IN_USE = _gauge(
    "passport_database_connections_in_use", "Connections of the pool that are in use.", shared=False
)
POOL_SIZE = _gauge("passport_database_connections_limit", "Most connections the pool opens.", shared=False)

CLOCK_AHEAD = _gauge(
    "passport_clock_ahead_seconds",
    "This machine's clock minus another's; 0 while nothing was compared.",
    "against",
    shared=False,
)
AUDIT_LAG = _gauge("passport_audit_sealing_lag_seconds", "Age of the oldest audit entry not sealed yet.")
OUTBOX_WAITING = _gauge("passport_outbox_events_waiting", "Events no receiver has taken yet.")
OUTBOX_OLDEST = _gauge("passport_outbox_oldest_event_seconds", "Age of the oldest event not delivered yet.")
OUTBOX_SET_ASIDE = _gauge(
    "passport_outbox_events_set_aside", "Events a receiver refuses until somebody looks."
)
JOBS = _gauge("passport_jobs", "Jobs by state.", "state")
JOBS_OLDEST = _gauge("passport_jobs_oldest_due_seconds", "How long the longest waiting due job has been due.")
KEY_AGE = _gauge("passport_key_age_seconds", "Age of the oldest key that signs, by purpose.", "purpose")
KEYS_WAITING = _gauge("passport_keys", "Keys by purpose and state.", "purpose", "state")
TLS_DAYS = _gauge(
    "passport_tls_certificate_days_left", "Days the served TLS certificate has left.", shared=False
)

SNAPSHOT_SEQUENCE = _gauge(
    "passport_snapshot_sequence", "Sequence of the network's snapshot in use.", services=TENANTS, shared=False
)
SNAPSHOT_AGE = _gauge(
    "passport_snapshot_age_seconds",
    "Age of the network's snapshot in use; -1 while there is none.",
    services=TENANTS,
    shared=False,
)
CERTIFICATE_DAYS = _gauge(
    "passport_certificate_signing_days_left",
    "Days until the first certificate of a use may sign no more.",
    "use",
)
CERTIFICATES_ENDING = _gauge(
    "passport_certificates_ending", "Certificates that may sign for less than 30 days, by use.", "use"
)
TENANTS_ENROLLED = _gauge("passport_tenants", "Trusts by state.", "state", services=TENANTS)

CREDENTIALS_ISSUED = _counter(
    "passport_credentials_issued_total", "Credentials issued, by type.", "type", services=(ISSUER,)
)
CREDENTIALS_REFUSED = _counter(
    "passport_credentials_refused_total", "Credential requests refused, by reason.", "reason",
    services=(ISSUER,),
)  # fmt: skip
OFFERS_MADE = _counter("passport_offers_made_total", "Credential offers made.", services=(ISSUER,))
OFFERS_EXPIRED = _counter(
    "passport_offers_expired_total", "Credential offers nobody collected in time.", services=(ISSUER,)
)
RELEASES_OPEN = _gauge(
    "passport_releases_open", "Release requests that wait for this side's answer.", services=(ISSUER,)
)
RELEASES_OLDEST = _gauge(
    "passport_releases_oldest_open_seconds", "Age of the oldest release request without an answer.",
    services=(ISSUER,),
)  # fmt: skip
STATUS_PENDING = _gauge(
    "passport_status_lists_pending", "Status lists with changes that are not published yet.",
    services=(ISSUER,),
)  # fmt: skip
STATUS_OLDEST = _gauge(
    "passport_status_list_oldest_seconds", "Age of the oldest status list in force.", services=(ISSUER,)
)
STATUS_ROOM = _gauge(
    "passport_status_list_fullest_ratio", "How full the fullest list is that indices are drawn from.",
    services=(ISSUER,),
)  # fmt: skip

PRESENTATIONS_VERIFIED = _counter(
    "passport_presentations_verified_total",
    "Presentations processed, by whether every check passed.",
    "verified",
    services=(VERIFIER,),
)
PRESENTATIONS_REFUSED = _counter(
    "passport_presentations_refused_total", "Presentations refused, by reason.", "reason",
    services=(VERIFIER,),
)  # fmt: skip
DECISIONS = _counter(
    "passport_decisions_total", "Decisions recorded, by outcome.", "outcome", services=(VERIFIER,)
)
PRESENTATIONS_HELD = _gauge(
    "passport_presentations_held",
    "Presentations kept because the register's copy is too old to judge them.",
    services=(VERIFIER,),
)
PLACEMENTS = _gauge(
    "passport_placements", "Placements by state; ON_HOLD is counted apart.", "state", services=(VERIFIER,)
)
ALERTS_OPEN = _gauge(
    "passport_alerts_open", "Alerts nobody has acknowledged.", "urgent", services=(VERIFIER,)
)
ALERTS_OLDEST = _gauge(
    "passport_alerts_oldest_open_seconds", "Age of the oldest alert nobody has acknowledged.", "urgent",
    services=(VERIFIER,),
)  # fmt: skip
RELEASES_AWAITED = _gauge(
    "passport_releases_awaited", "Release requests that wait for the employing trust.", services=(VERIFIER,)
)
LISTS_KEPT = _gauge(
    "passport_status_lists_kept", "Status lists of issuers that are kept.", services=(VERIFIER,)
)
LISTS_ENDED = _gauge(
    "passport_status_lists_ended", "Kept status lists whose life has ended, or that never came.",
    services=(VERIFIER,),
)  # fmt: skip
LISTS_OLDEST = _gauge(
    "passport_status_lists_kept_oldest_seconds", "Age of the oldest status list that is kept.",
    services=(VERIFIER,),
)  # fmt: skip
TELLING_OLDEST = _gauge(
    "passport_placements_untold_oldest_seconds",
    "How long the host's own issuer has not been told of a placement.",
    services=(VERIFIER,),
)

PUBLISHING_LAG = _gauge(
    "passport_registry_changes_unpublished", "Recorded changes that the snapshot does not carry yet.",
    services=(REGISTRY,),
)  # fmt: skip
PUBLISHED_AGE = _gauge(
    "passport_registry_snapshot_age_seconds", "Age of the published snapshot.", services=(REGISTRY,)
)
ENTITIES = _gauge("passport_registry_entities", "Entities by role.", "role", services=(REGISTRY,))
ENTITIES_SUSPENDED = _gauge(
    "passport_registry_entities_suspended", "Entities that are suspended.", services=(REGISTRY,)
)

CATALOGUE: tuple[Metric, ...] = tuple(_ALL)
BY_NAME = {metric.name: metric for metric in CATALOGUE}


def metrics_markdown() -> str:
    """The table of ``docs/metrics.md``."""
    lines = ["| metric | kind | labels | services | over replicas | meaning |", "|---|---|---|---|---|---|"]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        services = "all" if metric.services == EVERY else ", ".join(metric.services)
        over = "max" if metric.shared else "sum" if metric.kind is not Kind.GAUGE else "each"
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {services} | {over} | {metric.help} |")
    return "\n".join(lines) + "\n"
