"""The programs that are measured, as processes on a core of their own, and what the kernel says of them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN_S = 60


@dataclass(frozen=True)
class Cores:
    """Which core the measured program has, and which everything else (the load, the database)."""

    server: int
    load: int

    @classmethod
    def choose(cls) -> Cores | None:
        """The first two cores this process may use; None where there is only one, or none can be chosen."""
        if not hasattr(os, "sched_getaffinity"):
            return None
        usable = sorted(os.sched_getaffinity(0))
        return cls(server=usable[0], load=usable[1]) if len(usable) > 1 else None


@dataclass(frozen=True)
class Program:
    """A running server on 127.0.0.1."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu_s(self) -> float:
        """Seconds of processor time its threads have used, in user mode and in the kernel."""
        own = Path(f"/proc/{self.process.pid}")
        threads = list(own.glob("task/*/schedstat"))
        if threads:
            return sum(int(one.read_text().split()[0]) for one in threads) / 1e9
        # A kernel without scheduler statistics counts in ticks of a hundredth of a second.
        fields = (own / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """Resident memory, in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0


@contextlib.contextmanager
def running(
    arguments: Sequence[str | Path],
    *,
    log: Path,
    core: int | None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Program]:
    """Run a program that serves the listening socket whose number is its last argument.

    Args:
        arguments: the program and its arguments; ``python`` stands for this interpreter.
        log: where its output goes.
        core: the core it is pinned to.
        environment: added to ours.

    Raises:
        RuntimeError: it ended, or did not answer in time; with the end of its log.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.set_inheritable(True)
    command = [sys.executable if one == "python" else str(one) for one in arguments]
    with listener, log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(listener.fileno())],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
        try:
            port = listener.getsockname()[1]
            _wait(process, port, log)
            yield Program(process, port)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until it answers anything: the socket listens before the program does."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if probe.recv(12).startswith(b"HTTP/1.1"):
                return
    raise RuntimeError(f"a measured program does not answer:\n{log.read_text(errors='replace')[-3000:]}")
