"""Host policies as rows: versions that are proposed, approved or withdrawn, and never edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.paging import PageQuery, fetch_page
from passport_verifier.store.policy_tables import policy_versions


class VersionState(StrEnum):  # PERSISTED
    """Life of a version. What is approved stays so; another version takes its place."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, kw_only=True)
class PolicyVersion:
    """One version of a host's policy; ``document`` is the whole policy as it is judged by."""

    id: str
    ods: str
    policy_id: str
    number: int
    version_id: str
    state: VersionState
    effective: date
    document: Mapping[str, Any]
    digest: str
    base_version: str
    note: str | None
    proposed_at: datetime
    proposed_by: Mapping[str, Any]
    approved_at: datetime | None
    approved_by: Mapping[str, Any] | None
    four_eyes: str | None
    withdrawn_at: datetime | None
    withdrawn_by: Mapping[str, Any] | None


def _version(row: RowMapping) -> PolicyVersion:
    return PolicyVersion(**{**row, "state": VersionState(row["state"])})


async def next_number(conn: AsyncConnection, ods: str, policy_id: str) -> int:
    """The number a host's next version of a policy gets; the unique key settles who got it first."""
    query = select(func.max(policy_versions.c.number)).where(
        policy_versions.c.ods == ods, policy_versions.c.policy_id == policy_id
    )
    return int((await conn.execute(query)).scalar() or 0) + 1


async def add(conn: AsyncConnection, version: PolicyVersion) -> None:
    """Store a proposal; IntegrityError if its number has been taken meanwhile."""
    await conn.execute(insert(policy_versions).values(**vars(version)))


async def get(conn: AsyncConnection, ods: str, policy_id: str, number: int) -> PolicyVersion | None:
    """One version of an organisation."""
    query = select(policy_versions).where(
        policy_versions.c.ods == ods,
        policy_versions.c.policy_id == policy_id,
        policy_versions.c.number == number,
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return _version(row) if row else None


async def by_version_id(conn: AsyncConnection, version_id: str) -> PolicyVersion | None:
    """The version a request or a decision names."""
    query = select(policy_versions).where(policy_versions.c.version_id == version_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return _version(row) if row else None


async def newest_approved(
    conn: AsyncConnection, ods: str, day: date, policy_id: str | None = None
) -> dict[str, PolicyVersion]:
    """By policy id, the approved version of an organisation that is in effect on a day."""
    query = select(policy_versions).where(
        policy_versions.c.ods == ods,
        policy_versions.c.state == VersionState.APPROVED,
        policy_versions.c.effective <= day,
    )
    if policy_id is not None:
        query = query.where(policy_versions.c.policy_id == policy_id)
    query = query.order_by(policy_versions.c.effective, policy_versions.c.number)
    rows = (await conn.execute(query)).mappings()
    return {row["policy_id"]: _version(row) for row in rows}


async def page(
    conn: AsyncConnection, ods: str, policy_id: str, query: PageQuery
) -> tuple[list[PolicyVersion], str | None]:
    """An organisation's versions of a policy, newest first."""
    statement = select(policy_versions).where(
        policy_versions.c.ods == ods, policy_versions.c.policy_id == policy_id
    )
    rows, following = await fetch_page(
        conn,
        statement,
        list_name=f"policy-versions {ods} {policy_id}",
        order_by=[policy_versions.c.number],
        query=query,
        descending=True,
    )
    return [_version(row._mapping) for row in rows], following


async def approve(
    conn: AsyncConnection, version_id: str, *, by: Mapping[str, Any], four_eyes: str, at: datetime
) -> bool:
    """Approve a proposal; whether it still was one."""
    values = {"approved_by": by, "four_eyes": four_eyes, "approved_at": at}
    return await _end_proposal(conn, version_id, VersionState.APPROVED, values)


async def withdraw(conn: AsyncConnection, version_id: str, *, by: Mapping[str, Any], at: datetime) -> bool:
    """Take a proposal back; whether it still was one."""
    values = {"withdrawn_by": by, "withdrawn_at": at}
    return await _end_proposal(conn, version_id, VersionState.WITHDRAWN, values)


async def _end_proposal(
    conn: AsyncConnection, version_id: str, state: VersionState, values: Mapping[str, Any]
) -> bool:
    statement = (
        update(policy_versions)
        .where(
            policy_versions.c.version_id == version_id,
            policy_versions.c.state == VersionState.PROPOSED,
        )
        .values(state=state, **values)
    )
    return (await conn.execute(statement)).rowcount == 1
