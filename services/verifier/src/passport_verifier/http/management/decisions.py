"""`…/decisions`: what was decided, withheld until the person is confirmed, in plain words afterwards."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_verifier.context import Context
from passport_verifier.http.management.common import (
    PREFIX,
    Access,
    ActorRef,
    ActorView,
    ApiModel,
    Ctx,
    IdPath,
    Words,
    access,
    once,
)
from passport_verifier.operations import decisions as operations
from passport_verifier.operations import rechecks
from passport_verifier.operations.decisions import ShownIdentity, Told
from passport_verifier.rules import wording
from passport_verifier.rules.dated_checks import DatedKind
from passport_verifier.rules.outcome import Need, Outcome, Party, Result
from passport_verifier.rules.outcome import Words as Sentence
from passport_verifier.rules.parts import type_of
from passport_verifier.store.decisions import (
    Cause,
    Condition,
    ConditionState,
    Listed,
    PersonMethod,
    Reliance,
)
from passport_verifier.store.overrides import Override

router: APIRouter = management_router(f"{PREFIX}/decisions", tags=["decisions"])
Reader = Annotated[Access, Depends(access("verifications:read"))]
Writer = Annotated[Access, Depends(access("verifications:write"))]


class DaysView(ApiModel):
    """What a rule found on the first and on the last day."""

    first_day: Result
    last_day: Result


class FixerView(ApiModel):
    """Who can put it right."""

    party: Party
    name: Words


class FindingView(ApiModel):
    """One rule's finding."""

    rule: str
    name: Words
    credential: str | None
    subject: str | None
    need: Need
    result: Result
    days: DaysView
    reason: str | None
    text: Words | None = Field(description="Null once the details have been deleted with the movement.")
    who_can_fix: FixerView | None
    outcome: Outcome


class ConditionView(ApiModel):
    """Something to be done after a start that was allowed without it."""

    number: int
    rule: str
    subject: str | None
    text: Words
    due: datetime
    owner: Party
    owner_name: Words
    state: ConditionState


class RelianceView(ApiModel):
    """One credential the decision relies on, and the verdict on it: every check by name."""

    credential: str
    vct: str
    issuer: str
    issuer_ods: str | None
    iat: datetime
    exp: datetime
    trust: str
    status: str
    verdict: dict[str, Any]


class PersonView(ApiModel):
    """Who confirmed the person, how and when."""

    method: PersonMethod
    by: ActorView
    at: datetime


class DatedCheckView(ApiModel):
    """Something to look at on a day during the movement, though nothing is wrong now."""

    kind: DatedKind
    credential: str
    text: Words
    on: date = Field(description="When to see to it.")
    runs_out: date
    hold_on: date | None = Field(description="The first day on which it counts as run out.")
    owner: Party


class OverrideBrief(ApiModel):
    """An override in force."""

    id: str
    text: Words
    expires_at: datetime


class OutcomeView(ApiModel):
    """The answer, for somebody who may see it."""

    outcome: Outcome
    text: Words
    decided_by: Party | None = Field(description="Who decides, where a person has to.")
    latest_end: date | None = Field(description="A last day that would be in order, where this one is not.")
    verified: bool
    findings: list[FindingView]
    conditions: list[ConditionView]
    reliances: list[RelianceView]
    dated_checks: list[DatedCheckView]
    overrides: list[OverrideBrief]
    outcome_now: Outcome = Field(
        description="The outcome with the overrides in force; without any, the outcome as it was judged."
    )


class DecisionView(ApiModel):
    """A decision. `result` is null while it is withheld."""

    id: str
    request_id: str
    movement_id: str | None
    cause: Cause
    recheck_of: str | None
    superseded_by: str | None
    received_at: datetime
    decided_at: datetime
    first_day: date
    last_day: date
    withheld: Literal["AWAITING_PERSON", "AWAITING_RETURN"] | None
    person: PersonView | None
    policy_version: str
    registry_sequence: int
    registry_age_s: int = Field(
        description="Age of the network register's copy it was judged by, in seconds."
    )
    status_times: dict[str, datetime]
    awaits_status: bool = Field(description="It is judged again by itself when a status list arrives.")
    result: OutcomeView | None


class DecisionSummary(ApiModel):
    """A decision in a list: `outcome` is null while it is withheld."""

    id: str
    request_id: str
    movement_id: str | None
    cause: Cause
    recheck_of: str | None
    superseded_by: str | None
    decided_at: datetime
    withheld: Literal["AWAITING_PERSON", "AWAITING_RETURN"] | None
    outcome: Outcome | None


class ShownIdentityBody(ApiModel):
    """What stands in the document the person showed; compared with what was shared, never stored."""

    family_name: Annotated[str, Field(min_length=1, max_length=200)]
    given_name: Annotated[str, Field(min_length=1, max_length=200)]
    birthdate: date


class PersonConfirmationBody(ApiModel):
    """How somebody made sure that this is the person."""

    method: PersonMethod
    shown: ShownIdentityBody | None = None
    actor: ActorRef = None


class RecheckBody(ApiModel):
    """Who asks for it."""

    actor: ActorRef = None


class ConditionMetBody(ApiModel):
    """Who saw to it."""

    actor: ActorRef = None


def _party(party: str | None) -> FixerView | None:
    if party is None:
        return None
    who = Party(party)
    return FixerView(party=who, name={locale: wording.party(who, locale) for locale in wording.LOCALES})


def _text(said: Mapping[str, Any] | None, day: str) -> dict[str, str] | None:
    if said is None:
        return None
    return wording.both(Sentence(key=said[day]["key"], params=said[day]["params"]))


def _finding(entry: Mapping[str, Any], said: Mapping[str, Any] | None) -> FindingView:
    return FindingView(
        rule=entry["rule"],
        name={locale: wording.rule_name(entry["rule"], locale) for locale in wording.LOCALES},
        credential=entry["credential"],
        subject=entry["subject"],
        need=Need(entry["need"]),
        result=Result(entry["result"]),
        days=DaysView(first_day=Result(entry["first_day"]), last_day=Result(entry["last_day"])),
        reason=entry["reason"],
        text=_text(said, entry["telling"]),
        who_can_fix=_party(entry["who_can_fix"]),
        outcome=Outcome(entry["outcome"]),
    )


def _condition(condition: Condition) -> ConditionView:
    owner = Party(condition.owner)
    return ConditionView(
        number=condition.number,
        rule=condition.rule,
        subject=condition.subject,
        text=wording.both(Sentence(key=condition.text, params={"subject": condition.subject or ""})),
        due=condition.due,
        owner=owner,
        owner_name={locale: wording.party(owner, locale) for locale in wording.LOCALES},
        state=condition.state,
    )


def _reliance(one: Reliance) -> RelianceView:
    return RelianceView(
        credential=type_of(one.credential),
        vct=one.vct,
        issuer=one.issuer,
        issuer_ods=one.issuer_ods,
        iat=one.iat,
        exp=one.exp,
        trust=one.trust_finding,
        status=one.status_finding,
        verdict=dict(one.verdict),
    )


def _result(told: Told) -> OutcomeView:
    decision = told.listed.decision
    decided_by = Party(decision.decided_by) if decision.decided_by else None
    said = told.said or (None,) * len(decision.findings)
    return OutcomeView(
        outcome=decision.outcome,
        text={locale: wording.outcome(decision.outcome, decided_by, locale) for locale in wording.LOCALES},
        decided_by=decided_by,
        latest_end=date.fromisoformat(decision.latest_end) if decision.latest_end else None,
        verified=decision.verified,
        findings=[_finding(entry, words) for entry, words in zip(decision.findings, said, strict=True)],
        conditions=[_condition(one) for one in told.conditions],
        reliances=[_reliance(one) for one in told.reliances],
        dated_checks=[_dated(entry) for entry in told.dated],
        overrides=[_override(one) for one in told.overrides],
        outcome_now=told.outcome_now,
    )


def _dated(entry: Mapping[str, Any]) -> DatedCheckView:
    words = Sentence(key=entry["kind"], params={"credential": entry["credential"], "date": entry["runs_out"]})
    return DatedCheckView.model_validate({**entry, "text": wording.both(words)})


def _override(override: Override) -> OverrideBrief:
    words = Sentence(key="OVERRIDDEN", params={"moment": override.expires_at.isoformat()})
    return OverrideBrief(id=override.id, text=wording.both(words), expires_at=override.expires_at)


async def _view(ctx: Context, listed: Listed) -> DecisionView:
    decision = listed.decision
    why = operations.withheld(listed)
    person = None
    if decision.person_at and decision.person_method and decision.person_by:
        person = PersonView(
            method=decision.person_method, by=ActorView(**decision.person_by), at=decision.person_at
        )
    return DecisionView(
        id=decision.id,
        request_id=decision.request_id,
        movement_id=decision.movement_id,
        cause=decision.cause,
        recheck_of=decision.recheck_of,
        superseded_by=listed.superseded_by,
        received_at=decision.received_at,
        decided_at=decision.decided_at,
        first_day=decision.first_day,
        last_day=decision.last_day,
        withheld=why,
        person=person,
        policy_version=decision.policy_version,
        registry_sequence=decision.registry_sequence,
        registry_age_s=decision.registry_age_s,
        status_times={uri: datetime.fromisoformat(at) for uri, at in decision.status_times.items()},
        awaits_status=decision.awaits_status and listed.superseded_by is None,
        result=None if why else _result(await operations.told(ctx, listed)),
    )


def _summary(listed: Listed) -> DecisionSummary:
    decision, why = listed.decision, operations.withheld(listed)
    return DecisionSummary(
        id=decision.id,
        request_id=decision.request_id,
        movement_id=decision.movement_id,
        cause=decision.cause,
        recheck_of=decision.recheck_of,
        superseded_by=listed.superseded_by,
        decided_at=decision.decided_at,
        withheld=why,
        outcome=None if why else decision.outcome,
    )


@router.get("", summary="List decisions")
async def list_decisions(
    who: Reader,
    ctx: Ctx,
    paging: Paging,
    movement_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    request_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Page[DecisionSummary]:
    """Decisions of this host, newest first."""
    found, following = await operations.find(
        ctx, who.ods, paging, movement_id=movement_id, request_id=request_id
    )
    return Page(items=[_summary(listed) for listed in found], next=following)


@router.get("/{decision_id}", summary="Read a decision")
async def read_decision(decision_id: IdPath, who: Reader, ctx: Ctx) -> DecisionView:
    """One decision."""
    return await _view(ctx, await operations.get(ctx, who.ods, decision_id))


@router.post("/{decision_id}/person-confirmation", summary="Confirm the person")
async def confirm_person(
    decision_id: IdPath, body: PersonConfirmationBody, who: Writer, ctx: Ctx, request: Request
) -> DecisionView:
    """Confirm that the person is the one whose records were shared; the result is shown from then on."""
    actor = who.actor(body.actor)
    shown = ShownIdentity(**body.shown.model_dump()) if body.shown else None

    async def work(_: object) -> str:
        await operations.confirm_person(ctx, who.ods, decision_id, body.method, shown, actor)
        return decision_id

    await once(ctx, request, who, work)
    return await _view(ctx, await operations.get(ctx, who.ods, decision_id))


@router.post("/{decision_id}/recheck", status_code=201, summary="Judge a decision again")
async def recheck_decision(
    decision_id: IdPath, body: RecheckBody, who: Writer, ctx: Ctx, request: Request, response: Response
) -> DecisionView:
    """Judge again with today's register, status lists and look-ups: a new decision, linked to this one."""
    actor = who.recorder(body.actor)
    made = await once(
        ctx, request, who, lambda claim: rechecks.recheck(ctx, who.ods, decision_id, actor, claim)
    )
    response.headers["Location"] = f"/api/v1/organisations/{who.ods}/decisions/{made.resource_id}"
    return await _view(ctx, await operations.get(ctx, who.ods, made.resource_id))


@router.post("/{decision_id}/conditions/{number}/met", summary="Record that a condition is met")
async def condition_met(
    decision_id: IdPath,
    number: Annotated[int, Path(ge=1, le=100)],
    body: ConditionMetBody,
    who: Writer,
    ctx: Ctx,
    request: Request,
) -> DecisionView:
    """Record that somebody saw to a condition; repeating it changes nothing."""
    actor = who.actor(body.actor)

    async def work(_: object) -> str:
        await operations.meet_condition(ctx, who.ods, decision_id, number, actor)
        return decision_id

    await once(ctx, request, who, work)
    return await _view(ctx, await operations.get(ctx, who.ods, decision_id))
