"""Answering a release request in the employing trust's own tenant (domain model, J3; gates G-C and G-E).

HR says which member of staff is meant, the line manager and HR answer once each, and when both have agreed,
or one has declined, the Release is reserved with the decision and signed after the commit. Taking a release
back makes a new Release with a higher serial. Nobody is ever linked by a comparison of names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import PERSON_NOT_LINKED, SEPARATION_OF_DUTIES, WrongState
from passport_issuer.operations import failpoints, offers, release_documents
from passport_issuer.rules import releases as rules
from passport_issuer.rules.passports import PassportState
from passport_issuer.rules.records import StaffMember
from passport_issuer.rules.releases import AGREED, Approver, CaseState, Days, StaffDecision
from passport_issuer.rules.validity import london_day
from passport_issuer.store import passports
from passport_issuer.store import releases as store
from passport_issuer.store.passports import Passport
from passport_issuer.store.releases import Case, NewAnswer
from passport_issuer.store.staff import get_staff
from passport_shared.service.auth import Actor
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import FieldError, Invalid, NotFound, PassportError
from passport_shared.service.tenancy import Tenant
from passport_shared.wire.activity import EventType, Step, durations, fact
from passport_shared.wire.release import (
    MAX_LIMITS,
    AnswerDecision,
    DeclineCode,
    Limit,
    Statement,
)

MAX_CANDIDATES = 20


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What line manager or HR says."""

    approver: Approver
    decision: AnswerDecision
    limits: tuple[Limit, ...] = ()
    statement: Statement | None = None
    decline_code: DeclineCode | None = None


async def get(ctx: Context, tenant: Tenant, release_id: str) -> Case:
    """One case.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        case = await store.get_case(conn, tenant.ods, release_id)
    if case is None:
        raise NotFound
    return case


async def find(
    ctx: Context,
    tenant: Tenant,
    page: PageQuery,
    *,
    state: CaseState | None,
    staff_id: str | None,
) -> tuple[list[Case], str | None]:
    """A page of cases, newest first."""
    async with ctx.db.read() as conn:
        return await store.list_cases(
            conn, tenant.ods, page, now=ctx.clock.now(), state=state, staff_id=staff_id
        )


async def overlaps(ctx: Context, case: Case) -> tuple[str, ...]:
    """Other releases of the person that share a day with this movement, as they are now."""
    if case.staff_id is None:
        return ()
    async with ctx.db.read() as conn:
        taken = await store.days_taken(conn, case)
    return rules.overlapping(Days(first=case.start, last=case.released_end or case.end), taken)


async def candidates(ctx: Context, tenant: Tenant, release_id: str) -> tuple[list[StaffMember], bool]:
    """Whom the host may mean by its words, for HR to choose from, and whether there are more than shown.

    Raises:
        NotFound, WrongState: the request names the person itself, or is closed.
    """
    case = await get(ctx, tenant, release_id)
    words = case.subject
    if words is None or case.shown_state(ctx.clock.now()) is not CaseState.REQUESTED:
        raise WrongState(f"The release is {case.shown_state(ctx.clock.now()).value} or names its person.")
    found: list[StaffMember] = []
    async with ctx.db.read() as conn:
        everybody = await store.staff_names(conn, tenant.ods)
        meant = [
            person
            for person in everybody
            if rules.could_be(person, words["given_name"], words["family_name"])
        ]
        for person in meant[:MAX_CANDIDATES]:
            staff = await get_staff(conn, tenant.ods, person.staff_id)
            if staff is not None:
                found.append(staff)
    return found, len(meant) > MAX_CANDIDATES


async def link(ctx: Context, tenant: Tenant, release_id: str, staff_id: str, actor: Actor) -> None:
    """Say which member of staff the host means; it can be corrected until somebody has answered.

    Raises:
        NotFound: no such case, or no such member of staff.
        WrongState: answered, closed, or the request itself says who it is.
    """
    case = await get(ctx, tenant, release_id)
    async with ctx.db.write() as conn:
        if await get_staff(conn, tenant.ods, staff_id) is None:
            raise NotFound("There is no such member of staff.", field="/staff_id")
        linked = await store.link(conn, case, staff_id, by=actor.ref, now=ctx.clock.now())
        if linked:
            await ctx.audit.record(
                conn,
                kind="release.person_linked",
                subject_ref=case.id,
                actor=actor.as_dict(),
                organisation=tenant.ods,
                details={"staff": staff_id},
            )
    if not linked:
        raise await _wrong_state(ctx, case)


async def answer(ctx: Context, tenant: Tenant, release_id: str, given: Answered, actor: Actor) -> None:
    """Record what line manager or HR says; the Release follows when that closes the case.

    Raises:
        NotFound.
        WrongState: answered by this role already, closed or too late; the detail says which.
        PassportError: person_not_linked, separation_of_duties.
        Invalid: the limits leave no day, or are too many.
    """
    case = await get(ctx, tenant, release_id)
    staff, passport = await _person(ctx, case, given, actor)
    _check_days(case, given)
    closed = None
    async with ctx.db.write() as conn:
        answered = await store.answer(conn, case, _new_answer(given, actor), ctx.clock.now())
        if answered is not None:
            await _record_answer(ctx, conn, answered, given, actor)
            closed = await _close(ctx, conn, tenant, answered, staff, passport)
    if answered is None:
        raise await _refusal(ctx, case, given, actor)
    if closed is not None:
        await sign_now(ctx, closed)


async def withdraw(ctx: Context, tenant: Tenant, release_id: str, actor: Actor) -> None:
    """Take a release back while the move is not over; the host reads it at the same address.

    Raises:
        NotFound, WrongState.
    """
    case = await get(ctx, tenant, release_id)
    if case.state not in AGREED or case.end < london_day(ctx.clock.now()):
        raise WrongState(f"The release is {case.shown_state(ctx.clock.now()).value} or over.")
    async with ctx.db.write() as conn:
        ended = await end_release(ctx, conn, tenant, case)
        if ended is not None:
            await ctx.audit.record(
                conn,
                kind="release.withdrawn",
                subject_ref=case.id,
                actor=actor.as_dict(),
                organisation=tenant.ods,
                details={"serial": ended.serial},
            )
    if ended is None:
        raise await _wrong_state(ctx, case)
    await sign_now(ctx, ended)


async def end_release(
    ctx: Context, conn: AsyncConnection, tenant: Tenant, case: Case, *, leaving: date | None = None
) -> Case | None:
    """Move an agreed case to WITHDRAWN with a new Release; None if it changed since it was read."""
    ended = await store.close(conn, case, to=CaseState.WITHDRAWN, come_from=AGREED, serial=case.serial)
    if ended is None:
        return None
    assert ended.agreed_end is not None  # noqa: S101 - an agreed case has one
    limits = rules.limits_in_force(limits_of(ended), ended.agreed_end, leaving)
    holder_ref = await holder_ref_of(conn, ended)
    await release_documents.reserve(ctx, conn, tenant, ended, limits=limits, holder_ref=holder_ref)
    return ended


async def sign_now(ctx: Context, case: Case) -> None:
    """Sign what was just committed; should this fail, the periodic task or the next reader does it."""
    failpoints.hit(failpoints.AFTER_RELEASE_RESERVED)
    await release_documents.newest(ctx, case.ods, case.id)


def limits_of(case: Case) -> tuple[Limit, ...]:
    """The limits the two agreed to."""
    return tuple(Limit.model_validate(limit) for limit in case.limits)


async def holder_ref_of(conn: AsyncConnection, case: Case) -> str:
    """The reference of the released person's passport."""
    assert case.staff_id is not None  # noqa: S101 - nobody agrees to release a person who is not linked
    passport = await passports.passport_of(conn, case.ods, case.staff_id)
    assert passport is not None  # noqa: S101 - it was made before the answer
    return passport.holder_ref


async def expire(ctx: Context) -> int:
    """End what nobody answered in time; how many."""
    async with ctx.db.write() as conn:
        ended = await store.expire(conn, ctx.clock.now())
        for ods, release_id in ended:
            await ctx.audit.record(
                conn,
                kind="release_request.expired",
                subject_ref=release_id,
                actor={"system": "sweep"},
                organisation=ods,
            )
    return len(ended)


async def _person(
    ctx: Context, case: Case, given: Answered, actor: Actor
) -> tuple[StaffMember | None, Passport | None]:
    """Who is released, with the passport they have or get; nobody answers for themselves."""
    if case.staff_id is None:
        if given.decision is AnswerDecision.AGREED:
            raise PassportError(PERSON_NOT_LINKED, "Choose the member of staff before agreeing.")
        return None, None
    async with ctx.db.read() as conn:
        staff = await get_staff(conn, case.ods, case.staff_id)
    assert staff is not None  # noqa: S101 - a foreign key says so
    if rules.is_the_person(actor.ref, staff):
        raise PassportError(SEPARATION_OF_DUTIES, "Nobody answers for their own move.")
    if given.decision is not AnswerDecision.AGREED:
        return staff, None
    if case.shown_state(ctx.clock.now()) is not CaseState.REQUESTED:
        raise await _wrong_state(ctx, case)
    passport = await offers.ensure_passport(ctx, staff, actor)
    if passport.state is PassportState.CLOSED:
        raise WrongState("The passport is CLOSED.")
    return staff, passport


def _check_days(case: Case, given: Answered) -> None:
    both = (*limits_of(case), *given.limits)
    if len(both) >= MAX_LIMITS:  # one place is kept for LEAVING
        raise _limits_invalid("too_many", "There are too many limits.")
    if given.limits and rules.agreed_days(case.start, case.end, both) is None:
        raise _limits_invalid("no_day_left", "With these limits no day is released: decline instead.")
    for limit in given.limits:
        if limit.date is not None and not case.start <= limit.date <= case.end:
            raise _limits_invalid("outside_movement", "A dated limit lies within the movement.")


def _limits_invalid(code: str, detail: str) -> Invalid:
    return Invalid(detail, [FieldError(pointer="/limits", code=code, detail=detail)], field="/limits")


def _new_answer(given: Answered, actor: Actor) -> NewAnswer:
    return NewAnswer(
        approver=given.approver,
        decision=given.decision,
        by=actor.ref,
        limits=tuple(limit.model_dump(mode="json", exclude_none=True) for limit in given.limits),
        statement=given.statement.value if given.statement else None,
        decline_code=given.decline_code.value if given.decline_code else None,
    )


async def _close(
    ctx: Context,
    conn: AsyncConnection,
    tenant: Tenant,
    case: Case,
    staff: StaffMember | None,
    passport: Passport | None,
) -> Case | None:
    """Decide what the answers add up to; the closed case with its Release reserved, None while it is open."""
    limits = limits_of(case)
    said = (case.decision(Approver.LINE_MANAGER), case.decision(Approver.HR))
    state = rules.outcome(*said, limited=bool(limits))
    if state is CaseState.REQUESTED:
        return None
    if state is CaseState.DECLINED:
        return await _reserve(ctx, conn, tenant, case, state, (), None, {})
    assert staff is not None  # noqa: S101 - agreeing needs a person
    assert passport is not None  # noqa: S101 - and makes their passport
    # Two releases of one person that are agreed at once must see each other.
    await passports.hold_row(conn, passport.id)
    days = rules.agreed_days(case.start, case.end, limits)
    leaving = await _leaving_date(conn, staff)
    if days is None or rules.released_until(days.last, leaving) < days.first:
        raise WrongState("No day of the movement is left to release: the person leaves before it begins.")
    in_force = rules.limits_in_force(limits, days.last, leaving)
    until = rules.released_until(days.last, leaving)
    values = {
        "agreed_end": days.last,
        "released_end": until,
        "overlap_warning": bool(
            rules.overlapping(Days(first=days.first, last=until), await store.days_taken(conn, case))
        ),
    }
    state = rules.outcome(*said, limited=bool(in_force))
    return await _reserve(ctx, conn, tenant, case, state, in_force, passport.holder_ref, values)


async def _leaving_date(conn: AsyncConnection, staff: StaffMember) -> date | None:
    # Read again: it may have changed since the person was looked at.
    found = await get_staff(conn, staff.ods, staff.id)
    return found.leaving_date if found else None


async def _reserve(
    ctx: Context,
    conn: AsyncConnection,
    tenant: Tenant,
    case: Case,
    state: CaseState,
    limits: Sequence[Limit],
    holder_ref: str | None,
    values: dict[str, Any],
) -> Case:
    closed = await store.close(
        conn, case, to=state, come_from=(CaseState.REQUESTED,), serial=case.serial, **values
    )
    assert closed is not None  # noqa: S101 - the answer holds the row
    await release_documents.reserve(ctx, conn, tenant, closed, limits=tuple(limits), holder_ref=holder_ref)
    await _tell(ctx, conn, closed)
    return closed


async def _record_answer(
    ctx: Context, conn: AsyncConnection, case: Case, given: Answered, actor: Actor
) -> None:
    await ctx.audit.record(
        conn,
        kind=f"release.answered_by_{given.approver.value.lower()}",
        subject_ref=case.id,
        actor=actor.as_dict(),
        organisation=case.ods,
        details={"decision": given.decision.value, "limits": [limit.code.value for limit in given.limits]},
    )


async def _tell(ctx: Context, conn: AsyncConnection, case: Case) -> None:
    """The fact that a request was answered, with people's time by step; codes only."""
    asked, manager, hr = case.received_at, case.line_manager_at, case.hr_at
    last = max(at for at in (manager, hr) if at is not None)
    data = fact(
        at=ctx.clock.now(),
        employing_ods=case.ods,
        host_ods=case.host_ods,
        movement_type=case.movement["type"],
        role_profile=case.movement["role_profile"],
        workforce_group=case.movement["workforce_group"],
        use_case=case.movement["use_case"],
        outcome=case.state.value,
        reason=case.decline_code,
        durations_s=durations(
            {
                Step.REQUEST_TO_LINE_MANAGER: (asked, manager),
                Step.LINE_MANAGER_TO_HR: (manager, hr),
                Step.TIME_TO_RELEASE: (asked, last),
            }
        ),
    )
    await ctx.outbox.emit(
        conn, type=EventType.RELEASE_ANSWERED.value, subject=case.id, organisation=case.ods, data=data
    )


async def _refusal(ctx: Context, case: Case, given: Answered, actor: Actor) -> PassportError:
    """Why an answer was not taken, from the case as it is now."""
    hr = given.approver is Approver.HR
    async with ctx.db.read() as conn:
        now = await store.get_case(conn, case.ods, case.id) or case
    said = now.decision(given.approver)
    if said is not None:
        who = "HR" if hr else "The line manager"
        return WrongState(f"{who} has answered already: {said.value}. The release is {now.state.value}.")
    open_now = now.shown_state(ctx.clock.now()) is CaseState.REQUESTED
    if open_now and actor.ref == (now.line_manager_by if hr else now.hr_by):
        return PassportError(SEPARATION_OF_DUTIES, "Line manager and HR are two people.")
    if open_now and now.staff_decision == StaffDecision.WITHDRAWN.value:
        return WrongState("The member of staff does not agree to this move: it can only be declined.")
    return await _wrong_state(ctx, now)


async def _wrong_state(ctx: Context, case: Case) -> WrongState:
    async with ctx.db.read() as conn:
        now = await store.get_case(conn, case.ods, case.id) or case
    state = now.shown_state(ctx.clock.now())
    if state is CaseState.REQUESTED:
        return WrongState("The release is REQUESTED, and an answer or its request says who the person is.")
    return WrongState(f"The release is {state.value}.")
