"""The load: requests prepared beforehand as bytes, sent over kept connections, answers counted by status.

Closed loop: each of a few connections sends its next request when the answer to the last has come. Nothing is
computed here while the clock runs, so that the core of the load is never what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

CONNECTIONS = 8


@dataclass(frozen=True)
class Run:
    """One repetition: how long it took, what was answered, and each answer's time in seconds."""

    seconds: float
    statuses: Counter[int]
    latencies_s: list[float] = field(repr=False)
    last_body: bytes = field(repr=False)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.seconds


def post(path: str, body: bytes, media_type: str, *headers: str) -> bytes:
    """A whole POST request."""
    return (
        _request("POST", path, f"Content-Type: {media_type}", f"Content-Length: {len(body)}", *headers) + body
    )


def get(path: str, *headers: str) -> bytes:
    """A whole GET request."""
    return _request("GET", path, *headers)


def _request(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


async def send(port: int, requests: Sequence[bytes], *, connections: int = CONNECTIONS) -> Run:
    """Send every request once.

    Raises:
        ConnectionError: a connection was closed before its answer.
    """
    waiting, statuses, latencies = iter(requests), Counter[int](), list[float]()
    clients = [_Client() for _ in range(connections)]
    loop = asyncio.get_running_loop()
    for client in clients:
        await loop.create_connection(lambda one=client: one, "127.0.0.1", port)  # type: ignore[misc]
    started = time.perf_counter()
    try:
        await asyncio.gather(*(_work(client, waiting, statuses, latencies) for client in clients))
    finally:
        for client in clients:
            client.close()
    seconds = time.perf_counter() - started
    return Run(seconds, statuses, latencies, clients[0].body)


async def _work(
    client: _Client, waiting: Iterator[bytes], statuses: Counter[int], latencies: list[float]
) -> None:
    for request in waiting:
        started = time.perf_counter()
        statuses[await client.ask(request)] += 1
        latencies.append(time.perf_counter() - started)


class _Client(asyncio.Protocol):
    """One connection; reads answers that say their length, as every answer here does."""

    def __init__(self) -> None:
        self.body = b""
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection before its answer"))

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send a request; the status of its answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found or len(rest) < (length := _length(head)):
            return
        self.body, self._buffer = rest[:length], rest[length:]
        assert self._answer is not None
        self._answer.set_result(int(head[9:12]))

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
