"""Asking: the request object by GET and POST, its pages, and the same-device flow."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from passport_shared.formats import dcql, jose
from passport_testkit.apps import problem, protocol_error
from passport_testkit.presenter import opened
from passport_testkit.verifiers import VERIFIER, VerifierBench

PAGE_POLICY = "default-src 'none'"


async def test_the_request_object_says_what_haip_wants(verifier: VerifierBench):
    request = await verifier.ask()
    claims = await verifier.fetch(request)
    assert claims["response_type"] == "vp_token"
    assert claims["response_mode"] == "direct_post.jwt"
    assert claims["response_uri"] == f"{VERIFIER}/R0A/oid4vp/response"
    assert "redirect_uri" not in claims
    assert claims["aud"] == "https://self-issued.me/v2"
    assert len(claims["nonce"]) >= 22
    assert len(claims["state"]) >= 22
    metadata = claims["client_metadata"]
    [key] = metadata["jwks"]["keys"]
    assert (key["alg"], key["use"], key["crv"]) == ("ECDH-ES", "enc", "P-256")
    assert len(key["kid"]) >= 22
    assert "d" not in key
    assert metadata["encrypted_response_enc_values_supported"] == ["A128GCM", "A256GCM"]
    assert metadata["vp_formats_supported"] == {
        "dc+sd-jwt": {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"]}
    }
    assert metadata["client_name"] == "R0A NHS Foundation Trust"
    assert metadata["policy_uri"] == f"{VERIFIER}/R0A/privacy"
    assert metadata["logo_uri"] == f"{VERIFIER}/R0A/logo.svg"
    [purpose] = claims["verifier_info"]
    assert purpose["format"] == "staff_passport_purpose"
    assert purpose["data"]["purpose"] == "SERVICE_NEED_URGENT"
    assert set(purpose["data"]["text"]) == {"en-GB", "cy"}
    dcql.parse_query(claims["dcql_query"])
    assert "kid" not in jose.parse((await verifier.http.get(request["links"]["request_uri"])).text).header


async def test_it_is_fetched_twice_with_the_same_content_and_each_request_has_its_own(
    verifier: VerifierBench,
):
    one, two = await verifier.ask(), await verifier.ask()
    first, again, other = await verifier.fetch(one), await verifier.fetch(one), await verifier.fetch(two)
    assert first == again
    for name in ("nonce", "state"):
        assert first[name] != other[name]
    keys = [claims["client_metadata"]["jwks"]["keys"][0] for claims in (first, other)]
    assert keys[0]["kid"] != keys[1]["kid"]
    assert keys[0]["x"] != keys[1]["x"]


async def test_post_echoes_the_wallets_nonce(verifier: VerifierBench):
    request = await verifier.ask()
    uri = request["links"]["request_uri"]
    metadata = json.dumps({"vp_formats_supported": {"dc+sd-jwt": {}}})
    answer = await verifier.http.post(uri, data={"wallet_nonce": "n0nce", "wallet_metadata": metadata})
    claims = opened(answer.text, verifier.registry.authority.roots)
    assert claims.pop("wallet_nonce") == "n0nce"
    assert claims == await verifier.fetch(request)
    assert answer.headers["cache-control"] == "no-store"
    plain = await verifier.http.post(
        uri, content="", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert "wallet_nonce" not in opened(plain.text, verifier.registry.authority.roots)


@pytest.mark.parametrize(
    "form",
    [
        {"wallet_nonce": "a b"},
        {"wallet_nonce": "x" * 300},
        {"wallet_metadata": "not json"},
        {"wallet_metadata": "[]"},
        {"wallet_metadata": '{"a":' * 50 + "1" + "}" * 50},
        {"wallet_metadata": json.dumps({"a": "x" * 20_000})},
    ],
)
async def test_a_hostile_post_is_refused(verifier: VerifierBench, form: dict[str, str]):
    request = await verifier.ask()
    protocol_error(
        await verifier.http.post(request["links"]["request_uri"], data=form), 400, "invalid_request"
    )


async def test_links_end_with_the_request(verifier: VerifierBench):
    request = await verifier.ask()
    links = request["links"]
    deep = urlsplit(links["deep_link"])
    assert deep.scheme == "openid4vp"
    assert parse_qs(deep.query)["request_uri"] == [links["request_uri"]]
    assert parse_qs(deep.query)["client_id"] == [(await verifier.fetch(request))["client_id"]]
    await verifier.present(request, verifier.surgeon())
    protocol_error(await verifier.http.get(links["request_uri"]), 404, "not_found")
    other = await verifier.ask()
    verifier.clock.advance(timedelta(minutes=5))
    protocol_error(await verifier.http.get(other["links"]["request_uri"]), 404, "not_found")
    unknown = f"{VERIFIER}/R0A/oid4vp/requests/AAAAAAAAAAAAAAAAAAAAAA"
    protocol_error(await verifier.http.get(unknown), 404, "not_found")


async def test_a_request_is_withdrawn(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    cancelled = await verifier.made(f"/presentation-requests/{request['id']}/cancel", {}, 200)
    assert (cancelled["state"], cancelled["links"]) == ("CANCELLED", None)
    protocol_error(await verifier.send(answer), 400, "invalid_request")
    again = await verifier.call("POST", f"/presentation-requests/{request['id']}/cancel", {})
    problem(again, 409, "conflict")


async def test_the_wallet_may_decline(verifier: VerifierBench):
    request = await verifier.ask()
    state = (await verifier.fetch(request))["state"]
    url = f"{VERIFIER}/R0A/oid4vp/response"
    stranger = {"error": "access_denied", "state": "AAAAAAAAAAAAAAAAAAAAAA"}
    protocol_error(await verifier.http.post(url, data=stranger), 400, "invalid_request")
    declined = await verifier.http.post(
        url, data={"error": "access_denied", "state": state, "error_description": "no"}
    )
    assert (declined.status_code, declined.json()) == (200, {})
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert (found["state"], found["last_refusal"], found["decision_id"]) == (
        "DECLINED",
        "access_denied",
        None,
    )
    protocol_error(
        await verifier.http.post(url, data={"error": "access_denied", "state": state}), 400, "invalid_request"
    )


async def test_the_request_page_in_both_languages(verifier: VerifierBench):
    request = await verifier.ask()
    english = await verifier.http.get(request["links"]["page"])
    assert english.status_code == 200
    assert english.headers["content-security-policy"].startswith(PAGE_POLICY)
    assert english.headers["cache-control"] == "no-store"
    assert "R0A NHS Foundation Trust asks to see parts of your staff passport" in english.text
    assert "openid4vp://" in english.text
    assert 'class="qr"' in english.text
    assert "Fire safety" in english.text
    assert "set-cookie" not in english.headers or "__Host-request" not in english.headers["set-cookie"]
    welsh = await verifier.http.get(request["links"]["page"] + "?lang=cy")
    assert '<html lang="cy">' in welsh.text
    assert "Diogelwch tân" in welsh.text


@pytest.mark.parametrize(("state", "text"), [("answered", "has been answered"), ("ran_out", "has run out")])
async def test_the_page_of_a_request_that_is_over(verifier: VerifierBench, state: str, text: str):
    request = await verifier.ask()
    if state == "answered":
        await verifier.present(request, verifier.surgeon())
    else:
        verifier.clock.advance(timedelta(minutes=6))
    page = await verifier.http.get(request["links"]["page"])
    assert page.status_code == 410
    assert text in page.text
    assert "READY" not in page.text


async def test_the_tenants_other_pages(verifier: VerifierBench):
    privacy = await verifier.http.get(f"{VERIFIER}/R0A/privacy")
    assert "does not keep your name" in privacy.text
    logo = await verifier.http.get(f"{VERIFIER}/R0A/logo.svg")
    assert logo.headers["content-type"].startswith("image/svg+xml")
    for path in ("/RXX/privacy", "/RXX/logo.svg", "/R0A/r/unknown", "/R0A/r/unknown/return", "/RXX/r/x"):
        missing = await verifier.http.get(VERIFIER + path)
        assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8"), (
            path
        )


async def test_the_entity_configuration_carries_the_mark_and_no_keys_for_answers(verifier: VerifierBench):
    from passport_shared.formats.federation import verify_entity_configuration

    answer = await verifier.http.get(f"{VERIFIER}/R0A/.well-known/openid-federation")
    assert answer.headers["content-type"] == "application/entity-statement+jwt"
    found = verify_entity_configuration(
        answer.text, now=verifier.clock.now(), expected_entity=f"{VERIFIER}/R0A"
    )
    assert found.authority_hints == (verifier.registry.anchor,)
    assert found.trust_marks[0]["trust_mark_type"].endswith("/tm/credential-verifier")
    metadata = found.metadata["openid_credential_verifier"]
    assert metadata["response_uris"] == [f"{VERIFIER}/R0A/oid4vp/response"]
    assert not {"jwks", "jwks_uri", "request_uris"} & set(metadata)
    protocol_error(await verifier.http.get(f"{VERIFIER}/r0a/.well-known/openid-federation"), 404, "not_found")


async def same_device(verifier: VerifierBench) -> dict[str, Any]:
    movement = await verifier.movement()
    await verifier.look_up(movement["id"])
    return await verifier.ask(movement["id"], flow="same_device")


def browser(verifier: VerifierBench) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=verifier.app, raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url=VERIFIER)


async def test_same_device_counts_only_in_the_browser_that_started_it(verifier: VerifierBench):
    request = await same_device(verifier)
    async with browser(verifier) as own, browser(verifier) as stranger:
        page = await own.get(request["links"]["page"])
        assert page.status_code == 200
        cookie = next(c for c in page.headers.get_list("set-cookie") if c.startswith("__Host-request="))
        for flag in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
            assert flag in cookie
        assert 'class="qr"' not in page.text
        assert (await stranger.get(request["links"]["page"])).status_code == 409
        assert (await own.get(request["links"]["page"])).status_code == 200
        answered = await verifier.present(request, verifier.surgeon())
        redirect = answered.json()["redirect_uri"]
        assert len(parse_qs(urlsplit(redirect).query)["response_code"][0]) >= 22
        decision_id = (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"]
        assert (await verifier.read(f"/decisions/{decision_id}"))["withheld"] == "AWAITING_RETURN"
        early = await verifier.call(
            "POST",
            f"/decisions/{decision_id}/person-confirmation",
            {"method": "KNOWN_TO_ME", "actor": "hr-1"},
        )
        problem(early, 409, "awaiting_return")
        assert (await stranger.get(redirect)).status_code == 403
        wrong = redirect.replace("response_code=", "response_code=A")
        assert (await own.get(wrong)).status_code == 403
        assert (await own.get(redirect.partition("?")[0])).status_code == 403
        returned = await own.get(redirect)
        assert returned.status_code == 200
        assert "You have shared your staff passport" in returned.text
        # a reload, or the same page in Welsh, redeems nothing and must not frighten
        assert "You have shared" in (await own.get(redirect)).text
        welsh = await own.get(redirect.partition("?")[0] + "?lang=cy")
        assert "Rydych wedi rhannu" in welsh.text
        assert (await stranger.get(redirect)).status_code == 403
    assert (await verifier.read(f"/decisions/{decision_id}"))["withheld"] == "AWAITING_PERSON"
    assert (await verifier.confirm(decision_id))["result"]["outcome"] == "READY"


async def test_same_device_without_ever_opening_the_page_is_never_shown(verifier: VerifierBench):
    request = await same_device(verifier)
    redirect = (await verifier.present(request, verifier.surgeon())).json()["redirect_uri"]
    async with browser(verifier) as stranger:
        stranger.cookies.set("__Host-request", "made-up", domain="verifier.example")
        assert (await stranger.get(redirect)).status_code == 403
    decision_id = (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"]
    assert (await verifier.read(f"/decisions/{decision_id}"))["withheld"] == "AWAITING_RETURN"


async def test_qr_codes(verifier: VerifierBench):
    request = await verifier.ask()
    path = f"/presentation-requests/{request['id']}/qr"
    svg = await verifier.call("GET", path + ".svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert b"<svg" in svg.content
    png = await verifier.call("GET", path + ".png?of=page")
    assert png.content.startswith(b"\x89PNG")
    assert (await verifier.call("GET", path + ".gif")).status_code == 404
    assert (await verifier.call("GET", path + ".svg?of=moon")).status_code == 422


async def test_asking_beyond_the_mark_is_a_clear_problem(verifier: VerifierBench):
    from passport_testkit.cases import urgent_policy
    from passport_testkit.network import vct
    from passport_verifier.rules.asking import asked

    grants = [
        verifier.registry.authorization(
            "ask",
            vct(entry.credential),
            claims=tuple(path for path in entry.paths if path != ("skills", "FS")),
            purposes=("SERVICE_NEED_URGENT",),
        )
        for entry in asked(urgent_policy())
    ]
    movement = await verifier.movement()
    verifier.registry.grant(f"{VERIFIER}/R0A", grants)
    verifier.clock.advance(timedelta(seconds=31))
    await verifier.refresh()
    refused = await verifier.call("POST", "/presentation-requests", {"movement_id": movement["id"]})
    assert "skills.FS" in problem(refused, 409, "asking_too_much")["detail"]
    verifier.registry.grant(f"{VERIFIER}/R0A", grants[:-1])
    verifier.clock.advance(timedelta(seconds=31))
    await verifier.refresh()
    refused = await verifier.call("POST", "/presentation-requests", {"movement_id": movement["id"]})
    assert "type_not_authorised" in problem(refused, 409, "asking_too_much")["detail"]
