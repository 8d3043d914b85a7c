"""Presentation requests as rows: what was asked, the one-time values of the exchange, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.paging import PageQuery, fetch_page
from passport_verifier.store.tables import (
    decisions,
    held_presentations,
    movements,
    presentation_requests,
    register_checks,
)

MAX_ATTEMPTS = 20
"""Responses that are looked at per request; after so many bad ones it is closed."""


class Flow(StrEnum):  # PERSISTED
    """Whether the browser that shows the request is on the wallet's device."""

    CROSS_DEVICE = "cross_device"
    SAME_DEVICE = "same_device"


class RequestState(StrEnum):  # PERSISTED
    """What became of a request; OPEN ends with ``expires_at``, whenever the sweep writes it down."""

    OPEN = "OPEN"
    ANSWERED = "ANSWERED"
    DECLINED = "DECLINED"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, kw_only=True)
class PresentationRequest:
    """One request; its keys are wrapped, and ``encryption_key`` goes when the request closes."""

    id: str
    ods: str
    case_id: str
    movement_id: str | None
    policy_id: str
    policy_version: str
    purpose: str
    flow: Flow
    channel: str
    employing_ods: str | None
    first_day: date
    last_day: date
    data_key: bytes | None
    link: str
    kid: str
    oauth_state: str
    nonce: str
    client_id: str
    dcql_query: Mapping[str, Any]
    encryption_jwk: Mapping[str, Any]
    encryption_key: bytes | None
    state: RequestState
    attempts: int
    last_refusal: str | None
    last_refusal_at: datetime | None
    browser_hash: str | None
    response_code_hash: str | None
    returned_at: datetime | None
    created_at: datetime
    created_by: Mapping[str, Any]
    client: str
    expires_at: datetime
    answered_at: datetime | None
    duties: str | None = None
    terms_version: int | None = None

    def open_at(self, now: datetime) -> bool:
        """Whether it can still be answered."""
        return self.state is RequestState.OPEN and now < self.expires_at


@dataclass(frozen=True, kw_only=True)
class Session:
    """What answering one request needs, from one read: the request, its data key, and the host's look-ups.

    ``released_until`` is the last day of a movement that its employing trust has brought in, else None.
    """

    request: PresentationRequest
    data_key: bytes
    look_ups: tuple[Mapping[str, Any], ...]
    released_until: date | None = None


_COLUMNS = tuple(column.name for column in presentation_requests.c)


def request_of(row: RowMapping) -> PresentationRequest:
    """A request from a row that has at least its columns."""
    values = {name: row[name] for name in _COLUMNS}
    return PresentationRequest(
        **{**values, "flow": Flow(values["flow"]), "state": RequestState(values["state"])}
    )


async def add(conn: AsyncConnection, request: PresentationRequest) -> None:
    """Store a new request."""
    await conn.execute(insert(presentation_requests).values(**vars(request)))


async def count_open(conn: AsyncConnection, client: str, now: datetime) -> int:
    """How many requests of an API client can still be answered."""
    table = presentation_requests
    query = select(func.count()).where(
        table.c.client == client, table.c.state == RequestState.OPEN, table.c.expires_at > now
    )
    return int((await conn.execute(query)).scalar_one())


async def get(conn: AsyncConnection, ods: str, request_id: str) -> PresentationRequest | None:
    """One request of an organisation, by its management id."""
    return await _one(conn, ods, presentation_requests.c.id == request_id)


async def by_link(conn: AsyncConnection, ods: str, link: str) -> PresentationRequest | None:
    """One request, by the random part of its links."""
    return await _one(conn, ods, presentation_requests.c.link == link)


async def by_oauth_state(conn: AsyncConnection, ods: str, oauth_state: str) -> PresentationRequest | None:
    """One request, by the ``state`` an error answer carries."""
    return await _one(conn, ods, presentation_requests.c.oauth_state == oauth_state)


async def _one(conn: AsyncConnection, ods: str, condition: Any) -> PresentationRequest | None:
    query = select(presentation_requests).where(presentation_requests.c.ods == ods, condition)
    row = (await conn.execute(query)).mappings().one_or_none()
    return request_of(row) if row else None


_SESSION = (
    select(
        presentation_requests,
        movements.c.data_key.label("movement_data_key"),
        movements.c.capped_end.label("movement_capped_end"),
        *(column.label(f"look_up_{column.name}") for column in register_checks.c),
    )
    .outerjoin(movements, movements.c.id == presentation_requests.c.movement_id)
    .outerjoin(register_checks, register_checks.c.case_id == presentation_requests.c.case_id)
)


# Made once: building the statement and finding it in the compiler's cache cost more than running it.
_SESSION_BY_KID = _SESSION.where(
    presentation_requests.c.ods == bindparam("of_ods"), presentation_requests.c.kid == bindparam("of_kid")
)


async def session_by_kid(conn: AsyncConnection, ods: str, kid: str) -> Session | None:
    """Everything needed to answer the request whose encryption key has this ``kid``."""
    found = await conn.execute(_SESSION_BY_KID, {"of_ods": ods, "of_kid": kid})
    return _session(found.mappings().all())


async def session_by_id(conn: AsyncConnection, ods: str, request_id: str) -> Session | None:
    """The same, by the request's id."""
    query = _SESSION.where(presentation_requests.c.ods == ods, presentation_requests.c.id == request_id)
    return _session((await conn.execute(query)).mappings().all())


def _session(rows: Any) -> Session | None:
    if not rows:
        return None
    look_ups = tuple(
        {column.name: row[f"look_up_{column.name}"] for column in register_checks.c}
        for row in rows
        if row["look_up_id"] is not None
    )
    return Session(
        request=request_of(rows[0]),
        data_key=rows[0]["movement_data_key"] or rows[0]["data_key"],
        look_ups=look_ups,
        released_until=rows[0]["movement_capped_end"],
    )


async def page(
    conn: AsyncConnection, ods: str, query: PageQuery, *, movement_id: str | None = None
) -> tuple[list[tuple[PresentationRequest, str | None]], str | None]:
    """An organisation's requests, newest first, each with the id of its newest decision."""
    newest = (
        select(func.max(decisions.c.id))
        .where(decisions.c.request_id == presentation_requests.c.id)
        .scalar_subquery()
    )
    statement = select(presentation_requests, newest.label("decision_id")).where(
        presentation_requests.c.ods == ods
    )
    if movement_id is not None:
        statement = statement.where(presentation_requests.c.movement_id == movement_id)
    rows, following = await fetch_page(
        conn,
        statement,
        list_name=f"presentation-requests {ods} {movement_id}",
        order_by=[presentation_requests.c.id],
        query=query,
        descending=True,
    )
    return [(request_of(row._mapping), row._mapping["decision_id"]) for row in rows], following


class Refused(NamedTuple):
    """What a bad answer did to its request."""

    counted: bool
    closed: bool


async def refuse(conn: AsyncConnection, request_id: str, reason: str, now: datetime) -> Refused:
    """Count a bad answer to an open request; after too many the request is closed and its key goes."""
    table = presentation_requests
    counted = update(table).where(table.c.id == request_id, table.c.state == RequestState.OPEN)
    one_more = await conn.execute(
        counted.values(attempts=table.c.attempts + 1, last_refusal=reason, last_refusal_at=now)
    )
    closed = await conn.execute(
        counted.where(table.c.attempts >= MAX_ATTEMPTS).values(
            state=RequestState.REFUSED, encryption_key=None
        )
    )
    return Refused(one_more.rowcount == 1, closed.rowcount == 1)


async def close(
    conn: AsyncConnection, request_id: str, state: RequestState, *, reason: str | None, now: datetime
) -> bool:
    """Close an open request without a decision; whether it was open."""
    table = presentation_requests
    values: dict[str, Any] = {"state": state, "encryption_key": None, "answered_at": now}
    if reason is not None:
        values |= {"last_refusal": reason, "last_refusal_at": now}
    statement = update(table).where(table.c.id == request_id, table.c.state == RequestState.OPEN)
    return (await conn.execute(statement.values(**values))).rowcount == 1


async def bind_browser(conn: AsyncConnection, request_id: str, browser_hash: str) -> bool:
    """Bind a same-device request to the first browser that opens it; whether it is this one."""
    table = presentation_requests
    statement = (
        update(table)
        .where(
            table.c.id == request_id,
            (table.c.browser_hash.is_(None)) | (table.c.browser_hash == browser_hash),
        )
        .values(browser_hash=browser_hash)
    )
    return (await conn.execute(statement)).rowcount == 1


async def redeem(
    conn: AsyncConnection, request_id: str, *, code_hash: str, browser_hash: str, now: datetime
) -> bool:
    """Redeem a response code once, in the browser the request was started in; whether it was."""
    table = presentation_requests
    statement = (
        update(table)
        .where(
            table.c.id == request_id,
            table.c.response_code_hash == code_hash,
            table.c.browser_hash == browser_hash,
            table.c.returned_at.is_(None),
        )
        .values(returned_at=now, response_code_hash=None)
    )
    return (await conn.execute(statement)).rowcount == 1


async def sweep(conn: AsyncConnection, now: datetime) -> int:
    """Close requests that ran out, and forget their keys; how many.

    One whose presentation is held for a retry keeps its key as long as the presentation is kept.
    """
    table = presentation_requests
    held = select(held_presentations.c.request_id)
    statement = (
        update(table)
        .where(table.c.state == RequestState.OPEN, table.c.expires_at <= now, table.c.id.not_in(held))
        .values(state=RequestState.EXPIRED, encryption_key=None)
    )
    return int((await conn.execute(statement)).rowcount)
