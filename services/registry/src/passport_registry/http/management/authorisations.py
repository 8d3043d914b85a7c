"""`/api/v1/organisations/{ods}/entities/{role}/authorisations`: proposed, approved, withdrawn."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from passport_registry.http.management.common import (
    Acted,
    ActedWithReason,
    ActorRef,
    ApiModel,
    Ctx,
    Instant,
    OdsPath,
    RolePath,
    acting,
    cursor_of,
    once,
    operator,
    page_of,
)
from passport_registry.operations import authorisations as operations
from passport_registry.rules.authorisations import Action, Grant, GrantState
from passport_registry.store.authorisations import Authorisation
from passport_shared.service.auth import Caller, authorise_organisation, require
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.four_eyes import FourEyes

router: APIRouter = management_router(
    "/api/v1/organisations/{ods}/entities/{role}/authorisations", tags=["authorisations"]
)

Reader = Annotated[Caller, Depends(require("authorisations:read"))]
Writer = Annotated[Caller, Depends(require("authorisations:write"))]
Approver = Annotated[Caller, Depends(require("authorisations:approve"))]
IdPath = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
PathSegment = (
    Annotated[str, Field(min_length=1, max_length=100)] | Annotated[int, Field(ge=0, le=10_000)] | None
)


class ProposeAuthorisation(ApiModel):
    """What an entity is to be allowed; `max_validity_s` for issuing, `claims` and `purposes` for asking."""

    action: Action
    vct: Annotated[str, Field(max_length=300, examples=["https://registry.example/vct/StaffIdentity/1"])]
    territory: list[Annotated[str, Field(min_length=1, max_length=60)]] = Field(
        default_factory=list, max_length=20
    )
    valid_from: Instant
    valid_until: Instant
    max_validity_s: int | None = None
    claims: list[Annotated[list[PathSegment], Field(min_length=1, max_length=8)]] = Field(
        default_factory=list, max_length=200
    )
    purposes: list[Annotated[str, Field(min_length=2, max_length=40)]] = Field(
        default_factory=list, max_length=60
    )
    test: bool = Field(default=False, description="Only for the test issue: 14 days, credentials of a day.")
    actor: ActorRef


class AuthorisationView(ApiModel):
    """An authorisation with everybody who had a say in it."""

    id: str
    entity_id: str
    action: Action
    vct: str
    territory: list[str]
    valid_from: datetime
    valid_until: datetime
    max_validity_s: int | None
    claims: list[list[str | int | None]]
    purposes: list[str]
    test: bool
    state: GrantState
    proposed_at: datetime
    proposed_by: dict[str, Any]
    approved_at: datetime | None
    approved_by: dict[str, Any] | None
    four_eyes: FourEyes | None
    withdrawn_at: datetime | None
    withdrawn_by: dict[str, Any] | None
    withdrawn_reason: str | None


def _view(item: Authorisation) -> AuthorisationView:
    return AuthorisationView(
        id=item.id,
        entity_id=item.entity_id,
        action=Action(item.action),
        vct=item.vct,
        territory=list(item.territory),
        valid_from=item.valid_from,
        valid_until=item.valid_until,
        max_validity_s=item.max_validity_s,
        claims=[list(path) for path in item.claims],
        purposes=list(item.purposes),
        test=item.test,
        state=GrantState(item.state),
        proposed_at=item.proposed_at,
        proposed_by=dict(item.proposed_by),
        approved_at=item.approved_at,
        approved_by=dict(item.approved_by) if item.approved_by else None,
        four_eyes=FourEyes(item.four_eyes) if item.four_eyes else None,
        withdrawn_at=item.withdrawn_at,
        withdrawn_by=dict(item.withdrawn_by) if item.withdrawn_by else None,
        withdrawn_reason=item.withdrawn_reason,
    )


@router.post("", status_code=201)
async def propose(
    ods: OdsPath,
    role: RolePath,
    body: ProposeAuthorisation,
    request: Request,
    response: Response,
    ctx: Ctx,
    caller: Writer,
) -> AuthorisationView:
    """Propose an authorisation; it counts once somebody else approves it."""
    operator(caller)
    actor = acting(caller, body.actor)
    grant = Grant(
        action=body.action,
        vct=body.vct,
        territory=tuple(body.territory),
        valid_from=body.valid_from,
        valid_until=body.valid_until,
        max_validity_s=body.max_validity_s,
        claims=tuple(tuple(path) for path in body.claims),
        purposes=tuple(body.purposes),
        test=body.test,
    )

    async def work(claim: Any) -> str:
        return (await operations.propose(ctx, ods, role, grant, actor, claim)).id

    made = await once(ctx, request, caller, work)
    response.headers["Location"] = (
        f"/api/v1/organisations/{ods}/entities/{role}/authorisations/{made.resource_id}"
    )
    return _view(await operations.get(ctx, ods, role, made.resource_id))


@router.get("")
async def page(
    ods: OdsPath, role: RolePath, ctx: Ctx, caller: Reader, query: Paging
) -> Page[AuthorisationView]:
    """List the entity's authorisations, oldest first, withdrawn ones among them."""
    authorise_organisation(caller, ods)
    name = f"authorisations/{ods}/{role}"
    found = await operations.page(ctx, ods, role, after=cursor_of(query, name), limit=query.limit + 1)
    items, following = page_of(found, query, name, lambda item: item.id)
    return Page(items=[_view(item) for item in items], next=following)


@router.get("/{authorisation_id}")
async def get(
    ods: OdsPath, role: RolePath, authorisation_id: IdPath, ctx: Ctx, caller: Reader
) -> AuthorisationView:
    """Read an authorisation."""
    authorise_organisation(caller, ods)
    return _view(await operations.get(ctx, ods, role, authorisation_id))


@router.post("/{authorisation_id}/approve")
async def approve(
    ods: OdsPath, role: RolePath, authorisation_id: IdPath, body: Acted, ctx: Ctx, caller: Approver
) -> AuthorisationView:
    """Approve what somebody else proposed."""
    operator(caller)
    return _view(await operations.approve(ctx, ods, role, authorisation_id, acting(caller, body.actor)))


@router.post("/{authorisation_id}/withdraw")
async def withdraw(
    ods: OdsPath, role: RolePath, authorisation_id: IdPath, body: ActedWithReason, ctx: Ctx, caller: Writer
) -> AuthorisationView:
    """Withdraw an authorisation; what was issued under it stays usable until its own end."""
    operator(caller)
    actor = acting(caller, body.actor)
    return _view(await operations.withdraw(ctx, ods, role, authorisation_id, actor, reason=body.reason))
