"""Organisations and their onboarding steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.rules.onboarding import Step, StepRecord, StepState
from passport_registry.store import tables
from passport_registry.store.rows import Duplicate, VersionChanged, one
from passport_shared.service.db import is_unique_violation

_T = tables.organisations
_S = tables.onboarding_steps


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """A trust with an ODS code, as recorded; its state is derived, never stored."""

    ods_code: str
    name: str
    aliases: Sequence[str]
    locality: str | None
    icb: str | None
    ods_roles: Sequence[str]
    contacts: Mapping[str, str]
    cstf_alignment: Sequence[Mapping[str, Any]]
    networks: Sequence[Mapping[str, Any]]
    sandbox: bool = False
    keeps_hr_users: bool = False
    created_at: datetime
    created_by: str
    updated_at: datetime
    version: int


@dataclass(frozen=True, kw_only=True)
class RecordedStep:
    """A step with who recorded it and when."""

    record: StepRecord
    recorded_at: datetime
    recorded_by: Mapping[str, Any]
    version: int


async def add(conn: AsyncConnection, organisation: Organisation) -> None:
    """Insert an organisation.

    Raises:
        Duplicate: its ODS code is known.
    """
    try:
        await conn.execute(insert(_T).values(**vars(organisation)))
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from error
        raise


async def get(conn: AsyncConnection, ods_code: str) -> Organisation | None:
    """Return the organisation with this ODS code."""
    return await one(conn, select(_T).where(_T.c.ods_code == ods_code), Organisation)


async def those(conn: AsyncConnection, codes: Collection[str]) -> list[Organisation]:
    """Return the organisations with these ODS codes, by code."""
    query = select(_T).where(_T.c.ods_code.in_(codes)).order_by(_T.c.ods_code)
    return [Organisation(**row._mapping) for row in await conn.execute(query)]


async def page(
    conn: AsyncConnection, *, after: str | None, limit: int | None, ods_code: str | None = None
) -> list[Organisation]:
    """Return organisations by ODS code, after a cursor; only one of them if `ods_code` is given."""
    query = select(_T).order_by(_T.c.ods_code)
    if limit is not None:
        query = query.limit(limit)
    if after is not None:
        query = query.where(_T.c.ods_code > after)
    if ods_code is not None:
        query = query.where(_T.c.ods_code == ods_code)
    return [Organisation(**row._mapping) for row in await conn.execute(query)]


async def change(
    conn: AsyncConnection, ods_code: str, version: int, values: Mapping[str, Any], now: datetime
) -> None:
    """Change an organisation that still has this version.

    Raises:
        VersionChanged: it has another.
    """
    result = await conn.execute(
        update(_T)
        .where(_T.c.ods_code == ods_code, _T.c.version == version)
        .values(**values, updated_at=now, version=version + 1)
    )
    if result.rowcount != 1:
        raise VersionChanged


def _recorded(row: Mapping[str, Any]) -> RecordedStep:
    values = dict(row)
    values.pop("ods_code")
    recorded = {name: values.pop(name) for name in ("recorded_at", "recorded_by", "version")}
    record = StepRecord(**{**values, "step": Step(values["step"]), "state": StepState(values["state"])})
    return RecordedStep(record=record, **recorded)


async def steps(conn: AsyncConnection, ods_code: str) -> dict[Step, RecordedStep]:
    """Return the recorded steps of an organisation."""
    rows = await conn.execute(select(_S).where(_S.c.ods_code == ods_code))
    return {recorded.record.step: recorded for recorded in (_recorded(dict(row._mapping)) for row in rows)}


async def steps_of(conn: AsyncConnection, codes: Collection[str]) -> dict[str, dict[Step, StepRecord]]:
    """Return the recorded steps of these organisations, by ODS code."""
    found: dict[str, dict[Step, StepRecord]] = {}
    for row in await conn.execute(select(_S).where(_S.c.ods_code.in_(codes))):
        recorded = _recorded(dict(row._mapping))
        found.setdefault(row.ods_code, {})[recorded.record.step] = recorded.record
    return found


async def record_step(
    conn: AsyncConnection,
    ods_code: str,
    record: StepRecord,
    *,
    version: int | None,
    recorded_by: Mapping[str, Any],
    now: datetime,
) -> int:
    """Record a step over the version that was read (None: over whatever is there) and return its new version.

    Raises:
        VersionChanged: the stored step has another version.
    """
    values = {**vars(record), "recorded_at": now, "recorded_by": dict(recorded_by)}
    values["details"] = dict(record.details)
    where = and_(_S.c.ods_code == ods_code, _S.c.step == record.step)
    if version is not None:
        where = and_(where, _S.c.version == version)
    result = await conn.execute(
        update(_S).where(where).values(**values, version=_S.c.version + 1).returning(_S.c.version)
    )
    row = result.first()
    if row is not None:
        return int(row.version)
    if version not in {None, 0}:
        raise VersionChanged
    try:
        await conn.execute(insert(_S).values(ods_code=ods_code, **values, version=1))
    except IntegrityError as error:
        if is_unique_violation(error):
            raise VersionChanged from error
        raise
    return 1
