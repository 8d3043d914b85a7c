"""The simulators' own switches: what each changes at every port, and what is refused."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from deploy.simulators.app import create_app

RADIOLOGIST = "R0A/persons/20400203"
ESR = f"/esr/{RADIOLOGIST}"
DSP = "/dsp/organisations/R0A/employees/E400203"


async def dbs_of(bench) -> tuple[str, str]:
    """The level as ESR and as the DSP standard give it."""
    checks = (await bench.read(f"{ESR}/checks"))["items"]
    records = (await bench.read(f"{DSP}/records"))["records"]
    [esr] = [one["fields"]["level"] for one in checks if one["check_type"] == "DBS"]
    [dsp] = [one["typeOfDbsCheck"] for one in records if one["recordType"] == "DBSCheckOutcome"]
    return esr, dsp


class TestPersons:
    async def test_a_new_certificate_shows_everywhere_and_is_dated_today(self, bench):
        assert await dbs_of(bench) == ("STANDARD", "Standard check")
        shown = await bench.switch(RADIOLOGIST, {"dbs_level": "ENHANCED"})
        assert shown["dbs_level"] == "ENHANCED"
        assert await dbs_of(bench) == ("ENHANCED", "Enhanced check")
        records = (await bench.read(f"{DSP}/records"))["records"]
        [dbs] = [one for one in records if one["recordType"] == "DBSCheckOutcome"]
        assert dbs["disclosureIssueDate"] == bench.today.isoformat()

    async def test_a_check_that_is_not_held_is_nowhere(self, bench):
        await bench.switch(RADIOLOGIST, {"dbs_level": "NONE"})
        checks = (await bench.read(f"{ESR}/checks"))["items"]
        assert "DBS" not in {one["check_type"] for one in checks}
        records = (await bench.read(f"{DSP}/records"))["records"]
        assert "DBSCheckOutcome" not in {one["recordType"] for one in records}
        await bench.switch(RADIOLOGIST, {"dbs_level": "ENHANCED_BARRED"})
        assert await dbs_of(bench) == ("ENHANCED_BARRED", "Enhanced with barred list(s) check")

    @pytest.mark.parametrize(
        ("status", "licence"),
        [
            ("LAPSED", False),
            ("SUSPENDED", False),
            ("REGISTERED_WITHOUT_LICENCE", False),
            ("REGISTERED", True),
        ],
    )
    async def test_a_registration_changes_at_home_and_on_the_register(self, bench, status, licence):
        await bench.switch(RADIOLOGIST, {"registration": status})
        [found] = (await bench.read(f"{ESR}/registrations"))["items"]
        looked_up = await bench.read(f"/register/GMC/{found['number']}")
        for one in (found, looked_up):
            assert (one["status"], one["licence_to_practise"]) == (status, licence)

    async def test_a_leaver_gives_notice_leaves_and_may_come_back(self, bench):
        leaving = (bench.today + timedelta(days=20)).isoformat()
        await bench.switch(RADIOLOGIST, {"leaver_on": leaving})
        found = await bench.read(ESR)
        assert (found["employment_status"], found["leaving_date"]) == ("NOTICE", leaving)
        [post] = (await bench.read(f"{ESR}/assignments"))["items"]
        assert (post["status"], post["projected_end"]) == ("ACTIVE", leaving)
        await bench.http.post("/control/clock", json={"advance_s": 20 * 86_400})
        assert (await bench.read(ESR))["employment_status"] == "LEFT"
        kinds = [one["kind"] for one in (await bench.read("/esr/R0A/changes"))["items"]]
        assert kinds == ["leaver.notified", "leaver.effective"]
        await bench.switch(RADIOLOGIST, {"leaver_on": None})
        found = await bench.read(ESR)
        assert found["employment_status"] == "ACTIVE"
        assert "leaving_date" not in found

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 422),
            ({"registration": "FINE"}, 422),
            ({"registration": None}, 422),
            ({"dbs_level": 3}, 422),
            ({"leaver_on": "tomorrow"}, 422),
            ({"dbs_level": "ENHANCED", "leaver_on": "tomorrow"}, 422),
            ({"name": "x"}, 422),
        ],
    )
    async def test_a_switch_that_is_none_changes_nothing(self, bench, body, status):
        before = await bench.read(f"/control/{RADIOLOGIST}")
        answer = await bench.http.put(f"/control/{RADIOLOGIST}", json=body)
        assert answer.status_code == status
        assert await bench.read(f"/control/{RADIOLOGIST}") == before

    async def test_nobody_lapses_who_is_on_no_register(self, bench):
        people = (await bench.read("/control/R0A/persons"))["items"]
        unregistered = next(one for one in people if one["registration"] is None)
        answer = await bench.http.put(
            f"/control/R0A/persons/{unregistered['person_id']}", json={"registration": "LAPSED"}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


class TestSystems:
    async def test_a_mode_holds_for_one_system_of_one_trust(self, bench):
        assert await bench.read("/control/R0A/systems/esr") == {"mode": "up", "delay_s": 0.0}
        await bench.switch("R0A/systems/esr", {"mode": "down"})
        answer = await bench.http.get(ESR)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
        for path in ("/esr/RBV/status", DSP):
            assert (await bench.http.get(path)).status_code == 200

    async def test_a_lying_esr_gives_another_s_name_and_dates_to_come(self, bench):
        true = await bench.read(ESR)
        await bench.switch("R0A/systems/esr", {"mode": "lying"})
        lie = await bench.read(ESR)
        assert lie.keys() >= {"person_id", "given_name", "family_name", "birthdate", "work_email"}
        assert lie["person_id"] == true["person_id"]
        assert (true["organisation"], lie["organisation"]) == ("R0A", "ZZZ99")
        for name in ("given_name", "birthdate"):
            assert lie[name] != true[name]
        for found in (await bench.read(f"{ESR}/checks"))["items"]:
            assert date.fromisoformat(found["performed_on"]) > bench.today
        [found] = (await bench.read("/esr/R0A/persons", family_name="Trần"))["items"]
        assert found["family_name"] != "Trần"

    async def test_a_lying_learning_system_answers_about_somebody_else(self, bench):
        await bench.switch("R0A/systems/dsp", {"mode": "lying"})
        assert (await bench.read(DSP))["surname"] != "Trần"
        found = await bench.read(f"{DSP}/records")
        assert found["id"] != "E400203"
        skills = [one for one in found["records"] if one["recordType"] == "CoreSkillsTraining"]
        assert {one["awardingOrganisation"] for one in skills} == {"ZZZ99"}
        assert all(date.fromisoformat(one["dateLastAwarded"]) > bench.today for one in skills)

    async def test_garbage_calls_itself_json(self, bench):
        await bench.switch("R0A/systems/dsp", {"mode": "garbage"})
        answer = await bench.http.get(DSP)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        with pytest.raises(ValueError, match=r"."):
            json.loads(answer.content)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"mode": "asleep"},
            {"mode": "slow", "delay_s": -1},
            {"mode": "slow", "delay_s": 601},
            {"mode": "slow", "delay_s": True},
            {"mode": "slow", "delay_s": "1"},
            {"mode": "up", "colour": "red"},
        ],
    )
    async def test_a_mode_that_is_none(self, bench, body):
        answer = await bench.http.put("/control/R0A/systems/esr", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert (await bench.read("/control/R0A/systems/esr"))["mode"] == "up"

    @pytest.mark.parametrize(
        "path", ["ZZZ/systems/esr", "R0A/systems/payroll", "ZZZ/persons", "R0A/persons/1"]
    )
    async def test_what_is_not_there(self, bench, path):
        assert (await bench.http.get(f"/control/{path}")).status_code == 404


class TestResetAndClock:
    async def test_reset_makes_everything_as_it_was(self, bench):
        await bench.switch(RADIOLOGIST, {"dbs_level": "ENHANCED", "leaver_on": "2036-01-01"})
        await bench.switch("R0A/systems/esr", {"mode": "down"})
        assert (await bench.http.post("/control/reset", json={})).json() == {"reset": True}
        assert await dbs_of(bench) == ("STANDARD", "Standard check")
        assert (await bench.read("/esr/R0A/changes"))["items"] == []

    async def test_the_clock_moves_forward_for_whoever_reads_the_file(self, bench):
        for seconds, offset in ((3600, 3600), (0, 3600), (60, 3660)):
            answer = await bench.http.post("/control/clock", json={"advance_s": seconds})
            assert answer.json()["offset_s"] == offset
            assert json.loads(bench.settings.clock_file.read_text()) == {"offset_s": offset}
        assert (await bench.read("/control/clock"))["offset_s"] == 3660

    @pytest.mark.parametrize(
        ("seconds", "status"), [(-1, 409), (10**9, 409), ("60", 422), (1.5, 422), (True, 422), (None, 422)]
    )
    async def test_the_clock_does_not_go_back_or_wild(self, bench, seconds, status):
        answer = await bench.http.post("/control/clock", json={"advance_s": seconds})
        assert answer.status_code == status
        assert bench.world.clock.offset_s == 0

    @pytest.mark.parametrize("path", ["/control/reset", "/control/clock", "/wallet/wallets"])
    async def test_a_page_of_another_origin_cannot_turn_a_switch(self, bench, path):
        # what a form or a simple request can send without being asked first
        answer = await bench.http.post(path, content=b"{}", headers={"content-type": "text/plain"})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        assert (await bench.http.options(path)).status_code == 405

    async def test_a_restart_does_not_age_anybody(self, bench):
        first = await bench.read(f"{DSP}/records")
        bench.world.clock.advance(5 * 86_400)
        again = create_app(bench.settings).state.world
        assert again.employee("R0A", "20400203") == bench.world.employee("R0A", "20400203")
        again.reset()
        assert again.employee("R0A", "20400203") != bench.world.employee("R0A", "20400203")
        assert await bench.read(f"{DSP}/records") == first


class TestTheRegister:
    async def test_a_number_nobody_has(self, bench):
        found = await bench.read("/register/GMC/0000000")
        assert (found["status"], found["licence_to_practise"]) == ("NOT_FOUND", None)

    async def test_the_register_may_know_more_than_the_employer(self, bench):
        sandbox = {one["name"]: one for one in (await bench.read("/control/SBX01/persons"))["items"]}
        lapsed = sandbox["Registration Lapsed"]
        assert lapsed["registration"] == "REGISTERED"
        found = await bench.read(f"/register/GMC/{lapsed['registration_number']}")
        assert (found["status"], found["licence_to_practise"]) == ("LAPSED", False)
