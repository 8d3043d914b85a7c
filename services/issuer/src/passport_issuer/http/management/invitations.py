"""``/staff/{staff_id}/invitations``: a one-time link for the person, sent, sent again, or taken back."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends
from pydantic import Field
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import ActorField, ByPerson, Received, Sent
from passport_issuer.operations import invitations as operations
from passport_issuer.operations.invitation_links import invitation_link
from passport_issuer.rules.notices import InvitationChannel, InvitationState
from passport_issuer.store.invitations import Invitation
from passport_shared.service.auth import actor_of
from passport_shared.service.pages import qr_image
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(f"{PREFIX}/staff/{{staff_id}}/invitations", tags=["Invitations"])


class InvitationBody(Received):
    """How the person gets the link: by e-mail, by text message, or printed and handed over."""

    channel: InvitationChannel
    actor: ActorField


class AgainBody(Received):
    """How the person gets the link now; as before when no channel is named."""

    channel: InvitationChannel | None = None
    actor: ActorField


class InvitationView(Sent):
    """An invitation; its link goes to the person, not to whoever asks."""

    id: str
    staff_id: str
    channel: InvitationChannel
    state: InvitationState
    resend_of: str | None
    sent_at: datetime | None
    opened_at: datetime | None
    expires_at: datetime | None
    created_at: datetime


class SentInvitationView(InvitationView):
    """An invitation that has just been sent."""

    link: str | None = Field(description="The link to print; null for the other channels.")
    qr_svg: str | None = Field(description="Its QR code to print, an SVG document; null likewise.")


def _view(found: Access, invitation: Invitation) -> InvitationView:
    state = operations.shown_state(invitation, found.ctx.clock.now())
    return InvitationView.model_validate(invitation).model_copy(update={"state": state})


def _sent_view(found: Access, invitation: Invitation) -> SentInvitationView:
    printed = invitation.channel is InvitationChannel.PRINT
    link = invitation_link(found.ctx, found.tenant, invitation.id) if printed else None
    code = qr_image(link, "svg").decode("utf-8") if link else None
    return SentInvitationView(**_view(found, invitation).model_dump(), link=link, qr_svg=code)


def _placed(found: Access, response: Response, invitation: Invitation) -> None:
    person = f"/api/v1/organisations/{found.tenant.ods}/staff/{invitation.staff_id}"
    response.headers["Location"] = f"{person}/invitations/{invitation.id}"


@router.post("", status_code=201, operation_id="invite", summary="Invite a member of staff")
async def invite(
    staff_id: str,
    body: InvitationBody,
    response: Response,
    found: Annotated[Access, Depends(access("invitations:write"))],
) -> SentInvitationView:
    """Send the person a link that can be opened once."""
    actor = actor_of(found.caller, body.actor)
    made = await found.once(
        lambda claim: operations.create(found.ctx, found.tenant, staff_id, body.channel, actor, claim)
    )
    invitation = await operations.get(found.ctx, found.tenant, staff_id, made)
    _placed(found, response, invitation)
    return _sent_view(found, invitation)


@router.get("", operation_id="list_invitations", summary="List a person's invitations")
async def list_invitations(
    staff_id: str, page: Paging, found: Annotated[Access, Depends(access("invitations:read"))]
) -> Page[InvitationView]:
    """A page of a person's invitations, drafts among them, oldest first."""
    items, following = await operations.list_of(found.ctx, found.tenant, staff_id, page)
    return Page(items=[_view(found, item) for item in items], next=following)


@router.get("/{invitation_id}", operation_id="get_invitation", summary="Read an invitation")
async def get_invitation(
    staff_id: str, invitation_id: str, found: Annotated[Access, Depends(access("invitations:read"))]
) -> InvitationView:
    """One invitation."""
    return _view(found, await operations.get(found.ctx, found.tenant, staff_id, invitation_id))


@router.post("/{invitation_id}/send", operation_id="send_invitation", summary="Send a drafted invitation")
async def send(
    staff_id: str,
    invitation_id: str,
    body: AgainBody,
    found: Annotated[Access, Depends(access("invitations:write"))],
) -> SentInvitationView:
    """Send an invitation that a starter event drafted."""
    actor = actor_of(found.caller, body.actor)
    read = await operations.get(found.ctx, found.tenant, staff_id, invitation_id)
    await found.act(
        invitation_id,
        lambda: operations.send_draft(found.ctx, found.tenant, read, body.channel, actor),
    )
    return _sent_view(found, await operations.get(found.ctx, found.tenant, staff_id, invitation_id))


@router.post(
    "/{invitation_id}/resend", status_code=201, operation_id="resend_invitation", summary="Send a new link"
)
async def resend(
    staff_id: str,
    invitation_id: str,
    body: AgainBody,
    response: Response,
    found: Annotated[Access, Depends(access("invitations:write"))],
) -> SentInvitationView:
    """Make a new link; the one before leads nowhere any more."""
    actor = actor_of(found.caller, body.actor)
    read = await operations.get(found.ctx, found.tenant, staff_id, invitation_id)
    made = await found.once(
        lambda claim: operations.resend(found.ctx, found.tenant, read, body.channel, actor, claim)
    )
    invitation = await operations.get(found.ctx, found.tenant, staff_id, made)
    _placed(found, response, invitation)
    return _sent_view(found, invitation)


@router.post("/{invitation_id}/withdraw", operation_id="withdraw_invitation", summary="Take it back")
async def withdraw(
    staff_id: str,
    invitation_id: str,
    body: ByPerson,
    found: Annotated[Access, Depends(access("invitations:write"))],
) -> InvitationView:
    """Take an invitation back; its link leads nowhere any more."""
    actor = actor_of(found.caller, body.actor)
    read = await operations.get(found.ctx, found.tenant, staff_id, invitation_id)
    await found.act(invitation_id, lambda: operations.withdraw(found.ctx, read, actor))
    return _view(found, await operations.get(found.ctx, found.tenant, staff_id, invitation_id))
