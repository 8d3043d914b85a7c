"""``passport-<service> backup FILE`` and what every service does once after a restore (ADR-0031).

A backup is one file of the database, taken while the service runs. The key-encryption key and the trust file
are backed up apart from it, and without the first one a backup opens nothing. PostgreSQL has better means of
its own; the command says which.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.audit import AuditLog
from passport_shared.service.database_url import driver_url
from passport_shared.service.settings import ServiceSettings

if TYPE_CHECKING:
    from passport_shared.service.doctor import ServiceTables

CURSOR_LEAP = 1_000_000
RESTORER: Mapping[str, str] = {"system": "restored"}


class BackupFailed(Exception):
    """No backup was made; the message says what to do instead."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("file", type=Path, help="where to write it; must not exist")


def backup(settings: ServiceSettings, file: Path) -> None:
    """Write a consistent copy of a SQLite database, checked, readable for its owner only.

    Raises:
        BackupFailed: PostgreSQL, or the file cannot be written, or the copy is not whole.
    """
    url = driver_url(settings.database_url)
    if url.get_backend_name() != "sqlite":
        target = f"{url.host or ''} {url.database}".strip()
        raise BackupFailed(
            "back up PostgreSQL with its own means: 'pg_dump --format=custom "
            f"--file={file} {url.database}' for a copy of {target}, or pg_basebackup and an archive of the "
            "write-ahead log for a restore to any moment"
        )
    source = Path(str(url.database))
    if not source.is_file():
        raise BackupFailed(f"there is no database at {source}")
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise BackupFailed(f"{file} cannot be made ({error.strerror})") from None
    try:
        _copy(source, file)
    except (sqlite3.Error, OSError) as error:
        file.unlink(missing_ok=True)
        raise BackupFailed(f"the copy could not be made ({type(error).__name__}: {error})") from None


def _copy(source: Path, file: Path) -> None:
    reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    writing = sqlite3.connect(file)
    try:
        # SQLite's online backup: what is committed when the last page is copied, writers do not wait.
        reading.backup(writing)
        [whole] = writing.execute("PRAGMA integrity_check").fetchone()
        if whole != "ok":
            raise sqlite3.DatabaseError("the copy is not whole")
    finally:
        reading.close()
        writing.close()
    with file.open("rb") as written:
        os.fsync(written.fileno())


def command(parsed: argparse.Namespace, settings: ServiceSettings) -> None:
    """Run ``backup``."""
    backup(settings, parsed.file)
    sys.stdout.write(f"{parsed.file}: the database; keep {settings.kek_file} apart from it\n")


async def leave_the_past(conn: AsyncConnection, tables: ServiceTables, audit: AuditLog) -> None:
    """After a restore, in one transaction: nothing of the lost time is taken for something of now.

    Positions of events leap, so that a reader whose cursor is from the lost time misses nothing that comes;
    leases and answers that were kept for repetitions belong to processes that are gone; and the audit log
    says that there is a gap.
    """
    events, leases = tables.outbox.events, tables.jobs.leases
    newest = (await conn.execute(select(func.max(events.c.position)))).scalar()
    if newest is not None:
        leap = update(events).where(events.c.position == newest).values(position=newest + CURSOR_LEAP)
        await conn.execute(leap)
    await conn.execute(delete(leases))
    await audit.record(conn, kind="service.restored", subject_ref="database", actor=RESTORER)
