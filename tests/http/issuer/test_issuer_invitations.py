"""Invitations: a link that looking does not use up, opened once, for one browser, and led on from there."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from passport_issuer.operations import invitations, notice_sending
from passport_issuer.operations.invitations import FOLLOWED_FOR
from passport_shared.service.pages import LOCALES, load_words, qr_image
from passport_testkit.apps import problem
from passport_testkit.clients import api_client
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import (
    API,
    ENTITY,
    HR,
    ISSUER,
    IssuerBench,
    check_body,
    other_trust,
    running_issuer,
)
from passport_testkit.notices import REACHABLE, listed, sent, telling_issuer

ACTOR = {"actor": HR}
MAIL = {"channel": "EMAIL", **ACTOR}
PAPER = {"channel": "PRINT", **ACTOR}
PERSONAL = ("Adaeze", "Okonkwo", "1981", "trust.invalid", "7700")
LIFE = timedelta(days=14)


@pytest.fixture
async def issuer(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[IssuerBench]:
    """The Christie's issuer with its notices kept to be read."""
    async with telling_issuer(tmp_path, await databases.url("passport_issuer")) as bench:
        yield bench


class Outline(HTMLParser):
    """What a reader without eyes or script meets."""

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
    assert not found.of("script")
    assert "style=" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    for cookie in page.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
    return found


class Browser:
    """A browser of its own: cookies, and the token of the page it was served."""

    def __init__(self, issuer: IssuerBench, link: str) -> None:
        transport = httpx.ASGITransport(app=issuer.app, raise_app_exceptions=True)
        self.http = httpx.AsyncClient(transport=transport, base_url=ISSUER)
        self.path = link.removeprefix(ISSUER)
        self.token = ""

    async def get(self, query: str = "") -> httpx.Response:
        page = await self.http.get(self.path + query)
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        self.token = found[1] if found else self.token
        return page

    async def press(self, act: str = "open", **headers: str) -> httpx.Response:
        return await self.http.post(self.path, data={"csrf": self.token, "act": act}, headers=headers)

    async def open(self) -> httpx.Response:
        """Look, press the button, and look at what comes next."""
        await self.get()
        answer = await self.press()
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"] == self.path
        return await self.get()


async def invited(issuer: IssuerBench, **changes: Any) -> tuple[str, dict[str, Any], str]:
    """A person with an invitation on paper: their id, the invitation, its link."""
    staff_id = await issuer.staff(**{**REACHABLE, **changes})
    made = await issuer.made(f"/staff/{staff_id}/invitations", PAPER)
    return staff_id, made, str(made["link"])


async def state(issuer: IssuerBench, staff_id: str, invitation_id: str) -> str:
    answer = await issuer.call("GET", f"/staff/{staff_id}/invitations/{invitation_id}")
    return str(answer.json()["state"])


# --- sending ------------------------------------------------------------------------------------------------


async def test_an_invitation_by_mail_carries_its_link_and_nobody_else_sees_it(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff(**REACHABLE)
    answer = await issuer.call("POST", f"/staff/{staff_id}/invitations", MAIL)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == f"{API}/staff/{staff_id}/invitations/{made['id']}"
    assert (made["state"], made["channel"], made["link"]) == ("SENT", "EMAIL", None)
    (item,) = await sent(issuer)
    (link,) = re.findall(r"https://\S+", item.body)
    assert re.fullmatch(rf"{ENTITY}/i/[A-Za-z0-9_-]{{32}}", link)
    assert "until 14 September 2026" in item.body
    assert link not in str((await issuer.call("GET", f"/staff/{staff_id}/invitations")).json())
    assert (await Browser(issuer, link).get()).status_code == 200
    # neither the link nor its token is anywhere in the database but in what a person reads
    token = link.rpartition("/")[2]
    async with issuer.ctx.db.read() as conn:
        for table in ("invitations", "notices", "jobs", "audit_entries"):
            rows = (await conn.execute(text(f"SELECT * FROM {table}"))).all()  # noqa: S608 - four names above
            assert token not in str(rows), table


async def test_an_invitation_on_paper_gives_link_and_qr_code_once_and_sends_nothing(
    issuer: IssuerBench,
) -> None:
    staff_id, made, link = await invited(issuer)
    assert link.startswith(f"{ENTITY}/i/")
    assert made["qr_svg"].startswith("<?xml")
    assert made["qr_svg"] == qr_image(link, "svg").decode()
    shown = (await issuer.call("GET", f"/staff/{staff_id}/invitations/{made['id']}")).json()
    assert not {"link", "qr_svg"} & set(shown)
    assert await sent(issuer) == []


async def test_a_text_message_carries_the_link_too(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff(**REACHABLE, preferences={"language": "cy"})
    await issuer.made(f"/staff/{staff_id}/invitations", {"channel": "SMS", **ACTOR})
    (item,) = await sent(issuer)
    assert item.to_address == "+447700900123"
    assert re.search(rf"{ENTITY}/i/[A-Za-z0-9_-]{{32}}$", item.body)


@pytest.mark.parametrize(
    ("changes", "channel", "code"),
    [
        ({"work_email": None}, "EMAIL", "channel_not_available"),
        ({"mobile": None}, "SMS", "channel_not_available"),
        ({"preferences": {"pause_offers": True}}, "EMAIL", "offers_paused"),
        ({"employment_status": "LEFT"}, "PRINT", "wrong_state"),
    ],
)
async def test_who_cannot_be_reached_is_not_invited_and_the_answer_says_what_to_do(
    issuer: IssuerBench, changes: dict[str, Any], channel: str, code: str
) -> None:
    staff_id = await issuer.staff(**{**REACHABLE, **changes})
    refused = await issuer.call("POST", f"/staff/{staff_id}/invitations", {"channel": channel, **ACTOR})
    problem(refused, 409, code)
    assert (await issuer.call("GET", f"/staff/{staff_id}/invitations")).json()["items"] == []
    if code != "wrong_state":
        assert (await issuer.call("POST", f"/staff/{staff_id}/invitations", PAPER)).status_code == 201


async def test_a_service_that_sends_nothing_prints(databases: FreshDatabases, tmp_path: Path) -> None:
    async with running_issuer(tmp_path, await databases.url("passport_issuer")) as issuer:
        staff_id = await issuer.staff(**REACHABLE)
        refused = await issuer.call("POST", f"/staff/{staff_id}/invitations", MAIL)
        problem(refused, 409, "channel_not_available")
        assert (await issuer.call("POST", f"/staff/{staff_id}/invitations", PAPER)).status_code == 201
        page = await issuer.http.get("/notices")
        assert page.status_code == 404


async def test_one_invitation_at_a_time(issuer: IssuerBench) -> None:
    staff_id, made, _ = await invited(issuer)
    problem(await issuer.call("POST", f"/staff/{staff_id}/invitations", MAIL), 409, "wrong_state")
    # once it has run out there is room for another
    issuer.clock.advance(LIFE)
    assert await state(issuer, staff_id, made["id"]) == "EXPIRED"
    assert (await issuer.call("POST", f"/staff/{staff_id}/invitations", MAIL)).status_code == 201


async def test_the_same_request_again_invites_nobody_twice(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff(**REACHABLE)
    key = {"Idempotency-Key": "invite-1"}
    first = await issuer.call("POST", f"/staff/{staff_id}/invitations", PAPER, headers=key)
    again = await issuer.call("POST", f"/staff/{staff_id}/invitations", PAPER, headers=key)
    assert first.json() == again.json()
    assert len((await issuer.call("GET", f"/staff/{staff_id}/invitations")).json()["items"]) == 1


async def test_a_new_link_takes_the_place_of_the_old_one(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff(**REACHABLE)
    made = await issuer.made(f"/staff/{staff_id}/invitations", MAIL)
    path = f"/staff/{staff_id}/invitations"
    again = await issuer.call("POST", f"{path}/{made['id']}/resend", {"channel": "PRINT", **ACTOR})
    assert again.status_code == 201, again.text
    assert again.json()["resend_of"] == made["id"]
    assert await state(issuer, staff_id, made["id"]) == "RESENT"
    assert await sent(issuer) == [], "the first link is not sent any more"
    assert (await listed(issuer))[0]["reason"] == "invitation_over"
    problem(await issuer.call("POST", f"{path}/{made['id']}/resend", ACTOR), 409, "wrong_state")
    # by the channel of before, when none is named, also after it was opened or ran out
    await Browser(issuer, again.json()["link"]).open()
    third = await issuer.call("POST", f"{path}/{again.json()['id']}/resend", ACTOR)
    assert third.json()["channel"] == "PRINT"
    issuer.clock.advance(LIFE)
    assert (await issuer.call("POST", f"{path}/{third.json()['id']}/resend", MAIL)).status_code == 201
    assert len(await sent(issuer)) == 1


async def test_an_invitation_is_taken_back(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff(**REACHABLE)
    made = await issuer.made(f"/staff/{staff_id}/invitations", MAIL)
    path = f"/staff/{staff_id}/invitations/{made['id']}"
    taken = await issuer.call("POST", f"{path}/withdraw", ACTOR)
    assert taken.json()["state"] == "WITHDRAWN"
    assert await sent(issuer) == []
    problem(await issuer.call("POST", f"{path}/withdraw", ACTOR), 409, "wrong_state")
    problem(await issuer.call("POST", f"{path}/resend", ACTOR), 409, "wrong_state")
    assert (await issuer.call("POST", f"/staff/{staff_id}/invitations", MAIL)).status_code == 201


async def test_a_starter_event_drafts_and_hr_sends(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff(**REACHABLE)
    drafts = []
    for _ in range(2):
        async with issuer.ctx.db.write() as conn:
            drafts.append(
                await invitations.draft(issuer.ctx, conn, ods="RBV", staff_id=staff_id, by="workforce")
            )
    assert drafts[1] is None, "one draft is enough"
    (shown,) = (await issuer.call("GET", f"/staff/{staff_id}/invitations")).json()["items"]
    assert (shown["id"], shown["state"], shown["channel"]) == (drafts[0], "DRAFT", "EMAIL")
    assert await sent(issuer) == []
    path = f"/staff/{staff_id}/invitations/{shown['id']}"
    problem(await issuer.call("POST", f"{path}/resend", ACTOR), 409, "wrong_state")
    done = await issuer.call("POST", f"{path}/send", {"channel": "PRINT", **ACTOR})
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["channel"]) == ("SENT", "PRINT")
    problem(await issuer.call("POST", f"{path}/send", ACTOR), 409, "wrong_state")
    assert (await Browser(issuer, done.json()["link"]).open()).status_code == 200
    async with issuer.ctx.db.write() as conn:
        assert await invitations.draft(issuer.ctx, conn, ods="RBV", staff_id="nobody", by="workforce") is None


async def test_only_who_may_and_only_the_own_trust(issuer: IssuerBench) -> None:
    staff_id, made, _ = await invited(issuer)
    path = f"/staff/{staff_id}/invitations"
    reader = api_client("rbv-reader", organisation="RBV", scopes=["invitations:read"])
    issuer.clients.put(reader)
    assert (await issuer.call("GET", path, client=reader)).status_code == 200
    problem(await issuer.call("POST", path, PAPER, client=reader), 403, "forbidden")
    problem(await issuer.call("POST", f"{path}/{made['id']}/resend", ACTOR, client=reader), 403, "forbidden")
    stranger = other_trust(issuer)
    assert (await issuer.call("GET", f"{path}/{made['id']}", client=stranger)).status_code in (403, 404)
    elsewhere = await issuer.staff(external_ids=[])
    problem(await issuer.call("GET", f"/staff/{elsewhere}/invitations/{made['id']}"), 404, "not_found")
    problem(await issuer.call("POST", "/staff/nobody/invitations", PAPER), 404, "not_found")
    problem(await issuer.call("POST", path, {"channel": "FAX", **ACTOR}), 422, "invalid_request")


# --- opening ------------------------------------------------------------------------------------------------


async def test_looking_changes_nothing_and_says_nothing_about_anybody(issuer: IssuerBench) -> None:
    staff_id, made, link = await invited(issuer)
    scanner = Browser(issuer, link)
    for _ in range(3):
        page = await scanner.get()
        assert page.status_code == 200
        outline(page)
        assert "RBV NHS Foundation Trust" in page.text
        assert "15 September 2026 at 13:00" in page.text
        assert not [detail for detail in PERSONAL if detail in page.text]
    assert (await scanner.http.head(scanner.path)).status_code == 200
    assert await state(issuer, staff_id, made["id"]) == "SENT"
    # and who looked first is in nobody's way
    person = Browser(issuer, link)
    assert "What happens next" in (await person.open()).text
    assert await state(issuer, staff_id, made["id"]) == "OPENED"


async def test_a_link_is_opened_once_for_one_browser(issuer: IssuerBench) -> None:
    staff_id, made, link = await invited(issuer)
    first, second = Browser(issuer, link), Browser(issuer, link)
    await second.get()
    assert "What happens next" in (await first.open()).text
    assert (await first.press()).status_code == 303, "pressed twice in the same browser"
    assert "What happens next" in (await first.get()).text
    assert (await second.press()).status_code == 303
    for other in (second, Browser(issuer, link)):
        refused = await other.get()
        assert refused.status_code == 403
        outline(refused)
        assert "opened already" in refused.text
        assert "contact the HR team at RBV NHS Foundation Trust" in refused.text
        assert not [detail for detail in PERSONAL if detail in refused.text]
    opened = (await issuer.call("GET", f"/staff/{staff_id}/invitations/{made['id']}")).json()
    assert opened["opened_at"] is not None


async def test_a_form_from_elsewhere_or_without_its_page_opens_nothing(issuer: IssuerBench) -> None:
    staff_id, made, link = await invited(issuer)
    browser = Browser(issuer, link)
    assert (await browser.press()).status_code == 400, "no page was looked at"
    await browser.get()
    for headers in (
        {"Origin": "https://evil.invalid"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ):
        assert (await browser.press(**headers)).status_code == 400
    assert (await browser.press("something")).status_code == 303
    del browser.http.cookies["__Host-invitation"]
    assert (await browser.press()).status_code == 303
    assert await state(issuer, staff_id, made["id"]) == "SENT"
    assert (await browser.http.post(browser.path, content=b"x" * 300_000)).status_code in (400, 413)


@pytest.mark.parametrize("how", ["expired", "withdrawn", "resent"])
async def test_a_link_that_is_over_says_so_and_whom_to_ask(issuer: IssuerBench, how: str) -> None:
    staff_id, made, link = await invited(issuer)
    ready, path = Browser(issuer, link), f"/staff/{staff_id}/invitations/{made['id']}"
    await ready.get()
    if how == "expired":
        issuer.clock.advance(LIFE)
    else:
        act = "withdraw" if how == "withdrawn" else "resend"
        assert (await issuer.call("POST", f"{path}/{act}", ACTOR)).is_success
    assert (await ready.press()).status_code == 303
    for locale in LOCALES:
        page = await ready.get(f"?lang={locale}")
        assert page.status_code == 410
        outline(page)
        words = load_words("passport_issuer")[f"invitation.over.{how}"][locale]
        assert words in html.unescape(page.text)
    assert await state(issuer, staff_id, made["id"]) == how.upper()


async def test_taking_it_back_shuts_the_browser_out_that_opened_it(issuer: IssuerBench) -> None:
    staff_id, made, link = await invited(issuer)
    browser = Browser(issuer, link)
    await browser.open()
    await issuer.call("POST", f"/staff/{staff_id}/invitations/{made['id']}/withdraw", ACTOR)
    assert (await browser.get()).status_code == 410


async def test_the_browser_is_led_on_for_a_while_only(issuer: IssuerBench) -> None:
    _, _, link = await invited(issuer)
    browser = Browser(issuer, link)
    await browser.open()
    issuer.clock.advance(FOLLOWED_FOR)
    assert (await browser.get()).status_code == 403


@pytest.mark.parametrize(
    "token", ["x", "a" * 32, "a" * 31, "a" * 33, "..", "%00" * 32, "a" * 5_000, "á" * 32, "A%2F" + "a" * 28]
)
async def test_a_link_that_leads_nowhere_is_a_page_that_says_so(issuer: IssuerBench, token: str) -> None:
    for method in ("GET", "POST"):
        page = await issuer.http.request(method, f"/RBV/i/{token}", headers={"Accept": "text/html"})
        assert page.status_code == 404
    assert (await issuer.http.get("/RXX/i/" + "a" * 32)).status_code == 404


async def test_a_link_of_one_trust_does_not_open_at_another(
    databases: FreshDatabases, tmp_path: Path
) -> None:
    url = await databases.url("passport_issuer")
    async with running_issuer(tmp_path, url, tenants=("RBV", "R0A")) as issuer:
        _, _, link = await invited(issuer)
        assert (await issuer.http.get(link.replace("/RBV/", "/R0A/"))).status_code == 404


# --- what comes next ----------------------------------------------------------------------------------------


async def test_after_opening_the_appointment_is_shown_with_the_trusts_own_link(issuer: IssuerBench) -> None:
    staff_id, _, link = await invited(issuer)
    browser = Browser(issuer, link)
    page = await browser.open()
    outline(page)
    assert "will make an appointment with you" in page.text
    body = {
        "channel": "VIDEO",
        "scheduled_for": "2026-09-03T08:30:00Z",
        "join_url": "https://video.invalid/room",
        **ACTOR,
    }
    made = await issuer.made(f"/staff/{staff_id}/identity-sessions", body)
    page = await browser.get()
    found = outline(page)
    assert "3 September 2026 at 09:30" in page.text
    assert "https://video.invalid/room" in [anchor.get("href") for anchor in found.of("a")]
    path = f"/staff/{staff_id}/identity-sessions/{made['id']}"
    moved = {
        "channel": "FACE_TO_FACE",
        "scheduled_for": "2026-09-04T08:30:00Z",
        "place": "Library <1>",
        **ACTOR,
    }
    assert (await issuer.call("PUT", path, moved, headers={"If-Match": '"1"'})).status_code == 200
    page = await browser.get()
    assert "Where: Library &lt;1&gt;" in page.text
    assert "video.invalid" not in page.text
    welsh = await browser.get("?lang=cy")
    assert "4 Medi 2026 am 09:30" in welsh.text
    assert not [detail for detail in PERSONAL if detail in page.text + welsh.text]
    # the other browser sees none of it
    assert "Library" not in (await Browser(issuer, link).get()).text


async def test_an_open_offer_is_where_the_link_leads(issuer: IssuerBench) -> None:
    staff_id, _, link = await invited(issuer)
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    browser = Browser(issuer, link)
    await browser.open()
    await issuer.confirm_identity(staff_id)
    offer = await issuer.offer(staff_id)
    answer = await browser.get()
    assert answer.status_code == 303
    assert ISSUER + answer.headers["location"] == offer["page_url"]
    assert (await Browser(issuer, link).get()).status_code == 403
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    done = await browser.get()
    outline(done)
    assert "You have collected your staff passport" in done.text
    issuer.clock.advance(timedelta(minutes=20))
    again = await issuer.offer(staff_id)
    assert (await browser.get()).headers["location"] == again["page_url"].removeprefix(ISSUER)
    issuer.clock.advance(timedelta(minutes=20))
    assert "You have collected" in (await browser.get()).text


async def test_where_to_get_the_app_and_whom_to_ask(databases: FreshDatabases, tmp_path: Path) -> None:
    url = await databases.url("passport_issuer")
    app_page = "https://trust.invalid/app"
    async with telling_issuer(tmp_path, url, app_page=app_page) as issuer:
        contact = {"name": "Passport Team", "phone": "0161 496 0000", **ACTOR}
        await issuer.call("PUT", "/notice-contact", contact, headers={"If-Match": '"0"'})
        _, _, link = await invited(issuer)
        page = await Browser(issuer, link).open()
        assert app_page in [anchor.get("href") for anchor in outline(page).of("a")]
        assert "Contact Passport Team, 0161 496 0000." in page.text


async def test_links_expire_by_the_clock_and_are_told_so_in_the_record(issuer: IssuerBench) -> None:
    staff_id, made, _ = await invited(issuer)
    issuer.clock.advance(LIFE)
    await notice_sending.tend(issuer.ctx)
    async with issuer.ctx.db.read() as conn:
        kinds = (await conn.execute(text("SELECT kind FROM audit_entries"))).scalars().all()
    assert kinds.count("invitation.sent") == 1
    assert kinds.count("invitation.expired") == 1
    assert await state(issuer, staff_id, made["id"]) == "EXPIRED"


# --- the development outbox ---------------------------------------------------------------------------------


async def test_the_outbox_shows_what_was_sent_as_people_read_it(issuer: IssuerBench) -> None:
    empty = await issuer.http.get("/notices")
    outline(empty)
    assert "Nothing has been sent yet." in empty.text
    staff_id = await issuer.staff(**REACHABLE, legal_given="<script>Ada", preferences={"language": "cy"})
    await issuer.made(f"/staff/{staff_id}/invitations", MAIL)
    (item,) = await sent(issuer)
    page = await issuer.http.get("/notices")
    found = outline(page)
    (link,) = re.findall(r"https://\S+", item.body)
    assert link in [anchor.get("href") for anchor in found.of("a")]
    assert item.subject in page.text
    assert "Helo scriptAda," in page.text
    assert found.of("article")
    assert 'lang="cy"' in page.text
    outline(await issuer.http.get("/notices?lang=cy"))


@pytest.mark.parametrize("changes", [{"environment": "test"}, {"notice_adapter": "none"}])
async def test_the_outbox_is_nowhere_else(
    databases: FreshDatabases, tmp_path: Path, changes: dict[str, Any]
) -> None:
    async with telling_issuer(tmp_path, await databases.url("passport_issuer"), **changes) as issuer:
        page = await issuer.http.get("/notices")
        assert page.status_code == 404
        assert "Page not found" in page.text
