"""The network under the outbound client: resolves once, checks, connects to what was checked.

`httpcore` connects where `CheckedBackend` says, while the TLS handshake and the certificate check keep the
name of the URL, and pooled connections are kept by name. So an answer that changes between check and
connection (DNS rebinding) has nothing to change, and two names on one address never share a connection.
"""

from __future__ import annotations

import ssl
import typing
from collections.abc import AsyncIterator, Iterable
from contextlib import contextmanager
from pathlib import Path

import httpcore
import httpx

from passport_shared.outbound.addresses import Resolver, checked_addresses
from passport_shared.outbound.errors import OutboundError, OutboundReason
from passport_shared.outbound.pool import SettledPool
from passport_shared.outbound.urls import Target

MAX_CONNECTIONS = 100
MAX_IDLE_CONNECTIONS = 20
IDLE_S = 15.0

_REASONS: tuple[tuple[type[Exception], OutboundReason], ...] = (
    (httpcore.TimeoutException, OutboundReason.TIMED_OUT),
    (httpcore.ConnectError, OutboundReason.CONNECT_FAILED),
    (httpcore.LocalProtocolError, OutboundReason.HEADER_MALFORMED),
    (httpcore.NetworkError, OutboundReason.CONNECTION_BROKEN),
    (httpcore.ProtocolError, OutboundReason.CONNECTION_BROKEN),
    (OSError, OutboundReason.CONNECTION_BROKEN),
)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Trust of the system's store, plus the certificates in `ca_file`; TLS 1.2 or newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


@contextmanager
def _own_errors(host: str) -> typing.Iterator[None]:
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
        if _is_tls(error):
            raise OutboundError(OutboundReason.TLS_FAILED, "no trusted TLS connection", host=host) from error
        raise OutboundError(reason, type(error).__name__, host=host) from error


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked a moment before, and to nothing else."""

    def __init__(self, resolve: Resolver, excepted: frozenset[str], *, allow_private: bool) -> None:
        self._resolve = resolve
        self._excepted = excepted
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, check every address, try them in order."""
        excepted = f"{host}:{port}" in self._excepted or f"[{host}]:{port}" in self._excepted
        target = Target(url="", host=host, port=port, excepted=excepted)
        failure: Exception | None = None
        for address in await checked_addresses(target, self._resolve, allow_private=self._allow_private):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure if failure is not None else httpcore.ConnectError("no address")

    async def sleep(self, seconds: float) -> None:
        """Only retries sleep, and we have none."""
        await self._network.sleep(seconds)


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: typing.Any, host: str) -> None:
        self._stream = stream
        self._host = host

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _own_errors(self._host):
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class CheckedTransport(httpx.AsyncBaseTransport):
    """httpx over httpcore with the checked network; no proxies, no environment, HTTP/1.1."""

    def __init__(self, context: ssl.SSLContext, backend: CheckedBackend) -> None:
        self._pool = SettledPool(
            ssl_context=context,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_S,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; OutboundError for whatever the network does."""
        host = f"{request.url.host}:{request.url.port or 443}"
        raw = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _own_errors(host):
            answer = await self._pool.handle_async_request(raw)
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream, host),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
