"""Everything a trust has issued is revoked by one job, once, though it is killed in the middle."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from passport_issuer.operations import mass_revocation, passports, status_lists
from passport_issuer.rules.passports import ReasonCode
from passport_issuer.store import tables as t
from passport_shared.formats.status_list import INVALID, VALID
from passport_shared.service.job_queue import LEASE
from passport_shared.service.jobs import JobQueue
from passport_shared.service.paging import PageQuery
from passport_testkit.databases import both_databases
from passport_testkit.issuers import IssuerBench


class Killed(BaseException):
    """Stands for the process ending at this line."""


async def rows(issuer: IssuerBench) -> list[tuple[str, str, str, str, int]]:
    c = t.credentials.c
    async with issuer.ctx.db.read() as conn:
        found = await conn.execute(
            select(c.id, c.state, c.reason_code, c.status_list_id, c.status_idx).order_by(c.id)
        )
        return [tuple(row) for row in found]


async def revoked_entries(issuer: IssuerBench) -> list[str]:
    entries = issuer.ctx.audit.tables.entries
    async with issuer.ctx.db.read() as conn:
        found = await conn.execute(select(entries.c.details).where(entries.c.kind == "credential.revoked"))
        return sorted(row.details["credential"] for row in found)


async def collected(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    offer = await issuer.offer(staff_id)
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])


@both_databases
async def test_all_of_a_trust_is_revoked_and_published_once_though_killed(
    issuer: IssuerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await collected(issuer)
    held = await rows(issuer)
    assert len(held) > 3
    tenant = await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    await mass_revocation.order(issuer.ctx, tenant, ReasonCode.TRUST_KEY_COMPROMISED)
    queue = JobQueue(issuer.ctx.db, t.jobs, issuer.clock)
    monkeypatch.setattr(mass_revocation, "PAGE", 2)
    entries, calls = mass_revocation._entries, []

    def killed_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise Killed
        return entries(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(mass_revocation, "_entries", killed_at_the_second)
        with pytest.raises(Killed):
            await queue.run_due(mass_revocation.handlers(issuer.ctx))
    half = [state for _, state, *_ in await rows(issuer)]
    assert half.count("REVOKED") == 2
    assert len(await revoked_entries(issuer)) == 2
    issuer.clock.advance(LEASE * 2)
    assert await queue.run_due(mass_revocation.handlers(issuer.ctx)) == 1
    now = await rows(issuer)
    assert {state for _, state, *_ in now} == {"REVOKED"}
    assert {reason for _, _, reason, *_ in now} == {ReasonCode.TRUST_KEY_COMPROMISED.value}
    assert await revoked_entries(issuer) == sorted(one[0] for one in held)
    await issuer.publish()
    uri = status_lists.list_uri(tenant, now[0][3])
    token = await issuer.status(uri)
    assert {token.list.get(index) for *_, index in now} == {INVALID}
    assert token.list.get(next(free for free in range(131_072) if free not in {r[4] for r in now})) == VALID
    assert await queue.run_due(mass_revocation.handlers(issuer.ctx)) == 0


async def test_a_credentials_list_reads_its_passports_at_once(issuer: IssuerBench) -> None:
    await collected(issuer)
    tenant = await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    found, following = await passports.list_credentials(issuer.ctx, tenant, PageQuery(), None)
    assert following is None
    assert [credential.id for credential, _ in found] == [row[0] for row in await rows(issuer)]
    assert all(passport.id == credential.passport_id for credential, passport in found)
