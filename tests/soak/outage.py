"""Every outbound call of every service against every fault, the whole table that `make test` samples."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Run the tests of outages with every fault; further arguments are pytest's."""
    environment = {**os.environ, "PASSPORT_TEST_EVERY_FAULT": "1"}
    command = [sys.executable, "-m", "pytest", "tests/outage", "-q", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
