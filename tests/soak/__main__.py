"""`python -m tests.soak [PART [options]]`: run one part, or every part one after the other.

A part is a module of this folder with ``main(arguments) -> int``: 0 where everything it promises held. What
each part does is the first line of its docstring; without a part all of them run with their own defaults.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "support"))


def parts() -> list[str]:
    """The names of the parts: modules that define ``main`` and are not the dispatcher."""
    files = (file for file in FOLDER.glob("*.py") if not file.stem.startswith("_"))
    return sorted(file.stem for file in files if "\ndef main(" in file.read_text(encoding="utf-8"))


def main(arguments: list[str]) -> int:
    """Run what the command line names; the answer is the exit status."""
    if not arguments:
        failed = [part for part in parts() if run(part, [])]
        print("every part held" if not failed else f"did not hold: {', '.join(failed)}")
        return 1 if failed else 0
    part, *rest = arguments
    if part not in parts():
        print("usage: python -m tests.soak [PART [options]]\n\nparts:")
        for name in parts():
            told = (FOLDER / f"{name}.py").read_text(encoding="utf-8").partition("\n")[0].strip('"')
            print(f"  {name:14} {told}")
        return 0 if part in ("-h", "--help") else 2
    return run(part, rest)


def run(part: str, arguments: list[str]) -> int:
    """Run one part by name."""
    print(f"== {part}", flush=True)
    status: int = importlib.import_module(f"tests.soak.{part}").main(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
