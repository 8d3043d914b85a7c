"""Employee linking: candidates with what differs, a person's choice, never two of ours for one of theirs."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from passport_issuer.store import tables
from passport_testkit.apps import problem
from passport_testkit.issuers import HR, IssuerBench
from passport_testkit.workforce import LYING, SURGEON_ID, Workforce, employee, esr_record

CHOSEN = {"person_id": SURGEON_ID, "actor": HR}
ALL_SAME = {"given_name": "SAME", "family_name": "SAME", "birthdate": "SAME"}


async def searched(issuer: IssuerBench, connection_id: str, **body: Any) -> list[dict[str, Any]]:
    answer = await issuer.call("POST", f"/connections/{connection_id}/search", {"actor": HR, **body})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["candidates"]
    return found


async def link(issuer: IssuerBench, staff_id: str, connection_id: str, **changes: Any) -> Any:
    body = {**CHOSEN, **changes}
    return await issuer.call("PUT", f"/staff/{staff_id}/links/{connection_id}", body)


async def audited(issuer: IssuerBench, kind: str) -> list[Any]:
    entries = tables.audit.entries
    async with issuer.ctx.db.read() as conn:
        rows = (await conn.execute(select(entries).where(entries.c.kind == kind))).mappings().all()
    return list(rows)


@pytest.mark.parametrize("system_type", ["ESR", "LMS"])
async def test_searching_lists_and_creates_nothing(
    connected: IssuerBench, workforce: Workforce, system_type: str
) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.connect(connected, system_type)
    [candidate] = await searched(connected, connection_id, staff_id=staff_id)
    assert candidate["differences"] == ALL_SAME
    assert (candidate["needs_reason"], candidate["linked_to"]) == (False, None)
    assert (await connected.call("GET", f"/staff/{staff_id}/links")).json()["items"] == []
    problem(await connected.call("GET", f"/staff/{staff_id}/links/{connection_id}"), 404, "not_found")
    staff = (await connected.call("GET", f"/staff/{staff_id}")).json()
    assert staff["version"] == 1


async def test_two_of_one_name_are_two_candidates(connected: IssuerBench, workforce: Workforce) -> None:
    twin = esr_record(person_id="7654321", birthdate="1985-06-01")
    twin["person"]["primary_assignment"]["assignment_number"] = "20400000"
    workforce.esr["7654321"] = twin
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.connect(connected, "ESR")
    found = await searched(connected, connection_id, staff_id=staff_id)
    assert [(one["person_id"], one["differences"]["birthdate"]) for one in found] == [
        (SURGEON_ID, "SAME"),
        ("7654321", "DIFFERENT"),
    ]
    nobody = await searched(connected, connection_id, family_name="Nobody-At-All")
    assert nobody == []
    [by_id] = await searched(connected, connection_id, person_id=SURGEON_ID)
    assert by_id["differences"] is None
    [by_post] = await searched(connected, connection_id, assignment_number="20391234", staff_id=staff_id)
    assert by_post["person_id"] == SURGEON_ID
    for no_one in ("unknown", "..", ".", "a/b", "?x=1"):
        assert await searched(connected, connection_id, person_id=no_one) == []
    assert not [path for path in workforce.seen if "/.." in path or "?x" in path]
    refused = await connected.call("POST", f"/connections/{connection_id}/search", {"actor": HR})
    problem(refused, 422, "invalid_request")


NAMES = [
    # ours, theirs (ESR), what differs
    (("María José", "Núñez"), ("Maria Jose", "Nunez", []), ("SPELLING", "SPELLING")),
    (("Siân Angharad", "O’Brien-ap-Rhys"), ("SIAN", "OBRIEN AP RHYS", []), ("FEWER_NAMES", "SPELLING")),
    (("Łukasz", "Żółć"), ("Lukasz", "Zolc", []), ("SPELLING", "SPELLING")),
    (("Anne Marie", "Taylor"), ("Anne Marie Louise", "Smith", ["Taylor"]), ("FEWER_NAMES", "PREVIOUS_NAME")),
    (("Bob", "Taylor"), ("Robert", "Taylor", []), ("DIFFERENT", "SAME")),
]


@pytest.mark.parametrize(("ours", "theirs", "differs"), NAMES)
async def test_names_with_accents_several_given_names_and_changed_surnames(
    connected: IssuerBench,
    workforce: Workforce,
    ours: tuple[str, str],
    theirs: tuple[str, str, list[str]],
    differs: tuple[str, str],
) -> None:
    workforce.esr.clear()
    workforce.hire(given_name=theirs[0], family_name=theirs[1], previous_family_names=theirs[2])
    staff_id = await connected.staff(external_ids=[], legal_given=ours[0], legal_family=ours[1])
    connection_id = await workforce.connect(connected, "ESR")
    found = await searched(connected, connection_id, staff_id=staff_id)
    if ours[1] != "O’Brien-ap-Rhys":  # no search finds an apostrophe that the system leaves out
        assert [one["person_id"] for one in found] == [SURGEON_ID]
    [one] = await searched(connected, connection_id, staff_id=staff_id, person_id=SURGEON_ID)
    assert (one["differences"]["given_name"], one["differences"]["family_name"]) == differs
    harmless = {"SAME", "SPELLING", "FEWER_NAMES"}
    assert one["needs_reason"] == (not set(differs) <= harmless)
    refused = await link(connected, staff_id, connection_id)
    if one["needs_reason"]:
        errors = problem(refused, 409, "differences_not_accepted")["errors"]
        assert {error["code"].upper() for error in errors} == set(differs) - harmless
        refused = await link(
            connected, staff_id, connection_id, differences_accepted="Known to us, certificate seen"
        )
    assert refused.status_code == 200, refused.text
    assert refused.json()["chosen_by"] == HR
    # What was read is shown as it is, and ours stays ours.
    staff = (await connected.call("GET", f"/staff/{staff_id}")).json()
    assert (staff["legal_given"], staff["legal_family"]) == ours


async def test_the_choice_is_asked_again_kept_and_audited(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.connect(connected, "ESR")
    asked = len(workforce.seen)
    made = await link(connected, staff_id, connection_id)
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    assert len(workforce.seen) == asked + 1
    assert made.json()["differences"] == ALL_SAME
    found = (await connected.call("GET", f"/staff?external_id=ESR_PERSON:{SURGEON_ID}")).json()["items"]
    assert [one["id"] for one in found] == [staff_id]
    [entry] = await audited(connected, "staff.linked")
    assert (entry["subject_ref"], entry["actor"]["ref"]) == (staff_id, HR)
    assert "Okonkwo" not in str(entry["details"])
    unknown = await link(connected, await connected.staff(external_ids=[]), connection_id, person_id="9")
    problem(unknown, 422, "invalid_request")


async def test_a_birthdate_that_differs_or_is_not_given_needs_a_reason(
    connected: IssuerBench, workforce: Workforce
) -> None:
    workforce.employees["LMS"]["E-78"] = employee(id="E-78", birthDate=None)
    workforce.employees["LMS"]["E-79"] = employee(id="E-79", birthDate="1981-09-03")
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.connect(connected, "LMS")
    for person_id, code in (("E-78", "not_given"), ("E-79", "different")):
        refused = await link(connected, staff_id, connection_id, person_id=person_id)
        [error] = problem(refused, 409, "differences_not_accepted")["errors"]
        assert (error["pointer"], error["code"]) == ("/birthdate", code)
    accepted = {"person_id": "E-78", "differences_accepted": "Passport seen on 1 September"}
    made = await link(connected, staff_id, connection_id, **accepted)
    assert made.json()["differences_accepted"] == accepted["differences_accepted"]


@pytest.mark.parametrize("system_type", ["ESR", "LMS"])
async def test_one_person_there_is_never_two_here(
    connected: IssuerBench, workforce: Workforce, system_type: str
) -> None:
    first = await connected.staff(external_ids=[])
    second = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, first, system_type)
    person_id = SURGEON_ID if system_type == "ESR" else "E-77"
    [candidate] = await searched(connected, connection_id, staff_id=second)
    assert candidate["linked_to"] == first
    refused = await link(connected, second, connection_id, person_id=person_id)
    detail = problem(refused, 409, "link_taken")["detail"]
    assert first in detail
    assert second in detail
    # Both are told: an entry each, and a mark on the link that stands.
    entries = await audited(connected, "staff.link_contested")
    assert {entry["subject_ref"] for entry in entries} == {first, second}
    standing = (await connected.call("GET", f"/staff/{first}/links/{connection_id}")).json()
    assert standing["contested_at"] is not None
    assert (await connected.call("GET", f"/staff/{second}/links")).json()["items"] == []


async def test_an_identifier_recorded_by_hand_for_somebody_else_stops_the_link(
    connected: IssuerBench, workforce: Workforce
) -> None:
    first = await connected.staff()  # has the ESR person id already
    second = await connected.staff(external_ids=[])
    connection_id = await workforce.connect(connected, "ESR")
    detail = problem(await link(connected, second, connection_id), 409, "link_taken")["detail"]
    assert first in detail
    assert (await link(connected, first, connection_id)).status_code == 200


async def test_linking_anew_and_unlinking_name_the_version(
    connected: IssuerBench, workforce: Workforce
) -> None:
    workforce.esr["7654321"] = esr_record(person_id="7654321")
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, staff_id, "ESR")
    path = f"/staff/{staff_id}/links/{connection_id}"
    problem(await connected.call("PUT", path, CHOSEN), 428, "precondition_required")
    other = {**CHOSEN, "person_id": "7654321"}
    stale = await connected.call("PUT", path, other, headers={"If-Match": '"9"'})
    problem(stale, 412, "precondition_failed")
    moved = await connected.call("PUT", path, other, headers={"If-Match": '"1"'})
    assert (moved.json()["person_id"], moved.headers["etag"]) == ("7654321", '"2"')
    staff = (await connected.call("GET", f"/staff/{staff_id}")).json()
    assert [one["value"] for one in staff["external_ids"]] == ["7654321"]
    gone = await connected.call("POST", f"{path}/unlink", {"actor": HR}, headers={"If-Match": '"2"'})
    assert gone.status_code == 204
    problem(await connected.call("GET", path), 404, "not_found")
    staff = (await connected.call("GET", f"/staff/{staff_id}")).json()
    assert staff["external_ids"] == []
    assert len(await audited(connected, "staff.unlinked")) == 1


async def test_a_system_that_answers_about_somebody_else_links_nobody(
    connected: IssuerBench, workforce: Workforce
) -> None:
    workforce.esr[SURGEON_ID]["person"]["person_id"] = "another"
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.connect(connected, "ESR")
    problem(await link(connected, staff_id, connection_id), 503, "workforce_system_failed")
    marked = (await connected.call("GET", f"/connections/{connection_id}")).json()
    assert marked["suspicious_reason"] == "OTHER_PERSON"
    believed = await connected.call(
        "POST", f"/connections/{connection_id}/believe", {"finding": "SYSTEM_CORRECTED", "actor": HR}
    )
    assert believed.json()["suspicious_at"] is None
    again = {"finding": "FALSE_ALARM", "actor": HR}
    problem(await connected.call("POST", f"/connections/{connection_id}/believe", again), 409, "conflict")
    workforce.modes["ESR"] = LYING
    workforce.esr[SURGEON_ID]["person"]["person_id"] = SURGEON_ID
    problem(await link(connected, staff_id, connection_id), 409, "differences_not_accepted")
