"""Our wallet between an issuer and a verifier that nobody here wrote, over real https.

npm @openid4vc/openid4vci and oauth2 issue, @sd-jwt/sd-jwt-vc signs, @openid4vc/openid4vp and dcql verify;
their keys are entities of a simulated network, so that our wallet has a reason to talk to them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from passport_shared.formats import status_list
from passport_shared.formats.federation import ClaimPath
from passport_shared.formats.freshness import ISSUER_STATUS_LIST_LIFETIME, ISSUER_STATUS_LIST_TTL
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.snapshot import part_name
from passport_shared.formats.x5c import encode_x5c
from passport_shared.outbound import Outbound
from passport_shared.service.clock import SystemClock
from passport_shared.wire import catalogue
from passport_testkit import datasets, node
from passport_testkit.clock import FrozenClock
from passport_testkit.keys import private_jwk
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.servers import answer, tls_server
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.vault import Vault
from passport_wallet.wallet import Wallet

pytestmark = [pytest.mark.peers, pytest.mark.asyncio(loop_scope="module")]

PIN = "493817"
TYPES = ("StaffIdentity", "Employment")
MAY_ASK: dict[str, Sequence[ClaimPath]] = {
    "StaffIdentity": [("family_name",), ("given_name",)],
    "Employment": [("employer_ods",)],
}
PURPOSE = {"purpose": "SERVICE_NEED_URGENT", "text": {"en-GB": "An urgent list", "cy": "Rhestr frys"}}
FAST = 2**14


@dataclass(frozen=True)
class Place:
    """The network, where its members are served, and the peer that plays issuer and verifier."""

    registry: TrustRegistrySimulator
    peer: node.NodePeer
    base: str

    @property
    def issuer(self) -> str:
        return f"{self.base}/RBV"

    @property
    def verifier(self) -> str:
        return f"{self.base}/R0A"

    def signer(self, entity_id: str, use: str) -> dict[str, Any]:
        """Key and chain of an entity, for the peer to sign with."""
        issued = self.registry.entities[entity_id].issued(use)
        return {"jwk": private_jwk(issued.key), "x5c": issued.x5c}

    @property
    def root(self) -> str:
        return encode_x5c([self.registry.authority.root_der])[0]

    def vct(self, name: str) -> str:
        return self.registry.vct(name)

    async def offer(self, *names: str, **spoil: Any) -> dict[str, str]:
        """The peer's issuer offers these types and is ready to give them."""
        now = int(self.registry.clock.now().timestamp())
        status = {"status_list": {"idx": 7, "uri": f"{self.issuer}/statuslists/list-1"}}
        credentials = {}
        for name in names or TYPES:
            data = datasets.dataset(name)
            claims = {**data, "vct": self.vct(name), "iss": self.issuer, "iat": now, "exp": now + 86_400}
            frame = {"_sd": [*data]}
            credentials[f"{name}_1"] = {"claims": {**claims, "status": status}, "frame": frame}
        tokens = SigningKey.generate()
        links: dict[str, str] = await self.peer.call(
            "issuer.serve",
            issuer=self.issuer,
            configurations={
                kind.configuration_id: catalogue.credential_configuration(kind, self.vct(kind.name))
                for kind in catalogue.TYPES.values()
            },
            credentials=credentials,
            pin=PIN,
            signer=self.signer(self.issuer, "credential"),
            tokens={**private_jwk(tokens), "kid": tokens.kid},
            spoil=spoil,
        )
        return links

    async def ask(self, asked: dict[str, list[str]] | None = None, **more: Any) -> dict[str, str]:
        """The peer's verifier asks for these claims by type, for an urgent list unless said otherwise."""
        wanted = asked or {"StaffIdentity": ["family_name"], "Employment": ["employer_ods"]}
        query = {
            "credentials": [
                {
                    "id": name,
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [self.vct(name)]},
                    "claims": [{"path": [claim]} for claim in claims],
                }
                for name, claims in wanted.items()
            ]
        }
        members = {
            "verifier": self.verifier,
            "query": query,
            "purpose": PURPOSE,
            "signer": self.signer(self.verifier, "request"),
            "root": self.root,
            "statusToken": self.status_token(),
        }
        made: dict[str, str] = await self.peer.call("verifier.ask", **{**members, **more})
        return made

    def status_token(self, status: int = status_list.VALID) -> str:
        """The issuer's status list as its own status leaf signs it."""
        listed = status_list.StatusList(bits=2, size=1024)
        listed.set(7, status)
        leaf, now = self.registry.entities[self.issuer].issued("status"), self.registry.clock.now()
        return status_list.sign_token(
            listed,
            uri=f"{self.issuer}/statuslists/list-1",
            key=leaf.key,
            x5c=leaf.x5c,
            iat=now,
            exp=now + ISSUER_STATUS_LIST_LIFETIME,
            ttl=ISSUER_STATUS_LIST_TTL,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(peer, tls_files, tls_context) -> AsyncIterator[Place]:
    started = await peer.call(
        "https.start", cert=tls_files.certificate.read_text(), key=tls_files.key.read_text()
    )
    async with tls_server(tls_context, {}) as server:
        clock = FrozenClock(SystemClock().now().replace(microsecond=0))
        registry = TrustRegistrySimulator(clock, anchor=server.url(""))
        made = Place(registry, peer, started["url"])
        registry.enrol_issuer(made.issuer, types=TYPES)
        registry.enrol_verifier(made.verifier, asks=MAY_ASK)
        published = registry.publish()
        media_type = "application/staff-passport-snapshot+jwt"
        server.routes["/federation/snapshot"] = answer(published.manifest.encode(), content_type=media_type)
        for content in published.parts.values():
            server.routes[f"/federation/parts/{part_name(content)}"] = answer(content)
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def wallet(place, tls_files, tmp_path) -> AsyncIterator[Wallet]:
    hosts = frozenset(urlsplit(url).netloc for url in (place.base, place.registry.anchor))
    outbound = Outbound(ca_file=tls_files.ca, allow=hosts)
    vault = Vault.create(tmp_path / "wallet.json", "passphrase", scrypt_n=FAST)
    made = Wallet(vault, tmp_path, outbound, place.registry.clock)
    await made.trust(place.registry.trust_file.as_bytes())
    yield made
    vault.close()
    await outbound.close()


async def refusal(awaitable) -> tuple[Refusal, str | None]:
    with pytest.raises(WalletError) as caught:
        await awaitable
    return caught.value.reason, caught.value.code


@pytest_asyncio.fixture(loop_scope="module")
async def full(place, wallet):
    """The wallet with both credentials of the peer's issuer."""
    links = await place.offer()
    await wallet.accept(await wallet.read_offer(links["byValue"]), PIN)
    return wallet


class TestTheirIssuer:
    @pytest.mark.parametrize("link", ["byValue", "byReference"])
    async def test_our_wallet_collects_everything(self, place, wallet, link):
        links = await place.offer()
        offer = await wallet.read_offer(links[link])
        assert (offer.issuer, offer.needs_pin, offer.pin_length) == (place.issuer, True, len(PIN))
        kept = await wallet.accept(offer, PIN)
        assert [held.vct for held in kept] == [place.vct(name) for name in TYPES]
        assert wallet.details(kept[0].id)["family_name"] == datasets.PERSON["family_name"]
        seen = await place.peer.call("issuer.report")
        assert seen["refusals"] == []
        assert seen["proofs"] == [{"typ": "openid4vci-proof+jwt", "aud": place.issuer}] * len(TYPES)
        assert seen["notifications"] == ["credential_accepted"] * len(TYPES)

    async def test_it_refuses_a_wrong_pin_and_our_wallet_says_so(self, place, wallet):
        links = await place.offer()
        offer = await wallet.read_offer(links["byValue"])
        assert await refusal(wallet.accept(offer, "000000")) == (Refusal.ISSUER_ANSWERED, "invalid_grant")
        assert await refusal(wallet.accept(offer, None)) == (Refusal.ISSUER_ANSWERED, "invalid_request")
        assert wallet.held() == ()

    async def test_it_checks_the_nonce_of_our_proof(self, place, wallet):
        links = await place.offer(nonce=True)
        offer = await wallet.read_offer(links["byValue"])
        assert await refusal(wallet.accept(offer, PIN)) == (Refusal.ISSUER_ANSWERED, "invalid_proof")
        [said] = (await place.peer.call("issuer.report"))["refusals"]
        assert "'nonce'" in said["error_description"]

    @pytest.mark.parametrize(
        ("spoil", "code"),
        [
            ({"signature": private_jwk(SigningKey.generate())}, "bad_issuer_signature"),
            ({"holder": dict(SigningKey.generate().public.jwk)}, None),
        ],
    )
    async def test_our_wallet_keeps_nothing_that_does_not_verify(self, place, wallet, spoil, code):
        links = await place.offer("StaffIdentity", **spoil)
        offer = await wallet.read_offer(links["byValue"])
        reason, found = await refusal(wallet.accept(offer, PIN))
        assert reason is Refusal.CREDENTIAL_REFUSED
        assert found == code
        assert wallet.held() == ()
        assert (await place.peer.call("issuer.report"))["notifications"] == ["credential_failure"]

    async def test_our_wallet_takes_no_type_the_network_does_not_let_it_issue(self, place, wallet):
        links = await place.offer("DbsOutcome")
        reason, _ = await refusal(wallet.read_offer(links["byValue"]))
        assert reason is Refusal.TYPE_NOT_AUTHORISED


class TestTheirVerifier:
    @pytest.mark.parametrize("method", ["get", "post"])
    async def test_it_reads_what_our_wallet_shares_and_finds_nothing_to_refuse(self, place, full, method):
        made = await place.ask(method=method)
        request = await full.read_request(made["link"])
        assert (request.verifier, request.purpose) == (place.verifier, "SERVICE_NEED_URGENT")
        redirect = await full.share(request)
        report = await place.peer.call("verifier.report")
        assert "rejected" not in report
        assert (redirect or "").startswith(f"{place.verifier}/done#response_code=")
        seen = report["presented"]
        assert seen["satisfied"] is True
        assert (seen["encrypted"], seen["enc"]) == ("Encrypted", "A128GCM")
        person = seen["claims"]["StaffIdentity"]
        assert person["family_name"] == datasets.PERSON["family_name"]
        assert not {"given_name", "birthdate", "provenance"} & person.keys()
        assert seen["claims"]["Employment"]["employer_ods"] == "RBV"

    async def test_it_reads_a_no(self, place, full):
        made = await place.ask()
        await full.decline(await full.read_request(made["link"]))
        seen = await place.peer.call("verifier.report")
        assert seen["refusal"] == {"error": "access_denied", "state": True}
        assert "presented" not in seen

    async def test_it_refuses_ours_once_the_issuer_says_the_credential_is_suspended(self, place, full):
        made = await place.ask(statusToken=place.status_token(status_list.SUSPENDED))
        request = await full.read_request(made["link"])
        reason, _ = await refusal(full.share(request))
        assert reason is Refusal.VERIFIER_ANSWERED
        assert await place.peer.call("verifier.report") == {"rejected": "status 2"}

    async def test_it_refuses_an_answer_to_another_request(self, place, full):
        first = await full.read_request((await place.ask())["link"])
        await place.ask()  # a new request with new keys takes the place of the first
        reason, _ = await refusal(full.share(first))
        assert reason is Refusal.VERIFIER_ANSWERED
        assert await place.peer.call("verifier.report") == {"rejected": "decryption operation failed"}

    @pytest.mark.parametrize(
        ("asked", "code"),
        [
            ({"StaffIdentity": ["family_name", "birthdate"]}, "claims_not_authorised"),
            ({"DbsOutcome": ["level"]}, "type_not_authorised"),
        ],
    )
    async def test_our_wallet_refuses_to_be_asked_too_much(self, place, full, asked, code):
        made = await place.ask(asked)
        assert await refusal(full.read_request(made["link"])) == (Refusal.OVER_ASKING, code)

    async def test_our_wallet_refuses_a_purpose_the_verifier_may_not_ask_for(self, place, full):
        made = await place.ask(purpose={**PURPOSE, "purpose": "CURIOSITY"})
        reason, _ = await refusal(full.read_request(made["link"]))
        assert reason is Refusal.OVER_ASKING

    @pytest.mark.parametrize(
        "spoilt",
        [
            {"purpose": None},
            {"signWith": private_jwk(SigningKey.generate())},
            {"changes": {"client_id": "x509_hash:" + "A" * 43}},
            {"changes": {"nonce": "short"}},
            {"changes": {"response_uri": "https://localhost/elsewhere"}},
            {"changes": {"response_mode": "direct_post"}},
            {"changes": {"client_metadata": {}}},
            {"changes": {"transaction_data": ["e30"]}},
        ],
        ids=lambda spoilt: ",".join(spoilt.get("changes", spoilt)),
    )
    async def test_our_wallet_answers_no_request_that_breaks_the_profile(self, place, full, spoilt):
        made = await place.ask(**spoilt)
        reason, _ = await refusal(full.read_request(made["link"]))
        assert reason is Refusal.BAD_REQUEST

    async def test_our_wallet_answers_nobody_with_a_leaf_of_another_use(self, place, full):
        made = await place.ask(signer=place.signer(place.issuer, "credential"))
        reason, _ = await refusal(full.read_request(made["link"]))
        assert reason is Refusal.UNKNOWN_VERIFIER
