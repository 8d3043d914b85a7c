"""The verifier's tables on both databases: migrations, races for the hot transaction, no list goes back."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from passport_shared.formats.clock import Clock
from passport_shared.formats.ids import new_id, random_token
from passport_shared.service.audit import AuditLog
from passport_shared.service.db import Database, check, migrate, pending
from passport_shared.service.kek import Kek, KekError
from passport_testkit.clock import NOON, FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules.outcome import Outcome
from passport_verifier.store import decisions, held, hot, movements, requests, status_lists
from passport_verifier.store.decisions import (
    Cause,
    Condition,
    ConditionState,
    Decision,
    PersonMethod,
    Reliance,
    Whole,
)
from passport_verifier.store.movements import Movement, MovementState
from passport_verifier.store.requests import Flow, PresentationRequest, RequestState
from passport_verifier.store.tables import audit, metadata

PACKAGE = "passport_verifier"
ACTOR = {"ref": "hr-1", "client_id": "hr", "kind": "MACHINE", "asserted": True}
CLOCK: Clock = FrozenClock()


def a_movement(**changes: Any) -> Movement:
    values: dict[str, Any] = {
        "id": new_id(),
        "ods": "R0A",
        "employing_ods": "RBV",
        "type": "SERVICE_NEED_URGENT",
        "role_profile": "UROLOGY_SURGEON",
        "start": date(2026, 9, 2),
        "end": date(2026, 9, 2),
        "details": {"sites": ["A"]},
        "external_id": None,
        "state": MovementState.REQUESTED,
        "data_key": b"wrapped",
        "created_at": NOON,
        "created_by": ACTOR,
        "updated_at": NOON,
        "version": 1,
    }
    return Movement(**{**values, **changes})


def a_request(**changes: Any) -> PresentationRequest:
    request_id = new_id()
    values: dict[str, Any] = {
        "id": request_id,
        "ods": "R0A",
        "case_id": request_id,
        "movement_id": None,
        "policy_id": "SERVICE_NEED_URGENT.UROLOGY_SURGEON",
        "policy_version": "SERVICE_NEED_URGENT.UROLOGY_SURGEON@1",
        "purpose": "SERVICE_NEED_URGENT",
        "flow": Flow.CROSS_DEVICE,
        "channel": "SAME_ROOM",
        "employing_ods": "RBV",
        "first_day": date(2026, 9, 2),
        "last_day": date(2026, 9, 2),
        "data_key": b"wrapped",
        "link": random_token(),
        "kid": random_token(),
        "oauth_state": random_token(),
        "nonce": random_token(),
        "client_id": "x509_hash:abc",
        "dcql_query": {"credentials": []},
        "encryption_jwk": {"kty": "EC"},
        "encryption_key": b"wrapped key",
        "state": RequestState.OPEN,
        "attempts": 0,
        "last_refusal": None,
        "last_refusal_at": None,
        "browser_hash": None,
        "response_code_hash": None,
        "returned_at": None,
        "created_at": NOON,
        "created_by": ACTOR,
        "client": "hr",
        "expires_at": NOON + timedelta(minutes=5),
        "answered_at": None,
    }
    return PresentationRequest(**{**values, **changes})


def a_whole(request: PresentationRequest, **changes: Any) -> Whole:
    values: dict[str, Any] = {
        "id": new_id(),
        "ods": request.ods,
        "case_id": request.case_id,
        "request_id": request.id,
        "movement_id": request.movement_id,
        "recheck_of": None,
        "cause": Cause.PRESENTATION,
        "received_at": NOON,
        "decided_at": NOON,
        "first_day": request.first_day,
        "last_day": request.last_day,
        "outcome": Outcome.READY,
        "decided_by": None,
        "latest_end": None,
        "verified": True,
        "findings": [{"rule": "R-05", "result": "PASS"}],
        "sealed": b"\x00\x01sealed",
        "policy_version": request.policy_version,
        "policy_digest": "d" * 64,
        "registry_sequence": 1_900_000_000_000,
        "registry_age_s": 7,
        "status_times": {},
        "awaits_status": False,
        "person_method": None,
        "person_by": None,
        "person_at": None,
    }
    decision = Decision(**{**values, **changes})
    reliances = (a_reliance("StaffIdentity"), a_reliance("Employment", issuer_ods=None))
    conditions = tuple(
        Condition(
            number=number,
            rule="R-12",
            subject="FS",
            text="COMPLETE_TRAINING",
            due=NOON + timedelta(hours=72),
            owner="STAFF_MEMBER",
            state=ConditionState.OPEN,
            changed_at=None,
            changed_by=None,
        )
        for number in (1, 2)
    )
    return Whole(decision=decision, reliances=reliances, conditions=conditions)


def a_reliance(credential: str, **changes: Any) -> Reliance:
    values: dict[str, Any] = {
        "credential": credential,
        "vct": f"https://registry.example/vct/{credential}/1",
        "issuer": "https://issuer.example/RBV",
        "issuer_ods": "RBV",
        "x5t_s256": "x5t",
        "status_uri": "https://issuer.example/RBV/statuslists/A",
        "status_idx": 2**40,
        "iat": NOON,
        "exp": NOON + timedelta(days=1),
        "issuer_jwt_sha256": "a" * 64,
        "holder_thumbprint": "thumb",
        "trust_finding": "AUTHORISED",
        "status_finding": "ACTIVE",
        "verdict": {"verified": True, "checks": {"type": {"outcome": "PASS", "reason": None}}},
    }
    return Reliance(**{**values, **changes})


def an_entry(decision_id: str) -> dict[str, Any]:
    return AuditLog(audit, CLOCK).values(
        kind="decision.recorded", subject_ref=decision_id, actor=ACTOR, organisation="R0A"
    )


async def record(db: Database, whole: Whole, *, now: datetime = NOON, code: str | None = None) -> bool:
    return await hot.record_answer(
        db, whole, audit_entry=an_entry(whole.decision.id), response_code_hash=code, now=now
    )


@pytest.fixture
async def db(databases: FreshDatabases) -> Database:
    return await databases.open(PACKAGE)


async def add(db: Database, *found: PresentationRequest) -> None:
    async with db.write() as conn:
        for request in found:
            await requests.add(conn, request)


async def count(db: Database, table: str) -> int:
    async with db.read() as conn:
        return int(
            (await conn.execute(select(func.count()).select_from(metadata.tables[table]))).scalar_one()
        )


@both_databases
async def test_migrations_make_exactly_the_tables(databases: FreshDatabases):
    url = await databases.url()
    assert len(await pending(url, PACKAGE)) >= 1
    await migrate(url, PACKAGE)
    assert await pending(url, PACKAGE) == []
    assert await check(url, PACKAGE, metadata) == []
    await migrate(url, PACKAGE, "base")
    assert len(await pending(url, PACKAGE)) >= 1
    await migrate(url, PACKAGE)


@both_databases
async def test_an_answer_is_recorded_whole_and_comes_back_as_it_was(db: Database):
    request = a_request()
    await add(db, request)
    whole = a_whole(request)
    assert await record(db, whole, code="hash") is True
    async with db.read() as conn:
        listed = await decisions.get(conn, "R0A", whole.decision.id)
        assert listed is not None
        assert listed.decision == whole.decision
        found = await decisions.reliances_of(conn, whole.decision.id)
        assert list(found) == sorted(whole.reliances, key=lambda one: one.credential)
        assert await decisions.conditions_of(conn, whole.decision.id) == whole.conditions
        taken = await requests.get(conn, "R0A", request.id)
        assert await decisions.get(conn, "RM3", whole.decision.id) is None
    assert taken is not None
    assert (taken.state, taken.encryption_key, taken.response_code_hash) == (
        RequestState.ANSWERED,
        None,
        "hash",
    )
    assert await count(db, "audit_entries") == 1


@both_databases
async def test_a_request_is_taken_once_and_only_in_time(db: Database):
    answered, late, closed = a_request(), a_request(), a_request(state=RequestState.CANCELLED)
    await add(db, answered, late, closed)
    assert await record(db, a_whole(answered)) is True
    assert await record(db, a_whole(answered)) is False
    assert await record(db, a_whole(late), now=late.expires_at) is False
    assert await record(db, a_whole(closed)) is False
    assert await count(db, "decisions") == 1
    assert await count(db, "reliances") == 2
    assert await count(db, "conditions") == 2
    assert await count(db, "audit_entries") == 1


@both_databases
async def test_of_twenty_answers_at_once_one_is_recorded_for_each_of_twenty_requests(db: Database):
    for _ in range(20):
        request = a_request()
        await add(db, request)
        found = await at_once(20, lambda _: record(db, a_whole(request)))  # noqa: B023 (awaited here)
        assert sorted(map(str, found)) == ["False"] * 19 + ["True"]
    assert await count(db, "decisions") == 20
    assert await count(db, "audit_entries") == 20


@both_databases
async def test_of_many_rechecks_at_once_one_is_kept(db: Database):
    request = a_request()
    await add(db, request)
    first = a_whole(request, awaits_status=True)
    await record(db, first)

    async def again(_: int) -> bool:
        whole = a_whole(request, recheck_of=first.decision.id, cause=Cause.ASKED)
        async with db.write() as conn:
            return await decisions.add_recheck(conn, whole)

    found = await at_once(20, again)
    assert sorted(map(str, found)) == ["False"] * 19 + ["True"]
    async with db.read() as conn:
        listed = await decisions.get(conn, "R0A", first.decision.id)
    assert listed is not None
    assert listed.superseded_by is not None
    assert listed.decision.awaits_status is False


@both_databases
async def test_a_response_code_is_redeemed_once_and_a_browser_bound_once(db: Database):
    request = a_request(flow=Flow.SAME_DEVICE)
    await add(db, request)

    async def bind(number: int) -> bool:
        async with db.write() as conn:
            return await requests.bind_browser(conn, request.id, f"browser-{number % 4}")

    bound = await at_once(20, bind)
    assert bound.count(True) == 5
    async with db.read() as conn:
        found = await requests.get(conn, "R0A", request.id)
    assert found is not None
    assert found.browser_hash is not None
    await record(db, a_whole(request), code="code")

    async def redeem(number: int) -> bool:
        browser = found.browser_hash if number % 2 else "another"
        async with db.write() as conn:
            return await requests.redeem(
                conn, request.id, code_hash="code", browser_hash=str(browser), now=NOON
            )

    assert (await at_once(20, redeem)).count(True) == 1


@both_databases
async def test_a_person_is_confirmed_once(db: Database):
    request = a_request()
    await add(db, request)
    whole = a_whole(request)
    await record(db, whole)

    async def confirm(number: int) -> bool:
        method = PersonMethod.FACE_TO_FACE if number % 2 else PersonMethod.KNOWN_TO_ME
        async with db.write() as conn:
            return await decisions.confirm_person(conn, whole.decision.id, method=method, by=ACTOR, at=NOON)

    assert (await at_once(10, confirm)).count(True) == 1


@both_databases
async def test_sweeping_closes_what_ran_out_and_forgets_its_key_unless_an_answer_is_held(db: Database):
    old, kept, fresh = a_request(), a_request(), a_request(expires_at=NOON + timedelta(hours=1))
    await add(db, old, kept, fresh)
    later = NOON + timedelta(minutes=6)
    async with db.write() as conn:
        assert await held.keep(
            conn, request_id=kept.id, token="a.b.c.d.e", received_at=NOON, expires_at=later
        )
        assert not await held.keep(
            conn, request_id=kept.id, token="other", received_at=NOON, expires_at=later
        )
        assert await requests.sweep(conn, NOON + timedelta(minutes=5)) == 1
    async with db.read() as conn:
        found = {one.id: await requests.get(conn, "R0A", one.id) for one in (old, kept, fresh)}
        waiting = await held.waiting(conn, NOON)
    assert [one.token for one in waiting] == ["a.b.c.d.e"]
    closed, still, open_one = (found[one.id] for one in (old, kept, fresh))
    assert closed is not None
    assert (closed.state, closed.encryption_key) == (RequestState.EXPIRED, None)
    assert still is not None
    assert still.encryption_key is not None
    assert open_one is not None
    assert open_one.state is RequestState.OPEN
    async with db.write() as conn:
        assert await held.forget_expired(conn, later) == 1
        assert await requests.sweep(conn, later) == 1


@both_databases
async def test_bad_answers_are_counted_and_close_the_request(db: Database):
    request = a_request()
    await add(db, request)

    async def refuse(number: int) -> None:
        async with db.write() as conn:
            await requests.refuse(conn, request.id, f"reason-{number}", NOON)

    await at_once(requests.MAX_ATTEMPTS - 1, refuse)
    async with db.read() as conn:
        found = await requests.get(conn, "R0A", request.id)
    assert found is not None
    assert (found.state, found.attempts) == (RequestState.OPEN, requests.MAX_ATTEMPTS - 1)
    await refuse(99)
    async with db.read() as conn:
        found = await requests.get(conn, "R0A", request.id)
    assert found is not None
    assert (found.state, found.encryption_key) == (RequestState.REFUSED, None)


@both_databases
async def test_a_status_list_never_goes_back(db: Database):
    uri = "https://issuer.example/RBV/statuslists/A"
    later = NOON + timedelta(hours=1)

    async def keep(token: str, iat: datetime) -> bool:
        async with db.write() as conn:
            return await status_lists.keep(
                conn,
                uri,
                token=token,
                iat=iat,
                exp=iat + timedelta(hours=24),
                fetched_at=NOON,
                next_fetch_at=later,
            )

    async with db.write() as conn:
        assert await status_lists.know(conn, uri, "https://issuer.example/RBV", NOON) is True
        assert await status_lists.know(conn, uri, "https://issuer.example/RBV", NOON) is False
    async with db.read() as conn:
        assert [one.uri for one in await status_lists.due(conn, NOON)] == [uri]
    assert await keep("second", NOON) is True
    assert await keep("first", NOON - timedelta(minutes=1)) is False
    assert await keep("same again", NOON) is False
    async with db.read() as conn:
        found = await status_lists.get(conn, uri)
        assert await status_lists.due(conn, NOON) == []
    assert found is not None
    assert (found.token, found.iat) == ("second", NOON)
    tokens = [(f"t{n}", NOON + timedelta(seconds=n)) for n in range(1, 21)]
    await asyncio.gather(*(keep(token, iat) for token, iat in reversed(tokens)))
    async with db.read() as conn:
        found = await status_lists.get(conn, uri)
    assert found is not None
    assert (found.token, found.iat) == tokens[-1]


@both_databases
async def test_a_movement_is_changed_by_one_of_many(db: Database):
    movement = a_movement()
    async with db.write() as conn:
        await movements.add(conn, movement)

    async def change(number: int) -> bool:
        async with db.write() as conn:
            return await movements.change(
                conn, movement, at=NOON, values={"details": {"sites": [str(number)]}}
            )

    assert (await at_once(10, change)).count(True) == 1
    async with db.read() as conn:
        found = await movements.get(conn, "R0A", movement.id)
        assert await movements.get(conn, "RM3", movement.id) is None
    assert found is not None
    assert found.version == 2


@both_databases
async def test_a_session_is_one_read_with_key_and_look_ups(db: Database):
    movement = a_movement(data_key=b"of the movement")
    request = a_request(movement_id=movement.id, case_id=movement.id, data_key=None)
    async with db.write() as conn:
        await movements.add(conn, movement)
        await requests.add(conn, request)
    async with db.read() as conn:
        session = await requests.session_by_kid(conn, "R0A", request.kid)
        assert await requests.session_by_kid(conn, "RM3", request.kid) is None
        assert await requests.session_by_kid(conn, "R0A", "unknown") is None
    assert session is not None
    assert (session.data_key, session.look_ups, session.request) == (b"of the movement", (), request)


def test_what_is_sealed_opens_only_for_its_decision_and_its_case():
    kek = Kek(bytes(range(32)))
    wrapped = DataKey.create(kek, "case-1")
    key = DataKey.unwrap(kek, wrapped, "case-1")
    sealed = key.seal({"R-05": "2026-01-01"}, decision_id="d1")
    assert key.open(sealed, decision_id="d1") == {"R-05": "2026-01-01"}
    for broken, decision_id in ((sealed, "d2"), (sealed[:-1] + b"\x00", "d1"), (b"", "d1")):
        with pytest.raises(Unreadable):
            key.open(broken, decision_id=decision_id)
    with pytest.raises(Unreadable):
        DataKey.unwrap(kek, DataKey.create(kek, "case-1"), "case-1").open(sealed, decision_id="d1")
    with pytest.raises(KekError):
        DataKey.unwrap(kek, wrapped, "case-2")
    other = DataKey.unwrap(kek, DataKey.create(kek, "case-2"), "case-2")
    assert key.commit("GMC|7099999") == key.commit("GMC|7099999") != other.commit("GMC|7099999")
    assert b"2026" not in sealed
    assert "DataKey()" in repr(key)
