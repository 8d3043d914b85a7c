"""What every test has: databases, quiet logs in the house's form, and a list of what could not run."""

from __future__ import annotations

import io

import pytest

from passport_shared.service.observability import configure_logging

pytest_plugins = ["passport_testkit.databases", "passport_testkit.completeness"]


@pytest.fixture(autouse=True, scope="session")
def _logs_as_in_production() -> None:
    """Log lines pass through the real processors, redaction included, into nowhere."""
    configure_logging("test", "0", level="warning", stream=io.StringIO())


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes may be random: an id made of them would name another test on every worker."""
    return argname if isinstance(val, bytes) else None
