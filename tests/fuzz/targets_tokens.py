"""Targets for signed and encrypted objects: as received, and changed under a right signature.

The second kind reaches what lies behind the signature: a trusted party that sends nonsense must be refused as
cleanly as a stranger. Tokens as received are accepted only if their signed bytes are those of a seed.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import serialization

from passport_shared.formats import federation, jose, jwe, sd_jwt, strict, x5c
from passport_shared.formats.dpop import DpopError, dpop_proof, read_dpop_proof
from passport_shared.formats.federation import FederationError
from passport_shared.formats.federation_jws import key_set
from passport_shared.formats.jose import JoseError, PublicKey, SigningKey
from passport_shared.formats.jwe import JweError
from passport_shared.formats.metadata_policy import apply_policy, merge_policies, read_policy
from passport_shared.formats.sd_jwt import SdJwtError
from passport_shared.formats.sd_jwt_vc import CredentialRejected
from passport_shared.formats.snapshot import Snapshot, SnapshotError, verify_manifest
from passport_shared.formats.status_list import (
    StatusList,
    StatusListError,
    read_aggregation,
    read_token,
    sign_token,
    status_reference,
)
from passport_shared.formats.trust_chain import resolve_chain
from passport_shared.formats.trust_mark import verify_trust_mark
from passport_shared.formats.trust_mark_status import (
    trust_mark_status_response,
    verify_trust_mark_status_response,
)
from passport_shared.formats.x5c import ChainError
from passport_shared.wire.clients import DirectoryError, build_directory, read_directory
from passport_shared.wire.release import (
    ByHolderRef,
    ReleaseError,
    read_release_request,
    release_request,
    stated_issuer,
)
from passport_testkit import credentials as sd
from passport_testkit.certificates import Authority
from passport_testkit.clients import api_client
from passport_testkit.clock import NOON
from passport_testkit.network import CHRISTIE, MANCHESTER, Documents, TrustRegistrySimulator
from passport_testkit.releases import EMPLOYER, HOST, request_claims
from tests.fuzz.target import REFUSED, Target, as_json, as_text, corpus, read, read_object, signed, unsigned

KEY = sd.derived_key("test-only-fuzzing")
HTU = "https://issuer.example/holder/moves"


@lru_cache(maxsize=1)
def network() -> TrustRegistrySimulator:
    """One trust that issues and one that asks."""
    registry = TrustRegistrySimulator(authority=sd.authority())
    registry.enrol_issuer()
    registry.enrol_verifier()
    return registry


def _behind(
    name: str,
    errors: tuple[type[Exception], ...],
    verify: Callable[[str], object],
    make: Callable[[], str],
    key: Callable[[], SigningKey],
) -> list[Target]:
    """Two targets of one kind of token: as received, and signed again after every change."""

    def accepted(token: str) -> bool:
        try:
            verify(token)
        except errors:
            return False
        return True

    def received(data: bytes) -> bool:
        token = as_text(data)
        if not accepted(token):
            return False
        # A signature made with ECDSA has a twin (r, n - s), which no mutation here finds.
        [seed] = raw.seeds
        assert token.rpartition(".")[0].encode() == seed.rpartition(b".")[0], "a forgery was accepted"
        return True

    raw = Target(f"{name} as received", received, lambda: [make().encode()])
    resigned = Target(
        f"{name} signed again", lambda data: accepted(signed(data, key())), lambda: [unsigned(make())]
    )
    return [raw, resigned]


# -- JOSE -----------------------------------------------------------------------------------------------


def _jws(data: bytes) -> bool:
    try:
        jose.verify_with_jwks(data, federation.public_jwks([KEY.public]), typ="jwt")
    except JoseError:
        return False
    return True


def _header(data: bytes) -> bool:
    try:
        header = jose.parse_header(strict.b64url_encode(data) if data else "")
    except JoseError:
        return False
    assert isinstance(header["alg"], str)
    return True


def _jwk(data: bytes) -> bool:
    value = read(data)
    if value is REFUSED:
        return False
    try:
        key = PublicKey.from_jwk(value)
    except JoseError:
        return False
    assert PublicKey.from_jwk(key.jwk) == key
    return True


def _jwks(data: bytes) -> bool:
    try:
        key_set(read_object(data) or None)
        jose.choose_key({"alg": "ES256", "kid": KEY.kid}, read_object(data) or {})
    except (FederationError, JoseError):
        return False
    return True


def _key_bytes(data: bytes) -> bool:
    found = False
    for load in (PublicKey.from_spki_der, SigningKey.from_der, x5c.csr_public_key):
        try:
            load(data)
            found = True
        except (JoseError, ChainError):
            continue
    return found


def _key_byte_seeds() -> list[bytes]:
    request = x5c.create_csr(KEY, "Invented Trust")
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(request)
    spki = (
        sd.issuer()
        .certificate.public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return [spki, KEY.to_der(), request, pem + b"-----END CERTIFICATE REQUEST-----\n"]


def _jwe(data: bytes) -> bool:
    try:
        jwe.peek_header(data)
        opened = jwe.decrypt(data, KEY)
    except JweError:
        return False
    assert opened.plaintext == b'{"vp_token":{}}', "a changed encryption was opened"
    return True


def _jwe_header(data: bytes) -> bool:
    """Any header before a body that cannot be opened: the checks before decryption."""
    rest = _encrypted().partition(".")[2]
    return _jwe((strict.b64url_encode(data) if data else "").encode() + b"." + rest.encode())


def _encrypted() -> str:
    return jwe.encrypt(b'{"vp_token":{}}', KEY.public, kid="a", apu=b"a", apv=b"nonce")


def _jwe_seeds() -> list[bytes]:
    return [
        _encrypted().encode(),
        jwe.encrypt(b'{"vp_token":{}}', KEY.public, kid="a", enc="A256GCM").encode(),
    ]


def _chain(data: bytes) -> bool:
    value = read(data)
    try:
        x5c.verify_chain(value if isinstance(value, list) else [as_text(data)], sd.authority().roots, at=NOON)
    except ChainError:
        return False
    return True


def _certificate(data: bytes) -> bool:
    """Any bytes as a leaf that the issuing CA of the network is said to have signed."""
    try:
        leaf = x5c.verify_chain(
            x5c.encode_x5c([data, sd.authority().issuing_der]), sd.authority().roots, at=NOON
        )
    except ChainError:
        return False
    assert leaf.der in _certificate_seeds(), "a changed certificate was accepted"
    return True


@lru_cache(maxsize=1)
def _certificate_seeds() -> tuple[bytes, ...]:
    foreign = Authority.create()
    return (sd.issuer().der, sd.issuer("status").der, foreign.leaf(KEY).der, sd.authority().issuing_der)


# -- SD-JWT ---------------------------------------------------------------------------------------------


def _sd_jwt(data: bytes) -> bool:
    try:
        claims = sd_jwt.process(sd_jwt.parse(data))
    except SdJwtError:
        return False
    assert not {"_sd", "..."} & claims.keys()
    return True


def _disclosure(data: bytes) -> bool:
    try:
        sd_jwt.parse_disclosure(strict.b64url_encode(data) if data else "")
    except SdJwtError:
        return False
    return True


def _presentation(data: bytes) -> bool:
    try:
        sd.verify(data)
    except CredentialRejected:
        return False
    assert data in _presentations(), "a changed presentation was accepted"
    return True


@lru_cache(maxsize=1)
def _presentations() -> tuple[bytes, ...]:
    chosen = sd_jwt.add_key_binding(
        sd_jwt.present(sd.credential(decoys=3), [("given_names",), ("skills", "FS"), ("languages", 0)]),
        sd.holder_key(),
        aud=sd.AUD,
        nonce=sd.NONCE,
        iat=NOON,
    )
    return (sd.forgery().token().encode(), chosen.encode())


def _forged(data: bytes) -> bool:
    """A presentation whose every part may be changed before both signatures are made."""
    value = read_object(data)
    if not value:
        return False
    forged = _forgery(value)
    if forged is None:
        return False
    try:
        verified = sd.verify(forged)
    except CredentialRejected:
        return False
    assert verified.iss == CHRISTIE
    return True


def _forgery(value: dict[str, Any]) -> str | None:
    disclosures = value.get("disclosures")
    try:
        texts = [sd.segment(content) for content in (disclosures if isinstance(disclosures, list) else [])]
        issued = "~".join(
            [sd.raw_jws(value.get("header"), value.get("payload"), sd.issuer().key), *texts, ""]
        )
        claims = value.get("kb_claims")
        if isinstance(claims, dict) and claims.get("sd_hash") == "right":
            claims = {**claims, "sd_hash": sd_jwt.digest_of(issued)}
        return issued + sd.raw_jws(value.get("kb_header"), claims, sd.holder_key())
    except (TypeError, UnicodeEncodeError):
        return None


def _forgery_seeds() -> list[bytes]:
    def plain(made: sd.Forgery) -> dict[str, Any]:
        return {
            "header": made.header,
            "payload": made.payload,
            "disclosures": [json.loads(strict.b64url_decode(text)) for text in made.disclosures],
            "kb_header": made.kb_header,
            "kb_claims": {**made.kb_claims, "sd_hash": "right"},
        }

    return as_json(
        plain(sd.forgery()),
        plain(sd.forgery(nbf=sd.seconds(NOON), aka_vcts=["https://registry.example/vct/Staff/1"])),
    )


# -- status lists ---------------------------------------------------------------------------------------


def _status(token: str) -> None:
    read_token(token, uri=sd.STATUS_URI, now=NOON, roots=sd.authority().roots)


def _status_token() -> str:
    leaf = sd.issuer("status")
    values = StatusList(bits=2, size=1_024)
    values.set(7, 1)
    return sign_token(
        values,
        uri=sd.STATUS_URI,
        key=leaf.key,
        x5c=leaf.x5c,
        iat=NOON,
        exp=NOON + timedelta(days=1),
        ttl=timedelta(seconds=300),
        aggregation_uri="https://issuer.example/RBV/statuslists",
    )


def _zlib(data: bytes) -> bool:
    """The first byte says the bits, the rest is what was deflated."""
    if len(data) < 2:
        return False
    try:
        found = StatusList.decode(strict.b64url_encode(data[1:]), data[0])
    except StatusListError:
        return False
    assert zlib.decompress(data[1:]) == found.packed
    assert StatusList.decode(found.encode(), data[0]) == found
    return True


def _zlib_seeds() -> list[bytes]:
    plain = bytes(range(256)) * 4
    return [bytes([bits]) + zlib.compress(plain, level) for bits in (1, 2, 4, 8) for level in (0, 1, 6, 9)]


def _reference(data: bytes) -> bool:
    value = read_object(data)
    if value is REFUSED:
        return False
    try:
        found = status_reference(value)
    except StatusListError:
        return False
    assert found.idx >= 0
    return True


def _aggregation(data: bytes) -> bool:
    try:
        read_aggregation(data)
    except StatusListError:
        return False
    return True


# -- federation -----------------------------------------------------------------------------------------


def _statement_claims() -> str:
    registry = network()
    key = registry.entities[CHRISTIE].federation_key
    return federation.subordinate_statement(
        iss=registry.anchor,
        sub=CHRISTIE,
        iat=NOON,
        exp=NOON + timedelta(hours=96),
        jwks=federation.public_jwks([key.public]),
        key=registry.key,
        source_endpoint=f"{registry.anchor}/fetch",
        metadata=federation.issuer_metadata([KEY.public]),
        metadata_policy=federation.issuer_policy(CHRISTIE),
    )


def _configuration(token: str) -> None:
    federation.verify_entity_configuration(token, now=NOON, expected_entity=CHRISTIE)


def _statement(token: str) -> None:
    registry = network()
    found = federation.verify_subordinate_statement(
        token, federation.public_jwks([registry.key.public]), NOON
    )
    apply_policy(merge_policies([found.metadata_policy]), found.metadata)


def _policy(data: bytes) -> bool:
    """Two policies and metadata: merged and applied."""
    value = read(data)
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(one, dict) for one in value):
        return False
    try:
        for one in value[:2]:
            read_policy(one)
        apply_policy(
            merge_policies(value[:2]), {name: one for name, one in value[2].items() if isinstance(one, dict)}
        )
    except FederationError:
        return False
    return True


POLICIES = [
    [{"t": {"p": {"value": "a"}}}, {"t": {"p": {"essential": True}}}, {"t": {"p": "a"}}],
    [{"t": {"p": {"one_of": ["a", "b"]}}}, {"t": {"p": {"default": "a", "one_of": ["a"]}}}, {"t": {}}],
    [
        {"t": {"p": {"subset_of": ["a", "b"], "superset_of": ["a"]}, "scope": {"add": "a b"}}},
        {"t": {"p": {"add": ["a"]}}},
        {"t": {"p": ["a", "b"], "scope": "c"}, "u": {"q": [{"x": 1}]}},
    ],
]


def _trust_chain(data: bytes) -> bool:
    value = read(data)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return False
    try:
        resolve_chain(value, network().trust_file, NOON)
    except FederationError:
        return False
    return True


def _chain_seeds() -> list[bytes]:
    registry = network()
    return as_json(
        [registry.configuration(CHRISTIE), registry.statement(CHRISTIE), registry.anchor_configuration()]
    )


def _mark(token: str) -> None:
    registry = network()
    issuers = {federation.mark_type(registry.anchor, role): [registry.anchor] for role in federation.MarkRole}
    verify_trust_mark(token, federation.public_jwks([registry.key.public]), NOON, trust_mark_issuers=issuers)


def _mark_status(token: str) -> None:
    registry = network()
    verify_trust_mark_status_response(
        token, federation.public_jwks([registry.key.public]), NOON, iss=registry.anchor, trust_mark="a.b.c"
    )


def _mark_status_token() -> str:
    registry = network()
    return trust_mark_status_response(
        iss=registry.anchor,
        trust_mark="a.b.c",
        status="active",
        iat=NOON,
        key=registry.key,
        exp=NOON + timedelta(hours=1),
    )


def _manifest(token: str) -> None:
    verify_manifest(token, network().trust_file, now=NOON)


def _parts(data: bytes) -> bool:
    """The four documents of a snapshot, changed and published under a right manifest."""
    value = read_object(data)
    if value is REFUSED:
        return False

    def edit(documents: Documents) -> None:
        documents.update({name: value.get(name, {}) for name in documents})

    registry = network()
    try:
        published = registry.publish(edit=edit)
        manifest = registry.verify(published)
        snapshot = Snapshot.load(manifest, published.parts, registry.trust_file)
    except SnapshotError:
        return False
    finally:
        registry.last_manifest = registry.last_sequence = None
    snapshot.agreements_between("RBV", "R0A", NOON.date())
    for entity_id in (*snapshot.entity_ids, CHRISTIE):
        try:
            found = snapshot.entity(entity_id, now=NOON)
        except (SnapshotError, FederationError):
            continue
        for mark in found.marks if found else ():
            snapshot.mark_status(mark, now=NOON)
    return True


def _part_seeds() -> list[bytes]:
    registry = network()
    registry.agreements.clear()
    registry.agree("RBV", "R0A")
    return as_json(registry.documents())


# -- proofs and messages --------------------------------------------------------------------------------


def _dpop(token: str) -> None:
    read_dpop_proof(token, htm="POST", htu=HTU, now=NOON, access_token="a.b.c")


def _directory(token: str) -> None:
    read_directory(token, [KEY.public.as_jwk(kid=KEY.kid)], iss="https://registry.example", now=NOON)


def _directory_token() -> str:
    clients = [api_client("rbv-hr-system", scopes={"staff:read"}).record]
    made = build_directory(clients, iss="https://registry.example", sequence=7, iat=NOON, key=KEY)
    return made if isinstance(made, str) else made.decode()


def _release(token: str) -> None:
    stated_issuer(token)
    read_release_request(
        token,
        federation.public_jwks([KEY.public]),
        iss=HOST,
        iss_ods="R0A",
        aud=EMPLOYER,
        aud_ods="RBV",
        now=NOON,
    )


def _release_token() -> str:
    return release_request(request_claims(NOON, ByHolderRef(holder_ref="hr-7f3c-0123456789abcdef")), KEY)


def _one(name: str, run: Callable[[bytes], bool], seeds: Callable[[], Sequence[bytes]]) -> Target:
    return Target(name, run, seeds)


TARGETS: list[Target] = [
    _one("JWS", _jws, lambda: [jose.sign({"iss": "a"}, KEY, typ="jwt").encode()]),
    _one(
        "JOSE header",
        _header,
        lambda: as_json(
            {"alg": "ES256", "typ": "dc+sd-jwt", "kid": "a", "jwk": KEY.public.jwk, "x5c": ["AA=="]}
        ),
    ),
    _one(
        "JWK",
        _jwk,
        lambda: [*as_json(KEY.public.as_jwk(use="sig", key_ops=["verify"])), *corpus("jose-cookbook/jwk")],
    ),
    _one("JWK set", _jwks, lambda: as_json(federation.public_jwks([KEY.public, sd.holder_key().public]))),
    _one("key and signing request bytes", _key_bytes, _key_byte_seeds),
    _one("JWE", _jwe, _jwe_seeds),
    _one(
        "JWE header",
        _jwe_header,
        lambda: as_json(
            {"alg": "ECDH-ES", "enc": "A128GCM", "kid": "a", "epk": KEY.public.jwk, "apu": "YQ", "apv": "YQ"}
        ),
    ),
    _one("x5c", _chain, lambda: as_json(sd.issuer().x5c)),
    _one("certificate", _certificate, _certificate_seeds),
    _one(
        "SD-JWT",
        _sd_jwt,
        lambda: [sd.credential().encode(), sd.credential(decoys=4).encode(), *_presentations()],
    ),
    _one("disclosure", _disclosure, lambda: as_json(["salt", "name", {"a": [1]}], ["salt", "element"])),
    _one("presentation as received", _presentation, _presentations),
    _one("presentation signed again", _forged, _forgery_seeds),
    *_behind(
        "status list token", (StatusListError,), _status, _status_token, lambda: sd.issuer("status").key
    ),
    _one("status list bytes", _zlib, _zlib_seeds),
    _one(
        "status reference",
        _reference,
        lambda: as_json({"status": {"status_list": {"idx": 1, "uri": sd.STATUS_URI}}}),
    ),
    _one("status list aggregation", _aggregation, lambda: as_json({"status_lists": [sd.STATUS_URI]})),
    *_behind(
        "entity configuration",
        (FederationError,),
        _configuration,
        lambda: network().configuration(CHRISTIE),
        lambda: network().entities[CHRISTIE].federation_key,
    ),
    *_behind(
        "subordinate statement", (FederationError,), _statement, _statement_claims, lambda: network().key
    ),
    _one("metadata policy", _policy, lambda: as_json(*POLICIES)),
    _one("trust chain", _trust_chain, _chain_seeds),
    *_behind(
        "trust mark", (FederationError,), _mark, lambda: network().mark(MANCHESTER), lambda: network().key
    ),
    *_behind(
        "trust mark status", (FederationError,), _mark_status, _mark_status_token, lambda: network().key
    ),
    *_behind(
        "snapshot manifest",
        (SnapshotError,),
        _manifest,
        lambda: network().publish().manifest,
        lambda: network().key,
    ),
    _one("snapshot parts", _parts, _part_seeds),
    *_behind(
        "DPoP proof",
        (DpopError,),
        _dpop,
        lambda: dpop_proof(KEY, htm="POST", htu=HTU, iat=NOON, access_token="a.b.c"),
        lambda: KEY,
    ),
    *_behind("client directory", (DirectoryError,), _directory, _directory_token, lambda: KEY),
    *_behind("release request", (ReleaseError,), _release, _release_token, lambda: KEY),
]
