"""What every store file needs: rows as frozen dataclasses, and the refusals a statement can end in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, TypeVar, get_origin, get_type_hints

from sqlalchemy import RowMapping, Select
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")
Convert = Callable[[Any], Any]

_CONVERSIONS: dict[type, dict[str, Convert]] = {}


class Duplicate(Exception):
    """Something with the same identity is already recorded."""


class VersionChanged(Exception):
    """The row has another version than the caller read, or is gone."""


def as_value(kind: type[T], row: RowMapping, **more: Any) -> T:
    """A row as a frozen dataclass: fields by column name, enumerations as members, arrays as tuples."""
    conversions = _CONVERSIONS.get(kind)
    if conversions is None:
        conversions = {name: _conversion(hint) for name, hint in get_type_hints(kind).items()}
        _CONVERSIONS[kind] = conversions
    values = {name: convert(row[name]) for name, convert in conversions.items() if name not in more}
    return kind(**values, **more)


def _conversion(hint: Any) -> Convert:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return tuple if get_origin(hint) is tuple else _unchanged


def _unchanged(value: Any) -> Any:
    return value


def as_row(value: Any, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """A frozen dataclass as column values: enumerations as text, tuples as lists."""
    row: dict[str, Any] = {}
    for field in fields(value):
        if field.name in without:
            continue
        item = getattr(value, field.name)
        if isinstance(item, StrEnum):
            item = item.value
        elif isinstance(item, tuple):
            item = list(item)
        elif isinstance(item, Mapping):
            item = dict(item)
        row[field.name] = item
    return row


async def one(conn: AsyncConnection, query: Select[Any], kind: type[T]) -> T | None:
    """The query's only row, or None."""
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else as_value(kind, row)


async def many(conn: AsyncConnection, query: Select[Any], kind: type[T]) -> list[T]:
    """The query's rows."""
    return [as_value(kind, row) for row in (await conn.execute(query)).mappings()]
