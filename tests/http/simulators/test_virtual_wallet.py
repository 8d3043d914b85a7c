"""The virtual wallet: the reference wallet answered for by an API, against issuers and verifiers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from deploy.simulators.app import create_app
from deploy.simulators.settings import Settings
from passport_shared.outbound import Outbound
from passport_shared.service.clock import SystemClock
from passport_testkit.clock import FrozenClock
from passport_testkit.counterparts import World
from passport_testkit.network import CHRISTIE, MANCHESTER, TrustRegistrySimulator

URL = "https://localhost:9003"
NAMES = [("family_name",), ("given_name",)]


@dataclass
class Sandbox:
    """The API, and the network its wallets are in."""

    http: httpx.AsyncClient
    world: World
    settings: Settings

    async def post(self, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
        answer = await self.http.post(f"/wallet/{path}", json=body)
        assert answer.status_code == status, answer.text
        said: dict[str, Any] = answer.json()
        return said

    async def wallet(self, **about: Any) -> str:
        made = await self.post("wallets", {"name": "Adaeze's phone", **about}, 201)
        return f"wallets/{made['id']}"

    async def filled(self, **about: Any) -> str:
        wallet = await self.wallet(**about)
        await self.post(f"{wallet}/accept", self.offer())
        return wallet

    def offer(self) -> dict[str, Any]:
        return {"credential_offer_uri": self.world.issuer.link(), "tx_code": self.world.issuer.pin}


@pytest.fixture
async def sandbox(tmp_path) -> AsyncIterator[Sandbox]:
    registry = TrustRegistrySimulator(FrozenClock(SystemClock().now()))
    registry.enrol_issuer()
    registry.enrol_verifier(asks={"StaffIdentity": NAMES, "Employment": [("employer_ods",)]})
    world = World(registry)
    trust = tmp_path / "trust.json"
    trust.write_bytes(registry.trust_file.as_bytes())
    settings = Settings(public_url=URL, folder=tmp_path / "simulators", trust_file=trust)
    outbound = Outbound(transport=world.transport())
    app = create_app(settings, outbound=outbound)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=URL) as http:
        yield Sandbox(http, world, settings)
    async with app.router.lifespan_context(app):
        pass  # closes every wallet


def refused(said: dict[str, Any], code: str) -> dict[str, Any]:
    assert said["code"] == code
    assert said["detail"]
    return said


class TestWallets:
    async def test_made_listed_and_deleted(self, sandbox):
        one = await sandbox.wallet()
        other = await sandbox.wallet(person="declines")
        listed = (await sandbox.http.get("/wallet/wallets")).json()["items"]
        assert {f"wallets/{item['id']}": item["person"] for item in listed} == {one: None, other: "declines"}
        assert (await sandbox.http.get(f"/wallet/{one}")).json()["credentials"] == 0
        assert (await sandbox.http.delete(f"/wallet/{one}")).status_code == 204
        assert (await sandbox.http.get(f"/wallet/{one}")).status_code == 404
        assert not list(sandbox.settings.folder.glob(f"{one}/*"))

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": ""},
            {"name": "x" * 81},
            {"name": "a\nb"},
            {"name": 7},
            {"name": "x", "person": "nobody"},
            {"name": "x", "person": 1},
            {"name": "x", "colour": "red"},
        ],
    )
    async def test_a_wallet_that_is_none(self, sandbox, body):
        refused(await sandbox.post("wallets", body, 422), "invalid_request")
        assert (await sandbox.http.get("/wallet/wallets")).json()["items"] == []

    @pytest.mark.parametrize("wallet_id", ["x", "..", "A" * 22, "%2e%2e%2fclients.json"])
    async def test_a_wallet_nobody_made(self, sandbox, wallet_id):
        for path in (f"/wallet/wallets/{wallet_id}", f"/wallet/wallets/{wallet_id}/credentials"):
            assert (await sandbox.http.get(path)).status_code == 404

    async def test_without_a_network_there_is_no_wallet(self, sandbox):
        sandbox.settings.trust_file.unlink()
        refused(await sandbox.post("wallets", {"name": "x"}, 503), "no_network")
        sandbox.settings.trust_file.write_text("{}")
        refused(await sandbox.post("wallets", {"name": "x"}, 409), "bad_trust_file")
        assert (await sandbox.http.get("/wallet/wallets")).json()["items"] == []

    async def test_a_wallet_outlives_a_restart(self, sandbox):
        wallet = await sandbox.filled()
        outbound = Outbound(transport=sandbox.world.transport())
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=create_app(sandbox.settings, outbound=outbound)), base_url=URL
        ) as again:
            # the first process still holds the vault: one at a time, and said so
            held = await again.get(f"/wallet/{wallet}/credentials")
            assert (held.status_code, held.json()["code"]) == (409, "vault_in_use")


class TestCollecting:
    async def test_with_an_offer_and_a_pin(self, sandbox):
        wallet = await sandbox.wallet()
        said = await sandbox.post(f"{wallet}/accept", sandbox.offer())
        assert said["issuer"] == CHRISTIE
        assert [one["type"] for one in said["credentials"]] == ["StaffIdentity", "Employment"]
        held = (await sandbox.http.get(f"/wallet/{wallet}/credentials")).json()["items"]
        assert held == said["credentials"]
        one = (await sandbox.http.get(f"/wallet/{wallet}/credentials/{held[0]['id']}")).json()
        assert one["details"]["family_name"] == "Okonkwo-Price"

    async def test_the_offer_itself_or_its_address_is_as_good(self, sandbox):
        link = sandbox.world.issuer.link()
        offer = parse_qs(urlsplit(link).query)["credential_offer"][0]
        pin = sandbox.world.issuer.pin
        for body in (
            {"credential_offer": link},
            {"credential_offer": offer},
            {"credential_offer": json.loads(offer)},
            {"credential_offer_uri": f"{CHRISTIE}/offers/1"},
        ):
            wallet = await sandbox.wallet()
            said = await sandbox.post(f"{wallet}/accept", {**body, "tx_code": pin})
            assert len(said["credentials"]) == 2

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({}, 422, "invalid_request"),
            ({"credential_offer": {}, "credential_offer_uri": "https://x.example"}, 422, "invalid_request"),
            ({"credential_offer": 1}, 422, "invalid_request"),
            ({"credential_offer": "x" * 40_000}, 422, "invalid_request"),
            ({"credential_offer": {}, "tx_code": 123456}, 422, "invalid_request"),
            ({"credential_offer": {}}, 422, "bad_offer"),
            ({"credential_offer": "{"}, 422, "bad_offer"),
            ({"credential_offer": "https://[x"}, 422, "bad_offer"),
            ({"credential_offer": "mailto:somebody"}, 422, "bad_offer"),
            ({"credential_offer": "openid-credential-offer://?" + "a=1&" * 9}, 422, "bad_offer"),
            ({"credential_offer_uri": "https://evil.example/offers/1"}, 409, "unknown_issuer"),
        ],
    )
    async def test_an_offer_that_is_none(self, sandbox, body, status, code):
        wallet = await sandbox.wallet()
        refused(await sandbox.post(f"{wallet}/accept", body, status), code)

    async def test_a_wrong_pin_is_the_issuer_s_no(self, sandbox):
        wallet = await sandbox.wallet()
        said = await sandbox.post(f"{wallet}/accept", {**sandbox.offer(), "tx_code": "000000"}, 502)
        assert refused(said, "issuer_answered")["other_side_said"] == "invalid_grant"


class TestSharing:
    async def test_yes_shares_exactly_what_was_asked(self, sandbox):
        wallet = await sandbox.filled()
        said = await sandbox.post(
            f"{wallet}/present", {"request_uri": sandbox.world.verifier.link(), "agree": True}
        )
        assert (said["verifier"], said["sent"], said["sandbox"]) == (MANCHESTER, True, False)
        assert (said["purpose"], said["purpose_text"]) == ("SERVICE_NEED_URGENT", "An urgent operating list")
        [asked] = said["asked"]
        assert (asked["type"], asked["name"], asked["shared"]) == ("StaffIdentity", "Identity", True)
        assert len(asked["details"]) == 2
        assert sandbox.world.verifier.received[0]["vp_token"].keys() == {"StaffIdentity"}

    async def test_no_tells_the_verifier_no_and_nothing_else(self, sandbox):
        wallet = await sandbox.filled()
        said = await sandbox.post(
            f"{wallet}/present", {"request_uri": sandbox.world.verifier.link(), "agree": False}
        )
        assert (said["sent"], said["asked"][0]["shared"]) == (False, False)
        assert sandbox.world.verifier.received == [
            {"error": "access_denied", "state": sandbox.world.verifier.state}
        ]

    async def test_an_address_with_a_client_id_is_a_link_too(self, sandbox):
        wallet = await sandbox.filled()
        verifier = sandbox.world.verifier
        body = {"request_uri": f"{MANCHESTER}/oid4vp/requests/1", "client_id": verifier.client_id}
        assert (await sandbox.post(f"{wallet}/present", {**body, "agree": True}))["sent"]

    async def test_the_purpose_in_welsh(self, sandbox):
        wallet = await sandbox.filled()
        body = {"request_uri": sandbox.world.verifier.link(), "agree": False, "language": "cy"}
        assert (await sandbox.post(f"{wallet}/present", body))["purpose_text"] == "Rhestr frys"

    async def test_a_sandbox_person_answers_as_that_person_does(self, sandbox):
        link = sandbox.world.verifier.link()
        for person, sent in (("declines", False), ("ready", True)):
            wallet = await sandbox.filled(person=person)
            assert (await sandbox.post(f"{wallet}/present", {"request_uri": link}))["sent"] is sent
        said = await sandbox.post(f"{wallet}/present", {"request_uri": link, "agree": False})
        assert said["sent"] is False

    async def test_what_is_withheld_is_not_sent_and_still_there(self, sandbox):
        verifier = sandbox.world.verifier
        verifier.asks = {"StaffIdentity": [["family_name"]], "Employment": [["employer_ods"]]}
        verifier.spoil["claims"] = lambda claims: {
            **claims,
            "dcql_query": {
                **claims["dcql_query"],
                "credential_sets": [
                    {"options": [["StaffIdentity"]]},
                    {"options": [["Employment"]], "required": False},
                ],
            },
        }
        wallet = await sandbox.filled()
        body = {"request_uri": verifier.link(), "agree": True}
        said = await sandbox.post(f"{wallet}/present", {**body, "withhold": ["Employment"]})
        assert {one["type"]: one["shared"] for one in said["asked"]} == {
            "StaffIdentity": True,
            "Employment": False,
        }
        said = await sandbox.post(f"{wallet}/present", body)
        assert all(one["shared"] for one in said["asked"])
        assert [set(one["vp_token"]) for one in verifier.received] == [
            {"StaffIdentity"},
            {"StaffIdentity", "Employment"},
        ]
        refused(
            await sandbox.post(f"{wallet}/present", {**body, "withhold": ["StaffIdentity"]}, 409), "not_held"
        )
        assert len(verifier.received) == 2

    async def test_a_record_that_was_removed_is_not_held(self, sandbox):
        wallet = await sandbox.filled()
        [identity, _] = (await sandbox.http.get(f"/wallet/{wallet}/credentials")).json()["items"]
        path = f"/wallet/{wallet}/credentials/{identity['id']}"
        assert (await sandbox.http.delete(path)).status_code == 204
        assert (await sandbox.http.get(path)).json()["code"] == "no_such_record"
        body = {"request_uri": sandbox.world.verifier.link(), "agree": True}
        refused(await sandbox.post(f"{wallet}/present", body, 409), "not_held")

    async def test_over_asking_is_refused_by_name(self, sandbox):
        wallet = await sandbox.filled()
        sandbox.world.verifier.asks = {"StaffIdentity": [["family_name"], ["birthdate"]]}
        body = {"request_uri": sandbox.world.verifier.link(), "agree": True}
        said = refused(await sandbox.post(f"{wallet}/present", body, 409), "over_asking")
        assert "Manchester" in said["detail"]
        assert "birthdate" in said["detail"]
        assert sandbox.world.verifier.received == []

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"agree": True}, 422, "invalid_request"),
            ({"request_uri": 1, "agree": True}, 422, "invalid_request"),
            (
                {"request_uri": "https://verifier.example/R0A/oid4vp/requests/1", "agree": True},
                422,
                "invalid_request",
            ),
            ({"request_uri": "{link}"}, 422, "invalid_request"),
            ({"request_uri": "{link}", "agree": "yes"}, 422, "invalid_request"),
            ({"request_uri": "{link}", "agree": True, "withhold": "x"}, 422, "invalid_request"),
            ({"request_uri": "{link}", "agree": True, "language": "fr"}, 422, "invalid_request"),
            ({"request_uri": "{link}", "agree": True, "nonce": "x"}, 422, "invalid_request"),
            ({"request_uri": "nonsense", "agree": True}, 422, "bad_request"),
            ({"request_uri": "openid4vp://[x", "agree": True}, 422, "bad_request"),
            ({"request_uri": "openid4vp://?" + "a=1&" * 9, "agree": True}, 422, "bad_request"),
            (
                {"request_uri": "openid4vp://?client_id=x&request_uri=https://evil.example/1", "agree": True},
                409,
                "unknown_verifier",
            ),
        ],
    )
    async def test_a_request_that_is_none(self, sandbox, body, status, code):
        wallet = await sandbox.filled()
        link = sandbox.world.verifier.link()
        sent = {name: link if value == "{link}" else value for name, value in body.items()}
        refused(await sandbox.post(f"{wallet}/present", sent, status), code)
        assert sandbox.world.verifier.received == []

    async def test_the_verifier_s_no_is_told(self, sandbox):
        wallet = await sandbox.filled()
        sandbox.world.verifier.status = 400
        body = {"request_uri": sandbox.world.verifier.link(), "agree": True}
        said = refused(await sandbox.post(f"{wallet}/present", body, 502), "verifier_answered")
        assert said["other_side_said"] == "invalid_request"
