"""The sandbox's clock: the machine's, moved forward by what a small file says.

The services read that file (ADR-0025); this is who writes it. It is replaced in one step, so that every
reader sees the old or the new offset, and it only goes forward: what has expired stays expired.
"""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from passport_shared.formats import strict
from passport_shared.service.clock import LONGEST_OFFSET, SystemClock, read_offset

LONDON = ZoneInfo("Europe/London")


class SandboxClock:
    """A clock (`passport_shared.formats.clock.Clock`) with an offset kept in `file`, if one is given."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._system = SystemClock()

    def now(self) -> datetime:
        """The present instant of the sandbox, in UTC."""
        return self._system.now() + timedelta(seconds=self.offset_s)

    def today(self) -> date:
        """The present day in Europe/London."""
        return self.now().astimezone(LONDON).date()

    @property
    def offset_s(self) -> int:
        """Seconds ahead of the machine; 0 where the file is absent or says nothing usable."""
        try:
            said = read_offset(self._file.read_bytes()) if self._file else timedelta(0)
        except (OSError, ValueError):
            return 0
        return int(said.total_seconds())

    def advance(self, seconds: int) -> int:
        """Move forward and return the new offset.

        Raises:
            ValueError: backwards, too far, or there is no file.
        """
        if self._file is None:
            raise ValueError("this process was started without a clock file")
        offset = self.offset_s + seconds
        if seconds < 0 or timedelta(seconds=offset) > LONGEST_OFFSET:
            raise ValueError("the clock moves forward, and at most ten years in all")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_name(self._file.name + ".new")
        with beside.open("wb") as file:
            file.write(strict.dumps({"offset_s": offset}))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._file)
        return offset
