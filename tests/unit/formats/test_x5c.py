"""Certificate chains: the one shape of design §4.1, and each way to miss it by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwk as peer_jwk

from passport_shared.formats import x5c
from passport_shared.formats.strict import b64url_encode
from passport_shared.formats.x5c import ChainError, ChainReason, encode_x5c
from passport_testkit.certificates import (
    ISSUING,
    ROOT,
    Authority,
    CaSpec,
    LeafSpec,
    relabelled_sha1,
    self_signed_leaf,
)
from passport_testkit.clock import NOON
from passport_testkit.keys import key

AUTHORITY = Authority.create()
STRANGER = Authority.create()  # the same names, other keys
KEY = key("RBV credential")
RIGHT = AUTHORITY.leaf(KEY)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P384_KEY = ec.generate_private_key(ec.SECP384R1())
K1_KEY = ec.generate_private_key(ec.SECP256K1())
SECOND = timedelta(seconds=1)
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
PERMITTED = x509.NameConstraints(permitted_subtrees=[x509.DNSName("example")], excluded_subtrees=None)
Chain = tuple[Any, list[bytes]]


def leaf(**changes: Any) -> Chain:
    return AUTHORITY.leaf(KEY, **changes).x5c, AUTHORITY.roots


def leaf_over(public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> Chain:
    return AUTHORITY.leaf_for(KEY, public, LeafSpec()).x5c, AUTHORITY.roots


def issuing(**changes: Any) -> Chain:
    authority = Authority.create(issuing=replace(ISSUING, **changes))
    return authority.leaf(KEY).x5c, authority.roots


def root(**changes: Any) -> Chain:
    authority = Authority.create(root=replace(ROOT, **changes))
    return authority.leaf(KEY).x5c, authority.roots


def authority(**keys: Any) -> Chain:
    made = Authority.create(**keys)
    return made.leaf(KEY).x5c, made.roots


def header(*ders: bytes) -> Chain:
    return encode_x5c(ders), AUTHORITY.roots


def extended(*usages: ObjectIdentifier, critical: bool = False) -> Chain:
    return leaf(extra=((x509.ExtendedKeyUsage(usages), critical),))


def usage(*names: str) -> Chain:
    return leaf(key_usage=frozenset(names))


def under_a_leaf() -> Chain:
    """A leaf signed by another leaf's key: what pathLen 0 and CA false are for."""
    middle = AUTHORITY.leaf(KEY, organisation="Heron Vale NHS Trust", ods_code="R0A")
    forged = AUTHORITY.leaf_for(
        key("attacker"),
        key("attacker").public.key,
        LeafSpec(authority_key_identifier=x509.SubjectKeyIdentifier.from_public_key(KEY.public.key).digest),
        signed_by=KEY.private,
        issuer_name=middle.certificate.subject,
    )
    return encode_x5c([forged.der, middle.der]), [AUTHORITY.issuing_der, AUTHORITY.root_der]


def cross_signed_root() -> Chain:
    """The issuing CA's place taken by a certificate that is its own issuer and no root of ours."""
    return encode_x5c([RIGHT.der, STRANGER.root_der]), AUTHORITY.roots


def misissued() -> Chain:
    forged = AUTHORITY.leaf_for(KEY, KEY.public.key, LeafSpec(), signed_by=STRANGER.issuing_key)
    return forged.x5c, AUTHORITY.roots


def other_issuer_name() -> Chain:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Somebody Else")])
    return AUTHORITY.leaf_for(KEY, KEY.public.key, LeafSpec(), issuer_name=name).x5c, AUTHORITY.roots


def changed_byte() -> Chain:
    """The leaf's own key replaced by the attacker's under the old signature."""
    attacker, right = (
        public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        for public in (key("attacker").public.key, KEY.public.key)
    )
    return header(RIGHT.der.replace(right, attacker), AUTHORITY.issuing_der)


def unidentified() -> Chain:
    made = Authority.create(
        root=replace(ROOT, subject_key_identifier=False),
        issuing=replace(ISSUING, authority_key_identifier=None),
    )
    return made.leaf(KEY).x5c, made.roots


def mislabelled() -> Chain:
    made = Authority.create(issuing_key=RSA_KEY)
    return made.leaf_for(KEY, KEY.public.key, LeafSpec(), signed_by=STRANGER.issuing_key).x5c, made.roots


def version_1() -> bytes:
    """The right leaf without its version, which is how version 1 is written."""
    body = RIGHT.certificate.tbs_certificate_bytes
    content = body[4:].removeprefix(bytes.fromhex("a003020102"))
    assert len(content) == len(body) - 9
    rest = RIGHT.der[4 + len(body) :]
    inner = b"\x30\x82" + len(content).to_bytes(2, "big") + content
    return b"\x30\x82" + (len(inner) + len(rest)).to_bytes(2, "big") + inner + rest


def left_over_bits() -> Chain:
    """Base64 whose last character says more than the bytes it stands for."""
    text = next(made.x5c[0] for made in iter(lambda: AUTHORITY.leaf(KEY), None) if made.x5c[0][-1] == "=")
    last = text.rstrip("=")[-1]
    changed = text.rstrip("=")[:-1] + chr(ord(last) + 1) + "=" * (len(text) - len(text.rstrip("=")))
    assert base64.b64decode(changed, validate=True) == base64.b64decode(text)
    return [changed, RIGHT.x5c[1]], AUTHORITY.roots


REFUSED: list[tuple[str, Callable[[], Chain], ChainReason]] = [
    ("no certificate", lambda: ([], AUTHORITY.roots), ChainReason.WRONG_LENGTH),
    ("the leaf alone", lambda: header(RIGHT.der), ChainReason.WRONG_LENGTH),
    (
        "the anchor third",
        lambda: header(RIGHT.der, AUTHORITY.issuing_der, AUTHORITY.root_der),
        ChainReason.WRONG_LENGTH,
    ),
    ("not base64", lambda: (["***", RIGHT.x5c[1]], AUTHORITY.roots), ChainReason.MALFORMED),
    ("base64url", lambda: ([RIGHT.x5c[0].rstrip("="), "-_-_"], AUTHORITY.roots), ChainReason.MALFORMED),
    (
        "a line break",
        lambda: ([RIGHT.x5c[0][:64] + "\n" + RIGHT.x5c[0][64:], RIGHT.x5c[1]], AUTHORITY.roots),
        ChainReason.MALFORMED,
    ),
    (
        "PEM",
        lambda: header(RIGHT.certificate.public_bytes(serialization.Encoding.PEM), AUTHORITY.issuing_der),
        ChainReason.MALFORMED,
    ),
    (
        "bytes after the certificate",
        lambda: header(RIGHT.der + b"\x00", AUTHORITY.issuing_der),
        ChainReason.MALFORMED,
    ),
    ("a certificate cut short", lambda: header(RIGHT.der[:-1], AUTHORITY.issuing_der), ChainReason.MALFORMED),
    ("an empty text", lambda: (["", RIGHT.x5c[1]], AUTHORITY.roots), ChainReason.MALFORMED),
    ("numbers", lambda: ([1, 2], AUTHORITY.roots), ChainReason.MALFORMED),
    ("text", lambda: (RIGHT.x5c[0], AUTHORITY.roots), ChainReason.MALFORMED),
    ("nothing", lambda: (None, AUTHORITY.roots), ChainReason.MALFORMED),
    ("6 kB of certificate", lambda: header(bytes(6_000), AUTHORITY.issuing_der), ChainReason.TOO_LARGE),
    ("nine roots", lambda: (RIGHT.x5c, AUTHORITY.roots * 9), ChainReason.TOO_LARGE),
    ("the anchor second", lambda: header(RIGHT.der, AUTHORITY.root_der), ChainReason.ANCHOR_INCLUDED),
    (
        "the anchor first",
        lambda: header(AUTHORITY.root_der, AUTHORITY.issuing_der),
        ChainReason.ANCHOR_INCLUDED,
    ),
    ("another self-signed authority", cross_signed_root, ChainReason.ANCHOR_INCLUDED),
    ("an anchored issuing CA", lambda: (RIGHT.x5c, [AUTHORITY.issuing_der]), ChainReason.ANCHOR_INCLUDED),
    (
        "a self-signed leaf",
        lambda: header(self_signed_leaf(KEY, LeafSpec()), AUTHORITY.issuing_der),
        ChainReason.LEAF_SELF_SIGNED,
    ),
    ("no roots", lambda: (RIGHT.x5c, []), ChainReason.UNTRUSTED_ROOT),
    (
        "another root",
        lambda: (RIGHT.x5c, Authority.create(root=replace(ROOT, name="Other Root")).roots),
        ChainReason.UNTRUSTED_ROOT,
    ),
    ("the order reversed", lambda: header(AUTHORITY.issuing_der, RIGHT.der), ChainReason.UNTRUSTED_ROOT),
    ("a root of the same name", lambda: (RIGHT.x5c, STRANGER.roots), ChainReason.ISSUING_CA_SIGNATURE),
    (
        "an issuing CA signed by a stranger",
        lambda: authority(issuing_signed_by=STRANGER.root_key),
        ChainReason.ISSUING_CA_SIGNATURE,
    ),
    ("a leaf signed by a stranger", misissued, ChainReason.LEAF_SIGNATURE),
    (
        "another's issuing CA",
        lambda: header(RIGHT.der, Authority.create(root_key=AUTHORITY.root_key).issuing_der),
        ChainReason.LEAF_SIGNATURE,
    ),
    ("a leaf naming another issuer", other_issuer_name, ChainReason.LEAF_SIGNATURE),
    ("the attacker's key under the old signature", changed_byte, ChainReason.LEAF_SIGNATURE),
    ("SHA-1", lambda: header(relabelled_sha1(RIGHT.der), AUTHORITY.issuing_der), ChainReason.WEAK_SIGNATURE),
    ("SHA-224", lambda: leaf(hash=hashes.SHA224), ChainReason.WEAK_SIGNATURE),
    ("SHA-224 above", lambda: issuing(hash=hashes.SHA224), ChainReason.WEAK_SIGNATURE),
    ("an RSA issuing CA", lambda: authority(issuing_key=RSA_KEY), ChainReason.WEAK_SIGNATURE),
    ("an RSA root", lambda: authority(root_key=RSA_KEY), ChainReason.WEAK_SIGNATURE),
    ("an RSA leaf", lambda: leaf_over(RSA_KEY.public_key()), ChainReason.WRONG_KEY),
    ("a P-384 leaf", lambda: leaf_over(P384_KEY.public_key()), ChainReason.WRONG_KEY),
    ("a secp256k1 leaf", lambda: leaf_over(K1_KEY.public_key()), ChainReason.WRONG_KEY),
    ("a secp256k1 issuing CA", lambda: authority(issuing_key=K1_KEY), ChainReason.WRONG_KEY),
    (
        "a critical extension nobody knows",
        lambda: leaf(extra=((UNKNOWN, True),)),
        ChainReason.UNKNOWN_CRITICAL_EXTENSION,
    ),
    ("the same above", lambda: issuing(extra=((UNKNOWN, True),)), ChainReason.UNKNOWN_CRITICAL_EXTENSION),
    (
        "critical name constraints",
        lambda: issuing(extra=((PERMITTED, True),)),
        ChainReason.UNKNOWN_CRITICAL_EXTENSION,
    ),
    ("an issuing CA that is none", lambda: issuing(ca=False), ChainReason.CA_NOT_A_CA),
    ("an issuing CA that does not say", lambda: issuing(ca=None), ChainReason.CA_NOT_A_CA),
    ("an issuing CA that says it in passing", lambda: issuing(ca_critical=False), ChainReason.CA_NOT_A_CA),
    ("a root that is none", lambda: root(ca=False), ChainReason.CA_NOT_A_CA),
    ("a leaf under a leaf", under_a_leaf, ChainReason.CA_NOT_A_CA),
    ("no path length", lambda: issuing(path_length=None), ChainReason.CA_PATH_LENGTH),
    ("path length 1", lambda: issuing(path_length=1), ChainReason.CA_PATH_LENGTH),
    ("a root of path length 0", lambda: root(path_length=0), ChainReason.CA_PATH_LENGTH),
    ("an issuing CA without key usage", lambda: issuing(key_usage=None), ChainReason.CA_KEY_USAGE),
    (
        "an issuing CA for lists only",
        lambda: issuing(key_usage=frozenset({"crl_sign"})),
        ChainReason.CA_KEY_USAGE,
    ),
    ("key usage in passing", lambda: issuing(key_usage_critical=False), ChainReason.CA_KEY_USAGE),
    ("a root for lists only", lambda: root(key_usage=frozenset({"crl_sign"})), ChainReason.CA_KEY_USAGE),
    ("no key identifier at all on either side", unidentified, ChainReason.KEY_IDENTIFIER),
    ("an RSA issuing CA beside an elliptic signature", mislabelled, ChainReason.WRONG_KEY),
    ("version 1", lambda: header(version_1(), AUTHORITY.issuing_der), ChainReason.MALFORMED),
    ("bits left over in the base64", left_over_bits, ChainReason.MALFORMED),
    ("a leaf that is an authority", lambda: leaf(ca=True), ChainReason.LEAF_IS_CA),
    ("a leaf that does not say", lambda: leaf(ca=None), ChainReason.LEAF_IS_CA),
    ("no key usage", lambda: leaf(key_usage=None), ChainReason.LEAF_KEY_USAGE),
    ("leaf key usage in passing", lambda: leaf(key_usage_critical=False), ChainReason.LEAF_KEY_USAGE),
    ("no usage at all", usage, ChainReason.LEAF_KEY_USAGE),
    ("key agreement only", lambda: usage("key_agreement"), ChainReason.LEAF_KEY_USAGE),
    *[
        (f"{more} too", lambda more=more: usage("digital_signature", more), ChainReason.LEAF_KEY_USAGE)
        for more in (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
        )
    ],
    (
        "a web server's leaf",
        lambda: extended(ExtendedKeyUsageOID.SERVER_AUTH),
        ChainReason.LEAF_EXTENDED_KEY_USAGE,
    ),
    ("no subject key identifier", lambda: leaf(subject_key_identifier=False), ChainReason.KEY_IDENTIFIER),
    ("no authority key identifier", lambda: leaf(authority_key_identifier=None), ChainReason.KEY_IDENTIFIER),
    (
        "another authority key",
        lambda: leaf(authority_key_identifier=b"\x01" * 20),
        ChainReason.KEY_IDENTIFIER,
    ),
    ("none on the issuing CA", lambda: issuing(subject_key_identifier=False), ChainReason.KEY_IDENTIFIER),
    ("another root key", lambda: issuing(authority_key_identifier=b"\x01" * 20), ChainReason.KEY_IDENTIFIER),
    ("none naming the root", lambda: issuing(authority_key_identifier=None), ChainReason.KEY_IDENTIFIER),
    ("none on the root", lambda: root(subject_key_identifier=False), ChainReason.KEY_IDENTIFIER),
    ("no alternative name", lambda: leaf(alternative_name=False), ChainReason.SAN_URI),
    ("no URI", lambda: leaf(uris=()), ChainReason.SAN_URI),
    (
        "two URIs",
        lambda: leaf(uris=("https://issuer.example/RBV", "https://issuer.example/R0A")),
        ChainReason.SAN_URI,
    ),
    ("the same URI twice", lambda: leaf(uris=("https://issuer.example/RBV",) * 2), ChainReason.SAN_URI),
    ("http", lambda: leaf(uris=("http://issuer.example/RBV",)), ChainReason.SAN_URI),
    ("a URN", lambda: leaf(uris=("urn:nhs:RBV",)), ChainReason.SAN_URI),
    ("a mail address", lambda: leaf(other_names=(x509.RFC822Name("a@issuer.example"),)), ChainReason.SAN_URI),
    ("no organisation identifier", lambda: leaf(organisation_identifiers=()), ChainReason.SUBJECT),
    ("two of them", lambda: leaf(organisation_identifiers=("NHSODS-RBV", "NHSODS-R0A")), ChainReason.SUBJECT),
    ("another scheme", lambda: leaf(organisation_identifiers=("NTRGB-12345678",)), ChainReason.SUBJECT),
    ("a lower-case code", lambda: leaf(organisation_identifiers=("NHSODS-rbv",)), ChainReason.SUBJECT),
    ("a code with a newline", lambda: leaf(organisation_identifiers=("NHSODS-RBV\n",)), ChainReason.SUBJECT),
    ("no code", lambda: leaf(organisation_identifiers=("NHSODS-",)), ChainReason.SUBJECT),
    ("another country", lambda: leaf(country="IE"), ChainReason.SUBJECT),
    ("a leaf not valid yet", lambda: leaf(not_before=NOON + SECOND), ChainReason.NOT_YET_VALID),
    ("an issuing CA not valid yet", lambda: issuing(not_before=NOON + SECOND), ChainReason.NOT_YET_VALID),
    ("a root not valid yet", lambda: root(not_before=NOON + SECOND), ChainReason.NOT_YET_VALID),
    ("a leaf that expired", lambda: leaf(not_after=NOON - SECOND), ChainReason.EXPIRED),
    ("an issuing CA that expired", lambda: issuing(not_after=NOON - SECOND), ChainReason.EXPIRED),
    ("a root that expired", lambda: root(not_after=NOON - SECOND), ChainReason.EXPIRED),
]


@pytest.mark.parametrize(
    ("make", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_is_refused_and_why(make: Callable[[], Chain], reason: ChainReason):
    chain, roots = make()
    for _ in range(2):  # a refusal is not remembered as anything else
        with pytest.raises(ChainError) as refused:
            x5c.verify_chain(chain, roots, at=NOON)
        assert refused.value.reason is reason


def test_every_reason_has_a_case():
    assert {case[2] for case in REFUSED} == set(ChainReason) - {ChainReason.BAD_REQUEST}


def test_a_right_chain():
    found = x5c.verify_chain(RIGHT.x5c, AUTHORITY.roots, at=NOON)
    assert found.der == RIGHT.der
    assert found.certificate == RIGHT.certificate
    assert found.public == KEY.public
    assert found.san_uri == "https://issuer.example/RBV"
    assert found.san_dns == ("issuer.example",)
    assert found.organisation == "Otter Valley NHS Foundation Trust"
    assert found.ods_code == "RBV"
    assert "NHSODS-RBV" in found.subject
    assert found.thumbprint == x5c.x509_hash(RIGHT.der)
    assert found.not_before < NOON < found.not_after
    identifier = AUTHORITY.issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert found.authority_key_id == identifier.value.digest
    assert found == x5c.verify_chain(tuple(RIGHT.x5c), tuple(AUTHORITY.roots), at=NOON)
    assert hash(found) is not None


@pytest.mark.parametrize(
    "make",
    [
        lambda: leaf(extra=((UNKNOWN, False),)),
        lambda: leaf(dns=()),
        lambda: leaf(dns=("a.example", "b.example")),
        lambda: leaf(hash=hashes.SHA384),
        lambda: leaf(ods_code="8HX48", organisation="Ysbyty Dyffryn Dyfrgi"),
        lambda: authority(issuing_key=P384_KEY, root_key=ec.generate_private_key(ec.SECP521R1())),
        lambda: root(path_length=None),
        lambda: (
            RIGHT.x5c,
            [*Authority.create(root=replace(ROOT, name="Older Root")).roots, *AUTHORITY.roots],
        ),
        lambda: (RIGHT.x5c, [*STRANGER.roots, *AUTHORITY.roots]),
    ],
    ids=[
        "an unknown extension",
        "no host name",
        "two host names",
        "SHA-384",
        "other names",
        "larger keys above",
        "a root without path length",
        "two roots",
        "two roots of one name",
    ],
)
def test_what_is_accepted_too(make: Callable[[], Chain]):
    chain, roots = make()
    assert x5c.verify_chain(chain, roots, at=NOON).public == KEY.public


def test_validity_is_judged_at_the_given_instant_each_time():
    found = x5c.verify_chain(RIGHT.x5c, AUTHORITY.roots, at=NOON)

    def reason(at: datetime) -> ChainReason | None:
        try:
            x5c.verify_chain(RIGHT.x5c, AUTHORITY.roots, at=at)
        except ChainError as refused:
            return refused.reason
        return None

    assert reason(found.not_before) is None
    assert reason(found.not_before - SECOND) is ChainReason.NOT_YET_VALID
    assert reason(found.not_after) is None
    assert reason(found.not_after + SECOND) is ChainReason.EXPIRED
    assert reason(NOON) is None


def test_a_remembered_chain_is_remembered_for_its_roots_only():
    assert x5c.verify_chain(RIGHT.x5c, AUTHORITY.roots, at=NOON)
    with pytest.raises(ChainError) as refused:
        x5c.verify_chain(RIGHT.x5c, STRANGER.roots, at=NOON)
    assert refused.value.reason is ChainReason.ISSUING_CA_SIGNATURE


def test_reading_and_writing_the_header():
    leaf_certificate, issuing_certificate = x5c.parse_x5c(RIGHT.x5c)
    assert (leaf_certificate, issuing_certificate) == (RIGHT.certificate, AUTHORITY.issuing)
    assert [base64.b64decode(text) for text in RIGHT.x5c] == [RIGHT.der, AUTHORITY.issuing_der]
    assert json.loads(json.dumps(encode_x5c([RIGHT.der]))) == RIGHT.x5c[:1]


@pytest.mark.parametrize(
    "header_value", [None, "text", {"a": 1}, [1, 2], [b"a", b"b"], [None, None], RIGHT.x5c[0]]
)
def test_headers_that_cannot_be_read(header_value: Any):
    with pytest.raises(ChainError) as refused:
        x5c.parse_x5c(header_value)
    assert refused.value.reason in {ChainReason.WRONG_LENGTH, ChainReason.MALFORMED}


def test_hash_and_key_agree_with_other_implementations():
    peer = peer_jwk.JWK.from_pem(RIGHT.certificate.public_bytes(serialization.Encoding.PEM))
    found = x5c.verify_chain(RIGHT.x5c, AUTHORITY.roots, at=NOON)
    assert found.public.thumbprint == peer.thumbprint()
    assert found.thumbprint == b64url_encode(RIGHT.certificate.fingerprint(hashes.SHA256()))


CSR = x5c.create_csr(KEY, "Otter Valley issuer")


def csr(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, hash_: hashes.HashAlgorithm) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    assert isinstance(hash_, hashes.SHA224 | hashes.SHA256)
    return request.sign(private, hash_).public_bytes(serialization.Encoding.DER)


def forged_csr() -> bytes:
    """A request for a key whose holder never signed it."""
    attacker, right = (
        public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        for public in (key("attacker").public.key, KEY.public.key)
    )
    return CSR.replace(right, attacker)


def test_a_signing_request_gives_its_key():
    pem = x509.load_der_x509_csr(CSR).public_bytes(serialization.Encoding.PEM)
    assert x5c.csr_public_key(CSR) == KEY.public
    assert x5c.csr_public_key(pem) == KEY.public
    assert x5c.csr_public_key(b"\n" + pem) == KEY.public


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        (b"", ChainReason.BAD_REQUEST),
        (b"junk", ChainReason.BAD_REQUEST),
        (b"-----BEGIN CERTIFICATE REQUEST-----\njunk\n", ChainReason.BAD_REQUEST),
        (RIGHT.der, ChainReason.BAD_REQUEST),
        (CSR + b"\x00", ChainReason.BAD_REQUEST),
        (CSR[:-1], ChainReason.BAD_REQUEST),
        (forged_csr(), ChainReason.BAD_REQUEST),
        (csr(KEY.private, hashes.SHA224()), ChainReason.BAD_REQUEST),
        (csr(RSA_KEY, hashes.SHA256()), ChainReason.WRONG_KEY),
        (csr(P384_KEY, hashes.SHA256()), ChainReason.WRONG_KEY),
        (csr(K1_KEY, hashes.SHA256()), ChainReason.WRONG_KEY),
        (bytes(9_000), ChainReason.TOO_LARGE),
    ],
)
def test_signing_requests_that_are_refused(request_bytes: bytes, reason: ChainReason):
    with pytest.raises(ChainError) as refused:
        x5c.csr_public_key(request_bytes)
    assert refused.value.reason is reason


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(RIGHT.der) - 1), st.integers(1, 255))
def test_no_changed_byte_of_the_leaf_goes_unnoticed(position: int, change: int):
    changed = bytearray(RIGHT.der)
    changed[position] ^= change
    chain = encode_x5c([bytes(changed), AUTHORITY.issuing_der])
    with pytest.raises(ChainError):
        x5c.verify_chain(chain, AUTHORITY.roots, at=NOON)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(AUTHORITY.issuing_der) - 1), st.integers(1, 255))
def test_no_changed_byte_of_the_issuing_ca_goes_unnoticed(position: int, change: int):
    changed = bytearray(AUTHORITY.issuing_der)
    changed[position] ^= change
    with pytest.raises(ChainError):
        x5c.verify_chain(encode_x5c([RIGHT.der, bytes(changed)]), AUTHORITY.roots, at=NOON)


def test_unused_bits_of_the_signature_give_no_second_thumbprint():
    # Only a signature that ends in a zero bit can claim one unused bit and still be read.
    found = next(made for made in iter(lambda: AUTHORITY.leaf(KEY), None) if made.der[-1] & 1 == 0)
    assert x5c.verify_chain(found.x5c, AUTHORITY.roots, at=NOON)
    twin = bytearray(found.der)
    twin[-len(found.certificate.signature) - 1] = 1
    assert x509.load_der_x509_certificate(bytes(twin)).signature == found.certificate.signature
    with pytest.raises(ChainError) as refused:
        x5c.verify_chain(encode_x5c([bytes(twin), AUTHORITY.issuing_der]), AUTHORITY.roots, at=NOON)
    assert refused.value.reason is ChainReason.MALFORMED


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode()) | st.text(max_size=60),
        max_size=3,
    )
)
def test_arbitrary_headers_are_refused_properly(chain: list[str]):
    with pytest.raises(ChainError):
        x5c.verify_chain(chain, AUTHORITY.roots, at=NOON)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=100) | st.integers(0, len(CSR) - 1).map(lambda at: CSR[:at] + b"\xff" + CSR[at + 1 :])
)
def test_arbitrary_requests_are_read_or_refused_properly(request_bytes: bytes):
    try:
        public = x5c.csr_public_key(request_bytes)
    except ChainError:
        return
    assert request_bytes == CSR
    assert public == KEY.public


def test_the_roots_own_signature_is_not_asked_for():
    # A root is trusted because it is configured (RFC 5280 §6.1.1 d), so a renewed copy of it works as well.
    renewed = Authority.create(
        root=CaSpec(**{**ROOT.__dict__, "not_after": ROOT.not_after + timedelta(days=365)}),
        root_key=AUTHORITY.root_key,
    )
    assert x5c.verify_chain(RIGHT.x5c, renewed.roots, at=NOON).public == KEY.public
