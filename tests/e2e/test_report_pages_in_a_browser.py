"""The pages of reports in a real browser: seen, heard, printed, on a phone and without script.

The application answers the browser in this process: no port is opened, nothing else can be reached.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from passport_registry.app import Parts, build
from passport_registry.operations import activity
from passport_registry.rules.reports import ReportName
from passport_registry.store.activity import Provenance
from passport_testkit import browser as browsers
from passport_testkit.apps import client_of
from passport_testkit.browser import NARROW, WIDE, Tab
from passport_testkit.databases import SQLITE, FreshDatabases
from passport_testkit.pilot_activity import imported, live
from passport_testkit.registries import PUBLIC_URL, join_pilot, registry_bench, registry_settings

pytestmark = pytest.mark.e2e
READERS = [("en-GB", NARROW), ("cy", WIDE)]


@pytest.fixture
def dialect() -> str:
    """Pages do not depend on the database."""
    return SQLITE


@pytest.fixture
async def served(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[object]:
    """A registry with the pilot in it, whose reports everybody may read."""
    url = await databases.url("passport_registry")
    async with registry_bench(url, tmp_path) as bench:
        await join_pilot(bench)
        async with bench.ctx.db.write() as conn:
            made = Provenance(client="issuer", received_at=bench.clock.now())
            events = [*imported(), *live()]
            await activity._add(conn, events, made, [None] * len(events))
    app = build(
        registry_settings(url, tmp_path, public_reports=True), Parts(clock=bench.clock, background=False)
    )
    async with client_of(app, base_url=PUBLIC_URL) as http:
        yield http


@pytest.fixture
async def chromium():
    reason = browsers.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    async with browsers.chromium() as program:
        yield program


async def open_tab(chromium, served, *, locale: str, width: int, script: bool = True) -> Tab:
    tab = await Tab.open(chromium, width=width, locale=locale, script=script)

    async def answer(route) -> None:
        parts = urlsplit(route.request.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        found = await served.get(path, headers=await route.request.all_headers())
        headers = {name: value for name, value in found.headers.items() if name != "content-length"}
        await route.fulfill(status=found.status_code, headers=headers, body=found.content)

    await tab.page.route("https://localhost/**", answer)
    return tab


@pytest.mark.parametrize(("locale", "width"), READERS)
async def test_every_report_can_be_read_by_everybody(chromium, served, locale: str, width: int):
    tab = await open_tab(chromium, served, locale=locale, width=width)
    for path in ("/reports", *(f"/reports/{name}" for name in ReportName)):
        assert await tab.visit(f"https://localhost{path}") == 200
        assert await tab.violations() == [], path
        assert await tab.overflow() <= 0, path
        assert await tab.page.locator("h1").count() == 1
        assert await tab.page.locator("html").get_attribute("lang") == ("cy" if locale == "cy" else "en")
    assert tab.complaints == []
    await tab.close()


async def test_a_report_says_its_chart_in_words_and_prints_whole(chromium, served):
    tab = await open_tab(chromium, served, locale="en-GB", width=WIDE, script=False)
    assert await tab.visit("https://localhost/reports/f1") == 200
    chart = tab.page.get_by_role("img")
    assert await chart.count() == 1
    text = await tab.text()
    assert "n = 78: 18 live, 60 imported" in text
    assert "Wigan, Wrightington and Leigh NHS Foundation Trust" in text
    await tab.page.emulate_media(media="print")
    assert len(await tab.page.pdf()) > 10_000
    assert await tab.overflow() <= 0
    assert tab.complaints == []
    await tab.close()
