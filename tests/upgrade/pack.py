"""Keep a release for the next one's upgrade tests: `python -m tests.upgrade.pack VERSION COMMIT`.

What is kept is the released source of the services and what they share, as git archives it, and nothing that
was ever in a database: the data of an upgrade test is made by running the old release itself, with keys made
on the spot.
"""

from __future__ import annotations

import argparse
import lzma
import subprocess
from pathlib import Path

RELEASES = Path(__file__).parent / "releases"
PARTS = ("shared/src", "services/registry/src", "services/issuer/src", "services/verifier/src")


def archived(commit: str) -> bytes:
    """The parts of a commit as an uncompressed tar, the same bytes whenever it is asked.

    Raises:
        subprocess.CalledProcessError: this checkout has no such commit.
    """
    done = subprocess.run(
        ["git", "archive", "--format=tar", commit, *PARTS],
        cwd=Path(__file__).resolve().parents[2],
        check=True,
        capture_output=True,
    )
    return done.stdout


def main() -> None:
    """Write one release."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("version")
    parser.add_argument("commit")
    wanted = parser.parse_args()
    kept = lzma.compress(archived(wanted.commit), preset=9 | lzma.PRESET_EXTREME)
    (RELEASES / f"{wanted.version}.tar.xz").write_bytes(kept)


if __name__ == "__main__":
    main()
