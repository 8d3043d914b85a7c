"""Background work of a replica: periodic tasks and jobs, as asyncio tasks of the application's lifespan.

Every replica runs the same runner; leases decide who does what. A replica whose clock is wrong does nothing:
it would expire and erase what is not due, and take what others are working on (ADR-0030). Nothing here is
needed for an operation to be called: tests call `run_once`, or the operations themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from passport_shared.formats.clock import Clock
from passport_shared.service.clock_check import REGISTRY, ClockGuard, ClockWrong
from passport_shared.service.db import Database
from passport_shared.service.job_queue import JobHandler, JobQueue
from passport_shared.service.leases import JobTables, LeaseLost, Leases, while_held
from passport_shared.service.tracing import Tracing, traced_handler

POLL_S = 0.5
RETRY = timedelta(seconds=15)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Periodic:
    """A task run every `every` by one replica at a time; `run` may be killed at any moment and run again."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[object]]
    # Extended while the task runs; how long the others wait after a kill in the middle of it.
    lease: timedelta = timedelta(seconds=15)
    # What it hears from the registry says what time it is: it goes on where nothing else does.
    tells_time: bool = False


class Runner:
    """Runs periodic tasks and jobs until stopped; with a guard, only while this machine's clock is right."""

    def __init__(
        self,
        db: Database,
        tables: JobTables,
        clock: Clock,
        *,
        periodics: Sequence[Periodic] = (),
        handlers: Mapping[str, JobHandler] | None = None,
        guard: ClockGuard | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        names = [periodic.name for periodic in periodics]
        if len(set(names)) != len(names):
            raise ValueError("two periodic tasks share a name")
        self._leases = Leases(db, tables, clock)
        self._queue = JobQueue(db, tables, clock)
        self._periodics = tuple(periodics)
        self._handlers = dict(handlers or {})
        if tracing is not None:
            self._handlers = {
                kind: traced_handler(tracing, kind, handler) for kind, handler in self._handlers.items()
            }
        self._guard = guard
        self._tracing = tracing
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run_once(self) -> int:
        """Run every periodic task that is due and all due jobs, one after the other; how many ran."""
        ran = 0
        for periodic in self._periodics:
            ran += await self._run_if_due(periodic)
        if not self._handlers or not await self._may_work():
            return ran
        return ran + await self._queue.run_due(self._handlers)

    async def _may_work(self, *, tells_time: bool = False) -> bool:
        """Whether the clock is right; what tells the time is done where the registry decides."""
        try:
            if self._guard is not None:
                await self._guard.require()
        except ClockWrong as wrong:
            return tells_time and wrong.finding.against == REGISTRY
        return True

    async def _run_job(self) -> bool:
        return await self._may_work() and await self._queue.run_one(self._handlers) is not None

    async def _run_if_due(self, periodic: Periodic) -> bool:
        if not await self._may_work(tells_time=periodic.tells_time):
            return False
        lease = await self._leases.acquire_due(
            f"periodic:{periodic.name}", periodic.lease, every=max(RETRY, periodic.every)
        )
        if lease is None:
            return False
        pause = min(RETRY, periodic.every)
        try:
            await while_held(
                self._traced(periodic), lambda: self._leases.extend(lease, periodic.lease), periodic.lease
            )
            pause = periodic.every
        except LeaseLost:
            log.warning("periodic.lost", job=periodic.name)
        except Exception as error:
            log.warning("periodic.failed", job=periodic.name, reason=type(error).__name__, exc_info=True)
        finally:
            await asyncio.shield(self._leases.release(lease, next_run_in=pause))
        return True

    async def _traced(self, periodic: Periodic) -> None:
        if self._tracing is None:
            await periodic.run()
            return
        with self._tracing.background(f"periodic {periodic.name}"):
            await periodic.run()

    async def start(self) -> None:
        """Start one background task per periodic task and one for jobs."""
        self._stopping.clear()
        for periodic in self._periodics:
            wait_s = min(POLL_S, periodic.every.total_seconds() / 2)
            self._tasks.append(asyncio.create_task(self._loop(partial(self._run_if_due, periodic), wait_s)))
        if self._handlers:
            self._tasks.append(asyncio.create_task(self._loop(self._run_job, POLL_S)))

    async def stop(self) -> None:
        """Stop: what runs is cancelled and becomes due again; returns when all tasks have ended."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _loop(self, step: Callable[[], Awaitable[object]], wait_s: float) -> None:
        while not self._stopping.is_set():
            try:
                busy = bool(await step())
            except Exception as error:
                log.warning("background.failed", reason=type(error).__name__, exc_info=True)
                busy = False
            if not busy:
                await self._pause(wait_s)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
