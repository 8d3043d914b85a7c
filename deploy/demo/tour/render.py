"""The tour as one HTML file: no script, nothing fetched, readable aloud and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deploy.demo.tour.record import MEASURED, Span, Tour

FOLDER = Path(__file__).parent
BAR_WIDTH = 600


def render(tour: Tour) -> str:
    """The page's HTML."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    environment.globals["bar"] = bar
    style = Markup((FOLDER / "tour.css").read_text("utf-8"))  # noqa: S704 - our own file
    return environment.get_template("tour.html").render(tour=tour, style=style, words=OUTCOME_WORDS)


OUTCOME_WORDS = {
    "READY": "ready to start",
    "READY_WITH_CONDITIONS": "ready to start, with conditions",
    "REFER": "needs a decision",
    "NOT_READY": "not ready yet",
}


def write(tour: Tour, folder: Path) -> Path:
    """Write `index.html` into a folder; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(render(tour), "utf-8")
    return page


def duration(seconds: float) -> str:
    """A duration for people: `0.2 s`, `14 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{max(seconds, 0.01):.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def bar(spans: Sequence[Span], title: str) -> Markup:
    """The spans side by side as a drawing; the table beside it says the same in words."""
    total = sum(span.seconds for span in spans) or 1.0
    x, parts = 0.0, []
    for span in spans:
        # Even what takes no time can be seen; the table has the figures.
        width = max(2.0, span.seconds / total * BAR_WIDTH)
        kind = "measured" if span.kind == MEASURED else "simulated"
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="0" width="{width:.1f}" height="24"></rect>')
        x += width
    label = Markup.escape(title)
    drawing = "".join(parts)
    return Markup(  # noqa: S704 - numbers and an escaped title
        f'<svg class="bar" viewBox="0 0 {x:.0f} 24" role="img" aria-label="{label}" '
        'preserveAspectRatio="none">'
        f"{drawing}</svg>"
    )
