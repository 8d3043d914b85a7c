"""Keeping linked people up to date: the feed, thin events, a slow system beside a well one, two replicas."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from passport_issuer.operations import gathering
from passport_issuer.operations import staff as staff_operations
from passport_issuer.operations.connections_refresh import ANEW, PEOPLE_PER_TURN, Refresher, refresh
from passport_issuer.rules.workforce import Cause
from passport_issuer.store import connection_links as links
from passport_issuer.store import connections as store
from passport_issuer.store import tables
from passport_issuer.store.connection_tables import gatherings
from passport_shared.service.jobs import Leases
from passport_testkit.issuers import HR, IssuerBench
from passport_testkit.workforce import (
    BAD_DAYS,
    DOWN,
    ENDLESS_PAGES,
    LYING,
    PERSON,
    REGISTRATION,
    SKILL,
    SLOW,
    SURGEON_ID,
    Workforce,
)


def refresher(issuer: IssuerBench) -> Refresher:
    return Refresher(issuer.ctx, Leases(issuer.ctx.db, tables.jobs, issuer.clock))


async def tick(issuer: IssuerBench, moved: timedelta = timedelta(minutes=6)) -> int:
    """What the periodic task does once, some minutes later; how many connections had a turn."""
    issuer.clock.advance(moved)
    each = refresher(issuer)
    started = await each.tick()
    await each.settled()
    return started


async def person(issuer: IssuerBench, staff_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await issuer.call("GET", f"/staff/{staff_id}")).json()
    return found


async def kept(issuer: IssuerBench, staff_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await issuer.call("GET", f"/staff/{staff_id}/gatherings")).json()["items"]
    return found


async def linked(issuer: IssuerBench, workforce: Workforce, system_type: str = "ESR", **changes: Any) -> Any:
    staff_id = await issuer.surgeon(external_ids=[])
    connection_id = await workforce.linked(issuer, staff_id, system_type, **changes)
    return staff_id, connection_id


LEAVING = [
    ("leaver.notified", "NOTICE", "2026-12-01"),
    ("leaver.effective", "LEFT", "2026-08-31"),
]


@pytest.mark.parametrize(("kind", "status", "leaving"), LEAVING)
async def test_a_leaver_is_known_at_once(
    connected: IssuerBench, workforce: Workforce, kind: str, status: str, leaving: str
) -> None:
    staff_id, _ = await linked(connected, workforce)
    workforce.esr[SURGEON_ID]["person"].update(employment_status=status, leaving_date=leaving)
    workforce.says(kind)
    await tick(connected)
    found = await person(connected, staff_id)
    assert (found["employment_status"], found["leaving_date"]) == (status, leaving)


async def test_a_registration_that_lapses_holds_the_passport(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id, connection_id = await linked(connected, workforce)
    offer = await connected.offer(staff_id)
    await connected.wallet().collect(offer["credential_offer"], offer["tx_code"])
    workforce.esr[SURGEON_ID]["registrations"] = [
        {**REGISTRATION, "status": "LAPSED", "checked_on": "2026-09-01"}
    ]
    workforce.says("registration.changed")
    await tick(connected)
    passport = (await connected.call("GET", f"/staff/{staff_id}/passport")).json()
    assert (passport["state"], passport["reason_code"]) == ("ON_HOLD", "REGISTRATION_CHANGED")
    # Once said, once done: the feed's place is kept.
    reads = len(workforce.seen)
    await tick(connected)
    assert [path for path in workforce.seen[reads:] if "changes" not in path] == []
    async with connected.ctx.db.read() as conn:
        connection = await store.get_connection(conn, "RBV", connection_id)
    assert connection is not None
    assert connection.cursor == "c1"


async def test_a_suspension_from_work_holds_the_passport(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id, _ = await linked(connected, workforce)
    await connected.offer(staff_id)
    workforce.esr[SURGEON_ID]["person"]["employment_status"] = "SUSPENDED"
    workforce.says("suspended")
    await tick(connected)
    passport = (await connected.call("GET", f"/staff/{staff_id}/passport")).json()
    assert (passport["state"], passport["reason_code"]) == ("ON_HOLD", "EMPLOYMENT_ON_HOLD")


async def test_other_changes_wait_for_hr_in_one_preview(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id, _ = await linked(connected, workforce)
    workforce.esr[SURGEON_ID]["assignments"][0]["position"]["department"] = "Theatres"
    workforce.says("assignment.changed")
    await tick(connected)
    workforce.says("employee.changed")
    await tick(connected)
    [waiting] = await kept(connected, staff_id)
    assert (waiting["cause"], waiting["created_by"]) == ("CHANGES", "workforce")
    detail = (await connected.call("GET", f"/staff/{staff_id}/gatherings/{waiting['id']}")).json()
    [item] = [one for one in detail["items"] if one["kind"] == "ASSIGNMENT"]
    assert (item["state"], item["applied_at"]) == ("CHANGED", None)
    assert "department" in item["differs"]
    # Nobody wanted it: forgotten with everything in it.
    connected.clock.advance(gathering.KEPT + timedelta(days=1))
    assert await gathering.forget_expired(connected.ctx) == 1
    assert await kept(connected, staff_id) == []


async def test_people_we_are_not_linked_to_are_forgotten(
    connected: IssuerBench, workforce: Workforce
) -> None:
    await linked(connected, workforce)
    for _ in range(3):
        workforce.says("registration.changed", person_id="nobody-of-ours")
    workforce.page = 2
    before = len(workforce.seen)
    await tick(connected)
    asked = workforce.seen[before:]
    assert len(asked) == 2, "two pages of the feed, and nobody was read"
    assert all("/changes" in path for path in asked)


async def test_one_slow_system_delays_nobody_else(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id, slow = await linked(connected, workforce, "ESR", timeout_s=20)
    other = await workforce.linked(connected, staff_id, "LMS")
    workforce.employees["LMS"]["E-77"]["records"].append({**SKILL, "dateLastAwarded": "2026-08-30"})
    async with connected.ctx.db.write() as conn:
        await links.mark_due(conn, other, ["E-77"], connected.clock.now())
    workforce.modes["ESR"] = SLOW
    connected.clock.advance(timedelta(minutes=6))
    each = refresher(connected)
    assert await each.tick() == 2
    while other in each._running or not await kept(connected, staff_id):
        await each.tick()
    assert list(each._running) == [slow], "the slow one still waits for its system"
    await each.close()
    workforce.modes.clear()


@pytest.mark.parametrize("mode", [*BAD_DAYS, ENDLESS_PAGES])
async def test_after_a_bad_day_what_was_due_is_read(
    connected: IssuerBench, workforce: Workforce, mode: str
) -> None:
    staff_id, connection_id = await linked(connected, workforce, timeout_s=0.5)
    workforce.esr[SURGEON_ID]["person"].update(employment_status="NOTICE", leaving_date="2026-12-01")
    workforce.says("leaver.notified")
    workforce.modes["ESR"] = mode
    await tick(connected)
    failed = (await connected.call("GET", f"/connections/{connection_id}")).json()
    assert failed["consecutive_failures"] == 1
    assert await tick(connected, timedelta(seconds=20)) == 0, "it is left alone for a while"
    workforce.modes.clear()
    await tick(connected, timedelta(minutes=2))
    assert (await person(connected, staff_id))["employment_status"] == "NOTICE"
    healthy = (await connected.call("GET", f"/connections/{connection_id}")).json()
    assert (healthy["consecutive_failures"], healthy["last_error"]) == (0, None)


async def test_a_lying_system_changes_nothing_by_itself(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id, connection_id = await linked(connected, workforce)
    workforce.modes["ESR"] = LYING
    workforce.says("leaver.effective")
    await tick(connected)
    assert (await person(connected, staff_id))["employment_status"] == "ACTIVE"
    marked = (await connected.call("GET", f"/connections/{connection_id}")).json()
    assert marked["suspicious_reason"] == "OTHER_PERSON"
    # Telling the truth again is not enough: a person has to look first.
    workforce.modes.clear()
    workforce.esr[SURGEON_ID]["person"].update(employment_status="NOTICE", leaving_date="2026-12-01")
    workforce.says("leaver.notified")
    await tick(connected)
    assert (await person(connected, staff_id))["employment_status"] == "ACTIVE"
    [waiting] = await kept(connected, staff_id)
    assert waiting["cause"] == "CHANGES"
    body = {"finding": "SYSTEM_CORRECTED", "actor": HR}
    await connected.call("POST", f"/connections/{connection_id}/believe", body)
    workforce.says("leaver.notified")
    await tick(connected)
    assert (await person(connected, staff_id))["employment_status"] == "NOTICE"


async def test_somebody_who_is_gone_there_stops_nothing(connected: IssuerBench, workforce: Workforce) -> None:
    _, connection_id = await linked(connected, workforce)
    workforce.esr.clear()
    workforce.says("employee.changed")
    await tick(connected)
    async with connected.ctx.db.read() as conn:
        assert await links.due_links(conn, connection_id, connected.clock.now(), 5) == []
        connection = await store.get_connection(conn, "RBV", connection_id)
    assert connection is not None
    assert connection.failures == 0


async def test_everybody_is_read_again_after_a_day(connected: IssuerBench, workforce: Workforce) -> None:
    await linked(connected, workforce, "LMS")
    before = len(workforce.seen)
    await tick(connected)
    assert len(workforce.seen) == before
    await tick(connected, ANEW)
    assert len(workforce.seen) == before + 2


async def test_two_replicas_take_turns(connected: IssuerBench, workforce: Workforce) -> None:
    _, connection_id = await linked(connected, workforce)
    workforce.says("employee.changed")
    connected.clock.advance(timedelta(minutes=6))
    one, other = refresher(connected), refresher(connected)
    await one.tick()
    await other.tick()
    await one.settled()
    await other.settled()
    reads = [path for path in workforce.seen if path.endswith(f"/persons/{SURGEON_ID}")]
    assert len(reads) == 2, "once to be linked, once because of the feed"
    # A page that another replica has noted is not noted twice.
    async with connected.ctx.db.read() as conn:
        connection = await store.get_connection(conn, "RBV", connection_id)
    assert connection is not None
    async with connected.ctx.db.write() as conn:
        assert await store.move_cursor(conn, connection, "c9")
    async with connected.ctx.db.write() as conn:
        assert not await store.move_cursor(conn, connection, "c9b")


async def test_many_people_take_several_turns(connected: IssuerBench, workforce: Workforce) -> None:
    connection_id = await workforce.connect(connected, "ESR")
    people = PEOPLE_PER_TURN + 3
    for number in range(people):
        person_id = f"70{number:05}"
        workforce.hire(person_id=person_id)
        staff_id = await connected.staff(external_ids=[])
        link = {"person_id": person_id, "actor": HR}
        await connected.call("PUT", f"/staff/{staff_id}/links/{connection_id}", link)
        workforce.says("employee.changed", person_id=person_id)
    await tick(connected)
    async with connected.ctx.db.read() as conn:
        left = await links.due_links(conn, connection_id, connected.clock.now(), 99)
    assert len(left) == 3
    assert await tick(connected, timedelta(seconds=1)) == 1, "its next turn comes at once"
    async with connected.ctx.db.read() as conn:
        assert await links.due_links(conn, connection_id, connected.clock.now(), 99) == []


async def test_a_link_that_changed_while_the_system_was_read_gives_nothing(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id, connection_id = await linked(connected, workforce)
    async with connected.ctx.db.read() as conn:
        link = await links.get_link(conn, "RBV", staff_id, connection_id)
        connection = await store.get_connection(conn, "RBV", connection_id)
    assert link is not None
    assert connection is not None
    tenant = await connected.ctx.tenants.get("RBV")
    assert tenant is not None
    staff = await staff_operations.get(connected.ctx, tenant, staff_id)
    source = await gathering.read_source(connected.ctx, staff, link, connection, [link])
    assert source.findings
    await connected.call(
        "POST", f"/staff/{staff_id}/links/{connection_id}/unlink", {"actor": HR}, headers={"If-Match": "*"}
    )
    made = await gathering.keep(connected.ctx, tenant, staff, [source], Cause.HR, HR, {"ref": HR})
    assert made.sources[0]["reason"] == "UNLINKED"
    detail = (await connected.call("GET", f"/staff/{staff_id}/gatherings/{made.id}")).json()
    assert detail["items"] == []


async def test_a_connection_that_was_paused_or_removed_has_no_turn(
    connected: IssuerBench, workforce: Workforce
) -> None:
    connection_id = await workforce.connect(connected, "ESR")
    async with connected.ctx.db.read() as conn:
        connection = await store.get_connection(conn, "RBV", connection_id)
    assert connection is not None
    await connected.call("POST", f"/connections/{connection_id}/remove", {"actor": HR})
    workforce.modes["ESR"] = DOWN
    await refresh(connected.ctx, connection)
    assert workforce.seen == []


async def test_no_personal_data_in_what_is_kept_of_sources(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id, _ = await linked(connected, workforce)
    await connected.made(f"/staff/{staff_id}/gather", {"actor": HR})
    async with connected.ctx.db.read() as conn:
        rows = (await conn.execute(select(gatherings.c.sources))).scalars().all()
        entries = tables.audit.entries
        audit = (await conn.execute(select(entries.c.details, entries.c.kind))).all()
    for text in (str(rows), str(audit)):
        assert PERSON["family_name"] not in text
        assert PERSON["birthdate"] not in text
        assert "7099999" not in text


async def test_one_record_that_cannot_be_read_holds_up_nobody_for_ever(
    connected: IssuerBench, workforce: Workforce
) -> None:
    connection_id = await workforce.connect(connected, "ESR")
    for person_id in ("7000001", "7000002"):
        workforce.hire(person_id=person_id)
        staff_id = await connected.staff(external_ids=[])
        link = {"person_id": person_id, "actor": HR}
        await connected.call("PUT", f"/staff/{staff_id}/links/{connection_id}", link)
    workforce.esr["7000001"]["assignments"] = "no list"
    workforce.says("employee.changed", person_id="7000001")
    await tick(connected)
    workforce.says("employee.changed", person_id="7000002")
    for _ in range(3):
        await tick(connected, timedelta(minutes=61))
    async with connected.ctx.db.read() as conn:
        left = await links.due_links(conn, connection_id, connected.clock.now(), 5)
    assert [one.person_id for one in left] == ["7000001"]
