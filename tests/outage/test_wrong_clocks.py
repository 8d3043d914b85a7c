"""A machine whose clock is wrong: up to a minute is nothing, beyond it nothing is signed (security.md R11).

Each service is put ±60 s, ±5 min, ±1 h and ±400 days from its database, and from its registry where the
database has no clock of its own. Refused are credentials, tokens, lists, statements and manifests; readiness,
log and metric say why; and everything goes on by itself when the clock is right.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

import passport_issuer.app as issuer_app
import passport_registry.app as registry_app
import passport_verifier.app as verifier_app
from passport_shared.outbound import Outbound
from passport_shared.service import documents, keys
from passport_shared.service.clock import SystemClock
from passport_shared.service.clock_check import (
    DATABASE,
    LOOK_EVERY_S,
    REGISTRY,
    ClockFinding,
    ClockGuard,
    ClockWrong,
    clock_check,
    deciding,
)
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.kek import Kek
from passport_shared.service.keys import KeyStore
from passport_shared.service.observability import configure_logging
from passport_shared.service.snapshot_keeper import HEARD_FOR, SnapshotKeeper
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import POSTGRESQL, SQLITE, FreshDatabases
from passport_testkit.issuers import issuer_settings
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.registries import registry_settings
from passport_testkit.registry_wire import RegistryWire
from passport_testkit.verifiers import verifier_settings

METADATA = new_metadata()
KEYS = keys.tables(METADATA)
DOCUMENTS = documents.tables(METADATA)
MINUTE = timedelta(minutes=1)
# A second less than the limit: two clocks are read one after the other.
RIGHT = [timedelta(0), MINUTE - timedelta(seconds=5), timedelta(seconds=5) - MINUTE]
WRONG = [
    sign * off
    for off in (
        MINUTE + timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(hours=1),
        timedelta(days=400),
    )
    for sign in (1, -1)
]
on_postgresql = pytest.mark.parametrize("dialect", [POSTGRESQL])
on_sqlite = pytest.mark.parametrize("dialect", [SQLITE])


@dataclass
class SkewedClock(SystemClock):
    """The clock of a machine that is wrong by so much; a test can put it right, or step it."""

    off: timedelta = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.off


@dataclass
class Seconds:
    """A monotonic clock that a test moves."""

    at: float = field(default=1_000.0)

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def db(databases: FreshDatabases) -> Database:
    return await databases.open(metadata=METADATA)


# -- the database's clock --------------------------------------------------------------------------


@on_postgresql
@pytest.mark.parametrize("off", RIGHT, ids=str)
async def test_within_a_minute_of_the_database_everything_goes_on(db: Database, off: timedelta) -> None:
    guard = ClockGuard(SkewedClock(off), db)
    (found,) = await guard.look()
    assert (found.against, found.wrong) == (DATABASE, False)
    await guard.require()


@on_postgresql
@pytest.mark.parametrize("off", WRONG, ids=str)
async def test_beyond_it_no_key_is_handed_out_until_the_clock_is_right(db: Database, off: timedelta) -> None:
    clock, seconds = SkewedClock(), Seconds()
    guard = ClockGuard(clock, db, monotonic=seconds)
    store = KeyStore(db, Kek(bytes(range(32))), KEYS, clock, guard)
    key = await store.ensure("credential", "RBV")
    # A step during the run is seen at the next use, not ten seconds later.
    clock.off = off
    for ask in (lambda: store.active("credential", "RBV"), lambda: store.load(key.kid)):
        with pytest.raises(ClockWrong) as refused:
            await ask()
        assert refused.value.finding.against == DATABASE
        assert (refused.value.status, refused.value.code) == (503, "unavailable")
    said = guard.findings[0].advice
    assert ("ahead of" if off > timedelta(0) else "behind") in said
    assert "time synchronisation" in said
    clock.off = timedelta(0)
    assert (await store.active("credential", "RBV")).kid == key.kid


@on_postgresql
async def test_it_is_looked_every_ten_seconds_and_not_at_every_use(db: Database) -> None:
    clock, seconds = FrozenMachine(SystemClock().now()), Seconds()
    guard = ClockGuard(clock, db, monotonic=seconds)
    await guard.require()
    first = guard.findings
    await guard.require()
    assert guard.findings is first
    seconds.at += LOOK_EVERY_S
    clock.advance(timedelta(seconds=LOOK_EVERY_S))
    await guard.require()
    assert guard.findings is not first


class FrozenMachine(FrozenClock):
    """A machine's clock that a test holds still."""

    def machine(self) -> datetime:
        """The same."""
        return self.now()


@on_postgresql
async def test_a_clock_that_a_test_holds_is_compared_with_nothing(db: Database) -> None:
    assert await clock_check(FrozenClock(), db) == ()
    await ClockGuard(FrozenClock(), db).require()


# -- the registry's clock --------------------------------------------------------------------------


class Dated(RegistryWire):
    """A registry whose answers say what time it is there."""

    def __init__(self, registry: TrustRegistrySimulator) -> None:
        super().__init__(registry)
        self.date: Callable[[], str | None] = lambda: None
        self.age: str | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        said = self.date()
        if said is not None:
            answer.headers["Date"] = said
        if self.age is not None:
            answer.headers["Age"] = self.age
        return answer


@dataclass
class Follower:
    """A service without a clock of its own in its database, and the registry it follows."""

    db: Database
    clock: SkewedClock
    wire: Dated
    keeper: SnapshotKeeper
    seconds: Seconds

    async def found(self) -> ClockFinding:
        """How it compares with the registry."""
        guard = ClockGuard(self.clock, self.db)
        guard.follow(self.keeper)
        return {finding.against: finding for finding in await guard.look()}[REGISTRY]

    async def may_sign(self) -> bool:
        """Whether anything is signed now."""
        guard = ClockGuard(self.clock, self.db)
        guard.follow(self.keeper)
        try:
            await guard.require()
        except ClockWrong:
            return False
        return True


def http_date(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC), usegmt=True)


@pytest.fixture
async def follower(db: Database) -> AsyncIterator[Follower]:
    clock, seconds = SkewedClock(), Seconds()
    registry = TrustRegistrySimulator(FrozenClock(SystemClock().now()))
    registry.enrol_issuer()
    wire = Dated(registry)
    wire.date = lambda: http_date(SystemClock().now())
    stored = CachedDocuments(db, DOCUMENTS, clock)
    async with Outbound(transport=wire) as outbound:
        keeper = SnapshotKeeper(db, outbound, registry.trust_file, clock, stored, monotonic=seconds)
        yield Follower(db, clock, wire, keeper, seconds)


@on_sqlite
@pytest.mark.parametrize("off", [*RIGHT, *WRONG], ids=str)
async def test_without_a_database_clock_the_registry_s_answers_decide(
    follower: Follower, off: timedelta
) -> None:
    follower.clock.off = off
    await follower.keeper.refresh_quietly()
    assert (await follower.found()).wrong is (off in WRONG)
    assert await follower.may_sign() is (off not in WRONG)
    follower.clock.off = timedelta(0)
    assert await follower.may_sign()


@on_sqlite
async def test_a_manifest_from_our_future_shows_that_we_are_behind(follower: Follower) -> None:
    follower.wire.date = lambda: None
    await follower.keeper.refresh()
    assert (await follower.found()).off is None
    assert await follower.may_sign()
    follower.clock.off = -timedelta(hours=1)
    assert (await follower.found()).wrong
    assert not await follower.may_sign()


@on_sqlite
async def test_what_was_heard_grows_old(follower: Follower) -> None:
    await follower.keeper.refresh()
    follower.seconds.at += HEARD_FOR.total_seconds()
    follower.clock.off = HEARD_FOR
    assert not (await follower.found()).wrong, "an hour passed here and there"
    follower.seconds.at += 1
    assert (await follower.found()).off is None, "and after it nothing is concluded from it"


@on_sqlite
async def test_a_cache_between_us_says_how_old_its_date_is(follower: Follower) -> None:
    follower.wire.date = lambda: http_date(SystemClock().now() - timedelta(minutes=10))
    follower.wire.age = "600"
    await follower.keeper.refresh()
    assert not (await follower.found()).wrong


@on_sqlite
@pytest.mark.parametrize(
    "date", ["", "now", "Sun, 99 Nov 2026 25:00:00 GMT", "0", "Sun, 06 Nov 99999 08:49:37 GMT"]
)
@pytest.mark.parametrize("age", [None, "-", "99999999999999999999"])
async def test_a_date_that_is_none_says_nothing(follower: Follower, date: str, age: str | None) -> None:
    follower.wire.date, follower.wire.age = lambda: date, age
    assert await follower.keeper.refresh() is True
    assert follower.keeper.heard is None
    assert await follower.may_sign()


def test_the_database_decides_where_it_has_a_clock() -> None:
    """A registry with a wrong clock stops nobody who can ask a database."""
    right, wrong = ClockFinding(against=DATABASE, off=MINUTE), ClockFinding(against=REGISTRY, off=-2 * MINUTE)
    silent = ClockFinding(against=DATABASE, off=None)
    assert deciding([right, wrong]) is None
    assert deciding([silent, wrong]) is wrong
    assert deciding([silent]) is None
    assert deciding([]) is None
    off = ClockFinding(against=DATABASE, off=2 * MINUTE)
    assert deciding([off, ClockFinding(against=REGISTRY, off=timedelta(0))]) is off
    assert "tells no time" in silent.advice


# -- the three services ----------------------------------------------------------------------------


@dataclass
class Running:
    """One service on PostgreSQL with a clock that a test steps."""

    http: httpx.AsyncClient
    clock: SkewedClock
    sign: Callable[[], Any]


@pytest.fixture(params=["registry", "issuer", "verifier"])
async def service(
    request: pytest.FixtureRequest, databases: FreshDatabases, tmp_path: Path
) -> AsyncIterator[Running]:
    name, clock = str(request.param), SkewedClock()
    registry = TrustRegistrySimulator(FrozenClock(SystemClock().now()))
    outbound = Outbound(transport=RegistryWire(registry))
    url = await databases.url(f"passport_{name}")
    if name == "registry":
        app = registry_app.build(
            registry_settings(url, tmp_path),
            registry_app.Parts(clock=clock, outbound=outbound, background=False),
        )
    elif name == "issuer":
        app = issuer_app.build(
            issuer_settings(tmp_path, url, registry.trust_file.as_bytes()),
            issuer_app.Parts(clock=clock, outbound=outbound, background=False),
        )
    else:
        app = verifier_app.build(
            verifier_settings(tmp_path, url),
            verifier_app.Parts(
                clock=clock, outbound=outbound, trust_file=registry.trust_file, background=False
            ),
        )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app=app)
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="https://service.example")
        )
        yield Running(http, clock, lambda: app.state.context.keys.ensure("any purpose"))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged; the quiet log of all tests is put back after."""
    yield io.StringIO()
    configure_logging("test", "0", level="warning", stream=io.StringIO())


@on_postgresql
async def test_readiness_log_and_metric_say_it_and_recover(service: Running, log: io.StringIO) -> None:
    async def check() -> str:
        ready = await service.http.get("/health/ready")
        return str(ready.json()["checks"]["clock"])

    async def gauge() -> float:
        exposition = (await service.http.get("/metrics")).text
        (line,) = [
            line
            for line in exposition.splitlines()
            if line.startswith("passport_clock_ahead") and DATABASE in line
        ]
        return float(line.rpartition(" ")[2])

    configure_logging("test", "0", level="info", stream=log)
    assert await check() == "ok"
    for off in (timedelta(hours=1), timedelta(days=-400)):
        service.clock.off = off
        assert await check() == "failed"
        assert (await service.http.get("/health/live")).status_code == 200, "restarting would not help"
        assert abs(await gauge() - off.total_seconds()) < 30
        with pytest.raises(ClockWrong):
            await service.sign()
    service.clock.off = timedelta(0)
    assert await check() == "ok"
    await service.sign()
    events = [json.loads(line).get("event") for line in log.getvalue().splitlines()]
    assert "clock.wrong" in events
    assert "clock.right_again" in events
