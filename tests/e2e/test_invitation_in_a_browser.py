"""The pages of an invitation and the development outbox in a real browser: seen, heard, opened once."""

from __future__ import annotations

import os
import re

import pytest

from passport_testkit import browser as browsers
from passport_testkit.browser import NARROW, WIDE, Tab

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

TRUST = "/api/v1/organisations/RBV"
ACTOR = {"actor": "hr-1"}
PERSON = {
    "legal_given": "Siân",
    "legal_family": "Ystrad",
    "birthdate": "1990-02-03",
    "work_email": "sian@trust.invalid",
}
PERSONAL = ("Siân", "Ystrad", "1990", "sian@")
# domain model §10h: what no page says to staff
NEVER = re.compile(
    r"consent|revoke|issuer|verifier|relying party|trust anchor|credential|claim|attribute|disclose",
    re.IGNORECASE,
)


@pytest.fixture
async def chromium():
    reason = browsers.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    async with browsers.chromium() as program:
        yield program


async def check(tab: Tab, locale: str) -> str:
    """What every page must have; its text."""
    where = tab.page.url
    assert await tab.violations() == [], where
    assert await tab.overflow() <= 0, where
    assert await tab.page.locator("html").get_attribute("lang") == {"en-GB": "en", "cy": "cy"}[locale]
    assert await tab.page.locator("h1").count() == 1, where
    assert await tab.page.inner_text("h1") in await tab.page.title(), where
    text = await tab.text()
    assert NEVER.search(text) is None, (where, NEVER.search(text))
    assert tab.complaints == [], where
    return text


@pytest.mark.parametrize(("locale", "width"), [("en-GB", NARROW), ("cy", WIDE)])
async def test_an_invitation_is_opened_once_and_says_what_comes_next(network, chromium, locale, width):
    def post(path, body):
        return network.operator.post(network.url("issuer"), f"{TRUST}{path}", body)

    staff_id = post("/staff", PERSON)["id"]
    made = post(f"/staff/{staff_id}/invitations", {"channel": "PRINT", **ACTOR})
    tab = await Tab.open(chromium, locale=locale, width=width, script=False)
    assert await tab.visit(made["link"]) == 200
    await tab.close()

    tab = await Tab.open(chromium, locale=locale, width=width)
    assert await tab.visit(made["link"]) == 200
    text = await check(tab, locale)
    assert not [detail for detail in PERSONAL if detail in text]
    await tab.page.click("form button")
    await tab.page.wait_for_load_state()
    await check(tab, locale)
    assert await tab.page.locator("#appointment").count() == 1

    appointment = {"channel": "VIDEO", "scheduled_for": "2199-05-03T09:00:00Z", **ACTOR}
    post(
        f"/staff/{staff_id}/identity-sessions",
        {**appointment, "join_url": "https://video.invalid/room"},
    )
    assert await tab.visit(made["link"]) == 200
    text = await check(tab, locale)
    assert "2199" in text
    assert await tab.page.get_attribute("section a.button", "href") == "https://video.invalid/room"

    other = await Tab.open(chromium, locale=locale, width=width)
    assert await other.visit(made["link"]) == 403
    assert "2199" not in await check(other, locale)
    await other.close()

    assert await tab.visit(f"{network.url('issuer')}/notices") == 200
    await tab.page.wait_for_function(
        "async () => (await (await fetch(location.href)).text()).includes('2199')", polling=500
    )
    assert await tab.visit(f"{network.url('issuer')}/notices") == 200
    # what was sent is shown as it was sent: with the first name, in the reader's own language
    assert "sian@trust.invalid" in await check(tab, locale)
    await tab.close()
