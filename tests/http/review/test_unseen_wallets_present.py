"""What conforming wallets we have not met may send to the verifier, and what they may not make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from passport_shared.formats import jwe
from passport_shared.formats.sd_jwt_structure import parse
from passport_testkit.apps import protocol_error
from passport_testkit.databases import both_databases
from passport_testkit.verifiers import VERIFIER, VerifierBench
from passport_verifier.rules import asking

RESPONSE = f"{VERIFIER}/R0A/oid4vp/response"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("error", ["access_denied", "wallet_unavailable", "server_error"])
async def test_a_refusal_may_come_encrypted(verifier: VerifierBench, error: str):
    """OpenID4VP 1.0 §8.3.1: every answer in `direct_post.jwt` is a JWE; plain errors are the exception."""
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    refusal = json.dumps({"error": error, "error_description": "no", "state": answer.state}).encode()
    sent = await verifier.send(jwe.encrypt(refusal, answer.key, kid=answer.kid))
    assert (sent.status_code, sent.json()) == (200, {})
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert (found["state"], found["last_refusal"]) == ("DECLINED", error)


async def test_an_encrypted_refusal_needs_its_state(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    for members in ({"error": "access_denied"}, {"error": "access_denied", "state": "x"}):
        refusal = jwe.encrypt(json.dumps(members).encode(), answer.key, kid=answer.kid)
        protocol_error(await verifier.send(refusal), 400, "invalid_request")
    both = {"error": "access_denied", "state": answer.state, "vp_token": answer.vp_token}
    token = jwe.encrypt(json.dumps(both).encode(), answer.key, kid=answer.kid)
    protocol_error(await verifier.send(token), 400, "invalid_request")
    assert (await verifier.read(f"/presentation-requests/{request['id']}"))["state"] == "OPEN"
    assert (await verifier.send(answer)).status_code == 200


@pytest.mark.parametrize(
    "error",
    ["unauthorized_client", "unsupported_response_type", "server_error", "temporarily_unavailable"],
)
async def test_the_codes_of_rfc_6749_are_understood(verifier: VerifierBench, error: str):
    """OpenID4VP 1.0 §8.5: the error response follows RFC 6749."""
    request = await verifier.ask()
    state = (await verifier.fetch(request))["state"]
    sent = await verifier.http.post(RESPONSE, data={"error": error, "state": state})
    assert sent.status_code == 200, sent.text
    assert (await verifier.read(f"/presentation-requests/{request['id']}"))["state"] == "DECLINED"


async def test_an_error_never_reaches_an_answered_request(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    assert (await verifier.send(answer)).status_code == 200
    sent = await verifier.http.post(RESPONSE, data={"error": "access_denied", "state": answer.state})
    protocol_error(sent, 400, "invalid_request")
    assert (await verifier.read(f"/presentation-requests/{request['id']}"))["state"] == "ANSWERED"


async def test_an_id_of_another_query_is_refused(verifier: VerifierBench, monkeypatch: pytest.MonkeyPatch):
    """A credential query we know of, but that this request does not have."""
    whole = asking.dcql_query

    def without_skills(*args: Any, **kwargs: Any) -> dict[str, Any]:
        query = whole(*args, **kwargs)
        query["credentials"] = [entry for entry in query["credentials"] if entry["id"] != "core_skills"]
        query["credential_sets"] = [
            {**entry, "options": [[name for name in entry["options"][0] if name != "core_skills"]]}
            for entry in query["credential_sets"]
        ]
        return query

    presenter = verifier.surgeon()
    other = await verifier.answer(await verifier.ask(), presenter)
    monkeypatch.setattr("passport_verifier.operations.presentation_requests.dcql_query", without_skills)
    request = await verifier.ask()
    answer = await verifier.answer(request, presenter)
    answer.vp_token["core_skills"] = other.vp_token["core_skills"]
    protocol_error(await verifier.send(answer), 400, "invalid_request")
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert found["last_refusal"] == "query_not_met"


async def test_key_bindings_with_more_than_they_need(verifier: VerifierBench):
    presenter = verifier.surgeon()
    request = await verifier.ask()
    answer = await verifier.answer(request, presenter)
    for query_id, [token] in list(answer.vp_token.items()):
        shown = parse(token).presented
        held = next(h for h in presenter.held.values() if _issuer_jwt(h.token) == _issuer_jwt(token))
        answer.vp_token[query_id] = [_bound(shown, held.key, answer.request, verifier)]
    assert (await verifier.send(answer)).status_code == 200


def _issuer_jwt(token: str) -> str:
    return token.partition("~")[0]


def _bound(shown: str, key: Any, request: Any, verifier: VerifierBench) -> str:
    from passport_shared.formats.jose import sign
    from passport_shared.formats.sd_jwt_structure import digest_of

    claims = {
        "aud": request["client_id"],
        "nonce": request["nonce"],
        "iat": verifier.clock.now().timestamp() + 0.25,  # RFC 7519 §2: a NumericDate may have a fraction
        "exp": verifier.clock.now().timestamp() + 299.5,
        "sd_hash": digest_of(shown),
        "jti": "anything",
        "iss": "wallet",
    }
    return shown + sign(claims, key, typ="kb+jwt", headers={"cty": "x"})


async def test_the_envelope_may_carry_what_rfc_7516_allows(verifier: VerifierBench):
    for apu, apv in ((None, b"nonce"), (b"wallet", None), (b"wallet", b"nonce")):
        answer = await verifier.answer(await verifier.ask(), verifier.surgeon())
        token = jwe.encrypt(answer.plaintext(), answer.key, kid=answer.kid, apu=apu, apv=apv)
        assert (await verifier.send(token)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
        {"Content-Type": 'Application/X-WWW-Form-Urlencoded; charset="utf-8"'},
    ],
)
async def test_form_media_types_with_parameters(verifier: VerifierBench, headers: dict[str, str]):
    answer = await verifier.answer(await verifier.ask(), verifier.surgeon())
    body = f"response={answer.token()}&session=unknown+member".encode()
    sent = await verifier.http.post(RESPONSE, content=body, headers=headers)
    assert sent.status_code == 200, sent.text


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"", FORM),
        (b"wallet_metadata=%7B%22vp_formats_supported%22%3A%7B%7D%7D", FORM),
        (b"wallet_nonce=abc&unknown=1", FORM),
        (b"wallet_nonce=&wallet_metadata=", FORM),
    ],
)
async def test_a_request_is_fetched_by_post_with_any_of_its_optional_parameters(
    verifier: VerifierBench, body: bytes, headers: dict[str, str]
):
    """OpenID4VP 1.0 §5.10: both parameters are optional."""
    request = await verifier.ask()
    sent = await verifier.http.post(request["links"]["request_uri"], content=body, headers=headers)
    assert sent.status_code == 200, sent.text


BROWSER = {"Origin": "https://wallet.example", "Access-Control-Request-Headers": "content-type"}


async def test_wallets_in_browsers_may_fetch_and_answer(verifier: VerifierBench):
    """The endpoints take no cookies, so any origin may call them (Fetch standard, CORS protocol)."""
    request = await verifier.ask()
    uri = request["links"]["request_uri"]
    for url, method in ((uri, "POST"), (uri, "GET"), (RESPONSE, "POST")):
        asked = {**BROWSER, "Access-Control-Request-Method": method}
        preflight = await verifier.http.options(url, headers=asked)
        assert preflight.status_code == 204, url
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert method in preflight.headers["access-control-allow-methods"]
        assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-credentials" not in preflight.headers
    fetched = await verifier.http.get(uri, headers={"Origin": "https://wallet.example"})
    assert fetched.headers["access-control-allow-origin"] == "*"
    refused = await verifier.http.post(RESPONSE, data={"response": "x"}, headers=BROWSER)
    protocol_error(refused, 400, "invalid_request")
    assert refused.headers["access-control-allow-origin"] == "*"


async def test_management_and_pages_are_for_no_other_origin(verifier: VerifierBench):
    answer = await verifier.call("GET", "/decisions", headers={"Origin": "https://wallet.example"})
    assert "access-control-allow-origin" not in answer.headers
    request = await verifier.ask()
    page = await verifier.http.get(request["links"]["page"], headers={"Origin": "https://wallet.example"})
    assert "access-control-allow-origin" not in page.headers


@both_databases
@pytest.mark.parametrize("kid", ["a\x00b", "\x00", "\U0001f600" * 3, "' OR 1=1 --"])
async def test_a_kid_no_database_can_store_is_an_unknown_one(verifier: VerifierBench, kid: str):
    """PostgreSQL refuses U+0000 in text; a stranger's header must not reach it."""
    answer = await verifier.answer(await verifier.ask(), verifier.surgeon())
    protocol_error(await verifier.send(jwe.encrypt(b"{}", answer.key, kid=kid)), 400, "invalid_request")
