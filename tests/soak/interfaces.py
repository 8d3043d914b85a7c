"""The interface tests with everything they have: every naughty string everywhere, many generated requests."""

from __future__ import annotations

import os
import subprocess
import sys


def main(arguments: list[str]) -> int:
    """Run `tests/contract` and `tests/http` thoroughly; further arguments go to pytest."""
    environment = {**os.environ, "PASSPORT_TEST_THOROUGH": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "tests/contract", "tests/http", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode
