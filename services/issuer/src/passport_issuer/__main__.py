"""`passport-issuer`: the issuer's command line."""

from __future__ import annotations

import sys

from passport_issuer.cli import PROGRAM
from passport_shared.service.cli import main as run


def main() -> None:
    """Run one command and leave with its exit code."""
    sys.exit(run(PROGRAM))


if __name__ == "__main__":
    main()
