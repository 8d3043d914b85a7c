"""The geometry of a bar chart: from a report's chart to rectangles and texts, in whole pixels.

Horizontal bars, one group per line, one bar per series, with its value beside it: nothing depends on colour
alone, and the table below says the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from passport_registry.rules.reports import Chart

WIDTH = 720
BAR, GAP, LABEL, TOP = 18, 14, 22, 8
VALUE = 90
"""Room for a value to the right of the longest bar."""
MAX_BARS = 60
"""Groups that are drawn; a longer table is still whole."""


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """One bar; ``series`` is its number, ``value`` what stands beside it."""

    x: int
    y: int
    width: int
    height: int
    series: int
    value: int

    @property
    def middle(self) -> int:
        """The baseline of the text beside it."""
        return self.y + self.height - 4

    @property
    def right(self) -> int:
        """Where the text beside it begins."""
        return self.x + self.width + 6


@dataclass(frozen=True, kw_only=True)
class Label:
    """The name of one group."""

    x: int
    y: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A chart ready to be written down; ``left_out`` groups are in the table only."""

    width: int
    height: int
    labels: tuple[Label, ...]
    bars: tuple[Rectangle, ...]
    left_out: int


def draw(chart: Chart) -> Drawing:
    """Lay a chart out; the longest bar takes the whole width that values leave."""
    shown = chart.bars[:MAX_BARS]
    most = max((value for bar in shown for value in bar.values), default=0)
    labels, bars = [], []
    y = TOP
    for bar in shown:
        labels.append(Label(x=0, y=y + LABEL - 6, text=bar.label))
        y += LABEL
        for series, value in enumerate(bar.values):
            width = (WIDTH - VALUE) * value // most if most else 0
            bars.append(Rectangle(x=0, y=y, width=width, height=BAR, series=series, value=value))
            y += BAR + 2
        y += GAP
    return Drawing(
        width=WIDTH,
        height=max(y, TOP + BAR),
        labels=tuple(labels),
        bars=tuple(bars),
        left_out=len(chart.bars) - len(shown),
    )
