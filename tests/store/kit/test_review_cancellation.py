"""A client that goes away in the middle of an operation: its transaction is whole or not there."""

from __future__ import annotations

import asyncio

from sqlalchemy import Column, Table, Text, func, insert, select

from passport_shared.service.audit import AuditLog
from passport_shared.service.audit import tables as audit_tables
from passport_shared.service.db import Database, new_metadata
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, both_databases

METADATA = new_metadata()
THINGS = Table("things", METADATA, Column("id", Text, primary_key=True))
AUDIT = audit_tables(METADATA)


async def _change(db: Database, log: AuditLog, name: str) -> None:
    async with db.write() as conn:
        await conn.execute(insert(THINGS).values(id=name))
        await log.record(conn, kind="thing.made", subject_ref=name, actor={"system": "test"})


async def _ids(db: Database) -> tuple[list[str], list[str]]:
    async with db.read() as conn:
        things = (await conn.execute(select(THINGS.c.id).order_by(THINGS.c.id))).scalars().all()
        entries = AUDIT.entries
        told = (await conn.execute(select(entries.c.subject_ref).order_by(entries.c.subject_ref))).scalars()
        return list(things), list(told)


@both_databases
async def test_an_operation_cancelled_at_any_point_is_whole_or_not_there(databases: FreshDatabases) -> None:
    db = await databases.open(metadata=METADATA)
    log = AuditLog(AUDIT, FrozenClock())
    for number in range(120):
        task = asyncio.create_task(_change(db, log, f"n{number:03}"))
        for _ in range(number * 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    # every connection is back: as many writers and readers as there are places find one
    await asyncio.gather(*(_change(db, log, f"after{number}") for number in range(30)))
    await asyncio.gather(*(_ids(db) for _ in range(30)))
    things, told = await _ids(db)
    assert things == told
    assert len([name for name in things if name.startswith("after")]) == 30
    async with db.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(THINGS))).scalar_one() == len(things)
