"""The token endpoint: every error row, five tries in all, and exactly one token whatever happens at once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from passport_testkit.apps import protocol_error
from passport_testkit.databases import at_once, both_databases
from passport_testkit.issuers import ENTITY, HR, IssuerBench
from passport_testkit.wallet import PRE_AUTHORIZED, WalletSimulator


async def _offered(issuer: IssuerBench) -> tuple[WalletSimulator, dict[str, Any], str, str]:
    staff_id = await issuer.staff()
    await issuer.made(f"/staff/{staff_id}/checks", _oh())
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    return wallet, await wallet.read_offer(made["credential_offer"]), made["tx_code"], made["id"]


def _oh() -> dict[str, Any]:
    from passport_testkit.issuers import check_body

    return check_body("OH")


def _wrong(pin: str) -> str:
    return f"{(int(pin) + 1) % 1_000_000:06d}"


async def test_every_malformed_request_has_its_code(issuer: IssuerBench) -> None:
    wallet, offer, pin, _ = await _offered(issuer)
    url, code = f"{ENTITY}/token", offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"]
    right = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code, "tx_code": pin}

    def without(name: str) -> dict[str, str]:
        return {key: value for key, value in right.items() if key != name}

    cases: list[tuple[dict[str, str], int, str]] = [
        (without("grant_type"), 400, "invalid_request"),
        ({**right, "grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        (without("pre-authorized_code"), 400, "invalid_request"),
        (without("tx_code"), 400, "invalid_request"),
        ({**right, "client_secret": "x"}, 401, "invalid_client"),
        ({**right, "client_assertion": "x"}, 401, "invalid_client"),
        ({**right, "authorization_details": "{}"}, 400, "invalid_authorization_details"),
        ({**right, "authorization_details": "[]"}, 400, "invalid_authorization_details"),
        ({**right, "authorization_details": "[1]"}, 400, "invalid_authorization_details"),
        ({**right, "authorization_details": '[{"type":"x"}]'}, 400, "invalid_authorization_details"),
        (
            {
                **right,
                "authorization_details": json.dumps(
                    [{"type": "openid_credential", "credential_configuration_id": "No_1"}]
                ),
            },
            400,
            "invalid_authorization_details",
        ),
        ({**right, "pre-authorized_code": "nonsense"}, 400, "invalid_grant"),
        (
            {**right, "pre-authorized_code": code[:-1] + ("A" if code[-1] != "A" else "B")},
            400,
            "invalid_grant",
        ),
        ({**right, "pre-authorized_code": code + "é"}, 400, "invalid_grant"),
    ]
    for form, status, error in cases:
        protocol_error(await issuer.http.post(url, data=form), status, error)
    protocol_error(await issuer.http.post(url, json=right), 400, "invalid_request")
    protocol_error(await issuer.http.post(url), 400, "invalid_request")
    protocol_error(
        await issuer.http.post(url, data=right, headers={"Authorization": "Basic eDp5"}),
        401,
        "invalid_client",
    )
    doubled = f"grant_type={PRE_AUTHORIZED}&pre-authorized_code={code}&tx_code={pin}&tx_code={pin}"
    protocol_error(
        await issuer.http.post(
            url, content=doubled, headers={"Content-Type": "application/x-www-form-urlencoded"}
        ),
        400,
        "invalid_request",
    )
    # None of it used up the code.
    assert (await wallet.request_token(offer, pin)).status_code == 200


TX_CODES = [
    "",
    " ",
    "12345",
    "1234567",
    "12 456",
    "abcdef",
    "１２３４５６",
    "٧٠٩٩٩٩",
    "123456\n",
    "0x1234",
    "-12345",
    "1e1111",
]


async def test_a_tx_code_that_is_not_six_digits_is_refused_and_costs_no_try(issuer: IssuerBench) -> None:
    wallet, offer, pin, offer_id = await _offered(issuer)
    for given in TX_CODES:
        protocol_error(await wallet.request_token(offer, given), 400, "invalid_request")
    assert (await issuer.call("GET", f"/offers/{offer_id}")).json()["pin_tries_left"] == 5
    assert (await wallet.request_token(offer, pin)).status_code == 200


@both_databases
async def test_five_wrong_pins_in_all_and_the_code_is_dead(issuer: IssuerBench) -> None:
    wallet, offer, pin, offer_id = await _offered(issuer)
    guesses = [f"{(int(pin) + step) % 1_000_000:06d}" for step in range(1, 201)]
    answers = await at_once(40, lambda index: wallet.request_token(offer, guesses[index]))
    for answer in answers:
        protocol_error(answer, 400, "invalid_grant")  # type: ignore[arg-type]
    shown = (await issuer.call("GET", f"/offers/{offer_id}")).json()
    assert shown["pin_tries_left"] == 0
    protocol_error(await wallet.request_token(offer, pin), 400, "invalid_grant")
    for guess in guesses[40:]:
        protocol_error(await wallet.request_token(offer, guess), 400, "invalid_grant")


@both_databases
async def test_fifty_parallel_redemptions_give_exactly_one_token(issuer: IssuerBench) -> None:
    wallet, offer, pin, _ = await _offered(issuer)
    answers: list[Any] = await at_once(50, lambda _: wallet.request_token(offer, pin))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49
    for answer in answers:
        if answer.status_code == 400:
            protocol_error(answer, 400, "invalid_grant")


async def test_a_code_presented_again_revokes_what_it_became(issuer: IssuerBench) -> None:
    wallet, offer, pin, _ = await _offered(issuer)
    token = await wallet.token(offer, pin)
    protocol_error(await wallet.request_token(offer, _wrong(pin)), 400, "invalid_grant")
    assert (await wallet.request(ENTITY, token, "OccupationalHealth_1")).status_code == 200
    protocol_error(await wallet.request_token(offer, pin), 400, "invalid_grant")
    protocol_error(await wallet.request(ENTITY, token, "OccupationalHealth_1"), 401, "invalid_token")


async def test_an_offer_that_is_over_gives_no_token(issuer: IssuerBench) -> None:
    wallet, offer, pin, offer_id = await _offered(issuer)
    answer = await issuer.call("POST", f"/offers/{offer_id}/withdraw", {"actor": HR})
    assert answer.json()["state"] == "WITHDRAWN"
    protocol_error(await wallet.request_token(offer, pin), 400, "invalid_grant")
    _, later, pin, later_id = await _offered_again(issuer)
    issuer.clock.advance(timedelta(minutes=10))
    protocol_error(await wallet.request_token(later, pin), 400, "invalid_grant")
    assert (await issuer.call("GET", f"/offers/{later_id}")).json()["state"] == "EXPIRED"


async def _offered_again(issuer: IssuerBench) -> tuple[WalletSimulator, dict[str, Any], str, str]:
    staff_id = (await issuer.call("GET", "/staff")).json()["items"][0]["id"]
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    return wallet, await wallet.read_offer(made["credential_offer"]), made["tx_code"], made["id"]


async def test_a_code_of_another_trust_is_unknown_here(issuer: IssuerBench) -> None:
    wallet, offer, pin, _ = await _offered(issuer)
    form = {
        "grant_type": PRE_AUTHORIZED,
        "pre-authorized_code": offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"],
        "tx_code": pin,
    }
    await issuer.ctx.tenants.enrol(
        "R0A", "a-one-time-code", registry_url=issuer.registry.anchor, outbound=issuer.ctx.outbound
    )
    protocol_error(await issuer.http.post("/R0A/token", data=form), 400, "invalid_grant")
    assert (await wallet.request_token(offer, pin)).status_code == 200


async def test_the_token_names_what_it_grants_only_when_asked(issuer: IssuerBench) -> None:
    wallet, offer, pin, _ = await _offered(issuer)
    details = '[{"type":"openid_credential","credential_configuration_id":"OccupationalHealth_1"}]'
    answer = await wallet.request_token(offer, pin, authorization_details=details)
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"
    (granted,) = body["authorization_details"]
    assert granted["credential_configuration_id"] == "OccupationalHealth_1"
    (identifier,) = granted["credential_identifiers"]
    nonce = await wallet.nonce(ENTITY)
    proofs = {"proofs": {"jwt": [wallet.proof(ENTITY, nonce)]}}
    by_configuration = {"credential_configuration_id": "OccupationalHealth_1", **proofs}
    protocol_error(
        await wallet.request_credential(ENTITY, body["access_token"], by_configuration),
        400,
        "invalid_credential_request",
    )
    by_identifier = {"credential_identifier": identifier, **proofs}
    got = await wallet.request_credential(ENTITY, body["access_token"], by_identifier)
    assert got.status_code == 200, got.text


async def test_the_pin_can_be_shown_again_and_is_stored_nowhere(issuer: IssuerBench) -> None:
    _, _, pin, offer_id = await _offered(issuer)
    shown = await issuer.call("POST", f"/offers/{offer_id}/pin", {"actor": HR})
    assert shown.json() == {"tx_code": pin}
    assert pin not in (await issuer.call("GET", f"/offers/{offer_id}")).text
