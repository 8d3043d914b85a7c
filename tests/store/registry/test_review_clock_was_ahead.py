"""A registry whose clock was ahead and is right again: what it signed then holds nobody back."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from passport_registry.operations import publishing
from passport_registry.store import publications, tables
from passport_registry.store.publications import Kind
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.registries import RegistryBench, registry_bench


async def signed_at(bench: RegistryBench) -> dict[str, datetime]:
    async with bench.ctx.db.read() as conn:
        last = await publications.last(conn, Kind.SNAPSHOT)
        directory = await publications.last(conn, Kind.CLIENT_DIRECTORY)
        stated = (await conn.execute(select(tables.statements.c.issued_at))).scalars().all()
        current = select(tables.trust_marks.c.issued_at).where(tables.trust_marks.c.state == "CURRENT")
        marks = (await conn.execute(current)).scalars().all()
        lists = (await conn.execute(select(tables.status_lists.c.issued_at))).scalars().all()
    assert last is not None
    assert directory is not None
    return {
        "manifest": last.issued_at,
        "directory": directory.issued_at,
        "statements": max(stated),
        "marks": max(marks),
        "lists": max(lists),
    }


@both_databases
@pytest.mark.parametrize("ahead", [timedelta(hours=30), timedelta(days=400)], ids=str)
async def test_what_was_signed_in_the_future_is_signed_anew(
    databases: FreshDatabases, tmp_path: Path, ahead: timedelta
) -> None:
    async with registry_bench(await databases.url("passport_registry"), tmp_path) as bench:
        await bench.live_issuer()
        await publishing.publish(bench.ctx)
        bench.clock.advance(ahead)
        assert await publishing.publish(bench.ctx) is not None
        bench.clock.advance(-ahead + timedelta(minutes=2))
        await publishing.publish_if_due(bench.ctx)
        now = bench.clock.now()
        late = {what: at for what, at in (await signed_at(bench)).items() if at > now}
        assert late == {}
