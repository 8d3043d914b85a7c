"""``passport-verifier``: the verifier's command line."""

from __future__ import annotations

import sys

from passport_shared.service.cli import main as run
from passport_verifier.cli import PROGRAM


def main() -> None:
    """Run one command and leave with its exit code."""
    sys.exit(run(PROGRAM))


if __name__ == "__main__":
    main()
