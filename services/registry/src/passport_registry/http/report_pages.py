"""Reports as pages: the figures, the drawn chart, the same as a table, and what the words mean.

``/reports`` and ``/reports/{name}`` are public where the operator says so, and not there otherwise. The pages
work without script, read aloud in order, and print.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_registry.context import Context
from passport_registry.http import report_forms
from passport_registry.http.serving import context_of
from passport_registry.operations import reports as operations
from passport_registry.operations.reports import Asked
from passport_registry.rules import report_words
from passport_registry.rules.charts import draw
from passport_registry.rules.reports import Chart, Column, Kind, Report, ReportName
from passport_shared.service.pages import Pages, choose_locale
from passport_shared.service.routes import protocol_route

READ = ("GET", "HEAD")
SERIES = ("bar-first", "bar-second", "bar-third")


def page(request: Request, made: Report, *, public: bool) -> Response:
    """A finished report as a page in the reader's language, which is the one it was made in."""
    pages: Pages = request.app.state.pages
    locale = choose_locale(request)

    def cell(row: dict[str, object], column: Column) -> str:
        return report_forms.shown(row.get(column.key), column, locale, pages.say_day)  # type: ignore[arg-type]

    def figure_value(key: str, value: object, kind: Kind) -> str:
        return report_forms.shown(value, Column(key=key, kind=kind), locale, pages.say_day)  # type: ignore[arg-type]

    return pages.render(
        request,
        "report.html",
        report=made,
        public=public,
        title=report_words.say(f"title.{made.name}", locale),
        summary=report_words.say(f"summary.{made.name}", locale),
        day=lambda value: pages.say_day(value, locale),
        heading=lambda column: report_forms.label_of(column, locale),
        numeric=_is_numeric,
        cell=cell,
        total_label=lambda row: report_forms.total_label(row, made.columns, locale),
        figure_label=lambda key: report_words.say(f"figure.{key}", locale),
        figure_value=figure_value,
        definitions=report_forms.definitions(made, locale),
        notes=report_forms.notes(made, locale),
        drawing=draw(made.chart) if made.chart else None,
        legend=_legend(made.chart, locale),
        series=SERIES,
        value=_value_of(made.chart),
        headers={"Vary": "Accept, Accept-Language, Cookie, Authorization"},
    )


def _is_numeric(column: Column) -> bool:
    return column.kind in (Kind.NUMBER, Kind.SECONDS, Kind.MINUTES, Kind.PERCENT)


def _legend(chart: Chart | None, locale: str) -> list[str]:
    if chart is None:
        return []
    return [
        report_words.say(f"column.{name}", locale) if name != "trusts" else _trusts(locale)
        for name in chart.series
    ]


def _trusts(locale: str) -> str:
    return report_words.say("figure.trusts", locale)


def _value_of(chart: Chart | None) -> object:
    seconds = chart is not None and chart.unit is Kind.SECONDS
    return report_forms.duration if seconds else str


def _open_to_all(request: Request) -> Context | None:
    ctx = context_of(request)
    return ctx if ctx.settings.public_reports else None


async def report(request: Request) -> Response:
    """Serve one report to everybody, where that is allowed."""
    ctx = _open_to_all(request)
    name = request.path_params["name"]
    pages: Pages = request.app.state.pages
    if ctx is None or name not in [one.value for one in ReportName]:
        return pages.not_found(request)
    made = await operations.make(ctx, Asked(name=ReportName(name), locale=choose_locale(request)))
    return page(request, made, public=True)


async def index(request: Request) -> Response:
    """List the reports that everybody may read."""
    pages: Pages = request.app.state.pages
    if _open_to_all(request) is None:
        return pages.not_found(request)
    locale = choose_locale(request)
    listed = [
        {
            "path": f"/reports/{name.value}",
            "title": report_words.say(f"title.{name}", locale),
            "summary": report_words.say(f"summary.{name}", locale),
        }
        for name in ReportName
    ]
    return pages.render(request, "reports.html", listed=listed)


def routes() -> list[Route]:
    """Return the routes of the public pages."""
    return [
        protocol_route("/reports", index, methods=READ, name="reports"),
        protocol_route("/reports/{name}", report, methods=READ, name="report"),
    ]
