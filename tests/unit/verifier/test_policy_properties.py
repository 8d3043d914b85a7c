"""Less or worse evidence never gives a better answer, whatever the policy (domain model §10d).

A situation is a policy, everything a staff member holds, and what trust, status and the register say of it.
It is answered as it really is: a wallet chooses by the DCQL query of the policy, and what it shows is judged.
A wallet that cannot answer the query is refused, which is worse than any outcome and part of the order here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from passport_shared.formats import dcql
from passport_shared.formats.trust import Finding as TrustFinding
from passport_testkit.cases import COMPLETED, DECIDED_AT, THE_DAY, commit, evidence_for, look_up_for
from passport_verifier.rules import policy_checks, readiness
from passport_verifier.rules.asking import dcql_query
from passport_verifier.rules.decision import Judgement, judge
from passport_verifier.rules.evidence import (
    Case,
    CredentialStanding,
    RegisterLookUp,
    RegisterStatus,
    facts_of,
)
from passport_verifier.rules.outcome import OUTCOME_ORDER, Need, Outcome, Reason, Result
from passport_verifier.rules.parts import PART_OF_QUERY, part_rows, type_of
from passport_verifier.rules.policies import HostPolicy, compiled, default_versions, documents
from passport_verifier.rules.trust_findings import StatusFinding, standing

BASE = "https://registry.example/vct"
REFUSED = len(OUTCOME_ORDER)
Datasets = dict[str, dict[str, Any]]

# Each claim's values from best to worst, as far as one is better than another whatever else is shown.
LADDERS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("StaffIdentity", "originals_seen_in_person_on"): ("2026-04-20", "NONE"),
    ("Employment", "contract_end"): ("NONE", "2026-12-31", "2026-05-10", "2026-04-30"),
    ("Employment", "employer_ods"): ("RBV", "RM3"),
    ("RightToWork", "work_restriction"): ("NONE", "SPONSORED", "OTHER"),
    ("RightToWork", "permission_expires"): ("2027-01-01", "2026-05-10", "2026-05-01"),
    ("DbsOutcome", "level"): ("ENHANCED_BARRED", "ENHANCED", "STANDARD", "BASIC", "NONE"),
    ("DbsOutcome", "workforce"): ("BOTH", "ADULT", "CHILD", "OTHER"),
    ("DbsOutcome", "barred_lists"): (["ADULT", "CHILD"], ["CHILD"], []),
    ("DbsOutcome", "certificate_issued_on"): ("2025-02-11", "2023-05-10", "2014-03-01"),
    ("ProfessionalRegistration", "registration_status"): ("REGISTERED", "INTERIM_CONDITIONS", "SUSPENDED"),
    ("ProfessionalRegistration", "licence_to_practise"): (True, False),
    ("OccupationalHealth", "role_category"): (None, "CLERICAL"),
    ("OccupationalHealth", "epp_cleared"): ("YES", "NO"),
}
"""None stands for the value that meets the policy."""
TRAINING = (COMPLETED, "2025-05-10", "2024-06-30", "2020-01-01")
TRUST = (TrustFinding.AUTHORISED, TrustFinding.SUSPENDED, TrustFinding.NOT_AUTHORISED)
STATUS = (StatusFinding.ACTIVE, StatusFinding.UNAVAILABLE, StatusFinding.REVOKED)


def host_versions() -> list[HostPolicy]:
    """Versions hosts could make of the defaults: other periods, no conditions, more for safety."""
    made = []
    for version_id, document in documents().items():
        for change in (_without_conditions, _shorter, _all_for_safety):
            own = json.loads(json.dumps(document))
            change(own)
            faults = [*policy_checks.faults(own), *policy_checks.lowered(document, own)]
            assert faults == [], (version_id, faults)
            made.append(compiled(own))
    return made


def _without_conditions(document: dict[str, Any]) -> None:
    for row in document["rows"]:
        row.pop("conditions", None)


def _shorter(document: dict[str, Any]) -> None:
    for row in document["rows"]:
        if "months" in row:
            row["months"] = 12
    document["profile"]["dbs"]["max_age_months"] = 24


def _all_for_safety(document: dict[str, Any]) -> None:
    for row in document["rows"]:
        row["need"] = "SAFETY"
    _without_conditions(document)


POLICIES = [*default_versions().values(), *host_versions()]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything one answer is made of."""

    policy: HostPolicy
    held: Datasets
    trust: dict[str, TrustFinding]
    status: dict[str, StatusFinding]
    look_ups: tuple[RegisterLookUp, ...]
    last_day: date
    aged: timedelta = timedelta()

    def standing_of(self, name: str) -> CredentialStanding:
        trust = self.trust.get(name, TrustFinding.AUTHORISED)
        return standing(trust, self.status.get(name, StatusFinding.ACTIVE), "RBV")

    def shown(self) -> dict[str, dict[str, Any]] | None:
        """By part of the policy, what a wallet discloses; None when it cannot answer."""
        query = dcql.parse_query(dcql_query(self.policy, vct_base=BASE, employing_ods=None))
        held = [
            dcql.Credential(key=name, vct=f"{BASE}/{name}/1", claims=claims)
            for name, claims in self.held.items()
        ]
        selection = dcql.select(query, held)
        if not selection.can_answer:
            return None
        return {
            PART_OF_QUERY[query_id]: _only(self.held[found[0].key], found[0].paths)
            for query_id, found in selection.chosen.items()
        }

    def judged(self) -> Judgement | None:
        shown = self.shown()
        if shown is None:
            return None
        facts: Datasets = {}
        for key, claims in shown.items():
            rows = part_rows(self.policy, key)
            found = facts_of(type_of(key), claims, self.policy, commit, rows=rows)
            facts.setdefault(type_of(key), {}).update(found)
        return judge(
            Case(
                policy=self.policy,
                first_day=THE_DAY,
                last_day=self.last_day,
                employing_ods="RBV",
                decided_at=DECIDED_AT + self.aged,
                facts=facts,
                credentials={key: self.standing_of(type_of(key)) for key in shown},
                look_ups=self.look_ups,
            )
        )

    @property
    def rank(self) -> int:
        judged = self.judged()
        return REFUSED if judged is None else OUTCOME_ORDER.index(judged.outcome)


def _only(claims: dict[str, Any], paths: tuple[tuple[str | int | None, ...], ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in paths:
        name = str(path[0])
        if len(path) == 1:
            found[name] = claims[name]
        else:
            found.setdefault(name, {})[path[1]] = claims[name][str(path[1])]
    return found


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A passport in order for its policy, spoilt in up to three places."""
    policy = draw(st.sampled_from(POLICIES))
    held = evidence_for(policy, RightToWork={"permission": "UNTIL", "permission_expires": "2027-01-01"})
    held["DbsOutcome"]["barred_lists"] = ["ADULT", "CHILD"]
    trust: dict[str, TrustFinding] = {}
    status: dict[str, StatusFinding] = {}
    look_ups = [look_up_for(policy)]
    for _ in range(draw(st.integers(0, 3))):
        match draw(st.sampled_from(["claim", "training", "drop", "standing", "register"])):
            case "claim":
                (name, claim), ladder = draw(st.sampled_from(sorted(LADDERS.items(), key=repr)))
                _set(held, name, claim, draw(st.sampled_from(ladder)))
            case "training":
                subject = draw(st.sampled_from(_subjects(policy)))
                if skill := held["CoreSkills"]["skills"].get(subject):
                    skill["completed_on"] = draw(st.sampled_from(TRAINING))
                    skill["level"] = draw(st.sampled_from([skill["level"], "0"]))
            case "drop":
                held["CoreSkills"]["skills"].pop(draw(st.sampled_from(_subjects(policy))), None)
            case "standing":
                name = draw(st.sampled_from(sorted(held)))
                trust[name] = draw(st.sampled_from(TRUST))
                status[name] = draw(st.sampled_from(STATUS))
            case _:
                found = draw(st.sampled_from([None, *RegisterStatus]))
                hours = draw(st.sampled_from([1, 20, 30, 200]))
                look_ups = [look_up_for(policy, found, hours=hours)] if found else []
    last_day = THE_DAY + timedelta(days=draw(st.sampled_from((0, 30))))
    return Situation(
        policy=policy, held=held, trust=trust, status=status, look_ups=tuple(look_ups), last_day=last_day
    )


def _subjects(policy: HostPolicy) -> list[str]:
    return sorted(row.subject for row in policy.rows if row.subject)


def _set(held: Datasets, name: str, claim: str, value: Any) -> None:
    if value is not None and name in held:
        held[name][claim] = value


Worsening = Callable[[st.DataObject, Situation], Situation]


def _changed(situation: Situation, change: Callable[[Datasets], None]) -> Situation:
    held = copy.deepcopy(situation.held)
    change(held)
    return replace(situation, held=held)


def drop_a_credential(data: st.DataObject, before: Situation) -> Situation:
    name = data.draw(st.sampled_from(sorted(before.held)))

    def change(held: Datasets) -> None:
        del held[name]

    return _changed(before, change)


def withhold_a_claim(data: st.DataObject, before: Situation) -> Situation:
    name = data.draw(st.sampled_from(sorted(before.held)))
    claim = data.draw(st.sampled_from(sorted(before.held[name])))

    def change(held: Datasets) -> None:
        del held[name][claim]

    return _changed(before, change)


def withhold_a_subject(data: st.DataObject, before: Situation) -> Situation:
    subject = data.draw(st.sampled_from(_subjects(before.policy)))

    def change(held: Datasets) -> None:
        held["CoreSkills"]["skills"].pop(subject, None)

    return _changed(before, change)


def worsen_a_claim(data: st.DataObject, before: Situation) -> Situation:
    (name, claim), ladder = data.draw(st.sampled_from(sorted(LADDERS.items(), key=repr)))
    now = before.held[name][claim]
    at = ladder.index(now) if now in ladder else 0
    return _changed(before, lambda held: _set(held, name, claim, data.draw(st.sampled_from(ladder[at:]))))


def worsen_a_course(data: st.DataObject, before: Situation) -> Situation:
    skills = before.held["CoreSkills"]["skills"]
    subject = data.draw(st.sampled_from(sorted(skills))) if skills else None
    if subject is None:
        return before
    older = TRAINING[TRAINING.index(skills[subject]["completed_on"]) :]

    def change(held: Datasets) -> None:
        skill = held["CoreSkills"]["skills"][subject]
        skill["completed_on"] = data.draw(st.sampled_from(older))
        skill["level"] = data.draw(st.sampled_from([skill["level"], "0"]))

    return _changed(before, change)


def worsen_a_standing(data: st.DataObject, before: Situation) -> Situation:
    name = data.draw(st.sampled_from(sorted(before.held)))
    trust = before.trust.get(name, TRUST[0])
    status = before.status.get(name, STATUS[0])
    return replace(
        before,
        trust={**before.trust, name: data.draw(st.sampled_from(TRUST[TRUST.index(trust) :]))},
        status={**before.status, name: data.draw(st.sampled_from(STATUS[STATUS.index(status) :]))},
    )


def lose_the_look_up(_data: st.DataObject, before: Situation) -> Situation:
    good = [one for one in before.look_ups if one.status is RegisterStatus.REGISTERED]
    return replace(before, look_ups=()) if good else before


def look_up_something_bad(data: st.DataObject, before: Situation) -> Situation:
    bad = data.draw(st.sampled_from(sorted(readiness.FAILING)))
    return replace(before, look_ups=(*before.look_ups, look_up_for(before.policy, bad, hours=0)))


def grow_older(data: st.DataObject, before: Situation) -> Situation:
    """Only the clock moves: look-ups grow old, nothing becomes fresher."""
    return replace(before, aged=timedelta(hours=data.draw(st.integers(1, 400))))


def stay_longer(data: st.DataObject, before: Situation) -> Situation:
    return replace(before, last_day=before.last_day + timedelta(days=data.draw(st.integers(1, 400))))


WORSENINGS: list[Worsening] = [
    drop_a_credential,
    withhold_a_claim,
    withhold_a_subject,
    worsen_a_claim,
    worsen_a_course,
    worsen_a_standing,
    lose_the_look_up,
    look_up_something_bad,
    grow_older,
    stay_longer,
]


@pytest.mark.parametrize("worsen", WORSENINGS, ids=lambda worsen: worsen.__name__)
def test_less_or_worse_evidence_never_improves_an_answer(worsen: Worsening):
    seen = {"worse": 0}

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(situations(), st.data())
    def never_improves(before: Situation, data: st.DataObject) -> None:
        after = worsen(data, before).rank
        assert after >= before.rank
        seen["worse"] += after > before.rank

    never_improves()
    # A way of making things worse that never made any answer worse would prove nothing.
    assert seen["worse"] > 0


@pytest.mark.parametrize("rank", [*range(len(OUTCOME_ORDER)), REFUSED])
def test_the_situations_reach_every_outcome_and_refusal(rank: int):
    found = find(
        situations(),
        lambda situation: situation.rank == rank,
        settings=settings(max_examples=3_000, database=None, phases=[Phase.generate], deadline=None),
    )
    assert found.rank == rank


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.id)
def test_with_everything_in_order_every_version_answers_ready(policy: HostPolicy):
    shown = evidence_for(policy)
    for skill in shown["CoreSkills"]["skills"].values():
        skill["completed_on"] = "2026-04-01"
    situation = Situation(
        policy=policy,
        held=shown,
        trust={},
        status={},
        look_ups=(look_up_for(policy),),
        last_day=THE_DAY,
    )
    assert situation.rank == 0


@pytest.mark.parametrize("rule", sorted(readiness.RULES))
@pytest.mark.parametrize("error", [ValueError, RuntimeError, ZeroDivisionError, RecursionError])
def test_a_rule_that_raises_counts_as_unknown_and_as_safety(
    rule: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    def raises(*_: object) -> Any:
        raise error

    monkeypatch.setitem(readiness.RULES, rule, raises)
    for policy in default_versions().values():
        situation = Situation(
            policy=policy,
            held=evidence_for(policy),
            trust={},
            status={},
            look_ups=(look_up_for(policy),),
            last_day=THE_DAY,
        )
        judged = situation.judged()
        assert judged is not None
        broken = [found for found in judged.findings if found.rule == rule]
        assert broken
        for found in broken:
            assert (found.result, found.need, found.reason) == (
                Result.UNKNOWN,
                Need.SAFETY,
                Reason.RULE_ERROR,
            )
        assert judged.outcome is Outcome.REFER


def test_a_rule_nobody_knows_counts_as_unknown_and_as_safety(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(readiness.RULES, "R-08")
    policy = POLICIES[0]
    situation = Situation(
        policy=policy,
        held=evidence_for(policy),
        trust={},
        status={},
        look_ups=(look_up_for(policy),),
        last_day=THE_DAY,
    )
    judged = situation.judged()
    assert judged is not None
    assert judged.outcome is Outcome.REFER
