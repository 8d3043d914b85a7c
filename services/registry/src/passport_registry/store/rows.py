"""What every store file needs: a row as a dataclass, and the two refusals a statement can end in."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


class Duplicate(Exception):
    """Something with the same identity is already recorded."""


class VersionChanged(Exception):
    """The row has another version than the caller read."""


async def one(conn: AsyncConnection, query: Select[Any], kind: type[T]) -> T | None:
    """Return the query's only row as a dataclass whose fields are its columns, or None."""
    row = (await conn.execute(query)).first()
    return None if row is None else kind(**row._mapping)


async def many(conn: AsyncConnection, query: Select[Any], kind: type[T]) -> list[T]:
    """Return the query's rows as dataclasses whose fields are its columns."""
    return [kind(**row._mapping) for row in await conn.execute(query)]
