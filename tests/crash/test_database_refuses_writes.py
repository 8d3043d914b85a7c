"""A database that is read-only or full: a clear refusal, nothing half-done, not ready, well again by itself.

SQLite refuses as it does on a full disk (`max_page_count`) and on a read-only one (`query_only`); PostgreSQL
as a server that takes no writes (`default_transaction_read_only`). No process is started again.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from passport_shared.service import db
from passport_shared.service.db import Database
from passport_testkit.apps import problem, protocol_error
from passport_testkit.databases import POSTGRESQL, SQLITE, FreshDatabases
from passport_testkit.issuers import ENTITY, SURGEON, IssuerBench, check_body, running_issuer
from passport_testkit.verifiers import VerifierBench, running_verifier

Switch = Callable[[Database, str, bool], Awaitable[None]]


async def read_only(database: Database, url: str, on: bool) -> None:
    """The database takes no write any more, or takes them again."""
    if database.dialect == SQLITE:
        await _pragma(database, f"query_only={'ON' if on else 'OFF'}")
        return
    name = make_url(url).database
    admin = await asyncpg.connect(
        make_url(url).set(database="postgres").render_as_string(hide_password=False)
    )
    try:
        await admin.execute(
            f'ALTER DATABASE "{name}" SET default_transaction_read_only = {"on" if on else "off"}'
        )
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    finally:
        await admin.close()
    with contextlib.suppress(Exception):
        # Connections that were cut are found out by the first that uses one.
        await database.ping()


async def full(database: Database, _: str, on: bool) -> None:
    """The disk has no page left, or has some again."""
    pages = await _pragma(database, "page_count") if on else 1_000_000
    await _pragma(database, f"max_page_count={pages}")


async def _pragma(database: Database, text: str) -> Any:
    # On the one connection that writes, as it is the file that refuses; without the BEGIN of a transaction.
    async with database._writer.connect() as conn:
        driver = (await conn.get_raw_connection()).driver_connection
        assert driver is not None
        async with driver.execute(f"PRAGMA {text}") as cursor:
            row = await cursor.fetchone()
        return None if row is None else row[0]


CASES = [
    pytest.param(SQLITE, read_only, id="sqlite-read-only"),
    pytest.param(SQLITE, full, id="sqlite-full"),
    pytest.param(POSTGRESQL, read_only, id="postgresql-read-only", marks=pytest.mark.postgres),
]
on_every_kind = pytest.mark.parametrize(("dialect", "refuse"), CASES)


@pytest.fixture
async def url(databases: FreshDatabases, request: pytest.FixtureRequest) -> str:
    package = "passport_verifier" if "verifier" in request.fixturenames else "passport_issuer"
    return await databases.url(package)


@pytest.fixture
async def issuer(url: str, tmp_path: Path) -> AsyncIterator[IssuerBench]:
    async with running_issuer(tmp_path, url) as bench:
        yield bench


@pytest.fixture
async def verifier(url: str, tmp_path: Path) -> AsyncIterator[VerifierBench]:
    async with running_verifier(tmp_path, url) as bench:
        yield bench


async def filled(bench: IssuerBench) -> int:
    """Write until the database refuses; how many were taken."""
    for taken in range(500):
        body = {**SURGEON, "external_ids": [], "preferred_name": f"Ade {taken} {'x' * 80}"}
        answer = await bench.call("POST", "/staff", body)
        if answer.status_code != 201:
            refused = problem(answer, 503, "unavailable")
            assert refused["retryable"]
            assert answer.headers["retry-after"] == "5"
            assert "nothing was changed" in refused["detail"]
            return taken
    raise AssertionError("the database took everything")


def seconds_go_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "REFUSED_FOR_S", 0.0)


async def ready(bench: Any) -> tuple[int, str]:
    answer = await bench.http.get("/health/ready")
    return answer.status_code, answer.json()["checks"]["database"]


async def people(bench: IssuerBench) -> int:
    async with bench.ctx.db.read() as conn:
        return int((await conn.exec_driver_sql("SELECT COUNT(*) FROM staff")).scalar_one())


@on_every_kind
async def test_an_issuer_refuses_and_recovers(
    issuer: IssuerBench, url: str, refuse: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff_id = await issuer.staff()
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    offer = await wallet.read_offer(made["credential_offer"])
    before = await people(issuer)

    await refuse(issuer.ctx.db, url, True)
    taken = await filled(issuer)
    assert await people(issuer) == before + taken, "what was refused left nothing behind"
    assert await ready(issuer) == (503, "failed")
    if refuse is read_only:
        refused = await wallet.request_token(offer, made["tx_code"])
        protocol_error(refused, 503, "temporarily_unavailable")

    await refuse(issuer.ctx.db, url, False)
    seconds_go_by(monkeypatch)
    assert await ready(issuer) == (200, "ok")
    collected = await wallet.request(
        ENTITY, await wallet.token(offer, made["tx_code"]), "OccupationalHealth_1"
    )
    assert collected.status_code == 200, collected.text


@on_every_kind
async def test_an_answer_that_could_not_be_kept_is_taken_later(
    verifier: VerifierBench, url: str, refuse: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await verifier.ask()
    answer = (await verifier.answer(request, verifier.surgeon())).token()
    await refuse(verifier.ctx.db, url, True)
    refused = await verifier.send(answer)
    if refuse is read_only:
        protocol_error(refused, 503, "temporarily_unavailable")
        assert await ready(verifier) == (503, "failed")
    await refuse(verifier.ctx.db, url, False)
    seconds_go_by(monkeypatch)
    assert await ready(verifier) == (200, "ok")
    if refused.status_code != 200:
        taken = await verifier.send(answer)
        assert (taken.status_code, taken.json()) == (200, {}), taken.text
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert found["decision_id"] is not None
    again = await verifier.send(answer)
    assert again.status_code == 400
