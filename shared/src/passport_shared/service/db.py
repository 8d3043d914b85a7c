"""One database per service: SQLite in a file, or PostgreSQL (design §7).

``read()`` gives a connection in AUTOCOMMIT, ``write()`` one transaction that commits when its block ends
cleanly, ``hot()`` one data-modifying statement without a transaction around it. On SQLite every write goes
through one connection that opens with BEGIN IMMEDIATE, and a lock file keeps a second process out. This is
the only module that commits. It retries nothing: a caller that wants another attempt knows why.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

from sqlalchemy import (
    URL,
    Dialect,
    Executable,
    Index,
    PrimaryKeyConstraint,
    QueuePool,
    RowMapping,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from passport_shared.outbound.spans import SpanKind, span
from passport_shared.service import failpoints
from passport_shared.service.columns import JsonText, UtcDateTime, new_metadata
from passport_shared.service.database_faults import refuses_writes
from passport_shared.service.database_url import DatabaseInUse, FileLock, driver_url
from passport_shared.service.migration import check, migrate, pending

__all__ = [
    "Database",
    "DatabaseInUse",
    "DatabaseUnsafe",
    "JsonText",
    "UtcDateTime",
    "WritesRefused",
    "check",
    "driver_url",
    "is_unique_violation",
    "migrate",
    "new_metadata",
    "pending",
    "violates",
]

BUSY_TIMEOUT_MS = 10_000
SQLITE_READERS = 4
POSTGRESQL_POOL = 10
# Nothing we run in a request takes this long; a statement that does holds locks others wait for.
POSTGRESQL_LIMITS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}
# Without these an acknowledged credential can vanish with the power (security.md C5).
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}

# Longer than the pause between two tries of the busiest background task.
REFUSED_FOR_S = 5.0

SqliteForm = (
    Executable
    | Sequence[Executable]
    | Callable[[AsyncConnection, Mapping[str, Any]], Awaitable[list[RowMapping]]]
)


class DatabaseUnsafe(RuntimeError):
    """The database would acknowledge a commit that a power cut can take back."""


class WritesRefused(RuntimeError):
    """The database is there and takes no writes: full, read-only, or its disk fails."""


class Database:
    """One service's database.

    Args:
        url: ``sqlite:///path`` or ``postgresql://…``.
        name: the service's name, shown in PostgreSQL's activity and in messages.
        shared: open a SQLite file without the exclusive lock, for a short command beside a running service.
        durable: refuse a PostgreSQL server that does not flush commits; False only where data may be lost
            (tests).
    """

    def __init__(self, url: str, *, name: str, shared: bool = False, durable: bool = True) -> None:
        self.url = driver_url(url)
        self.name = name
        self.dialect = self.url.get_backend_name()
        self._durable = durable
        self._opened = False
        self._refused_at = -math.inf
        self._opening = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._lock: FileLock | None = None
        if self.dialect == "sqlite":
            self._lock = None if shared else FileLock(Path(cast("str", self.url.database)))
            self._writer = _sqlite_writer(self.url)
            self._reader = _sqlite_reader(self.url)
        else:
            self._writer = _postgresql(self.url, name)
            self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Take the lock and assert durability; called by the first use if nobody called it before.

        Raises:
            DatabaseInUse: SQLite, and another process holds the file.
            DatabaseUnsafe: a commit would not be durable.
        """
        async with self._opening:
            if not self._opened:
                await self._open_once()

    async def close(self) -> None:
        """Close every connection and release the lock; the database may be opened again."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()
        if self._lock is not None:
            self._lock.release()
        self._opened = False

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection in AUTOCOMMIT: each statement sees what is committed when it starts."""
        if not self._opened:
            await self.open()
        async with self._reader.connect() as conn:
            yield conn

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed when the block ends cleanly, before anything after it; else rolled back.

        No network call and no signature belongs inside: on SQLite every other writer waits.
        """
        if not self._opened:
            await self.open()
        turn = self._turn if self.dialect == "sqlite" else contextlib.nullcontext()
        with self._noted():
            async with turn, self._writer.begin() as conn:
                yield conn
                failpoints.hit(failpoints.BEFORE_COMMIT)
        failpoints.hit(failpoints.AFTER_COMMIT)

    async def hot(
        self,
        sqlite_form: SqliteForm,
        postgresql_statement: Executable,
        params: Mapping[str, Any] | None = None,
    ) -> list[RowMapping]:
        """Run one data-modifying statement, durable when it returns, and give its RETURNING rows.

        PostgreSQL runs its statement in AUTOCOMMIT (one round trip). SQLite runs its own form inside one
        write: a statement, a list of statements, or a function of the connection. Of a list the last
        statement's rows are returned, and the first statement that returns no row ends the unit there: the
        equivalent of a CTE whose consumers find nothing.
        """
        values = dict(params or {})
        if self.dialect != "sqlite":
            with self._noted():
                async with self.read() as conn:
                    failpoints.hit(failpoints.BEFORE_COMMIT)
                    found = _rows(await conn.execute(postgresql_statement, values))
            failpoints.hit(failpoints.AFTER_COMMIT)
            return found
        async with self.write() as conn:
            if callable(sqlite_form):
                return await sqlite_form(conn, values)
            statements = [sqlite_form] if isinstance(sqlite_form, Executable) else sqlite_form
            rows: list[RowMapping] = []
            for statement in statements:
                result = await conn.execute(statement, values)
                rows = _rows(result)
                if result.returns_rows and not rows:
                    return []
            return rows

    def connections(self) -> tuple[int, int]:
        """Connections in use, and the most there can be."""
        engines = [self._writer] if self.dialect != "sqlite" else [self._writer, self._reader]
        in_use = sum(cast("QueuePool", engine.pool).checkedout() for engine in engines)
        most = 2 * POSTGRESQL_POOL if self.dialect != "sqlite" else 1 + SQLITE_READERS
        return in_use, most

    async def ping(self) -> None:
        """One read that needs the database; raises what the driver raises.

        A full or read-only database still answers reads. So this fails as well for some seconds after a write
        was refused; the background tasks go on trying, and keep it so until writes are taken again.

        Raises:
            WritesRefused: a write was refused in the last seconds.
        """
        async with self.read() as conn:
            await conn.execute(text("SELECT 1"))
        if time.monotonic() - self._refused_at < REFUSED_FOR_S:
            raise WritesRefused(f"the {self.name} database takes no writes: is it full, or read-only?")

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """One span of a trace; and remember when a write was last refused by a database that cannot write."""
        try:
            with span("database write", SpanKind.CLIENT) as current:
                if current is not None:
                    current.note(database=self.dialect)
                yield
        except Exception as error:
            if refuses_writes(error):
                self._refused_at = time.monotonic()
            raise

    async def _open_once(self) -> None:
        if self._lock is not None:
            self._lock.acquire()
        try:
            await self._assert_durable()
        except BaseException:
            await self.close()
            raise
        self._opened = True

    async def _assert_durable(self) -> None:
        if self.dialect == "sqlite":
            async with self._writer.connect() as conn:
                found = {
                    "journal_mode": (await conn.exec_driver_sql("PRAGMA journal_mode")).scalar_one(),
                    "synchronous": (await conn.exec_driver_sql("PRAGMA synchronous")).scalar_one(),
                }
            wanted: dict[str, object] = {"journal_mode": "wal", "synchronous": 2}
        elif self._durable:
            async with self._reader.connect() as conn:
                result = await conn.execute(
                    text(
                        "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', "
                        "'synchronous_commit', 'full_page_writes')"
                    )
                )
                found = {row.name: row.setting for row in result}
            wanted = dict(DURABLE)
        else:
            return
        wrong = [
            f"{key}={found.get(key)} (needs {value})"
            for key, value in wanted.items()
            if found.get(key) != value
        ]
        if wrong:
            message = f"the {self.name} database does not keep what it acknowledges: {', '.join(wrong)}"
            raise DatabaseUnsafe(message)


def is_unique_violation(error: IntegrityError) -> bool:
    """Whether a unique or primary key constraint refused the statement, on either database."""
    cause = _driver_error(error)
    if isinstance(cause, sqlite3.Error):
        codes = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
        return getattr(cause, "sqlite_errorcode", None) in codes
    return getattr(cause, "sqlstate", None) == "23505"


def violates(error: IntegrityError, constraint: UniqueConstraint | PrimaryKeyConstraint | Index) -> bool:
    """Whether this very constraint refused the statement.

    PostgreSQL names the constraint, SQLite its columns; both are compared with the table's own definition.
    """
    if not is_unique_violation(error):
        return False
    cause = _driver_error(error)
    if isinstance(cause, sqlite3.Error):
        table = constraint.table
        columns = ", ".join(
            f"{table.name if table is not None else ''}.{column.name}" for column in constraint.columns
        )
        return str(cause).endswith(f"failed: {columns}")
    return bool(getattr(cause, "constraint_name", None) == _constraint_name(constraint))


def _constraint_name(constraint: UniqueConstraint | PrimaryKeyConstraint | Index) -> str:
    # What PostgreSQL would be told at creation: long names are cut.
    dialect: Dialect = PGDialect()  # type: ignore[no-untyped-call]
    name = dialect.identifier_preparer.format_constraint(constraint)
    return "" if name is None else name.strip('"')


def _driver_error(error: IntegrityError) -> BaseException:
    # asyncpg's own exception, with sqlstate and constraint_name, is the cause of SQLAlchemy's wrapper of it.
    cause: BaseException = cast("BaseException", error.orig)
    return cause if isinstance(cause, sqlite3.Error) else (cause.__cause__ or cause)


def _rows(result: Any) -> list[RowMapping]:
    return list(result.mappings().all()) if result.returns_rows else []


def _sqlite_writer(url: URL) -> AsyncEngine:
    # isolation_level None: the driver opens no transaction of its own, so that ours can be BEGIN IMMEDIATE.
    engine = create_async_engine(
        url, connect_args={"isolation_level": None}, pool_size=1, max_overflow=0, pool_timeout=60
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, _record: object) -> None:
        _pragmas(
            connection,
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
        )

    @event.listens_for(engine.sync_engine, "begin")
    def begin_immediate(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _sqlite_reader(url: URL) -> AsyncEngine:
    engine = create_async_engine(
        url, connect_args={"isolation_level": None}, pool_size=SQLITE_READERS, max_overflow=0, pool_timeout=60
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, _record: object) -> None:
        _pragmas(connection, f"busy_timeout={BUSY_TIMEOUT_MS}", "query_only=ON")

    return engine


def _pragmas(connection: Any, *pragmas: str) -> None:
    cursor = connection.cursor()
    try:
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def _postgresql(url: URL, name: str) -> AsyncEngine:
    # jit costs more than it saves on statements of a millisecond.
    settings = {"application_name": f"passport-{name}", "jit": "off", **POSTGRESQL_LIMITS}
    return create_async_engine(
        url,
        connect_args={"server_settings": settings, "timeout": 10},
        pool_size=POSTGRESQL_POOL,
        max_overflow=POSTGRESQL_POOL,
        pool_timeout=10,
        pool_pre_ping=False,
        pool_recycle=1800,
    )
