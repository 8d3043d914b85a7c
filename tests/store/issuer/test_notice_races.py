"""Races over links and notices in real SQL, on both databases: each happens once, whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from passport_issuer.errors import WrongState
from passport_issuer.operations import invitations, notice_outbox, notice_sending, notices, renewals
from passport_issuer.operations.invitation_links import invitation_token
from passport_issuer.rules.notices import InvitationChannel, InvitationState, NoticeKind, NoticeState
from passport_issuer.store import invitations as store
from passport_issuer.store import notices as notice_store
from passport_issuer.store.rows import VersionChanged
from passport_shared.formats.ids import random_token
from passport_shared.service.auth import Actor
from passport_shared.service.paging import PageQuery
from passport_shared.wire.clients import ClientKind
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.issuers import HR, IssuerBench
from passport_testkit.notices import REACHABLE, telling_issuer

BY = Actor(ref=HR, client_id="rbv-hr-system", kind=ClientKind.MACHINE, asserted=True)
TASKS = 20


def _nth(acts: Sequence[Callable[[], Awaitable[object]]], number: int) -> object:
    return acts[number]()


class NoClaim:
    """An act without an Idempotency-Key."""

    async def complete(self, conn: object, resource_id: str) -> None:
        """Nothing is claimed."""


@pytest.fixture
async def issuer(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[IssuerBench]:
    """An issuer with its notices kept to be read."""
    async with telling_issuer(tmp_path, await databases.url("passport_issuer")) as bench:
        yield bench


async def _invite(issuer: IssuerBench, staff_id: str) -> str:
    tenant = await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    claim: Any = NoClaim()
    return await invitations.create(issuer.ctx, tenant, staff_id, InvitationChannel.PRINT, BY, claim)


@both_databases
async def test_one_link_many_browsers_one_opening(issuer: IssuerBench) -> None:
    ctx, tenant = issuer.ctx, await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    made = await _invite(issuer, await issuer.staff(**REACHABLE))
    token = invitation_token(ctx, made)
    browsers = [random_token(32) for _ in range(TASKS)]
    opened = await at_once(TASKS, lambda n: invitations.open_link(ctx, tenant, token, browsers[n]))
    assert sorted(opened, key=str) == [False] * (TASKS - 1) + [True]
    seen = [await invitations.find(ctx, tenant, token, browser) for browser in browsers]
    assert [view is not None and view.ours for view in seen] == opened
    async with ctx.db.read() as conn:
        count = "SELECT count(*) FROM audit_entries WHERE kind = 'invitation.opened'"
        assert (await conn.execute(text(count))).scalar_one() == 1


@both_databases
async def test_many_who_invite_one_person_make_one_invitation(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff(**REACHABLE)
    made = await at_once(TASKS, lambda _: _invite(issuer, staff_id))
    assert sum(isinstance(outcome, str) for outcome in made) == 1
    assert all(isinstance(outcome, str | WrongState) for outcome in made), made


@both_databases
async def test_opening_and_taking_back_at_once_leave_one_truth(issuer: IssuerBench) -> None:
    ctx, tenant = issuer.ctx, await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    claim: Any = NoClaim()
    for index in range(5):
        staff_id = await issuer.staff(external_ids=[])
        made = await _invite(issuer, staff_id)
        read = await invitations.get(ctx, tenant, staff_id, made)
        token = invitation_token(ctx, made)
        acts = [
            lambda token=token: invitations.open_link(ctx, tenant, token, random_token(32)),
            lambda read=read: invitations.withdraw(ctx, read, BY),
            lambda read=read: invitations.resend(ctx, tenant, read, None, BY, claim),
        ]
        order = acts[index % 3 :] + acts[: index % 3]
        done = await at_once(3, partial(_nth, order))
        assert all(not isinstance(item, BaseException) or isinstance(item, WrongState) for item in done), done
        async with ctx.db.read() as conn:
            final = await store.get_invitation(conn, "RBV", made)
        assert final is not None
        # withdrawing and sending again exclude each other, whichever way opening went
        assert final.state in (InvitationState.WITHDRAWN, InvitationState.RESENT)
        ours = await invitations.find(ctx, tenant, token, "x")
        assert ours is not None


@both_databases
async def test_one_notice_many_senders_one_message(issuer: IssuerBench) -> None:
    ctx, staff_id = issuer.ctx, await issuer.staff(**REACHABLE)
    async with ctx.db.write() as conn:
        facts = {"day": date(2026, 9, 30)}
        for _ in range(5):
            await notices.queue(
                ctx, conn, kind=NoticeKind.PLACEMENT_ENDS, ods="RBV", staff_id=staff_id, facts=facts
            )
    tried = await at_once(8, lambda _: notice_sending.send_due(ctx))
    assert sum(count for count in tried if isinstance(count, int)) == 5, tried
    assert len(await notice_outbox.read(ctx)) == 5


@both_databases
async def test_one_occasion_many_who_tell_one_notice(issuer: IssuerBench) -> None:
    ctx, staff_id = issuer.ctx, await issuer.staff(**REACHABLE)

    async def tell() -> str | None:
        async with ctx.db.write() as conn:
            return await notices.queue(
                ctx,
                conn,
                kind=NoticeKind.PLACEMENT_ENDS,
                ods="RBV",
                staff_id=staff_id,
                facts={"day": date(2026, 9, 30)},
                once="end:m-1",
            )

    told = await at_once(TASKS, lambda _: tell())
    assert sum(isinstance(outcome, str) for outcome in told) == 1
    assert sum(outcome is None for outcome in told) == TASKS - 1


@both_databases
async def test_many_replicas_announce_a_renewal_once(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon(**REACHABLE)
    offer = await issuer.offer(staff_id, ["OccupationalHealth"])
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    (held,) = (await issuer.call("GET", f"/credentials?staff_id={staff_id}")).json()["items"]
    issuer.clock.set(issuer.clock.now().fromisoformat(held["expires_at"]) - timedelta(days=7, hours=1))
    counts = await at_once(8, lambda _: renewals.announce(issuer.ctx))
    assert sum(count for count in counts if isinstance(count, int)) == 1, counts


@both_databases
async def test_many_who_send_a_notice_again_make_one(issuer: IssuerBench) -> None:
    ctx, tenant = issuer.ctx, await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    staff_id = await issuer.staff(**REACHABLE)
    async with ctx.db.write() as conn:
        made = await notices.queue(
            ctx,
            conn,
            kind=NoticeKind.PLACEMENT_ENDS,
            ods="RBV",
            staff_id=staff_id,
            facts={"day": date(2026, 9, 30)},
        )
    assert made is not None
    await notice_sending.send_due(ctx)
    claim: Any = NoClaim()
    again = await at_once(TASKS, lambda _: notices.resend(ctx, tenant, made, BY, claim))
    assert sum(isinstance(outcome, str) for outcome in again) == 1
    assert sum(isinstance(outcome, WrongState) for outcome in again) == TASKS - 1
    async with ctx.db.read() as conn:
        rows, _ = await notice_store.list_notices(
            conn, "RBV", PageQuery(limit=100), staff_id=staff_id, state=None
        )
    assert [row.state for row in rows] == [NoticeState.SENT, NoticeState.QUEUED]


@both_databases
async def test_what_was_sent_is_sent_even_if_it_was_cancelled_meanwhile(issuer: IssuerBench) -> None:
    ctx, staff_id = issuer.ctx, await issuer.staff(**REACHABLE)
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        made = await notices.queue(
            ctx, conn, kind=NoticeKind.ON_HOLD, ods="RBV", staff_id=staff_id, about="p-1"
        )
        assert made is not None
        await notice_store.cancel_about(conn, "p-1", "not_on_hold", now)
        ended: dict[str, Any] = {"reason": None, "attempts": 1, "now": now}
        assert not await notice_store.end_notice(conn, made, to=NoticeState.FAILED, **ended)
        assert await notice_store.end_notice(conn, made, to=NoticeState.SENT, **ended)
        assert not await notice_store.end_notice(conn, made, to=NoticeState.SENT, **ended)
        assert not await notice_store.end_notice(conn, made, to=NoticeState.CANCELLED, **ended)


@both_databases
async def test_whom_to_ask_is_said_by_one_of_many(issuer: IssuerBench) -> None:
    ctx = issuer.ctx

    async def put(version: int, number: int) -> None:
        contact = notice_store.NoticeContact(
            ods="RBV",
            name=f"team {number}",
            phone=None,
            email=None,
            version=version + 1,
            updated_at=ctx.clock.now(),
            updated_by=HR,
        )
        async with ctx.db.write() as conn:
            await notice_store.put_contact(conn, contact, expected_version=version)

    for version in (0, 1):
        done = await at_once(TASKS, partial(put, version))
        assert sum(outcome is None for outcome in done) == 1
        assert sum(isinstance(outcome, VersionChanged) for outcome in done) == TASKS - 1


@both_databases
async def test_cancelling_an_act_at_any_point_leaves_it_whole_or_undone(issuer: IssuerBench) -> None:
    staff_id = await issuer.staff(**REACHABLE)
    tenant = await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    for steps in range(12):
        task = asyncio.create_task(_invite(issuer, staff_id))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with issuer.ctx.db.read() as conn:
        sent = (await conn.execute(text("SELECT count(*) FROM invitations"))).scalar_one()
        told = "SELECT count(*) FROM audit_entries WHERE kind = 'invitation.sent'"
        assert (await conn.execute(text(told))).scalar_one() == sent
    assert sent <= 1
