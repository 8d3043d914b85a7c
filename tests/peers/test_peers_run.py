"""The peers' process: what it does not know it refuses, and it trusts the development authority only."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

import pytest

from deploy.dev import tls
from passport_testkit import node

pytestmark = [pytest.mark.peers, pytest.mark.asyncio(loop_scope="module")]


async def test_an_unknown_operation_is_refused(peer):
    with pytest.raises(node.PeerRefused, match="unknown operation"):
        await peer.call("no.such.operation")


async def get(peer, files: tls.TlsFiles) -> str:
    """What the peer reads from a server with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        found: dict[str, str] = await peer.call("https.get", url=url)
        return found["body"]


async def test_the_peers_reach_https_under_the_development_authority_and_only_then(peer, tls_files, tmp_path):
    assert await get(peer, tls_files) == "hello"
    stranger = tls.ensure(tmp_path, now=datetime.now(UTC))  # noqa: TID251  a certificate must be valid now
    with pytest.raises(node.PeerRefused, match="fetch failed"):
        await get(peer, stranger)
