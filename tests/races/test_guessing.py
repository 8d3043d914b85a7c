"""Guessing a PIN: the count is the offer's, survives a restart, and is nobody else's (R12)."""

from __future__ import annotations

from pathlib import Path

import httpx

from passport_issuer.app import Parts, build
from passport_shared.outbound import Outbound
from passport_testkit.apps import protocol_error
from passport_testkit.databases import FreshDatabases, at_once
from passport_testkit.issuers import ENTITY, ISSUER, IssuerBench, check_body, issuer_settings, running_issuer
from passport_testkit.wallet import PRE_AUTHORIZED, WalletSimulator

UNKNOWN = "a-token-that-was-never-given-to-anybody-000"


async def offered(issuer: IssuerBench) -> tuple[dict[str, object], str, str]:
    """An open offer, its PIN and its id."""
    staff_id = await issuer.staff(external_ids=[])
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    return await issuer.wallet().read_offer(made["credential_offer"]), made["tx_code"], made["id"]


def wrong(pin: str, step: int) -> str:
    return f"{(int(pin) + 1 + step) % 1_000_000:06d}"


async def test_wrong_pins_are_remembered_over_a_restart(databases: FreshDatabases, tmp_path: Path) -> None:
    url = await databases.url("passport_issuer")
    async with running_issuer(tmp_path, url) as issuer:
        offer, pin, _ = await offered(issuer)
        another, other_pin, _ = await offered(issuer)
        for step in range(3):
            protocol_error(await issuer.wallet().request_token(offer, wrong(pin, step)), 400, "invalid_grant")
        clock, clients = issuer.clock, issuer.clients
        outbound, trust = Outbound(transport=issuer.wire), issuer.registry.trust_file.as_bytes()
    parts = Parts(clock=clock, outbound=outbound, clients=clients, background=False)
    app = build(issuer_settings(tmp_path, url, trust), parts)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
            wallet = WalletSimulator(http, clock)
            for step in range(3, 5):
                protocol_error(await wallet.request_token(offer, wrong(pin, step)), 400, "invalid_grant")
            protocol_error(await wallet.request_token(offer, pin), 400, "invalid_grant")
            assert (await wallet.request_token(another, other_pin)).status_code == 200


async def test_of_two_hundred_guesses_at_once_five_are_looked_at(
    databases: FreshDatabases, tmp_path: Path
) -> None:
    async with running_issuer(tmp_path, await databases.url("passport_issuer")) as issuer:
        offer, pin, offer_id = await offered(issuer)
        wallet = issuer.wallet()
        answers = await at_once(200, lambda step: wallet.request_token(offer, wrong(pin, step)))
        for answer in answers:
            assert isinstance(answer, httpx.Response)
            protocol_error(answer, 400, "invalid_grant")
        shown = (await issuer.call("GET", f"/offers/{offer_id}")).json()
        assert shown["pin_tries_left"] == 0
        protocol_error(await wallet.request_token(offer, pin), 400, "invalid_grant")


async def test_codes_and_tokens_that_were_never_given_open_nothing(
    databases: FreshDatabases, tmp_path: Path
) -> None:
    async with running_issuer(tmp_path, await databases.url("passport_issuer")) as issuer:
        offer, pin, offer_id = await offered(issuer)
        wallet = issuer.wallet()
        code = str(offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"])  # type: ignore[index]
        guessed = [
            code[:place] + ("A" if code[place] != "A" else "B") + code[place + 1 :]
            for place in range(len(code))
        ]
        for one in guessed:
            answer = await wallet.request_token(offer, pin, **{"pre-authorized_code": one})
            protocol_error(answer, 400, "invalid_grant")
        # A guess at the code is no guess at the PIN: it takes nobody's tries away.
        assert (await issuer.call("GET", f"/offers/{offer_id}")).json()["pin_tries_left"] == 5
        token = await wallet.token(offer, pin)
        body = {"credential_configuration_id": "OccupationalHealth_1", "proofs": {"jwt": ["e30.e30.e30"]}}
        for one in (UNKNOWN, token[:-1] + ("A" if token[-1] != "A" else "B"), token.swapcase(), token + "A"):
            protocol_error(await wallet.request_credential(ENTITY, one, body), 401, "invalid_token")
        assert (await issuer.http.get(f"{ENTITY}/i/{UNKNOWN}")).status_code == 404
