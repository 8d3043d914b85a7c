"""`…/policies`: what this host needs for each movement type and role profile, and so what it asks for."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends

from passport_shared.service.routes import management_router
from passport_shared.wire import catalogue
from passport_verifier.errors import NotFound
from passport_verifier.http.management.common import PREFIX, Access, ApiModel, Ctx, IdPath, Words, access
from passport_verifier.rules import wording
from passport_verifier.rules.asking import Asked, asked
from passport_verifier.rules.outcome import ConditionTemplate, Need, Party
from passport_verifier.rules.outcome import Words as Sentence
from passport_verifier.rules.policies import HostPolicy, NeedRow, policies

router: APIRouter = management_router(f"{PREFIX}/policies", tags=["policies"])
Reader = Annotated[Access, Depends(access("policies:read"))]


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
    """A policy, its version and digest."""

    id: str
    version: str
    digest: str
    movement_type: str
    role_profile: str
    labels: Words
    effective: date
    needs: list[NeedView]
    asks: list[AskedView]


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


def _view(policy: HostPolicy, vct_base: str) -> PolicyView:
    return PolicyView(
        id=policy.id,
        version=policy.version,
        digest=policy.digest,
        movement_type=policy.movement_type,
        role_profile=policy.profile.name,
        labels=dict(policy.labels),
        effective=policy.effective,
        needs=[_need(row) for row in policy.rows],
        asks=[_asked(entry, vct_base) for entry in asked(policy)],
    )


@router.get("", summary="List policies")
async def list_policies(who: Reader, ctx: Ctx) -> PolicyList:  # noqa: ARG001 (the access check is the point)
    """Every policy this host can judge by."""
    return PolicyList(items=[_view(policy, ctx.trust_file.vct_base) for policy in policies().values()])


@router.get("/{policy_id}", summary="Read a policy")
async def read_policy(policy_id: IdPath, who: Reader, ctx: Ctx) -> PolicyView:  # noqa: ARG001
    """One policy, such as `SERVICE_NEED_URGENT.UROLOGY_SURGEON`."""
    policy = policies().get(policy_id)
    if policy is None:
        raise NotFound
    return _view(policy, ctx.trust_file.vct_base)
