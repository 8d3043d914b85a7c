"""Records of the registry on both databases: organisations, grants, clients, agreements, the anchor."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from passport_registry.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    PreconditionFailed,
    SecondPersonNeeded,
)
from passport_registry.operations import (
    agreements,
    anchor,
    authorisations,
    clients,
    directory,
    entities,
    organisations,
    register,
)
from passport_registry.operations.agreements import RecordAgreement
from passport_registry.operations.clients import RegisterClient
from passport_registry.operations.entities import Suspend
from passport_registry.operations.organisations import OrganisationDetails
from passport_registry.rules.agreements import AgreementTerms, AgreementType
from passport_registry.rules.entities import Role, Suspension
from passport_registry.rules.onboarding import OnboardingState, Step, StepRecord, StepState
from passport_registry.store import tables
from passport_shared.service.audit_chain import GENESIS
from passport_shared.service.auth import Actor
from passport_shared.service.db import Database, check, migrate, pending
from passport_shared.wire.clients import ClientKind, ClientState, read_directory
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.keys import key
from passport_testkit.registries import ANN, BEA, NAMES, R0A, RBV, done, entity_id, registry_bench

PACKAGE = "passport_registry"


@both_databases
async def test_migrations_make_the_tables_the_code_declares(databases: FreshDatabases):
    url = await databases.url()
    assert await pending(url, PACKAGE) != []
    await migrate(url, PACKAGE)
    assert await pending(url, PACKAGE) == []
    assert await check(url, PACKAGE, tables.metadata) == []
    await migrate(url, PACKAGE, "base")
    await migrate(url, PACKAGE)
    assert await check(url, PACKAGE, tables.metadata) == []


@both_databases
async def test_init_may_be_repeated_and_raced(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        made = await at_once(8, lambda _: anchor.initialise(bench.ctx))
        assert all(item == bench.trust_file for item in made), made


@both_databases
async def test_the_registrys_own_leaf_is_renewed_after_its_signing_window(
    databases: FreshDatabases, tmp_path: Path
):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        first = await anchor.status_leaf(bench.ctx)
        bench.clock.advance(timedelta(days=200))
        assert await anchor.status_leaf(bench.ctx) == first
        bench.clock.advance(timedelta(days=200))
        second = await anchor.status_leaf(bench.ctx)
        assert second.not_valid_before_utc > first.not_valid_before_utc
        assert (await anchor.trust_file(bench.ctx)) == bench.trust_file


@both_databases
async def test_state_follows_the_steps(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.join(RBV)
        seen = [(await organisations.get(bench.ctx, RBV)).state]
        for step in Step:
            await bench.record(RBV, done(step, date(2021, 7, 13)))
            seen.append((await organisations.get(bench.ctx, RBV)).state)
        assert seen == [
            OnboardingState.INVITED,
            OnboardingState.REGISTERED,
            OnboardingState.GOVERNANCE,
            OnboardingState.GOVERNANCE,
            OnboardingState.ENABLEMENT,
            OnboardingState.ENABLEMENT,
            OnboardingState.TEST,
            OnboardingState.TEST,
            OnboardingState.LIVE_VERIFY_ONLY,
        ]
        recorded = (await organisations.steps(bench.ctx, RBV))[Step.REGISTRATION]
        assert recorded.record.done_on == date(2021, 7, 13)
        assert recorded.recorded_at == bench.clock.now()
        await bench.enrol(RBV, Role.ISSUER)
        assert (await organisations.get(bench.ctx, RBV)).state is OnboardingState.LIVE


@both_databases
async def test_of_twenty_changes_to_one_version_one_wins(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.join(RBV)

        def rename(number: int):
            details = OrganisationDetails(name=f"Name number {number}", contacts={})
            return organisations.change(bench.ctx, RBV, details, 1, ANN)

        outcomes = await at_once(20, rename)
        assert Counter(type(o).__name__ for o in outcomes) == {"TrustView": 1, "PreconditionFailed": 19}

        def record(number: int):
            step = StepRecord(step=Step.DPIA, state=StepState.IN_PROGRESS, note=f"by {number}")
            return organisations.record_step(bench.ctx, RBV, step, ANN, expected_version=0)

        outcomes = await at_once(20, record)
        assert Counter(type(o).__name__ for o in outcomes) == {"TrustView": 1, "PreconditionFailed": 19}


@both_databases
async def test_what_exists_is_not_added_again(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.join(RBV)
        with pytest.raises(AlreadyExists):
            await bench.join(RBV)
        await entities.create(bench.ctx, RBV, Role.ISSUER, entity_id(RBV, Role.ISSUER), ANN)
        with pytest.raises(AlreadyExists):
            await entities.create(bench.ctx, RBV, Role.ISSUER, "https://other.example/RBV", ANN)
        with pytest.raises(AlreadyExists):
            await entities.create(bench.ctx, RBV, Role.VERIFIER, entity_id(RBV, Role.ISSUER), ANN)
        with pytest.raises(Invalid):
            await entities.create(bench.ctx, RBV, Role.VERIFIER, "https://registry.example/RBV", ANN)
        with pytest.raises(NotFound):
            await entities.create(bench.ctx, R0A, Role.VERIFIER, entity_id(R0A, Role.VERIFIER), ANN)
        with pytest.raises(NotFound):
            await organisations.get(bench.ctx, R0A)


@both_databases
async def test_a_grant_takes_two_people_and_is_approved_once(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.join(RBV)
        await bench.code(RBV, Role.ISSUER)
        proposed = await authorisations.propose(bench.ctx, RBV, Role.ISSUER, bench.issue_grant(), ANN)
        with pytest.raises(SecondPersonNeeded):
            await authorisations.approve(bench.ctx, RBV, Role.ISSUER, proposed.id, ANN)
        outcomes = await at_once(
            20, lambda _: authorisations.approve(bench.ctx, RBV, Role.ISSUER, proposed.id, BEA)
        )
        assert Counter(type(o).__name__ for o in outcomes) == {"Authorisation": 1, "Conflict": 19}
        granted = await authorisations.get(bench.ctx, RBV, Role.ISSUER, proposed.id)
        assert granted.four_eyes == "PERSONS"
        assert (granted.proposed_by["ref"], (granted.approved_by or {})["ref"]) == ("ann", "bea")
        outcomes = await at_once(
            10,
            lambda _: authorisations.withdraw(
                bench.ctx, RBV, Role.ISSUER, proposed.id, ANN, reason="no longer needed"
            ),
        )
        assert Counter(type(o).__name__ for o in outcomes) == {"Authorisation": 1, "Conflict": 9}
        with pytest.raises(NotFound):
            await authorisations.get(bench.ctx, RBV, Role.VERIFIER, proposed.id)


@both_databases
async def test_suspension_takes_one_word_and_is_not_lowered(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.live_issuer()
        review = bench.clock.now().date()

        def suspend(kind: Suspension):
            cmd = Suspend(kind=kind, reason="failed audit", review_on=review)
            return entities.suspend(bench.ctx, RBV, Role.ISSUER, cmd, ANN)

        with pytest.raises(Conflict):
            await entities.reinstate(bench.ctx, RBV, Role.ISSUER, BEA, reason="nothing to end")
        await suspend(Suspension.ADMINISTRATIVE)
        raised = await suspend(Suspension.INTEGRITY)
        assert raised.suspension == Suspension.INTEGRITY
        assert (await suspend(Suspension.INTEGRITY)).version == raised.version
        with pytest.raises(Conflict):
            await suspend(Suspension.ADMINISTRATIVE)
        assert (await organisations.get(bench.ctx, RBV)).state is OnboardingState.SUSPENDED
        await entities.reinstate(bench.ctx, RBV, Role.ISSUER, BEA, reason="audit passed")
        assert (await organisations.get(bench.ctx, RBV)).state is OnboardingState.LIVE


def new_client(client_id: str = "hr-system", **changes: object) -> RegisterClient:
    members: dict[str, object] = {
        "client_id": client_id,
        "name": "An HR system",
        "kind": ClientKind.MACHINE,
        "organisation": "*",
        "scopes": ["organisations:read"],
        "jwks": [key(f"client {client_id}").public.jwk],
    }
    return RegisterClient(**{**members, **changes})  # type: ignore[arg-type]


@both_databases
async def test_clients_reach_the_directory(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await clients.register(bench.ctx, new_client(), ANN)
        await clients.set_state(bench.ctx, "hr-system", ClientState.SUSPENDED, ANN, reason="key lost")
        await bench.publish()
        kept = await bench.ctx.documents.get(directory.DIRECTORY_DOCUMENT)
        assert kept is not None
        public = (await bench.ctx.keys.active(anchor.CLIENT_DIRECTORY)).public
        read = read_directory(kept.body, [public.as_jwk()], iss=bench.ctx.anchor, now=bench.clock.now())
        assert read.clients["hr-system"].state is ClientState.SUSPENDED
        assert read.sequence == kept.version
        await clients.set_state(bench.ctx, "hr-system", ClientState.ACTIVE, BEA, reason="new key")
        await bench.publish()
        newer = await bench.ctx.documents.get(directory.DIRECTORY_DOCUMENT)
        assert newer is not None
        assert newer.version > kept.version


@both_databases
async def test_a_client_has_two_keys_at_most_and_a_key_one_client(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        ctx = bench.ctx
        await clients.register(ctx, new_client(), ANN)
        with pytest.raises(AlreadyExists):
            await clients.register(ctx, new_client(), ANN)
        with pytest.raises(AlreadyExists):
            await clients.register(ctx, new_client("other", jwks=[key("client hr-system").public.jwk]), ANN)
        outcomes = await at_once(
            10, lambda n: clients.add_key(ctx, "hr-system", key(f"second {n}").public.jwk, ANN)
        )
        assert Counter(type(o).__name__ for o in outcomes)["ApiClient"] == 1
        live = (await clients.get(ctx, "hr-system")).jwks
        assert len(live) == 2
        with pytest.raises(Conflict):
            await clients.add_key(ctx, "hr-system", key("third").public.jwk, ANN)
        await clients.remove_key(ctx, "hr-system", key("client hr-system").kid, ANN)
        with pytest.raises(NotFound):
            await clients.remove_key(ctx, "hr-system", key("client hr-system").kid, ANN)
        with pytest.raises(AlreadyExists):
            await clients.add_key(ctx, "hr-system", key("client hr-system").public.jwk, ANN)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"scopes": ["organisations:read", "moon:read"]}, "/scopes/1"),
        ({"organisation": "RXX"}, "/organisation"),
        ({"jwks": []}, "/jwks/keys"),
        ({"jwks": [key("x").public.jwk, key("x").public.jwk]}, "/jwks/keys/1"),
        ({"jwks": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}, "/jwks/keys/0"),
    ],
)
async def test_clients_that_cannot_be_are_named(databases: FreshDatabases, tmp_path: Path, changes, pointer):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        with pytest.raises(Invalid) as refusal:
            await clients.register(bench.ctx, new_client(**changes), ANN)
        assert pointer in [error.pointer for error in refusal.value.errors]


@both_databases
async def test_agreements_are_in_the_snapshot_until_they_end(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.join(RBV)
        await bench.join(R0A)
        terms = AgreementTerms(
            parties=[RBV, R0A],
            movement_types=["URGENT_LIST"],
            staff_groups=["Medical and Dental"],
            max_days=180,
            effective=date(2026, 4, 1),
            expires=None,
        )
        cmd = RecordAgreement(type=AgreementType.MOU, version="1.0", text_hash=None, terms=terms)
        made = await agreements.record(bench.ctx, cmd, ANN)
        await bench.publish()
        (found,) = (await bench.snapshot()).agreements_between(RBV, R0A, date(2026, 9, 1))
        assert (found.id, found.type, found.max_days) == (made.id, "MOU", 180)
        with pytest.raises(PreconditionFailed):
            await agreements.end(bench.ctx, made.id, 7, ANN)
        await agreements.end(bench.ctx, made.id, 1, ANN)
        with pytest.raises(Conflict):
            await agreements.end(bench.ctx, made.id, 2, ANN)
        await bench.publish()
        assert (await bench.snapshot()).agreements == ()
        stranger = AgreementTerms(**{**vars(terms), "parties": [RBV, "RXX"]})
        with pytest.raises(Invalid):
            await agreements.record(bench.ctx, RecordAgreement(**{**vars(cmd), "terms": stranger}), ANN)


@both_databases
async def test_the_public_register_says_who_is_live(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.live_issuer()
        await bench.live_verifier()
        await bench.join("RXX", name="A Trust That Was Invited")
        listed = {entry.ods_code: entry for entry in await register.public_register(bench.ctx)}
        assert [entry.name for entry in listed.values()] == sorted(
            [NAMES[RBV], NAMES[R0A], "A Trust That Was Invited"], key=str.casefold
        )
        assert (listed[RBV].live_to_issue, listed[RBV].live_to_verify) == (True, False)
        assert (listed[R0A].live_to_issue, listed[R0A].live_to_verify) == (False, True)
        assert (listed["RXX"].live_to_issue, listed["RXX"].state) == (False, OnboardingState.INVITED)
        assert listed[RBV].contacts == {"hr_team": "hr@trust.invalid"}


@both_databases
async def test_every_act_has_its_audit_entry(databases: FreshDatabases, tmp_path: Path):
    from passport_registry.app import sealer

    async with registry_bench(await databases.url(PACKAGE), tmp_path) as bench:
        await bench.live_issuer()
        chain = sealer(bench.ctx)
        sealed = await chain.seal()
        async with bench.ctx.db.read() as conn:
            rows = (await conn.execute(tables.audit.entries.select())).all()
        kinds = Counter(row.kind for row in rows)
        assert sealed == len(rows)
        assert kinds == {
            "authority.certified": 3,
            "organisation.invited": 1,
            "entity.created": 1,
            "enrolment_code.made": 1,
            "entity.enrolled": 1,
            "onboarding_step.recorded": 8,
            "authorisation.proposed": 1,
            "authorisation.granted": 1,
            "trust_mark.issued": 1,
        }
        assert min(row.prev_hash for row in rows if row.seq == 1) == GENESIS


async def test_a_command_can_work_beside_a_running_service(databases: FreshDatabases, tmp_path: Path):
    url = await databases.url(PACKAGE)
    async with registry_bench(url, tmp_path) as bench:
        await bench.join(RBV)
        beside = Database(url, name="command", shared=True, durable=False)
        async with beside.read() as conn:
            found = (await conn.execute(tables.organisations.select())).all()
        await beside.close()
        assert [row.ods_code for row in found] == [RBV]


@both_databases
@pytest.mark.parametrize("counts", [False, True])
async def test_actors_that_a_machine_names_are_two_people_only_if_the_network_says_so(
    databases: FreshDatabases, tmp_path: Path, counts: bool
):
    one, other = (
        Actor(ref=ref, client_id="hr-system", kind=ClientKind.MACHINE, asserted=True) for ref in ("a", "b")
    )
    url = await databases.url(PACKAGE)
    async with registry_bench(url, tmp_path, asserted_four_eyes=counts) as bench:
        await bench.join(RBV)
        await bench.code(RBV, Role.ISSUER)
        proposed = await authorisations.propose(bench.ctx, RBV, Role.ISSUER, bench.issue_grant(), one)
        if counts:
            granted = await authorisations.approve(bench.ctx, RBV, Role.ISSUER, proposed.id, other)
            assert granted.four_eyes == "ASSERTED"
        else:
            with pytest.raises(SecondPersonNeeded):
                await authorisations.approve(bench.ctx, RBV, Role.ISSUER, proposed.id, other)
