"""What every operation of the issuer is given: one frozen record, made in the composition root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from passport_issuer.clients.mail import Courier
from passport_issuer.clients.workforce import WorkforceClients
from passport_issuer.clients.workforce_credentials import Tokens
from passport_issuer.rules.notices import NoticeChannel
from passport_shared.formats.clock import Clock
from passport_shared.outbound import Outbound
from passport_shared.service.audit import AuditLog
from passport_shared.service.client_directory import RegistryClients
from passport_shared.service.clock_check import ClockGuard
from passport_shared.service.db import Database
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.holder_sessions import HolderSessions
from passport_shared.service.hr_users import HrUsers
from passport_shared.service.idempotency import Idempotency
from passport_shared.service.keys import KeyStore
from passport_shared.service.limits import RateLimiter
from passport_shared.service.measuring import Counts
from passport_shared.service.outbox import Outbox
from passport_shared.service.snapshot_keeper import SnapshotKeeper
from passport_shared.service.tenancy import Tenants


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Service secrets, one per purpose, the same on every replica."""

    offers: bytes
    nonces: bytes
    pages: bytes


@dataclass(frozen=True, kw_only=True)
class NoticeMeans:
    """How notices leave, how long an invitation's link lives, and what people are shown beside.

    ``outbox_page``: whether what was sent is shown on a page, as in development only.
    """

    couriers: Mapping[NoticeChannel, Courier]
    invitation_lifetime: timedelta
    app_page: str | None
    outbox_page: bool


@dataclass(frozen=True, kw_only=True)
class Workforce:
    """How workforce systems are reached: a client per connection, the tokens they gave, how often."""

    clients: WorkforceClients
    tokens: Tokens
    poll: timedelta


@dataclass(frozen=True, kw_only=True)
class Context:
    """The issuer's means; ``vct_base`` is what every type of this network begins with."""

    public_url: str
    vct_base: str
    offer_lifetime: timedelta
    placement_offer_lifetime: timedelta
    placement_retention: timedelta
    db: Database
    clock: Clock
    clock_guard: ClockGuard
    keys: KeyStore
    documents: CachedDocuments
    outbound: Outbound
    audit: AuditLog
    idempotency: Idempotency
    limiter: RateLimiter
    outbox: Outbox
    snapshots: SnapshotKeeper
    tenants: Tenants
    directory: RegistryClients
    hr_users: HrUsers
    holders: HolderSessions
    secrets: Secrets
    notices: NoticeMeans
    workforce: Workforce
    counts: Counts = field(default_factory=Counts)
