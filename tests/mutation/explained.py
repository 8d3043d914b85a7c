"""The surviving mutants that ``docs/mutation.md`` explains: rows of its tables, by the key of the mutant."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mutation.md"
_ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| `(.+?)` \| `(.+?)` \| (.+?) \|$", re.MULTILINE)


def explanations() -> dict[str, str]:
    """Why each explained survivor is no gap, by its key."""
    if not PAGE.is_file():
        return {}
    rows = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {f"{module} | {place} | {before} | {after}": why for module, place, before, after, why in rows}
