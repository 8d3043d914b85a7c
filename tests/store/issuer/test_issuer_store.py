"""Single-use things in real SQL, on both databases: indices, nonces, PIN tries, redemptions, publications."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib import resources
from typing import Any

import pytest

from passport_issuer.operations import status_lists
from passport_issuer.rules.passports import CredentialState, OfferState, PassportState, ReasonCode
from passport_issuer.store import credentials, nonces, offers, passports, tables
from passport_issuer.store import status_lists as lists
from passport_issuer.store.credentials import Credential
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID
from passport_shared.service.db import check, migrate, pending
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.issuers import ENTITY, IssuerBench, check_body

PACKAGE = "passport_issuer"


@both_databases
async def test_the_migrations_make_exactly_the_declared_tables(databases: FreshDatabases) -> None:
    url = await databases.url(PACKAGE)
    assert await pending(url, PACKAGE) == []
    assert await check(url, PACKAGE, tables.metadata) == []
    await migrate(url, PACKAGE, "base")
    versions = resources.files(PACKAGE).joinpath("store", "migrations", "versions")
    every = sorted(file.name[:4] for file in versions.iterdir() if file.name[:4].isdigit())
    assert await pending(url, PACKAGE) == every
    await migrate(url, PACKAGE)
    assert await check(url, PACKAGE, tables.metadata) == []


async def _offer(issuer: IssuerBench) -> dict[str, Any]:
    staff_id = await issuer.staff(external_ids=[])
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    return await issuer.offer(staff_id, ["OccupationalHealth"])


async def _draft(issuer: IssuerBench, **changes: Any) -> Credential:
    """A credential of a fresh offer, as the reservation would write it."""
    offer = await _offer(issuer)
    async with issuer.ctx.db.read() as conn:
        (dataset,) = await offers.datasets_of(conn, offer["id"])
        (row,) = await lists.lists_of(conn, "RBV")
    now = issuer.clock.now()
    draft = Credential(
        id=new_id(),
        ods="RBV",
        passport_id=offer["passport_id"],
        staff_id=offer["staff_id"],
        offer_id=offer["id"],
        dataset_id=dataset.id,
        type="OccupationalHealth",
        source_ref=dataset.source_ref,
        vct=f"{issuer.registry.anchor}/vct/OccupationalHealth/1",
        schema_version=1,
        status_list_id=row.id,
        status_idx=7,
        state=CredentialState.PREPARED,
        reason_code=None,
        holder_jkt="jkt",
        payload_digest="digest",
        issuer_jwt_sha256=None,
        supersedes=None,
        request_id=new_id(),
        notification_id=random_token(),
        prepared_at=now,
        issued_at=None,
        expires_at=now + timedelta(days=30),
        acknowledged_at=None,
        ended_at=None,
    )
    return replace(draft, **changes)


@both_databases
async def test_one_index_is_given_once_however_many_ask(issuer: IssuerBench) -> None:
    draft = await _draft(issuer)

    async def reserve(_: int) -> bool:
        async with issuer.ctx.db.write() as conn:
            return await credentials.reserve(conn, replace(draft, id=new_id()))

    assert sorted(await at_once(20, reserve)) == [False] * 19 + [True]  # type: ignore[type-var]


@both_databases
async def test_a_nonce_is_consumed_once_however_many_ask(issuer: IssuerBench) -> None:
    ends = issuer.clock.now() + timedelta(minutes=10)

    async def use(_: int) -> bool:
        async with issuer.ctx.db.write() as conn:
            return await nonces.use(conn, "hash", ends)

    assert sorted(await at_once(20, use)) == [False] * 19 + [True]  # type: ignore[type-var]
    async with issuer.ctx.db.write() as conn:
        assert await nonces.forget(conn, ends - timedelta(seconds=1)) == 0
        assert await nonces.forget(conn, ends) == 1


@both_databases
async def test_wrong_pins_are_counted_one_by_one(issuer: IssuerBench) -> None:
    offer = await _offer(issuer)

    async def wrong(_: int) -> bool:
        async with issuer.ctx.db.write() as conn:
            return await offers.count_tx_code(conn, offer["id"], right=False, now=issuer.clock.now())

    assert sorted(await at_once(20, wrong)) == [False] * 15 + [True] * 5  # type: ignore[type-var]
    async with issuer.ctx.db.write() as conn:
        assert not await offers.count_tx_code(conn, offer["id"], right=True, now=issuer.clock.now())
        assert not await offers.redeem(conn, offer["id"], issuer.clock.now())


@both_databases
async def test_a_reservation_that_was_ended_is_never_recorded_as_issued(issuer: IssuerBench) -> None:
    draft, now = await _draft(issuer), issuer.clock.now()
    async with issuer.ctx.db.write() as conn:
        assert await credentials.reserve(conn, draft)
    async with issuer.ctx.db.write() as conn:
        assert len(await credentials.abandon_prepared(conn, before=now, now=now)) == 1
        assert await credentials.abandon_prepared(conn, before=now, now=now) == []
    async with issuer.ctx.db.write() as conn:
        assert not await credentials.mark_issued(conn, {draft.id: "sha"}, now)


@both_databases
async def test_a_list_says_what_the_rows_say(issuer: IssuerBench) -> None:
    now = issuer.clock.now()
    drafts = [await _draft(issuer, status_idx=idx) for idx in (0, 1, 2, 3)]
    async with issuer.ctx.db.write() as conn:
        for draft in drafts:
            assert await credentials.reserve(conn, draft)
            assert await credentials.mark_issued(conn, {draft.id: "sha"}, now)
        await credentials.revoke(conn, [drafts[1].id], ReasonCode.DBS_CHANGED, now)
        await passports.change_state(
            conn,
            drafts[2].passport_id,
            come_from=(PassportState.INVITED, PassportState.ACTIVE),
            to=PassportState.ON_HOLD,
            reason=ReasonCode.EMPLOYMENT_ON_HOLD,
        )
        await credentials.touch_passport(conn, drafts[2].passport_id)
    await issuer.publish()
    uri = f"{ENTITY}/statuslists/{drafts[0].status_list_id}"
    found = (await issuer.status(uri)).list
    assert [found.get(idx) for idx in range(4)] == [VALID, INVALID, SUSPENDED, VALID]


@both_databases
async def test_a_change_during_publication_leaves_the_list_due(issuer: IssuerBench) -> None:
    async with issuer.ctx.db.read() as conn:
        (row,) = await lists.lists_of(conn, "RBV")
    async with issuer.ctx.db.write() as conn:
        await lists.touch(conn, [row.id])
        # a publisher that read the version before this change finishes now
        assert await lists.published(conn, row.id, version=row.version, at=issuer.clock.now())
    page: Any = {"published_after": issuer.clock.now(), "after": "", "limit": 10}
    async with issuer.ctx.db.read() as conn:
        assert [item.id for item in await lists.changed(conn, **page)] == [row.id]
    await issuer.publish()
    async with issuer.ctx.db.write() as conn:
        assert await lists.changed(conn, **page) == []
        # and one that was even slower does not take it back
        assert not await lists.published(conn, row.id, version=row.version, at=issuer.clock.now())


async def test_the_next_list_is_announced_before_it_is_used(issuer: IssuerBench) -> None:
    async with issuer.ctx.db.read() as conn:
        (row,) = await lists.lists_of(conn, "RBV")
    async with issuer.ctx.db.write() as conn:
        await lists.count_allocated(conn, row.id, int(row.size * 0.61))
    issuer.clock.advance(timedelta(seconds=5))
    await issuer.publish()
    async with issuer.ctx.db.read() as conn:
        first, second = await lists.lists_of(conn, "RBV")
    now = issuer.clock.now()
    assert len((await issuer.http.get("/RBV/statuslists")).json()["status_lists"]) == 2
    assert status_lists.usable([first, second], now) == first
    full = replace(first, allocated=int(first.size * 0.71))
    assert status_lists.usable([full, second], now) is None
    assert status_lists.usable([full, second], now + status_lists.ANNOUNCED_FOR) == second
    await issuer.publish()
    async with issuer.ctx.db.read() as conn:
        assert len(await lists.lists_of(conn, "RBV")) == 2


@pytest.mark.parametrize("to", [OfferState.WITHDRAWN, OfferState.REJECTED_BY_HOLDER])
async def test_an_offer_that_is_over_forgets_what_it_held(issuer: IssuerBench, to: OfferState) -> None:
    offer = await _offer(issuer)
    async with issuer.ctx.db.write() as conn:
        assert await offers.end_offer(conn, "RBV", offer["id"], to=to, reason=None)
        assert not await offers.end_offer(conn, "RBV", offer["id"], to=to, reason=None)
        assert [dataset.claims for dataset in await offers.datasets_of(conn, offer["id"])] == [None]


async def test_an_expired_offer_and_a_used_up_token_forget_what_they_held(issuer: IssuerBench) -> None:
    left, taken = await _offer(issuer), await _offer(issuer)
    wallet = issuer.wallet()
    await wallet.collect(taken["credential_offer"], taken["tx_code"])

    async def claims(offer: dict[str, Any]) -> bool:
        async with issuer.ctx.db.read() as conn:
            return any(item.claims for item in await offers.datasets_of(conn, offer["id"]))

    assert (await issuer.sweep()).expired_offers == 0
    assert (await claims(left), await claims(taken)) == (True, True)
    issuer.clock.advance(timedelta(minutes=10))
    assert (await issuer.sweep()).expired_offers == 1
    assert (await claims(left), await claims(taken)) == (False, True)
    issuer.clock.advance(timedelta(minutes=5))
    await issuer.sweep()
    assert not await claims(taken)
