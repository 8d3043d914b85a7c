"""No signature and no network call happens inside a transaction (design §7), in the services' journeys.

On SQLite every other writer would wait for it; on PostgreSQL a connection and its locks would be held.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.operations.entities import Suspend
from passport_registry.operations.entities import suspend as suspend_entity
from passport_registry.rules import certificates
from passport_registry.rules.entities import Role, Suspension
from passport_shared.formats.jose import SigningKey
from passport_shared.outbound import Outbound
from passport_shared.service.db import Database
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import ENTITY, IssuerBench, running_issuer
from passport_testkit.registries import ANN, RBV, registry_bench
from passport_testkit.verifiers import running_verifier

INSIDE: ContextVar[bool] = ContextVar("inside", default=False)


class Watch:
    """What was seen: transactions, and slow acts outside and inside of one."""

    def __init__(self) -> None:
        self.transactions = 0
        self.outside = 0
        self.inside: list[str] = []

    def slow(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """`original`, noted."""

        def noted(*args: Any, **kwargs: Any) -> Any:
            if INSIDE.get():
                self.inside.append(name)
            else:
                self.outside += 1
            return original(*args, **kwargs)

        return noted


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Notes every signature and every outbound call of this process, and whether a transaction is open."""
    found, write = Watch(), Database.write

    @contextlib.asynccontextmanager
    async def noted(self: Database) -> AsyncIterator[AsyncConnection]:
        async with write(self) as conn:
            token = INSIDE.set(True)
            found.transactions += 1
            try:
                yield conn
            finally:
                INSIDE.reset(token)

    monkeypatch.setattr(Database, "write", noted)
    for owner, names in (
        (SigningKey, ["sign", "generate"]),
        (Outbound, ["get", "post"]),
        (certificates, ["leaf", "root", "issuing"]),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, found.slow(name, getattr(owner, name)))
    return found


def _nothing_inside(watch: Watch) -> None:
    assert watch.inside == []
    assert watch.transactions > 10
    assert watch.outside > 10


async def _issued_and_replaced(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    for _ in range(2):
        offer = await issuer.offer(staff_id)
        await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
        await issuer.publish()
    issuer.clock.advance(timedelta(hours=7))
    await issuer.refresh()
    await issuer.publish()
    await issuer.sweep()
    await issuer.app.state.sealer.run()
    assert (await issuer.http.get(f"{ENTITY}/statuslists")).status_code == 200


async def test_the_watch_sees_what_happens_inside(watch: Watch, databases: FreshDatabases) -> None:
    db = await databases.open("passport_issuer")
    key = SigningKey.generate()
    async with db.write():
        key.sign(b"slow")
    assert (watch.inside, watch.transactions) == (["sign"], 1)


async def test_the_issuer_signs_and_calls_outside(
    watch: Watch, databases: FreshDatabases, tmp_path: Path
) -> None:
    async with running_issuer(tmp_path, await databases.url("passport_issuer")) as issuer:
        await _issued_and_replaced(issuer)
    _nothing_inside(watch)


async def test_the_verifier_signs_and_calls_outside(
    watch: Watch, databases: FreshDatabases, tmp_path: Path
) -> None:
    async with running_verifier(tmp_path, await databases.url("passport_verifier")) as verifier:
        decision = await verifier.decided(verifier.surgeon())
        verifier.clock.advance(timedelta(minutes=6))
        await verifier.refresh_statuses()
        await verifier.recheck(decision["id"])
    _nothing_inside(watch)


async def test_the_registry_signs_and_calls_outside(
    watch: Watch, databases: FreshDatabases, tmp_path: Path
) -> None:
    async with registry_bench(await databases.url("passport_registry"), tmp_path) as bench:
        await bench.live_issuer()
        await bench.live_verifier()
        day = bench.clock.now().date() + timedelta(days=7)
        cmd = Suspend(kind=Suspension.INTEGRITY, reason="key lost", review_on=day)
        await suspend_entity(bench.ctx, RBV, Role.ISSUER, cmd, ANN)
        bench.clock.advance(timedelta(hours=25))
        await bench.publish()
    _nothing_inside(watch)
