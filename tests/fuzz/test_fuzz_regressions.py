"""What fuzzing found, one plain case each: all of these left their parser as another error than promised."""

from __future__ import annotations

import json

import pytest

from passport_registry.rules.identifiers import entity_id_fault
from passport_shared.formats.federation_jws import FederationError, FederationReason, as_identifier
from passport_shared.formats.strict import b64url_decode, b64url_encode
from passport_shared.formats.trust_file import TrustFile, TrustFileError, TrustFileReason
from passport_shared.service.clock import read_offset
from passport_shared.service.paging import decode_cursor, encode_cursor
from passport_shared.service.problems import BadRequest
from passport_shared.service.validation import field_errors
from passport_testkit.cases import commit, urgent_policy
from passport_testkit.clock import NOON
from passport_verifier.rules.evidence import facts_of
from tests.fuzz.targets_tokens import network

BROKEN_HOSTS = ["https://[x/RBV", "https://]/RBV", "https://a[b]/RBV", "https://[::1/RBV"]


@pytest.mark.parametrize("root", ["é", "MIIB\ud7ff", "ŵ" * 40])
def test_a_root_of_a_trust_file_that_is_not_ascii(root: str):
    document = json.loads(network().trust_file.as_bytes())
    document["x509_roots"] = [root]
    with pytest.raises(TrustFileError) as refused:
        TrustFile.parse(json.dumps(document))
    assert refused.value.reason is TrustFileReason.BAD_ROOTS


@pytest.mark.parametrize("entity_id", BROKEN_HOSTS)
def test_an_entity_identifier_with_half_a_bracket(entity_id: str):
    assert entity_id_fault(entity_id, "RBV") == "must name a host"
    with pytest.raises(FederationError) as refused:
        as_identifier(entity_id, "iss")
    assert refused.value.reason is FederationReason.BAD_CLAIM


@pytest.mark.parametrize("seconds", [10**12, 10**30, -(10**12), -1])
def test_a_clock_file_beyond_the_calendar(seconds: int):
    with pytest.raises(ValueError, match="offset_s"):
        read_offset(json.dumps({"offset_s": seconds}).encode())


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_cursor_whose_instant_lies_beyond_the_calendar(at: str):
    good = encode_cursor("staff", [NOON])
    assert decode_cursor("staff", good, [type(NOON)]) == [NOON]
    [tag, _] = json.loads(b64url_decode(good))
    with pytest.raises(BadRequest):
        decode_cursor("staff", b64url_encode(json.dumps([tag, at]).encode()), [type(NOON)])


@pytest.mark.parametrize("skills", [[], "FS", 1, None, [["FS"]], {"FS": "1"}])
def test_core_skills_that_are_no_object_prove_no_skill(skills: object):
    policy = urgent_policy()
    assert facts_of("CoreSkills", {"skills": skills}, policy, commit) == {}


def test_a_union_tag_that_was_sent_is_not_repeated():
    fault = {
        "type": "union_tag_invalid",
        "loc": ("body",),
        "msg": "Input tag 'Zaffrewick' found using 'check_type' is none of the expected tags: 'RTW'",
        "ctx": {"discriminator": "'check_type'", "tag": "Zaffrewick", "expected_tags": "'RTW'"},
    }
    [error] = field_errors([fault], {"check_type": "Zaffrewick"})
    assert error.detail == "'check_type' is none of 'RTW'"
