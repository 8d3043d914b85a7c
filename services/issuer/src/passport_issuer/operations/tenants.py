"""Tenants as the operations see them.

Found or 404, what their entity configuration says, what they may sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from passport_issuer.context import Context
from passport_issuer.rules.metadata import federation_metadata
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.snapshot import SnapshotError
from passport_shared.formats.trust import Authority, Finding, issuer_may_issue
from passport_shared.service.keys import KeyMissing
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.problems import NotFound
from passport_shared.service.snapshot_keeper import SnapshotKeeper
from passport_shared.service.tenancy import Tenant, TenantState


@dataclass(frozen=True, kw_only=True)
class CertifiedKey:
    """A key that may sign now, with its chain as the header carries it."""

    key: SigningKey
    x5c: tuple[str, ...]
    x5t_s256: str
    not_after: datetime


async def enrolled_tenant(ctx: Context, ods: str) -> Tenant:
    """The tenant of an organisation that is enrolled.

    Raises:
        NotFound: unknown, or not enrolled yet.
    """
    tenant = await ctx.tenants.get(ods)
    if tenant is None or tenant.state is not TenantState.ACTIVE:
        raise NotFound
    return tenant


async def protocol_tenant(ctx: Context, ods: str) -> Tenant:
    """As ``enrolled_tenant``, for the protocol endpoints.

    Raises:
        ProtocolError: not_found.
    """
    tenant = await ctx.tenants.get(ods)
    if tenant is None or tenant.state is not TenantState.ACTIVE:
        raise ProtocolError("not_found", "there is no issuer under this identifier", status=404)
    return tenant


async def certified_key(ctx: Context, tenant: Tenant, use: str) -> CertifiedKey | None:
    """The tenant's key for a use, None when there is none whose signing window is open."""
    certificate = tenant.certificates.get(use)
    if certificate is None or ctx.clock.now() >= certificate.not_after_signing:
        return None
    try:
        key = await ctx.keys.load(certificate.kid)
    except KeyMissing:
        return None
    return CertifiedKey(
        key=key, x5c=certificate.x5c, x5t_s256=certificate.x5t_s256, not_after=certificate.not_after
    )


async def authority_to_issue(ctx: Context, tenant: Tenant, vct: str) -> Authority | None:
    """What the newest snapshot says about this tenant signing this type now.

    None before the first snapshot.
    """
    snapshot = await ctx.snapshots.latest()
    if snapshot is None:
        return None
    certificate = tenant.certificates.get("credential")
    return issuer_may_issue(
        snapshot,
        tenant.entity_id,
        vct,
        ctx.clock.now(),
        x5t_s256=certificate.x5t_s256 if certificate else None,
    )


def is_stale(authority: Authority | None) -> bool:
    """Whether the register is too old to say anything, as opposed to saying no."""
    return authority is None or authority.finding is Finding.REGISTRY_STALE


async def current_mark(snapshots: SnapshotKeeper, now: datetime, entity_id: str) -> str | None:
    """The entity's current trust mark as a compact JWS, for its entity configuration."""
    snapshot = await snapshots.latest()
    if snapshot is None:
        return None
    try:
        mark = snapshot.mark_for(entity_id, now=now)
    except SnapshotError:
        return None
    return mark.compact if mark else None


def entity_metadata(vct_base: str, tenant: Tenant) -> Mapping[str, Any]:
    """What the tenant's entity configuration says about it."""
    return federation_metadata(tenant.entity_id, tenant.name or tenant.ods, vct_base)
