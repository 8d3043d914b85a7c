"""A small client of the management APIs, as an HR system would write one.

It signs an assertion with its own key, gets a five-minute token from each service it calls, and raises with
the service's own words when something is refused.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from passport_shared.formats.clock import Clock
from passport_shared.formats.jose import SigningKey
from passport_shared.service.clock import SystemClock
from passport_shared.wire.clients import ASSERTION_TYPE, client_assertion

TOKEN_MARGIN = timedelta(seconds=60)


class Refused(Exception):
    """A service said no; `status` and `body` are its answer."""

    def __init__(self, method: str, url: str, status: int, body: Any) -> None:
        super().__init__(f"{method} {url} answered {status}: {body}")
        self.status = status
        self.body = body

    @property
    def code(self) -> str | None:
        """The problem's or the protocol's code."""
        return (self.body.get("code") or self.body.get("error")) if isinstance(self.body, dict) else None


@dataclass
class ManagementClient:
    """One API client of the network; tokens are kept per service."""

    client_id: str
    key: SigningKey
    http: httpx.Client
    clock: Clock = field(default_factory=SystemClock)
    _tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def call(
        self, method: str, service: str, path: str, body: Any = None, *, if_match: str | None = None
    ) -> Any:
        """Call a management endpoint of a service (its base URL) and return the JSON it answers.

        Raises:
            Refused: any answer that is not 2xx.
        """
        url = f"{service}{path}"
        headers = {"authorization": f"Bearer {self.token(service)}"}
        if if_match is not None:
            headers["if-match"] = if_match
        response = self.http.request(method, url, json=body, headers=headers)
        content = response.json() if "json" in response.headers.get("content-type", "") else response.text
        if not response.is_success:
            raise Refused(method, url, response.status_code, content)
        return content

    def get(self, service: str, path: str) -> Any:
        """GET."""
        return self.call("GET", service, path)

    def post(self, service: str, path: str, body: Any = None) -> Any:
        """POST a JSON object."""
        return self.call("POST", service, path, body if body is not None else {})

    def put(self, service: str, path: str, body: Any, *, if_match: str) -> Any:
        """PUT a JSON object over the version that was read; `"0"` where nobody has written yet."""
        return self.call("PUT", service, path, body, if_match=if_match)

    def token(self, service: str) -> str:
        """An access token of a service (its base URL), renewed a minute before it ends."""
        now = self.clock.now()
        token, until = self._tokens.get(service, ("", now))
        if now + TOKEN_MARGIN < until:
            return token
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": client_assertion(self.client_id, self.key, audience=service, now=now),
        }
        response = self.http.post(f"{service}/oauth2/token", data=form)
        if not response.is_success:
            raise Refused("POST", f"{service}/oauth2/token", response.status_code, response.json())
        given = response.json()
        self._tokens[service] = (given["access_token"], now + timedelta(seconds=given["expires_in"]))
        return str(given["access_token"])


def http_client(ca_file: Path) -> httpx.Client:
    """An HTTP client that trusts the development TLS authority."""
    return httpx.Client(verify=ssl.create_default_context(cafile=str(ca_file)), timeout=30)
