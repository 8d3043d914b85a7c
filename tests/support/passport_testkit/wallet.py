"""A wallet as the issuer meets it: `WalletSimulator` speaks OpenID4VCI acts, and can get every one wrong.

It holds keys, reads offers by value and by reference, redeems a code with a PIN, proves possession and
collects. The acts are separate, so that a test can repeat, reorder or spoil one of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from passport_shared.formats.clock import Clock, epoch_s
from passport_shared.formats.jose import SigningKey, sign

PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
PROOF_TYP = "openid4vci-proof+jwt"


@dataclass
class Collected:
    """What one collection brought: SD-JWT VCs by configuration, and the notification ids."""

    credentials: dict[str, list[str]] = field(default_factory=dict)
    notification_ids: list[str] = field(default_factory=list)


class WalletSimulator:
    """A wallet with one key, or as many as it is told to use."""

    def __init__(self, http: httpx.AsyncClient, clock: Clock, *, key: SigningKey | None = None) -> None:
        self.http = http
        self.clock = clock
        self.key = key or SigningKey.generate()

    async def read_offer(self, link: str) -> dict[str, Any]:
        """The offer behind an `openid-credential-offer://` link, by value or by reference."""
        query = parse_qs(urlsplit(link).query)
        if "credential_offer" in query:
            offer: dict[str, Any] = json.loads(query["credential_offer"][0])
            return offer
        answer = await self.http.get(query["credential_offer_uri"][0])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        fetched: dict[str, Any] = answer.json()
        return fetched

    async def metadata(self, issuer: str) -> dict[str, Any]:
        """The Credential Issuer Metadata, found as the specification says."""
        parts = urlsplit(issuer)
        url = f"{parts.scheme}://{parts.netloc}/.well-known/openid-credential-issuer{parts.path}"
        answer = await self.http.get(url)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert found["credential_issuer"] == issuer
        return found

    async def request_token(
        self, offer: Mapping[str, Any], tx_code: str | None, **changes: str
    ) -> httpx.Response:
        """The token endpoint's answer to this code and PIN; `changes` replace or add parameters."""
        grant = offer["grants"][PRE_AUTHORIZED]
        form = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": grant["pre-authorized_code"]}
        if tx_code is not None:
            form["tx_code"] = tx_code
        return await self.http.post(f"{offer['credential_issuer']}/token", data={**form, **changes})

    async def token(self, offer: Mapping[str, Any], tx_code: str) -> str:
        """An access token."""
        answer = await self.request_token(offer, tx_code)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return str(answer.json()["access_token"])

    async def nonce(self, issuer: str) -> str:
        """A fresh c_nonce."""
        answer = await self.http.post(f"{issuer}/nonce")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["c_nonce"])

    def proof(
        self,
        issuer: str,
        nonce: str | None,
        *,
        key: SigningKey | None = None,
        typ: str = PROOF_TYP,
        headers: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A `jwt` proof; keyword arguments replace claims, None takes one away."""
        key = key or self.key
        claims: dict[str, Any] = {"aud": issuer, "iat": epoch_s(self.clock.now()), "nonce": nonce}
        claims.update(changes)
        kept = {name: value for name, value in claims.items() if value is not None}
        named = {"jwk": key.public.jwk} if headers is None else dict(headers)
        return sign(kept, key, typ=typ, kid=False, headers=named)

    async def request_credential(
        self, issuer: str, token: str | None, body: Mapping[str, Any] | bytes, **headers: str
    ) -> httpx.Response:
        """The credential endpoint's answer to this body."""
        sent = {"Authorization": f"Bearer {token}"} if token is not None else {}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(
            f"{issuer}/credential",
            content=content,
            headers={"Content-Type": "application/json", **sent, **headers},
        )

    async def request(
        self,
        issuer: str,
        token: str,
        configuration_id: str,
        *,
        keys: Sequence[SigningKey] | None = None,
        nonce: str | None = None,
    ) -> httpx.Response:
        """A right request for one configuration, with one proof per key."""
        nonce = nonce or await self.nonce(issuer)
        proofs = [self.proof(issuer, nonce, key=key) for key in keys or [self.key]]
        body = {"credential_configuration_id": configuration_id, "proofs": {"jwt": proofs}}
        return await self.request_credential(issuer, token, body)

    async def notify(self, issuer: str, token: str, notification_id: str, event: str) -> httpx.Response:
        """Tell the issuer what became of the credentials of one answer."""
        return await self.http.post(
            f"{issuer}/notification",
            json={"notification_id": notification_id, "event": event},
            headers={"Authorization": f"Bearer {token}"},
        )

    async def collect(self, link: str, tx_code: str, *, accept: bool = True) -> Collected:
        """Collect everything that is offered, with one PIN, and say that it arrived."""
        offer = await self.read_offer(link)
        issuer = str(offer["credential_issuer"])
        known = (await self.metadata(issuer))["credential_configurations_supported"]
        token = await self.token(offer, tx_code)
        collected = Collected()
        for configuration_id in offer["credential_configuration_ids"]:
            assert configuration_id in known
            answer = await self.request(issuer, token, configuration_id)
            assert answer.status_code == 200, answer.text
            body = answer.json()
            collected.credentials[configuration_id] = [item["credential"] for item in body["credentials"]]
            collected.notification_ids.append(body["notification_id"])
            if accept:
                told = await self.notify(issuer, token, body["notification_id"], "credential_accepted")
                assert told.status_code == 204, told.text
        return collected
