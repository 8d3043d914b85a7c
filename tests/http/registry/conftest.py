"""Both databases for every test."""

from __future__ import annotations

import pytest

from passport_testkit.databases import POSTGRESQL, SQLITE


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def dialect(request: pytest.FixtureRequest) -> str:
    """Every test here runs on both databases."""
    return str(request.param)
