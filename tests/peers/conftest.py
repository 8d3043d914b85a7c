"""Peers run where Node and their packages are; elsewhere the summary says why not, and CI fails."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from passport_testkit import node


@pytest.fixture
async def peer() -> AsyncIterator[node.NodePeer]:
    reason = node.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    process = await node.NodePeer.start()
    yield process
    await process.stop()
