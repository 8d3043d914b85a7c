"""The one-time link of an invitation, derived from its id: shown again or put into a notice, never kept."""

from __future__ import annotations

from passport_issuer.context import Context
from passport_issuer.rules import codes
from passport_shared.service.tenancy import Tenant


def invitation_token(ctx: Context, invitation_id: str) -> str:
    """The token in an invitation's link."""
    return codes.invitation_token(ctx.secrets.offers, invitation_id)


def invitation_link(ctx: Context, tenant: Tenant, invitation_id: str) -> str:
    """The link, ``<EID>/i/{token}``."""
    return f"{tenant.entity_id}/i/{invitation_token(ctx, invitation_id)}"
