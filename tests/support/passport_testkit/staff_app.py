"""A staff app in a holder session: challenge, presentation, DPoP-bound token, requests with a proof each.

`StaffApp` does each act apart and lets a test get every part wrong. It holds one credential and its key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from passport_shared.formats.dpop import dpop_proof
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.sd_jwt_holder import add_key_binding, present
from passport_testkit.clock import FrozenClock


@dataclass
class StaffApp:
    """An app at one entity, with one of the person's credentials."""

    http: httpx.AsyncClient
    clock: FrozenClock
    entity_id: str
    credential: str
    key: SigningKey
    token: str | None = None

    async def challenge(self) -> str:
        """A fresh challenge."""
        answer = await self.http.post(f"{self.entity_id}/holder/challenge")
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return str(answer.json()["challenge"])

    def presentation(self, challenge: str, **changes: Any) -> str:
        """The credential, nothing disclosed, bound to the challenge; `changes` replace a part of that."""
        values: dict[str, Any] = {
            "key": self.key,
            "aud": self.entity_id,
            "nonce": challenge,
            "iat": self.clock.now(),
            **changes,
        }
        return add_key_binding(present(values.pop("credential", self.credential), []), **values)

    def proof(self, method: str, url: str, **changes: Any) -> str:
        """A proof for a request; `changes` replace a part of it."""
        values: dict[str, Any] = {"htm": method, "htu": url, "iat": self.clock.now(), **changes}
        return dpop_proof(values.pop("key", self.key), **values)

    async def post_session(self, presentation: Any, proof: str | None = None) -> httpx.Response:
        """Send a presentation."""
        url = f"{self.entity_id}/holder/sessions"
        headers = {"DPoP": self.proof("POST", url) if proof is None else proof}
        return await self.http.post(url, json={"presentation": presentation}, headers=headers)

    async def open(self) -> httpx.Response:
        """Open a session as it should be done, and keep its token if it opens."""
        answer = await self.post_session(self.presentation(await self.challenge()))
        if answer.status_code == 200:
            self.token = str(answer.json()["access_token"])
        return answer

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **changes: Any
    ) -> httpx.Response:
        """A request in the session with a fresh proof; `changes` spoil the proof."""
        url = f"{self.entity_id}/holder/{path}"
        headers = self.headers(method, url, token=token, **changes)
        return await self.http.request(method, url, json=body, headers=headers)

    def headers(self, method: str, url: str, *, token: str | None = None, **changes: Any) -> dict[str, str]:
        """What a request in the session carries."""
        sent = token or self.token
        assert sent is not None, "open a session first"
        proof = self.proof(method, url, **{"access_token": sent, **changes})
        return {"Authorization": f"DPoP {sent}", "DPoP": proof}

    async def read(self, path: str) -> dict[str, Any]:
        """What a resource says."""
        answer = await self.call("GET", path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        found: dict[str, Any] = answer.json()
        return found

    async def refused(self, method: str = "GET", path: str = "passport", **spoiled: Any) -> str:
        """The error of a request that must be refused with 401 and the DPoP challenge."""
        answer = await self.call(method, path, **spoiled)
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"].startswith('DPoP algs="ES256"')
        return str(answer.json()["error"])
