"""The SSRF guard: which URLs are called, which addresses connected to, and that the canaries stay silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.outbound import Outbound, OutboundError, OutboundReason
from passport_shared.outbound.addresses import is_global
from passport_shared.outbound.urls import check_url
from passport_testkit.servers import Canary, TlsAuthority, answer, canary, tls_server

PORT = "{port}"
R = OutboundReason

REFUSED: list[tuple[str, OutboundReason]] = [
    # not https
    ("http://127.0.0.1:{port}/", R.SCHEME_NOT_HTTPS),
    ("http://localhost:{port}/", R.SCHEME_NOT_HTTPS),
    ("HTTP://localhost:{port}/", R.SCHEME_NOT_HTTPS),
    ("HTTPS://localhost:{port}/", R.SCHEME_NOT_HTTPS),
    ("ftp://localhost:{port}/", R.SCHEME_NOT_HTTPS),
    ("file:///etc/passwd", R.SCHEME_NOT_HTTPS),
    ("gopher://localhost:{port}/_x", R.SCHEME_NOT_HTTPS),
    ("dict://localhost:{port}/", R.SCHEME_NOT_HTTPS),
    ("data:application/json,{{}}", R.URL_MALFORMED),
    ("javascript:alert(1)", R.SCHEME_NOT_HTTPS),
    ("unix:/run/x.sock", R.SCHEME_NOT_HTTPS),
    ("https:127.0.0.1:{port}/", R.SCHEME_NOT_HTTPS),
    ("//localhost:{port}/", R.URL_MALFORMED),
    ("localhost:{port}/", R.SCHEME_NOT_HTTPS),
    ("", R.URL_MALFORMED),
    # addresses in every notation
    ("https://127.0.0.1:{port}/", R.IP_LITERAL),
    ("https://127.0.0.1/", R.IP_LITERAL),
    ("https://127.1:{port}/", R.IP_LITERAL),
    ("https://127.0.1:{port}/", R.IP_LITERAL),
    ("https://2130706433:{port}/", R.IP_LITERAL),
    ("https://0x7f000001:{port}/", R.IP_LITERAL),
    ("https://0x7f.0x0.0x0.0x1:{port}/", R.IP_LITERAL),
    ("https://0X7F.0.0.1:{port}/", R.IP_LITERAL),
    ("https://017700000001:{port}/", R.IP_LITERAL),
    ("https://0177.0.0.01:{port}/", R.IP_LITERAL),
    ("https://127.0.0.1.:{port}/", R.IP_LITERAL),
    ("https://0:{port}/", R.IP_LITERAL),
    ("https://0.0.0.0:{port}/", R.IP_LITERAL),
    ("https://0x:{port}/", R.IP_LITERAL),
    ("https://example.0x7f/", R.IP_LITERAL),
    ("https://example.127/", R.IP_LITERAL),
    ("https://169.254.169.254/latest/meta-data/", R.IP_LITERAL),
    ("https://10.0.0.1/", R.IP_LITERAL),
    ("https://192.168.1.1/", R.IP_LITERAL),
    ("https://8.8.8.8/", R.IP_LITERAL),
    ("https://[::1]:{port}/", R.IP_LITERAL),
    ("https://[::]:{port}/", R.IP_LITERAL),
    ("https://[0:0:0:0:0:0:0:1]:{port}/", R.IP_LITERAL),
    ("https://[::ffff:127.0.0.1]:{port}/", R.IP_LITERAL),
    ("https://[::ffff:7f00:1]:{port}/", R.IP_LITERAL),
    ("https://[::127.0.0.1]:{port}/", R.IP_LITERAL),
    ("https://[64:ff9b::7f00:1]:{port}/", R.IP_LITERAL),
    ("https://[fe80::1%25lo]:{port}/", R.IP_LITERAL),
    ("https://[fd00::1]/", R.IP_LITERAL),
    ("https://[2606:4700::1111]/", R.IP_LITERAL),
    ("https://[::1/", R.IP_LITERAL),
    ("https://[v1.x]/", R.IP_LITERAL),
    # user names and confused authorities
    ("https://user@localhost:{port}/", R.USERINFO),
    ("https://user:secret@localhost:{port}/", R.USERINFO),
    ("https://registry.example@127.0.0.1:{port}/", R.USERINFO),
    ("https://127.0.0.1:{port}@registry.example/", R.USERINFO),
    ("https://@localhost:{port}/", R.USERINFO),
    ("https://registry.example:443@localhost:{port}/", R.USERINFO),
    ("https://localhost:{port}\\@registry.example/", R.URL_MALFORMED),
    ("https://registry.example\\.localhost:{port}/", R.URL_MALFORMED),
    ("https:\\\\localhost:{port}\\", R.URL_MALFORMED),
    ("https://localhost:{port}#@registry.example/", R.URL_MALFORMED),
    ("https://registry.example/#fragment", R.URL_MALFORMED),
    # private names and hosts that are none
    ("https://localhost/", R.HOST_MALFORMED),
    ("https://LOCALHOST/", R.HOST_MALFORMED),
    ("https://localhost./", R.HOST_MALFORMED),
    ("https://registry.example./", R.HOST_MALFORMED),
    ("https://metadata/", R.HOST_MALFORMED),
    ("https:///path", R.HOST_MALFORMED),
    ("https://.example/", R.HOST_MALFORMED),
    ("https://a..example/", R.HOST_MALFORMED),
    ("https://-a.example/", R.HOST_MALFORMED),
    ("https://a_b.example/", R.HOST_MALFORMED),
    ("https://%6c%6f%63alhost:{port}/", R.HOST_MALFORMED),
    ("https://127.0.0.1%00.example/", R.HOST_MALFORMED),
    ("https://127.0.0.1%2eexample/", R.HOST_MALFORMED),
    ("https://" + "a" * 64 + ".example/", R.HOST_MALFORMED),
    ("https://" + "a." * 127 + "example/", R.HOST_MALFORMED),
    ("https://１２７.０.０.１:{port}/", R.URL_MALFORMED),
    ("https://①②⑦.⓪.⓪.①:{port}/", R.URL_MALFORMED),
    ("https://ⓛocalhost:{port}/", R.URL_MALFORMED),
    ("https://localhost。:{port}/", R.URL_MALFORMED),
    ("https://régistry.example/", R.URL_MALFORMED),
    # ports
    ("https://localhost.example:{port}/", R.PORT_NOT_ALLOWED),
    ("https://registry.example:22/", R.PORT_NOT_ALLOWED),
    ("https://registry.example:80/", R.PORT_NOT_ALLOWED),
    ("https://registry.example:8443/", R.PORT_NOT_ALLOWED),
    ("https://registry.example:/", R.URL_MALFORMED),
    ("https://registry.example:0/", R.URL_MALFORMED),
    ("https://registry.example:0443/", R.URL_MALFORMED),
    ("https://registry.example:65536/", R.URL_MALFORMED),
    ("https://registry.example:+443/", R.URL_MALFORMED),
    ("https://registry.example:443:{port}/", R.URL_MALFORMED),
    ("https://registry.example:http/", R.URL_MALFORMED),
    # characters that split requests or confuse parsers
    ("https://registry.example/ x", R.URL_MALFORMED),
    (" https://registry.example/", R.URL_MALFORMED),
    ("https://registry.example/\r\nHost: localhost", R.URL_MALFORMED),
    ("https://registry.example/\x00", R.URL_MALFORMED),
    ("https://registry.example/\n", R.URL_MALFORMED),
    ("https://registry\t.example/", R.URL_MALFORMED),
    ('https://registry.example/"', R.URL_MALFORMED),
    ("https://registry.example?@localhost:{port}\\", R.URL_MALFORMED),
    ("https://registry.example/" + "a" * 2_048, R.URL_MALFORMED),
]

NOT_GLOBAL = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.0.1 169.254.169.254 172.16.0.1
172.31.255.255 192.0.0.1 192.0.0.9 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.175.48.1
198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::ffff:8.8.8.8 ::ffff:127.0.0.1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:10::1
2001:20::1 2001:db8::1 2002:7f00:1::1 2002:808:808::1 2620:4f:8000::1 3fff::1 5f00::1 fc00::1 fd12::1 fe80::1
fe80::1%lo fec0::1 ff02::1 ff0e::1 4000::1 2606:4700::1111%eth0
"""
GLOBAL = """
1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.32.0.1 192.0.1.1 223.255.255.255 2606:4700::1111 2a00:1450::1
"""


@pytest.mark.parametrize(("url", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_the_url_is_refused_by_its_text(url: str, reason: OutboundReason) -> None:
    with pytest.raises(OutboundError) as refusal:
        check_url(url.format(port=9_000))
    assert refusal.value.reason is reason
    assert not refusal.value.retryable


async def test_not_one_spelling_reaches_a_canary() -> None:
    async with AsyncExitStack() as stack:
        birds = [await stack.enter_async_context(canary(host)) for host in loopbacks()]
        outbound = await stack.enter_async_context(Outbound())
        for spelling, _reason in REFUSED:
            for bird in birds:
                for call in calls(outbound, spelling.format(port=bird.port)):
                    with pytest.raises(OutboundError):
                        await call
        assert [bird.connections for bird in birds] == [0] * len(birds)


def loopbacks() -> list[str]:
    hosts = ["127.0.0.1", "127.0.0.2"]
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return hosts
    return [*hosts, "::1"]


def calls(outbound: Outbound, url: str) -> list[Awaitable[object]]:
    return [outbound.get(url, accept="application/json"), outbound.post(url, json={})]


@pytest.mark.parametrize("address", NOT_GLOBAL.split())
async def test_a_public_name_with_such_an_address_is_not_connected_to(address: str) -> None:
    assert not is_global(address)
    for addresses in ([address], ["8.8.8.8", address], [address, "2606:4700::1111"]):
        asked: list[str] = []

        async def resolve(
            host: str, _: int, found: list[str] = addresses, asked: list[str] = asked
        ) -> Sequence[str]:
            asked.append(host)
            return found

        async with Outbound(resolver=resolve) as outbound:
            with pytest.raises(OutboundError) as refusal:
                await outbound.get("https://registry.example/", accept="application/json")
        assert refusal.value.reason is R.ADDRESS_NOT_GLOBAL
        assert asked == ["registry.example"]


@pytest.mark.parametrize("address", GLOBAL.split())
def test_public_addresses_are_public(address: str) -> None:
    assert is_global(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.1.1", "1.1.1.1/32", "0x7f.1", "１.1.1.1", "::1::"])
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_global(text)


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1) | st.integers(0, 2**128 - 1))
def test_the_guard_is_never_laxer_than_the_standard_library(number: int) -> None:
    import ipaddress

    address = ipaddress.ip_address(number)
    if is_global(str(address)):
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("label too long")])
async def test_a_name_without_an_address_is_not_called(failure: Exception) -> None:
    async def fails(_host: str, _port: int) -> Sequence[str]:
        raise failure

    async def nothing(_host: str, _port: int) -> Sequence[str]:
        return []

    for resolver in (fails, nothing):
        async with Outbound(resolver=resolver) as outbound:
            with pytest.raises(OutboundError) as refusal:
                await outbound.get("https://registry.example/", accept="application/json")
        assert refusal.value.reason is R.NAME_NOT_RESOLVED


class FlippingResolver:
    """A name server of an attacker: a public address for the check, a private one for the connection."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def test_rebinding_has_nothing_to_rebind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is asked once, and the connection goes to the address that was checked then."""
    resolver = FlippingResolver(["198.51.100.1", "127.0.0.1"], ["127.0.0.1"])
    async with canary() as bird, Outbound(resolver=resolver) as outbound:
        for _ in range(3):
            with pytest.raises(OutboundError) as refusal:
                await outbound.get("https://registry.example/", accept="application/json")
            assert refusal.value.reason is R.ADDRESS_NOT_GLOBAL
        assert bird.connections == 0
    tried: list[tuple[str, int]] = []

    async def connect(host: str, port: int, **_: object) -> object:
        tried.append((host, port))
        raise OSError("unreachable in a test")

    monkeypatch.setattr(
        "anyio.connect_tcp", lambda remote_host, remote_port, **more: connect(remote_host, remote_port)
    )
    resolver = FlippingResolver(["8.8.8.8"], ["127.0.0.1"])
    async with Outbound(resolver=resolver) as outbound:
        with pytest.raises(OutboundError) as refusal:
            await outbound.get("https://registry.example/", accept="application/json")
    assert refusal.value.reason is R.CONNECT_FAILED
    assert tried == [("8.8.8.8", 443)]
    assert resolver.asked == 1


async def test_the_exception_list_names_host_and_port_exactly(tmp_path: Path) -> None:
    authority = TlsAuthority(tmp_path)
    async with tls_server(authority.server_context("localhost", "127.0.0.1"), {"/": answer()}) as server:
        allow = [f"LocalHost:{server.port}"]
        async with Outbound(ca_file=authority.ca_file, allow=allow) as outbound:
            response = await outbound.get(server.url("/"), accept="application/json")
            assert response.status == 200
            assert server.server_names == ["localhost"], "the name of the URL is the name of the handshake"
            for spelling in (
                server.url("/", "127.0.0.1"),
                server.url("/", "127.1"),
                server.url("/", "localhost."),
                server.url("/", "2130706433"),
                f"https://localhost:{server.port + 1}/",
                "https://localhost/",
            ):
                with pytest.raises(OutboundError):
                    await outbound.get(spelling, accept="application/json")
        assert server.connections == 1


async def test_a_literal_address_can_be_listed(tmp_path: Path) -> None:
    authority = TlsAuthority(tmp_path)
    async with AsyncExitStack() as stack:
        context = authority.server_context("127.0.0.1")
        server = await stack.enter_async_context(tls_server(context, {"/": answer()}))
        allow = [f"127.0.0.1:{server.port}"]
        outbound = await stack.enter_async_context(Outbound(ca_file=authority.ca_file, allow=allow))
        assert (await outbound.get(server.url("/", "127.0.0.1"), accept="application/json")).ok


async def test_in_production_a_listed_host_must_still_be_public(tmp_path: Path) -> None:
    authority = TlsAuthority(tmp_path)
    async with tls_server(authority.server_context("localhost"), {"/": answer()}) as server:
        allow = [f"localhost:{server.port}"]
        async with Outbound(ca_file=authority.ca_file, allow=allow, allow_private=False) as outbound:
            with pytest.raises(OutboundError) as refusal:
                await outbound.get(server.url("/"), accept="application/json")
        assert refusal.value.reason is R.ADDRESS_NOT_GLOBAL
        assert server.connections == 0


async def test_the_environment_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = TlsAuthority(tmp_path)
    async with canary() as bird, tls_server(authority.server_context("localhost"), {"/": answer()}) as server:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{bird.port}")
        async with Outbound(ca_file=authority.ca_file, allow=[f"localhost:{server.port}"]) as outbound:
            assert (await outbound.get(server.url("/"), accept="application/json")).ok
        assert bird.connections == 0


async def test_redirects_to_a_canary_are_not_followed(tmp_path: Path) -> None:
    authority = TlsAuthority(tmp_path)
    async with AsyncExitStack() as stack:
        bird = await stack.enter_async_context(canary())
        routes = {
            f"/{status}": answer(b"", status=status, location=f"https://127.0.0.1:{bird.port}/")
            for status in (300, 301, 302, 303, 304, 305, 307, 308)
        }
        server = await stack.enter_async_context(tls_server(authority.server_context("localhost"), routes))
        allow = [f"localhost:{server.port}"]
        outbound = await stack.enter_async_context(Outbound(ca_file=authority.ca_file, allow=allow))
        for path in routes:
            for call in calls(outbound, server.url(path)):
                with pytest.raises(OutboundError) as refusal:
                    await call
                assert refusal.value.reason is R.REDIRECT
        assert bird.connections == 0


def test_canaries_do_sing() -> None:
    """The listener that proves silence elsewhere counts when somebody does connect."""

    async def sing() -> Canary:
        async with canary() as bird:
            _, writer = await asyncio.open_connection("127.0.0.1", bird.port)
            await asyncio.sleep(0)
            writer.close()
            await writer.wait_closed()
        return bird

    assert asyncio.run(sing()).connections == 1
