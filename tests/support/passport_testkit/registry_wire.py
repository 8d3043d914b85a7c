"""The registry as other services reach it over HTTP: snapshot, parts and enrolment, in front of the
simulator.

It is a transport for `Outbound`, so that no socket is needed and every URL rule still holds. `down` makes it
unreachable.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from passport_shared.formats.federation import verify_entity_configuration
from passport_shared.formats.jose import PublicKey, SigningKey
from passport_shared.formats.x5c import csr_public_key, x509_hash
from passport_shared.outbound import OutboundError, OutboundReason
from passport_shared.wire.enrolment import ENROLMENT_CLAIM, RENEWAL_PATH
from passport_testkit.certificates import Issued, LeafSpec
from passport_testkit.network import NetworkEntity, Published, TrustRegistrySimulator

CODE = "a-one-time-code"


class RegistryWire(httpx.AsyncBaseTransport):
    """Serves what the simulator published, and enrols issuers with the code `CODE`."""

    def __init__(self, registry: TrustRegistrySimulator, *, types: tuple[str, ...] = ()) -> None:
        self.registry = registry
        self.types = types
        self.down = False
        self.requests: list[str] = []
        self.published: Published = registry.publish()

    def publish(self) -> None:
        """Publish the network as it is now."""
        self.published = self.registry.publish()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(f"{request.method} {request.url}")
        if self.down:
            raise OutboundError(OutboundReason.CONNECT_FAILED, host=request.url.host)
        url, anchor = str(request.url), self.registry.anchor
        if url == self.registry.trust_file.snapshot_uri:
            return self._manifest(request)
        if url.startswith(f"{anchor}/federation/parts/"):
            return self._part(url.rsplit("/", 1)[-1])
        if url == f"{anchor}/api/v1/enrolments":
            return self._enrol(json.loads(await request.aread()))
        if url == f"{anchor}{RENEWAL_PATH}":
            return self._enrol({"code": CODE, **json.loads(await request.aread())}, renewal=True)
        return _answer(404, b"", {})

    def _manifest(self, request: httpx.Request) -> httpx.Response:
        etag = f'"{hashlib.sha256(self.published.manifest.encode()).hexdigest()[:16]}"'
        if request.headers.get("if-none-match") == etag:
            return _answer(304, b"", {"ETag": etag})
        headers = {"Content-Type": "application/staff-passport-snapshot+jwt", "ETag": etag}
        return _answer(200, self.published.manifest.encode(), headers)

    def _part(self, digest: str) -> httpx.Response:
        for content in self.published.parts.values():
            if hashlib.sha256(content).hexdigest() == digest:
                return _answer(200, content, {"Content-Type": "application/json"})
        return _answer(404, b"", {})

    def _enrol(self, body: dict[str, Any], *, renewal: bool = False) -> httpx.Response:
        if body["code"] != CODE:
            refusal = json.dumps({"detail": "The code is not known."}).encode()
            return _answer(409, refusal, {"Content-Type": "application/problem+json"})
        configuration = verify_entity_configuration(
            body["entity_configuration"], now=self.registry.clock.now(), expected_entity=body["entity_id"]
        )
        entity = self._entity(body["entity_id"], configuration.keys[configuration.kid])
        certificates = {
            use: self._certify(entity, use, csr_public_key(pem.encode()), beside=renewal)
            for use, pem in body["certificate_requests"].items()
        }
        answer = {
            "entity_id": entity.entity_id,
            "role": "VERIFIER" if "request" in certificates else "ISSUER",
            "ods_code": entity.organisation.ods_code,
            "organisation_name": entity.organisation.name,
            "certificates": certificates,
        }
        self.publish()
        named = {
            use: csr_public_key(pem.encode()).thumbprint for use, pem in body["certificate_requests"].items()
        }
        assert configuration.claims[ENROLMENT_CLAIM] == {"keys": named}
        return _answer(201, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _entity(self, entity_id: str, federation: PublicKey) -> NetworkEntity:
        if entity_id not in self.registry.entities:
            name = f"{entity_id.rsplit('/', 1)[-1]} NHS Foundation Trust"
            self.registry.enrol_issuer(entity_id, name=name, types=self.types)
        entity = self.registry.entities[entity_id]
        # The simulator signs statements about public keys only; the private one stays with the service.
        entity.federation_key = replace(SigningKey.generate(), public=federation)
        return entity

    def _certify(
        self, entity: NetworkEntity, use: str, public: PublicKey, *, beside: bool = False
    ) -> dict[str, Any]:
        now = self.registry.clock.now()
        spec = LeafSpec(
            entity_id=entity.entity_id,
            ods_code=entity.organisation.ods_code,
            organisation=entity.organisation.name,
            role=use,
            dns=(entity.entity_id.split("/")[2],),
            not_before=now - timedelta(days=1),
            not_after=now + timedelta(days=1125),
        )
        issued: Issued = self.registry.authority.leaf_for(SigningKey.generate(), public.key, spec)
        old = x509_hash(entity.leaves[use].der)
        entity.leaves[use] = issued
        # A renewal pins the new leaf beside the old one; an enrolment takes the place of what was made up.
        kept = [pin for pin in entity.pins if beside and pin.x5t_s256 == old]
        entity.pins = kept + [
            replace(pin, x5t_s256=x509_hash(issued.der), jkt=public.thumbprint)
            if pin.x5t_s256 == old
            else pin
            for pin in entity.pins
        ]
        (pin,) = [pin for pin in entity.pins if pin.x5t_s256 == x509_hash(issued.der)]
        return {
            "certificate": _pem(issued.certificate),
            "issuing_ca": _pem(self.registry.authority.issuing),
            "not_before": spec.not_before.isoformat(),
            "not_after": spec.not_after.isoformat(),
            "not_after_signing": pin.not_after_signing.isoformat(),
            "x5t_s256": x509_hash(issued.der),
        }


def _answer(status: int, content: bytes, headers: dict[str, str]) -> httpx.Response:
    """A response whose body is still to be read, as from a socket."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
