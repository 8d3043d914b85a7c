"""A type is issued only while the trust's own mark allows it, by a register that is fresh enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from passport_testkit.apps import problem, protocol_error
from passport_testkit.issuers import ENTITY, HR, IssuerBench, check_body
from passport_testkit.network import TrustRegistrySimulator, vct
from passport_testkit.wallet import WalletSimulator

CONFIGURATION = "OccupationalHealth_1"


async def _ready(issuer: IssuerBench) -> tuple[str, WalletSimulator, str]:
    staff_id = await issuer.staff()
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    offer = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    token = await wallet.token(await wallet.read_offer(offer["credential_offer"]), offer["tx_code"])
    return staff_id, wallet, token


def _only_identity(registry: TrustRegistrySimulator) -> None:
    registry.grant(ENTITY, [registry.authorization("issue", vct("StaffIdentity"))])


CHANGES: list[tuple[str, Callable[[TrustRegistrySimulator], object]]] = [
    ("suspended", lambda registry: registry.suspend(ENTITY)),
    ("closed", lambda registry: registry.close(ENTITY)),
    ("withdrawn", lambda registry: registry.withdraw(ENTITY)),
    ("mark revoked", lambda registry: registry.revoke_mark(ENTITY)),
    ("key compromised", lambda registry: registry.compromise(ENTITY)),
    ("key rotated elsewhere", lambda registry: registry.rotate(ENTITY)),
    ("type taken away", _only_identity),
    ("left the network", lambda registry: registry.leave(ENTITY)),
]


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
async def test_what_the_mark_does_not_allow_is_neither_offered_nor_signed(
    issuer: IssuerBench, change: Callable[[TrustRegistrySimulator], Any]
) -> None:
    staff_id, wallet, token = await _ready(issuer)
    change(issuer.registry)
    issuer.clock.advance(timedelta(minutes=1))
    await issuer.refresh()
    answer = await wallet.request(ENTITY, token, CONFIGURATION)
    protocol_error(answer, 400, "credential_request_denied")
    body = {"types": ["OccupationalHealth"], "actor": HR}
    refused = await issuer.call("POST", f"/staff/{staff_id}/offers", body)
    problem(refused, 409, "not_authorised_to_issue")
    everything = await issuer.call("POST", f"/staff/{staff_id}/offers", {"actor": HR})
    missing = problem(everything, 409, "nothing_to_issue")["errors"]
    assert "not_authorised" in {item["code"] for item in missing}
    assert (await issuer.call("GET", f"/credentials?staff_id={staff_id}")).json()["items"] == []


async def test_a_reinstated_issuer_issues_again(issuer: IssuerBench) -> None:
    _, wallet, token = await _ready(issuer)
    issuer.registry.suspend(ENTITY)
    issuer.clock.advance(timedelta(minutes=1))
    await issuer.refresh()
    protocol_error(await wallet.request(ENTITY, token, CONFIGURATION), 400, "credential_request_denied")
    issuer.registry.reinstate(ENTITY)
    issuer.clock.advance(timedelta(minutes=1))
    await issuer.refresh()
    assert (await wallet.request(ENTITY, token, CONFIGURATION)).status_code == 200


@pytest.mark.parametrize(
    ("age", "issues"),
    [(timedelta(hours=1), True), (timedelta(hours=24), True), (timedelta(hours=24, minutes=1), False)],
)
async def test_a_register_older_than_a_day_issues_nothing(
    issuer: IssuerBench, age: timedelta, issues: bool
) -> None:
    staff_id = await issuer.staff()
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    issuer.wire.down = True
    issuer.clock.advance(age)
    body = {"types": ["OccupationalHealth"], "actor": HR}
    answer = await issuer.call("POST", f"/staff/{staff_id}/offers", body)
    if issues:
        assert answer.status_code == 201, answer.text
    else:
        problem(answer, 503, "register_too_old")
        assert answer.headers["retry-after"] == "30"


async def test_a_register_that_gets_too_old_stops_a_collection_under_way(issuer: IssuerBench) -> None:
    issuer.wire.down = True
    issuer.clock.advance(timedelta(hours=23, minutes=55))
    _, wallet, token = await _ready(issuer)
    issuer.clock.advance(timedelta(minutes=6))
    answer = await wallet.request(ENTITY, token, CONFIGURATION)
    protocol_error(answer, 400, "credential_request_denied")
    issuer.wire.down = False
    await issuer.refresh()
    assert (await wallet.request(ENTITY, token, CONFIGURATION)).status_code == 200


async def test_a_tenant_that_is_not_enrolled_serves_only_its_entity_configuration(
    issuer: IssuerBench,
) -> None:
    await issuer.ctx.tenants.prepare("R0A")
    answer = await issuer.http.get("/R0A/.well-known/openid-federation")
    assert answer.status_code == 200
    protocol_error(await issuer.http.post("/R0A/nonce"), 404, "not_found")
    missing = await issuer.http.get("/.well-known/openid-credential-issuer/R0A")
    protocol_error(missing, 404, "not_found")
