"""The certificate profile of design.md §4.1, read back by the strict verifier of chains."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from passport_registry.rules import certificates as profile
from passport_registry.rules.certificates import LeafSubject, add_months
from passport_shared.formats.x5c import ChainError, ChainReason, encode_x5c, verify_chain
from passport_testkit.keys import key

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
NETWORK = "Invented Regional Registry"
SUBJECT = LeafSubject(
    entity_id="https://issuer.example:9001/RBV",
    organisation_name="The Christie NHS Foundation Trust",
    ods_code="RBV",
    role="issuer credential",
)


def authority() -> tuple[x509.Certificate, x509.Certificate]:
    root_key, issuing_key = key("profile root"), key("profile issuing")
    root = profile.root(root_key.private, network=NETWORK, serial=11, now=NOW)
    issuing = profile.issuing(
        issuing_key.public.key,
        root_key=root_key.private,
        root_certificate=root,
        network=NETWORK,
        serial=12,
        now=NOW,
    )
    return root, issuing


def leaf(subject: LeafSubject = SUBJECT) -> x509.Certificate:
    _, issuing = authority()
    return profile.leaf(
        key("profile leaf").public.key,
        subject,
        issuing_key=key("profile issuing").private,
        issuing_certificate=issuing,
        serial=13,
        not_before=profile.start(NOW),
    )


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def test_chain_is_what_consumers_verify():
    root, issuing = authority()
    found = verify_chain(encode_x5c([der(leaf()), der(issuing)]), [der(root)], at=NOW)
    assert found.san_uri == SUBJECT.entity_id
    assert found.san_dns == ("issuer.example",)
    assert (found.organisation, found.ods_code) == (SUBJECT.organisation_name, "RBV")
    assert found.public.thumbprint == key("profile leaf").kid


def test_lives_are_fifteen_eight_and_three_years_and_a_month():
    root, issuing = authority()
    begin = NOW - profile.BACKDATE
    assert root.not_valid_before_utc == issuing.not_valid_before_utc == leaf().not_valid_before_utc == begin
    assert root.not_valid_after_utc == begin.replace(year=2041)
    assert issuing.not_valid_after_utc == begin.replace(year=2034)
    assert leaf().not_valid_after_utc == begin.replace(year=2029, month=10)
    assert profile.not_after_signing(begin) == begin.replace(year=2027)


def test_no_credential_outlives_its_leaf():
    # Last signature at the end of the signing window, longest credential 24 months.
    begin = leaf().not_valid_before_utc
    assert add_months(profile.not_after_signing(begin), 24) < leaf().not_valid_after_utc


def test_issuing_authority_issues_in_its_first_four_years_only():
    _, issuing = authority()
    begin = issuing.not_valid_before_utc
    assert profile.may_issue_leaves(issuing, NOW)
    assert profile.may_issue_leaves(issuing, begin.replace(year=2030) - timedelta(seconds=1))
    assert not profile.may_issue_leaves(issuing, begin.replace(year=2030))
    assert not profile.may_issue_leaves(issuing, begin - timedelta(seconds=1))
    last_leaf_ends = add_months(begin.replace(year=2030), profile.LEAF_MONTHS)
    assert last_leaf_ends < issuing.not_valid_after_utc


def test_leaf_says_only_what_the_profile_says():
    extensions = {extension.oid: extension for extension in leaf().extensions}
    assert set(extensions) == {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }
    assert extensions[ExtensionOID.KEY_USAGE].critical
    assert extensions[ExtensionOID.BASIC_CONSTRAINTS].value == x509.BasicConstraints(False, None)
    names = {attribute.oid: attribute.value for attribute in leaf().subject}
    assert names == {
        NameOID.COUNTRY_NAME: "GB",
        NameOID.ORGANIZATION_NAME: "The Christie NHS Foundation Trust",
        NameOID.ORGANIZATION_IDENTIFIER: "NHSODS-RBV",
        NameOID.COMMON_NAME: "The Christie NHS Foundation Trust issuer credential",
    }


def test_authorities_are_constrained():
    root, issuing = authority()
    for certificate, path_length in ((root, 1), (issuing, 0)):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(True, path_length)
        assert certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_long_names_are_cut_to_what_certificates_hold():
    long = LeafSubject(
        entity_id="https://issuer.example/RBV",
        organisation_name="An NHS Foundation Trust With a Name Longer Than Sixty-Four Characters",
        ods_code="RBV",
        role="verifier request",
    )
    names = {attribute.oid: str(attribute.value) for attribute in leaf(long).subject}
    assert len(names[NameOID.ORGANIZATION_NAME]) == 64
    assert len(names[NameOID.COMMON_NAME]) <= 64
    assert names[NameOID.COMMON_NAME].endswith(" verifier request")


def test_a_leaf_of_another_network_is_not_trusted():
    other = profile.root(key("another root").private, network=NETWORK, serial=14, now=NOW)
    _, issuing = authority()
    with pytest.raises(ChainError) as refusal:
        verify_chain(encode_x5c([der(leaf()), der(issuing)]), [der(other)], at=NOW)
    assert refusal.value.reason in {ChainReason.ISSUING_CA_SIGNATURE, ChainReason.KEY_IDENTIFIER}


@pytest.mark.parametrize(
    ("at", "months", "expected"),
    [
        (datetime(2028, 1, 31, 5, tzinfo=UTC), 1, datetime(2028, 2, 29, 5, tzinfo=UTC)),
        (datetime(2027, 1, 31, tzinfo=UTC), 13, datetime(2028, 2, 29, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), 12, datetime(2029, 2, 28, tzinfo=UTC)),
        (datetime(2026, 12, 15, tzinfo=UTC), 37, datetime(2030, 1, 15, tzinfo=UTC)),
    ],
)
def test_months_end_on_real_days(at, months, expected):
    assert add_months(at, months) == expected
