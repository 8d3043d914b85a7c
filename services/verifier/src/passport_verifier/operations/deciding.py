"""From examined credentials to a decision that can be stored: facts sealed, findings kept, conditions set.

Shared by the first decision (``answers``) and every re-check (``rechecks``): both judge facts, never claims,
by the same rules. What is stored in the clear is codes: rule, result, reason, who can put it right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from passport_shared.formats.ids import new_id
from passport_verifier.operations.register_checks import as_look_up
from passport_verifier.operations.sealing import DataKey
from passport_verifier.rules.dated_checks import dated_checks
from passport_verifier.rules.decision import Judgement, judge
from passport_verifier.rules.evidence import Case, CredentialStanding
from passport_verifier.rules.one_person import normalised
from passport_verifier.rules.outcome import DayResult, Finding
from passport_verifier.rules.policies import HostPolicy
from passport_verifier.store.decisions import (
    Cause,
    Condition,
    ConditionState,
    Decision,
    Reliance,
    Whole,
)
from passport_verifier.store.register_checks import RegisterCheck
from passport_verifier.store.requests import PresentationRequest

HOLDER_REF = "holder_ref"
"""The reference of the passport a StaffIdentity belongs to: 128 random bits, one per passport."""


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What a decision is made from, besides the policy and the clock.

    ``standings`` are by part of the policy, ``facts`` by credential type; ``released_until`` is the last day
    the employing trust's Release covers, None where it says nothing.

    ``person`` are commitments to the names, birthdate and passport that were shared, for the confirmation of
    the person and the comparison with who is released. ``holder_ref`` is the passport's reference itself
    where it is the employing trust's: a release request names the person by it.

    ``look_ups_as_at`` as in ``evidence.Case``. ``identity`` are the names and birthdate themselves, for the
    placement's record, where an answer was given for a movement: sealed apart and kept as
    ``placement_tables`` says.
    """

    request: PresentationRequest
    key: DataKey
    facts: Mapping[str, Mapping[str, Any]]
    person: Mapping[str, str]
    standings: Mapping[str, CredentialStanding]
    reliances: Sequence[Reliance]
    look_ups: Sequence[RegisterCheck]
    registry_sequence: int
    registry_age_s: int
    status_times: Mapping[str, str]
    released_until: date | None = None
    holder_ref: str | None = None
    look_ups_as_at: datetime | None = None
    identity: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """Why and when a decision is made."""

    cause: Cause
    received_at: datetime
    decided_at: datetime
    recheck_of: str | None = None


def decide(basis: Basis, policy: HostPolicy, occasion: Occasion) -> Whole:
    """Judge and make the rows."""
    request = basis.request
    judged = judge(
        Case(
            policy=policy,
            first_day=request.first_day,
            last_day=request.last_day,
            employing_ods=request.employing_ods,
            decided_at=occasion.decided_at,
            facts=basis.facts,
            credentials=basis.standings,
            look_ups=tuple(as_look_up(check) for check in basis.look_ups),
            released_until=basis.released_until,
            look_ups_as_at=basis.look_ups_as_at,
        )
    )
    decision_id = new_id()
    decision = Decision(
        id=decision_id,
        ods=request.ods,
        case_id=request.case_id,
        request_id=request.id,
        movement_id=request.movement_id,
        recheck_of=occasion.recheck_of,
        cause=occasion.cause,
        received_at=occasion.received_at,
        decided_at=occasion.decided_at,
        first_day=request.first_day,
        last_day=judged.ends_on,
        outcome=judged.outcome,
        decided_by=judged.decided_by,
        latest_end=judged.latest_end,
        verified=all(one.verdict["verified"] for one in basis.reliances),
        findings=[_in_the_clear(finding) for finding in judged.findings],
        sealed=basis.key.seal(_sealed(basis, judged), decision_id=decision_id),
        policy_version=policy.version_id,
        policy_digest=policy.digest,
        registry_sequence=basis.registry_sequence,
        registry_age_s=basis.registry_age_s,
        status_times=basis.status_times,
        awaits_status=judged.awaits_status,
        person_method=None,
        person_by=None,
        person_at=None,
        sealed_person=_sealed_person(basis, decision_id),
    )
    return Whole(
        decision=decision,
        reliances=tuple(basis.reliances),
        conditions=_conditions(judged),
    )


def carried(whole: Whole, before: Decision, conditions: Sequence[Condition]) -> Whole:
    """A re-check with what people recorded about the decision before it.

    The confirmation of the person; and a condition that stood keeps its due date and whether it was met.
    """
    earlier = {(one.rule, one.subject, one.text): one for one in conditions}
    return replace(
        whole,
        decision=replace(
            whole.decision,
            person_method=before.person_method,
            person_by=before.person_by,
            person_at=before.person_at,
        ),
        conditions=tuple(
            replace(earlier.get((one.rule, one.subject, one.text), one), number=one.number)
            for one in whole.conditions
        ),
    )


def _in_the_clear(finding: Finding) -> dict[str, Any]:
    telling = finding.telling
    return {
        "rule": finding.rule,
        "credential": finding.credential,
        "subject": finding.subject,
        "need": finding.need,
        "result": finding.result,
        "first_day": finding.first_day.result,
        "last_day": finding.last_day.result,
        "telling": "last_day" if telling is finding.last_day else "first_day",
        "reason": telling.reason,
        "who_can_fix": telling.fixer,
        "outcome": finding.outcome,
    }


def _sealed(basis: Basis, judged: Judgement) -> dict[str, Any]:
    """What is only readable while the case's data key exists: facts, what each finding says, dated checks."""
    return {
        "facts": {credential: dict(facts) for credential, facts in basis.facts.items()},
        "person": dict(basis.person),
        HOLDER_REF: basis.holder_ref,
        "said": [
            {"first_day": _said(finding.first_day), "last_day": _said(finding.last_day)}
            for finding in judged.findings
        ],
        "dated": [
            {"kind": check.kind, "credential": check.credential, "owner": check.owner}
            | {"on": check.on.isoformat(), "runs_out": check.runs_out.isoformat()}
            | {"hold_on": check.hold_on.isoformat() if check.hold_on else None}
            for check in dated_checks(
                basis.facts,
                {one.credential: one.exp for one in basis.reliances},
                first_day=basis.request.first_day,
                last_day=judged.ends_on,
            )
        ],
    }


def _sealed_person(basis: Basis, decision_id: str) -> bytes | None:
    if basis.identity is None:
        return None
    return basis.key.seal(dict(basis.identity), decision_id=person_context(decision_id))


def person_context(decision_id: str) -> str:
    """What sealed names and birthdate are bound to: their own decision, and nothing else of it."""
    return f"{decision_id}|person"


def _said(day: DayResult) -> dict[str, Any]:
    return {"key": day.words.key, "params": dict(day.words.params)}


def _conditions(judged: Judgement) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            number=number,
            rule=condition.rule,
            subject=condition.subject,
            text=condition.words.key,
            due=condition.due,
            owner=condition.owner,
            state=ConditionState.OPEN,
            changed_at=None,
            changed_by=None,
        )
        for number, condition in enumerate(judged.conditions, start=1)
    )


def person_commitments(key: DataKey, claims: Mapping[str, Any]) -> dict[str, str]:
    """Commitments to the identity claims that were shared, under the documented comparison of names.

    The one to ``holder_ref`` is compared with the passport an employing trust releases; what was sealed
    before it was kept has none.
    """
    found: dict[str, str] = {}
    for name in ("family_name", "given_name", "birthdate", HOLDER_REF):
        value = claims.get(name)
        if isinstance(value, str):
            found[name] = person_commitment(key, name, value)
    return found


def person_commitment(key: DataKey, name: str, value: str) -> str:
    """The commitment to one identity claim."""
    text = value if name in {"birthdate", HOLDER_REF} else normalised(value)
    return key.commit(f"{name}|{text}")
