"""The one hot transaction: take a request and record its decision, in one statement (design §8).

PostgreSQL runs one statement of data-modifying CTEs in AUTOCOMMIT; SQLite the same steps inside its one
writer. Either way a request is taken by one conditional UPDATE, so of many answers to it exactly one is
recorded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    RowMapping,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from passport_shared.service.db import Database, JsonText, UtcDateTime
from passport_verifier.store.approvals import Approval, approval_row
from passport_verifier.store.decisions import Whole, condition_rows, decision_row, reliance_rows
from passport_verifier.store.release_tables import approvals
from passport_verifier.store.requests import RequestState
from passport_verifier.store.tables import audit, conditions, decisions, presentation_requests, reliances


async def record_answer(
    db: Database,
    whole: Whole,
    *,
    audit_entry: Mapping[str, Any],
    response_code_hash: str | None,
    now: datetime,
    approval: Approval | None = None,
) -> bool:
    """Take the request and store the decision; False if somebody answered first, or it ran out.

    Args:
        db: the database.
        whole: the decision with its reliances and conditions.
        audit_entry: the row of the audit log, stored with it.
        response_code_hash: hash of the code in the redirect of a same-device request.
        now: when the answer was received, against which the request's end is judged.
        approval: the staff member's agreement to the movement the request is for.
    """
    decision_id = whole.decision.id
    rows: dict[Table, Sequence[Mapping[str, Any]]] = {
        reliances: reliance_rows(decision_id, whole.reliances),
        conditions: condition_rows(decision_id, whole.conditions),
        approvals: [approval_row(approval)] if approval is not None else [],
    }
    decision = decision_row(whole.decision)
    params: dict[str, Any] = {
        "take_id": whole.decision.request_id,
        "take_now": now,
        "take_code": response_code_hash,
    }

    async def on_sqlite(conn: AsyncConnection, _: Mapping[str, Any]) -> list[RowMapping]:
        taken = list((await conn.execute(_TAKE, params)).mappings())
        if taken:
            await conn.execute(insert(decisions), decision)
            for table, entries in rows.items():
                if entries:
                    await conn.execute(insert(table), list(entries))
            await conn.execute(insert(audit.entries), dict(audit_entry))
        return taken

    if db.dialect == "sqlite":
        return bool(await db.hot(on_sqlite, _TAKE, {}))
    values = {f"d_{name}": value for name, value in decision.items()}
    values |= {f"a_{name}": value for name, value in audit_entry.items()}
    values |= {f"rows_{table.name}": _as_json(table, entries) for table, entries in rows.items()}
    return bool(await db.hot(on_sqlite, _POSTGRESQL, {**params, **values}))


def _take() -> Update:
    table = presentation_requests
    return (
        update(table)
        .where(
            table.c.id == bindparam("take_id", type_=Text),
            table.c.state == RequestState.OPEN,
            table.c.expires_at > bindparam("take_now", type_=UtcDateTime),
        )
        .values(
            state=RequestState.ANSWERED,
            answered_at=bindparam("take_now", type_=UtcDateTime),
            response_code_hash=bindparam("take_code", type_=Text),
            encryption_key=None,
        )
    )


_TAKE: Any = _take().returning(presentation_requests.c.id)


def _one_row(table: Table, prefix: str, taken: CTE) -> CTE:
    """One row of parameters, inserted only if the request was taken."""
    values = [bindparam(f"{prefix}{one.name}", type_=one.type) for one in _stored(table)]
    source = select(*values).select_from(taken)
    names = [one.name for one in _stored(table)]
    return (
        insert(table)
        .from_select(names, source)
        .returning(table.primary_key.columns.values()[0])
        .cte(f"into_{table.name}")
    )


def _many_rows(table: Table, taken: CTE) -> CTE:
    """Rows of one JSON parameter, inserted only if the request was taken."""
    document = cast(bindparam(f"rows_{table.name}", type_=Text), JSONB)
    columns = [column(one.name, _plain(one.type)) for one in _stored(table)]
    source = (
        func.jsonb_to_recordset(document)
        .table_valued(*columns, name=f"of_{table.name}")
        .render_derived(name=f"of_{table.name}", with_types=True)
    )
    rows: Select[Any] = select(*(source.c[one.name] for one in _stored(table))).select_from(
        source.join(taken, true())
    )
    names = [one.name for one in _stored(table)]
    return (
        insert(table)
        .from_select(names, rows)
        .returning(table.primary_key.columns.values()[0])
        .cte(f"into_{table.name}")
    )


def _stored(table: Table) -> list[Column[Any]]:
    """The columns that are written: the audit log's chain is the sealer's."""
    later = {"seq", "prev_hash", "hash", "sealed_at"} if table is audit.entries else set()
    return [one for one in table.columns if one.name not in later]


def _plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The database's own type, so that no conversion is made on the way from the JSON document."""
    if isinstance(kind, JsonText):
        return Text()
    if isinstance(kind, UtcDateTime):
        return kind.impl_instance
    return BigInteger() if isinstance(kind, BigInteger) else kind


def _as_json(table: Table, entries: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the JSON document `_many_rows` reads; JSON columns become their text."""

    def plain(entry: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in entry.items():
            if isinstance(table.c[name].type, JsonText) and value is not None:
                found[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            else:
                found[name] = value.isoformat() if isinstance(value, datetime) else value
        return found

    return json.dumps([plain(entry) for entry in entries], ensure_ascii=False)


def _postgresql() -> Select[Any]:
    taken = _take().returning(presentation_requests.c.id).cte("taken")
    steps = [
        _one_row(decisions, "d_", taken),
        _many_rows(reliances, taken),
        _many_rows(conditions, taken),
        _many_rows(approvals, taken),
        _one_row(audit.entries, "a_", taken),
    ]
    return select(taken.c.id).add_cte(*steps)


_POSTGRESQL = _postgresql()
