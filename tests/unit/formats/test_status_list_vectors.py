"""Long status lists of our making, packed by other code than the product's."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from passport_shared.formats.status_list import StatusList

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
FILES = sorted((VECTORS / "status_list").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_the_generator_makes_the_same_lists_again() -> None:
    specification = importlib.util.spec_from_file_location("generator", VECTORS / "generate_status_list.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    made = module.vectors()
    assert sorted(made) == [path.name for path in FILES]
    for path in FILES:
        held = load(path)
        for name in ("size", "sha256_of_packed", "entries"):
            assert held[name] == made[path.name][name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_list_decodes_to_its_entries(path: Path) -> None:
    vector = load(path)
    bits = vector["status_list"]["bits"]
    decoded = StatusList.decode(vector["status_list"]["lst"], bits)
    assert len(decoded) == vector["size"]
    assert hashlib.sha256(decoded.packed).hexdigest() == vector["sha256_of_packed"]
    for idx, status in vector["entries"].items():
        assert decoded.get(int(idx)) == status


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_setting_the_entries_makes_the_list(path: Path) -> None:
    vector = load(path)
    bits = vector["status_list"]["bits"]
    made = StatusList(bits, vector["size"])
    for idx, status in vector["entries"].items():
        made.set(int(idx), status)
    assert made == StatusList.decode(vector["status_list"]["lst"], bits)
    assert StatusList.decode(made.encode(), bits) == made
