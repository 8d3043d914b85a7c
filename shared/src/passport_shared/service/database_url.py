"""Where a service's database is, and the lock that keeps a second process off a SQLite file (design §7)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError


class DatabaseInUse(RuntimeError):
    """Another process has this SQLite file open as its service."""


def driver_url(url: str) -> URL:
    """The SQLAlchemy URL with our asynchronous driver in it.

    Raises:
        ValueError: neither ``sqlite:///path`` nor ``postgresql://…``, or SQLite without a file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("database URLs start with sqlite:/// or postgresql://") from None
    match parsed.get_backend_name():
        case "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                message = "SQLite needs a file: sqlite:///path/to/file.db"
                raise ValueError(message)
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgresql":
            return parsed.set(drivername="postgresql+asyncpg")
        case other:
            message = f"database URLs start with sqlite:/// or postgresql://, not {other}"
            raise ValueError(message)


class FileLock:
    """An advisory lock beside a SQLite file; the kernel frees it when the process ends, however it ends."""

    def __init__(self, database_file: Path) -> None:
        self._path = database_file.with_name(database_file.name + ".lock")
        self._handle: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock or raise DatabaseInUse naming the holder's process id."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = self._path.open("a+", encoding="ascii")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read(32).strip() or "unknown"
            handle.close()
            message = (
                f"{self._path.with_suffix('')} is in use by process {holder}: SQLite serves one process "
                f"per service. "
                "Stop it first, or use PostgreSQL for several replicas."
            )
            raise DatabaseInUse(message) from None
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        self._handle = handle

    def release(self) -> None:
        """Give the lock back; the file stays, because removing it would race with the next holder."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None
