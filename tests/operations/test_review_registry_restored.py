"""A registry that was restored to an older moment gives no status index of the lost time to another mark."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from passport_registry.app import service_tables
from passport_registry.operations import publishing, restoring
from passport_registry.store import tables
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.registries import registry_bench


@both_databases
async def test_no_index_of_an_older_list_is_given_again(databases: FreshDatabases, tmp_path: Path) -> None:
    async with registry_bench(await databases.url("passport_registry"), tmp_path) as bench:
        await bench.live_issuer()
        await publishing.publish(bench.ctx)
        marks, lists = tables.trust_marks, tables.status_lists
        current = select(marks.c.status_list_id).where(marks.c.state == "CURRENT")
        async with bench.ctx.db.read() as conn:
            before = set((await conn.execute(current)).scalars())
        assert len(before) == 1
        for _ in range(2):
            await restoring.restored(bench.ctx, service_tables())
        bench.clock.advance(timedelta(hours=25))
        assert await publishing.publish(bench.ctx) is not None
        async with bench.ctx.db.read() as conn:
            after = set((await conn.execute(current)).scalars())
            signed = {row.id: row.issued_at for row in await conn.execute(select(lists))}
        assert len(after) == 1
        assert not before & after
        # The older list is published on: its marks may still be asked about.
        assert signed[before.pop()] == bench.clock.now()
        assert (await bench.snapshot()).sequence > 0
