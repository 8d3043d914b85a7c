"""Every page people read, in a real browser: seen, heard, typed at, printed, and left without script."""

from __future__ import annotations

import io
import os
import re

import pytest

from deploy.demo.story import Story
from deploy.demo.trusts import CHRISTIE, MANCHESTER
from passport_testkit import browser as browsers
from passport_testkit.browser import NARROW, WIDE, Tab
from passport_testkit.by_hand import issuing, moving, people

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

READERS = [("en-GB", NARROW), ("cy", WIDE)]
LANGUAGES = {"en-GB": "en", "cy": "cy"}
# domain model §10h: what no page says to staff
NEVER = re.compile(
    r"consent|revoke|issuer|verifier|relying party|trust anchor|credential|claim|attribute|disclose"
    r"|openid|://|\b(vc|sd-jwt|dcql|jwt)\b",
    re.IGNORECASE,
)
PERSONAL = (people.SURGEON.family, people.SURGEON.given, people.SURGEON.gmc_number, "1981")


@pytest.fixture
async def chromium():
    reason = browsers.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    async with browsers.chromium() as program:
        yield program


@pytest.fixture(scope="module")
def staff_id(network):
    return issuing.record(network.stack, network.operator, people.SURGEON)


@pytest.fixture
def offered(network, staff_id):
    return lambda: issuing.offer(network.stack, network.operator, staff_id)


@pytest.fixture(scope="module")
def holder(network):
    return issuing.collect(Story(), network.stack, network.operator, people.OTHER, "browser")


async def ask(network, flow):
    body = {"movement_id": moving.movement(network.stack, network.operator), "flow": flow, "actor": "hr-1"}
    made = network.operator.post(network.url("verifier"), f"{moving.BASE}/presentation-requests", body)
    return made, made["links"]["page"]


def wrong(pin: str) -> str:
    return f"{(int(pin) + 1) % 10**6:06d}"


async def check(tab: Tab, locale: str) -> str:
    """What every page must have; its text."""
    where = tab.page.url
    assert await tab.violations() == [], where
    assert await tab.overflow() <= 0, where
    assert await tab.page.locator("html").get_attribute("lang") == LANGUAGES[locale], where
    assert await tab.page.locator("h1").count() == 1, where
    heading = await tab.page.inner_text("h1")
    assert heading in await tab.page.title(), where
    text = await tab.text()
    assert NEVER.search(text) is None, (where, NEVER.search(text))
    assert tab.complaints == [], where
    return text


async def press(tab: Tab, selector: str) -> None:
    await tab.page.click(selector)
    await tab.page.wait_for_load_state()


async def scanned(tab: Tab) -> list[str]:
    """What a phone's camera reads off the screen."""
    import zxingcpp
    from PIL import Image

    picture = Image.open(io.BytesIO(await tab.page.screenshot(full_page=True)))
    return [found.text for found in zxingcpp.read_barcodes(picture)]


PIN_FORM = "form:has(#pin) button"
RIGHT = "form:has(input[value=right]) button"
WRONG = "#wrong button"


@pytest.mark.parametrize(("locale", "width"), READERS)
async def test_collecting_a_passport_after_looking_at_it(network, chromium, offered, locale, width):
    offer = offered()
    tab = await Tab.open(chromium, locale=locale, width=width)
    assert await tab.visit(offer["page_url"]) == 200
    text = await check(tab, locale)
    assert CHRISTIE.name in text
    assert not [detail for detail in PERSONAL if detail in await tab.page.content()]
    assert await scanned(tab) == [offer["credential_offer_uri"]]
    assert await tab.page.get_attribute("section a.button", "href") == offer["credential_offer_uri"]

    for pin in ("12", wrong(offer["tx_code"])):
        await tab.page.fill("#pin", pin)
        await press(tab, PIN_FORM)
        await check(tab, locale)
        assert (await tab.page.title()).startswith(("Error:", "Gwall:"))
        assert await tab.page.evaluate("document.activeElement.className") == "error-summary"
    assert "4" in await tab.page.inner_text("#pin-hint")

    await tab.page.fill("#pin", f"{offer['tx_code'][:3]} {offer['tx_code'][3:]}")
    await press(tab, PIN_FORM)
    text = await check(tab, locale)
    assert people.SURGEON.family in text
    assert re.search(r"\d{4}-\d{2}-\d{2}|[A-Z]_[A-Z]", text) is None

    await tab.page.click("#wrong > summary")
    await press(tab, WRONG)
    await check(tab, locale)
    await press(tab, RIGHT)
    await check(tab, locale)
    path = f"/api/v1/organisations/{CHRISTIE.ods}/offers/{offer['id']}"
    assert network.operator.get(network.url("issuer"), path)["reviewed"] is True

    # going back asks the service again: what was shown is not kept by the browser
    await tab.visit(f"{network.url('registry')}/register")
    network.operator.post(network.url("issuer"), f"{path}/withdraw", {"actor": "hr-1"})
    await tab.page.go_back()
    assert people.SURGEON.family not in await tab.page.content()
    await check(tab, locale)


@pytest.mark.parametrize("reason", ["WRONG_DETAIL", "NOT_MINE", "DO_NOT_WISH"])
async def test_sending_it_back_without_script(network, chromium, offered, reason):
    offer = offered()
    tab = await Tab.open(chromium, script=False)
    await tab.visit(offer["page_url"])
    await tab.page.fill("#pin", offer["tx_code"])
    await press(tab, PIN_FORM)
    await tab.page.click("#wrong > summary")
    await tab.page.check(f"#reason-{reason}")
    await press(tab, WRONG)
    assert "You sent this passport back" in await tab.page.inner_text("h1")
    path = f"/api/v1/organisations/{CHRISTIE.ods}/offers/{offer['id']}"
    shown = network.operator.get(network.url("issuer"), path)
    assert (shown["state"], shown["reason"]) == ("REJECTED_BY_HOLDER", reason)
    assert tab.complaints == []


async def test_five_wrong_pins_end_an_offer(chromium, offered):
    offer = offered()
    tab = await Tab.open(chromium)
    await tab.visit(offer["page_url"])
    for _ in range(5):
        await tab.page.fill("#pin", wrong(offer["tx_code"]))
        await press(tab, PIN_FORM)
    assert "Too many wrong PINs" in await check(tab, "en-GB")
    assert await tab.page.locator("#pin, .qr, a.button").count() == 0


async def test_everything_can_be_reached_and_seen_by_keyboard(chromium, offered):
    offer = offered()
    tab = await Tab.open(chromium)
    await tab.visit(offer["page_url"])

    async def walk(stop: str) -> list[str]:
        names = []
        for _ in range(60):
            await tab.page.keyboard.press("Tab")
            at = await tab.focused()
            assert at["visible"], at
            names.append(at["name"].strip())
            if names[-1] == stop:
                return names
        raise AssertionError(names)

    assert (await walk("Your PIN"))[:2] == ["Skip to main content", "Cymraeg"]
    await tab.page.keyboard.type(offer["tx_code"])
    await tab.page.keyboard.press("Enter")
    await tab.page.wait_for_selector("#contents")
    await walk("This is right")
    await walk("Something is wrong")
    await tab.page.keyboard.press("Enter")
    await walk("A detail is wrong")
    await tab.page.keyboard.press("ArrowDown")
    assert (await tab.focused())["name"] == "This is not about me"
    await walk("Send it back to my trust")
    await tab.page.keyboard.press("Enter")
    await tab.page.wait_for_selector("h1:has-text('You sent this passport back')")


async def test_a_printed_page_leaves_nothing_out(chromium, offered):
    offer = offered()
    tab = await Tab.open(chromium)
    await tab.visit(offer["page_url"])
    await tab.page.fill("#pin", offer["tx_code"])
    await press(tab, PIN_FORM)
    detail = tab.page.locator("details.more li").first
    assert not await detail.is_visible()
    await tab.page.emulate_media(media="print")
    assert await detail.bounding_box() is not None
    assert await tab.page.locator(".qr").is_visible()
    assert await tab.page.locator("a.button:visible, nav:visible").count() == 0


@pytest.mark.parametrize(("locale", "width"), READERS)
async def test_a_request_that_is_answered_on_another_device(network, chromium, holder, locale, width):
    made, page = await ask(network, "cross_device")
    tab = await Tab.open(chromium, locale=locale, width=width)
    assert await tab.visit(page) == 200
    text = await check(tab, locale)
    assert MANCHESTER.name in text
    assert await scanned(tab) == [made["links"]["deep_link"]]
    await press(tab, "main a[href$=privacy]")
    await check(tab, locale)
    holder.run("present", made["links"]["deep_link"], "--yes")
    assert await tab.visit(page) == 410
    await check(tab, locale)
    assert await tab.page.locator(".qr, a.button").count() == 0


@pytest.mark.parametrize(("locale", "width"), READERS)
async def test_a_request_that_is_answered_on_this_device(network, chromium, holder, locale, width):
    made, page = await ask(network, "same_device")
    tab = await Tab.open(chromium, locale=locale, width=width)
    stranger = await Tab.open(chromium, locale=locale, width=width)
    assert await tab.visit(page) == 200
    await check(tab, locale)
    assert await tab.page.locator(".qr").count() == 0
    assert await stranger.visit(page) == 409
    await check(stranger, locale)
    said = holder.run("present", made["links"]["deep_link"], "--yes")
    [back] = re.findall(rf"{re.escape(page)}/return\S+", said)
    assert await stranger.visit(back) == 403
    await check(stranger, locale)
    for _ in range(2):
        assert await tab.visit(back) == 200
        await check(tab, locale)


async def test_a_request_that_was_withdrawn(network, chromium):
    made, page = await ask(network, "cross_device")
    cancel = f"{moving.BASE}/presentation-requests/{made['id']}/cancel"
    network.operator.post(network.url("verifier"), cancel, {"actor": "hr-1"})
    tab = await Tab.open(chromium)
    assert await tab.visit(page) == 410
    await check(tab, "en-GB")


@pytest.mark.parametrize(("locale", "width"), READERS)
async def test_pages_anybody_may_read(network, chromium, locale, width):
    tab = await Tab.open(chromium, locale=locale, width=width)
    assert await tab.visit(f"{network.url('registry')}/register") == 200
    text = await check(tab, locale)
    assert CHRISTIE.name in text
    lost = [f"{network.url('issuer')}/{CHRISTIE.ods}/o/nothing", f"{network.url('verifier')}/r0a/r/nothing"]
    for address in [*lost, network.url("registry")]:
        assert await tab.visit(address) == 404
        await check(tab, locale)


async def test_the_language_is_a_link_and_is_remembered(network, chromium):
    tab = await Tab.open(chromium)
    await tab.visit(f"{network.url('verifier')}/{MANCHESTER.ods}/privacy")
    await press(tab, "nav >> text=Cymraeg")
    await check(tab, "cy")
    await tab.visit(f"{network.url('registry')}/register")
    await check(tab, "cy")


async def test_the_problem_catalogue_reads_as_a_page(network, chromium):
    tab = await Tab.open(chromium, width=NARROW)
    for service in ("registry", "issuer", "verifier"):
        assert await tab.visit(f"{network.url(service)}/problems") == 200
        assert await tab.violations() == []
        assert await tab.overflow() <= 0
    await press(tab, 'text="not_found"')
    assert await tab.page.inner_text("h1") == "No such resource"
    assert await tab.violations() == []
    assert tab.complaints == []


async def test_the_logo_is_a_picture(network, chromium):
    """What a wallet shows beside the host's name; nothing in it runs or reaches out."""
    tab = await Tab.open(chromium)
    assert await tab.visit(f"{network.url('verifier')}/{MANCHESTER.ods}/privacy") == 200
    size = await tab.page.evaluate(
        "async (at) => { const i = new Image(); i.src = at; await i.decode(); return i.naturalWidth; }",
        f"/{MANCHESTER.ods}/logo.svg",
    )
    assert size > 0
    assert tab.complaints == []
