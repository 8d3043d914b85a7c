"""Design §4.4 and §4.2 over HTTP: every finding of trust and status, and what age does to an answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from passport_shared.formats.clock import epoch_s
from passport_testkit.apps import problem, protocol_error
from passport_testkit.databases import both_databases
from passport_testkit.network import MANCHESTER, vct
from passport_testkit.presenter import ALL_TYPES, HomeTrust, Presenter
from passport_testkit.verifiers import VerifierBench
from passport_verifier.operations import answers, rechecks, status_lists
from passport_verifier.store import held
from passport_verifier.store import status_lists as rows


def findings(decision: dict[str, Any], rule: str, credential: str) -> dict[str, Any]:
    found = decision["result"]["findings"]
    [one] = [f for f in found if f["rule"] == rule and f["credential"] == credential]
    return dict(one)


async def changed(verifier: VerifierBench) -> None:
    """The network's change reaches the verifier."""
    verifier.clock.advance(timedelta(seconds=31))
    await verifier.refresh()


async def unauthorise(verifier: VerifierBench) -> None:
    home = verifier.home
    types = [name for name in ALL_TYPES if name != "DbsOutcome"]
    grants = [
        verifier.registry.authorization("issue", vct(name), max_validity_s=31_536_000) for name in types
    ]
    verifier.registry.grant(home.entity_id, grants)
    await changed(verifier)


async def forget(verifier: VerifierBench) -> None:
    verifier.registry.leave(verifier.home.entity_id)
    await changed(verifier)


async def compromise(verifier: VerifierBench) -> None:
    verifier.registry.compromise(verifier.home.entity_id)
    await changed(verifier)


async def suspend(verifier: VerifierBench) -> None:
    verifier.registry.suspend(verifier.home.entity_id)
    await changed(verifier)


async def close(verifier: VerifierBench) -> None:
    """Suspended administratively: nothing new is issued, what was issued stands."""
    verifier.registry.close(verifier.home.entity_id)
    await changed(verifier)


async def withdraw(verifier: VerifierBench) -> None:
    verifier.registry.withdraw(verifier.home.entity_id)
    await changed(verifier)


async def grow_old(verifier: VerifierBench) -> None:
    """A day without the registry; the issuer is still there."""
    verifier.clock.advance(timedelta(hours=24, minutes=1))
    await verifier.refresh_statuses()


async def make_sandbox(verifier: VerifierBench) -> None:
    verifier.registry.make_sandbox(verifier.home.entity_id)
    await changed(verifier)


async def practise(verifier: VerifierBench) -> None:
    """We are the sandbox, and real records are shown to us."""
    verifier.registry.make_sandbox(MANCHESTER)
    await changed(verifier)


async def make_both_sandboxes(verifier: VerifierBench) -> None:
    verifier.registry.make_sandbox(MANCHESTER)
    await make_sandbox(verifier)


async def nothing(verifier: VerifierBench) -> None:
    await changed(verifier)


TRUST: list[tuple[str, Any, str, str | None, bool]] = [
    ("authorised", nothing, "READY", None, True),
    ("not authorised", unauthorise, "NOT_READY", "ISSUER_NOT_AUTHORISED", False),
    ("unknown entity", forget, "NOT_READY", "ISSUER_NOT_AUTHORISED", False),
    ("key compromised", compromise, "NOT_READY", "KEY_COMPROMISED", False),
    ("issuer suspended", suspend, "REFER", "ISSUER_SUSPENDED", False),
    ("administratively closed", close, "READY", None, True),
    ("a sandbox's records at a trust", make_sandbox, "NOT_READY", "ISSUER_NOT_AUTHORISED", False),
    ("a trust's records at a sandbox", practise, "NOT_READY", "ISSUER_NOT_AUTHORISED", False),
    ("a sandbox's records at a sandbox", make_both_sandboxes, "READY", None, True),
    ("registry stale", grow_old, "REFER", "REGISTRY_STALE", False),
]


@pytest.mark.parametrize(("name", "act", "outcome", "reason", "verified"), TRUST)
async def test_every_row_of_trust(
    verifier: VerifierBench, name: str, act: Any, outcome: str, reason: str | None, verified: bool
):
    presenter = verifier.surgeon()
    movement = await verifier.movement()
    await act(verifier)
    await verifier.look_up(movement["id"], checked_at=verifier.clock.now().isoformat())
    decision = await verifier.decided(presenter, movement["id"])
    assert (decision["result"]["outcome"], decision["result"]["verified"]) == (outcome, verified), name
    found = findings(decision, "R-01", "DbsOutcome")
    assert found["reason"] == reason
    assert found["result"] == {"READY": "PASS", "REFER": "UNKNOWN", "NOT_READY": "FAIL"}[outcome]


async def test_a_former_issuers_credentials_count_inside_their_time(verifier: VerifierBench):
    presenter = verifier.surgeon()
    await withdraw(verifier)
    decision = await verifier.decided(presenter)
    assert findings(decision, "R-01", "CoreSkills")["result"] == "PASS"


STATUS: list[tuple[str, int | None, str, str]] = [
    ("revoked", 1, "REVOKED", "NOT_READY"),
    ("on hold", 2, "ON_HOLD", "NOT_READY"),
    ("a value nobody knows", 3, "REVOKED", "NOT_READY"),
]


@pytest.mark.parametrize(("name", "value", "reason", "outcome"), STATUS)
async def test_every_bad_status(verifier: VerifierBench, name: str, value: int, reason: str, outcome: str):
    presenter = verifier.surgeon()
    verifier.home.list.set(presenter.held["OccupationalHealth"].idx, value)
    verifier.clock.advance(timedelta(minutes=6))
    await verifier.refresh_statuses()
    decision = await verifier.decided(presenter)
    found = findings(decision, "R-03", "OccupationalHealth")
    assert (found["reason"], found["result"], decision["result"]["outcome"]) == (reason, "FAIL", outcome), (
        name
    )
    assert decision["result"]["verified"] is False


async def test_a_credential_that_ran_out_is_a_fact_and_not_a_fault(verifier: VerifierBench):
    presenter = verifier.surgeon()
    now = verifier.clock.now()
    presenter.hold("RightToWork", iat=epoch_s(now - timedelta(days=90)), exp=epoch_s(now - timedelta(days=1)))
    decision = await verifier.decided(presenter)
    assert findings(decision, "R-03", "RightToWork")["reason"] == "EXPIRED"
    assert decision["result"]["outcome"] == "NOT_READY"
    reliance = next(r for r in decision["result"]["reliances"] if r["credential"] == "RightToWork")
    assert reliance["verdict"]["checks"]["validity"] == {"outcome": "FAIL", "reason": "expired"}
    again = await verifier.recheck(decision["id"])
    assert findings(again, "R-03", "RightToWork")["reason"] == "EXPIRED"


async def test_an_expired_credential_must_still_be_bound_and_signed(verifier: VerifierBench):
    presenter = verifier.surgeon()
    now = verifier.clock.now()
    held_one = presenter.hold(
        "RightToWork", iat=epoch_s(now - timedelta(days=90)), exp=epoch_s(now - timedelta(days=1))
    )
    other = Presenter(verifier.home)
    held_one.key = other.hold("RightToWork").key
    request = await verifier.ask()
    protocol_error(await verifier.present(request, presenter), 400, "invalid_request")
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert found["last_refusal"] == "key_binding_bad_signature"


@both_databases
async def test_an_unknown_status_is_referred_and_decided_again_by_itself(verifier: VerifierBench):
    elsewhere = HomeTrust(
        verifier.registry, "https://issuer.example/RM3", name="Salford Trust", types=["CoreSkills"]
    )
    elsewhere.down = True
    verifier.wire.homes.append(elsewhere)
    await changed(verifier)
    presenter = verifier.surgeon()
    presenter.hold("CoreSkills", trust=elsewhere, key=presenter.held["StaffIdentity"].key)
    first = await verifier.decided(presenter)
    assert first["result"]["outcome"] == "REFER"
    assert first["awaits_status"] is True
    assert findings(first, "R-03", "CoreSkills")["reason"] == "STATUS_UNAVAILABLE"
    assert await verifier.refresh_statuses() == 0
    assert (await verifier.read(f"/decisions/{first['id']}"))["superseded_by"] is None
    elsewhere.down = False
    verifier.clock.advance(timedelta(seconds=20))
    assert await verifier.refresh_statuses() == 1
    before = await verifier.read(f"/decisions/{first['id']}")
    after = await verifier.read(f"/decisions/{before['superseded_by']}")
    assert (after["cause"], after["result"]["outcome"]) == ("STATUS_ARRIVED", "READY")
    assert after["person"] == first["person"]
    assert await verifier.refresh_statuses() == 0


async def test_a_list_older_than_an_hour_says_nothing_good(verifier: VerifierBench):
    presenter = verifier.surgeon()
    verifier.clock.advance(timedelta(hours=1, minutes=1))
    decision = await verifier.decided(presenter)
    assert findings(decision, "R-03", "Employment")["reason"] == "STATUS_STALE"
    assert decision["result"]["outcome"] == "REFER"
    verifier.clock.advance(timedelta(hours=23))
    await verifier.refresh()
    old = await verifier.decided(presenter)
    assert findings(old, "R-03", "Employment")["reason"] == "STATUS_UNAVAILABLE"


async def test_bad_news_of_an_old_list_still_counts(verifier: VerifierBench):
    presenter = verifier.surgeon()
    verifier.home.list.set(presenter.held["Employment"].idx, 2)
    verifier.clock.advance(timedelta(minutes=6))
    await verifier.refresh_statuses()
    verifier.clock.advance(timedelta(hours=2))
    decision = await verifier.decided(presenter)
    assert findings(decision, "R-03", "Employment")["reason"] == "ON_HOLD"


async def test_the_age_of_the_register_is_stated(verifier: VerifierBench):
    presenter = verifier.surgeon()
    verifier.clock.advance(timedelta(hours=5))
    await verifier.refresh_statuses()
    decision = await verifier.decided(presenter)
    assert decision["registry_age_s"] == 5 * 3600
    assert decision["result"]["outcome"] == "READY"
    assert decision["status_times"] == {verifier.home.uri: _z(verifier)}


def _z(verifier: VerifierBench) -> str:
    return verifier.clock.now().isoformat().replace("+00:00", "Z")


@both_databases
async def test_without_a_usable_register_nothing_is_decided_and_the_answer_is_kept(verifier: VerifierBench):
    presenter = verifier.surgeon()
    verifier.clock.advance(timedelta(hours=71, minutes=58))
    await verifier.refresh_statuses()
    request = await verifier.ask()
    verifier.clock.advance(timedelta(minutes=3))
    answer = await verifier.answer(request, presenter)
    refused = await verifier.send(answer)
    protocol_error(refused, 503, "temporarily_unavailable")
    assert refused.headers["retry-after"] == "60"
    refused_ask = await verifier.call(
        "POST", "/presentation-requests", {"policy": "SERVICE_NEED_URGENT.UROLOGY_SURGEON"}
    )
    problem(refused_ask, 503, "register_too_old")
    async with verifier.ctx.db.read() as conn:
        [kept] = await held.waiting(conn, verifier.clock.now())
    assert kept.token.count(".") == 4
    assert await answers.retry_held(verifier.ctx) == 0
    verifier.clock.advance(timedelta(minutes=5))
    await verifier.refresh()
    await verifier.refresh_statuses()
    assert await answers.retry_held(verifier.ctx) == 1
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    decision = await verifier.confirm(found["decision_id"])
    assert decision["result"]["verified"] is True
    assert await answers.retry_held(verifier.ctx) == 0


async def test_a_kept_answer_is_forgotten_after_ten_minutes(verifier: VerifierBench):
    presenter = verifier.surgeon()
    verifier.clock.advance(timedelta(hours=71, minutes=58))
    request = await verifier.ask()
    verifier.clock.advance(timedelta(minutes=3))
    protocol_error(await verifier.present(request, presenter), 503, "temporarily_unavailable")
    verifier.clock.advance(timedelta(minutes=10))
    await verifier.refresh()
    assert await answers.retry_held(verifier.ctx) == 0
    async with verifier.ctx.db.read() as conn:
        assert await held.waiting(conn, verifier.clock.now() - timedelta(days=1)) == []
    assert (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"] is None


async def stored(verifier: VerifierBench) -> rows.StoredList:
    async with verifier.ctx.db.read() as conn:
        found = await rows.get(conn, verifier.home.uri)
    assert found is not None
    return found


async def test_lists_are_found_by_aggregation_and_kept(verifier: VerifierBench):
    found = await stored(verifier)
    assert found.issuer == verifier.home.entity_id
    assert found.iat == verifier.clock.now()
    assert found.failures == 0


SPOILT: list[tuple[str, Any, str]] = [
    ("rolled back", {"iat": -timedelta(hours=2)}, "rolled_back"),
    ("signed by the credential key", {"use": "credential"}, "not_the_issuers_status_key"),
    (
        "another list",
        {"uri": "https://issuer.example/RBV/statuslists/AAAAAAAAAAAAAAAAAAAAAA"},
        "wrong_subject",
    ),
    ("html", {"token": "<html>"}, "token_malformed"),
    ("expired", {"iat": -timedelta(minutes=5), "exp": -timedelta(minutes=2)}, "expired"),
]


@pytest.mark.parametrize(("name", "spoil", "reason"), SPOILT)
async def test_a_list_that_cannot_be_believed_changes_nothing(
    verifier: VerifierBench, name: str, spoil: dict[str, Any], reason: str
):
    before = await stored(verifier)
    verifier.clock.advance(timedelta(minutes=6))
    home, now = verifier.home, verifier.clock.now()
    if "token" in spoil:
        home.token = spoil["token"]
    else:
        leaf = home.registry.entities[home.entity_id].issued(spoil.get("use", "status"))
        home.token = home.status_token(
            key=leaf.key,
            x5c=leaf.x5c,
            uri=spoil.get("uri", home.uri),
            iat=now + spoil.get("iat", timedelta(0)),
            exp=now + spoil.get("exp", timedelta(hours=20)),
        )
    assert await status_lists.refresh(verifier.ctx) == []
    after = await stored(verifier)
    assert (after.token, after.iat) == (before.token, before.iat)
    assert (after.failures, after.last_error) == (1, reason), name
    home.token = None
    verifier.clock.advance(timedelta(seconds=10))
    assert await status_lists.refresh(verifier.ctx) == [home.uri]


async def test_a_list_is_asked_for_when_its_ttl_is_over_and_not_before(verifier: VerifierBench):
    asked = len(verifier.wire.requests)
    verifier.clock.advance(timedelta(seconds=200))
    await status_lists.refresh(verifier.ctx)
    assert len(verifier.wire.requests) == asked
    verifier.clock.advance(timedelta(seconds=101))
    assert await status_lists.refresh(verifier.ctx) == [verifier.home.uri]


async def test_failures_wait_longer_each_time_up_to_five_minutes(verifier: VerifierBench):
    verifier.home.down = True
    waits = []
    verifier.clock.advance(timedelta(minutes=6))
    for _ in range(9):
        await status_lists.refresh(verifier.ctx)
        found = await stored(verifier)
        waits.append((found.next_fetch_at - verifier.clock.now()).total_seconds())
        verifier.clock.set(found.next_fetch_at)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (5, 300)


async def test_a_compromised_status_key_ends_the_good_news(verifier: VerifierBench):
    presenter = verifier.surgeon()
    verifier.registry.compromise(verifier.home.entity_id, "status")
    await changed(verifier)
    decision = await verifier.decided(presenter)
    assert findings(decision, "R-03", "Employment")["reason"] == "STATUS_UNAVAILABLE"


async def test_the_verifier_goes_on_without_registry_and_issuer(verifier: VerifierBench):
    presenter = verifier.surgeon()
    verifier.wire.down = verifier.home.down = True
    verifier.clock.advance(timedelta(minutes=30))
    await verifier.refresh_statuses()
    assert await verifier.ctx.snapshots.refresh_quietly() is False
    decision = await verifier.decided(presenter)
    assert decision["result"]["outcome"] == "READY"


async def test_nothing_waits_for_a_list_that_was_known_before(verifier: VerifierBench):
    assert await rechecks.recheck_waiting(verifier.ctx) == 0
