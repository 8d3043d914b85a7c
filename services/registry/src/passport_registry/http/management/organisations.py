"""`/api/v1/organisations`: members of the network and their onboarding steps."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from passport_registry.http.management.common import (
    ActorRef,
    ApiModel,
    Ctx,
    OdsPath,
    acting,
    cursor_of,
    once,
    operator,
    page_of,
)
from passport_registry.operations import organisations as operations
from passport_registry.operations.organisations import OrganisationDetails
from passport_registry.operations.standings import TrustView
from passport_registry.rules.entities import Role
from passport_registry.rules.onboarding import (
    Gate,
    OnboardingState,
    Step,
    StepRecord,
    StepState,
    effective_state,
    london_day,
)
from passport_registry.store.organisations import RecordedStep
from passport_shared.service.auth import Caller, authorise_organisation, require
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.clients import EVERY_ORGANISATION

LIST = "organisations"
router: APIRouter = management_router("/api/v1/organisations", tags=["organisations"])

Reader = Annotated[Caller, Depends(require("organisations:read"))]
Writer = Annotated[Caller, Depends(require("organisations:write"))]
StepReader = Annotated[Caller, Depends(require("onboarding:read"))]
StepWriter = Annotated[Caller, Depends(require("onboarding:write"))]

Short = Annotated[str, Field(min_length=1, max_length=200)]


class Contacts(ApiModel):
    """Contacts of a trust's offices; role mailboxes are better than people's."""

    hrd: Short | None = Field(
        default=None, description="HR director: named by office or mailbox; gate G1 needs it."
    )
    ig_lead: Short | None = None
    hr_team: Short | None = Field(default=None, description="Shown in the public register.")
    phone: Annotated[str, Field(max_length=40)] | None = None
    out_of_hours: Annotated[str, Field(max_length=200)] | None = None
    appointment_url: Annotated[str, Field(max_length=500, pattern=r"^https://[!-~]+$")] | None = None


class CstfAlignment(ApiModel):
    """Declared alignment with the core skills framework, per subject."""

    subject: Annotated[str, Field(pattern=r"^[A-Z]{2,8}$")]
    level: Annotated[str, Field(max_length=8)]
    declared_on: date


class NetworkMembership(ApiModel):
    """Membership of a regional network, with its dates."""

    id: Annotated[str, Field(min_length=1, max_length=60)]
    since: date | None = None
    until: date | None = None


class OrganisationBody(ApiModel):
    """What can be said about an organisation and changed later."""

    name: Annotated[str, Field(min_length=3, max_length=200)]
    aliases: list[Short] = Field(default_factory=list, max_length=20)
    locality: Short | None = None
    icb: Short | None = None
    ods_roles: list[Annotated[str, Field(pattern=r"^RO[0-9]{1,4}$")]] = Field(
        default_factory=list, max_length=20
    )
    contacts: Contacts = Field(default_factory=Contacts)
    cstf_alignment: list[CstfAlignment] = Field(default_factory=list, max_length=60)
    networks: list[NetworkMembership] = Field(default_factory=list, max_length=20)

    def details(self) -> OrganisationDetails:
        """Return what the operation takes."""
        return OrganisationDetails(
            name=self.name,
            aliases=self.aliases,
            locality=self.locality,
            icb=self.icb,
            ods_roles=self.ods_roles,
            contacts=self.contacts.model_dump(exclude_none=True),
            cstf_alignment=[item.model_dump(mode="json") for item in self.cstf_alignment],
            networks=[item.model_dump(mode="json") for item in self.networks],
        )


class OrganisationChange(OrganisationBody):
    """A change of an organisation, by whom."""

    actor: ActorRef


class OrganisationInvite(OrganisationChange):
    """An organisation to be added."""

    ods_code: Annotated[str, Field(pattern=r"^[A-Z0-9]{3,6}$", examples=["RBV"])]
    sandbox: bool = Field(
        default=False,
        description="For practice: its records count for sandbox trusts only. Never changed later.",
    )


class MissingItem(ApiModel):
    """One reason why a gate is shut."""

    code: str
    text: str
    who_can_fix: str


class GateView(ApiModel):
    """A gate: whether it holds, and what is missing."""

    holds: bool
    missing: list[MissingItem]


class EntitySummary(ApiModel):
    """An entity of the organisation in one line."""

    role: Role
    entity_id: str
    enrolled: bool
    suspension: str | None
    live: bool


class OrganisationView(ApiModel):
    """An organisation with what is derived about it; nobody types state or gates."""

    ods_code: str
    name: str
    aliases: list[str]
    locality: str | None
    icb: str | None
    ods_roles: list[str]
    contacts: dict[str, str]
    cstf_alignment: list[dict[str, Any]]
    networks: list[dict[str, Any]]
    sandbox: bool
    keeps_hr_users: bool = Field(description="Whether only its recorded HR users may be named as actors.")
    state: OnboardingState
    gates: dict[str, GateView]
    live_to_issue: bool
    live_to_verify: bool
    entities: list[EntitySummary]
    created_at: datetime
    updated_at: datetime
    version: int


class StepBody(ApiModel):
    """Where a step stands, as somebody records it."""

    state: StepState
    due: date | None = None
    done_on: date | None = Field(default=None, description="The day it was done; may lie in the past.")
    valid_until: date | None = Field(default=None, description="Last day on which a DONE step counts.")
    waived_until: date | None = None
    waived_by: Annotated[str, Field(max_length=100)] | None = None
    evidence: Annotated[str, Field(max_length=300)] | None = Field(
        default=None, description="Reference of a document; a DONE or WAIVED step needs one."
    )
    owner: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="Office, not a person."
    )
    note: Annotated[str, Field(max_length=500)] | None = None
    details: dict[
        Annotated[str, Field(max_length=40)], bool | int | Annotated[str, Field(max_length=100)]
    ] = Field(
        default_factory=dict,
        max_length=10,
        description="Facts the gates read: REGISTRATION {ods_active}, DPIA {approved_by_ig_lead}, "
        "HR_TRAINING {trained_issuers, trained_verifiers, mfa, cover: "
        "DEPUTY|SHARED_HR_SERVICE|OTHER_TRUST}, ESR_LINK {method: API|CSV|MANUAL}.",
    )
    actor: ActorRef


class StepView(ApiModel):
    """A step as it counts today."""

    step: Step
    state: StepState
    due: date | None
    done_on: date | None
    valid_until: date | None
    waived_until: date | None
    waived_by: str | None
    evidence: str | None
    owner: str | None
    note: str | None
    details: dict[str, Any]
    recorded_at: datetime | None
    version: int


class StepList(ApiModel):
    """All steps of an organisation, in their order."""

    items: list[StepView]


def _gate(gate: Gate) -> GateView:
    missing = [
        MissingItem(code=item.code, text=item.text, who_can_fix=item.who_can_fix) for item in gate.missing
    ]
    return GateView(holds=gate.holds, missing=missing)


def organisation_view(view: TrustView) -> OrganisationView:
    """Return the API's form of an organisation."""
    held = view.organisation
    return OrganisationView(
        ods_code=held.ods_code,
        name=held.name,
        aliases=list(held.aliases),
        locality=held.locality,
        icb=held.icb,
        ods_roles=list(held.ods_roles),
        contacts=dict(held.contacts),
        cstf_alignment=[dict(item) for item in held.cstf_alignment],
        networks=[dict(item) for item in held.networks],
        sandbox=held.sandbox,
        keeps_hr_users=held.keeps_hr_users,
        state=view.state,
        gates={gate.name.value: _gate(gate) for gate in (view.gates.g1, view.gates.g2, view.gates.g3)},
        live_to_issue=view.live(Role.ISSUER),
        live_to_verify=view.live(Role.VERIFIER),
        entities=[
            EntitySummary(
                role=role,
                entity_id=item.entity.entity_id,
                enrolled=item.enrolled,
                suspension=item.entity.suspension,
                live=item.standing.live,
            )
            for role, item in sorted(view.entities.items())
        ],
        created_at=held.created_at,
        updated_at=held.updated_at,
        version=held.version,
    )


def _step_view(step: Step, recorded: RecordedStep | None, today: date) -> StepView:
    record = recorded.record if recorded else StepRecord(step=step)
    return StepView(
        step=step,
        state=effective_state(record, today),
        due=record.due,
        done_on=record.done_on,
        valid_until=record.valid_until,
        waived_until=record.waived_until,
        waived_by=record.waived_by,
        evidence=record.evidence,
        owner=record.owner,
        note=record.note,
        details=dict(record.details),
        recorded_at=recorded.recorded_at if recorded else None,
        version=recorded.version if recorded else 0,
    )


@router.post("", status_code=201)
async def invite(
    body: OrganisationInvite, request: Request, response: Response, ctx: Ctx, caller: Writer
) -> OrganisationView:
    """Add an organisation to the network; it starts as INVITED."""
    operator(caller)
    actor = acting(caller, body.actor)

    async def work(claim: Any) -> str:
        await operations.invite(ctx, body.ods_code, body.details(), actor, claim, sandbox=body.sandbox)
        return body.ods_code

    made = await once(ctx, request, caller, work)
    view = await operations.get(ctx, made.resource_id)
    response.headers["Location"] = f"/api/v1/organisations/{made.resource_id}"
    response.headers["ETag"] = etag_of(view.organisation.version)
    return organisation_view(view)


@router.get("")
async def page(ctx: Ctx, caller: Reader, query: Paging) -> Page[OrganisationView]:
    """List organisations by ODS code; a client of one organisation sees its own."""
    only = None if caller.organisation == EVERY_ORGANISATION else caller.organisation
    found = await operations.page(ctx, after=cursor_of(query, LIST), limit=query.limit + 1, only=only)
    items, following = page_of(found, query, LIST, lambda view: view.organisation.ods_code)
    return Page(items=[organisation_view(view) for view in items], next=following)


@router.get("/{ods}")
async def get(ods: OdsPath, response: Response, ctx: Ctx, caller: Reader) -> OrganisationView:
    """Read an organisation with its gates and state."""
    authorise_organisation(caller, ods)
    view = await operations.get(ctx, ods)
    response.headers["ETag"] = etag_of(view.organisation.version)
    return organisation_view(view)


@router.put("/{ods}")
async def change(
    ods: OdsPath,
    body: OrganisationChange,
    response: Response,
    ctx: Ctx,
    caller: Writer,
    if_match: IfMatch = None,
) -> OrganisationView:
    """Replace what is recorded about an organisation; `If-Match` names the version that was read."""
    authorise_organisation(caller, ods)
    before = await operations.get(ctx, ods)
    require_match(if_match, etag_of(before.organisation.version))
    view = await operations.change(
        ctx, ods, body.details(), before.organisation.version, acting(caller, body.actor)
    )
    response.headers["ETag"] = etag_of(view.organisation.version)
    return organisation_view(view)


@router.get("/{ods}/steps")
async def steps(ods: OdsPath, ctx: Ctx, caller: StepReader) -> StepList:
    """Read all onboarding steps of an organisation."""
    authorise_organisation(caller, ods)
    recorded = await operations.steps(ctx, ods)
    today = london_day(ctx.clock.now())
    return StepList(items=[_step_view(step, recorded.get(step), today) for step in Step])


@router.get("/{ods}/steps/{step}")
async def get_step(ods: OdsPath, step: Step, response: Response, ctx: Ctx, caller: StepReader) -> StepView:
    """Read one onboarding step; one that nobody has recorded has version 0."""
    authorise_organisation(caller, ods)
    recorded = await operations.steps(ctx, ods)
    view = _step_view(step, recorded.get(step), london_day(ctx.clock.now()))
    response.headers["ETag"] = etag_of(view.version)
    return view


@router.put("/{ods}/steps/{step}")
async def record_step(
    ods: OdsPath,
    step: Step,
    body: StepBody,
    response: Response,
    ctx: Ctx,
    caller: StepWriter,
    if_match: IfMatch = None,
) -> StepView:
    """Record where a step stands; gates and state follow. `If-Match: "0"` for a step nobody has recorded."""
    operator(caller)
    actor = acting(caller, body.actor)
    before = (await operations.steps(ctx, ods)).get(step)
    version = before.version if before else 0
    require_match(if_match, etag_of(version))
    record = StepRecord(step=step, **body.model_dump(exclude={"actor"}))
    await operations.record_step(ctx, ods, record, actor, expected_version=version)
    recorded = await operations.steps(ctx, ods)
    view = _step_view(step, recorded.get(step), london_day(ctx.clock.now()))
    response.headers["ETag"] = etag_of(view.version)
    return view
