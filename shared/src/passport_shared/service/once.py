"""Things that happen once: a row whose unique key says that it did.

One statement on both databases, inside the caller's transaction, without an exception that would abort the
transaction on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_once(conn: AsyncConnection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless a unique key of it is taken; whether it was inserted."""
    statement = _statement(table, conn.dialect.name)
    return (await conn.execute(statement, dict(values))).first() is not None


@lru_cache(maxsize=256)
def _statement(table: Table, dialect: str) -> Executable:
    """The statement of a table, made once: making one costs as much as running it."""
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
