"""Host policies over HTTP: two people, from a day, pinned by requests, never below the network's."""

from __future__ import annotations

import asyncio
import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from passport_testkit.apps import problem
from passport_testkit.cases import all_skills
from passport_testkit.clients import ApiClientKit
from passport_testkit.databases import FreshDatabases
from passport_testkit.datasets import skill
from passport_testkit.verifiers import HR, VerifierBench, running_verifier
from passport_verifier.operations import policies as operations
from passport_verifier.rules import policies as rules_of_the_network
from passport_verifier.rules.policies import compiled, default_versions, documents

SURGEON = "SERVICE_NEED_URGENT.UROLOGY_SURGEON"
PATH = f"/policies/{SURGEON}"
TODAY = "2026-09-01"


def row_of(rules: dict[str, Any], subject: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in rules["rows"] if row["subject"] == subject)
    return found


async def rules(verifier: VerifierBench, **months: int) -> dict[str, Any]:
    """The rules as they are today, with other months for some subjects."""
    found: dict[str, Any] = copy.deepcopy((await verifier.read(PATH))["rules"])
    for subject, count in months.items():
        row_of(found, subject)["months"] = count
    return found


async def proposed(
    verifier: VerifierBench, person: ApiClientKit, effective: str = TODAY, **months: int
) -> dict[str, Any]:
    body = {**await rules(verifier, **months), "effective": effective, "note": "Our fire officer asks it"}
    answer = await verifier.call("POST", f"{PATH}/versions", body, client=person)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"].endswith(f"{PATH}/versions/{answer.json()['number']}")
    found: dict[str, Any] = answer.json()
    return found


async def approved(verifier: VerifierBench, effective: str = TODAY, **months: int) -> dict[str, Any]:
    ann, bea = verifier.person("ann"), verifier.person("bea")
    version = await proposed(verifier, ann, effective, **months)
    answer = await verifier.call("POST", f"{PATH}/versions/{version['number']}/approve", {}, client=bea)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_w7_a_host_with_twelve_months_sets_a_condition_and_one_with_24_does_not(
    verifier: VerifierBench,
):
    eighteen_months_ago = verifier.surgeon(CoreSkills={"skills": all_skills(FS=skill("1", "2025-03-01"))})
    before = await verifier.decided(eighteen_months_ago)
    assert before["result"]["outcome"] == "READY"
    version = await approved(verifier, FS=12)
    assert (version["state"], version["four_eyes"]) == ("APPROVED", "PERSONS")
    after = await verifier.decided(eighteen_months_ago)
    assert after["result"]["outcome"] == "READY_WITH_CONDITIONS"
    assert [one["subject"] for one in after["result"]["conditions"]] == ["FS"]
    assert (before["policy_version"], after["policy_version"]) == (f"{SURGEON}@1", f"{SURGEON}@R0A-1")
    # What was asked and judged under the default is judged again by the default.
    again = await verifier.recheck(before["id"])
    assert (again["policy_version"], again["result"]["outcome"]) == (f"{SURGEON}@1", "READY")
    today = await verifier.read(PATH)
    assert (today["own"], today["version"], row_of(today["rules"], "FS")["months"]) == (True, "R0A-1", 12)


async def test_a_request_is_answered_by_the_version_it_was_made_under(verifier: VerifierBench):
    movement = await verifier.movement()
    await verifier.look_up(movement["id"])
    request = await verifier.ask(movement["id"])
    await approved(verifier, FS=12)
    surgeon = verifier.surgeon(CoreSkills={"skills": all_skills(FS=skill("1", "2025-03-01"))})
    assert (await verifier.present(request, surgeon)).status_code == 200
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    decision = await verifier.confirm(found["decision_id"])
    assert (decision["policy_version"], decision["result"]["outcome"]) == (f"{SURGEON}@1", "READY")


async def test_a_version_counts_from_its_day_and_another_takes_its_place(verifier: VerifierBench):
    await approved(verifier, "2026-09-03", FS=12)
    assert (await verifier.read(PATH))["version"] == "1"
    verifier.clock.advance(timedelta(days=2))
    await verifier.refresh()
    assert (await verifier.read(PATH))["version"] == "R0A-1"
    await approved(verifier, "2026-09-03", FS=18)
    assert (await verifier.read(PATH))["version"] == "R0A-2"
    kept = (await verifier.read(f"{PATH}/versions"))["items"]
    assert [(one["number"], one["state"]) for one in kept] == [(2, "APPROVED"), (1, "APPROVED")]
    assert [row_of(one["rules"], "FS")["months"] for one in kept] == [18, 12]
    first = await verifier.read(f"{PATH}/versions?limit=1")
    second = await verifier.read(f"{PATH}/versions?limit=1&cursor={first['next']}")
    assert [one["number"] for page in (first, second) for one in page["items"]] == [2, 1]


async def test_one_person_alone_changes_nothing(verifier: VerifierBench):
    ann = verifier.person("ann")
    version = await proposed(verifier, ann, FS=12)
    path = f"{PATH}/versions/{version['number']}"
    assert version["state"] == "PROPOSED"
    problem(await verifier.call("POST", f"{path}/approve", {}, client=ann), 409, "second_person_needed")
    # Two actors that a machine names are not two people, unless the deployment says so.
    asserted = await verifier.call("POST", f"{path}/approve", {"actor": "hr-2"})
    problem(asserted, 409, "second_person_needed")
    assert (await verifier.read(PATH))["version"] == "1"
    withdrawn = await verifier.call("POST", f"{path}/withdraw", {}, client=ann)
    assert withdrawn.json()["state"] == "WITHDRAWN"
    assert (await verifier.call("POST", f"{path}/withdraw", {}, client=ann)).status_code == 200
    bea = verifier.person("bea")
    problem(await verifier.call("POST", f"{path}/approve", {}, client=bea), 409, "conflict")


async def test_asserted_people_count_where_the_deployment_says_so(databases: FreshDatabases, tmp_path: Path):
    url = await databases.url("passport_verifier")
    async with running_verifier(tmp_path, url, asserted_four_eyes=True) as verifier:
        body = {**await rules(verifier, FS=12), "effective": TODAY, "actor": HR}
        version = await verifier.made(f"{PATH}/versions", body)
        path = f"{PATH}/versions/{version['number']}/approve"
        problem(await verifier.call("POST", path, {"actor": HR}), 409, "second_person_needed")
        done = await verifier.made(path, {"actor": "hr-4711"}, 200)
        assert (done["four_eyes"], done["approved_by"]["asserted"]) == ("ASSERTED", True)


async def test_what_is_approved_is_not_taken_back_but_replaced(verifier: VerifierBench):
    version = await approved(verifier, FS=12)
    path = f"{PATH}/versions/{version['number']}/withdraw"
    problem(await verifier.call("POST", path, {"actor": HR}), 409, "conflict")


async def test_of_many_approvals_at_once_one_counts(verifier: VerifierBench):
    version = await proposed(verifier, verifier.person("ann"), FS=12)
    path = f"{PATH}/versions/{version['number']}/approve"
    people = [verifier.person(name) for name in ("bea", "cat", "dan", "eve")]
    answers = await asyncio.gather(*(verifier.call("POST", path, {}, client=one) for one in people))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_of_many_proposals_at_once_each_has_its_own_number(verifier: VerifierBench):
    people = [verifier.person(name) for name in ("ann", "bea", "cat", "dan")]
    made = await asyncio.gather(*(proposed(verifier, one, FS=12) for one in people))
    assert sorted(version["number"] for version in made) == [1, 2, 3, 4]


async def test_below_the_network_is_refused_with_every_pointer(verifier: VerifierBench):
    lower = await rules(verifier, IPC=24)
    lower["profile"]["epp"] = False
    lower["profile"]["dbs"]["level"] = "STANDARD"
    lower["rows"] = [row for row in lower["rows"] if row["subject"] != "FS"]
    body = {**lower, "effective": TODAY, "actor": HR}
    refused = problem(await verifier.call("POST", f"{PATH}/versions", body), 422, "invalid_request")
    found = {(error["pointer"], error["code"]) for error in refused["errors"]}
    assert {
        ("/profile/epp", "below_network"),
        ("/profile/dbs/level", "below_network"),
        ("/profile/dbs", "barred_lists_needed"),
        ("/rows/6/months", "below_network"),
        ("/rows", "row_missing"),
    } <= found


MALFORMED: list[tuple[Any, str]] = [
    ({"effective": "soon"}, "/effective"),
    ({"rows": []}, "/rows"),
    ({"rows": [{"rule": "R-12", "need": "MAYBE"}]}, "/rows/0/need"),
    ({"rows": [{"rule": "R-12", "need": "SAFETY", "subject": "fs"}]}, "/rows/0/subject"),
    ({"rows": [{"rule": "R-12", "need": "SAFETY", "months": 0}]}, "/rows/0/months"),
    ({"profile": {}}, "/profile"),
    ({"surprise": 1}, "/surprise"),
]


@pytest.mark.parametrize(("change", "pointer"), MALFORMED)
async def test_a_malformed_version_names_the_place(verifier: VerifierBench, change: Any, pointer: str):
    body = {**await rules(verifier), "effective": TODAY, "actor": HR, **change}
    refused = problem(await verifier.call("POST", f"{PATH}/versions", body), 422, "invalid_request")
    assert any(error["pointer"].startswith(pointer) for error in refused["errors"]), refused["errors"]


async def test_a_version_begins_today_at_the_earliest_and_of_a_policy_there_is(verifier: VerifierBench):
    body = {**await rules(verifier), "effective": "2026-08-31", "actor": HR}
    refused = problem(await verifier.call("POST", f"{PATH}/versions", body), 422, "invalid_request")
    assert refused["field"] == "/effective"
    body["effective"] = TODAY
    problem(await verifier.call("POST", "/policies/NO.NE/versions", body), 404, "not_found")
    problem(await verifier.call("GET", "/policies/NO.NE/versions"), 404, "not_found")
    problem(await verifier.call("GET", f"{PATH}/versions/7"), 404, "not_found")


async def test_an_idempotency_key_makes_one_version(verifier: VerifierBench):
    body = {**await rules(verifier, FS=12), "effective": TODAY, "actor": HR}
    headers = {"Idempotency-Key": "v1"}
    made = [await verifier.call("POST", f"{PATH}/versions", body, headers=headers) for _ in range(2)]
    assert made[0].json() == made[1].json()
    assert len((await verifier.read(f"{PATH}/versions"))["items"]) == 1


async def test_a_version_asks_for_more_only_as_far_as_the_register_lets_the_host(verifier: VerifierBench):
    ann, bea = verifier.person("ann"), verifier.person("bea")
    more = await rules(verifier)
    more["rows"].append({"rule": "R-12", "need": "SAFETY", "subject": "LDA", "levels": ["T1"], "months": 36})
    body = {**more, "effective": TODAY}
    version = (await verifier.call("POST", f"{PATH}/versions", body, client=ann)).json()
    await verifier.call("POST", f"{PATH}/versions/{version['number']}/approve", {}, client=bea)
    movement = await verifier.movement()
    refused = await verifier.call("POST", "/presentation-requests", {"movement_id": movement["id"]})
    assert "skills.LDA" in problem(refused, 409, "asking_too_much")["detail"]


async def test_when_the_network_raises_its_default_a_laxer_version_falls_back_to_it(
    verifier: VerifierBench, monkeypatch: pytest.MonkeyPatch
):
    await approved(verifier, IPC=12)
    stricter = copy.deepcopy(dict(documents()[f"{SURGEON}@1"]))
    stricter.update(version="2", effective=TODAY)
    for row in stricter["rows"]:
        if row.get("subject") == "IPC":
            row["months"] = 6
    second = compiled(stricter)
    versions = {**default_versions(), second.version_id: second}
    whole = {**documents(), second.version_id: stricter}
    monkeypatch.setattr(rules_of_the_network, "default_versions", lambda: versions)
    monkeypatch.setattr(operations, "documents", lambda: whole)
    rules_of_the_network.defaults_on.cache_clear()
    try:
        assert (await verifier.read(PATH))["version"] == "2"
    finally:
        monkeypatch.undo()
        rules_of_the_network.defaults_on.cache_clear()
    assert (await verifier.read(PATH))["version"] == "R0A-1"


async def test_another_trusts_versions_are_its_own(databases: FreshDatabases, tmp_path: Path):
    url = await databases.url("passport_verifier")
    async with running_verifier(tmp_path, url, tenants=("R0A", "RM3")) as verifier:
        await approved(verifier, FS=12)
        theirs = await operations.in_force(verifier.ctx, "RM3", SURGEON)
        ours = await operations.in_force(verifier.ctx, "R0A", SURGEON)
        assert theirs is not None
        assert ours is not None
        assert (theirs.version, ours.version) == ("1", "R0A-1")
