"""The reference library (PyPI `sd-jwt`) and we read each other's tokens, in both directions.

Structures: the 17 cases of its own test suite, read where they lie, and shapes of the RFC 9901 examples with
claims of our own.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.utils.yaml_specification import load_yaml_specification, remove_sdobj_wrappers
from sd_jwt.verifier import SDJWTVerifier

from passport_shared.formats import jose, sd_jwt, sd_jwt_vc
from passport_shared.formats.sd_jwt import SdJwtError, SdJwtReason
from passport_shared.formats.sd_jwt_issuer import ALWAYS_PLAIN
from passport_testkit import corpora
from passport_testkit.clock import NOON
from passport_testkit.credentials import (
    AUD,
    DISCLOSABLE,
    NONCE,
    VCT,
    authority,
    credential,
    derived_key,
    holder_key,
    issuer,
    policy,
    staff_claims,
    verify,
)
from passport_testkit.keys import private_jwk

KEY = derived_key("test-only-issuer-credential")
THEIR_TYP = "example+sd-jwt"
ISSUER_JWK = JWK(**private_jwk(KEY))
HOLDER_JWK = JWK(**private_jwk(holder_key()))
Path_ = tuple[str | int, ...]

CASES = corpora.files("sd-jwt-python/tests/testcases", "specification.yml")

SHAPES: dict[str, tuple[dict[str, Any], list[tuple[str | int | None, ...]]]] = {
    "simple": (
        {"sub": "staff-17", "given_name": "Wren", "phone": "+44 20 7946 0000", "updated_at": 1_570_000_000},
        [("sub",), ("given_name",), ("phone",), ("updated_at",)],
    ),
    "structured_flat": (
        {"sub": "s", "address": {"street": "1 Weir Lane", "locality": "Otterbridge", "country": "GB"}},
        [("address",)],
    ),
    "structured_members": (
        {"sub": "s", "address": {"street": "1 Weir Lane", "locality": "Otterbridge", "country": "GB"}},
        [("address", "street"), ("address", "locality"), ("address", "country")],
    ),
    "structured_some_members": (
        {"sub": "s", "address": {"street": "1 Weir Lane", "locality": "Otterbridge", "country": "GB"}},
        [("address", "street"), ("sub",)],
    ),
    "recursive": (
        {"sub": "s", "address": {"street": "1 Weir Lane", "locality": "Otterbridge", "country": "GB"}},
        [("address",), ("address", "street"), ("address", "locality"), ("address", "country")],
    ),
    "complex_checks": (
        {
            "verified_claims": {
                "verification": {
                    "framework": "nhs-employment-checks",
                    "time": "2026-04-23T18:25Z",
                    "process": "f24c6f-6d3f-4ec5-973e-b0d8506f3bc7",
                    "evidence": [
                        {"type": "document", "method": "pipp", "time": "2026-04-22T11:30Z"},
                        {"type": "reference", "number": "53554554"},
                    ],
                },
                "claims": {
                    "given_name": "Wren",
                    "nationalities": ["GB", "IE"],
                    "address": {"locality": "Otterbridge", "postcode": "ZZ99 3VZ"},
                },
            },
            "salutation": "Dr",
        },
        [
            ("salutation",),
            ("verified_claims", "verification", "time"),
            ("verified_claims", "verification", "process"),
            ("verified_claims", "verification", "evidence", 0),
            ("verified_claims", "verification", "evidence", None, "time"),
            ("verified_claims", "claims", "given_name"),
            ("verified_claims", "claims", "nationalities"),
            ("verified_claims", "claims", "nationalities", None),
            ("verified_claims", "claims", "address"),
        ],
    ),
    "identity_document": (
        {
            "vct": "urn:example:pid:1",
            "given_name": "Wren",
            "birthdate": "1990-12-31",
            "nationalities": ["GB", "IE"],
            "age_equal_or_over": {"16": True, "18": True, "65": False},
            "place_of_birth": {"country": "GB", "locality": None},
            "height": 1.71,
        },
        [
            ("given_name",),
            ("birthdate",),
            ("nationalities",),
            ("nationalities", None),
            ("age_equal_or_over", "16"),
            ("age_equal_or_over", "18"),
            ("age_equal_or_over", "65"),
            ("place_of_birth", "locality"),
            ("height",),
        ],
    ),
    "array_of_arrays": ({"rota": [["mon", "tue"], ["wed"], []]}, [("rota", 0), ("rota", None, None)]),
    "names_like_numbers_and_json": (
        {"42": 1, "null": 2, "True": 3, '["x"]': 4, "é": "ü", "": 5},
        [("42",), ("null",), ("True",), ('["x"]',), ("é",), ("",)],
    ),
}


def paths_of(marked: Any, here: Path_ = ()) -> list[Path_]:
    """Translate the reference library's marks into our paths."""
    found: list[Path_] = []
    if isinstance(marked, dict):
        for name, value in marked.items():
            hidden = isinstance(name, SDObj)
            path = (*here, name.value if hidden else name)
            found += [path, *paths_of(value, path)] if hidden else paths_of(value, path)
    elif isinstance(marked, list):
        for index, value in enumerate(marked):
            hidden = isinstance(value, SDObj)
            path = (*here, index)
            found += [path, *paths_of(value.value, path)] if hidden else paths_of(value, path)
    return found


def chosen(wanted: Any, here: Path_ = ()) -> list[Path_]:
    """Translate the reference library's choice of claims into our paths."""
    members = wanted.items() if isinstance(wanted, dict) else enumerate(wanted)
    found: list[Path_] = []
    for step, value in members:
        path = (*here, step)
        if value is None or value is False:
            continue
        found.append(path)
        if isinstance(value, dict | list):
            found += chosen(value, path)
    return found


def marked(claims: Any, paths: set[Path_], here: Path_ = ()) -> Any:
    """Mark claims for the reference library."""
    if isinstance(claims, dict):
        return {
            SDObj(name) if (*here, name) in paths else name: marked(value, paths, (*here, name))
            for name, value in claims.items()
        }
    if isinstance(claims, list):
        inner = [marked(value, paths, (*here, index)) for index, value in enumerate(claims)]
        return [SDObj(v) if (*here, index) in paths else v for index, v in enumerate(inner)]
    return claims


def their_issue(claims: Any, **options: Any) -> str:
    return str(SDJWTIssuer(claims, ISSUER_JWK, **options).sd_jwt_issuance)


def they_verify(token: str, **options: Any) -> Any:
    return SDJWTVerifier(token, lambda _iss, _header: ISSUER_JWK, **options).get_verified_payload()


def we_verify(token: str, typ: str) -> Any:
    parsed = sd_jwt.parse(token)
    jose.verify(parsed.issuer_jwt, KEY.public, typ=typ)
    return sd_jwt.process(parsed)


def case_id(path: Path) -> str:
    return path.parent.name


def test_the_17_cases_are_here_or_the_run_says_so() -> None:
    assert len(CASES) in (0, 17)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_their_cases_issued_by_them_shown_by_us(case: Path) -> None:
    specification = load_yaml_specification(case)
    claims = {"iss": "https://issuer.example", **specification["user_claims"]}
    token = their_issue(claims)
    assert we_verify(token, THEIR_TYP) == remove_sdobj_wrappers(claims)
    presented = sd_jwt.present(token, chosen(specification["holder_disclosed_claims"]), subtree=False)
    expected = {"iss": "https://issuer.example", **specification["expect_verified_user_claims"]}
    assert we_verify(presented, THEIR_TYP) == expected
    assert they_verify(presented) == expected


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_their_cases_issued_by_us_shown_by_them(case: Path) -> None:
    specification = load_yaml_specification(case)
    claims = remove_sdobj_wrappers(specification["user_claims"])
    paths = paths_of(specification["user_claims"])
    token = sd_jwt.issue(claims, paths, KEY, typ=THEIR_TYP)
    assert they_verify(token) == claims
    holder = SDJWTHolder(token)
    holder.create_presentation(specification["holder_disclosed_claims"])
    expected = specification["expect_verified_user_claims"]
    assert we_verify(holder.sd_jwt_presentation, THEIR_TYP) == expected
    assert they_verify(holder.sd_jwt_presentation) == expected


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_their_json_form_is_refused(case: Path) -> None:
    claims = load_yaml_specification(case)["user_claims"]
    with pytest.raises(SdJwtError) as caught:
        sd_jwt.parse(their_issue(claims, serialization_format="json"))
    assert caught.value.reason in (SdJwtReason.NOT_SD_JWT, SdJwtReason.ISSUER_JWT_MALFORMED)


@pytest.mark.parametrize("decoys", [False, True], ids=["plain", "decoys"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_the_rfc_in_both_directions(shape: str, decoys: bool) -> None:
    claims, paths = SHAPES[shape]
    ours = sd_jwt.issue(claims, paths, KEY, typ=THEIR_TYP, decoys=3 if decoys else 0)
    assert they_verify(ours) == claims
    assert we_verify(ours, THEIR_TYP) == claims
    concrete = set(sd_jwt.disclosable_paths(ours))
    theirs = their_issue(marked(claims, concrete), add_decoy_claims=decoys)
    assert we_verify(theirs, THEIR_TYP) == claims
    assert set(sd_jwt.disclosable_paths(theirs)) == concrete
    for path in concrete:
        reveal = [path]
        shown = [sd_jwt.present(token, reveal, subtree=False) for token in (ours, theirs)]
        expected = we_verify(shown[0], THEIR_TYP)
        assert they_verify(shown[0]) == expected
        assert they_verify(shown[1]) == we_verify(shown[1], THEIR_TYP) == expected


def test_their_holder_presents_our_credential_with_key_binding() -> None:
    holder = SDJWTHolder(credential(decoys=2))
    disclosed = {"family_name": True, "skills": {"FS": True}, "languages": [False, True]}
    holder.create_presentation(disclosed, NONCE, AUD, HOLDER_JWK)
    token = holder.sd_jwt_presentation
    signed_at = datetime.fromtimestamp(jose.parse(token.rpartition("~")[2]).claims["iat"], tz=UTC)
    verified = verify(token, key_binding=policy(now=signed_at))
    assert verified.claims["family_name"] == "Dovecote"
    assert verified.claims["skills"] == {"FS": {"completed": "2026-02-01"}}
    assert verified.holder_thumbprint == holder_key().kid
    assert "birthdate" not in verified.claims


def test_their_verifier_accepts_our_presentation_with_key_binding() -> None:
    presented = sd_jwt.present(credential(), [("birthdate",), ("address", "postcode")])
    bound = sd_jwt.add_key_binding(presented, holder_key(), aud=AUD, nonce=NONCE, iat=NOON)
    payload = they_verify(bound, expected_aud=AUD, expected_nonce=NONCE)
    assert payload == verify(bound).claims
    assert payload["address"] == {"city": "Otterbridge", "postcode": "ZZ99 3VZ"}


def test_our_verifier_accepts_their_credential() -> None:
    claims = marked(staff_claims(), set(DISCLOSABLE))
    headers = {"typ": "dc+sd-jwt", "x5c": issuer().x5c}
    token = their_issue(claims, extra_header_parameters=headers, add_decoy_claims=False)
    inspected = sd_jwt_vc.inspect(token, roots=authority().roots, at=NOON)
    assert inspected.claims == staff_claims()
    assert inspected.vct == VCT
    assert json.dumps(inspected.claims, sort_keys=True) == json.dumps(they_verify(token), sort_keys=True)


def test_decoys_of_theirs_inside_registered_claims_are_refused() -> None:
    """Their decoys go into every object, `cnf` and `status` too; draft -19 wants those free of digests."""
    headers = {"typ": "dc+sd-jwt", "x5c": issuer().x5c}
    token = their_issue(staff_claims(), extra_header_parameters=headers, add_decoy_claims=True)
    with pytest.raises(sd_jwt_vc.CredentialRejected) as caught:
        sd_jwt_vc.inspect(token, roots=authority().roots, at=NOON)
    assert caught.value.reason is sd_jwt_vc.RejectReason.REGISTERED_CLAIM_DISCLOSED
    assert caught.value.detail in ALWAYS_PLAIN
