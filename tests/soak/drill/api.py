"""How callers behave while services die: they ask again, and note every answer, not what they hoped for."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from deploy.dev.management import ManagementClient
from passport_shared.service.clock import SystemClock
from passport_shared.wire.clients import ASSERTION_TYPE, client_assertion
from tests.soak.drill.network import Network

TOKEN_KEPT_S = 200
PATIENCE_S = 45
PAUSE_S = 0.3
AGAIN = frozenset({429, 500, 502, 503, 504})


class GaveUp(Exception):
    """No answer came in time; what was asked for may or may not have happened."""


@dataclass
class Told:
    """An answer, and how many tries it took."""

    status: int
    body: Any
    tries: int

    @property
    def good(self) -> bool:
        """Whether it was done."""
        return self.status < 300


@dataclass
class Api:
    """One HTTP client with the tokens of one API client."""

    network: Network
    client: ManagementClient
    http: httpx.AsyncClient
    ended: asyncio.Event
    requests: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict)

    async def send(self, method: str, url: str, *, patience_s: float = PATIENCE_S, **more: Any) -> Told:
        """Ask until somebody answers.

        Raises:
            GaveUp: nobody did.
        """
        deadline, tries = time.monotonic() + patience_s, 0
        while True:
            tries += 1
            try:
                answer = await self.http.request(method, url, **more)
            except httpx.HTTPError:
                self.requests["lost"] += 1
            else:
                self.requests[str(answer.status_code)] += 1
                if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                    self.surprises.append(f"500 {method} {_path(url)} {answer.text[:200]}")
                if answer.status_code not in AGAIN:
                    return Told(answer.status_code, _body(answer), tries)
            if time.monotonic() > deadline:
                raise GaveUp(f"{method} {_path(url)}")
            await asyncio.sleep(PAUSE_S)

    async def manage(
        self, method: str, service: str, path: str, body: Any = None, *, key: str | None = None
    ) -> Told:
        """A management request with a token that lives; an idempotent one is asked again while it runs."""
        tries, deadline = 0, time.monotonic() + PATIENCE_S
        while True:
            headers = {"authorization": f"Bearer {await self.token(service)}"}
            if key is not None:
                headers["idempotency-key"] = key
            told = await self.send(method, f"{self.network.url(service)}{path}", json=body, headers=headers)
            tries += told.tries
            running = told.status == httpx.codes.CONFLICT and told.body.get("code") == "request_in_progress"
            if told.status != httpx.codes.UNAUTHORIZED and not running:
                return Told(told.status, told.body, tries)
            self._tokens.pop(service, None)
            if time.monotonic() > deadline:
                raise GaveUp(f"{method} {path}: {told.status}")
            await asyncio.sleep(PAUSE_S)

    async def token(self, service: str) -> str:
        """An access token of a service; every try has an assertion of its own."""
        kept, since = self._tokens.get(service, ("", 0.0))
        if kept and time.monotonic() - since < TOKEN_KEPT_S:
            return kept
        url, deadline = self.network.url(service), time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            signed = client_assertion(
                self.client.client_id, self.client.key, audience=url, now=SystemClock().now()
            )
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": signed,
            }
            try:
                answer = await self.http.post(f"{url}/oauth2/token", data=form)
            except httpx.HTTPError:
                self.requests["lost"] += 1
            else:
                if answer.status_code == httpx.codes.OK:
                    self._tokens[service] = (answer.json()["access_token"], time.monotonic())
                    return self._tokens[service][0]
            await asyncio.sleep(PAUSE_S)
        raise GaveUp(f"a token of the {service}")


def http_client(network: Network) -> httpx.AsyncClient:
    """A client that trusts the development TLS authority; connections of the dead are not waited for."""
    context = ssl.create_default_context(cafile=str(network.stack.tls.ca))
    return httpx.AsyncClient(verify=context, timeout=20, limits=httpx.Limits(max_connections=64))


def _body(answer: httpx.Response) -> Any:
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


def _path(url: str) -> str:
    return "/" + url.split("/", 3)[-1][:80]
