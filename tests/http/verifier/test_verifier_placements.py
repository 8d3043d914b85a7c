"""Placements at a host: started when ready, issued by its own issuer, ended; nothing lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from passport_issuer.store import tables as issuer_tables
from passport_shared.formats.jose import SigningKey, parse
from passport_shared.formats.status_list import INVALID, VALID
from passport_testkit.apps import problem
from passport_testkit.databases import FreshDatabases
from passport_testkit.placing import DONE, HOST_ISSUER, START, Host, running_host
from passport_verifier.operations import placement_telling, placements
from passport_verifier.store import tables
from passport_verifier.store.placement_tables import placements as placement_rows


@pytest.fixture
async def host(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, databases) as running:
        yield running


def path(movement_id: str) -> str:
    return f"/movements/{movement_id}/placement"


async def test_a_ready_movement_is_placed_and_its_record_collected(host: Host):
    movement = await host.ready()
    assert movement["state"] == "READY"
    placed = await host.started(movement)
    assert (placed["state"], placed["waiting"], placed["start"]) == ("PREPARED", None, "2026-09-02")
    assert placed["offer"]["state"] == "OFFERED"
    claims = parse((await host.collect(movement["id"])).partition("~")[0]).claims
    assert claims["exp"] == int(datetime(2026, 9, 21, 23, tzinfo=UTC).timestamp())
    assert claims["position_title"] == START["position_title"]
    assert host.wire.seen.count(f"PUT {movement['id']}") == 1


async def test_it_begins_on_the_first_day_after_the_induction_and_ends_after_the_last(host: Host):
    movement_id = (await host.ready())["id"]
    await host.started({"id": movement_id})
    await host.round()
    assert (await host.placement(movement_id))["state"] == "PREPARED"
    host.verifier.clock.set(datetime(2026, 9, 2, 7, tzinfo=UTC))
    await host.network()
    await host.round()
    assert (await host.placement(movement_id))["state"] == "PREPARED", "nobody was inducted"
    await host.inducted(movement_id, "2026-09-02")
    assert (await host.placement(movement_id))["state"] == "ACTIVE"
    assert (await host.verifier.read(f"/movements/{movement_id}"))["state"] == "ACTIVE"
    credential = await host.collect(movement_id)
    host.verifier.clock.set(datetime(2026, 9, 21, 23, 1, tzinfo=UTC))
    await host.network()
    await host.round()
    ended = await host.placement(movement_id)
    assert (ended["state"], ended["end_reason"], ended["checklist"]) == ("ENDED", "LAST_DAY", None)
    assert (await host.verifier.read(f"/movements/{movement_id}"))["state"] == "ENDED"
    assert await host.status_of(credential) == INVALID
    told = await host.verifier.made(f"{path(movement_id)}/end", DONE, 200)
    assert told["checklist"]["badge_returned"] is True
    again = {**DONE, "badge_returned": False}
    problem(await host.verifier.call("POST", f"{path(movement_id)}/end", again), 409, "conflict")
    types = await _events(host)
    assert [types.count(f"placement.{name}") for name in ("started", "ended")] == [1, 1]


async def _events(host: Host) -> list[str]:
    async with host.verifier.ctx.db.read() as conn:
        return list((await conn.execute(select(tables.outbox.events.c.type))).scalars())


async def test_hr_ends_it_with_a_checklist(host: Host):
    movement_id = await host.running()
    credential = await host.collect(movement_id)
    ended = await host.verifier.made(f"{path(movement_id)}/end", DONE, 200)
    assert (ended["state"], ended["end_reason"], ended["waiting"]) == ("ENDED", "CLOSED", None)
    assert await host.status_of(credential) == INVALID
    assert (await host.verifier.read(f"/movements/{movement_id}/watch"))["state"] == "CLOSED"
    assert await host.verifier.made(f"{path(movement_id)}/end", DONE, 200) == ended


async def test_nothing_is_placed_before_it_is_ready(host: Host):
    verifier = host.verifier
    movement = await verifier.movement()
    refused = problem(await verifier.call("POST", path(movement["id"]), START), 409, "gate_not_passed")
    assert "G-D" in refused["detail"]
    problem(await verifier.call("POST", path("none"), START), 404, "not_found")
    problem(await verifier.call("GET", path(movement["id"])), 404, "not_found")
    presenter = verifier.surgeon(DbsOutcome={"level": "BASIC"})
    unready = await host.ready(presenter)
    refused = problem(await verifier.call("POST", path(unready["id"]), START), 409, "not_ready_to_place")
    assert unready["state"] in refused["detail"]


async def test_several_sites_need_one_to_be_named(host: Host):
    movement = await host.ready(sites=["Wythenshawe Hospital", "Trafford General"])
    refused = problem(await host.verifier.call("POST", path(movement["id"]), START), 422, "invalid_request")
    assert refused["field"] == "/site"
    placed = await host.started(movement, site="Trafford General")
    assert placed["post"]["site"] == "Trafford General"


async def test_of_many_starts_one_counts(host: Host):
    movement = await host.ready()
    answers = await asyncio.gather(
        *(host.verifier.call("POST", path(movement["id"]), START) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    async with host.issuer.db.read() as conn:
        assert len((await conn.execute(select(issuer_tables.passports))).all()) == 1


async def test_start_and_end_at_once_leave_nothing_half_done(host: Host):
    movement = await host.ready()
    verifier = host.verifier
    await host.started(movement)
    await asyncio.gather(
        *(verifier.call("POST", f"{path(movement['id'])}/end", DONE) for _ in range(4)),
        *(placement_telling.tell(verifier.ctx, movement["id"]) for _ in range(4)),
        placements.tend(verifier.ctx),
    )
    await host.round()
    placed = await host.placement(movement["id"])
    assert (placed["state"], placed["waiting"]) == ("ENDED", None)
    async with host.issuer.db.read() as conn:
        [state] = (await conn.execute(select(issuer_tables.passports.c.state))).scalars()
    assert state == "CLOSED"


async def test_an_issuer_that_is_down_loses_nothing(host: Host):
    host.wire.down = True
    movement = await host.ready()
    placed = await host.started(movement)
    assert (placed["offer"], placed["waiting"]["code"]) == (None, "outbound_connect_failed")
    host.wire.down = False
    assert await placement_telling.tell_due(host.verifier.ctx) == 0, "not before its pause is over"
    host.verifier.clock.advance(timedelta(seconds=6))
    assert await placement_telling.tell_due(host.verifier.ctx) == 1
    told = await host.placement(movement["id"])
    assert (told["waiting"], told["offer"]["state"]) == (None, "OFFERED")


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_process_killed_around_the_call_is_followed_by_another(host: Host, moment: str):
    async def die(request: httpx.Request) -> None:
        if request.method == "PUT":
            setattr(host.wire, moment, None)
            raise Killed

    movement = await host.ready()
    setattr(host.wire, moment, die)
    with pytest.raises(Killed):
        await host.verifier.call("POST", path(movement["id"]), START)
    assert await placement_telling.tell(host.verifier.ctx, movement["id"]) is False, "it is leased still"
    host.verifier.clock.advance(timedelta(seconds=61))
    assert await placement_telling.tell(host.verifier.ctx, movement["id"]) is True
    assert (await host.placement(movement["id"]))["waiting"] is None
    async with host.issuer.db.read() as conn:
        assert len((await conn.execute(select(issuer_tables.passports))).all()) == 1


async def test_one_that_ends_before_its_issuer_ever_heard_of_it_is_over(host: Host):
    host.wire.down = True
    movement = await host.ready()
    await host.started(movement)
    await host.verifier.made(f"{path(movement['id'])}/end", DONE, 200)
    host.wire.down = False
    host.verifier.clock.advance(timedelta(minutes=6))
    await placement_telling.tell_due(host.verifier.ctx)
    ended = await host.placement(movement["id"])
    assert (ended["waiting"], ended["taken_at"]) == (None, None)


async def test_w8_a_shorter_release_ends_the_placement_earlier_and_tells_the_host(host: Host):
    movement_id = await host.running()
    credential = await host.collect(movement_id)
    host.verifier.desk.limit(date(2026, 9, 10), code="LEAVING")
    await host.verifier.look(movement_id)
    await host.round()
    capped = await host.placement(movement_id)
    assert (capped["end"], capped["state"]) == ("2026-09-10", "ACTIVE")
    [alert] = [one for one in await host.alerts(movement_id) if one["kind"] == "CAPPED"]
    assert alert["urgent"] is True
    assert "10 September 2026" in alert["text"]["en-GB"]
    assert "10 Medi 2026" in alert["text"]["cy"]
    new = await host.collect(movement_id)
    claims = parse(new.partition("~")[0]).claims
    assert claims["exp"] == int(datetime(2026, 9, 10, 23, tzinfo=UTC).timestamp())
    assert (await host.status_of(credential), await host.status_of(new)) == (INVALID, VALID)
    host.verifier.clock.set(datetime(2026, 9, 11, 1, tzinfo=UTC))
    await host.network()
    await host.round()
    assert (await host.placement(movement_id))["state"] == "ENDED"


async def test_a_release_taken_back_ends_the_placement(host: Host):
    movement_id = await host.running()
    credential = await host.collect(movement_id)
    host.verifier.desk.withdraw()
    await host.verifier.look(movement_id)
    await host.round()
    ended = await host.placement(movement_id)
    assert (ended["state"], ended["end_reason"]) == ("ENDED", "MOVEMENT_OVER")
    assert [one["kind"] for one in await host.alerts(movement_id)][-1] == "ENDED_WITH_MOVEMENT"
    assert await host.status_of(credential) == INVALID


async def _every_text(host: Host) -> str:
    """Everything the verifier's database holds, as text."""
    found: list[str] = []
    async with host.verifier.ctx.db.read() as conn:
        for table in tables.metadata.sorted_tables:
            found += [repr(dict(row)) for row in (await conn.execute(select(table))).mappings()]
    return "\n".join(found)


async def test_names_are_nowhere_in_the_clear_and_gone_once_the_issuer_has_them(host: Host):
    host.wire.down = True
    movement = await host.ready()
    await host.started(movement)
    text = await _every_text(host)
    for value in ("Okonkwo", "Adaeze", "1981-03-09", "7099999"):
        assert value not in text
    assert await _people(host) == 1
    host.wire.down = False
    host.verifier.clock.advance(timedelta(seconds=6))
    await placement_telling.tell_due(host.verifier.ctx)
    assert await _people(host) == 0


async def _people(host: Host) -> int:
    async with host.verifier.ctx.db.read() as conn:
        kept = tables.decisions.c.sealed_person
        return len((await conn.execute(select(kept).where(kept.is_not(None)))).all())


async def test_names_are_kept_ten_days_at_most(host: Host):
    movement = await host.ready(start="2026-09-20", end="2026-09-21")
    host.verifier.clock.advance(timedelta(days=10, seconds=1))
    await host.network()
    await placements.tend(host.verifier.ctx)
    assert await _people(host) == 0
    problem(await host.verifier.call("POST", path(movement["id"]), START), 409, "person_forgotten")


async def test_names_go_with_a_movement_that_is_cancelled(host: Host):
    movement = await host.ready()
    await host.started(movement)
    body = {"actor": "hr-0815"}
    answer = await host.verifier.call("POST", f"/movements/{movement['id']}/cancel", body)
    assert answer.status_code == 200, answer.text
    await host.round()
    assert await _people(host) == 0
    assert (await host.placement(movement["id"]))["state"] == "ENDED"


async def test_what_was_judged_from_is_deleted_after_the_retention(host: Host):
    movement_id = await host.running()
    await host.verifier.made(f"{path(movement_id)}/end", DONE, 200)
    assert await placements.erase(host.verifier.ctx) == 0
    host.verifier.clock.advance(timedelta(days=91))
    assert await placements.erase(host.verifier.ctx) == 1
    assert await placements.erase(host.verifier.ctx) == 0
    [decision] = (await host.verifier.read(f"/decisions?movement_id={movement_id}"))["items"][:1]
    told = await host.verifier.read(f"/decisions/{decision['id']}")
    assert {finding["text"] for finding in told["result"]["findings"]} == {None}
    refused = await host.verifier.call("POST", f"/decisions/{decision['id']}/recheck", {"actor": "hr-1"})
    assert refused.status_code in {409, 503}
    check = {
        "regulator": "GMC",
        "number": "7099999",
        "status": "REGISTERED",
        "licence": True,
        "actor": "hr-1",
    }
    check |= {"movement_id": movement_id, "checked_at": host.verifier.clock.now().isoformat()}
    problem(await host.verifier.call("POST", "/register-checks", check), 409, "conflict")


async def test_the_record_is_offered_again_when_hr_asks(host: Host):
    movement = await host.ready()
    first = await host.started(movement)
    again = await host.verifier.made(f"{path(movement['id'])}/offer", {"actor": "hr-0815"}, 200)
    assert again["offer"]["id"] != first["offer"]["id"]
    host.wire.down = True
    refused = await host.verifier.call("POST", f"{path(movement['id'])}/offer", {"actor": "hr-0815"})
    problem(refused, 503, "placement_issuer_silent")


async def test_another_persons_key_cannot_collect(host: Host):
    movement = await host.ready()
    await host.started(movement)
    host.keys[movement["id"]] = SigningKey.generate()
    with pytest.raises(AssertionError, match="invalid_proof"):
        await host.collect(movement["id"])


BAD_ISSUERS: list[tuple[str, str]] = [
    ("http://host-issuer.example", "not_a_url"),
    ("https://host-issuer.example/", "not_a_url"),
    ("https://host-issuer.example/R0A", "not_a_url"),
    ("https://user@host-issuer.example", "not_a_url"),
    ("https://127.0.0.1", "not_our_issuer"),
    ("https://issuer.example", "not_our_issuer"),
    ("nonsense", "not_a_url"),
]


@pytest.mark.parametrize(("url", "code"), BAD_ISSUERS)
async def test_only_the_hosts_own_issuer_is_accepted(host: Host, url: str, code: str):
    answer = await host.verifier.call(
        "PUT", "/placement-issuer", {"issuer_url": url}, headers={"If-Match": '"1"'}
    )
    refused = problem(answer, 422, "invalid_request")
    assert [error["code"] for error in refused["errors"]] in ([code], ["not_a_url"])


async def test_where_the_issuer_is_changes_with_its_version(host: Host):
    read = await host.verifier.call("GET", "/placement-issuer")
    assert (read.json()["issuer_url"], read.headers["etag"]) == (HOST_ISSUER, '"1"')
    stale = await host.verifier.call(
        "PUT", "/placement-issuer", {"issuer_url": HOST_ISSUER}, headers={"If-Match": '"7"'}
    )
    problem(stale, 412, "precondition_failed")


async def test_lists_are_the_hosts_own(host: Host):
    movement_id = await host.running()
    for state, expected in (("ACTIVE", [movement_id]), ("ON_HOLD", []), ("ENDED", [])):
        found: dict[str, Any] = await host.verifier.read(f"/placements?state={state}")
        assert [one["movement_id"] for one in found["items"]] == expected
    async with host.verifier.ctx.db.read() as conn:
        [row] = (await conn.execute(select(placement_rows))).mappings()
    assert "Okonkwo" not in repr(dict(row))


async def test_one_movement_that_cannot_be_read_holds_up_no_other(host: Host):
    broken, fine = (await host.ready())["id"], (await host.ready())["id"]
    for one in (broken, fine):
        await host.started({"id": one})
        await host.inducted(one, "2026-09-01")
    emptied = tables.movements.update().values(details={})
    async with host.verifier.ctx.db.write() as conn:
        await conn.execute(emptied.where(tables.movements.c.id == broken))
    host.verifier.clock.advance(timedelta(days=1))
    assert await placements.tend(host.verifier.ctx) == 1
    assert (await host.placement(fine))["state"] == "ACTIVE"
    assert (await host.placement(broken))["state"] == "PREPARED"
