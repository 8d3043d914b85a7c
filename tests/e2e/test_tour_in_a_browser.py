"""The tour in a real browser: narrow and wide, without script, and on paper."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.demo.tour.render import write
from passport_testkit import browser as browsers
from passport_testkit.browser import NARROW, WIDE, Tab
from passport_testkit.tours import small_tour

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("width", [NARROW, WIDE])
async def test_anybody_can_read_the_tour(tmp_path: Path, width: int) -> None:
    reason = browsers.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    page = write(small_tour(), tmp_path)
    async with browsers.chromium() as program:
        tab = await Tab.open(program, width=width)
        tab.page.remove_listener("request", tab._asked)
        await tab.page.goto(page.as_uri())
        assert await tab.violations() == []
        assert await tab.overflow() <= 0
        assert tab.complaints == []
        assert len(await tab.page.pdf()) > 10_000
        await tab.close()
