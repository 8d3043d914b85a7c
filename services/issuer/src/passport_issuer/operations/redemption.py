"""The token endpoint's act: a pre-authorized code and its PIN become one access token (OpenID4VCI 1.0 §6).

One transaction: a wrong PIN is counted whatever happens next, a right one redeems the offer exactly once. A
code that is presented again with its right PIN after redemption revokes what it was turned into, because two
parties hold it then (OAuth 2.0 Security BCP; security.md B2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.operations import failpoints
from passport_issuer.operations.offers import HOLDER, record_wrong_tx_code
from passport_issuer.rules import codes
from passport_issuer.rules.passports import OfferState
from passport_issuer.store import offers
from passport_issuer.store.offers import Grant
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.tenancy import Tenant

TOKEN_LIFE = timedelta(minutes=15)

__all__ = ["Grant", "TokenAnswer", "grant_of", "redeem"]


@dataclass(frozen=True, kw_only=True)
class TokenAnswer:
    """An access token, with ``authorization_details`` where the wallet asked for them, or needs them.

    It needs them where a configuration stands for several datasets, two posts for instance: only a
    ``credential_identifier`` tells these apart (OpenID4VCI 1.0 §6.2).
    """

    access_token: str
    expires_in: int
    authorization_details: list[dict[str, Any]] | None


async def redeem(
    ctx: Context,
    tenant: Tenant,
    *,
    code: str,
    tx_code: str,
    asked_configurations: Sequence[str] | None,
) -> TokenAnswer:
    """Redeem a code.

    Args:
        ctx: the issuer's means.
        tenant: whose token endpoint was called.
        code: the pre-authorized code.
        tx_code: six ASCII digits; anything else was refused before.
        asked_configurations: from the request's authorization_details, None without it.

    Raises:
        ProtocolError: invalid_grant, invalid_authorization_details.
    """
    now = ctx.clock.now()
    offer_id = codes.offer_of_code(ctx.secrets.offers, code)
    if offer_id is None:
        raise _invalid_grant()
    right = codes.tx_code_matches(ctx.secrets.offers, offer_id, tx_code)
    token = codes.new_access_token()
    kind: str | None = None
    async with ctx.db.write() as conn:
        offer = await offers.get_offer(conn, tenant.ods, offer_id)
        if offer is None:
            raise _invalid_grant()
        if right and asked_configurations is not None:
            _check_asked(asked_configurations, offer.configuration_ids)
        counted = await offers.count_tx_code(conn, offer_id, right=right, now=now)
        redeemed = counted and right and await offers.redeem(conn, offer_id, now)
        if redeemed:
            await offers.insert_token(
                conn,
                token_hash=codes.token_hash(token),
                ods=tenant.ods,
                offer_id=offer_id,
                by_identifier=asked_configurations is not None,
                issued_at=now,
                expires_at=now + TOKEN_LIFE,
            )
            kind = "credential_offer.redeemed"
        elif right and await _is_redeemed(conn, tenant, offer_id):
            await offers.revoke_tokens(conn, offer_id, now)
            kind = "credential_offer.replayed"
        if kind is not None:
            await ctx.audit.record(
                conn, kind=kind, subject_ref=offer_id, actor=HOLDER, organisation=tenant.ods
            )
        elif counted:
            await record_wrong_tx_code(ctx, conn, tenant, offer_id)
        datasets = await offers.datasets_of(conn, offer_id) if redeemed else []
    failpoints.hit(failpoints.AFTER_REDEEMED)
    if not redeemed:
        raise _invalid_grant()
    named = asked_configurations
    if named is None and len({dataset.configuration_id for dataset in datasets}) < len(datasets):
        named = [dataset.configuration_id for dataset in datasets]
    details = None if named is None else _details(datasets, named)
    return TokenAnswer(
        access_token=token, expires_in=int(TOKEN_LIFE.total_seconds()), authorization_details=details
    )


async def _is_redeemed(conn: AsyncConnection, tenant: Tenant, offer_id: str) -> bool:
    """Read after our own try: whoever was first at the same moment has committed by then."""
    offer = await offers.get_offer(conn, tenant.ods, offer_id)
    return offer is not None and offer.state is OfferState.ACCEPTED


async def grant_of(ctx: Context, tenant: Tenant, access_token: str) -> Grant | None:
    """What an access token allows at this tenant now, or None."""
    async with ctx.db.read() as conn:
        return await offers.grant_of(conn, tenant.ods, codes.token_hash(access_token), ctx.clock.now())


def _check_asked(asked: Sequence[str], offered: Sequence[str]) -> None:
    if not asked or any(configuration not in offered for configuration in asked):
        raise ProtocolError(
            "invalid_authorization_details", "the details name a configuration that was not offered"
        )


def _details(datasets: Sequence[offers.OfferDataset], asked: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "type": "openid_credential",
            "credential_configuration_id": configuration,
            "credential_identifiers": [d.id for d in datasets if d.configuration_id == configuration],
        }
        for configuration in dict.fromkeys(asked)
    ]


def _invalid_grant() -> ProtocolError:
    # One text for every cause, so that an answer tells nobody which of code and PIN was right.
    return ProtocolError("invalid_grant", "the code or the tx_code is not valid, or no longer")
