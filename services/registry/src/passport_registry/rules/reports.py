"""What a report is: a table with its totals, figures and definitions, made from counts (domain.md §10f).

Pure: trusts as the register has them and counts of facts in, tables out; nothing is typed into a report.
Every one says how many facts it counts, how many of them were imported, which days they cover, and what its
words mean. The tables themselves are in ``pilot_reports`` and ``network_reports``; how they look is the HTTP
layer's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import Any

from passport_registry.rules.activity import Count
from passport_shared.wire.activity import EventType, Source

Value = str | int | date | Decimal | bool | None
PERCENTILES = (50, 90)


class ReportName(StrEnum):
    """The reports there are."""

    F1 = "f1"
    F2 = "f2"
    R1 = "r1"
    R2 = "r2"
    R3 = "r3"
    R4 = "r4"
    R5 = "r5"


class Kind(StrEnum):
    """What a column or figure holds; ``CODE`` is a word of ours with a label by language."""

    TEXT = "text"
    CODE = "code"
    NUMBER = "number"
    DAY = "day"
    YES_NO = "yes_no"
    SECONDS = "seconds"
    MINUTES = "minutes"
    PERCENT = "percent"
    MONTH = "month"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; ``label`` is the key of its words, or ``text`` stands in its place (a trust's name)."""

    key: str
    kind: Kind
    label: str = ""
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number beside the table; ``of`` says which part it is of (a trust's name, a code)."""

    key: str
    value: Value
    kind: Kind = Kind.NUMBER
    of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One line of a chart: a name, and a value per series."""

    label: str
    values: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What is drawn of a report; ``series`` are keys of words. The table always says the same."""

    series: tuple[str, ...]
    bars: tuple[Bar, ...]
    unit: Kind = Kind.NUMBER


@dataclass(frozen=True, kw_only=True)
class Note:
    """A sentence below the table, by the key of its words."""

    key: str
    facts: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A finished report.

    ``asked`` are the months it was asked for, ``covers`` the first and last day of the facts in it.
    """

    name: ReportName
    as_at: date
    asked: tuple[str | None, str | None]
    covers: tuple[date, date] | None
    n: int
    live: int
    imported: int
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Value], ...]
    totals: tuple[Mapping[str, Value], ...] = ()
    figures: tuple[Figure, ...] = ()
    definitions: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    chart: Chart | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where an onboarding step of a trust stands; ``passed`` also when it was waived."""

    state: str
    done_on: date | None = None
    passed: bool = False
    method: str | None = None


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What keeps a trust from going on, and who can put it right."""

    code: str
    text: str
    who_can_fix: str


@dataclass(frozen=True, kw_only=True)
class Trust:
    """A trust as a report needs it; ``steps`` by name."""

    ods: str
    name: str
    aliases: tuple[str, ...]
    locality: str
    state: str
    steps: Mapping[str, Step]
    missing: tuple[Missing, ...] = ()
    sandbox: bool = False


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Percentiles of one step at one trust over one channel, by `PERCENTILES`."""

    step: str
    ods: str
    channel: str
    n: int
    seconds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What a document used to take of HR's time, as somebody entered and cites it; ``ods`` may be ``*``."""

    document: str
    ods: str
    minutes: int
    citation: str


@dataclass(frozen=True, kw_only=True)
class Material:
    """Everything a report may be made of, and the language it is made in.

    ``counts`` and ``timings`` hold nothing that other trusts than those in ``trusts`` reported.
    """

    trusts: tuple[Trust, ...]
    counts: tuple[Count, ...]
    as_at: date
    locale: str = "en-GB"
    asked: tuple[str | None, str | None] = (None, None)
    timings: tuple[Timing, ...] = ()
    baselines: tuple[Baseline, ...] = ()

    def of(self, *kinds: EventType) -> list[Count]:
        """The counts of some kinds of facts."""
        return [count for count in self.counts if count.key.kind in kinds]


@lru_cache(maxsize=8)
def data(name: str) -> Any:
    """A file of ``report_data``, read once."""
    folder = resources.files("passport_registry.rules").joinpath("report_data")
    return json.loads(folder.joinpath(f"{name}.json").read_text("utf-8"))


def total(counts: Iterable[Count], source: Source | None = None) -> int:
    """How many facts; only those that came one way, if that is named."""
    return sum(count.n for count in counts if source is None or count.key.source == source)


def grouped(counts: Iterable[Count], by: Callable[[Count], Any]) -> dict[Any, list[Count]]:
    """Counts by something of their keys."""
    found: dict[Any, list[Count]] = {}
    for count in counts:
        found.setdefault(by(count), []).append(count)
    return found


def split(counts: Sequence[Count], name: str) -> dict[str, Value]:
    """A number in its two parts and whole: ``<name>_live``, ``<name>_imported`` and ``<name>``."""
    live, imported = total(counts, Source.LIVE), total(counts, Source.IMPORTED)
    return {f"{name}_live": live, f"{name}_imported": imported, name: live + imported}


def split_columns(name: str) -> tuple[Column, ...]:
    """The columns of `split`, the whole first."""
    names = (name, f"{name}_live", f"{name}_imported")
    return tuple(Column(key=key, kind=Kind.NUMBER, label=f"column.{key}") for key in names)


def column(key: str, kind: Kind) -> Column:
    """A column with the words of its key."""
    return Column(key=key, kind=kind, label=f"column.{key}")


def covered(counts: Iterable[Count]) -> tuple[date, date] | None:
    """The first and the last day of facts; None without any."""
    some = list(counts)
    if not some:
        return None
    return min(count.first_day for count in some), max(count.last_day for count in some)


def report(material: Material, name: ReportName, used: Sequence[Count], **parts: Any) -> Report:
    """A report that counts the facts in ``used``."""
    return Report(
        name=name,
        as_at=material.as_at,
        asked=material.asked,
        covers=covered(used),
        n=total(used),
        live=total(used, Source.LIVE),
        imported=total(used, Source.IMPORTED),
        **parts,
    )


def percent(part: int, whole: int) -> Decimal | None:
    """A share in percent with one decimal, half up; None of nothing."""
    if whole == 0:
        return None
    return (Decimal(part) * 100 / Decimal(whole)).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)


def printed_name(trust: Trust, name: ReportName) -> str:
    """A trust's name as this report has printed it before, if it is one of the trust's; else its name."""
    printed = data("printed").get(name.value, {}).get("trusts", [])
    return next((text for text in (*trust.aliases, trust.name) if text in printed), trust.name)


def in_printed_order(trusts: Iterable[Trust]) -> list[Trust]:
    """Trusts in the order of the pilot's table, then by locality and name."""
    printed: list[str] = data("printed")["f1"]["trusts"]

    def place(trust: Trust) -> tuple[int, str, str, str]:
        name = printed_name(trust, ReportName.F1)
        known = printed.index(name) if name in printed else len(printed)
        return known, trust.locality.casefold(), trust.name.casefold(), trust.ods

    return sorted(trusts, key=place)
