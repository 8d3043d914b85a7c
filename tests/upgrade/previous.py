"""The release before this one, run as it was released, beside the present one.

The old source lies before the installed packages on the path of its own processes only; the libraries are
the present ones, as they would be on a machine where both were installed.
"""

from __future__ import annotations

import io
import lzma
import sys
import tarfile
from pathlib import Path

from deploy.dev.stack import Service
from tests.upgrade.pack import PARTS, RELEASES

PREVIOUS = "0.2.0"


def unpack(folder: Path, version: str = PREVIOUS) -> Path:
    """The source of a kept release below a folder."""
    kept = lzma.decompress((RELEASES / f"{version}.tar.xz").read_bytes())
    with tarfile.open(fileobj=io.BytesIO(kept)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def to_previous(service: Service, source: Path) -> None:
    """Let a service run, and take commands, as the release before this one."""
    service.program = (sys.executable, "-m", f"passport_{service.name}")
    service.environment["PYTHONPATH"] = ":".join(str(source / part) for part in PARTS)


def to_present(service: Service) -> None:
    """Let a service run as this release."""
    service.program = ()
    service.environment.pop("PYTHONPATH", None)
