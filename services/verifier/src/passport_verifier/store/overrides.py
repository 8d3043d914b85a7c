"""Overrides as rows: proposed by one person, approved by another, ended by time or on somebody's word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.paging import PageQuery, fetch_page
from passport_verifier.store.policy_tables import overrides
from passport_verifier.store.tables import decisions


class OverrideState(StrEnum):  # PERSISTED
    """Life of an override; it counts while APPROVED and not past ``expires_at``."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, kw_only=True)
class Override:
    """One override: the findings it accepts by rule, subject and reason; its own reason is sealed."""

    id: str
    ods: str
    case_id: str
    request_id: str
    decision_id: str
    movement_id: str | None
    findings: Sequence[Mapping[str, Any]]
    reason: bytes
    state: OverrideState
    proposed_at: datetime
    proposed_by: Mapping[str, Any]
    approved_at: datetime | None
    approved_by: Mapping[str, Any] | None
    four_eyes: str | None
    expires_at: datetime
    ended_at: datetime | None
    ended_by: Mapping[str, Any] | None

    def in_force(self, now: datetime) -> bool:
        """Whether it counts."""
        return self.state is OverrideState.APPROVED and now < self.expires_at

    def state_at(self, now: datetime) -> OverrideState:
        """Its state as it is told: what has run out is EXPIRED, whenever that is written down."""
        running = self.state in {OverrideState.PROPOSED, OverrideState.APPROVED}
        return OverrideState.EXPIRED if running and now >= self.expires_at else self.state


def _override(row: RowMapping) -> Override:
    return Override(**{**row, "state": OverrideState(row["state"])})


async def add(conn: AsyncConnection, override: Override) -> None:
    """Store a proposal."""
    await conn.execute(insert(overrides).values(**vars(override)))


async def get(conn: AsyncConnection, ods: str, override_id: str) -> Override | None:
    """One override of an organisation."""
    query = select(overrides).where(overrides.c.id == override_id, overrides.c.ods == ods)
    row = (await conn.execute(query)).mappings().one_or_none()
    return _override(row) if row else None


async def held(conn: AsyncConnection, override_id: str) -> Override | None:
    """Take an override's row until the transaction ends, and return it as it is then."""
    same = update(overrides).where(overrides.c.id == override_id).values(ods=overrides.c.ods)
    row = (await conn.execute(same.returning(*overrides.c))).mappings().one_or_none()
    return _override(row) if row else None


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A decision's findings, and every override of the answer it was made from."""

    findings: Sequence[Mapping[str, Any]]
    overrides: Sequence[Override]


async def judged_with(conn: AsyncConnection, decision_id: str) -> Judged:
    """What a decision found and what was accepted of it; nothing at all for an unknown decision."""
    query = select(decisions.c.findings, decisions.c.request_id).where(decisions.c.id == decision_id)
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        return Judged(findings=(), overrides=())
    return Judged(findings=row.findings, overrides=await of_request(conn, row.request_id))


async def of_request(conn: AsyncConnection, request_id: str) -> list[Override]:
    """Every override of the decisions from one answer, oldest first: re-checks share them."""
    query = select(overrides).where(overrides.c.request_id == request_id).order_by(overrides.c.id)
    return [_override(row) for row in (await conn.execute(query)).mappings()]


async def page(
    conn: AsyncConnection, ods: str, query: PageQuery, *, decision_id: str | None = None
) -> tuple[list[Override], str | None]:
    """An organisation's overrides, newest first."""
    statement = select(overrides).where(overrides.c.ods == ods)
    if decision_id is not None:
        statement = statement.where(overrides.c.decision_id == decision_id)
    rows, following = await fetch_page(
        conn,
        statement,
        list_name=f"overrides {ods} {decision_id}",
        order_by=[overrides.c.id],
        query=query,
        descending=True,
    )
    return [_override(row._mapping) for row in rows], following


async def approve(
    conn: AsyncConnection,
    override_id: str,
    *,
    by: Mapping[str, Any],
    four_eyes: str,
    at: datetime,
    until: datetime,
) -> bool:
    """Approve a proposal that has not run out; whether it still was one."""
    statement = (
        update(overrides)
        .where(
            overrides.c.id == override_id,
            overrides.c.state == OverrideState.PROPOSED,
            overrides.c.expires_at > at,
        )
        .values(
            state=OverrideState.APPROVED,
            approved_by=by,
            four_eyes=four_eyes,
            approved_at=at,
            expires_at=until,
        )
    )
    return (await conn.execute(statement)).rowcount == 1


async def withdraw(conn: AsyncConnection, override_id: str, *, by: Mapping[str, Any], at: datetime) -> bool:
    """Take a proposal or an override back; whether there was one to take back."""
    return await _end(conn, override_id, OverrideState.WITHDRAWN, by, at)


async def expire(conn: AsyncConnection, override_id: str, *, by: Mapping[str, Any], at: datetime) -> bool:
    """Write down that an override has run out; whether nobody had."""
    return await _end(conn, override_id, OverrideState.EXPIRED, by, at)


async def _end(
    conn: AsyncConnection, override_id: str, state: OverrideState, by: Mapping[str, Any], at: datetime
) -> bool:
    running = overrides.c.state.in_([OverrideState.PROPOSED, OverrideState.APPROVED])
    # Time ends what has run out, a person what has not: never both.
    in_time = overrides.c.expires_at <= at if state is OverrideState.EXPIRED else overrides.c.expires_at > at
    statement = (
        update(overrides)
        .where(overrides.c.id == override_id, running, in_time)
        .values(state=state, ended_at=at, ended_by=by)
    )
    return (await conn.execute(statement)).rowcount == 1


async def run_out(conn: AsyncConnection, now: datetime, *, limit: int = 200) -> list[Override]:
    """Overrides and proposals whose time is over, and nobody has written it down."""
    query = (
        select(overrides)
        .where(
            overrides.c.state.in_([OverrideState.PROPOSED, OverrideState.APPROVED]),
            overrides.c.expires_at <= now,
        )
        .order_by(overrides.c.expires_at)
        .limit(limit)
    )
    return [_override(row) for row in (await conn.execute(query)).mappings()]
