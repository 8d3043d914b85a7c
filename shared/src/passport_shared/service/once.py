"""Things that happen once: a row whose unique key says that it did.

One statement on both databases, inside the caller's transaction, without an exception that would abort the
transaction on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_once(conn: AsyncConnection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless a unique key of it is taken; whether it was inserted."""
    insert = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    statement = insert(table).values(dict(values)).on_conflict_do_nothing()
    return (await conn.execute(statement.returning(*table.primary_key.columns))).first() is not None
