"""An issuer whose clock was ahead and is right again: what it signed then holds nothing back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from passport_issuer.operations import status_lists
from passport_issuer.operations.status_lists import publish_due
from passport_issuer.rules.passports import ReasonCode
from passport_issuer.store import credentials
from passport_issuer.store import tables as t
from passport_shared.formats.status_list import INVALID
from passport_testkit.databases import both_databases
from passport_testkit.issuers import IssuerBench


@both_databases
@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(hours=2), timedelta(days=30)], ids=str)
async def test_a_list_signed_in_the_future_is_published_anew(issuer: IssuerBench, ahead: timedelta) -> None:
    offer = await issuer.offer(await issuer.surgeon())
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    tenant = await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    async with issuer.ctx.db.read() as conn:
        one = (await conn.execute(select(t.credentials).limit(1))).one()
    issuer.clock.advance(ahead)
    await publish_due(issuer.ctx)
    issuer.clock.advance(-ahead + timedelta(seconds=5))
    async with issuer.ctx.db.write() as conn:
        await credentials.revoke(conn, [one.id], ReasonCode.ISSUED_IN_ERROR, issuer.clock.now())
    await publish_due(issuer.ctx)
    issuer.clock.advance(timedelta(seconds=5))
    token = await issuer.status(status_lists.list_uri(tenant, one.status_list_id))
    assert token.list.get(one.status_idx) == INVALID
    assert token.iat <= issuer.clock.now()
