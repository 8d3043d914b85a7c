"""A service as another's client: tokens by private_key_jwt, kept while they live, refusals by name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from passport_shared.formats import jose
from passport_shared.outbound import Outbound
from passport_shared.service import keys as key_store
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.kek import Kek
from passport_shared.service.keys import KeyStore, create_kek_file
from passport_shared.service.service_client import NoClientId, ServiceClient, TokenRefused, client_jwks
from passport_testkit.clock import FrozenClock

SERVICE = "https://issuer.example"
SCOPE = "placements:write"
METADATA = new_metadata()
TABLES = key_store.tables(METADATA)
Answer = Callable[[httpx.Request], tuple[int, bytes]]


class TokenEndpoint(httpx.AsyncBaseTransport):
    """Another service's token endpoint."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.answer: Answer = lambda _: (200, b'{"access_token":"t1","expires_in":300}')

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == f"{SERVICE}/oauth2/token"
        self.forms.append(parse_qs((await request.aread()).decode()))
        status, body = self.answer(request)
        headers = {"content-type": "application/json"}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


@pytest.fixture
async def keys(tmp_path: Path) -> AsyncIterator[KeyStore]:
    create_kek_file(tmp_path / "kek")
    db = Database(f"sqlite:///{tmp_path}/k.db", name="test", durable=False)
    async with db, db.write() as conn:
        await conn.run_sync(METADATA.create_all)
    async with Database(f"sqlite:///{tmp_path}/k.db", name="test", durable=False) as opened:
        yield KeyStore(opened, Kek.load(tmp_path / "kek"), TABLES, FrozenClock())


def client(
    keys: KeyStore, endpoint: TokenEndpoint, clock: FrozenClock, client_id: str | None = "r0a-verifier"
) -> ServiceClient:
    return ServiceClient(client_id=client_id, keys=keys, outbound=Outbound(transport=endpoint), clock=clock)


async def test_a_token_is_asked_for_with_our_key_and_kept_until_a_minute_before_its_end(keys: KeyStore):
    endpoint, clock = TokenEndpoint(), FrozenClock()
    ours = client(keys, endpoint, clock)
    assert await ours.token(SERVICE, SCOPE) == "t1"
    [form] = endpoint.forms
    assert form["scope"] == [SCOPE]
    known = (await client_jwks(keys))["keys"]
    verified = jose.verify_with_jwks(form["client_assertion"][0], known, typ="client-authentication+jwt")
    assert verified.claims["iss"] == verified.claims["sub"] == "r0a-verifier"
    assert verified.claims["aud"] == SERVICE
    clock.advance(timedelta(seconds=239))
    assert await ours.token(SERVICE, SCOPE) == "t1"
    assert len(endpoint.forms) == 1
    clock.advance(timedelta(seconds=1))
    await ours.token(SERVICE, SCOPE)
    assert len(endpoint.forms) == 2
    ours.forget(SERVICE, SCOPE)
    await ours.token(SERVICE, SCOPE)
    assert len(endpoint.forms) == 3


async def test_without_an_id_it_is_nobodys_client(keys: KeyStore):
    endpoint = TokenEndpoint()
    with pytest.raises(NoClientId):
        await client(keys, endpoint, FrozenClock(), None).token(SERVICE, SCOPE)
    assert endpoint.forms == []


REFUSALS: list[tuple[int, bytes, str]] = [
    (401, b'{"error":"invalid_client"}', "invalid_client"),
    (400, b'{"error":"Look <b>here</b>"}', "refused"),
    (400, b"{}", "refused"),
    (503, b"{}", "http_503"),
    (200, b"not json", "malformed_answer"),
    (200, b'{"access_token":7,"expires_in":300}', "malformed_answer"),
    (200, b'{"access_token":"","expires_in":300}', "malformed_answer"),
    (200, b'{"access_token":"t","expires_in":"long"}', "malformed_answer"),
    (200, json.dumps({"access_token": "t" * 9_000, "expires_in": 300}).encode(), "malformed_answer"),
]


@pytest.mark.parametrize(("status", "body", "error"), REFUSALS)
async def test_every_refusal_has_a_name(keys: KeyStore, status: int, body: bytes, error: str):
    endpoint = TokenEndpoint()
    endpoint.answer = lambda _: (status, body)
    with pytest.raises(TokenRefused) as caught:
        await client(keys, endpoint, FrozenClock()).token(SERVICE, SCOPE)
    assert caught.value.error == error
