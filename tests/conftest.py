"""What every test has: databases, quiet logs in the house's form, and a list of what could not run."""

from __future__ import annotations

import gc
import io
import re

import pytest

from passport_shared.service.observability import configure_logging

COLLECT_AFTER = (50_000, 20, 10)
"""What ten thousand collected tests and every module are made of is not looked through again and again."""
THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")

pytest_plugins = ["passport_testkit.databases", "passport_testkit.completeness"]


@pytest.fixture(autouse=True, scope="session")
def _logs_as_in_production() -> None:
    """Log lines pass through the real processors, redaction included, into nowhere."""
    configure_logging("test", "0", level="warning", stream=io.StringIO())


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keys made at run time would give a test another name on every worker: they get the argument's."""
    random = isinstance(val, bytes) or (isinstance(val, str) and THUMBPRINT.fullmatch(val) is not None)
    return argname if random else None


def pytest_collection_finish() -> None:
    """Keep the garbage collector from what stays until the end: it took a quarter of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
