"""The credential catalogue: complete words, closed schemas, and the claims of the domain model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from passport_shared.wire import catalogue
from passport_shared.wire.regulators import number_has_form
from passport_testkit.datasets import dataset, skill

COMMON = {"holder_ref", "family_name", "given_name", "birthdate", "provenance"}
OWN_DISCLOSABLE = {
    "StaffIdentity": {"portrait"},
    "Employment": {
        "position_title",
        "grade",
        "employment_type",
        "fte",
        "start_date",
        "contract_end",
        "department",
    },
    "RightToWork": {"route"},
    "DbsOutcome": {"update_service"},
    "ProfessionalRegistration": {"number"},
    "OccupationalHealth": {"epp_cleared"},
    "CoreSkills": set(),
    "TemporaryPlacement": {"department_contact", "approved_by", "hr_contact"},
}
SUBJECTS = {"CR", "EDHR", "FS", "HSW", "IPC", "IG", "MH", "PR", "RES", "SA", "SC", "LDA"}
RESERVED = {
    "iss",
    "sub",
    "aud",
    "iat",
    "nbf",
    "exp",
    "jti",
    "cnf",
    "vct",
    "status",
    "aka_vcts",
    "_sd",
    "_sd_alg",
}


def _leaves(
    schema: dict[str, Any], definitions: dict[str, Any], prefix: tuple[str, ...] = ()
) -> set[tuple[str, ...]]:
    """Every property path of a schema, following what a dataset can contain as an object."""
    found: set[tuple[str, ...]] = set()
    for name, inner in schema.get("properties", {}).items():
        found.add((*prefix, name))
        if inner.get("type") == "object":
            found |= _leaves(inner, definitions, (*prefix, name))
    return found


@pytest.mark.parametrize("name", sorted(catalogue.TYPES))
def test_every_claim_a_dataset_can_hold_has_words_in_both_languages(name: str) -> None:
    kind = catalogue.TYPES[name]
    paths = _leaves(dict(kind.schema), kind.schema["$defs"])
    assert paths == {claim.path for claim in kind.claims}
    for claim in kind.claims:
        for locale in catalogue.LOCALES:
            assert claim.labels[locale].strip(), (name, claim.path, locale)
    for locale in catalogue.LOCALES:
        assert kind.display[locale]["name"]
        assert kind.display[locale]["description"]


@pytest.mark.parametrize("name", sorted(catalogue.TYPES))
def test_every_code_a_dataset_can_hold_has_words_in_both_languages(name: str) -> None:
    kind = catalogue.TYPES[name]
    for claim, schema in kind.schema["properties"].items():
        codes = [*schema.get("enum", []), *schema.get("items", {}).get("enum", [])]
        codes += [schema["const"]] if "const" in schema else []
        for code in codes:
            for locale in catalogue.LOCALES:
                words = catalogue.value_label(code, locale)
                assert words, (name, claim, code)
                assert words != code, (name, claim, code)


@pytest.mark.parametrize("name", sorted(catalogue.TYPES))
def test_disclosable_paths_are_those_of_the_domain_model(name: str) -> None:
    kind = catalogue.TYPES[name]
    wanted: set[tuple[str, ...]] = {(claim,) for claim in OWN_DISCLOSABLE[name] | COMMON}
    if name == "CoreSkills":
        wanted |= {("skills", subject) for subject in SUBJECTS}
    assert set(kind.disclosable) == wanted
    # A claim of ours under a registered name would replace the registered one.
    assert not {claim.path[0] for claim in kind.claims} & RESERVED


@pytest.mark.parametrize("name", sorted(catalogue.TYPES))
def test_a_complete_dataset_is_accepted_and_each_missing_claim_named(name: str) -> None:
    kind = catalogue.TYPES[name]
    catalogue.validate_claims(kind, dataset(name))
    for claim in kind.claims:
        if len(claim.path) == 1 and claim.mandatory:
            with pytest.raises(catalogue.ClaimsInvalid) as caught:
                catalogue.validate_claims(kind, dataset(name, **{claim.path[0]: None}))
            assert (f"/{claim.path[0]}", "this detail is required") in caught.value.errors


REFUSED = [
    ("StaffIdentity", {"identity_scheme": "GPG45"}, "/gpg45_level"),
    ("StaffIdentity", {"verified_on": "2026-02-30"}, "/verified_on"),
    ("StaffIdentity", {"originals_seen_in_person_on": ""}, "/originals_seen_in_person_on"),
    ("StaffIdentity", {"portrait": "data:image/png;base64,AAAA"}, "/portrait"),
    ("StaffIdentity", {"holder_ref": "short"}, "/holder_ref"),
    ("Employment", {"employer_ods": "rbv"}, "/employer_ods"),
    ("Employment", {"fte": 2}, "/fte"),
    ("Employment", {"contract_end": False}, "/contract_end"),
    ("RightToWork", {"permission": "UNTIL"}, "/permission_expires"),
    ("RightToWork", {"permission_expires": "2027-01-01"}, "/permission_expires"),
    ("DbsOutcome", {"barred_lists": []}, "/barred_lists"),
    ("DbsOutcome", {"level": "ENHANCED"}, "/barred_lists"),
    ("DbsOutcome", {"level": "NONE", "barred_lists": []}, "/certificate_issued_on"),
    ("DbsOutcome", {"update_service": "true"}, "/update_service"),
    ("ProfessionalRegistration", {"registration_status": "OK"}, "/registration_status"),
    ("ProfessionalRegistration", {"licence_to_practise": "NONE"}, "/licence_to_practise"),
    ("ProfessionalRegistration", {"restrictions": "NONE"}, "/restrictions"),
    ("OccupationalHealth", {"outcome": "NOT_YET_CLEARED"}, "/outcome"),
    ("OccupationalHealth", {"serology": "negative"}, "/serology"),
    ("CoreSkills", {"skills": {}}, "/skills"),
    ("CoreSkills", {"skills": {"XX": skill()}}, "/skills/XX"),
    ("CoreSkills", {"skills": {"FS": {"level": "1"}}}, "/skills/FS/completed_on"),
]


@pytest.mark.parametrize(("name", "changes", "pointer"), REFUSED)
def test_a_dataset_that_breaks_its_type_is_refused_by_pointer(
    name: str, changes: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(catalogue.ClaimsInvalid) as caught:
        catalogue.validate_claims(catalogue.TYPES[name], dataset(name, **changes))
    assert pointer in {found for found, _ in caught.value.errors}


def test_messages_never_repeat_a_value() -> None:
    with pytest.raises(catalogue.ClaimsInvalid) as caught:
        catalogue.validate_claims(
            catalogue.TYPES["StaffIdentity"], dataset("StaffIdentity", birthdate="canary-birthdate")
        )
    assert "canary" not in str(caught.value)


def test_identifiers_of_a_type() -> None:
    base = "https://registry.example/vct"
    assert catalogue.vct(base, "StaffIdentity") == "https://registry.example/vct/StaffIdentity/1"
    for kind in catalogue.TYPES.values():
        assert catalogue.type_for_vct(catalogue.vct(base, kind.name), base) is kind
        assert catalogue.type_for_configuration(kind.configuration_id) is kind
    assert catalogue.type_for_vct(base + "/StaffIdentity/01", base) is None
    assert catalogue.type_for_configuration("StaffIdentity") is None


@pytest.mark.parametrize("name", sorted(catalogue.TYPES))
def test_metadata_documents_are_json_and_name_every_claim(name: str) -> None:
    kind = catalogue.TYPES[name]
    metadata = catalogue.type_metadata(kind, "https://registry.example/vct")
    configuration = catalogue.credential_configuration(kind, metadata["vct"])
    json.dumps([metadata, configuration])
    for document in (metadata["claims"], configuration["credential_metadata"]["claims"]):
        assert [tuple(claim["path"]) for claim in document] == [claim.path for claim in kind.claims]
    sd = {tuple(claim["path"]): claim["sd"] for claim in metadata["claims"]}
    assert {path for path, rule in sd.items() if rule == "always"} == set(kind.disclosable)
    assert kind.validity_months <= catalogue.LONGEST_VALIDITY_MONTHS


NUMBERS = [
    ("GMC", "7099999", True),
    ("GMC", "709999", False),
    ("GMC", "٧٠٩٩٩٩٩", False),
    ("NMC", "98I1999E", True),
    ("NMC", "98i1999e", False),
    ("HCPC", "DT095159", True),
    ("HCPC", "095159", False),
    ("GPhC", "2099999", True),
    ("GOC", "01-12345", True),
    ("UNLISTED", "anything", True),
]


@pytest.mark.parametrize(("regulator", "number", "well_formed"), NUMBERS)
def test_form_of_registration_numbers(regulator: str, number: str, well_formed: bool) -> None:
    assert number_has_form(regulator, number) is well_formed
