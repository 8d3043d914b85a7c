"""Is this machine's clock right? Compared with the database's and the registry's before anything is signed.

security.md R11: a service whose clock is wrong would date credentials, lists and statements wrongly, so it
signs nothing, says so in readiness, log and metric, and goes on by itself when the clock is right again
(ADR-0030). The database is the time that all replicas have in common: it decides. Where there is none of its
own (SQLite), the registry's answers decide: the `Date` of the last one, over TLS, and the signed `iat` of the
newest manifest, before which it cannot be.

What it does not do: set a clock, or compare the moved clock of a sandbox, whose machine is compared instead.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import text

from passport_shared.formats.clock import Clock
from passport_shared.formats.freshness import CLOCK_LEEWAY
from passport_shared.service.clock import MachineClock
from passport_shared.service.db import Database
from passport_shared.service.metric_names import CLOCK_AHEAD
from passport_shared.service.problems import Unavailable

if TYPE_CHECKING:
    from passport_shared.service.observability import Metrics
    from passport_shared.service.snapshot_keeper import SnapshotKeeper

DATABASE = "database"
REGISTRY = "registry"
LOOK_EVERY_S = 10.0
STEP = timedelta(seconds=2)
"""A jump of the clock against the monotonic one that is looked into at once."""
TOLERANCE = CLOCK_LEEWAY

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ClockFinding:
    """One comparison: `off` is ours minus theirs, positive when ours is ahead; None if there was nothing."""

    against: str
    off: timedelta | None
    tolerance: timedelta = TOLERANCE

    @property
    def wrong(self) -> bool:
        """Whether the two differ by more than may be."""
        return self.off is not None and abs(self.off) > self.tolerance

    @property
    def advice(self) -> str:
        """What an operator reads."""
        if self.off is None:
            return f"The {self.against} tells no time to compare with."
        seconds = abs(self.off).total_seconds()
        where = "ahead of" if self.off > timedelta(0) else "behind"
        said = f"This machine's clock is {seconds:.0f} s {where} the {self.against}'s."
        if not self.wrong:
            return said
        return (
            f"{said} At most {self.tolerance.total_seconds():.0f} s are accepted: check time synchronisation "
            f"(chrony, systemd-timesyncd) on this machine first, then on the {self.against}'s."
        )


class ClockWrong(Unavailable):
    """503: nothing is signed and nobody decided on, because this machine's clock is wrong."""

    def __init__(self, finding: ClockFinding) -> None:
        super().__init__(
            f"Nothing is signed now: the service's clock does not agree with the {finding.against}'s. "
            "Its operator has to put the time right."
        )
        self.finding = finding


Reference = Callable[[], Awaitable[timedelta | None]]
"""How far our clock is ahead of another; None if that one says nothing now."""


def database_reference(db: Database, clock: MachineClock) -> Reference:
    """PostgreSQL's clock. SQLite's is this machine's own and says nothing."""

    async def ahead() -> timedelta | None:
        if db.dialect != "postgresql":
            return None
        before = clock.machine()
        async with db.read() as conn:
            theirs = (await conn.execute(text("SELECT clock_timestamp()"))).scalar_one()
        after = clock.machine()
        return _beyond(before - theirs.astimezone(UTC), after - theirs.astimezone(UTC))

    return ahead


def registry_reference(snapshots: SnapshotKeeper, clock: MachineClock) -> Reference:
    """The registry's clock by what it last sent: the `Date` of an answer, the `iat` of its manifest."""

    async def ahead() -> timedelta | None:
        heard, snapshot = snapshots.heard, snapshots.current()
        found: timedelta | None = None
        if heard is not None and (running := heard.running_for()) is not None:
            # Date has whole seconds, and the answer was on its way for a part of the call's time.
            theirs, now = heard.date + running, clock.machine()
            found = _beyond(now - theirs - heard.took - timedelta(seconds=1), now - theirs)
        if snapshot is not None:
            behind = clock.now() - snapshot.manifest.iat
            if behind < min(found or timedelta(0), timedelta(0)):
                found = behind
        return found

    return ahead


def _beyond(least: timedelta, most: timedelta) -> timedelta:
    """The smallest difference that lies in what was measured: nothing if the two may agree."""
    low, high = min(least, most), max(least, most)
    if low <= timedelta(0) <= high:
        return timedelta(0)
    return low if low > timedelta(0) else high


class ClockGuard:
    """Says whether this service may sign now.

    A clock that a test holds in its hand is no machine's: it is compared with nothing.

    Args:
        clock: the service's.
        db: its database.
        tolerance: how far apart two clocks may be.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        clock: Clock,
        db: Database,
        *,
        tolerance: timedelta = TOLERANCE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine = clock if isinstance(clock, MachineClock) else None
        self._tolerance = tolerance
        self._monotonic = monotonic
        self._references: dict[str, Reference] = {}
        if self._machine is not None:
            self._references[DATABASE] = database_reference(db, self._machine)
        self._looked: tuple[float, datetime] | None = None
        self._fault: ClockFinding | None = None
        self.findings: tuple[ClockFinding, ...] = ()

    def follow(self, snapshots: SnapshotKeeper) -> None:
        """Compare with the registry too, by what this keeper hears from it."""
        if self._machine is not None:
            self._references[REGISTRY] = registry_reference(snapshots, self._machine)

    async def look(self) -> tuple[ClockFinding, ...]:
        """Compare now; what was found, the database first."""
        found = [
            ClockFinding(against=name, off=await ahead(), tolerance=self._tolerance)
            for name, ahead in self._references.items()
        ]
        self.findings, fault = tuple(found), deciding(found)
        for finding in found:
            if finding.wrong:
                log.error("clock.wrong", reason=finding.against, detail=finding.advice)
        if self._fault is not None and fault is None:
            log.info("clock.right_again", reason=self._fault.against)
        self._fault = fault
        if self._machine is not None:
            self._looked = (self._monotonic(), self._machine.machine())
        return self.findings

    async def require(self) -> None:
        """Return if the clock is right; looks every ten seconds, and at once when the clock has jumped.

        Raises:
            ClockWrong: it is not.
        """
        if self._machine is None:
            return
        if self._looked is None or self._is_over(*self._looked):
            await self.look()
        if self._fault is not None:
            raise ClockWrong(self._fault)

    def _is_over(self, at: float, said: datetime) -> bool:
        passed = self._monotonic() - at
        if passed >= LOOK_EVERY_S or self._machine is None:
            return True
        return abs(self._machine.machine() - said - timedelta(seconds=passed)) > STEP

    async def check(self) -> None:
        """For readiness: ClockWrong while nothing may be signed."""
        await self.require()

    def show(self, metrics: Metrics) -> None:
        """Add a gauge per reference: how many seconds our clock is ahead, 0 while nothing was compared."""
        for name in (DATABASE, REGISTRY):
            metrics.gauge(CLOCK_AHEAD).labels(name).set_function(partial(self._seconds, name))

    def _seconds(self, name: str) -> float:
        for finding in self.findings:
            if finding.against == name and finding.off is not None:
                return finding.off.total_seconds()
        return 0.0


def deciding(findings: Sequence[ClockFinding]) -> ClockFinding | None:
    """The finding for which nothing may be signed, if any: the first clock that could be compared decides."""
    compared = next((finding for finding in findings if finding.off is not None), None)
    return compared if compared is not None and compared.wrong else None


async def clock_check(
    clock: Clock, db: Database, snapshots: SnapshotKeeper | None = None
) -> tuple[ClockFinding, ...]:
    """Compare once, for `doctor`: a finding per clock there is to compare with, with advice.

    Args:
        clock: the service's.
        db: its database, open.
        snapshots: what has heard from the registry; None for the registry itself.
    """
    guard = ClockGuard(clock, db)
    if snapshots is not None:
        guard.follow(snapshots)
    return await guard.look()
