"""`…/policies`: what this host needs for each movement type and role profile, and so what it asks for.

The network's defaults, and the host's own versions of them: proposed, approved by a second person, in effect
from a day, never edited.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire import catalogue
from passport_shared.wire.four_eyes import FourEyes
from passport_verifier.errors import NotFound
from passport_verifier.http.management.common import (
    PREFIX,
    Access,
    ActorRef,
    ActorView,
    ApiModel,
    Ctx,
    IdPath,
    Short,
    Words,
    access,
    once,
)
from passport_verifier.operations import policies as operations
from passport_verifier.operations.policies import Proposal
from passport_verifier.rules import wording
from passport_verifier.rules.asking import Asked, asked
from passport_verifier.rules.outcome import ConditionTemplate, Need, Party
from passport_verifier.rules.outcome import Words as Sentence
from passport_verifier.rules.policies import HostPolicy, NeedRow
from passport_verifier.store.policies import PolicyVersion, VersionState

router: APIRouter = management_router(f"{PREFIX}/policies", tags=["policies"])
Reader = Annotated[Access, Depends(access("policies:read"))]
Writer = Annotated[Access, Depends(access("policies:write"))]
Approver = Annotated[Access, Depends(access("policies:approve"))]

NumberPath = Annotated[int, Path(ge=1, le=1_000_000, description="Number of the host's version.")]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Level = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9_]{0,19}$")]
RegulatorCode = Annotated[str, Field(pattern=r"^[A-Za-z]{2,12}$")]
Hours = Annotated[int, Field(ge=1, le=720)]
Months = Annotated[int, Field(ge=1, le=120)]
Group = Literal["ADULT", "CHILD"]


class DueHours(ApiModel):
    """So many hours after the decision."""

    hours: Hours


class ConditionRules(ApiModel):
    """A condition the host accepts in place of a need."""

    text: Code = Field(examples=["COMPLETE_TRAINING"])
    due: Literal["FIRST_DAY"] | DueHours
    owner: Party


class RowRules(ApiModel):
    """One row: a rule, and for core skills a subject; its conditions by reason, `*` for any."""

    rule: Annotated[str, Field(pattern=r"^R-[0-9]{2}$", examples=["R-12"])]
    need: Need
    subject: Annotated[str, Field(pattern=r"^[A-Z]{2,8}$", examples=["FS"])] | None = None
    levels: Annotated[list[Level], Field(max_length=12)] = Field(
        default_factory=list, description="The levels that satisfy it, the one to ask for first."
    )
    months: Months | None = Field(default=None, description="How long a completed course counts.")
    note: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        default=None, description="Where a threshold comes from."
    )
    conditions: Annotated[
        dict[Annotated[str, Field(pattern=r"^(\*|[A-Z][A-Z0-9_]{0,39})$")], ConditionRules],
        Field(max_length=10),
    ] = Field(default_factory=dict)


class DbsRules(ApiModel):
    """What a role needs of the criminal record check."""

    level: Literal["NONE", "BASIC", "STANDARD", "ENHANCED", "ENHANCED_BARRED"]
    workforce: Annotated[list[Group], Field(min_length=1, max_length=2)]
    barred_lists: Annotated[list[Group], Field(max_length=2)]
    max_age_months: Months | None = None


class ProfileRules(ApiModel):
    """What a role does at the host, as far as a host may change it."""

    regulated_activity: bool
    epp: bool = Field(description="Exposure-prone procedures.")
    gpg45_minimum: Literal["LOW", "MEDIUM", "HIGH", "VERY_HIGH"]
    dbs: DbsRules
    regulators: Annotated[list[RegulatorCode], Field(max_length=20)]
    licence_required: bool
    provisional_allowed: bool
    look_up_max_age_hours: Annotated[dict[RegulatorCode, Hours], Field(max_length=20)]
    oh_role_categories: Annotated[list[Code], Field(max_length=40)]


class PolicyRules(ApiModel):
    """The rules of a policy: its profile and rows, in the form the network's defaults have."""

    profile: ProfileRules
    rows: Annotated[list[RowRules], Field(min_length=1, max_length=60)]


class NewVersionBody(PolicyRules):
    """A version a host proposes. Read the policy, change its `rules`, and send them."""

    effective: date = Field(description="In effect from this day, in Europe/London.")
    note: Short | None = Field(default=None, description="Why, for whoever approves.")
    actor: ActorRef = None


class ActBody(ApiModel):
    """Who approves it, or takes it back."""

    actor: ActorRef = None


class ConditionTemplateView(ApiModel):
    """A condition the host accepts in place of a need."""

    reason: str
    text: Words
    due_hours: int | None
    due_on_first_day: bool
    owner: Party


class NeedView(ApiModel):
    """One row of a policy."""

    rule: str
    name: Words
    subject: str | None
    need: Need
    levels: list[str]
    months: int | None
    conditions: list[ConditionTemplateView]


class AskedView(ApiModel):
    """What is asked of one credential type; the trust's entry in the network register must cover it."""

    credential: str
    vct: str
    name: Words
    required: list[list[str]]
    optional: list[list[str]]


class PolicyView(ApiModel):
    """A policy as this host judges by it today, its version and digest."""

    id: str
    version: str
    version_id: str
    own: bool = Field(description="Whether it is the host's own version of the network's default.")
    digest: str
    movement_type: str
    role_profile: str
    labels: Words
    effective: date
    urgent: bool
    needs: list[NeedView]
    asks: list[AskedView]
    rules: PolicyRules


class VersionView(ApiModel):
    """A host's version of a policy with everybody who had a say in it."""

    number: int
    version_id: str
    policy_id: str
    state: VersionState
    effective: date
    base_version: str = Field(description="The network's default it was compared with.")
    digest: str
    note: str | None
    rules: PolicyRules
    proposed_at: datetime
    proposed_by: ActorView
    approved_at: datetime | None
    approved_by: ActorView | None
    four_eyes: FourEyes | None
    withdrawn_at: datetime | None
    withdrawn_by: ActorView | None


class PolicyList(ApiModel):
    """Every policy of this host."""

    items: list[PolicyView]


def _condition(reason: str, template: ConditionTemplate, row: NeedRow) -> ConditionTemplateView:
    return ConditionTemplateView(
        reason=reason,
        text=wording.both(Sentence(key=template.text, params={"subject": row.subject or ""})),
        due_hours=template.due.hours,
        due_on_first_day=template.due.hours is None,
        owner=template.owner,
    )


def _need(row: NeedRow) -> NeedView:
    return NeedView(
        rule=row.rule,
        name={locale: wording.rule_name(row.rule, locale) for locale in wording.LOCALES},
        subject=row.subject,
        need=row.need,
        levels=list(row.levels),
        months=row.months,
        conditions=[_condition(reason, one, row) for reason, one in row.conditions.items()],
    )


def _asked(entry: Asked, vct_base: str) -> AskedView:
    kind = catalogue.TYPES[entry.credential]
    return AskedView(
        credential=entry.credential,
        vct=catalogue.vct(vct_base, kind.name, kind.version),
        name={locale: kind.display[locale]["name"] for locale in wording.LOCALES},
        required=[list(path) for path in entry.required],
        optional=[list(path) for path in entry.optional],
    )


def rules_of(document: Mapping[str, Any]) -> PolicyRules:
    """The part of a policy's document that a host may change."""
    profile = {name: document["profile"][name] for name in ProfileRules.model_fields}
    return PolicyRules.model_validate({"profile": profile, "rows": document["rows"]})


def _view(policy: HostPolicy, vct_base: str, ods: str) -> PolicyView:
    return PolicyView(
        id=policy.id,
        version=policy.version,
        version_id=policy.version_id,
        own=policy.version.startswith(f"{ods}-"),
        digest=policy.digest,
        movement_type=policy.movement_type,
        role_profile=policy.profile.name,
        labels=dict(policy.labels),
        effective=policy.effective,
        urgent=policy.urgent,
        needs=[_need(row) for row in policy.rows],
        asks=[_asked(entry, vct_base) for entry in asked(policy)],
        rules=rules_of(policy.document),
    )


def _version_view(version: PolicyVersion) -> VersionView:
    return VersionView(
        number=version.number,
        version_id=version.version_id,
        policy_id=version.policy_id,
        state=version.state,
        effective=version.effective,
        base_version=version.base_version,
        digest=version.digest,
        note=version.note,
        rules=rules_of(version.document),
        proposed_at=version.proposed_at,
        proposed_by=ActorView(**version.proposed_by),
        approved_at=version.approved_at,
        approved_by=ActorView(**version.approved_by) if version.approved_by else None,
        four_eyes=FourEyes(version.four_eyes) if version.four_eyes else None,
        withdrawn_at=version.withdrawn_at,
        withdrawn_by=ActorView(**version.withdrawn_by) if version.withdrawn_by else None,
    )


@router.get("", summary="List policies")
async def list_policies(who: Reader, ctx: Ctx) -> PolicyList:
    """Every policy this host judges by today."""
    found = await operations.all_in_force(ctx, who.ods)
    return PolicyList(items=[_view(policy, ctx.trust_file.vct_base, who.ods) for policy in found])


@router.get("/{policy_id}", summary="Read a policy")
async def read_policy(policy_id: IdPath, who: Reader, ctx: Ctx) -> PolicyView:
    """One policy, such as `SERVICE_NEED_URGENT.UROLOGY_SURGEON`."""
    policy = await operations.in_force(ctx, who.ods, policy_id)
    if policy is None:
        raise NotFound
    return _view(policy, ctx.trust_file.vct_base, who.ods)


@router.post("/{policy_id}/versions", status_code=201, summary="Propose a version of a policy")
async def propose_version(
    policy_id: IdPath, body: NewVersionBody, who: Writer, ctx: Ctx, request: Request, response: Response
) -> VersionView:
    """Propose this host's own version; it counts once a second person approves it, from its day on."""
    actor = who.actor(body.actor)
    rules = body.model_dump(mode="json", include={"profile", "rows"}, exclude_none=False)
    new = Proposal(
        effective=body.effective,
        profile=rules["profile"],
        rows=tuple(_stored_row(row) for row in rules["rows"]),
        note=body.note,
    )

    async def work(claim: Any) -> str:
        return str((await operations.propose(ctx, who.ods, policy_id, new, actor, claim)).number)

    made = await once(ctx, request, who, work)
    number = int(made.resource_id)
    path = f"/api/v1/organisations/{who.ods}/policies/{policy_id}/versions/{number}"
    response.headers["Location"] = path
    return _version_view(await operations.get(ctx, who.ods, policy_id, number))


def _stored_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as documents have it: without what it does not say."""
    return {name: value for name, value in row.items() if value not in (None, [], {})}


@router.get("/{policy_id}/versions", summary="List this host's versions of a policy")
async def list_versions(policy_id: IdPath, who: Reader, ctx: Ctx, paging: Paging) -> Page[VersionView]:
    """Every version this host has proposed, newest first."""
    found, following = await operations.versions(ctx, who.ods, policy_id, paging)
    return Page(items=[_version_view(one) for one in found], next=following)


@router.get("/{policy_id}/versions/{number}", summary="Read a version of a policy")
async def read_version(policy_id: IdPath, number: NumberPath, who: Reader, ctx: Ctx) -> VersionView:
    """One version of this host's."""
    return _version_view(await operations.get(ctx, who.ods, policy_id, number))


@router.post("/{policy_id}/versions/{number}/approve", summary="Approve a version of a policy")
async def approve_version(
    policy_id: IdPath, number: NumberPath, body: ActBody, who: Approver, ctx: Ctx, request: Request
) -> VersionView:
    """Approve what somebody else proposed."""
    actor = who.actor(body.actor)

    async def work(_: object) -> str:
        return str((await operations.approve(ctx, who.ods, policy_id, number, actor)).number)

    await once(ctx, request, who, work)
    return _version_view(await operations.get(ctx, who.ods, policy_id, number))


@router.post("/{policy_id}/versions/{number}/withdraw", summary="Take a proposed version back")
async def withdraw_version(
    policy_id: IdPath, number: NumberPath, body: ActBody, who: Writer, ctx: Ctx, request: Request
) -> VersionView:
    """Take a proposal back; what is approved is replaced by another version instead."""
    actor = who.actor(body.actor)

    async def work(_: object) -> str:
        return str((await operations.withdraw(ctx, who.ods, policy_id, number, actor)).number)

    await once(ctx, request, who, work)
    return _version_view(await operations.get(ctx, who.ods, policy_id, number))
