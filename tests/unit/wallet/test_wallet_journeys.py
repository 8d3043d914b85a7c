"""The wallet against issuers and verifiers, good and bad: nobody is told a thing before they are known."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pytest

from passport_shared.formats import sd_jwt
from passport_shared.outbound import Outbound
from passport_testkit.clock import FrozenClock
from passport_testkit.counterparts import World
from passport_testkit.keys import key
from passport_testkit.network import CHRISTIE, MANCHESTER, TrustRegistrySimulator, vct
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.vault import Vault
from passport_wallet.wallet import Wallet

FAST = 2**14
NAMES = [("family_name",), ("given_name",)]


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def world(clock):
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    registry.enrol_verifier(asks={"StaffIdentity": NAMES, "Employment": [("employer_ods",)]})
    return World(registry)


@pytest.fixture
def vault(tmp_path):
    vault = Vault.create(tmp_path / "wallet.json", "passphrase", scrypt_n=FAST)
    yield vault
    vault.close()


@pytest.fixture
async def wallet(world, vault, tmp_path, clock):
    outbound = Outbound(transport=world.transport())
    wallet = Wallet(vault, tmp_path, outbound, clock)
    await wallet.trust(world.registry.trust_file.as_bytes())
    world.requests.clear()
    yield wallet
    await outbound.close()


async def collected(wallet, world):
    return await wallet.accept(await wallet.read_offer(world.issuer.link()), world.issuer.pin)


async def refusal(awaitable) -> Refusal:
    with pytest.raises(WalletError) as caught:
        await awaitable
    return caught.value.reason


def outside(world) -> list[str]:
    """Requests that left for anybody but the registry."""
    return [request for request in world.requests if "registry.example" not in request]


class TestCollecting:
    async def test_the_whole_passport_with_one_offer_and_one_pin(self, wallet, world):
        kept = await collected(wallet, world)
        assert [c.configuration_id for c in kept] == ["StaffIdentity_1", "Employment_1"]
        assert len({c.kid for c in kept}) == 1
        assert wallet.held() == tuple(kept)
        assert wallet.details(kept[0].id)["family_name"] == "Okonkwo-Price"
        assert [n["event"] for n in world.issuer.notified] == ["credential_accepted"] * 2

    async def test_two_posts_are_two_records_and_both_are_kept(self, wallet, world):
        details = [
            {
                "type": "openid_credential",
                "credential_configuration_id": f"{name}_1",
                "credential_identifiers": [f"{name}_1.{number}" for number in range(count)],
            }
            for name, count in (("StaffIdentity", 1), ("Employment", 2))
        ]
        world.issuer.spoil["token"] = lambda m: {**m, "authorization_details": details}
        for _ in range(2):
            kept = await collected(wallet, world)
            assert [c.configuration_id for c in kept] == ["StaffIdentity_1", *["Employment_1"] * 2]
            assert wallet.held() == tuple(kept)
        assert world.issuer.asked == ["StaffIdentity_1.0", "Employment_1.0", "Employment_1.1"] * 2

    async def test_an_offer_by_reference(self, wallet, world):
        link = "openid-credential-offer://?" + urlencode({"credential_offer_uri": f"{CHRISTIE}/offers/1"})
        assert (await wallet.read_offer(link)).issuer == CHRISTIE

    async def test_the_person_reads_who_offers_before_anything_is_asked(self, wallet, world):
        offer = await wallet.read_offer(world.issuer.link())
        assert offer.issuer_name == "The Christie NHS Foundation Trust"
        assert (offer.needs_pin, offer.pin_length) == (True, 6)
        assert outside(world) == []

    @pytest.mark.parametrize(
        "issuer",
        [
            "https://issuer.example/RBV/",
            "https://issuer.example/rbv",
            "https://issuer.example./RBV",
            "https://issuer.example:443/RBV",
            "https://1ssuer.example/RBV",
            "https://issuer.example/RBV?x",
            "http://issuer.example/RBV",
        ],
    )
    async def test_an_issuer_the_network_does_not_list_is_not_even_contacted(self, wallet, world, issuer):
        link = world.issuer.link(credential_issuer=issuer)
        assert await refusal(wallet.read_offer(link)) is Refusal.UNKNOWN_ISSUER
        assert outside(world) == []

    @pytest.mark.parametrize(
        "uri", ["https://evil.example/RBV/offers/1", "https://issuer.example/offers/1", "https://127.0.0.1/x"]
    )
    async def test_an_offer_elsewhere_is_not_fetched(self, wallet, world, uri):
        link = "openid-credential-offer://?" + urlencode({"credential_offer_uri": uri})
        assert await refusal(wallet.read_offer(link)) is Refusal.UNKNOWN_ISSUER
        assert outside(world) == []

    async def test_a_type_the_issuer_may_not_issue_is_refused(self, wallet, world):
        link = world.issuer.link(credential_configuration_ids=["DbsOutcome_1"])
        assert await refusal(wallet.read_offer(link)) is Refusal.TYPE_NOT_AUTHORISED

    async def test_a_verifier_is_not_an_issuer(self, wallet, world):
        link = world.issuer.link(credential_issuer=MANCHESTER)
        assert await refusal(wallet.read_offer(link)) is Refusal.TYPE_NOT_AUTHORISED

    async def test_a_suspended_issuer_is_refused(self, wallet, world, clock):
        world.registry.suspend(CHRISTIE)
        clock.advance(timedelta(minutes=1))
        world.publish()
        assert await refusal(wallet.read_offer(world.issuer.link())) is Refusal.TYPE_NOT_AUTHORISED

    @pytest.mark.parametrize(
        "changes",
        [
            {"credential_configuration_ids": []},
            {"credential_configuration_ids": ["StaffIdentity_1", "StaffIdentity_1"]},
            {"credential_configuration_ids": "StaffIdentity_1"},
            {"grants": {}},
            {"grants": {"authorization_code": {}}},
            {"credential_issuer": None},
        ],
    )
    async def test_a_broken_offer_is_refused(self, wallet, world, changes):
        assert await refusal(wallet.read_offer(world.issuer.link(**changes))) is Refusal.BAD_OFFER

    @pytest.mark.parametrize("link", ["", "https://issuer.example/RBV/o/1", "openid-credential-offer://?x=1"])
    async def test_what_is_no_offer_is_refused(self, wallet, link):
        assert await refusal(wallet.read_offer(link)) is Refusal.BAD_OFFER

    async def test_a_wrong_pin_keeps_nothing(self, wallet, world):
        offer = await wallet.read_offer(world.issuer.link())
        with pytest.raises(WalletError) as caught:
            await wallet.accept(offer, "000000")
        assert (caught.value.reason, caught.value.code) == (Refusal.ISSUER_ANSWERED, "invalid_grant")
        assert wallet.held() == ()

    @pytest.mark.parametrize(
        ("what", "spoiler"),
        [
            ("metadata", lambda m: {**m, "credential_issuer": CHRISTIE + "/"}),
            ("metadata", lambda m: {**m, "credential_endpoint": "https://evil.example/credential"}),
            ("metadata", lambda m: {**m, "nonce_endpoint": "https://issuer.example/RBVX/nonce"}),
            ("metadata", lambda m: {**m, "authorization_servers": ["https://evil.example"]}),
            ("metadata", lambda m: {**m, "authorization_servers": 7}),
            ("token", lambda m: {**m, "authorization_details": {}}),
            ("token", lambda m: {**m, "authorization_details": [7]}),
            ("token", lambda m: {**m, "authorization_details": [{"credential_configuration_id": "x"}]}),
            ("server", lambda m: {**m, "issuer": "https://evil.example"}),
            ("server", lambda m: {**m, "token_endpoint": "https://evil.example/token"}),
            ("token", lambda m: {}),
            ("credential", lambda m: {"credentials": []}),
            ("credential", lambda m: {"credentials": [{}, {}]}),
        ],
    )
    async def test_an_issuer_that_answers_wrongly_gets_no_further(self, wallet, world, what, spoiler):
        world.issuer.spoil[what] = spoiler
        assert await refusal(collected(wallet, world)) is Refusal.ISSUER_ANSWERED
        assert wallet.held() == ()
        assert not any("evil" in request for request in world.requests)

    @pytest.mark.parametrize(
        ("what", "spoiler"),
        [
            ("claims", lambda c: {**c, "vct": vct("Employment")}),
            ("metadata", lambda m: {**m, "credential_configurations_supported": {"StaffIdentity_1": 5}}),
            ("metadata", lambda m: {**m, "credential_configurations_supported": 5}),
            ("claims", lambda c: {**c, "cnf": {"jwk": dict(key("somebody else").public.jwk)}}),
            ("claims", lambda c: {**c, "exp": c["iat"] + 40_000_000}),
            (
                "credential",
                lambda m: {**m, "credentials": [{"credential": m["credentials"][0]["credential"] + "x"}]},
            ),
        ],
    )
    async def test_a_credential_that_does_not_verify_is_not_kept_and_the_issuer_is_told(
        self, wallet, world, what, spoiler
    ):
        world.issuer.types = ["StaffIdentity"]
        world.issuer.spoil[what] = spoiler
        assert await refusal(collected(wallet, world)) is Refusal.CREDENTIAL_REFUSED
        assert wallet.held() == ()
        assert [told["event"] for told in world.issuer.notified] == ["credential_failure"]

    async def test_a_newer_record_of_the_same_type_replaces_the_older(self, wallet, world):
        first = await collected(wallet, world)
        second = await collected(wallet, world)
        assert {c.id for c in wallet.held()} == {c.id for c in second}
        assert not {c.id for c in first} & {c.id for c in wallet.held()}

    async def test_an_issuer_that_is_down_is_named_and_nothing_is_lost(self, wallet, world):
        offer = await wallet.read_offer(world.issuer.link())
        world.down.add("issuer.example")
        assert await refusal(wallet.accept(offer, world.issuer.pin)) is Refusal.ISSUER_UNREACHABLE
        world.down.clear()


class TestSharing:
    async def test_it_shows_who_asks_for_what_and_shares_exactly_that(self, wallet, world):
        await collected(wallet, world)
        request = await wallet.read_request(world.verifier.link())
        assert request.verifier_name == "Manchester University NHS Foundation Trust"
        assert request.purpose_text == "An urgent operating list"
        assert [(r.name, r.held is not None) for r in request.records] == [
            ("Identity", True)
        ] or request.records
        assert world.verifier.received == []
        await wallet.share(request)
        [answer] = world.verifier.received
        assert answer["state"] == world.verifier.state
        assert answer["header"]["kid"] == world.verifier.kid
        [presented] = answer["vp_token"]["StaffIdentity"]
        shown = sd_jwt.process(sd_jwt.parse(presented))
        assert shown["family_name"] == "Okonkwo-Price"
        assert "birthdate" not in shown
        assert "holder_ref" not in shown

    async def test_the_request_may_be_fetched_by_post_and_repeats_our_nonce(self, wallet, world):
        await collected(wallet, world)
        link = world.verifier.link(request_uri_method="post")
        assert (await wallet.read_request(link)).verifier == MANCHESTER
        world.verifier.spoil["claims"] = lambda c: {**c, "wallet_nonce": "another"}
        assert await refusal(wallet.read_request(link)) is Refusal.BAD_REQUEST

    async def test_the_purpose_is_read_in_welsh(self, wallet, world):
        assert (await wallet.read_request(world.verifier.link(), locale="cy")).purpose_text == "Rhestr frys"

    async def test_saying_no_tells_them_no_and_nothing_else(self, wallet, world):
        await collected(wallet, world)
        await wallet.decline(await wallet.read_request(world.verifier.link()))
        assert world.verifier.received == [{"error": "access_denied", "state": world.verifier.state}]

    async def test_what_is_not_held_is_not_answered(self, wallet, world):
        request = await wallet.read_request(world.verifier.link())
        assert [record.name for record in request.missing] == [request.records[0].name]
        assert await refusal(wallet.share(request)) is Refusal.NOT_HELD
        assert world.verifier.received == []

    @pytest.mark.parametrize(
        "uri",
        [
            "https://evil.example/R0A/oid4vp/requests/1",
            "https://verifier.example/oid4vp/requests/1",
            "https://verifier.example/r0a/oid4vp/requests/1",
            "http://verifier.example/R0A/oid4vp/requests/1",
        ],
    )
    async def test_a_stranger_is_not_even_contacted(self, wallet, world, uri):
        link = world.verifier.link(request_uri=uri)
        assert await refusal(wallet.read_request(link)) is Refusal.UNKNOWN_VERIFIER
        assert outside(world) == []

    async def test_a_stranger_with_a_certificate_of_its_own_making_is_refused(self, wallet, world):
        other = TrustRegistrySimulator(world.registry.clock)
        stranger = other.enrol_verifier()
        world.verifier.spoil["headers"] = lambda h: {"x5c": stranger.issued("request").x5c}
        assert await refusal(wallet.read_request(world.verifier.link())) is Refusal.BAD_REQUEST

    async def test_one_verifier_cannot_ask_in_the_name_of_another(self, wallet, world):
        other = world.registry.enrol_verifier("https://verifier.example/RM3", asks={"StaffIdentity": NAMES})
        world.registry.clock.advance(timedelta(seconds=5))
        world.publish()
        leaf = other.issued("request")
        mine = world.registry.entities[MANCHESTER]
        mine.leaves["request"] = leaf
        assert await refusal(wallet.read_request(world.verifier.link())) is Refusal.UNKNOWN_VERIFIER

    async def test_an_issuer_is_not_a_verifier(self, wallet, world):
        world.verifier.entity_id = CHRISTIE
        issuer = world.registry.entities[CHRISTIE]
        issuer.leaves["request"] = issuer.issued("credential")
        link = world.verifier.link()
        world.verifier.answer, answer = world.issuer.answer, world.verifier.answer
        world.issuer.answer = answer
        assert await refusal(wallet.read_request(link)) is Refusal.UNKNOWN_VERIFIER

    @pytest.mark.parametrize("practising", [CHRISTIE, MANCHESTER])
    async def test_nothing_passes_between_a_sandbox_and_a_trust(self, wallet, world, practising):
        await collected(wallet, world)
        world.registry.make_sandbox(practising)
        world.registry.clock.advance(timedelta(seconds=5))
        world.publish()
        request = await wallet.read_request(world.verifier.link())
        assert request.sandbox is (practising == MANCHESTER)
        assert [record.held for record in request.records] == [None] * len(request.records)
        assert await refusal(wallet.share(request)) is Refusal.NOT_HELD

    async def test_a_sandbox_may_practise_with_a_sandbox(self, wallet, world):
        for entity_id in (CHRISTIE, MANCHESTER):
            world.registry.make_sandbox(entity_id)
        world.registry.clock.advance(timedelta(seconds=5))
        world.publish()
        await collected(wallet, world)
        request = await wallet.read_request(world.verifier.link())
        assert request.sandbox
        assert not request.missing

    async def test_over_asking_is_refused_by_name(self, wallet, world):
        await collected(wallet, world)
        world.verifier.asks = {"StaffIdentity": [["family_name"], ["birthdate"]]}
        with pytest.raises(WalletError) as caught:
            await wallet.read_request(world.verifier.link())
        assert caught.value.reason is Refusal.OVER_ASKING
        assert "birthdate" in str(caught.value)

    async def test_a_type_or_a_purpose_beyond_the_mark_is_refused(self, wallet, world):
        world.verifier.asks = {"DbsOutcome": [["level"]]}
        assert await refusal(wallet.read_request(world.verifier.link())) is Refusal.OVER_ASKING
        world.verifier.asks = {"StaffIdentity": [["family_name"]]}
        world.verifier.purpose = "CURIOSITY"
        assert await refusal(wallet.read_request(world.verifier.link())) is Refusal.OVER_ASKING

    @pytest.mark.parametrize(
        "spoiler",
        [
            lambda c: {**c, "response_uri": "https://evil.example/oid4vp/response"},
            lambda c: {**c, "response_uri": "https://verifier.example/RM3/oid4vp/response"},
            lambda c: {**c, "response_mode": "direct_post"},
            lambda c: {**c, "response_type": "id_token"},
            lambda c: {**c, "redirect_uri": "https://verifier.example/R0A"},
            lambda c: {**c, "aud": "https://wallet.example"},
            lambda c: {**c, "nonce": "short"},
            lambda c: {**c, "state": 7},
            lambda c: {**c, "client_id": "x509_hash:" + "A" * 43},
            lambda c: {**c, "transaction_data": ["e30"]},
            lambda c: {**c, "client_metadata": {}},
            lambda c: {**c, "client_metadata": {**c["client_metadata"], "jwks": {"keys": [{"kty": "RSA"}]}}},
            lambda c: {
                **c,
                "client_metadata": {
                    **c["client_metadata"],
                    "encrypted_response_enc_values_supported": ["A128CBC-HS256"],
                },
            },
            lambda c: {**c, "dcql_query": {"credentials": []}},
            lambda c: {**c, "dcql_query": "everything"},
            lambda c: {**c, "verifier_info": []},
            lambda c: {**c, "exp": 1_600_000_000},
            lambda c: {**c, "nbf": 4_000_000_000, "exp": 4_000_000_001},
            lambda c: {k: v for k, v in c.items() if k != "verifier_info"},
        ],
    )
    async def test_a_request_that_breaks_the_protocol_is_refused(self, wallet, world, spoiler):
        world.verifier.spoil["claims"] = spoiler
        assert await refusal(wallet.read_request(world.verifier.link())) is Refusal.BAD_REQUEST

    async def test_the_link_must_name_the_signer(self, wallet, world):
        link = world.verifier.link(client_id="x509_hash:" + "A" * 43)
        assert await refusal(wallet.read_request(link)) is Refusal.BAD_REQUEST

    async def test_a_refused_answer_is_said_with_its_code(self, wallet, world):
        await collected(wallet, world)
        request = await wallet.read_request(world.verifier.link())
        world.verifier.status = 400
        with pytest.raises(WalletError) as caught:
            await wallet.share(request)
        assert (caught.value.reason, caught.value.code) == (Refusal.VERIFIER_ANSWERED, "invalid_request")

    async def test_a_redirect_is_passed_on(self, wallet, world):
        await collected(wallet, world)
        world.verifier.spoil["answer"] = lambda _: {"redirect_uri": f"{MANCHESTER}/done?response_code=x"}
        request = await wallet.read_request(world.verifier.link())
        assert await wallet.share(request) == f"{MANCHESTER}/done?response_code=x"


class TestNetworks:
    async def test_without_a_trust_file_nothing_is_believed(self, world, vault, tmp_path, clock):
        wallet = Wallet(vault, tmp_path, Outbound(transport=world.transport()), clock)
        assert await refusal(wallet.read_offer(world.issuer.link())) is Refusal.NO_NETWORK
        assert world.requests == []

    @pytest.mark.parametrize(
        "content", [b"", b"{}", b"[]", b"\xff", b'{"entity_id":"https://x"}', b"x" * 70_000]
    )
    async def test_what_is_no_trust_file_is_refused(self, wallet, content):
        assert await refusal(wallet.trust(content)) is Refusal.BAD_TRUST_FILE

    async def test_the_registry_may_be_away_for_three_days(self, wallet, world, clock):
        world.down.add("registry.example")
        clock.advance(timedelta(hours=23))
        assert (await wallet.read_offer(world.issuer.link())).issuer == CHRISTIE
        clock.advance(timedelta(hours=50))
        assert await refusal(wallet.read_offer(world.issuer.link())) is Refusal.SNAPSHOT_REFUSED

    async def test_the_register_cannot_be_taken_back(self, wallet, world, clock):
        older = world.published
        clock.advance(timedelta(minutes=1))
        world.publish()
        await wallet.read_offer(world.issuer.link())
        world.published = older
        assert await refusal(wallet.read_offer(world.issuer.link())) is Refusal.SNAPSHOT_REFUSED

    async def test_a_changed_part_is_refused(self, wallet, world, clock):
        clock.advance(timedelta(minutes=1))
        world.publish()
        world.served = {name: b"x" + content[1:] for name, content in world.served.items()}
        assert await refusal(wallet.read_offer(world.issuer.link())) is Refusal.SNAPSHOT_REFUSED

    async def test_unchanged_parts_are_not_fetched_again(self, wallet, world):
        await wallet.read_offer(world.issuer.link())
        assert [request.rsplit("/", 1)[-1] for request in world.requests] == ["snapshot"]


async def test_removing_forgets_the_record_and_a_key_nobody_needs(wallet, world, vault):
    kept = await collected(wallet, world)
    wallet.remove(kept[0].id)
    assert [c.id for c in wallet.held()] == [kept[1].id]
    assert vault.contents.keys
    wallet.remove(kept[1].id)
    assert not vault.contents.keys
    with pytest.raises(WalletError) as caught:
        wallet.remove(kept[1].id)
    assert caught.value.reason is Refusal.NO_SUCH_RECORD
