"""A running issuer for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from passport_testkit.databases import POSTGRESQL, SQLITE, FreshDatabases
from passport_testkit.issuers import IssuerBench, running_issuer


@pytest.fixture
async def issuer(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[IssuerBench]:
    """The Christie's issuer, enrolled and ready, on a fresh database of the test's dialect."""
    async with running_issuer(tmp_path, await databases.url("passport_issuer")) as bench:
        yield bench


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def dialect(request: pytest.FixtureRequest) -> str:
    """Every test here runs on both databases."""
    return str(request.param)
