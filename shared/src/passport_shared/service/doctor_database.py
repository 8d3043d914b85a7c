"""The doctor's looks at a service's database: does it answer, keep, and keep up (design §7).

Reachable, migrated, writable, durable, with room on its disk; the outbox delivers, jobs end, the audit log is
sealed and its chain is whole. All of it is read; the one write is rolled back.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, text

from passport_shared.formats.jose import PublicKey
from passport_shared.service.audit import AUDIT_KEY, MAX_LAG, AuditTables, Sealer
from passport_shared.service.audit_chain import GENESIS, ChainEntry, ChainReport, verify_chain
from passport_shared.service.db import DURABLE, Database
from passport_shared.service.doctor import Finding, Patient, fine, problem, warning
from passport_shared.service.job_queue import JobState
from passport_shared.service.leases import Leases
from passport_shared.service.migration import check, pending

OLDEST_POSTGRESQL = 140_000
OUTBOX_SLOW, OUTBOX_STUCK = timedelta(minutes=5), timedelta(hours=1)
JOB_SLOW = timedelta(minutes=15)
FAILED_SEEN = timedelta(days=7)
CHAIN_PAGE = 1_000
CHAIN_MOST = 50_000
ROOM_WARNING, ROOM_PROBLEM = 2 * 1024**3, 256 * 1024**2


class _RolledBack(Exception):
    """Ends the trial write."""


async def reachable(patient: Patient) -> Sequence[Finding]:
    """The database is there, answers, and has the tables of this version."""
    file = _file(patient.db)
    if file is not None and not file.exists():
        return [
            problem(
                "database.reachable",
                f"There is no database file at {file}.",
                do=f"{patient.prog} migrate for a new deployment; else restore the backup",
                runbook="database.md",
            )
        ]
    try:
        await patient.db.ping()
    except Exception as error:  # noqa: BLE001 - every driver has its own
        cause = getattr(error, "orig", None) or error
        return [
            problem(
                "database.reachable",
                f"The database does not answer ({type(cause).__name__}). Nothing can be issued, decided or "
                "looked up.",
                do="start the database server, and compare DATABASE_URL with its address",
                runbook="database.md",
            )
        ]
    missing = await pending(patient.settings.database_url, patient.package)
    if missing:
        return [
            fine("database.reachable", "The database answers."),
            problem(
                "database.migrated",
                f"{len(missing)} migration(s) are pending ({', '.join(missing)}); it does not start.",
                do=f"{patient.prog} migrate",
                runbook="database.md",
            ),
        ]
    return [
        fine("database.reachable", "The database answers."),
        fine("database.migrated", "The tables are those of this version."),
    ]


async def shape(patient: Patient) -> Sequence[Finding]:
    """The tables are what the migrations made."""
    differences = await check(patient.settings.database_url, patient.package, patient.tables.metadata)
    if not differences:
        return [fine("database.shape", "No table differs from what the migrations made.")]
    return [
        warning(
            "database.shape",
            f"{len(differences)} table(s) or index(es) were changed by hand.",
            do=f"{patient.prog} migrate --check",
            runbook="database.md",
        )
    ]


async def writable(patient: Patient) -> Sequence[Finding]:
    """A row can be written; it is rolled back."""
    leases = patient.tables.jobs.leases
    now = patient.clock.now()
    row = {"name": "doctor", "holder": "", "fence": 0, "expires_at": now, "next_run_at": now}
    try:
        async with patient.db.write() as conn:
            await conn.execute(leases.insert().values(row))
            raise _RolledBack
    except _RolledBack:
        return [fine("database.writable", "The database takes writes.")]
    except Exception as error:  # noqa: BLE001 - full disk, read-only server, missing right: all the same here
        cause = getattr(error, "orig", None) or error
        return [
            problem(
                "database.writable",
                f"The database refuses writes ({type(cause).__name__}): nothing can be issued or decided.",
                do="look for a full disk, a standby in the place of the primary, or a missing right",
                runbook="database.md",
            )
        ]


async def durable(patient: Patient) -> Sequence[Finding]:
    """What is acknowledged survives a power cut."""
    if patient.db.dialect == "sqlite":
        # The service sets these itself whenever it opens the file.
        return [fine("database.durable", "SQLite with WAL and synchronous=FULL, set at every opening.")]
    async with patient.db.read() as conn:
        rows = await conn.execute(
            text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)"), {"names": [*DURABLE]}
        )
        found = {row.name: row.setting for row in rows}
        version = int((await conn.execute(text("SHOW server_version_num"))).scalar_one())
    wrong = [f"{name}={found.get(name)}" for name, value in DURABLE.items() if found.get(name) != value]
    findings = [fine("database.version", f"PostgreSQL {version // 10_000}.")]
    if version < OLDEST_POSTGRESQL:
        findings = [
            warning(
                "database.version",
                f"PostgreSQL {version // 10_000} is older than any version this is tested with.",
                do="upgrade the server to PostgreSQL 14 or newer",
                runbook="database.md",
            )
        ]
    if wrong:
        says = f"The server acknowledges commits that a power cut can take back ({', '.join(wrong)})."
        do = "set fsync, synchronous_commit and full_page_writes to on in postgresql.conf and reload"
        make = problem if patient.settings.durable else warning
        return [*findings, make("database.durable", says, do=do, runbook="database.md")]
    return [*findings, fine("database.durable", "Commits are flushed before they are acknowledged.")]


async def room(patient: Patient) -> Sequence[Finding]:
    """The disk of a SQLite file; a server's disk is its own monitoring's business."""
    file = _file(patient.db)
    if file is None:
        return []
    free = shutil.disk_usage(file.parent).free
    said = f"{free // 1024**2} MiB are free where the database lies."
    if free < ROOM_PROBLEM:
        return [problem("disk.room", said, do="free space or move the database", runbook="disk-full.md")]
    if free < ROOM_WARNING:
        return [warning("disk.room", said, do="free space or move the database", runbook="disk-full.md")]
    return [fine("disk.room", said)]


async def outbox(patient: Patient) -> Sequence[Finding]:
    """Events leave: the oldest that waits, and those a receiver refuses for good."""
    tables, now = patient.tables.outbox, patient.clock.now()
    async with patient.db.read() as conn:
        sinks = (await conn.execute(select(tables.sinks))).all()
        aside = (
            await conn.execute(
                select(func.count())
                .select_from(tables.refusals)
                .where(tables.refusals.c.set_aside_at.is_not(None))
            )
        ).scalar_one()
        oldest: datetime | None = None
        for sink in sinks:
            waiting = select(func.min(tables.events.c.time)).where(tables.events.c.position > sink.position)
            at = (await conn.execute(waiting)).scalar()
            oldest = at if oldest is None else min(oldest, at or oldest)
    findings = []
    age = timedelta(0) if oldest is None else now - oldest
    errors = sorted({sink.last_error for sink in sinks if sink.last_error})
    if age >= OUTBOX_SLOW:
        make = problem if age >= OUTBOX_STUCK else warning
        why = f" ({', '.join(errors)})" if errors else ""
        says = f"The oldest event has waited {_said(age)} to be delivered{why}; reports fall behind."
        findings.append(
            make("outbox.backlog", says, do=f"{patient.prog} events set-aside", runbook="outbox.md")
        )
    else:
        findings.append(fine("outbox.backlog", "Events are delivered."))
    if aside:
        says = f"{aside} event(s) were set aside because the receiver refuses them."
        do = f"{patient.prog} events set-aside, then {patient.prog} events resend"
        findings.append(warning("outbox.set_aside", says, do=do, runbook="outbox.md"))
    else:
        findings.append(fine("outbox.set_aside", "No event was set aside."))
    return findings


async def jobs(patient: Patient) -> Sequence[Finding]:
    """Jobs end: what has been due for long, and what has failed this week."""
    table, now = patient.tables.jobs.jobs, patient.clock.now()
    late_at, seen = now - JOB_SLOW, now - FAILED_SEEN
    async with patient.db.read() as conn:
        queued = (table.c.state == JobState.QUEUED.value) & (table.c.run_after < late_at)
        running = (table.c.state == JobState.RUNNING.value) & (table.c.lease_until < late_at)
        count = select(func.count()).select_from(table)
        late = (await conn.execute(count.where(queued | running))).scalar_one()
        failed = (
            await conn.execute(
                count.where(table.c.state == JobState.FAILED.value, table.c.finished_at > seen)
            )
        ).scalar_one()
    findings = []
    if late:
        says = f"{late} job(s) have been due for a quarter of an hour; no replica takes them."
        findings.append(
            problem("jobs.stuck", says, do="start the service and read its log", runbook="jobs.md")
        )
    else:
        findings.append(fine("jobs.stuck", "No job waits for longer than it should."))
    if failed:
        says = f"{failed} job(s) failed for good in the last seven days."
        findings.append(warning("jobs.failed", says, do="read the log for job.failed", runbook="jobs.md"))
    else:
        findings.append(fine("jobs.failed", "No job failed for good in the last seven days."))
    return findings


async def audit(patient: Patient) -> Sequence[Finding]:
    """The audit log is being sealed, and what is sealed is whole up to its last checkpoint."""
    tables = patient.tables.audit
    async with patient.db.read() as conn:
        oldest = (
            await conn.execute(
                select(func.min(tables.entries.c.recorded_at)).where(tables.entries.c.seq.is_(None))
            )
        ).scalar()
    lag = timedelta(0) if oldest is None else patient.clock.now() - oldest
    if lag > MAX_LAG:
        sealing = problem(
            "audit.sealing",
            f"Audit entries have waited {_said(lag)} to be sealed; the service is not ready.",
            do="start the service; one replica seals within a second",
            runbook="audit.md",
        )
    else:
        sealing = fine("audit.sealing", "The audit log is sealed.")
    return [sealing, await _chain(patient, tables)]


async def _chain(patient: Patient, tables: AuditTables) -> Finding:
    if patient.keys is None:
        return warning(
            "audit.chain",
            "The audit chain was not checked: the key-encryption key cannot be used.",
            do="put the key-encryption key right first",
            runbook="keys.md",
        )
    jwks: dict[str, PublicKey] = {}
    keys = patient.tables.keys.keys
    async with patient.db.read() as conn:
        for row in await conn.execute(select(keys).where(keys.c.purpose == AUDIT_KEY, keys.c.owner == "")):
            jwks[row.kid] = PublicKey.from_jwk(row.public_jwk)
        head = (await conn.execute(select(func.max(tables.entries.c.seq)))).scalar() or 0
    # Only its readers are used: nothing is leased and nothing is signed.
    sealer = Sealer(
        patient.db,
        tables,
        Leases(patient.db, patient.tables.jobs, patient.clock),
        patient.keys,
        patient.clock,
        issuer=patient.settings.public_url,
    )
    report = await _checked(sealer, jwks, patient.settings.public_url, head)
    if report.whole:
        return fine("audit.chain", f"The chain of {report.entries} audit entries is whole.")
    first = report.findings[0]
    return problem(
        "audit.chain",
        f"The audit chain is broken at entry {first.seq} ({first.fault.value}): somebody changed the log.",
        do="keep the database as it is and call the security lead",
        runbook="audit.md",
    )


async def _checked(sealer: Sealer, jwks: dict[str, PublicKey], issuer: str, head: int) -> ChainReport:
    """Check the chain: from its beginning with every checkpoint, or its newest part when it is long."""
    first = max(0, head - CHAIN_MOST)
    before = (await sealer.export(after_seq=first - 1, limit=1))[0] if first else None
    entries: list[ChainEntry] = []
    while len(page := await sealer.export(after_seq=first + len(entries), limit=CHAIN_PAGE)) > 0:
        entries += page
    # Checkpoints are a chain themselves and are read from the first one or not at all.
    checkpoints = [] if first else await sealer.checkpoints(limit=CHAIN_MOST)
    after = (before.seq, before.hash) if before is not None else (0, GENESIS)
    return verify_chain(entries, checkpoints, jwks, issuer=issuer, after=after)


def _file(db: Database) -> Path | None:
    return Path(str(db.url.database)) if db.dialect == "sqlite" else None


def _said(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} seconds"


LOOKS = (shape, writable, durable, room, outbox, jobs, audit)
