"""Every call of an issuer, a registry and a wallet, met by every fault, as `test_verifier_calls` does."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from passport_issuer.clients.mail import Letter, NotSent
from passport_issuer.clients.notice_gateway import GatewayCourier
from passport_issuer.clients.workforce import WORDS
from passport_issuer.rules.notices import NoticeChannel
from passport_registry.errors import HostKeysDiffer, HostNotReachable
from passport_registry.operations import enrolment, entities, organisations
from passport_registry.operations.organisations import OrganisationDetails
from passport_registry.rules.entities import Role
from passport_registry.store import tables as registry_tables
from passport_shared.outbound import Outbound
from passport_shared.outbound.breaker import OPEN_FOR_S
from passport_shared.service import jobs, keys, outbox
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.jobs import Leases
from passport_shared.service.kek import Kek
from passport_shared.service.keys import KeyStore
from passport_shared.service.outbox import Outbox, Sink
from passport_shared.service.problems import PassportError
from passport_testkit.clock import NOON, FrozenClock
from passport_testkit.counterparts import World
from passport_testkit.databases import FreshDatabases
from passport_testkit.fault_proxy import (
    CONNECTION,
    FAULTS,
    IMPATIENCE,
    SLOW,
    Fault,
    FaultProxy,
    fault_proxy,
    network_through,
    outbound_through,
)
from passport_testkit.issuers import HR, IssuerBench, running_issuer
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.registries import ANN, RBV, Hosts, entity_id, registry_bench
from passport_testkit.workforce import Workforce, workforce_simulator
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.vault import Vault
from passport_wallet.wallet import Wallet


class Seconds:
    """A monotonic clock that a test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


# -- issuer: workforce systems ---------------------------------------------------------------------


@dataclass
class Gatherer:
    """An issuer whose workforce systems lie behind the proxy."""

    issuer: IssuerBench
    systems: Workforce
    proxy: FaultProxy


@pytest.fixture
async def gatherer(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[Gatherer]:
    async with AsyncExitStack() as stack:
        systems = await stack.enter_async_context(workforce_simulator(tmp_path / "systems"))
        trusted = ssl.create_default_context(cafile=str(systems.ca_file))
        behind = httpx.AsyncHTTPTransport(verify=trusted)
        proxy = await stack.enter_async_context(fault_proxy(tmp_path / "proxy", behind, "localhost"))
        url = await databases.url("passport_issuer")
        issuer = await stack.enter_async_context(
            running_issuer(tmp_path, url, workforce=network_through(proxy))
        )
        yield Gatherer(issuer, systems, proxy)


@pytest.mark.parametrize("system_type", ["ESR", "LMS"])
async def test_workforce_systems(gatherer: Gatherer, system_type: str) -> None:
    """A test of the connection says what is wrong in words, and the staff member's record stays as it was."""
    issuer, proxy = gatherer.issuer, gatherer.proxy
    gatherer.systems.hire()
    staff_id = await issuer.surgeon()
    connection_id = await gatherer.systems.linked(issuer, staff_id, system_type, timeout_s=0.5)
    before = (await issuer.call("GET", f"/staff/{staff_id}")).json()
    every = len(FAULTS) == len(Fault)
    for fault in FAULTS if every else FAULTS[system_type == "ESR" :: 2]:
        proxy.fault = fault
        tested = await issuer.call("POST", f"/connections/{connection_id}/test", {"actor": HR})
        assert tested.status_code == 200, (fault, tested.text)
        said = tested.json()
        assert said["ok"] is False, fault
        outcome = said["status"]["outcome"]
        assert outcome in {reason.value for reason in WORDS} - {"ADDRESS_NOT_ALLOWED"}, (fault, outcome)
        assert (await issuer.call("GET", f"/staff/{staff_id}")).json() == before, fault
        assert (await issuer.http.get("/health/live")).status_code == 200
        # As a changed connection has: an outbound client and a breaker of its own.
        proxy.fault = None
        await issuer.ctx.workforce.clients.close()
        again = await issuer.call("POST", f"/connections/{connection_id}/test", {"actor": HR})
        assert again.json()["ok"] is True, (fault, again.text)


# -- issuer: notices -------------------------------------------------------------------------------


class Takes(httpx.AsyncBaseTransport):
    """A gateway or a sink that takes everything."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.taken.append(await request.aread())
        return httpx.Response(202, content=b"{}")


TAKEN_FOR_A_YES = frozenset(
    {Fault.WRONG_TYPE, Fault.GARBAGE_BODY, Fault.EMPTY_BODY, Fault.DEEP_JSON, Fault.OTHER_JSON}
)
"""A gateway's or a sink's 2xx is a yes, whatever it says besides."""


async def test_message_gateway(tmp_path: Path) -> None:
    async with fault_proxy(tmp_path, Takes(), "gateway.example") as proxy:
        for fault in FAULTS:
            async with outbound_through(proxy) as outbound:
                courier = GatewayCourier(
                    outbound=outbound,
                    url="https://gateway.example/messages",
                    headers={"Authorization": "Bearer x"},
                    total=timedelta(seconds=5),
                )
                letter = Letter(
                    id="0190f0a0-0000-7000-8000-000000000001",
                    channel=NoticeChannel.EMAIL,
                    to="morgan@trust.invalid",
                    to_name="Morgan",
                    from_name="RBV",
                    subject="x",
                    text="x",
                    language="en-GB",
                    kind="PLACEMENT_ENDS",
                    ods="RBV",
                    written_at=NOON,
                )
                proxy.fault = fault
                if fault in TAKEN_FOR_A_YES:
                    await courier.send(letter)
                    continue
                with pytest.raises(NotSent) as refused:
                    await courier.send(letter)
                assert not refused.value.permanent, fault
                assert "morgan" not in str(refused.value)
                proxy.fault = None
                await courier.send(letter)


# -- events to sinks -------------------------------------------------------------------------------

METADATA = new_metadata()
EVENTS, JOBS, KEYS = outbox.tables(METADATA), jobs.tables(METADATA), keys.tables(METADATA)


async def test_sinks_of_events(databases: FreshDatabases, tmp_path: Path) -> None:
    """An event waits for its sink, in its place, and for no other's; it arrives when the fault is over."""
    clock, seconds = FrozenClock(), Seconds()
    db = await databases.open(metadata=METADATA)
    sink = Takes()
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(fault_proxy(tmp_path, sink, "hr.example", "other.example"))
        async with outbound_through(proxy, monotonic=seconds) as outbound:
            store = KeyStore(db, Kek(bytes(range(32))), KEYS, clock)
            sinks = [Sink(name=name, url=f"https://{name}.example/{name}") for name in ("hr", "other")]
            box = Outbox(
                db, EVENTS, Leases(db, JOBS, clock), store, outbound, clock,
                source="https://issuer.example", sinks=sinks,
            )  # fmt: skip
            for number, fault in enumerate(FAULTS):
                async with db.write() as conn:
                    await box.emit(
                        conn,
                        type="credential.issued",
                        subject=f"c{number}",
                        organisation="RBV",
                        data={"number": number},
                    )
                proxy.fault, proxy.hit = fault, lambda _, url: url.endswith("/hr")
                await box.run()
                tried = await attempts(db)
                assert (tried["hr"] > 0) is (fault not in TAKEN_FOR_A_YES), fault
                if fault not in CONNECTION:
                    assert tried["other"] == 0, fault
                proxy.fault = None
                seconds.now += OPEN_FOR_S
                clock.advance(timedelta(hours=1))
                await box.run()
                assert await attempts(db) == {"hr": 0, "other": 0}, fault


async def attempts(db: Database) -> dict[str, int]:
    """How often the next event was tried in vain, by sink."""
    async with db.read() as conn:
        rows = await conn.execute(select(EVENTS.sinks.c.name, EVENTS.sinks.c.attempts))
        return {row.name: row.attempts for row in rows}


# -- registry --------------------------------------------------------------------------------------


async def test_entity_configuration_at_enrolment(databases: FreshDatabases, tmp_path: Path) -> None:
    """No certificate without the host's own word; the code stays good, and serves when the host is back."""
    hosts = Hosts()
    seconds = Seconds()
    async with fault_proxy(tmp_path, hosts.transport(), "issuer.example") as proxy:
        outbound = outbound_through(proxy, monotonic=seconds)
        url = await databases.url("passport_registry")
        async with registry_bench(url, tmp_path, outbound=outbound) as bench:
            bench.hosts = hosts
            details = OrganisationDetails(name="The Christie NHS Foundation Trust", contacts={})
            await organisations.invite(bench.ctx, RBV, details, ANN)
            await entities.create(bench.ctx, RBV, Role.ISSUER, entity_id(RBV, Role.ISSUER), ANN)
            code = (await entities.make_code(bench.ctx, RBV, Role.ISSUER, ANN)).code
            request = bench.request(code, bench.host(RBV, Role.ISSUER))
            for fault in FAULTS:
                proxy.fault = fault
                with pytest.raises((HostNotReachable, HostKeysDiffer)) as refused:
                    await enrolment.enrol(bench.ctx, request)
                assert isinstance(refused.value, PassportError)
                assert await certificates(bench.ctx) == []
                seconds.now += OPEN_FOR_S
            proxy.fault = None
            enrolled = await enrolment.enrol(bench.ctx, request)
            assert set(enrolled.certificates) == {"credential", "status"}
            assert len(await certificates(bench.ctx)) == 2


async def certificates(ctx: Any) -> list[Any]:
    """Every certificate there is of an entity."""
    async with ctx.db.read() as conn:
        return list((await conn.execute(select(registry_tables.certificates))).all())


# -- wallet ----------------------------------------------------------------------------------------


@dataclass
class Holder:
    """A wallet that meets the proxy wherever it goes."""

    world: World
    wallet: Wallet
    proxy: FaultProxy
    seconds: Seconds

    async def fails(self, act: Callable[[], Awaitable[object]]) -> bool:
        """Whether the wallet refuses, in words, and holds after what it held before."""
        held = self.wallet.held()
        failed = False
        try:
            await act()
        except WalletError:
            failed = True
        return failed and self.wallet.held() == held

    def over(self) -> None:
        """The fault is over."""
        self.proxy.fault = None
        self.seconds.now += OPEN_FOR_S


@pytest.fixture
async def holder(tmp_path: Path) -> AsyncIterator[Holder]:
    clock, seconds = FrozenClock(), Seconds()
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    names = [("family_name",), ("given_name",)]
    registry.enrol_verifier(asks={"StaffIdentity": names, "Employment": [("employer_ods",)]})
    world = World(registry)
    hosts = ("registry.example", "issuer.example", "verifier.example")
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(fault_proxy(tmp_path, world.transport(), *hosts))
        vault = Vault.create(tmp_path / "wallet.json", "passphrase", scrypt_n=2**14)
        stack.callback(vault.close)
        outbound: Outbound = await stack.enter_async_context(outbound_through(proxy, monotonic=seconds))
        wallet = Wallet(vault, tmp_path, outbound, clock)
        await wallet.trust(registry.trust_file.as_bytes())
        yield Holder(world, wallet, proxy, seconds)


COLLECTING = (
    "/.well-known/openid-credential-issuer",
    "/.well-known/oauth-authorization-server",
    "/token",
    "/nonce",
    "/credential",
)


@pytest.mark.parametrize("hit", COLLECTING)
async def test_collecting(holder: Holder, hit: str) -> None:
    """Nothing is kept by half, whichever answer is lost; the next try collects everything."""
    issuer = holder.world.issuer
    for fault in FAULTS:
        offer = await holder.wallet.read_offer(issuer.link())
        holder.proxy.fault, holder.proxy.hit = fault, lambda _, url: url.split("?")[0].endswith(_tail(hit))
        assert await holder.fails(partial(holder.wallet.accept, offer, issuer.pin)), fault
        holder.over()
    offer = await holder.wallet.read_offer(issuer.link())
    assert len(await holder.wallet.accept(offer, issuer.pin)) == 2


def _tail(hit: str) -> str:
    return f"{hit}/RBV" if "well-known" in hit else hit


async def test_notifications_change_nothing_that_is_kept(holder: Holder) -> None:
    issuer = holder.world.issuer
    for fault in FAULTS:
        offer = await holder.wallet.read_offer(issuer.link())
        holder.proxy.fault, holder.proxy.hit = fault, lambda _, url: url.endswith("/notification")
        if fault in CONNECTION:
            continue  # they would happen to the credential endpoint before
        assert len(await holder.wallet.accept(offer, issuer.pin)) == 2, fault
        holder.over()


def ending(tail: str) -> Callable[[str, str], bool]:
    """Hits the calls whose URL ends so."""
    return lambda _, url: url.endswith(tail)


async def test_an_offer_by_reference_and_a_request(holder: Holder) -> None:
    issuer, verifier = holder.world.issuer, holder.world.verifier
    for name in ("offers/1", "requests/1"):
        link = (
            f"openid-credential-offer://?credential_offer_uri={issuer.entity_id}/offers/1"
            if name == "offers/1"
            else verifier.link()
        )
        read: Any = holder.wallet.read_offer if name == "offers/1" else holder.wallet.read_request
        if name == "requests/1":
            await holder.wallet.accept(await holder.wallet.read_offer(issuer.link()), issuer.pin)
        for fault in FAULTS:
            holder.proxy.fault, holder.proxy.hit = fault, ending(name)
            assert await holder.fails(partial(read, link)), (name, fault)
            holder.over()
        await read(link)


async def test_an_answer_that_is_not_acknowledged(holder: Holder) -> None:
    """The person is told that it did not arrive for certain; another yes sends it again."""
    issuer, verifier = holder.world.issuer, holder.world.verifier
    await holder.wallet.accept(await holder.wallet.read_offer(issuer.link()), issuer.pin)
    request = await holder.wallet.read_request(verifier.link())
    for fault in FAULTS:
        holder.proxy.fault, holder.proxy.hit = fault, lambda _, url: url.endswith("/response")
        failed = await holder.fails(lambda: holder.wallet.share(request))
        assert failed is (fault not in TAKEN_FOR_A_YES - {Fault.WRONG_TYPE}), fault
        holder.over()
    assert await holder.wallet.share(request) is None


@pytest.mark.parametrize("hit", ["/federation/snapshot", "/federation/parts/"])
async def test_the_register_of_a_wallet(holder: Holder, hit: str) -> None:
    """What it knew serves on while nothing contradicts it, up to three days; a lie is refused in words."""
    issuer = holder.world.issuer
    for number, fault in enumerate(FAULTS):
        holder.world.registry.agree("RBV", f"Z{number:03}")
        holder.world.publish()
        holder.proxy.fault, holder.proxy.hit = fault, lambda _, url: hit in url
        if fault in CONNECTION:
            with pytest.raises(WalletError) as refused:
                await holder.wallet.read_request(holder.world.verifier.link())
            assert refused.value.reason is Refusal.VERIFIER_UNREACHABLE, "what was kept still serves"
        await holder.fails(lambda: holder.wallet.read_offer(issuer.link()))
        holder.over()
        await holder.wallet.read_offer(issuer.link())


async def test_slowness_costs_a_wallet_only_its_own_patience(holder: Holder) -> None:
    issuer = holder.world.issuer
    offer = await holder.wallet.read_offer(issuer.link())
    for fault in sorted(SLOW & set(FAULTS)):
        holder.proxy.fault, holder.proxy.hit = fault, lambda _, url: url.endswith("/token")
        async with asyncio.timeout(20 * IMPATIENCE.total_seconds() + 20):
            assert await holder.fails(lambda: holder.wallet.accept(offer, issuer.pin))
        holder.over()
