"""Races of linking, applying and refreshing on real SQL, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from passport_issuer.store import connection_links as links
from passport_issuer.store import connections as store
from passport_issuer.store import tables
from passport_issuer.store.connection_tables import staff_links
from passport_issuer.store.rows import VersionChanged
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.issuers import HR, IssuerBench, running_issuer
from passport_testkit.workforce import REGISTRATION, SURGEON_ID, Workforce, workforce_simulator

TASKS = 6


@pytest.fixture
async def workforce(tmp_path: Path) -> AsyncIterator[Workforce]:
    """The workforce systems of The Christie, with the surgeon in all of them."""
    async with workforce_simulator(tmp_path) as systems:
        systems.hire()
        yield systems


@pytest.fixture
async def connected(
    workforce: Workforce, databases: FreshDatabases, tmp_path: Path
) -> AsyncIterator[IssuerBench]:
    """An issuer that trusts the workforce systems' certificates, on a fresh database."""
    url = await databases.url("passport_issuer")
    async with running_issuer(tmp_path, url, settings={"tls_ca_file": workforce.ca_file}) as bench:
        yield bench


@both_databases
async def test_many_choose_the_same_person_and_one_gets_them(
    connected: IssuerBench, workforce: Workforce
) -> None:
    people = [await connected.staff(external_ids=[]) for _ in range(TASKS)]
    connection_id = await workforce.connect(connected, "ESR")
    body = {"person_id": SURGEON_ID, "actor": HR}

    async def choose(number: int) -> int:
        path = f"/staff/{people[number]}/links/{connection_id}"
        return (await connected.call("PUT", path, body)).status_code

    answers = await at_once(TASKS, choose)
    assert (answers.count(200), answers.count(409)) == (1, TASKS - 1), answers
    async with connected.ctx.db.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(staff_links))).scalar_one() == 1
    found = (await connected.call("GET", f"/staff?external_id=ESR_PERSON:{SURGEON_ID}")).json()["items"]
    assert len(found) == 1


@both_databases
async def test_one_person_is_chosen_by_many_hands_at_once(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.connect(connected, "ESR")
    path, body = f"/staff/{staff_id}/links/{connection_id}", {"person_id": SURGEON_ID, "actor": HR}

    async def choose(_: int) -> int:
        return (await connected.call("PUT", path, body)).status_code

    answers = await at_once(TASKS, choose)
    assert answers.count(200) == 1
    assert set(answers) <= {200, 409, 412, 428}
    assert len((await connected.call("GET", f"/staff/{staff_id}/links")).json()["items"]) == 1


@both_databases
async def test_items_applied_by_many_at_once_are_applied_once(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id = await connected.staff(external_ids=[])
    for system_type in ("ESR", "LMS", "RECRUITMENT", "OCCUPATIONAL_HEALTH"):
        await workforce.linked(connected, staff_id, system_type)
    gatherings = [await connected.made(f"/staff/{staff_id}/gather", {"actor": HR}) for _ in range(2)]

    async def apply(number: int) -> int:
        gathering: dict[str, Any] = gatherings[number % 2]
        chosen = [item["id"] for item in gathering["items"] if item["state"] in ("NEW", "CHANGED")]
        path = f"/staff/{staff_id}/gatherings/{gathering['id']}/apply"
        return (await connected.call("POST", path, {"items": chosen, "actor": HR})).status_code

    answers = await at_once(TASKS, apply)
    assert set(answers) == {200}
    async with connected.ctx.db.read() as conn:
        counts = {
            table.name: (await conn.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (tables.checks, tables.training, tables.assignments)
        }
    assert counts == {"checks": 5, "training": 2, "assignments": 1}
    screening = (await connected.call("GET", f"/staff/{staff_id}/screening")).json()["items"]
    assert len(screening) == 3


@both_databases
async def test_gatherings_at_once_hold_a_passport_once(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.surgeon(external_ids=[])
    await connected.offer(staff_id)
    await workforce.linked(connected, staff_id, "ESR")
    workforce.esr[SURGEON_ID]["registrations"] = [{**REGISTRATION, "status": "SUSPENDED"}]

    async def gather(_: int) -> int:
        return (await connected.call("POST", f"/staff/{staff_id}/gather", {"actor": HR})).status_code

    assert set(await at_once(4, gather)) == {201}
    entries = tables.audit.entries
    async with connected.ctx.db.read() as conn:
        held = select(func.count()).select_from(entries).where(entries.c.kind == "passport.held")
        assert (await conn.execute(held)).scalar_one() == 1
        checks = select(func.count()).where(
            tables.checks.c.check_type == "REGISTRATION", tables.checks.c.outcome == "NOT_CLEARED"
        )
        assert (await conn.execute(checks)).scalar_one() == 1


@both_databases
async def test_what_becomes_due_while_it_is_read_stays_due(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, staff_id, "ESR")
    now = connected.clock.now()
    async with connected.ctx.db.write() as conn:
        assert await links.mark_due(conn, connection_id, [SURGEON_ID, "nobody"], now) == 1
    async with connected.ctx.db.read() as conn:
        [link] = await links.due_links(conn, connection_id, now, 9)
    later = now + timedelta(seconds=1)
    async with connected.ctx.db.write() as conn:
        await links.gathered(conn, link, now)
        assert await links.due_links(conn, connection_id, now, 9) == []
        assert await links.mark_due(conn, connection_id, [SURGEON_ID], later) == 1
        await links.gathered(conn, link, now)
        assert len(await links.due_links(conn, connection_id, later, 9)) == 1


@both_databases
async def test_versions_guard_links_and_connections(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, staff_id, "ESR")
    async with connected.ctx.db.read() as conn:
        link = await links.get_link(conn, "RBV", staff_id, connection_id)
        connection = await store.get_connection(conn, "RBV", connection_id)
    assert link is not None
    assert connection is not None
    with pytest.raises(VersionChanged):
        async with connected.ctx.db.write() as conn:
            await links.write_link(conn, link, replaces=None)
    with pytest.raises(VersionChanged):
        async with connected.ctx.db.write() as conn:
            await store.replace_connection(conn, connection, expected_version=7)
    async with connected.ctx.db.write() as conn:
        assert not await store.delete_connection(conn, connection), "somebody is linked through it"
        assert await links.remove_link(conn, link)
        assert not await links.remove_link(conn, link)
        assert await store.delete_connection(conn, connection)
