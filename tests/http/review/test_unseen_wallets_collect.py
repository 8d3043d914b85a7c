"""What conforming wallets we have not met may send to the issuer."""

from __future__ import annotations

from typing import Any

import pytest

from passport_testkit.apps import protocol_error
from passport_testkit.issuers import ENTITY, ISSUER, POST, IssuerBench, check_body
from passport_testkit.wallet import PRE_AUTHORIZED, WalletSimulator


async def _offered(issuer: IssuerBench) -> tuple[WalletSimulator, dict[str, Any], str]:
    staff_id = await issuer.staff()
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    return wallet, await wallet.read_offer(made["credential_offer"]), made["tx_code"]


async def _token(issuer: IssuerBench) -> tuple[WalletSimulator, str]:
    wallet, offer, pin = await _offered(issuer)
    return wallet, await wallet.token(offer, pin)


def _body(proof: str, **members: Any) -> dict[str, Any]:
    return {"credential_configuration_id": "OccupationalHealth_1", "proofs": {"jwt": [proof]}, **members}


async def test_dates_of_a_proof_may_have_a_fraction(issuer: IssuerBench):
    """RFC 7519 §2: a NumericDate may be a non-integer."""
    wallet, token = await _token(issuer)
    at = issuer.clock.now().timestamp()
    proof = wallet.proof(ENTITY, await wallet.nonce(ENTITY), iat=at + 0.25, exp=at + 60.5)
    answer = await wallet.request_credential(ENTITY, token, _body(proof))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "members",
    [
        {"kid": "key-1"},
        {"alg": "ES256", "use": "sig"},
        {"key_ops": ["verify"]},
        {"ext": True, "key_ops": ["verify"]},
        {"x5t#S256": "a", "nbf": 0},
    ],
)
async def test_the_proof_s_key_may_say_more_about_itself(issuer: IssuerBench, members: dict[str, Any]):
    wallet, token = await _token(issuer)
    headers = {"jwk": {**wallet.key.public.jwk, **members}, "cty": "x"}
    proof = wallet.proof(ENTITY, await wallet.nonce(ENTITY), headers=headers, iss="wallet", jti="a")
    answer = await wallet.request_credential(ENTITY, token, _body(proof, format="dc+sd-jwt", unknown=[1]))
    assert answer.status_code == 200, answer.text


async def test_the_token_request_may_name_a_client_and_more(issuer: IssuerBench):
    wallet, offer, pin = await _offered(issuer)
    answer = await wallet.request_token(offer, pin, client_id="a-wallet", resource=ENTITY, unknown="x")
    assert answer.status_code == 200, answer.text


BROWSER = {"Origin": "https://wallet.example"}


async def test_wallets_in_browsers_may_collect(issuer: IssuerBench):
    """None of these endpoints takes a cookie, so any origin may call them (Fetch standard, CORS protocol)."""
    _, offer, pin = await _offered(issuer)
    for path in ("/token", "/nonce", "/credential", "/notification"):
        preflight = await issuer.http.options(
            f"{ENTITY}{path}",
            headers={
                **BROWSER,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        assert preflight.status_code == 204, path
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "POST" in preflight.headers["access-control-allow-methods"]
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert "authorization" in allowed
        assert "content-type" in allowed
    refused = await issuer.http.post(f"{ENTITY}/token", data={}, headers=BROWSER)
    protocol_error(refused, 400, "invalid_request")
    assert refused.headers["access-control-allow-origin"] == "*"
    form = {
        "grant_type": PRE_AUTHORIZED,
        "pre-authorized_code": offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"],
        "tx_code": pin,
    }
    given = await issuer.http.post(f"{ENTITY}/token", data=form, headers=BROWSER)
    assert (given.status_code, given.headers["access-control-allow-origin"]) == (200, "*")
    denied = await issuer.http.post(f"{ENTITY}/credential", json={}, headers=BROWSER)
    protocol_error(denied, 401, "invalid_token")
    assert denied.headers["access-control-allow-origin"] == "*"
    assert "www-authenticate" in denied.headers["access-control-expose-headers"].lower()
    unknown = await issuer.http.get(f"{ENTITY}/offers/none", headers=BROWSER)
    assert unknown.headers["access-control-allow-origin"] == "*"


async def test_the_management_interface_is_for_no_other_origin(issuer: IssuerBench):
    answer = await issuer.http.get(f"{ISSUER}/api/v1/organisations/RBV/staff", headers=BROWSER)
    assert "access-control-allow-origin" not in answer.headers
    page = await issuer.http.get(f"{ENTITY}/o/none", headers=BROWSER)
    assert "access-control-allow-origin" not in page.headers


async def test_a_key_attestation_nobody_asked_for_is_ignored(issuer: IssuerBench):
    """OpenID4VCI 1.0 appendix F.1: the header may carry one beside `jwk`; it is no second key."""
    wallet, token = await _token(issuer)
    headers = {"jwk": wallet.key.public.jwk, "key_attestation": "e30.e30.e30"}
    proof = wallet.proof(ENTITY, await wallet.nonce(ENTITY), headers=headers)
    answer = await wallet.request_credential(ENTITY, token, _body(proof))
    assert answer.status_code == 200, answer.text


async def test_a_client_that_authenticates_by_header_is_told_a_scheme(issuer: IssuerBench):
    """RFC 6749 §5.2."""
    answer = await issuer.http.post(
        f"{ENTITY}/token", data={"a": "b"}, headers={"Authorization": "Basic eDp5"}
    )
    protocol_error(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"] == "Basic"


async def test_a_person_with_two_posts_can_collect_both(issuer: IssuerBench):
    """One configuration, two datasets: only identifiers tell them apart (OpenID4VCI 1.0 §6.2, §8.2)."""
    staff_id = await issuer.surgeon()
    await issuer.made(f"/staff/{staff_id}/assignments", {**POST, "ref": "second-post", "primary": False})
    made = await issuer.offer(staff_id, ["Employment"])
    wallet = issuer.wallet()
    offer = await wallet.read_offer(made["credential_offer"])
    assert offer["credential_configuration_ids"] == ["Employment_1"]
    given = (await wallet.request_token(offer, made["tx_code"])).json()
    [details] = given["authorization_details"]
    assert (details["type"], details["credential_configuration_id"]) == ("openid_credential", "Employment_1")
    collected = set()
    for identifier in details["credential_identifiers"]:
        proof = wallet.proof(ENTITY, await wallet.nonce(ENTITY))
        body = {"credential_identifier": identifier, "proofs": {"jwt": [proof]}}
        answer = await wallet.request_credential(ENTITY, given["access_token"], body)
        assert answer.status_code == 200, answer.text
        told = await wallet.notify(
            ENTITY, given["access_token"], answer.json()["notification_id"], "credential_accepted"
        )
        assert told.status_code == 204
        collected.add(answer.json()["credentials"][0]["credential"])
    assert len(collected) == 2
    held = (await issuer.call("GET", f"/staff/{staff_id}/passport")).json()
    assert str(held).count("Employment") >= 2


async def test_parameters_without_a_value_count_as_not_sent(issuer: IssuerBench):
    """RFC 6749 §3.2; some libraries send every parameter they know."""
    wallet, offer, pin = await _offered(issuer)
    blank = {"client_id": "", "client_secret": "", "client_assertion": "", "authorization_details": ""}
    answer = await wallet.request_token(offer, pin, **blank)
    assert answer.status_code == 200, answer.text
    doubled = b"grant_type=&grant_type="
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    protocol_error(
        await issuer.http.post(f"{ENTITY}/token", content=doubled, headers=form), 400, "invalid_request"
    )
