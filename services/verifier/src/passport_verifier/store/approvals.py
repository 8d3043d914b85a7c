"""Approvals as rows: what was said to a movement, by whom, how. Nothing is changed; the newest counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.ids import new_id_after
from passport_verifier.rules.movement_state import Answer, MovementState
from passport_verifier.rules.movement_types import ApprovalKind, ApprovalMethod
from passport_verifier.store.release_tables import approvals
from passport_verifier.store.tables import movements


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One answer to a movement's terms.

    Args:
        at: when it was said; ``recorded_at`` when it was written down.
        cover_opt_in: only of the staff member: that covering an absence is right for them.
        staff_ref: only of a recorded agreement: the staff member's own reference in the calling system.
        source_id: the presentation request, one-time link or Release it came with.
    """

    id: str
    ods: str
    movement_id: str
    terms_version: int
    kind: ApprovalKind
    decision: Answer
    method: ApprovalMethod
    at: datetime
    actor: Mapping[str, Any]
    channel: str | None
    cover_opt_in: bool | None
    staff_ref: str | None
    source_id: str | None
    recorded_at: datetime


def _approval(row: RowMapping) -> Approval:
    return Approval(
        **{
            **row,
            "kind": ApprovalKind(row["kind"]),
            "decision": Answer(row["decision"]),
            "method": ApprovalMethod(row["method"]),
        }
    )


def approval_row(approval: Approval) -> dict[str, Any]:
    """The columns of an approval."""
    return dict(vars(approval))


async def add(conn: AsyncConnection, approval: Approval) -> Approval:
    """Write one down; the caller holds the movement's row, so that of two the later one is the newest.

    Returns it as it is stored: under another id where one that is stored is greater, because the replica
    that made that one has a clock ahead of ours.
    """
    query = select(func.max(approvals.c.id)).where(approvals.c.movement_id == approval.movement_id)
    newest = (await conn.execute(query)).scalar()
    stored = (
        approval if newest is None or approval.id > newest else replace(approval, id=new_id_after(newest))
    )
    await conn.execute(insert(approvals).values(**approval_row(stored)))
    return stored


async def all_of(conn: AsyncConnection, movement_id: str) -> tuple[Approval, ...]:
    """All answers to a movement, oldest first."""
    query = select(approvals).where(approvals.c.movement_id == movement_id).order_by(approvals.c.id)
    return tuple(_approval(row) for row in (await conn.execute(query)).mappings())


async def newest_of(conn: AsyncConnection, movement_id: str) -> dict[ApprovalKind, Approval]:
    """The newest answer of each kind."""
    newest = (
        select(func.max(approvals.c.id))
        .where(approvals.c.movement_id == movement_id)
        .group_by(approvals.c.kind)
    )
    rows = (await conn.execute(select(approvals).where(approvals.c.id.in_(newest)))).mappings()
    return {found.kind: found for found in map(_approval, rows)}


async def cover_opt_in(conn: AsyncConnection, movement_id: str, terms_version: int) -> bool:
    """Whether the staff member said, when last asked about these terms, that covering an absence is right."""
    query = (
        select(approvals.c.cover_opt_in)
        .where(
            approvals.c.movement_id == movement_id,
            approvals.c.kind == ApprovalKind.STAFF,
            approvals.c.terms_version == terms_version,
            approvals.c.cover_opt_in.is_not(None),
        )
        .order_by(approvals.c.id.desc())
        .limit(1)
    )
    return bool((await conn.execute(query)).scalar_one_or_none())


async def not_followed(
    conn: AsyncConnection, *, since: datetime | None, until: datetime, limit: int = 100
) -> list[str]:
    """Movements somebody presented for whose state does not show it yet; ``since`` None: however long ago.

    In no order, so that those which cannot be followed are not the ones that are tried every time.
    """
    query = (
        select(approvals.c.movement_id)
        .join(movements, movements.c.id == approvals.c.movement_id)
        .where(
            approvals.c.method == ApprovalMethod.PRESENTATION,
            approvals.c.recorded_at <= until,
            approvals.c.terms_version == movements.c.terms_version,
            movements.c.state == MovementState.REQUESTED,
        )
        .group_by(approvals.c.movement_id)
        .order_by(func.random())
        .limit(limit)
    )
    if since is not None:
        query = query.where(approvals.c.recorded_at > since)
    return list((await conn.execute(query)).scalars())


async def newest_of_many(
    conn: AsyncConnection, movement_ids: list[str]
) -> dict[str, dict[ApprovalKind, Approval]]:
    """The newest answer of each kind for several movements, in one read."""
    newest = (
        select(func.max(approvals.c.id))
        .where(approvals.c.movement_id.in_(movement_ids))
        .group_by(approvals.c.movement_id, approvals.c.kind)
    )
    rows = (await conn.execute(select(approvals).where(approvals.c.id.in_(newest)))).mappings()
    found: dict[str, dict[ApprovalKind, Approval]] = {one: {} for one in movement_ids}
    for approval in map(_approval, rows):
        found[approval.movement_id][approval.kind] = approval
    return found
