"""Two replicas, a retry, a kill: what the issuer's rows must say whatever comes between two statements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from passport_issuer.operations import issuance, status_lists
from passport_issuer.rules.passports import PassportState, ReasonCode
from passport_issuer.store import passports, tables
from passport_issuer.store import status_lists as lists
from passport_shared.formats.status_list import SUSPENDED
from passport_testkit.databases import at_once, both_databases
from passport_testkit.issuers import ENTITY, HR, IssuerBench, check_body
from passport_testkit.wallet import WalletSimulator

CONFIGURATION = "OccupationalHealth_1"
HELD = {"reason_code": "EMPLOYMENT_ON_HOLD", "actor": HR}


class Killed(BaseException):
    """The process ends here."""


def first(module: Any, name: str, act: Callable[[], Awaitable[object]], patch: pytest.MonkeyPatch) -> None:
    """Let ``act`` happen, once, just before ``module.name`` runs."""
    original = getattr(module, name)
    waiting = [act]

    async def then(*args: Any, **kwargs: Any) -> Any:
        if waiting:
            await waiting.pop()()
        return await original(*args, **kwargs)

    patch.setattr(module, name, then)


async def _person(issuer: IssuerBench) -> str:
    staff_id = await issuer.staff(external_ids=[])
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    return staff_id


async def _token(issuer: IssuerBench, staff_id: str) -> tuple[WalletSimulator, str]:
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    return wallet, await wallet.token(await wallet.read_offer(made["credential_offer"]), made["tx_code"])


async def _issued(issuer: IssuerBench, wallet: WalletSimulator, token: str) -> str:
    answer = await wallet.request(ENTITY, token, CONFIGURATION)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["notification_id"])


async def _credentials(issuer: IssuerBench, staff_id: str) -> list[dict[str, Any]]:
    answer = await issuer.call("GET", f"/credentials?staff_id={staff_id}")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def _states(issuer: IssuerBench, staff_id: str) -> list[str]:
    return [item["state"] for item in await _credentials(issuer, staff_id)]


async def _passport_id(issuer: IssuerBench, staff_id: str) -> str:
    return str((await issuer.call("GET", f"/staff/{staff_id}/passport")).json()["id"])


async def _audited(issuer: IssuerBench, kind: str) -> list[Any]:
    entries = tables.audit.entries
    async with issuer.ctx.db.read() as conn:
        return list(await conn.execute(select(entries).where(entries.c.kind == kind)))


@both_databases
async def test_nothing_is_reserved_for_a_passport_that_was_put_on_hold_meanwhile(
    issuer: IssuerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff_id = await _person(issuer)
    wallet, token = await _token(issuer, staff_id)

    async def hold() -> None:
        answer = await issuer.call("POST", f"/staff/{staff_id}/passport/hold", HELD)
        assert answer.status_code == 200, answer.text

    first(issuance, "_reserve", hold, monkeypatch)
    answer = await wallet.request(ENTITY, token, CONFIGURATION)
    assert (answer.status_code, answer.json()["error"]) == (400, "credential_request_denied")
    assert await _credentials(issuer, staff_id) == []


@both_databases
async def test_a_hold_that_races_with_issuing_stands_in_the_list_at_once(issuer: IssuerBench) -> None:
    for _ in range(6):
        staff_id = await _person(issuer)
        wallet, token = await _token(issuer, staff_id)
        nonce = await wallet.nonce(ENTITY)
        await issuer.publish()
        issuer.clock.advance(timedelta(seconds=1))

        async def act(
            number: int,
            wallet: WalletSimulator = wallet,
            token: str = token,
            nonce: str = nonce,
            staff_id: str = staff_id,
        ) -> int:
            if number:
                return (await wallet.request(ENTITY, token, CONFIGURATION, nonce=nonce)).status_code
            return (await issuer.call("POST", f"/staff/{staff_id}/passport/hold", HELD)).status_code

        held, _ = await at_once(2, act)
        assert held == 200
        await issuer.publish()
        for item in await _credentials(issuer, staff_id):
            status = await issuer.status(item["status_list"])
            assert status.list.get(item["status_index"]) == SUSPENDED


@both_databases
async def test_a_late_notification_about_an_old_credential_leaves_the_new_one(issuer: IssuerBench) -> None:
    staff_id = await _person(issuer)
    old, old_token = await _token(issuer, staff_id)
    old_notification = await _issued(issuer, old, old_token)
    issuer.clock.advance(timedelta(seconds=5))
    new, new_token = await _token(issuer, staff_id)
    new_notification = await _issued(issuer, new, new_token)
    await new.notify(ENTITY, new_token, new_notification, "credential_accepted")
    assert await _states(issuer, staff_id) == ["SUPERSEDED", "ACTIVE"]
    late = await old.notify(ENTITY, old_token, old_notification, "credential_accepted")
    assert late.status_code == 204
    assert await _states(issuer, staff_id) == ["SUPERSEDED", "ACTIVE"]


@both_databases
async def test_an_older_credential_never_ends_a_newer_one(issuer: IssuerBench) -> None:
    staff_id = await _person(issuer)
    old, old_token = await _token(issuer, staff_id)
    old_notification = await _issued(issuer, old, old_token)
    new, new_token = await _token(issuer, staff_id)
    new_notification = await _issued(issuer, new, new_token)
    await old.notify(ENTITY, old_token, old_notification, "credential_accepted")
    assert await _states(issuer, staff_id) == ["ACTIVE", "ISSUED"]
    await new.notify(ENTITY, new_token, new_notification, "credential_accepted")
    assert await _states(issuer, staff_id) == ["SUPERSEDED", "ACTIVE"]


@both_databases
async def test_notifications_of_two_wallets_at_once_leave_the_newest(issuer: IssuerBench) -> None:
    for _ in range(5):
        staff_id = await _person(issuer)
        held = []
        for _ in range(2):
            wallet, token = await _token(issuer, staff_id)
            held.append((wallet, token, await _issued(issuer, wallet, token)))

        async def accept(number: int, held: list[tuple[WalletSimulator, str, str]] = held) -> int:
            wallet, token, notification = held[number]
            return (await wallet.notify(ENTITY, token, notification, "credential_accepted")).status_code

        assert await at_once(2, accept) == [204, 204]
        assert await _states(issuer, staff_id) == ["SUPERSEDED", "ACTIVE"]


@both_databases
async def test_a_slow_request_of_an_older_offer_is_refused_once_a_newer_one_is_held(
    issuer: IssuerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff_id = await _person(issuer)
    old, old_token = await _token(issuer, staff_id)
    new, new_token = await _token(issuer, staff_id)

    async def meanwhile() -> None:
        notification = await _issued(issuer, new, new_token)
        told = await new.notify(ENTITY, new_token, notification, "credential_accepted")
        assert told.status_code == 204

    first(issuance, "_record", meanwhile, monkeypatch)
    slow = await old.request(ENTITY, old_token, CONFIGURATION)
    assert (slow.status_code, slow.json()["error"]) == (400, "credential_request_denied")
    assert await _states(issuer, staff_id) == ["SUPERSEDED", "ACTIVE"]


@both_databases
async def test_replicas_that_need_another_list_make_one(issuer: IssuerBench) -> None:
    async with issuer.ctx.db.write() as conn:
        (row,) = await lists.lists_of(conn, "RBV")
        await lists.count_allocated(conn, row.id, int(row.size * 0.61))
    tenant = await issuer.ctx.tenants.get("RBV")
    assert tenant is not None

    async def need(_: int) -> None:
        await status_lists.ensure_lists(issuer.ctx, tenant)

    assert await at_once(8, need) == [None] * 8
    async with issuer.ctx.db.read() as conn:
        assert len(await lists.lists_of(conn, "RBV")) == 2


@both_databases
async def test_no_index_comes_from_a_list_that_is_not_served(
    issuer: IssuerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: Any) -> None:
        raise Killed

    async with issuer.ctx.db.write() as conn:
        (row,) = await lists.lists_of(conn, "RBV")
        await lists.count_allocated(conn, row.id, row.size)
    tenant = await issuer.ctx.tenants.get("RBV")
    assert tenant is not None
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(status_lists, "publish", killed)
        await status_lists.ensure_lists(issuer.ctx, tenant)
    issuer.clock.advance(status_lists.ANNOUNCED_FOR)
    async with issuer.ctx.db.read() as conn:
        made = await lists.lists_of(conn, "RBV")
    assert len(made) == 2
    assert status_lists.usable(made, issuer.clock.now()) is None
    # whoever needs a list next publishes what the crash left
    await status_lists.ensure_lists(issuer.ctx, tenant)
    async with issuer.ctx.db.read() as conn:
        assert status_lists.usable(await lists.lists_of(conn, "RBV"), issuer.clock.now()) is not None
    assert len((await issuer.http.get("/RBV/statuslists")).json()["status_lists"]) == 2


@both_databases
async def test_of_two_publishers_of_one_version_the_one_who_read_later_counts(issuer: IssuerBench) -> None:
    now = issuer.clock.now()
    async with issuer.ctx.db.write() as conn:
        (row,) = await lists.lists_of(conn, "RBV")
        later = now + timedelta(seconds=3)
        assert await lists.published(conn, row.id, version=row.version, at=later)
        assert not await lists.published(conn, row.id, version=row.version, at=now)


@both_databases
async def test_a_code_used_at_once_by_many_is_redeemed_once_and_then_revoked(issuer: IssuerBench) -> None:
    staff_id = await _person(issuer)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    offer = await wallet.read_offer(made["credential_offer"])
    answers: list[Any] = await at_once(8, lambda _: wallet.request_token(offer, made["tx_code"]))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert len(await _audited(issuer, "credential_offer.redeemed")) == 1
    assert len(await _audited(issuer, "credential_offer.replayed")) == 7
    (won,) = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
    assert (await wallet.request(ENTITY, won, CONFIGURATION)).status_code == 401


@both_databases
async def test_what_the_sweeper_ends_is_in_the_audit_log(
    issuer: IssuerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: Any) -> None:
        raise Killed

    staff_id = await _person(issuer)
    wallet, token = await _token(issuer, staff_id)
    open_offer = await issuer.offer(await _person(issuer), ["OccupationalHealth"])
    nonce = await wallet.nonce(ENTITY)
    with monkeypatch.context() as patched, pytest.raises(BaseException):  # noqa: B017
        patched.setattr(issuance, "_record", killed)
        await wallet.request(ENTITY, token, CONFIGURATION, nonce=nonce)
    issuer.clock.advance(timedelta(minutes=10))
    swept = await issuer.sweep()
    assert (swept.abandoned, swept.expired_offers) == (1, 1)
    (abandoned,) = await _audited(issuer, "credential.abandoned")
    (left,) = await _credentials(issuer, staff_id)
    assert left["state"] == "ABANDONED"
    assert abandoned.subject_ref == await _passport_id(issuer, staff_id)
    assert abandoned.details == {"credentials": [left["id"]]}
    (expired,) = await _audited(issuer, "credential_offer.expired")
    assert expired.subject_ref == open_offer["id"]
    await issuer.sweep()
    assert len(await _audited(issuer, "credential.abandoned")) == 1


@both_databases
async def test_superseded_credentials_are_named_in_the_audit_log(issuer: IssuerBench) -> None:
    staff_id = await _person(issuer)
    assert len(await _audited(issuer, "passport.created")) == 0
    old, old_token = await _token(issuer, staff_id)
    (created,) = await _audited(issuer, "passport.created")
    assert created.subject_ref == await _passport_id(issuer, staff_id)
    await _issued(issuer, old, old_token)
    await _issued(issuer, old, old_token)
    first_id, second_id = [item["id"] for item in await _credentials(issuer, staff_id)]
    assert [entry.details["superseded"] for entry in await _audited(issuer, "credential.prepared")] == [
        [],
        [first_id],
    ]
    new, new_token = await _token(issuer, staff_id)
    notification = await _issued(issuer, new, new_token)
    await new.notify(ENTITY, new_token, notification, "credential_accepted")
    (accepted,) = await _audited(issuer, "credential.accepted")
    assert accepted.details["superseded"] == [second_id]


@both_databases
async def test_a_passport_that_was_issued_meanwhile_comes_back_active(issuer: IssuerBench) -> None:
    staff_id = await _person(issuer)
    await _token(issuer, staff_id)
    passport_id, now = await _passport_id(issuer, staff_id), issuer.clock.now()
    async with issuer.ctx.db.write() as conn:
        live = (PassportState.INVITED,)
        held, reason = PassportState.ON_HOLD, ReasonCode.EMPLOYMENT_ON_HOLD
        assert await passports.change_state(conn, passport_id, come_from=live, to=held, reason=reason)
        await passports.activate(conn, passport_id, now)
        assert await passports.reinstate(conn, passport_id)
        assert not await passports.reinstate(conn, passport_id)
        found = await passports.get_passport(conn, "RBV", passport_id)
    assert found is not None
    assert (found.state, found.reason_code) == (PassportState.ACTIVE, None)


@both_databases
async def test_a_token_that_is_over_reserves_nothing(
    issuer: IssuerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff_id = await _person(issuer)
    wallet, token = await _token(issuer, staff_id)

    async def revoked() -> None:
        tokens = tables.access_tokens_table
        async with issuer.ctx.db.write() as conn:
            await conn.execute(update(tokens).values(revoked_at=issuer.clock.now()))

    first(issuance, "_reserve", revoked, monkeypatch)
    answer = await wallet.request(ENTITY, token, CONFIGURATION)
    assert (answer.status_code, answer.json()["error"]) == (400, "credential_request_denied")
    assert await _credentials(issuer, staff_id) == []
