"""How much is tried of what could be: a sample at every change, everything in `make soak P=interfaces`."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from typing import TypeVar

THOROUGH = bool(os.environ.get("PASSPORT_TEST_THOROUGH"))
ONE_IN = 4
T = TypeVar("T")


def sample(everything: Sequence[T], who: object) -> Sequence[T]:
    """One in four, another four for each `who`: all of them together meet everything."""
    return everything if THOROUGH else everything[_number(who) % ONE_IN :: ONE_IN]


def in_sample(who: object) -> bool:
    """Whether this one is the one in four."""
    return THOROUGH or _number(who) % ONE_IN == 0


def _number(who: object) -> int:
    return zlib.crc32(str(who).encode())
