"""A running verifier for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from passport_testkit.databases import POSTGRESQL, SQLITE, FreshDatabases
from passport_testkit.verifiers import VerifierBench, running_verifier


@pytest.fixture
async def verifier(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[VerifierBench]:
    """Manchester's verifier, enrolled and ready, on a fresh database of the test's dialect."""
    async with running_verifier(tmp_path, await databases.url("passport_verifier")) as bench:
        yield bench


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def dialect(request: pytest.FixtureRequest) -> str:
    """Every test here runs on both databases."""
    return str(request.param)
