"""Servers that behave badly on purpose, over real TLS on 127.0.0.1, and listeners that count who connects.

`TlsAuthority` is a development authority of its own; `MisbehavingServer` serves a behaviour per path;
`Canary` accepts and counts. Ports are given by the system; nothing sleeps: a slow server waits for an event
that the test may set.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_TO = datetime(2120, 1, 1, tzinfo=UTC)


class TlsAuthority:
    """A certificate authority for test servers; its certificate is a file that clients can be told of."""

    def __init__(self, folder: Path, name: str = "Test TLS authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._subject = subject
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_FROM)
            .not_valid_after(_TO)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(_ca_usage(), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server_context(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """A TLS context with a certificate for these names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        end = _FROM + timedelta(days=1) if expired else _TO
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_FROM)
            .not_valid_after(end)
            .add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._folder / f"server-{certificate.serial_number:x}.pem"
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True)
class Received:
    """One request as it arrived; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Behaviour = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def answer(
    body: bytes = b"{}", *, status: int = 200, content_type: str | None = "application/json", **headers: str
) -> Behaviour:
    """An ordinary answer; `etag="…"` and the like become headers."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def raw(data: bytes) -> Behaviour:
    """These bytes, whatever they are."""

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return behave


def reset() -> Behaviour:
    """The connection is torn down without an answer."""

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return behave


def truncated(body: bytes = b'{"a":1}') -> Behaviour:
    """Less body than announced, then the end."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body) + 100}\r\n\r\n"

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    return behave


def endless(chunk: bytes = b"x" * 4_096) -> Behaviour:
    """A chunked body that never ends."""

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        while not writer.transport.is_closing():
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            await writer.drain()

    return behave


def stalled(release: asyncio.Event, then: Behaviour | None = None) -> Behaviour:
    """A start of an answer, and nothing more until the event is set."""

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        if then is None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
            await writer.drain()
        await release.wait()
        if then is not None:
            await then(request, writer)

    return behave


@dataclass
class MisbehavingServer:
    """A running server: what it serves can be changed while it runs."""

    port: int
    routes: dict[str, Behaviour]
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    server_names: list[str | None] = field(default_factory=list)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def received(self, count: int) -> None:
        """Wait until this many requests have arrived."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)

    def url(self, path: str, host: str = "localhost") -> str:
        """An https URL of this server."""
        return f"https://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        try:
            while (request := await _read_request(reader)) is not None:
                async with self._arrived:
                    self.requests.append(request)
                    self._arrived.notify_all()
                await self.routes[request.path](request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)


@asynccontextmanager
async def tls_server(
    context: ssl.SSLContext, routes: Mapping[str, Behaviour]
) -> AsyncIterator[MisbehavingServer]:
    """Run a server on 127.0.0.1, at a port the system gives."""
    server = MisbehavingServer(port=0, routes=dict(routes))

    def remember_name(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        server.server_names.append(name)

    context.sni_callback = remember_name
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Canary:
    """A listener that must stay silent."""

    port: int
    connections: int = 0


@asynccontextmanager
async def canary(host: str = "127.0.0.1") -> AsyncIterator[Canary]:
    """Listen on a loopback address and count connections."""
    bird = Canary(port=0)

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bird.connections += 1
        writer.close()

    listening = await asyncio.start_server(connected, host, 0)
    bird.port = listening.sockets[0].getsockname()[1]
    try:
        yield bird
    finally:
        listening.close()
