"""The pilot's other movements over HTTP, with real credentials: asked, shown, decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from passport_shared.formats import dcql
from passport_testkit.cases import NUMBERS, evidence_for
from passport_testkit.databases import both_databases
from passport_testkit.presenter import Presenter
from passport_testkit.verifiers import VerifierBench
from passport_verifier.rules.policies import HostPolicy, policies
from passport_verifier.store import releases
from passport_verifier.store.tables import outbox

RADIOLOGIST = policies()["CROSS_TRUST_WORKING.RADIOLOGIST"]
NURSE = policies()["INDUCTION_VISIT.CLINICAL_NURSE_SPECIALIST"]
DIETITIAN = policies()["PLACEMENT_DEVELOPMENT.TRAINEE_ACP_DIETETICS"]
RESIDENT = policies()["PGD_ROTATION.RESIDENT_DOCTOR"]
PILOT = [RADIOLOGIST, NURSE, DIETITIAN, RESIDENT]


async def movement_of(verifier: VerifierBench, policy: HostPolicy, **changes: Any) -> str:
    made = await verifier.movement(
        type=policy.movement_type, role_profile=policy.profile.name, end="2026-09-04", **changes
    )
    return str(made["id"])


async def looked_up(verifier: VerifierBench, policy: HostPolicy, movement_id: str) -> None:
    regulator = policy.profile.regulators[0]
    licence = True if policy.profile.licence_required else None
    await verifier.look_up(movement_id, regulator=regulator, number=NUMBERS[regulator], licence=licence)


async def decided(
    verifier: VerifierBench, policy: HostPolicy, *missing: str, **changes: Mapping[str, Any]
) -> dict[str, Any]:
    """A movement of the policy, looked up, presented for without some types, confirmed."""
    movement_id = await movement_of(verifier, policy)
    await looked_up(verifier, policy, movement_id)
    person = Presenter(verifier.home).hold_for(policy, **changes)
    for name in missing:
        del person.held[name]
    decision = await verifier.decided(person, movement_id)
    found: dict[str, Any] = decision["result"]
    return found


def why(result: dict[str, Any], rule: str, subject: str | None = None) -> Any:
    [found] = [one for one in result["findings"] if (one["rule"], one["subject"]) == (rule, subject)]
    return found["reason"]


@both_databases
@pytest.mark.parametrize("policy", PILOT, ids=lambda policy: policy.profile.name)
async def test_with_everything_in_order_the_answer_is_ready(verifier: VerifierBench, policy: HostPolicy):
    result = await decided(verifier, policy)
    assert (result["outcome"], result["outcome_now"]) == ("READY", "READY"), result["findings"]
    # The core skills card answered two queries and is relied on once.
    credentials = [one["credential"] for one in result["reliances"]]
    assert len(credentials) == len(set(credentials)) == 7


async def test_w4_a_radiologist_with_a_standard_check_is_not_ready(verifier: VerifierBench):
    result = await decided(verifier, RADIOLOGIST, DbsOutcome={"level": "STANDARD"})
    assert (result["outcome"], why(result, "R-08")) == ("NOT_READY", "DBS_LEVEL")


@both_databases
async def test_w5_a_visiting_nurse_without_occupational_health_observes_only(verifier: VerifierBench):
    result = await decided(verifier, NURSE, "OccupationalHealth")
    assert result["outcome"] == "READY_WITH_CONDITIONS"
    [condition] = result["conditions"]
    assert condition["text"]["en-GB"].startswith("Observe only: nothing hands-on")
    assert (condition["owner"], why(result, "R-10")) == ("HOST_LINE_MANAGER", "NOT_PRESENTED")


async def test_w3_a_dietitian_is_referred_until_the_host_looks(verifier: VerifierBench):
    movement_id = await movement_of(verifier, DIETITIAN)
    person = Presenter(verifier.home).hold_for(DIETITIAN)
    decision = await verifier.decided(person, movement_id)
    assert decision["result"]["outcome"] == "REFER"
    assert decision["result"]["decided_by"] == "HOST_HR"
    await looked_up(verifier, DIETITIAN, movement_id)
    again = await verifier.recheck(decision["id"])
    assert again["result"]["outcome"] == "READY"


@both_databases
async def test_w12_two_peoples_credentials_are_refused(verifier: VerifierBench):
    movement_id = await movement_of(verifier, RADIOLOGIST)
    request = await verifier.ask(movement_id)
    person = Presenter(verifier.home).hold_for(RADIOLOGIST)
    other = Presenter(verifier.home, holder_ref="BBECAwQFBgcICQoLDA0ODw").hold_for(RADIOLOGIST)
    person.held["DbsOutcome"] = other.held["DbsOutcome"]
    answered = await verifier.present(request, person)
    assert answered.status_code == 400
    after = await verifier.read(f"/presentation-requests/{request['id']}")
    assert (after["last_refusal"], after["decision_id"]) == ("identity_mismatch", None)


async def test_w13_the_age_of_a_certificate_counts_on_a_rotation_alone(verifier: VerifierBench):
    old = {"certificate_issued_on": "2014-03-01"}
    rotation = await decided(verifier, RESIDENT, DbsOutcome=old)
    assert (rotation["outcome"], why(rotation, "R-08")) == ("NOT_READY", "DBS_AGE")
    urgent = await verifier.decided(verifier.surgeon(DbsOutcome=old))
    assert urgent["result"]["outcome"] == "READY"


async def test_a_wallet_that_lacks_three_subjects_still_shows_the_other_eight(verifier: VerifierBench):
    skills = evidence_for(DIETITIAN)["CoreSkills"]["skills"]
    held = {subject: one for subject, one in skills.items() if subject not in {"FS", "MH", "SC"}}
    result = await decided(verifier, DIETITIAN, CoreSkills={"skills": held})
    assert result["outcome"] == "READY_WITH_CONDITIONS"
    assert [one["subject"] for one in result["conditions"]] == ["FS", "MH", "SC"]


async def test_two_cards_of_one_type_stay_two_and_one_on_hold_spoils_what_it_was_shown_for(
    verifier: VerifierBench,
):
    movement_id = await movement_of(verifier, DIETITIAN)
    person = Presenter(verifier.home).hold_for(DIETITIAN)
    first = person.held["CoreSkills"]
    second = person.hold("CoreSkills", skills=evidence_for(DIETITIAN)["CoreSkills"]["skills"])
    person.held["CoreSkills"] = first
    verifier.home.list.set(second.idx, 2)
    verifier.clock.advance(timedelta(minutes=6))
    await verifier.refresh_statuses()
    await looked_up(verifier, DIETITIAN, movement_id)
    request = await verifier.ask(movement_id)
    answer = await verifier.answer(request, person)
    queries = {one["id"]: one for one in answer.request["dcql_query"]["credentials"]}
    shown = person.present(second, queries["core_skills_2"], answer.request, verifier.clock.now())
    answer.vp_token["core_skills_2"] = [shown]
    assert (await verifier.send(answer)).status_code == 200
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    result = (await verifier.confirm(found["decision_id"]))["result"]
    assert [one["status"] for one in result["reliances"] if one["credential"] == "CoreSkills"] == [
        "ACTIVE",
        "ON_HOLD",
    ]
    # What the card on hold was shown for is assurance: a condition, where the first card's would not be.
    assert result["outcome"] == "READY_WITH_CONDITIONS"
    assert [(one["rule"], one["text"]["en-GB"]) for one in result["conditions"]] == [
        ("R-03", "Complete the training and share it again.")
    ]


@pytest.mark.parametrize("policy", PILOT, ids=lambda policy: policy.profile.name)
async def test_the_query_is_one_that_the_hosts_entry_covers_and_a_wallet_reads(
    verifier: VerifierBench, policy: HostPolicy
):
    request = await verifier.ask(await movement_of(verifier, policy))
    claims = await verifier.fetch(request)
    query = dcql.parse_query(claims["dcql_query"])
    optional = [one for one in query.credential_sets if not one.required]
    assert len(optional) == len(query.credentials) - len(query.credential_sets[0].options[0])
    words = request["purpose_text"]["en-GB"]
    assert verifier.registry.entities["https://verifier.example/R0A"].organisation.name in words


async def test_a_renewal_during_the_move_is_a_dated_check_and_no_failure(verifier: VerifierBench):
    result = await decided(verifier, RADIOLOGIST, ProfessionalRegistration={"renewal_due": "2026-09-03"})
    assert result["outcome"] == "READY"
    [check] = result["dated_checks"]
    assert (check["kind"], check["on"], check["owner"]) == ("REGISTRATION_RENEWAL", "2026-09-03", "HOST_HR")
    assert "due for renewal on 3 September 2026" in check["text"]["en-GB"]


async def test_w8_when_the_employer_brings_the_end_in_the_recheck_ends_there(verifier: VerifierBench):
    movement_id = await movement_of(verifier, RADIOLOGIST)
    await looked_up(verifier, RADIOLOGIST, movement_id)
    person = Presenter(verifier.home).hold_for(RADIOLOGIST, Employment={"contract_end": "2026-09-03"})
    decision = await verifier.decided(person, movement_id)
    assert (decision["result"]["outcome"], decision["result"]["latest_end"]) == ("REFER", "2026-09-03")
    async with verifier.ctx.db.write() as conn:
        assert await releases.cap_end(conn, movement_id, date(2026, 9, 3), verifier.clock.now())
    again = await verifier.recheck(decision["id"])
    assert (again["result"]["outcome"], again["last_day"]) == ("READY", "2026-09-03")
    assert again["result"]["latest_end"] == "2026-09-03"
    async with verifier.ctx.db.read() as conn:
        found = list(await conn.execute(select(outbox.events.c.type, outbox.events.c.data)))
    [told] = [data for kind, data in found if kind == "decision.end_capped"]
    assert (told["ends_on"], told["to"]) == ("2026-09-03", ["EMPLOYING_HR", "HOST_HR"])


async def test_a_card_that_runs_out_during_the_move_has_a_fortnight_to_be_renewed(verifier: VerifierBench):
    made = await verifier.movement(
        type=RADIOLOGIST.movement_type, role_profile=RADIOLOGIST.profile.name, end="2026-11-01"
    )
    await looked_up(verifier, RADIOLOGIST, made["id"])
    runs_out = verifier.clock.now() + timedelta(days=10)
    person = Presenter(verifier.home).hold_for(RADIOLOGIST, RightToWork={"exp": int(runs_out.timestamp())})
    decision = await verifier.decided(person, made["id"])
    assert decision["result"]["outcome"] == "READY"
    [check] = decision["result"]["dated_checks"]
    assert (check["kind"], check["credential"]) == ("CREDENTIAL_RENEWAL", "RightToWork")
    assert (check["runs_out"], check["hold_on"]) == ("2026-09-11", "2026-09-25")
    for days, status, outcome in ((11, "IN_GRACE", "READY"), (13, "EXPIRED", "NOT_READY")):
        verifier.clock.advance(timedelta(days=days))
        await verifier.refresh()
        await verifier.refresh_statuses()
        await looked_up(verifier, RADIOLOGIST, made["id"])
        decision = await verifier.recheck(decision["id"])
        [relied] = [one for one in decision["result"]["reliances"] if one["credential"] == "RightToWork"]
        assert (relied["status"], decision["result"]["outcome"]) == (status, outcome)


async def test_a_card_that_ran_out_before_the_move_has_no_grace(verifier: VerifierBench):
    made = await verifier.movement(
        type=RADIOLOGIST.movement_type,
        role_profile=RADIOLOGIST.profile.name,
        start="2026-10-01",
        end="2026-11-01",
    )
    await looked_up(verifier, RADIOLOGIST, made["id"])
    runs_out = verifier.clock.now() + timedelta(days=10)
    person = Presenter(verifier.home).hold_for(RADIOLOGIST, RightToWork={"exp": int(runs_out.timestamp())})
    decision = await verifier.decided(person, made["id"])
    verifier.clock.advance(timedelta(days=11))
    await verifier.refresh()
    await verifier.refresh_statuses()
    await looked_up(verifier, RADIOLOGIST, made["id"])
    again = await verifier.recheck(decision["id"])
    assert again["result"]["outcome"] == "NOT_READY"
