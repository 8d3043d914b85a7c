"""What every operation of the registry is given: database, clock, keys, and the way out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from passport_registry.settings import RegistrySettings
from passport_registry.store.fingerprints import Fingerprint
from passport_shared.formats.clock import Clock
from passport_shared.outbound import Outbound
from passport_shared.service.audit import AuditLog
from passport_shared.service.clock_check import ClockGuard
from passport_shared.service.db import Database
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.idempotency import Idempotency
from passport_shared.service.jobs import Leases
from passport_shared.service.keys import KeyStore
from passport_shared.service.limits import RateLimiter
from passport_shared.service.measuring import Counts


@dataclass(frozen=True, kw_only=True)
class Context:
    """One registry."""

    settings: RegistrySettings
    db: Database
    clock: Clock
    clock_guard: ClockGuard
    keys: KeyStore
    outbound: Outbound
    audit: AuditLog
    documents: CachedDocuments
    leases: Leases
    idempotency: Idempotency
    limiter: RateLimiter
    # What the publisher of this process has looked at: each organisation as it was then, and when.
    looked: dict[str, tuple[Fingerprint, datetime]] = field(default_factory=dict)
    # What register and reports derive of every organisation (`operations.standings.Derived`).
    derived: dict[str, Any] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    @property
    def anchor(self) -> str:
        """The trust anchor's Entity Identifier."""
        return self.settings.public_url

    @property
    def vct_base(self) -> str:
        """What every `vct` of this network begins with."""
        return f"{self.settings.public_url}/vct"
