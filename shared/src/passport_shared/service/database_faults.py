"""What a fault nobody caught means to the caller: a dependency down, a value that cannot be stored, or ours.

A database that is gone, full, locked or read-only is 503 and the same request can succeed later; everything
else is 500 with fixed text. The cause is for the log.
"""

from __future__ import annotations

import sqlite3
import traceback
from datetime import timedelta

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from passport_shared.service.database_url import DatabaseInUse
from passport_shared.service.problems import Invalid, PassportError, Unavailable

_SQLITE_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
    }
)
_SQLITE_REFUSES = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}
)
# PostgreSQL classes: connection, insufficient resources, operator intervention, system error; lock and
# statement timeouts; a standby that cannot write.
_POSTGRESQL_UNAVAILABLE = ("08", "53", "57", "58", "55P03", "25006", "40001", "40P01")
_POSTGRESQL_REFUSES = ("25006", "53", "58")


def as_answer(error: BaseException) -> PassportError:
    """The refusal to give for an exception that reached the edge."""
    if isinstance(error, PassportError):
        return error
    if database_unavailable(error):
        return Unavailable(
            "The database does not answer; nothing was changed.", retry_after=timedelta(seconds=5)
        )
    if isinstance(error, DataError) or (isinstance(error, DBAPIError) and _is_data(error.orig)):
        return Invalid("A value lies outside what can be stored.")
    return PassportError(
        "internal_error", "The service failed. Quote the correlation id when asking for help."
    )


def database_unavailable(error: BaseException) -> bool:
    """Whether an exception says that the database is not there or cannot write now."""
    if isinstance(error, PoolTimeout | InterfaceError | DatabaseInUse):
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _driver_unavailable(error.orig)
    # asyncpg raises these bare when it cannot connect.
    return isinstance(error, ConnectionError) or _cannot_connect(error) or _driver_unavailable(error)


def _cannot_connect(error: BaseException) -> bool:
    """Whether the driver waited too long for its server, or found no address under its name."""
    if not isinstance(error, OSError):  # TimeoutError and socket.gaierror among them
        return False
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith("asyncpg.") for frame, _ in frames)


def refuses_writes(error: BaseException) -> bool:
    """Whether an exception says that nothing can be written now: read-only, full, or the disk fails.

    Readers may still be served then, so a read does not find it out.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in _SQLITE_REFUSES
    state = getattr(cause, "sqlstate", None)
    return isinstance(state, str) and state.startswith(_POSTGRESQL_REFUSES)


def _is_data(cause: BaseException | None) -> bool:
    """Whether PostgreSQL refused a value (class 22), which SQLAlchemy does not always call a DataError."""
    state = getattr(cause, "sqlstate", None)
    return isinstance(state, str) and state.startswith("22")


def _driver_unavailable(cause: BaseException | None) -> bool:
    if isinstance(cause, sqlite3.Error):
        return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in _SQLITE_UNAVAILABLE
    state = getattr(cause, "sqlstate", None)
    return isinstance(state, str) and state.startswith(_POSTGRESQL_UNAVAILABLE)
