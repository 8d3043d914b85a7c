"""A publisher that slept, a kill between two deletions, two operators at once: nothing older comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from passport_registry.operations import agreements, chain, entities, marks, publishing, snapshot, statements
from passport_registry.operations.agreements import RecordAgreement
from passport_registry.rules.agreements import AgreementTerms, AgreementType
from passport_registry.rules.entities import Role
from passport_registry.store import entities as entity_store
from passport_registry.store import publications, tables
from passport_registry.store.publications import KeptPart
from passport_shared.formats.trust_mark import PinState
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.registries import ANN, R0A, RBV, RegistryBench, registry_bench

PACKAGE = "passport_registry"


class Killed(BaseException):
    """The process ends at this line."""


def first(module: Any, name: str, act: Callable[[], Awaitable[object]], patch: pytest.MonkeyPatch) -> None:
    """Let ``act`` happen, once, just before ``module.name`` runs."""
    original = getattr(module, name)
    waiting = [act]

    async def then(*args: Any, **kwargs: Any) -> Any:
        if waiting:
            await waiting.pop()()
        return await original(*args, **kwargs)

    patch.setattr(module, name, then)


PLACES = [
    pytest.param(marks, "_prepare", id="before it reserves its marks"),
    pytest.param(marks, "_make_current", id="before it makes them current"),
    pytest.param(statements, "renew", id="before its statements"),
    pytest.param(snapshot, "_status_lists", id="before its lists"),
    pytest.param(chain, "_reserve", id="before its manifest"),
]


@both_databases
@pytest.mark.parametrize(("module", "name"), PLACES)
async def test_a_publisher_that_slept_takes_nothing_back(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        issuer = await bench.live_issuer()
        async with bench.ctx.db.read() as conn:
            held = await entity_store.certificates(conn, entity_id=issuer.entity_id)
        (leaf,) = [one for one in held if one.use == "credential"]
        assert leaf.x5t_s256 is not None
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant("Employment"))
        thumbprint = leaf.x5t_s256

        async def meanwhile() -> None:
            bench.clock.advance(timedelta(minutes=5))
            await entities.compromise_key(
                bench.ctx, RBV, Role.ISSUER, thumbprint, ANN, reason="phone of the operator lost"
            )
            assert await publishing.publish(bench.ctx) is not None

        first(module, name, meanwhile, monkeypatch)
        bench.clock.advance(timedelta(seconds=5))
        outcome = await publishing.publish(bench.ctx)
        snap = await bench.snapshot()
        mark = snap.mark_for(issuer.entity_id)
        assert mark is not None
        states = {pin.x5t_s256: pin.state for pin in mark.keys}
        assert states[thumbprint] == PinState.COMPROMISED
        async with bench.ctx.db.read() as conn:
            kept = await publications.statement(conn, issuer.entity_id)
            counted = await publications.changes(conn)
        assert kept is not None
        assert kept.issued_at == bench.clock.now()
        assert counted.made == counted.published
        assert outcome is None


def _agreement(bench: RegistryBench) -> RecordAgreement:
    return RecordAgreement(
        type=AgreementType.MOU,
        version="1.0",
        text_hash=None,
        terms=AgreementTerms(
            parties=[RBV, R0A],
            movement_types=["SERVICE_NEED_URGENT"],
            staff_groups=[],
            max_days=5,
            effective=bench.clock.now().date(),
            expires=None,
        ),
    )


@both_databases
async def test_a_part_that_comes_back_after_a_kill_is_served(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = publications.forget_part
    gone: list[str] = []

    async def killed(conn: Any, sha256: str, **how: Any) -> bool:
        if sha256 in gone:
            raise Killed
        return await original(conn, sha256, **how)

    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.live_issuer()
        parts = (await bench.snapshot()).manifest.parts
        gone += [part.sha256 for part in parts if part.name == "agreements"]
        await bench.join(R0A)
        made = await agreements.record(bench.ctx, _agreement(bench), ANN)
        await bench.publish()
        bench.clock.advance(timedelta(hours=73))
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(publications, "forget_part", killed)
            await publishing.publish_unleased(bench.ctx)
        # without an agreement the part is byte for byte the one of three days ago
        await agreements.end(bench.ctx, made.id, made.version, ANN)
        await publishing.publish_unleased(bench.ctx)
        assert (await bench.snapshot()).agreements == ()


@both_databases
async def test_a_part_that_was_used_again_is_not_forgotten(databases: FreshDatabases, tmp_path: Path) -> None:
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        now = bench.clock.now()
        part = KeptPart(sha256="a" * 64, name="status", bytes=1, last_used_at=now)
        async with bench.ctx.db.write() as conn:
            assert await publications.use_part(conn, part)
            assert not await publications.forget_part(conn, part.sha256, unused_since=now)
            assert await publications.forget_part(conn, part.sha256, unused_since=now + timedelta(seconds=1))
            assert await publications.use_part(conn, part)


@both_databases
async def test_of_codes_made_at_once_one_lives(databases: FreshDatabases, tmp_path: Path) -> None:
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.join(RBV)
        await bench.code(RBV, Role.ISSUER)
        made = await at_once(8, lambda _: entities.make_code(bench.ctx, RBV, Role.ISSUER, ANN))
        assert not [one for one in made if isinstance(one, BaseException)]
        codes = tables.enrolment_codes
        async with bench.ctx.db.read() as conn:
            live = select(func.count()).select_from(codes).where(codes.c.expires_at > bench.clock.now())
            assert (await conn.execute(live)).scalar_one() == 1
