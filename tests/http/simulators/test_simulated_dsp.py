"""The DSP API standard as the simulated systems serve it: found, read, added, refused."""

from __future__ import annotations

import json
from datetime import date

import pytest

from deploy.simulators import people
from passport_testkit import nhs_dsp

EMPLOYEES = "/dsp/organisations/R0A/employees"
RADIOLOGIST = f"{EMPLOYEES}/E400203"


def outcome(answer, status: int, code: str) -> str:
    """The text of an OperationOutcome that is all it must be."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    [issue] = answer.json()["issue"]
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert (issue["severity"], issue["code"]) == ("error", code)
    return str(issue["details"]["text"])


def core_skill(**changes):
    return {
        "recordType": "CoreSkillsTraining",
        "competencyFramework": "CSTF",
        "subjectName": "Fire Safety",
        "competencyName": "Fire Safety",
        "subjectLevel": "1",
        "renewalPeriodNumber": "9",
        "renewalPeriodUnits": "Years",
        "attainmentStatus": "ACHIEVED",
        "awardingOrganisation": "RM3",
        "dateLastAwarded": "2026-01-31",
        "dateTo": "2035-01-31",
        **changes,
    }


class TestSearching:
    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ({"surname": "TRẦN"}, ["E400203"]),
            ({"firstName": "ngọc anh", "surname": "trần", "birthDate": "1986-04-05"}, ["E400203"]),
            ({"surname": "Tran"}, []),  # one spelling and no other: that is what the standard promises
            ({"surname": "Núñez-Halloway"}, []),  # known here under her earlier surname
            ({"surname": "Núñez de la Fuente", "birthDate": "1990-02-28"}, ["E400102"]),
            ({"surname": "Quillerby"}, ["E409001", "E409002"]),
            ({"surname": "Trần", "birthDate": "1986-04-06"}, []),
        ],
    )
    async def test_by_name_and_birthdate(self, bench, query, ids):
        assert [one["id"] for one in await bench.read(EMPLOYEES, **query)] == ids

    async def test_the_esr_identifier_is_the_person_and_not_the_post(self, bench):
        [found] = await bench.read("/dsp/organisations/RBV/employees", surname="Okonkwo-Price")
        assert found["esrIdentifier"] == "20391234"
        assert found["furtherInformation"] == "Consultant urologist (Urology)"

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ({}, "At least one of"),
            ({"surname": ""}, "At least one of"),
            ({"birthDate": "05/04/1986"}, "must be YYYY-MM-DD"),
            ({"birthDate": "19860405"}, "must be YYYY-MM-DD"),
            ({"birthDate": "2026-02-30"}, "must be YYYY-MM-DD"),
            ({"surname": "x" * 201}, "at most 200"),
        ],
    )
    async def test_a_search_that_is_none(self, bench, query, said):
        assert said in outcome(await bench.http.get(EMPLOYEES, params=query), 400, "invalid")

    async def test_no_more_than_fifty(self, bench):
        bench.world.employees["R0A"] = {
            f"{n}": people.pilot("surgeon").employee(bench.today) for n in range(60)
        }
        assert len(await bench.read(EMPLOYEES, surname="Okonkwo-Price")) == 50


class TestReading:
    async def test_personal_details_of_a_known_id(self, bench):
        found = await bench.read(RADIOLOGIST)
        assert (found["firstName"], found["surname"]) == ("Ngọc Anh", "Trần")

    @pytest.mark.parametrize(
        ("prefix", "types"),
        [
            ("/dsp-learning", {"CoreSkillsTraining"}),
            ("/dsp-recruitment", {"DBSCheckOutcome"}),
            ("/dsp-health", {"Vaccination", "ClinicalTest", "Observation"}),
            (
                "/dsp",
                {"CoreSkillsTraining", "DBSCheckOutcome", "Vaccination", "ClinicalTest", "Observation"},
            ),
        ],
    )
    async def test_a_system_gives_the_records_of_its_kind(self, bench, prefix, types):
        found = await bench.read(f"{prefix}/organisations/R0A/employees/E400203/records")
        assert found["id"] == "E400203"
        assert {record["recordType"] for record in found["records"]} == types

    async def test_the_fire_safety_of_the_surgeon_is_ten_days_out_of_date(self, bench):
        found = await bench.read("/dsp/organisations/RBV/employees/E391234/records")
        [fire] = [one for one in found["records"] if one.get("subjectName") == "Fire Safety"]
        assert (bench.today - _day(fire["dateLastAwarded"])).days == 740
        assert _day(fire["dateTo"]) < bench.today

    async def test_the_radiologist_who_is_not_ready_has_a_standard_check(self, bench):
        found = await bench.read(f"{RADIOLOGIST}/records")
        [dbs] = [one for one in found["records"] if one["recordType"] == "DBSCheckOutcome"]
        assert dbs["typeOfDbsCheck"] == "Standard check"
        assert dbs["informationDisclosed"] is False

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            (f"{EMPLOYEES}/E999999", "Employee not found"),
            (f"{EMPLOYEES}/E999999/records", "Employee not found"),
            (f"{EMPLOYEES}/20400203", "Employee not found"),  # the ESR id is another system's
            ("/dsp/organisations/ZZZ/employees/E400203", "Organisation not found"),
            ("/dsp/organisations/r0a/employees/E400203", "Organisation not found"),
            ("/dsp/organisations/RBV/employees/E400203", "Employee not found"),
            ("/dsp/elsewhere", "nothing under this path"),
        ],
    )
    async def test_what_is_not_there(self, bench, path, said):
        assert said in outcome(await bench.http.get(path), 404, "not-found")


class TestAdding:
    async def test_a_core_skill_gets_the_local_renewal_period_whatever_was_sent(self, bench):
        answer = await bench.http.post(f"{RADIOLOGIST}/records", json=core_skill())
        assert answer.status_code == 201
        assert answer.json()["dateTo"] == "2028-01-28"
        assert answer.json()["renewalPeriodNumber"] == "2"
        found = await bench.read(f"{RADIOLOGIST}/records")
        assert answer.json() in found["records"]

    async def test_a_skill_nobody_has_heard_of_does_not_expire_here(self, bench):
        unknown = core_skill(competencyName="Invented Competency", subjectName="Invented")
        answer = await bench.http.post(f"{RADIOLOGIST}/records", json=unknown)
        assert "dateTo" not in answer.json()

    async def test_the_same_record_again_is_a_duplicate(self, bench):
        for _ in range(2):
            answer = await bench.http.post(f"{RADIOLOGIST}/records", json=core_skill())
        assert "exists already" in outcome(answer, 409, "duplicate")
        later = core_skill(dateLastAwarded="2026-02-01")
        assert (await bench.http.post(f"{RADIOLOGIST}/records", json=later)).status_code == 201

    async def test_a_record_the_system_had_before_is_a_duplicate_too(self, bench):
        found = await bench.read(f"{RADIOLOGIST}/records")
        for record in found["records"]:
            answer = await bench.http.post(f"{RADIOLOGIST}/records", json=record)
            outcome(answer, 409, "duplicate")

    async def test_nothing_is_added_for_somebody_who_has_left(self, bench):
        await bench.switch("R0A/persons/20400203", {"leaver_on": bench.today.isoformat()})
        outcome(await bench.http.post(f"{RADIOLOGIST}/records", json=core_skill()), 409, "conflict")

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"recordType": "Payslip"}, "recordType"),
            ({"recordType": None}, "recordType"),
            ({"dateLastAwarded": "31/01/2026"}, "dateLastAwarded - must be YYYY-MM-DD"),
            ({"dateLastAwarded": "2026-02-30"}, "dateLastAwarded - must be YYYY-MM-DD"),
            ({"attainmentStatus": "FAILED"}, "attainmentStatus - must be one of ACHIEVED"),
            ({"subjectLevel": 1}, "subjectLevel - must be text"),
            ({"subjectName": "x" * 501}, "subjectName - must be text of at most"),
        ],
    )
    async def test_what_is_not_a_record(self, bench, changes, said):
        answer = await bench.http.post(f"{RADIOLOGIST}/records", json=core_skill(**changes))
        assert said in outcome(answer, 400, "invalid")

    async def test_a_missing_field_is_named(self, bench):
        body = core_skill()
        del body["subjectLevel"]
        answer = await bench.http.post(f"{RADIOLOGIST}/records", json=body)
        assert outcome(answer, 400, "invalid") == "Missing mandatory field subjectLevel."

    @pytest.mark.parametrize(
        ("content", "content_type", "status", "code"),
        [
            (b"{", "application/json", 400, "invalid"),
            (b"[]", "application/json", 400, "invalid"),
            (b'{"recordType":"Vaccination","recordType":"Observation"}', "application/json", 400, "invalid"),
            (b"{}", "text/plain", 415, "invalid"),
            (b"{}", None, 415, "invalid"),
            (b'{"a":"' + b"x" * 12_000_000 + b'"}', "application/json", 413, "too-long"),
        ],
    )
    async def test_what_is_not_json(self, bench, content, content_type, status, code):
        headers = {"content-type": content_type} if content_type else {}
        answer = await bench.http.post(f"{RADIOLOGIST}/records", content=content, headers=headers)
        outcome(answer, status, code)

    async def test_a_system_takes_only_what_it_is_for(self, bench):
        path = "/dsp-health/organisations/R0A/employees/E400203/records"
        assert "takes no such record" in outcome(
            await bench.http.post(path, json=core_skill()), 400, "invalid"
        )

    @pytest.mark.parametrize(
        "name",
        [
            "CoreSkillsTraining",
            "RightToWork",
            "DBSCheckSupportingInformation",
            "DBSCheckOutcome",
            "ProfessionalRegistration",
            "Vaccination",
            "ClinicalTest",
            "Observation",
        ],
    )
    async def test_the_published_examples_are_taken_though_they_break_their_own_schema(self, bench, name):
        file = nhs_dsp.found(nhs_dsp.EXAMPLES / f"AddEmployeeRecordRequest{name}.json")
        sent = json.loads(file.read_text())
        answer = await bench.http.post(f"{RADIOLOGIST}/records", json=sent)
        if name in ("ClinicalTest", "Observation", "Vaccination") and answer.status_code == 409:
            outcome(answer, 409, "duplicate")
            return
        assert answer.status_code == 201, answer.text
        assert not [value for value in answer.json().values() if value in ("true", "false")]

    async def test_images_of_documents_are_given_back_and_never_kept(self, bench):
        sent = {
            "recordType": "RightToWork",
            "legalFirstName": "Ngọc Anh",
            "legalSurname": "Trần",
            "birthDate": "1986-04-05",
            "biometricPageImage": "aW52ZW50ZWQ=",
            "photograph": "aW52ZW50ZWQ=",
            "identityDocumentExpiryDate": "2031-01-01",
            "identityVerified": True,
            "evidenceCheckedBy": "Yoti Ltd",
            "dateOfIdCheck": "2026-01-01",
            "GPG45profile": "H1A",
        }
        answer = await bench.http.post(f"{RADIOLOGIST}/records", json=sent)
        assert answer.json() == sent
        [kept] = bench.world.employee("R0A", "20400203").added
        assert "photograph" not in kept
        assert "biometricPageImage" not in kept

    async def test_a_registration_number_is_a_number_and_no_text(self, bench):
        sent = {
            "recordType": "ProfessionalRegistration",
            "professionalBody": "Health and Care Professions Council",
            "registrationNumber": "DT999901",
        }
        answer = await bench.http.post(f"{RADIOLOGIST}/records", json=sent)
        assert "registrationNumber - must be a number" in outcome(answer, 400, "invalid")


@pytest.mark.parametrize(("mode", "status"), [("up", "pass"), ("down", "fail"), ("slow", "warn")])
async def test_the_status_says_how_the_system_is_and_asks_nobody_who_they_are(bench, mode, status):
    await bench.switch("R0A/systems/dsp", {"mode": mode})
    answer = await bench.http.get("/dsp/organisations/R0A/_status", headers={"x-api-key": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/health+json")
    assert answer.json()["status"] == status


async def test_the_status_of_nobody_s_system_is_a_failure_and_still_an_answer(bench):
    answer = await bench.http.get("/dsp/organisations/ZZZ/_status")
    assert (answer.status_code, answer.json()["status"]) == (200, "fail")


async def test_a_method_that_is_not_offered(bench):
    outcome(await bench.http.delete(RADIOLOGIST), 405, "not-supported")


def _day(text):

    return date.fromisoformat(text)
