"""A TLS authority for development: everything speaks https, on localhost too (design.md §9).

It has nothing to do with the network's certificate authority, which is in no TLS trust store. Keys stay
below the given folder, readable by their owner only; an authority that still has a month to live is kept,
so that a browser that was told to trust it goes on doing so.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
HOSTS = ("localhost",)
ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class TlsFiles:
    """Where the development TLS material lies."""

    ca: Path
    certificate: Path
    key: Path


def ensure(folder: Path, *, now: datetime, hosts: Sequence[str] = HOSTS) -> TlsFiles:
    """Make the authority and a certificate for `hosts` below `folder`, unless good ones are there.

    Args:
        folder: created if absent; holds `tls-ca.pem`, `tls-cert.pem` and `tls-key.pem`.
        now: aware UTC.
        hosts: host names; with `localhost` go the loopback addresses.

    Returns:
        The three paths, for `curl --cacert`, `TLS_CERT_FILE` and `TLS_KEY_FILE`.
    """
    files = TlsFiles(folder / "tls-ca.pem", folder / "tls-cert.pem", folder / "tls-key.pem")
    if _usable(files, now, hosts):
        return files
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority.make("Staff Passport development TLS", now)
    files.certificate.write_bytes(authority.issue(files.key, hosts, now))
    files.ca.write_bytes(authority.pem)
    return files


@dataclass(frozen=True)
class Authority:
    """A TLS authority whose key is kept nowhere: when its certificates end, a new one takes its place."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def make(cls, name: str, now: datetime) -> Authority:
        """A fresh one."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(_authority(name, key, now), key)

    @property
    def pem(self) -> bytes:
        """Its certificate, for whoever is to trust it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, key_file: Path, hosts: Sequence[str], now: datetime) -> bytes:
        """Write a new private key to `key_file`, and give its certificate chain for `hosts` as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _server(key, hosts, self.certificate, self.key, now)
        _write_private(key_file, key)
        return certificate.public_bytes(serialization.Encoding.PEM) + self.pem


def lasts(certificate_file: Path, now: datetime) -> bool:
    """Whether the certificate is there and has more than a month to live."""
    if not certificate_file.exists():
        return False
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    return certificate.not_valid_after_utc - RENEW_BEFORE > now


def _usable(files: TlsFiles, now: datetime, hosts: Sequence[str]) -> bool:
    if not (files.ca.exists() and files.key.exists() and lasts(files.certificate, now)):
        return False
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(hosts) <= set(named.get_values_for_type(x509.DNSName))


def _authority(name: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        _builder(subject, subject, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str],
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    if HOSTS[0] in hosts:
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ADDRESSES]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    return (
        _builder(subject, authority.subject, key, now)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def main() -> None:
    """`python -m deploy.dev.tls FOLDER`: make what `make up` and the README's curl tour need."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    files = ensure(parser.parse_args().folder, now=datetime.now(UTC))  # noqa: TID251  a program's own start
    print(files.ca)


if __name__ == "__main__":
    main()
