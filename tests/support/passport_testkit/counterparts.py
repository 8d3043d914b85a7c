"""The other sides of a wallet, over an in-memory network: an issuer, a verifier and the registry's files.

They behave as the specifications say; `spoil` changes one answer, so that a test sees the wallet refuse it.
Everything is signed for real under `TrustRegistrySimulator`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from passport_shared.formats import jose, jwe, sd_jwt_vc
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.snapshot import part_name
from passport_shared.formats.x5c import x509_hash
from passport_shared.outbound import OutboundError, OutboundReason
from passport_shared.wire import catalogue
from passport_testkit import datasets
from passport_testkit.network import CHRISTIE, MANCHESTER, VCT_BASE, TrustRegistrySimulator

PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
Spoiler = Callable[[Any], Any]


@dataclass
class World:
    """Hosts by name; every request is recorded, an unknown host is a refused connection."""

    registry: TrustRegistrySimulator
    issuer: IssuerSimulator = field(init=False)
    verifier: VerifierSimulator = field(init=False)
    requests: list[str] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    served: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.issuer = IssuerSimulator(self.registry)
        self.verifier = VerifierSimulator(self.registry)
        self.publish()

    def publish(self) -> None:
        """Let the registry say what it now knows."""
        self.published = self.registry.publish()
        self.served = {part_name(content): content for content in self.published.parts.values()}

    def transport(self) -> httpx.AsyncBaseTransport:
        """What an `Outbound` takes for the network."""
        return httpx.MockTransport(lambda request: _as_read_from_a_wire(self._answer(request)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        self.requests.append(f"{request.method} {url}")
        host = request.url.host
        if host in self.down:
            raise OutboundError(OutboundReason.CONNECT_FAILED, host=host)
        if host == urlsplit(self.registry.anchor).hostname:
            return self._registry(request)
        if url.startswith("https://issuer.example/"):
            return self.issuer.answer(request)
        if url.startswith("https://verifier.example/"):
            return self.verifier.answer(request)
        raise OutboundError(OutboundReason.NAME_NOT_RESOLVED, host=host)

    def _registry(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/federation/snapshot":
            media_type = "application/staff-passport-snapshot+jwt"
            return httpx.Response(200, text=self.published.manifest, headers={"content-type": media_type})
        content = self.served.get(request.url.path.removeprefix("/federation/parts/"))
        if content is None:
            return httpx.Response(404, json={"error": "not_found"})
        return httpx.Response(200, content=content, headers={"content-type": "application/json"})


class IssuerSimulator:
    """An issuer that gives every offered type to whoever has the code and the PIN."""

    def __init__(self, registry: TrustRegistrySimulator, entity_id: str = CHRISTIE) -> None:
        self.registry = registry
        self.entity_id = entity_id
        self.types = ["StaffIdentity", "Employment"]
        self.pin: str | None = "493817"
        self.code = random_token(32)
        self.notified: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.spoil: dict[str, Spoiler] = {}

    def offer(self, **changes: Any) -> dict[str, Any]:
        """The offer as an object."""
        grant: dict[str, Any] = {"pre-authorized_code": self.code}
        if self.pin is not None:
            grant["tx_code"] = {"input_mode": "numeric", "length": len(self.pin)}
        return {
            "credential_issuer": self.entity_id,
            "credential_configuration_ids": [f"{name}_1" for name in self.types],
            "grants": {PRE_AUTHORIZED: grant},
            **changes,
        }

    def link(self, **changes: Any) -> str:
        """The offer by value."""
        return "openid-credential-offer://?" + urlencode(
            {"credential_offer": json.dumps(self.offer(**changes))}
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Serve one request."""
        path = request.url.path
        own = urlsplit(self.entity_id).path
        if path == f"/.well-known/openid-credential-issuer{own}":
            return self._json("metadata", self._metadata())
        if path == f"/.well-known/oauth-authorization-server{own}":
            server = {"issuer": self.entity_id, "token_endpoint": f"{self.entity_id}/token"}
            return self._json("server", server)
        if path == f"{own}/offers/1":
            return self._json("offer", self.offer())
        if path == f"{own}/token":
            return self._token(_form(request))
        if path == f"{own}/nonce":
            return self._json("nonce", {"c_nonce": random_token(32)})
        if path == f"{own}/credential":
            return self._credential(json.loads(request.content))
        if path == f"{own}/notification":
            self.notified.append(json.loads(request.content))
            return httpx.Response(204)
        return httpx.Response(404, json={"error": "not_found"})

    def _metadata(self) -> dict[str, Any]:
        return {
            "credential_issuer": self.entity_id,
            **{
                f"{name}_endpoint": f"{self.entity_id}/{name}"
                for name in ("nonce", "credential", "notification")
            },
            "credential_configurations_supported": {
                kind.configuration_id: catalogue.credential_configuration(
                    kind, catalogue.vct(VCT_BASE, kind.name)
                )
                for kind in catalogue.TYPES.values()
            },
        }

    def _token(self, form: Mapping[str, str]) -> httpx.Response:
        if form.get("pre-authorized_code") != self.code or form.get("tx_code") != self.pin:
            return httpx.Response(400, json={"error": "invalid_grant", "error_description": "wrong code"})
        return self._json("token", {"access_token": "t" * 22, "token_type": "Bearer", "expires_in": 300})

    def _credential(self, body: Mapping[str, Any]) -> httpx.Response:
        # Identifiers begin with the configuration they stand for: a simulator's shortcut.
        named = body.get("credential_configuration_id") or body["credential_identifier"].partition(".")[0]
        kind = catalogue.type_for_configuration(named)
        assert kind is not None
        self.asked.append(body.get("credential_identifier", named))
        proof = jose.parse(body["proofs"]["jwt"][0])
        token = self.sign(kind, proof.header["jwk"])
        answer = {"credentials": [{"credential": token}], "notification_id": f"n-{kind.name}"}
        return self._json("credential", answer)

    def sign(self, kind: catalogue.CredentialType, jwk: Mapping[str, Any]) -> str:
        """One credential of this type bound to this key."""
        leaf = self.registry.entities[self.entity_id].issued("credential")
        now = self.registry.clock.now()
        claims = {
            **datasets.dataset(kind.name),
            "iss": self.entity_id,
            "vct": catalogue.vct(VCT_BASE, kind.name),
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(days=200)).timestamp()),
            "cnf": {"jwk": {k: jwk[k] for k in ("kty", "crv", "x", "y")}},
            "status": {"status_list": {"idx": 7, "uri": f"{self.entity_id}/statuslists/list-1"}},
        }
        claims = self._spoiled("claims", claims)
        return sd_jwt_vc.issue_credential(claims, kind.disclosable, leaf.key, leaf.x5c, missing_ok=True)

    def _spoiled(self, name: str, value: Any) -> Any:
        spoiler = self.spoil.get(name)
        return spoiler(copy.deepcopy(value)) if spoiler else value

    def _json(self, name: str, value: Any) -> httpx.Response:
        return httpx.Response(200, json=self._spoiled(name, value))


class VerifierSimulator:
    """A verifier that asks for names by default and keeps what it was sent."""

    def __init__(self, registry: TrustRegistrySimulator, entity_id: str = MANCHESTER) -> None:
        self.registry = registry
        self.entity_id = entity_id
        self.purpose = "SERVICE_NEED_URGENT"
        self.asks: dict[str, list[list[str]]] = {"StaffIdentity": [["family_name"], ["given_name"]]}
        self.key = SigningKey.generate()
        self.kid = random_token()
        self.nonce = random_token()
        self.state = random_token()
        self.received: list[dict[str, Any]] = []
        self.status = 200
        self.spoil: dict[str, Spoiler] = {}

    @property
    def client_id(self) -> str:
        """The client id of the current leaf."""
        return "x509_hash:" + x509_hash(self.registry.entities[self.entity_id].issued("request").der)

    def link(self, **changes: str) -> str:
        """The link of a QR code."""
        query = {"client_id": self.client_id, "request_uri": f"{self.entity_id}/oid4vp/requests/1", **changes}
        return "openid4vp://?" + urlencode(query)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Serve one request."""
        path, own = request.url.path, urlsplit(self.entity_id).path
        if path == f"{own}/oid4vp/requests/1":
            nonce = _form(request).get("wallet_nonce") if request.method == "POST" else None
            media_type = "application/oauth-authz-req+jwt"
            return httpx.Response(200, text=self.request(nonce), headers={"content-type": media_type})
        if path == f"{own}/oid4vp/response":
            return self._receive(_form(request))
        return httpx.Response(404, json={"error": "not_found"})

    def request(self, wallet_nonce: str | None = None) -> str:
        """The signed request object."""
        leaf = self.registry.entities[self.entity_id].issued("request")
        claims = self._spoiled("claims", self._claims(wallet_nonce))
        headers = self._spoiled("headers", {"x5c": leaf.x5c})
        return jose.sign(claims, leaf.key, typ="oauth-authz-req+jwt", kid=False, headers=headers)

    def _claims(self, wallet_nonce: str | None) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "client_id": self.client_id,
            "response_type": "vp_token",
            "response_mode": "direct_post.jwt",
            "response_uri": f"{self.entity_id}/oid4vp/response",
            "aud": "https://self-issued.me/v2",
            "nonce": self.nonce,
            "state": self.state,
            "dcql_query": {"credentials": [self._asked(name, paths) for name, paths in self.asks.items()]},
            "client_metadata": {
                "jwks": {"keys": [{**self.key.public.jwk, "kid": self.kid, "alg": "ECDH-ES", "use": "enc"}]},
                "encrypted_response_enc_values_supported": ["A128GCM", "A256GCM"],
            },
            "verifier_info": [
                {
                    "format": "staff_passport_purpose",
                    "data": {
                        "purpose": self.purpose,
                        "text": {"en-GB": "An urgent operating list", "cy": "Rhestr frys"},
                    },
                }
            ],
        }
        if wallet_nonce is not None:
            claims["wallet_nonce"] = wallet_nonce
        return claims

    def _asked(self, name: str, paths: list[list[str]]) -> dict[str, Any]:
        return {
            "id": name,
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [catalogue.vct(VCT_BASE, name)]},
            "claims": [{"path": path} for path in paths],
        }

    def _receive(self, form: Mapping[str, str]) -> httpx.Response:
        if "response" in form:
            opened = jwe.decrypt(form["response"], self.key)
            self.received.append({"header": opened.header, **json.loads(opened.plaintext)})
        else:
            self.received.append(dict(form))
        if self.status != 200:
            return httpx.Response(self.status, json={"error": "invalid_request"})
        return httpx.Response(200, json=self._spoiled("answer", {}))

    def _spoiled(self, name: str, value: Any) -> Any:
        spoiler = self.spoil.get(name)
        return spoiler(copy.deepcopy(value)) if spoiler else value


def _as_read_from_a_wire(response: httpx.Response) -> httpx.Response:
    """The same answer with its body still to be read, as a client of a real server gets it."""
    return httpx.Response(
        response.status_code, headers=response.headers, stream=httpx.ByteStream(response.content)
    )


def _form(request: httpx.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
