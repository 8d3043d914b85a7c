"""What a service tells of itself beyond requests: acts counted where they happen, states read when asked.

``Counts`` is what operations count on: a dictionary, so that counting costs nothing worth measuring. States
(how many alerts are open, how old the oldest event is) are read from the database when somebody scrapes, at
most every few seconds; what cannot be read leaves its series out and says so, and no scrape fails for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.service import metric_names as m
from passport_shared.service.job_queue import JobState
from passport_shared.service.keys import KeyState
from passport_shared.service.metric_names import Kind, Metric

if TYPE_CHECKING:
    from passport_shared.service.db import Database
    from passport_shared.service.doctor import ServiceTables

KEPT = timedelta(seconds=10)
PATIENCE_S = 5.0
SOON = timedelta(days=30)

Values = dict[tuple[str, ...], float]
Samples = Mapping[Metric, Mapping[tuple[str, ...], float]]
"""Values by metric and labels; a metric without labels has the one key ``()``."""
Measure = Callable[[AsyncConnection, datetime], Awaitable[Samples]]
"""Reads a service's own states."""

log = structlog.get_logger(__name__)


class Counts:
    """Counters that operations increment; each application has its own."""

    def __init__(self) -> None:
        self._values: dict[tuple[Metric, tuple[str, ...]], float] = {}

    def add(self, metric: Metric, *labels: str, count: float = 1) -> None:
        """Count; the labels are of closed sets, in the order of the metric's declaration."""
        key = (metric, labels)
        self._values[key] = self._values.get(key, 0) + count

    def get(self, metric: Metric, *labels: str) -> float:
        """What was counted."""
        return self._values.get((metric, labels), 0)

    def called(self, kind: str, outcome: str) -> None:
        """Count one call to a host of this kind."""
        self.add(m.OUTBOUND_CALLS, kind, outcome)

    def collect(self) -> Iterator[Family]:
        """The counters as Prometheus families."""
        by_metric: dict[Metric, list[tuple[tuple[str, ...], float]]] = {}
        for (metric, labels), value in list(self._values.items()):
            by_metric.setdefault(metric, []).append((labels, value))
        for metric, samples in by_metric.items():
            family = CounterMetricFamily(
                metric.name.removesuffix("_total"), metric.help, labels=metric.labels
            )
            for labels, value in samples:
                family.add_metric(labels, value)
            yield family


def peer_kinds(peers: Mapping[str, str], *, others: str) -> Callable[[str], str]:
    """The kind of a ``host:port``: ``peers`` names it by base URL, ``others`` is that of every other host."""
    split = {urlsplit(url): kind for url, kind in peers.items()}
    kinds = {f"{parts.hostname}:{parts.port or 443}": kind for parts, kind in split.items()}
    return lambda host: kinds.get(host, others)


class States:
    """The states of one service, read when they are asked for."""

    def __init__(self, db: Database, clock: Clock, measures: Sequence[Measure]) -> None:
        self._db = db
        self._clock = clock
        self._measures = tuple(measures)
        self._read_at: datetime | None = None
        self._samples: dict[Metric, Mapping[tuple[str, ...], float]] = {}
        self._whole = False
        self._turn = asyncio.Lock()

    async def refresh(self) -> None:
        """Read anew unless it was done a moment ago; what fails is logged, never raised."""
        async with self._turn:
            now = self._clock.now()
            if self._read_at is not None and timedelta(0) <= now - self._read_at < KEPT:
                return
            self._samples, self._whole = {}, True
            for measure in self._measures:
                try:
                    async with asyncio.timeout(PATIENCE_S), self._db.read() as conn:
                        self._samples.update(await measure(conn, now))
                except Exception as error:  # noqa: BLE001 - a scrape is how somebody learns that it is broken
                    self._whole = False
                    log.warning("metrics.not_measured", reason=type(error).__name__)
            self._read_at = now if self._whole else None

    def collect(self) -> Iterator[Family]:
        """The states as Prometheus families."""
        in_use, limit = self._db.connections()
        samples: Samples = {
            **self._samples,
            m.MEASURED: {(): float(self._whole)},
            m.POOL_IN_USE: {(): float(in_use)},
            m.POOL_SIZE: {(): float(limit)},
        }
        for metric, values in samples.items():
            assert metric.kind is Kind.GAUGE  # noqa: S101 - states are gauges
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


def shared_measure(tables: ServiceTables) -> Measure:
    """What every service has: audit log, outbox, jobs, keys, and the certificates of its tenants."""

    async def measure(conn: AsyncConnection, now: datetime) -> Samples:
        found: dict[Metric, Mapping[tuple[str, ...], float]] = {}
        found[m.AUDIT_LAG] = await _audit(conn, tables, now)
        found.update(await _outbox(conn, tables, now))
        found.update(await _jobs(conn, tables, now))
        found.update(await _keys(conn, tables, now))
        if tables.tenants is not None:
            found.update(await _tenants(conn, tables, now))
        return found

    return measure


def seconds(now: datetime, since: datetime | None) -> float:
    """Age in seconds; zero for what is not there."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def counted(rows: Iterable[tuple[object, int]], every: Iterable[str] = ()) -> dict[tuple[str, ...], float]:
    """A count by one label; ``every`` names values that are told although there is none."""
    found: dict[tuple[str, ...], float] = {(value,): 0.0 for value in every}
    found.update({(str(value),): float(count) for value, count in rows})
    return found


async def _audit(
    conn: AsyncConnection, tables: ServiceTables, now: datetime
) -> Mapping[tuple[str, ...], float]:
    entries = tables.audit.entries
    oldest = await conn.execute(select(func.min(entries.c.recorded_at)).where(entries.c.seq.is_(None)))
    return {(): seconds(now, oldest.scalar())}


async def _outbox(conn: AsyncConnection, tables: ServiceTables, now: datetime) -> Samples:
    events, sinks, refusals = tables.outbox.events, tables.outbox.sinks, tables.outbox.refusals
    waiting, oldest = 0, None
    for sink in (await conn.execute(select(sinks.c.name, sinks.c.position))).all():
        behind = select(func.count(), func.min(events.c.time)).where(events.c.position > sink.position)
        count, at = (await conn.execute(behind)).one()
        waiting = max(waiting, count)
        oldest = at if oldest is None or (at is not None and at < oldest) else oldest
    aside = select(func.count()).select_from(refusals).where(refusals.c.set_aside_at.is_not(None))
    return {
        m.OUTBOX_WAITING: {(): float(waiting)},
        m.OUTBOX_OLDEST: {(): seconds(now, oldest)},
        m.OUTBOX_SET_ASIDE: {(): float((await conn.execute(aside)).scalar_one())},
    }


async def _jobs(conn: AsyncConnection, tables: ServiceTables, now: datetime) -> Samples:
    jobs = tables.jobs.jobs
    rows = (await conn.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state))).all()
    due = select(func.min(jobs.c.run_after)).where(
        jobs.c.state == JobState.QUEUED.value, jobs.c.run_after <= now
    )
    oldest = (await conn.execute(due)).scalar()
    return {
        m.JOBS: counted([(row[0], row[1]) for row in rows], (state.value for state in JobState)),
        m.JOBS_OLDEST: {(): seconds(now, oldest)},
    }


async def _keys(conn: AsyncConnection, tables: ServiceTables, now: datetime) -> Samples:
    keys = tables.keys.keys
    query = select(keys.c.purpose, keys.c.state, func.count(), func.min(keys.c.changed_at))
    rows = (await conn.execute(query.group_by(keys.c.purpose, keys.c.state))).all()
    ages: Values = {(row[0],): seconds(now, row[3]) for row in rows if row[1] == KeyState.ACTIVE}
    return {m.KEY_AGE: ages, m.KEYS_WAITING: {(row[0], row[1]): float(row[2]) for row in rows}}


async def _tenants(conn: AsyncConnection, tables: ServiceTables, now: datetime) -> Samples:
    assert tables.tenants is not None  # noqa: S101 - asked for by the caller
    tenants, certificates = tables.tenants.tenants, tables.tenants.certificates
    states = (await conn.execute(select(tenants.c.state, func.count()).group_by(tenants.c.state))).all()
    newest = (
        select(certificates.c.use, func.max(certificates.c.not_after_signing).label("until"))
        .group_by(certificates.c.ods, certificates.c.use)
        .subquery()
    )
    rows = (await conn.execute(select(newest.c.use, func.min(newest.c.until)).group_by(newest.c.use))).all()
    ending = (
        await conn.execute(
            select(newest.c.use, func.count()).where(newest.c.until <= now + SOON).group_by(newest.c.use)
        )
    ).all()
    return {
        m.TENANTS_ENROLLED: counted([(row[0], row[1]) for row in states]),
        m.CERTIFICATE_DAYS: {(row[0],): (row[1] - now).total_seconds() / 86_400 for row in rows},
        m.CERTIFICATES_ENDING: counted([(row[0], row[1]) for row in ending], (row[0] for row in rows)),
    }
