"""The table of record types against the published standard, which it must not drift from."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.simulators.dsp_sent import TYPES
from passport_testkit import nhs_dsp


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    found: dict[str, Any] = nhs_dsp.standard()["components"]["schemas"]
    return found


def test_every_record_type_can_be_added(schemas):
    offered = {one["$ref"].rpartition("/")[2] for one in schemas["EmployeeRecordPost"]["oneOf"]}
    assert offered == TYPES.keys()


@pytest.mark.parametrize("name", sorted(TYPES))
def test_fields_and_what_must_be_there_are_the_standard_s(name, schemas):
    assert TYPES[name].fields.keys() == schemas[name]["properties"].keys()
    assert TYPES[name].required == set(schemas[name]["required"])


@pytest.mark.parametrize("name", sorted(TYPES))
def test_values_the_standard_lists_are_taken_and_others_are_not(name, schemas):
    for field, described in schemas[name]["properties"].items():
        check = TYPES[name].fields[field]
        for value in described.get("enum", ()):
            assert check(value) == value
        if "enum" in described:
            with pytest.raises(ValueError, match="must be one of"):
                check("something else")
        if described["type"] != "boolean":
            with pytest.raises(ValueError, match="must be"):
                check([])


@pytest.mark.parametrize(
    ("name", "field", "good", "bad"),
    [
        (
            "Vaccination",
            "date",
            ["2024", "2024-02", "2024-02-29"],
            ["2023-02-29", "24", "2024-13", "2024-1-1"],
        ),
        (
            "CoreSkillsTraining",
            "dateLastAwarded",
            ["2024-02-29"],
            ["2024", "2024-02", "2023-02-29", 20240229],
        ),
        ("DBSCheckOutcome", "certificateNumber", ["000012345678"], ["1", "0000123456789", "00001234567x"]),
        ("DBSCheckOutcome", "registeredBodyNumber", ["20999999999"], ["2099999999", "٢٠٩٩٩٩٩٩٩٩٩"]),
        ("ProfessionalRegistration", "registrationNumber", [1234567, 7099991.0], ["7099991", True, -1]),
    ],
)
def test_forms(name, field, good, bad):
    check = TYPES[name].fields[field]
    assert [check(value) for value in good] == good
    for value in bad:
        with pytest.raises(ValueError, match="must be"):
            check(value)


def test_text_for_a_boolean_is_understood_as_the_published_examples_write_it():
    check = TYPES["RightToWork"].fields["identityVerified"]
    assert (check("true"), check("false"), check(True)) == (True, False, True)
    for value in ("yes", 1, None):
        with pytest.raises(ValueError, match="true or false"):
            check(value)
