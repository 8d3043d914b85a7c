"""The issuer dies at every step and around every commit of what it does, and comes back without repair.

Every act is done again by its caller until it succeeds. After every death: ready, no index twice, whatever
may have been signed has a record with an index of its own. At the end: what was acknowledged stands, what
was revoked is in the signed list, every event was delivered, and the audit chain is whole.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from passport_issuer.app import Parts, build, close_context
from passport_issuer.operations import failpoints, notice_sending, renewals, status_lists
from passport_issuer.operations.connections_refresh import Refresher
from passport_issuer.store import tables
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.status_list import INVALID, VALID
from passport_shared.outbound import Outbound
from passport_shared.service import failpoints as kit
from passport_shared.service.audit_chain import verify_chain
from passport_shared.service.jobs import Leases
from passport_shared.wire.activity import ACTIVITY_TYPES
from passport_shared.wire.release import ByName, release_request
from passport_testkit.databases import FreshDatabases
from passport_testkit.dying import COMMITS, Deaths, armed_at, named_steps
from passport_testkit.issuers import (
    ENTITY,
    HR,
    ISSUER,
    IssuerBench,
    check_body,
    issuer_settings,
    running_issuer,
)
from passport_testkit.notices import REACHABLE
from passport_testkit.placements import MOVEMENT_ID, placement_body
from passport_testkit.registry_wire import CODE
from passport_testkit.releases import HostSimulator, request_claims
from passport_testkit.workforce import SURGEON_ID, Workforce, workforce_simulator

LEASES_OVER = timedelta(minutes=2, seconds=1)
CONFIGURATION = "OccupationalHealth_1"


class Registry(httpx.AsyncBaseTransport):
    """The network, and beside it the registry's ear for activity events."""

    def __init__(self, network: httpx.AsyncBaseTransport) -> None:
        self.network = network
        self.told: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Take an event, or let the network answer."""
        if request.method == "POST" and "/activity" in request.url.path:
            self.told.append(json.loads(await request.aread())["id"])
            return httpx.Response(202, stream=httpx.ByteStream(b""))
        return await self.network.handle_async_request(request)


class Mortal:
    """The issuer of one trust, started again and again over one database."""

    def __init__(self, bench: IssuerBench, folder: Path, url: str, ca_file: Path) -> None:
        self.bench = bench
        self.registry = Registry(bench.wire)
        trust = bench.registry.trust_file.as_bytes()
        changes = {"client_id": "issuer-service", "notice_adapter": "development", "tls_ca_file": ca_file}
        self.settings = issuer_settings(folder, url, trust, **changes)
        self.held = contextlib.AsyncExitStack()
        self.deaths = Deaths(self.restart, self.alive, bench.clock.advance)

    async def restart(self) -> None:
        """Leave the dead process behind and start another."""
        await close_context(self.bench.ctx)
        outbound = Outbound(transport=self.registry)
        parts = Parts(clock=self.bench.clock, outbound=outbound, clients=self.bench.clients, background=False)
        self.bench.app = build(self.settings, parts)
        await self.held.enter_async_context(self.bench.app.router.lifespan_context(self.bench.app))
        transport = httpx.ASGITransport(app=self.bench.app, raise_app_exceptions=True)
        self.bench.http = httpx.AsyncClient(transport=transport, base_url=ISSUER)

    async def alive(self) -> None:
        """Ready, and nothing signed that could not be revoked."""
        # What waits for the sealer because the clock was moved is sealed within the next second.
        await self.bench.app.state.sealer.seal()
        ready = await self.bench.http.get("/health/ready")
        assert ready.status_code == 200, ready.json()
        indices = await self.rows(
            select(tables.credentials.c.status_list_id, tables.credentials.c.status_idx)
        )
        assert all(count == 1 for count in Counter(indices).values())

    async def rows(self, query: Any) -> list[tuple[Any, ...]]:
        """Rows as plain tuples."""
        async with self.bench.ctx.db.read() as conn:
            return [tuple(row) for row in (await conn.execute(query)).all()]

    async def made(self, path: str, body: Any, key: str) -> dict[str, Any]:
        """POST with an Idempotency-Key: made once, whoever dies."""
        answer = await self.bench.call("POST", path, body, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def workforce(tmp_path: Path) -> AsyncIterator[Workforce]:
    async with workforce_simulator(tmp_path) as systems:
        systems.hire()
        yield systems


@pytest.fixture
async def mortal(databases: FreshDatabases, tmp_path: Path, workforce: Workforce) -> AsyncIterator[Mortal]:
    url = await databases.url("passport_issuer")
    async with running_issuer(tmp_path, url) as bench:
        bench.registry.enrol_verifier()
        await bench.refresh()
        one = Mortal(bench, tmp_path, url, workforce.ca_file)
        async with one.held:
            await one.restart()
            yield one


@pytest.mark.parametrize("steps", [named_steps(failpoints.SERVICE), COMMITS], ids=["named", "commits"])
async def test_an_issuer_that_dies_everywhere_loses_nothing_it_acknowledged(
    mortal: Mortal, workforce: Workforce, steps: tuple[str, ...]
) -> None:
    bench, through = mortal.bench, mortal.deaths.through
    with armed_at(mortal.deaths, steps):
        await enrolling(mortal)
        staff_id = await through(
            "staff",
            lambda: mortal.made("/staff", {**PERSON, **REACHABLE}, "staff-1"),
            later=LEASES_OVER,
        )
        staff = f"/staff/{staff_id['id']}"
        await through(
            "check", lambda: mortal.made(f"{staff}/checks", check_body("OH"), "c"), later=LEASES_OVER
        )
        await bench.confirm_identity(staff_id["id"])
        credential = await issuing(mortal, staff_id["id"])
        await revoking(mortal, staff_id["id"], credential)
        if steps is not COMMITS:
            # Every commit of these is in the drill of `make soak`.
            await placing(mortal)
            await releasing(mortal)
            await gathering(mortal, workforce)
            await telling(mortal, staff_id["id"])
        await through("seal", lambda: sealing(mortal, staff), later=LEASES_OVER)
        await through("events", lambda: bench.ctx.outbox.run(), later=LEASES_OVER)
        await through("sweep", bench.sweep)
    await afterwards(mortal)
    missing = set(steps) - mortal.deaths.steps
    assert not missing, f"nobody came by {sorted(missing)}"


PERSON: dict[str, Any] = {
    "legal_given": "Adaeze",
    "legal_family": "Okonkwo-Price",
    "birthdate": "1981-03-09",
    "external_ids": [],
}


async def enrolling(mortal: Mortal) -> None:
    """Keys, certificates and the first status list of another tenant; its keys are made once."""
    bench, registry = mortal.bench, mortal.bench.registry.anchor

    async def enrol() -> None:
        tenant = await bench.ctx.tenants.enrol(
            "R0A", CODE, registry_url=registry, outbound=bench.ctx.outbound
        )
        await status_lists.ensure_lists(bench.ctx, tenant)

    await mortal.deaths.through("enrol", enrol)
    keys = await mortal.rows(
        select(tables.keys.keys.c.purpose, tables.keys.keys.c.state).where(tables.keys.keys.c.owner == "R0A")
    )
    assert all(count == 1 for count in Counter(keys).values()), keys
    lists = await mortal.rows(
        select(func.count()).select_from(tables.status_lists).where(tables.status_lists.c.ods == "R0A")
    )
    assert lists == [(1,)]


async def issuing(mortal: Mortal, staff_id: str) -> dict[str, Any]:
    """Token, offer, code, credential, notification; codes and nonces that died with the process stay used."""
    bench, through = mortal.bench, mortal.deaths.through
    wallet = bench.wallet()

    async def login() -> None:
        bench._tokens.clear()
        await bench.headers()

    await through("login", login)
    body = {"actor": HR, "types": ["OccupationalHealth"]}
    number = 0

    async def offered() -> dict[str, Any]:
        return await mortal.made(f"/staff/{staff_id}/offers", body, f"offer-{number}")

    offer = await through("offer", offered, later=LEASES_OVER)
    redeemed: Counter[str] = Counter()

    async def redeem() -> str:
        nonlocal offer, number
        wallet.http = bench.http
        answer = await wallet.request_token(
            await wallet.read_offer(offer["credential_offer"]), offer["tx_code"]
        )
        if answer.status_code == 400:
            assert answer.json()["error"] == "invalid_grant"
            number += 1
            offer = await offered()
            answer = await wallet.request_token(
                await wallet.read_offer(offer["credential_offer"]), offer["tx_code"]
            )
        assert answer.status_code == 200, answer.text
        redeemed[offer["id"]] += 1
        return str(answer.json()["access_token"])

    token = await through("redeem", redeem)
    assert all(count == 1 for count in redeemed.values())
    nonces: list[str] = []

    async def collect() -> dict[str, Any]:
        wallet.http = bench.http
        for nonce in nonces:
            again = await wallet.request(ENTITY, token, CONFIGURATION, nonce=nonce)
            taken = again.status_code == 200
            assert taken or again.json()["error"] == "invalid_nonce", again.text
        nonces[:] = [await wallet.nonce(ENTITY)]
        answer = await wallet.request(ENTITY, token, CONFIGURATION, nonce=nonces[0])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    got = await through("credential", collect)
    replayed = await wallet.request(ENTITY, token, CONFIGURATION, nonce=nonces[0])
    assert replayed.json()["error"] == "invalid_nonce"

    async def accept() -> None:
        wallet.http = bench.http
        told = await wallet.notify(ENTITY, token, got["notification_id"], "credential_accepted")
        assert told.status_code == 204, told.text

    await through("notify", accept)
    listed = (await bench.call("GET", f"/credentials?staff_id={staff_id}&limit=100")).json()["items"]
    live = [item for item in listed if item["state"] in {"ISSUED", "ACTIVE"}]
    assert len(live) == 1, Counter(item["state"] for item in listed)
    return dict(live[0])


async def revoking(mortal: Mortal, staff_id: str, credential: dict[str, Any]) -> None:
    """Revoked, published: in the signed list, and nothing that is still valid is hurt."""
    bench, through = mortal.bench, mortal.deaths.through
    await through("publish", bench.publish)
    before = await bench.status(credential["status_list"])
    assert before.list.get(credential["status_index"]) == VALID

    async def revoke() -> None:
        path = f"/credentials/{credential['id']}/revoke"
        answer = await bench.call("POST", path, {"reason_code": "ISSUED_IN_ERROR", "actor": HR})
        assert answer.status_code in {200, 409}, answer.text

    await through("revoke", revoke)
    await through("publish again", bench.publish)
    after = await bench.status(credential["status_list"])
    listed = (await bench.call("GET", f"/credentials?staff_id={staff_id}&limit=100")).json()["items"]
    assert {after.list.get(item["status_index"]) for item in listed} == {INVALID}

    async def hold() -> None:
        body = {"reason_code": "EMPLOYMENT_ON_HOLD", "actor": HR}
        answer = await bench.call("POST", f"/staff/{staff_id}/passport/hold", body)
        assert answer.status_code in {200, 409}, answer.text

    await through("hold", hold)


async def placing(mortal: Mortal) -> None:
    """A placement told of, held and ended; told again after a death it is the same placement."""
    bench, through = mortal.bench, mortal.deaths.through
    today = bench.clock.now().date()
    body = placement_body(
        SigningKey.generate().public, start=today.isoformat(), end=(today + timedelta(days=20)).isoformat()
    )

    async def put() -> None:
        answer = await bench.call("PUT", f"/placements/{MOVEMENT_ID}", body)
        assert answer.status_code in {200, 201}, answer.text

    async def step(name: str, revision: int) -> dict[str, Any]:
        answer = await bench.call("POST", f"/placements/{MOVEMENT_ID}/{name}", {"revision": revision})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    await through("placement", put)
    held = await through("placement held", lambda: step("hold", 2))
    assert held["on_hold"]
    ended = await through("placement ended", lambda: step("end", 3))
    assert ended["ended_at"]


async def releasing(mortal: Mortal) -> None:
    """Asked once, answered by two people, signed once: one token for one serial, whoever died."""
    bench, through = mortal.bench, mortal.deaths.through
    entity = bench.registry.entities["https://verifier.example/R0A"]
    host = HostSimulator(bench.http, bench.clock, entity.federation_key)
    await bench.refresh()
    named = {"given_name": "Adaeze", "family_name": "Okonkwo-Price"}
    # The same bytes every time, as a host sends them until it is heard.
    message = release_request(request_claims(bench.clock.now(), ByName(**named)), entity.federation_key)

    async def ask() -> dict[str, Any]:
        host.http = bench.http
        answer = await host.post(message)
        assert answer.status_code in {200, 201}, answer.text
        found: dict[str, Any] = answer.json()
        return found

    asked = await through("release asked", ask)
    release_id = asked["release_uri"].rsplit("/", 1)[-1]
    listed = (await bench.call("GET", "/staff")).json()["items"]
    chosen = {"staff_id": listed[0]["id"], "actor": "hr-second"}
    await bench.call("POST", f"/releases/{release_id}/person", chosen)
    yes = {"decision": "AGREED", "actor": "manager-1"}
    await bench.call("POST", f"/releases/{release_id}/line-manager", yes)

    async def agree() -> None:
        body = {"decision": "AGREED", "statement": "NO_CURRENT_RESTRICTION_KNOWN", "actor": "hr-second"}
        answer = await bench.call("POST", f"/releases/{release_id}/hr", body)
        assert answer.status_code in {200, 409}, answer.text
        texts = {(await bench.http.get(asked["release_uri"])).text for _ in range(2)}
        assert len(texts) == 1

    await through("release", agree)


async def gathering(mortal: Mortal, workforce: Workforce) -> None:
    """A linked person is read again from the workforce system; what differs is kept once."""
    bench = mortal.bench
    staff_id = await bench.surgeon(external_ids=[])
    await workforce.linked(bench, staff_id, "ESR")
    workforce.esr[SURGEON_ID]["person"].update(employment_status="NOTICE", leaving_date="2026-12-01")
    workforce.says("leaver.notified")

    async def read() -> None:
        bench.clock.advance(timedelta(minutes=6))
        refresher = Refresher(bench.ctx, Leases(bench.ctx.db, tables.jobs, bench.clock))
        try:
            await refresher.tick()
            await refresher.settled()
        finally:
            await refresher.close()
        if mortal.deaths.dead:
            raise kit.Crash

    await mortal.deaths.through("gathering", read, later=LEASES_OVER)
    found = (await bench.call("GET", f"/staff/{staff_id}")).json()
    assert found["leaving_date"] == "2026-12-01"
    kept = (await bench.call("GET", f"/staff/{staff_id}/gatherings")).json()["items"]
    assert len(kept) == 1, "told once, however often it was read"


async def telling(mortal: Mortal, staff_id: str) -> None:
    """Notices go out at least once; what runs out is told once."""
    bench, through = mortal.bench, mortal.deaths.through
    surgeon = await bench.surgeon(**REACHABLE, external_ids=[])
    offer = await bench.offer(surgeon)
    await bench.wallet().collect(offer["credential_offer"], offer["tx_code"])
    items = (await bench.call("GET", f"/credentials?staff_id={surgeon}&limit=100")).json()["items"]
    last = min(datetime.fromisoformat(item["expires_at"]) for item in items)
    bench.clock.set(last - timedelta(days=13, hours=1))
    await bench.refresh()
    await through("renewals", lambda: renewals.announce(bench.ctx))
    await through("notices", lambda: notice_sending.send_due(bench.ctx), later=LEASES_OVER)


async def sealing(mortal: Mortal, staff: str) -> None:
    """Something to seal, sealed."""
    await mortal.bench.made(f"{staff}/checks", check_body("OH"))
    await mortal.bench.app.state.sealer.run()


async def afterwards(mortal: Mortal) -> None:
    """What a checker finds from outside."""
    bench = mortal.bench
    await bench.ctx.outbox.run()
    events = await mortal.rows(select(tables.outbox.events.c.id, tables.outbox.events.c.type))
    sent = {event for event, kind in events if kind in ACTIVITY_TYPES}
    assert sent <= set(mortal.registry.told), "every fact was told at least once"
    sealer = bench.app.state.sealer
    await sealer.seal()
    bench.clock.advance(timedelta(minutes=1))
    await sealer.checkpoint()
    keys = {key.kid: key.public for key in await bench.ctx.keys.published("audit")}
    entries = await sealer.export(limit=10_000)
    report = verify_chain(entries, await sealer.checkpoints(), keys, issuer=ISSUER)
    assert report.whole, report.findings
    assert report.entries == len(entries) > 10
