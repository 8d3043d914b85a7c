"""Problems people report about their passport, and the credentials that open a session to do so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.passports import LIVE
from passport_issuer.store import tables as t
from passport_issuer.store.credentials import Credential
from passport_issuer.store.holder_tables import problem_reports
from passport_issuer.store.offers import Offer
from passport_issuer.store.rows import as_row, as_value, many, one
from passport_shared.service.paging import PageQuery, fetch_page

MAX_OPEN = 20


class ProblemKind(StrEnum):
    """PERSISTED. What people report."""

    WRONG_DETAIL = "WRONG_DETAIL"
    NOT_MINE = "NOT_MINE"
    LOST_PHONE = "LOST_PHONE"
    OTHER = "OTHER"


class ProblemState(StrEnum):
    """PERSISTED. What became of it."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


@dataclass(frozen=True, kw_only=True)
class ProblemReport:
    """One report: of what kind, about which type of record, in the person's own words."""

    id: str
    ods: str
    passport_id: str
    staff_id: str
    kind: ProblemKind
    about: str | None
    text: str | None
    state: ProblemState
    reported_at: datetime
    closed_at: datetime | None
    closed_by: str | None


async def add(conn: AsyncConnection, report: ProblemReport) -> None:
    """Write a report."""
    await conn.execute(problem_reports.insert().values(as_row(report)))


async def get(conn: AsyncConnection, ods: str, report_id: str) -> ProblemReport | None:
    """One report of this trust's people."""
    query = select(problem_reports).where(problem_reports.c.ods == ods, problem_reports.c.id == report_id)
    return await one(conn, query, ProblemReport)


async def page(
    conn: AsyncConnection, ods: str, query: PageQuery, state: ProblemState | None
) -> tuple[list[ProblemReport], str | None]:
    """A page of reports, newest first."""
    statement = select(problem_reports).where(problem_reports.c.ods == ods)
    if state is not None:
        statement = statement.where(problem_reports.c.state == state.value)
    rows, following = await fetch_page(
        conn,
        statement,
        list_name=f"problems/{ods}/{state or ''}",
        order_by=[problem_reports.c.id],
        query=query,
        descending=True,
    )
    return [as_value(ProblemReport, row._mapping) for row in rows], following


async def of_passport(conn: AsyncConnection, passport_id: str) -> list[ProblemReport]:
    """A person's own reports, newest first."""
    query = (
        select(problem_reports)
        .where(problem_reports.c.passport_id == passport_id)
        .order_by(problem_reports.c.id.desc())
        .limit(100)
    )
    return await many(conn, query, ProblemReport)


async def close(conn: AsyncConnection, ods: str, report_id: str, *, by: str, now: datetime) -> bool:
    """Close an open report; whether it was open."""
    changed = await conn.execute(
        update(problem_reports)
        .where(
            problem_reports.c.ods == ods,
            problem_reports.c.id == report_id,
            problem_reports.c.state == ProblemState.OPEN.value,
        )
        .values(state=ProblemState.CLOSED.value, closed_at=now, closed_by=by)
    )
    return changed.rowcount == 1


async def phone_is_lost(conn: AsyncConnection, passport_id: str) -> bool:
    """Whether an open report says that the phone with this passport's keys is gone."""
    query = select(
        exists().where(
            problem_reports.c.passport_id == passport_id,
            problem_reports.c.kind == ProblemKind.LOST_PHONE.value,
            problem_reports.c.state == ProblemState.OPEN.value,
        )
    )
    return bool((await conn.execute(query)).scalar_one())


async def credential_of_digest(conn: AsyncConnection, ods: str, sha256: str) -> Credential | None:
    """The credential of this trust that was signed as these bytes."""
    query = select(t.credentials).where(
        t.credentials.c.ods == ods, t.credentials.c.issuer_jwt_sha256 == sha256
    )
    return await one(conn, query, Credential)


async def key_stands(conn: AsyncConnection, passport_id: str, holder_jkt: str, now: datetime) -> bool:
    """Whether a passport still has a record under this key that counts."""
    query = select(
        exists().where(
            t.credentials.c.passport_id == passport_id,
            t.credentials.c.holder_jkt == holder_jkt,
            t.credentials.c.state.in_([state.value for state in LIVE]),
            t.credentials.c.expires_at > now,
        )
    )
    return bool((await conn.execute(query)).scalar_one())


async def open_offers(conn: AsyncConnection, ods: str, passport_id: str, now: datetime) -> list[Offer]:
    """The person's offers that can still be collected."""
    offers = t.credential_offers
    query = (
        select(offers)
        .where(
            offers.c.ods == ods,
            offers.c.passport_id == passport_id,
            offers.c.state == "OFFERED",
            offers.c.redeemed_at.is_(None),
            offers.c.expires_at > now,
        )
        .order_by(offers.c.id)
    )
    return await many(conn, query, Offer)
