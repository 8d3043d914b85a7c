"""`/api/v1/organisations/{ods}/entities`: entities, enrolment codes, certificates, suspension."""

from datetime import date, datetime
from typing import Annotated, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from passport_registry.errors import NotFound
from passport_registry.http.management.common import (
    Acted,
    ActedWithReason,
    ActorRef,
    ApiModel,
    Ctx,
    OdsPath,
    Reason,
    RolePath,
    acting,
    once,
    operator,
)
from passport_registry.operations import entities as operations
from passport_registry.operations import organisations
from passport_registry.operations.standings import EntityView
from passport_registry.rules.entities import Carries, Role, Suspension
from passport_registry.store.entities import Certificate
from passport_shared.service.auth import Caller, authorise_organisation, require
from passport_shared.service.routes import management_router

router: APIRouter = management_router("/api/v1/organisations/{ods}/entities", tags=["entities"])

Reader = Annotated[Caller, Depends(require("entities:read"))]
Writer = Annotated[Caller, Depends(require("entities:write"))]
Approver = Annotated[Caller, Depends(require("entities:approve"))]


class NewEntity(ApiModel):
    """An entity to be created; it gets authority and keys later."""

    role: Role
    entity_id: Annotated[str, Field(min_length=12, max_length=255, examples=["https://issuer.example/RBV"])]
    actor: ActorRef


class EntityDetail(ApiModel):
    """An entity with what of its authority is in force."""

    role: Role
    entity_id: str
    ods_code: str
    enrolled_at: datetime | None
    suspension: Suspension | None
    suspension_reason: str | None
    suspended_at: datetime | None
    review_on: date | None
    live: bool
    live_since: datetime | None
    issuing_closed_at: datetime | None
    mark_carries: Carries
    version: int


class EntityList(ApiModel):
    """The entities of an organisation, at most one per role."""

    items: list[EntityDetail]


class EnrolmentCodeView(ApiModel):
    """A one-time code; its text is shown in the first answer and never again."""

    id: str
    entity_id: str
    code: str | None
    expires_at: datetime | None


class CertificateView(ApiModel):
    """A leaf of the entity as it is pinned in its mark."""

    x5t_s256: str
    use: str
    jkt: str
    state: str
    state_reason: str | None
    not_before: datetime
    not_after: datetime
    not_after_signing: datetime
    certificate: str


class CertificateList(ApiModel):
    """The leaves of an entity, oldest first."""

    items: list[CertificateView]


class SuspendBody(ApiModel):
    """A suspension: kind, reason, the day it is looked at again, and who decides."""

    kind: Suspension
    reason: Reason
    review_on: date
    actor: ActorRef


X5tPath = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9_-]{43}$", description="base64url of the leaf's SHA-256 (`x5t#S256`).")
]


def _detail(view: EntityView) -> EntityDetail:
    entity = view.entity
    return EntityDetail(
        role=Role(entity.role),
        entity_id=entity.entity_id,
        ods_code=entity.ods_code,
        enrolled_at=entity.enrolled_at,
        suspension=Suspension(entity.suspension) if entity.suspension else None,
        suspension_reason=entity.suspension_reason,
        suspended_at=entity.suspended_at,
        review_on=entity.review_on,
        live=view.enrolled and view.standing.live,
        live_since=view.standing.live_since,
        issuing_closed_at=view.standing.issuing_closed_at,
        mark_carries=view.standing.carries,
        version=entity.version,
    )


def certificate_view(row: Certificate) -> CertificateView:
    """Return the API's form of a signed leaf."""
    pem = x509.load_der_x509_certificate(row.der or b"").public_bytes(Encoding.PEM).decode("ascii")
    return CertificateView(
        x5t_s256=row.x5t_s256 or "",
        use=row.use,
        jkt=row.jkt,
        state=row.state,
        state_reason=row.state_reason,
        not_before=row.not_before,
        not_after=row.not_after,
        not_after_signing=row.not_after_signing,
        certificate=pem,
    )


async def _view(ctx: Ctx, ods: str, role: Role) -> EntityDetail:
    trust = await organisations.get(ctx, ods)
    if role not in trust.entities:
        raise NotFound
    return _detail(trust.entities[role])


@router.post("", status_code=201)
async def create(
    ods: OdsPath, body: NewEntity, request: Request, response: Response, ctx: Ctx, caller: Writer
) -> EntityDetail:
    """Create an organisation's entity in a role."""
    operator(caller)
    actor = acting(caller, body.actor)

    async def work(claim: Any) -> str:
        await operations.create(ctx, ods, body.role, body.entity_id, actor, claim)
        return body.role.value

    made = await once(ctx, request, caller, work)
    response.headers["Location"] = f"/api/v1/organisations/{ods}/entities/{made.resource_id}"
    return await _view(ctx, ods, Role(made.resource_id))


@router.get("")
async def listed(ods: OdsPath, ctx: Ctx, caller: Reader) -> EntityList:
    """List the organisation's entities."""
    authorise_organisation(caller, ods)
    trust = await organisations.get(ctx, ods)
    return EntityList(items=[_detail(view) for _, view in sorted(trust.entities.items())])


@router.get("/{role}")
async def get(ods: OdsPath, role: RolePath, ctx: Ctx, caller: Reader) -> EntityDetail:
    """Read an entity with what of its authority is in force."""
    authorise_organisation(caller, ods)
    return await _view(ctx, ods, role)


@router.post("/{role}/enrolment-codes", status_code=201)
async def make_code(
    ods: OdsPath, role: RolePath, body: Acted, request: Request, response: Response, ctx: Ctx, caller: Writer
) -> EnrolmentCodeView:
    """Make a one-time enrolment code; an unused one before it ends.

    The code is in the first answer only: a repetition under the same Idempotency-Key answers its id without
    it.
    """
    operator(caller)
    actor = acting(caller, body.actor)
    shown: list[operations.NewCode] = []

    async def work(claim: Any) -> str:
        shown.append(await operations.make_code(ctx, ods, role, actor, claim))
        return shown[0].id

    made = await once(ctx, request, caller, work)
    response.headers["Cache-Control"] = "no-store"
    if shown:
        code = shown[0]
        return EnrolmentCodeView(
            id=code.id, entity_id=code.entity_id, code=code.code, expires_at=code.expires_at
        )
    detail = await _view(ctx, ods, role)
    return EnrolmentCodeView(id=made.resource_id, entity_id=detail.entity_id, code=None, expires_at=None)


@router.get("/{role}/certificates")
async def certificates(ods: OdsPath, role: RolePath, ctx: Ctx, caller: Reader) -> CertificateList:
    """List the entity's leaves."""
    authorise_organisation(caller, ods)
    return CertificateList(
        items=[certificate_view(row) for row in await operations.certificates(ctx, ods, role)]
    )


@router.post("/{role}/certificates/{x5t}/compromise")
async def compromise(
    ods: OdsPath, role: RolePath, x5t: X5tPath, body: ActedWithReason, ctx: Ctx, caller: Writer
) -> CertificateView:
    """Declare a key compromised: every signature by it is refused from the next snapshot on, for good."""
    operator(caller)
    actor = acting(caller, body.actor)
    return certificate_view(await operations.compromise_key(ctx, ods, role, x5t, actor, reason=body.reason))


@router.post("/{role}/suspend")
async def suspend(ods: OdsPath, role: RolePath, body: SuspendBody, ctx: Ctx, caller: Writer) -> EntityDetail:
    """Suspend an entity, at once and on one person's word."""
    operator(caller)
    cmd = operations.Suspend(kind=body.kind, reason=body.reason, review_on=body.review_on)
    await operations.suspend(ctx, ods, role, cmd, acting(caller, body.actor))
    return await _view(ctx, ods, role)


@router.post("/{role}/reinstate")
async def reinstate(
    ods: OdsPath, role: RolePath, body: ActedWithReason, ctx: Ctx, caller: Approver
) -> EntityDetail:
    """End a suspension."""
    operator(caller)
    await operations.reinstate(ctx, ods, role, acting(caller, body.actor), reason=body.reason)
    return await _view(ctx, ods, role)
