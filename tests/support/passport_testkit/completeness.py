"""Says at the end what could not run on this machine and why; in CI that is a failure.

A green run on a machine without PostgreSQL, Node or the shared corpora has proven less, and must say so.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest


def _unrun(terminalreporter: Any) -> Counter[str]:
    """How many tests were skipped, by reason."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        where_and_why = report.longrepr
        why = where_and_why[2] if isinstance(where_and_why, tuple) else str(where_and_why)
        reasons[why.removeprefix("Skipped: ")] += 1
    return reasons


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List what did not run."""
    reasons = _unrun(terminalreporter)
    if not reasons:
        return
    terminalreporter.section("could not run here")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count:5d}  {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing may be left out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput") or not os.environ.get("CI"):
        return
    if session.exitstatus == pytest.ExitCode.OK and _unrun(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
