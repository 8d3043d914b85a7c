"""The registry is away for three days, the issuers for one, by a moved clock (design §4.2, security.md R6).

The verifier goes on with what it has, says how old that is, knows less as it grows old, refuses in the end,
and goes on by itself when everybody is back. Each boundary of the two tables is looked at a second before and
a second after it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from passport_issuer.operations import status_lists as issuer_lists
from passport_shared.formats.freshness import (
    ISSUER_STATUS_LIST_LIFETIME,
    RETRY_WINDOW,
    SNAPSHOT_AGED,
    SNAPSHOT_FRESH,
    SNAPSHOT_LIMIT,
    STATUS_FRESH,
)
from passport_shared.outbound import Outbound
from passport_testkit.apps import protocol_error
from passport_testkit.clock import NOON
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import IssuerBench, running_issuer
from passport_testkit.network import CHRISTIE
from passport_testkit.verifiers import VerifierBench, running_verifier, verifier_settings
from passport_verifier import app as verifier_app
from passport_verifier.operations import answers, status_lists
from passport_verifier.store import held, tables

SECOND = timedelta(seconds=1)


@pytest.fixture
async def verifier(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[VerifierBench]:
    url = await databases.url("passport_verifier")
    async with running_verifier(tmp_path, url, way_out=way_out) as bench:
        yield bench


def way_out(wire: Any) -> Outbound:
    """A client whose breaker lives by the clock that these tests move."""
    return Outbound(transport=wire, monotonic=lambda: wire.registry.clock.now().timestamp())


def at(verifier: VerifierBench, age: timedelta) -> None:
    """Put the clock so that the snapshot and the lists, signed at noon, are so old."""
    verifier.clock.set(NOON + age)


def finding(decision: dict[str, Any], rule: str) -> set[str]:
    """The reasons of a rule's findings at the first day."""
    return {found["reason"] for found in decision["result"]["findings"] if found["rule"] == rule}


SNAPSHOT_AGES = [
    (SNAPSHOT_FRESH - SECOND, "READY", True),
    (SNAPSHOT_FRESH + SECOND, "READY", True),
    (SNAPSHOT_AGED - SECOND, "READY", True),
    (SNAPSHOT_AGED + SECOND, "REFER", False),
    (SNAPSHOT_LIMIT - SECOND, "REFER", False),
]


async def test_registry_away_each_age_of_the_snapshot(verifier: VerifierBench) -> None:
    """Issuers answer; the register grows old. Asked before, as no request can be signed without it."""
    person = verifier.surgeon()
    verifier.wire.down = True
    for age, outcome, verified in SNAPSHOT_AGES:
        at(verifier, age - timedelta(seconds=30))
        await verifier.refresh_statuses()
        request = await verifier.ask()
        answer = await verifier.answer(request, person)
        at(verifier, age)
        await verifier.refresh_statuses()
        sent = await verifier.send(answer)
        assert sent.status_code == 200, (age, sent.text)
        found = await verifier.read(f"/presentation-requests/{request['id']}")
        decision = await verifier.confirm(found["decision_id"])
        assert decision["registry_age_s"] == age.total_seconds(), age
        assert decision["result"]["outcome"] == outcome, (age, decision["result"])
        assert decision["result"]["verified"] is verified, age
    at(verifier, SNAPSHOT_LIMIT - timedelta(seconds=30))
    request = await verifier.ask()
    answer = await verifier.answer(request, person)
    at(verifier, SNAPSHOT_LIMIT + SECOND)
    protocol_error(await verifier.send(answer), 503, "temporarily_unavailable")


LIST_AGES = [
    (STATUS_FRESH - SECOND, None),
    (STATUS_FRESH + SECOND, "STATUS_STALE"),
    (ISSUER_STATUS_LIST_LIFETIME - SECOND, "STATUS_STALE"),
    (ISSUER_STATUS_LIST_LIFETIME + SECOND, "STATUS_UNAVAILABLE"),
]


async def test_issuers_away_each_age_of_a_status_list(verifier: VerifierBench) -> None:
    person = verifier.surgeon()
    verifier.home.down = True
    for age, reason in LIST_AGES:
        at(verifier, age)
        await verifier.refresh()
        assert await verifier.refresh_statuses() == 0
        decision = await verifier.decided(person)
        assert decision["result"]["outcome"] == ("READY" if reason is None else "REFER"), age
        assert decision["result"]["verified"] is (reason is None), age
        if reason is not None:
            assert reason in finding(decision, "R-03"), age
            assert decision["awaits_status"] is True


@pytest.mark.parametrize(
    "back_after", [RETRY_WINDOW - SECOND, RETRY_WINDOW + SECOND], ids=["before", "after"]
)
async def test_three_days_alone_and_everybody_back(verifier: VerifierBench, back_after: timedelta) -> None:
    """What was held is decided if they are back in ten minutes; what was referred is decided again."""
    person = verifier.surgeon()
    verifier.wire.down = verifier.home.down = True
    for hour in (2, 6, 12, 24, 36, 48, 60, 71):
        at(verifier, timedelta(hours=hour))
        assert await verifier.ctx.snapshots.refresh_quietly() is False
        await verifier.refresh_statuses()
    referred = await verifier.decided(person)
    assert referred["result"]["outcome"] == "REFER"
    at(verifier, SNAPSHOT_LIMIT - timedelta(seconds=30))
    request = await verifier.ask()
    answer = await verifier.answer(request, person)
    at(verifier, SNAPSHOT_LIMIT + SECOND)
    protocol_error(await verifier.send(answer), 503, "temporarily_unavailable")
    verifier.clock.advance(back_after)
    verifier.wire.down = verifier.home.down = False
    verifier.wire.publish()
    assert await verifier.ctx.snapshots.refresh_quietly() is True
    await verifier.refresh_statuses()
    judged = await answers.retry_held(verifier.ctx)
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    if back_after > RETRY_WINDOW:
        assert (judged, found["decision_id"]) == (0, None)
        async with verifier.ctx.db.read() as conn:
            assert (await conn.execute(select(tables.held_presentations))).all() == []
    else:
        assert judged == 1
        assert (await verifier.confirm(found["decision_id"]))["result"]["verified"] is True
    before = await verifier.read(f"/decisions/{referred['id']}")
    after = await verifier.read(f"/decisions/{before['superseded_by']}")
    assert (after["cause"], after["result"]["verified"]) == ("STATUS_ARRIVED", True)


async def test_a_cold_start_without_any_network(
    verifier: VerifierBench, databases: FreshDatabases, tmp_path: Path
) -> None:
    """Another process on the same rows, with nobody to ask: it decides with what was stored."""
    person = verifier.surgeon()
    verifier.wire.down = verifier.home.down = True
    at(verifier, timedelta(minutes=20))
    url = verifier.ctx.settings.database_url
    parts = verifier_app.Parts(
        clock=verifier.clock,
        outbound=Outbound(transport=verifier.wire),
        trust_file=verifier.registry.trust_file,
        clients=verifier.clients,
        background=False,
    )
    await verifier.ctx.db.close()
    ctx = verifier_app.open_context(verifier_settings(tmp_path, url), parts)
    await ctx.db.open()
    try:
        app = verifier.app
        app.state.context, before = ctx, app.state.context
        app.state.authenticator = verifier_app._authenticator(ctx, verifier.clients)
        assert ctx.snapshots.current() is None
        asked = len(verifier.wire.requests)
        decision = await verifier.decided(person)
        assert decision["result"]["outcome"] == "READY"
        assert len(verifier.wire.requests) == asked, "nothing was fetched to decide"
    finally:
        app.state.context = before
        await ctx.db.close()
        await before.db.open()


async def test_held_answers_are_forgotten_and_stay_encrypted(verifier: VerifierBench) -> None:
    person = verifier.surgeon()
    verifier.wire.down = True
    at(verifier, SNAPSHOT_LIMIT - timedelta(seconds=30))
    request = await verifier.ask()
    answer = await verifier.answer(request, person)
    at(verifier, SNAPSHOT_LIMIT + SECOND)
    protocol_error(await verifier.send(answer), 503, "temporarily_unavailable")
    async with verifier.ctx.db.read() as conn:
        (kept,) = await held.waiting(conn, verifier.clock.now())
    assert "Okonkwo" not in kept.token
    assert kept.token.count(".") == 4
    assert await status_lists.discover(verifier.ctx) == 0


# -- the issuer ------------------------------------------------------------------------------------


async def test_an_issuer_goes_on_for_a_day_and_then_refuses(
    databases: FreshDatabases, tmp_path: Path
) -> None:
    """Its own authority is read from the same snapshot; the lists of what is out are signed all the time."""
    url = await databases.url("passport_issuer")
    async with running_issuer(tmp_path, url, way_out=way_out) as issuer:
        await refused_when_stale(issuer)


async def refused_when_stale(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    issuer.wire.down = True
    uris = await issuer_lists.list_uris(issuer.ctx, await tenant_of(issuer))
    for age, issues in (
        (SNAPSHOT_FRESH + SECOND, True),
        (SNAPSHOT_AGED - timedelta(minutes=1), True),
        (SNAPSHOT_AGED + SECOND, False),
        (SNAPSHOT_LIMIT + SECOND, False),
    ):
        issuer.clock.set(NOON + age)
        assert await issuer.ctx.snapshots.refresh_quietly() is False
        answer = await issuer.call("POST", f"/staff/{staff_id}/offers", {"actor": "hr-0815"})
        assert answer.status_code == (201 if issues else 503), (age, answer.text)
        await issuer.publish()
        signed = await issuer.status(uris[0])
        signed_ago = issuer.clock.now() - signed.iat
        assert signed_ago <= issuer_lists.RENEW_AFTER, "hosts still learn what was revoked"
    issuer.wire.down = False
    issuer.wire.publish()
    assert await issuer.ctx.snapshots.refresh_quietly() is True
    answer = await issuer.call("POST", f"/staff/{staff_id}/offers", {"actor": "hr-0815"})
    assert answer.status_code == 201, answer.text


async def tenant_of(issuer: IssuerBench) -> Any:
    """The one tenant."""
    tenant = await issuer.ctx.tenants.get(CHRISTIE.rpartition("/")[2])
    assert tenant is not None
    return tenant
