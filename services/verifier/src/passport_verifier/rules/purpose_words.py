"""The purpose of a movement's request: host, days and duties, so that sharing is agreeing (G-D). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib import resources

from passport_verifier.rules import wording

MAX_DUTIES_CHARS = 160
_END = " .,;:"


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Mapping[str, str]]:
    text = resources.files(__package__).joinpath("words_data", "purpose.json").read_text("utf-8")
    data: Mapping[str, Mapping[str, str]] = json.loads(text)
    return data


def duties_summary(duties: str) -> str:
    """The duties in one line, cut between words where they are long."""
    line = " ".join(duties.split())
    if len(line) <= MAX_DUTIES_CHARS:
        return line.rstrip(_END)
    cut = line[: MAX_DUTIES_CHARS - 1]
    at_word = cut.rsplit(" ", 1)[0] if " " in cut else cut
    return at_word.rstrip(_END) + "…"


def for_move(purpose: str, *, first: date, last: date, duties: str, locale: str) -> str:
    """The policy's purpose (which names the host) with days and duties."""
    return _data()["day" if first == last else "days"][locale].format(
        purpose=purpose,
        first=wording.day(first, locale),
        last=wording.day(last, locale),
        duties=duties,
    )
