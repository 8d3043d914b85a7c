"""Each fault of the proxy has one reason at the outbound client, and costs no memory, time or neighbour."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from passport_shared.outbound import Limits, Outbound, OutboundError, OutboundReason
from passport_shared.outbound.breaker import FAILURES, OPEN_FOR_S, THRESHOLD
from passport_testkit.fault_proxy import CONNECTION, Fault, FaultProxy, fault_proxy, outbound_through
from passport_testkit.servers import canary

R = OutboundReason
JSON = "application/json"
HOME, OTHER = "https://registry.example", "https://issuer.example"

REASONS: dict[Fault, OutboundReason | int] = {
    Fault.REFUSED: R.CONNECT_FAILED,
    Fault.RESET_AT_CONNECT: R.CONNECT_FAILED,
    Fault.SILENT: R.TIMED_OUT,
    Fault.NOT_TLS: R.TLS_FAILED,
    Fault.WRONG_NAME: R.TLS_FAILED,
    Fault.EXPIRED_CERTIFICATE: R.TLS_FAILED,
    Fault.UNKNOWN_AUTHORITY: R.TLS_FAILED,
    Fault.RESET_BEFORE_HEAD: R.CONNECTION_BROKEN,
    Fault.CLOSED_BEFORE_HEAD: R.CONNECTION_BROKEN,
    Fault.RESET_IN_HEAD: R.CONNECTION_BROKEN,
    Fault.SLOW_HEAD: R.TIMED_OUT,
    Fault.ENDLESS_HEAD: R.CONNECTION_BROKEN,
    Fault.GARBAGE_HEAD: R.CONNECTION_BROKEN,
    Fault.RESET_IN_BODY: R.CONNECTION_BROKEN,
    Fault.STALLED_BODY: R.TIMED_OUT,
    Fault.DRIPPING_BODY: R.TOO_LARGE,
    Fault.ENDLESS_BODY: R.TOO_LARGE,
    Fault.TRUNCATED: R.CONNECTION_BROKEN,
    Fault.HUGE: R.TOO_LARGE,
    Fault.GZIP_BOMB: R.TOO_LARGE,
    Fault.GZIP_CUT: R.CONTENT_ENCODING,
    Fault.UNKNOWN_ENCODING: R.CONTENT_ENCODING,
    Fault.WRONG_TYPE: R.WRONG_CONTENT_TYPE,
    Fault.GARBAGE_BODY: 200,
    Fault.EMPTY_BODY: 200,
    Fault.DEEP_JSON: 200,
    Fault.OTHER_JSON: 200,
    Fault.STATUS_500: 500,
    Fault.STATUS_503: 503,
    Fault.STATUS_429: 429,
    Fault.REDIRECT: R.REDIRECT,
    Fault.REDIRECT_INSIDE: R.REDIRECT,
    Fault.NOT_MODIFIED: R.REDIRECT,
}
"""What the client says; a number is an answer whose content its caller judges."""


class Behind(httpx.AsyncBaseTransport):
    """Answers everything."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"path": request.url.path, "filler": "x" * 400})


class Seconds:
    """A monotonic clock that a test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(tmp_path, Behind(), "registry.example", "issuer.example") as running:
        yield running


async def said(outbound: Outbound, method: str, url: str = HOME) -> OutboundReason | int:
    """The status of an answer, or the reason why there is none."""
    try:
        if method == "GET":
            return (await outbound.get(f"{url}/x", accept=JSON)).status
        return (await outbound.post(f"{url}/x", json={"a": 1})).status
    except OutboundError as error:
        return error.reason


def test_every_fault_has_its_reason() -> None:
    assert set(REASONS) == set(Fault)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_fault_has_one_reason_and_leaves_nothing_behind(
    proxy: FaultProxy, fault: Fault, method: str
) -> None:
    limits = Limits(max_bytes=131_072)
    async with canary() as bird, outbound_through(proxy, limits=limits) as outbound:
        proxy.canary, proxy.fault = bird.port, fault
        assert await said(outbound, method) == REASONS[fault]
        assert bird.connections == 0, "no redirect is followed"
        proxy.fault = None
        assert await said(outbound, method) == 200
    assert proxy.sent_bytes < 8 * 1024 * 1024, "reading ends at the limit"


@pytest.mark.parametrize("fault", [f for f in Fault if REASONS[f] in FAILURES or REASONS[f] in (500, 503)])
async def test_the_breaker_opens_for_that_host_and_closes_again(proxy: FaultProxy, fault: Fault) -> None:
    seconds = Seconds()
    async with outbound_through(proxy, monotonic=seconds) as outbound:
        proxy.fault, proxy.hit = fault, lambda _, url: url.startswith(HOME)
        at_once = await asyncio.gather(*(said(outbound, "POST") for _ in range(THRESHOLD)))
        assert set(at_once) == {REASONS[fault]}
        assert await said(outbound, "POST") == R.BREAKER_OPEN
        asked = len(proxy.asked)
        if fault not in CONNECTION:
            assert await said(outbound, "POST", OTHER) == 200, "another host is not concerned"
            asked += 1
        assert await said(outbound, "GET") == R.BREAKER_OPEN
        assert len(proxy.asked) == asked
        proxy.fault = None
        seconds.now += OPEN_FOR_S
        assert [await said(outbound, "GET") for _ in range(2)] == [200, 200]


async def test_who_waited_for_a_turn_at_a_dead_host_does_not_try_it_too(proxy: FaultProxy) -> None:
    """A hundred callers, eight turns: those who find out are few, the others are told at once."""
    proxy.fault = Fault.SLOW_HEAD
    async with outbound_through(proxy, monotonic=Seconds()) as outbound:
        found = await asyncio.gather(*(said(outbound, "POST") for _ in range(100)))
    most = 8 + THRESHOLD - 1
    assert 8 <= found.count(R.TIMED_OUT) == len(proxy.asked) <= most
    assert found.count(R.BREAKER_OPEN) == 100 - len(proxy.asked)


@pytest.mark.parametrize("fault", [Fault.WRONG_TYPE, Fault.HUGE, Fault.GZIP_CUT, Fault.STATUS_429])
async def test_what_only_a_living_host_can_say_closes_the_breaker(proxy: FaultProxy, fault: Fault) -> None:
    seconds = Seconds()
    async with outbound_through(proxy, monotonic=seconds) as outbound:
        proxy.fault = Fault.RESET_BEFORE_HEAD
        for _ in range(THRESHOLD):
            await said(outbound, "POST")
        seconds.now += OPEN_FOR_S
        proxy.fault = fault
        assert [await said(outbound, "POST") for _ in range(3)] == [REASONS[fault]] * 3


@pytest.mark.parametrize("fault", [Fault.ENDLESS_BODY, Fault.ENDLESS_HEAD, Fault.HUGE, Fault.GZIP_BOMB])
async def test_however_much_is_sent_little_is_held(proxy: FaultProxy, fault: Fault) -> None:
    async with outbound_through(proxy, limits=Limits(max_bytes=65_536)) as outbound:
        proxy.fault = fault
        await said(outbound, "GET")
        tracemalloc.start()
        try:
            for _ in range(3):
                await said(outbound, "GET")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("etag", "kept"), [('"v1"', '"v1"'), ("", None), ('"' + "a" * 300 + '"', None), ('"é"', None)]
)
async def test_an_entity_tag_nobody_could_send_back_is_none(
    tmp_path: Path, etag: str, kept: str | None
) -> None:
    """It would be kept, and every later conditional request would fail for it."""

    class Tagged(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
            headers = [(b"content-type", b"application/json"), (b"etag", etag.encode("latin-1"))]
            return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"{}"))

    async with Outbound(transport=Tagged()) as outbound:
        assert (await outbound.get(HOME, accept=JSON)).etag == kept
