"""A running issuer for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from passport_testkit.databases import POSTGRESQL, SQLITE, FreshDatabases
from passport_testkit.issuers import IssuerBench, running_issuer
from passport_testkit.workforce import Workforce, workforce_simulator


@pytest.fixture
async def issuer(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[IssuerBench]:
    """The Christie's issuer, enrolled and ready, on a fresh database of the test's dialect."""
    async with running_issuer(tmp_path, await databases.url("passport_issuer")) as bench:
        yield bench


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def dialect(request: pytest.FixtureRequest) -> str:
    """Every test here runs on both databases."""
    return str(request.param)


@pytest.fixture
async def workforce(tmp_path: Path) -> AsyncIterator[Workforce]:
    """The workforce systems of The Christie, with the surgeon in all of them."""
    async with workforce_simulator(tmp_path) as systems:
        systems.hire()
        yield systems


@pytest.fixture
async def connected(
    workforce: Workforce, databases: FreshDatabases, tmp_path: Path
) -> AsyncIterator[IssuerBench]:
    """An issuer that trusts the workforce systems' TLS certificates."""
    settings = {"tls_ca_file": workforce.ca_file}
    url = await databases.url("passport_issuer")
    async with running_issuer(tmp_path, url, tenants=("RBV", "R0A"), settings=settings) as bench:
        yield bench
