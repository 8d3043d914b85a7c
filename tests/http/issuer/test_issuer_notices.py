"""Notices: written with what causes them, sent once it is committed, told as sent or failed, never why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from passport_issuer.operations import notice_sending, notices, renewals
from passport_issuer.operations.notices import MAX_ATTEMPTS
from passport_issuer.rules.notices import NoticeKind
from passport_issuer.rules.passports import ReasonCode
from passport_testkit.apps import problem
from passport_testkit.clients import api_client
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import CHECKS, ENTITY, HR, POST, IssuerBench, check_body, other_trust
from passport_testkit.notices import REACHABLE, listed, sent, telling_issuer

TRUST = "RBV NHS Foundation Trust"
ACTOR = {"actor": HR}


@pytest.fixture
async def issuer(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[IssuerBench]:
    """The Christie's issuer with its notices kept to be read."""
    async with telling_issuer(tmp_path, await databases.url("passport_issuer")) as bench:
        yield bench


async def person(issuer: IssuerBench, **changes: Any) -> str:
    return await issuer.staff(**{**REACHABLE, **changes})


async def ready(issuer: IssuerBench, **changes: Any) -> str:
    """A person about whom one record can be issued, seen some hours ago."""
    staff_id = await person(issuer, **changes)
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    issuer.clock.advance(timedelta(hours=3))
    return staff_id


async def appointment(issuer: IssuerBench, staff_id: str, **changes: Any) -> dict[str, Any]:
    body = {
        "channel": "VIDEO",
        "scheduled_for": "2026-09-03T08:30:00Z",
        "join_url": "https://video.invalid/room",
        **ACTOR,
        **changes,
    }
    return await issuer.made(f"/staff/{staff_id}/identity-sessions", body)


async def queue(issuer: IssuerBench, kind: NoticeKind, staff_id: str, **more: Any) -> str | None:
    async with issuer.ctx.db.write() as conn:
        return await notices.queue(issuer.ctx, conn, kind=kind, ods="RBV", staff_id=staff_id, **more)


# --- appointments -------------------------------------------------------------------------------------------


async def test_an_appointment_says_when_and_how_to_join(issuer: IssuerBench) -> None:
    staff_id = await person(issuer)
    made = await appointment(issuer, staff_id)
    (waiting,) = await listed(issuer)
    assert (waiting["kind"], waiting["state"], waiting["about"]) == ("APPOINTMENT", "QUEUED", made["id"])
    (item,) = await sent(issuer)
    assert item.to_address == REACHABLE["work_email"]
    assert item.body.startswith("Hello Adaeze,\n\n")
    assert "on 3 September 2026 at 09:30, by video" in item.body, "as clocks in London say"
    assert "\n\nhttps://video.invalid/room\n\n" in item.body
    (done,) = await listed(issuer)
    assert (done["state"], done["attempts"], done["channel"], done["language"]) == (
        "SENT",
        1,
        "EMAIL",
        "en-GB",
    )
    assert await sent(issuer) == [item], "once"


async def test_an_appointment_face_to_face_says_where(issuer: IssuerBench) -> None:
    await appointment(
        issuer, await person(issuer), channel="FACE_TO_FACE", join_url=None, place="HR office, Oak Road"
    )
    (item,) = await sent(issuer)
    assert "Where: HR office, Oak Road" in item.body
    assert "https://" not in item.body


async def test_an_appointment_without_a_place_says_whom_to_ask(issuer: IssuerBench) -> None:
    await appointment(issuer, await person(issuer), join_url=None)
    (item,) = await sent(issuer)
    assert f"contact the HR team at {TRUST}." in item.body


async def test_a_moved_appointment_is_told_again_and_the_old_time_never(issuer: IssuerBench) -> None:
    staff_id = await person(issuer)
    made = await appointment(issuer, staff_id)
    path = f"/staff/{staff_id}/identity-sessions/{made['id']}"
    body = {"channel": "FACE_TO_FACE", "scheduled_for": "2026-09-04T18:00:00Z", "place": "Library", **ACTOR}
    problem(await issuer.call("PUT", path, body), 428, "precondition_required")
    problem(await issuer.call("PUT", path, body, headers={"If-Match": '"9"'}), 412, "precondition_failed")
    moved = await issuer.call("PUT", path, body, headers={"If-Match": '"1"'})
    assert moved.status_code == 200, moved.text
    assert (moved.json()["place"], moved.json()["version"]) == ("Library", 2)
    (item,) = await sent(issuer)
    assert "4 September 2026 at 19:00" in item.body
    assert "Where: Library" in item.body
    states = {notice["reason"]: notice["state"] for notice in await listed(issuer)}
    assert states == {"appointment_changed": "CANCELLED", None: "SENT"}
    result = {"result": "CONFIRMED", "face_matched": True, **ACTOR}
    assert (await issuer.call("POST", f"{path}/result", result)).status_code == 200
    late = await issuer.call("PUT", path, body, headers={"If-Match": '"3"'})
    problem(late, 409, "wrong_state")


async def test_an_appointment_that_is_over_before_the_notice_left_is_not_told(issuer: IssuerBench) -> None:
    staff_id = await person(issuer)
    await appointment(issuer, staff_id)
    await appointment(issuer, staff_id, scheduled_for=None)
    await appointment(issuer, staff_id, scheduled_for="2026-08-01T08:30:00Z")
    issuer.clock.advance(timedelta(days=3))
    assert await sent(issuer) == []
    (notice,) = await listed(issuer)
    assert (notice["state"], notice["reason"]) == ("CANCELLED", "appointment_over")


# --- offers and holds ---------------------------------------------------------------------------------------


async def test_an_offer_made_at_the_appointment_is_shown_there_not_sent(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon(**REACHABLE)
    await issuer.offer(staff_id)
    assert await sent(issuer) == []


async def test_an_offer_made_later_is_sent_with_its_link_and_without_its_pin(issuer: IssuerBench) -> None:
    offer = await issuer.offer(await ready(issuer, preferences={"language": "cy"}))
    (item,) = await sent(issuer)
    assert item.language == "cy"
    assert item.body.startswith("Helo Adaeze,")
    assert f"\n\n{offer['page_url']}\n\n" in item.body
    assert offer["tx_code"] not in item.body + item.subject


async def test_an_offer_taken_back_or_run_out_is_not_announced(issuer: IssuerBench) -> None:
    staff_id = await ready(issuer)
    first = await issuer.offer(staff_id)
    assert (await issuer.call("POST", f"/offers/{first['id']}/withdraw", ACTOR)).status_code == 200
    await issuer.offer(staff_id)
    issuer.clock.advance(timedelta(minutes=11))
    assert await sent(issuer) == []
    assert {notice["reason"] for notice in await listed(issuer)} == {"offer_over"}


async def test_a_hold_says_whom_to_ask_and_never_why(issuer: IssuerBench) -> None:
    staff_id = await ready(issuer, preferences={"pause_offers": True})
    offer = await issuer.offer(staff_id)
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    contact = {"name": "Staff Passport Team", "phone": "0161 496 0000", "email": "hr@trust.invalid", **ACTOR}
    put = await issuer.call("PUT", "/notice-contact", contact, headers={"If-Match": '"0"'})
    assert put.status_code == 200, put.text
    for reason in ReasonCode:
        body = {"reason_code": reason.value, **ACTOR}
        held = await issuer.call("POST", f"/staff/{staff_id}/passport/hold", body)
        assert held.status_code == 200, held.text
        await sent(issuer)
        assert (await issuer.call("POST", f"/staff/{staff_id}/passport/reinstate", ACTOR)).status_code == 200
    items = await sent(issuer)
    assert len(items) == len(ReasonCode)
    assert len({(item.subject, item.body) for item in items}) == 1, "whatever the cause, the same words"
    assert "contact Staff Passport Team, 0161 496 0000, hr@trust.invalid." in items[0].body
    # and one that was lifted before it was told is not told
    body = {"reason_code": "DBS_CHANGED", **ACTOR}
    await issuer.call("POST", f"/staff/{staff_id}/passport/hold", body)
    await issuer.call("POST", f"/staff/{staff_id}/passport/reinstate", ACTOR)
    assert len(await sent(issuer)) == len(ReasonCode)
    assert (await listed(issuer))[-1]["reason"] == "not_on_hold"


async def test_whom_to_ask_is_changed_by_version_and_by_nobody_else(issuer: IssuerBench) -> None:
    read = await issuer.call("GET", "/notice-contact")
    assert read.json() == {"name": None, "phone": None, "email": None, "version": 0}
    assert read.headers["etag"] == '"0"'
    body = {"name": "the HR team", **ACTOR}
    problem(await issuer.call("PUT", "/notice-contact", body), 428, "precondition_required")
    first = await issuer.call("PUT", "/notice-contact", body, headers={"If-Match": '"0"'})
    assert first.json() == {"name": "the HR team", "phone": None, "email": None, "version": 1}
    again = await issuer.call("PUT", "/notice-contact", body, headers={"If-Match": '"0"'})
    problem(again, 412, "precondition_failed")
    stranger = other_trust(issuer)
    refused = await issuer.call("GET", "/notice-contact", client=stranger)
    assert refused.status_code in (403, 404)


# --- renewals and placements --------------------------------------------------------------------------------


async def test_what_runs_out_is_told_four_times_once_each(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon(**REACHABLE)
    offer = await issuer.offer(staff_id)
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    held = (await issuer.call("GET", f"/credentials?staff_id={staff_id}")).json()["items"]
    last = min(datetime.fromisoformat(item["expires_at"]) for item in held)
    together = sum(datetime.fromisoformat(item["expires_at"]) == last for item in held)
    assert together >= 1
    told = []
    for days in range(33, -3, -1):
        issuer.clock.set(last - timedelta(days=days, hours=1))
        queued = await renewals.announce(issuer.ctx)
        assert await renewals.announce(issuer.ctx) == 0, "running again tells nobody twice"
        told += [days] * queued
    assert told[:1] == [30]
    assert told == [30, 14, 7, 1]
    items = [notice for notice in await listed(issuer) if notice["kind"] == "RENEWAL_DUE"]
    assert len(items) == 4


async def test_a_renewal_names_the_day_and_nothing_else(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon(**REACHABLE)
    offer = await issuer.offer(staff_id, ["DbsOutcome"])
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    (held,) = (await issuer.call("GET", f"/credentials?staff_id={staff_id}")).json()["items"]
    last = datetime.fromisoformat(held["expires_at"])
    issuer.clock.set(last - timedelta(days=13, hours=1))
    assert await renewals.announce(issuer.ctx) == 1
    (item,) = await sent(issuer)
    day = (last - timedelta(seconds=1)).date()
    assert f"runs out on {day.day} " in item.body
    assert not [word for word in ("DBS", "barred", "Disclosure", "certificate") if word in item.body]


@pytest.mark.parametrize(
    ("due_in", "told"), [(29, False), (30, False), (31, True), (40, True)], ids=lambda value: str(value)
)
async def test_a_check_that_runs_out_is_told_unless_it_was_recorded_within_the_days(
    issuer: IssuerBench, due_in: int, told: bool
) -> None:
    staff_id = await ready(issuer)
    offer = await issuer.offer(staff_id)
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    due = issuer.clock.now().date() + timedelta(days=due_in)
    await issuer.made(f"/staff/{staff_id}/checks", check_body("DBS", next_due=due.isoformat()))
    issuer.clock.advance(timedelta(days=max(0, due_in - 30), hours=1))
    assert await renewals.announce(issuer.ctx) == int(told)
    # a newer check of the kind has taken its place
    await issuer.made(f"/staff/{staff_id}/checks", check_body("DBS", next_due="2030-01-01"))
    issuer.clock.set(issuer.clock.now() + timedelta(days=min(due_in, 30) - 7))
    assert await renewals.announce(issuer.ctx) == 0


async def test_nobody_who_has_left_or_is_on_hold_is_reminded(issuer: IssuerBench) -> None:
    staff_id = await ready(issuer)
    offer = await issuer.offer(staff_id)
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    (held,) = (await issuer.call("GET", f"/credentials?staff_id={staff_id}")).json()["items"]
    issuer.clock.set(datetime.fromisoformat(held["expires_at"]) - timedelta(days=7, hours=1))
    body = {"reason_code": "HOLDER_KEY_LOST", **ACTOR}
    assert (await issuer.call("POST", f"/staff/{staff_id}/passport/hold", body)).status_code == 200
    assert await renewals.announce(issuer.ctx) == 0
    assert (await issuer.call("POST", f"/staff/{staff_id}/passport/reinstate", ACTOR)).status_code == 200
    assert await renewals.announce(issuer.ctx) == 1


async def test_the_end_of_a_placement_is_told_by_whoever_ends_it(issuer: IssuerBench) -> None:
    staff_id = await person(issuer)
    facts = {"day": date(2026, 9, 30)}
    made = await queue(issuer, NoticeKind.PLACEMENT_ENDS, staff_id, about="m-1", facts=facts, once="end:m-1")
    assert made is not None
    again = await queue(issuer, NoticeKind.PLACEMENT_ENDS, staff_id, about="m-1", facts=facts, once="end:m-1")
    assert again is None
    (item,) = await sent(issuer)
    assert "ends on 30 September 2026" in item.body
    assert await queue(issuer, NoticeKind.PLACEMENT_ENDS, "nobody", facts=facts) is None
    with pytest.raises(ValueError, match="keeps no fact"):
        await queue(issuer, NoticeKind.PLACEMENT_ENDS, staff_id, facts={"why": "conduct"})


# --- preferences, and what is never said --------------------------------------------------------------------


async def test_who_paused_offers_hears_nothing_but_a_hold(issuer: IssuerBench) -> None:
    staff_id = await person(issuer, preferences={"pause_offers": True})
    day = {"day": date(2026, 9, 30)}
    for kind in set(NoticeKind) - {NoticeKind.ON_HOLD}:
        assert await queue(issuer, kind, staff_id, facts=day) is None
    assert await queue(issuer, NoticeKind.ON_HOLD, staff_id, about="p") is not None


async def test_who_pauses_while_a_notice_waits_does_not_get_it(issuer: IssuerBench) -> None:
    staff_id = await person(issuer)
    await queue(issuer, NoticeKind.PLACEMENT_ENDS, staff_id, facts={"day": date(2026, 9, 30)})
    shown = await issuer.call("GET", f"/staff/{staff_id}")
    body = {
        "legal_given": "Adaeze",
        "legal_family": "Okonkwo-Price",
        "birthdate": "1981-03-09",
        "preferences": {"pause_offers": True},
        **REACHABLE,
    }
    changed = await issuer.call(
        "PUT", f"/staff/{staff_id}", body, headers={"If-Match": shown.headers["etag"]}
    )
    assert changed.status_code == 200, changed.text
    assert await sent(issuer) == []
    assert [notice["reason"] for notice in await listed(issuer)] == ["paused"]


async def test_a_text_message_goes_to_the_mobile_in_the_short_form(issuer: IssuerBench) -> None:
    staff_id = await person(issuer, preferences={"channel": "SMS", "language": "cy"})
    await appointment(issuer, staff_id)
    (item,) = await sent(issuer)
    assert (item.channel.value, item.to_address) == ("SMS", "+447700900123")
    assert item.body.startswith("Apwyntiad pasbort staff")
    assert "\n" not in item.body


async def test_a_notice_carries_a_first_name_and_no_other_personal_data(issuer: IssuerBench) -> None:
    canary = {
        "legal_given": "Adaeze Ngozi",
        "legal_family": "Okonkwo-Price",
        "preferred_name": "Ada Okonkwo",
        "birthdate": "1981-03-09",
        "external_ids": [{"system": "ESR", "kind": "ESR_PERSON", "value": "7654321"}],
    }
    staff_id = await issuer.surgeon(**REACHABLE, **canary)
    await appointment(issuer, staff_id)
    await queue(issuer, NoticeKind.PLACEMENT_ENDS, staff_id, facts={"day": date(2026, 9, 30)})
    await queue(issuer, NoticeKind.RENEWAL_DUE, staff_id, facts={"day": date(2026, 9, 30)})
    invited = {"channel": "EMAIL", **ACTOR}
    await issuer.made(f"/staff/{staff_id}/invitations", invited)
    issuer.clock.advance(timedelta(hours=3))
    offer = await issuer.offer(staff_id)
    await sent(issuer)
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    body = {"reason_code": "REGISTRATION_CHANGED", **ACTOR}
    await issuer.call("POST", f"/staff/{staff_id}/passport/hold", body)
    items = await sent(issuer)
    assert len(items) == len(NoticeKind)
    details = [
        *(str(value) for check in CHECKS.values() for value in check.values() if isinstance(value, str))
    ]
    secrets = [
        *("Okonkwo", "Price", "Adaeze", "Ngozi", "1981", "7654321", "7700", "adaeze.okonkwo"),
        *(offer["tx_code"], str(POST["title"]), "Urology", "Surgeon", "surgical", "REGISTRATION", "General"),
        *(detail for detail in details if len(detail) > 4),
        staff_id,
    ]
    for item in items:
        text = f"{item.subject}\n{item.body}".replace(ENTITY, "")
        assert "Ada" in text
        assert not [secret for secret in secrets if secret.lower() in text.lower()], text
    # nor anywhere the notices are kept, counted or told of
    rows = str(await listed(issuer))
    assert not [secret for secret in secrets[:7] if secret in rows]


# --- what HR sees and may do --------------------------------------------------------------------------------


async def test_notices_are_listed_by_person_and_state_and_read_one_by_one(issuer: IssuerBench) -> None:
    first, second = await person(issuer), await person(issuer, external_ids=[])
    await appointment(issuer, first)
    await sent(issuer)
    await appointment(issuer, second)
    assert [item["staff_id"] for item in await listed(issuer)] == [first, second]
    assert [item["staff_id"] for item in await listed(issuer, f"?staff_id={second}")] == [second]
    assert [item["staff_id"] for item in await listed(issuer, "?state=SENT")] == [first]
    problem(await issuer.call("GET", "/notices?state=LOST"), 422, "invalid_request")
    (waiting,) = await listed(issuer, "?state=QUEUED")
    assert (await issuer.call("GET", f"/notices/{waiting['id']}")).json() == waiting
    problem(await issuer.call("GET", "/notices/unknown"), 404, "not_found")
    page = (await issuer.call("GET", "/notices?limit=1")).json()
    assert len(page["items"]) == 1
    assert page["next"]


async def test_a_notice_is_sent_again_once_and_by_who_may(issuer: IssuerBench) -> None:
    staff_id = await person(issuer)
    await appointment(issuer, staff_id)
    (waiting,) = await listed(issuer)
    path = f"/notices/{waiting['id']}/resend"
    problem(await issuer.call("POST", path, ACTOR), 409, "wrong_state")
    await sent(issuer)
    key = {"Idempotency-Key": "again-1"}
    again = await issuer.call("POST", path, ACTOR, headers=key)
    assert again.status_code == 201, again.text
    assert again.json()["resend_of"] == waiting["id"]
    assert again.json()["id"] != waiting["id"]
    assert (await issuer.call("POST", path, ACTOR, headers=key)).json()["id"] == again.json()["id"]
    problem(await issuer.call("POST", path, ACTOR), 409, "wrong_state")
    assert len(await sent(issuer)) == 2
    reader = api_client("rbv-reader", organisation="RBV", scopes=["notices:read"])
    issuer.clients.put(reader)
    assert (await issuer.call("GET", "/notices", client=reader)).status_code == 200
    problem(await issuer.call("POST", path, ACTOR, client=reader), 403, "forbidden")
    stranger = other_trust(issuer)
    assert (await issuer.call("POST", path, ACTOR, client=stranger)).status_code in (403, 404)


async def test_without_an_address_it_fails_and_can_be_sent_again_when_there_is_one(
    issuer: IssuerBench,
) -> None:
    staff_id = await issuer.staff()
    await appointment(issuer, staff_id)
    assert await sent(issuer) == []
    (failed,) = await listed(issuer)
    assert (failed["state"], failed["reason"], failed["attempts"]) == ("FAILED", "no_address", 1)
    body = {
        "legal_given": "Adaeze",
        "legal_family": "Okonkwo-Price",
        "birthdate": "1981-03-09",
        "work_email": "new@trust.invalid",
    }
    assert (
        await issuer.call("PUT", f"/staff/{staff_id}", body, headers={"If-Match": '"1"'})
    ).status_code == 200
    assert (await issuer.call("POST", f"/notices/{failed['id']}/resend", ACTOR)).status_code == 201
    (item,) = await sent(issuer)
    assert item.to_address == "new@trust.invalid", "the address of the moment it is sent"


async def test_a_notice_is_not_written_when_its_cause_is_not_committed(issuer: IssuerBench) -> None:
    staff_id = await person(issuer)
    with pytest.raises(RuntimeError, match="the change fails"):
        async with issuer.ctx.db.write() as conn:
            await notices.queue(
                issuer.ctx,
                conn,
                kind=NoticeKind.PLACEMENT_ENDS,
                ods="RBV",
                staff_id=staff_id,
                facts={"day": date(2026, 9, 30)},
            )
            raise RuntimeError("the change fails")
    assert await listed(issuer) == []
    assert await notice_sending.send_due(issuer.ctx) == 0


async def test_what_ended_long_ago_is_forgotten_and_what_waits_is_not(issuer: IssuerBench) -> None:
    staff_id = await person(issuer)
    await queue(issuer, NoticeKind.PLACEMENT_ENDS, staff_id, facts={"day": date(2026, 9, 30)})
    await sent(issuer)
    issuer.clock.advance(notice_sending.KEPT + timedelta(days=1))
    await queue(issuer, NoticeKind.PLACEMENT_ENDS, staff_id, facts={"day": date(2030, 9, 30)})
    await notice_sending.tend(issuer.ctx)
    assert [notice["state"] for notice in await listed(issuer)] == ["QUEUED"]
    assert len(await sent(issuer)) == 1, "the development outbox forgets after a week"


def test_tries_go_on_for_about_a_day() -> None:
    from passport_shared.service.job_queue import pause_after

    total = sum((pause_after(n) for n in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(hours=23) < total < timedelta(hours=26)
