"""Following the registry: the snapshot first, then the client directory the snapshot points to.

In this order in one task, so that a service that has just started knows its clients after the first look, and
not only after the second.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from passport_shared.formats.clock import Clock
from passport_shared.formats.freshness import SNAPSHOT_POLL
from passport_shared.service import metric_names as m
from passport_shared.service.runner import Periodic

if TYPE_CHECKING:
    from passport_shared.service.client_directory import RegistryClients
    from passport_shared.service.observability import Metrics
    from passport_shared.service.snapshot_keeper import SnapshotKeeper


class RegistryWatch:
    """The background task of a service that follows a registry, and the metrics that show how far it is."""

    def __init__(
        self, snapshots: SnapshotKeeper, directory: RegistryClients, *, every: timedelta = SNAPSHOT_POLL
    ) -> None:
        self._snapshots = snapshots
        self._directory = directory
        self._every = every

    def periodic(self) -> Periodic:
        """The task: one replica asks, the others read what it stored."""
        return Periodic(name="registry.refresh", every=self._every, run=self.refresh, tells_time=True)

    async def refresh(self) -> None:
        """Look once; what cannot be had is logged, and what is kept stays in force."""
        await self._snapshots.refresh_quietly()
        await self._directory.refresh()

    def show(self, metrics: Metrics, clock: Clock) -> None:
        """Add gauges of the snapshot this process holds; 0 and -1 while it holds none."""

        def sequence() -> float:
            snapshot = self._snapshots.current()
            return snapshot.sequence if snapshot else 0

        def age_s() -> float:
            snapshot = self._snapshots.current()
            return snapshot.age(clock.now()).total_seconds() if snapshot else -1

        metrics.gauge(m.SNAPSHOT_SEQUENCE).set_function(sequence)
        metrics.gauge(m.SNAPSHOT_AGE).set_function(age_s)
