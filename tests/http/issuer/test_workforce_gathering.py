"""Gathering: what is read is shown beside what is held, HR applies it, and nothing is applied twice."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from passport_issuer.store import tables
from passport_testkit.apps import problem
from passport_testkit.issuers import HR, IssuerBench, check_body
from passport_testkit.workforce import (
    BAD_DAYS,
    DBS_OUTCOME,
    ENDLESS_PAGES,
    LYING,
    REGISTRATION,
    SKILL,
    SURGEON_ID,
    Workforce,
    employee,
)

EVERY = ("ESR", "LMS", "RECRUITMENT", "OCCUPATIONAL_HEALTH")
TRAINING = {
    "subject_code": "RES",
    "level": "2_ADULT",
    "completed_on": "2026-02-01",
    "provider_ods": "RBV",
    "framework": "CSTF",
    "assessed": True,
    "learning_method": "E_LEARNING",
    "source": "DSP_API",
}


async def gathered(issuer: IssuerBench, staff_id: str) -> dict[str, Any]:
    return await issuer.made(f"/staff/{staff_id}/gather", {"actor": HR})


async def applied(issuer: IssuerBench, staff_id: str, gathering: dict[str, Any], **only: str) -> Any:
    chosen = [
        item["id"]
        for item in gathering["items"]
        if item["state"] in ("NEW", "CHANGED") and all(item[name] == value for name, value in only.items())
    ]
    path = f"/staff/{staff_id}/gatherings/{gathering['id']}/apply"
    return await issuer.call("POST", path, {"items": chosen, "actor": HR})


async def rows(issuer: IssuerBench) -> dict[str, int]:
    """How many records there are."""
    found = {}
    async with issuer.ctx.db.read() as conn:
        for table in (tables.assignments, tables.checks, tables.training, tables.audit.entries):
            found[table.name] = (await conn.execute(select(func.count()).select_from(table))).scalar_one()
    return found


def states(gathering: dict[str, Any]) -> dict[str, str]:
    return {f"{item['kind']} {item['key']}": item["state"] for item in gathering["items"]}


async def test_everything_is_read_shown_and_applied(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.staff(external_ids=[])
    for system_type in EVERY:
        await workforce.linked(connected, staff_id, system_type)
    gathering = await gathered(connected, staff_id)
    assert {source["outcome"] for source in gathering["sources"]} == {"READ"}
    assert states(gathering) == {
        "PERSON work_email": "CHANGED",
        "EMPLOYMENT_STATUS employment": "SAME",
        "ASSIGNMENT 20391234": "NEW",
        "CHECK REGISTRATION/GMC/7099999": "NEW",
        "CHECK IDENTITY": "NEW",
        "CHECK RTW": "NEW",
        "CHECK DBS": "NEW",
        "CHECK OH": "NEW",
        "TRAINING FS/1": "NEW",
        "TRAINING RES/2_ADULT": "NEW",
        "SCREENING Vaccination/HEPB001/2024-10": "NEW",
        "SCREENING ClinicalTest/DTP002/2024-09-01": "NEW",
        "SCREENING Observation/TB001/undated": "NEW",
    }
    # Nothing was recorded by reading.
    assert (await rows(connected))["checks"] == 0
    not_held = {one["type"]: one for one in gathering["not_held"]}
    assert list(not_held) == ["StaffIdentity"], "all but the appointment is in the systems"
    assert not_held["StaffIdentity"]["could_come_from"] == ["ESR", "CSV", "By hand"]

    after = await applied(connected, staff_id, gathering)
    assert after.status_code == 200, after.text
    assert all(item["applied_by"] == HR for item in after.json()["items"] if item["state"] != "SAME")
    passport = (await connected.call("GET", f"/staff/{staff_id}/passport")).json()
    assert [one["type"] for one in passport["not_held"]] == ["StaffIdentity"]
    entries = (await connected.call("GET", f"/staff/{staff_id}/training")).json()["items"]
    [resuscitation] = [one for one in entries if one["subject_code"] == "RES"]
    assert {name: resuscitation[name] for name in TRAINING} == TRAINING
    checks = {
        one["check_type"]: one
        for one in (await connected.call("GET", f"/staff/{staff_id}/checks")).json()["items"]
    }
    assert {one["source"] for one in checks.values()} == {"ESR"}, "the second DBS source changed nothing"
    assert checks["OH"]["evidence_ref"].endswith("/esr-oh-1")
    assert checks["DBS"]["fields"]["update_service"] is True
    assert checks["RTW"]["provenance"] == {
        "origin": "ESR",
        "provider": {"ods_code": "RBV", "role": "EMPLOYER"},
        "verification_method": "SYSTEM_FEED",
        "pedigree": "FIRST_HAND",
        "last_refresh": "2026-09-01",
    }
    staff = (await connected.call("GET", f"/staff/{staff_id}")).json()
    assert staff["work_email"] == "adaeze.okonkwo-price@trust.invalid"


async def test_what_was_gathered_can_be_issued_and_collected(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id = await connected.staff(external_ids=[])
    for system_type in ("ESR", "LMS"):
        await workforce.linked(connected, staff_id, system_type)
    await applied(connected, staff_id, await gathered(connected, staff_id))
    await connected.confirm_identity(staff_id)
    offer = await connected.offer(staff_id)
    kept = await connected.wallet().collect(offer["credential_offer"], offer["tx_code"])
    assert len(kept.credentials) == 7


async def test_repeating_anything_changes_nothing(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.staff(external_ids=[])
    for system_type in EVERY:
        await workforce.linked(connected, staff_id, system_type)
    first, second = await gathered(connected, staff_id), await gathered(connected, staff_id)
    await applied(connected, staff_id, first)
    before = await rows(connected)
    # The same items again, the same items of another gathering, and a key that was used.
    assert (await applied(connected, staff_id, first)).status_code == 200
    assert (await applied(connected, staff_id, second)).status_code == 200
    assert await rows(connected) == before
    third = await gathered(connected, staff_id)
    assert set(states(third).values()) == {"SAME"}
    key = {"Idempotency-Key": "gather-once"}
    path = f"/staff/{staff_id}/gather"
    made = await connected.call("POST", path, {"actor": HR}, headers=key)
    again = await connected.call("POST", path, {"actor": HR}, headers=key)
    assert made.json()["id"] == again.json()["id"]
    assert made.headers["location"] == again.headers["location"]


@pytest.mark.parametrize("mode", [*BAD_DAYS, LYING, ENDLESS_PAGES])
async def test_a_system_with_a_bad_day_fails_alone(
    connected: IssuerBench, workforce: Workforce, mode: str
) -> None:
    staff_id = await connected.staff(external_ids=[])
    await workforce.linked(connected, staff_id, "LMS")
    await workforce.linked(connected, staff_id, "ESR", timeout_s=0.5)
    workforce.modes["ESR"] = mode
    gathering = await gathered(connected, staff_id)
    outcomes = {source["system_type"]: source for source in gathering["sources"]}
    assert outcomes["LMS"]["outcome"] == "READ"
    assert outcomes["ESR"]["outcome"] == ("REFUSED" if mode == LYING else "FAILED")
    assert outcomes["ESR"]["detail"]
    assert set(states(gathering)) == {"TRAINING FS/1", "TRAINING RES/2_ADULT"}
    missing = {one["type"]: one["could_come_from"] for one in gathering["not_held"]}
    assert "CoreSkills" not in missing
    assert missing["Employment"] == ["ESR", "CSV", "By hand"]
    assert (await applied(connected, staff_id, gathering)).status_code == 200


LIES = [
    ("person", {"birthdate": "1990-01-01"}, "OTHER_PERSON"),
    (
        "person",
        {"given_name": "Somebody", "family_name": "Else", "previous_family_names": []},
        "OTHER_PERSON",
    ),
    ("person", {"organisation": "R0A"}, "OTHER_ORGANISATION"),
    ("person", {"person_id": "another"}, "OTHER_PERSON"),
    ("person", {"employment_status": "LEFT", "leaving_date": "2027-01-01"}, "IMPOSSIBLE_VALUE"),
    ("registrations", {"checked_on": "2026-09-02"}, "FUTURE_DATE"),
    ("registrations", {"checked_on": "1970-01-01"}, "IMPOSSIBLE_VALUE"),
    ("registrations", {"restrictions": ["SUPERVISED"]}, "IMPOSSIBLE_VALUE"),
    ("assignments", {"projected_end": "2000-01-01"}, "IMPOSSIBLE_VALUE"),
]


@pytest.mark.parametrize(("part", "changes", "reason"), LIES)
async def test_what_cannot_be_true_is_refused_and_marks_the_connection(
    connected: IssuerBench, workforce: Workforce, part: str, changes: dict[str, Any], reason: str
) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, staff_id, "ESR")
    record = workforce.esr[SURGEON_ID]
    (record["person"] if part == "person" else record[part][0]).update(changes)
    gathering = await gathered(connected, staff_id)
    [source] = gathering["sources"]
    reasons = {item["reason"] for item in gathering["items"] if item["state"] == "NOT_USABLE"}
    assert reason in reasons | {source["reason"]}
    marked = (await connected.call("GET", f"/connections/{connection_id}")).json()
    assert marked["suspicious_reason"] == reason
    assert marked["suspicious_detail"]
    [first, *_] = gathering["items"] or [None]
    if first is not None:
        [refused] = [item for item in gathering["items"] if item["reason"] == reason]
        assert refused["values"] is None, "nothing of it is kept"
        path = f"/staff/{staff_id}/gatherings/{gathering['id']}/apply"
        usable = next(item["id"] for item in gathering["items"] if item["state"] == "NEW")
        answer = await connected.call("POST", path, {"items": [usable, refused["id"]], "actor": HR})
        [error] = problem(answer, 409, "item_not_usable")["errors"]
        assert (error["pointer"], error["code"]) == ("/items/1", reason.lower())
        assert (await rows(connected))["checks"] == 0, "nothing was applied"


UNUSABLE = [
    ("RECRUITMENT", {**DBS_OUTCOME, "informationDisclosed": True}, "DECISION_NEEDED", False),
    ("RECRUITMENT", {**DBS_OUTCOME, "applicantDateOfBirth": "1990-01-01"}, "OTHER_PERSON", True),
    ("RECRUITMENT", {**DBS_OUTCOME, "adultsBarredListChecked": False, "childrensBarredListChecked": False},
     "IMPOSSIBLE_VALUE", True),
    ("RECRUITMENT", {**DBS_OUTCOME, "certificateNumber": "12"}, "MALFORMED", False),
    ("RECRUITMENT", SKILL, "NOT_FROM_THIS_SYSTEM", False),
    ("LMS", {**SKILL, "subjectName": "Local Fire Exits"}, "NOT_MAPPED", False),
    ("LMS", {**SKILL, "dateLastAwarded": "2026-09-02"}, "FUTURE_DATE", True),
    ("LMS", {"recordType": "RightToWork"}, "NOT_MAPPED", False),
    ("LMS", ["no", "object"], "NOT_MAPPED", False),
    ("LMS", None, "NOT_MAPPED", False),
]  # fmt: skip


@pytest.mark.parametrize(("system_type", "record", "reason", "lie"), UNUSABLE)
async def test_what_the_standard_sends_and_cannot_be_used(
    connected: IssuerBench, workforce: Workforce, system_type: str, record: Any, reason: str, lie: bool
) -> None:
    staff_id = await connected.staff(external_ids=[])
    connection_id = await workforce.linked(connected, staff_id, system_type)
    workforce.employees[system_type]["E-77"] = employee((record,))
    [item] = (await gathered(connected, staff_id))["items"]
    assert (item["state"], item["reason"]) == ("NOT_USABLE", reason)
    assert item["detail"]
    assert "disclos" not in str(item).lower()
    marked = (await connected.call("GET", f"/connections/{connection_id}")).json()
    assert (marked["suspicious_at"] is not None) == lie


async def test_screening_is_held_and_shown_and_never_issued(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id = await connected.staff(external_ids=[])
    await workforce.linked(connected, staff_id, "OCCUPATIONAL_HEALTH")
    gathering = await gathered(connected, staff_id)
    assert "OccupationalHealth" in {one["type"] for one in gathering["not_held"]}
    await applied(connected, staff_id, gathering)
    answer = await connected.call("GET", f"/staff/{staff_id}/screening")
    assert [one["code"] for one in answer.json()["items"]] == ["HEPB001", "DTP002", "TB001"]
    assert "IU/mL" not in answer.text
    assert "etected" not in answer.text, "results are not taken"
    passport = (await connected.call("GET", f"/staff/{staff_id}/passport")).json()
    assert "OccupationalHealth" in {one["type"] for one in passport["not_held"]}
    assert (await connected.call("GET", f"/staff/{staff_id}/checks")).json()["items"] == []


async def test_a_surname_that_changed_at_one_system(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.staff(external_ids=[])
    esr = await workforce.linked(connected, staff_id, "ESR")
    lms = await workforce.linked(connected, staff_id, "LMS")
    # ESR knows the old name: HR is offered the new one. The learning system does not say so: choose again.
    workforce.esr[SURGEON_ID]["person"].update(
        family_name="Adeyemi", previous_family_names=["Okonkwo-Price", "Okonkwo"]
    )
    workforce.employees["LMS"]["E-77"]["details"]["surname"] = "Adeyemi"
    gathering = await gathered(connected, staff_id)
    outcomes = {one["connection_id"]: (one["outcome"], one["reason"]) for one in gathering["sources"]}
    assert outcomes == {esr: ("READ", None), lms: ("REFUSED", "NAME_CHANGED")}
    assert states(gathering)["PERSON legal_family"] == "CHANGED"
    lms_view = (await connected.call("GET", f"/connections/{lms}")).json()
    assert lms_view["suspicious_at"] is None, "people marry"
    await applied(connected, staff_id, gathering, key="legal_family")
    staff = (await connected.call("GET", f"/staff/{staff_id}")).json()
    assert staff["legal_family"] == "Adeyemi"
    again = await gathered(connected, staff_id)
    assert {one["outcome"] for one in again["sources"]} == {"READ"}, "ours is the new name now"
    # A certificate under the earlier name is still hers.
    await workforce.linked(connected, staff_id, "RECRUITMENT")
    last = await gathered(connected, staff_id)
    assert states(last)["CHECK DBS"] in ("NEW", "SAME")


async def test_a_worse_registration_holds_the_passport_at_once(
    connected: IssuerBench, workforce: Workforce
) -> None:
    staff_id = await connected.surgeon(external_ids=[])
    offer = await connected.offer(staff_id)
    await connected.wallet().collect(offer["credential_offer"], offer["tx_code"])
    await workforce.linked(connected, staff_id, "ESR")
    workforce.esr[SURGEON_ID]["registrations"] = [{**REGISTRATION, "status": "LAPSED"}]
    gathering = await gathered(connected, staff_id)
    [item] = [one for one in gathering["items"] if one["key"].startswith("REGISTRATION")]
    assert (item["state"], item["applied_by"]) == ("CHANGED", "workforce")
    passport = (await connected.call("GET", f"/staff/{staff_id}/passport")).json()
    assert (passport["state"], passport["reason_code"]) == ("ON_HOLD", "REGISTRATION_CHANGED")
    # Back in order: recorded when HR applies it, and HR takes the passport off hold.
    workforce.esr[SURGEON_ID]["registrations"] = [{**REGISTRATION, "checked_on": "2026-08-31"}]
    again = await gathered(connected, staff_id)
    await applied(connected, staff_id, again, kind="CHECK")
    held = (await connected.call("GET", f"/staff/{staff_id}/passport")).json()
    assert held["state"] == "ON_HOLD"


async def test_a_trust_may_want_to_be_asked_first(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.surgeon(external_ids=[])
    await connected.offer(staff_id)
    await workforce.linked(connected, staff_id, "ESR", on_registration_change="ASK")
    workforce.esr[SURGEON_ID]["registrations"] = [{**REGISTRATION, "status": "SUSPENDED"}]
    gathering = await gathered(connected, staff_id)
    [item] = [one for one in gathering["items"] if one["key"].startswith("REGISTRATION")]
    assert (item["state"], item["applied_at"]) == ("CHANGED", None)
    before = (await connected.call("GET", f"/staff/{staff_id}/passport")).json()
    assert before["state"] != "ON_HOLD"
    await applied(connected, staff_id, gathering, key=item["key"])
    after = (await connected.call("GET", f"/staff/{staff_id}/passport")).json()
    assert after["state"] == "ON_HOLD"


async def test_what_is_held_by_hand_and_newer_stays(connected: IssuerBench, workforce: Workforce) -> None:
    staff_id = await connected.staff(external_ids=[])
    await workforce.linked(connected, staff_id, "ESR")
    fields = {"permission": "UNTIL", "permission_expires": "2027-01-01", "route": "SHARE_CODE"}
    await connected.made(f"/staff/{staff_id}/checks", check_body("RTW", fields=fields))
    gathering = await gathered(connected, staff_id)
    [item] = [one for one in gathering["items"] if one["key"] == "RTW"]
    assert (item["state"], item["reason"]) == ("NOT_USABLE", "OLDER_THAN_HELD")


async def test_nobody_linked_and_others_gatherings(connected: IssuerBench, workforce: Workforce) -> None:
    alone, linked = await connected.staff(external_ids=[]), await connected.staff(external_ids=[])
    answer = await connected.call("POST", f"/staff/{alone}/gather", {"actor": HR})
    problem(answer, 409, "nothing_linked")
    await workforce.linked(connected, linked, "ESR")
    gathering = await gathered(connected, linked)
    problem(await connected.call("GET", f"/staff/{alone}/gatherings/{gathering['id']}"), 404, "not_found")
    listed = (await connected.call("GET", f"/staff/{linked}/gatherings")).json()["items"]
    assert [one["id"] for one in listed] == [gathering["id"]]
    path = f"/staff/{linked}/gatherings/{gathering['id']}/apply"
    unknown = await connected.call("POST", path, {"items": ["nothing"], "actor": HR})
    problem(unknown, 409, "item_not_usable")
    nobody = await connected.call("POST", path, {"items": [gathering["items"][0]["id"]]})
    problem(nobody, 422, "invalid_request")
