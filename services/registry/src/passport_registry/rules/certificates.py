"""The certificate profile of the network's two-level authority (design.md §4.1), as unsigned builders.

From a signing request only the public key is taken; every other field comes from the registry's records.
This module builds and signs with keys handed to it; it stores nothing and decides nobody's authority.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.x509.oid import NameOID

ROOT_YEARS = 15
ISSUING_YEARS = 8
ISSUES_FOR_YEARS = 4
LEAF_MONTHS = 37
SIGNING_MONTHS = 12
# Certificates start a little in the past, so that a consumer whose clock is a minute behind accepts them.
BACKDATE = timedelta(minutes=5)
# Upper bounds of X.520 for O and CN.
NAME_LIMIT = 64


@dataclass(frozen=True, kw_only=True)
class LeafSubject:
    """Whom a leaf names: all from the registry's records."""

    entity_id: str
    organisation_name: str
    ods_code: str
    role: str


def add_months(at: datetime, months: int) -> datetime:
    """Return the same day and time `months` later, or the last day of a shorter month."""
    index = at.year * 12 + at.month - 1 + months
    year, month = divmod(index, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)


def not_after_signing(not_before: datetime) -> datetime:
    """Return when the key of a leaf that starts at `not_before` must stop signing."""
    return add_months(not_before, SIGNING_MONTHS)


def start(now: datetime) -> datetime:
    """Return the notBefore of a certificate made now, in whole seconds."""
    return now.astimezone(UTC).replace(microsecond=0) - BACKDATE


def may_issue_leaves(issuing_ca: x509.Certificate, now: datetime) -> bool:
    """Return whether the issuing authority is still in the years in which it issues leaves."""
    begin = issuing_ca.not_valid_before_utc
    return begin <= now < add_months(begin, 12 * ISSUES_FOR_YEARS)


def _authority_name(network: str, level: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "GB"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, network[:NAME_LIMIT]),
            x509.NameAttribute(NameOID.COMMON_NAME, _fit(network, level)),
        ]
    )


def _fit(name: str, suffix: str) -> str:
    return f"{name[: NAME_LIMIT - len(suffix) - 1].rstrip()} {suffix}"


_SIGN_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_CERT_SIGN = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def root(key: EllipticCurvePrivateKey, *, network: str, serial: int, now: datetime) -> x509.Certificate:
    """Return the self-signed root of a network: an anchor, never sent in `x5c`."""
    name = _authority_name(network, "root CA")
    begin = start(now)
    builder = _authority(
        name, key.public_key(), serial, begin, add_months(begin, 12 * ROOT_YEARS), path_length=1
    )
    return builder.issuer_name(name).sign(key, hashes.SHA256())


def issuing(
    key: EllipticCurvePublicKey,
    *,
    root_key: EllipticCurvePrivateKey,
    root_certificate: x509.Certificate,
    network: str,
    serial: int,
    now: datetime,
) -> x509.Certificate:
    """Return the issuing authority's certificate (`pathLen` 0), signed by the root."""
    begin = start(now)
    name = _authority_name(network, "issuing CA")
    builder = _authority(name, key, serial, begin, add_months(begin, 12 * ISSUING_YEARS), path_length=0)
    return (
        builder.issuer_name(root_certificate.subject)
        .add_extension(_aki(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )


def leaf(
    key: EllipticCurvePublicKey,
    subject: LeafSubject,
    *,
    issuing_key: EllipticCurvePrivateKey,
    issuing_certificate: x509.Certificate,
    serial: int,
    not_before: datetime,
) -> x509.Certificate:
    """Return an entity's leaf: EID and host in the SAN, digitalSignature only, no revocation pointers."""
    names: Sequence[x509.GeneralName] = (
        x509.UniformResourceIdentifier(subject.entity_id),
        x509.DNSName(urlsplit(subject.entity_id).hostname or ""),
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_leaf_name(subject))
        .issuer_name(issuing_certificate.subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(add_months(not_before, LEAF_MONTHS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGN_ONLY, critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_aki(issuing_key.public_key()), critical=False)
        .sign(issuing_key, hashes.SHA256())
    )


def _leaf_name(subject: LeafSubject) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "GB"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.organisation_name[:NAME_LIMIT]),
            x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, f"NHSODS-{subject.ods_code}"),
            x509.NameAttribute(NameOID.COMMON_NAME, _fit(subject.organisation_name, subject.role)),
        ]
    )


def _aki(key: EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)


def _authority(
    name: x509.Name,
    key: EllipticCurvePublicKey,
    serial: int,
    begin: datetime,
    end: datetime,
    *,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_CERT_SIGN, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
