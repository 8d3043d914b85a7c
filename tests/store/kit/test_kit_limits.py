"""Rate limits: never one too many, also at once, after a restart and across replicas."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from passport_shared.service import limits
from passport_shared.service.db import new_metadata
from passport_shared.service.limits import Rate, RateLimiter
from passport_shared.service.problems import TooManyRequests
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases

METADATA = new_metadata()
TABLES = limits.tables(METADATA)
TOKEN = Rate(name="token", limit=6, per=timedelta(minutes=1))


@pytest.fixture
async def limiter(databases: FreshDatabases, clock: FrozenClock) -> RateLimiter:
    return RateLimiter(await databases.open(metadata=METADATA), TABLES, clock)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@both_databases
async def test_a_burst_then_one_per_interval(limiter: RateLimiter, clock: FrozenClock) -> None:
    for _ in range(6):
        await limiter.spend(TOKEN, "hr")
    with pytest.raises(TooManyRequests) as caught:
        await limiter.spend(TOKEN, "hr")
    assert caught.value.headers == {"Retry-After": "10"}
    clock.advance(timedelta(seconds=9))
    assert await limiter.try_spend(TOKEN, "hr") == timedelta(seconds=1)
    clock.advance(timedelta(seconds=1))
    assert await limiter.try_spend(TOKEN, "hr") is None
    assert await limiter.try_spend(TOKEN, "hr") == timedelta(seconds=10)
    clock.advance(timedelta(minutes=5))
    assert [await limiter.try_spend(TOKEN, "hr") is None for _ in range(7)] == [True] * 6 + [False]


@both_databases
async def test_subjects_and_limits_do_not_share(limiter: RateLimiter) -> None:
    once = Rate(name="once", limit=1, per=timedelta(hours=1))
    for rate, subject in (
        (once, "a"),
        (once, "b"),
        (Rate(name="other", limit=1, per=timedelta(hours=1)), "a"),
    ):
        assert await limiter.try_spend(rate, subject) is None
        assert await limiter.try_spend(rate, subject) is not None


@both_databases
async def test_at_once_exactly_the_burst_passes(limiter: RateLimiter) -> None:
    results = await at_once(30, lambda _: limiter.try_spend(TOKEN, "hr"))
    assert len([wait for wait in results if wait is None]) == 6
    assert not [wait for wait in results if isinstance(wait, BaseException)]


@both_databases
async def test_a_restart_and_a_second_replica_change_nothing(
    limiter: RateLimiter, databases: FreshDatabases, clock: FrozenClock
) -> None:
    for _ in range(6):
        await limiter.spend(TOKEN, "hr")
    again = RateLimiter(limiter._db, TABLES, clock)
    assert await again.try_spend(TOKEN, "hr") == timedelta(seconds=10)


@both_databases
async def test_a_smaller_burst_spreads_the_rate(limiter: RateLimiter, clock: FrozenClock) -> None:
    steady = Rate(name="steady", limit=60, per=timedelta(minutes=1), burst=2)
    assert [await limiter.try_spend(steady, "x") is None for _ in range(3)] == [True, True, False]
    clock.advance(timedelta(seconds=1))
    assert [await limiter.try_spend(steady, "x") is None for _ in range(2)] == [True, False]


@both_databases
async def test_purging_forgets_only_who_has_earned_everything_back(
    limiter: RateLimiter, clock: FrozenClock
) -> None:
    await limiter.spend(TOKEN, "hr")
    assert await limiter.purge() == 0
    clock.advance(timedelta(seconds=10))
    assert await limiter.purge() == 1
    async with limiter._db.read() as conn:
        assert (await conn.execute(select(TABLES.limits))).all() == []


@pytest.mark.parametrize(("limit", "per", "burst"), [(0, 1, None), (1, 0, None), (1, 1, 0)])
def test_a_rate_that_allows_nothing_is_refused(limit: int, per: int, burst: int | None) -> None:
    with pytest.raises(ValueError, match="positive"):
        Rate(name="x", limit=limit, per=timedelta(seconds=per), burst=burst)


@given(limit=st.integers(1, 10_000), seconds=st.integers(1, 86_400), burst=st.none() | st.integers(1, 1_000))
@settings(max_examples=50)
def test_the_allowance_is_the_burst_in_intervals(limit: int, seconds: int, burst: int | None) -> None:
    rate = Rate(name="x", limit=limit, per=timedelta(seconds=seconds), burst=burst)
    assert rate.allowance_us == rate.interval_us * (burst or limit)
    assert rate.interval_us * limit <= seconds * 1_000_000
