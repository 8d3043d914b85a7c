"""A person's passport in one call, on hold and back; and credentials one by one."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import ActorField, ByPerson, Received, Sent
from passport_issuer.http.management.offers import NotHeldView
from passport_issuer.operations import passports as operations
from passport_issuer.operations.offers import as_plain
from passport_issuer.rules.passports import CredentialState, PassportState, ReasonCode, shown_state
from passport_issuer.store.credentials import Credential
from passport_issuer.store.passports import Passport
from passport_shared.service.auth import actor_of
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(PREFIX, tags=["Passports"])


class CredentialView(Sent):
    """One credential; its claims are in the wallet, not here."""

    id: str
    staff_id: str
    passport_id: str
    offer_id: str
    type: str
    vct: str
    state: CredentialState
    reason_code: str | None
    supersedes: str | None
    holder_key: str
    status_list: str
    status_index: int
    issued_at: datetime | None
    expires_at: datetime
    acknowledged_at: datetime | None


class PassportStateView(Sent):
    """A passport's state."""

    id: str
    staff_id: str
    state: PassportState
    reason_code: str | None
    first_issued_at: datetime | None


class PassportView(Sent):
    """A person's passport: what it holds, what could be issued now, and what is missing."""

    id: str | None = Field(description="null before anything was offered")
    staff_id: str
    state: PassportState | None
    reason_code: str | None
    first_issued_at: datetime | None
    credentials: list[CredentialView]
    can_be_issued: list[str]
    not_held: list[NotHeldView]


class Reason(Received):
    """Why, for the trust and the holder only."""

    reason_code: ReasonCode
    actor: ActorField


def credential_view(found: Access, credential: Credential, passport: Passport) -> CredentialView:
    """A credential in the state people are shown."""
    expired = found.ctx.clock.now() >= credential.expires_at
    return CredentialView(
        id=credential.id,
        staff_id=credential.staff_id,
        passport_id=credential.passport_id,
        offer_id=credential.offer_id,
        type=credential.type,
        vct=credential.vct,
        state=shown_state(credential.state, passport.state, expired=expired),
        reason_code=credential.reason_code,
        supersedes=credential.supersedes,
        holder_key=credential.holder_jkt,
        status_list=f"{found.tenant.entity_id}/statuslists/{credential.status_list_id}",
        status_index=credential.status_idx,
        issued_at=credential.issued_at,
        expires_at=credential.expires_at,
        acknowledged_at=credential.acknowledged_at,
    )


def state_view(passport: Passport) -> PassportStateView:
    """A passport's state."""
    return PassportStateView.model_validate(passport)


@router.get("/staff/{staff_id}/passport", operation_id="get_passport", summary="A person's passport")
async def get_passport(
    staff_id: str, found: Annotated[Access, Depends(access("credentials:read"))]
) -> PassportView:
    """Held, missing, and what could be issued, in one call."""
    passport = await operations.view(found.ctx, found.tenant, staff_id)
    state = passport.passport
    return PassportView(
        id=state.id if state else None,
        staff_id=staff_id,
        state=state.state if state else None,
        reason_code=state.reason_code if state else None,
        first_issued_at=state.first_issued_at if state else None,
        credentials=[credential_view(found, held, state) for held in passport.credentials] if state else [],
        can_be_issued=list(dict.fromkeys(dataset.type for dataset in passport.assessment.held)),
        not_held=[NotHeldView.model_validate(as_plain(item)) for item in passport.assessment.not_held],
    )


@router.post("/staff/{staff_id}/passport/hold", operation_id="hold_passport", summary="Put on hold")
async def hold_passport(
    staff_id: str, body: Reason, found: Annotated[Access, Depends(access("credentials:write"))]
) -> PassportStateView:
    """Put all credentials of a person on hold together."""
    actor = actor_of(found.caller, body.actor)
    passport = await operations.of_staff(found.ctx, found.tenant, staff_id)
    await found.act(
        passport.id,
        lambda: operations.hold(found.ctx, found.tenant, passport.id, body.reason_code, actor),
    )
    return state_view(await operations.get(found.ctx, found.tenant, passport.id))


@router.post("/staff/{staff_id}/passport/reinstate", operation_id="reinstate_passport", summary="Off hold")
async def reinstate_passport(
    staff_id: str, body: ByPerson, found: Annotated[Access, Depends(access("credentials:write"))]
) -> PassportStateView:
    """Take all credentials of a person off hold."""
    actor = actor_of(found.caller, body.actor)
    passport = await operations.of_staff(found.ctx, found.tenant, staff_id)
    await found.act(passport.id, lambda: operations.reinstate(found.ctx, found.tenant, passport.id, actor))
    return state_view(await operations.get(found.ctx, found.tenant, passport.id))


@router.get("/credentials", operation_id="list_credentials", summary="List credentials")
async def list_credentials(
    page: Paging,
    found: Annotated[Access, Depends(access("credentials:read"))],
    staff_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[CredentialView]:
    """A page of the trust's credentials, or of one person's, oldest first."""
    held, following = await operations.list_credentials(found.ctx, found.tenant, page, staff_id)
    return Page(items=[credential_view(found, *item) for item in held], next=following)


@router.get("/credentials/{credential_id}", operation_id="get_credential", summary="Read a credential")
async def get_credential(
    credential_id: str, found: Annotated[Access, Depends(access("credentials:read"))]
) -> CredentialView:
    """One credential."""
    return credential_view(found, *await operations.get_credential(found.ctx, found.tenant, credential_id))


@router.post("/credentials/{credential_id}/revoke", operation_id="revoke_credential", summary="Revoke")
async def revoke(
    credential_id: str, body: Reason, found: Annotated[Access, Depends(access("credentials:write"))]
) -> CredentialView:
    """Revoke one credential for good; in force within 15 seconds."""
    actor = actor_of(found.caller, body.actor)
    await found.act(
        credential_id,
        lambda: operations.revoke(found.ctx, found.tenant, credential_id, body.reason_code, actor),
    )
    return credential_view(found, *await operations.get_credential(found.ctx, found.tenant, credential_id))


@router.post(
    "/credentials/{credential_id}/hold", operation_id="hold_credential", summary="Put the passport on hold"
)
async def hold(
    credential_id: str, body: Reason, found: Annotated[Access, Depends(access("credentials:write"))]
) -> CredentialView:
    """Put the passport of this credential on hold: all its credentials together."""
    actor = actor_of(found.caller, body.actor)
    _, passport = await operations.get_credential(found.ctx, found.tenant, credential_id)
    await found.act(
        passport.id,
        lambda: operations.hold(found.ctx, found.tenant, passport.id, body.reason_code, actor),
    )
    return credential_view(found, *await operations.get_credential(found.ctx, found.tenant, credential_id))


@router.post(
    "/credentials/{credential_id}/reinstate", operation_id="reinstate_credential", summary="Off hold"
)
async def reinstate(
    credential_id: str, body: ByPerson, found: Annotated[Access, Depends(access("credentials:write"))]
) -> CredentialView:
    """Take the passport of this credential off hold: all its credentials together."""
    actor = actor_of(found.caller, body.actor)
    _, passport = await operations.get_credential(found.ctx, found.tenant, credential_id)
    await found.act(passport.id, lambda: operations.reinstate(found.ctx, found.tenant, passport.id, actor))
    return credential_view(found, *await operations.get_credential(found.ctx, found.tenant, credential_id))
