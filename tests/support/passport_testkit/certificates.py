"""A small certificate authority in the shape of the registry's (design §4.1), that can also get it wrong.

`Authority.create()` makes a root and an issuing CA; `leaf(...)` a right leaf. Every field of `LeafSpec` and
`CaSpec` is a knob: `dataclasses.replace` one of them to make the certificate a test needs refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from passport_shared.formats.jose import SigningKey
from passport_shared.formats.x5c import encode_x5c
from passport_testkit.clock import NOON

YEAR = timedelta(days=365)
LEAF_LIFE = timedelta(days=1126)  # 37 months
Hash: TypeAlias = type[hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512]
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, kw_only=True)
class LeafSpec:
    """What a leaf says. None leaves the extension out."""

    entity_id: str = "https://issuer.example/RBV"
    ods_code: str = "RBV"
    organisation: str = "Otter Valley NHS Foundation Trust"
    role: str = "issuer"
    country: str = "GB"
    organisation_identifiers: tuple[str, ...] | None = None
    uris: tuple[str, ...] | None = None
    dns: tuple[str, ...] = ("issuer.example",)
    other_names: tuple[x509.GeneralName, ...] = ()
    alternative_name: bool = True
    not_before: datetime = NOON - timedelta(days=1)
    not_after: datetime = NOON - timedelta(days=1) + LEAF_LIFE
    ca: bool | None = False
    key_usage: frozenset[str] | None = frozenset({"digital_signature"})
    key_usage_critical: bool = True
    subject_key_identifier: bool = True
    authority_key_identifier: bytes | bool | None = True
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    hash: Hash = hashes.SHA256


@dataclass(frozen=True, kw_only=True)
class CaSpec:
    """What a CA certificate says. None leaves the extension out."""

    name: str
    not_before: datetime
    not_after: datetime
    ca: bool | None = True
    ca_critical: bool = True
    path_length: int | None = None
    key_usage: frozenset[str] | None = frozenset({"key_cert_sign", "crl_sign"})
    key_usage_critical: bool = True
    subject_key_identifier: bool = True
    authority_key_identifier: bytes | bool | None = True
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    hash: Hash = hashes.SHA256


ROOT = CaSpec(
    name="Staff Passport Test Root", not_before=NOON - YEAR, not_after=NOON + 14 * YEAR, path_length=1
)
ISSUING = CaSpec(
    name="Staff Passport Test Issuing CA",
    not_before=NOON - YEAR,
    not_after=NOON + 7 * YEAR,
    path_length=0,
)


@dataclass(frozen=True)
class Issued:
    """A leaf with its key and the header value that carries it."""

    der: bytes
    key: SigningKey
    x5c: list[str]

    @property
    def certificate(self) -> x509.Certificate:
        """The parsed leaf."""
        return x509.load_der_x509_certificate(self.der)


@dataclass(frozen=True)
class Authority:
    """A root, an issuing CA under it, and their keys."""

    root: x509.Certificate
    issuing: x509.Certificate
    root_key: PrivateKey
    issuing_key: PrivateKey

    @classmethod
    def create(
        cls,
        *,
        root: CaSpec = ROOT,
        issuing: CaSpec = ISSUING,
        root_key: PrivateKey | None = None,
        issuing_key: PrivateKey | None = None,
        issuing_signed_by: PrivateKey | None = None,
    ) -> Authority:
        """Make both certificates; `issuing_signed_by` puts a foreign signature on the issuing CA."""
        root_key = root_key or ec.generate_private_key(ec.SECP256R1())
        issuing_key = issuing_key or ec.generate_private_key(ec.SECP256R1())
        root_certificate = _ca(root, root_key, issuer_name=_ca_name(root), issuer_key=root_key)
        issuing_certificate = _ca(
            issuing,
            issuing_key,
            issuer_name=_ca_name(root),
            issuer_key=root_key,
            signed_by=issuing_signed_by,
        )
        return cls(root_certificate, issuing_certificate, root_key, issuing_key)

    @property
    def root_der(self) -> bytes:
        """The root's bytes."""
        return der(self.root)

    @property
    def issuing_der(self) -> bytes:
        """The issuing CA's bytes."""
        return der(self.issuing)

    @property
    def roots(self) -> list[bytes]:
        """What a trust file's `x509_roots` decodes to."""
        return [self.root_der]

    def x5c(self, leaf_der: bytes) -> list[str]:
        """Return the header value for a leaf of this authority."""
        return encode_x5c([leaf_der, self.issuing_der])

    def leaf(self, key: SigningKey | None = None, spec: LeafSpec | None = None, **changes: Any) -> Issued:
        """Issue a leaf; keyword arguments change single fields of the specification."""
        key = key or SigningKey.generate()
        spec = replace(spec or LeafSpec(), **changes)
        return self.leaf_for(key, key.public.key, spec)

    def leaf_for(
        self,
        key: SigningKey,
        public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        spec: LeafSpec,
        *,
        signed_by: PrivateKey | None = None,
        issuer_name: x509.Name | None = None,
    ) -> Issued:
        """Issue a leaf over any public key, optionally signed by a stranger or under another issuer name."""
        certificate = _certificate(
            subject=leaf_name(spec),
            issuer=issuer_name or self.issuing.subject,
            public=public,
            not_before=spec.not_before,
            not_after=spec.not_after,
            extensions=_leaf_extensions(spec, public, self.issuing_key.public_key()),
            signed_by=signed_by or self.issuing_key,
            hash_=spec.hash,
        )
        leaf_der = der(certificate)
        return Issued(leaf_der, key, self.x5c(leaf_der))


def self_signed_leaf(key: SigningKey, spec: LeafSpec) -> bytes:
    """Return a leaf that is its own issuer."""
    name = leaf_name(spec)
    extensions = _leaf_extensions(spec, key.public.key, key.public.key)
    certificate = _certificate(
        subject=name,
        issuer=name,
        public=key.public.key,
        not_before=spec.not_before,
        not_after=spec.not_after,
        extensions=extensions,
        signed_by=key.private,
        hash_=spec.hash,
    )
    return der(certificate)


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate's bytes."""
    return certificate.public_bytes(serialization.Encoding.DER)


def leaf_name(spec: LeafSpec) -> x509.Name:
    """Return the subject of design §4.1."""
    identifiers = spec.organisation_identifiers
    if identifiers is None:
        identifiers = (f"NHSODS-{spec.ods_code}",)
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, spec.country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, spec.organisation),
            *(x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, text) for text in identifiers),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{spec.organisation} {spec.role}"),
        ]
    )


def _ca_name(spec: CaSpec) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "GB"),
            x509.NameAttribute(NameOID.COMMON_NAME, spec.name),
        ]
    )


_Extensions: TypeAlias = Sequence[tuple[x509.ExtensionType, bool]]
_PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _usage(names: frozenset[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in _USAGES})


def _identifiers(
    spec: LeafSpec | CaSpec, public: _PublicKey, issuer: _PublicKey
) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if spec.subject_key_identifier:
        found.append((x509.SubjectKeyIdentifier.from_public_key(public), False))
    if spec.authority_key_identifier is True:
        found.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), False))
    elif isinstance(spec.authority_key_identifier, bytes):
        found.append((x509.AuthorityKeyIdentifier(spec.authority_key_identifier, None, None), False))
    return found


def _leaf_extensions(spec: LeafSpec, public: _PublicKey, issuer: _PublicKey) -> _Extensions:
    extensions = [*_identifiers(spec, public, issuer), *spec.extra]
    if spec.ca is not None:
        extensions.append((x509.BasicConstraints(ca=spec.ca, path_length=None), True))
    if spec.key_usage is not None:
        extensions.append((_usage(spec.key_usage), spec.key_usage_critical))
    uris = spec.uris if spec.uris is not None else (spec.entity_id,)
    if spec.alternative_name:
        names = [
            *map(x509.UniformResourceIdentifier, uris),
            *map(x509.DNSName, spec.dns),
            *spec.other_names,
        ]
        extensions.append((x509.SubjectAlternativeName(names), False))
    return extensions


def _ca(
    spec: CaSpec,
    key: PrivateKey,
    *,
    issuer_name: x509.Name,
    issuer_key: PrivateKey,
    signed_by: PrivateKey | None = None,
) -> x509.Certificate:
    extensions = [*_identifiers(spec, key.public_key(), issuer_key.public_key()), *spec.extra]
    if spec.ca is not None:
        path_length = spec.path_length if spec.ca else None
        extensions.append((x509.BasicConstraints(ca=spec.ca, path_length=path_length), spec.ca_critical))
    if spec.key_usage is not None:
        extensions.append((_usage(spec.key_usage), spec.key_usage_critical))
    return _certificate(
        subject=_ca_name(spec),
        issuer=issuer_name,
        public=key.public_key(),
        not_before=spec.not_before,
        not_after=spec.not_after,
        extensions=extensions,
        signed_by=signed_by or issuer_key,
        hash_=spec.hash,
    )


def _certificate(
    *,
    subject: x509.Name,
    issuer: x509.Name,
    public: _PublicKey,
    not_before: datetime,
    not_after: datetime,
    extensions: _Extensions,
    signed_by: PrivateKey,
    hash_: Hash,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signed_by, hash_())


_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_ECDSA_SHA1 = bytes.fromhex("300906072a8648ce3d0401")


def relabelled_sha1(leaf_der: bytes) -> bytes:
    """Return the certificate saying that it was signed with ECDSA and SHA-1.

    No library here still makes such a signature, so the algorithm is rewritten in both places. The signature
    no longer holds; the algorithm must be refused before anybody notices.
    """
    certificate = x509.load_der_x509_certificate(leaf_der)
    body = certificate.tbs_certificate_bytes[4:].replace(_ECDSA_SHA256, _ECDSA_SHA1, 1)
    signature = certificate.signature
    bits = b"\x03" + bytes([len(signature) + 1, 0]) + signature
    return _sequence(_sequence(body) + _ECDSA_SHA1 + bits)


def _sequence(content: bytes) -> bytes:
    return b"\x30\x82" + len(content).to_bytes(2, "big") + content
