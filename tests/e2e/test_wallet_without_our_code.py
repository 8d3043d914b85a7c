"""A wallet of jwcrypto, PyPI sd-jwt and an HTTP client, with none of our code, between the running services.

It collects a passport with one offer and one PIN and answers the running verifier's signed request with an
encrypted response; then it misbehaves in every step and is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS
from sd_jwt.holder import SDJWTHolder

from passport_shared.service.clock import SystemClock
from passport_testkit.by_hand import issuing, moving, people

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

COLLEAGUE = replace(people.OTHER, given="Ffion", esr_person="20397722", gmc_number="7099966")
GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"


def new_key() -> JWK:
    return JWK.generate(kty="EC", crv="P-256")


def signed(key: JWK, header: dict[str, Any], claims: dict[str, Any]) -> str:
    token = JWS(json.dumps(claims))
    token.add_signature(key, alg="ES256", protected=json.dumps({"alg": "ES256", **header}))
    return str(token.serialize(compact=True))


def claims_to_reveal(claims: list[dict[str, Any]]) -> dict[str, Any]:
    """DCQL paths in the form PyPI sd-jwt wants."""
    wanted: dict[str, Any] = {}
    for claim in claims:
        at = wanted
        for step in claim["path"][:-1]:
            at = at.setdefault(step, {})
        at[claim["path"][-1]] = True
    return wanted


@dataclass
class Wallet:
    """The foreign wallet: one key, credentials by type."""

    http: httpx.Client
    key: JWK = field(default_factory=new_key)
    held: dict[str, str] = field(default_factory=dict)

    def collect(self, link: str, pin: str) -> None:
        """OpenID4VCI 1.0 with a pre-authorized code."""
        offer = json.loads(parse_qs(urlsplit(link).query)["credential_offer"][0])
        issuer = offer["credential_issuer"]
        at = urlsplit(issuer)
        metadata, server = (
            self.http.get(f"{at.scheme}://{at.netloc}/.well-known/{name}{at.path}").json()
            for name in ("openid-credential-issuer", "oauth-authorization-server")
        )
        form = {
            "grant_type": GRANT,
            "pre-authorized_code": offer["grants"][GRANT]["pre-authorized_code"],
            "tx_code": pin,
        }
        token = self.http.post(server["token_endpoint"], data=form).json()["access_token"]
        for name in offer["credential_configuration_ids"]:
            nonce = self.http.post(metadata["nonce_endpoint"]).json()["c_nonce"]
            header = {"typ": "openid4vci-proof+jwt", "jwk": self.key.export_public(as_dict=True)}
            now = int(SystemClock().now().timestamp())
            proof = signed(self.key, header, {"aud": issuer, "iat": now, "nonce": nonce})
            answer = self.http.post(
                metadata["credential_endpoint"],
                json={"credential_configuration_id": name, "proofs": {"jwt": [proof]}},
                headers={"authorization": f"Bearer {token}"},
            ).json()
            vct = metadata["credential_configurations_supported"][name]["vct"]
            self.held[vct] = answer["credentials"][0]["credential"]

    def read(self, link: str) -> dict[str, Any]:
        """The claims of the request object, once its signature holds and its leaf is the one of the link."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
        answer = self.http.get(asked["request_uri"])
        assert answer.headers["content-type"] == "application/oauth-authz-req+jwt"
        token = JWS()
        token.deserialize(answer.text)
        leaf = base64.b64decode(token.jose_header["x5c"][0])
        pem = x509.load_der_x509_certificate(leaf).public_bytes(Encoding.PEM)
        token.verify(JWK.from_pem(pem))
        digest = base64.urlsafe_b64encode(hashlib.sha256(leaf).digest()).rstrip(b"=").decode()
        claims: dict[str, Any] = json.loads(token.payload)
        assert claims["client_id"] == asked["client_id"] == f"x509_hash:{digest}"
        return claims

    def vp_token(self, request: dict[str, Any], **other: Any) -> dict[str, list[str]]:
        """A presentation for every query; `other` binds them to something else than the request says."""
        presented = {}
        for query in request["dcql_query"]["credentials"]:
            [vct] = query["meta"]["vct_values"]
            holder = SDJWTHolder(self.held[vct])
            holder.create_presentation(
                claims_to_reveal(query.get("claims", [])),
                **{
                    "nonce": request["nonce"],
                    "aud": request["client_id"],
                    "holder_key": self.key,
                    "sign_alg": "ES256",
                    **other,
                },
            )
            presented[query["id"]] = [holder.sd_jwt_presentation]
        return presented


def encrypted(
    request: dict[str, Any], payload: dict[str, Any], *, key: JWK | None = None, **header: Any
) -> str:
    """The payload for the verifier's key of this request, or for another."""
    [recipient] = request["client_metadata"]["jwks"]["keys"]
    protected = {"alg": "ECDH-ES", "enc": "A128GCM", "kid": recipient["kid"], **header}
    token = JWE(json.dumps(payload), json.dumps(protected))
    token.add_recipient(key or JWK(**{name: recipient[name] for name in ("kty", "crv", "x", "y")}))
    return str(token.serialize(compact=True))


@pytest.fixture(scope="module")
def wallet(network):
    staff_id = issuing.record(network.stack, network.operator, COLLEAGUE)
    made = issuing.offer(network.stack, network.operator, staff_id)
    wallet = Wallet(network.operator.http)
    wallet.collect(made["credential_offer"], made["tx_code"])
    assert len(wallet.held) == issuing.TYPES
    return wallet


@dataclass
class Asked:
    """One request of host HR as the foreign wallet reads it."""

    network: Any
    id: str
    claims: dict[str, Any]

    def post(self, response: str) -> httpx.Response:
        http: httpx.Client = self.network.operator.http
        return http.post(self.claims["response_uri"], data={"response": response})

    def seen(self) -> dict[str, Any]:
        """What host HR sees of it."""
        found: dict[str, Any] = self.network.operator.get(
            self.network.url("verifier"), f"{moving.BASE}/presentation-requests/{self.id}"
        )
        return found


@pytest.fixture
def asked(network, wallet):
    movement_id = moving.movement(network.stack, network.operator)
    moving.look_up(network.stack, network.operator, movement_id, COLLEAGUE, "REGISTERED", licence=True)
    made = moving.ask(network.stack, network.operator, movement_id)
    return Asked(network, made["id"], wallet.read(made["links"]["deep_link"]))


@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM"])
def test_its_answer_is_decrypted_verified_and_decided_on(network, wallet, asked, enc):
    assert enc in asked.claims["client_metadata"]["encrypted_response_enc_values_supported"]
    payload = {"vp_token": wallet.vp_token(asked.claims), "state": asked.claims["state"]}
    answer = asked.post(encrypted(asked.claims, payload, enc=enc))
    assert answer.status_code == 200, answer.text
    decision = moving.settled(network.stack, network.operator, asked.id)
    decision = network.operator.post(
        network.url("verifier"),
        f"{moving.BASE}/decisions/{decision['id']}/person-confirmation",
        {"method": "DOCUMENT_ON_CALL", "actor": moving.HOST_HR},
    )
    assert decision["result"]["verified"] is True
    assert decision["result"]["outcome"] == "READY_WITH_CONDITIONS"


def test_its_no_is_taken(asked):
    answer = asked.network.operator.http.post(
        asked.claims["response_uri"], data={"error": "access_denied", "state": asked.claims["state"]}
    )
    assert answer.status_code == 200
    assert asked.seen()["decision_id"] is None


def test_an_answer_is_taken_once(wallet, asked):
    response = encrypted(
        asked.claims, {"vp_token": wallet.vp_token(asked.claims), "state": asked.claims["state"]}
    )
    assert asked.post(response).status_code == 200
    decided = asked.seen()["decision_id"]
    again = asked.post(response)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
    assert asked.seen()["decision_id"] == decided


STRANGER = new_key()
SPOILT: dict[str, Any] = {
    "bound to another nonce": lambda w, r: encrypted(r, good(w, r, nonce="another-nonce-of-full-length")),
    "bound to another verifier": lambda w, r: encrypted(r, good(w, r, aud="x509_hash:" + "A" * 43)),
    "bound by another key": lambda w, r: encrypted(r, good(w, r, holder_key=STRANGER)),
    "not bound at all": lambda w, r: encrypted(r, good(w, r, holder_key=None)),
    "of another state": lambda w, r: encrypted(r, {**good(w, r), "state": "somebody-else"}),
    "without presentations": lambda w, r: encrypted(r, {**good(w, r), "vp_token": {}}),
    "to queries nobody made": lambda w, r: encrypted(r, {**good(w, r), "vp_token": renamed(w, r)}),
    "as text instead of arrays": lambda w, r: encrypted(r, {**good(w, r), "vp_token": bare(w, r)}),
    "encrypted to another key": lambda w, r: encrypted(r, good(w, r), key=STRANGER),
    "under an unknown kid": lambda w, r: encrypted(r, good(w, r), kid="unknown"),
    "with content encryption that was not offered": lambda w, r: encrypted(
        r, good(w, r), enc="A128CBC-HS256"
    ),
    "with key wrapping that was not offered": lambda w, r: encrypted(r, good(w, r), alg="ECDH-ES+A128KW"),
    "compressed": lambda w, r: encrypted(r, good(w, r), zip="DEF"),
    "cut short": lambda w, r: encrypted(r, good(w, r))[:-8],
    "in the clear": lambda w, r: json.dumps(good(w, r)),
}


def good(wallet: Wallet, request: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {"vp_token": wallet.vp_token(request, **other), "state": request["state"]}


def renamed(wallet: Wallet, request: dict[str, Any]) -> dict[str, list[str]]:
    return {f"{name}_x": tokens for name, tokens in wallet.vp_token(request).items()}


def bare(wallet: Wallet, request: dict[str, Any]) -> dict[str, str]:
    return {name: tokens[0] for name, tokens in wallet.vp_token(request).items()}


def test_an_answer_that_is_not_right_is_refused_and_decides_nothing(wallet, asked):
    """All on one request, which stays open: the good answer at the end is taken."""
    for name, spoil in SPOILT.items():
        answer = asked.post(spoil(wallet, asked.claims))
        assert (answer.status_code, answer.json().get("error")) == (400, "invalid_request"), name
        assert asked.seen()["decision_id"] is None, name
    assert asked.post(encrypted(asked.claims, good(wallet, asked.claims))).status_code == 200
