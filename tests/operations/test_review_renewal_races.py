"""Replicas of an issuer that renew at the same moment: one set of new certificates, and no error."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from passport_issuer.app import renewals_of
from passport_issuer.store import tables
from passport_shared.service.keys import KeyState
from passport_shared.service.tenancy import Tenant
from passport_shared.wire.enrolment import OLD_KEYS_SIGN_FOR
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.registries import RBV
from passport_testkit.trio import Duo, registry_and_issuer


@pytest.fixture
async def duo(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[Duo]:
    async with registry_and_issuer(databases, tmp_path) as made:
        yield made


async def held(duo: Duo) -> Counter[str]:
    table = tables.tenants.certificates
    async with duo.issuer.ctx.db.read() as conn:
        return Counter((await conn.execute(select(table.c.use))).scalars())


@both_databases
async def test_renewals_at_the_same_moment_are_one(duo: Duo) -> None:
    ctx = duo.issuer.ctx
    duo.clock.advance(timedelta(days=310))
    await duo.publish()
    before = await held(duo)
    assert await renewals_of(ctx).renew(RBV) is None
    duo.clock.advance(timedelta(minutes=1))
    found = await at_once(4, lambda _: renewals_of(ctx).renew(RBV))
    assert [one for one in found if not isinstance(one, Tenant)] == []
    after = await held(duo)
    assert {use: after[use] - before[use] for use in after} == dict.fromkeys(before, 1)
    for use in before:
        states = [one.state for one in await ctx.keys.published(use, RBV)]
        assert states.count(KeyState.ACTIVE) == 1
    duo.clock.advance(OLD_KEYS_SIGN_FOR)
    rounds = await at_once(3, lambda _: renewals_of(ctx).run())
    assert [one for one in rounds if isinstance(one, BaseException)] == []
