"""``/notices``: what was sent to whom, and again; ``/notice-contact``: whom notices name to ask."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import ActorField, ByPerson, Line, Received, Sent
from passport_issuer.http.management.staff import Email, Phone, tagged
from passport_issuer.operations import notices as operations
from passport_issuer.rules.notices import NoticeChannel, NoticeKind, NoticeState
from passport_issuer.store.notices import NoticeContact
from passport_shared.service.auth import actor_of
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(PREFIX, tags=["Notices"])


class NoticeView(Sent):
    """A notice; its address is the person's at the moment it is sent and is not kept here."""

    id: str
    staff_id: str
    kind: NoticeKind
    channel: NoticeChannel
    language: str
    about: str | None = Field(description="Id of what it is about, where there is one.")
    state: NoticeState
    reason: str | None = Field(description="Why it failed, was cancelled, or has to be tried again.")
    attempts: int
    resend_of: str | None
    queued_at: datetime
    ended_at: datetime | None


class ContactBody(Received):
    """Whom notices name to ask: the HR team's, never one person's own."""

    name: Line | None = Field(default=None, examples=["the HR team"])
    phone: Phone | None = None
    email: Email | None = None
    actor: ActorField


class ContactView(Sent):
    """Whom notices name to ask; version 0 while nobody is named."""

    name: str | None
    phone: str | None
    email: str | None
    version: int


def _contact_view(found: NoticeContact | None) -> ContactView:
    if found is None:
        return ContactView(name=None, phone=None, email=None, version=0)
    return ContactView.model_validate(found)


@router.get("/notices", operation_id="list_notices", summary="List notices")
async def list_notices(
    page: Paging,
    found: Annotated[Access, Depends(access("notices:read"))],
    staff_id: Annotated[str | None, Query(max_length=64)] = None,
    state: Annotated[NoticeState | None, Query()] = None,
) -> Page[NoticeView]:
    """A page of the trust's notices, of one person or in one state if asked, oldest first."""
    items, following = await operations.find(found.ctx, found.tenant, page, staff_id=staff_id, state=state)
    return Page(items=[NoticeView.model_validate(item) for item in items], next=following)


@router.get("/notices/{notice_id}", operation_id="get_notice", summary="Read a notice")
async def get_notice(notice_id: str, found: Annotated[Access, Depends(access("notices:read"))]) -> NoticeView:
    """One notice."""
    return NoticeView.model_validate(await operations.get(found.ctx, found.tenant, notice_id))


@router.post(
    "/notices/{notice_id}/resend", status_code=201, operation_id="resend_notice", summary="Send it again"
)
async def resend(
    notice_id: str,
    body: ByPerson,
    response: Response,
    found: Annotated[Access, Depends(access("notices:write"))],
) -> NoticeView:
    """Queue a notice that was sent, failed or was cancelled once more, as a new one."""
    actor = actor_of(found.caller, body.actor)
    made = await found.once(lambda claim: operations.resend(found.ctx, found.tenant, notice_id, actor, claim))
    response.headers["Location"] = f"/api/v1/organisations/{found.tenant.ods}/notices/{made}"
    return NoticeView.model_validate(await operations.get(found.ctx, found.tenant, made))


@router.get("/notice-contact", operation_id="get_notice_contact", summary="Whom notices name to ask")
async def get_contact(
    response: Response, found: Annotated[Access, Depends(access("notices:read"))]
) -> ContactView:
    """The trust's HR team as notices and pages name it."""
    contact = _contact_view(await operations.contact(found.ctx, found.tenant))
    tagged(response, contact.version)
    return contact


@router.put("/notice-contact", operation_id="put_notice_contact", summary="Say whom notices name to ask")
async def put_contact(
    body: ContactBody,
    response: Response,
    found: Annotated[Access, Depends(access("notices:write"))],
    if_match: IfMatch = None,
) -> ContactView:
    """Name the HR team; If-Match names the version that was read, `"0"` when nobody was named."""
    actor = actor_of(found.caller, body.actor)
    read = _contact_view(await operations.contact(found.ctx, found.tenant))
    require_match(if_match, etag_of(read.version))
    values = body.model_dump(exclude={"actor"})
    contact = await operations.put_contact(found.ctx, found.tenant, values, actor, read_version=read.version)
    tagged(response, contact.version)
    return _contact_view(contact)
