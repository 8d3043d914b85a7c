"""``/releases``: what other trusts ask of this one, and how line manager and HR answer."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query
from pydantic import Field, model_validator
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import ActorField, ByPerson, Day, Line, Received, Sent
from passport_issuer.http.management.staff import tagged
from passport_issuer.operations import leavers, release_requests
from passport_issuer.operations import releases as operations
from passport_issuer.operations.releases import Answered
from passport_issuer.rules.releases import Approver, CaseState, StaffDecision
from passport_issuer.store.releases import Case
from passport_shared.service.auth import actor_of
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.release import AnswerDecision, DeclineCode, Limit, LimitCode, Statement

router = management_router(PREFIX, tags=["Releases"])

ReleaseId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{22}$", description="Id of the release.")]
Reader = Annotated[Access, Depends(access("releases:read"))]
Writer = Annotated[Access, Depends(access("releases:write"))]
Approving = Annotated[Access, Depends(access("releases:approve"))]


class LimitBody(Received):
    """A limit of a release; LEAVING is added by the service from the person's leaving date."""

    code: Literal["NOT_BEFORE", "NOT_AFTER", "DUTIES", "HOURS", "OTHER"]
    text: Annotated[Line, Field(max_length=500)]
    date: Day | None = Field(default=None, description="For NOT_BEFORE and NOT_AFTER, and only for them.")

    @model_validator(mode="after")
    def _dated(self) -> "LimitBody":
        if (self.date is not None) != (self.code in ("NOT_BEFORE", "NOT_AFTER")):
            raise ValueError("NOT_BEFORE and NOT_AFTER carry a date, no other limit does")
        return self

    def limit(self) -> Limit:
        """As it will stand in the Release."""
        return Limit(code=LimitCode(self.code), text=self.text, date=self.date)


class AnswerBody(Received):
    """An answer: agreeing may carry limits, declining carries a code and none."""

    decision: AnswerDecision
    limits: list[LimitBody] = Field(default_factory=list, max_length=4)
    decline_code: DeclineCode | None = None
    actor: ActorField

    @model_validator(mode="after")
    def _goes_together(self) -> "AnswerBody":
        declined = self.decision is AnswerDecision.DECLINED
        if declined != (self.decline_code is not None):
            raise ValueError("a decline, and nothing else, carries decline_code")
        if declined and self.limits:
            raise ValueError("a decline carries no limits")
        return self


class HrAnswerBody(AnswerBody):
    """HR's answer; agreeing needs the statement the host will read."""

    statement: Statement | None = Field(default=None, description="Needed to agree.")

    @model_validator(mode="after")
    def _states(self) -> "HrAnswerBody":
        if (self.statement is not None) != (self.decision is AnswerDecision.AGREED):
            raise ValueError("agreeing, and nothing else, carries the statement")
        return self


class LinkBody(Received):
    """The member of staff the host means."""

    staff_id: Annotated[str, Field(min_length=1, max_length=64)]
    actor: ActorField


class LeavingBody(Received):
    """The last day of employment; null when the person stays."""

    leaving_date: Day | None
    actor: ActorField


class AnswerView(Sent):
    """What line manager or HR said."""

    decision: AnswerDecision
    at: datetime
    by: str


class AgreementView(Sent):
    """An agreement between the two trusts on the first day of the movement."""

    id: str
    type: str
    covers_type: bool


class ReleaseView(Sent):
    """A release request with its answers."""

    id: str
    state: CaseState
    urgent: bool
    received_at: datetime
    answer_by: datetime
    requester: str
    host_ods: str
    movement: dict[str, Any] = Field(description="The move as the host describes it.")
    subject: dict[str, Any] | None = Field(
        description="The host's words for the person, while the request is open and names nobody itself."
    )
    staff_id: str | None
    linked_by: str | None
    line_manager: AnswerView | None
    hr: AnswerView | None
    staff_decision: StaffDecision | None = Field(
        description="What the member of staff said in their app; the host asks for their agreement itself."
    )
    limits: list[dict[str, Any]]
    statement: Statement | None
    decline_code: DeclineCode | None
    released_end: date | None = Field(description="Last day released for.")
    overlap_warning: bool
    overlaps: list[str] | None = Field(
        description="Other releases of the person that share a day; null in lists."
    )
    agreements: list[AgreementView] | None = Field(description="null in lists")
    serial: int = Field(description="Serial of the newest signed Release; 0 before the first.")
    release_uri: str
    version: int


class CandidateView(Sent):
    """A member of staff whom the host may mean."""

    staff_id: str
    legal_given: str
    legal_family: str
    preferred_name: str | None
    work_email: str | None


class CandidatesView(Sent):
    """Whom the host may mean, for a person to choose from; often nobody, sometimes several."""

    items: list[CandidateView]
    more: bool = Field(description="Whether more match than are shown; find the person another way.")


class LeavingView(Sent):
    """A last day of employment and the releases it changed."""

    staff_id: str
    leaving_date: date | None
    releases_changed: list[str]


def _answer_view(decision: str | None, at: datetime | None, by: str | None) -> AnswerView | None:
    if decision is None or at is None or by is None:
        return None
    return AnswerView(decision=AnswerDecision(decision), at=at, by=by)


def _view(found: Access, case: Case, **more: Any) -> ReleaseView:
    return ReleaseView(
        id=case.id,
        state=case.shown_state(found.ctx.clock.now()),
        urgent=case.urgent,
        received_at=case.received_at,
        answer_by=case.answer_by,
        requester=case.requester,
        host_ods=case.host_ods,
        movement=dict(case.movement),
        subject=dict(case.subject) if case.subject else None,
        staff_id=case.staff_id,
        linked_by=case.linked_by,
        line_manager=_answer_view(case.line_manager_decision, case.line_manager_at, case.line_manager_by),
        hr=_answer_view(case.hr_decision, case.hr_at, case.hr_by),
        staff_decision=StaffDecision(case.staff_decision) if case.staff_decision else None,
        limits=[dict(limit) for limit in case.limits],
        statement=Statement(case.statement) if case.statement else None,
        decline_code=DeclineCode(case.decline_code) if case.decline_code else None,
        released_end=case.released_end,
        overlap_warning=case.overlap_warning,
        overlaps=more.get("overlaps"),
        agreements=more.get("agreements"),
        serial=case.serial,
        release_uri=release_requests.release_uri(found.tenant, case.id),
        version=case.version,
    )


async def _whole(found: Access, release_id: str, response: Response) -> ReleaseView:
    case = await operations.get(found.ctx, found.tenant, release_id)
    tagged(response, case.version)
    agreements = release_requests.agreements_of(await found.ctx.snapshots.latest(), case)
    return _view(
        found,
        case,
        overlaps=list(await operations.overlaps(found.ctx, case)),
        agreements=[AgreementView(**entry) for entry in agreements],
    )


@router.get("/releases", operation_id="list_releases", summary="List release requests")
async def list_releases(
    page: Paging,
    found: Reader,
    state: Annotated[CaseState | None, Query()] = None,
    staff_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[ReleaseView]:
    """What other trusts asked, newest first; `state=REQUESTED` is what waits for an answer."""
    cases, following = await operations.find(found.ctx, found.tenant, page, state=state, staff_id=staff_id)
    return Page(items=[_view(found, case) for case in cases], next=following)


@router.get("/releases/{release_id}", operation_id="get_release", summary="Read a release request")
async def get_release(release_id: ReleaseId, response: Response, found: Reader) -> ReleaseView:
    """One request with its answers, the person's other releases and the agreements between the trusts."""
    return await _whole(found, release_id, response)


@router.get(
    "/releases/{release_id}/candidates", operation_id="find_release_candidates", summary="Who may be meant"
)
async def candidates(release_id: ReleaseId, found: Reader) -> CandidatesView:
    """Members of staff whom the host's words may mean; nobody is ever chosen by the service."""
    people, more = await operations.candidates(found.ctx, found.tenant, release_id)
    items = [
        CandidateView(
            staff_id=staff.id,
            legal_given=staff.legal_given,
            legal_family=staff.legal_family,
            preferred_name=staff.preferred_name,
            work_email=staff.work_email,
        )
        for staff in people
    ]
    return CandidatesView(items=items, more=more)


@router.post("/releases/{release_id}/person", operation_id="link_release", summary="Say who is meant")
async def link(release_id: ReleaseId, body: LinkBody, response: Response, found: Writer) -> ReleaseView:
    """Choose the member of staff; it can be corrected until somebody has answered."""
    actor = actor_of(found.caller, body.actor)
    await found.act(
        release_id, lambda: operations.link(found.ctx, found.tenant, release_id, body.staff_id, actor)
    )
    return await _whole(found, release_id, response)


@router.post(
    "/releases/{release_id}/line-manager",
    operation_id="answer_release_as_line_manager",
    summary="The line manager answers",
)
async def line_manager(
    release_id: ReleaseId, body: AnswerBody, response: Response, found: Approving
) -> ReleaseView:
    """The line manager agrees, with limits or without, or declines; once, and never for themselves."""
    return await _answer(found, release_id, body, Approver.LINE_MANAGER, None, response)


@router.post("/releases/{release_id}/hr", operation_id="answer_release_as_hr", summary="HR answers")
async def hr(release_id: ReleaseId, body: HrAnswerBody, response: Response, found: Approving) -> ReleaseView:
    """HR agrees, with limits or without, or declines; once, and another person than the line manager."""
    return await _answer(found, release_id, body, Approver.HR, body.statement, response)


async def _answer(
    found: Access,
    release_id: str,
    body: AnswerBody,
    approver: Approver,
    statement: Statement | None,
    response: Response,
) -> ReleaseView:
    given = Answered(
        approver=approver,
        decision=body.decision,
        limits=tuple(limit.limit() for limit in body.limits),
        statement=statement,
        decline_code=body.decline_code,
    )
    actor = actor_of(found.caller, body.actor)
    await found.act(release_id, lambda: operations.answer(found.ctx, found.tenant, release_id, given, actor))
    return await _whole(found, release_id, response)


@router.post("/releases/{release_id}/withdraw", operation_id="withdraw_release", summary="Take back")
async def withdraw(
    release_id: ReleaseId, body: ByPerson, response: Response, found: Approving
) -> ReleaseView:
    """Take a release back while the move is not over; the host reads it where it read the release."""
    actor = actor_of(found.caller, body.actor)
    await found.act(release_id, lambda: operations.withdraw(found.ctx, found.tenant, release_id, actor))
    return await _whole(found, release_id, response)


@router.post(
    "/staff/{staff_id}/leaving-date", operation_id="set_leaving_date", summary="The last day of employment"
)
async def leaving_date(
    staff_id: str, body: LeavingBody, found: Annotated[Access, Depends(access("lifecycle:write"))]
) -> LeavingView:
    """Record or clear a person's last day; running releases end on it at the latest, and hosts read it."""
    actor = actor_of(found.caller, body.actor)
    changed: list[str] = []

    async def work() -> None:
        changed.extend(await leavers.set_date(found.ctx, found.tenant, staff_id, body.leaving_date, actor))

    await found.act(staff_id, work)
    return LeavingView(staff_id=staff_id, leaving_date=body.leaving_date, releases_changed=changed)
