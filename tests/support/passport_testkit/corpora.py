"""The public test vectors beside the repository, and what could not run for want of them.

They are read where they lie (`<repository>/../shared/corpora`), never copied. Where they are absent the
tests that need them skip, and `NOT_RUN` holds what was skipped, so that a run can say what it did not prove.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED = REPOSITORY.parent / "shared"
CORPORA = SHARED / "corpora"

NOT_RUN: list[str] = []


def path(name: str) -> Path:
    """Return the file or folder `name` of the corpora; skip the calling test (or module) where absent."""
    found = CORPORA / name
    if not found.exists():
        reason = f"test vectors {name} are not beside the repository"
        if reason not in NOT_RUN:
            NOT_RUN.append(reason)
        pytest.skip(reason, allow_module_level=True)
    return found


def load_json(name: str) -> Any:
    """Return the parsed file `name` of the corpora, or skip."""
    return json.loads(path(name).read_text(encoding="utf-8"))


def files(folder: str, pattern: str = "*") -> list[Path]:
    """Return the files of a folder of the corpora in a fixed order; empty (and noted) where absent."""
    found = CORPORA / folder
    if not found.is_dir():
        reason = f"test vectors {folder} are not beside the repository"
        if reason not in NOT_RUN:
            NOT_RUN.append(reason)
        return []
    return sorted(item for item in found.rglob(pattern) if item.is_file())
