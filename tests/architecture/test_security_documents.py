"""The threat model and the ASVS table are held to the tests they name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("asvs.md", "threat-model.md")
REFERENCE = re.compile(r"`(tests/[\w./-]+?)(?:::([\w:]+))?`")
V10_ROWS = {
    *(f"10.1.{n}" for n in range(1, 3)),
    *(f"10.2.{n}" for n in range(1, 4)),
    *(f"10.3.{n}" for n in range(1, 6)),
    *(f"10.4.{n}" for n in range(1, 17)),
    *(f"10.5.{n}" for n in range(1, 6)),
    *(f"10.6.{n}" for n in range(1, 3)),
    *(f"10.7.{n}" for n in range(1, 4)),
}
V9_ROWS = {*(f"9.1.{n}" for n in range(1, 4)), *(f"9.2.{n}" for n in range(1, 5))}


@cache
def names_in(path: Path) -> frozenset[str]:
    """The tests of a file, methods as Class::method."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{inner.name}" for inner in node.body if hasattr(inner, "name")}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
    return frozenset(found)


def rows(document: str) -> list[list[str]]:
    lines = (ROOT / "docs" / document).read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if not set(row[0]) <= {"-", " "} and row[0] not in {"row", "id"}]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_it_names_exists(document: str) -> None:
    references = REFERENCE.findall((ROOT / "docs" / document).read_text())
    assert references
    missing = [
        f"{path}::{name}" if name else path
        for path, name in references
        # A folder or a whole file proves whatever one likes: a row names the test that fails.
        if not path.endswith(".py") or not (ROOT / path).exists() or name not in names_in(ROOT / path)
    ]
    assert missing == []


def test_what_is_called_met_names_its_proof() -> None:
    for row, _level, _asks, state, proof in rows("asvs.md"):
        assert state.startswith(("met", "in part", "not met", "not applicable", "the operator's")), row
        if state.startswith("met"):
            assert REFERENCE.search(proof), f"{row} is called met without a proof"


def test_the_two_chapters_on_tokens_are_whole() -> None:
    listed: set[str] = set()
    for row, *_ in rows("asvs.md"):
        for part in row.split(", "):
            first, _, last = part.partition("–")
            stem, _, start = first.rpartition(".")
            end = int(last.rpartition(".")[2]) if last else int(start)
            listed |= {f"{stem}.{n}" for n in range(int(start), end + 1)}
    assert listed >= V9_ROWS | V10_ROWS
