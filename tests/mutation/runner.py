"""Run mutants: collect the tests once, learn which test runs which line, then fork for every mutant.

A fork swaps the mutant in and runs the tests that reach its lines, the quick ones first, until one is red. It
is *killed* by a red test or by running far longer than the tests do; otherwise it *survived*.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mutation import swapping
from tests.mutation.mutants import MODULE, Mutant, mutants_of

PATIENCE, LEAST_PATIENCE_S = 6.0, 30.0
_RED, _GREEN, _BROKEN = 1, 0, 3


@dataclass
class Learnt:
    """What the unchanged tests told: how long each takes, and which lines of which file it runs."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def reaching(self, file: str, mutant: Mutant) -> list[str]:
        """The tests that run a mutant's lines, quickest first."""
        first, last = mutant.lines
        wanted = set(range(first, last + 1))
        found = [
            test
            for test, files in self.lines.items()
            if file in files and (mutant.place == MODULE or wanted & set(files[file]))
        ]
        return sorted(found, key=lambda test: self.seconds[test])

    def nearby(self, file: str, tests: list[str]) -> list[str]:
        """The other tests of the test files that run a module at all: tracing may miss some."""
        modules = {test.partition("::")[0] for test, files in self.lines.items() if file in files}
        found = [one for one in self.seconds if one.partition("::")[0] in modules and one not in set(tests)]
        return sorted(found, key=lambda test: self.seconds[test])


@dataclass
class Outcome:
    """What became of the mutants of one module."""

    module: str
    killed: int = 0
    seconds: float = 0.0
    survived: list[Mutant] = field(default_factory=list)
    unreached: list[Mutant] = field(default_factory=list)
    broken: list[Mutant] = field(default_factory=list)


class Runner:
    """A pytest plugin whose test loop is the whole of a mutation run."""

    def __init__(
        self,
        modules: Sequence[str],
        *,
        checks_only: bool,
        only: str = "",
        done: Callable[[Outcome], None] = lambda _outcome: None,
    ) -> None:
        self._modules = modules
        self._done = done
        self._checks_only = checks_only
        self._only = only
        self._items: dict[str, pytest.Item] = {}
        self._forked = False
        self._times: dict[str, float] = {}
        self.outcomes: list[Outcome] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In a fork the first red test ends everything."""
        if self._forked and report.failed:
            os._exit(_RED)
        self._times[report.nodeid] = self._times.get(report.nodeid, 0.0) + report.duration

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests once."""
        self._items = {item.nodeid: item for item in session.items}
        self._writer = session.config.get_terminal_writer()
        self._caches = swapping.caches()
        learnt = self._learn()
        for name in self._modules:
            module = importlib.import_module(name)
            self.outcomes.append(self._module(name, str(module.__file__), learnt))
            self._done(self.outcomes[-1])
        return True

    def _learn(self) -> Learnt:
        files = {str(importlib.import_module(name).__file__) for name in self._modules}
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._hush()
            learnt = self._traced(files)
            with os.fdopen(writer, "w") as out:
                json.dump([learnt.seconds, learnt.lines], out)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as told:
            text = told.read()
        os.waitpid(child, 0)
        return Learnt(*json.loads(text))

    def _traced(self, files: set[str]) -> Learnt:
        learnt, items = Learnt(), list(self._items.values())
        for item, following in zip(items, [*items[1:], None], strict=True):
            reached: dict[str, set[int]] = {}
            self._forget()
            sys.settrace(_tracer(files, reached))
            try:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            finally:
                sys.settrace(None)
            learnt.seconds[item.nodeid] = self._times.get(item.nodeid, 0.0)
            learnt.lines[item.nodeid] = {file: sorted(lines) for file, lines in reached.items()}
        return learnt

    def _hush(self) -> None:
        """In a fork nobody listens."""
        nowhere = open(os.devnull, "w")  # noqa: SIM115 - until the fork ends
        self._writer._file = nowhere
        for descriptor in (1, 2):
            os.dup2(nowhere.fileno(), descriptor)

    def _forget(self) -> None:
        for cache in self._caches:
            cache.cache_clear()

    def _module(self, name: str, file: str, learnt: Learnt) -> Outcome:
        outcome = Outcome(name)
        source = Path(file).read_text(encoding="utf-8")
        count = len(mutants_of(name, ast.parse(source)))
        started = time.monotonic()
        for number in range(count):
            tree = ast.parse(source)
            mutant = mutants_of(name, tree)[number]
            if (self._checks_only and not mutant.check) or self._only not in mutant.place:
                continue
            reaching = learnt.reaching(file, mutant)
            tests = [*reaching, *learnt.nearby(file, reaching)]
            if not tests:
                outcome.unreached.append(mutant)
                continue
            status = self._run(name, tree, mutant, tests, sum(learnt.seconds[test] for test in tests))
            if status == _RED:
                outcome.killed += 1
            else:
                (outcome.survived if status == _GREEN else outcome.broken).append(mutant)
        outcome.seconds = time.monotonic() - started
        return outcome

    def _run(self, name: str, tree: ast.Module, mutant: Mutant, tests: list[str], seconds: float) -> int:
        child = os.fork()
        if child == 0:
            self._forked = True
            self._hush()
            try:
                mutant.apply()
                swapping.swap(sys.modules[name], ast.fix_missing_locations(tree))
            except ValueError:
                os._exit(_BROKEN)
            except BaseException:  # noqa: BLE001 - a module that cannot even be executed is noticed at once
                os._exit(_RED)
            self._forget()
            items = [self._items[test] for test in tests]
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            os._exit(_GREEN)
        return _waited(child, max(LEAST_PATIENCE_S, PATIENCE * seconds))


def _waited(child: int, seconds: float) -> int:
    end = time.monotonic() + seconds
    pause = 0.002
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else _RED
        time.sleep(pause)
        pause = min(0.05, pause * 1.5)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return _RED


def _tracer(files: set[str], reached: dict[str, set[int]]) -> Any:
    def local(frame: Any, event: str, _argument: Any) -> Any:
        if event == "line":
            reached[frame.f_code.co_filename].add(frame.f_lineno)
        return local

    def called(frame: Any, _event: str, _argument: Any) -> Any:
        file = frame.f_code.co_filename
        if file not in files:
            return None
        reached.setdefault(file, set()).add(frame.f_lineno)
        return local

    return called


def summary(outcome: Outcome, explained: Mapping[str, str]) -> dict[str, Any]:
    """Counts and what is left, as JSON."""

    def rows(mutants: Sequence[Mutant]) -> list[dict[str, Any]]:
        return [
            {"key": one.key, "check": one.check, "line": one.lines[0], "explained": one.key in explained}
            for one in mutants
        ]

    return {
        "killed": outcome.killed,
        "seconds": round(outcome.seconds),
        "survived": rows(outcome.survived),
        "unreached": rows(outcome.unreached),
        "broken": rows(outcome.broken),
    }
