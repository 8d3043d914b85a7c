"""Ctrl-C while the sandbox starts: a plain line, and no service left behind on its port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.dev.register import wait_until
from deploy.dev.stack import INTERRUPTED, PORTS

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

ROOT = Path(__file__).resolve().parents[2]


def taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_an_interrupted_start_leaves_nothing_running(tmp_path: Path) -> None:
    if any(taken(port) for port in PORTS.values()):
        pytest.skip("the sandbox's ports are taken (make down)")
    starting = subprocess.Popen(
        [sys.executable, "-m", "deploy.dev", "up"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background ignores the signal, and so would what it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: taken(PORTS["registry"]) or starting.poll() is not None, "the first service")
    starting.send_signal(signal.SIGINT)
    said, complaint = starting.communicate()
    assert starting.returncode == INTERRUPTED, (said, complaint)
    assert complaint == "Interrupted: nothing is left running.\n"
    wait_until(lambda: not any(taken(port) for port in PORTS.values()), "an end of every service")
