"""Decisions as rows, with what they rely on and the conditions they set.

A decision is never changed by judging again: a re-check is a new row that names the one before. Reading gives
the sealed part as it is stored; opening it is the operation's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, Select, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.once import insert_once
from passport_shared.service.paging import PageQuery, fetch_page
from passport_verifier.rules.outcome import Outcome
from passport_verifier.store.requests import Flow
from passport_verifier.store.tables import (
    conditions,
    decisions,
    issuer_chains,
    movements,
    presentation_requests,
    reliances,
    status_lists,
)


class Cause(StrEnum):  # PERSISTED
    """Why a decision was made."""

    PRESENTATION = "PRESENTATION"
    ASKED = "ASKED"
    STATUS_ARRIVED = "STATUS_ARRIVED"
    WATCHED = "WATCHED"


class PersonMethod(StrEnum):  # PERSISTED
    """How a person was confirmed to be the one whose records were shared."""

    FACE_TO_FACE = "FACE_TO_FACE"
    DOCUMENT_ON_CALL = "DOCUMENT_ON_CALL"
    KNOWN_TO_ME = "KNOWN_TO_ME"


class ConditionState(StrEnum):  # PERSISTED
    """What became of a condition."""

    OPEN = "OPEN"
    MET = "MET"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision; ``sealed`` holds facts and the parameters of its sentences, encrypted.

    ``sealed_person`` are names and birthdate for the placement credential, encrypted apart and kept as short
    as that needs (``placement_tables``).
    """

    id: str
    ods: str
    case_id: str
    request_id: str
    movement_id: str | None
    recheck_of: str | None
    cause: Cause
    received_at: datetime
    decided_at: datetime
    first_day: date
    last_day: date
    outcome: Outcome
    decided_by: str | None
    latest_end: str | None
    verified: bool
    findings: Sequence[Mapping[str, Any]]
    sealed: bytes
    policy_version: str
    policy_digest: str
    registry_sequence: int
    registry_age_s: int
    status_times: Mapping[str, str]
    awaits_status: bool
    person_method: PersonMethod | None
    person_by: Mapping[str, Any] | None
    person_at: datetime | None
    sealed_person: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Reliance:
    """One credential a decision relies on, without anything it says."""

    credential: str
    vct: str
    issuer: str
    issuer_ods: str | None
    x5t_s256: str
    status_uri: str
    status_idx: int
    iat: datetime
    exp: datetime
    issuer_jwt_sha256: str
    holder_thumbprint: str
    trust_finding: str
    status_finding: str
    verdict: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition of a decision; ``text`` is the key of its words."""

    number: int
    rule: str
    subject: str | None
    text: str
    due: datetime
    owner: str
    state: ConditionState
    changed_at: datetime | None
    changed_by: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A decision with everything that belongs to it."""

    decision: Decision
    reliances: tuple[Reliance, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A decision in a list: with the request's flow and return, and whether a newer one replaces it."""

    decision: Decision
    flow: Flow
    returned_at: datetime | None
    superseded_by: str | None


def decision_row(decision: Decision) -> dict[str, Any]:
    """The columns of a decision."""
    return dict(vars(decision))


def reliance_rows(decision_id: str, found: Sequence[Reliance]) -> list[dict[str, Any]]:
    """The rows of what a decision relies on."""
    return [{"decision_id": decision_id, **vars(one)} for one in found]


def condition_rows(decision_id: str, found: Sequence[Condition]) -> list[dict[str, Any]]:
    """The rows of a decision's conditions."""
    return [{"decision_id": decision_id, **vars(one)} for one in found]


def _decision(row: RowMapping) -> Decision:
    values = {column.name: row[column.name] for column in decisions.c}
    method = values["person_method"]
    return Decision(
        **{
            **values,
            "cause": Cause(values["cause"]),
            "outcome": Outcome(values["outcome"]),
            "person_method": PersonMethod(method) if method else None,
        }
    )


_newer = decisions.alias("newer")
_LISTED = (
    select(
        decisions,
        presentation_requests.c.flow,
        presentation_requests.c.returned_at,
        _newer.c.id.label("superseded_by"),
    )
    .join(presentation_requests, presentation_requests.c.id == decisions.c.request_id)
    .outerjoin(_newer, _newer.c.recheck_of == decisions.c.id)
)


def _listed(row: RowMapping) -> Listed:
    return Listed(
        decision=_decision(row),
        flow=Flow(row["flow"]),
        returned_at=row["returned_at"],
        superseded_by=row["superseded_by"],
    )


async def get(conn: AsyncConnection, ods: str, decision_id: str) -> Listed | None:
    """One decision of an organisation."""
    query = _LISTED.where(decisions.c.id == decision_id, decisions.c.ods == ods)
    row = (await conn.execute(query)).mappings().one_or_none()
    return _listed(row) if row else None


async def page(
    conn: AsyncConnection,
    ods: str,
    query: PageQuery,
    *,
    movement_id: str | None = None,
    request_id: str | None = None,
) -> tuple[list[Listed], str | None]:
    """An organisation's decisions, newest first."""
    statement: Select[Any] = _LISTED.where(decisions.c.ods == ods)
    if movement_id is not None:
        statement = statement.where(decisions.c.movement_id == movement_id)
    if request_id is not None:
        statement = statement.where(decisions.c.request_id == request_id)
    rows, following = await fetch_page(
        conn,
        statement,
        list_name=f"decisions {ods} {movement_id} {request_id}",
        order_by=[decisions.c.id],
        query=query,
        descending=True,
    )
    return [_listed(row._mapping) for row in rows], following


async def reliances_of(conn: AsyncConnection, decision_id: str) -> tuple[Reliance, ...]:
    """What a decision relies on, in the order of the credentials' names."""
    query = select(reliances).where(reliances.c.decision_id == decision_id).order_by(reliances.c.credential)
    rows = (await conn.execute(query)).mappings()
    return tuple(
        Reliance(**{name: value for name, value in row.items() if name != "decision_id"}) for row in rows
    )


async def conditions_of(conn: AsyncConnection, decision_id: str) -> tuple[Condition, ...]:
    """A decision's conditions by number."""
    query = select(conditions).where(conditions.c.decision_id == decision_id).order_by(conditions.c.number)
    rows = (await conn.execute(query)).mappings()
    return tuple(
        Condition(
            **{
                **{name: value for name, value in row.items() if name != "decision_id"},
                "state": ConditionState(row["state"]),
            }
        )
        for row in rows
    )


async def hold(conn: AsyncConnection, ods: str, decision_id: str) -> Listed | None:
    """Take a decision's row until the transaction ends, and return it as it is then.

    Whoever adds to a decision, or replaces it, holds it: what is confirmed beside a re-check is then carried
    over by it or refused, on either database.
    """
    await conn.execute(update(decisions).where(decisions.c.id == decision_id).values(ods=decisions.c.ods))
    return await get(conn, ods, decision_id)


async def add_recheck(conn: AsyncConnection, whole: Whole) -> bool:
    """Store a re-check; False if the decision before it has been re-checked already."""
    if not await insert_once(conn, decisions, decision_row(whole.decision)):
        return False
    await conn.execute(
        update(decisions)
        .where(decisions.c.id == whole.decision.recheck_of, decisions.c.awaits_status)
        .values(awaits_status=False)
    )
    decision_id = whole.decision.id
    if whole.reliances:
        await conn.execute(insert(reliances), reliance_rows(decision_id, whole.reliances))
    if whole.conditions:
        await conn.execute(insert(conditions), condition_rows(decision_id, whole.conditions))
    return True


async def confirm_person(
    conn: AsyncConnection, decision_id: str, *, method: PersonMethod, by: Mapping[str, Any], at: datetime
) -> bool:
    """Record who confirmed the person and how, once; whether it was recorded now."""
    statement = (
        update(decisions)
        .where(decisions.c.id == decision_id, decisions.c.person_at.is_(None))
        .values(person_method=method, person_by=by, person_at=at)
    )
    return (await conn.execute(statement)).rowcount == 1


async def meet_condition(
    conn: AsyncConnection, decision_id: str, number: int, *, by: Mapping[str, Any], at: datetime
) -> bool:
    """Record that an open condition is met; whether it was open."""
    statement = (
        update(conditions)
        .where(
            conditions.c.decision_id == decision_id,
            conditions.c.number == number,
            conditions.c.state == ConditionState.OPEN,
        )
        .values(state=ConditionState.MET, changed_at=at, changed_by=by)
    )
    return (await conn.execute(statement)).rowcount == 1


async def data_key_of(conn: AsyncConnection, decision_id: str) -> bytes | None:
    """The wrapped data key a decision is sealed under."""
    query = (
        select(
            movements.c.data_key.label("of_movement"), presentation_requests.c.data_key.label("of_request")
        )
        .select_from(decisions)
        .join(presentation_requests, presentation_requests.c.id == decisions.c.request_id)
        .outerjoin(movements, movements.c.id == decisions.c.movement_id)
        .where(decisions.c.id == decision_id)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return (row["of_movement"] or row["of_request"]) if row else None


async def awaiting(
    conn: AsyncConnection, *, fresh_since: datetime, limit: int = 200
) -> list[tuple[str, str]]:
    """(organisation, id) of decisions that wait for a status list, were not judged again, and can be now.

    One can be judged again when a list it relies on was signed after it was decided and is still in force,
    and its facts are there: what can never be judged must not stand before what can.
    """
    forgotten = exists().where(movements.c.id == decisions.c.movement_id, movements.c.data_key == b"")
    arrived = exists().where(
        reliances.c.decision_id == decisions.c.id,
        status_lists.c.uri == reliances.c.status_uri,
        status_lists.c.fetched_at > decisions.c.decided_at,
        status_lists.c.exp > fresh_since,
    )
    query = (
        select(decisions.c.ods, decisions.c.id)
        .outerjoin(_newer, _newer.c.recheck_of == decisions.c.id)
        .where(decisions.c.awaits_status, _newer.c.id.is_(None), ~forgotten, arrived)
        .order_by(decisions.c.id)
        .limit(limit)
    )
    return [(row.ods, row.id) for row in await conn.execute(query)]


async def keep_chain(conn: AsyncConnection, x5t_s256: str, x5c: Sequence[str], at: datetime) -> None:
    """Keep an issuer's certificate chain, so that a re-check can evaluate it again."""
    await insert_once(conn, issuer_chains, {"x5t_s256": x5t_s256, "x5c": list(x5c), "seen_at": at})


async def chains(conn: AsyncConnection, thumbprints: Sequence[str]) -> dict[str, list[str]]:
    """Certificate chains by the leaf's thumbprint."""
    query = select(issuer_chains.c.x5t_s256, issuer_chains.c.x5c).where(
        issuer_chains.c.x5t_s256.in_(thumbprints)
    )
    return {row.x5t_s256: row.x5c for row in await conn.execute(query)}
