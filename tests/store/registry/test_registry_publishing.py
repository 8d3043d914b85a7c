"""Publishing on both databases: marks, statements, the numbered chain of snapshots, crashes and races."""

from __future__ import annotations

import hashlib
import itertools
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from passport_registry.operations import (
    anchor,
    authorisations,
    chain,
    directory,
    entities,
    marks,
    publishing,
    snapshot,
    standings,
    statements,
)
from passport_registry.operations.entities import Suspend
from passport_registry.rules.entities import Role, Suspension
from passport_registry.rules.onboarding import Step, StepState
from passport_registry.store import entities as entity_store
from passport_registry.store import marks as mark_store
from passport_registry.store import publications, tables
from passport_registry.store.publications import Kind
from passport_registry.store.rows import Duplicate
from passport_shared.formats import jose, snapshot_manifest, trust
from passport_shared.formats.snapshot import MarkStanding
from passport_shared.formats.snapshot_manifest import manifest_hash
from passport_shared.formats.trust import Finding
from passport_shared.formats.x5c import encode_x5c, verify_chain
from passport_shared.service.keys import KeyState
from passport_shared.wire.catalogue import TYPES
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.registries import ANN, BEA, R0A, RBV, RegistryBench, done, entity_id, registry_bench

PACKAGE = "passport_registry"


async def fresh(databases: FreshDatabases) -> str:
    return await databases.url(PACKAGE)


def judge(bench: RegistryBench, snap, entity_id: str, *, iat=None) -> trust.Authority:
    """What a verifier finds about a credential this issuer signed."""
    return trust.authority(
        snap,
        bench_chain(bench, entity_id),
        iss=entity_id,
        use="credential",
        action="issue",
        vct=bench.vct("StaffIdentity"),
        iat=iat or bench.clock.now(),
        at=bench.clock.now(),
    )


_chains: dict[str, list[str]] = {}


def bench_chain(bench: RegistryBench, entity_id: str) -> list[str]:
    return _chains[entity_id]


async def remember_chain(bench: RegistryBench, entity_id: str) -> None:
    async with bench.ctx.db.read() as conn:
        rows = await entity_store.certificates(conn, entity_id=entity_id)
    newest = [row for row in rows if row.use == "credential" and row.der is not None][-1]
    ca = await anchor.authority(bench.ctx)
    _chains[entity_id] = encode_x5c([newest.der or b"", ca.issuing_der])


@both_databases
async def test_consumers_read_what_was_published(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer(RBV, "StaffIdentity", "Employment")
        verifier = await bench.live_verifier()
        snap = await bench.snapshot()
        await remember_chain(bench, issuer.entity_id)
        assert set(snap.entity_ids) == {issuer.entity_id, verifier.entity_id}
        assert judge(bench, snap, issuer.entity_id).finding is Finding.AUTHORISED
        asked = trust.may_ask(
            snap,
            verifier.entity_id,
            bench.vct("StaffIdentity"),
            [("family_name",)],
            "URGENT_LIST",
            bench.clock.now(),
        )
        assert asked.finding is Finding.AUTHORISED
        too_much = trust.may_ask(
            snap,
            verifier.entity_id,
            bench.vct("StaffIdentity"),
            [("birthdate",)],
            "URGENT_LIST",
            bench.clock.now(),
        )
        assert too_much.finding is Finding.NOT_AUTHORISED
        assert len(snap.types) == len(TYPES)
        leaf = verify_chain(bench_chain(bench, issuer.entity_id), snap.roots, at=bench.clock.now())
        assert (leaf.san_uri, leaf.ods_code) == (issuer.entity_id, RBV)


@both_databases
async def test_nothing_is_published_twice_for_nothing(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.live_issuer()
        first = await bench.snapshot()
        assert await bench.publish() is None
        assert (await bench.snapshot()).sequence == first.sequence
        assert await publishing.lag(bench.ctx) == 0
        assert await publishing.publish_if_due(bench.ctx) is None
        bench.clock.advance(timedelta(minutes=61))
        renewed = await publishing.publish_if_due(bench.ctx)
        assert renewed is not None
        assert renewed.sequence > first.sequence
        second = await bench.snapshot()
        assert second.manifest.prev == manifest_hash(first.manifest.compact)
        assert second.manifest.exp - second.manifest.iat == timedelta(hours=72)


@both_databases
async def test_marks_and_statements_are_renewed_before_they_end(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        before = (await bench.snapshot()).entity(issuer.entity_id)
        assert before is not None
        for _ in range(5):
            bench.clock.advance(timedelta(hours=23))
            bench.hosts.serve(issuer, bench.clock)
            await bench.publish()
            snap = await bench.snapshot()
            entity = snap.entity(issuer.entity_id, now=bench.clock.now())
            assert entity is not None
            shortest = min(entity.statement.exp, *(mark.exp for mark in entity.marks), snap.anchor.exp)
            # What a snapshot carries outlives the snapshot by whatever it is re-issued in.
            assert shortest >= snap.manifest.exp - timedelta(hours=1)
        assert entity is not None
        assert entity.marks[0].jti != before.marks[0].jti
        assert entity.statement.iat > before.statement.iat


@both_databases
async def test_a_change_makes_a_new_mark_and_the_old_one_invalid(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        old = (await bench.snapshot()).mark_for(issuer.entity_id)
        assert old is not None
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant("Employment"))
        await bench.publish()
        snap = await bench.snapshot()
        new = snap.mark_for(issuer.entity_id)
        assert new is not None
        assert new.jti != old.jti
        assert new.status.idx != old.status.idx
        assert snap.mark_status(old) is MarkStanding.INVALID
        assert snap.mark_status(new) is MarkStanding.VALID
        assert {entry.vct for entry in new.authorizations} == {
            bench.vct("StaffIdentity"),
            bench.vct("Employment"),
        }


@both_databases
async def test_integrity_suspension_and_reinstatement(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        await remember_chain(bench, issuer.entity_id)
        cmd = Suspend(kind=Suspension.INTEGRITY, reason="failed audit", review_on=bench.clock.now().date())
        await entities.suspend(bench.ctx, RBV, Role.ISSUER, cmd, ANN)
        await bench.publish()
        snap = await bench.snapshot()
        assert judge(bench, snap, issuer.entity_id).finding is Finding.SUSPENDED
        vct, now = bench.vct("StaffIdentity"), bench.clock.now()
        assert trust.issuer_may_issue(snap, issuer.entity_id, vct, now).finding is Finding.SUSPENDED
        # A mark issued while it is suspended is suspended too.
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant("Employment"))
        await bench.publish()
        snap = await bench.snapshot()
        assert judge(bench, snap, issuer.entity_id).finding is Finding.SUSPENDED
        await entities.reinstate(bench.ctx, RBV, Role.ISSUER, BEA, reason="audit passed")
        await bench.publish()
        assert judge(bench, await bench.snapshot(), issuer.entity_id).finding is Finding.AUTHORISED


@both_databases
async def test_administrative_suspension_closes_issuing_only(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        await remember_chain(bench, issuer.entity_id)
        signed_before = bench.clock.now()
        bench.clock.advance(timedelta(hours=1))
        cmd = Suspend(
            kind=Suspension.ADMINISTRATIVE, reason="own request", review_on=bench.clock.now().date()
        )
        await entities.suspend(bench.ctx, RBV, Role.ISSUER, cmd, ANN)
        await bench.publish()
        bench.clock.advance(timedelta(minutes=5))
        snap = await bench.snapshot()
        assert judge(bench, snap, issuer.entity_id, iat=signed_before).finding is Finding.AUTHORISED
        assert judge(bench, snap, issuer.entity_id).finding is Finding.NOT_AUTHORISED
        vct = bench.vct("StaffIdentity")
        assert not trust.issuer_may_issue(snap, issuer.entity_id, vct, bench.clock.now()).may_be_relied_on
        # The moment of closing does not move with later publications.
        bench.clock.advance(timedelta(hours=25))
        await bench.publish()
        mark = (await bench.snapshot()).mark_for(issuer.entity_id)
        assert mark is not None
        assert mark.authorizations[0].issue_until == signed_before + timedelta(hours=1)
        await entities.reinstate(bench.ctx, RBV, Role.ISSUER, BEA, reason="asked back")
        await bench.publish()
        assert judge(bench, await bench.snapshot(), issuer.entity_id).finding is Finding.AUTHORISED


@both_databases
async def test_losing_a_gate_by_the_calendar_closes_issuing(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        await remember_chain(bench, issuer.entity_id)
        signed_before = bench.clock.now()
        today = bench.clock.now().date()
        await bench.record(RBV, done(Step.HR_TRAINING, today, valid_until=today))
        await bench.publish()
        assert judge(bench, await bench.snapshot(), issuer.entity_id).finding is Finding.AUTHORISED
        bench.clock.advance(timedelta(days=1))
        await publishing.publish_if_due(bench.ctx)
        bench.clock.advance(timedelta(minutes=1))
        snap = await bench.snapshot()
        assert judge(bench, snap, issuer.entity_id).finding is Finding.NOT_AUTHORISED
        assert judge(bench, snap, issuer.entity_id, iat=signed_before).finding is Finding.AUTHORISED


@both_databases
async def test_a_trust_in_its_test_issues_for_a_day_only(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.join(RBV)
        await bench.enrol(RBV, Role.ISSUER)
        await bench.pass_steps(RBV, without=[Step.TEST_ISSUE])
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant("Employment"))
        short = bench.issue_grant(
            test=True, max_validity_s=86_400, valid_until=bench.clock.now() + timedelta(days=10)
        )
        await bench.grant(RBV, Role.ISSUER, short)
        await bench.publish()
        snap, now, eid = await bench.snapshot(), bench.clock.now(), "https://issuer.example/RBV"
        tested = trust.issuer_may_issue(snap, eid, bench.vct("StaffIdentity"), now)
        assert tested.finding is Finding.AUTHORISED
        assert tested.authorization is not None
        assert tested.authorization.max_validity_s == 86_400
        assert not trust.issuer_may_issue(snap, eid, bench.vct("Employment"), now).may_be_relied_on
        await bench.record(RBV, done(Step.TEST_ISSUE, now.date()))
        await bench.publish()
        snap = await bench.snapshot()
        assert trust.issuer_may_issue(snap, eid, bench.vct("Employment"), now).finding is Finding.AUTHORISED


@both_databases
async def test_a_compromised_key_is_refused_at_any_time(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        await remember_chain(bench, issuer.entity_id)
        signed_before = bench.clock.now()
        bench.clock.advance(timedelta(hours=1))
        leaf = next(
            row for row in await entities.certificates(bench.ctx, RBV, Role.ISSUER) if row.use == "credential"
        )
        await entities.compromise_key(
            bench.ctx, RBV, Role.ISSUER, leaf.x5t_s256 or "", ANN, reason="laptop lost"
        )
        await entities.compromise_key(bench.ctx, RBV, Role.ISSUER, leaf.x5t_s256 or "", ANN, reason="again")
        await bench.publish()
        snap = await bench.snapshot()
        assert judge(bench, snap, issuer.entity_id, iat=signed_before).finding is Finding.KEY_COMPROMISED
        entity = snap.entity(issuer.entity_id)
        assert entity is not None
        assert entity.statement.metadata["openid_credential_issuer"]["jwks"]["keys"] == []
        # New keys bring the trust back; what the compromised key signed stays refused.
        await bench.enrol(RBV, Role.ISSUER, "second")
        await bench.publish()
        snap = await bench.snapshot()
        vct = bench.vct("StaffIdentity")
        assert trust.issuer_may_issue(snap, issuer.entity_id, vct, bench.clock.now()).may_be_relied_on
        assert judge(bench, snap, issuer.entity_id, iat=signed_before).finding is Finding.KEY_COMPROMISED


@both_databases
async def test_an_authorisation_that_is_withdrawn_keeps_its_past(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        await remember_chain(bench, issuer.entity_id)
        signed_before = bench.clock.now()
        bench.clock.advance(timedelta(hours=1))
        (held,) = await authorisations.page(bench.ctx, RBV, Role.ISSUER, after=None, limit=10)
        await authorisations.withdraw(bench.ctx, RBV, Role.ISSUER, held.id, ANN, reason="no longer needed")
        await bench.publish()
        bench.clock.advance(timedelta(minutes=1))
        snap = await bench.snapshot()
        assert judge(bench, snap, issuer.entity_id, iat=signed_before).finding is Finding.AUTHORISED
        assert judge(bench, snap, issuer.entity_id).finding is Finding.NOT_AUTHORISED


@both_databases
async def test_verifier_without_its_gate_may_ask_nothing(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        verifier = await bench.live_verifier()
        step = done(Step.DPIA, bench.clock.now().date(), state=StepState.BLOCKED, done_on=None, evidence=None)
        await bench.record(R0A, step)
        await bench.publish()
        mark = (await bench.snapshot()).mark_for(verifier.entity_id)
        assert mark is not None
        assert mark.authorizations == ()


@both_databases
async def test_many_publishers_make_one_chain(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.live_issuer()
        digest = hashlib.sha256(b"the same content").hexdigest()
        link = chain.Link(
            kind=Kind.SNAPSHOT,
            document=snapshot.SNAPSHOT_DOCUMENT,
            media_type="application/staff-passport-snapshot+jwt",
            life=timedelta(hours=72),
            max_age=timedelta(seconds=15),
            content_digest=digest,
        )
        async with bench.ctx.db.read() as conn:
            first = await publications.last(conn, Kind.SNAPSHOT)
        assert first is not None
        outcomes = await at_once(
            20,
            lambda _: chain.publish(bench.ctx, link, lambda item, prev: f"{item.sequence} {prev}".encode()),
        )
        assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        async with bench.ctx.db.read() as conn:
            rows = (
                await conn.execute(
                    select(tables.publications)
                    .where(tables.publications.c.kind == Kind.SNAPSHOT.value)
                    .order_by(tables.publications.c.sequence)
                )
            ).all()
        published = [row for row in rows if row.state == "PUBLISHED"]
        assert len({row.sequence for row in rows}) == len(rows)
        assert sum(outcome is not None for outcome in outcomes) == len(
            [r for r in published if r.sequence > first.sequence]
        )
        for before, after in itertools.pairwise(published):
            assert after.follows == before.sequence
        kept = await bench.ctx.documents.get(snapshot.SNAPSHOT_DOCUMENT)
        assert kept is not None
        assert kept.version == published[-1].sequence


@both_databases
async def test_twenty_concurrent_publishes_leave_one_current_mark_each(
    databases: FreshDatabases, tmp_path: Path
):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant("Employment"))
        outcomes = await at_once(20, lambda _: publishing.publish_unleased(bench.ctx))
        assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)], outcomes
        await bench.publish()
        async with bench.ctx.db.read() as conn:
            current = (
                await conn.execute(
                    select(func.count())
                    .select_from(tables.trust_marks)
                    .where(tables.trust_marks.c.state == "CURRENT")
                )
            ).scalar_one()
            valid = (
                await conn.execute(
                    select(func.count())
                    .select_from(tables.trust_marks)
                    .where(tables.trust_marks.c.state != "CURRENT", tables.trust_marks.c.status != 1)
                )
            ).scalar_one()
        assert (current, valid) == (1, 0)
        snap = await bench.snapshot()
        mark = snap.mark_for(issuer.entity_id)
        assert mark is not None
        assert snap.mark_status(mark) is MarkStanding.VALID


class Killed(BaseException):
    """Stands for the process ending at this line."""


def kill(*_: object, **__: object) -> None:
    raise Killed


STEPS = [
    (marks, "_sign", "after the marks are reserved"),
    (marks, "_make_current", "after the marks are signed"),
    (statements, "renew", "after the marks are current"),
    (snapshot, "_status_lists", "before the lists are signed"),
    (snapshot, "_keep_parts", "before the parts are kept"),
    (chain, "_reserve", "before a number is reserved"),
    (publications, "publish", "after the manifest is signed"),
    (directory, "publish", "before the directory"),
]


@both_databases
@pytest.mark.parametrize(("module", "name"), [step[:2] for step in STEPS], ids=[step[2] for step in STEPS])
async def test_killed_between_two_steps_it_ends_right_after_the_next_run(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module, name
):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        before = await bench.snapshot()
        old = before.mark_for(issuer.entity_id)
        assert old is not None
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant("Employment"))
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(module, name, kill)
            await publishing.publish_unleased(bench.ctx)
        # What was published before is still whole and served.
        between = await bench.snapshot()
        assert between.sequence in {before.sequence, before.sequence + 1}
        assert between.entity(issuer.entity_id) is not None
        bench.clock.advance(timedelta(seconds=5))
        await publishing.publish_unleased(bench.ctx)
        after = await bench.snapshot()
        new = after.mark_for(issuer.entity_id)
        assert new is not None
        assert len(new.authorizations) == 2
        assert after.mark_status(new) is MarkStanding.VALID
        assert after.mark_status(old) is MarkStanding.INVALID
        assert after.sequence > before.sequence


@both_databases
async def test_a_taken_status_index_is_drawn_again(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        mark = (await bench.snapshot()).mark_for(issuer.entity_id)
        assert mark is not None
        drawn = itertools.chain([mark.status.idx] * 2, itertools.repeat(mark.status.idx + 1))
        monkeypatch.setattr(mark_store, "random_index", lambda: next(drawn))
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant("Employment"))
        await bench.publish()
        new = (await bench.snapshot()).mark_for(issuer.entity_id)
        assert new is not None
        assert new.status.idx == mark.status.idx + 1


@both_databases
async def test_a_full_status_list_is_followed_by_another(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        old = (await bench.snapshot()).mark_for(issuer.entity_id)
        monkeypatch.setattr(mark_store, "FULL_AT", 1)
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant("Employment"))
        await bench.publish()
        snap = await bench.snapshot()
        new = snap.mark_for(issuer.entity_id)
        assert old is not None
        assert new is not None
        assert new.status.uri != old.status.uri
        assert snap.mark_status(old) is MarkStanding.INVALID
        assert snap.mark_status(new) is MarkStanding.VALID


@both_databases
async def test_a_restored_backup_never_publishes_a_lower_number(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.live_issuer()
        first = (await bench.snapshot()).sequence
        # The backup is of an hour ago and knows nothing of later numbers; the clock does.
        bench.clock.advance(timedelta(hours=1, seconds=1))
        published = await bench.publish()
        assert published is not None
        assert published.sequence >= int(bench.clock.now().timestamp())
        assert published.sequence > first


@both_databases
async def test_two_publications_cannot_follow_the_same_one(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.live_issuer()
        async with bench.ctx.db.read() as conn:
            last = await publications.last(conn, Kind.SNAPSHOT)
        assert last is not None
        rows = [
            publications.Publication(
                **{
                    **vars(last),
                    "sequence": last.sequence + n,
                    "follows": last.sequence,
                    "state": "PREPARED",
                    "sha256": None,
                }
            )
            for n in (1, 2)
        ]
        async with bench.ctx.db.write() as conn:
            for row in rows:
                await publications.reserve(conn, row)
        async with bench.ctx.db.write() as conn:
            assert await publications.publish(conn, Kind.SNAPSHOT, rows[0].sequence, sha256="a" * 64)
        with pytest.raises(Duplicate):
            async with bench.ctx.db.write() as conn:
                await publications.publish(conn, Kind.SNAPSHOT, rows[1].sequence, sha256="b" * 64)
        with pytest.raises(Duplicate):
            async with bench.ctx.db.write() as conn:
                await publications.reserve(conn, rows[0])


@both_databases
async def test_old_parts_and_numbers_are_forgotten(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.live_issuer()
        first = await bench.snapshot()
        name = snapshot.part_document(next(p.sha256 for p in first.manifest.parts if p.name == "status"))
        bench.clock.advance(timedelta(hours=71))
        await bench.publish()
        assert await bench.ctx.documents.get(name) is not None
        bench.clock.advance(timedelta(hours=2))
        await bench.publish()
        assert await bench.ctx.documents.get(name) is None
        bench.clock.advance(timedelta(hours=73))
        await bench.publish()
        async with bench.ctx.db.read() as conn:
            kept = (await conn.execute(select(func.min(tables.publications.c.sequence)))).scalar_one()
        assert kept > first.sequence


@both_databases
async def test_marks_follow_a_roll_of_the_anchors_key(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        issuer = await bench.live_issuer()
        await bench.ctx.keys.create(anchor.FEDERATION, state=KeyState.NEXT)
        bench.clock.advance(timedelta(minutes=2))
        await bench.publish()
        snap = await bench.snapshot()
        assert len(snap.anchor.jwks["keys"]) == 2
        await bench.ctx.keys.activate_next(anchor.FEDERATION)
        bench.trust_file = snap.trust_file
        bench.clock.advance(timedelta(minutes=2))
        await bench.publish()
        snap = await bench.snapshot()
        mark = snap.mark_for(issuer.entity_id)
        assert mark is not None
        new_key = await bench.ctx.keys.active(anchor.FEDERATION)
        assert jose.parse(mark.compact).header["kid"] == new_key.kid


@both_databases
async def test_views_of_one_and_of_all_agree(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(standings, "PAGE", 1)
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.live_issuer()
        await bench.live_verifier()
        now = bench.clock.now()
        pages = [page async for page in standings.every(bench.ctx.db, now)]
        assert [len(page) for page in pages] == [1, 1]
        async with bench.ctx.db.read() as conn:
            single = [await standings.one(conn, view.organisation, now) for page in pages for view in page]
        assert [view for page in pages for view in page] == single


@both_databases
async def test_what_is_derived_is_made_again_after_a_change_or_when_its_time_has_come(
    databases: FreshDatabases, tmp_path: Path
):
    made = []

    def noted(view: standings.TrustView) -> str:
        made.append(view.organisation.ods_code)
        return f"{view.organisation.ods_code} {view.live(Role.VERIFIER)}"

    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.live_verifier(R0A)
        await bench.live_verifier("RW3")
        derived = standings.Derived(noted)

        async def now() -> list[str]:
            made.clear()
            return await derived.every(bench.ctx.db, bench.clock.now())

        assert await now() == ["R0A True", "RW3 True"]
        bench.clock.advance(timedelta(minutes=5))
        assert await now() == ["R0A True", "RW3 True"]
        assert made == []
        await bench.join("RW4")
        cmd = Suspend(kind=Suspension.INTEGRITY, reason="failed audit", review_on=bench.clock.now().date())
        await entities.suspend(bench.ctx, R0A, Role.VERIFIER, cmd, ANN)
        assert await now() == ["R0A False", "RW3 True", "RW4 False"]
        assert made == [R0A, "RW4"]
        # The London day ends: steps and dates are judged anew.
        bench.clock.advance(timedelta(days=1))
        assert await now() == ["R0A False", "RW3 True", "RW4 False"]
        assert made == [R0A, "RW3", "RW4"]
        bench.clock.advance(timedelta(days=400))
        assert await now() == ["R0A False", "RW3 False", "RW4 False"]


@both_databases
async def test_a_change_makes_one_shard_new_and_a_look_none(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(snapshot, "ENTITIES_PER_PART", 1)
    made = []
    shard = snapshot._shard

    async def counted(ctx, entities, configuration):
        made.append([entity.ods_code for entity in entities])
        return await shard(ctx, entities, configuration)

    monkeypatch.setattr(snapshot, "_shard", counted)
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        for ods in (RBV, R0A, "RW3"):
            await bench.live_verifier(ods)
        before = await bench.snapshot()
        names = [part.name for part in before.manifest.parts if part.name.startswith("entities")]
        assert names == [f"entities-{number}" for number in range(1, 5)]
        made.clear()
        bench.clock.advance(timedelta(seconds=30))
        assert await bench.publish() is None
        await bench.join("RW4")
        assert await bench.publish() is None
        assert made == []
        await bench.grant("RW3", Role.VERIFIER, bench.ask_grant("Employment"))
        await bench.publish()
        after = await bench.snapshot()
        assert len(made) == 1
        assert "RW3" in made[0]
        new = [part.name for part in after.manifest.parts if part not in before.manifest.parts]
        assert len([name for name in new if name.startswith("entities")]) == 1
        assert {*after.entity_ids} == {*before.entity_ids}


@both_databases
async def test_a_part_no_reader_would_take_is_never_published(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.live_issuer()
        before = await bench.snapshot()
        monkeypatch.setattr(snapshot_manifest, "MAX_PART_BYTES", 1_000)
        await bench.grant(RBV, Role.ISSUER, bench.issue_grant("Employment"))
        with pytest.raises(ValueError, match="more than a reader takes"):
            await bench.publish()
        monkeypatch.undo()
        assert (await bench.snapshot()).sequence == before.sequence


@both_databases
async def test_a_list_whose_marks_have_all_expired_is_left_behind(
    databases: FreshDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mark_store, "FULL_AT", 1)
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        await bench.live_issuer()
        async with bench.ctx.db.read() as conn:
            first = [row.id for row in await mark_store.lists(conn, now=bench.clock.now())]
        for _ in range(6):
            bench.clock.advance(timedelta(hours=23))
            await bench.publish()
        async with bench.ctx.db.read() as conn:
            last = [row.id for row in await mark_store.lists(conn, now=bench.clock.now())]
        assert not {*first} & {*last}
        assert 0 < len(last) <= 6
        snap = await bench.snapshot()
        mark = snap.mark_for(entity_id(RBV, Role.ISSUER))
        assert mark is not None
        assert snap.mark_status(mark) is MarkStanding.VALID


@both_databases
async def test_a_row_of_changes_missing_is_said(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await fresh(databases), tmp_path) as bench:
        async with bench.ctx.db.write() as conn:
            await conn.execute(update(tables.changes).values(made=5))
        assert await publishing.lag(bench.ctx) == 5
        async with bench.ctx.db.write() as conn:
            await conn.execute(tables.changes.delete())
        with pytest.raises(LookupError, match="migrate"):
            await publishing.lag(bench.ctx)
