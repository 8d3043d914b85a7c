"""Alerts as rows: raised once about one thing, acknowledged once by a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.once import insert_once
from passport_shared.service.paging import PageQuery, fetch_page
from passport_verifier.rules.watching import AlertKind
from passport_verifier.store.placement_tables import alerts


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert; what it says is ``sealed`` under the movement's data key."""

    id: str
    ods: str
    movement_id: str
    kind: AlertKind
    about: str
    decision_id: str | None
    sealed: bytes
    urgent: bool
    raised_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: Mapping[str, Any] | None


def _alert(row: RowMapping) -> Alert:
    return Alert(**{**row, "kind": AlertKind(row["kind"])})


async def add(conn: AsyncConnection, alert: Alert) -> bool:
    """Raise an alert unless one about the same was raised; whether it was."""
    return await insert_once(conn, alerts, dict(vars(alert)))


async def get(conn: AsyncConnection, ods: str, alert_id: str) -> Alert | None:
    """An alert of this host."""
    query = select(alerts).where(alerts.c.ods == ods, alerts.c.id == alert_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return _alert(row) if row else None


async def page(
    conn: AsyncConnection,
    ods: str,
    query: PageQuery,
    *,
    acknowledged: bool | None = None,
    movement_id: str | None = None,
) -> tuple[list[Alert], str | None]:
    """A host's alerts, newest first."""
    statement = select(alerts).where(alerts.c.ods == ods)
    if acknowledged is not None:
        at = alerts.c.acknowledged_at
        statement = statement.where(at.is_not(None) if acknowledged else at.is_(None))
    if movement_id is not None:
        statement = statement.where(alerts.c.movement_id == movement_id)
    rows, following = await fetch_page(
        conn,
        statement,
        list_name=f"alerts {ods} {acknowledged} {movement_id}",
        order_by=[alerts.c.id],
        query=query,
        descending=True,
    )
    return [_alert(row._mapping) for row in rows], following


async def acknowledge(conn: AsyncConnection, alert_id: str, *, by: Mapping[str, Any], at: datetime) -> bool:
    """Record who has seen an alert, once; whether it was recorded now."""
    statement = (
        update(alerts)
        .where(alerts.c.id == alert_id, alerts.c.acknowledged_at.is_(None))
        .values(acknowledged_at=at, acknowledged_by=dict(by))
    )
    return (await conn.execute(statement)).rowcount == 1
