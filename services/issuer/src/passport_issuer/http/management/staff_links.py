"""Employee linking: ``/connections/{id}/search`` and ``/staff/{staff_id}/links``."""

from datetime import date, datetime
from typing import Annotated

from fastapi import Depends
from pydantic import Field, StringConstraints
from starlette.responses import Response

from passport_issuer.clients.workforce import Wanted
from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.connections import TESTS
from passport_issuer.http.management.fields import (
    ActorField,
    ByPerson,
    Day,
    Line,
    Received,
    Reference,
    Sent,
)
from passport_issuer.http.management.staff import tagged
from passport_issuer.operations import connections, linking
from passport_issuer.operations.linking import Candidate
from passport_issuer.rules.workforce_names import Difference
from passport_issuer.store.connection_links import Link
from passport_shared.service.auth import actor_of
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page
from passport_shared.service.problems import NotFound
from passport_shared.service.routes import management_router

router = management_router(PREFIX, tags=["Workforce systems"])

Reason = Annotated[str, StringConstraints(min_length=10, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class SearchBody(Received):
    """Whom to look for: a member of staff, or details, or an identifier that is known."""

    staff_id: Reference | None = Field(
        default=None, description="Whose record to compare with; searched by when nothing else is named."
    )
    given_name: Line | None = None
    family_name: Line | None = None
    birthdate: Day | None = None
    person_id: Reference | None = Field(default=None, description="The other system's identifier.")
    assignment_number: Reference | None = Field(default=None, description="ESR only.")
    actor: ActorField


class DifferencesView(Sent):
    """How a record of another system differs from ours, field by field."""

    given_name: Difference
    family_name: Difference
    birthdate: Difference


class CandidateView(Sent):
    """Somebody who could be the person."""

    person_id: str
    given_name: str
    family_name: str
    previous_family_names: list[str]
    preferred_name: str | None
    birthdate: date | None
    work_email: str | None
    further_information: str | None
    differences: DifferencesView | None = Field(description="Null when no member of staff was named.")
    needs_reason: bool | None
    linked_to: str | None = Field(description="The member of staff who is linked to this person already.")

    @classmethod
    def of(cls, candidate: Candidate) -> "CandidateView":
        """From the operation's answer."""
        person, comparison = candidate.person, candidate.comparison
        return cls(
            person_id=person.person_id,
            given_name=person.given_name,
            family_name=person.family_name,
            previous_family_names=list(person.previous_family_names),
            preferred_name=person.preferred_name,
            birthdate=person.birthdate,
            work_email=person.work_email,
            further_information=person.further_information,
            differences=DifferencesView.model_validate(comparison) if comparison else None,
            needs_reason=comparison.needs_reason if comparison else None,
            linked_to=candidate.linked_to,
        )


class CandidatesView(Sent):
    """Candidates, closest first; nobody was chosen and nothing was kept."""

    candidates: list[CandidateView]


class LinkBody(Received):
    """The candidate a person chose."""

    person_id: Reference = Field(examples=["87654321"])
    differences_accepted: Reason | None = Field(
        default=None,
        description="Why a difference in name or birthdate is in order, and which evidence was seen.",
        examples=["Married in May, certificate seen"],
    )
    actor: ActorField


class LinkView(Sent):
    """Who a member of staff is in a workforce system, and who said so."""

    staff_id: str
    connection_id: str
    person_id: str
    given_name: str
    family_name: str
    birthdate: date | None
    differences: DifferencesView
    differences_accepted: str | None
    chosen_by: str
    chosen_at: datetime
    contested_at: datetime | None = Field(
        description="When somebody else was to be linked to the same person, and was refused."
    )
    due: bool = Field(description="Whether the person is waiting to be read again.")
    last_gathered_at: datetime | None
    version: int

    @classmethod
    def of(cls, link: Link) -> "LinkView":
        """From the record."""
        same = {name: getattr(link, name) for name in cls.model_fields if hasattr(link, name)}
        return cls.model_validate({**same, "due": link.due_at is not None})


@router.post(
    "/connections/{connection_id}/search",
    operation_id="search_connection",
    summary="Search a workforce system for a person",
)
async def search(
    connection_id: str,
    body: SearchBody,
    found: Annotated[Access, Depends(access("connections:write"))],
) -> CandidatesView:
    """Candidates with what differs from our record; the system never picks one."""
    actor_of(found.caller, body.actor)
    connection = await connections.get(found.ctx, found.tenant, connection_id)
    await found.ctx.limiter.spend(TESTS, found.caller.client_id)
    wanted = Wanted(
        given_name=body.given_name,
        family_name=body.family_name,
        birthdate=body.birthdate.isoformat() if body.birthdate else None,
        person_id=body.person_id,
        assignment_number=body.assignment_number,
    )
    candidates = await linking.search(found.ctx, found.tenant, connection, body.staff_id, wanted)
    return CandidatesView(candidates=[CandidateView.of(one) for one in candidates])


@router.get("/staff/{staff_id}/links", operation_id="list_links", summary="List a person's links")
async def links(
    staff_id: str, found: Annotated[Access, Depends(access("connections:read"))]
) -> Page[LinkView]:
    """Everywhere the person is linked to."""
    every = await linking.links_of(found.ctx, found.tenant, staff_id)
    return Page(items=[LinkView.of(link) for link in every], next=None)


@router.get(
    "/staff/{staff_id}/links/{connection_id}", operation_id="get_link", summary="Read a person's link"
)
async def get(
    staff_id: str,
    connection_id: str,
    response: Response,
    found: Annotated[Access, Depends(access("connections:read"))],
) -> LinkView:
    """One link."""
    link = await _existing(found, staff_id, connection_id)
    tagged(response, link.version)
    return LinkView.of(link)


@router.put(
    "/staff/{staff_id}/links/{connection_id}",
    operation_id="choose_link",
    summary="Link a person to the candidate somebody chose",
)
async def choose(
    staff_id: str,
    connection_id: str,
    body: LinkBody,
    response: Response,
    found: Annotated[Access, Depends(access("connections:write"))],
    if_match: IfMatch = None,
) -> LinkView:
    """Link, or link anew: then If-Match names the link that is replaced."""
    actor = actor_of(found.caller, body.actor)
    read = await linking.find(found.ctx, found.tenant, staff_id, connection_id)
    if read is not None:
        require_match(if_match, etag_of(read.version))
    link = await linking.choose(
        found.ctx,
        found.tenant,
        staff_id,
        connection_id,
        body.person_id,
        accepted=body.differences_accepted,
        read=read,
        actor=actor,
    )
    tagged(response, link.version)
    return LinkView.of(link)


@router.post(
    "/staff/{staff_id}/links/{connection_id}/unlink",
    status_code=204,
    operation_id="unlink",
    summary="Take a person's link away",
)
async def unlink(
    staff_id: str,
    connection_id: str,
    body: ByPerson,
    found: Annotated[Access, Depends(access("connections:write"))],
    if_match: IfMatch = None,
) -> None:
    """Unlink; what was gathered stays, with its source."""
    actor = actor_of(found.caller, body.actor)
    read = await _existing(found, staff_id, connection_id)
    require_match(if_match, etag_of(read.version))
    await found.act(read.id, lambda: linking.unlink(found.ctx, read, actor))


async def _existing(found: Access, staff_id: str, connection_id: str) -> Link:
    link = await linking.find(found.ctx, found.tenant, staff_id, connection_id)
    if link is None:
        raise NotFound
    return link
