"""Peers run where Node and their packages are; elsewhere the summary says why not, and CI fails.

One Node process lives as long as a test module. Tests that use it run in the module's event loop:
`pytestmark = [pytest.mark.peers, pytest.mark.asyncio(loop_scope="module")]`.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from deploy.dev import tls
from passport_testkit import node


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tls.TlsFiles:
    """The development TLS authority and a certificate for localhost."""
    now = datetime.now(UTC)  # noqa: TID251  a certificate must be valid now
    return tls.ensure(tmp_path_factory.mktemp("tls"), now=now)


@pytest.fixture(scope="module")
def tls_context(tls_files: tls.TlsFiles) -> ssl.SSLContext:
    """What a server on localhost needs to be believed by the peers and by our own clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls_files.certificate, tls_files.key)
    return context


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(tls_files: tls.TlsFiles) -> AsyncIterator[node.NodePeer]:
    """The Node peers, trusting the development TLS authority."""
    reason = node.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    process = await node.NodePeer.start(ca_file=tls_files.ca)
    yield process
    await process.stop()
