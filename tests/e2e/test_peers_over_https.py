"""Wallets and clients that nobody here wrote, against the running services."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from deploy.demo.trusts import CHRISTIE
from passport_shared.formats import sd_jwt
from passport_shared.wire.catalogue import TYPES
from passport_testkit import node
from passport_testkit.by_hand import issuing, moving, people
from passport_testkit.keys import key, private_jwk

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.peers,
    pytest.mark.xdist_group("stack"),
    pytest.mark.asyncio(loop_scope="module"),
]

# one stack serves every module of these tests, and an ESR number is one person's
SURGEON = replace(people.SURGEON, esr_person="30010001")
CONFIRM = {"method": "DOCUMENT_ON_CALL", "actor": moving.HOST_HR}


@pytest.fixture(scope="module")
def holder():
    return private_jwk(key("the surgeon's phone"))


@pytest.fixture(scope="module")
def offered(network):
    staff_id = issuing.record(network.stack, network.operator, SURGEON)
    return issuing.offer(network.stack, network.operator, staff_id)


@pytest.fixture(scope="module")
def collected() -> dict[str, str]:
    """What the first test receives and the others present."""
    return {}


async def test_npm_openid4vci_receives_the_whole_passport_with_one_offer_and_one_pin(
    network, peer, offered, holder, collected
):
    with pytest.raises(node.PeerRefused, match="invalid_grant"):
        await peer.call("vci.receive", offer=offered["credential_offer"], txCode="000000", holder=holder)
    answer = await peer.call(
        "vci.receive",
        offer=offered["credential_offer_uri"],
        txCode=offered["tx_code"],
        holder=holder,
        notify=True,
    )
    assert answer["issuer"] == f"{network.url('issuer')}/{CHRISTIE.ods}"
    assert set(answer["received"]) == set(offered["credential_configuration_ids"])
    assert len(answer["received"]) == 7
    for name, [credential] in answer["received"].items():
        claims = sd_jwt.process(sd_jwt.parse(credential))
        assert claims["family_name"] == people.SURGEON.family
        collected[name] = credential


async def test_npm_openid4vci_reads_the_metadata_in_both_languages(network, peer):
    found = await peer.call("vci.metadata", issuer=f"{network.url('issuer')}/{CHRISTIE.ods}")
    configurations = found["credentialIssuer"]["credential_configurations_supported"]
    assert len(configurations) == len(TYPES)
    for configuration in configurations.values():
        locales = {entry["locale"] for entry in configuration["credential_metadata"]["display"]}
        assert locales == {"en-GB", "cy"}


async def present(network, peer, holder, collected, **more):
    movement_id = moving.movement(network.stack, network.operator)
    moving.look_up(network.stack, network.operator, movement_id, people.SURGEON, "REGISTERED", licence=True)
    request = moving.ask(network.stack, network.operator, movement_id)
    base = f"{network.url('registry')}/vct"
    credentials = [
        {"vct": f"{base}/{name.removesuffix('_1')}/1", "credential": credential}
        for name, credential in collected.items()
    ]
    answer = await peer.call(
        "vp.answer",
        request=request["links"]["deep_link"],
        credentials=credentials,
        holder=holder,
        now=int(datetime.now(UTC).timestamp()),  # noqa: TID251  a wallet's own clock
        **more,
    )
    return request, answer


async def test_npm_openid4vp_answers_and_host_hr_reads_the_decision(network, peer, holder, collected):
    request, answer = await present(network, peer, holder, collected)
    seen = network.operator.get(
        network.url("verifier"), f"{moving.BASE}/presentation-requests/{request['id']}"
    )
    assert seen["last_refusal"] is None
    assert (answer["status"], answer["responseMode"]) == (200, "direct_post.jwt")
    assert answer["client"]["prefix"] == "x509_hash"
    assert answer["client"]["name"]
    decision = moving.settled(network.stack, network.operator, request["id"])
    assert decision["result"] is None
    decision = network.operator.post(
        network.url("verifier"), f"{moving.BASE}/decisions/{decision['id']}/person-confirmation", CONFIRM
    )
    assert decision["result"]["outcome"] == "READY_WITH_CONDITIONS"
    assert [c["subject"] for c in decision["result"]["conditions"]] == ["FS"]


@pytest.mark.parametrize(
    "tamper", [{"nonce": "another-nonce-of-enough-length"}, {"aud": "x509_hash:" + "A" * 43}]
)
async def test_npm_openid4vp_with_a_wrong_binding_is_refused(network, peer, holder, collected, tamper):
    request, answer = await present(network, peer, holder, collected, tamper=tamper)
    assert answer["status"] == 400
    assert '"invalid_request"' in answer["body"]
    seen = network.operator.get(
        network.url("verifier"), f"{moving.BASE}/presentation-requests/{request['id']}"
    )
    assert seen["decision_id"] is None


async def test_npm_openid_federation_resolves_the_christie_through_our_anchor(network, peer):
    issuer = f"{network.url('issuer')}/{CHRISTIE.ods}"
    [chain] = await peer.call("federation.resolve", leaf=issuer, anchors=[network.url("registry")])
    assert chain["anchor"] == network.url("registry")
    assert chain["metadata"]["openid_credential_issuer"]["credential_issuer"] == issuer


async def test_npm_openid_federation_finds_no_way_to_another_anchor(network, peer):
    issuer = f"{network.url('issuer')}/{CHRISTIE.ods}"
    try:
        chains = await peer.call("federation.resolve", leaf=issuer, anchors=[network.url("verifier")])
    except node.PeerRefused:
        return
    assert chains == []
