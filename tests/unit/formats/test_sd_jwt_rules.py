"""Every rule of RFC 9901 §7.1 (the rows of our checklist) broken once, each refused for its own reason."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from passport_shared.formats import sd_jwt
from passport_shared.formats.credential_rejected import CredentialRejected, RejectReason
from passport_shared.formats.sd_jwt import SdJwtError, SdJwtReason
from passport_shared.formats.strict import b64url_encode
from passport_shared.formats.verdict import Check
from passport_testkit.credentials import Forgery, credential, forgery, segment, verify

SALT = "2GLC42sKQveCfGfryNRN9w"
R = SdJwtReason


def _set(name: str, value: object) -> Callable[[Forgery], None]:
    def mutate(forged: Forgery) -> None:
        forged.payload[name] = value

    return mutate


def _plant(content: object) -> Callable[[Forgery], None]:
    return lambda forged: forged.plant(content)


def _in_array(content: object) -> Callable[[Forgery], None]:
    """Reference a disclosure with this content from an array."""
    return lambda forged: forged.payload["languages"].append({"...": forged.add(content)})


def _element(element: object) -> Callable[[Forgery], None]:
    return lambda forged: forged.payload["languages"].append(element)


def digest_over_decoded_json(forged: Forgery) -> None:
    content = [SALT, "ward", "Kingfisher"]
    forged.add(content)
    forged.sd.append(sd_jwt.digest_of(json.dumps(content)))


def changed_disclosure(forged: Forgery) -> None:
    forged.disclosures[0] = segment([SALT, "family_name", "Somebody Else"])


def foreign_disclosure(forged: Forgery) -> None:
    forged.disclosures.append(sd_jwt.parse(credential()).disclosures[0].encoded)


def same_disclosure_twice(forged: Forgery) -> None:
    forged.disclosures.append(forged.disclosures[0])


def child_without_parent(forged: Forgery) -> None:
    parsed = sd_jwt.parse(forged.presented())
    parent = sd_jwt.disclose(parsed).placed["address",]
    forged.disclosures.remove(parent.encoded)


def two_disclosures_of_one_name(forged: Forgery) -> None:
    forged.plant([SALT, "ward", "Kingfisher"])
    forged.plant([SALT, "ward", "Heron"])


def collision_in_nested_object(forged: Forgery) -> None:
    forged.payload["site"] = {"code": "A1", "_sd": [forged.add([SALT, "code", "B2"])]}


def digest_twice_in_one_sd(forged: Forgery) -> None:
    forged.sd.append(forged.sd[0])


def decoy_twice(forged: Forgery) -> None:
    forged.sd.extend(["decoy", "decoy"])


def digest_in_two_sd_arrays(forged: Forgery) -> None:
    forged.payload["site"] = {"_sd": [forged.sd[0]]}


def digest_in_sd_and_array(forged: Forgery) -> None:
    forged.sd.append("decoy")
    forged.payload["languages"].append({"...": "decoy"})


def digest_again_inside_disclosure(forged: Forgery) -> None:
    forged.plant([SALT, "site", {"_sd": [forged.sd[0]]}])


def digest_of_itself_cannot_be_met_again(forged: Forgery) -> None:
    forged.plant([SALT, "site", {"_sd": ["decoy"]}])
    forged.payload["other"] = {"_sd": ["decoy"]}


def nested_sd_alg_in_disclosure(forged: Forgery) -> None:
    forged.plant([SALT, "site", {"_sd_alg": "sha-256"}])


def deep_claims(forged: Forgery) -> None:
    value: object = "bottom"
    for _ in range(40):
        value = [value]
    forged.plant([SALT, "deep", value])


def deep_only_together(forged: Forgery) -> None:
    inner: object = "bottom"
    for _ in range(20):
        inner = [inner]
    for _ in range(3):
        inner = [inner] * 1
        inner = {"_sd": [forged.add([SALT, "down", [[[inner]]]])]}
    forged.payload["deep"] = inner


def too_many_disclosures(forged: Forgery) -> None:
    for number in range(65):
        forged.plant([SALT, f"claim_{number}", number])


def non_canonical_base64(forged: Forgery) -> None:
    content = json.dumps([SALT, "ward", "Heron!"]).encode()
    while len(content) % 3 != 1:
        content += b" "
    encoded = b64url_encode(content)
    tail = chr(ord(encoded[-1]) + 1)
    forged.disclosures.append(encoded[:-1] + tail)
    forged.sd.append(sd_jwt.digest_of(encoded[:-1] + tail))


def _verbatim(encoded: str) -> Callable[[Forgery], None]:
    def mutate(forged: Forgery) -> None:
        forged.disclosures.append(encoded)
        forged.sd.append(sd_jwt.digest_of(encoded))

    return mutate


def _header(name: str, value: object) -> Callable[[Forgery], None]:
    def mutate(forged: Forgery) -> None:
        forged.header[name] = value

    return mutate


BROKEN: list[tuple[str, Callable[[Forgery], object], SdJwtReason]] = [
    # row 3: the hash
    ("sd_alg_truncated_hash", _set("_sd_alg", "sha-256-32"), R.SD_ALG_NOT_ALLOWED),
    ("sd_alg_md5", _set("_sd_alg", "md5"), R.SD_ALG_NOT_ALLOWED),
    ("sd_alg_wrong_case", _set("_sd_alg", "SHA-256"), R.SD_ALG_NOT_ALLOWED),
    ("sd_alg_blank", _set("_sd_alg", ""), R.SD_ALG_NOT_ALLOWED),
    ("sd_alg_null", _set("_sd_alg", None), R.SD_ALG_NOT_ALLOWED),
    ("sd_alg_number", _set("_sd_alg", 256), R.SD_ALG_NOT_ALLOWED),
    ("sd_alg_list", _set("_sd_alg", ["sha-256"]), R.SD_ALG_NOT_ALLOWED),
    # row 4
    ("sd_alg_nested", _set("site", {"_sd_alg": "sha-256"}), R.SD_ALG_NESTED),
    ("sd_alg_nested_in_array", _element({"_sd_alg": "sha-256"}), R.SD_ALG_NESTED),
    ("sd_alg_nested_in_disclosure", nested_sd_alg_in_disclosure, R.SD_ALG_NESTED),
    # row 5
    ("digest_over_decoded_json", digest_over_decoded_json, R.DISCLOSURE_UNREFERENCED),
    ("changed_disclosure", changed_disclosure, R.DISCLOSURE_UNREFERENCED),
    # row 6
    ("object_disclosure_of_two", _plant([SALT, "Heron"]), R.PROPERTY_DISCLOSURE_EXPECTED),
    ("disclosure_of_four", _plant([SALT, "ward", "Heron", 1]), R.DISCLOSURE_WRONG_LENGTH),
    ("disclosure_of_one", _plant([SALT]), R.DISCLOSURE_WRONG_LENGTH),
    ("disclosure_of_none", _plant([]), R.DISCLOSURE_WRONG_LENGTH),
    ("disclosure_is_three_characters", _plant("abc"), R.DISCLOSURE_NOT_ARRAY),
    ("disclosure_is_two_characters", _plant("ab"), R.DISCLOSURE_NOT_ARRAY),
    ("disclosure_is_object_of_three", _plant({"a": 1, "b": 2, "c": 3}), R.DISCLOSURE_NOT_ARRAY),
    ("disclosure_is_null", _plant(None), R.DISCLOSURE_NOT_ARRAY),
    ("disclosure_is_number", _plant(1), R.DISCLOSURE_NOT_ARRAY),
    ("disclosure_not_json", _plant(b'["a","b"'), R.DISCLOSURE_NOT_JSON),
    ("disclosure_trailing_text", _plant(b'["a","b","c"] x'), R.DISCLOSURE_NOT_JSON),
    ("disclosure_nan", _plant(b'["a","b",NaN]'), R.DISCLOSURE_NOT_JSON),
    ("disclosure_duplicate_member", _plant(b'["a","b",{"c":1,"c":2}]'), R.DISCLOSURE_NOT_JSON),
    ("disclosure_not_utf8", _plant(b'["a","b","\xff"]'), R.DISCLOSURE_NOT_JSON),
    ("disclosure_bom", _plant(b'\xef\xbb\xbf["a","b",1]'), R.DISCLOSURE_NOT_JSON),
    ("disclosure_padded", _verbatim(segment([SALT, "ward", 1]) + "="), R.DISCLOSURE_NOT_BASE64URL),
    ("disclosure_base64_plus", _verbatim("WyJ+IiwiYSIsMV0"), R.DISCLOSURE_NOT_BASE64URL),
    ("disclosure_newline", _verbatim(segment([SALT, "ward", 1]) + "\n"), R.DISCLOSURE_NOT_BASE64URL),
    ("disclosure_one_character", _verbatim("A"), R.DISCLOSURE_NOT_BASE64URL),
    ("disclosure_tail_bits", non_canonical_base64, R.DISCLOSURE_NOT_BASE64URL),
    ("salt_number", _plant([1, "ward", "Heron"]), R.DISCLOSURE_SALT_NOT_STRING),
    ("salt_null_in_array", _in_array([None, "Heron"]), R.DISCLOSURE_SALT_NOT_STRING),
    # row 7
    ("name_sd", _plant([SALT, "_sd", ["x"]]), R.CLAIM_NAME_RESERVED),
    ("name_ellipsis", _plant([SALT, "...", "x"]), R.CLAIM_NAME_RESERVED),
    ("name_sd_alg", _plant([SALT, "_sd_alg", "sha-256"]), R.CLAIM_NAME_RESERVED),
    ("name_number", _plant([SALT, 1, "x"]), R.CLAIM_NAME_NOT_STRING),
    ("name_null", _plant([SALT, None, "x"]), R.CLAIM_NAME_NOT_STRING),
    ("name_list", _plant([SALT, ["ward"], "x"]), R.CLAIM_NAME_NOT_STRING),
    # row 8
    ("collides_with_plain_claim", _plant([SALT, "languages", []]), R.CLAIM_NAME_COLLISION),
    ("collides_with_vct", _plant([SALT, "vct", "x"]), R.CLAIM_NAME_COLLISION),
    ("collides_with_disclosed_claim", two_disclosures_of_one_name, R.CLAIM_NAME_COLLISION),
    ("collides_in_nested_object", collision_in_nested_object, R.CLAIM_NAME_COLLISION),
    # row 9
    ("element_disclosure_of_three", _in_array([SALT, "ward", "x"]), R.ELEMENT_DISCLOSURE_EXPECTED),
    # row 10
    ("placeholder_extra_member", _element({"...": "x", "more": 1}), R.PLACEHOLDER_MALFORMED),
    ("placeholder_number", _element({"...": 1}), R.PLACEHOLDER_MALFORMED),
    ("placeholder_null", _element({"...": None}), R.PLACEHOLDER_MALFORMED),
    ("placeholder_outside_array", _set("site", {"...": "x"}), R.PLACEHOLDER_OUTSIDE_ARRAY),
    ("placeholder_at_top", _set("...", "x"), R.PLACEHOLDER_OUTSIDE_ARRAY),
    # row 12
    ("digest_twice_in_one_sd", digest_twice_in_one_sd, R.DIGEST_REPEATED),
    ("decoy_twice", decoy_twice, R.DIGEST_REPEATED),
    ("digest_in_two_sd_arrays", digest_in_two_sd_arrays, R.DIGEST_REPEATED),
    ("digest_in_sd_and_array", digest_in_sd_and_array, R.DIGEST_REPEATED),
    ("digest_again_inside_disclosure", digest_again_inside_disclosure, R.DIGEST_REPEATED),
    ("decoy_shared_with_disclosure", digest_of_itself_cannot_be_met_again, R.DIGEST_REPEATED),
    # row 13
    ("stray_disclosure", lambda forged: forged.add([SALT, "ward", "x"]), R.DISCLOSURE_UNREFERENCED),
    ("stray_element_disclosure", lambda forged: forged.add([SALT, "x"]), R.DISCLOSURE_UNREFERENCED),
    ("foreign_disclosure", foreign_disclosure, R.DISCLOSURE_UNREFERENCED),
    ("child_without_parent", child_without_parent, R.DISCLOSURE_UNREFERENCED),
    ("same_disclosure_twice", same_disclosure_twice, R.DISCLOSURE_REPEATED),
    # row 16
    ("sd_is_string", _set("_sd", "x"), R.SD_NOT_ARRAY_OF_STRINGS),
    ("sd_is_null", _set("_sd", None), R.SD_NOT_ARRAY_OF_STRINGS),
    ("sd_is_object", _set("_sd", {"x": 1}), R.SD_NOT_ARRAY_OF_STRINGS),
    ("sd_with_number", lambda forged: forged.sd.append(1), R.SD_NOT_ARRAY_OF_STRINGS),
    ("sd_with_null", lambda forged: forged.sd.append(None), R.SD_NOT_ARRAY_OF_STRINGS),
    ("nested_sd_is_string", _set("site", {"_sd": "x"}), R.SD_NOT_ARRAY_OF_STRINGS),
    ("nested_sd_in_disclosure", _plant([SALT, "site", {"_sd": 1}]), R.SD_NOT_ARRAY_OF_STRINGS),
    # row 18
    ("deep_disclosure", deep_claims, R.TOO_DEEP),
    ("deep_only_together", deep_only_together, R.TOO_DEEP),
    ("too_many_disclosures", too_many_disclosures, R.TOO_MANY_DISCLOSURES),
    ("too_large", _plant([SALT, "ward", "x" * 66_000]), R.TOO_LARGE),
    # the issuer-signed JWT
    ("crit_header", _header("crit", ["exp"]), R.CRITICAL_HEADER),
    ("crit_empty", _header("crit", []), R.CRITICAL_HEADER),
    ("b64_header", _header("b64", False), R.ISSUER_JWT_MALFORMED),
    ("zip_header", _header("zip", "DEF"), R.ISSUER_JWT_MALFORMED),
    ("header_too_large", _header("pad", "x" * 9_000), R.ISSUER_JWT_MALFORMED),
    ("payload_is_array", lambda forged: setattr(forged, "payload", [1]), R.ISSUER_JWT_MALFORMED),
    ("payload_not_json", lambda forged: setattr(forged, "payload", b"{"), R.ISSUER_JWT_MALFORMED),
    (
        "payload_duplicate_member",
        lambda forged: setattr(forged, "payload", b'{"vct":"a","vct":"b"}'),
        R.ISSUER_JWT_MALFORMED,
    ),
    (
        "payload_utf16",
        lambda forged: setattr(forged, "payload", '{"vct":"a"}'.encode("utf-16")),
        R.ISSUER_JWT_MALFORMED,
    ),
    (
        "payload_depth_bomb",
        lambda forged: setattr(forged, "payload", b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
        R.ISSUER_JWT_MALFORMED,
    ),
]


def _refusal(token: str | bytes) -> SdJwtReason:
    with pytest.raises(SdJwtError) as caught:
        sd_jwt.process(sd_jwt.parse(token))
    return caught.value.reason


@pytest.mark.parametrize(
    ("mutate", "reason"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_a_broken_rule_is_refused_for_its_own_reason(
    mutate: Callable[[Forgery], object], reason: SdJwtReason
) -> None:
    forged = forgery()
    mutate(forged)
    token = forged.token()
    assert _refusal(token) is reason
    with pytest.raises(CredentialRejected) as rejected:
        verify(token)
    assert rejected.value.reason.value == reason.value
    assert rejected.value.check is Check.STRUCTURE


SHAPES: list[tuple[str, Callable[[str], str | bytes], SdJwtReason]] = [
    ("bare_jwt", lambda token: token.partition("~")[0], R.NOT_SD_JWT),
    ("empty", lambda _: "", R.NOT_SD_JWT),
    ("only_tilde", lambda _: "~", R.EMPTY_PART),
    ("leading_tilde", lambda token: "~" + token, R.EMPTY_PART),
    ("double_tilde", lambda token: token.replace("~", "~~", 1), R.EMPTY_PART),
    ("leading_space", lambda token: " " + token, R.ISSUER_JWT_MALFORMED),
    ("not_ascii", lambda token: token + "é", R.NOT_ASCII),
    ("bytes_not_ascii", lambda token: token.encode() + b"\xff", R.NOT_ASCII),
    ("nul", lambda token: "\0" + token, R.ISSUER_JWT_MALFORMED),
    ("two_part_jwt", lambda token: token.replace(".", "", 1), R.ISSUER_JWT_MALFORMED),
    ("four_part_jwt", lambda token: token.replace(".", "..", 1), R.ISSUER_JWT_MALFORMED),
    ("json_serialisation", lambda _: '{"payload":"~","protected":"","signature":""}', R.ISSUER_JWT_MALFORMED),
    ("64_KiB_of_tildes", lambda _: "~" * 65_536, R.TOO_MANY_DISCLOSURES),
    ("too_many_bytes", lambda _: b"~" * 65_537, R.TOO_LARGE),
]


@pytest.mark.parametrize(("shape", "reason"), [case[1:] for case in SHAPES], ids=[case[0] for case in SHAPES])
def test_a_token_of_another_shape_is_refused(
    shape: Callable[[str], str | bytes], reason: SdJwtReason
) -> None:
    token = shape(forgery().presented())
    assert _refusal(token) is reason


def test_ten_thousand_disclosures_are_refused_before_any_is_decoded() -> None:
    token = forgery().presented().partition("~")[0] + "~" + "!~" * 10_000
    assert _refusal(token) is R.TOO_MANY_DISCLOSURES


def test_every_reason_a_token_can_be_refused_for_has_a_case() -> None:
    tested = {case[2] for case in BROKEN} | {case[2] for case in SHAPES}
    own_mistakes = {R.CLAIM_MUST_STAY_PLAIN, R.PATH_NOT_FOUND, R.KEY_BINDING_PRESENT}
    assert tested == set(SdJwtReason) - own_mistakes


def test_the_reasons_of_a_verifier_hold_those_of_the_structure() -> None:
    own_mistakes = {R.CLAIM_MUST_STAY_PLAIN, R.PATH_NOT_FOUND, R.KEY_BINDING_PRESENT}
    assert {reason.value for reason in set(SdJwtReason) - own_mistakes} <= {
        reason.value for reason in RejectReason
    }


ACCEPTED: list[tuple[str, Callable[[Forgery], None]]] = [
    ("unchanged", lambda forged: None),
    ("decoys_in_sd", lambda forged: forged.sd.extend(["decoy-1", "", "~"])),
    ("decoys_in_array", lambda forged: forged.payload["languages"].extend([{"...": "a"}, {"...": "b"}])),
    ("empty_sd", _set("site", {"_sd": []})),
    ("sd_alg_absent", lambda forged: forged.payload.pop("_sd_alg")),
    ("disclosures_in_another_order", lambda forged: forged.disclosures.reverse()),
    ("disclosure_with_spaces", _plant(b'[ "a" , "ward" ,\n "Heron" ]')),
    ("empty_claim_name", _plant([SALT, "", "x"])),
    ("empty_salt", _plant(["", "ward", "x"])),
    ("disclosed_null", _plant([SALT, "ward", None])),
    ("nested_exp_is_not_the_registered_one", _plant([SALT, "contract", {"exp": "2027-01-01"}])),
    ("undisclosed_nested", _plant([SALT, "site", {"_sd": ["decoy"], "list": [{"...": "decoy-2"}]}])),
]


@pytest.mark.parametrize("mutate", [case[1] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_what_the_rules_allow_is_accepted(mutate: Callable[[Forgery], object]) -> None:
    forged = forgery()
    mutate(forged)
    claims = verify(forged.token()).claims
    assert claims["family_name"] == "Dovecote"
    assert claims["languages"] == ["en-GB", "cy", "pl"]
    assert not {"_sd", "_sd_alg", "..."} & _names(claims)


def _names(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_names, value.values()))
    return set().union(*map(_names, value)) if isinstance(value, list) else set()


def test_an_object_with_nothing_disclosed_stays_and_hidden_elements_go() -> None:
    shown = sd_jwt.present(credential(), [])
    claims = sd_jwt.process(sd_jwt.parse(shown))
    assert claims["skills"] == {}
    assert claims["languages"] == ["pl"]
    assert "address" not in claims
    assert "_sd_alg" not in claims


def test_a_reason_never_repeats_what_the_token_says() -> None:
    forged = forgery()
    forged.plant([SALT, "family_name", "Quillfeather"])
    with pytest.raises(CredentialRejected) as rejected:
        verify(forged.token())
    assert "Quillfeather" not in str(rejected.value)
