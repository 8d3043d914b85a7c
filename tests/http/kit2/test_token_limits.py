"""Failed client authentication is limited per address and per client id; who authenticates never is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from passport_shared.service import auth, keys, limits
from passport_shared.service.app import create_app
from passport_shared.service.auth import Authenticator, token_routes
from passport_shared.service.db import new_metadata
from passport_shared.service.keys import Kek, KeyStore
from passport_shared.service.limits import RateLimiter
from passport_shared.service.peer_address import proxies
from passport_shared.service.token_limits import PER_ADDRESS, PER_CLIENT
from passport_shared.wire.scopes import scopes_of
from passport_testkit.apps import client_of, protocol_error
from passport_testkit.clients import ApiClientKit, ClientsSimulator, api_client, token_form
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, at_once, both_databases

METADATA = new_metadata()
AUTH, KEYS, LIMITS = auth.tables(METADATA), keys.tables(METADATA), limits.tables(METADATA)
URL = "https://issuer.example"
HR, OTHER = (api_client(name, scopes=["staff:read"]) for name in ("rbv-hr", "rbv-other"))
NOBODY = api_client("nobody", scopes=["staff:read"])
IMPOSTOR = ApiClientKit(record=HR.record, key=NOBODY.key)


class Endpoint:
    """The token endpoint of a service behind one proxy, at 127.0.0.1."""

    def __init__(self, http: httpx.AsyncClient, clock: FrozenClock) -> None:
        self.http = http
        self.clock = clock

    async def ask(self, client: ApiClientKit, address: str = "198.51.100.1") -> httpx.Response:
        form: Mapping[str, str] = token_form(client.assertion(URL, self.clock.now()))
        return await self.http.post("/oauth2/token", data=form, headers={"X-Forwarded-For": address})

    async def guesses(self, client: ApiClientKit, count: int, address: str = "198.51.100.1") -> list[int]:
        answers = [await self.ask(client, address) for _ in range(count)]
        return [answer.status_code for answer in answers]


@pytest.fixture
async def endpoint(databases: FreshDatabases) -> AsyncIterator[Endpoint]:
    db, clock = await databases.open(metadata=METADATA), FrozenClock()
    authenticator = Authenticator(
        service_url=URL,
        clients=ClientsSimulator(HR, OTHER),
        keys=KeyStore(db, Kek(bytes(range(32))), KEYS, clock),
        db=db,
        tables=AUTH,
        clock=clock,
        scopes=scopes_of("issuer"),
        limiter=RateLimiter(db, LIMITS, clock),
    )
    app = create_app(
        service="issuer",
        version="0",
        public_url=URL,
        clock=clock,
        routers=[token_routes(authenticator)],
        trusted_proxies=proxies("127.0.0.1"),
    )
    async with client_of(app) as http:
        yield Endpoint(http, clock)


async def test_guesses_under_a_client_id_are_refused_and_its_own_assertions_are_not(
    endpoint: Endpoint,
) -> None:
    found = await endpoint.guesses(IMPOSTOR, PER_CLIENT.limit + 3)
    assert found == [401] * PER_CLIENT.limit + [429] * 3
    refused = await endpoint.ask(IMPOSTOR)
    protocol_error(refused, 429, "temporarily_unavailable")
    assert refused.headers["retry-after"] == "2"
    # From any address, the attacker's as well: it may be a hospital's.
    assert (await endpoint.ask(HR)).status_code == 200
    assert (await endpoint.ask(HR, "203.0.113.5")).status_code == 200
    assert (await endpoint.ask(OTHER)).status_code == 200


async def test_an_address_is_counted_whatever_ids_it_claims(endpoint: Endpoint) -> None:
    half = PER_ADDRESS.limit // 2
    assert set(await endpoint.guesses(IMPOSTOR, half) + await endpoint.guesses(NOBODY, half)) == {401}
    stranger = api_client("another", scopes=["staff:read"])
    assert await endpoint.guesses(stranger, 2) == [429, 429]
    # Another address has its own allowance, and whoever claims to be forwarded for one has none of its own.
    assert await endpoint.guesses(stranger, 1, "203.0.113.5") == [401]
    assert await endpoint.guesses(stranger, 1, "203.0.113.5, 198.51.100.1") == [429]
    assert (await endpoint.ask(HR)).status_code == 200


async def test_an_id_that_no_client_has_is_limited_alike(endpoint: Endpoint) -> None:
    assert await endpoint.guesses(NOBODY, PER_CLIENT.limit + 1) == [401] * PER_CLIENT.limit + [429]


async def test_an_allowance_comes_back_with_time(endpoint: Endpoint) -> None:
    await endpoint.guesses(IMPOSTOR, PER_CLIENT.limit)
    endpoint.clock.advance(PER_CLIENT.per / PER_CLIENT.limit)
    assert await endpoint.guesses(IMPOSTOR, 2) == [401, 429]


@both_databases
async def test_two_hundred_guesses_at_once_are_counted_exactly(endpoint: Endpoint) -> None:
    answers = await at_once(200, lambda _: endpoint.ask(IMPOSTOR))
    assert all(isinstance(answer, httpx.Response) for answer in answers), answers
    found = [answer.status_code for answer in answers if isinstance(answer, httpx.Response)]
    assert sorted(found) == [401] * PER_CLIENT.limit + [429] * (200 - PER_CLIENT.limit)
    assert (await endpoint.ask(HR)).status_code == 200
