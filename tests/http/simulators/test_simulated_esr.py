"""The ESR-shaped port: search, a person's records, the feed, and the forms of its refusals."""

from __future__ import annotations

import pytest

PERSONS = "/esr/R0A/persons"


def problem(answer, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, "about:blank")
    return str(body["detail"])


class TestSearching:
    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ({"family_name": "Trần"}, ["20400203"]),
            ({"family_name": "tran"}, ["20400203"]),
            ({"family_name": "Núñez de la Fuente"}, ["20400102"]),  # an earlier surname
            ({"family_name": "nunez-halloway", "given_name": "maria jose"}, ["20400102"]),
            ({"family_name": "Llewelyn-Aine", "given_name": "Siân Angharad Mair"}, ["20400101"]),
            ({"family_name": "Adebayo", "given_name": "Seun"}, ["20400103"]),  # a preferred name
            ({"family_name": "Özdemir", "birthdate": "1975-12-30"}, ["20400202"]),
            ({"family_name": "Özdemir", "birthdate": "1975-12-31"}, []),
            ({"family_name": "Quillerby"}, ["20409001", "20409002"]),
            ({"assignment_number": "20400201"}, ["20400201"]),
            ({"assignment_number": "20400201", "family_name": "Trần"}, []),
        ],
    )
    async def test_by_name_and_number(self, bench, query, ids):
        found = await bench.read(PERSONS, **query)
        assert [one["person_id"] for one in found["items"]] == ids
        assert found["next"] is None

    @pytest.mark.parametrize(
        "query",
        [
            {},
            {"given_name": "Siân"},
            {"family_name": " "},
            {"family_name": "x" * 201},
            {"family_name": "Trần", "birthdate": "5.4.1986"},
            {"family_name": "Trần", "cursor": "-1"},
            {"family_name": "Trần", "cursor": "9999999"},
        ],
    )
    async def test_a_search_that_is_none(self, bench, query):
        problem(await bench.http.get(PERSONS, params=query), 422, "invalid_request")

    async def test_page_by_page(self, bench):
        one = bench.world.employee("R0A", "20400203")
        bench.world.employees["R0A"] = dict.fromkeys(map(str, range(70)), one)
        first = await bench.read(PERSONS, family_name="Trần")
        second = await bench.read(PERSONS, family_name="Trần", cursor=first["next"])
        assert (len(first["items"]), len(second["items"]), second["next"]) == (50, 20, None)


class TestReading:
    async def test_a_person_with_what_is_not_held_left_out(self, bench):
        found = await bench.read(f"{PERSONS}/20400103")
        assert found["preferred_name"] == "Seun"
        assert found["employment_status"] == "ACTIVE"
        assert not {"middle_names", "leaving_date"} & found.keys()

    async def test_post_registration_and_checks_of_the_surgeon(self, bench):
        own = "/esr/RBV/persons/20391234"
        [post] = (await bench.read(f"{own}/assignments"))["items"]
        assert (post["assignment_number"], post["position"]["grade"]) == ("20391234-2", "YC72")
        [registration] = (await bench.read(f"{own}/registrations"))["items"]
        assert (registration["number"], registration["licence_to_practise"]) == ("7099991", True)
        checks = {one["check_type"]: one for one in (await bench.read(f"{own}/checks"))["items"]}
        assert checks.keys() == {"IDENTITY", "RIGHT_TO_WORK", "DBS", "OCCUPATIONAL_HEALTH"}
        assert checks["DBS"]["fields"]["level"] == "ENHANCED_BARRED"
        assert checks["OCCUPATIONAL_HEALTH"]["fields"]["epp_cleared"] == "YES"

    async def test_a_nurse_has_no_licence_and_a_number_with_letters(self, bench):
        [found] = (await bench.read(f"{PERSONS}/20400102/registrations"))["items"]
        assert (found["number"], found["licence_to_practise"]) == ("99Z0002E", None)

    async def test_nothing_is_sent_twice(self, bench):
        first = await bench.http.get(f"{PERSONS}/20400203")
        again = await bench.http.get(f"{PERSONS}/20400203", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        await bench.switch("R0A/persons/20400203", {"leaver_on": "2036-01-01"})
        changed = await bench.http.get(
            f"{PERSONS}/20400203", headers={"if-none-match": first.headers["etag"]}
        )
        assert changed.status_code == 200

    @pytest.mark.parametrize(
        "path", [f"{PERSONS}/1", f"{PERSONS}/1/checks", "/esr/ZZZ/status", "/esr/r0a/status", "/esr/R0A", "/"]
    )
    async def test_what_is_not_there(self, bench, path):
        problem(await bench.http.get(path), 404, "not_found")

    async def test_a_method_that_is_not_offered(self, bench):
        problem(await bench.http.post(f"{PERSONS}/20400203", json={}), 405, "method_not_allowed")


async def test_the_status_is_open_to_everybody(bench):
    answer = await bench.http.get("/esr/R0A/status", headers={"x-api-key": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "up"})
    await bench.switch("R0A/systems/esr", {"mode": "down"})
    assert (await bench.http.get("/esr/R0A/status")).status_code == 503


class TestTheFeed:
    async def test_changes_come_in_order_and_carry_nobody_s_details(self, bench):
        await bench.switch("R0A/persons/20400201", {"registration": "LAPSED"})
        await bench.switch("R0A/persons/20400203", {"dbs_level": "ENHANCED", "leaver_on": "2036-01-01"})
        found = await bench.read("/esr/R0A/changes")
        assert [(one["kind"], one["person_id"]) for one in found["items"]] == [
            ("registration.changed", "20400201"),
            ("check.changed", "20400203"),
            ("leaver.notified", "20400203"),
        ]
        assert {name for one in found["items"] for name in one} == {"cursor", "kind", "person_id", "date"}
        assert (await bench.read("/esr/RBV/changes"))["items"] == []

    async def test_reading_goes_on_after_the_last_line(self, bench):
        for status in ("LAPSED", "REGISTERED") * 40:
            await bench.switch("R0A/persons/20400201", {"registration": status})
        first = await bench.read("/esr/R0A/changes")
        second = await bench.read("/esr/R0A/changes", cursor=first["next"])
        assert (len(first["items"]), len(second["items"]), second["next"]) == (50, 30, None)
        last = second["items"][-1]["cursor"]
        assert (await bench.read("/esr/R0A/changes", cursor=last))["items"] == []

    async def test_a_cursor_of_a_feed_that_is_no_more_reads_the_new_one_whole(self, bench):
        await bench.switch("R0A/persons/20400201", {"registration": "LAPSED"})
        [line] = (await bench.read("/esr/R0A/changes"))["items"]
        await bench.http.post("/control/reset", json={})
        await bench.switch("R0A/persons/20400202", {"registration": "LAPSED"})
        [again] = (await bench.read("/esr/R0A/changes", cursor=line["cursor"]))["items"]
        assert again["person_id"] == "20400202"

    @pytest.mark.parametrize("cursor", ["x" * 201, "{feed}.x", "{feed}.", "{feed}.-1"])
    async def test_a_cursor_that_is_none(self, bench, cursor):
        sent = cursor.format(feed=bench.world.feed)
        problem(await bench.http.get("/esr/R0A/changes", params={"cursor": sent}), 422, "invalid_request")
