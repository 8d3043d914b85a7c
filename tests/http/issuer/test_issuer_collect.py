"""A whole passport with one offer and one PIN, as any wallet collects it."""

from __future__ import annotations

import pytest

from passport_shared.formats.sd_jwt_vc import inspect
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID
from passport_shared.wire.catalogue import EMPLOYER_TYPES, TYPES
from passport_testkit.databases import both_databases
from passport_testkit.issuers import ENTITY, IssuerBench

ALL = [TYPES[name].configuration_id for name in EMPLOYER_TYPES]


@both_databases
@pytest.mark.parametrize("link", ["credential_offer_uri", "credential_offer"])
async def test_a_wallet_collects_the_whole_passport(issuer: IssuerBench, link: str) -> None:
    staff_id = await issuer.surgeon()
    offer = await issuer.offer(staff_id)
    assert offer["credential_configuration_ids"] == ALL
    assert offer["not_held"] == []
    wallet = issuer.wallet()
    collected = await wallet.collect(offer[link], offer["tx_code"])
    assert list(collected.credentials) == ALL

    seen_refs, indices = set(), set()
    for configuration_id, tokens in collected.credentials.items():
        (token,) = tokens
        held = inspect(token, roots=issuer.registry.authority.roots, at=issuer.clock.now())
        assert held.iss == ENTITY
        assert held.vct == f"{issuer.registry.anchor}/vct/{configuration_id.replace('_', '/')}"
        assert held.holder_thumbprint == wallet.key.kid
        assert held.claims["family_name"] == "Okonkwo-Price"
        assert "sub" not in held.claims
        assert "jti" not in held.claims
        seen_refs.add(held.claims["holder_ref"])
        indices.add(held.status.idx)
        status = await issuer.status(held.status.uri)
        assert status.list.get(held.status.idx) == VALID
    assert len(seen_refs) == 1
    assert len(indices) == len(ALL)

    passport = (await issuer.call("GET", f"/staff/{staff_id}/passport")).json()
    assert passport["state"] == "ACTIVE"
    assert {item["state"] for item in passport["credentials"]} == {"ACTIVE"}
    assert len(passport["credentials"]) == len(ALL)


async def test_revocation_hold_and_reinstatement_reach_the_status_list(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    offer = await issuer.offer(staff_id, ["StaffIdentity", "DbsOutcome"])
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    page = (await issuer.call("GET", f"/credentials?staff_id={staff_id}")).json()
    first, second = page["items"]

    async def values() -> tuple[int, int]:
        await issuer.publish()
        status = await issuer.status(first["status_list"])
        return status.list.get(first["status_index"]), status.list.get(second["status_index"])

    assert await values() == (VALID, VALID)
    held = await issuer.call(
        "POST",
        f"/credentials/{first['id']}/hold",
        {"reason_code": "EMPLOYMENT_ON_HOLD", "actor": "hr-4711"},
    )
    assert held.json()["state"] == "ON_HOLD"
    assert await values() == (SUSPENDED, SUSPENDED)
    back = await issuer.call("POST", f"/credentials/{second['id']}/reinstate", {"actor": "hr-4711"})
    assert back.json()["state"] == "ACTIVE"
    assert await values() == (VALID, VALID)
    gone = await issuer.call(
        "POST", f"/credentials/{second['id']}/revoke", {"reason_code": "DBS_CHANGED", "actor": "hr-4711"}
    )
    assert (gone.json()["state"], gone.json()["reason_code"]) == ("REVOKED", "DBS_CHANGED")
    assert await values() == (VALID, INVALID)
