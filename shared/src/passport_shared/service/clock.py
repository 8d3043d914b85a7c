"""The clock of a service: the only place that asks the machine for the time.

A sandbox may move its clock, forwards only, for all its services at once: a file says by how many seconds,
and every replica reads it when it changes. A deployment that says it is production refuses such a file.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from passport_shared.formats.clock import Clock

LONGEST_OFFSET = timedelta(days=3_660)
LOOK_EVERY_S = 0.2


@runtime_checkable
class MachineClock(Clock, Protocol):
    """A clock that is, or is moved from, the clock of the machine it runs on."""

    def machine(self) -> datetime:
        """Return what the machine's own clock says, however far `now` is moved from it."""
        ...


class SystemClock:
    """The machine's clock, in UTC (`passport_shared.formats.clock.Clock`)."""

    def now(self) -> datetime:
        """Return the current instant as an aware UTC datetime."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that may

    def machine(self) -> datetime:
        """Return the same: it is not moved."""
        return self.now()


class MovableClock:
    """The machine's clock and the offset that a file tells: `{"offset_s": 86400}`.

    A file that is missing means no offset. One that cannot be read, or goes back, changes nothing: a clock
    that ran backwards would bring back what had run out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = timedelta(0)
        self._seen: tuple[int, int] | None = None
        self._looked_at = float("-inf")

    def now(self) -> datetime:
        """Return the moved instant as an aware UTC datetime."""
        self._look()
        return self.machine() + self._offset

    def machine(self) -> datetime:
        """Return the machine's instant."""
        return datetime.now(UTC)  # noqa: TID251 - the other one

    def _look(self) -> None:
        at = time.monotonic()
        if at - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = at
        try:
            found = os.stat(self._path)
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._seen:
                self._seen = stamp
                self._offset = max(self._offset, read_offset(self._path.read_bytes()))
        except (OSError, ValueError):
            return


def read_offset(content: bytes) -> timedelta:
    """The offset a clock file tells; ValueError if it tells none between nothing and ten years."""
    said = json.loads(content[:1_024])
    seconds = said.get("offset_s") if isinstance(said, dict) else None
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise ValueError("offset_s is not a whole number of seconds")  # noqa: TRY004 - one error for all
    if not 0 <= seconds <= LONGEST_OFFSET.total_seconds():
        raise ValueError("offset_s lies outside what a sandbox may move")
    return timedelta(seconds=seconds)


def clock_of(clock_file: Path | None) -> Clock:
    """The clock of a deployment: the machine's, or a movable one."""
    return SystemClock() if clock_file is None else MovableClock(clock_file)
