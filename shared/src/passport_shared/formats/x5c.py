"""The certificate chain in an `x5c` header (RFC 7515 §4.1.6), as issued by the registry's authority.

The chain has one shape (design §4.1, HAIP 1.0 §6.1): a leaf for one entity and one purpose, the issuing CA
that signed it, and a root the caller holds, which is never in the header. Because the shape is fixed there is
no path to search: two signatures are checked with `verify_directly_issued_by`, and every constraint on names,
keys, extensions and dates is checked here, each with its own reason. `cryptography.x509.verification` was
weighed and not used: it answers with one kind of error for every cause, and its profile (that of web
servers) asks for extended key usages our leaves must not have.

There is no revocation here: a leaf counts only while it is pinned in its entity's trust mark
(`passport_shared.formats.trust`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID, ObjectIdentifier, SignatureAlgorithmOID

from passport_shared.formats.jose import JoseError, PublicKey, SigningKey
from passport_shared.formats.strict import b64url_encode

MAX_CERTIFICATE_BYTES = 4_096
MAX_REQUEST_BYTES = 8_192
CHAIN_LENGTH = 2
MAX_ROOTS = 8

_ORGANISATION_IDENTIFIER = re.compile(r"NHSODS-([A-Z0-9]{3,10})")
_SIGNATURES = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    }
)
_CA_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }
)
# What cryptography raises for bytes that are not the certificate they claim to be; its warnings (a serial
# number of zero, a country of three letters) are errors where a process treats warnings so.
_PARSE_ERRORS = (
    Warning,
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class ChainReason(StrEnum):
    """Why a chain or a signing request was refused."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    WRONG_LENGTH = "wrong_length"
    ANCHOR_INCLUDED = "anchor_included"
    UNTRUSTED_ROOT = "untrusted_root"
    ISSUING_CA_SIGNATURE = "issuing_ca_signature"
    LEAF_SIGNATURE = "leaf_signature"
    LEAF_SELF_SIGNED = "leaf_self_signed"
    WEAK_SIGNATURE = "weak_signature"
    WRONG_KEY = "wrong_key"
    UNKNOWN_CRITICAL_EXTENSION = "unknown_critical_extension"
    CA_NOT_A_CA = "ca_not_a_ca"
    CA_PATH_LENGTH = "ca_path_length"
    CA_KEY_USAGE = "ca_key_usage"
    LEAF_IS_CA = "leaf_is_ca"
    LEAF_KEY_USAGE = "leaf_key_usage"
    LEAF_EXTENDED_KEY_USAGE = "leaf_extended_key_usage"
    KEY_IDENTIFIER = "key_identifier"
    SAN_URI = "san_uri"
    SUBJECT = "subject"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    BAD_REQUEST = "bad_request"


class ChainError(ValueError):
    """A chain or signing request was refused; `reason` says why."""

    def __init__(self, reason: ChainReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Leaf:
    """The checked leaf of a chain. Two leaves are equal when their bytes are."""

    der: bytes = field(repr=False)
    certificate: x509.Certificate = field(compare=False, repr=False)
    public: PublicKey = field(compare=False)
    san_uri: str = field(compare=False)
    san_dns: tuple[str, ...] = field(compare=False)
    organisation: str = field(compare=False)
    ods_code: str = field(compare=False)
    subject: str = field(compare=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)
    thumbprint: str = field(compare=False)
    authority_key_id: bytes = field(compare=False, repr=False)


def x509_hash(der: bytes) -> str:
    """Return base64url(SHA-256(DER)): `x5t#S256`, and the value of an `x509_hash:` client id."""
    return b64url_encode(hashlib.sha256(der).digest())


def encode_x5c(certs_der: Sequence[bytes]) -> list[str]:
    """Return the header value: standard base64 with padding, leaf first."""
    return [base64.b64encode(der).decode("ascii") for der in certs_der]


def parse_x5c(x5c: Sequence[str]) -> tuple[x509.Certificate, ...]:
    """Read the two certificates of a header, within limits; nothing is verified.

    Raises:
        ChainError: wrong_length, too_large or malformed.
    """
    if not isinstance(x5c, list | tuple) or len(x5c) != CHAIN_LENGTH:
        raise ChainError(ChainReason.WRONG_LENGTH, "x5c must hold the leaf and the issuing CA, nothing else")
    return tuple(_load(_decode(item)) for item in x5c)


def _decode(text: object) -> bytes:
    if not isinstance(text, str):
        raise ChainError(ChainReason.MALFORMED, "a certificate in x5c must be text")
    if len(text) > MAX_CERTIFICATE_BYTES * 4 // 3 + 4:
        raise ChainError(ChainReason.TOO_LARGE, "a certificate is too long")
    try:
        der = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ChainError(ChainReason.MALFORMED, "a certificate in x5c is not base64") from None
    if base64.b64encode(der).decode("ascii") != text:
        raise ChainError(ChainReason.MALFORMED, "a certificate in x5c is not canonical base64")
    return der


def _load(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions  # parsed lazily: a malformed extension must surface here
        _ = certificate.subject, certificate.issuer, certificate.not_valid_after_utc
        version = certificate.version
    except _PARSE_ERRORS:
        raise ChainError(ChainReason.MALFORMED, "a certificate cannot be read") from None
    if version is not x509.Version.v3:
        raise ChainError(ChainReason.MALFORMED, "a certificate is not version 3")
    # The signature ends the certificate. Its count of unused bits is the one byte that cryptography neither
    # checks nor signs: left open, one certificate would have several thumbprints.
    if der[-len(certificate.signature) - 1] != 0:
        raise ChainError(ChainReason.MALFORMED, "a certificate's signature is malformed")
    return certificate


def verify_chain(x5c: Sequence[str], roots: Sequence[bytes], *, at: datetime) -> Leaf:
    """Check a header's chain up to one of `roots` (DER) at the instant `at`, and return its leaf.

    Raises:
        ChainError: any reason but bad_request.
    """
    if not isinstance(x5c, list | tuple) or not all(isinstance(item, str) for item in x5c):
        raise ChainError(ChainReason.MALFORMED, "x5c must be a list of text")
    leaf, chain = _checked_chain(tuple(x5c), tuple(roots))
    for certificate in chain:
        if at < certificate.not_valid_before_utc:
            raise ChainError(ChainReason.NOT_YET_VALID, "a certificate of the chain is not valid yet")
        if at > certificate.not_valid_after_utc:
            raise ChainError(ChainReason.EXPIRED, "a certificate of the chain has expired")
    return leaf


@lru_cache(maxsize=512)
def _checked_chain(
    x5c: tuple[str, ...], roots: tuple[bytes, ...]
) -> tuple[Leaf, tuple[x509.Certificate, ...]]:
    """Everything that does not depend on time, remembered: one issuer's chain comes with each credential.

    Only chains that reach a root are kept (an exception is not), so strangers cannot fill the memory.
    """
    leaf, issuing = parse_x5c(x5c)
    anchors = _anchors(roots)
    if any(certificate in anchors for certificate in (leaf, issuing)) or _self_issued(issuing):
        raise ChainError(ChainReason.ANCHOR_INCLUDED, "the trust anchor must not be in x5c")
    if _self_issued(leaf):
        raise ChainError(ChainReason.LEAF_SELF_SIGNED, "the leaf is self-signed")
    for certificate in (leaf, issuing):
        _check_algorithms(certificate)
    root = _root_of(issuing, anchors)
    _check_issued_by(issuing, root, ChainReason.ISSUING_CA_SIGNATURE)
    _check_issuing_ca(issuing, root)
    _check_issued_by(leaf, issuing, ChainReason.LEAF_SIGNATURE)
    return _checked_leaf(leaf, issuing), (leaf, issuing, root)


@lru_cache(maxsize=32)
def _anchors(roots: tuple[bytes, ...]) -> tuple[x509.Certificate, ...]:
    if len(roots) > MAX_ROOTS:
        raise ChainError(ChainReason.TOO_LARGE, "too many roots")
    return tuple(_load(der) for der in roots)


def _self_issued(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer


def _check_algorithms(certificate: x509.Certificate) -> None:
    if certificate.signature_algorithm_oid not in _SIGNATURES:
        raise ChainError(ChainReason.WEAK_SIGNATURE, "a certificate is not signed with ECDSA and SHA-2")
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise ChainError(ChainReason.UNKNOWN_CRITICAL_EXTENSION, "a critical extension is not understood")


def _root_of(issuing: x509.Certificate, anchors: Sequence[x509.Certificate]) -> x509.Certificate:
    """Choose the root by name and, where roots share one, by key identifier."""
    named = [anchor for anchor in anchors if anchor.subject == issuing.issuer]
    wanted = _authority_key_id(issuing)
    matching = [anchor for anchor in named if _subject_key_id(anchor) == wanted]
    if not named:
        raise ChainError(ChainReason.UNTRUSTED_ROOT, "the chain does not end at a root that is trusted here")
    return (matching or named)[0]


def _check_issued_by(certificate: x509.Certificate, issuer: x509.Certificate, reason: ChainReason) -> None:
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CA_CURVES):
        raise ChainError(ChainReason.WRONG_KEY, "an authority's key is not on a NIST curve")
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        raise ChainError(reason, "a certificate was not signed by the one above it") from None


def _check_issuing_ca(issuing: x509.Certificate, root: x509.Certificate) -> None:
    for authority in (issuing, root):
        constraints = _extension(authority, x509.BasicConstraints)
        if constraints is None or not constraints.critical or not constraints.value.ca:
            raise ChainError(ChainReason.CA_NOT_A_CA, "a certificate above the leaf is not an authority's")
        usage = _extension(authority, x509.KeyUsage)
        if usage is None or not usage.critical or not usage.value.key_cert_sign:
            raise ChainError(ChainReason.CA_KEY_USAGE, "an authority may not sign certificates")
    limit = _extension(issuing, x509.BasicConstraints)
    if limit is None or limit.value.path_length != 0:
        raise ChainError(ChainReason.CA_PATH_LENGTH, "the issuing CA's path length is not 0")
    root_limit = _extension(root, x509.BasicConstraints)
    if root_limit is not None and root_limit.value.path_length == 0:
        raise ChainError(ChainReason.CA_PATH_LENGTH, "the root allows no issuing CA below it")
    _check_key_identifiers(issuing, root)


def _check_key_identifiers(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    if _subject_key_id(certificate) is None:
        raise ChainError(ChainReason.KEY_IDENTIFIER, "a certificate names no subject key identifier")
    authority = _authority_key_id(certificate)
    if authority is None or authority != _subject_key_id(issuer):
        raise ChainError(ChainReason.KEY_IDENTIFIER, "a certificate names another authority key")


def _checked_leaf(leaf: x509.Certificate, issuing: x509.Certificate) -> Leaf:
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is None or constraints.value.ca:
        raise ChainError(ChainReason.LEAF_IS_CA, "the leaf does not say that it is no authority")
    _check_leaf_usage(leaf)
    _check_key_identifiers(leaf, issuing)
    try:
        public = PublicKey.from_key(leaf.public_key())
    except (JoseError, *_PARSE_ERRORS):
        raise ChainError(ChainReason.WRONG_KEY, "the leaf's key is not on P-256") from None
    san_uri, san_dns = _alternative_names(leaf)
    der = leaf.public_bytes(serialization.Encoding.DER)
    return Leaf(
        der=der,
        certificate=leaf,
        public=public,
        san_uri=san_uri,
        san_dns=san_dns,
        organisation=_one_name(leaf, NameOID.ORGANIZATION_NAME),
        ods_code=_ods_code(leaf),
        subject=leaf.subject.rfc4514_string(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        thumbprint=x509_hash(der),
        authority_key_id=_authority_key_id(leaf) or b"",
    )


def _check_leaf_usage(leaf: x509.Certificate) -> None:
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.critical or not usage.value.digital_signature:
        raise ChainError(ChainReason.LEAF_KEY_USAGE, "the leaf's critical key usage lacks digitalSignature")
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    if any(getattr(usage.value, name) for name in (*others, "key_cert_sign", "crl_sign")):
        raise ChainError(ChainReason.LEAF_KEY_USAGE, "the leaf's key usage allows more than digitalSignature")
    if _extension(leaf, x509.ExtendedKeyUsage) is not None:
        raise ChainError(ChainReason.LEAF_EXTENDED_KEY_USAGE, "the leaf was made for another use")


def _alternative_names(leaf: x509.Certificate) -> tuple[str, tuple[str, ...]]:
    names = _extension(leaf, x509.SubjectAlternativeName)
    if names is None:
        raise ChainError(ChainReason.SAN_URI, "the leaf has no alternative name")
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    dns = names.value.get_values_for_type(x509.DNSName)
    if len(uris) != 1 or not uris[0].startswith("https://"):
        raise ChainError(ChainReason.SAN_URI, "the leaf must name exactly one https entity identifier")
    if len(dns) + 1 != len(list(names.value)):
        raise ChainError(ChainReason.SAN_URI, "the leaf's alternative names are not one URI and host names")
    return uris[0], tuple(dns)


def _one_name(leaf: x509.Certificate, oid: ObjectIdentifier) -> str:
    values = [attribute.value for attribute in leaf.subject.get_attributes_for_oid(oid)]
    if len(values) != 1 or not isinstance(values[0], str):
        raise ChainError(ChainReason.SUBJECT, "the leaf's subject lacks a name, or has one twice")
    return values[0]


def _ods_code(leaf: x509.Certificate) -> str:
    for oid, fixed in ((NameOID.COUNTRY_NAME, "GB"), (NameOID.COMMON_NAME, None)):
        if fixed not in (None, _one_name(leaf, oid)):
            raise ChainError(ChainReason.SUBJECT, "the leaf's country is not GB")
    match = _ORGANISATION_IDENTIFIER.fullmatch(_one_name(leaf, NameOID.ORGANIZATION_IDENTIFIER))
    if match is None:
        raise ChainError(ChainReason.SUBJECT, "the leaf's organizationIdentifier is not NHSODS-<code>")
    return match[1]


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> x509.Extension[_Extension] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _subject_key_id(certificate: x509.Certificate) -> bytes | None:
    extension = _extension(certificate, x509.SubjectKeyIdentifier)
    return None if extension is None else extension.value.digest


def _authority_key_id(certificate: x509.Certificate) -> bytes | None:
    extension = _extension(certificate, x509.AuthorityKeyIdentifier)
    return None if extension is None else extension.value.key_identifier


def create_csr(key: SigningKey, common_name: str) -> bytes:
    """Return a PKCS #10 signing request (DER) that proves possession of `key`."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key.private, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


def csr_public_key(der_or_pem: bytes) -> PublicKey:
    """Return the P-256 key of a signing request whose self-signature holds; nothing else is read from it.

    Raises:
        ChainError: too_large, bad_request (unreadable, weak or wrong signature) or wrong_key.
    """
    if len(der_or_pem) > MAX_REQUEST_BYTES:
        raise ChainError(ChainReason.TOO_LARGE, "the signing request is too long")
    is_pem = der_or_pem.lstrip().startswith(b"-----BEGIN")
    try:
        load = x509.load_pem_x509_csr if is_pem else x509.load_der_x509_csr
        request = load(der_or_pem)
        key = request.public_key()
        proven = request.signature_algorithm_oid in _SIGNATURES and request.is_signature_valid
    except (*_PARSE_ERRORS, InvalidSignature):
        raise ChainError(ChainReason.BAD_REQUEST, "the signing request cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ChainError(ChainReason.WRONG_KEY, "the requested key is not on P-256")
    if not proven:
        raise ChainError(ChainReason.BAD_REQUEST, "the signing request is not signed with its own key")
    return PublicKey.from_key(key)
