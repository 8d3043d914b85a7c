"""What every operation of the verifier is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from passport_shared.formats.clock import Clock
from passport_shared.formats.trust_file import TrustFile
from passport_shared.outbound import Outbound
from passport_shared.service.audit import AuditLog
from passport_shared.service.client_directory import RegistryClients
from passport_shared.service.clock_check import ClockGuard
from passport_shared.service.db import Database
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.holder_sessions import HolderSessions
from passport_shared.service.hr_users import HrUsers
from passport_shared.service.idempotency import Idempotency
from passport_shared.service.jobs import Leases
from passport_shared.service.kek import Kek
from passport_shared.service.keys import KeyStore
from passport_shared.service.limits import RateLimiter
from passport_shared.service.measuring import Counts
from passport_shared.service.outbox import Outbox
from passport_shared.service.service_client import ServiceClient
from passport_shared.service.snapshot_keeper import SnapshotKeeper
from passport_shared.service.tenancy import Tenants
from passport_verifier.rules.policies import HostPolicy
from passport_verifier.settings import VerifierSettings
from passport_verifier.store.status_memory import StatusMemory


@dataclass(frozen=True, kw_only=True)
class Context:
    """One verifier with the network it belongs to.

    ``known_chains`` are thumbprints of issuers' certificates that are stored already, so far as this process
    has seen: about one per issuer. ``compiled_policies`` are hosts' approved policy versions by version id,
    as far as this process has needed them; they never change.
    """

    settings: VerifierSettings
    db: Database
    clock: Clock
    clock_guard: ClockGuard
    keys: KeyStore
    kek: Kek
    outbound: Outbound
    audit: AuditLog
    idempotency: Idempotency
    limiter: RateLimiter
    outbox: Outbox
    documents: CachedDocuments
    leases: Leases
    trust_file: TrustFile
    snapshots: SnapshotKeeper
    statuses: StatusMemory
    tenants: Tenants
    service_client: ServiceClient
    directory: RegistryClients
    hr_users: HrUsers
    holders: HolderSessions
    known_chains: set[str] = field(default_factory=set)
    compiled_policies: dict[str, HostPolicy] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
