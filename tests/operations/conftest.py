"""Services looked after by their operator: what `doctor`, metrics, renewals and restores are tried on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import IssuerBench, running_issuer


@pytest.fixture
async def issuer(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[IssuerBench]:
    """The Christie's issuer, enrolled and ready."""
    async with running_issuer(tmp_path, await databases.url("passport_issuer")) as bench:
        yield bench
