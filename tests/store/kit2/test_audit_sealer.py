"""The audit log on both databases: an entry with its change, a chain without gaps, checkpoints in time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from passport_shared.service import audit, jobs, keys
from passport_shared.service.audit import MAX_LAG, AuditLog, Sealer
from passport_shared.service.audit_chain import ChainFault, ChainReport, verify_chain
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.jobs import Leases
from passport_shared.service.keys import Kek, KeyStore
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases

METADATA = new_metadata()
TABLES = audit.tables(METADATA)
JOB_TABLES = jobs.tables(METADATA)
KEY_TABLES = keys.tables(METADATA)
ISSUER = "https://issuer.example"
ACTOR = {"client_id": "rbv-hr", "kind": "PERSON", "ref": "rbv-hr", "asserted": False}
KEK = Kek(bytes(range(32)))

pytestmark = both_databases


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def replicas(databases: FreshDatabases, dialect: str) -> list[Database]:
    first = await databases.open(metadata=METADATA)
    if dialect == "sqlite":
        return [first, first]
    url = first.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return [first, databases.attach(url)]


@pytest.fixture
def log(clock: FrozenClock) -> AuditLog:
    return AuditLog(TABLES, clock)


def sealer_on(db: Database, clock: FrozenClock) -> Sealer:
    return Sealer(
        db, TABLES, Leases(db, JOB_TABLES, clock), KeyStore(db, KEK, KEY_TABLES, clock), clock, issuer=ISSUER
    )


async def record(db: Database, log: AuditLog, number: int = 0, **changes: Any) -> str:
    fields = {
        "kind": "credential.issued",
        "subject_ref": f"staff-{number}",
        "actor": ACTOR,
        "organisation": "RBV",
        "details": {"number": number},
    } | changes
    async with db.write() as conn:
        return await log.record(conn, **fields)


async def checked(db: Database, sealer: Sealer, clock: FrozenClock) -> ChainReport:
    public = (await KeyStore(db, KEK, KEY_TABLES, clock).ensure("audit")).public
    return verify_chain(await sealer.export(), await sealer.checkpoints(), public, issuer=ISSUER)


async def test_entries_are_chained_in_the_order_they_were_written(
    replicas: list[Database], log: AuditLog, clock: FrozenClock
) -> None:
    sealer = sealer_on(replicas[0], clock)
    ids = [await record(replicas[0], log, number) for number in range(5)]
    assert await sealer.seal() == 5
    assert await sealer.seal() == 0
    ids.append(await record(replicas[0], log, 5))
    assert await sealer.seal() == 1
    exported = await sealer.export()
    assert [entry.seq for entry in exported] == [1, 2, 3, 4, 5, 6]
    assert sorted(entry.id for entry in exported) == sorted(ids)
    assert exported[-1].id == ids[-1]
    assert exported[0].details == {"number": exported[0].details["number"]}
    assert exported[0].actor == ACTOR
    assert await sealer.checkpoint() is not None
    assert (await checked(replicas[0], sealer, clock)).whole


async def test_no_entry_no_change_and_no_change_no_entry(
    replicas: list[Database], log: AuditLog, clock: FrozenClock
) -> None:
    db = replicas[0]
    with pytest.raises(ZeroDivisionError):
        async with db.write() as conn:
            await log.record(conn, kind="credential.issued", subject_ref="s", actor=ACTOR)
            raise ZeroDivisionError
    assert await sealer_on(db, clock).seal() == 0
    async with db.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(TABLES.entries))).scalar_one() == 0


async def test_an_entry_that_commits_late_is_chained_late(
    replicas: list[Database], log: AuditLog, clock: FrozenClock, dialect: str
) -> None:
    sealer = sealer_on(replicas[0], clock)
    if dialect == "sqlite":
        # One writer at a time: nothing can be written earlier and committed later.
        await record(replicas[0], log)
        assert await sealer.seal() == 1
        return
    written, commit = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        async with replicas[1].write() as conn:
            entry_id = await log.record(conn, kind="credential.revoked", subject_ref="s", actor=ACTOR)
            written.set()
            await commit.wait()
        return entry_id

    late = asyncio.create_task(slow())
    await written.wait()
    early_id = await record(replicas[0], log)
    assert await sealer.seal() == 1, "sealing does not wait for open transactions"
    commit.set()
    late_id = await late
    assert await sealer.seal() == 1
    assert [entry.id for entry in await sealer.export()] == [early_id, late_id]
    assert late_id < early_id


async def test_many_writers_and_many_sealers_make_one_chain_without_gaps(
    replicas: list[Database], log: AuditLog, clock: FrozenClock
) -> None:
    sealers = [sealer_on(replicas[number % 2], clock) for number in range(10)]

    async def act(number: int) -> object:
        if number < 60:
            return await record(replicas[number % 2], log, number)
        return await sealers[number % 10].seal()

    results = await at_once(100, act)
    assert [result for result in results if isinstance(result, BaseException)] == []
    await sealers[0].seal()
    await sealers[0].checkpoint()
    exported = await sealers[0].export()
    assert [entry.seq for entry in exported] == list(range(1, 61))
    assert len({entry.id for entry in exported}) == 60
    assert (await checked(replicas[0], sealers[0], clock)).whole


async def test_more_entries_than_one_batch_are_sealed_in_one_go(
    replicas: list[Database], log: AuditLog, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "BATCH", 7)
    for number in range(20):
        await record(replicas[0], log, number)
    sealer = sealer_on(replicas[0], clock)
    assert await sealer.seal() == 20
    assert (await checked(replicas[0], sealer, clock)).whole


async def test_a_sealer_that_was_killed_is_replaced(
    replicas: list[Database], log: AuditLog, clock: FrozenClock
) -> None:
    await record(replicas[0], log)
    killed = await Leases(replicas[0], JOB_TABLES, clock).acquire("audit:seal", audit.LEASE)
    assert killed is not None
    sealer = sealer_on(replicas[1], clock)
    assert await sealer.seal() == 0
    clock.advance(audit.LEASE)
    assert await sealer.seal() == 1


async def test_a_checkpoint_follows_what_is_new_and_not_too_often(
    replicas: list[Database], log: AuditLog, clock: FrozenClock
) -> None:
    sealer = sealer_on(replicas[0], clock)
    assert await sealer.checkpoint() is None, "nothing to sign"
    await record(replicas[0], log)
    assert await sealer.checkpoint() is None, "an unsealed entry is not in the chain"
    await sealer.run()
    assert len(await sealer.checkpoints()) == 1
    await record(replicas[0], log)
    await sealer.run()
    assert len(await sealer.checkpoints()) == 1, "the last one is only just signed"
    clock.advance(timedelta(seconds=30))
    await sealer.run()
    assert len(await sealer.checkpoints()) == 2, "within a minute of the entry"
    clock.advance(timedelta(days=1))
    await sealer.run()
    assert len(await sealer.checkpoints()) == 2, "nothing new since"
    assert (await checked(replicas[0], sealer, clock)).whole


async def test_checkpoints_of_rivals_form_one_chain(
    replicas: list[Database], log: AuditLog, clock: FrozenClock
) -> None:
    sealers = [sealer_on(replicas[number % 2], clock) for number in range(10)]
    for rounds in range(1, 6):
        await record(replicas[0], log)
        await sealers[0].seal()
        signed = await at_once(10, lambda number: sealers[number].checkpoint())
        assert len([token for token in signed if isinstance(token, str)]) == 1, signed
        assert len(await sealers[0].checkpoints()) == rounds
        clock.advance(timedelta(seconds=30))
    assert (await checked(replicas[0], sealers[0], clock)).whole


async def test_tampering_with_the_tables_is_found(
    replicas: list[Database], log: AuditLog, clock: FrozenClock
) -> None:
    db = replicas[0]
    sealer = sealer_on(db, clock)
    for number in range(10):
        await record(db, log, number)
    await sealer.run()
    entries = TABLES.entries
    tampers = [
        (update(entries).where(entries.c.seq == 4).values(details={"number": 99}), ChainFault.HASH),
        (delete(entries).where(entries.c.seq == 4), ChainFault.GAP),
        (delete(entries).where(entries.c.seq >= 8), ChainFault.TRUNCATED),
        (update(entries).where(entries.c.seq == 10).values(seq=11), ChainFault.GAP),
    ]
    for statement, fault in tampers:
        with pytest.raises(RolledBack) as tampered:
            async with db.write() as conn:
                await conn.execute(statement)
                rows = (
                    (await conn.execute(select(entries).where(entries.c.seq > 0).order_by(entries.c.seq)))
                    .mappings()
                    .all()
                )
                exported = [audit._entry(row, row["seq"], row["prev_hash"], row["hash"]) for row in rows]
                raise RolledBack(exported)
        # What the tampered table would have exported is checked with the public checkpoints.
        report = verify_chain(
            tampered.value.exported, await sealer.checkpoints(), await public_key(db, clock), issuer=ISSUER
        )
        assert fault in {finding.fault for finding in report.findings}
    assert (await checked(db, sealer, clock)).whole


class RolledBack(Exception):
    """Ends a transaction that must not commit, and carries what it saw."""

    def __init__(self, exported: list[Any]) -> None:
        super().__init__()
        self.exported = exported


async def public_key(db: Database, clock: FrozenClock) -> Any:
    return (await KeyStore(db, KEK, KEY_TABLES, clock).active("audit")).public


async def test_sealing_lag_is_known_and_fails_readiness(
    replicas: list[Database], log: AuditLog, clock: FrozenClock
) -> None:
    sealer = sealer_on(replicas[0], clock)
    assert await sealer.lag() == timedelta(0)
    assert await sealer.is_current()
    await record(replicas[0], log)
    clock.advance(MAX_LAG)
    assert await sealer.is_current()
    clock.advance(timedelta(seconds=1))
    assert await sealer.lag() == MAX_LAG + timedelta(seconds=1)
    assert not await sealer.is_current()
    await sealer.seal()
    assert await sealer.is_current()


async def test_malformed_entries_are_refused_before_they_are_written(
    replicas: list[Database], log: AuditLog
) -> None:
    malformed: tuple[dict[str, Any], ...] = (
        {"kind": "issued"},
        {"kind": "Credential.Issued"},
        {"kind": "credential.issued\n"},
        {"subject_ref": "Aisha Khan"},
        {"subject_ref": "é"},
        {"subject_ref": "x" * 257},
        {"organisation": "R B V"},
        {"details": {"text": "x" * 5_000}},
        {"details": {"number": 2**60}},
        {"details": {"when": float("nan")}},
    )
    for changes in malformed:
        with pytest.raises(ValueError):
            await record(replicas[0], log, **changes)
