"""Where a measurement runs: a folder, databases that keep what they acknowledge, and the cores."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from passport_shared.service.db import migrate
from passport_testkit.postgres_cluster import Cluster, server_programs, throwaway_cluster
from tests.bench.processes import ROOT, Cores

POSTGRESQL, SQLITE = "postgresql", "sqlite"


@dataclass(frozen=True)
class Place:
    """One measurement's folder and its database server (None: SQLite files)."""

    folder: Path
    cluster: Cluster | None = None
    server_core: int | None = None
    environment: dict[str, str] = field(
        default_factory=lambda: {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])}
    )

    async def database(self, package: str | None) -> str:
        """The URL of a new database, with a package's tables if one is named."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        if self.cluster is None:
            url = f"sqlite:///{self.folder / name}.db"
        else:
            admin = await asyncpg.connect(self.cluster.url())
            try:
                await admin.execute(f'CREATE DATABASE "{name}"')
            finally:
                await admin.close()
            url = self.cluster.url(name)
        if package is not None:
            await migrate(url, package)
        return url

    def write(self, name: str, config: dict[str, Any]) -> Path:
        """Keep a measured program's settings in a file."""
        path = self.folder / name
        path.write_text(json.dumps(config))
        return path


@contextlib.contextmanager
def place(database: str) -> Iterator[Place]:
    """A place with a durable database of its own; everything is thrown away afterwards.

    The database and the load share one core, the measured program has the other.

    Raises:
        RuntimeError: PostgreSQL is wanted, and there are no server programs.
    """
    folder = Path(tempfile.mkdtemp(prefix="passport-bench-"))
    cores = Cores.choose()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if cores is not None:
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, {cores.load})
            stack.callback(os.sched_setaffinity, 0, before)
        cluster = stack.enter_context(throwaway_cluster(durable=True)) if database == POSTGRESQL else None
        yield Place(folder, cluster, cores.server if cores else None)


def has_postgresql() -> bool:
    """Whether a PostgreSQL server can be started here."""
    return server_programs() is not None
