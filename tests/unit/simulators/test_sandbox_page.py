"""The sandbox page says what the table of fixed people says."""

from __future__ import annotations

from deploy.simulators import sandbox_people
from passport_testkit.corpora import REPOSITORY

PAGE = REPOSITORY / "docs" / "sandbox.md"


def test_every_fixed_person_stands_on_the_page_with_their_outcome():
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `") and "29000" in line
    ]
    said = [tuple(row[:5]) for row in rows]
    assert said == [
        (
            one.key,
            f"{one.hire.given_name} {one.hire.family_name}",
            one.person_id,
            one.policy_id,
            one.outcome or "none",
        )
        for one in sandbox_people.PEOPLE
    ]
    for row, one in zip(rows, sandbox_people.PEOPLE, strict=True):
        assert one.rule is None or f"({one.rule}, {one.reason})" in row[5]


def test_the_look_up_on_the_page_is_of_the_one_whose_registration_lapsed():
    lapsed = sandbox_people.person("lapsed")
    assert lapsed is not None
    assert f"/register/GMC/{lapsed.hire.registration_number}" in PAGE.read_text(encoding="utf-8")
