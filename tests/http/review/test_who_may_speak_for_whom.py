"""One host, several tenants: what belongs to one is nothing to the other, whichever way it is used."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from passport_shared.formats.status_list import sign_token
from passport_testkit.apps import protocol_error
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import ENTITY, ISSUER, check_body, running_issuer
from passport_testkit.presenter import HomeTrust
from passport_testkit.verifiers import VERIFIER, VerifierBench, running_verifier

OTHER = f"{ISSUER}/R0A"


async def test_nothing_of_one_issuer_tenant_works_at_another(databases: FreshDatabases, tmp_path: Path):
    url = await databases.url("passport_issuer")
    async with running_issuer(tmp_path, url, tenants=("RBV", "R0A")) as issuer:
        staff_id = await issuer.staff()
        await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
        await issuer.confirm_identity(staff_id)
        made = await issuer.offer(staff_id, ["OccupationalHealth"])
        wallet = issuer.wallet()
        offer = await wallet.read_offer(made["credential_offer"])
        # The code, the offer and its page.
        elsewhere = {**offer, "credential_issuer": OTHER}
        protocol_error(await wallet.request_token(elsewhere, made["tx_code"]), 400, "invalid_grant")
        assert (await issuer.http.get(f"{OTHER}/offers/{made['id']}")).status_code == 404
        assert (await issuer.http.get(f"{OTHER}/o/{made['id']}")).status_code == 404
        assert (await issuer.call("GET", f"/offers/{made['id']}")).json()["pin_tries_left"] == 5
        # The token, the nonce and the proof.
        token = await wallet.token(offer, made["tx_code"])
        nonce, foreign = await wallet.nonce(ENTITY), await wallet.nonce(OTHER)
        cases = [
            (OTHER, OTHER, foreign, 401, "invalid_token"),
            (ENTITY, OTHER, nonce, 400, "invalid_proof"),
            (ENTITY, ENTITY, foreign, 400, "invalid_nonce"),
        ]
        for at, audience, value, status, error in cases:
            body: dict[str, Any] = {
                "credential_configuration_id": "OccupationalHealth_1",
                "proofs": {"jwt": [wallet.proof(audience, value)]},
            }
            protocol_error(await wallet.request_credential(at, token, body), status, error)
        # The notification.
        issued = await wallet.request(ENTITY, token, "OccupationalHealth_1")
        told = issued.json()["notification_id"]
        protocol_error(await wallet.notify(OTHER, token, told, "credential_deleted"), 401, "invalid_token")
        # The status list.
        lists = (await issuer.http.get(f"{ENTITY}/statuslists")).json()["status_lists"]
        foreign_lists = (await issuer.http.get(f"{OTHER}/statuslists")).json()["status_lists"]
        assert not set(lists) & set(foreign_lists)
        for uri in lists:
            assert (await issuer.http.get(uri.replace("/RBV/", "/R0A/"))).status_code == 404


async def test_the_token_of_a_wallet_opens_no_management_and_the_other_way_round(
    databases: FreshDatabases, tmp_path: Path
):
    async with running_issuer(tmp_path, await databases.url("passport_issuer")) as issuer:
        staff_id = await issuer.staff()
        await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
        await issuer.confirm_identity(staff_id)
        made = await issuer.offer(staff_id, ["OccupationalHealth"])
        wallet = issuer.wallet()
        token = await wallet.token(await wallet.read_offer(made["credential_offer"]), made["tx_code"])
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await issuer.http.get("/api/v1/organisations/RBV/staff", headers=bearer)).status_code == 401
        management = (await issuer.headers())["Authorization"].removeprefix("Bearer ")
        body = {"credential_configuration_id": "OccupationalHealth_1", "proofs": {"jwt": ["x"]}}
        protocol_error(await wallet.request_credential(ENTITY, management, body), 401, "invalid_token")


@pytest.fixture
async def verifier(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[VerifierBench]:
    url = await databases.url("passport_verifier")
    async with running_verifier(tmp_path, url, tenants=("R0A", "RM3")) as bench:
        yield bench


async def test_an_answer_to_one_host_is_no_answer_to_another(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    protocol_error(await verifier.send(answer, ods="RM3"), 400, "invalid_request")
    refused = {"error": "access_denied", "state": answer.state}
    elsewhere = await verifier.http.post(f"{VERIFIER}/RM3/oid4vp/response", data=refused)
    protocol_error(elsewhere, 400, "invalid_request")
    link = request["links"]["request_uri"].replace("/R0A/", "/RM3/")
    assert (await verifier.http.get(link)).status_code == 404
    assert (await verifier.send(answer)).status_code == 200


async def test_a_list_signed_by_another_tenant_of_the_same_host_says_nothing_good(verifier: VerifierBench):
    """The uri is RBV's; the key is pinned, for status lists, in the mark of another trust on that host."""
    other = HomeTrust(verifier.registry, "https://issuer.example/RM3", name="Another Trust")
    await verifier.refresh()
    leaf = verifier.registry.entities[other.entity_id].issued("status")
    home, now = verifier.home, verifier.clock.now()
    home.token = sign_token(
        home.list,
        uri=home.uri,
        key=leaf.key,
        x5c=leaf.x5c,
        iat=now,
        exp=now + timedelta(hours=24),
        ttl=timedelta(minutes=5),
    )
    verifier.clock.advance(timedelta(hours=2))
    await verifier.refresh()
    await verifier.refresh_statuses()
    decision = await verifier.decided(verifier.surgeon())
    assert decision["result"]["outcome"] == "REFER"
    assert {one["status"] for one in decision["result"]["reliances"]} == {"STALE"}
    assert decision["result"]["verified"] is False


async def test_a_credential_that_points_at_another_trusts_list_is_refused(verifier: VerifierBench):
    other = HomeTrust(verifier.registry, "https://issuer.example/RM3", name="Another Trust")
    verifier.wire.homes.append(other)
    await verifier.refresh()
    await verifier.refresh_statuses()
    presenter = verifier.surgeon()
    presenter.hold("RightToWork", status={"status_list": {"idx": 1, "uri": other.uri}})
    request = await verifier.ask()
    protocol_error(await verifier.present(request, presenter), 400, "invalid_request")
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert found["last_refusal"] == "status_list_elsewhere"
