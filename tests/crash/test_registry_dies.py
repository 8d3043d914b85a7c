"""The registry dies at every step and around every commit of what it does, and comes back without repair.

A code enrols once and for the same keys, a certificate that may have been signed is recorded, the snapshot's
chain never forks, a fact counts once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from passport_registry.app import Parts, close_context, open_context
from passport_registry.operations import activity, clients, enrolment, failpoints
from passport_registry.operations.activity import ImportedFact, Reporter
from passport_registry.operations.clients import RegisterClient
from passport_registry.rules.entities import Role
from passport_registry.store import tables
from passport_shared.outbound import Outbound
from passport_shared.service.http_signatures import sign_request
from passport_shared.wire.activity import EVENTS_PATH
from passport_shared.wire.clients import ClientKind
from passport_testkit.databases import FreshDatabases
from passport_testkit.dying import COMMITS, Deaths, armed_at
from passport_testkit.keys import key
from passport_testkit.pilot_activity import imported, live
from passport_testkit.registries import (
    ANN,
    PUBLIC_URL,
    R0A,
    RBV,
    RegistryBench,
    join_pilot,
    registry_bench,
)

MEDIA_TYPE = "application/cloudevents+json"
LEASES_OVER = timedelta(seconds=61)
ISSUER_KEY = "the issuer as an API client"


class Mortal:
    """A registry that is opened again and again over one database."""

    def __init__(self, bench: RegistryBench) -> None:
        self.bench = bench
        self.settings = bench.ctx.settings
        self.deaths = Deaths(self.restart, self.alive, bench.clock.advance)

    async def restart(self) -> None:
        """Leave the dead process behind and start another."""
        await close_context(self.bench.ctx)
        outbound = Outbound(transport=self.bench.hosts.transport())
        parts = Parts(clock=self.bench.clock, outbound=outbound, background=False)
        self.bench.ctx = open_context(self.settings, parts)

    async def alive(self) -> None:
        """The database answers, and no index or number was given twice."""
        await self.bench.ctx.db.ping()
        async with self.bench.ctx.db.read() as conn:
            marks = tables.trust_marks
            rows = (await conn.execute(select(marks.c.status_list_id, marks.c.status_idx))).all()
        assert all(count == 1 for count in Counter(map(tuple, rows)).values())


@pytest.fixture
async def mortal(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[Mortal]:
    async with registry_bench(await databases.url("passport_registry"), tmp_path) as bench:
        await join_pilot(bench, with_steps=False)
        one = Mortal(bench)
        yield one
        # What the fixture closes is the newest.
        await close_context(bench.ctx)


@pytest.mark.parametrize("steps", [failpoints.ALL, COMMITS], ids=["named", "commits"])
async def test_a_registry_that_dies_everywhere_enrols_once_and_never_forks(
    mortal: Mortal, steps: tuple[str, ...]
) -> None:
    bench, through = mortal.bench, mortal.deaths.through
    with armed_at(mortal.deaths, steps):
        await enrolling(mortal)
        await publishing(mortal)
        await reporting(mortal)
        await bench.enrol(R0A, Role.VERIFIER)
        await through("publish a change", bench.publish, later=LEASES_OVER)
    missing = set(steps) - mortal.deaths.steps
    assert not missing, f"nobody came by {sorted(missing)}"
    assert len(mortal.deaths.visited) >= len(steps)


async def enrolling(mortal: Mortal) -> None:
    """The same code with the same keys, until it is answered: the same certificates."""
    bench = mortal.bench
    await bench.pass_steps(RBV)
    code = await bench.code(RBV, Role.ISSUER)
    host = bench.host(RBV, Role.ISSUER)

    async def enrol() -> dict[str, str]:
        bench.hosts.serve(host, bench.clock)
        done = await enrolment.enrol(bench.ctx, bench.request(code, host))
        return {use: row.serial for use, row in done.certificates.items()}

    first = await mortal.deaths.through("enrol", enrol)
    assert await enrol() == first
    async with bench.ctx.db.read() as conn:
        rows = (await conn.execute(select(tables.certificates.c.serial, tables.certificates.c.der))).all()
    assert {row.serial for row in rows} == set(first.values())
    assert all(row.der is not None for row in rows)
    await bench.grant(RBV, Role.ISSUER, bench.issue_grant())


async def publishing(mortal: Mortal) -> None:
    """Whoever reads it goes from one snapshot to the next, without a fork."""
    bench = mortal.bench
    await mortal.deaths.through("publish", bench.publish, later=LEASES_OVER)
    seen = await bench.snapshot()
    assert seen.entities_of(RBV)
    await bench.join("RXX")
    await mortal.deaths.through("publish again", bench.publish, later=LEASES_OVER)
    assert (await bench.snapshot()).sequence >= seen.sequence
    async with bench.ctx.db.read() as conn:
        published = tables.publications
        rows = (
            await conn.execute(
                select(published.c.kind, published.c.follows).where(published.c.state == "PUBLISHED")
            )
        ).all()
    assert all(count == 1 for count in Counter(map(tuple, rows)).values()), "two links follow the same one"


async def reporting(mortal: Mortal) -> None:
    """A fact that is told again counts once, whether it was posted or imported."""
    bench = mortal.bench
    register = RegisterClient(
        client_id="issuer",
        name="The issuer",
        kind=ClientKind.MACHINE,
        organisation="*",
        scopes=["activity:write"],
        jwks=[key(ISSUER_KEY).public.as_jwk()],
    )
    await clients.register(bench.ctx, register, ANN)
    event = live()[0]
    body = json.dumps(
        {
            "specversion": "1.0",
            "id": event.id,
            "type": event.kind.value,
            "source": "https://issuer.example",
            "time": bench.clock.now().isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "organisation": event.ods,
            "data": event.fact.model_dump(mode="json", exclude_defaults=True),
        }
    ).encode()

    async def post() -> activity.Taken:
        headers = sign_request(
            method="POST",
            url=f"{PUBLIC_URL}{EVENTS_PATH}",
            content_type=MEDIA_TYPE,
            body=body,
            key=key(ISSUER_KEY),
            at=bench.clock.now(),
        )
        sent = {name.lower(): value for name, value in {**headers, "Content-Type": MEDIA_TYPE}.items()}
        return await activity.receive(bench.ctx, sent, body)

    assert await mortal.deaths.through("event", post) in set(activity.Taken)
    assert await post() is activity.Taken.KNOWN
    facts = [ImportedFact(id=one.id, kind=one.kind, fact=one.fact) for one in imported()[:5]]
    reporter = Reporter(client_id="ops", organisation="*")

    async def bring() -> str:
        return await activity.import_facts(bench.ctx, facts, "GM pilot report, table 4.2", reporter, ANN)

    await mortal.deaths.through("import", bring)
    kept = await activity.page(bench.ctx, ods=None, after=None, limit=100)
    assert len(kept) == len({row.event_id for row in kept}) == 6
