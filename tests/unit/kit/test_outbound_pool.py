"""Our connection pool: what one request has been given, no other request closes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpcore
import pytest

from passport_shared.outbound.pool import SettledPool

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Watched(httpcore.AsyncNetworkStream):
    """A connection that the pool takes for one to give up as soon as the test says so."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, network: Network) -> None:
        self._inner = inner
        self._network = network

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        self._network.closed += 1
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._network.stale if info == "is_readable" else self._inner.get_extra_info(info)


class Network(httpcore.AsyncNetworkBackend):
    """Real connections to this machine."""

    def __init__(self) -> None:
        self.stale = False
        self.opened = 0
        self.closed = 0

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        self.opened += 1
        return Watched(await httpcore.AnyIOBackend().connect_tcp(*args, **kwargs), self)


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[str]:
    """Answers every request, and closes no connection; its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    listening.close()


async def given_up_while_given(kind: type[httpcore.AsyncConnectionPool]) -> tuple[Network, Any]:
    """What becomes of a request whose connection another request finds idle for too long."""
    network = Network()
    async with server() as first, server() as second, kind(network_backend=network) as pool:
        await asyncio.gather(pool.request("GET", first), pool.request("GET", first))
        await pool.request("GET", second)
        given = asyncio.create_task(pool.request("GET", second))
        await asyncio.sleep(0)  # it has its connection, and has not begun
        network.stale = True
        await pool.request("GET", first)
        [ended] = await asyncio.gather(given, return_exceptions=True)
    return network, ended


async def test_no_request_closes_what_another_has_been_given():
    network, answer = await given_up_while_given(SettledPool)
    assert isinstance(answer, httpcore.Response), answer
    assert answer.status == 200
    assert network.opened == 4, "its connection is used; those that nobody had are replaced"
    assert network.closed == 4, "and nothing stays open when the pool is closed"


async def test_the_pool_that_ours_is_made_of_does_so_still():
    """When this fails, httpcore is mended and our pool has no reason to be."""
    _, ended = await given_up_while_given(httpcore.AsyncConnectionPool)
    with pytest.raises(httpcore.ReadError):
        raise ended
