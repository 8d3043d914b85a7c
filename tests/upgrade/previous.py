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


class EitherRelease(Service):
    """A service that runs as the one or the other."""

    def command(self, *arguments: str, feed: bytes | None = None) -> str:
        """As a service of today; 0.2.0 takes what is typed as an argument instead."""
        if self.program and feed is not None:
            arguments = tuple(feed.decode().strip() if word == "-" else word for word in arguments)
            feed = None
        return super().command(*arguments, feed=feed)


def as_previous(service: Service, source: Path) -> Service:
    """The service as it runs, and takes commands, in the release before this one."""
    program = (sys.executable, "-m", f"passport_{service.name}")
    path = ":".join(str(source / part) for part in PARTS)
    environment = {**service.environment, "PYTHONPATH": path}
    return EitherRelease(service.name, service.port, service.folder, environment, program=program)


def to_present(service: Service) -> None:
    """Let a service run as this release."""
    service.program = ()
    service.environment.pop("PYTHONPATH", None)
