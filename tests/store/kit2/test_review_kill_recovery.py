"""After a kill in the middle of background work the next replica takes over before anybody is unready."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from passport_shared.service import audit, jobs
from passport_shared.service.audit import MAX_LAG, AuditLog, Sealer
from passport_shared.service.db import new_metadata
from passport_shared.service.jobs import Leases, Periodic, Runner
from passport_shared.service.kek import Kek, create_kek_file
from passport_shared.service.keys import KeyStore
from passport_shared.service.keys import tables as key_tables
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, both_databases

METADATA = new_metadata()
AUDIT = audit.tables(METADATA)
JOBS = jobs.tables(METADATA)
KEYS = key_tables(METADATA)
ISSUER = "https://issuer.example"


@both_databases
async def test_sealing_goes_on_after_a_kill_before_readiness_fails(
    databases: FreshDatabases, tmp_path: Path
) -> None:
    db, clock = await databases.open(metadata=METADATA), FrozenClock()
    kek_file = tmp_path / "kek"
    create_kek_file(kek_file)
    keys = KeyStore(db, Kek.load(kek_file), KEYS, clock)
    leases = Leases(db, JOBS, clock)
    chain = Sealer(db, AUDIT, leases, keys, clock, issuer=ISSUER)
    task = Periodic(name="seal", every=timedelta(seconds=1), run=chain.run)
    log = AuditLog(AUDIT, clock)
    async with db.write() as conn:
        await log.record(conn, kind="thing.done", subject_ref="1", actor={"system": "test"})
    # the process that sealed is killed in the middle of it: both its leases stay behind
    assert await leases.acquire_due("periodic:seal", task.lease) is not None
    assert await leases.acquire("audit:seal", audit.LEASE) is not None
    runner = Runner(db, JOBS, clock, periodics=[task])
    clock.advance(timedelta(seconds=1))
    while waited := await chain.lag():
        assert waited < MAX_LAG
        await runner.run_once()
        clock.advance(timedelta(seconds=1))
    assert len(await chain.export()) == 1
