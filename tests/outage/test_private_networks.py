"""Workforce systems on private networks: those the operator listed, and nothing special ever (design §9)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from ipaddress import ip_network

import pytest

from passport_issuer.clients.workforce import WorkforceClients
from passport_issuer.settings import IssuerSettings
from passport_shared.outbound import OutboundError, OutboundReason
from passport_shared.service.settings import check_config
from passport_testkit.servers import canary

R = OutboundReason
VARIABLE = "PASSPORT_ISSUER_WORKFORCE_PRIVATE_NETWORKS"
LISTED = [ip_network("10.20.0.0/16"), ip_network("fd12:3456::/32")]
NOT_REACHED = [
    ("10.21.0.1", "another private network"),
    ("192.168.1.1", "another private range"),
    ("127.0.0.1", "loopback"),
    ("127.0.0.53", "loopback"),
    ("0.0.0.0", "this machine"),
    ("169.254.169.254", "cloud metadata"),
    ("100.100.100.200", "cloud metadata in the carriers' range"),
    ("255.255.255.255", "broadcast"),
    ("224.0.0.1", "multicast"),
    ("198.18.0.1", "benchmarking"),
    ("::1", "loopback"),
    ("::", "this machine"),
    ("fe80::1", "link-local"),
    ("fd12:3456::1%eth0", "a zone"),
    ("fd12:9999::1", "another private network"),
    ("::ffff:10.20.0.1", "a listed address in a mapped form"),
    ("::10.20.0.1", "a listed address in a compatible form"),
    ("64:ff9b::a14:1", "a listed address behind NAT64"),
    ("2002:a14:1::1", "a listed address in 6to4"),
    ("2130706433", "no address at all"),
]


async def reason_of(clients: WorkforceClients, url: str, hosts: Sequence[str]) -> OutboundReason:
    async with clients.through("connection", 1, hosts) as outbound:
        with pytest.raises(OutboundError) as refused:
            await outbound.get(url, accept="application/json")
    return refused.value.reason


def clients_with(networks: Sequence[object], *addresses: str) -> WorkforceClients:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return WorkforceClients(production=True, networks=networks, resolve=resolve)  # type: ignore[arg-type]


@pytest.mark.parametrize(("address", "what"), NOT_REACHED, ids=[address for address, _ in NOT_REACHED])
async def test_nothing_else_is_connected_to(address: str, what: str) -> None:
    for addresses in ([address], ["8.8.8.8", address], ["10.20.0.1", address]):
        clients = clients_with(LISTED, *addresses)
        url, hosts = "https://esr.example:8443/", ["esr.example:8443"]
        assert await reason_of(clients, url, hosts) is R.ADDRESS_NOT_GLOBAL, what
        await clients.close()


@pytest.mark.parametrize("address", ["10.20.0.1", "10.20.255.254", "fd12:3456::1"])
async def test_a_listed_network_is_reached_by_a_listed_host_only(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, int]] = []

    async def connect(remote_host: str, remote_port: int, **_: object) -> object:
        tried.append((remote_host, remote_port))
        raise OSError("unreachable in a test")

    monkeypatch.setattr("anyio.connect_tcp", connect)
    clients = clients_with(LISTED, address)
    assert await reason_of(clients, "https://esr.example/", []) is R.ADDRESS_NOT_GLOBAL
    assert await reason_of(clients, "https://esr.example/", ["lms.example:443"]) is R.ADDRESS_NOT_GLOBAL
    assert tried == []
    await clients.close()
    clients = clients_with(LISTED, address)
    assert await reason_of(clients, "https://esr.example/", ["esr.example:443"]) is R.CONNECT_FAILED
    assert tried == [(address, 443)]
    await clients.close()


async def test_without_a_list_production_reaches_no_private_address() -> None:
    async with AsyncExitStack() as stack:
        bird = await stack.enter_async_context(canary())
        for address in ("10.20.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "127.0.0.1"):
            clients = clients_with([], address)
            url, hosts = f"https://esr.example:{bird.port}/", [f"esr.example:{bird.port}"]
            assert await reason_of(clients, url, hosts) is R.ADDRESS_NOT_GLOBAL
            await clients.close()
        assert bird.connections == 0


@pytest.mark.parametrize(
    "value",
    ["127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/0", "8.8.8.0/24", "::/0", "::1/128", "fe80::/10",
     "::ffff:10.0.0.0/104", "10.0.0.0/7", "10.20.0.1/16", "localhost", "10.20"],
)  # fmt: skip
def test_a_list_that_says_more_than_private_use_is_a_fault_of_the_configuration(value: str) -> None:
    faults = check_config(IssuerSettings, {VARIABLE: f"10.0.0.0/24, {value}"})
    assert [fault for fault in faults if fault.startswith(VARIABLE)], faults


@pytest.mark.parametrize("value", ["", "10.20.0.0/16", "10.20.0.0/16, fd12:3456::/32 ,192.168.4.7/32"])
def test_a_list_of_private_networks_is_read(value: str) -> None:
    faults = check_config(IssuerSettings, {VARIABLE: value})
    assert not [fault for fault in faults if fault.startswith(VARIABLE)], faults
    settings = IssuerSettings.example(workforce_private_networks=value)
    assert len(settings.workforce_private_networks) == len([part for part in value.split(",") if part])
