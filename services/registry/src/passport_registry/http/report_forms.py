"""A report as JSON and as CSV, and single values as people read them.

CSV is RFC 4180. F1 and F2 come as they were printed, with their headings and dates, and no column more;
``layout=full`` gives every column with live and imported apart, as every other report has them. A text that a
spreadsheet would take for a formula is made a text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from passport_registry.rules import report_words
from passport_registry.rules.pilot_reports import printed_columns
from passport_registry.rules.report_words import ENGLISH
from passport_registry.rules.reports import Column, Kind, Report, Value

CSV_MEDIA_TYPE = "text/csv"
CODES = {"state": "state", "step": "step", "document": "document"}
"""What the codes of a column are codes of."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Layout(StrEnum):
    """Which columns a CSV has."""

    PRINTED = "printed"
    FULL = "full"


class ReportModel(BaseModel):
    """Base of the JSON form."""

    model_config = ConfigDict(extra="forbid")


Cell = str | int | float | bool | None


class PeriodView(ReportModel):
    """The months a report was asked for, and the first and last day of the facts in it."""

    asked_from: str | None = Field(examples=["2026-01"])
    asked_to: str | None
    first_day: date | None
    last_day: date | None


class ColumnView(ReportModel):
    """A column of the table."""

    key: str
    label: str
    kind: Kind


class FigureView(ReportModel):
    """A number beside the table; `of` names the part it is of."""

    key: str
    label: str
    value: Cell
    kind: Kind
    of: str | None


class ReportView(ReportModel):
    """A report with everything it says about itself."""

    name: str
    title: str
    as_at: date
    period: PeriodView
    n: int = Field(description="How many facts it counts.")
    live: int = Field(description="Of these, seen to happen by this network's services.")
    imported: int = Field(description="Of these, typed in from what was counted elsewhere before.")
    columns: list[ColumnView]
    rows: list[dict[str, Cell]]
    totals: list[dict[str, Cell]]
    figures: list[FigureView]
    definitions: list[str]
    notes: list[str]


def label_of(column: Column, locale: str = ENGLISH) -> str:
    """A column's heading."""
    return column.text if column.text is not None else report_words.say(column.label, locale)


def definitions(report: Report, locale: str = ENGLISH) -> list[str]:
    """What the report's words mean."""
    return [report_words.say(f"definition.{key}", locale) for key in report.definitions]


def notes(report: Report, locale: str = ENGLISH) -> list[str]:
    """The sentences below the table."""
    return [report_words.say(f"note.{note.key}", locale, **note.facts) for note in report.notes]


def view(report: Report) -> ReportView:
    """The report's JSON form, in English."""
    first, last = report.covers or (None, None)
    return ReportView(
        name=report.name.value,
        title=report_words.say(f"title.{report.name}"),
        as_at=report.as_at,
        period=PeriodView(
            asked_from=report.asked[0], asked_to=report.asked[1], first_day=first, last_day=last
        ),
        n=report.n,
        live=report.live,
        imported=report.imported,
        columns=[ColumnView(key=one.key, label=label_of(one), kind=one.kind) for one in report.columns],
        rows=[_plain(row) for row in report.rows],
        totals=[_plain(row) for row in report.totals],
        figures=[
            FigureView(
                key=figure.key,
                label=report_words.say(f"figure.{figure.key}"),
                value=_cell(figure.value),
                kind=figure.kind,
                of=figure.of,
            )
            for figure in report.figures
        ],
        definitions=definitions(report),
        notes=notes(report),
    )


def _plain(row: Mapping[str, Value]) -> dict[str, Cell]:
    return {key: _cell(value) for key, value in row.items()}


def _cell(value: Value) -> Cell:
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def as_csv(report: Report, layout: Layout) -> bytes:
    """The report's CSV form, in English, with a heading line; UTF-8."""
    printed = printed_columns(report) if layout is Layout.PRINTED else None
    if printed is not None:
        return _lines(
            [heading for _, heading in printed],
            ([_printed(row.get(column.key), column) for column, _ in printed] for row in report.rows),
        )
    lines = [[_text(row.get(column.key), column) for column in report.columns] for row in report.rows]
    lines += [_total(row, report.columns) for row in report.totals]
    return _lines([label_of(column) for column in report.columns], lines)


def _lines(heading: Sequence[str], lines: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_harmless(cell) for cell in heading])
    writer.writerows(lines)
    return text.getvalue().encode("utf-8")


def _total(row: Mapping[str, Value], columns: Sequence[Column]) -> list[Any]:
    cells = [_text(row.get(column.key), column) for column in columns]
    cells[0] = total_label(row, columns)
    return cells


def total_label(row: Mapping[str, Value], columns: Sequence[Column], locale: str = ENGLISH) -> str:
    """What a line of totals is called: the total, of a part if it is of one."""
    part = row.get(columns[0].key)
    total = report_words.say("word.total", locale)
    return f"{total}: {part}" if part else total


def _printed(value: Value, column: Column) -> Any:
    if isinstance(value, date):
        return f"{value:%d/%m/%Y}"
    return _text(value, column)


def _text(value: Value, column: Column) -> Any:
    """A value as CSV holds it: numbers as digits, days as ISO 8601, everything else as harmless text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return report_words.say("word.yes" if value else "word.no")
    if isinstance(value, int | Decimal):
        return value
    if isinstance(value, date):
        return value.isoformat()
    return _harmless(report_words.code(CODES[column.key], value) if column.kind is Kind.CODE else value)


def _harmless(text: str) -> str:
    """The text, kept from being calculated by whatever opens the file."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def shown(
    value: Value, column: Column, locale: str, say_day: Callable[[date, str], str], *, key: str | None = None
) -> str:
    """A value as a page shows it, in the reader's language."""
    if value is None or value == "":
        return report_words.say("word.none", locale)
    if isinstance(value, bool):
        return report_words.say("word.yes" if value else "word.no", locale)
    if isinstance(value, date):
        return say_day(value, locale)
    if column.kind is Kind.SECONDS and isinstance(value, int):
        return duration(value)
    if column.kind is Kind.PERCENT:
        return f"{value} %"
    if column.kind is Kind.CODE and isinstance(value, str):
        return report_words.code(CODES[key or column.key], value, locale)
    return str(value)


def duration(seconds: int) -> str:
    """Seconds as people read them: 40 s, 2 min 50 s, 3 h 5 min."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
