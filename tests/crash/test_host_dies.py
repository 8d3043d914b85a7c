"""The verifier dies at every step and around every commit of a move, and comes back without repair.

From the release request to the end of the placement: every message arrives and counts once, an answer that
was taken has its decision, a placement that was started reaches its issuer.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from passport_shared.outbound import Outbound
from passport_testkit.databases import FreshDatabases
from passport_testkit.dying import COMMITS, Deaths, armed_at
from passport_testkit.placing import DONE, START, TWENTY_DAYS, Host, running_host
from passport_testkit.presenter import Presenter
from passport_testkit.verifiers import VERIFIER
from passport_verifier.app import Parts, build, close_context, sealer
from passport_verifier.operations import answers, failpoints, placement_telling, watches

LEASES_OVER = timedelta(minutes=2, seconds=1)


class Mortal:
    """A host whose verifier is started again and again over one database."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.settings = host.verifier.ctx.settings
        self.held = contextlib.AsyncExitStack()
        self.deaths = Deaths(self.restart, self.alive, host.verifier.clock.advance)

    async def restart(self) -> None:
        """Leave the dead process behind and start another."""
        bench = self.host.verifier
        await close_context(bench.ctx)
        parts = Parts(
            clock=bench.clock,
            outbound=Outbound(transport=bench.wire),
            trust_file=bench.registry.trust_file,
            clients=bench.clients,
            background=False,
        )
        bench.app = build(self.settings, parts)
        await self.held.enter_async_context(bench.app.router.lifespan_context(bench.app))
        transport = httpx.ASGITransport(app=bench.app, raise_app_exceptions=True)
        bench.http = httpx.AsyncClient(transport=transport, base_url=VERIFIER)

    async def alive(self) -> None:
        """Ready at once."""
        await sealer(self.host.verifier.ctx).seal()
        ready = await self.host.verifier.http.get("/health/ready")
        assert ready.status_code == 200, ready.json()

    async def made(self, path: str, body: Any, key: str) -> dict[str, Any]:
        """POST with an Idempotency-Key: made once, whoever dies."""
        answer = await self.host.verifier.call("POST", path, body, headers={"Idempotency-Key": key})
        assert answer.status_code < 300, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def mortal(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[Mortal]:
    async with running_host(tmp_path, databases) as host:
        one = Mortal(host)
        async with one.held:
            yield one


@pytest.mark.parametrize("steps", [failpoints.ALL, COMMITS], ids=["named", "commits"])
async def test_a_host_that_dies_everywhere_loses_no_decision_and_no_placement(
    mortal: Mortal, steps: tuple[str, ...]
) -> None:
    verifier = mortal.host.verifier
    movement = await verifier.movement(**TWENTY_DAYS)
    movement_id = movement["id"]
    await verifier.look_up(movement_id)
    with armed_at(mortal.deaths, steps):
        await released(mortal, movement_id)
        decision_id = await decided(mortal, movement_id)
        if steps is not COMMITS:
            # Every commit of these is in the drill of `make soak`.
            await placed(mortal, movement_id, decision_id)
            await kept_for_later(mortal)
    missing = set(steps) - mortal.deaths.steps
    assert not missing, f"nobody came by {sorted(missing)}"


async def released(mortal: Mortal, movement_id: str) -> None:
    """The request is signed once and arrives; the Release is read and counts once."""
    verifier, through = mortal.host.verifier, mortal.deaths.through
    body = {"person": {"given_name": "Morgan", "family_name": "Invented"}, "actor": "hr-0815"}
    await verifier.made(f"/movements/{movement_id}/release-request", body, 202)
    await through("release request", verifier.deliver, later=LEASES_OVER)
    assert len(verifier.desk.cases) == 1
    assert len(set(verifier.desk.posted)) == 1, "the same bytes, however often they were sent"
    verifier.desk.agree(verifier.desk.case)
    await through("release", lambda: verifier.look(movement_id), later=LEASES_OVER)
    assert (await verifier.read(f"/movements/{movement_id}/release"))["release"] is not None


async def decided(mortal: Mortal, movement_id: str) -> str:
    """An answer is taken once; once it is taken there is a decision, whoever died before saying so."""
    verifier, through = mortal.host.verifier, mortal.deaths.through
    person = verifier.surgeon()
    mortal.host.keys[movement_id] = person.held["StaffIdentity"].key
    asking = {"movement_id": movement_id}
    await through("ask", lambda: mortal.made("/presentation-requests", asking, "ask-1"), later=LEASES_OVER)
    # Twice, for who died right after the decision never comes to what follows it: the answer is taken.
    await answered(mortal, (await verifier.made("/presentation-requests", asking)), person)
    request = await verifier.made("/presentation-requests", asking)
    await answered(mortal, request, person)
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    await verifier.confirm(found["decision_id"])

    async def recheck() -> None:
        current = (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"]
        await verifier.recheck(current)

    await through("recheck", recheck)
    return str((await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"])


async def answered(mortal: Mortal, request: dict[str, Any], person: Presenter) -> None:
    """An answer, sent until it is taken."""
    verifier = mortal.host.verifier
    token = (await verifier.answer(request, person)).token()

    async def answer() -> None:
        taken = await verifier.send(token)
        found = await verifier.read(f"/presentation-requests/{request['id']}")
        assert taken.status_code == 200 or found["decision_id"] is not None, taken.text

    await mortal.deaths.through("answer", answer)
    assert (await verifier.send(token)).status_code == 400, "taken once"


async def placed(mortal: Mortal, movement_id: str, decision_id: str) -> None:
    """Started once, told until it is taken, watched, ended."""
    host, verifier, through = mortal.host, mortal.host.verifier, mortal.deaths.through
    await verifier.confirm(decision_id)
    await verifier.approve(movement_id)
    await host.network()
    path = f"/movements/{movement_id}/placement"
    await through("start", lambda: mortal.made(path, START, "start-1"), later=LEASES_OVER)
    await through("tell", lambda: placement_telling.tell_due(verifier.ctx), later=LEASES_OVER)
    assert (await host.placement(movement_id))["offer"] is not None
    verifier.clock.advance(timedelta(minutes=10))

    async def watch() -> None:
        await host.network()
        await watches.round_once(verifier.ctx)

    await through("watch", watch, later=timedelta(minutes=10))

    async def end() -> None:
        answer = await verifier.call("POST", f"{path}/end", DONE)
        assert answer.status_code < 300, answer.text

    await through("end", end)
    await host.round()
    assert (await host.placement(movement_id))["state"] == "ENDED"


async def kept_for_later(mortal: Mortal) -> None:
    """An answer that came while the register was too old is judged once, later."""
    verifier = mortal.host.verifier
    presenter = verifier.surgeon()
    verifier.clock.advance(timedelta(hours=71, minutes=58))
    request = await verifier.ask()
    verifier.clock.advance(timedelta(minutes=3))
    assert (await verifier.present(request, presenter)).status_code == 503
    verifier.clock.advance(timedelta(minutes=2))
    await verifier.refresh()
    await verifier.refresh_statuses()
    await mortal.deaths.through("held", lambda: answers.retry_held(verifier.ctx))
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert found["decision_id"] is not None
    assert await answers.retry_held(verifier.ctx) == 0
