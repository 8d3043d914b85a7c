"""Work under a lease, and the runner's own rules: nothing here needs a database."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from passport_shared.service import jobs, leases
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.job_queue import LONGEST_PAUSE, pause_after
from passport_shared.service.jobs import LeaseLost, Periodic, Runner
from passport_testkit.clock import FrozenClock


async def test_work_is_cancelled_when_its_lease_is_lost() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def extend() -> None:
        await started.wait()
        raise LeaseLost("seal")

    with pytest.raises(LeaseLost):
        await leases.while_held(work(), extend, timedelta(milliseconds=30))
    assert cancelled.is_set()


async def test_work_that_ends_gives_its_result_and_what_it_raises_comes_out() -> None:
    async def extend() -> None:
        raise AssertionError("nothing to extend")

    async def number() -> int:
        return 7

    async def fails() -> None:
        raise ZeroDivisionError

    assert await leases.while_held(number(), extend, timedelta(seconds=60)) == 7
    with pytest.raises(ZeroDivisionError):
        await leases.while_held(fails(), extend, timedelta(seconds=60))


async def test_long_work_extends_its_lease_until_it_ends() -> None:
    enough = asyncio.Event()
    extended: list[int] = []

    async def extend() -> None:
        extended.append(1)
        if len(extended) == 3:
            enough.set()

    await leases.while_held(enough.wait(), extend, timedelta(milliseconds=15))
    assert len(extended) >= 3


async def test_two_periodic_tasks_cannot_share_a_name() -> None:
    task = Periodic(name="publish", every=timedelta(hours=1), run=asyncio.Event().wait)
    tables = jobs.tables(new_metadata())
    with pytest.raises(ValueError, match="share a name"):
        Runner(Database("sqlite:///unused.db", name="t"), tables, FrozenClock(), periodics=[task, task])


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 5), (2, 10), (3, 20), (8, 640), (11, 3_600), (1_000, 3_600)]
)
def test_pauses_double_up_to_an_hour(attempts: int, seconds: int) -> None:
    assert pause_after(attempts) == timedelta(seconds=seconds) <= LONGEST_PAUSE
