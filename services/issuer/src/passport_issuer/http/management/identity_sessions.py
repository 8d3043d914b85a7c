"""``/staff/{staff_id}/identity-sessions``: appointments at which somebody makes sure who the person is."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends
from pydantic import Field, StringConstraints
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import (
    ActorField,
    Code,
    Day,
    Flag,
    Instant,
    Line,
    None_,
    Received,
    Sent,
)
from passport_issuer.http.management.staff import tagged
from passport_issuer.operations import appointments
from passport_issuer.operations import evidence as operations
from passport_issuer.rules.records import (
    Channel,
    IdentitySession,
    SessionResult,
)
from passport_shared.service.auth import actor_of
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(f"{PREFIX}/staff/{{staff_id}}", tags=["Checks and training"])


class SessionBody(Received):
    """An appointment; the link to join is the trust's own. The person is told of a time to come."""

    channel: Channel
    scheduled_for: Instant | None = None
    join_url: Annotated[str, StringConstraints(pattern=r"^https://[\x21-\x7e]{1,500}$")] | None = None
    place: Line | None = Field(default=None, examples=["HR office, Oak Road"])
    actor: ActorField


class Document(Received):
    """An identity document that was seen; never its image or its whole number."""

    kind: Code = Field(examples=["PASSPORT"])
    last_four: Annotated[str, StringConstraints(pattern="^[A-Z0-9]{4}$")]
    expires_on: Day | None_


class SessionResultBody(Received):
    """How an appointment ended."""

    result: Literal["CONFIRMED", "FAILED"]
    face_matched: Flag
    documents: list[Document] = Field(default_factory=list, max_length=10)
    originals_seen_in_person_on: Day | None = None
    actor: ActorField


class SessionView(Sent):
    """An identity session."""

    id: str
    channel: Channel
    scheduled_for: datetime | None
    join_url: str | None
    place: str | None
    documents: list[dict[str, Any]]
    face_matched: bool
    originals_seen_in_person_on: date | None
    result: SessionResult
    ended_at: datetime | None
    hr_user: str | None
    version: int
    created_at: datetime


@router.post(
    "/identity-sessions", status_code=201, operation_id="open_identity_session", summary="Make an appointment"
)
async def open_session(
    staff_id: str,
    body: SessionBody,
    response: Response,
    found: Annotated[Access, Depends(access("identity-sessions:write"))],
) -> SessionView:
    """Open an identity session at which the person will be seen."""
    actor = actor_of(found.caller, body.actor)
    made = await found.once(
        lambda claim: operations.open_session(
            found.ctx, found.tenant, staff_id, body.model_dump(exclude={"actor"}), actor, claim
        )
    )
    session = await operations.get(found.ctx, found.tenant, IdentitySession, staff_id, made)
    tagged(response, session.version, f"{found.request.url.path}/{made}")
    return SessionView.model_validate(session)


@router.get(
    "/identity-sessions", operation_id="list_identity_sessions", summary="List a person's appointments"
)
async def list_sessions(
    staff_id: str, page: Paging, found: Annotated[Access, Depends(access("identity-sessions:read"))]
) -> Page[SessionView]:
    """A page of a person's identity sessions, oldest first."""
    sessions, following = await operations.list_of(found.ctx, found.tenant, IdentitySession, staff_id, page)
    return Page(items=[SessionView.model_validate(session) for session in sessions], next=following)


@router.get(
    "/identity-sessions/{session_id}", operation_id="get_identity_session", summary="Read an appointment"
)
async def get_session(
    staff_id: str,
    session_id: str,
    response: Response,
    found: Annotated[Access, Depends(access("identity-sessions:read"))],
) -> SessionView:
    """One identity session."""
    session = await operations.get(found.ctx, found.tenant, IdentitySession, staff_id, session_id)
    tagged(response, session.version)
    return SessionView.model_validate(session)


@router.put(
    "/identity-sessions/{session_id}", operation_id="move_identity_session", summary="Move an appointment"
)
async def move_session(
    staff_id: str,
    session_id: str,
    body: SessionBody,
    response: Response,
    found: Annotated[Access, Depends(access("identity-sessions:write"))],
    if_match: IfMatch = None,
) -> SessionView:
    """Give an appointment that has not been held another time, way or place; the person is told."""
    actor = actor_of(found.caller, body.actor)
    read = await operations.get(found.ctx, found.tenant, IdentitySession, staff_id, session_id)
    require_match(if_match, etag_of(read.version))
    values = body.model_dump(exclude={"actor"})
    session = await appointments.reschedule(found.ctx, found.tenant, read, values, actor)
    tagged(response, session.version)
    return SessionView.model_validate(session)


@router.post(
    "/identity-sessions/{session_id}/result",
    operation_id="end_identity_session",
    summary="Record how an appointment ended",
)
async def end_session(
    staff_id: str,
    session_id: str,
    body: SessionResultBody,
    response: Response,
    found: Annotated[Access, Depends(access("identity-sessions:write"))],
) -> SessionView:
    """End an identity session; a failed one stops every offer until the person is seen again."""
    actor = actor_of(found.caller, body.actor)
    read = await operations.get(found.ctx, found.tenant, IdentitySession, staff_id, session_id)
    values = body.model_dump(exclude={"actor", "documents", "result"})
    values["result"] = SessionResult(body.result)
    values["documents"] = tuple(document.model_dump(mode="json") for document in body.documents)
    await found.act(session_id, lambda: operations.end_session(found.ctx, found.tenant, read, values, actor))
    session = await operations.get(found.ctx, found.tenant, IdentitySession, staff_id, session_id)
    tagged(response, session.version)
    return SessionView.model_validate(session)
