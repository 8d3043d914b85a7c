"""Enrolment on both databases: one code, one set of keys, whatever happens in between."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from passport_registry.errors import (
    EnrolmentCodeRefused,
    EnrolmentKeysConflict,
    HostKeysDiffer,
    HostNotReachable,
    Invalid,
)
from passport_registry.operations import enrolment, entities
from passport_registry.operations.enrolment import Enrol
from passport_registry.rules.entities import Role
from passport_registry.store import entities as entity_store
from passport_registry.store import tables
from passport_shared.formats.x5c import encode_x5c, verify_chain
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.keys import key
from passport_testkit.registries import (
    ANN,
    R0A,
    RBV,
    HostedEntity,
    RegistryBench,
    entity_id,
    pem_request,
    registry_bench,
    vouching,
)

PACKAGE = "passport_registry"
EID = entity_id(RBV, Role.ISSUER)


async def joined(bench: RegistryBench) -> tuple[str, HostedEntity]:
    """A trust with an issuer that has a code and a host."""
    await bench.join(RBV)
    return await bench.code(RBV, Role.ISSUER), bench.host(RBV, Role.ISSUER)


async def certificate_count(bench: RegistryBench) -> int:
    async with bench.ctx.db.read() as conn:
        return int((await conn.execute(select(func.count()).select_from(tables.certificates))).scalar_one())


@both_databases
async def test_enrolment_gives_one_leaf_per_use(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        code, entity = await joined(bench)
        enrolled = await enrolment.enrol(bench.ctx, bench.request(code, entity))
        assert set(enrolled.certificates) == {"credential", "status"}
        for use, row in enrolled.certificates.items():
            leaf = verify_chain(
                encode_x5c([row.der or b"", enrolled.issuing_ca]),
                bench.trust_file.roots,
                at=bench.clock.now(),
            )
            assert leaf.public.thumbprint == entity.leaf_keys[use].kid == row.jkt
            assert leaf.san_uri == EID
            assert leaf.thumbprint == row.x5t_s256
            assert "ignored" not in leaf.subject
        assert bench.hosts.asked == [f"{EID}/.well-known/openid-federation"]


@both_databases
async def test_repeating_it_gives_the_same_answer(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        code, entity = await joined(bench)
        first = await enrolment.enrol(bench.ctx, bench.request(code, entity))
        bench.clock.advance(timedelta(minutes=10))
        # A new configuration by the same keys is the same enrolment, and the host is not asked again.
        bench.hosts.served.clear()
        second = await enrolment.enrol(bench.ctx, bench.request(code, entity))
        assert second.certificates == first.certificates
        assert await certificate_count(bench) == 2
        with pytest.raises(EnrolmentKeysConflict):
            other = HostedEntity.make(EID, Role.ISSUER, "other")
            await enrolment.enrol(bench.ctx, bench.request(code, other))


@both_databases
async def test_twenty_at_once_with_the_same_keys_are_one_enrolment(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        code, entity = await joined(bench)
        outcomes = await at_once(20, lambda _: enrolment.enrol(bench.ctx, bench.request(code, entity)))
        answers: list[Any] = outcomes
        assert {type(answer).__name__ for answer in answers} == {"Enrolled"}
        assert all(answer.certificates == answers[0].certificates for answer in answers)
        assert await certificate_count(bench) == 2
        async with bench.ctx.db.read() as conn:
            enrolled = (
                await conn.execute(
                    select(func.count())
                    .select_from(tables.audit.entries)
                    .where(tables.audit.entries.c.kind == "entity.enrolled")
                )
            ).scalar_one()
        assert enrolled == 1


@both_databases
async def test_of_twenty_at_once_with_other_keys_one_enrols(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        code, entity = await joined(bench)

        def attempt(number: int) -> Enrol:
            leaves = {use: pem_request(key(f"race {number} {use}")) for use in entity.leaf_keys}
            return bench.request(code, entity, certificate_requests=leaves)

        outcomes = await at_once(20, lambda number: enrolment.enrol(bench.ctx, attempt(number)))
        assert Counter(type(outcome).__name__ for outcome in outcomes) == {
            "Enrolled": 1,
            "EnrolmentKeysConflict": 19,
        }
        assert await certificate_count(bench) == 2


class Killed(BaseException):
    """Stands for the process ending at this line."""


KILLS = [
    "use_code",
    "reserve_certificates",
    "sign_certificate",
    "complete_code",
    "retire_certificates",
    "change",
]


@both_databases
@pytest.mark.parametrize("step", KILLS)
async def test_killed_between_two_steps_the_repetition_finishes_it(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        code, entity = await joined(bench)
        request = bench.request(code, entity)

        def kill(*_: object, **__: object) -> None:
            raise Killed

        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(entity_store, step, kill)
            await enrolment.enrol(bench.ctx, request)
        enrolled = await enrolment.enrol(bench.ctx, request)
        assert all(row.x5t_s256 for row in enrolled.certificates.values())
        assert enrolled.entity.federation_jwks is not None
        assert await certificate_count(bench) == 2
        await bench.publish()
        assert EID in (await bench.snapshot()).entity_ids


@both_databases
async def test_codes_end(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        old, entity = await joined(bench)
        newer = (await entities.make_code(bench.ctx, RBV, Role.ISSUER, ANN)).code
        refused = {
            "unknown": bench.request("x" * 27, entity),
            "replaced": bench.request(old, entity),
            "another entity's": bench.request(newer, entity, entity_id=entity_id(R0A, Role.ISSUER)),
        }
        for name, request in refused.items():
            with pytest.raises(EnrolmentCodeRefused):
                await enrolment.enrol(bench.ctx, request)
            assert bench.hosts.asked == [], name
        bench.clock.advance(timedelta(hours=24))
        with pytest.raises(EnrolmentCodeRefused):
            await enrolment.enrol(bench.ctx, bench.request(newer, entity))
        async with bench.ctx.db.read() as conn:
            rows = (await conn.execute(select(tables.enrolment_codes))).all()
        assert newer not in str(rows)


@both_databases
async def test_holding_the_code_is_not_enough(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        code, entity = await joined(bench)
        thief = HostedEntity.make(EID, Role.ISSUER, "thief")
        with pytest.raises(HostKeysDiffer):
            await enrolment.enrol(bench.ctx, bench.request(code, thief))
        bench.hosts.served.clear()
        with pytest.raises(HostNotReachable):
            await enrolment.enrol(bench.ctx, bench.request(code, entity))
        url = f"{EID}/.well-known/openid-federation"
        for spoiled in (
            "not a statement",
            thief.configuration(bench.clock, entity_id="https://issuer.example/R0A"),
            entity.configuration(bench.clock, exp=bench.clock.now() - timedelta(seconds=1)),
        ):
            bench.hosts.served[url] = spoiled
            with pytest.raises(HostKeysDiffer):
                await enrolment.enrol(bench.ctx, bench.request(code, entity))
        assert await certificate_count(bench) == 0
        # None of it has used up the code.
        bench.hosts.serve(entity, bench.clock)
        await enrolment.enrol(bench.ctx, bench.request(code, entity))


@both_databases
async def test_one_key_has_one_certificate_and_one_purpose(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        code, entity = await joined(bench)
        same = pem_request(entity.leaf_keys["status"])
        federation = pem_request(entity.federation_key)
        for requests in (
            {"credential": same, "status": same},
            {"credential": federation, "status": same},
        ):
            with pytest.raises(Invalid):
                await enrolment.enrol(bench.ctx, bench.request(code, entity, certificate_requests=requests))
        await enrolment.enrol(bench.ctx, bench.request(code, entity))
        again = (await entities.make_code(bench.ctx, RBV, Role.ISSUER, ANN)).code
        with pytest.raises(EnrolmentKeysConflict):
            await enrolment.enrol(bench.ctx, bench.request(again, entity))


MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    (
        "one request missing",
        {"certificate_requests": {"status": pem_request(key("a"))}},
        "/certificate_requests",
    ),
    (
        "a verifier's request",
        {"certificate_requests": {"request": pem_request(key("a"))}},
        "/certificate_requests",
    ),
    (
        "no PEM",
        {"certificate_requests": {"credential": "nothing", "status": pem_request(key("a"))}},
        "/certificate_requests/credential",
    ),
    ("no statement", {"entity_configuration": "a.b.c"}, "/entity_configuration"),
]


@pytest.mark.parametrize(("changes", "pointer"), [c[1:] for c in MALFORMED], ids=[c[0] for c in MALFORMED])
async def test_what_is_malformed_is_named(databases: FreshDatabases, tmp_path: Path, changes, pointer):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        code, entity = await joined(bench)
        with pytest.raises(Invalid) as refusal:
            await enrolment.enrol(bench.ctx, bench.request(code, entity, **changes))
        assert [error.pointer for error in refusal.value.errors] == [pointer]


CONFIGURATIONS: list[tuple[str, dict[str, Any]]] = [
    ("below another anchor", {"registry": "https://another.example"}),
    ("of another entity", {"entity_id": "https://issuer.example/R0A"}),
    ("signed with another key", {"key": key("a stranger")}),
]


@pytest.mark.parametrize("changes", [c[1] for c in CONFIGURATIONS], ids=[c[0] for c in CONFIGURATIONS])
async def test_configurations_that_are_refused(databases: FreshDatabases, tmp_path: Path, changes):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        code, entity = await joined(bench)
        sent = entity.configuration(bench.clock, extra=vouching(entity.requests()), **changes)
        with pytest.raises((Invalid, HostKeysDiffer)):
            await enrolment.enrol(bench.ctx, bench.request(code, entity, entity_configuration=sent))
        assert await certificate_count(bench) == 0


@both_databases
async def test_new_keys_retire_the_old_ones(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.live_issuer()
        bench.clock.advance(timedelta(days=30))
        await bench.enrol(RBV, Role.ISSUER, "second")
        held = await entities.certificates(bench.ctx, RBV, Role.ISSUER)
        states = Counter((row.use, row.state) for row in held)
        assert states == {
            ("credential", "retired"): 1,
            ("status", "retired"): 1,
            ("credential", "active"): 1,
            ("status", "active"): 1,
        }
        retired = next(row for row in held if row.state == "retired")
        assert retired.not_after_signing == bench.clock.now() + enrolment.OVERLAP


async def test_leaves_are_not_issued_after_the_authoritys_fourth_year(
    databases: FreshDatabases, tmp_path: Path
):
    from passport_registry.errors import NotInitialised

    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.join(RBV)
        bench.clock.advance(timedelta(days=4 * 366))
        with pytest.raises(NotInitialised):
            await bench.enrol(RBV, Role.ISSUER)
