"""Revoking all a trust has issued: all until it was ordered, no more, and none that was being written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from passport_issuer.operations import mass_revocation
from passport_issuer.rules.passports import ReasonCode
from passport_issuer.store import credentials
from passport_issuer.store import tables as t
from passport_shared.service.jobs import JobQueue
from passport_testkit.databases import both_databases
from passport_testkit.issuers import IssuerBench


async def collected(issuer: IssuerBench, **person: Any) -> None:
    offer = await issuer.offer(await issuer.surgeon(**person))
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])


async def states(issuer: IssuerBench) -> dict[str, str]:
    c = t.credentials.c
    async with issuer.ctx.db.read() as conn:
        return {row.id: row.state for row in await conn.execute(select(c.id, c.state))}


async def ordered(issuer: IssuerBench) -> JobQueue:
    tenant = await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    await mass_revocation.order(issuer.ctx, tenant, ReasonCode.TRUST_KEY_COMPROMISED)
    return JobQueue(issuer.ctx.db, t.jobs, issuer.clock)


@both_databases
async def test_what_is_collected_after_the_order_stands(issuer: IssuerBench) -> None:
    """A job may begin late, or be tried again for hours: what staff collect anew meanwhile is not in it."""
    await collected(issuer)
    before = set(await states(issuer))
    queue = await ordered(issuer)
    issuer.clock.advance(timedelta(minutes=2))
    await collected(issuer, external_ids=[])
    assert await queue.run_due(mass_revocation.handlers(issuer.ctx)) == 1
    assert {one for one, state in (await states(issuer)).items() if state == "REVOKED"} == before


@both_databases
async def test_what_was_being_written_when_its_page_was_read_is_revoked_too(
    issuer: IssuerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential takes its id before it is committed: the job may have passed it by then."""
    await collected(issuer)
    first = min(await states(issuer))
    async with issuer.ctx.db.write() as conn:
        row = (await conn.execute(select(t.credentials).where(t.credentials.c.id == first))).mappings().one()
        uncommitted = [dict(row)]
        await conn.execute(delete(t.credentials).where(t.credentials.c.id == first))
    queue = await ordered(issuer)
    revocable = credentials.revocable

    async def read(*arguments: Any, **where: Any) -> list[tuple[str, str]]:
        page = await revocable(*arguments, **where)
        if uncommitted:
            async with issuer.ctx.db.write() as conn:
                await conn.execute(t.credentials.insert().values(uncommitted.pop()))
        return page

    monkeypatch.setattr(credentials, "revocable", read)
    assert await queue.run_due(mass_revocation.handlers(issuer.ctx)) == 1
    assert set((await states(issuer)).values()) == {"REVOKED"}
