"""From a movement to a decision over HTTP: the worked cases, and what is shown to whom when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from passport_testkit.cases import all_skills
from passport_testkit.databases import both_databases
from passport_testkit.datasets import skill
from passport_testkit.presenter import Presenter
from passport_testkit.verifiers import HR, VerifierBench


def finding(decision: dict[str, Any], rule: str, subject: str | None = None) -> dict[str, Any]:
    found = [f for f in decision["result"]["findings"] if f["rule"] == rule and f["subject"] == subject]
    assert len(found) == 1, found
    return dict(found[0])


@both_databases
async def test_w1_the_main_journey_ends_ready_with_conditions(verifier: VerifierBench):
    lapsed = skill("1", "2024-08-22")
    surgeon = verifier.surgeon(CoreSkills={"skills": all_skills(FS=lapsed)})
    decision = await verifier.decided(surgeon)
    result = decision["result"]
    assert result["outcome"] == "READY_WITH_CONDITIONS", result["findings"]
    assert result["verified"] is True
    [condition] = result["conditions"]
    assert condition["subject"] == "FS"
    assert condition["text"]["en-GB"] == "Complete Fire safety and share it again."
    assert condition["owner"] == "STAFF_MEMBER"
    due = (verifier.clock.now() + timedelta(hours=72)).isoformat().replace("+00:00", "Z")
    assert condition["due"] == due
    lapsed_finding = finding(decision, "R-12", "FS")
    assert lapsed_finding["text"]["en-GB"].startswith("Fire safety: ran out on 22 August 2026")
    assert {one["status"] for one in result["reliances"]} == {"ACTIVE"}
    assert all(one["verdict"]["verified"] for one in result["reliances"])


@pytest.mark.parametrize(
    ("case", "status", "outcome"),
    [
        ("w2a", "INTERIM_CONDITIONS", "REFER"),
        ("w2b", "INTERIM_SUSPENSION", "NOT_READY"),
        ("w2c", "REGISTERED_WITHOUT_LICENCE", "NOT_READY"),
    ],
)
async def test_w2_the_register_decides(verifier: VerifierBench, case: str, status: str, outcome: str):
    movement = await verifier.movement()
    await verifier.look_up(movement["id"], status)
    decision = await verifier.decided(verifier.surgeon(), movement["id"])
    assert decision["result"]["outcome"] == outcome, case
    if outcome == "REFER":
        assert decision["result"]["decided_by"] == "HOST_PROFESSIONAL_LEAD"
        assert "professional lead" in decision["result"]["text"]["en-GB"]


async def test_without_a_look_up_it_is_referred_and_a_look_up_and_a_recheck_settle_it(
    verifier: VerifierBench,
):
    movement = await verifier.movement()
    decision = await verifier.decided(verifier.surgeon(), movement["id"])
    assert decision["result"]["outcome"] == "REFER"
    assert finding(decision, "R-09")["reason"] == "REG_STALE"
    await verifier.look_up(movement["id"])
    again = await verifier.recheck(decision["id"])
    assert again["result"]["outcome"] == "READY"
    assert again["recheck_of"] == decision["id"]
    before = await verifier.read(f"/decisions/{decision['id']}")
    assert before["superseded_by"] == again["id"]
    assert before["result"]["outcome"] == "REFER"


async def test_a_look_up_of_another_number_does_not_count(verifier: VerifierBench):
    movement = await verifier.movement()
    await verifier.look_up(movement["id"], number="7000001")
    decision = await verifier.decided(verifier.surgeon(), movement["id"])
    assert finding(decision, "R-09")["reason"] == "REG_STALE"


async def test_w4_a_dbs_check_below_the_level_is_not_ready(verifier: VerifierBench):
    surgeon = verifier.surgeon(DbsOutcome={"level": "STANDARD", "barred_lists": []})
    decision = await verifier.decided(surgeon)
    assert decision["result"]["outcome"] == "NOT_READY"
    assert finding(decision, "R-08")["reason"] == "DBS_LEVEL"


async def test_w9_fire_safety_never_done_and_w10_withheld_are_told_alike(verifier: VerifierBench):
    never = await verifier.decided(verifier.surgeon(CoreSkills={"skills": all_skills(FS=None)}))
    withholding = verifier.surgeon()
    withholding.withheld.add(("skills", "FS"))
    withheld = await verifier.decided(withholding)
    for decision in (never, withheld):
        assert decision["result"]["outcome"] == "READY_WITH_CONDITIONS"
        assert [one["subject"] for one in decision["result"]["conditions"]] == ["FS"]
    assert finding(never, "R-12", "FS") == finding(withheld, "R-12", "FS")


async def test_several_subjects_missing_still_answer_the_question(verifier: VerifierBench):
    skills = {"IPC": skill("2"), "RES": skill("2_ADULT"), "FS": skill()}
    decision = await verifier.decided(verifier.surgeon(CoreSkills={"skills": skills}))
    assert decision["result"]["outcome"] == "READY_WITH_CONDITIONS"
    assert len(decision["result"]["conditions"]) == 8


async def test_the_lapse_of_a_registration_is_seen_by_the_recheck(verifier: VerifierBench):
    movement = await verifier.movement()
    await verifier.look_up(movement["id"])
    decision = await verifier.decided(verifier.surgeon(), movement["id"])
    assert decision["result"]["outcome"] == "READY"
    verifier.clock.advance(timedelta(minutes=2))
    await verifier.look_up(movement["id"], "LAPSED", checked_at=verifier.clock.now().isoformat())
    again = await verifier.recheck(decision["id"])
    assert again["result"]["outcome"] == "NOT_READY"
    assert finding(again, "R-09")["reason"] == "REG_STATUS"


async def test_a_cancelled_record_is_seen_when_the_list_arrives_and_it_is_asked_again(
    verifier: VerifierBench,
):
    surgeon = verifier.surgeon()
    decision = await verifier.decided(surgeon)
    verifier.home.list.set(surgeon.held["RightToWork"].idx, 1)
    verifier.clock.advance(timedelta(minutes=6))
    await verifier.refresh_statuses()
    again = await verifier.recheck(decision["id"])
    assert again["result"]["outcome"] == "NOT_READY"
    reliance = next(one for one in again["result"]["reliances"] if one["credential"] == "RightToWork")
    assert reliance["status"] == "REVOKED"
    assert reliance["verdict"]["verified"] is False
    assert again["result"]["verified"] is False
    texts = [f["text"]["en-GB"] for f in again["result"]["findings"] if f["reason"] == "REVOKED"]
    assert texts == ["Right to work: no longer valid. Contact the employing trust."]


async def test_a_suspended_issuer_makes_a_new_decision_a_referral(verifier: VerifierBench):
    surgeon = verifier.surgeon()
    before = await verifier.decided(surgeon)
    verifier.registry.suspend(verifier.home.entity_id)
    verifier.clock.advance(timedelta(seconds=31))
    await verifier.refresh()
    decision = await verifier.decided(surgeon)
    assert decision["result"]["outcome"] == "REFER"
    assert {f["reason"] for f in decision["result"]["findings"] if f["rule"] == "R-01"} == {
        "ISSUER_SUSPENDED"
    }
    again = await verifier.recheck(before["id"])
    assert again["result"]["outcome"] == "REFER"
    verifier.registry.reinstate(verifier.home.entity_id)
    verifier.clock.advance(timedelta(seconds=31))
    await verifier.refresh()
    assert (await verifier.recheck(again["id"]))["result"]["outcome"] == "READY"


async def test_nothing_is_shown_before_the_person_is_confirmed(verifier: VerifierBench):
    request = await verifier.ask()
    assert (await verifier.present(request, verifier.surgeon())).status_code == 200
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert (found["state"], found["links"]) == ("ANSWERED", None)
    decision = await verifier.read(f"/decisions/{found['decision_id']}")
    assert (decision["withheld"], decision["result"], decision["person"]) == ("AWAITING_PERSON", None, None)
    listed = await verifier.read("/decisions")
    assert [(one["id"], one["outcome"]) for one in listed["items"]] == [(decision["id"], None)]
    shown = await verifier.confirm(decision["id"])
    assert shown["result"]["outcome"] == "READY"
    assert shown["person"]["by"]["ref"] == HR
    listed = await verifier.read("/decisions")
    assert listed["items"][0]["outcome"] == "READY"


async def test_the_document_on_the_call_is_compared_and_not_stored(verifier: VerifierBench):
    request = await verifier.ask()
    await verifier.present(request, verifier.surgeon())
    decision_id = (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"]
    shown = {"family_name": "OKONKWO-PRICE", "given_name": "Adaeze", "birthdate": "1981-03-09"}
    body = {"method": "DOCUMENT_ON_CALL", "actor": HR, "shown": {**shown, "birthdate": "1981-03-08"}}
    refused = await verifier.call("POST", f"/decisions/{decision_id}/person-confirmation", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "person_not_matching")
    assert (await verifier.read(f"/decisions/{decision_id}"))["result"] is None
    right = await verifier.confirm(decision_id, method="DOCUMENT_ON_CALL", shown=shown)
    assert right["result"]["outcome"] == "READY"
    other = await verifier.call(
        "POST", f"/decisions/{decision_id}/person-confirmation", {"method": "KNOWN_TO_ME", "actor": HR}
    )
    assert other.status_code == 409


async def test_a_condition_is_met_once_and_stays_met_after_a_recheck(verifier: VerifierBench):
    decision = await verifier.decided(verifier.surgeon(CoreSkills={"skills": all_skills(FS=None)}))
    path = f"/decisions/{decision['id']}/conditions/1/met"
    met = await verifier.made(path, {"actor": HR}, 200)
    assert met["result"]["conditions"][0]["state"] == "MET"
    assert (await verifier.made(path, {"actor": HR}, 200)) == met
    missing = await verifier.call("POST", f"/decisions/{decision['id']}/conditions/9/met", {"actor": HR})
    assert missing.status_code == 404
    verifier.clock.advance(timedelta(minutes=5))
    again = await verifier.recheck(decision["id"])
    assert again["result"]["conditions"][0]["state"] == "MET"
    assert again["result"]["conditions"][0]["due"] == decision["result"]["conditions"][0]["due"]
    replaced = await verifier.call("POST", path, {"actor": HR})
    assert (replaced.status_code, replaced.json()["code"]) == (409, "was_rechecked")


async def test_a_decision_is_rechecked_once(verifier: VerifierBench):
    decision = await verifier.decided(verifier.surgeon())
    again = await verifier.recheck(decision["id"])
    refused = await verifier.call("POST", f"/decisions/{decision['id']}/recheck", {"actor": HR})
    assert (refused.status_code, refused.json()["code"]) == (409, "was_rechecked")
    assert (await verifier.recheck(again["id"]))["recheck_of"] == again["id"]


async def test_a_standalone_request_is_decided_for_its_own_days(verifier: VerifierBench):
    request = await verifier.ask(
        policy="SERVICE_NEED_URGENT.UROLOGY_SURGEON",
        employing_ods="RBV",
        start="2026-09-03",
        end="2026-09-04",
    )
    await verifier.look_up(None, presentation_request_id=request["id"])
    assert (await verifier.present(request, verifier.surgeon())).status_code == 200
    decision_id = (await verifier.read(f"/presentation-requests/{request['id']}"))["decision_id"]
    decision = await verifier.confirm(decision_id)
    assert (decision["first_day"], decision["last_day"]) == ("2026-09-03", "2026-09-04")
    assert decision["result"]["outcome"] == "READY"


async def test_what_is_stored_of_a_person_is_nothing_they_could_be_known_by(verifier: VerifierBench):
    presenter: Presenter = verifier.surgeon()
    await verifier.decided(presenter)
    stored: list[str] = []
    async with verifier.ctx.db.read() as conn:
        from sqlalchemy import select

        from passport_verifier.store.tables import metadata

        for table in metadata.sorted_tables:
            stored += [repr(tuple(row)) for row in await conn.execute(select(table))]
    whole = "\n".join(stored)
    for secret in ("Okonkwo", "Adaeze", "1981-03-09", "7099999", "AAECAwQFBgcICQoLDA0ODw"):
        assert secret not in whole, secret
    assert "eyJ0eXAiOiJkYytzZC1qd3Q" not in whole
