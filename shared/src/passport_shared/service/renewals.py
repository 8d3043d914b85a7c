"""Keys and certificates that are renewed before they end, by the service itself (security.md R8).

A certificate's signing window is twelve months; two months before its end new keys are certified by the
registry on the word of the tenant's federation key. They are published at once and used a good day later
(`tenancy.in_use`), so that no honest signature meets a relying service that has not heard of its key. The
federation key is rolled with them: the next one is published and told to the registry first, then used, then
retired. Everything here may be killed at any moment and run again by any replica.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from passport_shared.formats.clock import Clock
from passport_shared.formats.freshness import ENTITY_CONFIGURATION_LIFETIME
from passport_shared.outbound import Outbound
from passport_shared.service.key_rolling import retire_once
from passport_shared.service.keys import RECHECK, KeyExists, KeyMissing, KeyState, KeyStore, StoredKey
from passport_shared.service.tenancy import FEDERATION, EnrolmentRefused, Tenant, Tenants, TenantState
from passport_shared.wire.enrolment import OLD_KEYS_SIGN_FOR, PUBLISHED_BEFORE_USE

RENEW_BEFORE = timedelta(days=60)
SEEN_BY_REPLICAS = 2 * RECHECK
"""After this every replica serves the configuration that names a new federation key."""
RETIRED_AFTER = 2 * ENTITY_CONFIGURATION_LIFETIME

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """What one round did, by ODS code."""

    renewed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class Renewals:
    """Renews the tenants of one service.

    Args:
        tenants: whose certificates are looked after.
        keys: where their keys are.
        clock: the time.
        outbound: the way to the registry.
        registry_url: the registry's base URL.
    """

    def __init__(
        self, tenants: Tenants, keys: KeyStore, clock: Clock, outbound: Outbound, *, registry_url: str
    ) -> None:
        self._tenants = tenants
        self._keys = keys
        self._clock = clock
        self._outbound = outbound
        self._registry_url = registry_url

    async def run(self) -> Renewed:
        """One round over every tenant: the periodic task. One that is refused holds up no other."""
        done: dict[str, list[str]] = {"renewed": [], "waiting": [], "refused": []}
        for tenant in await self._tenants.every():
            if tenant.state is not TenantState.ACTIVE:
                continue
            if self._is_due(tenant):
                done[await self._try(tenant)].append(tenant.ods)
            await self._roll_federation(tenant.ods)
            await self._retire(tenant.ods)
        return Renewed(**{name: tuple(who) for name, who in done.items()})

    async def renew(self, ods: str) -> Tenant | None:
        """Begin or finish the renewal of one tenant now; None while its next federation key is new.

        Raises:
            LookupError: there is no enrolled tenant of this organisation.
            EnrolmentRefused: the registry could not be reached or refused.
        """
        following = await self._next_federation(ods)
        if self._clock.now() - following.changed_at < SEEN_BY_REPLICAS:
            return None
        return await self._tenants.renew(ods, registry_url=self._registry_url, outbound=self._outbound)

    def _is_due(self, tenant: Tenant) -> bool:
        uses = {certificate.use for certificate in tenant.held}
        newest = [certificate for use in uses if (certificate := tenant.newest(use)) is not None]
        return any(self._clock.now() >= one.not_after_signing - RENEW_BEFORE for one in newest)

    async def _try(self, tenant: Tenant) -> str:
        try:
            renewed = await self.renew(tenant.ods)
        except EnrolmentRefused as refusal:
            log.warning("certificate.renewal_refused", entity_id=tenant.entity_id, reason=str(refusal))
            return "refused"
        if renewed is None:
            return "waiting"
        log.info("certificate.renewed", entity_id=tenant.entity_id)
        return "renewed"

    async def _next_federation(self, ods: str) -> StoredKey:
        """The tenant's next federation key, made if there is none; it is published from then on."""
        found = await self._federation(ods, KeyState.NEXT)
        if found is None:
            tenant = await self._tenants.get(ods)
            if tenant is None or tenant.state is not TenantState.ACTIVE:
                raise LookupError(ods)
            try:
                await self._keys.create(FEDERATION, ods, state=KeyState.NEXT)
            except KeyExists:
                self._keys.look_again(FEDERATION, ods)
            found = await self._federation(ods, KeyState.NEXT)
        if found is None:
            raise LookupError(ods)
        return found

    async def _federation(self, ods: str, state: KeyState) -> StoredKey | None:
        return next((one for one in await self._keys.published(FEDERATION, ods) if one.state is state), None)

    async def _roll_federation(self, ods: str) -> None:
        """Sign with the next federation key once the registry's word of it is in every snapshot in use."""
        following, tenant = await self._federation(ods, KeyState.NEXT), await self._tenants.get(ods)
        if following is None or tenant is None:
            return
        told_at = max((one.received_at for one in tenant.held), default=None)
        if told_at is None or told_at < following.changed_at:
            return
        if self._clock.now() >= told_at + PUBLISHED_BEFORE_USE:
            try:
                await self._keys.activate_next(FEDERATION, ods, kid=following.kid)
            except KeyMissing:
                # Another replica has done it.
                return
            log.info("federation_key.rolled", entity_id=self._tenants.entity_id(ods))

    async def _retire(self, ods: str) -> None:
        """Old keys go when nothing can be signed or has to be verified with them any more."""
        now = self._clock.now()
        for stored in await self._keys.published(FEDERATION, ods):
            await self._retire_one(stored, now, RETIRED_AFTER)
        tenant = await self._tenants.get(ods)
        held = () if tenant is None else tenant.held
        for use in {certificate.use for certificate in held}:
            in_use = tenant.certificates[use].kid if tenant is not None else ""
            for stored in await self._keys.published(use, ods):
                if stored.kid != in_use:
                    await self._retire_one(stored, now, OLD_KEYS_SIGN_FOR)

    async def _retire_one(self, stored: StoredKey, now: datetime, after: timedelta) -> None:
        if stored.state is KeyState.RETIRING and now - stored.changed_at >= after:
            await retire_once(self._keys, stored)
