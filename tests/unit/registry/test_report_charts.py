"""Bars in proportion, labels in order, nothing outside the drawing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from passport_registry.http.report_forms import duration
from passport_registry.rules.charts import MAX_BARS, VALUE, WIDTH, draw
from passport_registry.rules.reports import Bar, Chart


@given(
    groups=st.lists(st.lists(st.integers(0, 10**12), min_size=2, max_size=2), max_size=80),
)
def test_every_bar_is_inside_and_in_proportion(groups: list[list[int]]):
    chart = Chart(
        series=("issued", "verified"),
        bars=tuple(Bar(label=str(place), values=tuple(values)) for place, values in enumerate(groups)),
    )
    drawing = draw(chart)
    most = max((value for group in groups[:MAX_BARS] for value in group), default=0)
    for bar in drawing.bars:
        assert bar.width == ((WIDTH - VALUE) * bar.value // most if most else 0)
        assert bar.y + bar.height <= drawing.height
        assert bar.right <= WIDTH
    assert len(drawing.labels) + drawing.left_out == len(groups)
    assert [label.y for label in drawing.labels] == sorted(label.y for label in drawing.labels)


def test_durations_are_said_as_people_read_them():
    assert [duration(seconds) for seconds in (0, 59, 60, 170, 3_600, 11_100)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "2 min 50 s",
        "1 h 0 min",
        "3 h 5 min",
    ]
