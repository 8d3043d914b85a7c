"""The watch over what a placement relies on: every change judged once, the host told, the record held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from passport_shared.formats.jose import SigningKey
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID
from passport_testkit.apps import problem
from passport_testkit.clients import api_client
from passport_testkit.databases import FreshDatabases
from passport_testkit.network import vct
from passport_testkit.placing import DONE, Host, running_host
from passport_testkit.presenter import ALL_TYPES, Presenter
from passport_testkit.verifiers import HR
from passport_verifier.operations import placements, rechecks, watches
from passport_verifier.store import tables
from passport_verifier.store import watches as rows
from passport_verifier.store.decisions import Cause
from passport_verifier.store.placement_tables import watched_lists


@pytest.fixture
async def host(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, databases) as running:
        yield running


async def at_home(host: Host, presenter: Presenter, name: str, value: int) -> None:
    """The employing trust changes a record's status, and a minute goes by."""
    host.verifier.home.list.set(presenter.held[name].idx, value)
    host.verifier.clock.advance(timedelta(seconds=61))
    await host.round()


async def fetched(host: Host) -> None:
    """A minute later the list is there, and nobody has looked at it yet."""
    ctx = host.verifier.ctx
    host.verifier.clock.advance(timedelta(seconds=61))
    async with ctx.db.write() as conn:
        await rows.hurry_lists(conn, every=timedelta(seconds=60), now=ctx.clock.now())
    await host.verifier.refresh_statuses()


async def decisions_of(host: Host, movement_id: str) -> list[dict[str, Any]]:
    """The decisions of a movement, oldest first."""
    found = await host.verifier.read(f"/decisions?movement_id={movement_id}")
    return list(reversed(found["items"]))


async def kinds(host: Host, movement_id: str) -> list[str]:
    return [one["kind"] for one in await host.alerts(movement_id)]


async def test_a_hold_at_home_holds_the_placement_and_lifting_it_lifts_that(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    record = await host.collect(movement_id)
    await at_home(host, presenter, "ProfessionalRegistration", SUSPENDED)
    held = await host.placement(movement_id)
    assert (held["state"], held["on_hold"], held["waiting"]) == ("ON_HOLD", True, None)
    assert await host.status_of(record) == SUSPENDED
    [alert] = await host.alerts(movement_id)
    assert (alert["kind"], alert["urgent"]) == ("ON_HOLD", True)
    assert "RBV" in alert["text"]["en-GB"]
    assert len(alert["findings"]) == 1
    assert "hold" in alert["findings"][0]["en-GB"]
    await at_home(host, presenter, "ProfessionalRegistration", VALID)
    again = await host.placement(movement_id)
    assert (again["state"], again["on_hold"]) == ("ACTIVE", False)
    assert await host.status_of(record) == VALID
    assert await kinds(host, movement_id) == ["ON_HOLD", "REINSTATED"]
    line = await decisions_of(host, movement_id)
    assert [one["cause"] for one in line] == ["PRESENTATION", "WATCHED", "WATCHED"]
    assert [one["recheck_of"] for one in line] == [None, line[0]["id"], line[1]["id"]]
    assert (await host.verifier.read(f"/movements/{movement_id}/watch"))["decision_id"] == line[-1]["id"]


async def test_a_record_that_is_cancelled_at_home_stops_the_placement_for_good(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    await at_home(host, presenter, "DbsOutcome", INVALID)
    assert (await host.placement(movement_id))["state"] == "ON_HOLD"
    for _ in range(3):
        host.verifier.clock.advance(timedelta(minutes=5))
        await host.round()
    assert len(await decisions_of(host, movement_id)) == 2, "one change, one re-check"


async def test_a_ready_movement_is_watched_before_anything_is_placed(host: Host):
    presenter = host.verifier.surgeon()
    movement = await host.ready(presenter)
    await host.round()
    assert (await host.verifier.read(f"/movements/{movement['id']}/watch"))["state"] == "OPEN"
    await at_home(host, presenter, "RightToWork", INVALID)
    assert (await host.verifier.read(f"/movements/{movement['id']}"))["state"] == "RELEASED"
    assert await kinds(host, movement["id"]) == ["WORSE"]


async def test_a_placement_on_hold_before_its_first_day_does_not_begin(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = (await host.ready(presenter))["id"]
    await host.started({"id": movement_id})
    await host.round()
    await at_home(host, presenter, "DbsOutcome", SUSPENDED)
    host.verifier.clock.set(datetime(2026, 9, 2, 8, tzinfo=UTC))
    await host.network()
    await host.inducted(movement_id, "2026-09-02")
    await host.round()
    waiting = await host.placement(movement_id)
    assert (waiting["state"], waiting["on_hold"]) == ("PREPARED", True)
    await at_home(host, presenter, "DbsOutcome", VALID)
    await host.round()
    assert (await host.placement(movement_id))["state"] == "ACTIVE"


async def test_watched_lists_are_asked_for_every_minute(host: Host):
    movement_id = await host.running()
    uri = host.verifier.home.uri
    before = host.verifier.wire.requests.count(f"GET {uri}")
    for _ in range(3):
        host.verifier.clock.advance(timedelta(seconds=61))
        await host.round()
    assert host.verifier.wire.requests.count(f"GET {uri}") == before + 3
    await host.verifier.made(f"/movements/{movement_id}/placement/end", DONE, 200)
    await watches.tidy(host.verifier.ctx)
    before = host.verifier.wire.requests.count(f"GET {uri}")
    host.verifier.clock.advance(timedelta(seconds=61))
    await host.round()
    assert host.verifier.wire.requests.count(f"GET {uri}") == before, "nobody is watched: its own time"


async def test_a_list_that_is_not_renewed_is_told_when_it_is_old_and_fine_when_it_comes(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    home = host.verifier.home
    home.token = home.status_token()
    for _ in range(4):
        host.verifier.clock.advance(timedelta(minutes=20))
        await host.round()
    newest = (await decisions_of(host, movement_id))[-1]
    assert (newest["cause"], newest["outcome"]) == ("WATCHED", "REFER")
    assert await kinds(host, movement_id) == ["WORSE"]
    assert (await host.placement(movement_id))["state"] == "ACTIVE", "not knowing stops nobody"
    home.token = None
    host.verifier.clock.advance(timedelta(minutes=10))
    await host.round()
    assert (await decisions_of(host, movement_id))[-1]["outcome"] == "READY"


async def changed(host: Host) -> None:
    """The network's change reaches everybody."""
    host.verifier.clock.advance(timedelta(seconds=31))
    await host.network()
    await host.round()


async def compromise(host: Host) -> None:
    host.verifier.registry.compromise(host.verifier.home.entity_id)


async def suspend(host: Host) -> None:
    host.verifier.registry.suspend(host.verifier.home.entity_id)


async def unauthorise(host: Host) -> None:
    registry = host.verifier.registry
    types = [name for name in ALL_TYPES if name != "DbsOutcome"]
    grants = [registry.authorization("issue", vct(name), max_validity_s=31_536_000) for name in types]
    registry.grant(host.verifier.home.entity_id, grants)


async def close(host: Host) -> None:
    host.verifier.registry.close(host.verifier.home.entity_id)


async def nothing(host: Host) -> None:
    """The snapshot is published again, and says the same."""


REGISTRY: list[tuple[str, Any, str, str, list[str]]] = [
    ("key compromised", compromise, "NOT_READY", "ON_HOLD", ["ON_HOLD"]),
    ("suspended for integrity", suspend, "REFER", "ACTIVE", ["WORSE"]),
    ("type no longer authorised", unauthorise, "NOT_READY", "ON_HOLD", ["ON_HOLD"]),
    ("closed administratively", close, "READY", "ACTIVE", []),
    ("nothing new", nothing, "READY", "ACTIVE", []),
]


@pytest.mark.parametrize(("name", "act", "outcome", "state", "told"), REGISTRY)
async def test_every_change_of_the_register(
    host: Host, name: str, act: Any, outcome: str, state: str, told: list[str]
):
    movement_id = await host.running()
    before = len(await decisions_of(host, movement_id))
    await act(host)
    await changed(host)
    line = await decisions_of(host, movement_id)
    assert line[-1]["outcome"] == outcome, name
    assert len(line) == before + bool(told), "judged again only if it matters"
    assert (await host.placement(movement_id))["state"] == state
    assert await kinds(host, movement_id) == told


async def test_the_hosts_own_look_up_holds_a_placement(host: Host):
    movement_id = await host.running()
    await host.verifier.look_up(
        movement_id, "LAPSED", checked_at=host.verifier.clock.now().isoformat(), licence=False
    )
    await host.round()
    assert (await host.placement(movement_id))["state"] == "ON_HOLD"
    host.verifier.clock.advance(timedelta(hours=1))
    await host.verifier.look_up(movement_id, checked_at=host.verifier.clock.now().isoformat())
    await host.round()
    assert (await host.placement(movement_id))["state"] == "ACTIVE"


async def test_a_look_up_that_was_recent_at_the_start_does_not_grow_old_in_the_watch(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    host.verifier.clock.advance(timedelta(days=5))
    await host.network()
    await at_home(host, presenter, "CoreSkills", SUSPENDED)
    await at_home(host, presenter, "CoreSkills", VALID)
    assert (await decisions_of(host, movement_id))[-1]["outcome"] == "READY"


async def test_what_hr_asks_for_by_hand_is_followed_too(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    host.verifier.home.list.set(presenter.held["DbsOutcome"].idx, SUSPENDED)
    await fetched(host)
    [first] = await decisions_of(host, movement_id)
    await host.verifier.recheck(first["id"])
    await host.round()
    assert (await host.placement(movement_id))["state"] == "ON_HOLD"
    assert len(await decisions_of(host, movement_id)) == 2


async def test_two_replicas_watch_and_each_change_is_judged_once(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    host.verifier.home.list.set(presenter.held["DbsOutcome"].idx, SUSPENDED)
    await fetched(host)
    ctx = host.verifier.ctx
    await asyncio.gather(*(watches.round_once(ctx) for _ in range(6)), placements.tend(ctx))
    await host.round()
    assert len(await decisions_of(host, movement_id)) == 2
    assert await kinds(host, movement_id) == ["ON_HOLD"]
    assert (await host.placement(movement_id))["state"] == "ON_HOLD"


async def test_a_round_killed_after_the_re_check_is_finished_by_the_next(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    host.verifier.home.list.set(presenter.held["DbsOutcome"].idx, INVALID)
    await fetched(host)
    ctx = host.verifier.ctx
    await watches.compare_lists(ctx)
    [first] = await decisions_of(host, movement_id)
    # What a round has done when it dies between its two transactions.
    await rechecks.recheck(ctx, "R0A", first["id"], rechecks.BY_ITSELF, cause=Cause.WATCHED)
    assert (await host.placement(movement_id))["state"] == "ACTIVE"
    await host.round()
    assert (await host.placement(movement_id))["state"] == "ON_HOLD"
    assert len(await decisions_of(host, movement_id)) == 2
    assert await kinds(host, movement_id) == ["ON_HOLD"]


async def test_a_comparison_that_stopped_goes_on_where_it_was(host: Host, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watches, "PAGE", 8)
    presenters = [host.verifier.surgeon() for _ in range(3)]
    moved = [await host.ready(one) for one in presenters]
    await host.round()
    for one in presenters:
        host.verifier.home.list.set(one.held["DbsOutcome"].idx, INVALID)
    await fetched(host)
    assert await watches.compare_lists(host.verifier.ctx) == 3
    assert await watches.compare_lists(host.verifier.ctx) == 0
    await host.round()
    for movement in moved:
        assert (await host.verifier.read(f"/movements/{movement['id']}"))["state"] == "RELEASED"
    async with host.verifier.ctx.db.read() as conn:
        waiting = select(func.count()).where(watched_lists.c.compared_to.is_not(None))
        assert (await conn.execute(waiting)).scalar_one() == 0


async def test_dates_that_come_are_told_thirty_fourteen_seven_and_one_day_ahead(host: Host):
    presenter = host.verifier.surgeon()
    exp = int(datetime(2026, 10, 20, 12, tzinfo=UTC).timestamp())
    presenter.hold("OccupationalHealth", exp=exp)
    movement = await host.ready(presenter, start="2026-09-02", end="2026-11-30")
    await host.started(movement)
    told: dict[str, list[int]] = {}
    for day in ("2026-09-19", "2026-09-20", "2026-10-06", "2026-10-12", "2026-10-13", "2026-10-19"):
        host.verifier.clock.set(datetime.fromisoformat(f"{day}T09:00:00+00:00"))
        await host.network()
        await host.round()
        found = [one for one in await host.alerts(movement["id"]) if one["kind"] == "RUNS_OUT"]
        told[day] = [len(found)]
    assert [count for [count] in told.values()] == [0, 1, 2, 2, 3, 4]
    assert "Occupational health" in found[0]["text"]["en-GB"]
    assert "20 October 2026" in found[0]["text"]["en-GB"]


async def test_a_card_that_ran_out_holds_only_after_its_fortnight(host: Host):
    presenter = host.verifier.surgeon()
    exp = int(datetime(2026, 9, 10, 12, tzinfo=UTC).timestamp())
    presenter.hold("OccupationalHealth", exp=exp)
    movement_id = await host.running(presenter, end="2026-11-30")
    for day, state in (("2026-09-11", "ACTIVE"), ("2026-09-24", "ACTIVE"), ("2026-09-25", "ON_HOLD")):
        host.verifier.clock.set(datetime.fromisoformat(f"{day}T11:00:00+00:00"))
        await host.network()
        await host.round()
        await host.round()
        assert (await host.placement(movement_id))["state"] == state, day


async def test_a_condition_that_nobody_met_is_told(host: Host):
    presenter = host.verifier.surgeon(StaffIdentity={"originals_seen_in_person_on": "NONE"})
    movement_id = (await host.ready(presenter))["id"]
    await host.started({"id": movement_id})
    host.verifier.clock.set(datetime(2026, 9, 3, 1, tzinfo=UTC))
    await host.network()
    await host.round()
    overdue = [one for one in await host.alerts(movement_id) if one["kind"] == "CONDITION_OVERDUE"]
    assert len(overdue) == 1


async def test_alerts_are_acknowledged_by_a_named_person_once(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    await at_home(host, presenter, "DbsOutcome", SUSPENDED)
    [alert] = await host.alerts(movement_id, acknowledged="false")
    assert alert["acknowledged_by"] is None
    path = f"/alerts/{alert['id']}/acknowledge"
    problem(await host.verifier.call("POST", path, {}), 422, "invalid_request")
    seen = await host.verifier.made(path, {"actor": HR}, 200)
    assert seen["acknowledged_by"]["ref"] == HR
    again = await host.verifier.made(path, {"actor": "somebody-else"}, 200)
    assert again["acknowledged_by"]["ref"] == HR
    assert await host.alerts(movement_id, acknowledged="false") == []
    assert [one["id"] for one in await host.alerts(movement_id, acknowledged="true")] == [alert["id"]]


async def test_another_host_sees_neither_watch_nor_alert(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    await at_home(host, presenter, "DbsOutcome", SUSPENDED)
    [alert] = await host.alerts(movement_id)
    other = api_client("rxx", organisation="RXX", scopes=host.verifier.client.record.scopes)
    host.verifier.clients.put(other)
    for path in (f"/alerts/{alert['id']}", f"/movements/{movement_id}/watch", "/alerts", "/placements"):
        problem(await host.verifier.call("GET", path, client=other), 404, "not_found")
    problem(await host.verifier.call("GET", "/alerts/none"), 404, "not_found")
    problem(await host.verifier.call("GET", "/movements/none/watch"), 404, "not_found")


async def test_a_new_phone_gets_the_record_after_sharing_again(host: Host):
    movement_id = await host.running()
    old = await host.collect(movement_id)
    again = host.verifier.surgeon()
    await host.verifier.look_up(movement_id)
    await host.verifier.decided(again, movement_id)
    await host.round()
    assert await host.status_of(old) == INVALID
    host.keys[movement_id] = again.held["StaffIdentity"].key
    assert await host.status_of(await host.collect(movement_id)) == VALID
    assert isinstance(host.keys[movement_id], SigningKey)


async def test_what_alerts_say_is_nowhere_in_the_clear(host: Host):
    presenter = host.verifier.surgeon()
    movement_id = await host.running(presenter)
    await at_home(host, presenter, "ProfessionalRegistration", SUSPENDED)
    async with host.verifier.ctx.db.read() as conn:
        alerts = tables.metadata.tables["alerts"]
        [row] = (await conn.execute(select(alerts))).mappings()
    stored = repr({name: value for name, value in row.items() if name != "sealed"})
    assert "Registration" not in stored
    assert b"ON_HOLD" not in row["sealed"]
    assert len(await host.alerts(movement_id)) == 1


async def test_what_changed_before_a_watch_began_is_seen_when_it_begins(host: Host):
    """Another placement's watch has compared the issuer already: the new one was not there yet."""
    await host.running()
    verifier = host.verifier
    later = (await verifier.movement(start="2026-09-10", end="2026-09-12"))["id"]
    await verifier.look_up(later)
    await verifier.released(later)
    await verifier.decided(verifier.surgeon(), later)
    await compromise(host)
    await changed(host)
    assert len(await decisions_of(host, later)) == 1, "it is not ready, so nobody watches it"
    await verifier.approve(later)
    await host.round()
    assert [one["outcome"] for one in await decisions_of(host, later)] == ["READY", "NOT_READY"]
    assert (await verifier.read(f"/movements/{later}"))["state"] == "RELEASED"
