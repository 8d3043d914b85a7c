"""What callers were told, written down by the callers: append-only, on disk before it is believed.

The checker compares it with what the services say after the last crash. It holds no secret of a service:
only what a wallet or an HR system got as an answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fact:
    """One thing that was acknowledged (or tried, where the kind says so)."""

    kind: str
    at: float
    said: dict[str, Any]


@dataclass
class Ledger:
    """Facts in the order in which they were told."""

    file: Path
    facts: list[Fact] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, **said: Any) -> None:
        """Write a fact down."""
        fact = Fact(kind, time.monotonic(), said)
        line = json.dumps({"kind": kind, "at": round(fact.at, 3), **said})
        with self._lock, self.file.open("a", encoding="utf-8") as out:
            out.write(f"{line}\n")
            self.facts.append(fact)

    def of(self, *kinds: str) -> list[Fact]:
        """The facts of some kinds."""
        return [fact for fact in list(self.facts) if fact.kind in kinds]

    def counts(self) -> Counter[str]:
        """How many of each kind."""
        return Counter(fact.kind for fact in list(self.facts))
