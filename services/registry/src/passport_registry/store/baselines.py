"""Baselines of estimates as rows: what a document used to take, by whom it was entered and what it cites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.store.activity_tables import report_baselines
from passport_registry.store.rows import VersionChanged, many, one
from passport_shared.service.once import insert_once

_T = report_baselines


@dataclass(frozen=True, kw_only=True)
class BaselineRow:
    """One baseline; `ods` is an ODS code, or `*` for every trust without one of its own."""

    document: str
    ods: str
    minutes: int
    citation: str
    entered_by: Mapping[str, Any]
    entered_at: datetime
    version: int


async def get(conn: AsyncConnection, document: str, ods: str) -> BaselineRow | None:
    """Return a baseline."""
    return await one(conn, select(_T).where(_T.c.document == document, _T.c.ods == ods), BaselineRow)


async def every(conn: AsyncConnection) -> list[BaselineRow]:
    """Return all baselines, by document and trust: three documents, and as many trusts as have their own."""
    return await many(conn, select(_T).order_by(_T.c.document, _T.c.ods), BaselineRow)


async def put(conn: AsyncConnection, row: BaselineRow, *, expected_version: int) -> None:
    """Write a baseline over the version that was read, 0 for one that nobody has entered.

    Raises:
        VersionChanged: somebody has entered another meanwhile.
    """
    values = {**vars(row), "version": expected_version + 1}
    if expected_version == 0:
        if not await insert_once(conn, _T, values):
            raise VersionChanged
        return
    changed = await conn.execute(
        update(_T)
        .where(_T.c.document == row.document, _T.c.ods == row.ods, _T.c.version == expected_version)
        .values(values)
    )
    if changed.rowcount != 1:
        raise VersionChanged
