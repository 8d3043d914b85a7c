"""Release requests and the Releases that answer them. Every change of state is one conditional statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.releases import AGREED, Approver, CaseState, Days, Named, StaffDecision
from passport_issuer.store import tables as t
from passport_issuer.store.release_tables import release_documents, releases
from passport_issuer.store.rows import as_row, as_value, many, one
from passport_shared.service.once import insert_once
from passport_shared.service.paging import PageQuery, fetch_page
from passport_shared.wire.release import AnswerDecision

_AGREED = [state.value for state in AGREED]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A release request with its answers. ``subject`` is the host's words, gone when the case is closed."""

    id: str
    ods: str
    requester: str
    request_jti: str
    request_sha256: str
    host_ods: str
    movement_id: str
    movement_version: int
    movement: Mapping[str, Any]
    start: date
    end: date
    urgent: bool
    subject: Mapping[str, Any] | None
    staff_id: str | None
    linked_by: str | None
    linked_at: datetime | None
    state: CaseState
    received_at: datetime
    answer_by: datetime
    line_manager_decision: str | None
    line_manager_at: datetime | None
    line_manager_by: str | None
    hr_decision: str | None
    hr_at: datetime | None
    hr_by: str | None
    staff_decision: str | None
    staff_at: datetime | None
    limits: tuple[Mapping[str, Any], ...]
    statement: str | None
    decline_code: str | None
    agreed_end: date | None
    released_end: date | None
    overlap_warning: bool
    serial: int
    version: int

    def shown_state(self, now: datetime) -> CaseState:
        """The state people are shown: a request whose time is over has expired at once."""
        over = self.state is CaseState.REQUESTED and now >= self.answer_by
        return CaseState.EXPIRED if over else self.state

    def decision(self, approver: Approver) -> AnswerDecision | None:
        """What one of the two has said."""
        hr = approver is Approver.HR
        said = self.hr_decision if hr else self.line_manager_decision
        return None if said is None else AnswerDecision(said)


@dataclass(frozen=True, kw_only=True)
class Document:
    """One Release of a case: its claims, and its token once it is signed."""

    release_id: str
    serial: int
    ods: str
    claims: Mapping[str, Any]
    token: str | None
    reserved_at: datetime
    signed_at: datetime | None


async def add_case(conn: AsyncConnection, case: Case) -> bool:
    """Write a request unless its requester has used the id before; whether it was written."""
    return await insert_once(conn, releases, as_row(case))


async def get_case(conn: AsyncConnection, ods: str, release_id: str) -> Case | None:
    """A case of this trust."""
    return await one(conn, select(releases).where(releases.c.ods == ods, releases.c.id == release_id), Case)


async def case_of_request(conn: AsyncConnection, ods: str, requester: str, request_jti: str) -> Case | None:
    """The case of a request by who asked and its id."""
    query = select(releases).where(
        releases.c.ods == ods, releases.c.requester == requester, releases.c.request_jti == request_jti
    )
    return await one(conn, query, Case)


async def list_cases(
    conn: AsyncConnection,
    ods: str,
    page: PageQuery,
    *,
    now: datetime,
    state: CaseState | None = None,
    staff_id: str | None = None,
) -> tuple[list[Case], str | None]:
    """A page of the trust's cases, newest first."""
    query = select(releases).where(releases.c.ods == ods)
    if state is not None:
        query = query.where(_is_shown_as(state, now))
    if staff_id is not None:
        query = query.where(releases.c.staff_id == staff_id)
    rows, following = await fetch_page(
        conn,
        query,
        list_name=f"releases/{ods}/{state or ''}/{staff_id or ''}",
        order_by=[releases.c.received_at, releases.c.id],
        query=page,
        descending=True,
    )
    return [as_value(Case, row._mapping) for row in rows], following


def _is_shown_as(state: CaseState, now: datetime) -> ColumnElement[bool]:
    over = and_(releases.c.state == CaseState.REQUESTED.value, releases.c.answer_by <= now)
    if state is CaseState.EXPIRED:
        return or_(releases.c.state == state.value, over)
    return and_(releases.c.state == state.value, ~over)


async def link(conn: AsyncConnection, case: Case, staff_id: str, *, by: str, now: datetime) -> bool:
    """Say who the host means, while nobody has answered and the request did not say it itself."""
    changed = await conn.execute(
        update(releases)
        .where(
            releases.c.id == case.id,
            _open_at(now),
            releases.c.subject.is_not(None),
            releases.c.line_manager_decision.is_(None),
            releases.c.hr_decision.is_(None),
        )
        .values(staff_id=staff_id, linked_by=by, linked_at=now, version=releases.c.version + 1)
    )
    return changed.rowcount == 1


@dataclass(frozen=True, kw_only=True)
class NewAnswer:
    """One answer: who, what, and what goes with it."""

    approver: Approver
    decision: AnswerDecision
    by: str
    limits: tuple[Mapping[str, Any], ...]
    statement: str | None
    decline_code: str | None


async def answer(conn: AsyncConnection, case: Case, given: NewAnswer, now: datetime) -> Case | None:
    """Record an answer once: by another person than the other answer's, in time, about the linked person.

    None if one of these does not hold any more. The row stays locked until the transaction ends, so the
    returned case is what both answers add up to.
    """
    mine, other = ("hr", "line_manager") if given.approver is Approver.HR else ("line_manager", "hr")
    values: dict[str, Any] = {
        f"{mine}_decision": given.decision.value,
        f"{mine}_at": now,
        f"{mine}_by": given.by,
        "version": releases.c.version + 1,
    }
    if given.statement is not None:
        values["statement"] = given.statement
    if given.decline_code is not None:
        values["decline_code"] = given.decline_code
    same_person = (
        releases.c.staff_id.is_(None) if case.staff_id is None else releases.c.staff_id == case.staff_id
    )
    row = (
        (
            await conn.execute(
                update(releases)
                .where(
                    releases.c.id == case.id,
                    _open_at(now),
                    releases.c[f"{mine}_decision"].is_(None),
                    or_(releases.c[f"{other}_by"].is_(None), releases.c[f"{other}_by"] != given.by),
                    _not_against_their_will(given),
                    same_person,
                )
                .values(values)
                .returning(*releases.c)
            )
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    answered = as_value(Case, row)
    if not given.limits:
        return answered
    # The row is ours now: the other one's limits are there to add to.
    limits = [*answered.limits, *given.limits]
    await conn.execute(update(releases).where(releases.c.id == case.id).values(limits=limits))
    return as_value(Case, {**row, "limits": limits})  # type: ignore[arg-type]


def _not_against_their_will(given: NewAnswer) -> ColumnElement[bool]:
    """Nobody is released who has said that they do not agree; declining is always possible."""
    if given.decision is AnswerDecision.DECLINED:
        return true()
    said = releases.c.staff_decision
    return or_(said.is_(None), said != StaffDecision.WITHDRAWN.value)


async def say(
    conn: AsyncConnection,
    case: Case,
    decision: StaffDecision,
    *,
    in_states: Sequence[CaseState],
    now: datetime,
) -> bool:
    """Record what the member of staff says while the case is in one of these states; whether it was."""
    changed = await conn.execute(
        update(releases)
        .where(
            releases.c.id == case.id,
            releases.c.staff_id == case.staff_id,
            releases.c.state.in_([state.value for state in in_states]),
            or_(releases.c.state != CaseState.REQUESTED.value, releases.c.answer_by > now),
        )
        .values(staff_decision=decision.value, staff_at=now, version=releases.c.version + 1)
    )
    return changed.rowcount == 1


async def of_person(conn: AsyncConnection, ods: str, staff_id: str, *, limit: int = 100) -> list[Case]:
    """A person's cases, newest first."""
    query = (
        select(releases)
        .where(releases.c.ods == ods, releases.c.staff_id == staff_id)
        .order_by(releases.c.received_at.desc(), releases.c.id.desc())
        .limit(limit)
    )
    return await many(conn, query, Case)


async def close(
    conn: AsyncConnection,
    case: Case,
    *,
    to: CaseState,
    come_from: Sequence[CaseState],
    serial: int,
    **values: Any,
) -> Case | None:
    """Move a case whose serial is still this one to another state, with its next serial; the host's words go.

    None if somebody else moved it first.
    """
    row = (
        (
            await conn.execute(
                update(releases)
                .where(
                    releases.c.id == case.id,
                    releases.c.state.in_([state.value for state in come_from]),
                    releases.c.serial == serial,
                )
                .values(
                    state=to.value,
                    serial=serial + 1,
                    subject=None,
                    version=releases.c.version + 1,
                    **values,
                )
                .returning(*releases.c)
            )
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else as_value(Case, row)


async def expire(conn: AsyncConnection, now: datetime, *, limit: int = 500) -> list[tuple[str, str]]:
    """End requests nobody answered in time; their trust and id."""
    due = select(releases.c.id).where(
        releases.c.state == CaseState.REQUESTED.value, releases.c.answer_by <= now
    )
    return await _expire(conn, [releases.c.id.in_(due.limit(limit)), releases.c.answer_by <= now])


async def supersede(conn: AsyncConnection, case: Case) -> list[tuple[str, str]]:
    """End the unanswered requests for earlier versions of a movement; their trust and id."""
    return await _expire(
        conn,
        [
            releases.c.ods == case.ods,
            releases.c.requester == case.requester,
            releases.c.movement_id == case.movement_id,
            releases.c.movement_version < case.movement_version,
        ],
    )


async def _expire(conn: AsyncConnection, conditions: Sequence[ColumnElement[bool]]) -> list[tuple[str, str]]:
    rows = await conn.execute(
        update(releases)
        .where(releases.c.state == CaseState.REQUESTED.value, *conditions)
        .values(state=CaseState.EXPIRED.value, subject=None, version=releases.c.version + 1)
        .returning(releases.c.ods, releases.c.id)
    )
    return [(row.ods, row.id) for row in rows]


async def running_of(conn: AsyncConnection, ods: str, staff_id: str, today: date) -> list[Case]:
    """A person's releases that are in force and not over."""
    query = select(releases).where(
        releases.c.ods == ods,
        releases.c.staff_id == staff_id,
        releases.c.state.in_(_AGREED),
        releases.c.end >= today,
    )
    return await many(conn, query, Case)


async def ending(conn: AsyncConnection, first: date, last: date, *, limit: int = 1_000) -> list[Case]:
    """Agreed releases whose last day lies between two days, the soonest first."""
    query = (
        select(releases)
        .where(
            releases.c.state.in_(_AGREED),
            releases.c.staff_id.is_not(None),
            releases.c.released_end >= first,
            releases.c.released_end <= last,
        )
        .order_by(releases.c.released_end, releases.c.id)
        .limit(limit)
    )
    return await many(conn, query, Case)


async def days_taken(conn: AsyncConnection, case: Case) -> dict[str, Days]:
    """The days of the person's other releases, by id; other versions of the same movement do not count."""
    query = select(releases.c.id, releases.c.start, releases.c.released_end).where(
        releases.c.ods == case.ods,
        releases.c.staff_id == case.staff_id,
        releases.c.state.in_(_AGREED),
        releases.c.id != case.id,
        or_(releases.c.requester != case.requester, releases.c.movement_id != case.movement_id),
    )
    rows = await conn.execute(query)
    return {row.id: Days(first=row.start, last=row.released_end) for row in rows}


async def cut_short(conn: AsyncConnection, today: date, *, limit: int = 200) -> list[tuple[str, str]]:
    """Trust and member of staff of running releases that do not agree with a last day of employment."""
    day = t.staff.c.leaving_date
    too_long = and_(day.is_not(None), releases.c.released_end > day)
    too_short = and_(
        releases.c.released_end < releases.c.agreed_end, or_(day.is_(None), releases.c.released_end < day)
    )
    query = (
        select(releases.c.ods, releases.c.staff_id)
        .join(t.staff, t.staff.c.id == releases.c.staff_id)
        .where(releases.c.state.in_(_AGREED), releases.c.end >= today, or_(too_long, too_short))
        .distinct()
        .limit(limit)
    )
    return [(row.ods, row.staff_id) for row in await conn.execute(query)]


async def reserve(conn: AsyncConnection, document: Document) -> None:
    """Write a Release's claims under its serial, before anything is signed."""
    await conn.execute(release_documents.insert().values(as_row(document)))


async def newest_document(conn: AsyncConnection, ods: str, release_id: str) -> Document | None:
    """The Release of a case with the highest serial, signed or not."""
    query = (
        select(release_documents)
        .where(release_documents.c.release_id == release_id, release_documents.c.ods == ods)
        .order_by(release_documents.c.serial.desc())
        .limit(1)
    )
    return await one(conn, query, Document)


async def unsigned(conn: AsyncConnection, *, limit: int = 100) -> list[Document]:
    """Releases that were reserved and not signed yet."""
    query = (
        select(release_documents)
        .where(release_documents.c.token.is_(None))
        .order_by(release_documents.c.reserved_at)
        .limit(limit)
    )
    return await many(conn, query, Document)


async def record_signature(conn: AsyncConnection, document: Document, token: str, now: datetime) -> bool:
    """Keep a Release's token; the first one wins, so that a host never sees two for one serial."""
    changed = await conn.execute(
        update(release_documents)
        .where(
            release_documents.c.release_id == document.release_id,
            release_documents.c.serial == document.serial,
            release_documents.c.token.is_(None),
        )
        .values(token=token, signed_at=now)
    )
    return changed.rowcount == 1


async def staff_names(conn: AsyncConnection, ods: str) -> list[Named]:
    """The names of everybody the trust keeps who has not left."""
    staff = t.staff
    query = (
        select(staff.c.id, staff.c.legal_given, staff.c.legal_family, staff.c.preferred_name)
        .where(staff.c.ods == ods, staff.c.employment_status != "LEFT", ~staff.c.visiting)
        .order_by(staff.c.id)
    )
    return [
        Named(staff_id=row.id, given=row.legal_given, family=row.legal_family, preferred=row.preferred_name)
        for row in await conn.execute(query)
    ]


async def passport_of_reference(conn: AsyncConnection, ods: str, holder_ref: str) -> str | None:
    """The member of staff whose passport carries this reference."""
    query = select(t.passports.c.staff_id).where(
        t.passports.c.ods == ods, t.passports.c.holder_ref == holder_ref
    )
    return (await conn.execute(query)).scalar_one_or_none()


def _open_at(now: datetime) -> ColumnElement[bool]:
    return and_(releases.c.state == CaseState.REQUESTED.value, releases.c.answer_by > now)
