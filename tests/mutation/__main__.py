"""`python -m tests.mutation [--checks] [MODULE …]`: run the mutants of the pure modules, say which survived.

Without a module: every module of ``passport_shared.formats`` and of the services' ``rules``. The outcome is
written to ``out/mutation``; the answer is 1 while a check mutant survives that ``docs/mutation.md`` does not
explain, or where fewer than 95 % of all mutants are killed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
OUT = REPOSITORY / "out" / "mutation"
LEAST_SCORE = 0.95
GROUPS = {
    "passport_shared.formats": (
        "shared/src/passport_shared/formats",
        ("tests/unit/formats", "tests/unit/wire", "tests/unit/kit/test_client_directory_claims.py"),
    ),
    "passport_issuer.rules": ("services/issuer/src/passport_issuer/rules", ("tests/unit/issuer",)),
    "passport_verifier.rules": ("services/verifier/src/passport_verifier/rules", ("tests/unit/verifier",)),
    "passport_registry.rules": ("services/registry/src/passport_registry/rules", ("tests/unit/registry",)),
}


def main(arguments: list[str]) -> int:
    """Run what is named, one group of modules after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="full names, or the name of a group")
    parser.add_argument("--checks", action="store_true", help="mutants of checks only")
    parser.add_argument("--only", default="", help="functions whose qualified name has this in it")
    options = parser.parse_args(arguments)
    sys.path[:0] = [str(REPOSITORY / "tests" / "support"), str(REPOSITORY)]
    from tests.mutation.explained import explanations
    from tests.mutation.runner import Outcome, Runner, summary

    told: dict[str, dict[str, Any]] = {}
    explained = explanations()
    OUT.mkdir(parents=True, exist_ok=True)

    def done(outcome: Outcome) -> None:
        one = told[outcome.module] = summary(outcome, explained)
        text = json.dumps(one, indent=1, ensure_ascii=False)
        (OUT / f"{outcome.module}.json").write_text(text, encoding="utf-8")
        left = [row for row in _left(one) if not row["explained"]]
        checks = sum(row["check"] for row in left)
        line = f"{outcome.module:52} killed {one['killed']:>4}  left {len(left):>3}, checks {checks:>3}"
        print(f"{line}  {one['seconds']} s", file=sys.__stderr__, flush=True)

    for group, (folder, tests) in GROUPS.items():
        every = [
            f"{group}.{file.stem}"
            for file in sorted((REPOSITORY / folder).glob("*.py"))
            if file.stem != "__init__"
        ]
        modules = [name for name in every if not options.modules or {name, group} & set(options.modules)]
        if not modules:
            continue
        runner = Runner(modules, checks_only=options.checks, only=options.only, done=done)
        paths = [str(REPOSITORY / test) for test in tests]
        plain = ["-q", "-p", "no:cacheprovider", "--rootdir", str(REPOSITORY)]
        status = pytest.main([*paths, *plain], plugins=[runner])
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or not runner.outcomes:
            print(f"the tests of {group} could not be collected ({status})")
            return 2
    return _report(told)


def _left(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [*one["survived"], *one["unreached"], *one["broken"]]


def _report(told: dict[str, dict[str, Any]]) -> int:
    killed = sum(one["killed"] for one in told.values())
    alive = [row for one in told.values() for row in _left(one) if not row["explained"]]
    loose = [row["key"] for row in alive if row["check"]]
    score = killed / max(1, killed + len(alive))
    print(f"score {score:.1%} ({killed} of {killed + len(alive)}); checks that nothing watches: {len(loose)}")
    for key in loose:
        print(f"  {key}")
    return 1 if loose or score < LEAST_SCORE else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
