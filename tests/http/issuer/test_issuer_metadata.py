"""What the issuer says about itself, in the exact forms and places of the specifications."""

from __future__ import annotations

import pytest

from passport_shared.formats.federation import verify_entity_configuration
from passport_shared.wire.catalogue import LOCALES, TYPES
from passport_testkit.apps import protocol_error
from passport_testkit.issuers import ENTITY, ISSUER, IssuerBench


async def test_credential_issuer_metadata_stands_at_the_inserted_address(issuer: IssuerBench) -> None:
    answer = await issuer.http.get("/.well-known/openid-credential-issuer/RBV")
    assert answer.headers["content-type"] == "application/json"
    metadata = answer.json()
    assert metadata["credential_issuer"] == ENTITY
    for name in ("credential", "nonce", "notification"):
        assert metadata[f"{name}_endpoint"] == f"{ENTITY}/{name}"
    assert metadata["batch_credential_issuance"]["batch_size"] >= 2
    assert "credential_response_encryption" not in metadata
    configurations = metadata["credential_configurations_supported"]
    assert set(configurations) == {kind.configuration_id for kind in TYPES.values()}
    for configuration in configurations.values():
        assert configuration["format"] == "dc+sd-jwt"
        assert configuration["cryptographic_binding_methods_supported"] == ["jwk"]
        words = configuration["credential_metadata"]
        assert {entry["locale"] for entry in words["display"]} == set(LOCALES)
        for claim in words["claims"]:
            assert {entry["locale"] for entry in claim["display"]} == set(LOCALES)
            assert all(entry["name"] for entry in claim["display"])


async def test_authorization_server_metadata_allows_anonymous_wallets(issuer: IssuerBench) -> None:
    metadata = (await issuer.http.get("/.well-known/oauth-authorization-server/RBV")).json()
    assert metadata["issuer"] == ENTITY
    assert metadata["token_endpoint"] == f"{ENTITY}/token"
    assert metadata["pre-authorized_grant_anonymous_access_supported"] is True
    assert metadata["status_list_aggregation_endpoint"] == f"{ENTITY}/statuslists"


async def test_the_entity_configuration_carries_the_current_mark(issuer: IssuerBench) -> None:
    answer = await issuer.http.get("/RBV/.well-known/openid-federation")
    assert answer.headers["content-type"] == "application/entity-statement+jwt"
    found = verify_entity_configuration(answer.text, now=issuer.clock.now(), expected_entity=ENTITY)
    assert found.authority_hints == (issuer.registry.anchor,)
    assert len(found.trust_marks) == 1
    assert found.metadata["openid_credential_issuer"]["credential_issuer"] == ENTITY
    issuer.registry.close(ENTITY)
    await issuer.refresh()
    renewed = verify_entity_configuration(
        (await issuer.http.get("/RBV/.well-known/openid-federation")).text, now=issuer.clock.now()
    )
    assert renewed.trust_marks != found.trust_marks


PATHS = [
    ("GET", "/.well-known/openid-credential-issuer/{ods}"),
    ("GET", "/.well-known/oauth-authorization-server/{ods}"),
    ("GET", "/{ods}/.well-known/openid-federation"),
    ("GET", "/{ods}/offers/AAAAAAAAAAAAAAAAAAAAAA"),
    ("POST", "/{ods}/token"),
    ("POST", "/{ods}/nonce"),
    ("POST", "/{ods}/credential"),
    ("POST", "/{ods}/notification"),
    ("GET", "/{ods}/statuslists"),
    ("GET", "/{ods}/statuslists/AAAAAAAAAAAAAAAAAAAAAA"),
]


@pytest.mark.parametrize("ods", ["R0A", "rbv", "RBV%20", "RBV%00", "..", "RBVRBVRBVRBV"])
async def test_an_unknown_tenant_is_404_everywhere(issuer: IssuerBench, ods: str) -> None:
    for method, path in PATHS:
        answer = await issuer.http.request(method, path.format(ods=ods))
        assert answer.status_code in (404, 405), (path, answer.text)
        assert answer.headers["content-type"] in ("application/json", "application/problem+json"), path


async def test_a_known_tenant_answers_404_for_unknown_objects(issuer: IssuerBench) -> None:
    protocol_error(await issuer.http.get("/RBV/offers/AAAAAAAAAAAAAAAAAAAAAA"), 404, "not_found")
    protocol_error(await issuer.http.get("/RBV/statuslists/AAAAAAAAAAAAAAAAAAAAAA"), 404, "not_found")


async def test_status_lists_are_served_as_stored_bytes(issuer: IssuerBench) -> None:
    listed = (await issuer.http.get("/RBV/statuslists")).json()["status_lists"]
    (uri,) = listed
    assert uri.startswith(f"{ENTITY}/statuslists/")
    first = await issuer.http.get(uri)
    assert first.headers["content-type"] == "application/statuslist+jwt"
    assert "max-age=60" in first.headers["cache-control"]
    assert first.headers["access-control-allow-origin"] == "*"
    again = await issuer.http.get(uri, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    token = await issuer.status(uri)
    assert (len(token.list), token.list.bits) == (131_072, 2)
    assert token.leaf is not None
    assert token.leaf.san_uri == ENTITY
    protocol_error(await issuer.http.get(f"{uri}?time=1"), 501, "not_implemented")


async def test_a_list_is_signed_again_before_it_gets_old(issuer: IssuerBench) -> None:
    from datetime import timedelta

    (uri,) = (await issuer.http.get("/RBV/statuslists")).json()["status_lists"]
    before = await issuer.status(uri)
    issuer.clock.advance(timedelta(minutes=29))
    await issuer.publish()
    assert (await issuer.status(uri)).iat == before.iat
    issuer.clock.advance(timedelta(minutes=1))
    await issuer.publish()
    assert (await issuer.status(uri)).iat > before.iat


async def test_the_openapi_document_and_health_are_there(issuer: IssuerBench) -> None:
    document = (await issuer.http.get("/openapi.json")).json()
    assert document["servers"] == [{"url": ISSUER}]
    assert "/{ods}/credential" in document["paths"]
    assert (await issuer.http.get("/health/ready")).json()["status"] == "ready"
