"""Every call a verifier makes, met by every fault: nothing is believed, kept by half, or paid by others.

A fault is tried on one kind of call at a time. Afterwards what is stored is what was stored, the service is
ready and answers its other callers; and as soon as the fault is over the same call succeeds by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select

from passport_shared.formats.ids import random_token
from passport_shared.outbound import Outbound
from passport_shared.outbound.breaker import OPEN_FOR_S
from passport_shared.service.tenancy import EnrolmentRefused
from passport_shared.wire.clients import DIRECTORY_MEDIA_TYPE, build_directory
from passport_testkit.clients import api_client
from passport_testkit.databases import FreshDatabases
from passport_testkit.fault_proxy import (
    CONNECTION,
    FAULTS,
    Fault,
    FaultProxy,
    fault_proxy,
    outbound_through,
)
from passport_testkit.placing import Host, running_host
from passport_testkit.registry_wire import CODE
from passport_testkit.servers import canary
from passport_verifier.operations import rechecks, status_lists
from passport_verifier.operations.placement_telling import tell_due
from passport_verifier.rules.placements import LONGEST_PAUSE
from passport_verifier.store import tables

NAMES = ("registry.example", "issuer.example", "host-issuer.example", "verifier.example")
DIRECTORY, EVENTS = "/client-directory", "/api/v1/activity/events"
State = dict[str, Any]


class Seconds:
    """A monotonic clock that a test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Network(httpx.AsyncBaseTransport):
    """The network of the verifier's bench, and what the registry serves besides."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.sequence = 1
        self.events: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        registry = self.wire.registry
        if request.url.path == DIRECTORY:
            token = build_directory(
                [api_client("r0a-hr-system", organisation="R0A", scopes=["movements:read"]).record],
                sequence=self.sequence,
                iss=registry.anchor,
                iat=registry.clock.now(),
                key=registry.client_directory_key,
            )
            return httpx.Response(200, text=token, headers={"content-type": DIRECTORY_MEDIA_TYPE})
        if request.url.path == EVENTS:
            self.events.append(await request.aread())
            return httpx.Response(202, content=b"")
        found: httpx.Response = await self.wire.handle_async_request(request)
        return found


@dataclass
class World:
    """A host whose verifier meets the proxy wherever it goes."""

    host: Host
    proxy: FaultProxy
    network: Network
    seconds: Seconds

    @property
    def ctx(self) -> Any:
        """The verifier's context."""
        return self.host.verifier.ctx

    def rest(self) -> None:
        """Let the breaker's time pass, and every pause of a list or a placement."""
        self.seconds.now += OPEN_FOR_S
        self.host.verifier.clock.advance(LONGEST_PAUSE)

    async def state(self) -> State:
        """Everything a call could leave behind: documents, lists, decisions, certificates."""
        found: State = {}
        async with self.ctx.db.read() as conn:
            for table, columns in (
                (tables.documents.documents, ("name", "version", "etag")),
                (tables.status_lists, ("uri", "iat", "token")),
                (tables.decisions, ("id",)),
                (tables.tenants.tenants, ("ods", "state")),
            ):
                query = select(*(table.c[name] for name in columns)).order_by(*(table.c[n] for n in columns))
                found[table.name] = [tuple(row) for row in await conn.execute(query)]
        return found

    async def unrelated(self) -> None:
        """What has nothing to do with the call is answered as ever."""
        http = self.host.verifier.http
        checks = (await http.get("/health/ready")).json()["checks"]
        assert {name for name, state in checks.items() if state != "ok"} <= {"audit"}, "nobody seals here"
        assert (await self.host.verifier.call("GET", "/movements")).status_code == 200


@pytest.fixture
async def world(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(fault_proxy(tmp_path, httpx.AsyncHTTPTransport(), *NAMES))
        proxy.canary = (await stack.enter_async_context(canary())).port
        seconds, networks = Seconds(), []

        def way_out(wire: httpx.AsyncBaseTransport) -> Outbound:
            networks.append(Network(wire))
            proxy.upstream = networks[0]
            return outbound_through(proxy, monotonic=seconds)

        host = await stack.enter_async_context(running_host(tmp_path, databases, way_out=way_out))
        yield World(host, proxy, networks[0], seconds)


async def each_fault(
    world: World,
    hit: str,
    act: Callable[[], Awaitable[object]],
    *,
    arrange: Callable[[], Awaitable[None]] | None = None,
    harmless: frozenset[Fault] = frozenset(),
    recovers_each_time: bool = True,
) -> None:
    """Try every fault on the calls whose URL contains `hit`; `act` says whether anything was taken over.

    `harmless` faults are answers this call may take for what they say.
    """
    for fault in FAULTS:
        if arrange is not None:
            await arrange()
        before, asked = await world.state(), len(world.proxy.asked)
        world.proxy.fault, world.proxy.hit = fault, lambda _, url: hit in url
        taken = await act()
        if fault not in harmless:
            assert not taken, fault
            assert await world.state() == before, fault
        if fault not in CONNECTION:
            assert len(world.proxy.asked) > asked, f"{fault}: nothing was asked"
        await world.unrelated()
        world.proxy.fault = None
        world.rest()
        if recovers_each_time:
            assert await act(), f"after {fault}"


async def test_manifest(world: World) -> None:
    async def publish() -> None:
        world.host.verifier.wire.publish()

    await each_fault(world, "/federation/snapshot", world.ctx.snapshots.refresh_quietly, arrange=publish)


async def test_parts(world: World) -> None:
    rounds = iter(range(10_000))

    async def publish() -> None:
        """Something new in every part's place, so that it has to be fetched."""
        world.host.verifier.registry.agree("RBV", f"Z{next(rounds):03}")
        world.host.verifier.wire.publish()

    await each_fault(world, "/federation/parts/", world.ctx.snapshots.refresh_quietly, arrange=publish)


async def test_client_directory(world: World) -> None:
    async def publish() -> None:
        world.network.sequence += 1

    await each_fault(world, DIRECTORY, world.ctx.directory.refresh, arrange=publish)


async def test_aggregation(world: World) -> None:
    home = world.host.verifier.home

    async def another_list() -> None:
        home.uri = f"{home.entity_id}/statuslists/{random_token()}"

    await each_fault(
        world, f"{home.entity_id}/statuslists", lambda: status_lists.discover(world.ctx), arrange=another_list
    )


async def test_status_lists(world: World) -> None:
    home = world.host.verifier.home

    async def due() -> None:
        # The register is read again too: its copy would grow old in the hours that pass here.
        await world.host.verifier.refresh()
        world.host.verifier.clock.advance(timedelta(minutes=6))

    async def fetch() -> bool:
        return home.uri in await status_lists.refresh(world.ctx)

    await each_fault(world, home.uri, fetch, arrange=due)


async def test_nobody_is_verified_for_want_of_an_answer(world: World) -> None:
    """The list was never read: whatever comes in its place, the person is referred and decided later."""
    verifier = world.host.verifier
    verifier.registry.agree("RBV", "R0A", max_days=400)
    movement = (await verifier.movement())["id"]
    await verifier.look_up(movement)
    person = verifier.surgeon()
    first = await verifier.decided(person, movement)
    assert first["result"]["verified"] is True
    for fault in FAULTS:
        async with world.ctx.db.write() as conn:
            await conn.execute(delete(tables.status_lists))
        world.ctx.statuses.forget(verifier.home.uri)
        world.proxy.fault, world.proxy.hit = fault, lambda _, url: "/statuslists" in url
        await verifier.refresh_statuses()
        judged = await verifier.recheck(first["id"])
        assert judged["result"]["verified"] is False, fault
        assert judged["result"]["outcome"] == "REFER", fault
        assert judged["awaits_status"] is True, fault
        world.proxy.fault = None
        world.seconds.now += OPEN_FOR_S
        verifier.clock.advance(timedelta(seconds=20))
        await verifier.refresh_statuses()
        await rechecks.recheck_waiting(world.ctx)
        now = await verifier.read(f"/decisions/{judged['id']}")
        first = await verifier.read(f"/decisions/{now['superseded_by']}")
        assert (first["cause"], first["result"]["verified"]) == ("STATUS_ARRIVED", True), fault


async def test_release_request_and_release(world: World) -> None:
    verifier = world.host.verifier
    movement = (await verifier.movement())["id"]
    world.proxy.fault, world.proxy.hit = Fault.TRUNCATED, lambda _, url: "/release-requests" in url
    case = await verifier.ask_release(movement)
    assert await state_of(world, movement) == "COMPOSED", "its answer was lost, although the desk has it"
    for fault in FAULTS:
        world.proxy.fault = fault
        verifier.clock.advance(timedelta(minutes=1))
        world.seconds.now += OPEN_FOR_S
        assert await deliver_at_once(world) == 1
        assert await state_of(world, movement) == "COMPOSED", fault
        await world.unrelated()
    world.proxy.fault = None
    world.seconds.now += OPEN_FOR_S
    assert await deliver_at_once(world) == 1
    assert await state_of(world, movement) == "REQUESTED"
    assert len(verifier.desk.cases) == 1, "posted again and again, it is one request"
    verifier.desk.agree(case)
    for fault in FAULTS:
        world.proxy.fault, world.proxy.hit = fault, lambda _, url: "/releases/" in url
        assert (await verifier.look(movement))["request"]["state"] == "REQUESTED", fault
        world.seconds.now += OPEN_FOR_S
    world.proxy.fault = None
    assert (await verifier.look(movement))["request"]["state"] == "ANSWERED"


async def state_of(world: World, movement_id: str) -> str:
    """How far the release request of a movement is."""
    return str((await world.host.verifier.read(f"/movements/{movement_id}/release"))["request"]["state"])


async def deliver_at_once(world: World) -> int:
    """Run the job however long its pause is."""
    jobs = tables.jobs.jobs
    async with world.ctx.db.write() as conn:
        at_once = {"run_after": world.host.verifier.clock.now(), "attempts": 1}
        await conn.execute(jobs.update().where(jobs.c.state == "QUEUED").values(**at_once))
    return await world.host.verifier.deliver()


@pytest.mark.parametrize("hit", ["/oauth2/token", "/api/v1/organisations/R0A/placements/"])
async def test_placement_of_its_own_host(world: World, hit: str) -> None:
    world.proxy.fault, world.proxy.hit = Fault.STATUS_503, lambda _, url: "host-issuer.example" in url
    await world.host.started()
    world.rest()

    async def tell() -> bool:
        return bool(await tell_due(world.ctx))

    await each_fault(world, f"host-issuer.example{hit}", tell, recovers_each_time=False)
    world.host.verifier.wire.publish()
    assert await tell(), "heard as soon as it can be"


async def test_enrolment(world: World) -> None:
    async def enrol() -> bool:
        try:
            tenant = await world.ctx.tenants.enrol(
                "RM3", CODE, registry_url="https://registry.example", outbound=world.ctx.outbound
            )
        except EnrolmentRefused:
            return False
        return bool(tenant.state.value == "ACTIVE")

    assert not await _refused_first(world, enrol)
    await each_fault(world, "/api/v1/enrolments", enrol, recovers_each_time=False)
    assert await enrol()


async def _refused_first(world: World, enrol: Callable[[], Awaitable[bool]]) -> bool:
    """Once before the table, so that the tenant's row with its keys is there already."""
    world.proxy.fault, world.proxy.hit = Fault.STATUS_503, lambda _, url: "/enrolments" in url
    return await enrol()


async def test_many_hosts_that_hang_delay_nobody_else(world: World) -> None:
    """Forty presentations and looks at the API while a status list hangs: they are answered meanwhile."""
    verifier = world.host.verifier
    verifier.clock.advance(timedelta(minutes=6))
    world.proxy.fault, world.proxy.hit = Fault.SILENT, lambda _, url: "/statuslists" in url
    hanging = asyncio.create_task(status_lists.refresh(world.ctx))
    await asyncio.sleep(0)
    answers = await asyncio.gather(*(verifier.call("GET", "/movements") for _ in range(40)))
    assert not hanging.done()
    assert {answer.status_code for answer in answers} == {200}
    assert await hanging == []
