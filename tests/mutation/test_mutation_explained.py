"""The survivors that docs/mutation.md explains are still there, and mutants are what they claim."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

from tests.mutation.explained import explanations
from tests.mutation.mutants import Mutant, mutants_of

SOURCE = '''
LIMIT = 10

def read(value, names=()):
    """Words that are no code."""
    if not isinstance(value, str) or len(value) > LIMIT:
        raise ValueError("no")
    _check_names(names)
    return value
'''


def made(source: str = SOURCE) -> tuple[ast.Module, list[Mutant]]:
    tree = ast.parse(source)
    return tree, mutants_of("module", tree)


def test_every_explained_survivor_still_names_code_that_is_there():
    named = explanations()
    assert named
    for key in named:
        module = key.partition(" | ")[0]
        file = importlib.import_module(module).__file__
        assert file is not None
        keys = {
            mutant.key for mutant in mutants_of(module, ast.parse(Path(file).read_text(encoding="utf-8")))
        }
        assert key in keys, f"docs/mutation.md explains what is no longer there: {key}"


def test_the_checks_of_a_function_are_found():
    _, mutants = made()
    checks = {(mutant.before, mutant.after) for mutant in mutants if mutant.check}
    assert checks == {
        ("if not isinstance(value, str) or len(value) > LIMIT", "never"),
        ("not isinstance(value, str) or len(value) > LIMIT", "without: not isinstance(value, str)"),
        ("not isinstance(value, str) or len(value) > LIMIT", "without: len(value) > LIMIT"),
        ("not isinstance(value, str)", "isinstance(value, str)"),
        ("len(value) > LIMIT", "with GtE at 0"),
        ("_check_names(names)", "left out"),
    }


def test_every_mutant_is_another_program():
    count, seen = len(made()[1]), {ast.unparse(ast.parse(SOURCE))}
    for number in range(count):
        tree, mutants = made()
        mutants[number].apply()
        text = ast.unparse(ast.fix_missing_locations(tree))
        compile(text, "mutant", "exec")
        assert text not in seen, mutants[number].key
        seen.add(text)
    assert len(seen) == count + 1
