"""Every test of an interface runs on SQLite; of a table of cases PostgreSQL gets its share, the soak all.

What differs between the databases is met by the acts a test drives, not by each row of its table
(`make soak P=interfaces`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from passport_testkit.databases import POSTGRESQL
from passport_testkit.thorough import in_sample

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out three in four rows of a table on PostgreSQL."""
    left_out = [item for item in items if HERE in item.path.parents and not wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def wanted(item: pytest.Item) -> bool:
    """Whether this run has the test."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    is_row = len(params) > 1 and params.get("dialect") == POSTGRESQL
    return not is_row or in_sample(item.name)
