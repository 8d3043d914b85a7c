"""A proxy on loopback that passes true answers on, or spoils them in every way a network and a server can.

It stands between an `Outbound` and whatever answers in a test (any httpx transport): real sockets, real TLS,
a real name in the handshake; only the address of every name is the proxy's. `fault` says what happens to the
requests that `hit` picks; faults of the connection itself happen to all. Every answer ends its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpcore
import httpx

from passport_shared.outbound import Limits, Outbound, OutboundError
from passport_shared.outbound.addresses import system_resolver
from passport_shared.outbound.client import _Call
from passport_shared.outbound.transport import CheckedBackend, CheckedTransport, tls_context
from passport_testkit.servers import TlsAuthority

IMPATIENCE = timedelta(seconds=0.3)
DRIP_S = 0.02
BOMB_BYTES = 64 * 1024 * 1024
HUGE_BYTES = 1 << 40


class Fault(StrEnum):
    """Everything that goes wrong between two services."""

    # the connection
    REFUSED = "refused"
    RESET_AT_CONNECT = "reset_at_connect"
    SILENT = "silent"
    NOT_TLS = "not_tls"
    WRONG_NAME = "wrong_name"
    EXPIRED_CERTIFICATE = "expired_certificate"
    UNKNOWN_AUTHORITY = "unknown_authority"
    # the head
    RESET_BEFORE_HEAD = "reset_before_head"
    CLOSED_BEFORE_HEAD = "closed_before_head"
    RESET_IN_HEAD = "reset_in_head"
    SLOW_HEAD = "slow_head"
    ENDLESS_HEAD = "endless_head"
    GARBAGE_HEAD = "garbage_head"
    # the body
    RESET_IN_BODY = "reset_in_body"
    STALLED_BODY = "stalled_body"
    DRIPPING_BODY = "dripping_body"
    ENDLESS_BODY = "endless_body"
    TRUNCATED = "truncated"
    HUGE = "huge"
    GZIP_BOMB = "gzip_bomb"
    GZIP_CUT = "gzip_cut"
    UNKNOWN_ENCODING = "unknown_encoding"
    # what is said
    WRONG_TYPE = "wrong_type"
    GARBAGE_BODY = "garbage_body"
    EMPTY_BODY = "empty_body"
    DEEP_JSON = "deep_json"
    OTHER_JSON = "other_json"
    STATUS_500 = "status_500"
    STATUS_503 = "status_503"
    STATUS_429 = "status_429"
    REDIRECT = "redirect"
    REDIRECT_INSIDE = "redirect_inside"
    NOT_MODIFIED = "not_modified"


CONNECTION = frozenset(
    {
        Fault.REFUSED,
        Fault.RESET_AT_CONNECT,
        Fault.SILENT,
        Fault.NOT_TLS,
        Fault.WRONG_NAME,
        Fault.EXPIRED_CERTIFICATE,
        Fault.UNKNOWN_AUTHORITY,
    }
)
"""Faults before there is a request: they happen to every host behind the proxy."""

SLOW = frozenset(
    {Fault.SILENT, Fault.SLOW_HEAD, Fault.STALLED_BODY, Fault.DRIPPING_BODY, Fault.HUGE, Fault.ENDLESS_BODY}
)
"""Faults that end only when somebody has had enough."""

ONE_OF_EACH_KIND = (
    Fault.REFUSED,
    Fault.UNKNOWN_AUTHORITY,
    Fault.STALLED_BODY,
    Fault.TRUNCATED,
    Fault.GZIP_BOMB,
    Fault.WRONG_TYPE,
    Fault.GARBAGE_BODY,
    Fault.EMPTY_BODY,
    Fault.OTHER_JSON,
    Fault.STATUS_500,
    Fault.STATUS_429,
    Fault.REDIRECT,
)
FAULTS = tuple(Fault) if os.environ.get("PASSPORT_TEST_EVERY_FAULT") else ONE_OF_EACH_KIND
"""What tables of calls go through: one fault of each kind in the suite, every one in the long run."""


@dataclass(frozen=True, kw_only=True)
class _True:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    media_type: str


def _head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def _whole(status: int, body: bytes, media_type: str, *more: tuple[str, str]) -> bytes:
    headers = [("Content-Length", str(len(body))), *more]
    return _head(status, [*headers, *([("Content-Type", media_type)] if media_type else [])]) + body


@dataclass
class FaultProxy:
    """A running proxy.

    `canary` is the port of a listener that redirects point to. `passed` counts the requests that were passed
    on to what answers behind.
    """

    upstream: httpx.AsyncBaseTransport
    names: tuple[str, ...]
    folder: Path
    fault: Fault | None = None
    hit: Callable[[str, str], bool] = lambda _method, _url: True
    canary: int = 1
    asked: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    ports: dict[Fault | None, int] = field(default_factory=dict)
    ca_file: Path = field(init=False)

    @property
    def port(self) -> int:
        """Where to connect now."""
        return self.ports.get(self.fault, self.ports[None])

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, ask what is behind, answer truly or falsely."""
        request = await _read_request(reader)
        if request is None:
            return
        method, url, headers, body = request
        self.asked.append(f"{method} {url}")
        spoil = self.fault is not None and self.hit(method, url)
        if spoil and self.fault in _WITHOUT_ANSWER:
            await self._spoil(reader, writer, None)
            return
        true = await self._truth(method, url, headers, body)
        if true is None:
            _reset(writer)
        elif spoil:
            await self._spoil(reader, writer, true)
        else:
            writer.write(_whole(true.status, true.body, "", *true.headers))
            await writer.drain()

    async def _truth(
        self, method: str, url: str, headers: list[tuple[str, str]], body: bytes
    ) -> _True | None:
        request = httpx.Request(method, url, headers=headers, content=body)
        try:
            found = await self.upstream.handle_async_request(request)
            content = await found.aread()
        except OutboundError:
            return None
        kept = [
            (name, value)
            for name, value in found.headers.items()
            if name not in ("content-length", "transfer-encoding", "connection")
        ]
        return _True(
            status=found.status_code,
            headers=kept,
            body=content,
            media_type=found.headers.get("content-type", "application/json"),
        )

    async def _spoil(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, true: _True | None
    ) -> None:
        for part in self._parts(true):
            if writer.is_closing():
                return
            if isinstance(part, bytes):
                writer.write(part)
                self.sent_bytes += len(part)
                await writer.drain()
            elif part is _RESET:
                _reset(writer)
            else:
                await _until_gone(reader, writer, drip=part is _DRIP)

    def _parts(self, true: _True | None) -> Iterable[Any]:
        body = true.body if true else b"{}"
        media = true.media_type if true else "application/json"
        half = body[: max(1, len(body) // 2)] or b"{"
        started = _head(200, [("Content-Type", media), ("Content-Length", str(len(body) + 1))]) + half
        match self.fault:
            case Fault.RESET_BEFORE_HEAD:
                return [_RESET]
            case Fault.CLOSED_BEFORE_HEAD:
                return []
            case Fault.RESET_IN_HEAD:
                return [b"HTTP/1.1 200 OK\r\nContent-Ty", _RESET]
            case Fault.SLOW_HEAD:
                return [b"HTTP/1.1 200 OK\r\nX-A: ", _DRIP]
            case Fault.ENDLESS_HEAD:
                return self._endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 4_000 + b"\r\n")
            case Fault.GARBAGE_HEAD:
                return [b"\x16\x03\x01 this is no HTTP \xff\xfe\r\n\r\n" + b"\x00" * 64]
            case Fault.RESET_IN_BODY:
                return [started, _RESET]
            case Fault.STALLED_BODY:
                return [started, _STALL]
            case Fault.DRIPPING_BODY:
                return [_head(200, [("Content-Type", media), ("Content-Length", "1000000")]), _DRIP]
            case Fault.ENDLESS_BODY:
                chunked = _head(200, [("Content-Type", media), ("Transfer-Encoding", "chunked")])
                return self._endless(chunked, b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            case Fault.TRUNCATED:
                return [started]
            case Fault.HUGE:
                return [
                    _head(200, [("Content-Type", media), ("Content-Length", str(HUGE_BYTES))]),
                    half,
                    _STALL,
                ]
            case Fault.GZIP_BOMB:
                return [_whole(200, _bomb(), media, ("Content-Encoding", "gzip"))]
            case Fault.GZIP_CUT:
                return [_whole(200, gzip.compress(body)[:-9], media, ("Content-Encoding", "gzip"))]
            case Fault.UNKNOWN_ENCODING:
                return [_whole(200, body or b"{}", media, ("Content-Encoding", "br"))]
            case Fault.WRONG_TYPE:
                return [_whole(200, b"<html>Welcome to our network</html>", "text/html")]
            case Fault.GARBAGE_BODY:
                return [_whole(200, os.urandom(200) + b"\xff\x00", media)]
            case Fault.EMPTY_BODY:
                return [_whole(200, b"", media)]
            case Fault.DEEP_JSON:
                return [_whole(200, b"[" * 50_000 + b"]" * 50_000, media)]
            case Fault.OTHER_JSON:
                return [_whole(200, b'{"status_lists":{},"items":7,"error":[],"next":{}}', media)]
            case Fault.STATUS_500:
                return [_whole(500, b'{"error":"server_error"}', "application/json")]
            case Fault.STATUS_503:
                return [_whole(503, b"", "", ("Retry-After", "120"))]
            case Fault.STATUS_429:
                return [_whole(429, b"", "", ("Retry-After", "120"))]
            case Fault.REDIRECT:
                return [_whole(302, b"", "", ("Location", f"https://localhost:{self.canary}/"))]
            case Fault.REDIRECT_INSIDE:
                return [_whole(307, b"", "", ("Location", f"http://127.0.0.1:{self.canary}/meta-data/"))]
            case Fault.NOT_MODIFIED:
                return [_whole(304, b"", "", ("ETag", '"never-seen"'))]
            case _:
                raise AssertionError(self.fault)

    def _endless(self, head: bytes, part: bytes) -> Iterable[Any]:
        yield head
        while True:
            yield part


_RESET, _STALL, _DRIP = object(), object(), object()
_WITHOUT_ANSWER = frozenset(
    {
        Fault.RESET_BEFORE_HEAD,
        Fault.CLOSED_BEFORE_HEAD,
        Fault.RESET_IN_HEAD,
        Fault.SLOW_HEAD,
        Fault.ENDLESS_HEAD,
        Fault.GARBAGE_HEAD,
        Fault.STATUS_500,
        Fault.STATUS_503,
        Fault.STATUS_429,
    }
)
"""What was asked never reaches what is behind; with any other fault it is done, and the answer is lost."""

_BOMBS: list[bytes] = []


def _bomb() -> bytes:
    if not _BOMBS:
        _BOMBS.append(gzip.compress(bytes(BOMB_BYTES), compresslevel=6))
    return _BOMBS[0]


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, as a machine that lost its power or its patience does."""
    found = writer.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, drip: bool) -> None:
    """Hold the connection, with a byte now and then or without, until the other side has had enough."""
    if not drip:
        while await reader.read(65_536):
            pass
    while not writer.is_closing() and not reader.at_eof():
        await asyncio.sleep(DRIP_S)
        if drip:
            writer.write(b"a")
            await writer.drain()


async def _read_request(
    reader: asyncio.StreamReader,
) -> tuple[str, str, list[tuple[str, str]], bytes] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines if line)]
    said: Mapping[str, str] = {name.lower(): value for name, value in headers}
    body = await reader.readexactly(int(said.get("content-length", "0")))
    return method, f"https://{said['host']}{target}", headers, body


class _ToProxy(CheckedBackend):
    """Every name lies where the proxy listens; what is checked and what is said of the name stays."""

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(system_resolver, frozenset(), allow_private=False)
        self._proxy = proxy

    async def connect_tcp(
        self, host: str, port: int, *args: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        del host, port
        return await self._network.connect_tcp("127.0.0.1", self._proxy.port, *args, **options)


class ImpatientOutbound(Outbound):
    """The same client, that waits for a fault which is slowness no longer than `IMPATIENCE`."""

    proxy: FaultProxy

    def _call(self, *args: Any) -> _Call:
        *others, total = args
        limited = IMPATIENCE if self.proxy.fault in SLOW else total
        return super()._call(*others, limited)  # type: ignore[call-arg]


def network_through(proxy: FaultProxy) -> CheckedTransport:
    """The network under an `Outbound`, whose every name is the proxy."""
    return CheckedTransport(tls_context(proxy.ca_file), _ToProxy(proxy))


def outbound_through(
    proxy: FaultProxy, *, monotonic: Callable[[], float] | None = None, limits: Limits | None = None
) -> Outbound:
    """The outbound client of a service that meets the proxy wherever it goes."""
    outbound = ImpatientOutbound(transport=network_through(proxy), monotonic=monotonic, limits=limits)
    outbound.proxy = proxy
    return outbound


@contextlib.asynccontextmanager
async def fault_proxy(
    folder: Path, upstream: httpx.AsyncBaseTransport, *names: str
) -> AsyncIterator[FaultProxy]:
    """Run a proxy with certificates for these names, in front of what answers them."""
    proxy = FaultProxy(upstream=upstream, names=names, folder=folder)
    ours, strangers = TlsAuthority(folder / "tls"), TlsAuthority(folder / "strangers", "Nobody's authority")
    proxy.ca_file = ours.ca_file
    tasks: set[asyncio.Task[None]] = set()

    def serving(
        act: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await act(reader, writer)
            except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(one(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        return connected

    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        _reset(writer)

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _until_gone(reader, writer, drip=False)

    async def speaks_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(_whole(400, b"The plain HTTP request was sent to HTTPS port", "text/plain"))

    good, expired = ours.server_context(*names), ours.server_context(*names, expired=True)
    listeners: dict[Fault | None, tuple[Any, ssl.SSLContext | None]] = {
        None: (proxy.answer, good),
        Fault.WRONG_NAME: (proxy.answer, ours.server_context("other.invalid")),
        Fault.EXPIRED_CERTIFICATE: (proxy.answer, expired),
        Fault.UNKNOWN_AUTHORITY: (proxy.answer, strangers.server_context(*names)),
        Fault.RESET_AT_CONNECT: (resets, None),
        Fault.SILENT: (says_nothing, None),
        Fault.NOT_TLS: (speaks_plainly, None),
    }
    servers = []
    for fault, (act, context) in listeners.items():
        server = await asyncio.start_server(serving(act), "127.0.0.1", 0, ssl=context, limit=1 << 20)
        servers.append(server)
        proxy.ports[fault] = server.sockets[0].getsockname()[1]
    with socket.socket() as taken:
        # Bound and not listening: whoever connects is refused, and nobody else gets the port.
        taken.bind(("127.0.0.1", 0))
        proxy.ports[Fault.REFUSED] = taken.getsockname()[1]
        try:
            yield proxy
        finally:
            for server in servers:
                server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
