"""The page people collect from: readable without script, silent before the PIN, deaf to other sites."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from passport_issuer.rules.passports import OfferState
from passport_shared.service.pages import load_words
from passport_testkit.issuers import ENTITY, HR, ISSUER, IssuerBench

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Outline(HTMLParser):
    """What a reader without eyes or script meets: headings, labels, inputs, landmarks, images."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def outline(page: httpx.Response) -> Outline:
    """Parse a page and check what every page must have."""
    found = Outline()
    found.feed(page.text)
    assert found.of("html")[0]["lang"] in ("en", "cy")
    assert len(found.of("h1")) == 1
    assert len(found.of("main")) == 1
    assert found.of("title")
    assert not found.of("script")
    assert "style=" not in page.text
    labelled = {label["for"] for label in found.of("label")}
    for field in found.of("input"):
        assert field["type"] == "hidden" or field["id"] in labelled
    for image in found.of("img"):
        assert image["alt"]
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;")
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    return found


class Browser:
    """A browser on the offer page: cookies, forms, the token of the page it was served."""

    def __init__(self, issuer: IssuerBench, url: str) -> None:
        self.http = issuer.http
        self.path = url.removeprefix(ISSUER)
        self.token = ""

    async def get(self, query: str = "") -> httpx.Response:
        page = await self.http.get(self.path + query)
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        self.token = found[1] if found else self.token
        return page

    async def send(self, act: str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        data = {"csrf": self.token, "act": act, **fields}
        return await self.http.post(self.path, data=data, headers=headers)


async def _page(issuer: IssuerBench) -> tuple[Browser, dict[str, Any]]:
    staff_id = await issuer.surgeon()
    offer = await issuer.offer(staff_id)
    assert offer["page_url"] == f"{ENTITY}/o/{offer['id']}"
    issuer.http.cookies.clear()
    return Browser(issuer, offer["page_url"]), offer


SECRETS = ["Okonkwo", "Adaeze", "1981", "urologist", "7099999"]


async def test_before_the_pin_the_page_says_nothing_about_anybody(issuer: IssuerBench) -> None:
    browser, offer = await _page(issuer)
    page = await browser.get()
    found = outline(page)
    assert "RBV NHS Foundation Trust" in page.text
    assert not [secret for secret in SECRETS if secret in page.text]
    assert offer["tx_code"] not in page.text
    (link,) = [item["href"] for item in found.of("a") if (item["href"] or "").startswith("openid-")]
    assert link == offer["credential_offer_uri"]
    assert found.of("img")[0]["src"] is not None
    assert (found.of("img")[0]["src"] or "").startswith("data:image/svg+xml")
    for cookie in page.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        assert "HttpOnly" in cookie


async def test_after_the_pin_the_holder_reviews_and_says_it_is_right(issuer: IssuerBench) -> None:
    browser, offer = await _page(issuer)
    await browser.get()
    answer = await browser.send("pin", pin=offer["tx_code"])
    assert answer.status_code == 303
    page = await browser.get()
    outline(page)
    for shown in ("Okonkwo-Price", "Consultant urologist", "Enhanced with barred lists", "Fire safety"):
        assert shown in page.text
    # names once, days and codes in words
    assert page.text.count("<dd>\n          Okonkwo-Price") == 1
    assert "9 March 1981" in page.text
    assert not re.search(r">\s*(\d{4}-\d{2}-\d{2}|[A-Z]+_[A-Z_]+)\s*<", page.text)
    assert "holder_ref" not in page.text
    assert (await browser.send("right")).status_code == 303
    assert (await issuer.call("GET", f"/offers/{offer['id']}")).json()["reviewed"] is True
    # it can still be collected
    await issuer.wallet().collect(offer["credential_offer_uri"], offer["tx_code"])
    done = await browser.get()
    outline(done)
    assert "has been collected" in done.text
    assert "Okonkwo" not in done.text


@pytest.mark.parametrize("reason", ["WRONG_DETAIL", "NOT_MINE", "DO_NOT_WISH"])
async def test_something_is_wrong_goes_back_with_its_reason(issuer: IssuerBench, reason: str) -> None:
    browser, offer = await _page(issuer)
    await browser.get()
    await browser.send("pin", pin=offer["tx_code"])
    await browser.get()
    missing = await browser.send("wrong", reason="BECAUSE")
    assert missing.status_code == 422
    assert 'role="alert"' in missing.text
    assert (await browser.send("wrong", reason=reason)).status_code == 303
    shown = (await issuer.call("GET", f"/offers/{offer['id']}")).json()
    assert (shown["state"], shown["reason"]) == ("REJECTED_BY_HOLDER", reason)
    outline(await browser.get())
    wallet = issuer.wallet()
    refused = await wallet.request_token(await wallet.read_offer(offer["credential_offer"]), offer["tx_code"])
    assert refused.json()["error"] == "invalid_grant"


async def test_wrong_pins_here_and_at_the_token_endpoint_are_counted_together(issuer: IssuerBench) -> None:
    browser, offer = await _page(issuer)
    await browser.get()
    wrong = f"{(int(offer['tx_code']) + 1) % 1_000_000:06d}"
    for left in (4, 3, 2):
        page = await browser.send("pin", pin=wrong)
        assert page.status_code == 422
        assert f"Tries left: {left}." in page.text
        assert "<title>Error: Collect" in page.text
        outline(page)
    wallet = issuer.wallet()
    document = await wallet.read_offer(offer["credential_offer"])
    for _ in range(2):
        await wallet.request_token(document, wrong)
    locked = await browser.get()
    outline(locked)
    assert "Too many wrong PINs" in locked.text
    answer = await browser.send("pin", pin=offer["tx_code"])
    assert "Okonkwo" not in answer.text
    refused = await wallet.request_token(document, offer["tx_code"])
    assert refused.json()["error"] == "invalid_grant"


async def test_a_pin_that_is_no_pin_costs_nothing(issuer: IssuerBench) -> None:
    browser, offer = await _page(issuer)
    await browser.get()
    for given in ("", "12345", "abcdef", "１２３４５６"):
        assert (await browser.send("pin", pin=given)).status_code == 422
    assert (await issuer.call("GET", f"/offers/{offer['id']}")).json()["pin_tries_left"] == 5


async def test_a_pin_may_be_typed_in_groups(issuer: IssuerBench) -> None:
    browser, offer = await _page(issuer)
    await browser.get()
    given = f" {offer['tx_code'][:3]} {offer['tx_code'][3:]} "
    assert (await browser.send("pin", pin=given)).status_code == 303


async def test_another_site_cannot_press_the_buttons(issuer: IssuerBench) -> None:
    browser, offer = await _page(issuer)
    await browser.get()
    await browser.send("pin", pin=offer["tx_code"])
    await browser.get()
    token = browser.token
    forged: list[tuple[str, dict[str, str]]] = [
        ("", {}),
        ("x" * 43, {}),
        (token, {"Origin": "https://evil.example"}),
        (token, {"Origin": "null"}),
        (token, {"Origin": "null", "Sec-Fetch-Site": "cross-site"}),
        (token, {"Origin": "null", "Sec-Fetch-Site": "none"}),
        (token, {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}),
        (token, {"Sec-Fetch-Site": "cross-site"}),
        (token, {"Sec-Fetch-Site": "same-site"}),
    ]
    for given, headers in forged:
        browser.token = given
        answer = await browser.send("wrong", headers, reason="NOT_MINE")
        assert answer.status_code == 400, (given, headers)
        outline(answer)
    kept = dict(issuer.http.cookies)
    issuer.http.cookies.clear()
    browser.token = token
    assert (await browser.send("wrong", reason="NOT_MINE")).status_code == 400
    issuer.http.cookies.update(kept)
    doubled = f"csrf={token}&act=wrong&act=right"
    assert (await issuer.http.post(browser.path, content=doubled, headers=FORM)).status_code == 400
    assert (await issuer.call("GET", f"/offers/{offer['id']}")).json()["state"] == "OFFERED"


@pytest.mark.parametrize(
    "headers",
    [
        # what browsers send from a page whose policy is to send no referrer
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": ISSUER, "Sec-Fetch-Site": "same-origin"},
        {"Origin": ISSUER},
        {},
    ],
)
async def test_the_buttons_work_for_the_page_itself(issuer: IssuerBench, headers: dict[str, str]) -> None:
    browser, offer = await _page(issuer)
    await browser.get()
    assert (await browser.send("pin", headers, pin=offer["tx_code"])).status_code == 303
    await browser.get()
    assert (await browser.send("right", headers)).status_code == 303
    assert (await issuer.call("GET", f"/offers/{offer['id']}")).json()["reviewed"] is True


async def test_the_review_belongs_to_one_offer_and_ends(issuer: IssuerBench) -> None:
    browser, offer = await _page(issuer)
    await browser.get()
    await browser.send("pin", pin=offer["tx_code"])
    second = await issuer.offer((await issuer.call("GET", "/staff")).json()["items"][0]["id"])
    other = Browser(issuer, second["page_url"])
    assert "Okonkwo" not in (await other.get()).text
    assert "Okonkwo" in (await browser.get()).text
    nothing = await other.send("right")
    assert nothing.status_code == 303
    assert (await issuer.call("GET", f"/offers/{second['id']}")).json()["reviewed"] is False
    issuer.clock.advance(timedelta(minutes=10))
    over = await browser.get()
    assert "has run out" in over.text
    assert "Okonkwo" not in over.text


async def test_the_page_speaks_welsh(issuer: IssuerBench) -> None:
    browser, offer = await _page(issuer)
    assert "Casglu eich pasbort staff" in (await browser.get("?lang=cy")).text
    # and remembers it
    page = await browser.get()
    assert outline(page).of("html")[0]["lang"] == "cy"
    await browser.send("pin", pin=offer["tx_code"])
    assert "Manwl gyda rhestrau gwahardd" in (await browser.get()).text
    english = await browser.get("?lang=en-GB")
    assert "Collect your staff passport" in english.text
    issuer.http.cookies.clear()
    asked = await issuer.http.get(browser.path, headers={"Accept-Language": "cy;q=0.9, en;q=0.8"})
    assert outline(asked).of("html")[0]["lang"] == "cy"


async def test_names_cannot_write_into_the_page(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon(legal_family="<img src=x onerror=alert(1)>", external_ids=[])
    offer = await issuer.offer(staff_id)
    browser = Browser(issuer, offer["page_url"])
    await browser.get()
    await browser.send("pin", pin=offer["tx_code"])
    page = await browser.get()
    assert "<img src=x" not in page.text
    assert "&lt;img src=x" in page.text


async def test_links_that_lead_nowhere_get_a_page(issuer: IssuerBench) -> None:
    for path in ("/RBV/o/nothing", "/ZZZ/o/nothing"):
        for method in ("GET", "POST"):
            page = await issuer.http.request(method, path)
            assert page.status_code == 404
            outline(page)
    for path in ("/", "/nowhere", "/rbv/o/lower-case"):
        page = await issuer.http.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert page.status_code == 404
        outline(page)
        document = await issuer.http.get(path)
        assert document.status_code == 404
        assert "json" in document.headers["content-type"]
    sheet = await issuer.http.get("/assets/passport.css")
    assert sheet.headers["content-type"].startswith("text/css")
    again = await issuer.http.get("/assets/passport.css", headers={"If-None-Match": sheet.headers["etag"]})
    assert again.status_code == 304


async def test_an_offer_that_was_withdrawn_says_so(issuer: IssuerBench) -> None:
    browser, offer = await _page(issuer)
    await issuer.call("POST", f"/offers/{offer['id']}/withdraw", {"actor": HR})
    page = await browser.get()
    outline(page)
    assert "taken back" in page.text


@pytest.mark.parametrize("package", ["passport_issuer", "passport_shared.service"])
def test_every_page_word_is_there_in_both_languages(package: str) -> None:
    for key, words in load_words(package).items():
        assert set(words) == {"en-GB", "cy"}, key
        assert all(words.values()), key
        placeholders = [set(re.findall(r"\{(\w+)\}", text)) for text in words.values()]
        assert placeholders[0] == placeholders[1], key


def test_every_state_of_an_offer_has_its_words() -> None:
    words = load_words("passport_issuer")
    for state in [*(state.value for state in OfferState if state is not OfferState.OFFERED), "LOCKED"]:
        assert f"offer.over.{state.lower()}" in words
        assert f"offer.over.{state.lower()}_text" in words
